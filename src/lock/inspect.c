/* Looking: status, list, watch, history. */
#include "fence.h"
#include "manager.h"
#include "modes.h"
#include "queue.h"
#include "under.h"

#include <stdlib.h>

/* What an hf_lock_info stands on; the info is its first member. */
struct inspected {
	hf_lock_info info;
	char *name;
	char *problem;
	hf_holder *holders;
	size_t *grants; /* of each holder, its grant in the record */
	hf_under *under; /* of all waiters */
	hf_hold *holds; /* the same for the public */
	size_t hold_count;
	hf_snapshot snapshot;
	hf_record record;
	hf_record line; /* of this host, if there is one */
};

static void describe(hf_holder *out, const hf_grant *g)
{
	*out = (hf_holder){
		.id = g->id,
		.owner = g->owner,
		.host = g->process.host,
		.info = g->info,
		.command = g->process.command,
		.pid = g->process.pid,
		.mode = g->mode,
		.limit = g->limit,
		.token = g->token,
		.ttl_ms = g->ttl_ms,
		.acquired_wall_ms = g->acquired_wall_ms > 0 ? g->acquired_wall_ms : -1,
		.remaining_ms = -1,
		.renewals = (int64_t)g->renewals,
		.priority = g->priority,
		.foreign = (g->flags & HF_GRANT_FOREIGN) != 0,
		.bound = (g->flags & HF_GRANT_BOUND) != 0,
		.group = g->group,
		.for_tree = (g->flags & HF_GRANT_FOR_TREE) != 0,
	};
}

/*
 * A lease that is over closes the lock for its delay, though nobody may have
 * noted that in the record yet: from its deadline, or from when it is found
 * dead.
 */
static int64_t delay_left_ms(const hf_grant *g, bool dead, const hf_evidence *e)
{
	int64_t from_ms = dead ? e->now_ms : g->deadline_ms;

	return g->lock_delay_ms ? from_ms + g->lock_delay_ms - e->now_ms : 0;
}

static int by_turn(const void *a, const void *b)
{
	return hf_queue_before(a, b) ? -1 : 1;
}

static size_t count_under(const hf_record *r)
{
	size_t n = 0;
	size_t i;
	hf_under u;

	for (i = 0; i < r->waiter_count; i++) {
		const char *at = r->waiters[i].want.under;

		while (hf_under_next(&at, &u))
			n++;
	}
	return n;
}

/* Room for all of them has been made. */
static void tell_under(struct inspected *in, hf_holder *out, const char *text)
{
	out->under = in->holds + in->hold_count;
	while (hf_under_next(&text, &in->under[in->hold_count])) {
		const hf_under *u = &in->under[in->hold_count];

		in->holds[in->hold_count++] = (hf_hold){.name = u->name, .id = u->id};
		out->under_count++;
	}
}

static void add_waiters(hf_manager *m, struct inspected *in, hf_record *r, bool in_line)
{
	size_t i;

	if (r->waiter_count)
		qsort(r->waiters, r->waiter_count, sizeof(*r->waiters), by_turn);
	for (i = 0; i < r->waiter_count; i++) {
		const hf_waiter *w = &r->waiters[i];
		hf_holder *out = &in->holders[in->info.holder_count + in->info.waiter_count];

		if ((in_line || (m->capabilities & HF_CAP_HOST_LOCAL)) &&
			hf_process_proven_dead(&w->want.process))
			continue;
		describe(out, &w->want);
		out->in_line = in_line;
		if (in_line && out->mode == HF_SHARED)
			out->limit = 0; /* that of the places, not of the lock */
		out->offered = w->offer != 0 && !in_line;
		tell_under(in, out, w->want.under);
		in->info.waiter_count++;
	}
}

/*
 * Those who wait, in the order in which they are served; not the dead. Those in the
 * line come to the store when the one of this host who is there has been served.
 */
static bool fill_waiters(hf_manager *m, struct inspected *in)
{
	size_t room = count_under(&in->record) + count_under(&in->line) + 1;

	in->under = calloc(room, sizeof(*in->under));
	in->holds = calloc(room, sizeof(*in->holds));
	if (!in->under || !in->holds)
		return false;
	add_waiters(m, in, &in->record, false);
	add_waiters(m, in, &in->line, true);
	return true;
}

/* What cannot be read of it is not shown. */
static void read_line(hf_manager *m, struct inspected *in)
{
	hf_snapshot snapshot = {.len = 0};
	hf_status st;

	if (!m->line)
		return;
	st = hf_register_read(m->line, in->name, &snapshot, NULL);
	if (!st)
		st = hf_snapshot_decode(in->name, &snapshot, HF_RECORD_WHOLE, &in->line, NULL);
	if (st)
		hf_record_reset(&in->line);
	hf_snapshot_clear(&snapshot);
}

