/* Taking a lock in a test, giving it back, and looking at it: what must succeed, does. */
#ifndef HF_TEST_HELD_H
#define HF_TEST_HELD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <holdfast/holdfast.h>

hf_lease *take(hf_manager *m, const char *name, const hf_acquire_options *options);
void give_back(hf_lease *lease);
/* One try, given back at once; a refusal must come with a reason. */
hf_status try_it(hf_manager *m, const char *name, const hf_acquire_options *options);

/* How many hold it, and how many wait for it. */
size_t holders(hf_manager *m, const char *name);
size_t waiters(hf_manager *m, const char *name);

/* True as soon as fn(arg) is, within ms. */
bool eventually(bool (*fn)(void *arg), void *arg, int64_t ms);

#endif
