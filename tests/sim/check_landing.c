/*
 * What a swap that landed may have changed, judged from the bytes before and
 * after and from what its attempt had been asked for. See sim.h.
 */
#include "sim.h"

#include "lock/queue.h"

typedef struct landing {
	sim *s;
	const sim_message *m;
	const sim_op *op;
	const hf_request *asked;
	sim_truth *t;
	const hf_record *old;
	const hf_record *new;
} landing;

/* What clocks that differ in rate may amount to. */
static int64_t slack_ms(const sim *s, int64_t span_ms)
{
	return s->plan.medium == SIM_HOST_CLOCK ? 0 : span_ms * 3 / 100 + 3;
}

static bool named(const landing *l, const hf_grant *g)
{
	const hf_who *who = &l->asked->who;

	if (who->id)
		return !strcmp(who->id, g->id);
	if (who->fingerprint)
		return !strcmp(who->fingerprint, g->fingerprint);
	return who->owner && !strcmp(who->owner, g->owner);
}

/* Whoever may do so took it away: its holder has no claim any more. */
static void overrule(landing *l, const hf_grant *g)
{
	sim *s = l->s;
	sim_truth *t = l->t;
	int i;
	int j;

	if (t->overruled_count < SIM_GONE)
		hf_copy(t->overruled[t->overruled_count++], HF_ID_LEN + 1, g->id);
	for (i = 0; i < s->plan.clients; i++)
		for (j = 0; j < SIM_LEASES; j++)
			if (!strcmp(s->clients[i].leases[j].id, g->id))
				s->clients[i].leases[j].overruled = true;
}

/* ---- grants that went ---- */

static void close_until(landing *l, int64_t from, int64_t delay_ms)
{
	int64_t until = from + delay_ms - slack_ms(l->s, delay_ms);

	if (delay_ms && until > l->t->closed_until)
		l->t->closed_until = until;
}

static void check_expired(landing *l, const hf_grant *g, const sim_fact *fact)
{
	sim *s = l->s;
	int64_t ends = fact->asked_at + g->ttl_ms - slack_ms(s, g->ttl_ms);

	/* Who saw the state before the store went back may take it for this one. */
	if (!g->ttl_ms || (s->now < ends && !l->t->went_back))
		sim_fail(s, "op%d ended %s as expired %lld ms too early", l->op->index, g->id,
			(long long)(ends - s->now));
	close_until(l, s->plan.medium == SIM_NO_CLOCK ? s->now : ends, g->lock_delay_ms);
}

static void check_dead(landing *l, const hf_grant *g)
{
	sim *s = l->s;
	const sim_client *c = &s->clients[g->process.pid - 1];

	if (s->plan.medium != SIM_HOST_CLOCK || !(g->flags & HF_GRANT_BOUND))
		sim_fail(s, "op%d ended %s as dead where no death can be proven", l->op->index,
			g->id);
	if (c->life == g->process.start && c->alive)
		sim_fail(
			s, "op%d ended %s as dead, and its process lives", l->op->index, g->id);
	close_until(l, c->died_at[g->process.start], g->lock_delay_ms);
}

static void check_stale(landing *l, const hf_grant *g, const sim_fact *fact)
{
	sim *s = l->s;
	int64_t least = l->asked->stale_after_ms;

	if (l->asked->ask != HF_ASK_ACQUIRE || l->asked->take != HF_TAKE_STALE)
		sim_fail(s, "op%d stole %s and was not asked to", l->op->index, g->id);
	if (s->now - fact->asked_at < least - slack_ms(s, least))
		sim_fail(s, "op%d stole %s, renewed %lld ms ago, as not renewed for %lld ms",
			l->op->index, g->id, (long long)(s->now - fact->asked_at),
			(long long)least);
	overrule(l, g);
}

