/*
 * What is the file store's own: its folder, its floor, its log, a stopped
 * writer, a full disk. The promises that all stores share are in
 * tests/conformance.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/url.h"
#include "scratch.h"
#include "store/registry.h"
#include "store/slotfile.h"

#define PATIENCE "patience=100ms"

static const hf_store_ops *ops;

static hf_status try_open(const char *query, hf_store **store_out, hf_error *error)
{
	const hf_store_env env = {.patience_ms = 2000};
	char text[600];
	hf_url_parts parts;
	hf_status st;

	ops = hf_store_find("file", NULL, error);
	assert_non_null(ops);
	snprintf(text, sizeof(text), "file:%s%s", scratch_path("locks"), query);
	st = hf_url_parse(text, &parts, error);
	assert_int_equal(st, HF_OK);
	st = hf_store_check_options(ops, &parts.url, error);
	if (!st)
		st = ops->open(&parts.url, &env, store_out, error);
	hf_url_parts_clear(&parts);
	return st;
}

static hf_store *open_store(const char *query)
{
	hf_store *store = NULL;
	hf_error error;

	if (try_open(query, &store, &error))
		fail_msg("%s", error.text);
	return store;
}

static hf_snapshot look(hf_store *store, const char *name)
{
	hf_snapshot s = {.len = 0};
	hf_error error;

	if (ops->read(store, name, &s, &error))
		fail_msg("%s", error.text);
	return s;
}

static void clear(hf_snapshot *s)
{
	free(s->data);
	free(s->foreign);
	*s = (hf_snapshot){.len = 0};
}

static hf_error last_error; /* of swap_over() */

static hf_status swap_over(hf_store *store, const char *name, const hf_etag *expected,
	const char *data, const char *line, size_t limit, hf_etag *etag_out)
{
	const hf_event_text event = {.summary = line, .line = line};
	const hf_change change = {.data = data,
		.len = strlen(data),
		.event = line ? &event : NULL,
		.history_limit = limit};
	hf_snapshot reply = {.len = 0};
	hf_status st = ops->swap(store, name, expected, &change, &reply, &last_error);

	if (etag_out)
		*etag_out = reply.etag;
	clear(&reply);
	return st;
}

/* Over whatever is there. */
static hf_etag put_limited(
	hf_store *store, const char *name, const char *data, const char *line, size_t limit)
{
	hf_snapshot s = look(store, name);
	hf_etag etag = {.len = 0};

	assert_int_equal(swap_over(store, name, &s.etag, data, line, limit, &etag), HF_OK);
	clear(&s);
	return etag;
}

static hf_etag put(hf_store *store, const char *name, const char *data)
{
	return put_limited(store, name, data, data, 0);
}

static void expect(hf_store *store, const char *name, const char *data)
{
	hf_snapshot s = look(store, name);

	assert_string_equal(s.data ? s.data : "(absent)", data);
	clear(&s);
}

struct lines {
	size_t count;
	char text[2000][32];
};

static int take_line(void *arg, const char *line)
{
	struct lines *lines = arg;

	if (lines->count < HF_ARRAY_LEN(lines->text))
		hf_copy(lines->text[lines->count], sizeof(lines->text[0]), line);
	lines->count++;
	return 0;
}

static struct lines *history(hf_store *store, const char *name, size_t limit)
{
	static struct lines lines;
	hf_error error;

	lines.count = 0;
	if (ops->history(store, name, limit, take_line, &lines, &error))
		fail_msg("%s", error.text);
	return &lines;
}

/* "event N", newest first, without a gap. */
static void expect_events(const struct lines *lines, int newest, size_t at_least)
{
	size_t i;

	assert_true(lines->count >= at_least);
	for (i = 0; i < lines->count && i < HF_ARRAY_LEN(lines->text); i++) {
		char want[32];

		snprintf(want, sizeof(want), "event %d", newest - (int)i);
		assert_string_equal(lines->text[i], want);
	}
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

/* ---- opening ---- */

static void bad_options__are_refused_with_what_is_known(void **state)
{
	static const char *const queries[] = {
		"?sync=maybe", "?layout=tree", "?patience=soon", "?patience=0", "?color=red"};
	hf_store *store;
	hf_error error;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(queries); i++) {
		assert_int_equal(try_open(queries[i], &store, &error), HF_INVALID);
		assert_true(strlen(error.text) > 20);
	}
}

