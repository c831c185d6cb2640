/* Looking through the folder: the names in it, and left-overs. */
#include "file_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOCK_SUFFIX ".lock"
#define LOG_INFIX ".log."
#define SEGMENT_DIGITS 16

/* Entries of the folder, gathered first: it changes while we look. */
static hf_status gather(
	const hf_store *store, hf_buf *names_out, const char *op, hf_error *error)
{
	DIR *dir = opendir(store->records);
	struct dirent *entry;

	if (!dir)
		return hf_fail_errno(error, HF_SYSTEM, op, errno, "cannot list the folder %s",
			store->records);
	while ((entry = readdir(dir)))
		hf_buf_add(names_out, entry->d_name, strlen(entry->d_name) + 1);
	closedir(dir);
	return names_out->failed ? hf_fail_memory(error, op) : HF_OK;
}

/* "STEM.lock": the stem's length, or 0. */
static size_t lock_stem(const char *entry)
{
	size_t n = strlen(entry);
	size_t suffix = strlen(LOCK_SUFFIX);

	return n > suffix && strcmp(entry + n - suffix, LOCK_SUFFIX) == 0 ? n - suffix : 0;
}

/* "STEM.log.SEGMENT": the stem's length, or 0. */
static size_t log_stem(const char *entry, uint64_t *id_out)
{
	size_t n = strlen(entry);
	size_t suffix = strlen(LOG_INFIX) + SEGMENT_DIGITS;
	const char *digits = entry + n - SEGMENT_DIGITS;

	if (n <= suffix || strncmp(entry + n - suffix, LOG_INFIX, strlen(LOG_INFIX)) != 0 ||
		strspn(digits, "0123456789abcdef") != SEGMENT_DIGITS)
		return 0;
	*id_out = strtoull(digits, NULL, 16);
	return n - suffix;
}

/* A handle that only looks: it makes nothing. */
static hf_slotfile *handle_for(const hf_store *store, const char *entry, size_t stem)
{
	hf_slotfile_options options = store->options;
	hf_slotfile *file = NULL;
	char *path = NULL;

	options.create = false;
	if (asprintf(&path, "%s/%.*s" LOCK_SUFFIX, store->records, (int)stem, entry) < 0)
		return NULL;
	if (hf_slotfile_new(path, &options, &file, NULL))
		file = NULL;
	free(path);
	return file;
}

/* ---- list ---- */

/* The name of an entry that has a state, or a damaged one. */
static bool name_of(const hf_store *store, const char *entry, size_t stem, char *name_out)
{
	hf_slotfile *file = handle_for(store, entry, stem);
	char escaped[NAME_MAX + 1];
	hf_slot_content content;
	bool named = false;
	hf_status st;

	if (!file)
		return false;
	st = hf_slotfile_read(file, &content, NULL);
	snprintf(escaped, sizeof(escaped), "%.*s", (int)stem, entry);
	if (st || content.seq)
		named = hf_name_unescape(escaped, name_out) ||
			(!st && hf_file_state_name(&content, name_out));
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
	return named;
}

hf_status hf_file_list(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error)
{
	hf_buf entries = HF_BUF_INIT;
	char name[HF_NAME_MAX + 1];
	bool there;
	hf_status st = hf_folder_look(store, &there, error);
	size_t at;

	if (!st && there)
		st = gather(store, &entries, "list", error);
	for (at = 0; !st && at < entries.len; at += strlen(entries.data + at) + 1) {
		const char *entry = entries.data + at;
		size_t stem = lock_stem(entry);

		if (stem && name_of(store, entry, stem, name) && fn(arg, name))
			break;
	}
	hf_buf_free(&entries);
	return st;
}

/* ---- sweep ---- */

/* A file that was made for a state that never came. */
static bool sweep_lock(const hf_store *store, const char *entry, size_t stem)
{
	hf_slotfile *file = handle_for(store, entry, stem);
	hf_slot_content content;
	bool gone = false;
	hf_status st;

	if (!file)
		return false;
	st = hf_slotfile_read(file, &content, NULL);
	if (!st && content.seq == 0) {
		st = hf_slotfile_lock(file, &content, NULL);
		if (!st && content.seq == 0)
			gone = hf_slotfile_remove(file, NULL) == HF_OK;
		hf_slotfile_unlock(file);
	}
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
	return gone;
}

/*
 * A segment that its state does not name, looked at under the key's lock, is
 * nobody's: whoever made it had that lock, and has lost it or died. It was
 * listed before, so it is not one that somebody is making now.
 */
static bool sweep_log(const hf_store *store, const char *entry, size_t stem, uint64_t id)
{
	hf_slotfile *file = handle_for(store, entry, stem);
	hf_slot_content content;
	hf_file_state state;
	char *path = NULL;
	bool gone = false;

	if (!file)
		return false;
	if (!hf_slotfile_lock(file, &content, NULL) &&
		!hf_file_state_decode(&content, "", NULL, &state, NULL) &&
		state.current.id != id && state.before.id != id &&
		asprintf(&path, "%s/%s", store->records, entry) >= 0)
		gone = !unlink(path);
	free(path);
	hf_slotfile_unlock(file);
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
	return gone;
}

hf_status hf_file_sweep(hf_store *store, size_t *removed, hf_error *error)
{
	hf_buf entries = HF_BUF_INIT;
	uint64_t id = 0;
	bool there;
	hf_status st = hf_folder_look(store, &there, error);
	size_t at;

	if (!st && there)
		st = hf_slotfile_sweep(store->records, removed, error);
	if (!st && there)
		st = gather(store, &entries, "sweep", error);
	for (at = 0; !st && at < entries.len; at += strlen(entries.data + at) + 1) {
		const char *entry = entries.data + at;
		size_t stem = lock_stem(entry);

		if (stem) {
			*removed += sweep_lock(store, entry, stem);
			continue;
		}
		stem = log_stem(entry, &id);
		if (stem)
			*removed += sweep_log(store, entry, stem, id);
	}
	hf_buf_free(&entries);
	return st;
}
