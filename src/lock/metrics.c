/* Counting, and handing out what was counted. See metrics.h. */
#include "manager.h"

#include <stdlib.h>

/* Of a bucket, in microseconds: from what a mutex takes to a day. */
static const uint64_t bounds_us[HF_HISTOGRAM_BUCKETS - 1] = {1, 10, 100, 1000, 2500, 5000,
	10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000,
	30000000, 60000000, 300000000, 900000000, 3600000000, 21600000000, 86400000000};

uint64_t hf_histogram_bound_us(size_t bucket)
{
	return bucket < HF_ARRAY_LEN(bounds_us) ? bounds_us[bucket] : UINT64_MAX;
}

/* ---- counting ---- */

/* Release: whoever sees this sees what was counted before it. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_release);
}

static void add_time(hf_timer *timer, int64_t took_ns)
{
	uint64_t ns = took_ns > 0 ? (uint64_t)took_ns : 0;
	size_t low = 0;
	size_t high = HF_ARRAY_LEN(bounds_us);

	/* The first bound that is not smaller. */
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (ns <= bounds_us[middle] * 1000)
			high = middle;
		else
			low = middle + 1;
	}
	atomic_fetch_add_explicit(&timer->total_ns, ns, memory_order_relaxed);
	add(&timer->buckets[low], 1);
}

/* Where the name is, or would be. */
static _Atomic(hf_counts *) *slot_of(hf_counts_table *table, const char *name)
{
	uint64_t hash = hf_hash(HF_HASH_INIT, name, strlen(name));
	size_t i = (hash ^ (hash >> 32)) & (HF_METRICS_SLOTS - 1);

	for (;; i = (i + 1) & (HF_METRICS_SLOTS - 1)) {
		hf_counts *there = atomic_load_explicit(&table->slots[i], memory_order_acquire);

		if (!there || !strcmp(there->name, name))
			return &table->slots[i];
	}
}

/* Counters for `name` in *slot. NULL: no memory. Under the mutex. */
static hf_counts *new_counts(_Atomic(hf_counts *) *slot, const char *name)
{
	size_t size = strlen(name) + 1;
	hf_counts *counts = calloc(1, sizeof(*counts) + size);

	if (!counts)
		return NULL;
	memcpy(counts->name, name, size);
	atomic_store_explicit(slot, counts, memory_order_release);
	return counts;
}

/* The counters of `name`, or those that all the rest share. NULL: no memory. */
static hf_counts *counts_of(hf_manager *m, const char *name)
{
	hf_counts_table *table = &m->counts;
	hf_counts *counts = atomic_load_explicit(slot_of(table, name), memory_order_acquire);
	_Atomic(hf_counts *) *slot;

	if (counts)
		return counts;
	pthread_mutex_lock(&m->mutex);
	slot = slot_of(table, name);
	counts = *slot;
	if (!counts && table->used < HF_METRICS_NAMES) {
		counts = new_counts(slot, name);
		table->used += counts != NULL;
	}
	if (!counts)
		counts = table->rest;
	if (!counts)
		counts = new_counts(&table->rest, "");
	pthread_mutex_unlock(&m->mutex);
	return counts;
}

static void count_tally(hf_counts *counts, const hf_tally *tally)
{
	if (tally->conflict)
		add(&counts->counters[HF_COUNT_CONFLICTS], 1);
	if (tally->retries)
		add(&counts->counters[HF_COUNT_RETRIES], tally->retries);
}

void hf_count_granted(hf_lease *lease, hf_strategy strategy, const hf_tally *tally)
{
	hf_counts *counts = counts_of(lease->manager, lease->name);

	lease->granted_ns = hf_boot_ns();
	lease->counts = counts;
	if (!counts)
		return;
	add_time(&counts->wait, lease->granted_ns - tally->asked_ns);
	count_tally(counts, tally);
	if (tally->ended)
		add(&counts->counters[strategy == HF_FORCE_ACQUIRE ? HF_COUNT_FORCED
								   : HF_COUNT_STALE_CLAIMED],
			1);
}

