/* What clients do: acquire, hold, renew, release, die. See sim.h. */
#include "sim.h"

#include <stdio.h>

/* ---- ids and slots ---- */

void sim_new_id(sim *s, char id[HF_ID_LEN + 1])
{
	snprintf(id, HF_ID_LEN + 1, "%016llx%016llx", (unsigned long long)hf_rng_next(&s->rng),
		(unsigned long long)++s->serial);
}

static int *free_slot(sim_client *c)
{
	int i;

	for (i = 0; i < SIM_SLOTS; i++)
		if (c->ops[i] < 0)
			return &c->ops[i];
	return NULL;
}

static sim_lease *free_lease(sim_client *c)
{
	int i;

	for (i = 0; i < SIM_LEASES; i++)
		if (!c->leases[i].held)
			return &c->leases[i];
	return NULL;
}

sim_lease *sim_lease_of(sim *s, const sim_op *op)
{
	sim_lease *lease;

	if (op->lease < 0)
		return NULL;
	lease = &s->clients[op->client].leases[op->lease];
	return lease->held && lease->serial == op->lease_serial ? lease : NULL;
}

static void drop_lapsed(sim *s, int client)
{
	sim_client *c = &s->clients[client];
	int i;

	for (i = 0; i < SIM_LEASES; i++) {
		sim_lease *lease = &c->leases[i];

		if (lease->held && !lease->releasing && !sim_trusts(s, client, lease)) {
			sim_trace(s, "c%d notices that %s is lost", client, lease->id);
			lease->held = false;
		}
	}
}

/* ---- acquire ---- */

static void draw_strategy(sim *s, hf_attempt_setup *setup)
{
	static const hf_strategy plain[] = {HF_QUEUE, HF_QUEUE, HF_RETRY, HF_FAIL_FAST};

	setup->strategy = plain[hf_rng_below(&s->rng, HF_ARRAY_LEN(plain))];
	if (sim_chance(s, s->plan.steal)) {
		setup->strategy = HF_STEAL_STALE;
		setup->request.take = HF_TAKE_STALE;
		setup->request.stale_after_ms = sim_between(s, 100, 900);
	} else if (sim_chance(s, s->plan.force)) {
		setup->strategy = HF_FORCE_ACQUIRE;
		setup->request.take = HF_TAKE_ALL;
	}
	if (setup->strategy != HF_FAIL_FAST)
		setup->wait_ms = sim_chance(s, 500) ? -1 : sim_between(s, 0, 1500);
	setup->request.queue = setup->strategy == HF_QUEUE && setup->wait_ms != 0 &&
			       sim_chance(s, s->plan.queue);
}

static void draw_terms(sim *s, int client, sim_op *op)
{
	static const int64_t ttls[] = {100, 200, 400, 800};
	hf_grant *want = &op->setup.request.grant;
	const sim_plan *p = &s->plan;

	want->mode = sim_chance(s, p->shared) ? HF_SHARED : HF_EXCLUSIVE;
	if (sim_chance(s, p->intent))
		want->mode = want->mode == HF_SHARED ? HF_INTENT_SHARED : HF_INTENT_EXCLUSIVE;
	if (want->mode == HF_SHARED)
		want->limit = sim_chance(s, 40) ? (uint32_t)hf_rng_below(&s->rng, 4)
						: p->limit[op->key];
	want->ttl_ms = ttls[hf_rng_below(&s->rng, HF_ARRAY_LEN(ttls))];
	if (sim_chance(s, p->priority))
		want->priority = (int32_t)sim_between(s, -2, 2);
	if (sim_chance(s, p->lock_delay))
		want->lock_delay_ms = sim_between(s, 1, 600);
	op->detached = sim_chance(s, 60);
	if (p->medium == SIM_HOST_CLOCK)
		want->process.live = "";
	if (!op->detached && p->medium == SIM_HOST_CLOCK) {
		want->flags = HF_GRANT_BOUND;
		if (sim_chance(s, p->endless))
			want->ttl_ms = 0;
	}
	snprintf(op->owner, sizeof(op->owner), sim_chance(s, 100) ? "team" : "c%d", client);
	want->owner = op->owner;
	if (op->detached) {
		snprintf(op->fingerprint, sizeof(op->fingerprint), "fp%u", ++s->serial);
		want->fingerprint = op->fingerprint;
	}
}