static int count_name(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

/* R9 the other way round: where no store is, no lock is. */
static void looking__makes_no_folder(void **state)
{
	static const char *const queries[] = {"", "?layout=flock", "?parents=make"};
	const hf_etag none = {.len = 0};
	hf_store *store;
	hf_store *other;
	hf_snapshot s;
	size_t removed = 0;
	int names = 0;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(queries); i++) {
		store = open_store(queries[i]);
		expect(store, "a", "(absent)");
		s = look(store, "a");
		assert_int_equal(ops->watch(store, "a", &s.etag, 120, -1, NULL), HF_OK);
		clear(&s);
		assert_int_equal(ops->watch(store, "a", &none, 10000, -1, NULL), HF_OK);
		assert_int_equal(history(store, "a", 0)->count, 0);
		assert_int_equal(ops->list(store, count_name, &names, NULL), HF_OK);
		assert_int_equal(ops->sweep(store, &removed, NULL), HF_OK);
		assert_int_equal(ops->prune(store, "a", 1, NULL), HF_OK);
		assert_int_equal(names, 0);
		assert_int_equal(removed, 0);
		assert_int_equal(access(scratch_path("locks"), F_OK), -1);
		ops->close(store);
	}
	/* Who looked before it was made sees what is done there afterwards. */
	store = open_store("");
	expect(store, "a", "(absent)");
	other = open_store("");
	assert_string_equal(ops->identity(store), ops->identity(other));
	mkdir(scratch_path("locks"), 0700);
	chmod(scratch_path("locks"), 0770);
	put(other, "a", "one");
	expect(store, "a", "one");
	put(store, "b", "two");
	expect(other, "b", "two");
	ops->close(other);
	ops->close(store);
}

static void looking__at_a_neighbours_folder_makes_none_in_it(void **state)
{
	hf_store *store;

	(void)state;
	mkdir(scratch_path("locks"), 0700);
	store = open_store("?layout=flock");
	expect(store, "a", "(absent)");
	assert_int_equal(access(scratch_path("locks/.holdfast"), F_OK), -1);
	put(store, "a", "one");
	assert_int_equal(access(scratch_path("locks/.holdfast"), F_OK), 0);
	ops->close(store);
}

static void parents__are_made_only_on_demand(void **state)
{
	hf_store *store;
	char path[600];

	(void)state;
	assert_int_equal(try_open("/q/locks", &store, NULL), HF_CANNOT_CREATE);
	assert_int_equal(try_open("/q/../locks?parents=make", &store, NULL), HF_CANNOT_CREATE);
	store = open_store("/q//locks/?parents=make");
	assert_int_equal(access(scratch_path("locks"), F_OK), -1);
	snprintf(path, sizeof(path), "file:%s", scratch_path("locks/q/locks"));
	assert_string_equal(ops->identity(store), path);
	put(store, "a", "one");
	assert_int_equal(access(scratch_path("locks/q/locks/a.lock"), F_OK), 0);
	ops->close(store);
}

