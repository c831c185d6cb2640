/* Waiting for a lock's state to change. */
#ifndef GS_WATCH_H
#define GS_WATCH_H

#include "store.h"

/* As in hf_store_ops. */
hf_status gs_watch(hf_store *store, const char *name, const hf_etag *seen, int64_t timeout_ms,
	int cancel_fd, hf_error *error);

#endif