static void check_gone(landing *l, const hf_grant *g, const hf_record_event *e)
{
	sim *s = l->s;
	const sim_fact *fact = sim_fact_of(&l->t->facts, g->id);
	char buf[16];
	const char *why = sim_why_ended(e->ended, g->id, buf);

	if (!why && e->kind == HF_EV_RELEASE && !strcmp(e->id, g->id))
		why = "released";
	if (!why)
		sim_fail(s, "op%d made %s vanish, which it had not read", l->op->index, g->id);
	if ((!strcmp(why, "stale") || !strcmp(why, "forced")) &&
		l->asked->ask == HF_ASK_ACQUIRE && !sim_find_grant(l->new, l->asked->grant.id))
		sim_fail(s, "op%d robbed %s and got nothing for it", l->op->index, g->id);
	if (!strcmp(why, "expired")) {
		check_expired(l, g, fact);
	} else if (!strcmp(why, "dead")) {
		check_dead(l, g);
	} else if (!strcmp(why, "stale")) {
		check_stale(l, g, fact);
	} else if (!strcmp(why, "forced")) {
		if (l->asked->ask != HF_ASK_FORCE_RELEASE && l->asked->take != HF_TAKE_ALL)
			sim_fail(s, "op%d took %s by force unasked", l->op->index, g->id);
		overrule(l, g);
	} else if (!strcmp(why, "released")) {
		if (l->asked->ask != HF_ASK_RELEASE || !named(l, g))
			sim_fail(s, "op%d released %s and was asked for another", l->op->index,
				g->id);
		if (!l->asked->who.id)
			overrule(l, g);
		s->ops[l->op->index]->released = true;
	} else {
		sim_fail(s, "op%d ended %s as '%s'", l->op->index, g->id, why);
	}
	sim_fact_remove(&l->t->facts, g->id);
}

/* ---- grants that came ---- */

static void check_token_of_group(landing *l, const hf_grant *g)
{
	uint64_t greatest = 0;
	size_t i;

	for (i = 0; i < l->new->grant_count; i++) {
		const hf_grant *other = &l->new->grants[i];

		if (other != g && !strcmp(other->group, g->group) && other->token > greatest)
			greatest = other->token;
	}
	if (g->token != greatest)
		sim_fail(l->s, "op%d joined %s with token %llu, its group has %llu",
			l->op->index, g->group, (unsigned long long)g->token,
			(unsigned long long)greatest);
}

/*
 * First come, first served, among those of one priority: none whose process
 * lives, and who let no offer lapse, is passed over without an offer (but by
 * one who was passed over more often: an offer that lapses does not count). And
 * nobody who holds nothing is let in before one who waits to upgrade.
 */
static void check_turn(landing *l, const hf_grant *g, const hf_record_event *e)
{
	sim *s = l->s;
	int mine = hf_queue_find(l->old, g->id);
	uint64_t arrival = mine < 0 ? UINT64_MAX : l->old->waiters[mine].arrival;
	uint64_t passed = mine < 0 ? 0 : l->old->waiters[mine].passed;
	size_t i;

	if (e->kind == HF_EV_FORCE || e->kind == HF_EV_STEAL || strcmp(g->group, g->id) != 0)
		return;
	if (mine >= 0 && l->old->waiters[mine].offer)
		return;
	for (i = 0; i < l->new->waiter_count; i++) {
		const hf_waiter *w = &l->new->waiters[i];
		const sim_client *c = &s->clients[w->want.process.pid - 1];
		bool upgrades = strcmp(w->want.group, w->want.id) != 0;

		if (w->offer || !c->alive || c->life != w->want.process.start)
			continue;
		if (upgrades || (w->arrival < arrival && !w->missed &&
					w->want.priority >= g->priority && w->passed >= passed))
			sim_fail(s, "op%d was let in before %s, who came before it",
				l->op->index, w->want.id);
	}
}

static void check_came(landing *l, const hf_grant *g, const hf_record_event *e)
{
	sim *s = l->s;
	const hf_grant *want = &l->asked->grant;
	sim_op *op = s->ops[l->op->index];
	sim_fact *fact;

	if (l->asked->ask != HF_ASK_ACQUIRE || strcmp(g->id, want->id) != 0)
		sim_fail(s, "op%d granted %s and was not asked to", op->index, g->id);
	if (g->mode != want->mode || g->ttl_ms != want->ttl_ms ||
		strcmp(g->owner, want->owner) != 0 || strcmp(g->group, want->group) != 0)
		sim_fail(s, "op%d's grant %s is not what it asked for", op->index, g->id);
	if (strcmp(g->group, g->id) != 0) {
		check_token_of_group(l, g);
	} else {
		if (g->token <= l->t->greatest_token || g->token != l->new->counter)
			sim_fail(s, "op%d's grant has token %llu after %llu", op->index,
				(unsigned long long)g->token,
				(unsigned long long)l->t->greatest_token);
		if (s->now < l->t->closed_until && e->kind != HF_EV_FORCE && !l->t->went_back)
			sim_fail(s, "op%d was let in %lld ms before the lock delay was over",
				op->index, (long long)(l->t->closed_until - s->now));
	}
	if (!l->m->line)
		sim_fail(s, "op%d granted %s in silence", op->index, g->id);
	check_turn(l, g, e);
	op->granted = true;
	op->granted_by = l->m->sent_at;
	op->granted_above = l->m->last_token;
	op->granted_token = g->token;
	fact = sim_fact_add(s, &l->t->facts, g->id);
	fact->came_at = s->now;
	fact->asked_at = l->m->from;
}

