/*
 * Deadlocks: clients that wait while they hold, how they look for circles, and
 * what is true of circles, judged from the cells and from what clients really
 * mean to keep. See sim.h.
 */
#include "sim.h"

#include "lock/queue.h"
#include "lock/under.h"

#include <stdlib.h>

/* ---- what an op stands under ---- */

/* Its client has found out that this one is over. */
static bool has_lost(const sim *s, const sim_op *op, size_t i)
{
	const sim_lease *lease = &s->clients[op->client].leases[op->under_lease[i]];

	return !lease->held || lease->serial != op->under_serial[i];
}

static bool is_lost(void *arg, const char *id)
{
	const sim_op *op = arg;
	size_t i;

	for (i = 0; i < op->under_count; i++)
		if (!strcmp(op->under_id[i], id) && !has_lost(sim_current, op, i))
			return false;
	return true;
}

static bool keeps(const sim *s, const sim_op *op, const sim_lease *lease)
{
	const sim_lease *first = s->clients[op->client].leases;
	size_t i;

	for (i = 0; i < op->under_count; i++)
		if (first + op->under_lease[i] == lease && op->under_serial[i] == lease->serial)
			return true;
	return false;
}

bool sim_circle_binds(const sim *s, int client, const sim_lease *lease)
{
	size_t i;

	for (i = 0; i < SIM_SLOTS; i++) {
		int index = s->clients[client].ops[i];

		if (index >= 0 && keeps(s, s->ops[index], lease))
			return true;
	}
	return false;
}

const char *sim_op_place(const sim_op *op)
{
	return op->setup.request.grant.id;
}

void sim_circle_stand_under(sim *s, sim_op *op, int lease, bool told)
{
	const sim_lease *l = &s->clients[op->client].leases[lease];

	op->under_lease[op->under_count] = lease;
	op->under_key[op->under_count] = l->key;
	hf_copy(op->under_id[op->under_count], sizeof(op->under_id[0]), l->group);
	op->under_serial[op->under_count++] = l->serial;
	if (told)
		hf_under_add(&op->under, l->group, sim_key_names[l->key]);
	if (op->under.len)
		op->setup.request.grant.under = op->under.data;
}

void sim_circle_draw_under(sim *s, int client, sim_op *op)
{
	const sim_client *c = &s->clients[client];
	hf_request *request = &op->setup.request;
	int i;

	if (!sim_chance(s, s->plan.nest))
		return;
	op->setup.strategy = HF_QUEUE;
	op->setup.wait_ms = sim_chance(s, 800) ? -1 : sim_between(s, 300, 3000);
	request->take = HF_TAKE_NOTHING;
	request->queue = true;
	for (i = 0; i < SIM_LEASES; i++) {
		const sim_lease *lease = &c->leases[i];

		if (!lease->held || lease->releasing || lease->detached || lease->overruled ||
			keeps(s, op, lease) || !sim_trusts(s, client, lease))
			continue;
		sim_circle_stand_under(s, op, i, true);
	}
}

/* ---- looking ---- */

static hf_status read_page(void *arg, const char *name, hf_record *record)
{
	sim_op *op = arg;
	sim *s = sim_current;
	hf_snapshot snapshot = {.len = 0};
	int k = 0;

	while (strcmp(sim_key_names[k], name) != 0)
		k++;
	/* Some records as they were when the look began, some as they are. */
	if (sim_chance(s, 500)) {
		snapshot.data = op->look[k].data;
		snapshot.len = op->look[k].len;
	} else {
		snapshot.data = s->store.cells[k].data;
		snapshot.len = s->store.cells[k].len;
	}
	return hf_snapshot_decode(name, &snapshot, HF_RECORD_WHOLE, record, NULL);
}

static bool is_dead(void *arg, const hf_process *p, bool in_line)
{
	const sim *s = sim_current;
	const sim_client *c = &s->clients[p->pid - 1];

	(void)arg;
	(void)in_line;
	return s->plan.medium == SIM_HOST_CLOCK && (!c->alive || c->life != p->start);
}

static void drop_look(sim_op *op)
{
	int k;

	for (k = 0; k < SIM_KEYS; k++) {
		free(op->look[k].data);
		op->look[k] = (sim_cell){.data = NULL};
	}
}

