/*
 * The rules of acquiring: who is let in, who stands in line, whom a free lock is
 * handed over to. See rules.h and queue.h.
 */
#include "decision.h"

#define PARTIES_MAX 64

/* ---- who is let in ---- */

/* The places of a limit that are taken, or have been offered to others. */
static size_t places_taken(const hf_record *n, const hf_grant *want)
{
	size_t count = hf_place_count(n);
	size_t i;

	for (i = 0; i < n->waiter_count; i++)
		count += n->waiters[i].offer && strcmp(n->waiters[i].want.id, want->id) != 0 &&
			 !hf_mode_is_intent(n->waiters[i].want.mode);
	return count;
}

/* Both of the lock itself, with limits that are not the same. */
static bool other_limit(const hf_grant *a, const hf_grant *b)
{
	return !hf_mode_is_intent(a->mode) && !hf_mode_is_intent(b->mode) &&
	       a->limit != b->limit;
}

/* The first hold of the lock itself, no intention; -1: none. */
static int find_sharer(const hf_record *r)
{
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (!hf_mode_is_intent(r->grants[i].mode))
			return (int)i;
	return -1;
}

/*
 * Is it of the group of which `want` is to be more? (The id of a newcomer may be that
 * of a group of which others are left: see hf_grant.gen.)
 */
static bool is_own(const hf_grant *held, const hf_grant *want)
{
	return hf_same_group(held, want) && strcmp(want->group, want->id) != 0;
}

/*
 * Would `want` be let in beside the grants of next, and beside those who have
 * an offer? HF_INVALID: never, as long as that limit stands.
 */
static hf_status admissible(decision *d, const hf_grant *want)
{
	const hf_record *n = d->next;
	int sharer = find_sharer(n);
	size_t i;

	for (i = 0; i < n->grant_count; i++)
		if (hf_conflicts(&n->grants[i], want) && !is_own(&n->grants[i], want))
			return HF_HELD;
	if (n->closed_ms)
		return HF_HELD; /* for every newcomer, whoever else is in */
	for (i = 0; i < n->waiter_count; i++) {
		const hf_waiter *w = &n->waiters[i];

		if (w->offer && strcmp(w->want.id, want->id) != 0 &&
			(hf_conflicts(&w->want, want) || other_limit(&w->want, want)) &&
			!is_own(&w->want, want))
			return HF_HELD;
	}
	if (sharer >= 0 && other_limit(&n->grants[sharer], want) &&
		!is_own(&n->grants[sharer], want))
		return HF_INVALID;
	return want->limit && places_taken(n, want) >= want->limit ? HF_HELD : HF_OK;
}

/* ---- handing over ---- */

/* Is this waiter of next known to live, as far as that can be known? */
static bool is_proven(decision *d, const hf_waiter *w)
{
	int i;

	if (!d->e->waiters)
		return true;
	i = hf_queue_find(d->prev, w->want.id);
	if (i < 0 || d->e->waiters[i].probed)
		return true; /* it came by this swap, or was looked at */
	d->v.unproven = i;
	return false;
}

/*
 * Offer the lock to the first of the line, and to those behind him that can
 * share it with him. The dead are not waited for.
 */
void hf_decision_hand_over(decision *d)
{
	hf_record *n = d->next;
	int head;

	hf_queue_drop_orphans(n);
	while ((head = hf_queue_head(n)) >= 0) {
		hf_waiter *w = &n->waiters[head];

		if (admissible(d, &w->want) != HF_OK || !is_proven(d, w))
			return;
		w->offer = n->gen;
		w->want.clock = d->e->clock;
		w->claim_deadline_ms = d->e->now_ms + w->claim_ms;
		/* One who holds it already goes past nobody. */
		if (!hf_waiter_upgrades(w) && !hf_queue_went_past(n, w->arrival))
			head = HF_QUEUE_FAR;
		if (head == HF_QUEUE_FAR)
			break;
	}
	d->v.unfold = d->v.unfold || head == HF_QUEUE_FAR;
}

/* ---- acquire ---- */

hf_status hf_decision_may_enter(decision *d, const hf_grant *want)
{
	const hf_record *n = d->next;
	int mine = hf_queue_find(n, want->id);
	hf_waiter me = {.want = *want, .arrival = HF_QUEUE_ARRIVED_LAST};
	hf_status st = admissible(d, want);
	int first = st == HF_HELD ? hf_queue_offered(n, want->id) : hf_queue_head(n);

	if (mine >= 0)
		me = n->waiters[mine];
	if (first == HF_QUEUE_FAR && hf_waiter_upgrades(&me))
		return st;
	if (first == HF_QUEUE_FAR) {
		d->v.unfold = true;
		return HF_HELD;
	}
	if (first < 0 || first == mine || st == HF_INVALID)
		return st;
	if (st == HF_OK && (me.offer || !hf_queue_before(&n->waiters[first], &me)))
		return HF_OK;
	if (!is_proven(d, &n->waiters[first]))
		return HF_HELD;
	/* Time alone has opened it, and he has not come: now he is offered it. */
	if (st == HF_OK && admissible(d, &n->waiters[first].want) == HF_OK)
		d->line_changed = true;
	return HF_HELD;
}

