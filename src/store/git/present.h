/*
 * What state a lock is in: its side file and its ref, judged together.
 */
#ifndef GS_PRESENT_H
#define GS_PRESENT_H

#include "floor.h"
#include "lock.h"
#include "ref.h"
#include "side.h"

typedef struct gs_present {
	gs_side side;
	gs_value value; /* of the ref */
	gs_value raw; /* of lock->raw */
	/*
	 * The lock's state, by its side file; a layout may put what the ref
	 * tells in its place. Points into content or memory.
	 */
	gs_state state;
	gs_floor floor; /* only if the state is not present */
	/* HF_CORRUPT: no state can be told; `problem` says why. */
	hf_status status;
	hf_error problem;
	/* A neighbour holds it: the ref, or the raw ref, is its doing. */
	bool foreign;
	bool foreign_raw;
	hf_public_view neighbour;
	gs_oid foreign_oid;
	hf_etag etag;

	hf_slot_content content;
	hf_buf memory;
	bool damaged; /* the side file: nothing of `side` is known */
} gs_present;

void gs_present_clear(gs_present *p);

/*
 * Without locking. HF_OK also when p->status says that the state is corrupt;
 * else HF_SYSTEM, HF_NO_MEMORY: it could not be looked at.
 */
hf_status gs_present_read(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error);

/*
 * With the side file locked (if this returns HF_OK: unlock it). What a dead or
 * stopped writer left is put in order first, so that the state is final.
 * Besides: HF_UNAVAILABLE, HF_CANNOT_CREATE.
 */
hf_status gs_present_lock(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error);

/* Copy into an answer. HF_NO_MEMORY. */
hf_status gs_present_answer(
	const hf_store *store, const gs_present *p, hf_snapshot *out, hf_error *error);

/* The etag of a state that nobody but us holds. */
hf_etag gs_etag_of(const gs_state *state);

/* True if the slot's swap took place, given the ref's value. */
bool gs_side_took_place(const gs_side *side, uint8_t mark, const gs_value *value);

#endif
