/*
 * Names that are paths in a tree: a hold of `a/b/c` that stands on intentions of
 * `a` and `a/b`, and excludes whoever holds one of these (modes.h).
 *
 * All of them have one id, which is how who comes from outside finds the
 * intentions that go with a hold (HF_GRANT_TREE_NAME). They are taken from the
 * root on and given back the other way round; acquire_many.c does the first,
 * lease.c has the lease that they make together.
 */
#ifndef HF_TREE_NAME_H
#define HF_TREE_NAME_H

#include "manager.h"

/* HF_INVALID: it has an empty part, or one that is "." or "..". */
hf_status hf_tree_check_name(const char *name, hf_error *error);

/*
 * Bytes of the next longer name above `name` than one of `len` (0: the root); 0:
 * there is none.
 */
size_t hf_tree_next_above(const char *name, size_t len);

#define HF_GROUP_MAX 64 /* bytes of an id in a record */

/*
 * Does one of `o->under` hold `name`, so that an intention of this mode can join
 * it? Its group, or "". HF_INVALID: it does, and is in the way.
 */
hf_status hf_tree_find_join(hf_manager *m, const char *name, hf_mode mode,
	const hf_acquire_options *o, char group_out[HF_GROUP_MAX + 1], hf_error *error);

/* The ids of those holds of a name that stand on intentions. */
typedef struct hf_tree_ids {
	size_t count;
	char (*ids)[HF_GROUP_MAX + 1];
} hf_tree_ids;

/*
 * Of all that `who` names (as the record has it; NULL: of all). To be freed in
 * every case. A name without names above it has none, and is not read.
 */
hf_status hf_tree_ids_read(
	hf_manager *m, const char *name, const hf_who *who, hf_tree_ids *out, hf_error *error);
void hf_tree_ids_free(hf_tree_ids *ids);

/*
 * Release the intentions, those nearest to `name` first. HF_LOST: one was over.
 * Others: the first that went wrong; all are tried.
 */
hf_status hf_tree_release_above(
	hf_manager *m, const char *name, const hf_tree_ids *ids, hf_error *error);
/* Renew them, from the root on. HF_LOST: one is over. */
hf_status hf_tree_extend_above(hf_manager *m, const char *name, const hf_tree_ids *ids,
	int64_t ttl_ms, hf_error *error);

#endif
