/* A slot file's handle: open, read, write, mark, remove. See slotfile.h. */
#include "slotfile_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CHASES_MAX 1000

hf_status hf_slot_content_own(hf_slot_content *content, hf_error *error)
{
	char *copy = content->data ? malloc(content->len + 1) : NULL;

	if (!content->data)
		return HF_OK;
	if (!copy)
		return hf_fail_memory(error, "slot file");
	memcpy(copy, content->data, content->len + 1);
	content->data = content->owned = copy;
	return HF_OK;
}

void hf_slot_content_clear(hf_slot_content *content)
{
	free(content->owned);
	*content = (hf_slot_content){.data = NULL};
}

hf_status hf_slotfile_new(const char *path, const hf_slotfile_options *options,
	hf_slotfile **out, hf_error *error)
{
	hf_slotfile *file = calloc(1, sizeof(*file));

	*out = NULL;
	if (file)
		file->path = strdup(path);
	if (!file || !file->path) {
		free(file);
		return hf_fail_memory(error, "slot file");
	}
	file->options = *options;
	if (!file->options.mode)
		file->options.mode = 0600;
	if (file->options.patience_ms < 1)
		file->options.patience_ms = 1;
	file->fd = -1;
	hf_rng_seed(&file->rng, (uint64_t)hf_boot_ns() ^ (uint64_t)(uintptr_t)file);
	*out = file;
	return HF_OK;
}

void hf_slotfile_free(hf_slotfile *file)
{
	if (!file)
		return;
	hf_slotfile_close(file);
	free(file->slots.image);
	free(file->path);
	free(file);
}

/* ---- open ---- */

void hf_slotfile_close(hf_slotfile *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	file->locked = false;
	file->slots.slot_size = 0;
}

void hf_slotfile_adopt(hf_slotfile *file, int fd, const struct stat *st)
{
	file->fd = fd;
	file->writable = true;
	file->dev = st->st_dev;
	file->ino = st->st_ino;
	file->slots.slot_size = 0;
}

bool hf_slotfile_is_at_path(const hf_slotfile *file)
{
	struct stat st;

	return !lstat(file->path, &st) && st.st_ino == file->ino && st.st_dev == file->dev;
}

/* -1 with errno; where it may not be written, for reading. */
static int open_existing(hf_slotfile *file)
{
	int fd = open(file->path, O_RDWR | HF_OPEN_FLAGS);

	file->writable = true;
	if (fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
		file->writable = false;
		file->write_errno = errno;
		fd = open(file->path, O_RDONLY | HF_OPEN_FLAGS);
	}
	return fd;
}

static hf_status say_irregular(const hf_slotfile *file, hf_error *error)
{
	return hf_fail(error, HF_CORRUPT, "slot file", 0,
		"%s is not a regular file: another program has put something there; move it "
		"away",
		file->path);
}

static hf_status adopt_regular(hf_slotfile *file, int fd, hf_error *error)
{
	bool writable = file->writable;
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return say_irregular(file, error);
	}
	hf_slotfile_adopt(file, fd, &st);
	file->writable = writable;
	return HF_OK;
}

hf_status hf_slotfile_open(hf_slotfile *file, bool create, bool *missing_out, hf_error *error)
{
	hf_status st = HF_CHANGED;
	int i;

	*missing_out = false;
	for (i = 0; st == HF_CHANGED && i < CHASES_MAX; i++) {
		int fd = open_existing(file);

		if (fd >= 0)
			return adopt_regular(file, fd, error);
		if (errno == EISDIR || errno == ELOOP)
			return say_irregular(file, error);
		if (errno != ENOENT)
			return hf_fail_errno(error, create ? HF_CANNOT_CREATE : HF_SYSTEM,
				"slot file", errno, "cannot open %s", file->path);
		*missing_out = !create;
		if (!create)
			return HF_OK;
		st = hf_slotfile_create(file, error);
	}
	if (st == HF_CHANGED)
		return hf_fail(error, HF_UNAVAILABLE, "slot file", 0,
			"%s is made and removed by others all the time", file->path);
	return st;
}

/* ---- read ---- */