/* ---- grants that stayed ---- */

static bool same_terms(const hf_grant *a, const hf_grant *b)
{
	return !strcmp(a->group, b->group) && !strcmp(a->owner, b->owner) &&
	       !strcmp(a->fingerprint, b->fingerprint) && !strcmp(a->info, b->info) &&
	       a->limit == b->limit && a->flags == b->flags && a->priority == b->priority &&
	       a->lock_delay_ms == b->lock_delay_ms &&
	       a->acquired_wall_ms == b->acquired_wall_ms && a->process.pid == b->process.pid &&
	       a->process.start == b->process.start;
}

/* The token of a hold of the same group that keeps out all that this one does. */
static uint64_t covering_beside(const landing *l, const hf_grant *g)
{
	uint64_t token = 0;
	size_t i;

	for (i = 0; i < l->old->grant_count; i++) {
		const hf_grant *other = &l->old->grants[i];

		if (other->mode != HF_EXCLUSIVE && other->mode != g->mode)
			continue;
		if (strcmp(other->id, g->id) != 0 && !strcmp(other->group, g->group) &&
			sim_find_grant(l->new, other->id) && other->token > token)
			token = other->token;
	}
	return token;
}

static void check_stayed(landing *l, const hf_grant *was, const hf_grant *is)
{
	sim *s = l->s;
	bool renewed = l->asked->ask == HF_ASK_RENEW && named(l, is);
	bool converted = l->asked->ask == HF_ASK_CONVERT && named(l, is);
	bool upgraded = converted && was->mode != is->mode &&
			(is->mode == HF_EXCLUSIVE || is->mode == HF_INTENT_EXCLUSIVE);
	uint64_t beside = upgraded ? covering_beside(l, is) : 0;
	bool good = is->token == was->token;

	if (!same_terms(was, is))
		sim_fail(s, "op%d changed the terms of %s", l->op->index, is->id);
	if (is->renewals != was->renewals || is->ttl_ms != was->ttl_ms ||
		is->deadline_ms != was->deadline_ms || strcmp(is->clock, was->clock) != 0) {
		if (!renewed || is->renewals <= was->renewals)
			sim_fail(s, "op%d renewed %s and was asked for another", l->op->index,
				is->id);
		sim_fact_of(&l->t->facts, is->id)->asked_at = l->m->from;
	}
	if (is->mode != was->mode && (!converted || is->mode != l->asked->mode))
		sim_fail(s, "op%d converted %s unasked", l->op->index, is->id);
	if (is->mode != was->mode)
		s->ops[l->op->index]->converted = true;
	s->upgrades_from_line += upgraded && hf_queue_find(l->old, l->asked->grant.id) >= 0;
	if (upgraded)
		good = beside ? is->token == beside : is->token > l->t->greatest_token;
	if (!good)
		sim_fail(s, "op%d gave %s token %llu for %llu", l->op->index, is->id,
			(unsigned long long)is->token, (unsigned long long)was->token);
}

/* ---- the whole ---- */

