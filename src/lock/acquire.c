/* From options to a request; acquiring. */
#include "manager.h"
#include "modes.h"
#include "tree_name.h"
#include "under.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TTL_MIN_MS 100
#define RENEW_MIN_MS 10
#define TTL_MAX_MS 31536000000
#define DELAY_MAX_MS 86400000
#define TEXT_MAX 200
#define INFO_MAX 4096
#define LIMIT_MAX 1000000
#define LATE_TRIES 3
#define BIND_PAUSE_MAX_MS 8

static hf_status bad(hf_error *error, const char *what)
{
	return hf_fail(error, HF_INVALID, "acquire", 0, "%s", what);
}

static bool text_fits(const char *text, size_t max)
{
	return !text || (strlen(text) <= max && hf_utf8_plain(text, strlen(text)));
}

/* JSON may have line breaks and tabs; it is escaped in the record. */
static bool info_fits(const char *info)
{
	size_t n = info ? strlen(info) : 0;

	return !info || (n <= INFO_MAX && info[strspn(info, " \t\r\n")] == '{');
}

hf_status hf_acquire_check(const hf_manager *m, const hf_acquire_options *o, hf_error *error)
{
	if (o->size != sizeof(*o))
		return bad(error, "hf_acquire_options has another size than this library's: "
				  "initialise it with HF_ACQUIRE_OPTIONS_INIT");
	if (o->ttl_ms && (o->ttl_ms < TTL_MIN_MS || o->ttl_ms > TTL_MAX_MS))
		return bad(error, "the ttl must be 0 (until released) or 100 ms to 365 days");
	if (!o->ttl_ms && !(m->capabilities & HF_CAP_HOST_LOCAL) && !(o->flags & HF_DETACHED))
		return bad(error,
			"on this store nobody can prove that a holder has died: give a "
			"ttl above 0");
	if (o->renew_ms < 0 || (o->renew_ms && o->renew_ms < RENEW_MIN_MS))
		return bad(error, "the heartbeat must be 0 (each third of the ttl) or 10 ms or "
				  "more");
	if (o->wait_ms < -1)
		return bad(error, "the wait must be -1 (for ever), 0 or more");
	if (o->lock_delay_ms < 0 || o->lock_delay_ms > DELAY_MAX_MS)
		return bad(error, "the lock delay must be 0 to 24 hours");
	if (o->limit > LIMIT_MAX || (o->limit && o->mode != HF_SHARED))
		return bad(error, "a limit of 1 to 1000000 goes with shared mode only");
	if (o->strategy == HF_RETRY &&
		(o->backoff_min_ms < 1 || o->backoff_max_ms < o->backoff_min_ms))
		return bad(error, "the backoff must be MIN..MAX with 1 ms <= MIN <= MAX");
	if (o->strategy == HF_STEAL_STALE && o->stale_after_ms < 1)
		return bad(error,
			"stale_after must be at least 1 ms, and more than a third of the "
			"holders' ttl");
	if ((o->flags & HF_TREE_NAME) && hf_mode_is_intent(o->mode))
		return bad(error,
			"a name of a tree is held exclusively or shared: its intentions are "
			"taken above it");
	if ((o->flags & HF_FOR_TREE) && (o->flags & HF_DETACHED))
		return bad(error, "a lease without a process is not kept for a tree of them");
	if ((unsigned)o->strategy > HF_FORCE_ACQUIRE || !hf_mode_is_known(o->mode))
		return bad(error, "unknown mode or strategy");
	if (o->under_count > HF_UNDER_MAX || (o->under_count && !o->under))
		return bad(error, "up to 64 holds can be named in 'under'");
	if (!text_fits(o->owner, TEXT_MAX) || !text_fits(o->fingerprint, TEXT_MAX))
		return bad(
			error, "owner and fingerprint must be up to 200 bytes of plain UTF-8");
	if (!info_fits(o->info))
		return bad(error, "info must be a JSON object of up to 4096 bytes");
	if (!(m->capabilities & HF_CAP_SESSION_BOUND))
		return HF_OK;
	if (o->flags & HF_DETACHED)
		return bad(error,
			"in this layout a hold is an open file (flock) and ends with the "
			"process: use "
			"'holdfast run', or layout=slots for leases that outlive a command");
	if (o->strategy == HF_STEAL_STALE || o->strategy == HF_FORCE_ACQUIRE)
		return bad(error,
			"in this layout a hold is an open file (flock): it cannot be taken "
			"from its holder");
	if (o->reenter && o->reenter[0])
		return bad(error,
			"in this layout a hold is an open file (flock), which no other "
			"process can join");
	if (hf_mode_is_intent(o->mode) || (o->flags & HF_TREE_NAME))
		return bad(error,
			"in this layout a hold is an open file (flock), which knows no "
			"intentions: use layout=slots");
	if (o->limit)
		return bad(error, "flock knows no limit of shared holders");
	return HF_OK;
}

