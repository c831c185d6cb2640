/*
 * Waiting for a change with inotify.
 *
 * The state is looked at after the watch is in place, so no change is slept
 * past (R7); what was done to the watched file in between only makes it look
 * once more. Descriptors of inotify are kept for the next wait: closing one
 * takes the kernel up to tens of ms, which would delay whoever was woken.
 *
 * Where inotify cannot tell (a network file system, or none is left to have),
 * the state is looked at in intervals.
 */
#include "file_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WATCHES_MAX 16
#define POLL_LOCAL_MS 50
#define POLL_NETWORK_MS 500

void hf_file_watchers_init(hf_store *store)
{
	size_t i;

	pthread_mutex_init(&store->watchers_mutex, NULL);
	for (i = 0; i < HF_WATCHERS_CACHED; i++)
		store->watchers[i] = -1;
}

void hf_file_watchers_free(hf_store *store)
{
	size_t i;

	for (i = 0; i < HF_WATCHERS_CACHED; i++)
		if (store->watchers[i] >= 0)
			close(store->watchers[i]);
	pthread_mutex_destroy(&store->watchers_mutex);
}

static int take_descriptor(hf_store *store)
{
	int fd = -1;
	size_t i;

	pthread_mutex_lock(&store->watchers_mutex);
	for (i = 0; fd < 0 && i < HF_WATCHERS_CACHED; i++) {
		fd = store->watchers[i];
		store->watchers[i] = -1;
	}
	pthread_mutex_unlock(&store->watchers_mutex);
	return fd >= 0 ? fd : inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

static void give_back_descriptor(hf_store *store, int fd)
{
	size_t i;

	pthread_mutex_lock(&store->watchers_mutex);
	for (i = 0; fd >= 0 && i < HF_WATCHERS_CACHED; i++) {
		if (store->watchers[i] >= 0)
			continue;
		store->watchers[i] = fd;
		fd = -1;
	}
	pthread_mutex_unlock(&store->watchers_mutex);
	if (fd >= 0)
		close(fd);
}

static void drain(int fd)
{
	char events[4096];

	while (read(fd, events, sizeof(events)) > 0)
		;
}

/* What one wait watches. */
struct watch {
	int fd; /* -1: by looking in intervals */
	int watches[WATCHES_MAX];
	size_t count;
	const char *lock_path;
	char *flock_path; /* NULL: layout=slots */
	const char *folder; /* of lock_path */
};

/* False: it cannot be watched. Watching the same file again changes nothing. */
static bool add(struct watch *w, const char *path, uint32_t mask)
{
	int id = inotify_add_watch(w->fd, path, mask);
	size_t i;

	if (id < 0)
		return false;
	for (i = 0; i < w->count; i++)
		if (w->watches[i] == id)
			return true;
	if (w->count == WATCHES_MAX)
		return false;
	w->watches[w->count++] = id;
	return true;
}

/*
 * The file itself, or while it is not there the folder. A neighbour's flock
 * ends with a close, if nothing else can be seen of it.
 */
static bool arm(struct watch *w)
{
	if (w->flock_path)
		(void)add(w, w->flock_path, IN_CLOSE);
	if (add(w, w->lock_path, IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF))
		return true;
	return errno == ENOENT && add(w, w->folder, IN_CREATE | IN_MOVED_TO);
}

static void disarm(hf_store *store, struct watch *w)
{
	size_t i;

	if (w->fd < 0)
		return;
	for (i = 0; i < w->count; i++)
		(void)inotify_rm_watch(w->fd, w->watches[i]);
	drain(w->fd);
	give_back_descriptor(store, w->fd);
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
		{.fd = cancel_fd, .events = POLLIN}, {.fd = w->fd, .events = POLLIN}};
	int64_t left_ms = end_ms - hf_boot_ms();

	if (left_ms <= 0)
		return true;
	if (left_ms > interval_ms)
		left_ms = interval_ms;
	if (poll(fds, 2, (int)left_ms) < 0)
		return errno == EINTR; /* waking early is allowed */
	if (fds[1].revents)
		drain(w->fd);
	return fds[0].revents != 0;
}

hf_status hf_file_watch(hf_store *store, const char *name, const hf_etag *seen,
	int64_t timeout_ms, int cancel_fd, hf_error *error)
{
	struct watch w = {.fd = -1, .folder = store->records};
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
		w.fd = take_descriptor(store);
	do {
		interval_ms = store->network ? POLL_NETWORK_MS : POLL_LOCAL_MS;
		/*
		 * Of flock(2) itself nothing is told: then both. Nor of a
		 * folder that is not there yet: then this.
		 */
		if (w.fd >= 0 && arm(&w) && !store->flock_layout)
			interval_ms = 3600000;
		if (has_changed(store, name, seen))
			break;
	} while (!sleep_once(&w, end_ms, interval_ms, cancel_fd));
out:
	disarm(store, &w);
	free(lock_path);
	free(w.flock_path);
	return st;
}
