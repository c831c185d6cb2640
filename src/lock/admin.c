/* What is done to grants from outside: release_by, extend_by, force, cleanup. */
#include "fence.h"
#include "manager.h"
#include "tree_name.h"

#include <stdlib.h>

#define AGAIN_MS 20 /* before what is damaged again is looked at again */

/* What a caller says of a grant, as the record has it. */
struct named {
	hf_who who;
	char verifier[HF_VERIFIER_MAX];
};

static hf_status name_who(
	hf_manager *m, const char *name, const hf_who *who, struct named *out, hf_error *error)
{
	int given = (who->id != NULL) + (who->fingerprint != NULL) + (who->owner != NULL);
	const char *text = who->id ? who->id : who->fingerprint ? who->fingerprint : who->owner;

	if (given != 1 || !text[0])
		return hf_fail(error, HF_INVALID, "who", 0,
			"say which grant by exactly one of id, fingerprint or owner, not "
			"empty");
	if (who->fingerprint && strlen(who->fingerprint) > HF_NAME_MAX)
		return hf_fail(error, HF_INVALID, "who", 0,
			"a fingerprint has at most %d bytes", HF_NAME_MAX);
	out->who = *who;
	if (who->fingerprint) {
		hf_manager_verifier(m, name, who->fingerprint, out->verifier);
		out->who.fingerprint = out->verifier;
	}
	return HF_OK;
}

hf_status hf_release_by(
	hf_manager *manager, const char *name, const hf_who *who, hf_error *error)
{
	hf_attempt_setup setup;
	hf_attempt attempt;
	hf_tree_ids above = {.count = 0};
	char by_id[HF_GROUP_MAX + 1];
	struct named named;
	hf_status st = hf_manager_check(manager, name, error);
	hf_status st_above;

	if (!st)
		st = name_who(manager, name, who, &named, error);
	if (!st)
		st = hf_tree_ids_read(manager, name, &named.who, &above, error);
	if (!st) {
		setup = hf_manager_setup(manager, name, HF_ASK_RELEASE);
		setup.request.who = named.who;
		setup.wait_ms = HF_SETTLE_MS;
		st = hf_drive_attempt(manager, &setup, &attempt, NULL, error);
		/* One whose answer was lost may have landed without a count of its grants. */
		if (!st)
			hf_count(manager, name, HF_COUNT_RELEASES,
				attempt.ended ? attempt.ended : 1);
		else if (st != HF_NOT_OWNER && st != HF_LOST)
			hf_count(manager, name, HF_COUNT_FAILED_RELEASES, 1);
		hf_attempt_free(&attempt);
	}
	/* An earlier release may have been killed before it came to them. */
	if (st == HF_NOT_OWNER && who->id && strlen(who->id) <= HF_GROUP_MAX) {
		hf_copy(by_id, sizeof(by_id), who->id);
		(void)hf_tree_release_above(manager, name, &(hf_tree_ids){1, &by_id}, NULL);
	}
	if (!st || st == HF_LOST) {
		if (manager->before)
			manager->before->ended(manager, name, who);
		st_above = hf_tree_release_above(manager, name, &above, st ? NULL : error);
		st = st ? st : st_above;
	}
	hf_tree_ids_free(&above);
	return st;
}

hf_status hf_extend_by(hf_manager *manager, const char *name, const hf_who *who, int64_t ttl_ms,
	uint64_t *token_out, hf_error *error)
{
	hf_attempt_setup setup;
	hf_attempt attempt;
	hf_tree_ids above = {.count = 0};
	struct named named;
	hf_status st = hf_manager_check(manager, name, error);

	if (!st)
		st = name_who(manager, name, who, &named, error);
	if (st)
		return st;
	if (ttl_ms && (ttl_ms < 100 || ttl_ms > 31536000000))
		return hf_fail(error, HF_INVALID, "extend", 0,
			"the ttl must be 0 (as it was) or 100 ms to 365 days");
	/* There a hold lasts as long as a descriptor, whatever it is told. */
	if (manager->capabilities & HF_CAP_SESSION_BOUND)
		ttl_ms = 0;
	st = hf_tree_ids_read(manager, name, &named.who, &above, error);
	if (!st)
		st = hf_tree_extend_above(manager, name, &above, ttl_ms, error);
	hf_tree_ids_free(&above);
	if (st)
		return st;
	setup = hf_manager_setup(manager, name, HF_ASK_RENEW);
	setup.request.who = named.who;
	setup.request.ttl_ms = ttl_ms;
	setup.wait_ms = HF_SETTLE_MS;
	st = hf_drive_attempt(manager, &setup, &attempt, NULL, error);
	if (!st && token_out)
		*token_out = attempt.token;
	hf_attempt_free(&attempt);
	return st;
}

/* ---- force ---- */

struct greatest {
	uint64_t gen;
	uint64_t token;
};

static int find_greatest(void *arg, const hf_event *event)
{
	struct greatest *g = arg;

	if (event->generation > g->gen)
		g->gen = event->generation;
	if (event->token > g->token)
		g->token = event->token;
	return 0;
}

