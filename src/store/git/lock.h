/*
 * One name of a store: its paths and the handles kept open for it.
 *
 * Handles are cached, so that a lock used again costs no opening. Of one name
 * there is at most one, used by one thread at a time; different names do not
 * wait for each other.
 */
#ifndef GS_LOCK_H
#define GS_LOCK_H

#include "store.h"
#include "store/slotfile.h"

struct gs_lock {
	char name[HF_NAME_MAX + 1];
	char escaped[GS_ESCAPED_MAX + 1];
	char ref[GS_PATH_MAX]; /* full name, and path of the loose file */
	char raw[GS_PATH_MAX]; /* the ref that a neighbour would use, if it is
				  * another; else "" */
	char stem[GS_PATH_MAX]; /* "holdfast/SPACE/ESC" */
	hf_slotfile *slot;
	int log_fd; /* -1: not open */
	uint32_t log_fd_of; /* the log it is of */
	int64_t verified_ms; /* when the branch was last looked through */

	/* Of the cache, with store->mutex held. */
	bool busy; /* a thread has it, and with it all above */
	pthread_cond_t turn;
	unsigned users; /* who has it or waits for it */
	uint64_t used; /* store->lock_tick, for eviction */
	gs_lock *next;
};

/* The escaped form of a name that fits one part of a ref's name. */
void gs_escape(const char *name, char out[GS_ESCAPED_MAX + 1]);
/* False: hashed, or not of our making. out: HF_NAME_MAX + 1. */
bool gs_unescape(const char *escaped, char *out);

/*
 * The lock of `name`, for this thread alone until gs_lock_put().
 * HF_UNAVAILABLE: another thread had it for longer than the store's patience.
 */
hf_status gs_lock_get(hf_store *store, const char *name, gs_lock **out, hf_error *error);
void gs_lock_put(hf_store *store, gs_lock *lock);
void gs_locks_free(hf_store *store);

/* A handle of the side file for the escaped name; not cached. */
hf_status gs_slotfile_of(const hf_store *store, const char *escaped, bool create,
	int64_t patience_ms, hf_slotfile **out, hf_error *error);

#endif
