/* The register, and the network before it. See sim.h. */
#include "sim.h"

#include <stdlib.h>

/* ---- states ---- */

static char *copy_bytes(const char *data, size_t len)
{
	char *copy;

	if (!data)
		return NULL;
	copy = malloc(len + 1);
	memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

static void clear_cell(sim_cell *cell)
{
	size_t i;

	free(cell->data);
	for (i = 0; i < cell->history_count; i++)
		free(cell->history[i]);
	free(cell->history);
	memset(cell, 0, sizeof(*cell));
}

static void copy_cell(sim_cell *to, const sim_cell *from)
{
	size_t i;

	clear_cell(to);
	*to = *from;
	to->data = copy_bytes(from->data, from->len);
	to->history = calloc(from->history_count + 1, sizeof(*to->history));
	for (i = 0; i < from->history_count; i++)
		to->history[i] = strdup(from->history[i]);
}

static void add_history(sim_cell *cell, const char *line)
{
	cell->history = realloc(cell->history, (cell->history_count + 1) * sizeof(char *));
	cell->history[cell->history_count++] = strdup(line);
}

void sim_store_init(sim *s)
{
	int k;

	memset(&s->store, 0, sizeof(s->store));
	s->store.last_version = 100;
	s->store.clock_offset = sim_between(s, 5000, 100000000);
	for (k = 0; k < SIM_KEYS; k++)
		s->store.cells[k].version = ++s->store.last_version;
}

void sim_store_free(sim *s)
{
	int k;

	for (k = 0; k < SIM_KEYS; k++) {
		clear_cell(&s->store.cells[k]);
		clear_cell(&s->store.backup[k]);
		clear_cell(&s->store.before[k]);
	}
}

/* A broken etag: it tells apart who holds, and not the states in between. */
static uint64_t hash_of_grants(const sim_cell *cell)
{
	uint64_t hash = HF_HASH_INIT;
	const char *p = cell->data;

	while (p && (p = strstr(p, "\ngrant "))) {
		size_t n = strcspn(p + 1, "\n");

		hash = hf_hash(hash, p, n);
		p += n;
	}
	return hash;
}

static hf_etag etag_of(const sim *s, const sim_cell *cell)
{
	uint64_t mark = cell->version;
	hf_etag etag = {.len = sizeof(mark)};

	if (sim_defect(s, SIM_ETAG_OF_CONTENT))
		mark = hash_of_grants(cell);
	if (sim_defect(s, SIM_ABSENT_IS_ABSENT) && !cell->data)
		mark = 1;
	memcpy(etag.bytes, &mark, sizeof(mark));
	return etag;
}

/* ---- sending ---- */

static uint32_t new_message(sim *s, sim_op *op, bool swap)
{
	const hf_attempt *a = op->attempt;
	sim_message *m;

	if (++s->message_count >= s->message_cap) {
		s->message_cap = s->message_cap ? 2 * s->message_cap : 64;
		s->messages = realloc(s->messages, s->message_cap * sizeof(*s->messages));
	}
	m = &s->messages[s->message_count];
	*m = (sim_message){.swap = swap, .op = op->index, .sent_at = s->now};
	m->from = s->now;
	if (s->plan.medium == SIM_STORE_CLOCK) /* when the store may have told its time */
		m->from = sim_true_ms(s, op->client,
			sim_boot_ms(s, op->client) - (a->snap.told_ms - a->snap.asked_ms));
	if (swap) {
		m->last_token = s->clients[op->client].last_token[op->key];
		m->expected = a->snap.etag;
		m->data = copy_bytes(a->change.data, a->change.len);
		m->len = a->change.len;
		if (a->change.event)
			m->line = strdup(a->change.event->line);
	}
	return (uint32_t)s->message_count;
}

static bool down(const sim *s)
{
	return s->store.down_until > s->now;
}

/* What is refused has certainly not landed. */
static void refuse(sim *s, uint32_t id)
{
	s->messages[id].status = HF_UNAVAILABLE;
	s->messages[id].landed = true;
	sim_schedule(
		s, s->now + sim_between(s, 0, s->plan.delay_ms), SIM_EV_REPLY, (int)id, 0, 0);
}

void sim_send(sim *s, sim_op *op, bool swap)
{
	const sim_plan *p = &s->plan;
	uint32_t id = new_message(s, op, swap);
	int64_t stall = p->pause && sim_chance(s, 15) ? sim_between(s, 0, 600) : 0;
	int64_t arrives = s->now + stall + sim_between(s, 0, p->delay_ms);

	op->message = id;
	sim_trace(s, "c%d op%d %s%s%s", op->client, op->index, swap ? "swap: " : "read",
		swap ? (s->messages[id].line ? s->messages[id].line : "(amendment)") : "",
		stall ? " (stalled)" : "");
	sim_schedule(s, s->now + stall + p->timeout_ms, SIM_EV_TIMEOUT, (int)id, 0, 0);
	if (sim_chance(s, p->refused)) {
		refuse(s, id);
		return;
	}
	if (sim_chance(s, p->lost_request))
		return;
	if (sim_chance(s, p->late))
		arrives += sim_between(s, p->timeout_ms, sim_chance(s, 500) ? 300 : 3000);
	sim_schedule(s, arrives, SIM_EV_LAND, (int)id, 0, 0);
	if (sim_chance(s, p->duplicate))
		sim_schedule(s, arrives + sim_between(s, 0, 400), SIM_EV_LAND, (int)id, 0, 0);
}

/* ---- landing ---- */

/* A reader that meets a torn state gets bytes cut short, or the store says so. */
static void tear(sim *s, sim_message *m)
{
	if (!m->answer.data || !sim_chance(s, s->plan.torn))
		return;
	if (!m->swap && sim_chance(s, 500))
		m->status = HF_CORRUPT;
	else
		m->answer.len = (size_t)sim_between(s, 1, (int64_t)m->answer.len - 1);
}

static void answer_with(sim *s, sim_message *m, hf_status status, const sim_cell *cell)
{
	hf_snapshot_clear(&m->answer);
	m->status = status;
	m->answer.etag = etag_of(s, cell);
	m->answer.floor = s->store.floor;
	if (s->plan.medium == SIM_STORE_CLOCK)
		m->answer.now_ms = s->store.clock_offset + s->now;
	if (status == HF_OK && m->swap)
		return; /* the caller knows what it wrote */
	m->answer.data = copy_bytes(cell->data, cell->len);
	m->answer.len = cell->len;
	tear(s, m);
}

static void reply(sim *s, uint32_t id)
{
	if (sim_chance(s, s->plan.lost_reply))
		return;
	sim_schedule(
		s, s->now + sim_between(s, 0, s->plan.delay_ms), SIM_EV_REPLY, (int)id, 0, 0);
}

static void put(sim *s, uint32_t id)
{
	sim_message *m = &s->messages[id];
	int key = s->ops[m->op]->key;
	sim_cell *cell = &s->store.cells[key];
	char *old = cell->data;

	if (sim_defect(s, SIM_STALE_READS))
		copy_cell(&s->store.before[key], cell);
	cell->data = copy_bytes(m->data, m->len);
	cell->len = m->len;
	cell->version = ++s->store.last_version;
	if (m->line)
		add_history(cell, m->line);
	sim_trace(s, "        op%d's swap lands", m->op);
	free(old);
	sim_check_landing(s, m);
	answer_with(s, m, HF_OK, cell);
	sim_op_ring(s, key);
}

/*
 * What is true of circles at the moment that the op gets to know its lock. What it
 * does not await any more may land much later.
 */
static void note_circle(sim *s, uint32_t id)
{
	sim_op *op = s->ops[s->messages[id].op];

	if (op->under_count && op->attempt && op->message == id)
		op->circle_true = sim_circle_is_true(s, op);
}

void sim_land(sim *s, uint32_t id)
{
	sim_message *m = &s->messages[id];
	int key = s->ops[m->op]->key;
	sim_cell *cell = &s->store.cells[key];
	bool again = m->landed;
	hf_etag present = etag_of(s, cell);

	if (again && m->status == HF_UNAVAILABLE)
		return; /* it was promised that it never lands */
	if (down(s)) {
		if (!again && sim_chance(s, 500))
			refuse(s, id);
		return; /* or the connection just hangs */
	}
	m->landed = true;
	if (!m->swap) {
		if (sim_defect(s, SIM_STALE_READS) && s->store.before[key].version &&
			sim_chance(s, 300))
			cell = &s->store.before[key];
		if (again)
			return;
		answer_with(s, m, HF_OK, cell);
	} else if (hf_etag_equal(&present, &m->expected) ||
		   (again && m->status == HF_OK && sim_defect(s, SIM_DUPLICATES_LAND))) {
		if (sim_defect(s, SIM_SWAP_WITH_GAP) && !again) {
			sim_schedule(
				s, s->now + sim_between(s, 0, 10), SIM_EV_WRITE, (int)id, 0, 0);
			return;
		}
		put(s, id);
	} else if (again) {
		return; /* the first of the two was answered */
	} else {
		answer_with(s, m, HF_CHANGED, cell);
	}
	if (!again)
		reply(s, id);
	note_circle(s, id);
}

void sim_write(sim *s, uint32_t id)
{
	put(s, id);
	reply(s, id);
}

/* ---- forgetting, and restarting with an older state ---- */

void sim_forget(sim *s, int key)
{
	sim_cell *cell = &s->store.cells[key];
	const hf_record *r = &s->truth[key].record;
	uint64_t floor = r->gen > r->counter ? r->gen : r->counter;

	if (!cell->data || r->grant_count || r->closed_ms || down(s))
		return;
	sim_trace(s, "%s is forgotten, floor %llu", sim_key_names[key],
		(unsigned long long)floor);
	if (sim_defect(s, SIM_STALE_READS))
		copy_cell(&s->store.before[key], cell);
	clear_cell(cell);
	cell->version = ++s->store.last_version;
	if (floor > s->store.floor && !sim_defect(s, SIM_FLOOR_NOT_KEPT))
		s->store.floor = floor;
	sim_check_forgotten(s, key);
}

void sim_backup(sim *s)
{
	int k;

	sim_trace(s, "a backup is made");
	for (k = 0; k < s->plan.keys; k++)
		copy_cell(&s->store.backup[k], &s->store.cells[k]);
	s->store.backup_floor = s->store.floor;
	s->store.has_backup = true;
}

void sim_restore(sim *s)
{
	int k;

	sim_trace(s, "the store restarts with the state of its backup");
	s->store.floor = s->store.backup_floor;
	s->store.has_backup = false;
	s->plan.went_back = false;
	s->restored = true;
	for (k = 0; k < s->plan.keys; k++) {
		copy_cell(&s->store.cells[k], &s->store.backup[k]);
		sim_check_restored(s, k);
	}
	/* Grants without a ttl that were released have come back. */
	for (k = 0; k < s->plan.clients && s->plan.endless; k++)
		s->clients[k].restart_at_quiet = true;
}