/*
 * A free lock in place of a record that cannot be read. That says nothing of its
 * counter. The history does; if that cannot be read either, the wall time in ms
 * is above any count.
 */
static void begin_anew(hf_manager *m, const char *name, const char *by, hf_record *r)
{
	struct greatest g = {.gen = 0};

	if (hf_history(m, name, 0, find_greatest, &g, NULL) || !g.gen) {
		g.gen = (uint64_t)hf_wall_ms();
		g.token = g.gen;
	}
	hf_record_init(r);
	r->name = name;
	r->gen = g.gen + 1;
	r->counter = g.token > g.gen ? g.token : g.gen;
	r->event = (hf_record_event){.gen = r->gen,
		.kind = HF_EV_FORCE_RELEASE,
		.wall_ms = hf_wall_ms(),
		.id = "",
		.owner = by,
		.host = hf_self()->host,
		.pid = hf_self()->pid,
		.ended = "corrupt:?"};
}

/* Swap it in over `damaged` (NULL: over what the store itself cannot read). */
static hf_status swap_anew(hf_manager *m, const char *name, const char *by,
	const hf_etag *damaged, hf_error *error)
{
	hf_snapshot reply;
	hf_record r;
	hf_buf text = HF_BUF_INIT;
	hf_buf line = HF_BUF_INIT;
	hf_buf summary = HF_BUF_INIT;
	hf_public_view view;
	hf_event_text event;
	hf_change change;
	hf_status st;

	memset(&reply, 0, sizeof(reply));
	begin_anew(m, name, by, &r);
	hf_record_encode(&r, NULL, HF_RECORD_NEAR, &text);
	hf_event_encode(&r.event, &line);
	hf_event_describe(&r.event, name, &summary);
	if (text.failed || line.failed || summary.failed) {
		st = hf_fail_memory(error, "force-release");
	} else {
		event = (hf_event_text){.summary = summary.data, .line = line.data + 1};
		change = (hf_change){.data = text.data,
			.len = text.len,
			.event = &event,
			.history_limit = m->history_limit};
		if (m->capabilities & HF_CAP_NEIGHBOURS) {
			hf_record_view(&view, &r);
			change.view = &view;
		}
		st = hf_register_swap(m, name, damaged, &change, &reply, error);
	}
	hf_snapshot_clear(&reply);
	hf_record_free(&r);
	hf_buf_free(&text);
	hf_buf_free(&line);
	hf_buf_free(&summary);
	return st;
}

/*
 * Replace a record that cannot be read: by the store, which then has no etag for
 * it, or by us. HF_CHANGED: it is another by now.
 */
static hf_status replace_corrupt(
	hf_manager *m, const char *name, const char *by, hf_error *error)
{
	hf_snapshot snapshot;
	hf_record record;
	hf_status st;

	memset(&snapshot, 0, sizeof(snapshot));
	hf_record_init(&record);
	st = hf_register_read(m, name, &snapshot, error);
	if (st == HF_CORRUPT) {
		st = swap_anew(m, name, by, NULL, error);
	} else if (!st) {
		st = hf_snapshot_decode(name, &snapshot, HF_RECORD_WHOLE, &record, error);
		if (st == HF_CORRUPT)
			st = swap_anew(m, name, by, &snapshot.etag, error);
		else if (!st)
			st = HF_CHANGED;
	}
	hf_record_free(&record);
	hf_snapshot_clear(&snapshot);
	return st;
}

static hf_status force(
	hf_manager *m, const char *name, const char *by, size_t *ended_out, hf_error *error)
{
	hf_attempt_setup setup = hf_manager_setup(m, name, HF_ASK_FORCE_RELEASE);
	hf_attempt attempt;
	hf_tree_ids above;
	hf_status st;

	/* A damaged one says so below. */
	(void)hf_tree_ids_read(m, name, NULL, &above, NULL);
	setup.request.grant.owner = by;
	setup.wait_ms = HF_SETTLE_MS;
	st = hf_drive_attempt(m, &setup, &attempt, NULL, error);
	if (ended_out)
		*ended_out = attempt.ended;
	if (!st)
		hf_count(m, name, HF_COUNT_FORCED, attempt.ended > 0);
	hf_attempt_free(&attempt);
	/* Nothing stands on their intentions any more; what stays ends by its ttl. */
	if (!st)
		(void)hf_tree_release_above(m, name, &above, NULL);
	hf_tree_ids_free(&above);
	return st;
}