static void acquire(sim *s, int client, int *slot, const sim_lease *join)
{
	int key = join ? join->key : (int)hf_rng_below(&s->rng, (uint64_t)s->plan.keys);
	sim_op *op = sim_op_new(s, client, key);
	hf_grant *want = &op->setup.request.grant;

	*slot = op->index;
	op->setup.request.ask = HF_ASK_ACQUIRE;
	sim_new_id(s, op->id);
	draw_strategy(s, &op->setup);
	draw_terms(s, client, op);
	if (join) {
		hf_copy(op->group, sizeof(op->group), join->group);
		want->group = op->group;
		if (sim_chance(s, 700))
			want->mode = join->mode;
		if (sim_is_intent(want->mode))
			want->limit = 0;
	} else {
		sim_circle_draw_under(s, client, op);
	}
	sim_trace(s,
		"c%d op%d acquires %s as %s: %s, limit %u, ttl %lld, strategy %d, wait %lld",
		client, op->index, sim_key_names[key], op->id, hf_mode_name(want->mode),
		want->limit, (long long)want->ttl_ms, op->setup.strategy,
		(long long)op->setup.wait_ms);
	sim_op_begin(s, op);
}

static void renew_at(sim *s, int client, const sim_lease *lease, int64_t boot_ms)
{
	sim_client *c = &s->clients[client];

	if (lease->ttl_ms > 0 && !lease->detached)
		sim_schedule(s, sim_true_ms(s, client, boot_ms), SIM_EV_RENEW, client,
			(unsigned)(lease - c->leases), lease->serial);
}

static void believe(sim *s, int client, sim_lease *lease, int64_t base_ms)
{
	int64_t until;

	if (sim_defect(s, SIM_TRUST_FROM_REPLY))
		base_ms = sim_boot_ms(s, client);
	lease->base_ms = base_ms;
	until = hf_trust_until_ms(base_ms, lease->ttl_ms);
	if (lease->trust_until_ms < until)
		lease->trust_until_ms = until; /* no renewal ends it sooner */
	renew_at(s, client, lease, base_ms + lease->ttl_ms / 3);
}

static void acquired(sim *s, sim_op *op)
{
	const hf_grant *want = &op->setup.request.grant;
	sim_client *c = &s->clients[op->client];
	sim_lease *lease = free_lease(c);
	int64_t hold = sim_between(s, 1, sim_chance(s, 700) ? 150 : 900);

	if (strcmp(want->group, want->id) == 0) {
		/* Also by a store that went back behind it. */
		if (op->attempt->token <= op->granted_above)
			sim_fail(s, "c%d was given token %llu after %llu", op->client,
				(unsigned long long)op->attempt->token,
				(unsigned long long)op->granted_above);
		if (op->attempt->token > c->last_token[op->key])
			c->last_token[op->key] = op->attempt->token;
	}
	*lease = (sim_lease){.held = true,
		.detached = op->detached,
		.serial = ++s->serial,
		.key = op->key,
		.mode = want->mode,
		.token = op->attempt->token,
		.ttl_ms = want->ttl_ms,
		.renewing = -1};
	hf_copy(lease->id, sizeof(lease->id), want->id);
	hf_copy(lease->group, sizeof(lease->group), want->group);
	hf_copy(lease->owner, sizeof(lease->owner), want->owner);
	hf_copy(lease->fingerprint, sizeof(lease->fingerprint), want->fingerprint);
	lease->overruled = sim_overruled(s, op);
	believe(s, op->client, lease, op->attempt->base_ms);
	if (lease->detached && !s->quiet)
		return;
	sim_schedule(s, s->now + hold, SIM_EV_LEAVE, op->client, (unsigned)(lease - c->leases),
		lease->serial);
}

/* ---- what is done with a lease ---- */

sim_op *sim_op_about(sim *s, int client, sim_lease *lease, hf_ask ask)
{
	sim_op *op = sim_op_new(s, client, lease->key);
	hf_request *request = &op->setup.request;

	op->lease = (int)(lease - s->clients[client].leases);
	op->lease_serial = lease->serial;
	hf_copy(op->id, sizeof(op->id), lease->id);
	hf_copy(op->owner, sizeof(op->owner), lease->owner);
	request->ask = ask;
	request->grant.owner = op->owner;
	request->who.id = op->id;
	return op;
}

