/* The slot file: one process at a time, one thing after the other. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"
#include "store/slotfile_internal.h"

#define PATIENCE_MS 150

static const hf_slotfile_options creating = {.create = true, .patience_ms = PATIENCE_MS};
static const hf_slotfile_options looking = {.patience_ms = PATIENCE_MS};

static hf_slotfile *new_file(const hf_slotfile_options *options)
{
	hf_slotfile *file;

	assert_int_equal(hf_slotfile_new(scratch_path("x"), options, &file, NULL), HF_OK);
	return file;
}

static void put(const char *text)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	assert_int_equal(hf_slotfile_write(file, text, strlen(text), NULL), HF_OK);
	hf_slotfile_unlock(file);
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
}

static hf_status get(hf_slot_content *content)
{
	hf_slotfile *file = new_file(&looking);
	hf_status st = hf_slotfile_read(file, content, NULL);

	hf_slotfile_free(file);
	return st;
}

static void expect_text(const char *text)
{
	hf_slot_content content;

	assert_int_equal(get(&content), HF_OK);
	assert_string_equal(content.data ? content.data : "(nothing)", text);
	hf_slot_content_clear(&content);
}

static int set_up(void **state)
{
	(void)state;
	scratch_make();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	scratch_clear();
	return 0;
}

static void missing_file__reads_as_never_written(void **state)
{
	hf_slot_content content;
	hf_slotfile *file = new_file(&looking);

	(void)state;
	assert_int_equal(get(&content), HF_OK);
	assert_int_equal(content.seq, 0);
	assert_null(content.data);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	assert_int_equal(content.seq, 0);
	hf_slotfile_unlock(file);
	hf_slotfile_free(file);
	assert_int_equal(scratch_count(), 0);
}

static void content__comes_back_with_growing_numbers(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;
	uint64_t seq = 0;
	char text[32];
	int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "content %d", i);
		assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
		assert_int_equal(content.seq, seq);
		hf_slot_content_clear(&content);
		assert_int_equal(hf_slotfile_write(file, text, strlen(text), NULL), HF_OK);
		hf_slotfile_unlock(file);
		assert_int_equal(hf_slotfile_read(file, &content, NULL), HF_OK);
		assert_string_equal(content.data, text);
		assert_true(content.seq > seq);
		seq = content.seq;
		hf_slot_content_clear(&content);
		expect_text(text);
	}
	assert_int_equal(scratch_count(), 1);
	hf_slotfile_free(file);
}

static void two_writes_under_one_lock__both_count(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	(void)state;
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	assert_int_equal(hf_slotfile_write(file, "one", 3, NULL), HF_OK);
	expect_text("one");
	assert_int_equal(hf_slotfile_write(file, "two", 3, NULL), HF_OK);
	expect_text("two");
	hf_slotfile_unlock(file);
	hf_slotfile_free(file);
}

static void mark__is_kept_until_the_next_write(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	(void)state;
	put("one");
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_mark(file, 7, NULL), HF_OK);
	hf_slotfile_unlock(file);
	assert_int_equal(get(&content), HF_OK);
	assert_int_equal(content.mark, 7);
	hf_slot_content_clear(&content);
	put("two");
	assert_int_equal(get(&content), HF_OK);
	assert_int_equal(content.mark, 0);
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
}

static void mode__is_private_unless_asked_for(void **state)
{
	struct stat st;

	(void)state;
	put("one");
	assert_int_equal(stat(scratch_path("x"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void folder__is_made_with_the_file(void **state)
{
	hf_slotfile *file;
	hf_slot_content content;

	(void)state;
	assert_int_equal(
		hf_slotfile_new(scratch_path("a/b/c.lock"), &creating, &file, NULL), HF_OK);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	assert_int_equal(hf_slotfile_write(file, "one", 3, NULL), HF_OK);
	hf_slotfile_free(file);
	assert_int_equal(access(scratch_path("a/b/c.lock"), R_OK), 0);
}

/* ---- growth, removal ---- */