static void check_holders(landing *l)
{
	const hf_record *r = l->new;
	const hf_grant *first = NULL;
	size_t groups = 0;
	size_t i;
	size_t j;

	for (i = 0; i < r->grant_count; i++) {
		const hf_grant *g = &r->grants[i];
		bool counts = !sim_is_intent(g->mode);

		for (j = 0; j < i; j++) {
			const hf_grant *other = &r->grants[j];
			bool same = !strcmp(other->group, g->group);

			if (!same && !sim_together[other->mode][g->mode])
				sim_fail(l->s, "op%d let %s in beside %s", l->op->index,
					hf_mode_name(g->mode), hf_mode_name(other->mode));
			counts = counts && !(same && !sim_is_intent(other->mode));
		}
		groups += counts;
		if (sim_is_intent(g->mode) ? g->limit > 0 : first && g->limit != first->limit)
			sim_fail(l->s, "op%d let %s in with limit %u", l->op->index, g->id,
				g->limit);
		if (!first && !sim_is_intent(g->mode))
			first = g;
	}
	if (first && first->limit && groups > first->limit)
		sim_fail(l->s, "op%d let %zu in where the limit is %u", l->op->index, groups,
			first->limit);
}

static void check_progress(landing *l)
{
	if (l->new->gen <= l->t->greatest_gen)
		sim_fail(l->s, "op%d wrote generation %llu over %llu", l->op->index,
			(unsigned long long)l->new->gen,
			(unsigned long long)l->t->greatest_gen);
	if (l->new->counter < l->t->greatest_token)
		sim_fail(l->s, "op%d put the counter of tokens back from %llu to %llu",
			l->op->index, (unsigned long long)l->t->greatest_token,
			(unsigned long long)l->new->counter);
}

static void check_each(landing *l, const hf_record_event *e)
{
	char why[16];
	size_t i;

	for (i = 0; i < l->old->grant_count; i++) {
		const hf_grant *was = &l->old->grants[i];
		const hf_grant *is = sim_find_grant(l->new, was->id);

		if (is && !sim_why_ended(e->ended, was->id, why))
			check_stayed(l, was, is);
		else
			check_gone(l, was, e);
	}
	for (i = 0; i < l->new->grant_count; i++)
		if (!sim_fact_of(&l->t->facts, l->new->grants[i].id))
			check_came(l, &l->new->grants[i], e);
}

/* What the history does not tell of: renewals, and who waits. */
static void check_silence(landing *l)
{
	size_t i;

	if (l->asked->ask == HF_ASK_RENEW)
		return;
	if (l->old->waiter_count == 0 && l->new->waiter_count == 0)
		sim_fail(l->s, "op%d changed more than a renewal in silence", l->op->index);
	for (i = 0; i < l->old->grant_count; i++) {
		const hf_grant *was = &l->old->grants[i];
		const hf_grant *is = sim_find_grant(l->new, was->id);

		if (!is || is->gen != was->gen)
			sim_fail(l->s, "op%d changed %s in silence", l->op->index, was->id);
	}
}

/* Offers go to those who can be in together, beside those who are. */
static void check_line(landing *l)
{
	const hf_record *r = l->new;
	size_t i;
	size_t j;

	for (i = 0; i < r->waiter_count; i++) {
		const hf_waiter *w = &r->waiters[i];

		if (sim_find_grant(r, w->want.id))
			sim_fail(l->s, "op%d lets %s hold and wait", l->op->index, w->want.id);
		if (!w->offer)
			continue;
		for (j = 0; j < r->grant_count; j++)
			if (strcmp(r->grants[j].group, w->want.group) != 0 &&
				!sim_together[r->grants[j].mode][w->want.mode])
				sim_fail(l->s, "op%d offers to %s what is taken", l->op->index,
					w->want.id);
		for (j = 0; j < i; j++)
			if (r->waiters[j].offer &&
				strcmp(r->waiters[j].want.group, w->want.group) != 0 &&
				!sim_together[r->waiters[j].want.mode][w->want.mode])
				sim_fail(l->s, "op%d offers to %s what is offered",
					l->op->index, w->want.id);
	}
}

static void check_event(landing *l, const hf_record_event *e)
{
	const hf_record_event *kept = &l->new->event;

	if (!l->m->line) {
		check_silence(l);
	} else {
		if (e->gen != l->new->gen || kept->gen != e->gen || kept->kind != e->kind ||
			strcmp(kept->id, e->id) != 0 || strcmp(kept->ended, e->ended) != 0)
			sim_fail(l->s, "op%d's record does not hold its event", l->op->index);
		sim_replay(l->s, &l->t->replay, l->m->line);
	}
	sim_compare_replay(l->s, &l->t->replay, l->new);
}

