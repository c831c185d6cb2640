/*
 * Waiting for a change with inotify.
 *
 * The state is looked at after the watch is in place, so no change is slept
 * past (R7); what was done to the watched file in between only makes it look
 * once more.
 *
 * Where inotify cannot tell (a network file system, or none is left to have),
 * the state is looked at in intervals.
 */
#include "file_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>

#define POLL_LOCAL_MS 50
#define POLL_NETWORK_MS 500

/* What one wait watches. */
struct watch {
	hf_watcher watcher; /* none: by looking in intervals */
	const char *lock_path;
	char *flock_path; /* NULL: layout=slots */
	const char *folder; /* of lock_path */
};

/*
 * The file itself, or while it is not there the folder. A neighbour's flock
 * ends with a close, if nothing else can be seen of it.
 */
static bool arm(struct watch *w)
{
	if (w->flock_path)
		(void)hf_watcher_add(&w->watcher, w->flock_path, IN_CLOSE);
	if (hf_watcher_add(&w->watcher, w->lock_path,
		    IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF))
		return true;
	return errno == ENOENT &&
	       hf_watcher_add(&w->watcher, w->folder, IN_CREATE | IN_MOVED_TO);
}

/* True also when it cannot be read: then whoever watches is to see why. */
static bool has_changed(hf_store *store, const char *name, const hf_etag *seen)
{
	hf_snapshot snapshot = {.len = 0};
	bool changed = hf_file_store_read(store, name, &snapshot, NULL) != HF_OK ||
		       !hf_etag_equal(seen, &snapshot.etag);

	free(snapshot.data);
	free(snapshot.foreign);
	return changed;
}

/* Sleep; true: enough of it. */
static bool sleep_once(struct watch *w, int64_t end_ms, int64_t interval_ms, int cancel_fd)
{
	struct pollfd fds[2] = {
		{.fd = cancel_fd, .events = POLLIN}, {.fd = w->watcher.fd, .events = POLLIN}};
	int64_t left_ms = end_ms - hf_boot_ms();

	if (left_ms <= 0)
		return true;
	if (left_ms > interval_ms)
		left_ms = interval_ms;
	if (poll(fds, 2, (int)left_ms) < 0)
		return errno == EINTR; /* waking early is allowed */
	if (fds[1].revents)
		hf_watcher_drain(&w->watcher);
	return fds[0].revents != 0;
}

hf_status hf_file_watch(hf_store *store, const char *name, const hf_etag *seen,
	int64_t timeout_ms, int cancel_fd, hf_error *error)
{
	struct watch w = {.watcher = HF_WATCHER_NONE, .folder = store->records};
	int64_t end_ms = hf_boot_ms() + timeout_ms;
	int64_t interval_ms;
	hf_status st = HF_OK;
	char *lock_path = hf_key_lock_path(store, name);

	if (store->flock_layout)
		w.flock_path = hf_flock_path(store, name);
	if (!lock_path || (store->flock_layout && !w.flock_path)) {
		st = hf_fail_memory(error, "watch");
		goto out;
	}
	w.lock_path = lock_path;
	if (!store->network)
		w.watcher = hf_watcher_take(&store->watchers);
	do {
		interval_ms = store->network ? POLL_NETWORK_MS : POLL_LOCAL_MS;
		/*
		 * Of flock(2) itself nothing is told: then both. Nor of a
		 * folder that is not there yet: then this.
		 */
		if (w.watcher.fd >= 0 && arm(&w) && !store->flock_layout)
			interval_ms = 3600000;
		if (has_changed(store, name, seen))
			break;
	} while (!sleep_once(&w, end_ms, interval_ms, cancel_fd));
out:
	hf_watcher_give_back(&store->watchers, &w.watcher);
	free(lock_path);
	free(w.flock_path);
	return st;
}