/* What has been replaced is free, or somebody's again: then that is ended. */
static hf_status force_corrupt(
	hf_manager *m, const char *name, const char *by, size_t *ended_out, hf_error *error)
{
	int64_t until_ms = hf_boot_ms() + HF_SETTLE_MS;
	bool asked = false; /* a swap of unknown fate (R4) */
	hf_status st;

	for (;;) {
		st = replace_corrupt(m, name, by, error);
		if (!st)
			return HF_OK;
		asked |= st == HF_UNKNOWN;
		if (st != HF_CHANGED && st != HF_CORRUPT && st != HF_UNKNOWN)
			break;
		st = force(m, name, by, ended_out, error);
		if (st != HF_CORRUPT || hf_boot_ms() >= until_ms)
			break;
		hf_sleep_until_ms(hf_boot_ms() + AGAIN_MS);
	}
	if (!st || !asked)
		return st;
	return hf_fail(error, HF_UNKNOWN, "force-release", error ? error->native : 0,
		"whether the damaged record of lock '%s' was replaced is not known: look with "
		"'holdfast status', and ask again if it is still damaged",
		name);
}

hf_status hf_force_release(hf_manager *manager, const char *name, const char *by,
	int even_corrupt, size_t *ended_out, hf_error *error)
{
	hf_status st = hf_manager_check(manager, name, error);

	if (ended_out)
		*ended_out = 0;
	if (st)
		return st;
	if (!by)
		by = hf_self_owner();
	if (strlen(by) > 200 || !hf_utf8_plain(by, strlen(by)))
		return hf_fail(error, HF_INVALID, "force-release", 0,
			"the name of who does it must be up to 200 bytes of plain UTF-8");
	st = force(manager, name, by, ended_out, error);
	if (st == HF_CORRUPT && even_corrupt)
		st = force_corrupt(manager, name, by, ended_out, error);
	if (!st && manager->before)
		manager->before->ended(manager, name, NULL);
	return st;
}

/* ---- cleanup ---- */

struct names {
	char **items;
	size_t count;
	size_t cap;
	bool failed;
};

static int collect(void *arg, const char *name)
{
	struct names *n = arg;

	/* A fence is never over, and must not be forgotten. */
	if (hf_fence_is_key(name))
		return 0;
	if (n->count == n->cap) {
		size_t cap = n->cap ? n->cap * 2 : 64;
		char **items = reallocarray(n->items, cap, sizeof(*items));

		if (!items)
			return n->failed = true;
		n->items = items;
		n->cap = cap;
	}
	n->items[n->count] = strdup(name);
	if (!n->items[n->count])
		return n->failed = true;
	n->count++;
	return 0;
}

/* Drop it if it has been free for long; a lock in use again is left alone. */
static void forget_if_old(
	hf_manager *m, hf_attempt *a, int64_t forget_after_ms, hf_cleanup_report *report)
{
	const hf_record *r = a->decoded ? &a->record : a->written ? &a->next : NULL;
	int64_t age_ms;
	uint64_t floor;

	if (forget_after_ms < 0 || !m->ops->forget || !r || !r->gen)
		return;
	age_ms = hf_wall_ms() - r->event.wall_ms;
	floor = r->gen > r->counter ? r->gen : r->counter;
	if (!r->grant_count && !r->waiter_count && !r->closed_ms && age_ms >= forget_after_ms &&
		!m->ops->forget(m->store, a->setup.name, &a->snap.etag, floor, NULL))
		report->forgotten++;
}

static hf_status clean_one(hf_manager *m, const char *name, int64_t forget_after_ms,
	hf_cleanup_report *report, hf_error *error)
{
	hf_drive plain = HF_DRIVE_INIT;
	hf_attempt_setup setup = hf_manager_setup(m, name, HF_ASK_REAP);
	hf_now now = hf_now_here();
	hf_attempt attempt;
	hf_status st;

	setup.wait_ms = HF_SETTLE_MS;
	hf_attempt_init(&attempt, &setup, now);
	hf_drive_until(m, &attempt, &plain, now, false);
	st = attempt.status;
	report->locks++;
	report->ended += attempt.ended;
	if (st == HF_CORRUPT) {
		report->damaged++;
		st = HF_OK;
	} else if (!st) {
		forget_if_old(m, &attempt, forget_after_ms, report);
	} else if (error) {
		*error = attempt.error;
	}
	hf_attempt_free(&attempt);
	return st;
}

hf_status hf_cleanup(hf_manager *manager, int64_t forget_after_ms,
	hf_cleanup_report *report_out, hf_error *error)
{
	hf_cleanup_report report = {.locks = 0};
	struct names names = {.items = NULL};
	char runtime[256];
	hf_status st = hf_manager_check(manager, "cleanup", error);
	size_t i;

	if (!st)
		st = manager->ops->list(manager->store, collect, &names, error);
	if (!st && names.failed)
		st = hf_fail_memory(error, "cleanup");
	for (i = 0; !st && i < names.count; i++)
		st = clean_one(manager, names.items[i], forget_after_ms, &report, error);
	if (!st && manager->ops->sweep)
		st = manager->ops->sweep(manager->store, &report.residue, error);
	if (!st && !hf_runtime_dir(manager->runtime_dir, runtime, sizeof(runtime), NULL))
		hf_liveness_sweep(runtime, &report.residue);
	if (!st && manager->before)
		manager->before->tidy(manager);
	for (i = 0; i < names.count; i++)
		free(names.items[i]);
	free(names.items);
	if (report_out)
		*report_out = report;
	return st;
}