static void growth__keeps_readers_and_writers_on_the_same_content(void **state)
{
	hf_slotfile *other = new_file(&creating);
	hf_slot_content content;
	char *text = malloc(1100001);
	size_t n;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 1100000);
	text[1100000] = '\0';
	put("small");
	assert_int_equal(hf_slotfile_read(other, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	for (n = 3000; n <= 1100000; n = n * 3 / 2) {
		text[n] = '\0';
		put(text);
		expect_text(text);
		assert_int_equal(hf_slotfile_lock(other, &content, NULL), HF_OK);
		assert_int_equal(content.len, n);
		assert_false(hf_slotfile_broken(other));
		hf_slotfile_unlock(other);
		hf_slot_content_clear(&content);
		text[n] = 'x';
	}
	put("small again");
	expect_text("small again");
	assert_int_equal(scratch_count(), 1);
	hf_slotfile_free(other);
	free(text);
}

static void removal__leaves_nothing_and_numbers_begin_anew(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slotfile *other = new_file(&creating);
	hf_slot_content content;

	(void)state;
	put("one");
	assert_int_equal(hf_slotfile_read(other, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_remove(file, NULL), HF_OK);
	hf_slotfile_unlock(file);
	assert_int_equal(scratch_count(), 0);
	assert_int_equal(hf_slotfile_read(other, &content, NULL), HF_OK);
	assert_int_equal(content.seq, 0);
	assert_int_equal(hf_slotfile_lock(other, &content, NULL), HF_OK);
	assert_int_equal(content.seq, 0);
	assert_int_equal(hf_slotfile_write(other, "two", 3, NULL), HF_OK);
	hf_slotfile_unlock(other);
	expect_text("two");
	hf_slotfile_free(file);
	hf_slotfile_free(other);
}

/* ---- damage ---- */

static void damage_byte(off_t at, size_t n)
{
	int fd = open(scratch_path("x"), O_RDWR);
	char bytes[64];
	size_t i;

	assert_true(fd >= 0 && n <= sizeof(bytes));
	assert_int_equal(pread(fd, bytes, n, at), n);
	for (i = 0; i < n; i++)
		bytes[i] = (char)(bytes[i] ^ 0x55);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

/*
 * "one" is in slot 1, "two" in slot 0. Bytes 40 to 47 are the mark and unused.
 */
static void one_damaged_copy__is_the_content_before_or_the_present_one(void **state)
{
	off_t at;

	(void)state;
	put("one");
	put("two");
	for (at = 0; at < 51; at++) {
		damage_byte(at, 1);
		expect_text(at >= 40 && at < 48 ? "two" : "one");
		damage_byte(at, 1);
		damage_byte(4096 + at, 1);
		expect_text("two");
		damage_byte(4096 + at, 1);
	}
	expect_text("two");
}

static void damaged_copies__are_never_taken_for_nothing(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	(void)state;
	put("one");
	put("two");
	damage_byte(9, 1);
	damage_byte(4096 + 9, 1);
	assert_int_equal(get(&content), HF_CORRUPT);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_CORRUPT);
	assert_int_equal(hf_slotfile_write(file, "three", 5, NULL), HF_OK);
	hf_slotfile_unlock(file);
	hf_slotfile_free(file);
	expect_text("three");
}

static void cut_file__is_damage_at_every_length(void **state)
{
	hf_slot_content content;
	off_t n;

	(void)state;
	for (n = 1; n < 8192; n += n < 64 || n > 8100 ? 1 : 61) {
		put("one");
		put("two");
		assert_int_equal(truncate(scratch_path("x"), n), 0);
		assert_int_equal(get(&content), HF_CORRUPT);
		unlink(scratch_path("x"));
	}
	put("one");
	assert_int_equal(truncate(scratch_path("x"), 5000), 0);
	{
		hf_slotfile *file = new_file(&creating);

		assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_CORRUPT);
		assert_int_equal(hf_slotfile_write(file, "new", 3, NULL), HF_OK);
		hf_slotfile_unlock(file);
		hf_slotfile_free(file);
	}
	expect_text("new");
	assert_int_equal(scratch_count(), 1);
}

static void cut_file__can_be_removed(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	(void)state;
	put("one");
	assert_int_equal(truncate(scratch_path("x"), 5000), 0);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_CORRUPT);
	assert_int_equal(hf_slotfile_remove(file, NULL), HF_OK);
	hf_slotfile_free(file);
	assert_int_equal(scratch_count(), 0);
}

static void zero_file(off_t size, bool before_boot)
{
	static const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	int fd = open(scratch_path("x"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(ftruncate(fd, size), 0);
	if (before_boot)
		assert_int_equal(futimens(fd, long_ago), 0);
	close(fd);
}

static const off_t blank_sizes[] = {0, 100, 4096, 8191, 8192};

static void emptied_file__is_damage(void **state)
{
	hf_slot_content content;
	hf_slotfile *file;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(blank_sizes); i++) {
		put("one");
		zero_file(blank_sizes[i], false);
		assert_int_equal(get(&content), HF_CORRUPT);
		file = new_file(&creating);
		assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_CORRUPT);
		assert_int_equal(hf_slotfile_write(file, "new", 3, NULL), HF_OK);
		hf_slotfile_free(file);
		expect_text("new");
		unlink(scratch_path("x"));
	}
}

