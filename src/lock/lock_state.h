/*
 * What state a lock is in, and what evidence says of its grants: the questions
 * that the rules ask before they decide. Pure.
 */
#ifndef HF_LOCK_STATE_H
#define HF_LOCK_STATE_H

#include "modes.h"
#include "queue.h"
#include "rules.h"

/* The states of the chart in rules.h; bits, so that sets can be told. */
enum { HF_STATE_FREE = 1, HF_STATE_CLOSED = 2, HF_STATE_SHARED = 4, HF_STATE_EXCLUSIVE = 8 };

int hf_state_of(const hf_record *r);
/* May this event lead from one state to the other? */
bool hf_chart_allows(int from, hf_event_kind event, int to);
/* What holds of every record that the rules make. */
void hf_assert_invariants(const hf_record *prev, const hf_record *next);

/* Do these two never hold at the same time, whatever their limits? */
bool hf_conflicts(const hf_grant *held, const hf_grant *want);
/* Does it stand in the way of `want`, or take one of the places that it wants? */
bool hf_competes(const hf_record *r, const hf_grant *held, const hf_grant *want);

/* Is this a grant that `who` names? Never a neighbour's. */
bool hf_who_names(const hf_who *who, const hf_grant *g);

/* Is a time of this clock's domain comparable with the evidence's? */
bool hf_clock_shared(const char *clock, const hf_evidence *e);
/* Until the offer to waiter i lapses; 0: it has. */
int64_t hf_rules_claim_left_ms(const hf_record *record, size_t i, const hf_evidence *e);
/* How long since grant i was last renewed, as far as we can know. */
int64_t hf_unrenewed_ms(const hf_record *record, size_t i, const hf_evidence *e);

#endif
