/* The queue of events, the clocks, and what goes wrong when. See sim.h. */
#include "sim.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

sim *sim_current;

const char *const sim_key_names[SIM_KEYS] = {"deploy", "pfad/zum Schlo\xc3\x9f 100%", "c"};

/* ---- chance and failure ---- */

bool sim_chance(sim *s, unsigned per_mille)
{
	return hf_rng_below(&s->rng, 1000) < per_mille;
}

int64_t sim_between(sim *s, int64_t least, int64_t most)
{
	return least + (int64_t)hf_rng_below(&s->rng, (uint64_t)(most - least + 1));
}

void sim_trace(sim *s, const char *format, ...)
{
	va_list args;

	if (!s->verbose)
		return;
	printf("%7lld  ", (long long)s->now);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void sim_fail(sim *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(s->failure, sizeof(s->failure), format, args);
	va_end(args);
	sim_trace(s, "BROKEN: %s", s->failure);
	longjmp(s->stop, 1);
}

/* The rules assert their chart and invariants; here that ends one history. */
void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
{
	sim *s = sim_current;

	if (!s)
		abort();
	sim_fail(s, "assertion in %s (%s:%u): %s", function, file, line, what);
}

/* ---- clocks ---- */

int64_t sim_boot_ms(const sim *s, int client)
{
	const sim_client *c = &s->clients[client];

	return c->boot_offset + s->now + s->now * c->drift_ppm / 1000000;
}

int64_t sim_wall_ms(const sim *s, int client)
{
	return 1700000000000 + s->now + s->clients[client].wall_offset;
}

int64_t sim_true_ms(const sim *s, int client, int64_t boot_ms)
{
	const sim_client *c = &s->clients[client];
	int64_t since = boot_ms - c->boot_offset;
	int64_t at = since * 1000000 / (1000000 + c->drift_ppm) - 2;

	while (at + at * c->drift_ppm / 1000000 < since)
		at++;
	return at;
}

/* ---- the queue: a binary heap ---- */

static bool before(const sim_event *a, const sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(sim *s, sim_event event)
{
	size_t i = s->queue_count++;

	if (i == s->queue_cap) {
		s->queue_cap = i ? 2 * i : 256;
		s->queue = realloc(s->queue, s->queue_cap * sizeof(*s->queue));
	}
	for (; i > 0 && before(&event, &s->queue[(i - 1) / 2]); i = (i - 1) / 2)
		s->queue[i] = s->queue[(i - 1) / 2];
	s->queue[i] = event;
}

static sim_event pop(sim *s)
{
	sim_event top = s->queue[0];
	sim_event last = s->queue[--s->queue_count];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= s->queue_count)
			break;
		if (child + 1 < s->queue_count &&
			before(&s->queue[child + 1], &s->queue[child]))
			child++;
		if (!before(&s->queue[child], &last))
			break;
		s->queue[i] = s->queue[child];
		i = child;
	}
	s->queue[i] = last;
	return top;
}

void sim_schedule(sim *s, int64_t at, sim_event_kind kind, int a, unsigned b, unsigned c)
{
	sim_event event = {.at = at < s->now ? s->now : at,
		.order = hf_rng_next(&s->rng), /* what falls on one moment comes in any order */
		.kind = kind,
		.a = a,
		.b = b,
		.c = c};

	push(s, event);
}

/* ---- the plan ---- */

static void draw_plan(sim *s)
{
	sim_plan *p = &s->plan;
	unsigned trouble = (unsigned)hf_rng_below(&s->rng, 4); /* 0: none at all */
	int i;

	memset(p, 0, sizeof(*p));
	p->medium = (sim_medium)hf_rng_below(&s->rng, 3);
	p->clients = (int)sim_between(s, 2, SIM_CLIENTS);
	p->nest = sim_chance(s, 300) ? (unsigned)sim_between(s, 200, 1000) : 0;
	p->keys = sim_chance(s, p->nest ? 900 : 250) ? 2 + (p->nest && sim_chance(s, 400)) : 1;
	p->run_ms = sim_between(s, 600, 2500);
	p->act_ms = sim_between(s, 60, 300);
	p->delay_ms = sim_between(s, 1, 25);
	p->timeout_ms = p->delay_ms * 2 + sim_between(s, 5, 120);
	p->watch = sim_chance(s, 500);
	for (i = 0; i < SIM_KEYS; i++)
		p->limit[i] = (uint32_t)hf_rng_below(&s->rng, 4);
	p->shared = sim_chance(s, 500) ? (unsigned)sim_between(s, 200, 800) : 0;
	p->intent = sim_chance(s, p->nest ? 200 : 350) ? (unsigned)sim_between(s, 100, 900) : 0;
	p->steal = sim_chance(s, 300) ? (unsigned)sim_between(s, 50, 400) : 0;
	p->upgrade = p->shared && sim_chance(s, 300) ? (unsigned)sim_between(s, 200, 900) : 0;
	p->force = sim_chance(s, 200) ? (unsigned)sim_between(s, 20, 200) : 0;
	p->lock_delay = sim_chance(s, 300) ? (unsigned)sim_between(s, 200, 900) : 0;
	p->queue = sim_chance(s, 700) ? (unsigned)sim_between(s, 300, 1000) : 0;
	p->priority = sim_chance(s, 300) ? (unsigned)sim_between(s, 100, 600) : 0;
	p->deaf = sim_chance(s, 500) ? (unsigned)sim_between(s, 0, 300) : 0;
	p->endless = p->medium == SIM_HOST_CLOCK ? (unsigned)sim_between(s, 0, 300) : 0;
	p->forget = sim_chance(s, 400) ? (unsigned)sim_between(s, 100, 600) : 0;
	if (!trouble)
		return;
	p->lost_request = (unsigned)hf_rng_below(&s->rng, 40 * trouble);
	p->lost_reply = (unsigned)hf_rng_below(&s->rng, 50 * trouble);
	p->late = (unsigned)hf_rng_below(&s->rng, 60 * trouble);
	p->duplicate = (unsigned)hf_rng_below(&s->rng, 50 * trouble);
	p->refused = (unsigned)hf_rng_below(&s->rng, 40 * trouble);
	p->torn = sim_chance(s, 200) ? 30 : 0;
	p->death = sim_chance(s, 500) ? 300 : 0;
	p->pause = sim_chance(s, 600) ? 500 : 0;
	p->outage = sim_chance(s, 300) ? 200 : 0;
	p->step = sim_chance(s, 500) ? 300 : 0;
	p->went_back = sim_chance(s, 80);
}