/* What others must know of one who waits: little, see record.h. */
static void describe(hf_waiter *w, const hf_grant *want)
{
	w->want.id = want->id;
	w->want.group = want->group;
	w->want.owner = want->owner;
	w->want.mode = want->mode;
	w->want.limit = want->limit;
	w->want.priority = want->priority;
	w->want.under = want->under;
	w->want.process = want->process;
	/* Outside of containers process ids do, for others there too. */
	if (want->process.pidns == HF_PIDNS_OF_THE_HOST)
		w->want.process.live = "";
}

/* The asker's host is there: those of it who fell back for others come forward again. */
static void show_host(decision *d)
{
	const char *host = d->req->grant.process.host;
	hf_record *n = d->next;
	size_t i;

	for (i = 0; i < n->waiter_count; i++) {
		hf_waiter *w = &n->waiters[i];

		if (w->missed != HF_QUEUE_HOST_MISSED || !hf_queue_of_host(w, host))
			continue;
		w->missed = 0;
		d->line_changed = true;
		d->v.unfold = d->v.unfold || n->far_count;
	}
}

/* No neighbour is waited for in line: it would not hand over. */
static hf_status stand_in_line(decision *d, const hf_grant *want)
{
	hf_record *n = d->next;
	int mine = hf_queue_find(n, want->id);
	hf_waiter *w;

	if (!d->req->queue || hf_decision_find_foreign(n) >= 0)
		return HF_OK;
	if (d->far) {
		d->v.waits = true;
		d->v.ahead = hf_queue_ahead_of_far(n, d->far);
		return HF_OK;
	}
	if (mine < 0) {
		/* Those who left are told of until it is unfolded. */
		d->v.unfold = n->far_count && n->party_count > PARTIES_MAX;
		w = hf_record_add_waiter(n);
		if (!w)
			return HF_NO_MEMORY;
		describe(w, want);
		w->want.acquired_wall_ms = d->e->wall_ms;
		w->arrival = hf_decision_next_gen(d);
		w->claim_ms = d->req->claim_ms;
		d->line_changed = true;
	} else {
		w = &n->waiters[mine];
		d->line_changed = d->line_changed || w->missed;
		w->missed = 0;
	}
	d->v.waits = true;
	d->v.ahead = hf_queue_ahead(n, w);
	return HF_OK;
}

int64_t hf_decision_offers_lapse(const decision *d)
{
	int64_t left = -1;
	size_t i;

	for (i = 0; i < d->prev->waiter_count; i++)
		if (d->prev->waiters[i].offer)
			left = hf_decision_sooner(
				left, hf_rules_claim_left_ms(d->prev, i, d->e));
	return left;
}

/* What ends by time, if it is in the way of `want`; that of its own hold counts too. */
static void note_in_the_way(decision *d, size_t i, const hf_grant *want)
{
	const hf_grant *g = &d->prev->grants[i];
	int64_t left = d->req->stale_after_ms - hf_unrenewed_ms(d->prev, i, d->e);

	if (d->v.blocker < 0 && !is_own(g, want))
		d->v.blocker = (int)i;
	d->v.wait_ms =
		hf_decision_sooner(d->v.wait_ms, hf_rules_remaining_ms(d->prev, i, d->e));
	if (d->req->take == HF_TAKE_STALE && left > 0)
		d->v.wait_ms = hf_decision_sooner(d->v.wait_ms, left);
}

hf_verdict hf_decision_held(decision *d, const hf_grant *want)
{
	size_t i;

	d->v.wait_ms = d->next->closed_ms ? hf_rules_closed_ms(d->next, d->e) : -1;
	d->v.wait_ms = hf_decision_sooner(d->v.wait_ms, hf_decision_offers_lapse(d));
	for (i = 0; i < d->prev->grant_count; i++) {
		const hf_grant *g = &d->prev->grants[i];

		if (!hf_rules_over(d->prev, i, d->e) &&
			(hf_conflicts(g, want) || (want->limit && !hf_mode_is_intent(g->mode))))
			note_in_the_way(d, i, want);
	}
	if (stand_in_line(d, want))
		return hf_decision_answer(d, HF_NO_MEMORY);
	return hf_decision_conclude(d, HF_HELD);
}

/*
 * End conflicting grants that the strategy may take; force goes past the line
 * and its offers too. False: there was nothing to take.
 */
static bool take_from_holders(decision *d)
{
	const hf_grant *want = &d->req->grant;
	bool force = d->req->take == HF_TAKE_ALL;
	size_t i;
	size_t j = 0;

	for (i = 0; i < d->prev->grant_count; i++) {
		const hf_grant *g = &d->prev->grants[i];

		if (hf_rules_over(d->prev, i, d->e))
			continue; /* not in next any more */
		if (!hf_competes(d->next, g, want) ||
			(d->req->take == HF_TAKE_STALE &&
				hf_unrenewed_ms(d->prev, i, d->e) < d->req->stale_after_ms)) {
			j++;
			continue;
		}
		hf_decision_note_ended(d, g, force ? "forced" : "stale");
		hf_decision_drop_grant(d->next, j);
		d->kind = HF_EV_STEAL;
	}
	if (!force)
		return d->kind == HF_EV_STEAL;
	d->kind = HF_EV_FORCE;
	hf_decision_open_up(d->next);
	for (i = 0; i < d->next->waiter_count; i++)
		d->next->waiters[i].offer = 0;
	return true;
}

