/* Drives an hf_attempt: what it asks is sent, what comes is told. See sim.h. */
#include "sim.h"

#include "lock/queue.h"

#include <stdlib.h>

static hf_now now_of(const sim *s, const sim_op *op)
{
	return (hf_now){
		.boot_ms = sim_boot_ms(s, op->client), .wall_ms = sim_wall_ms(s, op->client)};
}

sim_op *sim_op_new(sim *s, int client, int key)
{
	sim_op *op = calloc(1, sizeof(*op));
	hf_attempt_setup *setup = &op->setup;
	sim_client *c = &s->clients[client];

	if (s->op_count == s->op_cap) {
		s->op_cap = s->op_cap ? 2 * s->op_cap : 64;
		s->ops = realloc(s->ops, s->op_cap * sizeof(*s->ops));
	}
	op->index = (int)s->op_count;
	s->ops[s->op_count++] = op;
	op->client = client;
	op->life = c->life;
	op->key = key;
	op->lease = -1;
	op->started_at = s->now;
	setup->name = sim_key_names[key];
	setup->request.grant = hf_grant_blank();
	setup->request.grant.id = op->id;
	setup->request.grant.group = op->id;
	setup->request.grant.process.host = "sim";
	setup->request.grant.process.pid = client + 1;
	setup->request.grant.process.start = c->life;
	setup->wait_ms = 0;
	setup->settle_ms = sim_between(s, 0, 800);
	setup->poll_ms = 50;
	setup->line_ms = 400;
	setup->near = 1; /* so that short lines are folded */
	setup->request.claim_ms = 30 + (int64_t)setup->settle_ms / 4;
	setup->backoff_min_ms = 5;
	setup->backoff_max_ms = 100;
	setup->max_retries = 3;
	setup->capabilities = HF_CAP_HISTORY | HF_CAP_FORGET | HF_CAP_AMEND |
			      (s->plan.medium == SIM_STORE_CLOCK ? (unsigned)HF_CAP_CLOCK : 0u);
	setup->host_clock = s->plan.medium == SIM_HOST_CLOCK ? "boot-1" : "";
	setup->seed = hf_rng_next(&s->rng);
	setup->observer = &c->seen[key];
	return op;
}

/* ---- the loop ---- */

static void probe(sim *s, sim_op *op)
{
	hf_attempt *a = op->attempt;
	size_t i;

	if (s->plan.medium != SIM_HOST_CLOCK)
		return;
	if (a->probe_waiter >= 0) {
		const hf_process *p = &a->record.waiters[a->probe_waiter].want.process;
		const sim_client *c = &s->clients[p->pid - 1];

		a->waiters[a->probe_waiter].dead = !c->alive || c->life != p->start;
		return;
	}
	for (i = 0; i < a->record.grant_count; i++) {
		const hf_process *p = &a->record.grants[i].process;
		const sim_client *c = &s->clients[p->pid - 1];

		a->evidence[i].dead = !c->alive || c->life != p->start;
		if (sim_defect(s, SIM_PAUSED_IS_DEAD) && c->paused_until > s->now)
			a->evidence[i].dead = true;
	}
}

/* What other attempts of this client have learnt since counts for this one. */
static void tell_known(sim *s, sim_op *op)
{
	const sim_client *c = &s->clients[op->client];
	hf_request *request = &op->attempt->setup.request;

	request->least_gen = c->known_gen[op->key];
	request->least_counter = c->known_counter[op->key];
}

static void remember(sim *s, const sim_op *op, const hf_record *r)
{
	sim_client *c = &s->clients[op->client];

	if (r->gen > c->known_gen[op->key])
		c->known_gen[op->key] = r->gen;
	if (r->counter > c->known_counter[op->key])
		c->known_counter[op->key] = r->counter;
}