static void draw_clocks(sim *s)
{
	bool drift = s->plan.medium != SIM_HOST_CLOCK && sim_chance(s, 250);
	int64_t shared = sim_between(s, 1000, 100000000);
	int i;

	for (i = 0; i < SIM_CLIENTS; i++) {
		sim_client *c = &s->clients[i];

		c->boot_offset = s->plan.medium == SIM_HOST_CLOCK
					 ? shared
					 : sim_between(s, 1000, 100000000);
		c->wall_offset = s->plan.step ? sim_between(s, -5000, 5000) : 0;
		c->drift_ppm = drift ? sim_between(s, -10000, 10000) : 0;
	}
}

static void make_trouble(sim *s)
{
	const sim_plan *p = &s->plan;
	int who = (int)hf_rng_below(&s->rng, (uint64_t)p->clients);
	sim_client *c = &s->clients[who];

	if (s->quiet)
		return;
	if (sim_chance(s, p->pause) && c->paused_until <= s->now) {
		c->paused_until = s->now + sim_between(s, 1, sim_chance(s, 500) ? 150 : 1500);
		sim_trace(s, "c%d pauses until %lld", who, (long long)c->paused_until);
	}
	if (sim_chance(s, p->death))
		sim_client_die(s, (int)hf_rng_below(&s->rng, (uint64_t)p->clients));
	if (sim_chance(s, p->outage)) {
		s->store.down_until = s->now + sim_between(s, 10, 600);
		sim_trace(s, "the store is down until %lld", (long long)s->store.down_until);
	}
	if (sim_chance(s, p->step)) {
		c->wall_offset += sim_between(s, -4000, 4000);
		sim_trace(s, "c%d's wall clock is now off by %lld", who,
			(long long)c->wall_offset);
	}
	if (sim_chance(s, p->forget))
		sim_forget(s, (int)hf_rng_below(&s->rng, (uint64_t)p->keys));
	if (p->went_back && !s->store.has_backup && sim_chance(s, 400))
		sim_backup(s);
	else if (s->store.has_backup && sim_chance(s, 200))
		sim_restore(s);
	sim_schedule(s, s->now + sim_between(s, 1, 200), SIM_EV_TROUBLE, 0, 0, 0);
}

static void become_quiet(sim *s)
{
	sim_plan *p = &s->plan;
	int i;

	s->quiet = true;
	sim_trace(s, "all trouble stops");
	p->lost_request = p->lost_reply = p->late = p->duplicate = p->refused = p->torn = 0;
	s->store.down_until = 0;
	for (i = 0; i < p->clients; i++) {
		if (s->clients[i].paused_until > s->now)
			s->clients[i].paused_until = s->now;
		sim_client_quiet(s, i);
	}
}

/* ---- running ---- */

/* Whose event it is, or -1: a paused process sees it later. */
static int client_of(const sim *s, const sim_event *e)
{
	switch (e->kind) {
	case SIM_EV_REPLY:
	case SIM_EV_TIMEOUT:
		return s->ops[s->messages[e->a].op]->client;
	case SIM_EV_WAKE:
	case SIM_EV_LOOKED:
		return s->ops[e->a]->client;
	case SIM_EV_ACT:
	case SIM_EV_RENEW:
	case SIM_EV_LEAVE:
		return e->a;
	default:
		return -1;
	}
}

