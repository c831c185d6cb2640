/*
 * The file store's log: its limit, pruning, and what it is after a writer was
 * stopped or killed, after a sweep, and on a full disk.
 */
#include "file_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/slotfile.h"

#define PATIENCE "patience=100ms"

static void history__keeps_at_least_its_limit_and_not_much_more(void **state)
{
	hf_store *store = open_store("");
	const struct lines *lines;
	char line[32];
	int i;

	(void)state;
	for (i = 1; i <= 1500; i++) {
		snprintf(line, sizeof(line), "event %d", i);
		put_limited(store, "a", "state", line, 200);
	}
	lines = history(store, "a", 0);
	expect_events(lines, 1500, 200);
	assert_true(lines->count < 800);
	expect_events(history(store, "a", 3), 1500, 3);
	assert_int_equal(history(store, "a", 3)->count, 3);
	ops->close(store);
}

static void pruning__keeps_exactly_the_newest(void **state)
{
	static const size_t keeps[] = {500, 333, 170, 40, 7, 1};
	hf_store *store = open_store("");
	hf_snapshot s;
	char line[32];
	size_t i;
	int n;

	(void)state;
	for (n = 1; n <= 600; n++) {
		snprintf(line, sizeof(line), "event %d", n);
		put_limited(store, "a", "state", line, 300);
	}
	for (i = 0; i < HF_ARRAY_LEN(keeps); i++) {
		s = look(store, "a");
		assert_int_equal(ops->prune(store, "a", keeps[i], NULL), HF_OK);
		assert_int_equal(history(store, "a", 0)->count, keeps[i]);
		expect_events(history(store, "a", 0), 600, keeps[i]);
		/* The state is the same: whoever expects it may swap. */
		assert_int_equal(swap_over(store, "a", &s.etag, "state", NULL, 0, NULL), HF_OK);
		clear(&s);
	}
	/* The state and no log: a slot file alone. */
	assert_int_equal(scratch_count(), 1);
	put_limited(store, "a", "state", "event 601", 300);
	expect_events(history(store, "a", 0), 601, 2);
	ops->close(store);
}

static void lost_log__is_said_and_pruning_goes_on_without_it(void **state)
{
	hf_store *store = open_store("");
	struct lines lines = {.count = 0};
	char line[32];
	char command[600];
	int i;

	(void)state;
	for (i = 1; i <= 200; i++) {
		snprintf(line, sizeof(line), "event %d", i);
		put_limited(store, "a", "state", line, 0);
	}
	snprintf(command, sizeof(command), "rm %s.log.*", scratch_path("locks/a"));
	assert_int_equal(system(command), 0);
	assert_int_equal(ops->history(store, "a", 0, take_line, &lines, NULL), HF_CORRUPT);
	expect(store, "a", "state");
	assert_int_equal(ops->prune(store, "a", 1000, NULL), HF_OK);
	expect_events(history(store, "a", 0), 200, 1);
	put_limited(store, "a", "state", "event 201", 0);
	expect_events(history(store, "a", 0), 201, 2);
	ops->close(store);
}

/* ---- stopped and killed writers ---- */

static int stops_with_the_lock(void *arg)
{
	const hf_slotfile_options options = {.create = true, .patience_ms = 100};
	hf_slotfile *file;
	hf_slot_content content;

	(void)arg;
	if (hf_slotfile_new(scratch_path("locks/a.lock"), &options, &file, NULL) ||
		hf_slotfile_lock(file, &content, NULL))
		return 99;
	raise(SIGSTOP);
	return (int)hf_slotfile_write(file, "junk", 4, NULL);
}

static void stopped_writer__delays_by_patience_and_the_log_goes_on(void **state)
{
	hf_store *store = open_store("?" PATIENCE);
	char line[32];
	pid_t pid;
	int i;

	(void)state;
	for (i = 1; i <= 300; i++) {
		if (i % 100 == 50) {
			int64_t start_ms = hf_boot_ms();

			pid = scratch_fork(stops_with_the_lock, NULL);
			scratch_wait_stopped(pid);
			snprintf(line, sizeof(line), "event %d", i);
			/* Once by an amendment, which must not drop the warning. */
			if (i == 150)
				put_limited(store, "a", "state", NULL, 0);
			put_limited(store, "a", "state", line, 0);
			assert_in_range(hf_boot_ms() - start_ms, 100, 1500);
			kill(pid, SIGCONT);
			assert_int_equal(scratch_wait(pid), HF_CHANGED);
			continue;
		}
		snprintf(line, sizeof(line), "event %d", i);
		put_limited(store, "a", "state", line, 0);
	}
	expect_events(history(store, "a", 0), 300, 300);
	ops->close(store);
}

static int swaps_until_killed(void *arg)
{
	hf_store *store = open_store("");
	char line[32];
	int i;

	for (i = 1; i < 10000000; i++) {
		snprintf(line, sizeof(line), "event %d", i);
		put_limited(store, "a", line, line, 10);
		*(volatile int *)arg = i;
	}
	return 0;
}

