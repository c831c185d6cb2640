/*
 * holdfast: what a manager has done, in numbers. A part of holdfast.h, whose essay holds
 * here too.
 *
 * They are kept in memory, for each name and in all, from hf_open() on; `holdfast metrics`
 * shows those that the command keeps from run to run. Counting never fails and asks no
 * store. A refusal before anything was asked (a bad name or option) does not count.
 */
#ifndef HOLDFAST_METRICS_H
#define HOLDFAST_METRICS_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How often it took how long. */
#define HF_HISTOGRAM_BUCKETS 24
typedef struct hf_histogram {
	uint64_t count;
	uint64_t total_us; /* total_us / count is the average */
	/* [i]: longer than bound i - 1, at most hf_histogram_bound_us(i). */
	uint64_t buckets[HF_HISTOGRAM_BUCKETS];
} hf_histogram;

/*
 * The upper bound of a bucket in microseconds, from 1 to 86 400 000 000 (a
 * day); UINT64_MAX for the last one, and beyond. The bounds never change.
 */
HF_API uint64_t hf_histogram_bound_us(size_t bucket);

/*
 * What a manager has done, since it was opened or since the counts were last
 * taken. Refusals before anything was asked (a bad name or option) do not count.
 */
typedef struct hf_metrics {
	size_t size; /* sizeof(hf_metrics); set by the _INIT */
	uint64_t acquisitions; /* granted */
	uint64_t releases; /* hf_release_by() has no time to add to `hold` */
	/* Those to failed_other count upgrades (hf_convert()) too. */
	uint64_t conflicts; /* acquisitions, granted or not, that found it held */
	uint64_t retries; /* how often they looked again */
	uint64_t failed_held; /* acquisitions that returned HF_HELD, and so on */
	uint64_t failed_timed_out; /* cancelled ones, too */
	uint64_t failed_deadlock;
	uint64_t failed_unavailable;
	uint64_t failed_unknown;
	uint64_t failed_other;
	uint64_t stale_claimed; /* grants for which one ended that was expired,
				 * dead, or stale (HF_STEAL_STALE) */
	uint64_t forced; /* HF_FORCE_ACQUIRE that ended another's; hf_force_release() */
	uint64_t losses; /* leases that ended without our releasing them */
	uint64_t failed_releases; /* the store did not say that it was done */
	hf_histogram wait; /* from asking to the grant: of acquisitions */
	hf_histogram hold; /* from the grant to release or loss */
} hf_metrics;

#define HF_METRICS_INIT                                                                    \
	{                                                                                  \
		sizeof(hf_metrics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0, 0, {0}}, \
		{                                                                          \
			0, 0,                                                              \
			{                                                                  \
				0                                                          \
			}                                                                  \
		}                                                                          \
	}

/*
 * Copy the metrics of `name`, or of all names (NULL), into *metrics_out, which
 * the caller has set to HF_METRICS_INIT. A name not used has zeros. Cheap; asks
 * no store. Thread-safe: what others count meanwhile may be in it or not, but
 * never an end without its beginning. HF_INVALID: another size, or after a fork.
 */
HF_API HF_MUST_CHECK hf_status hf_metrics_get(
	hf_manager *manager, const char *name, hf_metrics *metrics_out, hf_error *error);

/* Return non-zero to stop. `metrics` is valid during the call only. */
typedef int (*hf_metrics_fn)(void *arg, const char *name, const hf_metrics *metrics);

/*
 * Call `fn` for each name counted, in no order. There are at most 256: what
 * comes after shares one under the name "". With `take` the counts begin anew,
 * and nothing counted meanwhile is lost; then only names that have counts are
 * told. HF_INVALID: after a fork.
 */
HF_API HF_MUST_CHECK hf_status hf_metrics_each(
	hf_manager *manager, int take, hf_metrics_fn fn, void *arg, hf_error *error);

#ifdef __cplusplus
}
#endif
#endif