static void dispatch(sim *s, const sim_event *e)
{
	switch (e->kind) {
	case SIM_EV_LAND:
		sim_land(s, (uint32_t)e->a);
		break;
	case SIM_EV_WRITE:
		sim_write(s, (uint32_t)e->a);
		break;
	case SIM_EV_REPLY:
		sim_op_reply(s, (uint32_t)e->a);
		break;
	case SIM_EV_TIMEOUT:
		sim_op_timeout(s, (uint32_t)e->a);
		break;
	case SIM_EV_WAKE:
		sim_op_wake(s, s->ops[e->a], e->b);
		break;
	case SIM_EV_LOOKED:
		sim_op_looked(s, s->ops[e->a], e->b);
		break;
	case SIM_EV_ACT:
		sim_client_act(s, e->a);
		break;
	case SIM_EV_RENEW:
		sim_client_renew(s, e->a, e->b, e->c);
		break;
	case SIM_EV_LEAVE:
		sim_client_leave(s, e->a, e->b, e->c);
		break;
	case SIM_EV_TROUBLE:
		make_trouble(s);
		break;
	case SIM_EV_QUIET:
		become_quiet(s);
		break;
	}
}

static bool all_idle(const sim *s)
{
	int i;

	for (i = 0; i < s->plan.clients; i++)
		if (!sim_client_idle(s, i))
			return false;
	return true;
}

/*
 * No wedge: once trouble has stopped, whoever waits is served. What is left in
 * the way is a handful of leases of the dead, each gone after its ttl, its lock
 * delay and a poll.
 */
static const int64_t patience_ms = 60000;

/* Until nothing is under way: also the latest of late requests has landed. */
static void run_events(sim *s)
{
	while (s->queue_count) {
		sim_event e = pop(s);
		int client = client_of(s, &e);

		if (++s->events > SIM_EVENTS_MAX)
			sim_fail(s, "wedge: %d events and no end", SIM_EVENTS_MAX);
		if (client >= 0 && s->clients[client].paused_until > e.at) {
			e.at = s->clients[client].paused_until;
			push(s, e);
			continue;
		}
		if (e.at > s->plan.run_ms + patience_ms)
			sim_fail(s,
				"wedge: someone still waits %lld ms after all trouble stopped",
				(long long)patience_ms);
		s->now = e.at;
		dispatch(s, &e);
		sim_check_trust(s);
	}
	if (!all_idle(s))
		sim_fail(s, "wedge: nothing happens any more and someone still waits");
}

static void end_history(sim *s)
{
	size_t i;
	int k;

	for (k = 0; k < SIM_CLIENTS; k++) {
		sim_client *c = &s->clients[k];

		sim_client_forget(c);
		memset(c, 0, sizeof(*c));
	}
	for (i = 0; i < s->op_count; i++) {
		if (s->ops[i]->attempt) {
			hf_attempt_free(s->ops[i]->attempt);
			free(s->ops[i]->attempt);
		}
		sim_circle_forget(s->ops[i]);
		free(s->ops[i]);
	}
	for (i = 1; i <= s->message_count; i++) {
		free(s->messages[i].data);
		free(s->messages[i].line);
		hf_snapshot_clear(&s->messages[i].answer);
	}
	sim_store_free(s);
	for (i = 0; i < SIM_KEYS; i++) {
		hf_record_free(&s->truth[i].record);
		hf_record_free(&s->truth[i].next);
		memset(&s->truth[i], 0, sizeof(s->truth[i]));
	}
	s->op_count = 0;
	s->message_count = 0;
	s->queue_count = 0;
}

void sim_init(sim *s)
{
	memset(s, 0, sizeof(*s));
}

void sim_free(sim *s)
{
	free(s->queue);
	free(s->ops);
	free(s->messages);
}

static void run_history(sim *s)
{
	int i;

	sim_trace(s, "seed %llu: %s, %d clients, %d keys, trouble until %lld",
		(unsigned long long)s->seed,
		s->plan.medium == SIM_NO_CLOCK	    ? "a store without a clock"
		: s->plan.medium == SIM_STORE_CLOCK ? "a store with a clock"
						    : "a store of one host",
		s->plan.clients, s->plan.keys, (long long)s->plan.run_ms);
	for (i = 0; i < s->plan.clients; i++)
		sim_client_start(s, i);
	sim_schedule(s, sim_between(s, 1, 200), SIM_EV_TROUBLE, 0, 0, 0);
	sim_schedule(s, s->plan.run_ms, SIM_EV_QUIET, 0, 0, 0);
	run_events(s);
	for (i = 0; i < s->plan.keys; i++)
		sim_check_history(s, i);
}

bool sim_run(sim *s, uint64_t seed)
{
	s->seed = seed;
	s->failure[0] = '\0';
	s->now = 0;
	s->quiet = false;
	s->restored = false;
	s->events = 0;
	s->serial = 0;
	hf_rng_seed(&s->rng, seed);
	draw_plan(s);
	draw_clocks(s);
	sim_store_init(s);
	sim_current = s;
	if (!setjmp(s->stop))
		run_history(s);
	sim_current = NULL;
	end_history(s);
	return !s->failure[0];
}