static void killed_writer__leaves_state_and_history_together(void **state)
{
	volatile int *done = scratch_shared(sizeof(int));
	size_t removed = 0;
	hf_store *store;
	hf_rng rng;
	int i;

	(void)state;
	hf_rng_seed(&rng, (uint64_t)hf_boot_ns());
	for (i = 0; i < 60; i++) {
		pid_t pid;
		int at_least;
		hf_snapshot s;
		struct lines *lines;

		*done = 0;
		pid = scratch_fork(swaps_until_killed, (void *)(uintptr_t)done);
		usleep(2000 + (useconds_t)hf_rng_below(&rng, 20000));
		kill(pid, SIGKILL);
		assert_int_equal(scratch_wait(pid), 1000 + SIGKILL);
		at_least = *done;
		store = open_store("");
		s = look(store, "a");
		lines = history(store, "a", 0);
		if (s.data) {
			int last = atoi(s.data + strlen("event "));

			assert_in_range(last, at_least, at_least + 1);
			assert_string_equal(lines->text[0], s.data);
			expect_events(lines, last, last < 10 ? (size_t)last : 10);
			assert_int_equal(ops->forget(store, "a", &s.etag, 1, NULL), HF_OK);
		}
		clear(&s);
		assert_int_equal(ops->sweep(store, &removed, NULL), HF_OK);
		ops->close(store);
	}
	rename(scratch_path("locks/.floor"), scratch_path("floor"));
	assert_int_equal(rmdir(scratch_path("locks")), 0); /* nothing is left */
}

static void sweep__removes_what_nobody_names_and_nothing_else(void **state)
{
	static const struct timespec before_boot[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	hf_store *store = open_store("");
	size_t removed = 0;
	char line[32];
	int i;

	(void)state;
	for (i = 1; i <= 100; i++) {
		snprintf(line, sizeof(line), "event %d", i);
		put_limited(store, "a", "state", line, 0);
	}
	touch("locks/a.log.0123456789abcdef");
	touch("locks/gone.log.0123456789abcdef");
	touch("locks/emptied.lock");
	touch("locks/blank.lock");
	assert_int_equal(
		utimensat(AT_FDCWD, scratch_path("locks/blank.lock"), before_boot, 0), 0);
	touch("locks/a.lock.broken-0123456789abcdef");
	touch("locks/gone.lock.broken-0123456789abcdef");
	touch("locks/notes.txt");
	assert_int_equal(ops->sweep(store, &removed, NULL), HF_OK);
	assert_int_equal(removed, 5);
	expect(store, "a", "state");
	expect_events(history(store, "a", 0), 100, 100);
	assert_int_equal(access(scratch_path("locks/notes.txt"), F_OK), 0);
	assert_int_equal(access(scratch_path("locks/emptied.lock"), F_OK), 0);
	ops->close(store);
}

/* ---- a full disk: files may not become longer ---- */

static int on_a_full_disk(void *arg)
{
	hf_store *store = open_store("");
	struct rlimit limit = {.rlim_cur = 8192, .rlim_max = 8192};
	static char large[3000];
	hf_status st = HF_OK;
	hf_snapshot s;
	char line[64];
	int i;

	(void)arg;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	/* Taking: until the log, which has some KiB, would have more than 8. */
	for (i = 0; !st && i < 1000; i++) {
		hf_etag none;

		s = look(store, "a");
		memset(large, 'x', 500);
		snprintf(line, sizeof(line), "full %d", i);
		st = swap_over(store, "a", &s.etag, large, line, 0, &none);
		clear(&s);
		if (st)
			break;
		/* Giving back: works, whatever the disk says. */
		s = look(store, "a");
		st = swap_over(store, "a", &s.etag, "free", line, 0, &none);
		if (st)
			return 50;
		clear(&s);
	}
	if (st != HF_SYSTEM)
		return 60 + (int)st;
	/* The last lines fit in part: that is not "no space left". */
	if (last_error.native != EFBIG || !strstr(last_error.text, "ulimit -f"))
		return 53;
	s = look(store, "a");
	if (strcmp(s.data, "free") != 0)
		return 51;
	st = swap_over(store, "a", &s.etag, "fre", "given back", 0, NULL);
	clear(&s);
	if (st || strcmp(history(store, "a", 1)->text[0], "given back") != 0)
		return 52;
	ops->close(store);
	return 0;
}

static void full_disk__taking_fails_before_anything_changed_and_giving_back_works(void **state)
{
	hf_store *store = open_store("");
	char line[32];
	int i;

	(void)state;
	for (i = 1; i <= 500; i++) {
		snprintf(line, sizeof(line), "event %d", i);
		put_limited(store, "a", "free", line, 0);
	}
	ops->close(store);
	assert_int_equal(scratch_wait(scratch_fork(on_a_full_disk, NULL)), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)
	const struct CMUnitTest tests[] = {
		TEST(history__keeps_at_least_its_limit_and_not_much_more),
		TEST(pruning__keeps_exactly_the_newest),
		TEST(lost_log__is_said_and_pruning_goes_on_without_it),
		TEST(stopped_writer__delays_by_patience_and_the_log_goes_on),
		TEST(killed_writer__leaves_state_and_history_together),
		TEST(sweep__removes_what_nobody_names_and_nothing_else),
		TEST(full_disk__taking_fails_before_anything_changed_and_giving_back_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
