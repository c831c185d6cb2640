/*
 * What is the file store's own: its folder, its floor, its damage. The
 * promises that all stores share are in tests/conformance.
 */
#include "file_helper.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* ---- layout=flock ---- */

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)
	const struct CMUnitTest tests[] = {
		TEST(bad_options__are_refused_with_what_is_known),
		TEST(looking__makes_no_folder),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