/*
 * Holders as they stand, with what is over by clock or death left out: it is
 * free for everyone, so it is shown as free.
 */
static hf_status fill(hf_manager *m, struct inspected *in)
{
	const hf_record *r = &in->record;
	hf_evidence e = {.clock = m->host_clock, .now_ms = hf_boot_ms()};
	hf_lock_info *info = &in->info;
	int64_t closed_ms;
	size_t i;

	if (!m->host_clock[0] && (m->capabilities & HF_CAP_CLOCK)) {
		e.clock = "store";
		e.now_ms = in->snapshot.now_ms;
	}
	closed_ms = hf_rules_closed_ms(r, &e);
	in->holders = calloc(r->grant_count + r->waiter_count + in->line.waiter_count + 1,
		sizeof(*in->holders));
	in->grants = calloc(r->grant_count + 1, sizeof(*in->grants));
	if (!in->holders || !in->grants)
		return HF_NO_MEMORY;
	for (i = 0; i < r->grant_count; i++) {
		const hf_grant *g = &r->grants[i];
		hf_holder *h = &in->holders[info->holder_count];
		bool timed = g->ttl_ms && e.clock[0] && !strcmp(g->clock, e.clock);

		describe(h, g);
		in->grants[info->holder_count] = i;
		h->dead = (m->capabilities & HF_CAP_HOST_LOCAL) && h->bound &&
			  hf_process_proven_dead(&g->process);
		if (timed)
			h->remaining_ms = hf_rules_remaining_ms(r, i, &e);
		if (!h->dead && !(timed && h->remaining_ms == 0))
			info->holder_count++;
		else if (delay_left_ms(g, h->dead, &e) > closed_ms)
			closed_ms = delay_left_ms(g, h->dead, &e);
	}
	info->holders = in->holders;
	info->waiters = in->holders + info->holder_count;
	if (!fill_waiters(m, in))
		return HF_NO_MEMORY;
	info->token = r->counter;
	info->generation = r->gen;
	info->closed_ms = closed_ms;
	return HF_OK;
}

hf_status hf_lock_status(
	hf_manager *manager, const char *name, hf_lock_info **info_out, hf_error *error)
{
	hf_error problem = {.kind = HF_OK};
	struct inspected *in;
	hf_status st;

	*info_out = NULL;
	st = hf_manager_check(manager, name, error);
	if (st)
		return st;
	in = calloc(1, sizeof(*in));
	if (!in)
		return hf_fail_memory(error, "status");
	hf_record_init(&in->record);
	hf_record_init(&in->line);
	in->name = strdup(name);
	in->info.name = in->name;
	in->info.problem = "";
	st = in->name ? hf_register_read(manager, name, &in->snapshot, &problem) : HF_NO_MEMORY;
	if (!st)
		st = hf_snapshot_decode(
			name, &in->snapshot, HF_RECORD_WHOLE, &in->record, &problem);
	if (!st) {
		read_line(manager, in);
		st = fill(manager, in);
	}
	if (st == HF_CORRUPT) {
		in->problem = strdup(problem.text);
		in->info.state = HF_CORRUPT;
		in->info.problem = in->problem ? in->problem : "";
		st = HF_OK;
	}
	if (st) {
		if (error)
			*error = problem;
		hf_lock_info_free(&in->info);
		return st == HF_NO_MEMORY ? hf_fail_memory(error, "status") : st;
	}
	*info_out = &in->info;
	return HF_OK;
}

void hf_lock_info_free(hf_lock_info *info)
{
	struct inspected *in = (struct inspected *)info;

	if (!in)
		return;
	free(in->name);
	free(in->problem);
	free(in->holders);
	free(in->grants);
	free(in->under);
	free(in->holds);
	hf_snapshot_clear(&in->snapshot);
	hf_record_free(&in->record);
	hf_record_free(&in->line);
	free(in);
}

/* ---- above us ---- */

int hf_holder_is_ancestor(const hf_lock_info *info, const hf_holder *holder)
{
	const struct inspected *in = (const struct inspected *)info;
	size_t i = (size_t)(holder - info->holders);

	if (i >= info->holder_count || !holder->bound || holder->foreign)
		return 0;
	return hf_process_is_ancestor(&in->record.grants[in->grants[i]].process);
}

const hf_holder *hf_waits_for_itself(const hf_lock_info *info, hf_mode mode, uint32_t limit)
{
	const hf_holder *found = NULL;
	uint32_t places = 0;
	size_t i;

	for (i = 0; i < info->holder_count; i++) {
		const hf_holder *h = &info->holders[i];
		bool excludes = hf_modes_conflict(h->mode, mode);

		/* Who shares a place with another (re-entry) takes none, nor an intention. */
		if (!excludes &&
			(!limit || strcmp(h->group, h->id) != 0 || hf_mode_is_intent(h->mode)))
			continue;
		if (!h->for_tree || !hf_holder_is_ancestor(info, h))
			continue;
		found = h;
		if (excludes || ++places >= limit)
			return found;
	}
	return NULL;
}

