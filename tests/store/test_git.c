/* The git: store's branch of events, and what real git does to it. */
#include "git_helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REF "refs/holdfast/locks/"
#define TIP "git -C repo rev-parse " REF

static hf_store *s;

static int begin(void **state)
{
	(void)state;
	repo_make();
	s = store_open("repo", "");
	return 0;
}

static int end(void **state)
{
	(void)state;
	ops->close(s);
	scratch_clear();
	return 0;
}

/* ---- which repository ---- */

static void same_identity(const char *path)
{
	hf_store *other = store_open(path, "");

	assert_string_equal(ops->identity(other), ops->identity(s));
	ops->close(other);
}

static void open__every_path_into_a_repository_is_the_same_store(void **state)
{
	hf_store *bare;
	hf_store *blob;

	(void)state;
	sh("cd repo && git commit -q --allow-empty -m x && git worktree add -q ../tree && "
	   "mkdir -p a/b && cd .. && ln -s repo link && "
	   "mkdir gitfile && echo 'gitdir: ../repo/.git' >gitfile/.git");
	same_identity("repo/.git");
	same_identity("repo/a/b");
	same_identity("tree");
	same_identity("link");
	same_identity("gitfile");
	sh("git init -q --bare bare.git");
	bare = store_open("bare.git", "");
	put(bare, "deploy", "one\n", "e1");
	assert_string_equal(record_of(bare, "deploy"), "one\n");
	sh("git -C bare.git fsck --strict");
	ops->close(bare);
	blob = store_open("repo", "?layout=blob");
	assert_string_not_equal(ops->identity(blob), ops->identity(s));
	ops->close(blob);
}

static void open__a_worktree_shares_its_locks(void **state)
{
	hf_store *tree;

	(void)state;
	sh("cd repo && git commit -q --allow-empty -m x && git worktree add -q ../tree");
	tree = store_open("tree", "");
	put(s, "deploy", "one\n", "e1");
	assert_string_equal(record_of(tree, "deploy"), "one\n");
	put(tree, "deploy", "two\n", "e2");
	assert_string_equal(record_of(s, "deploy"), "two\n");
	ops->close(tree);
	repo_check();
}

static void open__what_cannot_be_read_is_refused_with_what_to_do(void **state)
{
	hf_error error;

	(void)state;
	sh("mkdir plain && git init -q --object-format=sha256 sha256 && git init -q reftable "
	   "&& "
	   "git -C reftable config core.repositoryformatversion 1 && "
	   "git -C reftable config extensions.refStorage reftable");
	assert_int_equal(store_refused("plain", "", &error), HF_INVALID);
	assert_non_null(strstr(error.text, "git init"));
	assert_int_equal(store_refused("nowhere", "", &error), HF_INVALID);
	assert_int_equal(store_refused("sha256", "", &error), HF_INVALID);
	assert_non_null(strstr(error.text, "file:"));
	assert_int_equal(store_refused("reftable", "", &error), HF_INVALID);
	assert_int_equal(store_refused("repo", "?layout=tree", &error), HF_INVALID);
	assert_int_equal(store_refused("repo", "?prefix=refs/x", &error), HF_INVALID);
	assert_int_equal(store_refused("repo", "?layout=blob&prefix=x", &error), HF_INVALID);
	assert_int_equal(
		store_refused("repo", "?layout=blob&prefix=refs/a..b", &error), HF_INVALID);
	assert_int_equal(store_refused("repo", "?history=-1", &error), HF_INVALID);
	assert_int_equal(store_refused("repo", "?sync=half", &error), HF_INVALID);
	assert_int_equal(store_refused("repo", "?patience=soon", &error), HF_INVALID);
}

