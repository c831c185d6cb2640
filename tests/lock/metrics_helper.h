/* What the tests of hf_metrics_get() do again and again. What must succeed, does. */
#ifndef METRICS_HELPER_H
#define METRICS_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"

/* A manager without a folder of its own. */
hf_manager *open_store(const char *url);
/* The counts of a name; NULL: of all. */
hf_metrics of(hf_manager *m, const char *name);
hf_lease *acquire(hf_manager *m, const char *name, const hf_acquire_options *options);
void assert_refused(
	hf_manager *m, const char *name, const hf_acquire_options *options, hf_status status);
/* The sum of all buckets. */
uint64_t all_buckets(const hf_histogram *h);

#endif