/* The next attempt of this client may begin from where this one ended. */
static void keep_state(sim *s, sim_op *op)
{
	sim_client *c = &s->clients[op->client];
	hf_attempt *a = op->attempt;
	hf_record unused = c->known_record[op->key];

	hf_snapshot_clear(&c->known[op->key]);
	c->known[op->key] = a->snap;
	memset(&a->snap, 0, sizeof(a->snap));
	c->has_record[op->key] = a->written;
	if (sim_defect(s, SIM_ETAG_WITHOUT_STATE)) {
		free(c->known[op->key].data);
		c->known[op->key].data = NULL;
		c->known[op->key].len = 0;
	}
	if (a->written) {
		c->known_record[op->key] = a->next;
		a->next = unused;
		a->written = false;
	}
}

static void recall_state(sim *s, sim_op *op)
{
	sim_client *c = &s->clients[op->client];

	hf_attempt_start_from(op->attempt, &c->known[op->key],
		c->has_record[op->key] ? &c->known_record[op->key] : NULL);
	c->has_record[op->key] = false;
}

void sim_client_forget(sim_client *c)
{
	int k;

	for (k = 0; k < SIM_KEYS; k++) {
		hf_observer_free(&c->seen[k]);
		hf_snapshot_clear(&c->known[k]);
		hf_record_free(&c->known_record[k]);
		c->has_record[k] = false;
		c->known_gen[k] = 0;
		c->known_counter[k] = 0;
		c->last_token[k] = 0;
	}
}

static void finish(sim *s, sim_op *op)
{
	op->answered = true;
	op->answer = op->attempt->status;
	sim_trace(s, "c%d op%d is told: %s%s%s", op->client, op->index,
		hf_status_name(op->answer), op->answer ? ": " : "",
		op->answer ? op->attempt->error.text : "");
	sim_check_answer(s, op);
	keep_state(s, op);
	sim_client_answered(s, op);
	sim_op_drop(s, op);
}

static void run(sim *s, sim_op *op)
{
	hf_attempt *a = op->attempt;

	for (;;) {
		hf_step step;

		tell_known(s, op);
		step = hf_attempt_next(a, now_of(s, op));
		if (sim_defect(s, SIM_SILENT_REGRESS))
			a->regressed = false;
		if (a->decoded)
			remember(s, op, &a->record);
		switch (step) {
		case HF_STEP_READ:
			sim_send(s, op, false);
			return;
		case HF_STEP_SWAP:
			sim_send(s, op, true);
			return;
		case HF_STEP_PROBE:
			probe(s, op);
			hf_attempt_on_probe(a);
			break;
		case HF_STEP_LOOK:
			sim_circle_look(s, op);
			return;
		case HF_STEP_WAIT:
			op->waiting = ++s->serial;
			if (a->wake_ms < INT64_MAX)
				sim_schedule(s, sim_true_ms(s, op->client, a->wake_ms),
					SIM_EV_WAKE, op->index, op->waiting, 0);
			return;
		case HF_STEP_DONE:
			finish(s, op);
			return;
		}
	}
}

void sim_op_begin(sim *s, sim_op *op)
{
	op->attempt = calloc(1, sizeof(*op->attempt));
	hf_attempt_init(op->attempt, &op->setup, now_of(s, op));
	if (sim_chance(s, 500))
		recall_state(s, op);
	run(s, op);
}

/* Frees the attempt; the op stays, for what lands later. */
void sim_op_drop(sim *s, sim_op *op)
{
	(void)s;
	hf_attempt_free(op->attempt);
	free(op->attempt);
	op->attempt = NULL;
	op->message = 0;
	op->waiting = 0;
	op->looking = 0;
}

/* ---- what came of it ---- */

/* Does this answer show a store behind what the client knew when it asked? */
static void note_regress(sim *s, sim_op *op, const hf_snapshot *snap)
{
	hf_record r;
	uint64_t least = op->attempt->asked_gen;

	if (!s->restored)
		return;
	hf_record_init(&r);
	if (!snap->len)
		op->saw_regress |= snap->floor < least;
	else if (!hf_record_decode(&r, snap->data, snap->len, NULL, HF_RECORD_WHOLE, NULL))
		op->saw_regress |= r.gen < least;
	hf_record_free(&r);
}

