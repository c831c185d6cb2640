/* The git: store's branch of events, its names, what is forgotten, swept and watched. */
#include "git_helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REF "refs/holdfast/locks/"

/* ---- which repository ---- */

/* ---- the branch ---- */

static void branch__git_log_tells_who_held_it(void **state)
{
	(void)state;
	put(repo, "deploy", "holdfast 1\nend\n", "gen=1 owner=alice@web1 kind=acquire");
	put(repo, "deploy", "holdfast 2\nend\n", "gen=2 owner=bob%20b@web2 kind=release");
	assert_string_equal(sh_out("git -C repo log --format='%%an: %%s' " REF "deploy"),
		"bob_b@web2: gen=2 owner=bob%20b@web2 kind=release\n"
		"alice@web1: gen=1 owner=alice@web1 kind=acquire");
	assert_string_equal(history_of(repo, "deploy"),
		"gen=2 owner=bob%20b@web2 kind=release|gen=1 owner=alice@web1 kind=acquire");
	repo_check();
}

static void branch__an_amendment_adds_nothing_to_it(void **state)
{
	(void)state;
	put(repo, "deploy", "one\n", "e1");
	put(repo, "deploy", "two\n", NULL);
	put(repo, "deploy", "three\n", NULL);
	assert_string_equal(sh_out("git -C repo rev-list --count " REF "deploy"), "1");
	assert_string_equal(record_of(repo, "deploy"), "three\n");
	put(repo, "deploy", "four\n", "e2");
	assert_string_equal(history_of(repo, "deploy"), "e2|e1");
}

static void branch__any_bytes_come_back_from_a_clone(void **state)
{
	static const char *const records[] = {"a", "a\n", "\n", "a\n\nb\n", "caf\xc3\xa9\n",
		"\xff\xfe", "tab\t\n", "Holdfast-State: 1 text 3 a b c\n", "\r\n"};
	char name[16];
	size_t i;
	hf_store *clone;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(records); i++) {
		snprintf(name, sizeof(name), "n%zu", i);
		put(repo, name, records[i], "e");
	}
	sh("git clone -q --mirror repo clone.git");
	clone = store_open("clone.git", "");
	for (i = 0; i < HF_ARRAY_LEN(records); i++) {
		snprintf(name, sizeof(name), "n%zu", i);
		assert_string_equal(record_of(clone, name), records[i]);
	}
	ops->close(clone);
	repo_check();
}

static void branch__objects_of_any_length_are_as_git_wants_them(void **state)
{
	static const size_t lengths[] = {3000, 4000, 4095, 4096, 65535, 65536, 100000, 1000000};
	hf_buf record = HF_BUF_INIT;
	hf_store *clone;
	size_t i;

	(void)state;
	for (i = 1; i < 140; i++) {
		hf_buf_clear(&record);
		while (record.len < i)
			hf_buf_addc(&record, (char)('a' + record.len % 26));
		put(repo, "deploy", record.data, "e");
	}
	for (i = 0; i < HF_ARRAY_LEN(lengths); i++) {
		hf_buf_clear(&record);
		while (record.len < lengths[i])
			hf_buf_addf(&record, "line %zu\n", record.len);
		put(repo, "deploy", record.data, "e");
	}
	repo_check();
	sh("git clone -q --mirror --no-local repo clone.git");
	clone = store_open("clone.git", "");
	{
		hf_snapshot snap = look(clone, "deploy");

		assert_int_equal(snap.len, record.len);
		assert_memory_equal(snap.data, record.data, record.len);
		snap_clear(&snap);
	}
	ops->close(clone);
	hf_buf_free(&record);
}

