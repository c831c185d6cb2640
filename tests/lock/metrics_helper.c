#include "metrics_helper.h"

hf_manager *open_store(const char *url)
{
	hf_open_options options = HF_OPEN_OPTIONS_INIT;
	hf_manager *m;

	options.state_dir = "";
	assert_int_equal(hf_open(url, &options, &m, NULL), HF_OK);
	return m;
}

hf_metrics of(hf_manager *m, const char *name)
{
	hf_metrics metrics = HF_METRICS_INIT;

	assert_int_equal(hf_metrics_get(m, name, &metrics, NULL), HF_OK);
	return metrics;
}

hf_lease *acquire(hf_manager *m, const char *name, const hf_acquire_options *options)
{
	hf_lease *lease;

	assert_int_equal(hf_acquire(m, name, options, &lease, NULL), HF_OK);
	return lease;
}

void assert_refused(
	hf_manager *m, const char *name, const hf_acquire_options *options, hf_status status)
{
	hf_lease *lease;

	assert_int_equal(hf_acquire(m, name, options, &lease, NULL), status);
	assert_null(lease);
}

uint64_t all_buckets(const hf_histogram *h)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < HF_HISTOGRAM_BUCKETS; i++)
		n += h->buckets[i];
	return n;
}