void sim_circle_forget(sim_op *op)
{
	drop_look(op);
	hf_buf_free(&op->under);
}

void sim_circle_look(sim *s, sim_op *op)
{
	int k;

	drop_look(op);
	for (k = 0; k < SIM_KEYS; k++) {
		const sim_cell *cell = &s->store.cells[k];

		if (!cell->data)
			continue;
		op->look[k].data = malloc(cell->len + 1);
		memcpy(op->look[k].data, cell->data, cell->len);
		op->look[k].len = cell->len;
	}
	op->looking = ++s->serial;
	sim_schedule(s, s->now + sim_between(s, 0, 2 * s->plan.delay_ms), SIM_EV_LOOKED,
		op->index, op->looking, 0);
}

static void check_victim(sim *s, const sim_op *op)
{
	size_t i;

	sim_trace(s, "c%d op%d is a victim: %s", op->client, op->index,
		op->attempt->deadlock.words.data);
	s->circles++;
	s->upgrade_victims += op->setup.request.ask == HF_ASK_CONVERT;
	if (!op->circle_true && !s->restored)
		sim_fail(s, "op%d is told of a deadlock, and there was none", op->index);
	for (i = 0; i < s->op_count; i++) {
		const sim_op *other = s->ops[i];

		if (other != op && other->attempt && other->attempt->deadlocked &&
			op->attempt->circle_looks < 10 &&
			!strcmp(other->attempt->circle_seen, op->attempt->circle_seen))
			sim_fail(s, "op%d and op%d are victims of one circle", op->index,
				other->index);
	}
}

static void wake(sim *s, const char *id)
{
	size_t i;

	for (i = 0; i < s->op_count; i++)
		if (s->ops[i]->attempt && s->ops[i]->waiting &&
			!strcmp(sim_op_place(s->ops[i]), id) && !sim_chance(s, s->plan.deaf))
			sim_schedule(s, s->now, SIM_EV_WAKE, s->ops[i]->index,
				s->ops[i]->waiting, 0);
}

bool sim_circle_looked(sim *s, sim_op *op, unsigned serial, hf_now now)
{
	const hf_deadlock_source source = {
		.arg = op, .read = read_page, .dead = is_dead, .lost = is_lost};
	hf_attempt *a = op->attempt;
	hf_status st;

	if (!a || op->looking != serial)
		return false;
	op->looking = 0;
	st = hf_deadlock_look(&a->record, false, sim_op_place(op), &source, &a->deadlock);
	drop_look(op);
	if (sim_defect(s, SIM_CIRCLE_UNSEEN))
		a->deadlock.found = false;
	if (sim_defect(s, SIM_CIRCLE_ONCE) && a->deadlock.found)
		hf_copy(a->circle_seen, sizeof(a->circle_seen), a->deadlock.circle);
	if (sim_defect(s, SIM_ALL_ARE_VICTIMS))
		hf_copy(a->deadlock.victim, sizeof(a->deadlock.victim), sim_op_place(op));
	hf_attempt_on_look(a, st, now);
	if (a->ring_victim)
		wake(s, a->deadlock.victim);
	if (a->deadlocked)
		check_victim(s, op);
	return true;
}

/* ---- what is true ---- */

/*
 * The op's entry in the line, if it stands there and has no offer. Also that of
 * one that could not go out of the line: others cannot know, unless it is dead.
 */
static const hf_waiter *entry_of(const sim *s, const sim_op *op)
{
	const hf_record *r = &s->truth[op->key].record;
	const sim_client *c = &s->clients[op->client];
	bool gone = s->plan.medium == SIM_HOST_CLOCK && (!c->alive || c->life != op->life);
	int i = gone ? -1 : hf_queue_find(r, sim_op_place(op));

	return i >= 0 && !r->waiters[i].offer ? &r->waiters[i] : NULL;
}

/*
 * Will this group stay until `op` is answered, because op means to keep it? What
 * others have lost stands in the record until somebody knows of it.
 */
static bool keeps_group(const sim *s, const sim_op *op, int key, const char *group)
{
	size_t i;

	for (i = 0; i < op->under_count; i++)
		if (op->under_key[i] == key && !strcmp(op->under_id[i], group) &&
			!(op->index == s->looker && has_lost(s, op, i)))
			return true;
	return false;
}

