/* What state a lock is in. See lock_state.h; the chart in rules.h is the table here. */
#include "lock_state.h"

#include <assert.h>

/* ---- the chart ---- */

/* Where an event may lead to from each state; 0: it may not happen there. */
static const struct {
	unsigned char free, closed, shared, exclusive;
} chart[HF_EV_COUNT_] = {
	[HF_EV_ACQUIRE] = {HF_STATE_SHARED | HF_STATE_EXCLUSIVE, 0, HF_STATE_SHARED, 0},
	[HF_EV_STEAL] = {HF_STATE_SHARED | HF_STATE_EXCLUSIVE, 0, HF_STATE_SHARED, 0},
	[HF_EV_FORCE] = {HF_STATE_SHARED | HF_STATE_EXCLUSIVE,
		HF_STATE_SHARED | HF_STATE_EXCLUSIVE, HF_STATE_SHARED, 0},
	[HF_EV_REENTER] = {0, 0, HF_STATE_SHARED, HF_STATE_EXCLUSIVE},
	[HF_EV_RENEW] = {0, 0, HF_STATE_SHARED, HF_STATE_EXCLUSIVE},
	[HF_EV_EXTEND] = {0, 0, HF_STATE_SHARED, HF_STATE_EXCLUSIVE},
	[HF_EV_RELEASE] = {0, 0, HF_STATE_SHARED | HF_STATE_FREE | HF_STATE_CLOSED,
		HF_STATE_EXCLUSIVE | HF_STATE_SHARED | HF_STATE_FREE | HF_STATE_CLOSED},
	[HF_EV_UPGRADE] = {0, 0, HF_STATE_SHARED | HF_STATE_EXCLUSIVE, HF_STATE_EXCLUSIVE},
	[HF_EV_DOWNGRADE] = {0, 0, HF_STATE_SHARED, HF_STATE_SHARED | HF_STATE_EXCLUSIVE},
	[HF_EV_EXPIRE] = {HF_STATE_FREE, HF_STATE_CLOSED, HF_STATE_SHARED, HF_STATE_EXCLUSIVE},
	[HF_EV_BARRIER] = {HF_STATE_FREE, HF_STATE_CLOSED, HF_STATE_SHARED, HF_STATE_EXCLUSIVE},
	[HF_EV_QUEUE] = {HF_STATE_FREE, HF_STATE_CLOSED, HF_STATE_SHARED, HF_STATE_EXCLUSIVE},
	[HF_EV_FORCE_RELEASE] = {HF_STATE_FREE, HF_STATE_FREE, 0, 0},
};

int hf_state_of(const hf_record *r)
{
	size_t i;

	if (!r->grant_count)
		return r->closed_ms ? HF_STATE_CLOSED : HF_STATE_FREE;
	for (i = 0; i < r->grant_count; i++)
		if (r->grants[i].mode == HF_EXCLUSIVE)
			return HF_STATE_EXCLUSIVE;
	return HF_STATE_SHARED;
}

bool hf_chart_allows(int from, hf_event_kind event, int to)
{
	int allowed = from == HF_STATE_FREE	? chart[event].free
		      : from == HF_STATE_CLOSED ? chart[event].closed
		      : from == HF_STATE_SHARED ? chart[event].shared
						: chart[event].exclusive;

	return (allowed & to) != 0;
}

/* ---- who goes together ---- */

bool hf_conflicts(const hf_grant *held, const hf_grant *want)
{
	if (held->flags & HF_GRANT_FOREIGN)
		return true;
	return hf_modes_conflict(held->mode, want->mode);
}

bool hf_competes(const hf_record *r, const hf_grant *held, const hf_grant *want)
{
	return hf_conflicts(held, want) || (want->limit && !hf_mode_is_intent(held->mode) &&
						   hf_place_count(r) >= want->limit);
}

void hf_assert_invariants(const hf_record *prev, const hf_record *next)
{
	uint32_t limit = 0;
	size_t i;

	for (i = 0; i < next->grant_count; i++) {
		const hf_grant *g = &next->grants[i];

		assert(!(g->flags & HF_GRANT_FOREIGN));
		assert(g->token > 0 && g->token <= next->counter);
		assert(!g->limit || !hf_mode_is_intent(g->mode));
		limit = g->limit ? g->limit : limit;
	}
	assert(hf_holders_go_together(next));
	assert(!limit || hf_place_count(next) <= limit);
	for (i = 0; i < next->waiter_count; i++) {
		const hf_waiter *w = &next->waiters[i];

		assert(w->arrival && w->arrival <= next->gen && w->offer <= next->gen);
	}
	assert(hf_offers_go_together(next));
	assert(next->gen > prev->gen);
	assert(next->counter >= prev->counter);
	(void)prev;
}

/* ---- evidence ---- */

bool hf_clock_shared(const char *clock, const hf_evidence *e)
{
	return clock[0] && strcmp(clock, e->clock) == 0;
}

int64_t hf_rules_claim_left_ms(const hf_record *record, size_t i, const hf_evidence *e)
{
	const hf_waiter *w = &record->waiters[i];
	int64_t left;

	if (hf_clock_shared(w->want.clock, e))
		left = w->claim_deadline_ms - e->now_ms;
	else
		left = w->claim_ms - (e->waiters ? e->waiters[i].unchanged_ms : 0);
	return left > 0 ? left : 0;
}

static int64_t unchanged_ms(size_t i, const hf_evidence *e)
{
	return e->grants ? e->grants[i].unchanged_ms : 0;
}

int64_t hf_rules_remaining_ms(const hf_record *record, size_t i, const hf_evidence *e)
{
	const hf_grant *g = &record->grants[i];
	int64_t left;

	if (g->ttl_ms <= 0)
		return -1;
	left = hf_clock_shared(g->clock, e) ? g->deadline_ms - e->now_ms
					    : g->ttl_ms - unchanged_ms(i, e);
	return left > 0 ? left : 0;
}

const char *hf_rules_over(const hf_record *record, size_t i, const hf_evidence *e)
{
	if ((record->grants[i].flags & HF_GRANT_BOUND) && e->grants && e->grants[i].dead)
		return "dead";
	return hf_rules_remaining_ms(record, i, e) == 0 ? "expired" : NULL;
}

int64_t hf_rules_closed_ms(const hf_record *record, const hf_evidence *e)
{
	int64_t left;

	if (!record->closed_ms)
		return 0;
	left = hf_clock_shared(record->closed_clock, e)
		       ? record->closed_until_ms - e->now_ms
		       : record->closed_ms - e->closed_unchanged_ms;
	return left > 0 ? left : 0;
}

/* How long since grant i was last renewed, as far as we can know. */
int64_t hf_unrenewed_ms(const hf_record *record, size_t i, const hf_evidence *e)
{
	const hf_grant *g = &record->grants[i];

	if (hf_clock_shared(g->clock, e))
		return e->now_ms - (g->deadline_ms - g->ttl_ms);
	return unchanged_ms(i, e);
}