static hf_lease *new_lease(
	hf_manager *m, const char *name, const hf_acquire_options *o, hf_error *error)
{
	const char *owner = o->owner ? o->owner : hf_self_owner();
	size_t name_size = strlen(name) + 1;
	size_t owner_size = strlen(owner) + 1;
	hf_lease *lease = calloc(1, sizeof(*lease) + name_size + owner_size);

	if (!lease) {
		hf_fail_memory(error, "acquire");
		return NULL;
	}
	lease->name = memcpy(lease->texts, name, name_size);
	lease->owner = memcpy(lease->texts + name_size, owner, owner_size);
	hf_new_id(lease->id);
	lease->manager = m;
	lease->mode = o->mode;
	lease->bound = !(o->flags & HF_DETACHED);
	lease->renews = lease->bound && !(o->flags & HF_NO_RENEW);
	lease->fork_generation = hf_fork_generation();
	lease->thread = hf_thread_number();
	lease->lost_fd = -1;
	lease->session_fd = -1;
	lease->on_lost = o->on_lost;
	lease->on_lost_arg = o->on_lost_arg;
	lease->renew_ms = o->renew_ms;
	lease->ttl_ms = m->capabilities & HF_CAP_SESSION_BOUND ? 0 : o->ttl_ms;
	return lease;
}

static void fill_request(hf_manager *m, hf_request *r, const hf_lease *lease,
	const hf_acquire_options *o, char verifier[HF_VERIFIER_MAX])
{
	hf_grant *g = &r->grant;

	g->id = lease->id;
	g->group = o->reenter && o->reenter[0] ? o->reenter : lease->id;
	g->owner = lease->owner;
	hf_manager_verifier(m, lease->name, o->fingerprint, verifier);
	g->fingerprint = verifier;
	g->info = o->info ? o->info : "";
	g->mode = o->mode;
	g->limit = o->limit;
	g->flags = lease->bound ? HF_GRANT_BOUND : 0;
	if (o->flags & HF_FOR_TREE)
		g->flags |= HF_GRANT_FOR_TREE;
	if ((o->flags & HF_TREE_NAME) && hf_tree_next_above(lease->name, 0))
		g->flags |= HF_GRANT_TREE_NAME;
	g->priority = o->priority;
	g->ttl_ms = lease->ttl_ms;
	g->lock_delay_ms = o->lock_delay_ms;
	r->queue = o->strategy == HF_QUEUE && o->wait_ms != 0 &&
		   !(m->capabilities & HF_CAP_SESSION_BOUND);
	r->claim_ms = HF_CLAIM_MS;
	/* Who waits is bound to this process, whatever it waits for. */
	if ((lease->bound || r->queue) && !(m->capabilities & HF_CAP_SESSION_BOUND) &&
		(m->capabilities & HF_CAP_HOST_LOCAL)) {
		hf_liveness *liveness = hf_manager_liveness(m);

		if (liveness)
			g->process.live = hf_liveness_path(liveness);
	}
	if (o->strategy == HF_STEAL_STALE)
		r->take = HF_TAKE_STALE;
	if (o->strategy == HF_FORCE_ACQUIRE)
		r->take = HF_TAKE_ALL;
	r->stale_after_ms = o->stale_after_ms;
}

/* ---- one acquisition, step by step: see manager.h ---- */

hf_status hf_acquisition_begin(hf_acquisition *acq, hf_manager *manager, const char *name,
	const hf_acquire_options *options, hf_error *error)
{
	int64_t now_ns = hf_boot_ns();
	int64_t now_ms = now_ns / 1000000;
	hf_status st;

	memset(acq, 0, sizeof(*acq));
	acq->options = options;
	acq->tally.asked_ns = now_ns;
	acq->bind_pause_ms = 1;
	acq->bind_pause_max_ms = BIND_PAUSE_MAX_MS;
	st = hf_manager_check(manager, name, error);
	if (!st)
		st = hf_acquire_check(manager, options, error);
	if (st)
		return st;
	acq->until_ms = options->wait_ms < 0 || options->wait_ms > INT64_MAX - now_ms
				? INT64_MAX
				: now_ms + options->wait_ms;
	acq->lease = new_lease(manager, name, options, error);
	return acq->lease ? HF_OK : HF_NO_MEMORY;
}

