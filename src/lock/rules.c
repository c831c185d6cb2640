/* The rules. See rules.h; the chart there is the table here. */
#include "decision.h"

#include <assert.h>

/* ---- a decision under way ---- */

hf_verdict hf_decision_answer(decision *d, hf_status status)
{
	d->v.status = status;
	return d->v;
}

hf_verdict hf_decision_refuse(decision *d, hf_status status, int blocker, const char *reason)
{
	d->v.blocker = blocker;
	d->v.reason = reason;
	return hf_decision_answer(d, status);
}

void hf_decision_note_ended(decision *d, const hf_grant *g, const char *why)
{
	if (d->ended->len)
		hf_buf_addc(d->ended, ',');
	hf_buf_adds(d->ended, why);
	hf_buf_addc(d->ended, ':');
	hf_buf_adds(d->ended, g->id);
	d->v.ended++;
}

void hf_decision_drop_grant(hf_record *r, size_t i)
{
	r->grant_count--;
	memmove(r->grants + i, r->grants + i + 1, (r->grant_count - i) * sizeof(*r->grants));
}

/* The generation that the swap will make. */
uint64_t hf_decision_next_gen(const decision *d)
{
	uint64_t gen = d->prev->gen ? d->prev->gen : d->e->floor;

	return hf_larger(gen, d->req->least_gen) + 1;
}

void hf_decision_open_up(hf_record *r)
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
	uint64_t gen = hf_decision_next_gen(d);
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
		if (lapsed && n->far_count)
			d->v.unfold = true; /* all of his host fall back */
		else if (lapsed)
			out = hf_queue_missed(n, at);
		d->line_changed = d->line_changed || dead || lapsed;
		at += !out;
	}
}

/* Start `next` as prev without what is over and without a delay that ran out. */
bool hf_decision_begin(decision *d)
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
		hf_decision_open_up(n);
	for (i = 0; i < d->prev->grant_count; i++) {
		const char *why = hf_rules_over(d->prev, i, d->e);

		if (why) {
			hf_decision_note_ended(d, &d->prev->grants[i], why);
			close_for(d, &d->prev->grants[i], why);
		} else {
			n->grants[kept++] = d->prev->grants[i];
		}
	}
	n->grant_count = kept;
	return true;
}

int hf_decision_find_foreign(const hf_record *r)
{
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (r->grants[i].flags & HF_GRANT_FOREIGN)
			return (int)i;
	return -1;
}

int hf_decision_find_id(const hf_record *r, const char *id)
{
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (!strcmp(r->grants[i].id, id))
			return (int)i;
	return -1;
}

/* The event goes into the record and the swap is asked for. */
hf_verdict hf_decision_commit(decision *d, hf_status status, const hf_grant *about, int from)
{
	hf_record *n = d->next;
	const hf_grant *by = &d->req->grant;

	if (d->prev->gen == 0)
		n->counter = hf_larger(n->counter, d->e->floor);
	n->gen = hf_decision_next_gen(d);
	if (d->ended->failed)
		return hf_decision_answer(d, HF_NO_MEMORY);
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
	hf_decision_hand_over(d);
	if (d->v.unfold)
		return hf_decision_answer(d, HF_HELD);
	assert(hf_chart_allows(from, d->kind, hf_state_of(n)));
	hf_assert_invariants(d->prev, n);
	(void)from;
	d->v.swap = true;
	if (about)
		d->v.token = about->token;
	return hf_decision_answer(d, status);
}

/* What was over is written down even when the answer is no. */
hf_verdict hf_decision_conclude(decision *d, hf_status status)
{
	if ((!d->v.ended && !d->line_changed) || hf_decision_find_foreign(d->next) >= 0)
		return hf_decision_answer(d, status);
	d->kind = d->v.ended ? HF_EV_EXPIRE : HF_EV_QUEUE;
	return hf_decision_commit(d, status, NULL, hf_state_of(d->next));
}

/* ---- the others ---- */

bool hf_who_names(const hf_who *who, const hf_grant *g)
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
hf_verdict hf_decision_not_there(decision *d)
{
	size_t i;

	for (i = 0; i < d->prev->grant_count; i++)
		if (hf_who_names(&d->req->who, &d->prev->grants[i]))
			return hf_decision_conclude(d, HF_LOST); /* it is over */
	d->v.blocker = d->next->grant_count ? 0 : -1;
	if (d->v.blocker == 0) /* an index into prev, as blockers are */
		d->v.blocker = hf_decision_find_id(d->prev, d->next->grants[0].id);
	d->v.reason = d->v.blocker < 0 ? "the lock is free" : "another owns the lock";
	d->v.ended = 0;
	return hf_decision_answer(d, HF_NOT_OWNER);
}

