/*
 * What differs between the branch of events and a neighbour's metadata.
 */
#ifndef GS_LAYOUT_H
#define GS_LAYOUT_H

#include "object.h"
#include "present.h"

/* The object that the ref is to name, if a swap makes one. */
typedef struct gs_made {
	gs_type type;
	hf_buf object; /* empty: none is made */
	bool leave_ref; /* the ref is not ours to move, or cannot be moved now */
} gs_made;

struct gs_layout {
	/*
	 * Judge p->value against p->state: set p->status and p->problem, the
	 * neighbour, or another p->state. Fails only when it cannot look.
	 */
	hf_status (*look)(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error);

	/*
	 * `side->now` is p->state, with the change's record and its identity.
	 * Set tip, id, events and log for it, and make the object. Locked.
	 */
	hf_status (*make)(hf_store *store, gs_lock *lock, const gs_present *p,
		const hf_change *change, gs_side *side, gs_made *made, hf_error *error);

	/* After the ref was moved, and the swap took place. Locked. */
	void (*landed)(hf_store *store, gs_lock *lock, const gs_present *p,
		const hf_change *change, const gs_side *side);

	/* The object of the state's tip is gone: write it again. Locked. */
	hf_status (*heal)(
		hf_store *store, gs_lock *lock, const gs_state *state, hf_error *error);

	/* Event lines of the state, newest first. */
	hf_status (*history)(hf_store *store, gs_lock *lock, const gs_state *state,
		size_t limit, hf_store_line_fn fn, void *arg, hf_error *error);

	/* As `make`, for a state that differs only in what history it has. */
	hf_status (*prune)(
		hf_store *store, gs_lock *lock, size_t keep, gs_side *side, hf_error *error);

	/* The name of a lock that has a ref `relative` but no side file. */
	bool (*name_of)(hf_store *store, const char *relative, char out[HF_NAME_MAX + 1]);
};

/*
 * Does it take nothing more? Then a full disk is not to refuse it. What takes
 * something makes a record longer.
 */
static inline bool gs_gives_back(const gs_present *p, const hf_change *change)
{
	return p->state.present && change->len <= p->state.len;
}

extern const gs_layout gs_branch_layout;
extern const gs_layout gs_neighbour_layout;

#endif