static hf_status say_damaged(const hf_slotfile *file, hf_error *error)
{
	if (file->slots.pick == HF_PICK_NEWER)
		return hf_fail(error, HF_CORRUPT, "slot file", 0,
			"%s is of a newer format: use the holdfast that wrote it, or a newer "
			"one",
			file->path);
	return hf_fail(error, HF_CORRUPT, "slot file", 0,
		"%s is damaged: neither of its two copies is whole; restore it, or force the "
		"lock's release if nobody can be holding it",
		file->path);
}

/* What was loaded, for the caller. */
static hf_status give(const hf_slotfile *file, hf_slot_content *content_out, hf_error *error)
{
	const hf_slot *slot = &file->slots.newest;

	*content_out = (hf_slot_content){.data = NULL};
	if (file->slots.pick == HF_PICK_BLANK)
		return HF_OK;
	if (file->slots.pick != HF_PICK_OK || slot->kind == HF_SLOT_DAMAGED)
		return say_damaged(file, error);
	if (slot->kind != HF_SLOT_CONTENT)
		return HF_OK;
	/* The slot behind it, which this may hit, has lost: nobody looks at it again. */
	file->slots.image[(size_t)(slot->data - file->slots.image) + slot->len] = '\0';
	content_out->data = slot->data;
	content_out->len = slot->len;
	content_out->seq = slot->seq;
	content_out->mark = slot->mark;
	return HF_OK;
}

static bool is_rebuilding(const hf_slotfile *file)
{
	return file->slots.pick == HF_PICK_OK && file->slots.newest.kind == HF_SLOT_REBUILDING;
}

static hf_status read_under_lock(
	hf_slotfile *file, short type, hf_slot_content *content_out, hf_error *error)
{
	bool missing;
	hf_status st = hf_slotfile_take(file, type, false, &missing, error);

	*content_out = (hf_slot_content){.data = NULL};
	if (!st && !missing)
		st = give(file, content_out, error);
	hf_slotfile_unlock(file);
	return st;
}

hf_status hf_slotfile_read(hf_slotfile *file, hf_slot_content *content_out, hf_error *error)
{
	static const struct timespec pause = {.tv_nsec = 2000000};
	hf_status st;
	bool missing;
	int i;

	*content_out = (hf_slot_content){.data = NULL};
	if (file->options.read_locked)
		return read_under_lock(file, F_RDLCK, content_out, error);
	for (i = 0; i < CHASES_MAX; i++) {
		if (file->fd < 0) {
			st = hf_slotfile_open(file, false, &missing, error);
			if (st || missing)
				return st;
		}
		st = hf_slots_load(file->fd, file->path, &file->slots, error);
		if (st)
			return st;
		/* Looked at after reading: only then was it the present content. */
		if (!hf_slotfile_is_at_path(file)) {
			hf_slotfile_close(file);
			continue;
		}
		if (!is_rebuilding(file))
			return give(file, content_out, error);
		if (file->writable)
			return read_under_lock(file, F_WRLCK, content_out, error);
		/* We may not end it: whoever began it, or the next writer, will. */
		nanosleep(&pause, NULL);
	}
	return hf_fail(error, HF_UNAVAILABLE, "slot file", 0,
		"%s is being replaced by another process, which does not get on with it",
		file->path);
}

hf_status hf_slotfile_lock(hf_slotfile *file, hf_slot_content *content_out, hf_error *error)
{
	bool missing;
	hf_status st = hf_slotfile_take(file, F_WRLCK, file->options.create, &missing, error);

	if (st == HF_CORRUPT) /* no slot file at all: nothing that could be locked */
		st = HF_SYSTEM;
	*content_out = (hf_slot_content){.data = NULL};
	return st || missing ? st : give(file, content_out, error);
}

bool hf_slotfile_broken(const hf_slotfile *file)
{
	return file->locked && file->slots.pick == HF_PICK_OK && file->slots.newest.taken;
}

void hf_slotfile_unlock(hf_slotfile *file)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (file->locked && fcntl(file->fd, F_OFD_SETLK, &lock))
		hf_slotfile_close(file);
	file->locked = false;
}

/* ---- write ---- */

hf_status hf_slotfile_say_lost(const hf_slotfile *file, hf_error *error)
{
	return hf_fail(error, HF_CHANGED, "slot file", 0,
		"%s was taken over by another process while this one was stopped in the middle "
		"of "
		"changing it",
		file->path);
}

