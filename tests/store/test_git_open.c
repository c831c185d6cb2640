/* Which repository a git: store is of, and which it refuses. */
#include "git_helper.h"

#include <stdio.h>

static void same_identity(const char *path)
{
	hf_store *other = store_open(path, "");

	assert_string_equal(ops->identity(other), ops->identity(repo));
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
	assert_string_not_equal(ops->identity(blob), ops->identity(repo));
	ops->close(blob);
}

static void open__a_worktree_shares_its_locks(void **state)
{
	hf_store *tree;

	(void)state;
	sh("cd repo && git commit -q --allow-empty -m x && git worktree add -q ../tree");
	tree = store_open("tree", "");
	put(repo, "deploy", "one\n", "e1");
	assert_string_equal(record_of(tree, "deploy"), "one\n");
	put(tree, "deploy", "two\n", "e2");
	assert_string_equal(record_of(repo, "deploy"), "two\n");
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
	assert_string_equal(record_of(repo, "deploy"), "");
	assert_string_equal(history_of(repo, "deploy"), "");
	assert_int_not_equal(sh_code("test -e repo/.git/holdfast"), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, repo_begin, repo_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(open__every_path_into_a_repository_is_the_same_store),
		T(open__a_worktree_shares_its_locks),
		T(open__what_cannot_be_read_is_refused_with_what_to_do),
		T(open__a_prefix_that_git_or_another_layout_uses_is_refused),
		T(open__extensions_of_no_concern_are_accepted),
		T(open__looking_changes_nothing),
	};

	return cmocka_run_group_tests_name("git-open", tests, NULL, NULL);
}
