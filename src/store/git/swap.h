/* Replacing a lock's state; the one place where side file and ref meet. */
#ifndef GS_SWAP_H
#define GS_SWAP_H

#include "store.h"

/* As in hf_store_ops. */
hf_status gs_swap(hf_store *store, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *snapshot_out, hf_error *error);
hf_status gs_prune(hf_store *store, const char *name, size_t keep, hf_error *error);
hf_status gs_forget(hf_store *store, const char *name, const hf_etag *expected, uint64_t floor,
	hf_error *error);

#endif
