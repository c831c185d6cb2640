/*
 * The store's folder. Opening and looking make nothing: where it is not there,
 * there are no locks. The first change makes it.
 *
 * What depends on the folder (what its group may do) is found out when it is
 * first seen, and no handle of a slot file is made before.
 */
#include "file_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static hf_status cannot_make(const char *path, int native, hf_error *error)
{
	return hf_fail_errno(
		error, HF_CANNOT_CREATE, "open", native, "cannot make the folder %s", path);
}

/* ---- where it is ---- */

static hf_status canonical_of_present(const char *path, char **out, hf_error *error)
{
	struct stat st;

	if (stat(path, &st))
		return hf_fail_errno(error, HF_CANNOT_CREATE, "open", errno,
			"cannot use the folder %s", path);
	if (!S_ISDIR(st.st_mode))
		return hf_fail(error, HF_CANNOT_CREATE, "open", 0,
			"%s is not a folder: name one that file: may keep its locks in", path);
	if (access(path, R_OK | X_OK))
		return hf_fail_errno(error, HF_SYSTEM, "open", errno,
			"cannot look into the folder %s", path);
	*out = realpath(path, NULL);
	if (!*out)
		return hf_fail_errno(
			error, HF_SYSTEM, "open", errno, "cannot resolve the folder %s", path);
	return HF_OK;
}

/*
 * Cut the last part of `path` off, with its slashes: what is left, "." and "/"
 * included; and where the part began. NULL: there is none that could be made.
 */
static const char *cut_last(char *path, const char **part_out)
{
	size_t n = strlen(path);
	char *slash;

	while (n > 0 && path[n - 1] == '/')
		path[--n] = '\0';
	slash = strrchr(path, '/');
	*part_out = slash ? slash + 1 : path;
	if (!n || !strcmp(*part_out, ".") || !strcmp(*part_out, ".."))
		return NULL;
	if (!slash)
		return ".";
	while (slash > path && slash[-1] == '/')
		slash--;
	*slash = '\0';
	return slash == path ? "/" : path;
}

/* The path it will have: of the nearest folder that is there, and the rest. */
static hf_status canonical_of_missing(
	const hf_store *store, const char *path, char **out, hf_error *error)
{
	char *left = strdup(path);
	char *rest = strdup("");
	char *above = NULL;
	int native = ENOENT;

	while (left && rest && !above) {
		const char *part;
		const char *parent = cut_last(left, &part);
		char *longer = NULL;

		if (!parent)
			break;
		if (asprintf(&longer, "/%s%s", part, rest) < 0)
			longer = NULL;
		free(rest);
		rest = longer;
		above = realpath(parent, NULL);
		native = errno;
		if (!above && (native != ENOENT || !store->make_parents || parent != left))
			break;
	}
	if (above && rest && asprintf(out, "%s%s", strcmp(above, "/") ? above : "", rest) < 0)
		*out = NULL;
	free(left);
	free(rest);
	if (!above)
		return cannot_make(path, native, error);
	free(above);
	return *out ? HF_OK : hf_fail_memory(error, "open");
}

/* Of its folders, those above too, the lowest that is there. */
static bool is_on_network(const char *path)
{
	char *at = strdup(path);
	bool network = true;
	struct stat st;

	while (at && at[0]) {
		char *slash;

		if (!stat(at, &st)) {
			network = hf_is_network_fs(at);
			break;
		}
		slash = strrchr(at, '/');
		if (slash == at && at[1])
			slash++;
		*slash = '\0';
	}
	free(at);
	return network;
}

hf_status hf_folder_find(hf_store *store, const char *path, hf_error *error)
{
	struct stat st;
	bool missing = lstat(path, &st) && errno == ENOENT;
	hf_status status = missing ? canonical_of_missing(store, path, &store->folder, error)
				   : canonical_of_present(path, &store->folder, error);

	if (status)
		return status;
	if (asprintf(&store->records, "%s%s", store->folder,
		    store->flock_layout ? "/.holdfast" : "") < 0)
		store->records = NULL;
	if (!store->records)
		return hf_fail_memory(error, "open");
	store->network = is_on_network(store->records);
	store->options.read_locked = store->network;
	return HF_OK;
}

/* ---- whether it is there ---- */

/* Who may write in the folder may use its locks. */
static mode_t mode_for(const char *folder)
{
	struct stat st;

	return !stat(folder, &st) && (st.st_mode & S_IWGRP) ? 0660 : 0600;
}

static hf_status seen_nolock(hf_store *store, hf_error *error)
{
	hf_status st;

	store->options.mode = mode_for(store->folder);
	st = hf_slotfile_new(store->floor_path, &store->options, &store->floor, error);
	if (!st)
		atomic_store_explicit(&store->there, true, memory_order_release);
	return st;
}

hf_status hf_folder_look(hf_store *store, bool *there_out, hf_error *error)
{
	hf_status status = HF_OK;
	struct stat st;

	*there_out = atomic_load_explicit(&store->there, memory_order_acquire);
	if (*there_out)
		return HF_OK;
	pthread_mutex_lock(&store->keys_mutex);
	if (!atomic_load_explicit(&store->there, memory_order_relaxed)) {
		if (!stat(store->records, &st))
			status = seen_nolock(store, error);
		else if (errno != ENOENT)
			status = hf_fail_errno(error, HF_SYSTEM, "read", errno,
				"cannot look into the folder %s", store->records);
	}
	*there_out = atomic_load_explicit(&store->there, memory_order_relaxed);
	pthread_mutex_unlock(&store->keys_mutex);
	return status;
}

/* ---- making it ---- */

static hf_status make_nolock(hf_store *store, hf_error *error)
{
	struct stat st;
	int native = 0;

	if (store->make_parents)
		native = hf_make_folder_of(store->floor_path);
	else if (mkdir(store->folder, 0700) && errno != EEXIST)
		native = errno;
	if (native)
		return cannot_make(store->folder, native, error);
	if (store->flock_layout) {
		/* Who may use the neighbours' files may use our records of them. */
		if (!mkdir(store->records, 0700)) {
			if (!stat(store->folder, &st))
				(void)chmod(store->records, st.st_mode & 07777);
		} else if (errno != EEXIST) {
			return cannot_make(store->records, errno, error);
		}
	}
	return seen_nolock(store, error);
}

hf_status hf_folder_make(hf_store *store, hf_error *error)
{
	hf_status st = HF_OK;

	if (atomic_load_explicit(&store->there, memory_order_acquire))
		return HF_OK;
	pthread_mutex_lock(&store->keys_mutex);
	if (!atomic_load_explicit(&store->there, memory_order_relaxed))
		st = make_nolock(store, error);
	pthread_mutex_unlock(&store->keys_mutex);
	return st;
}
