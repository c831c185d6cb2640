/*
 * What a manager counts, for hf_metrics_get().
 *
 * A name's counters are found once an acquisition and then belong to the lease,
 * so that counting is a few atomic additions, without a lock. What ends is
 * counted after what began it, and read before it: a copy never shows an end
 * without its beginning.
 */
#ifndef HF_METRICS_H
#define HF_METRICS_H

#include "base/base.h"

#include <stdatomic.h>

#define HF_METRICS_NAMES 256 /* that are counted each by itself */
#define HF_METRICS_SLOTS 512 /* a power of two, never more than half full */

/* What is counted by itself; the rest comes from the two histograms. */
enum hf_counter {
	HF_COUNT_RELEASES,
	HF_COUNT_LOSSES,
	HF_COUNT_FAILED_RELEASES,
	HF_COUNT_CONFLICTS,
	HF_COUNT_RETRIES,
	HF_COUNT_STALE_CLAIMED,
	HF_COUNT_FORCED,
	HF_COUNT_FAILED_HELD,
	HF_COUNT_FAILED_TIMED_OUT,
	HF_COUNT_FAILED_DEADLOCK,
	HF_COUNT_FAILED_UNAVAILABLE,
	HF_COUNT_FAILED_UNKNOWN,
	HF_COUNT_FAILED_OTHER,
	HF_COUNTERS
};

typedef struct hf_timer {
	_Atomic uint64_t total_ns;
	_Atomic uint64_t buckets[HF_HISTOGRAM_BUCKETS];
} hf_timer;

typedef struct hf_counts {
	_Atomic uint64_t counters[HF_COUNTERS];
	hf_timer wait;
	hf_timer hold;
	char name[];
} hf_counts;

/* Zeroed to begin with. */
typedef struct hf_counts_table {
	_Atomic(hf_counts *) slots[HF_METRICS_SLOTS];
	_Atomic(hf_counts *) rest; /* of the names that have no slot */
	size_t used; /* under the manager's mutex */
} hf_counts_table;

/* What one acquisition has met. */
typedef struct hf_tally {
	int64_t asked_ns; /* when it was called */
	bool conflict; /* another held it */
	uint64_t retries; /* looks after the first */
	size_t ended; /* others' grants that it ended */
} hf_tally;

struct hf_manager;
struct hf_lease;

/* An acquisition is over: `lease` was granted, or `status` says why not. */
void hf_count_granted(struct hf_lease *lease, hf_strategy strategy, const hf_tally *tally);
void hf_count_refused(
	struct hf_manager *m, const char *name, hf_status status, const hf_tally *tally);

/* An upgrade is over, with this answer: counted but for the time it took. */
void hf_count_upgrade(struct hf_lease *lease, hf_status status, const hf_tally *tally);

/* A lease that was granted has been released, with this answer; or is lost. */
void hf_count_released(struct hf_lease *lease, hf_status status);
void hf_count_lost(struct hf_lease *lease);

/* `n` times, without a lease in hand. */
void hf_count(struct hf_manager *m, const char *name, enum hf_counter counter, uint64_t n);

void hf_counts_free(hf_counts_table *table);

#endif