static void open__a_prefix_that_git_or_another_layout_uses_is_refused(void **state)
{
	static const char *const used[] = {"bisect", "bundles", "heads", "holdfast",
		"holdfast/locks", "notes", "notes/x", "original", "prefetch", "remotes",
		"remotes/origin", "replace", "rewritten", "stash", "tags", "worktree",
		"%68eads"};
	char query[80];
	hf_error error;
	hf_store *t;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(used); i++) {
		snprintf(query, sizeof(query), "?layout=blob&prefix=refs/%s", used[i]);
		assert_int_equal(store_refused("repo", query, &error), HF_INVALID);
		if (!strstr(error.text, "such as refs/gitvan/locks"))
			fail_msg("%s", error.text);
	}
	t = store_open("repo", "?layout=blob&prefix=refs/headsman");
	ops->close(t);
}

static void open__extensions_of_no_concern_are_accepted(void **state)
{
	hf_store *t;

	(void)state;
	sh("git init -q sparse && git -C sparse config core.repositoryformatversion 1 && "
	   "git -C sparse config extensions.worktreeConfig true");
	t = store_open("sparse", "");
	put(t, "deploy", "one\n", "e1");
	assert_string_equal(record_of(t, "deploy"), "one\n");
	ops->close(t);
}

static void open__looking_changes_nothing(void **state)
{
	(void)state;
	assert_string_equal(record_of(s, "deploy"), "");
	assert_string_equal(history_of(s, "deploy"), "");
	assert_int_not_equal(sh_code("test -e repo/.git/holdfast"), 0);
}

/* ---- the branch ---- */

static void branch__git_log_tells_who_held_it(void **state)
{
	(void)state;
	put(s, "deploy", "holdfast 1\nend\n", "gen=1 owner=alice@web1 kind=acquire");
	put(s, "deploy", "holdfast 2\nend\n", "gen=2 owner=bob%20b@web2 kind=release");
	assert_string_equal(sh_out("git -C repo log --format='%%an: %%s' " REF "deploy"),
		"bob_b@web2: gen=2 owner=bob%20b@web2 kind=release\n"
		"alice@web1: gen=1 owner=alice@web1 kind=acquire");
	assert_string_equal(history_of(s, "deploy"),
		"gen=2 owner=bob%20b@web2 kind=release|gen=1 owner=alice@web1 kind=acquire");
	repo_check();
}

