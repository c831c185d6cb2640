/*
 * Putting a new file in its place: where there is none, to break a lock, and to
 * grow. Why it is done so stands in slotfile_internal.h. What can be found:
 *
 * at PATH, content	lock	what it is; who unlinks PATH
 *	content, nothing, damaged, blank (hf_slots_load() judges that)
 *			any	the state; only who has the lock, after
 *				writing "removing"
 *	removing	held	on the point of being unlinked, by its holder
 *			free	its remover died: the next one to lock it writes
 *				"nothing"; nobody unlinks it for that
 *	rebuilding N	held	the state is at PATH.broken-N, and is being
 *				copied by the holder; nobody
 *			free	the holder died: the next one to lock it goes on
 *
 * at PATH.broken-N	lock	what it is; who unlinks it
 *	no slot yet	held	being made; its maker, on failure
 *			free	its maker died; the sweep, keeping it locked
 *	rebuilding N	held	made, and not in place yet; its maker, on failure
 *	(its own name)	free	its maker died: it never will be; the sweep
 *	any other	any	while the chain from PATH leads here: the state,
 *				or a link to it; who ends the rebuilding, having
 *				copied it
 *			free	no chain leads here: what such a one died before
 *				unlinking, or a first file that was never put
 *				in place; the sweep, after PATH was locked once,
 *				as that ends a rebuilding
 *			held	the same, with a stopped writer or maker: left
 *				until that lock is free
 */
#include "slotfile_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Each who breaks the lock adds one: a thousand may run out of patience at once. */
#define CHAIN_MAX 10000
#define FOLLOW_TRIES 8
#define GROW_TRIES 4

char *hf_broken_path(const char *path, const char *nonce, size_t nonce_len)
{
	char *out = NULL;

	if (asprintf(&out, "%s" HF_BROKEN_INFIX "%.*s", path, (int)nonce_len, nonce) < 0)
		return NULL;
	return out;
}

static void new_nonce(char *out)
{
	uint64_t bits;

	hf_random(&bits, sizeof(bits));
	snprintf(out, HF_NONCE_LEN + 1, "%016llx", (unsigned long long)bits);
}

/* ---- a new file beside it ---- */

/* Ours to unlink until it is adopted: all who make one end with put_away(). */
struct beside {
	char nonce[HF_NONCE_LEN + 1];
	char *path;
	int fd; /* locked; -1: none, or adopted */
	hf_slot slot; /* its first */
	size_t slot_size;
};

static void put_away(struct beside *b)
{
	if (b->fd >= 0) {
		(void)unlink(b->path);
		close(b->fd);
	}
	free(b->path);
}

/* As the file before: who could open that must be able to open this. */
static void set_owner(const hf_slotfile *file, int fd)
{
	struct stat st;
	struct stat own;

	if (file->fd < 0) {
		if (file->options.mode & 077) /* whatever the umask says */
			(void)fchmod(fd, file->options.mode);
		return;
	}
	if (fstat(file->fd, &st) || fstat(fd, &own))
		return;
	if (own.st_uid != st.st_uid || own.st_gid != st.st_gid) {
		if (fchown(fd, st.st_uid, st.st_gid))
			(void)!fchown(fd, (uid_t)-1, st.st_gid);
	}
	if ((own.st_mode & 0777) != (st.st_mode & 0777))
		(void)fchmod(fd, st.st_mode & 0777);
}

/* With its folder; -1 with errno. */
static int create_file(const char *temp)
{
	int flags = O_RDWR | O_CREAT | O_EXCL | HF_OPEN_FLAGS;
	int fd = open(temp, flags, 0600);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	errno = hf_make_folder_of(temp);
	return errno ? -1 : open(temp, flags, 0600);
}

/*
 * Make it, locked, with one slot; NULL: one that says "rebuilding" from its own
 * name. HF_CHANGED: a sweeper was at it.
 */
