/*
 * A decision of the rules under way, for their three files:
 *
 *	rules.c		 beginning and committing; release, renew, ...
 *	rules_acquire.c  acquiring, the line, handing over
 *	rules_convert.c  another mode
 */
#ifndef HF_DECISION_H
#define HF_DECISION_H

#include "lock_state.h"

typedef struct decision {
	const hf_record *prev;
	const hf_request *req;
	const hf_evidence *e;
	hf_record *next;
	hf_buf *ended; /* "why:id,why:id" */
	size_t far; /* ACQUIRE: the asker is the so manieth at the far end of prev; 0: not */
	bool line_changed; /* of those who wait: to be written even if nothing else is */
	hf_verdict v;
	hf_event_kind kind;
} decision;

static inline uint64_t hf_larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The smaller of two spans, where -1 means never. */
static inline int64_t hf_decision_sooner(int64_t a, int64_t b)
{
	if (a < 0)
		return b;
	return b < 0 || a < b ? a : b;
}

/* ---- rules.c ---- */

hf_verdict hf_decision_answer(decision *d, hf_status status);
hf_verdict hf_decision_refuse(decision *d, hf_status status, int blocker, const char *reason);
void hf_decision_note_ended(decision *d, const hf_grant *g, const char *why);
void hf_decision_drop_grant(hf_record *r, size_t i);
void hf_decision_open_up(hf_record *r);
/* The generation that the swap will make. */
uint64_t hf_decision_next_gen(const decision *d);
int hf_decision_find_foreign(const hf_record *r);
int hf_decision_find_id(const hf_record *r, const char *id);
/*
 * Start `next` as prev without what is over, without a delay that ran out, and
 * without waiters who died or offers that lapsed. False: out of memory.
 */
bool hf_decision_begin(decision *d);
/* The event goes into the record and the swap is asked for. */
hf_verdict hf_decision_commit(decision *d, hf_status status, const hf_grant *about, int from);
/* What was over is written down even when the answer is no. */
hf_verdict hf_decision_conclude(decision *d, hf_status status);
/* None of the grants in next is the asked one: gone, or another's? */
hf_verdict hf_decision_not_there(decision *d);

/* ---- rules_acquire.c ---- */

hf_verdict hf_decision_acquire(decision *d);
/*
 * May `want` be let in now: beside those who hold it, other than its own group, or
 * have an offer, and is nobody before it in the line? With v.unproven set it is not
 * known yet.
 */
hf_status hf_decision_may_enter(decision *d, const hf_grant *want);
/* HELD, with what stands in the way and for how long at most; perhaps in line. */
hf_verdict hf_decision_held(decision *d, const hf_grant *want);
/*
 * Offer the lock to the first of the line, and to those behind him that can
 * share it with him. The dead are not waited for.
 */
void hf_decision_hand_over(decision *d);
/* Until an offer lapses; -1: there is none. */
int64_t hf_decision_offers_lapse(const decision *d);

/* ---- rules_convert.c ---- */

hf_verdict hf_decision_convert(decision *d);

#endif