static bool is_kept(const sim *s, const bool *who, int key, const char *group)
{
	size_t j;

	for (j = 0; j < s->op_count; j++)
		if (who[j] && keeps_group(s, s->ops[j], key, group))
			return true;
	return false;
}

/* Can this entry not be let in while those that `who` marks keep what they have? */
static bool shut_out(const sim *s, int key, const hf_waiter *w, const bool *who)
{
	const hf_record *r = &s->truth[key].record;
	size_t places = 0;
	size_t i;
	size_t j;

	for (i = 0; i < r->grant_count; i++) {
		const hf_grant *g = &r->grants[i];
		bool counts = !sim_is_intent(g->mode);

		if (!strcmp(g->group, w->want.group) || !is_kept(s, who, key, g->group))
			continue;
		if (!sim_together[g->mode][w->want.mode])
			return true;
		for (j = 0; j < i; j++)
			counts = counts && (sim_is_intent(r->grants[j].mode) ||
						   strcmp(r->grants[j].group, g->group) != 0);
		places += counts;
	}
	return w->want.limit && places >= w->want.limit;
}

static bool stuck(const sim *s, const sim_op *op, const bool *who)
{
	const hf_record *r = &s->truth[op->key].record;
	const hf_waiter *mine = entry_of(s, op);
	size_t i;

	for (i = 0; i < r->waiter_count; i++) {
		const hf_waiter *w = &r->waiters[i];

		if ((w == mine || (!w->offer && hf_queue_before(w, mine))) &&
			shut_out(s, op->key, w, who))
			return true;
	}
	return false;
}

/* Take out of `who` whoever will get on. */
static void let_go(const sim *s, bool *who)
{
	bool again = true;
	size_t i;

	while (again) {
		again = false;
		for (i = 0; i < s->op_count; i++) {
			if (!who[i] || stuck(s, s->ops[i], who))
				continue;
			who[i] = false;
			again = true;
		}
	}
}

/* Does op keep something that this entry waits for, or may wait for? */
static bool keeps_any(const sim *s, const sim_op *op, int key, const hf_grant *want)
{
	const hf_record *r = &s->truth[key].record;
	size_t i;

	for (i = 0; i < r->grant_count; i++) {
		const hf_grant *g = &r->grants[i];

		if (strcmp(g->group, want->group) != 0 && keeps_group(s, op, key, g->group) &&
			(!sim_together[g->mode][want->mode] ||
				(want->limit && !sim_is_intent(g->mode))))
			return true;
	}
	return false;
}

/* Is there something that `a` waits for and that is up to `b`? */
static bool waits(const sim *s, const sim_op *a, const sim_op *b)
{
	const hf_record *r = &s->truth[a->key].record;
	const hf_waiter *mine = entry_of(s, a);
	size_t i;

	for (i = 0; i < r->waiter_count; i++) {
		const hf_waiter *w = &r->waiters[i];

		if (w != mine && (w->offer || !hf_queue_before(w, mine)))
			continue;
		if ((w != mine && !strcmp(w->want.id, sim_op_place(b))) ||
			keeps_any(s, b, a->key, &w->want))
			return true;
	}
	return false;
}

/* Is op in a circle of those who can never get on? */
bool sim_circle_is_true(sim *s, const sim_op *op)
{
	bool *who = calloc(2 * s->op_count, sizeof(*who));
	bool *reached = who + s->op_count; /* from op, by one step at least */
	bool again = true;
	bool in;
	size_t i;
	size_t j;

	s->looker = op->index;
	for (i = 0; i < s->op_count; i++)
		who[i] = entry_of(s, s->ops[i]) != NULL;
	let_go(s, who);
	while (again && who[op->index]) {
		again = false;
		for (i = 0; i < s->op_count; i++) {
			if (!who[i] || (i != (size_t)op->index && !reached[i]))
				continue;
			for (j = 0; j < s->op_count; j++) {
				if (!who[j] || reached[j] || !waits(s, s->ops[i], s->ops[j]))
					continue;
				reached[j] = again = true;
			}
		}
	}
	in = reached[op->index];
	free(who);
	return in;
}
