/*
 * The slot file taken from writers that were stopped or killed: each case of
 * breaking it made by hand, one after the other. test_slotfile_race.c has them all at once.
 */
#include "slot_helper.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- stopped and killed writers ---- */

enum { STOP_BEFORE_WRITE, STOP_AFTER_WRITE };

/* Stops with the lock; exits with what its next write came to. */
static int stops_inside(void *arg)
{
	int when = *(int *)arg;
	hf_slotfile *file = locked_file();
	hf_status st;

	if (!file)
		return 99;
	if (when == STOP_AFTER_WRITE && hf_slotfile_write(file, "stopped", 7, NULL))
		return 98;
	raise(SIGSTOP);
	st = hf_slotfile_write(file, "late", 4, NULL);
	hf_slotfile_unlock(file);
	return (int)st;
}

static void stopped_writer__is_broken_and_its_late_write_does_not_count(void **state)
{
	int when;

	(void)state;
	for (when = STOP_BEFORE_WRITE; when <= STOP_AFTER_WRITE; when++) {
		hf_slotfile *file = new_file(&creating);
		hf_slot_content content;
		int64_t start_ms;
		pid_t pid;

		put("before");
		pid = scratch_fork(stops_inside, &when);
		scratch_wait_stopped(pid);
		start_ms = hf_boot_ms();
		assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
		assert_in_range(hf_boot_ms() - start_ms, PATIENCE_MS, PATIENCE_MS * 8);
		assert_true(hf_slotfile_broken(file));
		assert_string_equal(content.data, when ? "stopped" : "before");
		hf_slot_content_clear(&content);
		hf_slotfile_unlock(file);
		/* It stays broken until somebody has written. */
		assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
		assert_true(hf_slotfile_broken(file));
		hf_slot_content_clear(&content);
		assert_int_equal(hf_slotfile_write(file, "after", 5, NULL), HF_OK);
		assert_false(hf_slotfile_broken(file));
		hf_slotfile_unlock(file);
		kill(pid, SIGCONT);
		assert_int_equal(scratch_wait(pid), HF_CHANGED);
		expect_text("after");
		assert_int_equal(scratch_count(), 1);
		hf_slotfile_free(file);
	}
}

static int stops_at_first_use(void *arg)
{
	hf_slotfile *file = locked_file();

	(void)arg;
	if (!file)
		return 99;
	raise(SIGSTOP);
	return (int)hf_slotfile_remove(file, NULL);
}

/* Who stops without having written anything: the next one's content stays. */
static void stop_and_write_over(int (*stops)(void *arg))
{
	pid_t pid = scratch_fork(stops, NULL);

	scratch_wait_stopped(pid);
	put("one");
	kill(pid, SIGCONT);
	assert_int_equal(scratch_wait(pid), HF_CHANGED);
	expect_text("one");
	assert_int_equal(scratch_count(), 1);
}

static void stopped_first_user__is_broken_too(void **state)
{
	(void)state;
	stop_and_write_over(stops_at_first_use);
}

static int grows_late(void *arg)
{
	hf_slotfile *file = locked_file();
	static char large[20000];
	hf_status st;

	(void)arg;
	if (!file)
		return 99;
	raise(SIGSTOP);
	st = hf_slotfile_write(file, large, sizeof(large), NULL);
	hf_slotfile_unlock(file);
	return (int)st;
}

static void stopped_grower__does_not_undo_its_successor(void **state)
{
	(void)state;
	stop_and_write_over(grows_late);
}

static void killed_writer__delays_nobody(void **state)
{
	int when = STOP_AFTER_WRITE;
	int64_t start_ms;
	pid_t pid = scratch_fork(stops_inside, &when);

	(void)state;
	scratch_wait_stopped(pid);
	kill(pid, SIGKILL);
	assert_int_equal(scratch_wait(pid), 1000 + SIGKILL);
	start_ms = hf_boot_ms();
	put("next");
	assert_in_range(hf_boot_ms() - start_ms, 0, PATIENCE_MS / 2);
	expect_text("next");
}

/* ---- at the narrow places, by the parts' own means ---- */

/* Stops between saying that it removes and removing. */
static int stops_while_removing(void *arg)
{
	const hf_slot removing = {.kind = HF_SLOT_REMOVING, .seq = 1000};
	hf_slotfile *file = locked_file();

	(void)arg;
	if (!file || hf_slotfile_put(file, &removing, NULL))
		return 99;
	raise(SIGSTOP);
	return unlink(scratch_path("x"));
}

static void stopped_remover__is_waited_for_as_it_will_unlink_whatever_is_there(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;
	char nonce[HF_NONCE_LEN + 1];
	bool missing;
	pid_t pid;

	(void)state;
	put("before");
	pid = scratch_fork(stops_while_removing, NULL);
	scratch_wait_stopped(pid);
	assert_int_equal(get(&content), HF_OK);
	assert_int_equal(content.seq, 0);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_UNAVAILABLE);
	/* Whoever had decided to break it just before it said so: the same. */
	assert_int_equal(hf_slotfile_open(file, false, &missing, NULL), HF_OK);
	assert_int_equal(hf_slotfile_exchange(file, 4096, nonce, NULL, NULL), HF_OK);
	hf_slotfile_close(file);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_UNAVAILABLE);
	assert_int_equal(get(&content), HF_UNAVAILABLE);
	kill(pid, SIGCONT);
	assert_int_equal(scratch_wait(pid), 0);
	put("after");
	expect_text("after");
	hf_slotfile_free(file);
}

