#include "lock.h"
#include "layout.h"
#include "repo.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEPT 64 /* handles kept open */

/*
 * hf_name_escape() marks a hashed name by '~', which git does not allow in a
 * ref's name; '#' it does, and an escaped name has none either.
 */
void gs_escape(const char *name, char out[GS_ESCAPED_MAX + 1])
{
	char *mark;

	hf_name_escape(name, GS_ESCAPED_MAX, out);
	mark = strrchr(out, '~');
	if (mark)
		*mark = '#';
}

bool gs_unescape(const char *escaped, char *out)
{
	return strlen(escaped) <= GS_ESCAPED_MAX && !strchr(escaped, '#') &&
	       hf_name_unescape(escaped, out);
}

hf_status gs_slotfile_of(const hf_store *store, const char *escaped, bool create,
	int64_t patience_ms, hf_slotfile **out, hf_error *error)
{
	hf_slotfile_options options = {.create = create,
		.sync = store->sync,
		.read_locked = store->network,
		.patience_ms = patience_ms,
		.mode = 0600 | (store->shared & 0660)};
	char path[PATH_MAX];
	int n = snprintf(
		path, sizeof(path), "%s/%s/%s.slot", store->common, store->space, escaped);

	if (n < 0 || (size_t)n >= sizeof(path))
		return hf_fail(error, HF_SYSTEM, "open", ENAMETOOLONG,
			"the path of '%s' is too long", store->common);
	return hf_slotfile_new(path, &options, out, error);
}

static void lock_free(gs_lock *lock)
{
	hf_slotfile_free(lock->slot);
	if (lock->log_fd >= 0)
		close(lock->log_fd);
	pthread_cond_destroy(&lock->turn);
	free(lock);
}

static gs_lock *lock_new(hf_store *store, const char *name, hf_error *error)
{
	gs_lock *lock = calloc(1, sizeof(*lock));
	pthread_condattr_t monotonic;

	if (!lock) {
		hf_fail_memory(error, "open");
		return NULL;
	}
	hf_copy(lock->name, sizeof(lock->name), name);
	gs_escape(name, lock->escaped);
	snprintf(lock->ref, sizeof(lock->ref), "%s%s", store->prefix, lock->escaped);
	if (store->layout == &gs_neighbour_layout && strcmp(lock->escaped, name)) {
		snprintf(lock->raw, sizeof(lock->raw), "%s%s", store->prefix, name);
		if (!gs_ref_name_valid(lock->raw))
			lock->raw[0] = '\0';
	}
	snprintf(lock->stem, sizeof(lock->stem), "%s/%s", store->space, lock->escaped);
	lock->log_fd = -1;
	if (gs_slotfile_of(
		    store, lock->escaped, true, store->patience_ms, &lock->slot, error)) {
		free(lock);
		return NULL;
	}
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&lock->turn, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return lock;
}

static void evict_nolock(hf_store *store)
{
	gs_lock **oldest = NULL;
	gs_lock **at;
	gs_lock *gone;

	for (at = &store->locks; *at; at = &(*at)->next)
		if (!(*at)->users && (!oldest || (*at)->used < (*oldest)->used))
			oldest = at;
	if (!oldest)
		return;
	gone = *oldest;
	*oldest = gone->next;
	store->lock_count--;
	lock_free(gone);
}

/* NULL: it could not be made, *error says why. */
static gs_lock *find_nolock(hf_store *store, const char *name, hf_error *error)
{
	gs_lock *lock;

	for (lock = store->locks; lock; lock = lock->next)
		if (strcmp(lock->name, name) == 0)
			return lock;
	if (store->lock_count >= KEPT)
		evict_nolock(store);
	lock = lock_new(store, name, error);
	if (lock) {
		lock->next = store->locks;
		store->locks = lock;
		store->lock_count++;
	}
	return lock;
}

/* Until no other thread has it; false: the store's patience is over. */
static bool wait_for_turn_nolock(hf_store *store, gs_lock *lock)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += store->patience_ms / 1000 + 1;
	while (lock->busy)
		if (pthread_cond_timedwait(&lock->turn, &store->mutex, &until))
			return !lock->busy;
	return true;
}

hf_status gs_lock_get(hf_store *store, const char *name, gs_lock **out, hf_error *error)
{
	hf_error why = {.kind = HF_OK};
	gs_lock *lock;

	*out = NULL;
	pthread_mutex_lock(&store->mutex);
	lock = find_nolock(store, name, &why);
	if (lock) {
		lock->users++;
		lock->used = ++store->lock_tick;
		if (wait_for_turn_nolock(store, lock)) {
			lock->busy = true;
			*out = lock;
		} else {
			lock->users--;
			hf_fail(&why, HF_UNAVAILABLE, "lock", 0,
				"another thread of this process has been at work on lock '%s' "
				"for "
				"too long",
				name);
		}
	}
	pthread_mutex_unlock(&store->mutex);
	if (why.kind && error)
		*error = why;
	return why.kind;
}

void gs_lock_put(hf_store *store, gs_lock *lock)
{
	pthread_mutex_lock(&store->mutex);
	lock->busy = false;
	lock->users--;
	pthread_cond_signal(&lock->turn);
	pthread_mutex_unlock(&store->mutex);
}

void gs_locks_free(hf_store *store)
{
	while (store->locks) {
		gs_lock *lock = store->locks;

		store->locks = lock->next;
		lock_free(lock);
	}
}