void hf_count_refused(hf_manager *m, const char *name, hf_status status, const hf_tally *tally)
{
	static const enum hf_counter counters[HF_STATUS_COUNT_] = {
		[HF_HELD] = HF_COUNT_FAILED_HELD,
		[HF_TIMED_OUT] = HF_COUNT_FAILED_TIMED_OUT,
		[HF_DEADLOCK] = HF_COUNT_FAILED_DEADLOCK,
		[HF_UNAVAILABLE] = HF_COUNT_FAILED_UNAVAILABLE,
		[HF_UNKNOWN] = HF_COUNT_FAILED_UNKNOWN,
	};
	hf_counts *counts = counts_of(m, name);

	if (!counts)
		return;
	/* 0, which is none of these, stands for those not named. */
	add(&counts->counters[counters[status] ? counters[status] : HF_COUNT_FAILED_OTHER], 1);
	count_tally(counts, tally);
}

void hf_count_upgrade(hf_lease *lease, hf_status status, const hf_tally *tally)
{
	hf_counts *counts;

	if (status) {
		hf_count_refused(lease->manager, lease->name, status, tally);
		return;
	}
	counts = counts_of(lease->manager, lease->name);
	if (counts)
		count_tally(counts, tally);
}

void hf_count_lost(hf_lease *lease)
{
	if (!lease->counts)
		return;
	add_time(&lease->counts->hold, hf_boot_ns() - lease->granted_ns);
	add(&lease->counts->counters[HF_COUNT_LOSSES], 1);
}

void hf_count_released(hf_lease *lease, hf_status status)
{
	if (!lease->counts || lease->lost)
		return; /* counted when it was lost */
	if (status == HF_LOST) {
		hf_count_lost(lease);
	} else if (status) {
		add(&lease->counts->counters[HF_COUNT_FAILED_RELEASES], 1);
	} else {
		add_time(&lease->counts->hold, hf_boot_ns() - lease->granted_ns);
		add(&lease->counts->counters[HF_COUNT_RELEASES], 1);
	}
}

void hf_count(hf_manager *m, const char *name, enum hf_counter counter, uint64_t n)
{
	hf_counts *counts = counts_of(m, name);

	if (counts && n)
		add(&counts->counters[counter], n);
}

void hf_counts_free(hf_counts_table *table)
{
	size_t i;

	for (i = 0; i < HF_METRICS_SLOTS; i++)
		free(table->slots[i]);
	free(table->rest);
}

/* ---- handing out ---- */

/* In the order of enum hf_counter. */
static const size_t fields[HF_COUNTERS] = {
	[HF_COUNT_RELEASES] = offsetof(hf_metrics, releases),
	[HF_COUNT_LOSSES] = offsetof(hf_metrics, losses),
	[HF_COUNT_FAILED_RELEASES] = offsetof(hf_metrics, failed_releases),
	[HF_COUNT_CONFLICTS] = offsetof(hf_metrics, conflicts),
	[HF_COUNT_RETRIES] = offsetof(hf_metrics, retries),
	[HF_COUNT_STALE_CLAIMED] = offsetof(hf_metrics, stale_claimed),
	[HF_COUNT_FORCED] = offsetof(hf_metrics, forced),
	[HF_COUNT_FAILED_HELD] = offsetof(hf_metrics, failed_held),
	[HF_COUNT_FAILED_TIMED_OUT] = offsetof(hf_metrics, failed_timed_out),
	[HF_COUNT_FAILED_DEADLOCK] = offsetof(hf_metrics, failed_deadlock),
	[HF_COUNT_FAILED_UNAVAILABLE] = offsetof(hf_metrics, failed_unavailable),
	[HF_COUNT_FAILED_UNKNOWN] = offsetof(hf_metrics, failed_unknown),
	[HF_COUNT_FAILED_OTHER] = offsetof(hf_metrics, failed_other),
};