void sim_client_renew(sim *s, int client, unsigned slot, unsigned serial)
{
	sim_client *c = &s->clients[client];
	sim_lease *lease = &c->leases[slot];
	bool extend = sim_chance(s, 60);
	sim_op *op;

	if (!c->alive || !lease->held || lease->serial != serial || lease->releasing ||
		lease->renewing >= 0)
		return;
	if (!sim_trusts(s, client, lease)) {
		drop_lapsed(s, client);
		return;
	}
	op = sim_op_about(s, client, lease, HF_ASK_RENEW);
	op->setup.request.renewals = ++lease->renewals;
	op->setup.request.ttl_ms = extend ? sim_between(s, 100, 900) : lease->ttl_ms;
	op->setup.wait_ms = lease->trust_until_ms - sim_boot_ms(s, client);
	op->setup.settle_ms = 200;
	lease->renewing = op->index;
	if (op->setup.request.ttl_ms < lease->ttl_ms) {
		/* It may land at any time from now on. */
		int64_t until =
			hf_trust_until_ms(sim_boot_ms(s, client), op->setup.request.ttl_ms);

		if (until < lease->trust_until_ms)
			lease->trust_until_ms = until;
	}
	sim_trace(s, "c%d op%d renews %s, count %llu, ttl %lld", client, op->index, lease->id,
		(unsigned long long)op->setup.request.renewals,
		(long long)op->setup.request.ttl_ms);
	sim_op_begin(s, op);
}

static void renewed(sim *s, sim_op *op)
{
	sim_lease *lease = sim_lease_of(s, op);

	if (!lease)
		return;
	lease->renewing = -1;
	if (op->answer == HF_OK) {
		if (!op->attempt->base_ms)
			sim_fail(s, "c%d renewed %s and may trust nothing", op->client,
				lease->id);
		if (op->setup.request.ttl_ms < lease->ttl_ms)
			lease->trust_until_ms = 0;
		lease->ttl_ms = op->setup.request.ttl_ms;
		believe(s, op->client, lease, op->attempt->base_ms);
	} else if (op->answer == HF_LOST) {
		lease->held = false;
	} else {
		renew_at(s, op->client, lease, sim_boot_ms(s, op->client) + 10);
	}
}

/* Takes no slot: whoever waits for what it holds itself may still let go. */
static void release(sim *s, int client, sim_lease *lease)
{
	sim_op *op = sim_op_about(s, client, lease, HF_ASK_RELEASE);

	lease->releasing = true;
	op->setup.wait_ms = sim_between(s, 0, 300);
	sim_trace(s, "c%d op%d releases %s", client, op->index, lease->id);
	sim_op_begin(s, op);
}

static bool busy(const sim *s, const sim_client *c, const sim_lease *lease)
{
	int client = (int)(c - s->clients);
	int i;

	if (sim_circle_binds(s, client, lease))
		return true;
	for (i = 0; i < SIM_SLOTS; i++)
		if (c->ops[i] >= 0 && s->ops[c->ops[i]]->lease == (int)(lease - c->leases) &&
			s->ops[c->ops[i]]->lease_serial == lease->serial)
			return true;
	return false;
}

void sim_client_leave(sim *s, int client, unsigned index, unsigned serial)
{
	sim_client *c = &s->clients[client];
	sim_lease *lease = &c->leases[index];

	if (!c->alive || !lease->held || lease->serial != serial || lease->releasing)
		return;
	drop_lapsed(s, client);
	if (!lease->held)
		return;
	if (busy(s, c, lease)) {
		sim_schedule(s, s->now + 15, SIM_EV_LEAVE, client, index, serial);
		return;
	}
	sim_check_use(s, client, lease);
	if (lease->ttl_ms > 0 && sim_chance(s, 60)) {
		sim_trace(s, "c%d walks away from %s", client, lease->id);
		lease->held = false;
		return;
	}
	release(s, client, lease);
}

/* ---- what is done to others ---- */

