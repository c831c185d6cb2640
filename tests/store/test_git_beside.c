/*
 * What real git does beside the git: store: packing, collecting, rewinding,
 * mirrors and pushes; what it leaves there that is damage; its own locks.
 */
#include "git_helper.h"

#include <stdio.h>

#define REF "refs/holdfast/locks/"
#define TIP "git -C repo rev-parse " REF

/* ---- git at work ---- */

static void git__packing_and_collecting_change_nothing(void **state)
{
	hf_snapshot before;
	hf_snapshot after;

	(void)state;
	put(repo, "deploy", "one\n", "e1");
	put(repo, "deploy", "two\n", "e2");
	before = look(repo, "deploy");
	sh("git -C repo pack-refs --all --prune");
	assert_int_not_equal(sh_code("test -e repo/.git/" REF "deploy"), 0);
	after = look(repo, "deploy");
	assert_true(hf_etag_equal(&before.etag, &after.etag));
	snap_clear(&after);
	sh("git -C repo gc -q --prune=now");
	after = look(repo, "deploy");
	assert_true(hf_etag_equal(&before.etag, &after.etag));
	snap_clear(&after);
	snap_clear(&before);
	put(repo, "deploy", "three\n", "e3");
	sh("git -C repo pack-refs --all --prune");
	put(repo, "deploy", "four\n", "e4");
	assert_string_equal(history_of(repo, "deploy"), "e4|e3|e2|e1");
	repo_check();
}

static void git__a_lost_tip_is_written_again(void **state)
{
	(void)state;
	put(repo, "deploy", "one\n", "e1");
	put(repo, "deploy", "two\n", "e2");
	sh("rm repo/.git/objects/[0-9a-f]*/*");
	put(repo, "deploy", "three\n", "e3");
	assert_string_equal(history_of(repo, "deploy"), "e3|e2|e1");
	repo_check();
}

static void git__a_rewound_or_deleted_ref_is_put_right(void **state)
{
	hf_snapshot before;
	hf_snapshot after;
	char first[64];

	(void)state;
	put(repo, "deploy", "one\n", "e1");
	snprintf(first, sizeof(first), "%s", sh_out(TIP "deploy"));
	put(repo, "deploy", "two\n", "e2");
	before = look(repo, "deploy");
	sh("git -C repo update-ref " REF "deploy %s", first);
	after = look(repo, "deploy");
	assert_true(hf_etag_equal(&before.etag, &after.etag));
	snap_clear(&after);
	sh("git -C repo update-ref -d " REF "deploy");
	after = look(repo, "deploy");
	assert_true(hf_etag_equal(&before.etag, &after.etag));
	snap_clear(&after);
	snap_clear(&before);
	put(repo, "deploy", "two again\n", NULL);
	assert_string_equal(sh_out("git -C repo rev-list --count " REF "deploy"), "2");
	sh("git -C repo update-ref " REF "deploy %s && git -C repo pack-refs --all", first);
	put(repo, "deploy", "three\n", "e3");
	assert_string_equal(history_of(repo, "deploy"), "e3|e2|e1");
	assert_string_equal(sh_out("git -C repo rev-list --count " REF "deploy"), "3");
	repo_check();
}

static void git__a_mirror_fetch_takes_no_lock_away(void **state)
{
	(void)state;
	put(repo, "deploy", "one\n", "e1");
	sh("git clone -q --mirror repo mirror.git");
	put(repo, "deploy", "two\n", "e2");
	put(repo, "other", "x\n", "o1");
	sh("git -C repo fetch -q --prune ../mirror.git '+refs/*:refs/*'");
	assert_string_equal(record_of(repo, "deploy"), "two\n");
	assert_string_equal(record_of(repo, "other"), "x\n");
	put(repo, "deploy", "three\n", "e3");
	put(repo, "other", "y\n", "o2");
	assert_string_equal(history_of(repo, "deploy"), "e3|e2|e1");
	assert_string_equal(history_of(repo, "other"), "o2|o1");
	repo_check();
}

static void git__a_clone_goes_on_and_brings_its_events_back(void **state)
{
	hf_store *clone;
	hf_snapshot there;
	hf_snapshot here;

	(void)state;
	put(repo, "deploy", "one\n", "e1");
	sh("git clone -q --mirror repo clone.git");
	clone = store_open("clone.git", "");
	there = look(clone, "deploy");
	here = look(repo, "deploy");
	assert_true(hf_etag_equal(&there.etag, &here.etag));
	snap_clear(&there);
	snap_clear(&here);
	put(clone, "deploy", "two\n", "e2");
	put(clone, "deploy", "three\n", "e3");
	sh("git -C clone.git push -q ../repo " REF "deploy:" REF "deploy");
	assert_string_equal(record_of(repo, "deploy"), "three\n");
	put(repo, "deploy", "four\n", "e4");
	assert_string_equal(history_of(repo, "deploy"), "e4|e3|e2|e1");
	/* The other way round it is not a fast-forward: ours stands. */
	put(clone, "deploy", "aside\n", "x4");
	sh("git -C clone.git push -q -f ../repo " REF "deploy:" REF "deploy");
	assert_string_equal(record_of(repo, "deploy"), "four\n");
	ops->close(clone);
	repo_check();
}

/* ---- damage ---- */

static void is_corrupt_and_can_be_replaced(const char *name)
{
	hf_error error = {.kind = HF_OK};

	assert_int_equal(look_status(repo, name, &error), HF_CORRUPT);
	assert_true(strlen(error.text) > 0);
	if (put_over(repo, name, NULL, "new\n", "fresh", NULL, &error))
		fail_msg("%s", error.text);
	assert_string_equal(record_of(repo, name), "new\n");
	repo_check();
}

