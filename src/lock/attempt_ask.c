/*
 * What an attempt knows: the state that it read, decoded, and what was observed of
 * it; and asking the rules about that. See attempt.h.
 */
#include "attempt.h"

/* snap into record; what we wrote ourselves is at hand. */
static hf_status decode_snapshot(hf_attempt *a)
{
	if (!a->written)
		return hf_snapshot_decode(
			a->setup.name, &a->snap, a->setup.near, &a->record, &a->error);
	hf_record_exchange(&a->record, &a->next);
	a->written = false;
	a->bare = true;
	return HF_OK;
}

hf_status hf_attempt_decode(hf_attempt *a, hf_now now)
{
	size_t n;
	hf_status st;

	if (a->decoded)
		return HF_OK;
	st = decode_snapshot(a);
	if (st)
		return st;
	n = a->record.grant_count;
	if (!hf_attempt_blank_evidence(a))
		return hf_fail_memory(&a->error, "attempt");
	if (a->fresh && (n || a->record.closed_ms || a->record.waiter_count) &&
		!hf_observer_see(a->setup.observer, &a->record, now.boot_ms))
		return hf_fail_memory(&a->error, "attempt");
	a->decoded = true;
	a->probed = false;
	/* What was forgotten starts again above the floor: no going back. */
	if (a->fresh && (a->record.gen ? a->record.gen : a->snap.floor) < a->asked_gen)
		a->regressed = true;
	return HF_OK;
}

/*
 * The time of the store's clock, at least. Its own clock went on since it told
 * us; a host-local store has the clock of this host.
 */
static hf_evidence evidence_now(hf_attempt *a, hf_now now)
{
	hf_evidence e = {.clock = "",
		.wall_ms = now.wall_ms,
		.grants = a->evidence,
		.waiters = a->waiters};
	size_t i;

	if (a->setup.host_clock[0]) {
		e.clock = a->setup.host_clock;
		e.now_ms = now.boot_ms;
	} else if (a->setup.capabilities & HF_CAP_CLOCK) {
		e.clock = "store";
		e.now_ms = a->snap.now_ms + (now.boot_ms - a->snap.told_ms);
	}
	for (i = 0; i < a->record.grant_count; i++)
		a->evidence[i].unchanged_ms =
			hf_observer_unchanged_ms(a->setup.observer, &a->record, i, now.boot_ms);
	for (i = 0; i < a->record.waiter_count; i++)
		a->waiters[i].unchanged_ms =
			hf_observer_offer_ms(a->setup.observer, &a->record, i, now.boot_ms);
	e.closed_unchanged_ms =
		hf_observer_closed_ms(a->setup.observer, &a->record, now.boot_ms);
	e.floor = a->snap.floor;
	return e;
}

hf_status hf_attempt_unfold(hf_attempt *a)
{
	hf_status st = hf_record_unfold(&a->record, &a->error);

	if (!st && !hf_attempt_blank_evidence(a))
		st = hf_fail_memory(&a->error, "attempt");
	a->probed = false;
	a->decoded = !st;
	return st;
}

hf_status hf_attempt_ask(hf_attempt *a, const hf_request *request, hf_now now)
{
	hf_evidence e = evidence_now(a, now);
	hf_status st;

	a->verdict = hf_rules_apply(&a->record, request, &e, &a->next, &a->scratch);
	if (!a->verdict.unfold)
		return HF_OK;
	st = hf_attempt_unfold(a);
	if (st)
		return st;
	e = evidence_now(a, now);
	a->verdict = hf_rules_apply(&a->record, request, &e, &a->next, &a->scratch);
	return HF_OK;
}
