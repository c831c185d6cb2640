/*
 * The line of those who wait for a lock. Pure; the rules ask it.
 *
 * Waiters stand in the record. Who comes first is told by hf_queue_before():
 *
 *	1. those that hold the lock and want more of it (an upgrade: its `group` is
 *	   that of the hold): who must wait for them to let go, must do so anyway;
 *	2. those that answered their last offer, before those that did not, who let
 *	   fewer lapse before the others;
 *	3. priority, which rises by one with every HF_QUEUE_AGING grants that
 *	   went past a waiter to one that came later: nobody starves;
 *	4. arrival.
 *
 * Whenever a swap leaves a lock that would let the first of the line in, the
 * same swap *offers* it to him: until it is claimed, nobody else gets in. The
 * offer becomes a grant, with a token of then, by his claim, an acquisition
 * like any other. It lapses after the claim time that he announced: it passes
 * on, and he stands behind the others until he shows that he is there. If two of
 * one host let theirs lapse, all of it do, until one of it shows that it is there
 * (two claim times for a host that went away, not one for each of its waiters).
 * After HF_QUEUE_MISSES lapses in a row he is taken out.
 *
 * Nobody is passed over for being in the way: while the first must wait for
 * what is held, those behind do too, readers behind a writer for one.
 */
#ifndef HF_QUEUE_H
#define HF_QUEUE_H

#include "record.h"

#define HF_QUEUE_AGING 8
#define HF_QUEUE_MISSES 3
#define HF_QUEUE_HOST_MISSED 1 /* hf_waiter.missed: not he, others of his host; else one more */

/*
 * A record may be folded (record.h): who stands at the far end of a long line is
 * not read until it matters. These say so where it does; then hf_record_unfold().
 */
#define HF_QUEUE_FAR (-2) /* an index: it is somebody at the far end */

/* Is `a` served before `b`? A total order of the waiters of one record. */
bool hf_queue_before(const hf_waiter *a, const hf_waiter *b);

/* Index of the waiter with this id, or -1: not among those at hand. */
int hf_queue_find(const hf_record *record, const char *id);
/*
 * The how manieth at the far end has this id, from 1 on; 0: none. SIZE_MAX: only
 * unfolding it can tell.
 */
size_t hf_queue_find_far(const hf_record *record, const char *id);
/* The first of those who have no offer; -1: none; or HF_QUEUE_FAR. */
int hf_queue_head(const hf_record *record);
/*
 * How many without an offer are served before `waiter`, which may be one of
 * the record (by its id) or not; he does not stand at the far end. And before
 * the so manieth there.
 */
size_t hf_queue_ahead(const hf_record *record, const hf_waiter *waiter);
size_t hf_queue_ahead_of_far(const hf_record *record, size_t far);
/*
 * Who is served right before `waiter`, one of those at hand; -1: nobody; HF_QUEUE_FAR:
 * the last at the far end.
 */
int hf_queue_right_before(const hf_record *record, const hf_waiter *waiter);
/* The first that has an offer and is not `id`, or -1. */
int hf_queue_offered(const hf_record *record, const char *id);

void hf_queue_drop(hf_record *record, size_t i);
/* Those whose hold is over wait for more of it in vain: take them out. */
void hf_queue_drop_orphans(hf_record *record);
/*
 * One that arrived later than others (ARRIVED_LAST: than all) was let in. False: past
 * some at the far end, which must be unfolded first.
 */
#define HF_QUEUE_ARRIVED_LAST UINT64_MAX
bool hf_queue_went_past(hf_record *record, uint64_t arrival);
bool hf_queue_of_host(const hf_waiter *waiter, const char *host);
/* Waiter i of a record that is not folded let its offer lapse. True: he was taken out. */
bool hf_queue_missed(hf_record *record, size_t i);

/*
 * After a swap from `before` to `after` by the waiter `self`: call `ring` for
 * each who must know: has an offer now, or has become the first of the line,
 * who looks after what the others need not (the holder's end, other programs).
 */
void hf_queue_to_ring(const hf_record *before, const hf_record *after, const char *self,
	void (*ring)(void *arg, const hf_waiter *waiter), void *arg);

#endif
