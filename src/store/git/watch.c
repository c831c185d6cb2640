#include "watch.h"
#include "present.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#define POLL_MS 1000 /* a backstop: also where inotify tells nothing */

#define IN_FOLDER (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)

/* What is heard of one lock. */
typedef struct ears {
	hf_watcher watcher;
	bool partial; /* a folder is not there yet: one above it is watched */
	char slot[GS_ESCAPED_MAX + 8]; /* the files' names */
	char ref[GS_PATH_MAX];
	char raw[GS_PATH_MAX];
} ears;

/* The folder of `relative`, or the nearest above it that is there. */
static void add_folder_above(const hf_store *store, const char *relative, ears *e)
{
	char path[PATH_MAX];
	size_t root = strlen(store->common);
	char *slash;

	snprintf(path, sizeof(path), "%s/%s", store->common, relative);
	slash = strrchr(path, '/');
	*slash = '\0';
	while (!hf_watcher_add(&e->watcher, path, IN_FOLDER) && errno == ENOENT) {
		e->partial = true;
		slash = strrchr(path, '/');
		if (!slash || (size_t)(slash - path) < root)
			break;
		*slash = '\0';
	}
}

static const char *leaf_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/*
 * What to hear of: the side file (our own swaps; it is also replaced), the
 * loose ref in its folder and packed-refs (programs that know nothing of side
 * files).
 */
static void listen_to(const hf_store *store, const gs_lock *lock, ears *e)
{
	char path[PATH_MAX];

	if (e->watcher.fd < 0)
		return;
	snprintf(e->slot, sizeof(e->slot), "%s.slot", lock->escaped);
	hf_copy(e->ref, sizeof(e->ref), leaf_of(lock->ref));
	hf_copy(e->raw, sizeof(e->raw), leaf_of(lock->raw));
	snprintf(path, sizeof(path), "%s/%s.slot", store->common, lock->stem);
	if (!hf_watcher_add(
		    &e->watcher, path, IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB)) {
		e->partial = true;
		add_folder_above(store, lock->stem, e);
	}
	add_folder_above(store, lock->ref, e);
	if (lock->raw[0])
		add_folder_above(store, lock->raw, e);
	(void)hf_watcher_add(
		&e->watcher, store->common, IN_MOVED_TO | IN_ONLYDIR | IN_MASK_ADD);
}

/*
 * Is one of the events that came about this lock? Others in the same folders
 * would wake all who wait there.
 */
static bool is_about(const ears *e)
{
	const char *const names[] = {e->slot, e->ref, e->raw, "packed-refs"};
	char buffer[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool about = false;
	ssize_t n;

	while ((n = read(e->watcher.fd, buffer, sizeof(buffer))) > 0) {
		char *at = buffer;

		while (at < buffer + n) {
			/* The kernel has aligned each. */
			const struct inotify_event *event = (const void *)at;
			size_t i;

			if (e->partial || event->len == 0)
				about = true;
			for (i = 0; i < HF_ARRAY_LEN(names) && !about; i++)
				about = strcmp(event->name, names[i]) == 0;
			at += sizeof(*event) + event->len;
		}
	}
	return about;
}

static hf_status differs(hf_store *store, const char *name, const hf_etag *seen,
	bool *differs_out, hf_error *error)
{
	gs_lock *lock;
	gs_present p;
	hf_status st = gs_lock_get(store, name, &lock, error);

	if (st)
		return st;
	st = gs_present_read(store, lock, &p, error);
	if (!st) {
		*differs_out = p.status || !hf_etag_equal(seen, &p.etag);
		gs_present_clear(&p);
	}
	gs_lock_put(store, lock);
	return st;
}

/* Anew each time: the side file may be another one by now. */
static hf_status listen(hf_store *store, const char *name, ears *e, hf_error *error)
{
	gs_lock *lock;
	hf_status st = gs_lock_get(store, name, &lock, error);

	hf_watcher_clear(&e->watcher);
	e->partial = false;
	if (st)
		return st;
	listen_to(store, lock, e);
	gs_lock_put(store, lock);
	return HF_OK;
}

/* Until something about the lock is heard; false: cancelled, or it failed. */
static bool hear(ears *e, int64_t until_ms, int cancel_fd)
{
	int64_t again_ms = hf_boot_ms() + POLL_MS;
	struct pollfd fds[2];

	if (again_ms > until_ms)
		again_ms = until_ms;
	fds[0] = (struct pollfd){.fd = e->watcher.fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = cancel_fd, .events = POLLIN};
	for (;;) {
		int64_t left_ms = again_ms - hf_boot_ms();
		int n = poll(fds, 2, left_ms > 0 ? (int)left_ms : 0);

		if ((n < 0 && errno != EINTR) || (n > 0 && fds[1].revents))
			return false;
		if (left_ms <= 0 || (n > 0 && is_about(e)))
			return true;
	}
}

hf_status gs_watch(hf_store *store, const char *name, const hf_etag *seen, int64_t timeout_ms,
	int cancel_fd, hf_error *error)
{
	int64_t until_ms = hf_boot_ms() + timeout_ms;
	bool changed = false;
	ears e = {.watcher = hf_watcher_take(&store->watchers)};
	hf_status st = listen(store, name, &e, error);

	while (!st) {
		/* Listening first: what changes after this look is heard. */
		st = differs(store, name, seen, &changed, error);
		if (st || changed || hf_boot_ms() >= until_ms || !hear(&e, until_ms, cancel_fd))
			break;
		st = listen(store, name, &e, error);
	}
	hf_watcher_give_back(&store->watchers, &e.watcher);
	return st;
}
