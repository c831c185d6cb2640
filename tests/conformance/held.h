/* Taking and giving back a lock in a test: what must succeed, does. */
#ifndef HF_TEST_HELD_H
#define HF_TEST_HELD_H

#include "world.h"

hf_lease *take(hf_manager *m, const char *name, const hf_acquire_options *options);
void give_back(hf_lease *lease);
/* How many hold it. */
size_t holders(hf_manager *m, const char *name);
/* One try, given back at once; a refusal must come with a reason. */
hf_status try_it(hf_manager *m, const char *name, const hf_acquire_options *options);

#endif