static bool awaited(sim *s, uint32_t id, sim_op **op_out)
{
	sim_message *m = &s->messages[id];
	sim_op *op = s->ops[m->op];

	*op_out = op;
	if (m->settled || !op->attempt || op->message != id)
		return false;
	m->settled = true;
	op->message = 0;
	return true;
}

/* A bell reaches its process at once, or is not heard. */
static void ring(void *arg, const hf_waiter *waiter)
{
	sim *s = arg;
	size_t i;

	for (i = 0; i < s->op_count; i++) {
		const sim_op *op = s->ops[i];

		if (op->attempt && op->waiting && !strcmp(sim_op_place(op), waiter->want.id) &&
			!sim_chance(s, s->plan.deaf))
			sim_schedule(s, s->now, SIM_EV_WAKE, op->index, op->waiting, 0);
	}
}

static void told(sim *s, sim_op *op, const sim_message *m, hf_status status)
{
	hf_attempt *a = op->attempt;
	hf_error error;

	hf_fail(&error, status, "sim", 0, "the store said so");
	if (!m->swap) {
		hf_attempt_on_read(a, status, &error, now_of(s, op));
	} else {
		if (status == HF_OK && a->next.waiter_count)
			hf_queue_to_ring(&a->record, &a->next, sim_op_place(op), ring, s);
		hf_attempt_on_swap(a, status, &error, now_of(s, op));
		if (status == HF_OK)
			remember(s, op, &a->next);
	}
	run(s, op);
}

void sim_op_reply(sim *s, uint32_t id)
{
	sim_message *m = &s->messages[id];
	sim_op *op;

	if (!awaited(s, id, &op))
		return;
	if (m->status != HF_OK)
		sim_trace(s, "c%d op%d is answered: %s", op->client, op->index,
			hf_status_name(m->status));
	if (m->status == HF_OK || m->status == HF_CHANGED) {
		hf_snapshot *into = m->swap ? &op->attempt->reply : &op->attempt->snap;

		if (!m->swap || m->status == HF_CHANGED)
			note_regress(s, op, &m->answer);
		hf_snapshot_clear(into);
		*into = m->answer;
		memset(&m->answer, 0, sizeof(m->answer));
	}
	told(s, op, m, m->status);
}

void sim_op_timeout(sim *s, uint32_t id)
{
	sim_message *m = &s->messages[id];
	sim_op *op;

	if (!awaited(s, id, &op))
		return;
	sim_trace(s, "c%d op%d has no answer", op->client, op->index);
	told(s, op, m,
		m->swap && !sim_defect(s, SIM_UNKNOWN_AS_FAILED) ? HF_UNKNOWN : HF_UNAVAILABLE);
}

void sim_op_wake(sim *s, sim_op *op, uint32_t serial)
{
	if (!op->attempt || op->waiting != serial)
		return;
	op->waiting = 0;
	hf_attempt_on_wake(op->attempt);
	run(s, op);
}

void sim_op_looked(sim *s, sim_op *op, unsigned serial)
{
	if (sim_circle_looked(s, op, serial, now_of(s, op)))
		run(s, op);
}

void sim_op_cancel(sim *s, sim_op *op)
{
	if (!op->attempt || !op->waiting)
		return;
	op->waiting = 0;
	sim_trace(s, "c%d op%d is cancelled", op->client, op->index);
	if (sim_defect(s, SIM_NO_BARRIER))
		op->attempt->pending = false;
	hf_attempt_cancel(op->attempt, HF_TIMED_OUT);
	run(s, op);
}

void sim_op_ring(sim *s, int key)
{
	size_t i;

	if (!s->plan.watch)
		return;
	for (i = 0; i < s->op_count; i++) {
		sim_op *op = s->ops[i];

		if (op->key == key && op->attempt && op->waiting && sim_chance(s, 500))
			sim_schedule(s, s->now + sim_between(s, 0, 5), SIM_EV_WAKE, op->index,
				op->waiting, 0);
	}
}
