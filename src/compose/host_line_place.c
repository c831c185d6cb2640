/* One place in the line: attempts on its lock. See host_line.h. */
#include "host_line_internal.h"

/* A grant of the line, of the very lease that it is to stand before. */
static void fill_grant(hf_grant *g, const hf_place *place, const char *verifier, int64_t ttl_ms)
{
	const hf_acquire_options *o = place->acq->options;
	const hf_lease *lease = place->acq->lease;
	hf_manager *m = lease->manager;
	hf_liveness *liveness =
		hf_manager_liveness(m->capabilities & HF_CAP_HOST_LOCAL ? m : m->line);

	g->id = g->group = lease->line_id;
	g->owner = lease->owner;
	g->fingerprint = verifier;
	g->mode = o->mode == HF_EXCLUSIVE ? HF_EXCLUSIVE : HF_SHARED;
	g->limit = o->mode == HF_EXCLUSIVE ? 0 : 1;
	g->flags = HF_GRANT_BOUND;
	g->priority = o->priority;
	g->ttl_ms = ttl_ms;
	if (liveness)
		g->process.live = hf_liveness_path(liveness);
}

static int64_t left_ms(const hf_acquisition *acq)
{
	int64_t left;

	if (acq->until_ms == INT64_MAX)
		return -1;
	left = acq->until_ms - hf_boot_ms();
	return left > 1 ? left : 1;
}

static void fill_setup(hf_attempt_setup *setup, hf_place *place, const hf_place_ask *ask,
	char verifier[HF_VERIFIER_MAX])
{
	const hf_acquire_options *o = place->acq->options;
	const hf_lease *lease = place->acq->lease;
	hf_manager *line = lease->manager->line;

	*setup = hf_manager_setup(line, lease->name, HF_ASK_ACQUIRE);
	hf_manager_verifier(line, lease->name, o->fingerprint, verifier);
	fill_grant(&setup->request.grant, place, verifier, ask->ttl_ms);
	setup->request.queue = ask->strategy == HF_QUEUE;
	setup->request.claim_ms = HF_CLAIM_MS;
	setup->request.take = ask->take;
	setup->strategy = ask->strategy;
	setup->max_retries = o->max_retries;
	setup->backoff_min_ms = o->backoff_min_ms;
	setup->backoff_max_ms = o->backoff_max_ms;
	setup->wait_ms = ask->strategy == HF_FAIL_FAST ? 0 : left_ms(place->acq);
}

/* ---- what came of it ---- */

/* Does somebody have it, or the offer of it, who wants the lock exclusively? */
static bool is_exclusive(const hf_attempt *a)
{
	size_t i;

	for (i = 0; i < a->record.grant_count; i++)
		if (a->record.grants[i].mode == HF_EXCLUSIVE)
			return true;
	for (i = 0; i < a->record.waiter_count; i++)
		if (a->record.waiters[i].offer &&
			a->record.waiters[i].want.mode == HF_EXCLUSIVE)
			return true;
	return false;
}

/* The attempt's words tell of a grant of the line, whose token means nothing. */
static void explain(hf_attempt *a)
{
	const hf_grant *g = a->decoded && a->verdict.blocker >= 0
				    ? &a->record.grants[a->verdict.blocker]
				    : NULL;

	if (g)
		hf_fail(&a->error, a->status, "acquire", 0,
			"lock '%s' is held by %s on %s, pid %lld, or about to be: that one is "
			"before us in the line of this host",
			a->setup.name, g->owner, g->process.host, (long long)g->process.pid);
	else
		hf_fail(&a->error, a->status, "acquire", 0,
			"lock '%s' is held, or about to be, by one who is before us in the "
			"line of this host",
			a->setup.name);
}

/* An answer, or HF_OK: on to the store, with the place or without. */
static hf_status conclude(hf_place *place, hf_status st, const hf_error *error)
{
	const hf_lease *lease = place->acq->lease;
	hf_manager *m = lease->manager;

	switch (st) {
	case HF_OK:
	case HF_HELD:
	case HF_TIMED_OUT:
	case HF_DEADLOCK:
		place->had = !st;
		return st;
	case HF_CORRUPT:
		/* It was worth nothing. */
		(void)!hf_force_release(m->line, lease->name, NULL, 1, NULL, NULL);
		break;
	default:
		break;
	}
	place->had = st == HF_UNKNOWN;
	place->broken = true;
	hf_host_line_tell(m, error->text);
	return HF_OK;
}

hf_status hf_place_take(
	hf_place *place, const hf_place_ask *ask, bool *sure_out, hf_error *error)
{
	hf_acquisition *acq = place->acq;
	hf_lease *lease = acq->lease;
	hf_manager *line = lease->manager->line;
	hf_drive drive = HF_DRIVE_INIT;
	hf_now now = hf_now_here();
	char verifier[HF_VERIFIER_MAX];
	hf_attempt_setup setup;
	hf_attempt attempt;
	hf_error why;
	hf_status st;

	if (!lease->line_id[0])
		hf_copy(lease->line_id, sizeof(lease->line_id), lease->id);
	fill_setup(&setup, place, ask, verifier);
	drive.cancel_fd = acq->options->cancel_fd;
	if (setup.request.queue) {
		drive.options = acq->options;
		drive.under = &acq->under;
	}
	hf_attempt_init(&attempt, &setup, now);
	hf_manager_recall(line, &attempt);
	(void)hf_drive_until(line, &attempt, &drive, now, false);
	*sure_out = acq->options->mode == HF_EXCLUSIVE ||
		    (attempt.decoded && is_exclusive(&attempt));
	if (attempt.status == HF_HELD ||
		(attempt.status == HF_TIMED_OUT && !hf_fd_readable(drive.cancel_fd)))
		explain(&attempt);
	acq->tally.conflict = acq->tally.conflict || attempt.met_holder;
	acq->tally.retries += attempt.looked_again;
	why.text[0] = '\0';
	st = hf_drive_end(line, &attempt, &why);
	hf_attempt_free(&attempt);
	place->ttl_ms = ask->ttl_ms;
	place->vouched_ms = now.boot_ms;
	if (ask->strategy != HF_FAIL_FAST)
		place->vouched_ms = hf_boot_ms();
	st = conclude(place, st, &why);
	if (st && error)
		*error = why;
	return st;
}

/* ---- had ---- */

static hf_status ask_about(hf_lease *lease, hf_ask what, int64_t ttl_ms)
{
	hf_manager *line = lease->manager->line;
	hf_attempt_setup setup = hf_manager_setup(line, lease->name, what);
	hf_attempt attempt;
	hf_status st;

	setup.request.grant.owner = lease->owner;
	setup.request.who.id = lease->line_id;
	setup.request.ttl_ms = ttl_ms;
	setup.settle_ms = 0;
	st = hf_drive_attempt(line, &setup, &attempt, NULL, NULL);
	hf_attempt_free(&attempt);
	return st;
}

bool hf_place_renew(hf_lease *lease, int64_t ttl_ms)
{
	hf_status st = ask_about(lease, HF_ASK_RENEW, ttl_ms);

	return st != HF_LOST && st != HF_NOT_OWNER;
}

void hf_place_leave(hf_lease *lease)
{
	(void)ask_about(lease, HF_ASK_RELEASE, 0);
	hf_host_line_used(lease->manager, lease->name);
}
