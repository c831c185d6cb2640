/* The rules. See rules.h; the chart there is the table here. */
#include "rules.h"
#include "lock_state.h"

#include <assert.h>

/* ---- a decision under way ---- */

typedef struct decision {
	const hf_record *prev;
	const hf_request *req;
	const hf_evidence *e;
	hf_record *next;
	hf_buf *ended; /* "why:id,why:id" */
	bool line_changed; /* of those who wait: to be written even if nothing else is */
	hf_verdict v;
	hf_event_kind kind;
} decision;

static hf_verdict answer(decision *d, hf_status status)
{
	d->v.status = status;
	return d->v;
}

static hf_verdict refuse(decision *d, hf_status status, int blocker, const char *reason)
{
	d->v.blocker = blocker;
	d->v.reason = reason;
	return answer(d, status);
}

static void note_ended(decision *d, const hf_grant *g, const char *why)
{
	if (d->ended->len)
		hf_buf_addc(d->ended, ',');
	hf_buf_adds(d->ended, why);
	hf_buf_addc(d->ended, ':');
	hf_buf_adds(d->ended, g->id);
	d->v.ended++;
}

static void drop_grant(hf_record *r, size_t i)
{
	r->grant_count--;
	memmove(r->grants + i, r->grants + i + 1, (r->grant_count - i) * sizeof(*r->grants));
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The generation that the swap will make. */
static uint64_t next_gen(const decision *d)
{
	uint64_t gen = d->prev->gen ? d->prev->gen : d->e->floor;

	return larger(gen, d->req->least_gen) + 1;
}

static void open_up(hf_record *r)
{
	r->closed_ms = 0;
	r->closed_until_ms = 0;
	r->closed_clock = "";
	r->closed_gen = 0;
}

/*
 * A lease with a lock delay ended without a release: close the lock. The delay
 * began with the lease's end, where that is known: it may be over before
 * anybody looked, or end before one that runs already.
 *
 * Without a clock it begins now, also where one runs already that seems longer:
 * others may have seen more of that than we did.
 */
static void close_for(decision *d, const hf_grant *g, const char *why)
{
	hf_record *n = d->next;
	uint64_t gen = next_gen(d);
	int64_t left = g->lock_delay_ms;
	int64_t running = n->closed_gen == gen && !hf_clock_shared(n->closed_clock, d->e)
				  ? n->closed_ms /* closed just now: nothing of it was seen */
				  : hf_rules_closed_ms(n, d->e);

	if (left > 0 && !strcmp(why, "expired") && hf_clock_shared(g->clock, d->e))
		left += g->deadline_ms - d->e->now_ms;
	if (left <= 0 || (left <= running && hf_clock_shared(n->closed_clock, d->e)))
		return;
	n->closed_ms = g->lock_delay_ms > running ? g->lock_delay_ms : running;
	n->closed_clock = d->e->clock;
	n->closed_until_ms = d->e->now_ms + (left > running ? left : running);
	n->closed_gen = gen;
}

/* Those who died go out of the line, and offers lapse. Indices are prev's. */
static void begin_line(decision *d)
{
	const hf_waiter_evidence *seen = d->e->waiters;
	hf_record *n = d->next;
	size_t at = 0;
	size_t i;

	for (i = 0; i < d->prev->waiter_count; i++) {
		bool dead = seen && seen[i].probed && seen[i].dead;
		bool lapsed = d->prev->waiters[i].offer && !dead &&
			      !hf_rules_claim_left_ms(d->prev, i, d->e);
		bool out = dead;

		if (dead)
			hf_queue_drop(n, at);
		if (lapsed)
			out = hf_queue_missed(n, at);
		d->line_changed = d->line_changed || dead || lapsed;
		at += !out;
	}
}

/* Start `next` as prev without what is over and without a delay that ran out. */
static bool begin_next(decision *d)
{
	hf_record *n = d->next;
	size_t kept = 0;
	size_t i;

	hf_buf_clear(d->ended);
	d->v.ended = 0;
	d->line_changed = false;
	if (!hf_record_copy(n, d->prev))
		return false;
	begin_line(d);
	if (n->closed_ms && !hf_rules_closed_ms(d->prev, d->e))
		open_up(n);
	for (i = 0; i < d->prev->grant_count; i++) {
		const char *why = hf_rules_over(d->prev, i, d->e);

		if (why) {
			note_ended(d, &d->prev->grants[i], why);
			close_for(d, &d->prev->grants[i], why);
		} else {
			n->grants[kept++] = d->prev->grants[i];
		}
	}
	n->grant_count = kept;
	return true;
}

static int find_foreign(const hf_record *r)
{
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (r->grants[i].flags & HF_GRANT_FOREIGN)
			return (int)i;
	return -1;
}

static int64_t sooner(int64_t a, int64_t b)
{
	if (a < 0)
		return b;
	return b < 0 || a < b ? a : b;
}

static int find_id(const hf_record *r, const char *id)
{
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (!strcmp(r->grants[i].id, id))
			return (int)i;
	return -1;
}

/* ---- who is let in ---- */

static bool conflicts(const hf_grant *held, const hf_grant *want)
{
	if (held->flags & HF_GRANT_FOREIGN)
		return true;
	return held->mode == HF_EXCLUSIVE || want->mode == HF_EXCLUSIVE;
}

/* Those who share it, or have been offered to. */
static size_t sharer_count(const hf_record *n, const hf_grant *want)
{
	size_t count = hf_group_count(n);
	size_t i;

	for (i = 0; i < n->waiter_count; i++)
		count += n->waiters[i].offer && strcmp(n->waiters[i].want.id, want->id) != 0;
	return count;
}

/*
 * Would `want` be let in beside the grants of next, and beside those who have
 * an offer? HF_INVALID: never, as long as that limit stands.
 */
static hf_status admissible(decision *d, const hf_grant *want)
{
	const hf_record *n = d->next;
	size_t i;

	for (i = 0; i < n->grant_count; i++)
		if (conflicts(&n->grants[i], want))
			return HF_HELD;
	if (n->closed_ms)
		return HF_HELD; /* for every newcomer, whoever else is in */
	for (i = 0; i < n->waiter_count; i++) {
		const hf_waiter *w = &n->waiters[i];

		if (w->offer && strcmp(w->want.id, want->id) != 0 &&
			(conflicts(&w->want, want) || w->want.limit != want->limit))
			return HF_HELD;
	}
	if (n->grant_count && n->grants[0].limit != want->limit)
		return HF_INVALID;
	return want->limit && sharer_count(n, want) >= want->limit ? HF_HELD : HF_OK;
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
static void hand_over(decision *d)
{
	hf_record *n = d->next;
	int head;

	while ((head = hf_queue_head(n)) >= 0) {
		hf_waiter *w = &n->waiters[head];

		if (admissible(d, &w->want) != HF_OK || !is_proven(d, w))
			return;
		w->offer = n->gen;
		w->want.clock = d->e->clock;
		w->claim_deadline_ms = d->e->now_ms + w->claim_ms;
		hf_queue_went_past(n, w->arrival);
	}
}

/* The event goes into the record and the swap is asked for. */
static hf_verdict commit(decision *d, hf_status status, const hf_grant *about, int from)
{
	hf_record *n = d->next;
	const hf_grant *by = &d->req->grant;

	if (d->prev->gen == 0)
		n->counter = larger(n->counter, d->e->floor);
	n->gen = next_gen(d);
	if (d->ended->failed)
		return answer(d, HF_NO_MEMORY);
	/* Renewals and the line are in the record but no events of the history. */
	if (d->kind == HF_EV_QUEUE && d->v.ended)
		d->kind = HF_EV_EXPIRE;
	d->v.amend = (d->kind == HF_EV_RENEW || d->kind == HF_EV_QUEUE) && !d->v.ended &&
		     d->prev->gen > 0;
	if (!d->v.amend) {
		hf_record_event *ev = &n->event;

		ev->gen = n->gen;
		ev->kind = d->kind;
		ev->wall_ms = d->e->wall_ms;
		ev->id = about ? about->id : "";
		ev->owner = about ? about->owner : by->owner;
		ev->host = about ? about->process.host : by->process.host;
		ev->pid = about ? about->process.pid : by->process.pid;
		ev->token = about ? about->token : 0;
		ev->mode = about ? about->mode : HF_EXCLUSIVE;
		ev->ended = d->ended->len ? d->ended->data : "";
	}
	hand_over(d);
	assert(hf_chart_allows(from, d->kind, hf_state_of(n)));
	hf_assert_invariants(d->prev, n);
	(void)from;
	d->v.swap = true;
	if (about)
		d->v.token = about->token;
	return answer(d, status);
}

/* What was over is written down even when the answer is no. */
static hf_verdict conclude(decision *d, hf_status status)
{
	if ((!d->v.ended && !d->line_changed) || find_foreign(d->next) >= 0)
		return answer(d, status);
	d->kind = d->v.ended ? HF_EV_EXPIRE : HF_EV_QUEUE;
	return commit(d, status, NULL, hf_state_of(d->next));
}

/* ---- acquire ---- */

/*
 * May the asker be let in now: beside those who hold it or have an offer, and
 * is nobody before him in the line?
 */
static hf_status may_enter(decision *d)
{
	const hf_grant *want = &d->req->grant;
	const hf_record *n = d->next;
	int mine = hf_queue_find(n, want->id);
	hf_waiter me = {.want = *want, .arrival = HF_QUEUE_ARRIVED_LAST};
	hf_status st = admissible(d, want);
	int first = st == HF_HELD ? hf_queue_offered(n, want->id) : hf_queue_head(n);

	if (mine >= 0)
		me = n->waiters[mine];
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

/* No neighbour is waited for in line: it would not hand over. */
static hf_status stand_in_line(decision *d)
{
	hf_record *n = d->next;
	int mine = hf_queue_find(n, d->req->grant.id);
	hf_waiter *w;

	if (!d->req->queue || find_foreign(n) >= 0)
		return HF_OK;
	if (mine < 0) {
		w = hf_record_add_waiter(n);
		if (!w)
			return HF_NO_MEMORY;
		w->want = d->req->grant;
		w->want.acquired_wall_ms = d->e->wall_ms;
		w->arrival = next_gen(d);
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

static int64_t until_offers_lapse(const decision *d)
{
	int64_t left = -1;
	size_t i;

	for (i = 0; i < d->prev->waiter_count; i++)
		if (d->prev->waiters[i].offer)
			left = sooner(left, hf_rules_claim_left_ms(d->prev, i, d->e));
	return left;
}

/* HELD, with what stands in the way and for how long at most. */
static hf_verdict held(decision *d)
{
	const hf_grant *want = &d->req->grant;
	bool full = want->mode == HF_SHARED && want->limit;
	size_t i;

	d->v.wait_ms = d->next->closed_ms ? hf_rules_closed_ms(d->next, d->e) : -1;
	d->v.wait_ms = sooner(d->v.wait_ms, until_offers_lapse(d));
	for (i = 0; i < d->prev->grant_count; i++) {
		int64_t left;

		if (hf_rules_over(d->prev, i, d->e))
			continue;
		if (!full && !conflicts(&d->prev->grants[i], want))
			continue;
		if (d->v.blocker < 0)
			d->v.blocker = (int)i;
		d->v.wait_ms = sooner(d->v.wait_ms, hf_rules_remaining_ms(d->prev, i, d->e));
		left = d->req->stale_after_ms - hf_unrenewed_ms(d->prev, i, d->e);
		if (d->req->take == HF_TAKE_STALE && left > 0)
			d->v.wait_ms = sooner(d->v.wait_ms, left);
	}
	if (stand_in_line(d))
		return answer(d, HF_NO_MEMORY);
	return conclude(d, HF_HELD);
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
		bool full = want->limit && hf_group_count(d->next) >= want->limit;

		if (hf_rules_over(d->prev, i, d->e))
			continue; /* not in next any more */
		if (!(full || conflicts(g, want)) ||
			(d->req->take == HF_TAKE_STALE &&
				hf_unrenewed_ms(d->prev, i, d->e) < d->req->stale_after_ms)) {
			j++;
			continue;
		}
		note_ended(d, g, force ? "forced" : "stale");
		drop_grant(d->next, j);
		d->kind = HF_EV_STEAL;
	}
	if (!force)
		return d->kind == HF_EV_STEAL;
	d->kind = HF_EV_FORCE;
	open_up(d->next);
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

	if (mine >= 0) {
		arrival = n->waiters[mine].arrival;
		offered = n->waiters[mine].offer;
		hf_queue_drop(n, (size_t)mine);
	}
	if (!offered)
		hf_queue_went_past(n, arrival);
}

static hf_verdict grant_it(decision *d, int from)
{
	hf_record *n = d->next;
	hf_grant *g = hf_record_add_grant(n);

	if (!g)
		return answer(d, HF_NO_MEMORY);
	leave_line(d);
	n->counter = larger(n->counter, d->req->least_counter);
	if (d->prev->gen == 0)
		n->counter = larger(n->counter, d->e->floor);
	*g = d->req->grant;
	g->token = ++n->counter;
	g->renewals = 0;
	g->gen = next_gen(d);
	g->acquired_wall_ms = d->e->wall_ms;
	g->clock = d->e->clock;
	g->deadline_ms = d->e->now_ms + g->ttl_ms;
	return commit(d, HF_OK, g, from);
}

/* One more hold inside a group that is held. */
static hf_verdict reenter(decision *d)
{
	const hf_grant *want = &d->req->grant;
	hf_record *n = d->next;
	bool exclusive = false;
	uint64_t token = 0;
	hf_grant *g;
	size_t i;

	for (i = 0; i < n->grant_count; i++) {
		if (!hf_same_group(&n->grants[i], want) ||
			(n->grants[i].flags & HF_GRANT_FOREIGN))
			continue;
		token = larger(token, n->grants[i].token);
		exclusive = exclusive || n->grants[i].mode == HF_EXCLUSIVE;
	}
	if (!token)
		return refuse(d, HF_LOST, -1, "the grant to join is no longer held");
	if (want->mode == HF_EXCLUSIVE && !exclusive)
		return refuse(d, HF_INVALID, -1,
			"a shared grant cannot be joined exclusively: upgrade it first");
	g = hf_record_add_grant(n);
	if (!g)
		return answer(d, HF_NO_MEMORY);
	*g = *want;
	g->token = token;
	g->limit = n->grants[0].limit;
	g->renewals = 0;
	g->gen = next_gen(d);
	g->acquired_wall_ms = d->e->wall_ms;
	g->clock = d->e->clock;
	g->deadline_ms = d->e->now_ms + g->ttl_ms;
	d->kind = HF_EV_REENTER;
	return commit(d, HF_OK, g, exclusive ? HF_STATE_EXCLUSIVE : HF_STATE_SHARED);
}

static hf_verdict acquire(decision *d)
{
	const hf_grant *want = &d->req->grant;
	int mine = find_id(d->next, want->id);
	hf_status st;

	if (mine >= 0) {
		d->v.token = d->next->grants[mine].token;
		d->v.gen = d->next->grants[mine].gen;
		d->v.ended = 0;
		return answer(d, HF_OK); /* it landed before */
	}
	if (strcmp(want->group, want->id) != 0)
		return reenter(d);
	d->kind = HF_EV_ACQUIRE;
	st = may_enter(d);
	if (d->v.unproven >= 0)
		return answer(d, HF_HELD);
	if (st == HF_HELD && d->req->take != HF_TAKE_NOTHING && take_from_holders(d)) {
		st = admissible(d, want);
		if (st) { /* not enough: then nobody is robbed */
			if (!begin_next(d))
				return answer(d, HF_NO_MEMORY);
			st = may_enter(d);
		}
	}
	if (st == HF_INVALID)
		return refuse(d, st, find_id(d->prev, d->next->grants[0].id),
			"it is shared with another limit; the first holder's counts");
	if (st)
		return held(d);
	return grant_it(d, hf_state_of(d->next));
}

/* ---- the others ---- */

static bool named(const hf_grant *g, const hf_who *who)
{
	if (g->flags & HF_GRANT_FOREIGN)
		return false;
	if (who->id)
		return !strcmp(g->id, who->id);
	if (who->fingerprint)
		return g->fingerprint[0] && !strcmp(g->fingerprint, who->fingerprint);
	return who->owner && !strcmp(g->owner, who->owner);
}

/* None of the grants in next is the asked one: gone, or another's? */
static hf_verdict not_there(decision *d)
{
	size_t i;

	for (i = 0; i < d->prev->grant_count; i++)
		if (named(&d->prev->grants[i], &d->req->who))
			return conclude(d, HF_LOST); /* it is over */
	d->v.blocker = d->next->grant_count ? 0 : -1;
	if (d->v.blocker == 0) /* an index into prev, as blockers are */
		d->v.blocker = find_id(d->prev, d->next->grants[0].id);
	d->v.reason = d->v.blocker < 0 ? "the lock is free" : "another owns the lock";
	d->v.ended = 0;
	return answer(d, HF_NOT_OWNER);
}

static hf_verdict release(decision *d)
{
	hf_record *n = d->next;
	int from = hf_state_of(n);
	hf_grant gone = hf_grant_blank();
	size_t i = 0;
	size_t count = 0;

	while (i < n->grant_count) {
		if (!named(&n->grants[i], &d->req->who)) {
			i++;
			continue;
		}
		/* More than one (by owner, fingerprint): the rest are `ended`. */
		if (count++)
			note_ended(d, &n->grants[i], "released");
		else
			gone = n->grants[i];
		drop_grant(n, i);
	}
	if (!count)
		return not_there(d);
	d->kind = HF_EV_RELEASE;
	d->v.ended = count;
	return commit(d, HF_OK, &gone, from);
}

/*
 * It lasts its ttl from now on, and not for less than it would have without:
 * what time it is at the store may be known better for the last renewal than
 * for this one.
 */
static void prolong(decision *d, hf_grant *g)
{
	int64_t deadline_ms;

	if (d->req->ttl_ms && d->req->ttl_ms != g->ttl_ms) {
		d->kind = HF_EV_EXTEND;
		if (d->req->ttl_ms < g->ttl_ms)
			g->deadline_ms = 0; /* that is what was asked for */
		g->ttl_ms = d->req->ttl_ms;
	}
	deadline_ms = d->e->now_ms + g->ttl_ms;
	if (!hf_clock_shared(g->clock, d->e) || g->deadline_ms < deadline_ms)
		g->deadline_ms = deadline_ms;
	g->clock = d->e->clock;
}

static hf_verdict renew(decision *d)
{
	hf_record *n = d->next;
	const hf_grant *first = NULL;
	bool changed = false;
	size_t i;

	d->kind = HF_EV_RENEW;
	for (i = 0; i < n->grant_count; i++) {
		hf_grant *g = &n->grants[i];

		if (!named(g, &d->req->who))
			continue;
		if (!first)
			first = g;
		if (d->req->renewals && g->renewals >= d->req->renewals)
			continue; /* it landed before */
		changed = true;
		g->renewals = d->req->renewals ? d->req->renewals : g->renewals + 1;
		g->gen = next_gen(d);
		prolong(d, g);
	}
	if (!first)
		return not_there(d);
	d->v.token = first->token;
	if (!changed) {
		d->v.gen = first->gen;
		d->v.ended = 0;
		return answer(d, HF_OK);
	}
	return commit(d, HF_OK, first, hf_state_of(n));
}

static hf_verdict convert(decision *d)
{
	hf_record *n = d->next;
	int from = hf_state_of(n);
	hf_grant *mine = NULL;
	uint64_t token = 0;
	size_t i;

	for (i = 0; i < n->grant_count; i++)
		if (named(&n->grants[i], &d->req->who))
			mine = &n->grants[i];
	if (!mine)
		return not_there(d);
	if (mine->mode == d->req->mode) {
		d->v.token = mine->token;
		d->v.ended = 0;
		return answer(d, HF_OK);
	}
	if (d->req->mode == HF_EXCLUSIVE && hf_queue_offered(n, "") >= 0) {
		d->v.wait_ms = until_offers_lapse(d);
		return conclude(d, HF_HELD);
	}
	for (i = 0; i < n->grant_count; i++) {
		hf_grant *g = &n->grants[i];

		if (g == mine)
			continue;
		if (d->req->mode == HF_SHARED && g->mode == HF_EXCLUSIVE)
			return refuse(d, HF_INVALID, -1,
				"another hold of this group is exclusive: release it first");
		if (d->req->mode == HF_EXCLUSIVE && !hf_same_group(g, mine)) {
			d->v.blocker = find_id(d->prev, g->id);
			d->v.wait_ms =
				hf_rules_remaining_ms(d->prev, (size_t)d->v.blocker, d->e);
			return conclude(d, HF_HELD);
		}
		if (g->mode == HF_EXCLUSIVE)
			token = larger(token, g->token);
	}
	mine->mode = d->req->mode;
	if (d->req->mode == HF_EXCLUSIVE) {
		/* Others may have shared it with greater tokens since. */
		if (!token)
			token = n->counter = larger(n->counter, d->req->least_counter) + 1;
		mine->token = token;
	}
	d->kind = d->req->mode == HF_EXCLUSIVE ? HF_EV_UPGRADE : HF_EV_DOWNGRADE;
	return commit(d, HF_OK, mine, from);
}

static hf_verdict force_release(decision *d)
{
	size_t i;

	for (i = 0; i < d->next->grant_count; i++)
		note_ended(d, &d->next->grants[i], "forced");
	if (!d->v.ended && !d->next->closed_ms)
		return answer(d, HF_OK);
	d->next->grant_count = 0;
	open_up(d->next);
	d->kind = HF_EV_FORCE_RELEASE;
	return commit(d, HF_OK, NULL, HF_STATE_FREE);
}

/* Wait no longer. Who has got it meanwhile keeps it: the token tells. */
static hf_verdict leave(decision *d)
{
	hf_record *n = d->next;
	int grant = find_id(n, d->req->grant.id);
	int mine = hf_queue_find(n, d->req->grant.id);

	if (grant >= 0 || mine < 0 || find_foreign(n) >= 0) {
		d->v.token = grant >= 0 ? n->grants[grant].token : 0;
		d->v.gen = grant >= 0 ? n->grants[grant].gen : 0;
		d->v.ended = 0;
		return answer(d, HF_OK);
	}
	hf_queue_drop(n, (size_t)mine);
	d->kind = HF_EV_QUEUE;
	return commit(d, HF_OK, NULL, hf_state_of(n));
}

hf_verdict hf_rules_apply(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	decision d = {.prev = prev,
		.req = request,
		.e = evidence,
		.next = next,
		.ended = scratch,
		.v = {.status = HF_OK,
			.wait_ms = -1,
			.blocker = -1,
			.unproven = -1,
			.reason = ""}};

	if (!begin_next(&d))
		return answer(&d, HF_NO_MEMORY);
	switch (request->ask) {
	case HF_ASK_ACQUIRE:
		return acquire(&d);
	case HF_ASK_RELEASE:
		return release(&d);
	case HF_ASK_RENEW:
		return renew(&d);
	case HF_ASK_CONVERT:
		return convert(&d);
	case HF_ASK_FORCE_RELEASE:
		return force_release(&d);
	case HF_ASK_REAP:
		return conclude(&d, HF_OK);
	case HF_ASK_LEAVE:
		return leave(&d);
	case HF_ASK_BARRIER:
		if (find_foreign(next) >= 0)
			return answer(&d, HF_UNKNOWN); /* not ours to move on */
		d.kind = HF_EV_BARRIER;
		return commit(&d, HF_OK, NULL, hf_state_of(next));
	}
	return answer(&d, HF_INVALID);
}
