/*
 * holdfast: several locks at once, all or none. A part of holdfast.h, whose essay holds
 * here too.
 */
#ifndef HOLDFAST_MANY_H
#define HOLDFAST_MANY_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_MANY_MAX 256 /* locks that one call takes */

/* One of several locks to acquire. */
typedef struct hf_want {
	hf_manager *manager;
	const char *name;
	const hf_acquire_options *options; /* NULL: the defaults; wait_ms is not used */
} hf_want;

/*
 * Acquire `count` locks (1 to HF_MANY_MAX), in one store or several: all, or
 * none. They are asked for one after the other in one order that is the same
 * for everybody (by the store's identity, then by the bytes of the name), so
 * callers that want some of the same do not wait for each other in a circle;
 * those already had are renewed while the next is waited for, and given back if
 * one cannot be had. One lock named twice is refused, through two managers of
 * one store too. Of tree names (HF_TREE_NAME) that have names above them in common
 * each has its own intention there, which joins the first; one name may be above
 * another, except shared above one that is exclusive (HF_INVALID).
 *
 * wait_ms (-1: for ever; 0: one try each) is for all together. One that is to
 * be had at once or not at all has the strategy HF_FAIL_FAST. on_lost is called
 * for leases in leases_out alone, not for what is given back.
 *
 * HF_OK: leases_out[i] is that of wants[i]; end them with hf_release_many() or
 * one by one. Otherwise all are NULL, and *failed_out (may be NULL) is the index
 * of the one that could not be had, or `count` if it was none of them. Statuses
 * as of hf_acquire(); HF_TIMED_OUT: also, those had before took all of the time;
 * HF_INVALID: also `count`, or a lock named twice; HF_LOST: also, one was lost
 * while another was waited for, again and again.
 *
 * Thread-safe. Rests on R1 and on hf_store_identity(): equal text, equal locks.
 */
HF_API HF_MUST_CHECK hf_status hf_acquire_many(const hf_want *wants, size_t count,
	int64_t wait_ms, hf_lease **leases_out, size_t *failed_out, hf_error *error);

/*
 * Release and free leases (NULL ones are skipped), the last acquired first as
 * hf_acquire_many() orders them, whatever becomes of each; leases[i] become
 * NULL. count is 0 to HF_MANY_MAX.
 *
 * HF_OK: all are released. Else as hf_release() for the one that *failed_out
 * (may be NULL) tells: one with HF_LOST if there is any, otherwise the first
 * that failed.
 */
HF_API hf_status hf_release_many(
	hf_lease **leases, size_t count, size_t *failed_out, hf_error *error);

#ifdef __cplusplus
}
#endif
#endif