static void note_taken(sim *s, sim_truth *t)
{
	bool taken = t->record.grant_count > 0 || t->record.closed_ms > 0 ||
		     t->record.waiter_count > 0;

	if (t->taken)
		t->taken_until = s->now;
	t->taken = taken;
	if (t->record.counter > t->greatest_token)
		t->greatest_token = t->record.counter;
	if (t->record.gen > t->greatest_gen)
		t->greatest_gen = t->record.gen;
}

/* Has it got what it waited for, by this? */
static bool gets_it(const landing *l)
{
	const hf_grant *was = sim_find_grant(l->old, l->op->id);
	const hf_grant *is = sim_find_grant(l->new, l->op->id);

	if (l->asked->ask == HF_ASK_CONVERT)
		return was && is && was->mode != is->mode;
	return is != NULL;
}

/* Whoever has been told no has nothing under way, but to go out of the line. */
static void check_late(landing *l)
{
	const sim_op *op = l->op;
	bool leaves = op->setup.request.queue && !gets_it(l);

	if (op->answered && op->answer != HF_UNKNOWN && !l->t->went_back && !leaves)
		sim_fail(l->s, "op%d changed the lock after it was told '%s'", op->index,
			hf_status_name(op->answer));
}

void sim_check_landing(sim *s, const sim_message *m)
{
	const sim_op *op = s->ops[m->op];
	sim_truth *t = &s->truth[op->key];
	landing l = {s, m, op, &op->setup.request, t, &t->record, &t->next};
	char text[4096] = "";
	hf_record_event e = {.ended = "", .id = ""};
	hf_record was;
	hf_error error;

	if (hf_record_decode(
		    &t->next, m->data, m->len, sim_key_names[op->key], HF_RECORD_WHOLE, &error))
		sim_fail(s, "op%d wrote what cannot be read: %s", op->index, error.text);
	if (m->line && (!hf_copy(text, sizeof(text), m->line) || !hf_event_decode(text, &e)))
		sim_fail(s, "op%d wrote an event that cannot be read: %s", op->index, m->line);
	check_late(&l);
	check_progress(&l);
	check_each(&l, &e);
	if (e.kind == HF_EV_FORCE || e.kind == HF_EV_FORCE_RELEASE)
		t->closed_until = 0; /* force opens what is closed, too */
	check_holders(&l);
	check_line(&l);
	check_event(&l, &e);
	s->landed[m->line			 ? e.kind
		  : l.asked->ask == HF_ASK_RENEW ? HF_EV_RENEW
						 : HF_EV_QUEUE]++;
	was = t->record;
	t->record = t->next;
	t->next = was;
	note_taken(s, t);
}

void sim_check_forgotten(sim *s, int key)
{
	sim_truth *t = &s->truth[key];

	s->forgotten++;
	hf_record_reset(&t->record);
	t->facts.count = 0;
	t->replay.count = 0;
	note_taken(s, t);
}

/* Leases from before are void: that they exclude is not claimed any more. */
static void void_leases(sim *s, int key)
{
	int i;
	int j;

	for (i = 0; i < s->plan.clients; i++)
		for (j = 0; j < SIM_LEASES; j++)
			if (s->clients[i].leases[j].key == key)
				s->clients[i].leases[j].overruled = true;
}

void sim_check_restored(sim *s, int key)
{
	sim_truth *t = &s->truth[key];
	const sim_cell *cell = &s->store.cells[key];
	size_t i;

	s->restarts++;
	void_leases(s, key);
	t->went_back = true;
	t->went_back_at = s->now;
	t->closed_until = 0;
	t->facts.count = 0;
	hf_record_reset(&t->record);
	if (cell->data && hf_record_decode(&t->record, cell->data, cell->len, NULL,
				  HF_RECORD_WHOLE, NULL))
		sim_fail(s, "the backup cannot be read");
	for (i = 0; i < t->record.grant_count; i++) {
		const hf_grant *g = &t->record.grants[i];
		sim_fact *fact = sim_fact_add(s, &t->facts, g->id);

		fact->token = g->token;
		fact->mode = g->mode;
		fact->asked_at = s->now - 1000000;
	}
	t->replay = t->facts;
	t->greatest_token = t->record.counter;
	t->greatest_gen = t->record.gen;
	note_taken(s, t);
}
