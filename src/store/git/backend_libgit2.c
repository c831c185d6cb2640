#include "backend.h"

#include <git2.h>
#include <stdio.h>
#include <stdlib.h>

static const char *git_message(void)
{
	const git_error *e = git_error_last();

	return e && e->message ? e->message : "unknown reason";
}

static hf_status start(hf_error *error)
{
	return git_libgit2_init() < 0 ? hf_fail(error, HF_SYSTEM, "open", 0,
						"libgit2 does not start: %s", git_message())
				      : HF_OK;
}

/* ---- repositories ---- */

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

static hf_status find(const char *path, gs_found *out, hf_error *error)
{
	git_repository *repo = NULL;
	git_config *config = NULL;
	git_buf value = {0};
	int code;
	hf_status st = start(error);

	if (st)
		return st;
	code = open_repository(&repo, path);
	if (code)
		return refuse(path, code, error);
	memset(out, 0, sizeof(*out));
	if (!hf_copy(out->common, sizeof(out->common), git_repository_commondir(repo)))
		st = hf_fail(error, HF_UNAVAILABLE, "open", 0,
			"the path of the repository of '%s' is too long", path);
	if (git_repository_config_snapshot(&config, repo) == 0 &&
		git_config_get_string_buf(&value, config, "core.sharedrepository") == 0)
		hf_copy(out->shared, sizeof(out->shared), value.ptr);
	git_buf_dispose(&value);
	git_config_free(config);
	git_repository_free(repo);
	return st;
}

/* ---- objects ---- */

struct gs_odb {
	git_odb *odb;
};

static hf_status odb_open(const char *objects_folder, gs_odb **out, hf_error *error)
{
	gs_odb *odb = calloc(1, sizeof(*odb));
	hf_status st;

	*out = NULL;
	if (!odb)
		return hf_fail_memory(error, "read");
	st = start(error);
	if (!st && git_odb_open(&odb->odb, objects_folder))
		st = hf_fail(error, HF_SYSTEM, "read", 0,
			"cannot open the object database '%s': %s", objects_folder,
			git_message());
	if (st)
		free(odb);
	else
		*out = odb;
	return st;
}

static void odb_close(gs_odb *odb)
{
	git_odb_free(odb->odb);
	free(odb);
}

static bool odb_has(gs_odb *odb, const gs_oid *oid)
{
	git_oid id;

	memcpy(id.id, oid->bytes, sizeof(oid->bytes));
	return git_odb_exists(odb->odb, &id) == 1;
}

static gs_type type_of(git_odb_object *object)
{
	switch (git_odb_object_type(object)) {
	case GIT_OBJECT_COMMIT:
		return GS_COMMIT;
	case GIT_OBJECT_BLOB:
		return GS_BLOB;
	default:
		return GS_OTHER_TYPE;
	}
}

static hf_status odb_read(
	gs_odb *odb, const gs_oid *oid, gs_object *out, bool *missing_out, hf_error *error)
{
	char hex[GS_HEX + 1];
	git_odb_object *object = NULL;
	git_oid id;
	int code;

	memset(out, 0, sizeof(*out));
	gs_oid_hex(oid, hex);
	memcpy(id.id, oid->bytes, sizeof(oid->bytes));
	code = git_odb_read(&object, odb->odb, &id);
	*missing_out = code != 0;
	if (code)
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"the object %s cannot be read from the repository: %s", hex,
			git_message());
	out->type = type_of(object);
	out->len = git_odb_object_size(object);
	out->data = malloc(out->len + 1);
	if (out->data) {
		memcpy(out->data, git_odb_object_data(object), out->len);
		out->data[out->len] = '\0';
	}
	git_odb_object_free(object);
	return out->data ? HF_OK : hf_fail_memory(error, "read");
}

extern HF_API const gs_backend gs_backend_table;

HF_API const gs_backend gs_backend_table = {
	.abi = GS_BACKEND_ABI,
	.find = find,
	.open = odb_open,
	.close = odb_close,
	.has = odb_has,
	.read = odb_read,
};
