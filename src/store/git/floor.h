/*
 * The floor of a space: what absent locks start above.
 *
 * A forgotten lock leaves nothing behind but this: no counter of an absent
 * lock was ever above `floor`. `epoch` grows with each forgetting, so that
 * "absent" before and after is not the same state (R2).
 */
#ifndef GS_FLOOR_H
#define GS_FLOOR_H

#include "store.h"

typedef struct gs_floor {
	uint64_t floor;
	uint64_t epoch;
	int64_t wall_ms; /* when something was last forgotten */
} gs_floor;

hf_status gs_floor_read(hf_store *store, gs_floor *out, hf_error *error);
/* Raise to at least `floor`, begin another epoch. Errors as hf_slotfile_*. */
hf_status gs_floor_raise(hf_store *store, uint64_t floor, hf_error *error);
void gs_floor_free(gs_floor_file *file);

#endif