static hf_status make_beside(hf_slotfile *file, struct beside *b, const hf_slot *slot,
	size_t slot_size, hf_error *error)
{
	hf_status st = HF_OK;
	int native;

	*b = (struct beside){.fd = -1, .slot_size = slot_size};
	new_nonce(b->nonce);
	b->slot = slot ? *slot
		       : (hf_slot){.kind = HF_SLOT_REBUILDING,
				 .len = HF_NONCE_LEN,
				 .parts = {{b->nonce, HF_NONCE_LEN}}};
	b->path = hf_broken_path(file->path, b->nonce, HF_NONCE_LEN);
	if (!b->path)
		return hf_fail_memory(error, "slot file");
	b->fd = create_file(b->path);
	if (b->fd < 0)
		return hf_fail_errno(error, file->fd < 0 ? HF_CANNOT_CREATE : HF_SYSTEM,
			"slot file", errno, "cannot create %s", b->path);
	set_owner(file, b->fd);
	native = hf_try_ofd(b->fd, F_WRLCK);
	if (native == EAGAIN)
		return HF_CHANGED;
	if (native)
		return hf_fail_errno(error, HF_SYSTEM, "slot file", native,
			"cannot lock %s (does its file system know locks?)", b->path);
	st = hf_slots_allocate(b->fd, slot_size, b->path, error);
	if (!st)
		st = hf_slots_put(b->fd, &b->slot, b->slot_size, 0, b->path, error);
	if (!st && file->options.sync && fsync(b->fd))
		st = hf_fail_errno(
			error, HF_SYSTEM, "slot file", errno, "cannot sync %s", b->path);
	return st;
}

/* It is at PATH: the handle's file from now on. */
static void adopt_new(hf_slotfile *file, struct beside *b, int *old_fd_out)
{
	struct stat st;

	if (old_fd_out)
		*old_fd_out = file->fd;
	else if (file->fd >= 0)
		close(file->fd);
	memset(&st, 0, sizeof(st));
	(void)fstat(b->fd, &st);
	hf_slotfile_adopt(file, b->fd, &st);
	b->fd = -1;
	file->slots.slot_size = b->slot_size;
	file->slots.pick = HF_PICK_OK;
	file->slots.loaded = false;
	file->slots.newest = b->slot;
	hf_slot_forget_content(&file->slots.newest);
}

/* ---- where there is none ---- */