static sim_lease *some_detached(sim *s, int *client_out)
{
	int start = (int)hf_rng_below(&s->rng, SIM_CLIENTS);
	int i;
	int j;

	for (i = 0; i < s->plan.clients; i++) {
		sim_client *c = &s->clients[(start + i) % s->plan.clients];

		for (j = 0; j < SIM_LEASES; j++) {
			*client_out = (start + i) % s->plan.clients;
			if (c->leases[j].held && c->leases[j].detached &&
				!c->leases[j].releasing)
				return &c->leases[j];
		}
	}
	return NULL;
}

static void release_by(sim *s, int client, int *slot)
{
	int holder;
	sim_lease *lease = some_detached(s, &holder);
	bool by_owner = sim_chance(s, 300);
	sim_op *op;

	if (!lease && !by_owner)
		return;
	op = sim_op_new(s, client, lease ? lease->key : 0);
	*slot = op->index;
	op->setup.request.ask = HF_ASK_RELEASE;
	op->setup.wait_ms = 200;
	if (by_owner) {
		hf_copy(op->owner, sizeof(op->owner), "team");
		op->setup.request.who.owner = op->owner;
	} else {
		hf_copy(op->fingerprint, sizeof(op->fingerprint), lease->fingerprint);
		op->setup.request.who.fingerprint = op->fingerprint;
		lease->held = false; /* whoever has the secret has the lease */
	}
	sim_trace(s, "c%d op%d releases by %s", client, op->index,
		by_owner ? op->owner : op->fingerprint);
	sim_op_begin(s, op);
}

static void tidy(sim *s, int client, int *slot, hf_ask ask)
{
	sim_op *op = sim_op_new(s, client, (int)hf_rng_below(&s->rng, (uint64_t)s->plan.keys));

	*slot = op->index;
	op->setup.request.ask = ask;
	op->setup.wait_ms = 100;
	snprintf(op->owner, sizeof(op->owner), "admin%d", client);
	op->setup.request.grant.owner = op->owner;
	sim_trace(s, "c%d op%d %s %s", client, op->index,
		ask == HF_ASK_REAP ? "reaps" : "releases by force", sim_key_names[op->key]);
	sim_op_begin(s, op);
}

/* ---- living ---- */

static size_t wishes(const sim_client *c)
{
	size_t n = 0;
	int i;

	for (i = 0; i < SIM_LEASES; i++)
		n += c->leases[i].held;
	for (i = 0; i < SIM_SLOTS; i++)
		n += c->ops[i] >= 0;
	return n;
}

/* One to do something with: any place, or one that may be upgraded. */
static sim_lease *some_lease(sim *s, sim_client *c)
{
	int i;

	for (i = 0; i < SIM_LEASES && sim_chance(s, s->plan.upgrade); i++) {
		sim_lease *lease = &c->leases[i];

		if (lease->held && lease->mode != HF_EXCLUSIVE && !busy(s, c, lease))
			return lease;
	}
	return &c->leases[hf_rng_below(&s->rng, SIM_LEASES)];
}

static void do_something(sim *s, int client, int *slot)
{
	sim_client *c = &s->clients[client];
	sim_lease *lease = some_lease(s, c);
	uint64_t dice = hf_rng_below(&s->rng, 100);

	if (lease->held && !lease->releasing && !busy(s, c, lease) &&
		sim_trusts(s, client, lease)) {
		if (sim_chance(s, s->plan.upgrade))
			dice = 0;
		if (dice < 20)
			sim_client_convert(s, client, slot, lease);
		else if (dice < 40 && wishes(c) < SIM_LEASES)
			acquire(s, client, slot, lease);
		else if (dice < 45)
			sim_client_leave(
				s, client, (unsigned)(lease - c->leases), lease->serial);
		return;
	}
	if (dice < 6)
		release_by(s, client, slot);
	else if (dice < 9)
		tidy(s, client, slot, HF_ASK_REAP);
	else if (dice < 11 && s->plan.force)
		tidy(s, client, slot, HF_ASK_FORCE_RELEASE);
	else if (wishes(c) < SIM_LEASES)
		acquire(s, client, slot, NULL);
}