static void branch__keeps_to_its_limit_and_is_pruned(void **state)
{
	hf_store *t = store_open("repo", "?history=5");
	hf_snapshot before;
	hf_snapshot after;
	hf_error error;
	char event[16];
	int i;

	(void)state;
	for (i = 1; i <= 37; i++) {
		snprintf(event, sizeof(event), "e%d", i);
		put(t, "deploy", event, event);
		assert_true(history_count(t, "deploy") >= (size_t)(i < 5 ? i : 5));
		assert_true(history_count(t, "deploy") <= 10);
	}
	assert_true(atoi(sh_out("git -C repo rev-list --count " REF "deploy")) <= 10);
	assert_int_equal(strncmp(history_of(t, "deploy"), "e37|e36|e35|e34|e33", 19), 0);
	before = look(t, "deploy");
	assert_int_equal(ops->prune(t, "deploy", 3, &error), HF_OK);
	assert_string_equal(history_of(t, "deploy"), "e37|e36|e35");
	assert_string_equal(sh_out("git -C repo rev-list --count " REF "deploy"), "3");
	after = look(t, "deploy");
	assert_true(hf_etag_equal(&before.etag, &after.etag));
	snap_clear(&before);
	snap_clear(&after);
	put(t, "deploy", "e38", "e38");
	assert_string_equal(history_of(t, "deploy"), "e38|e37|e36|e35");
	repo_check();
	assert_string_equal(sh_out("ls repo/.git/holdfast/locks | grep -c log"), "1");
	ops->close(t);
}

/* ---- names, list, forget ---- */

static void names__any_comes_back_as_it_went_in(void **state)
{
	char longest[HF_NAME_MAX + 1];
	const char *const names[] = {"a", "a/b", "a/b/c", "x.lock", "..", "-n", "@", "a b", "~",
		"50%", "#", "caf\xc3\xa9", "HEAD", ".slot", "a.slot", "a.0.move", longest};
	const char *listed;
	char again[256];
	size_t i;
	int round;

	(void)state;
	memset(longest, '/', sizeof(longest) - 1);
	longest[HF_NAME_MAX] = '\0';
	for (i = 0; i < HF_ARRAY_LEN(names); i++)
		put(repo, names[i], names[i], "e1");
	for (round = 0; round < 3; round++) {
		listed = names_of(repo);
		for (i = 0; i < HF_ARRAY_LEN(names); i++) {
			const char *hit;

			snprintf(again, sizeof(again), "[%s]", names[i]);
			hit = strstr(listed, again);
			if (!hit || strstr(hit + 1, again))
				fail_msg(
					"'%s' is listed %s", names[i], hit ? "twice" : "never");
			assert_string_equal(record_of(repo, names[i]), names[i]);
		}
		/* From the refs alone: packed, and as a clone has them. */
		if (round == 0)
			sh("git -C repo pack-refs --all");
		if (round == 1)
			sh("rm -r repo/.git/holdfast");
	}
	repo_check();
}

static void forget__leaves_a_floor_and_nothing_else(void **state)
{
	hf_snapshot absent = look(repo, "deploy");
	hf_snapshot held;
	hf_snapshot gone;
	hf_error error;

	(void)state;
	put(repo, "deploy", "one\n", "e1");
	held = look(repo, "deploy");
	sh("git -C repo pack-refs --all");
	put(repo, "other", "one\n", "e1");
	assert_int_equal(ops->forget(repo, "deploy", &absent.etag, 5, &error), HF_CHANGED);
	assert_int_equal(ops->forget(repo, "deploy", &held.etag, 5, &error), HF_OK);
	gone = look(repo, "deploy");
	assert_null(gone.data);
	assert_int_equal(gone.floor, 5);
	assert_false(hf_etag_equal(&gone.etag, &absent.etag));
	assert_string_equal(
		sh_out("git -C repo for-each-ref --format='%%(refname)'"), REF "other");
	assert_string_equal(sh_out("ls repo/.git/holdfast/locks | grep -c deploy"), "0");
	assert_string_equal(names_of(repo), "[other]");
	/* What is written over it is another lock. */
	put(repo, "deploy", "one\n", "e1");
	assert_int_equal(ops->forget(repo, "deploy", &held.etag, 5, &error), HF_CHANGED);
	snap_clear(&absent);
	snap_clear(&held);
	snap_clear(&gone);
	repo_check();
}

static void forget__a_mirror_does_not_bring_it_back(void **state)
{
	hf_snapshot snap;
	hf_error error;

	(void)state;
	put(repo, "deploy", "one\n", "e1");
	sh("git clone -q --mirror repo mirror.git");
	snap = look(repo, "deploy");
	assert_int_equal(ops->forget(repo, "deploy", &snap.etag, 5, &error), HF_OK);
	snap_clear(&snap);
	sh("git -C repo fetch -q ../mirror.git '+refs/*:refs/*'");
	snap = look(repo, "deploy");
	assert_null(snap.data);
	assert_int_equal(snap.floor, 5);
	snap_clear(&snap);
	put(repo, "deploy", "two\n", "e2");
	assert_string_equal(history_of(repo, "deploy"), "e2");
	repo_check();
}