/* 0, EEXIST, or another errno. */
static int put_at_path(const char *temp, const char *path)
{
	int native = 0;

	if (!renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
		return errno;
	if (link(temp, path))
		native = errno;
	else
		(void)unlink(temp);
	return native;
}

hf_status hf_slotfile_create(hf_slotfile *file, hf_error *error)
{
	const hf_slot nothing = {.kind = HF_SLOT_NOTHING};
	struct beside b;
	hf_status st = make_beside(file, &b, &nothing, HF_SLOT_BLOCK, error);
	int native = st ? 0 : put_at_path(b.path, file->path);

	if (native == EEXIST || native == ENOENT)
		st = HF_CHANGED;
	else if (native)
		st = hf_fail_errno(error, HF_CANNOT_CREATE, "slot file", native,
			"cannot create %s", file->path);
	if (!st) {
		adopt_new(file, &b, NULL);
		if (file->options.sync)
			st = hf_sync_folder(file->path, error);
	}
	put_away(&b);
	return st;
}

/* ---- in place of one ---- */

static hf_status exchange_failed(const hf_slotfile *file, int native, hf_error *error)
{
	if (native == ENOENT)
		return HF_CHANGED;
	if (native == EINVAL || native == ENOSYS || native == EOPNOTSUPP)
		return hf_fail_errno(error, HF_UNAVAILABLE, "slot file", native,
			"the file system of %s cannot exchange files", file->path);
	return hf_fail_errno(
		error, HF_SYSTEM, "slot file", native, "cannot replace %s", file->path);
}

hf_status hf_slotfile_exchange(
	hf_slotfile *file, size_t slot_size, char *nonce_out, int *old_fd_out, hf_error *error)
{
	struct beside b;
	hf_status st = make_beside(file, &b, NULL, slot_size, error);

	if (!st && renameat2(AT_FDCWD, b.path, AT_FDCWD, file->path, RENAME_EXCHANGE))
		st = exchange_failed(file, errno, error);
	if (!st) {
		memcpy(nonce_out, b.nonce, sizeof(b.nonce));
		adopt_new(file, &b, old_fd_out);
		if (file->options.sync)
			(void)hf_sync_folder(file->path, NULL);
	}
	put_away(&b);
	return st;
}

/* ---- ending a rebuilding ---- */

struct chain {
	size_t count;
	size_t cap;
	char **paths; /* names to unlink once it is copied */
	int fd; /* of the last one; -1: none yet */
	hf_slots slots; /* of the last one */
};

/* Back to its begin, keeping memory. */
static void chain_reset(struct chain *chain)
{
	while (chain->count > 0)
		free(chain->paths[--chain->count]);
	if (chain->fd >= 0)
		close(chain->fd);
	chain->fd = -1;
}

static void chain_free(struct chain *chain)
{
	chain_reset(chain);
	free(chain->paths);
	free(chain->slots.image);
}

static bool chain_add(struct chain *chain, char *path)
{
	if (chain->count == chain->cap) {
		size_t cap = chain->cap ? 2 * chain->cap : 8;
		char **paths = reallocarray(chain->paths, cap, sizeof(*paths));

		if (!paths)
			return false;
		chain->paths = paths;
		chain->cap = cap;
	}
	chain->paths[chain->count++] = path;
	return true;
}

static bool leads_on(const hf_slots *slots)
{
	return slots->pick == HF_PICK_OK && slots->newest.kind == HF_SLOT_REBUILDING;
}

/*
 * Follow the chain to its end: chain->slots is the state then. *gone_out: a file
 * of it is not there.
 */
static hf_status follow_once(
	hf_slotfile *file, struct chain *chain, bool *gone_out, hf_error *error)
{
	const hf_slots *at = &file->slots;
	hf_status st;
	int fd;

	*gone_out = false;
	while (leads_on(at)) {
		char *path;

		if (chain->count == CHAIN_MAX || at->newest.len != HF_NONCE_LEN) {
			chain->slots.pick = HF_PICK_DAMAGED;
			return HF_OK;
		}
		path = hf_broken_path(file->path, at->newest.data, HF_NONCE_LEN);
		if (!path || !chain_add(chain, path)) {
			free(path);
			return hf_fail_memory(error, "slot file");
		}
		fd = open(path, O_RDONLY | HF_OPEN_FLAGS);
		if (fd < 0 && errno == ENOENT) {
			*gone_out = true;
			return HF_OK;
		}
		if (fd < 0)
			return hf_fail_errno(
				error, HF_SYSTEM, "slot file", errno, "cannot open %s", path);
		if (chain->fd >= 0)
			close(chain->fd);
		chain->fd = fd;
		chain->slots.slot_size = 0;
		st = hf_slots_load(fd, path, &chain->slots, error);
		if (st)
			return st;
		at = &chain->slots;
	}
	return HF_OK;
}

/*
 * If a file of the chain has gone, one who ended the rebuilding before us, of a
 * part of it, had copied the state into one that we have passed by then: so the
 * chain has another end now, and is followed anew.
 */
static hf_status follow(hf_slotfile *file, struct chain *chain, hf_error *error)
{
	bool gone = true;
	int i;

	for (i = 0; gone && i < FOLLOW_TRIES; i++) {
		hf_status st;

		chain_reset(chain);
		st = follow_once(file, chain, &gone, error);
		if (st)
			return st;
		if (gone && !hf_slotfile_is_at_path(file))
			return HF_CHANGED;
	}
	if (gone)
		chain->slots.pick = HF_PICK_DAMAGED;
	return HF_OK;
}

/* What the chain's end says, as a slot of the new file. */
static hf_status state_of_chain(const struct chain *chain, hf_slot *slot, hf_error *error)
{
	if (chain->slots.pick == HF_PICK_OK) {
		*slot = chain->slots.newest;
		if (slot->kind == HF_SLOT_REMOVING) {
			int native = hf_try_ofd(chain->fd, F_RDLCK);

			/* While it lives it may unlink the path at any moment. */
			if (native == EAGAIN)
				return HF_HELD;
			if (native)
				return hf_fail_errno(error, HF_SYSTEM, "slot file", native,
					"cannot lock a file that was taken over");
			slot->kind = HF_SLOT_NOTHING;
		}
	} else {
		*slot = (hf_slot){.kind = chain->slots.pick == HF_PICK_BLANK ? HF_SLOT_NOTHING
									     : HF_SLOT_DAMAGED};
	}
	slot->parts[0] = (hf_slot_part){slot->data, slot->len};
	if (slot->seq == 0)
		slot->seq = 1; /* newer than the slot that says "rebuilding" */
	slot->taken = true;
	return HF_OK;
}

static hf_status copy_state(hf_slotfile *file, struct chain *chain, hf_error *error)
{
	hf_slot slot;
	size_t i;
	hf_status st = state_of_chain(chain, &slot, error);

	if (!st)
		st = hf_slotfile_put(file, &slot, error);
	if (st)
		return st;
	for (i = 0; i < chain->count; i++)
		unlink(chain->paths[i]);
	if (!hf_slotfile_is_at_path(file))
		return HF_CHANGED;
	return hf_slots_read(file->fd, file->path, &file->slots, error);
}

hf_status hf_slotfile_rebuild(hf_slotfile *file, hf_error *error)
{
	struct chain chain = {.fd = -1};
	char nonce[HF_NONCE_LEN + 1];
	size_t need;
	hf_status st;

	/* What is loaded may have been our own writing: its data is not kept. */
	st = hf_slots_read(file->fd, file->path, &file->slots, error);
	if (!st)
		st = follow(file, &chain, error);
	if (!st && chain.slots.pick == HF_PICK_NEWER) {
		file->slots.pick = HF_PICK_NEWER; /* not ours to copy */
		chain_free(&chain);
		return HF_OK;
	}
	need = !st && chain.slots.pick == HF_PICK_OK ? hf_slot_size_for(chain.slots.newest.len)
						     : HF_SLOT_BLOCK;
	if (!st && need > file->slots.slot_size) {
		/* It had grown before it was exchanged: once more, larger. */
		chain_free(&chain);
		st = hf_slotfile_exchange(file, need, nonce, NULL, error);
		return st ? st : hf_slotfile_rebuild(file, error);
	}
	if (!st)
		st = copy_state(file, &chain, error);
	chain_free(&chain);
	return st;
}

/* ---- growing ---- */

/* Without exchange nobody breaks locks: having ours, rename is safe. */
static hf_status rename_over(
	hf_slotfile *file, const hf_slot *slot, size_t slot_size, hf_error *error)
{
	struct beside b;
	hf_status st = make_beside(file, &b, slot, slot_size, error);

	if (!st && !hf_slotfile_is_at_path(file))
		st = hf_slotfile_say_lost(file, error);
	else if (!st && rename(b.path, file->path))
		st = hf_fail_errno(
			error, HF_SYSTEM, "slot file", errno, "cannot replace %s", file->path);
	if (!st) {
		adopt_new(file, &b, NULL);
		if (file->options.sync)
			st = hf_sync_folder(file->path, error);
	}
	put_away(&b);
	return st;
}

/* The file that was swapped out is the one we had locked. */
static bool is_file(const char *path, dev_t dev, ino_t ino)
{
	struct stat st;

	return !lstat(path, &st) && st.st_dev == dev && st.st_ino == ino;
}

/* In place of the state that was exchanged for us: the new one. */
static hf_status write_grown(
	hf_slotfile *file, const hf_slot *slot, const char *before_path, hf_error *error)
{
	hf_status st = hf_slotfile_put(file, slot, error);

	if (st) {
		/* The old content must stand: bring it back if we can. */
		(void)hf_slotfile_rebuild(file, NULL);
		return st;
	}
	unlink(before_path);
	return hf_slotfile_is_at_path(file) ? HF_OK : hf_slotfile_say_lost(file, error);
}

hf_status hf_slotfile_grow(hf_slotfile *file, const hf_slot *slot, hf_error *error)
{
	size_t slot_size = hf_slot_size_for(slot->len);
	dev_t dev = file->dev;
	ino_t ino = file->ino;
	char nonce[HF_NONCE_LEN + 1];
	char *before_path;
	int before_fd = -1;
	hf_status st = HF_CHANGED;
	int i;

	if (slot_size > HF_SLOT_SIZE_MAX)
		return hf_fail(error, HF_INVALID, "slot file", 0,
			"%zu bytes are too many for %s", slot->len, file->path);
	for (i = 0; st == HF_CHANGED && i < GROW_TRIES; i++) {
		if (!hf_slotfile_is_at_path(file))
			return hf_slotfile_say_lost(file, error);
		st = hf_slotfile_exchange(file, slot_size, nonce, &before_fd, error);
	}
	if (st == HF_UNAVAILABLE)
		return rename_over(file, slot, slot_size, error);
	if (st)
		return st == HF_CHANGED ? hf_slotfile_say_lost(file, error) : st;
	before_path = hf_broken_path(file->path, nonce, HF_NONCE_LEN);
	if (!before_path) {
		st = hf_fail_memory(error, "slot file");
	} else if (is_file(before_path, dev, ino)) {
		st = write_grown(file, slot, before_path, error);
	} else {
		/* We had been broken: what we swapped out is another's state. */
		(void)hf_slotfile_rebuild(file, NULL);
		st = hf_slotfile_say_lost(file, error);
	}
	free(before_path);
	close(before_fd);
	return st;
}
