/*
 * What a ref says, as git reads it: the loose file, else packed-refs.
 *
 * Nothing here changes a ref: move.h does.
 */
#ifndef GS_REF_H
#define GS_REF_H

#include "store.h"

typedef enum gs_value_kind {
	GS_ABSENT,
	GS_OID,
	GS_BROKEN, /* a file that holds no object id (empty after a power cut) */
	GS_SYMBOLIC /* points to another ref: never ours */
} gs_value_kind;

typedef struct gs_value {
	gs_value_kind kind;
	gs_oid oid; /* zero unless GS_OID */
	bool loose; /* there is a loose file */
} gs_value;

static inline bool gs_value_equal(const gs_value *a, const gs_value *b)
{
	return a->kind == b->kind && gs_oid_equal(&a->oid, &b->oid);
}

/* `ref` is a full name, "refs/...". HF_SYSTEM, HF_NO_MEMORY. */
hf_status gs_ref_read(hf_store *store, const char *ref, gs_value *out, hf_error *error);

/* Only what packed-refs says; *found_out tells if it is there. */
hf_status gs_packed_read(
	hf_store *store, const char *ref, gs_oid *out, bool *found_out, hf_error *error);

/* Names under the store's prefix, without it; each of packed and loose once. */
hf_status gs_ref_list(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error);

/* Are there packed refs in the folder of this name? git allows only one. */
hf_status gs_packed_below(hf_store *store, const char *ref, bool *below_out, hf_error *error);

/* Names in packed-refs under the prefix, without it. */
hf_status gs_packed_list(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error);

void gs_packed_free(gs_packed *packed);

#endif