hf_status hf_acquisition_bind(hf_acquisition *acq, int64_t *wake_ms_out, hf_error *error)
{
	const hf_acquire_options *o = acq->options;
	hf_lease *lease = acq->lease;
	hf_manager *m = lease->manager;
	hf_status st = HF_OK;
	int64_t now_ms;
	hf_rng rng;

	if (!(m->capabilities & HF_CAP_SESSION_BOUND) || lease->session_fd >= 0)
		return HF_OK;
	*wake_ms_out = 0;
	st = m->ops->bind(m->store, lease->name, o->mode, &lease->session_fd, error);
	acq->tally.retries += acq->tally.conflict;
	acq->tally.conflict = acq->tally.conflict || st == HF_HELD;
	if (st != HF_HELD || o->wait_ms == 0 || o->strategy == HF_FAIL_FAST)
		return st;
	now_ms = hf_boot_ms();
	if (now_ms >= acq->until_ms)
		return hf_fail(error, HF_TIMED_OUT, "acquire", 0,
			"lock '%s' was held (flock) for all of the time to wait", lease->name);
	/* Short pauses: nothing wakes us when a neighbour lets go. */
	hf_rng_seed(&rng, (uint64_t)hf_boot_ns() ^ (uint64_t)hf_self()->pid);
	*wake_ms_out = now_ms + acq->bind_pause_ms +
		       (int64_t)hf_rng_below(&rng, (uint64_t)acq->bind_pause_ms + 1);
	if (*wake_ms_out > acq->until_ms)
		*wake_ms_out = acq->until_ms;
	if (acq->bind_pause_ms < acq->bind_pause_max_ms)
		acq->bind_pause_ms *= 2;
	return st;
}

void hf_acquisition_setup(hf_acquisition *acq, hf_attempt_setup *setup, hf_drive *drive)
{
	const hf_acquire_options *o = acq->options;
	hf_lease *lease = acq->lease;
	hf_manager *m = lease->manager;

	*setup = hf_manager_setup(m, lease->name, HF_ASK_ACQUIRE);
	fill_request(m, &setup->request, lease, o, acq->verifier);
	setup->strategy = o->strategy;
	setup->max_retries = o->max_retries;
	setup->backoff_min_ms = o->backoff_min_ms;
	setup->backoff_max_ms = o->backoff_max_ms;
	setup->wait_ms = acq->until_ms == INT64_MAX ? -1 : acq->until_ms - hf_boot_ms();
	if (acq->until_ms != INT64_MAX && setup->wait_ms < 1)
		setup->wait_ms = o->wait_ms ? 1 : 0;
	if (acq->waits_every_ms && acq->waits_every_ms < setup->line_ms)
		setup->line_ms = acq->waits_every_ms;
	*drive = (hf_drive)HF_DRIVE_INIT;
	drive->session_fd = lease->session_fd;
	drive->session_mode = o->mode;
	if (acq->under.len) {
		setup->request.grant.under = acq->under.data;
	} else if (setup->request.queue) {
		drive->options = o;
		drive->under = &acq->under;
	}
}

void hf_acquisition_tell(hf_acquisition *acq, const hf_attempt *attempt)
{
	acq->tally.conflict = acq->tally.conflict || attempt->met_holder;
	acq->tally.retries += attempt->looked_again;
	acq->tally.ended += attempt->ended;
}

/*
 * A store may answer so late that the ttl, which began before it was asked, is
 * over.
 */
hf_status hf_acquisition_granted(
	hf_acquisition *acq, const hf_attempt *attempt, bool *again_out, hf_error *error)
{
	hf_lease *lease = acq->lease;
	hf_status st;

	*again_out = false;
	lease->token = attempt->token;
	hf_lease_trust(lease, attempt->base_ms);
	st = hf_lease_confirm(lease, error);
	if (st != HF_LOST)
		return st;
	*again_out = ++acq->too_late < LATE_TRIES && !acq->one_id;
	if (*again_out) {
		hf_new_id(lease->id);
		return st;
	}
	return hf_fail(error, acq->one_id ? HF_LOST : HF_UNAVAILABLE, "acquire", 0,
		"the store takes longer to answer than the ttl of %lld ms lasts: lock '%s' was "
		"granted and is over; use a longer ttl",
		(long long)lease->ttl_ms, lease->name);
}