hf_status hf_slotfile_put(hf_slotfile *file, const hf_slot *slot, hf_error *error)
{
	hf_slots *slots = &file->slots;
	unsigned index = slots->pick == HF_PICK_OK ? !slots->newest.index : 0;
	hf_status st = hf_slots_put(file->fd, slot, slots->slot_size, index, file->path, error);

	if (st)
		return st;
	if (file->options.sync && fdatasync(file->fd))
		return hf_fail_errno(error, HF_UNKNOWN, "slot file", errno,
			"%s was written, but nobody can say whether it reached the disk",
			file->path);
	slots->loaded = false;
	slots->pick = HF_PICK_OK;
	slots->newest = *slot;
	slots->newest.index = index;
	hf_slot_forget_content(&slots->newest);
	return HF_OK;
}

/* After the last load the next slot has this number. */
uint64_t hf_slotfile_next_seq(const hf_slotfile *file)
{
	return file->slots.pick == HF_PICK_OK ? file->slots.newest.seq + 1 : 1;
}

hf_status hf_slotfile_write(hf_slotfile *file, const char *data, size_t len, hf_error *error)
{
	hf_slot_part whole = {data, len};

	return hf_slotfile_write_parts(file, &whole, 1, error);
}

hf_status hf_slotfile_write_parts(
	hf_slotfile *file, const hf_slot_part *parts, size_t count, hf_error *error)
{
	hf_slot slot = {.kind = HF_SLOT_CONTENT, .seq = hf_slotfile_next_seq(file)};
	hf_status st;
	size_t i;

	assert(count <= HF_SLOT_PARTS);
	for (i = 0; i < count; i++) {
		slot.parts[i] = parts[i];
		slot.len += parts[i].len;
	}

	if (!file->locked)
		return hf_slotfile_say_lost(file, error);
	if (slot.len + HF_SLOT_HEADER > file->slots.slot_size)
		return hf_slotfile_grow(file, &slot, error);
	st = hf_slotfile_put(file, &slot, error);
	if (!st && !hf_slotfile_is_at_path(file))
		st = hf_slotfile_say_lost(file, error);
	return st;
}

hf_status hf_slotfile_mark(hf_slotfile *file, uint8_t mark, hf_error *error)
{
	const hf_slots *slots = &file->slots;
	hf_status st;

	if (!file->locked || slots->pick != HF_PICK_OK)
		return hf_slotfile_say_lost(file, error);
	st = hf_pwrite_all(file->fd, (const char *)&mark, 1,
		(off_t)(slots->newest.index * slots->slot_size + HF_SLOT_MARK_AT), file->path,
		error);
	if (!st && file->options.sync && fdatasync(file->fd))
		st = hf_fail_errno(
			error, HF_UNKNOWN, "slot file", errno, "cannot sync %s", file->path);
	if (!st && !hf_slotfile_is_at_path(file))
		st = hf_slotfile_say_lost(file, error);
	if (!st)
		file->slots.newest.mark = mark;
	return st;
}

hf_status hf_slotfile_remove(hf_slotfile *file, hf_error *error)
{
	hf_slot slot = {.kind = HF_SLOT_REMOVING, .seq = hf_slotfile_next_seq(file)};
	hf_status st;

	if (!file->locked)
		return hf_slotfile_say_lost(file, error);
	if (file->slots.slot_size == 0) {
		st = hf_slots_allocate(file->fd, HF_SLOT_BLOCK, file->path, error);
		if (st)
			return st;
		(void)!ftruncate(file->fd, 2 * HF_SLOT_BLOCK);
		file->slots.slot_size = HF_SLOT_BLOCK;
	}
	st = hf_slotfile_put(file, &slot, error);
	if (st)
		return st;
	/* From here to the unlink nobody breaks us: see slotfile_internal.h. */
	if (!hf_slotfile_is_at_path(file))
		return hf_slotfile_say_lost(file, error);
	/* If it cannot be unlinked, its content is gone all the same. */
	if (unlink(file->path))
		return HF_OK;
	return file->options.sync ? hf_sync_folder(file->path, error) : HF_OK;
}
