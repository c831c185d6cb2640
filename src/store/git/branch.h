/*
 * The branch of a lock's events: walking it, keeping it whole, keeping it
 * short.
 *
 * Whole: `git gc --prune=now` and `git prune` remove what they found
 * unreachable when they began, which may be commits that we made since. While
 * git says that a gc runs (gc.pid) and once it has ended, and every now and
 * then besides, the newest commits are looked for and written again from the
 * log.
 *
 * Short: a branch twice as long as wanted is begun anew: the newest commits
 * again, the oldest of them without a parent.
 */
#ifndef GS_BRANCH_H
#define GS_BRANCH_H

#include "layout.h"

/* Commits of a branch, newest first, as git and the log have them. */
typedef struct gs_walk gs_walk;
hf_status gs_walk_open(
	hf_store *store, gs_lock *lock, const gs_state *state, gs_walk **out, hf_error *error);
void gs_walk_close(gs_walk *walk);
/*
 * The commit `oid`: its content, NUL-ended, until the next call. HF_CORRUPT: it is
 * neither in the repository nor in the log.
 */
hf_status gs_walk_read(gs_walk *walk, const gs_oid *oid, const char **data_out, size_t *len_out,
	hf_error *error);

/* Write again what is missing of the newest `count` commits (0: all) in the log. */
hf_status gs_branch_repair(
	hf_store *store, gs_lock *lock, const gs_state *state, size_t count, hf_error *error);

/* Repair if a gc may have harmed it; sets side->verify. */
void gs_branch_tend(hf_store *store, gs_lock *lock, const gs_present *p, gs_side *side);

/*
 * Write the newest `keep` commits again as a branch of their own, and a log of
 * it: changes tip, events and log of `state`. The old log is to be dropped.
 */
hf_status gs_branch_shorten(
	hf_store *store, gs_lock *lock, gs_state *state, size_t keep, hf_error *error);

#endif