static void blank_since_a_power_cut__is_nothing(void **state)
{
	hf_slot_content content;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(blank_sizes); i++) {
		zero_file(blank_sizes[i], true);
		assert_int_equal(get(&content), HF_OK);
		assert_int_equal(content.seq, 0);
		put("one");
		expect_text("one");
		unlink(scratch_path("x"));
	}
}

static void newer_format__is_said_and_left_alone(void **state)
{
	hf_slot_content content;
	hf_error error;
	hf_slotfile *file = new_file(&looking);
	int fd;

	(void)state;
	put("one");
	fd = open(scratch_path("x"), O_RDWR);
	assert_int_equal(pwrite(fd, "hfslot2\n", 8, 0), 8);
	close(fd);
	assert_int_equal(hf_slotfile_read(file, &content, &error), HF_CORRUPT);
	assert_non_null(strstr(error.text, "newer"));
	hf_slotfile_free(file);
}

static void something_else_at_the_path__is_damage(void **state)
{
	hf_slot_content content;
	int fd = open(scratch_path("x"), O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_int_equal(write(fd, "hello", 5), 5);
	close(fd);
	assert_int_equal(get(&content), HF_CORRUPT);
	unlink(scratch_path("x"));
	assert_int_equal(mkfifo(scratch_path("x"), 0600), 0);
	assert_int_equal(get(&content), HF_CORRUPT);
}

/* ---- stopped and killed writers ---- */

enum { STOP_BEFORE_WRITE, STOP_AFTER_WRITE };

/* Stops with the lock; exits with what its next write came to. */
static int stops_inside(void *arg)
{
	int when = *(int *)arg;
	hf_slotfile *file;
	hf_slot_content content;
	hf_status st;

	if (hf_slotfile_new(scratch_path("x"), &creating, &file, NULL) ||
		hf_slotfile_lock(file, &content, NULL))
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
	hf_slotfile *file;
	hf_slot_content content;

	(void)arg;
	if (hf_slotfile_new(scratch_path("x"), &creating, &file, NULL) ||
		hf_slotfile_lock(file, &content, NULL))
		return 99;
	raise(SIGSTOP);
	return (int)hf_slotfile_remove(file, NULL);
}

static void stopped_first_user__is_broken_too(void **state)
{
	pid_t pid = scratch_fork(stops_at_first_use, NULL);

	(void)state;
	scratch_wait_stopped(pid);
	put("one");
	kill(pid, SIGCONT);
	assert_int_equal(scratch_wait(pid), HF_CHANGED);
	expect_text("one");
	assert_int_equal(scratch_count(), 1);
}

static int grows_late(void *arg)
{
	hf_slotfile *file;
	hf_slot_content content;
	static char large[20000];
	hf_status st;

	(void)arg;
	if (hf_slotfile_new(scratch_path("x"), &creating, &file, NULL) ||
		hf_slotfile_lock(file, &content, NULL))
		return 99;
	raise(SIGSTOP);
	st = hf_slotfile_write(file, large, sizeof(large), NULL);
	hf_slotfile_unlock(file);
	return (int)st;
}

static void stopped_grower__does_not_undo_its_successor(void **state)
{
	pid_t pid = scratch_fork(grows_late, NULL);

	(void)state;
	scratch_wait_stopped(pid);
	put("one");
	kill(pid, SIGCONT);
	assert_int_equal(scratch_wait(pid), HF_CHANGED);
	expect_text("one");
	assert_int_equal(scratch_count(), 1);
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
	hf_slotfile *file;
	hf_slot_content content;

	(void)arg;
	if (hf_slotfile_new(scratch_path("x"), &creating, &file, NULL) ||
		hf_slotfile_lock(file, &content, NULL) ||
		hf_slotfile_put(file, &removing, NULL))
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(missing_file__reads_as_never_written),
		TEST(content__comes_back_with_growing_numbers),
		TEST(two_writes_under_one_lock__both_count),
		TEST(mark__is_kept_until_the_next_write),
		TEST(mode__is_private_unless_asked_for),
		TEST(folder__is_made_with_the_file),
		TEST(growth__keeps_readers_and_writers_on_the_same_content),
		TEST(removal__leaves_nothing_and_numbers_begin_anew),
		TEST(one_damaged_copy__is_the_content_before_or_the_present_one),
		TEST(damaged_copies__are_never_taken_for_nothing),
		TEST(cut_file__is_damage_at_every_length),
		TEST(cut_file__can_be_removed),
		TEST(emptied_file__is_damage),
		TEST(blank_since_a_power_cut__is_nothing),
		TEST(newer_format__is_said_and_left_alone),
		TEST(something_else_at_the_path__is_damage),
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
