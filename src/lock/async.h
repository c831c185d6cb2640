/*
 * Acquisitions without a thread each, as the rest of the manager sees them. See
 * <holdfast/async.h> for what they promise and async_internal.h for how.
 */
#ifndef HF_LOCK_ASYNC_H
#define HF_LOCK_ASYNC_H

#include "manager.h"

/* True: `id` is one of this manager's, and was told to look. */
bool hf_async_ring(hf_manager *m, const char *id);
/* This manager has changed `name`, by a request of `self` (or ""). */
void hf_async_changed(hf_manager *m, const char *name, const char *self);
/*
 * Cancel all that is pending, leave the lines and give back what was had but
 * not finished, as long as the store answers. The handles stay their owners'.
 */
void hf_async_stop(hf_manager *m);

#endif