static void branch__an_amendment_adds_nothing_to_it(void **state)
{
	(void)state;
	put(s, "deploy", "one\n", "e1");
	put(s, "deploy", "two\n", NULL);
	put(s, "deploy", "three\n", NULL);
	assert_string_equal(sh_out("git -C repo rev-list --count " REF "deploy"), "1");
	assert_string_equal(record_of(s, "deploy"), "three\n");
	put(s, "deploy", "four\n", "e2");
	assert_string_equal(history_of(s, "deploy"), "e2|e1");
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
		put(s, name, records[i], "e");
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
		put(s, "deploy", record.data, "e");
	}
	for (i = 0; i < HF_ARRAY_LEN(lengths); i++) {
		hf_buf_clear(&record);
		while (record.len < lengths[i])
			hf_buf_addf(&record, "line %zu\n", record.len);
		put(s, "deploy", record.data, "e");
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

/* ---- git at work ---- */

static void git__packing_and_collecting_change_nothing(void **state)
{
	hf_snapshot before;
	hf_snapshot after;

	(void)state;
	put(s, "deploy", "one\n", "e1");
	put(s, "deploy", "two\n", "e2");
	before = look(s, "deploy");
	sh("git -C repo pack-refs --all --prune");
	assert_int_not_equal(sh_code("test -e repo/.git/" REF "deploy"), 0);
	after = look(s, "deploy");
	assert_true(hf_etag_equal(&before.etag, &after.etag));
	snap_clear(&after);
	sh("git -C repo gc -q --prune=now");
	after = look(s, "deploy");
	assert_true(hf_etag_equal(&before.etag, &after.etag));
	snap_clear(&after);
	snap_clear(&before);
	put(s, "deploy", "three\n", "e3");
	sh("git -C repo pack-refs --all --prune");
	put(s, "deploy", "four\n", "e4");
	assert_string_equal(history_of(s, "deploy"), "e4|e3|e2|e1");
	repo_check();
}

static void git__a_lost_tip_is_written_again(void **state)
{
	(void)state;
	put(s, "deploy", "one\n", "e1");
	put(s, "deploy", "two\n", "e2");
	sh("rm repo/.git/objects/[0-9a-f]*/*");
	put(s, "deploy", "three\n", "e3");
	assert_string_equal(history_of(s, "deploy"), "e3|e2|e1");
	repo_check();
}

static void git__a_rewound_or_deleted_ref_is_put_right(void **state)
{
	hf_snapshot before;
	hf_snapshot after;
	char first[64];

	(void)state;
	put(s, "deploy", "one\n", "e1");
	snprintf(first, sizeof(first), "%s", sh_out(TIP "deploy"));
	put(s, "deploy", "two\n", "e2");
	before = look(s, "deploy");
	sh("git -C repo update-ref " REF "deploy %s", first);
	after = look(s, "deploy");
	assert_true(hf_etag_equal(&before.etag, &after.etag));
	snap_clear(&after);
	sh("git -C repo update-ref -d " REF "deploy");
	after = look(s, "deploy");
	assert_true(hf_etag_equal(&before.etag, &after.etag));
	snap_clear(&after);
	snap_clear(&before);
	put(s, "deploy", "two again\n", NULL);
	assert_string_equal(sh_out("git -C repo rev-list --count " REF "deploy"), "2");
	sh("git -C repo update-ref " REF "deploy %s && git -C repo pack-refs --all", first);
	put(s, "deploy", "three\n", "e3");
	assert_string_equal(history_of(s, "deploy"), "e3|e2|e1");
	assert_string_equal(sh_out("git -C repo rev-list --count " REF "deploy"), "3");
	repo_check();
}

static void git__a_mirror_fetch_takes_no_lock_away(void **state)
{
	(void)state;
	put(s, "deploy", "one\n", "e1");
	sh("git clone -q --mirror repo mirror.git");
	put(s, "deploy", "two\n", "e2");
	put(s, "other", "x\n", "o1");
	sh("git -C repo fetch -q --prune ../mirror.git '+refs/*:refs/*'");
	assert_string_equal(record_of(s, "deploy"), "two\n");
	assert_string_equal(record_of(s, "other"), "x\n");
	put(s, "deploy", "three\n", "e3");
	put(s, "other", "y\n", "o2");
	assert_string_equal(history_of(s, "deploy"), "e3|e2|e1");
	assert_string_equal(history_of(s, "other"), "o2|o1");
	repo_check();
}

static void git__a_clone_goes_on_and_brings_its_events_back(void **state)
{
	hf_store *clone;
	hf_snapshot there;
	hf_snapshot here;

	(void)state;
	put(s, "deploy", "one\n", "e1");
	sh("git clone -q --mirror repo clone.git");
	clone = store_open("clone.git", "");
	there = look(clone, "deploy");
	here = look(s, "deploy");
	assert_true(hf_etag_equal(&there.etag, &here.etag));
	snap_clear(&there);
	snap_clear(&here);
	put(clone, "deploy", "two\n", "e2");
	put(clone, "deploy", "three\n", "e3");
	sh("git -C clone.git push -q ../repo " REF "deploy:" REF "deploy");
	assert_string_equal(record_of(s, "deploy"), "three\n");
	put(s, "deploy", "four\n", "e4");
	assert_string_equal(history_of(s, "deploy"), "e4|e3|e2|e1");
	/* The other way round it is not a fast-forward: ours stands. */
	put(clone, "deploy", "aside\n", "x4");
	sh("git -C clone.git push -q -f ../repo " REF "deploy:" REF "deploy");
	assert_string_equal(record_of(s, "deploy"), "four\n");
	ops->close(clone);
	repo_check();
}

/* ---- damage ---- */

static void is_corrupt_and_can_be_replaced(const char *name)
{
	hf_error error = {.kind = HF_OK};

	assert_int_equal(look_status(s, name, &error), HF_CORRUPT);
	assert_true(strlen(error.text) > 0);
	if (put_over(s, name, NULL, "new\n", "fresh", NULL, &error))
		fail_msg("%s", error.text);
	assert_string_equal(record_of(s, name), "new\n");
	repo_check();
}

static void damage__what_is_not_ours_is_said(void **state)
{
	hf_error error;

	(void)state;
	put(s, "a", "one\n", "e1");
	sh("cd repo && git commit -q --allow-empty -m foreign && git update-ref " REF "a HEAD");
	is_corrupt_and_can_be_replaced("a");
	sh("cd repo && git update-ref " REF "b HEAD");
	is_corrupt_and_can_be_replaced("b");
	sh("cd repo && git update-ref " REF "c $(echo x | git hash-object -w --stdin)");
	is_corrupt_and_can_be_replaced("c");
	sh("cd repo && git symbolic-ref " REF "d refs/heads/main");
	is_corrupt_and_can_be_replaced("d");
	put(s, "e", "one\n", "e1");
	sh("cd repo && git update-ref " REF "f " REF "e");
	is_corrupt_and_can_be_replaced("f");
	/* Not to be replaced while it can be read. */
	assert_int_equal(put_over(s, "e", NULL, "x", "x", NULL, &error), HF_CHANGED);
}

static void damage__a_newer_format_is_said(void **state)
{
	hf_error error;

	(void)state;
	put(s, "a", "one\n", "e1");
	sh("cd repo && git update-ref " REF "a $(git cat-file commit " REF
	   "a | sed 's/^Holdfast-State: 1 /Holdfast-State: 2 /' | git hash-object -t commit -w "
	   "--stdin)");
	assert_int_equal(look_status(s, "a", &error), HF_CORRUPT);
	assert_non_null(strstr(error.text, "newer"));
	is_corrupt_and_can_be_replaced("a");
}

static void damage__a_side_file_that_is_broken_is_said(void **state)
{
	(void)state;
	put(s, "a", "one\n", "e1");
	put(s, "a", "two\n", "e2");
	sh("cd repo/.git/holdfast/locks && for i in 10 60 4100 4150; do "
	   "printf 'garbage garbage garbage garbage' | "
	   "dd of=a.slot bs=1 seek=$i conv=notrunc status=none; done");
	is_corrupt_and_can_be_replaced("a");
	put(s, "a", "three\n", "e3");
	assert_string_equal(record_of(s, "a"), "three\n");
}

static void damage__an_empty_ref_after_a_power_cut_is_put_right(void **state)
{
	(void)state;
	put(s, "a", "one\n", "e1");
	sh(": >repo/.git/" REF "a");
	assert_string_equal(record_of(s, "a"), "one\n");
	put(s, "a", "two\n", "e2");
	assert_string_equal(history_of(s, "a"), "e2|e1");
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
	put(s, "a", "one\n", "e1");
	put(s, "b", "one\n", "e1");
	sh("cd repo/.git && ln holdfast/locks/a.0.move/guard " REF "a.lock");
	put(s, "a", "two\n", "e2");
	/* Left by one lock, in the way of another. */
	sh("cd repo/.git && ln holdfast/locks/a.0.move/guard packed-refs.lock && "
	   "printf '# pack-refs with: peeled fully-peeled sorted \\n%%s " REF "b\\n' "
	   "$(git rev-parse " REF "b) >packed-refs");
	{
		hf_snapshot snap = look(s, "b");

		assert_int_equal(ops->forget(s, "b", &snap.etag, 7, &error), HF_OK);
		snap_clear(&snap);
	}
	assert_int_not_equal(sh_code("git -C repo rev-parse -q --verify " REF "b"), 0);
	sh("cd repo/.git && ln holdfast/locks/a.0.move/guard packed-refs.lock");
	assert_int_equal(ops->sweep(s, &removed, &error), HF_OK);
	sh("git -C repo pack-refs --all");
	repo_check();
}

/* ---- names, list, forget ---- */

static char listed[8192];

static int list_one(void *arg, const char *name)
{
	size_t n = strlen(listed);

	(void)arg;
	snprintf(listed + n, sizeof(listed) - n, "[%s]", name);
	return 0;
}

static void names__any_comes_back_as_it_went_in(void **state)
{
	char longest[HF_NAME_MAX + 1];
	const char *const names[] = {"a", "a/b", "a/b/c", "x.lock", "..", "-n", "@", "a b", "~",
		"50%", "#", "caf\xc3\xa9", "HEAD", ".slot", "a.slot", "a.0.move", longest};
	hf_error error;
	char again[256];
	size_t i;
	int round;

	(void)state;
	memset(longest, '/', sizeof(longest) - 1);
	longest[HF_NAME_MAX] = '\0';
	for (i = 0; i < HF_ARRAY_LEN(names); i++)
		put(s, names[i], names[i], "e1");
	for (round = 0; round < 3; round++) {
		listed[0] = '\0';
		assert_int_equal(ops->list(s, list_one, NULL, &error), HF_OK);
		for (i = 0; i < HF_ARRAY_LEN(names); i++) {
			const char *hit;

			snprintf(again, sizeof(again), "[%s]", names[i]);
			hit = strstr(listed, again);
			if (!hit || strstr(hit + 1, again))
				fail_msg(
					"'%s' is listed %s", names[i], hit ? "twice" : "never");
			assert_string_equal(record_of(s, names[i]), names[i]);
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
	hf_snapshot absent = look(s, "deploy");
	hf_snapshot held;
	hf_snapshot gone;
	hf_error error;

	(void)state;
	put(s, "deploy", "one\n", "e1");
	held = look(s, "deploy");
	sh("git -C repo pack-refs --all");
	put(s, "other", "one\n", "e1");
	assert_int_equal(ops->forget(s, "deploy", &absent.etag, 5, &error), HF_CHANGED);
	assert_int_equal(ops->forget(s, "deploy", &held.etag, 5, &error), HF_OK);
	gone = look(s, "deploy");
	assert_null(gone.data);
	assert_int_equal(gone.floor, 5);
	assert_false(hf_etag_equal(&gone.etag, &absent.etag));
	assert_string_equal(
		sh_out("git -C repo for-each-ref --format='%%(refname)'"), REF "other");
	assert_string_equal(sh_out("ls repo/.git/holdfast/locks | grep -c deploy"), "0");
	listed[0] = '\0';
	assert_int_equal(ops->list(s, list_one, NULL, &error), HF_OK);
	assert_string_equal(listed, "[other]");
	/* What is written over it is another lock. */
	put(s, "deploy", "one\n", "e1");
	assert_int_equal(ops->forget(s, "deploy", &held.etag, 5, &error), HF_CHANGED);
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
	put(s, "deploy", "one\n", "e1");
	sh("git clone -q --mirror repo mirror.git");
	snap = look(s, "deploy");
	assert_int_equal(ops->forget(s, "deploy", &snap.etag, 5, &error), HF_OK);
	snap_clear(&snap);
	sh("git -C repo fetch -q ../mirror.git '+refs/*:refs/*'");
	snap = look(s, "deploy");
	assert_null(snap.data);
	assert_int_equal(snap.floor, 5);
	snap_clear(&snap);
	put(s, "deploy", "two\n", "e2");
	assert_string_equal(history_of(s, "deploy"), "e2");
	repo_check();
}

static void sweep__removes_what_belongs_to_no_lock(void **state)
{
	size_t removed = 0;
	hf_error error;

	(void)state;
	put(s, "deploy", "one\n", "e1");
	sh("cd repo/.git/holdfast/locks && cp deploy.0.log deploy.9.log && mkdir deploy.7.move "
	   "&& "
	   ": >deploy.7.move/guard && mkdir deploy.3.dead gone.0.move && : >gone.0.log && "
	   "mkdir ../../objects/00 -p && : >../../objects/00/tmp_obj_hf0123 && "
	   "touch -d '1 hour ago' ../../objects/00/tmp_obj_hf0123");
	assert_int_equal(ops->sweep(s, &removed, &error), HF_OK);
	assert_true(removed >= 6);
	assert_string_equal(sh_out("cd repo/.git/holdfast/locks && ls && ls ../../objects/00"),
		"deploy.0.log\ndeploy.0.move\ndeploy.slot");
	removed = 0;
	assert_int_equal(ops->sweep(s, &removed, &error), HF_OK);
	assert_int_equal(removed, 0);
	assert_string_equal(record_of(s, "deploy"), "one\n");
}

/* ---- watch ---- */

/* How long a watch takes when `command` runs in 100 ms; 5 s: it slept. */
static int64_t watch_ms(const char *name, const char *command)
{
	hf_snapshot seen = look(s, name);
	int64_t begin_ms = hf_boot_ms();
	hf_error error;

	sh("(sleep 0.1; %s) >/dev/null 2>&1 &", command);
	assert_int_equal(ops->watch(s, name, &seen.etag, 5000, -1, &error), HF_OK);
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
		seen = look(s, "deploy");
		pid = scratch_fork(other_puts, NULL);
		begin_ms = hf_boot_ms();
		assert_int_equal(ops->watch(s, "deploy", &seen.etag, 5000, -1, &error), HF_OK);
		assert_true(hf_boot_ms() - begin_ms < 1000);
		assert_int_equal(scratch_wait(pid), 0);
		snap_clear(&seen);
	}
	assert_true(watch_ms("deploy", "git -C repo update-ref " REF
				       "deploy $(git -C repo commit-tree -m x "
				       "4b825dc642cb6eb9a060e54bf8d69288fbee4904)") < 1000);
	assert_int_equal(put_over(s, "deploy", NULL, "x", "x", NULL, &error), HF_OK);
	seen = look(s, "deploy");
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	begin_ms = hf_boot_ms();
	assert_int_equal(ops->watch(s, "deploy", &seen.etag, 5000, fds[0], &error), HF_OK);
	assert_true(hf_boot_ms() - begin_ms < 1000);
	begin_ms = hf_boot_ms();
	assert_int_equal(ops->watch(s, "deploy", &seen.etag, 200, -1, &error), HF_OK);
	assert_true(hf_boot_ms() - begin_ms >= 190);
	snap_clear(&seen);
	close(fds[0]);
	close(fds[1]);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(open__every_path_into_a_repository_is_the_same_store),
		T(open__a_worktree_shares_its_locks),
		T(open__what_cannot_be_read_is_refused_with_what_to_do),
		T(open__a_prefix_that_git_or_another_layout_uses_is_refused),
		T(open__extensions_of_no_concern_are_accepted),
		T(open__looking_changes_nothing),
		T(branch__git_log_tells_who_held_it),
		T(branch__an_amendment_adds_nothing_to_it),
		T(branch__any_bytes_come_back_from_a_clone),
		T(branch__objects_of_any_length_are_as_git_wants_them),
		T(branch__keeps_to_its_limit_and_is_pruned),
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
		T(names__any_comes_back_as_it_went_in),
		T(forget__leaves_a_floor_and_nothing_else),
		T(forget__a_mirror_does_not_bring_it_back),
		T(sweep__removes_what_belongs_to_no_lock),
		T(watch__wakes_on_a_change_and_on_the_cancel_descriptor),
	};

	return cmocka_run_group_tests_name("git", tests, NULL, NULL);
}
