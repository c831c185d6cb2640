#include "move.h"
#include "tidy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* One move under way. */
typedef struct work {
	hf_store *store;
	gs_lock *lock;
	const gs_move *move;
	int dir; /* store->common_fd */
	int64_t until_ms;
	hf_error *error;
	bool done; /* the ref was changed */
	bool unlocked; /* REF.lock is away again */
	char folder[GS_PATH_MAX];
	char ref_lock[GS_PATH_MAX];
} work;

static const char packed_lock[] = "packed-refs.lock";

static void folder_path(const gs_lock *lock, uint32_t folder, const char *kind, char *out)
{
	snprintf(out, GS_PATH_MAX, "%.400s.%u.%s", lock->stem, folder, kind);
}

static void in_folder(const work *w, const char *leaf, char out[GS_PATH_MAX])
{
	snprintf(out, GS_PATH_MAX, "%.480s/%s", w->folder, leaf);
}

static hf_status fail(const work *w, int native, const char *what)
{
	return hf_fail_errno(w->error, HF_SYSTEM, "move", native, "cannot %s of %s in '%s'",
		what, w->move->ref, w->store->common);
}

/* Our folder is gone: a successor shut us out. */
static hf_status shut_out(const work *w)
{
	return hf_fail(w->error, w->done ? HF_UNKNOWN : HF_CHANGED, "move", 0,
		"this process was stopped for so long that another went on with lock '%s'",
		w->lock->name);
}

static bool folder_is_there(const work *w)
{
	char guard[GS_PATH_MAX];
	struct stat st;

	in_folder(w, "guard", guard);
	return fstatat(w->dir, guard, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- the folder ---- */

/* Write the new value into a file of which nobody else knows. */
static int write_value(int fd, const char *line, size_t len, const struct stat *st, bool sync)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, line + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		done += (size_t)n;
	}
	if (st->st_size > (off_t)len && ftruncate(fd, (off_t)len))
		return errno;
	return sync && fdatasync(fd) ? errno : 0;
}

static int prepare_value(work *w, const char *path)
{
	char line[GS_HEX + 2];
	struct stat st;
	int native;
	int fd;

	gs_oid_hex(&w->move->to, line);
	line[GS_HEX] = '\n';
	errno = 0;
	fd = openat(w->dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_nlink != 1)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0) {
		unlinkat(w->dir, path, 0);
		fd = openat(w->dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0)
			return errno;
		if (w->store->shared)
			gs_share(w->store, fd);
		st.st_size = 0;
	}
	native = write_value(fd, line, GS_HEX + 1, &st, w->store->sync);
	close(fd);
	return native;
}

