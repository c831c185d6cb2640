/* Looking over all locks of a store: list, sweep. */
#ifndef GS_TIDY_H
#define GS_TIDY_H

#include "store.h"

/* As in hf_store_ops. */
hf_status gs_list(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error);
hf_status gs_sweep(hf_store *store, size_t *removed, hf_error *error);

/*
 * `path` is a lock file of git's (REF.lock, packed-refs.lock): remove it if a
 * dead process of ours left it while working on another lock.
 */
void gs_free_left_lock(hf_store *store, const char *path);

#endif
