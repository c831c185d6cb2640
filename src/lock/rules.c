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

/* Start `next` as prev without what is over and without a delay that ran out. */
static bool begin_next(decision *d)
{
	hf_record *n = d->next;
	size_t kept = 0;
	size_t i;

	hf_buf_clear(d->ended);
	d->v.ended = 0;
	if (!hf_record_copy(n, d->prev))
		return false;
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
	/* A renewal is in the record but is no event of the history. */
	d->v.amend = d->kind == HF_EV_RENEW && !d->v.ended && d->prev->gen > 0;
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
	assert(hf_chart_allows(from, d->kind, hf_state_of(n)));
	hf_assert_invariants(d->prev, n);
	(void)from;
	d->v.swap = true;
	if (about)
		d->v.token = about->token;
	return answer(d, status);
}

static int find_foreign(const hf_record *r)
{
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (r->grants[i].flags & HF_GRANT_FOREIGN)
			return (int)i;
	return -1;
}

/* What was over is written down even when the answer is no. */
static hf_verdict conclude(decision *d, hf_status status)
{
	if (!d->v.ended || find_foreign(d->next) >= 0)
		return answer(d, status);
	d->kind = HF_EV_EXPIRE;
	return commit(d, status, NULL, hf_state_of(d->next));
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

/* ---- acquire ---- */

static bool conflicts(const hf_grant *held, const hf_grant *want)
{
	if (held->flags & HF_GRANT_FOREIGN)
		return true;
	return held->mode == HF_EXCLUSIVE || want->mode == HF_EXCLUSIVE;
}

/* HELD, with what stands in the way and for how long at most. */
static hf_verdict held(decision *d)
{
	const hf_grant *want = &d->req->grant;
	bool full = want->mode == HF_SHARED && want->limit;
	size_t i;

	d->v.wait_ms = d->next->closed_ms ? hf_rules_closed_ms(d->next, d->e) : -1;
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
	return conclude(d, HF_HELD);
}

/* End conflicting grants that the strategy may take. */
static void take_from_holders(decision *d)
{
	const hf_grant *want = &d->req->grant;
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
		note_ended(d, g, d->req->take == HF_TAKE_ALL ? "forced" : "stale");
		drop_grant(d->next, j);
		d->kind = d->req->take == HF_TAKE_ALL ? HF_EV_FORCE : HF_EV_STEAL;
	}
	if (d->req->take == HF_TAKE_ALL && d->next->closed_ms) {
		d->kind = HF_EV_FORCE;
		open_up(d->next);
	}
}

/* Would `want` be let in beside the grants of next? */
static hf_status admissible(decision *d)
{
	const hf_grant *want = &d->req->grant;
	const hf_record *n = d->next;
	size_t i;

	for (i = 0; i < n->grant_count; i++)
		if (conflicts(&n->grants[i], want))
			return HF_HELD;
	if (n->closed_ms)
		return HF_HELD; /* for every newcomer, whoever else is in */
	if (n->grant_count == 0)
		return HF_OK;
	if (n->grants[0].limit != want->limit) {
		d->v.blocker = 0;
		d->v.reason = "it is shared with another limit; the first holder's counts";
		return HF_INVALID;
	}
	return want->limit && hf_group_count(n) >= want->limit ? HF_HELD : HF_OK;
}

static hf_verdict grant_it(decision *d, int from)
{
	hf_record *n = d->next;
	hf_grant *g = hf_record_add_grant(n);

	if (!g)
		return answer(d, HF_NO_MEMORY);
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
	st = admissible(d);
	if (st == HF_HELD && d->req->take != HF_TAKE_NOTHING) {
		take_from_holders(d);
		st = admissible(d);
		if (st && !begin_next(d)) /* not enough: then nobody is robbed */
			return answer(d, HF_NO_MEMORY);
	}
	if (st == HF_INVALID)
		return answer(d, st);
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

hf_verdict hf_rules_apply(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	decision d = {.prev = prev,
		.req = request,
		.e = evidence,
		.next = next,
		.ended = scratch,
		.v = {.status = HF_OK, .wait_ms = -1, .blocker = -1, .reason = ""}};

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
	case HF_ASK_BARRIER:
		if (find_foreign(next) >= 0)
			return answer(&d, HF_UNKNOWN); /* not ours to move on */
		d.kind = HF_EV_BARRIER;
		return commit(&d, HF_OK, NULL, hf_state_of(next));
	}
	return answer(&d, HF_INVALID);
}