static void damage__what_is_not_ours_is_said(void **state)
{
	hf_error error;

	(void)state;
	put(repo, "a", "one\n", "e1");
	sh("cd repo && git commit -q --allow-empty -m foreign && git update-ref " REF "a HEAD");
	is_corrupt_and_can_be_replaced("a");
	sh("cd repo && git update-ref " REF "b HEAD");
	is_corrupt_and_can_be_replaced("b");
	sh("cd repo && git update-ref " REF "c $(echo x | git hash-object -w --stdin)");
	is_corrupt_and_can_be_replaced("c");
	sh("cd repo && git symbolic-ref " REF "d refs/heads/main");
	is_corrupt_and_can_be_replaced("d");
	put(repo, "e", "one\n", "e1");
	sh("cd repo && git update-ref " REF "f " REF "e");
	is_corrupt_and_can_be_replaced("f");
	/* Not to be replaced while it can be read. */
	assert_int_equal(put_over(repo, "e", NULL, "x", "x", NULL, &error), HF_CHANGED);
}

static void damage__a_newer_format_is_said(void **state)
{
	hf_error error;

	(void)state;
	put(repo, "a", "one\n", "e1");
	sh("cd repo && git update-ref " REF "a $(git cat-file commit " REF
	   "a | sed 's/^Holdfast-State: 1 /Holdfast-State: 2 /' | git hash-object -t commit -w "
	   "--stdin)");
	assert_int_equal(look_status(repo, "a", &error), HF_CORRUPT);
	assert_non_null(strstr(error.text, "newer"));
	is_corrupt_and_can_be_replaced("a");
}

static void damage__a_side_file_that_is_broken_is_said(void **state)
{
	(void)state;
	put(repo, "a", "one\n", "e1");
	put(repo, "a", "two\n", "e2");
	sh("cd repo/.git/holdfast/locks && for i in 10 60 4100 4150; do "
	   "printf 'garbage garbage garbage garbage' | "
	   "dd of=a.slot bs=1 seek=$i conv=notrunc status=none; done");
	is_corrupt_and_can_be_replaced("a");
	put(repo, "a", "three\n", "e3");
	assert_string_equal(record_of(repo, "a"), "three\n");
}

static void damage__an_empty_ref_after_a_power_cut_is_put_right(void **state)
{
	(void)state;
	put(repo, "a", "one\n", "e1");
	sh(": >repo/.git/" REF "a");
	assert_string_equal(record_of(repo, "a"), "one\n");
	put(repo, "a", "two\n", "e2");
	assert_string_equal(history_of(repo, "a"), "e2|e1");
	repo_check();
}

/* ---- git's locks ---- */

static void locks__one_of_gits_is_waited_for_and_respected(void **state)
{
	hf_store *t = store_open("repo", "?patience=300ms");
	hf_snapshot snap;
	hf_error error;

	(void)state;
	put(t, "a", "one\n", "e1");
	sh(": >repo/.git/" REF "a.lock");
	snap = look(t, "a");
	assert_int_equal(
		put_over(t, "a", &snap.etag, "two\n", "e2", NULL, &error), HF_UNAVAILABLE);
	assert_non_null(strstr(error.text, "a.lock"));
	assert_string_equal(record_of(t, "a"), "one\n");
	sh("(sleep 0.05; rm repo/.git/" REF "a.lock) >/dev/null 2>&1 &");
	assert_int_equal(put_over(t, "a", &snap.etag, "two\n", "e2", NULL, &error), HF_OK);
	snap_clear(&snap);
	ops->close(t);
	repo_check();
}

static void locks__one_that_we_left_is_cleared(void **state)
{
	size_t removed = 0;
	hf_error error;

	(void)state;
	put(repo, "a", "one\n", "e1");
	put(repo, "b", "one\n", "e1");
	sh("cd repo/.git && ln holdfast/locks/a.0.move/guard " REF "a.lock");
	put(repo, "a", "two\n", "e2");
	/* Left by one lock, in the way of another. */
	sh("cd repo/.git && ln holdfast/locks/a.0.move/guard packed-refs.lock && "
	   "printf '# pack-refs with: peeled fully-peeled sorted \\n%%s " REF "b\\n' "
	   "$(git rev-parse " REF "b) >packed-refs");
	{
		hf_snapshot snap = look(repo, "b");

		assert_int_equal(ops->forget(repo, "b", &snap.etag, 7, &error), HF_OK);
		snap_clear(&snap);
	}
	assert_int_not_equal(sh_code("git -C repo rev-parse -q --verify " REF "b"), 0);
	sh("cd repo/.git && ln holdfast/locks/a.0.move/guard packed-refs.lock");
	assert_int_equal(ops->sweep(repo, &removed, &error), HF_OK);
	sh("git -C repo pack-refs --all");
	repo_check();
}

#define T(name) cmocka_unit_test_setup_teardown(name, repo_begin, repo_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(git__packing_and_collecting_change_nothing),
		T(git__a_lost_tip_is_written_again),
		T(git__a_rewound_or_deleted_ref_is_put_right),
		T(git__a_mirror_fetch_takes_no_lock_away),
		T(git__a_clone_goes_on_and_brings_its_events_back),
		T(damage__what_is_not_ours_is_said),
		T(damage__a_newer_format_is_said),
		T(damage__a_side_file_that_is_broken_is_said),
		T(damage__an_empty_ref_after_a_power_cut_is_put_right),
		T(locks__one_of_gits_is_waited_for_and_respected),
		T(locks__one_that_we_left_is_cleared),
	};

	return cmocka_run_group_tests_name("git-beside", tests, NULL, NULL);
}