/* Whoever gets it goes out of the line, past those who came before him. */
static void leave_line(decision *d)
{
	hf_record *n = d->next;
	int mine = hf_queue_find(n, d->req->grant.id);
	uint64_t arrival = HF_QUEUE_ARRIVED_LAST;
	bool offered = false;

	d->v.unfold = d->v.unfold || d->far;
	if (mine >= 0) {
		arrival = n->waiters[mine].arrival;
		offered = n->waiters[mine].offer;
		hf_queue_drop(n, (size_t)mine);
	}
	if (!offered && !hf_queue_went_past(n, arrival))
		d->v.unfold = true;
}

static hf_verdict grant_it(decision *d, int from)
{
	hf_record *n = d->next;
	hf_grant *g = hf_record_add_grant(n);

	if (!g)
		return hf_decision_answer(d, HF_NO_MEMORY);
	leave_line(d);
	n->counter = hf_larger(n->counter, d->req->least_counter);
	if (d->prev->gen == 0)
		n->counter = hf_larger(n->counter, d->e->floor);
	*g = d->req->grant;
	g->under = ""; /* of those who wait alone */
	g->token = ++n->counter;
	g->renewals = 0;
	g->gen = hf_decision_next_gen(d);
	g->acquired_wall_ms = d->e->wall_ms;
	g->clock = d->e->clock;
	g->deadline_ms = d->e->now_ms + g->ttl_ms;
	return hf_decision_commit(d, HF_OK, g, from);
}

/* One more hold inside a group that is held. */
static hf_verdict reenter(decision *d)
{
	const hf_grant *want = &d->req->grant;
	hf_record *n = d->next;
	int from = hf_state_of(n);
	int sharer = find_sharer(n);
	bool shared = false;
	bool covered = false;
	uint64_t token = 0;
	hf_grant *g;
	size_t i;

	for (i = 0; i < n->grant_count; i++) {
		if (!hf_same_group(&n->grants[i], want) ||
			(n->grants[i].flags & HF_GRANT_FOREIGN))
			continue;
		token = hf_larger(token, n->grants[i].token);
		shared = shared || n->grants[i].mode == HF_SHARED;
		covered = covered || hf_mode_covers(n->grants[i].mode, want->mode);
	}
	if (!token)
		return hf_decision_refuse(
			d, HF_LOST, -1, "the grant to join is no longer held");
	if (!covered)
		return hf_decision_refuse(d, HF_INVALID, -1,
			shared ? "a shared grant cannot be joined exclusively: upgrade it first"
			       : "an intention can be joined only by such as need no more");
	g = hf_record_add_grant(n);
	if (!g)
		return hf_decision_answer(d, HF_NO_MEMORY);
	*g = *want;
	g->under = "";
	g->token = token;
	g->limit = hf_mode_is_intent(want->mode) ? 0 : n->grants[sharer].limit;
	g->renewals = 0;
	g->gen = hf_decision_next_gen(d);
	g->acquired_wall_ms = d->e->wall_ms;
	g->clock = d->e->clock;
	g->deadline_ms = d->e->now_ms + g->ttl_ms;
	d->kind = HF_EV_REENTER;
	return hf_decision_commit(d, HF_OK, g, from);
}

hf_verdict hf_decision_acquire(decision *d)
{
	const hf_grant *want = &d->req->grant;
	int mine = hf_decision_find_id(d->next, want->id);
	hf_status st;

	if (mine >= 0) {
		d->v.token = d->next->grants[mine].token;
		d->v.gen = d->next->grants[mine].gen;
		d->v.ended = 0;
		return hf_decision_answer(d, HF_OK); /* it landed before */
	}
	if (strcmp(want->group, want->id) != 0)
		return reenter(d);
	d->kind = HF_EV_ACQUIRE;
	show_host(d);
	st = hf_decision_may_enter(d, want);
	if (d->v.unproven >= 0 || d->v.unfold)
		return hf_decision_answer(d, HF_HELD);
	if (st == HF_HELD && d->req->take != HF_TAKE_NOTHING && take_from_holders(d)) {
		st = admissible(d, want);
		if (st) { /* not enough: then nobody is robbed */
			if (!hf_decision_begin(d))
				return hf_decision_answer(d, HF_NO_MEMORY);
			/* HELD, as before: for the line */
			(void)hf_decision_may_enter(d, want);
		}
	}
	if (st == HF_INVALID)
		return hf_decision_refuse(d, st,
			hf_decision_find_id(d->prev, d->next->grants[find_sharer(d->next)].id),
			"it is shared with another limit; the first holder's counts");
	if (st)
		return hf_decision_held(d, want);
	return grant_it(d, hf_state_of(d->next));
}
