/* Acquiring without blocking in a test. */
#ifndef HF_TEST_PENDING_H
#define HF_TEST_PENDING_H

#include "../held.h"
#include "world.h"

hf_pending *start(
	hf_manager *m, const char *name, const hf_acquire_options *options, void *arg);
/* Is the manager's descriptor readable within ms? */
bool told(hf_manager *m, int64_t ms);
/* Wait for the answer of this one alone; fails the test after 20 s. */
hf_status answer(hf_manager *m, hf_pending *pending, hf_lease **lease_out, hf_error *error);
/* As answer(), and it must be HF_OK. */
hf_lease *have(hf_manager *m, hf_pending *pending);
/* Wait until it is `n`; false after 10 s. */
bool waiters_become(hf_manager *m, const char *name, size_t n);
bool holders_become(hf_manager *m, const char *name, size_t n);
/* Threads of this process. */
int world_threads(void);
/* Does the store under test have a line in the record? */
bool has_line(void);

#endif