static void folder__is_made_but_not_its_parents(void **state)
{
	hf_store *store = open_store("");
	struct stat st;
	int fd;

	(void)state;
	put(store, "a", "one");
	assert_int_equal(stat(scratch_path("locks"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	ops->close(store);
	unlink(scratch_path("locks/a.lock"));
	rmdir(scratch_path("locks"));
	fd = open(scratch_path("locks"), O_CREAT | O_WRONLY, 0600);
	close(fd);
	assert_int_equal(try_open("", &store, NULL), HF_CANNOT_CREATE);
	unlink(scratch_path("locks"));
	/* As it is said when it is a link to nothing, and when it is below nothing. */
	assert_int_equal(symlink("nothing", scratch_path("locks")), 0);
	assert_int_equal(try_open("", &store, NULL), HF_CANNOT_CREATE);
	unlink(scratch_path("locks"));
	assert_int_equal(try_open("/below", &store, NULL), HF_CANNOT_CREATE);
	assert_int_equal(try_open("/..", &store, NULL), HF_CANNOT_CREATE);
}

static void one_folder__has_one_identity(void **state)
{
	hf_store *store = open_store("");
	hf_store *other;
	char path[600];
	char expected[600];

	(void)state;
	put(store, "a", "one");
	snprintf(expected, sizeof(expected), "file:%s", scratch_path("locks"));
	assert_string_equal(ops->identity(store), expected);
	snprintf(path, sizeof(path), "/../locks");
	other = open_store(path);
	assert_string_equal(ops->identity(other), ops->identity(store));
	ops->close(other);
	ops->close(store);
}

static void shared_folder__has_files_for_its_group(void **state)
{
	hf_store *store;
	struct stat st;

	(void)state;
	mkdir(scratch_path("locks"), 0700);
	chmod(scratch_path("locks"), 0770);
	store = open_store("");
	put(store, "a", "x");
	assert_int_equal(stat(scratch_path("locks/a.lock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	ops->close(store);
}

/* ---- R2: the floor ---- */

static void forgotten_key__never_has_an_old_etag_again(void **state)
{
	hf_store *store = open_store("");
	hf_snapshot before = look(store, "a");
	hf_etag first = put(store, "a", "one");
	hf_snapshot after;
	hf_etag second;

	(void)state;
	assert_int_equal(ops->forget(store, "a", &first, 7, NULL), HF_OK);
	after = look(store, "a");
	assert_null(after.data);
	assert_int_equal(after.floor, 7);
	assert_false(hf_etag_equal(&after.etag, &before.etag));
	/* What was absent before is not what is absent now. */
	assert_int_equal(
		swap_over(store, "a", &before.etag, "late", "late", 0, NULL), HF_CHANGED);
	second = put(store, "a", "one");
	assert_false(hf_etag_equal(&first, &second));
	assert_int_equal(swap_over(store, "a", &first, "late", "late", 0, NULL), HF_CHANGED);
	expect(store, "a", "one");
	clear(&before);
	clear(&after);
	ops->close(store);
}

static void floor__never_sinks_and_holds_for_all_keys(void **state)
{
	hf_store *store = open_store("");
	hf_etag a = put(store, "a", "x");
	hf_etag b = put(store, "b", "x");
	hf_snapshot s;

	(void)state;
	assert_int_equal(ops->forget(store, "a", &a, 100, NULL), HF_OK);
	assert_int_equal(ops->forget(store, "b", &b, 5, NULL), HF_OK);
	ops->close(store);
	store = open_store("");
	s = look(store, "never used");
	assert_int_equal(s.floor, 100);
	clear(&s);
	ops->close(store);
}

static void damaged_floor__is_said_and_never_taken_for_none(void **state)
{
	hf_store *store = open_store("");
	hf_etag a = put(store, "a", "x");
	hf_snapshot s = {.len = 0};
	int fd;

	(void)state;
	put(store, "b", "x");
	assert_int_equal(ops->forget(store, "a", &a, 100, NULL), HF_OK);
	fd = open(scratch_path("locks/.floor"), O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "junk", 4), 4);
	close(fd);
	assert_int_equal(ops->read(store, "a", &s, NULL), HF_CORRUPT);
	expect(store, "b", "x"); /* needs no floor */
	ops->close(store);
}

static void refused_creation__leaves_no_file(void **state)
{
	hf_store *store = open_store("");
	hf_etag stranger = {.len = 3, .bytes = "abc"};

	(void)state;
	assert_int_equal(swap_over(store, "a", &stranger, "x", "x", 0, NULL), HF_CHANGED);
	assert_int_equal(ops->prune(store, "a", 1, NULL), HF_OK);
	assert_int_equal(access(scratch_path("locks/a.lock"), F_OK), -1);
	ops->close(store);
}

/* ---- R9 ---- */

static void damaged_key__is_replaced_only_on_demand(void **state)
{
	hf_store *store = open_store("");
	hf_etag old = put(store, "a", "one");
	hf_etag new_etag;
	hf_snapshot s = {.len = 0};
	hf_error error;

	(void)state;
	assert_int_equal(truncate(scratch_path("locks/a.lock"), 5000), 0);
	assert_int_equal(ops->read(store, "a", &s, &error), HF_CORRUPT);
	assert_int_equal(swap_over(store, "a", &old, "two", "two", 0, NULL), HF_CORRUPT);
	assert_int_equal(swap_over(store, "a", NULL, "two", "two", 0, &new_etag), HF_OK);
	assert_false(hf_etag_equal(&old, &new_etag));
	expect(store, "a", "two");
	/* A state that can be read is not replaced so. */
	assert_int_equal(swap_over(store, "a", NULL, "three", "three", 0, NULL), HF_CHANGED);
	expect(store, "a", "two");
	ops->close(store);
}

static void another_names_file__is_damage(void **state)
{
	hf_store *store = open_store("");
	hf_snapshot s = {.len = 0};
	hf_error error;

	(void)state;
	put(store, "a", "one");
	assert_int_equal(rename(scratch_path("locks/a.lock"), scratch_path("locks/b.lock")), 0);
	assert_int_equal(ops->read(store, "b", &s, &error), HF_CORRUPT);
	assert_non_null(strstr(error.text, "'a'"));
	ops->close(store);
}

static void removed_folder__is_made_again(void **state)
{
	hf_store *store = open_store("");

	(void)state;
	put(store, "a", "one");
	unlink(scratch_path("locks/a.lock"));
	rmdir(scratch_path("locks"));
	expect(store, "a", "(absent)");
	put(store, "a", "two");
	expect(store, "a", "two");
	ops->close(store);
}

/* ---- R10: the log ---- */

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

static void touch(const char *name)
{
	int fd = open(scratch_path(name), O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
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

/* ---- a slow store ---- */

static int keep_it_locked(void *arg)
{
	const struct timespec pause = {.tv_nsec = 400000000};
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(scratch_path("locks/a.lock"), O_RDWR);

	(void)arg;
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock))
		return 1;
	touch("locked");
	nanosleep(&pause, NULL);
	return 0;
}

static void grant__that_came_later_than_its_ttl_is_renewed_first(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m;
	hf_lease *lease;
	hf_error error;
	char url[512];
	pid_t slow;

	(void)state;
	snprintf(url, sizeof(url), "file:%s", scratch_path("locks"));
	assert_int_equal(hf_open(url, NULL, &m, &error), HF_OK);
	o.ttl_ms = 300;
	assert_int_equal(hf_acquire(m, "a", &o, &lease, &error), HF_OK);
	assert_int_equal(hf_release(lease, &error), HF_OK);
	slow = scratch_fork(keep_it_locked, NULL);
	while (access(scratch_path("locked"), F_OK))
		hf_sleep_until_ms(hf_boot_ms() + 1);
	assert_int_equal(hf_acquire(m, "a", &o, &lease, &error), HF_OK);
	assert_int_equal(scratch_wait(slow), 0);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(hf_release(lease, &error), HF_OK);
	hf_close(m);
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

/* ---- watch ---- */

static int changes_soon(void *arg)
{
	hf_store *store = open_store("");

	usleep(50000);
	put(store, arg, "changed");
	ops->close(store);
	return 0;
}

static void watch__wakes_soon_for_present_absent_and_grown(void **state)
{
	static const char *const names[] = {"absent", "present", "present"};
	static char large[9000];
	hf_store *store = open_store("");
	size_t i;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	put(store, "present", "x");
	for (i = 0; i < HF_ARRAY_LEN(names); i++) {
		hf_snapshot s = look(store, names[i]);
		pid_t pid = scratch_fork(changes_soon, (void *)(uintptr_t)names[i]);
		int64_t start_ms = hf_boot_ms();

		assert_int_equal(ops->watch(store, names[i], &s.etag, 20000, -1, NULL), HF_OK);
		assert_in_range(hf_boot_ms() - start_ms, 0, 5000);
		assert_int_equal(scratch_wait(pid), 0);
		clear(&s);
		put(store, "present", large);
	}
	ops->close(store);
}

/* ---- layout=flock ---- */

static int holds_flock(void *arg)
{
	int fd = open(scratch_path("locks/a"), O_RDWR | O_CREAT, 0600);

	(void)arg;
	if (fd < 0 || flock(fd, LOCK_EX))
		return 1;
	raise(SIGSTOP);
	return 0;
}

static void neighbours_flock__is_seen_excludes_us_and_changes_the_etag(void **state)
{
	hf_store *store = open_store("?layout=flock");
	hf_snapshot free_state;
	hf_snapshot s;
	hf_error error;
	pid_t pid;
	int fd = -1;

	(void)state;
	assert_int_equal(mkdir(scratch_path("locks"), 0700), 0);
	assert_true(ops->capabilities(store) & HF_CAP_SESSION_BOUND);
	free_state = look(store, "a");
	pid = scratch_fork(holds_flock, NULL);
	scratch_wait_stopped(pid);
	s = look(store, "a");
	assert_non_null(s.foreign);
	assert_int_equal(s.foreign->pid, pid);
	assert_true(s.foreign->exclusive);
	assert_false(hf_etag_equal(&s.etag, &free_state.etag));
	clear(&s);
	assert_int_equal(
		swap_over(store, "a", &free_state.etag, "x", "x", 0, NULL), HF_CHANGED);
	assert_int_equal(ops->bind(store, "a", HF_SHARED, &fd, &error), HF_HELD);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	s = look(store, "a");
	assert_null(s.foreign);
	clear(&s);
	assert_int_equal(ops->bind(store, "a", HF_EXCLUSIVE, &fd, &error), HF_OK);
	s = look(store, "a");
	assert_null(s.foreign); /* it is our own */
	clear(&s);
	close(fd);
	clear(&free_state);
	ops->close(store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(bad_options__are_refused_with_what_is_known),
		TEST(looking__makes_no_folder),
		TEST(looking__at_a_neighbours_folder_makes_none_in_it),
		TEST(parents__are_made_only_on_demand),
		TEST(folder__is_made_but_not_its_parents),
		TEST(one_folder__has_one_identity),
		TEST(shared_folder__has_files_for_its_group),
		TEST(forgotten_key__never_has_an_old_etag_again),
		TEST(floor__never_sinks_and_holds_for_all_keys),
		TEST(damaged_floor__is_said_and_never_taken_for_none),
		TEST(refused_creation__leaves_no_file),
		TEST(damaged_key__is_replaced_only_on_demand),
		TEST(another_names_file__is_damage),
		TEST(removed_folder__is_made_again),
		TEST(history__keeps_at_least_its_limit_and_not_much_more),
		TEST(pruning__keeps_exactly_the_newest),
		TEST(lost_log__is_said_and_pruning_goes_on_without_it),
		TEST(stopped_writer__delays_by_patience_and_the_log_goes_on),
		TEST(killed_writer__leaves_state_and_history_together),
		TEST(sweep__removes_what_nobody_names_and_nothing_else),
		TEST(grant__that_came_later_than_its_ttl_is_renewed_first),
		TEST(full_disk__taking_fails_before_anything_changed_and_giving_back_works),
		TEST(watch__wakes_soon_for_present_absent_and_grown),
		TEST(neighbours_flock__is_seen_excludes_us_and_changes_the_etag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