hf_status hf_acquisition_end(
	hf_acquisition *acq, hf_status st, hf_lease **lease_out, hf_error *error)
{
	bool again = acq->options->flags & HF_FIRST_TRY;
	hf_lease *lease = acq->lease;

	*lease_out = NULL;
	acq->lease = NULL;
	hf_buf_free(&acq->under);
	if (st) {
		if (!again || (st != HF_HELD && st != HF_UNAVAILABLE))
			hf_count_refused(lease->manager, lease->name, st, &acq->tally);
		hf_lease_destroy(lease);
		return st;
	}
	/* Before it can be lost. */
	hf_count_granted(lease, acq->options->strategy, &acq->tally);
	st = hf_keeper_add(lease, error);
	if (st)
		hf_release(lease, NULL);
	else
		*lease_out = lease;
	return st;
}

/* ---- blocking ---- */

static hf_status bind_session(hf_acquisition *acq, hf_error *error)
{
	int cancel_fd = acq->options->cancel_fd;
	hf_manager *m = acq->lease->manager;
	int64_t wake_ms = 0;

	for (;;) {
		hf_status st = hf_acquisition_bind(acq, &wake_ms, error);

		if (st != HF_HELD || !wake_ms)
			return st;
		(void)hf_register_watch(m, acq->lease->name, NULL, wake_ms, cancel_fd, NULL);
		if (hf_fd_readable(cancel_fd))
			return hf_fail(error, HF_TIMED_OUT, "acquire", 0,
				"lock '%s': waiting was cancelled", acq->lease->name);
	}
}

hf_status hf_acquire_in_store(hf_acquisition *acq, hf_error *error)
{
	hf_attempt_setup setup;
	hf_attempt attempt;
	hf_drive drive;
	hf_status st;
	bool again;

	do {
		hf_acquisition_setup(acq, &setup, &drive);
		drive.cancel_fd = acq->options->cancel_fd;
		drive.waits = acq->waits;
		drive.waits_arg = acq->waits_arg;
		again = false;
		st = hf_drive_attempt(acq->lease->manager, &setup, &attempt, &drive, error);
		hf_acquisition_tell(acq, &attempt);
		if (!st)
			st = hf_acquisition_granted(acq, &attempt, &again, error);
		hf_attempt_free(&attempt);
	} while (again);
	return st;
}

const hf_acquire_options hf_acquire_defaults = HF_ACQUIRE_OPTIONS_INIT;

hf_status hf_acquire_part(hf_manager *manager, const char *name, const hf_acquire_options *o,
	const char *id, bool gathered, hf_lease **lease_out, hf_error *error)
{
	hf_acquisition acq;
	hf_status st;

	*lease_out = NULL;
	st = hf_acquisition_begin(&acq, manager, name, o, error);
	if (st)
		return st;
	if (id)
		hf_copy(acq.lease->id, sizeof(acq.lease->id), id);
	acq.one_id = id;
	acq.lease->gathered = gathered;
	acq.lease->renews = acq.lease->renews || gathered;
	st = bind_session(&acq, error);
	if (!st && manager->before)
		st = manager->before->acquire(&acq, error);
	else if (!st)
		st = hf_acquire_in_store(&acq, error);
	return hf_acquisition_end(&acq, st, lease_out, error);
}

hf_status hf_acquire(hf_manager *manager, const char *name, const hf_acquire_options *options,
	hf_lease **lease_out, hf_error *error)
{
	const hf_acquire_options *o = options ? options : &hf_acquire_defaults;
	const hf_want want = {manager, name, o};

	if (o->size == sizeof(*o) && (o->flags & HF_TREE_NAME))
		return hf_acquire_many(&want, 1, o->wait_ms, lease_out, NULL, error);
	return hf_acquire_part(manager, name, o, NULL, false, lease_out, error);
}

hf_status hf_try_acquire(hf_manager *manager, const char *name,
	const hf_acquire_options *options, hf_lease **lease_out, hf_error *error)
{
	hf_acquire_options once = HF_ACQUIRE_OPTIONS_INIT;

	if (options) {
		if (options->size != sizeof(once))
			return hf_acquire(manager, name, options, lease_out, error);
		once = *options;
	}
	once.wait_ms = 0;
	once.strategy = HF_FAIL_FAST;
	return hf_acquire(manager, name, &once, lease_out, error);
}