static int prepare_guard(work *w)
{
	char path[GS_PATH_MAX];
	struct stat st;
	int fd;

	in_folder(w, "guard", path);
	if (fstatat(w->dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	fd = openat(w->dir, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0 && errno == ENOENT) {
		int native = gs_make_folders_above(w->store, path);

		if (native)
			return native;
		fd = openat(w->dir, path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	}
	if (fd < 0)
		return errno;
	if (w->store->shared)
		gs_share(w->store, fd);
	close(fd);
	return 0;
}

static hf_status prepare(work *w)
{
	char path[GS_PATH_MAX];
	int native = prepare_guard(w);

	if (!native && !gs_oid_is_zero(&w->move->to)) {
		in_folder(w, "new", path);
		native = prepare_value(w, path);
	}
	if (native)
		return fail(w, native, "prepare the new value");
	return w->move->still_ours ? w->move->still_ours(w->move->arg, w->error) : HF_OK;
}

static void remove_folder(hf_store *store, const char *folder)
{
	static const char *const leaves[] = {"guard", "new", "unlock", "packed"};
	char path[GS_PATH_MAX];
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(leaves); i++) {
		snprintf(path, sizeof(path), "%.480s/%s", folder, leaves[i]);
		unlinkat(store->common_fd, path, 0);
	}
	unlinkat(store->common_fd, folder, AT_REMOVEDIR);
}

/* ---- git's locks ---- */

/* Back into the folder, and away: fails harmlessly once we are shut out. */
static bool put_back(work *w, const char *path)
{
	char back[GS_PATH_MAX];

	in_folder(w, "unlock", back);
	if (renameat(w->dir, path, w->dir, back))
		return false;
	unlinkat(w->dir, back, 0);
	return true;
}

static bool is_our_guard(work *w, const char *path)
{
	char guard[GS_PATH_MAX];
	struct stat a;
	struct stat b;

	in_folder(w, "guard", guard);
	return fstatat(w->dir, path, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(w->dir, guard, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino &&
	       a.st_dev == b.st_dev;
}

static hf_status cannot_lock(work *w, const char *path, int native)
{
	if (native == ENOTDIR || native == EISDIR)
		return hf_fail(w->error, HF_UNAVAILABLE, "move", native,
			"another ref stands where a folder for %s is needed in '%s': rename "
			"that "
			"ref",
			w->move->ref, w->store->common);
	if (native == EPERM || native == EOPNOTSUPP || native == EMLINK)
		return hf_fail(w->error, HF_UNAVAILABLE, "move", native,
			"the file system of '%s' has no hard links, which this store needs: "
			"use a "
			"'file:' store",
			w->store->common);
	return hf_fail_errno(w->error, HF_SYSTEM, "move", native, "cannot make '%s' in '%s'",
		path, w->store->common);
}

static hf_status take_lock(work *w, const char *path)
{
	char guard[GS_PATH_MAX];
	int64_t pause_ms = 1;

	in_folder(w, "guard", guard);
	for (;;) {
		int native;

		if (linkat(w->dir, guard, w->dir, path, 0) == 0)
			return HF_OK;
		native = errno;
		if (native == ENOENT) {
			if (!folder_is_there(w))
				return shut_out(w);
			native = gs_make_folders_above(w->store, path);
			if (!native)
				continue;
		}
		if (native != EEXIST)
			return cannot_lock(w, path, native);
		if (is_our_guard(w, path)) {
			put_back(w, path);
			continue;
		}
		if (pause_ms == 16)
			gs_free_left_lock(w->store, path);
		if (hf_boot_ms() >= w->until_ms)
			return hf_fail(w->error, HF_UNAVAILABLE, "move", EEXIST,
				"git keeps '%s/%s' locked: if no git process runs there, "
				"remove "
				"that file",
				w->store->common, path);
		hf_sleep_until_ms(hf_boot_ms() + pause_ms);
		pause_ms = pause_ms < 16 ? 2 * pause_ms : 20;
	}
}

/* ---- packed-refs ---- */

static hf_status drop_packed(work *w)
{
	char scratch[GS_PATH_MAX];
	hf_status status = take_lock(w, packed_lock);
	int native;

	if (status)
		return status;
	in_folder(w, "packed", scratch);
	native = gs_packed_rewrite_without(w->store, w->move->ref, scratch);
	if (!put_back(w, packed_lock))
		return shut_out(w);
	return native ? fail(w, native, "remove the packed value") : HF_OK;
}

/* ---- the change ---- */

static void remove_empty_folders(work *w)
{
	char path[GS_PATH_MAX];

	/* An empty folder left where the ref is to be; git does the same. */
	snprintf(path, sizeof(path), "%s", w->move->ref);
	unlinkat(w->dir, path, AT_REMOVEDIR);
}

static hf_status refs_below(work *w)
{
	return hf_fail(w->error, HF_UNAVAILABLE, "move", 0,
		"%s cannot be made in '%s': other refs are below it", w->move->ref,
		w->store->common);
}

static hf_status set_value(work *w, bool loose)
{
	char fresh[GS_PATH_MAX];
	bool below = false;
	int tries;

	if (!loose) {
		hf_status st = gs_packed_below(w->store, w->move->ref, &below, w->error);

		if (st || below)
			return st ? st : refs_below(w);
	}
	in_folder(w, "new", fresh);
	for (tries = 0; tries < 3; tries++) {
		int native;

		if (loose &&
			renameat2(w->dir, fresh, w->dir, w->move->ref, RENAME_EXCHANGE) == 0)
			return HF_OK;
		native = loose ? errno : EINVAL;
		if ((native == EINVAL || native == ENOSYS || native == EOPNOTSUPP) &&
			renameat(w->dir, fresh, w->dir, w->move->ref) == 0)
			return HF_OK;
		if (native == EINVAL)
			native = errno;
		if (native == EISDIR || native == ENOTEMPTY || native == EEXIST) {
			remove_empty_folders(w);
			continue;
		}
		if (native == ENOENT && !folder_is_there(w))
			return shut_out(w);
		if (native != ENOENT)
			return fail(w, native, "set the value");
		loose = false;
	}
	return refs_below(w);
}

/*
 * Packing that was under way may have read the value before it went and put it
 * into packed-refs after we looked there: so look again, and at its lock.
 */
static hf_status drop_value(work *w, bool loose)
{
	char gone[GS_PATH_MAX];
	struct stat st;
	hf_status status;
	gs_oid oid;
	bool packed;

	status = gs_packed_read(w->store, w->move->ref, &oid, &packed, w->error);
	if (!status && packed)
		status = drop_packed(w);
	if (status)
		return status;
	w->done = packed;
	/* The next value is written into it: a new file costs more than all this. */
	in_folder(w, "new", gone);
	if (loose && renameat(w->dir, w->move->ref, w->dir, gone)) {
		if (errno != ENOENT)
			return fail(w, errno, "remove the value");
		if (!folder_is_there(w))
			return shut_out(w);
	}
	w->done = true;
	if (fstatat(w->dir, packed_lock, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return drop_packed(w);
	status = gs_packed_read(w->store, w->move->ref, &oid, &packed, w->error);
	return !status && packed ? drop_packed(w) : status;
}

static void sync_folder_of_ref(work *w)
{
	char path[GS_PATH_MAX];
	char *slash;
	int fd;

	hf_copy(path, sizeof(path), w->move->ref);
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	fd = openat(w->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

static hf_status compare_and_change(work *w)
{
	gs_value now;
	hf_status st = gs_ref_read(w->store, w->move->ref, &now, w->error);

	if (st)
		return st;
	if (!gs_value_equal(&now, &w->move->from))
		return hf_fail(w->error, HF_CHANGED, "move", 0,
			"%s was changed by another program", w->move->ref);
	if (gs_oid_is_zero(&w->move->to))
		return drop_value(w, now.loose);
	st = set_value(w, now.loose);
	w->done = st == HF_OK;
	return st;
}

hf_status gs_move_ref(hf_store *store, gs_lock *lock, const gs_move *move, hf_error *error)
{
	work w = {.store = store,
		.lock = lock,
		.move = move,
		.dir = store->common_fd,
		/* Others wait for us meanwhile, and not longer than that. */
		.until_ms = hf_boot_ms() + store->patience_ms / 2,
		.error = error};
	hf_status st;

	folder_path(lock, move->folder, "move", w.folder);
	snprintf(w.ref_lock, sizeof(w.ref_lock), "%.500s.lock", move->ref);
	st = prepare(&w);
	if (st == HF_CHANGED) /* nobody else uses this folder any more */
		remove_folder(store, w.folder);
	if (st)
		return st;
	st = take_lock(&w, w.ref_lock);
	if (st)
		return st;
	st = compare_and_change(&w);
	if (!st && store->sync)
		sync_folder_of_ref(&w);
	if (!put_back(&w, w.ref_lock) && !st)
		return shut_out(&w);
	/* A deletion that got half way has happened, as far as we are concerned. */
	return st && st != HF_CHANGED && w.done ? HF_UNKNOWN : st;
}

/* ---- after others ---- */

static void clear(hf_store *store, gs_lock *lock, const char *folder)
{
	gs_move nothing = {.ref = lock->ref};
	work w = {.store = store, .lock = lock, .move = &nothing, .dir = store->common_fd};

	hf_copy(w.folder, sizeof(w.folder), folder);
	snprintf(w.ref_lock, sizeof(w.ref_lock), "%.500s.lock", lock->ref);
	if (is_our_guard(&w, w.ref_lock))
		put_back(&w, w.ref_lock);
	if (lock->raw[0]) {
		snprintf(w.ref_lock, sizeof(w.ref_lock), "%.500s.lock", lock->raw);
		if (is_our_guard(&w, w.ref_lock))
			put_back(&w, w.ref_lock);
	}
	if (is_our_guard(&w, packed_lock))
		put_back(&w, packed_lock);
}

void gs_move_clear(hf_store *store, gs_lock *lock, uint32_t folder)
{
	char path[GS_PATH_MAX];

	folder_path(lock, folder, "move", path);
	clear(store, lock, path);
}

void gs_move_shut_out(hf_store *store, gs_lock *lock, uint32_t folder)
{
	char path[GS_PATH_MAX];
	char dead[GS_PATH_MAX];
	int native;

	folder_path(lock, folder, "move", path);
	folder_path(lock, folder, "dead", dead);
	/* Begun by one who was killed in here. */
	clear(store, lock, dead);
	remove_folder(store, dead);
	native = renameat(store->common_fd, path, store->common_fd, dead) ? errno : 0;
	if (native && native != ENOENT)
		gs_warn(store, "cannot shut out a stopped writer of lock '%s': %s", lock->name,
			strerror(native));
	clear(store, lock, dead);
	remove_folder(store, dead);
}

void gs_move_remove_folder(hf_store *store, gs_lock *lock, uint32_t folder)
{
	char path[GS_PATH_MAX];

	folder_path(lock, folder, "move", path);
	remove_folder(store, path);
}
