#include "repo.h"
#include "store/slotfile.h"

#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *git_message(void)
{
	const git_error *e = git_error_last();

	return e && e->message ? e->message : "unknown reason";
}

static hf_status refuse(const char *path, int code, hf_error *error)
{
	const char *why = git_message();

	switch (code) {
	case GIT_ENOTFOUND:
		return hf_fail(error, HF_INVALID, "open", 0,
			"'%s' is not in a git repository: run 'git init' there, or name a "
			"folder "
			"that is in one",
			path);
	case GIT_EOWNER:
		return hf_fail(error, HF_UNAVAILABLE, "open", 0,
			"the repository of '%s' belongs to another user: 'git config --global "
			"--add safe.directory DIR' if you trust it (%s)",
			path, why);
	default:
		if (strstr(why, "extension") || strstr(why, "repository version"))
			return hf_fail(error, HF_INVALID, "open", 0,
				"the repository of '%s' has a format that this store cannot "
				"read "
				"(%s): SHA-256 objects and reftable are not supported, keep "
				"the "
				"locks in a 'file:' store",
				path, why);
		return hf_fail(error, HF_UNAVAILABLE, "open", 0,
			"cannot open the git repository of '%s': %s", path, why);
	}
}

/*
 * libgit2 refuses repositories with extensions that it does not know. These
 * concern neither objects nor refs as we use them (sparse checkouts turn the
 * first on). What the program has set for itself is put back.
 */
static int open_extended(git_repository **repo, const char *path)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static char worktree[] = "worktreeconfig";
	static char partial[] = "partialclone";
	static char precious[] = "preciousobjects";
	char *wanted[] = {worktree, partial, precious};
	const char *known[32];
	git_strarray before = {NULL, 0};
	size_t count = 0;
	int code;

	pthread_mutex_lock(&mutex);
	if (git_libgit2_opts(GIT_OPT_GET_EXTENSIONS, &before) == 0) {
		for (; count < before.count &&
			count + HF_ARRAY_LEN(wanted) < HF_ARRAY_LEN(known);
			count++)
			known[count] = before.strings[count];
	}
	memcpy(known + count, wanted, sizeof(wanted));
	git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, known, count + HF_ARRAY_LEN(wanted));
	code = git_repository_open_ext(repo, path, 0, NULL);
	git_libgit2_opts(GIT_OPT_SET_EXTENSIONS, known, count);
	git_strarray_dispose(&before);
	pthread_mutex_unlock(&mutex);
	return code;
}

static int open_repository(git_repository **repo, const char *path)
{
	int code = git_repository_open_ext(repo, path, 0, NULL);

	return code && code != GIT_ENOTFOUND && strstr(git_message(), "extension")
		       ? open_extended(repo, path)
		       : code;
}

/* core.sharedRepository, as git reads it: the mode bits it adds to files. */
static mode_t shared_bits(git_repository *repo)
{
	git_config *config = NULL;
	git_buf value = {0};
	mode_t bits = 0;

	if (git_repository_config_snapshot(&config, repo) == 0 &&
		git_config_get_string_buf(&value, config, "core.sharedrepository") == 0) {
		const char *v = value.ptr;

		if (!strcmp(v, "group") || !strcmp(v, "true") || !strcmp(v, "1"))
			bits = 0660;
		else if (!strcmp(v, "all") || !strcmp(v, "world") || !strcmp(v, "everybody") ||
			 !strcmp(v, "2"))
			bits = 0664;
		else if (v[0] == '0' && v[1])
			bits = (mode_t)strtoul(v, NULL, 8) & 0666;
	}
	git_buf_dispose(&value);
	git_config_free(config);
	return bits;
}

hf_status gs_repo_open(hf_store *store, const char *path, hf_error *error)
{
	char real[PATH_MAX];
	git_repository *repo = NULL;
	hf_status st = HF_OK;
	int code;

	if (git_libgit2_init() < 0)
		return hf_fail(error, HF_SYSTEM, "open", 0, "libgit2 does not start: %s",
			git_message());
	code = open_repository(&repo, path[0] ? path : ".");
	if (code) {
		st = refuse(path[0] ? path : ".", code, error);
		goto out;
	}
	if (!realpath(git_repository_commondir(repo), real)) {
		st = hf_fail_errno(error, HF_UNAVAILABLE, "open", errno,
			"cannot find the folder of the repository of '%s'", path);
		goto out;
	}
	store->common = strdup(real);
	if (!store->common) {
		st = hf_fail_memory(error, "open");
		goto out;
	}
	store->common_fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->common_fd < 0) {
		st = hf_fail_errno(
			error, HF_UNAVAILABLE, "open", errno, "cannot open '%s'", real);
		goto out;
	}
	store->shared = shared_bits(repo);
	store->network = hf_is_network_fs(real);
out:
	git_repository_free(repo);
	return st;
}

bool gs_ref_name_valid(const char *name)
{
	int valid = 0;

	return git_reference_name_is_valid(&valid, name) == 0 && valid;
}
