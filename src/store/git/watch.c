#include "watch.h"
#include "present.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#define POLL_MS 1000 /* a backstop: also where inotify tells nothing */

/*
 * What to hear of: the side file in its folder (our own swaps; it is also
 * replaced), the loose ref in its folder and packed-refs (programs that know
 * nothing of side files).
 */
static int add_watches(const hf_store *store, const gs_lock *lock)
{
	const uint32_t names = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR;
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[PATH_MAX];

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/%s.slot", store->common, lock->stem);
	if (inotify_add_watch(fd, path, IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB) <
		0) {
		snprintf(path, sizeof(path), "%s/%s", store->common, store->space);
		inotify_add_watch(fd, path, names);
	}
	snprintf(path, sizeof(path), "%s/%s", store->common, lock->ref);
	*strrchr(path, '/') = '\0';
	inotify_add_watch(fd, path, names);
	if (lock->raw[0]) {
		snprintf(path, sizeof(path), "%s/%s", store->common, lock->raw);
		*strrchr(path, '/') = '\0';
		inotify_add_watch(fd, path, names);
	}
	inotify_add_watch(fd, store->common, IN_MOVED_TO | IN_ONLYDIR);
	return fd;
}

static void drain(int fd)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
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

/* The paths only: no thread is to wait for a watcher. */
static hf_status open_watches(hf_store *store, const char *name, int *fd_out, hf_error *error)
{
	gs_lock *lock;
	hf_status st = gs_lock_get(store, name, &lock, error);

	if (st)
		return st;
	*fd_out = add_watches(store, lock);
	gs_lock_put(store, lock);
	return HF_OK;
}

hf_status gs_watch(hf_store *store, const char *name, const hf_etag *seen, int64_t timeout_ms,
	int cancel_fd, hf_error *error)
{
	int64_t until_ms = hf_boot_ms() + timeout_ms;
	struct pollfd fds[2];
	bool changed = false;
	int fd = -1;
	hf_status st = open_watches(store, name, &fd, error);

	while (!st) {
		int64_t left_ms = until_ms - hf_boot_ms();

		st = differs(store, name, seen, &changed, error);
		if (st || changed || left_ms <= 0)
			break;
		fds[0] = (struct pollfd){.fd = fd, .events = POLLIN};
		fds[1] = (struct pollfd){.fd = cancel_fd, .events = POLLIN};
		if (poll(fds, 2, (int)(left_ms < POLL_MS ? left_ms : POLL_MS)) < 0 &&
			errno != EINTR)
			break;
		if (fds[1].revents)
			break;
		/* A folder or file that was not there may be there now. */
		if (fd < 0 || fds[0].revents == 0) {
			if (fd >= 0)
				close(fd);
			st = open_watches(store, name, &fd, error);
		} else {
			drain(fd);
		}
	}
	if (fd >= 0)
		close(fd);
	return st;
}