/* ---- list ---- */

struct listing {
	hf_manager *m;
	hf_list_fn fn;
	void *arg;
	hf_error *error;
	hf_status status;
};

static int list_one(void *arg, const char *name)
{
	struct listing *l = arg;
	hf_lock_info *info;
	int stop;

	if (hf_fence_is_key(name))
		return 0;
	l->status = hf_lock_status(l->m, name, &info, l->error);
	if (l->status)
		return 1;
	stop = l->fn(l->arg, info);
	hf_lock_info_free(info);
	return stop;
}

hf_status hf_list(hf_manager *manager, hf_list_fn fn, void *arg, hf_error *error)
{
	struct listing l = {.m = manager, .fn = fn, .arg = arg, .error = error};
	hf_status st = hf_manager_check(manager, "list", error);

	if (!st)
		st = manager->ops->list(manager->store, list_one, &l, error);
	return st ? st : l.status;
}

/* ---- watch ---- */

hf_status hf_watch(
	hf_manager *manager, const char *name, uint64_t seen, int64_t wait_ms, hf_error *error)
{
	int64_t until_ms = wait_ms < 0 ? INT64_MAX : hf_boot_ms() + wait_ms;
	hf_status st = hf_manager_check(manager, name, error);

	while (!st) {
		hf_snapshot snapshot;
		hf_record record;
		int64_t now_ms = hf_boot_ms();
		int64_t next_ms = now_ms + 1000; /* the backstop */
		uint64_t gen = 0;

		memset(&snapshot, 0, sizeof(snapshot));
		hf_record_init(&record);
		st = hf_register_read(manager, name, &snapshot, error);
		/* A record that cannot be read is a change for whoever looks. */
		if (!st && !hf_snapshot_decode(name, &snapshot, HF_RECORD_WHOLE, &record, NULL))
			gen = record.gen;
		hf_record_free(&record);
		if (!st && gen == seen && now_ms < until_ms)
			st = hf_register_watch(manager, name, &snapshot.etag,
				next_ms < until_ms ? next_ms : until_ms, -1, error);
		else if (!st && gen == seen)
			st = hf_fail(error, HF_TIMED_OUT, "watch", 0,
				"lock '%s' did not change", name);
		hf_snapshot_clear(&snapshot);
		if (gen != seen)
			break;
	}
	return st;
}

/* ---- history ---- */

struct reading {
	hf_history_fn fn;
	void *arg;
	hf_status status;
	hf_error *error;
};

static int read_one(void *arg, const char *line)
{
	struct reading *r = arg;
	hf_record_event ev;
	hf_event out;
	char *text = strdup(line);
	int stop;

	if (!text) {
		r->status = hf_fail_memory(r->error, "history");
		return 1;
	}
	if (!hf_event_decode(text, &ev)) {
		r->status = hf_fail(r->error, HF_CORRUPT, "history", 0,
			"a line of the history cannot be read: %.60s", line);
		free(text);
		return 1;
	}
	out = (hf_event){.generation = ev.gen,
		.wall_ms = ev.wall_ms,
		.kind = hf_event_kind_name(ev.kind),
		.id = ev.id,
		.owner = ev.owner,
		.host = ev.host,
		.pid = ev.pid,
		.token = ev.token,
		.mode = ev.mode,
		.ended = ev.ended};
	stop = r->fn(r->arg, &out);
	free(text);
	return stop;
}

hf_status hf_history(hf_manager *manager, const char *name, size_t limit, hf_history_fn fn,
	void *arg, hf_error *error)
{
	struct reading r = {.fn = fn, .arg = arg, .error = error};
	hf_status st = hf_manager_check(manager, name, error);

	if (st)
		return st;
	if (!manager->ops->history)
		return hf_fail(error, HF_INVALID, "history", 0, "the store %s keeps no history",
			hf_store_identity(manager));
	st = manager->ops->history(manager->store, name, limit, read_one, &r, error);
	return st ? st : r.status;
}

hf_status hf_history_prune(hf_manager *manager, const char *name, size_t keep, hf_error *error)
{
	hf_status st = hf_manager_check(manager, name, error);

	if (st)
		return st;
	if (keep < 1)
		return hf_fail(error, HF_INVALID, "prune", 0,
			"at least the last event of a lock is kept: give 1 or more");
	if (!manager->ops->prune)
		return hf_fail(error, HF_INVALID, "prune", 0,
			"the history of the store %s cannot be pruned",
			hf_store_identity(manager));
	return manager->ops->prune(manager->store, name, keep, error);
}