static hf_verdict release(decision *d)
{
	hf_record *n = d->next;
	int from = hf_state_of(n);
	hf_grant gone = hf_grant_blank();
	size_t i = 0;
	size_t count = 0;

	while (i < n->grant_count) {
		if (!hf_who_names(&d->req->who, &n->grants[i])) {
			i++;
			continue;
		}
		/* More than one (by owner, fingerprint): the rest are `ended`. */
		if (count++)
			hf_decision_note_ended(d, &n->grants[i], "released");
		else
			gone = n->grants[i];
		hf_decision_drop_grant(n, i);
	}
	if (!count)
		return hf_decision_not_there(d);
	d->kind = HF_EV_RELEASE;
	d->v.ended = count;
	return hf_decision_commit(d, HF_OK, &gone, from);
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

		if (!hf_who_names(&d->req->who, g))
			continue;
		if (!first)
			first = g;
		if (d->req->renewals && g->renewals >= d->req->renewals)
			continue; /* it landed before */
		changed = true;
		g->renewals = d->req->renewals ? d->req->renewals : g->renewals + 1;
		g->gen = hf_decision_next_gen(d);
		prolong(d, g);
	}
	if (!first)
		return hf_decision_not_there(d);
	d->v.token = first->token;
	if (!changed) {
		d->v.gen = first->gen;
		d->v.ended = 0;
		return hf_decision_answer(d, HF_OK);
	}
	return hf_decision_commit(d, HF_OK, first, hf_state_of(n));
}

static hf_verdict force_release(decision *d)
{
	size_t i;

	for (i = 0; i < d->next->grant_count; i++)
		hf_decision_note_ended(d, &d->next->grants[i], "forced");
	if (!d->v.ended && !d->next->closed_ms)
		return hf_decision_answer(d, HF_OK);
	d->next->grant_count = 0;
	hf_decision_open_up(d->next);
	d->kind = HF_EV_FORCE_RELEASE;
	return hf_decision_commit(d, HF_OK, NULL, HF_STATE_FREE);
}

/* The grant that one who waits was to get, if it has it; -1: it has not. */
static int has_got(const decision *d)
{
	const hf_request *req = d->req;
	int i = hf_decision_find_id(d->next, req->who.id ? req->who.id : req->grant.id);

	return i >= 0 && req->who.id && d->next->grants[i].mode != req->mode ? -1 : i;
}

/* Wait no longer. Who has got it meanwhile keeps it: the token tells. */
static hf_verdict leave(decision *d)
{
	hf_record *n = d->next;
	int grant = has_got(d);
	int mine = hf_queue_find(n, d->req->grant.id);

	if (grant >= 0 || mine < 0 || hf_decision_find_foreign(n) >= 0) {
		d->v.token = grant >= 0 ? n->grants[grant].token : 0;
		d->v.gen = grant >= 0 ? n->grants[grant].gen : 0;
		d->v.ended = 0;
		return hf_decision_answer(d, HF_OK);
	}
	hf_queue_drop(n, (size_t)mine);
	d->kind = HF_EV_QUEUE;
	return hf_decision_commit(d, HF_OK, NULL, hf_state_of(n));
}

/* Who asks may wait already, far behind. */
static void find_far(decision *d)
{
	const char *id = d->req->grant.id;

	if ((d->req->ask != HF_ASK_ACQUIRE && d->req->ask != HF_ASK_LEAVE) ||
		d->req->newcomer || hf_queue_find(d->prev, id) >= 0)
		return;
	d->far = hf_queue_find_far(d->prev, id);
	d->v.unfold = d->far == SIZE_MAX || (d->far && d->req->ask == HF_ASK_LEAVE);
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

	find_far(&d);
	if (!d.v.unfold && !hf_decision_begin(&d))
		return hf_decision_answer(&d, HF_NO_MEMORY);
	if (d.v.unfold)
		return hf_decision_answer(&d, HF_HELD);
	switch (request->ask) {
	case HF_ASK_ACQUIRE:
		return hf_decision_acquire(&d);
	case HF_ASK_RELEASE:
		return release(&d);
	case HF_ASK_RENEW:
		return renew(&d);
	case HF_ASK_CONVERT:
		return hf_decision_convert(&d);
	case HF_ASK_FORCE_RELEASE:
		return force_release(&d);
	case HF_ASK_REAP:
		return hf_decision_conclude(&d, HF_OK);
	case HF_ASK_LEAVE:
		return leave(&d);
	case HF_ASK_BARRIER:
		if (hf_decision_find_foreign(next) >= 0)
			return hf_decision_answer(&d, HF_UNKNOWN); /* not ours to move on */
		d.kind = HF_EV_BARRIER;
		return hf_decision_commit(&d, HF_OK, NULL, hf_state_of(next));
	}
	return hf_decision_answer(&d, HF_INVALID);
}