static void sweep__removes_what_belongs_to_no_lock(void **state)
{
	size_t removed = 0;
	hf_error error;

	(void)state;
	put(repo, "deploy", "one\n", "e1");
	sh("cd repo/.git/holdfast/locks && cp deploy.0.log deploy.9.log && mkdir deploy.7.move "
	   "&& "
	   ": >deploy.7.move/guard && mkdir deploy.3.dead gone.0.move && : >gone.0.log && "
	   "mkdir ../../objects/00 -p && : >../../objects/00/tmp_obj_hf0123 && "
	   "touch -d '1 hour ago' ../../objects/00/tmp_obj_hf0123");
	assert_int_equal(ops->sweep(repo, &removed, &error), HF_OK);
	assert_true(removed >= 6);
	assert_string_equal(sh_out("cd repo/.git/holdfast/locks && ls && ls ../../objects/00"),
		"deploy.0.log\ndeploy.0.move\ndeploy.slot");
	removed = 0;
	assert_int_equal(ops->sweep(repo, &removed, &error), HF_OK);
	assert_int_equal(removed, 0);
	assert_string_equal(record_of(repo, "deploy"), "one\n");
}

/* ---- watch ---- */

/* How long a watch takes when `command` runs in 100 ms; 5 s: it slept. */
static int64_t watch_ms(const char *name, const char *command)
{
	hf_snapshot seen = look(repo, name);
	int64_t begin_ms = hf_boot_ms();
	hf_error error;

	sh("(sleep 0.1; %s) >/dev/null 2>&1 &", command);
	assert_int_equal(ops->watch(repo, name, &seen.etag, 5000, -1, &error), HF_OK);
	snap_clear(&seen);
	return hf_boot_ms() - begin_ms;
}

static int other_puts(void *arg)
{
	hf_store *t = store_open("repo", "");

	(void)arg;
	usleep(100000);
	put(t, "deploy", "other\n", "o");
	ops->close(t);
	return 0;
}

static void watch__wakes_on_a_change_and_on_the_cancel_descriptor(void **state)
{
	hf_snapshot seen;
	hf_error error;
	int64_t begin_ms;
	int fds[2];
	pid_t pid;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) { /* from absent, and from there */
		seen = look(repo, "deploy");
		pid = scratch_fork(other_puts, NULL);
		begin_ms = hf_boot_ms();
		assert_int_equal(
			ops->watch(repo, "deploy", &seen.etag, 5000, -1, &error), HF_OK);
		assert_true(hf_boot_ms() - begin_ms < 1000);
		assert_int_equal(scratch_wait(pid), 0);
		snap_clear(&seen);
	}
	assert_true(watch_ms("deploy", "git -C repo update-ref " REF
				       "deploy $(git -C repo commit-tree -m x "
				       "4b825dc642cb6eb9a060e54bf8d69288fbee4904)") < 1000);
	assert_int_equal(put_over(repo, "deploy", NULL, "x", "x", NULL, &error), HF_OK);
	seen = look(repo, "deploy");
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	begin_ms = hf_boot_ms();
	assert_int_equal(ops->watch(repo, "deploy", &seen.etag, 5000, fds[0], &error), HF_OK);
	assert_true(hf_boot_ms() - begin_ms < 1000);
	begin_ms = hf_boot_ms();
	assert_int_equal(ops->watch(repo, "deploy", &seen.etag, 200, -1, &error), HF_OK);
	assert_true(hf_boot_ms() - begin_ms >= 190);
	snap_clear(&seen);
	close(fds[0]);
	close(fds[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, repo_begin, repo_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(branch__git_log_tells_who_held_it),
		T(branch__an_amendment_adds_nothing_to_it),
		T(branch__any_bytes_come_back_from_a_clone),
		T(branch__objects_of_any_length_are_as_git_wants_them),
		T(branch__keeps_to_its_limit_and_is_pruned),
		T(names__any_comes_back_as_it_went_in),
		T(forget__leaves_a_floor_and_nothing_else),
		T(forget__a_mirror_does_not_bring_it_back),
		T(sweep__removes_what_belongs_to_no_lock),
		T(watch__wakes_on_a_change_and_on_the_cancel_descriptor),
	};

	return cmocka_run_group_tests_name("git", tests, NULL, NULL);
}