static void killed_remover__has_removed(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;
	pid_t pid;

	(void)state;
	put("before");
	pid = scratch_fork(stops_while_removing, NULL);
	scratch_wait_stopped(pid);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	assert_int_equal(content.seq, 0);
	assert_int_equal(hf_slotfile_write(file, "after", 5, NULL), HF_OK);
	hf_slotfile_unlock(file);
	hf_slotfile_free(file);
	expect_text("after");
}

/* Decided long ago, stopped, and carried out over a healthy successor. */
static void late_exchange__loses_nothing_and_is_told_to_the_successor(void **state)
{
	hf_slotfile *late = new_file(&creating);
	hf_slotfile *healthy = new_file(&creating);
	hf_slot_content content;
	char nonce[HF_NONCE_LEN + 1];
	bool missing;

	(void)state;
	put("before");
	assert_int_equal(hf_slotfile_open(late, false, &missing, NULL), HF_OK);
	assert_int_equal(hf_slotfile_lock(healthy, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_write(healthy, "healthy", 7, NULL), HF_OK);
	assert_int_equal(hf_slotfile_exchange(late, 4096, nonce, NULL, NULL), HF_OK);
	assert_int_equal(hf_slotfile_write(healthy, "too late", 8, NULL), HF_CHANGED);
	hf_slotfile_unlock(healthy);
	/* Nobody knows whether it came too late: whoever copies decides. */
	assert_int_equal(hf_slotfile_rebuild(late, NULL), HF_OK);
	hf_slotfile_close(late);
	expect_text("too late");
	assert_int_equal(scratch_count(), 1);
	hf_slotfile_free(late);
	hf_slotfile_free(healthy);
}

/* One exchange upon the other, as if each one's maker had been killed. */
static void chain_of_exchanges__ends_at_the_content(void **state)
{
	hf_slotfile *file = new_file(&creating);
	char nonce[HF_NONCE_LEN + 1];
	bool missing;
	int i;

	(void)state;
	put("the content");
	for (i = 0; i < 5; i++) {
		assert_int_equal(hf_slotfile_open(file, false, &missing, NULL), HF_OK);
		assert_int_equal(hf_slotfile_exchange(file, 4096, nonce, NULL, NULL), HF_OK);
		hf_slotfile_close(file);
	}
	assert_int_equal(scratch_count(), 6);
	expect_text("the content");
	assert_int_equal(scratch_count(), 1);
	hf_slotfile_free(file);
}

static void sweeping__takes_nothing_that_is_needed(void **state)
{
	hf_slotfile *file = new_file(&creating);
	char nonce[HF_NONCE_LEN + 1];
	size_t removed = 0;
	bool missing;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		if (i == 1)
			put("the content");
		assert_int_equal(hf_slotfile_open(file, i == 0, &missing, NULL), HF_OK);
		assert_int_equal(hf_slotfile_exchange(file, 4096, nonce, NULL, NULL), HF_OK);
		hf_slotfile_close(file);
		assert_int_equal(hf_slotfile_sweep(scratch_path("."), &removed, NULL), HF_OK);
		expect_text(i == 0 ? "(nothing)" : "the content");
		assert_int_equal(scratch_count(), 1);
	}
	hf_slotfile_free(file);
}

static void lost_source__is_damage(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;
	char nonce[HF_NONCE_LEN + 1];
	char *broken;
	bool missing;

	(void)state;
	put("the content");
	assert_int_equal(hf_slotfile_open(file, false, &missing, NULL), HF_OK);
	assert_int_equal(hf_slotfile_exchange(file, 4096, nonce, NULL, NULL), HF_OK);
	hf_slotfile_close(file);
	broken = hf_broken_path(scratch_path("x"), nonce, HF_NONCE_LEN);
	assert_int_equal(unlink(broken), 0);
	free(broken);
	assert_int_equal(get(&content), HF_CORRUPT);
	assert_int_equal(get(&content), HF_CORRUPT);
	hf_slotfile_free(file);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)
	const struct CMUnitTest tests[] = {
		TEST(stopped_writer__is_broken_and_its_late_write_does_not_count),
		TEST(stopped_first_user__is_broken_too),
		TEST(stopped_grower__does_not_undo_its_successor),
		TEST(killed_writer__delays_nobody),
		TEST(stopped_remover__is_waited_for_as_it_will_unlink_whatever_is_there),
		TEST(killed_remover__has_removed),
		TEST(late_exchange__loses_nothing_and_is_told_to_the_successor),
		TEST(chain_of_exchanges__ends_at_the_content),
		TEST(sweeping__takes_nothing_that_is_needed),
		TEST(lost_source__is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