/* Most of all where a request of unknown fate makes it hard. */
static void cancel_some(sim *s, sim_client *c)
{
	int i;

	for (i = 0; i < SIM_SLOTS; i++) {
		sim_op *op = c->ops[i] >= 0 ? s->ops[c->ops[i]] : NULL;

		if (op && op->attempt && sim_chance(s, op->attempt->pending ? 400 : 50))
			sim_op_cancel(s, op);
	}
}

void sim_client_act(sim *s, int client)
{
	sim_client *c = &s->clients[client];
	int *slot;
	int i;

	if (s->quiet && c->restart_at_quiet)
		sim_client_die(s, client);
	if (s->quiet)
		return;
	sim_schedule(
		s, s->now + sim_between(s, 1, 2 * s->plan.act_ms), SIM_EV_ACT, client, 0, 0);
	if (!c->alive) {
		if (c->life + 1 >= SIM_LIVES)
			return;
		c->life++;
		c->alive = true;
		sim_trace(s, "c%d is there again", client);
	}
	drop_lapsed(s, client);
	for (i = 0; i < SIM_LEASES; i++)
		sim_check_use(s, client, &c->leases[i]);
	cancel_some(s, c);
	slot = free_slot(c);
	if (slot)
		do_something(s, client, slot);
}

void sim_client_answered(sim *s, sim_op *op)
{
	sim_client *c = &s->clients[op->client];
	int i;

	for (i = 0; i < SIM_SLOTS; i++)
		if (c->ops[i] == op->index)
			c->ops[i] = -1;
	switch (op->setup.request.ask) {
	case HF_ASK_ACQUIRE:
		if (op->answer == HF_OK)
			acquired(s, op);
		else if (op->answer == HF_UNKNOWN && !op->setup.request.grant.ttl_ms)
			c->restart_at_quiet = true;
		break;
	case HF_ASK_RENEW:
		renewed(s, op);
		break;
	case HF_ASK_CONVERT:
		sim_client_converted(s, op);
		break;
	case HF_ASK_RELEASE:
		if (sim_lease_of(s, op)) {
			if (op->answer != HF_OK && op->answer != HF_LOST &&
				!sim_lease_of(s, op)->ttl_ms)
				c->restart_at_quiet = true;
			sim_lease_of(s, op)->held = false;
		}
		break;
	default:
		break;
	}
	if (s->quiet && c->restart_at_quiet)
		sim_schedule(s, s->now + 1, SIM_EV_ACT, op->client, 0, 0);
}

void sim_client_start(sim *s, int client)
{
	sim_client *c = &s->clients[client];
	int i;

	c->alive = true;
	for (i = 0; i < SIM_SLOTS; i++)
		c->ops[i] = -1;
	sim_schedule(s, sim_between(s, 0, s->plan.act_ms), SIM_EV_ACT, client, 0, 0);
}

/* The process ends; what it sent may land yet. */
void sim_client_die(sim *s, int client)
{
	sim_client *c = &s->clients[client];
	size_t i;
	int k;

	if (!c->alive)
		return;
	sim_trace(s, "c%d dies", client);
	c->alive = false;
	c->died_at[c->life] = s->now;
	for (i = 0; i < s->op_count; i++)
		if (s->ops[i]->client == client && s->ops[i]->attempt)
			sim_op_drop(s, s->ops[i]);
	for (k = 0; k < SIM_SLOTS; k++)
		c->ops[k] = -1;
	for (k = 0; k < SIM_LEASES; k++)
		c->leases[k].held = false;
	sim_client_forget(c);
}

void sim_client_quiet(sim *s, int client)
{
	sim_client *c = &s->clients[client];
	unsigned i;

	if (c->restart_at_quiet)
		sim_client_die(s, client);
	for (i = 0; i < SIM_LEASES; i++)
		if (c->leases[i].held)
			sim_schedule(s, s->now + sim_between(s, 0, 300), SIM_EV_LEAVE, client,
				i, c->leases[i].serial);
}

bool sim_client_idle(const sim *s, int client)
{
	const sim_client *c = &s->clients[client];
	int i;

	if (!c->alive)
		return true;
	for (i = 0; i < SIM_SLOTS; i++)
		if (c->ops[i] >= 0)
			return false;
	for (i = 0; i < SIM_LEASES; i++)
		if (c->leases[i].held)
			return false;
	return true;
}
