/*
 * The content of a side file: what we know of one lock.
 *
 * A slot is one swap, self-contained: the state that it makes (`now`) and, if
 * the swap takes place only when the ref moves, the one it replaces
 * (`before`), which is still the lock's state until then:
 *
 *	mark GS_LANDED			it took place: `now`
 *	mark GS_GIVEN_UP		it will not take place: `before`
 *	else, the ref is `old`		it has not taken place (yet): `before`
 *	else				it took place: `now`
 *
 * A swap that moves no ref (an amendment; a release on a full disk) has taken
 * place once it is written.
 *
 * A state's identity (its etag) are three numbers. `origin` is drawn when the
 * lock comes into being, `gen` grows with every swap, `stamp` is drawn for
 * each: so no state ever has that of another, even if a power cut or a copy of
 * the repository makes a generation happen twice.
 */
#ifndef GS_SIDE_H
#define GS_SIDE_H

#include "store.h"
#include "store/slotfile.h"

enum {
	GS_INTENT = 0,
	GS_LANDED = 1,
	GS_MOVING = 2, /* the writer is at the ref */
	GS_GIVEN_UP = 3
};

/* One state of a lock. Pointers are borrowed from the side's memory. */
typedef struct gs_state {
	bool present; /* false: the lock was never used, or is forgotten */
	uint64_t origin;
	uint64_t gen;
	uint64_t stamp;
	uint64_t events; /* in the branch (branch) or the log (neighbour) */
	uint32_t log; /* G of the log, and how much of it counts */
	uint64_t log_len;
	gs_oid tip; /* what the ref is to be; zero: no ref */
	const char *data;
	size_t len;
	const char *json; /* neighbour: our metadata; else "" */
} gs_state;

typedef struct gs_side {
	const char *name; /* NULL: nothing was ever written */
	gs_state now;
	gs_state before; /* of a moving slot */
	bool moving;
	bool old_broken; /* `old` was a GS_BROKEN value */
	gs_oid old;
	bool verify; /* a gc ran: the branch's objects are to be checked */
	uint32_t folder; /* K of the moving folder */
} gs_side;

/* HF_CORRUPT: not such a content, or of a newer format; the text says which. */
hf_status gs_side_decode(
	gs_side *side, const hf_slot_content *content, const char *name, hf_error *error);
void gs_side_encode(const gs_side *side, hf_buf *out);

#endif
