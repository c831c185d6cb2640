/*
 * Left-overs of dead writers: files PATH.broken-NONCE. Two kinds look alike by
 * name, and each is removed only when nobody can need it any more; the proof
 * is in slotfile_internal.h.
 */
#include "slotfile_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SWEEP_PATIENCE_MS 2000

/* Where ".broken-NONCE" begins, if that is how the name ends; or NULL. */
static const char *broken_suffix(const char *name)
{
	size_t n = strlen(name);
	size_t suffix = strlen(HF_BROKEN_INFIX) + HF_NONCE_LEN;
	const char *at;

	if (n <= suffix)
		return NULL;
	at = name + n - suffix;
	if (strncmp(at, HF_BROKEN_INFIX, strlen(HF_BROKEN_INFIX)) != 0 ||
		strspn(at + strlen(HF_BROKEN_INFIX), "0123456789abcdef") != HF_NONCE_LEN)
		return NULL;
	return at;
}

/* After this, nothing that was swapped out of `path` before is needed. */
static bool is_settled(const char *path)
{
	const hf_slotfile_options options = {.patience_ms = SWEEP_PATIENCE_MS};
	hf_slotfile *file;
	bool missing;
	hf_status st = hf_slotfile_new(path, &options, &file, NULL);

	if (st)
		return false;
	st = hf_slotfile_take(file, F_WRLCK, false, &missing, NULL);
	hf_slotfile_unlock(file);
	if (!st && !missing && file->slots.pick == HF_PICK_NEWER)
		st = HF_CORRUPT;
	hf_slotfile_free(file);
	return st == HF_OK;
}

/* The file names itself: it was never put in place. */
static bool is_unused(const hf_slots *slots, const char *nonce)
{
	return slots->pick == HF_PICK_OK && slots->newest.kind == HF_SLOT_REBUILDING &&
	       slots->newest.len == HF_NONCE_LEN &&
	       memcmp(slots->newest.data, nonce, HF_NONCE_LEN) == 0;
}

static bool sweep_one(const char *broken, const char *path, const char *nonce)
{
	hf_slots slots = {.image = NULL};
	bool gone = false;
	int fd = open(broken, O_RDWR | HF_OPEN_FLAGS);

	if (fd < 0)
		return false;
	/* Locked: its creator or its writer is alive. */
	if (hf_try_ofd(fd, F_WRLCK) || hf_slots_read(fd, broken, &slots, NULL)) {
		close(fd);
		free(slots.image);
		return false;
	}
	/*
	 * Blank: just made, or swapped out when it was. Keep it locked then, so
	 * that its creator gives up. Others must be free to be rebuilt from.
	 */
	if (slots.pick != HF_PICK_BLANK && !is_unused(&slots, nonce)) {
		close(fd);
		fd = -1;
	}
	if (is_unused(&slots, nonce) || is_settled(path))
		gone = !unlink(broken);
	if (fd >= 0)
		close(fd);
	free(slots.image);
	return gone;
}

hf_status hf_slotfile_sweep(const char *folder, size_t *removed, hf_error *error)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir)
		return hf_fail_errno(
			error, HF_SYSTEM, "sweep", errno, "cannot list the folder %s", folder);
	while ((entry = readdir(dir))) {
		const char *suffix = broken_suffix(entry->d_name);
		char *broken = NULL;
		char *path = NULL;

		if (!suffix)
			continue;
		if (asprintf(&broken, "%s/%s", folder, entry->d_name) < 0)
			broken = NULL;
		if (broken)
			path = strndup(broken, strlen(broken) - strlen(suffix));
		if (broken && path && sweep_one(broken, path, suffix + strlen(HF_BROKEN_INFIX)))
			(*removed)++;
		free(broken);
		free(path);
	}
	closedir(dir);
	return HF_OK;
}