static uint64_t look(_Atomic uint64_t *counter, bool take)
{
	return take ? atomic_exchange(counter, 0)
		    : atomic_load_explicit(counter, memory_order_acquire);
}

static void look_at_timer(hf_timer *timer, bool take, hf_histogram *out)
{
	uint64_t total_us;
	size_t i;

	for (i = 0; i < HF_HISTOGRAM_BUCKETS; i++) {
		uint64_t n = look(&timer->buckets[i], take);

		out->buckets[i] += n;
		out->count += n;
	}
	total_us = atomic_load_explicit(&timer->total_ns, memory_order_relaxed) / 1000;
	/* What is less than a microsecond stays for the next time. */
	if (take)
		atomic_fetch_sub(&timer->total_ns, total_us * 1000);
	out->total_us += total_us;
}

/* Add the counts to `out`: ends first, then what they are the ends of. */
static void look_at(hf_counts *counts, bool take, hf_metrics *out)
{
	size_t i;

	for (i = 0; i < HF_COUNTERS; i++)
		*(uint64_t *)((char *)out + fields[i]) += look(&counts->counters[i], take);
	look_at_timer(&counts->hold, take, &out->hold);
	look_at_timer(&counts->wait, take, &out->wait);
	out->acquisitions = out->wait.count;
}

/* Some counter is not 0; nothing is counted without. */
static bool has_counts(const hf_metrics *metrics)
{
	size_t i;

	for (i = 0; i < HF_COUNTERS; i++)
		if (*(const uint64_t *)((const char *)metrics + fields[i]))
			return true;
	return metrics->wait.count || metrics->hold.count;
}

/* The i-th of all counters there may be; NULL: none there. */
static hf_counts *counts_at(hf_counts_table *table, size_t i)
{
	return atomic_load_explicit(
		i < HF_METRICS_SLOTS ? &table->slots[i] : &table->rest, memory_order_acquire);
}

static hf_status check(const hf_manager *m, hf_error *error)
{
	if (m->fork_generation == hf_fork_generation())
		return HF_OK;
	return hf_fail(error, HF_INVALID, "metrics", 0,
		"this manager was opened before a fork: open another in the child");
}

hf_status hf_metrics_get(
	hf_manager *manager, const char *name, hf_metrics *metrics_out, hf_error *error)
{
	static const hf_metrics zero = HF_METRICS_INIT;
	hf_counts_table *table = &manager->counts;
	hf_counts *counts;
	size_t i;

	if (metrics_out->size != sizeof(*metrics_out))
		return hf_fail(error, HF_INVALID, "metrics", 0,
			"hf_metrics has another size than this library's: initialise it with "
			"HF_METRICS_INIT");
	if (check(manager, error))
		return HF_INVALID;
	*metrics_out = zero;
	for (i = 0; !name && i <= HF_METRICS_SLOTS; i++) {
		counts = counts_at(table, i);
		if (counts)
			look_at(counts, false, metrics_out);
	}
	if (!name)
		return HF_OK;
	counts = atomic_load_explicit(
		name[0] ? slot_of(table, name) : &table->rest, memory_order_acquire);
	if (counts)
		look_at(counts, false, metrics_out);
	return HF_OK;
}

hf_status hf_metrics_each(
	hf_manager *manager, int take, hf_metrics_fn fn, void *arg, hf_error *error)
{
	size_t i;

	if (check(manager, error))
		return HF_INVALID;
	for (i = 0; i <= HF_METRICS_SLOTS; i++) {
		hf_counts *counts = counts_at(&manager->counts, i);
		hf_metrics metrics = HF_METRICS_INIT;

		if (!counts)
			continue;
		look_at(counts, take != 0, &metrics);
		if ((!take || has_counts(&metrics)) && fn(arg, counts->name, &metrics))
			break;
	}
	return HF_OK;
}
