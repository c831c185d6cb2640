/* Another mode for a lease in hand. See rules_convert.c. */
#include "manager.h"
#include "modes.h"
#include "under.h"

#include <unistd.h>

static const hf_convert_options defaults = HF_CONVERT_OPTIONS_INIT;

/* One call, for all parts of a lease. */
struct conversion {
	hf_lease *lease;
	const hf_convert_options *options;
	int64_t until_ms; /* INT64_MAX: waits for ever */
	hf_buf under; /* what is kept meanwhile: all of the lease, at least */
	int stop_fd; /* readable: cancelled, or the lease is lost; -1: none */
	hf_tally tally;
};

/* ---- waiting ---- */

static void stand_under(struct conversion *c)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	const hf_lease *lease = c->lease;
	size_t i;

	hf_under_add(&c->under, lease->id, lease->name);
	for (i = 0; i < lease->above_count; i++)
		hf_under_add(&c->under, lease->above[i]->id, lease->above[i]->name);
	o.flags = c->options->flags;
	o.under = c->options->under;
	o.under_count = c->options->under_count;
	hf_manager_under(lease->manager, &o, &c->under);
}

/* The lease is renewed meanwhile: if that fails the wait is in vain. */
static void begin_to_wait(struct conversion *c)
{
	int fds[2] = {c->options->cancel_fd, hf_lease_fd(c->lease)};

	stand_under(c);
	c->stop_fd = hf_fd_any(fds, 2);
}

static void end_to_wait(struct conversion *c)
{
	if (c->stop_fd >= 0)
		close(c->stop_fd);
	c->stop_fd = -1;
	hf_buf_free(&c->under);
}

/* The attempt is to wait for it, in line under this new id. */
static void let_wait(
	struct conversion *c, hf_attempt_setup *setup, hf_drive *drive, char id[HF_ID_LEN + 1])
{
	hf_manager *m = c->lease->manager;
	hf_liveness *liveness =
		m->capabilities & HF_CAP_HOST_LOCAL ? hf_manager_liveness(m) : NULL;
	int64_t left_ms = c->until_ms - hf_boot_ms();
	hf_request *r = &setup->request;

	hf_new_id(id);
	r->grant.id = id;
	r->grant.group = id;
	if (c->under.len && !c->under.failed)
		r->grant.under = c->under.data;
	if (liveness)
		r->grant.process.live = hf_liveness_path(liveness);
	r->queue = true;
	r->claim_ms = HF_CLAIM_MS;
	setup->strategy = HF_QUEUE;
	setup->wait_ms = c->until_ms == INT64_MAX ? -1 : left_ms > 0 ? left_ms : 1;
	drive->cancel_fd = c->stop_fd >= 0 ? c->stop_fd : c->options->cancel_fd;
}

/* ---- one part ---- */

static hf_status say_lost(hf_lease *part, hf_error *error)
{
	hf_lease_tell_lost(part);
	return hf_fail(
		error, HF_LOST, "convert", 0, "the lease of lock '%s' had ended", part->name);
}

/* One thread at a time comes here. While it waits the keeper may renew the lease. */
static hf_status convert_one(
	struct conversion *c, hf_lease *part, hf_mode mode, bool waits, hf_error *error)
{
	hf_drive drive = HF_DRIVE_INIT;
	hf_attempt_setup setup;
	char id[HF_ID_LEN + 1];
	hf_attempt attempt;
	hf_status st;

	st = hf_lease_seize_valid(part, "convert", error);
	if (st)
		return st;
	setup = hf_lease_setup(part, HF_ASK_CONVERT);
	setup.request.mode = mode;
	setup.strategy = HF_FAIL_FAST; /* HELD is an answer here */
	drive.lease = part;
	if (waits)
		let_wait(c, &setup, &drive, id);
	st = hf_drive_attempt(part->manager, &setup, &attempt, &drive, error);
	c->tally.conflict = c->tally.conflict || attempt.met_holder;
	c->tally.retries += attempt.looked_again;
	if (!st) {
		part->mode = mode;
		part->token = attempt.token;
	}
	hf_attempt_free(&attempt);
	hf_lease_let_go(part);
	if (st == HF_NOT_OWNER || st == HF_LOST || (waits && !hf_lease_valid(part)))
		st = say_lost(part, error);
	return st;
}

/* ---- all of it ---- */

/* The last `count` of what it stands on, or the first: nearest first. */
static hf_status weaken_above(struct conversion *c, hf_error *error)
{
	size_t count = c->lease->above_count;
	hf_status st = HF_OK;

	while (count-- > 0 && st != HF_LOST)
		st = convert_one(c, c->lease->above[count], HF_INTENT_SHARED, false, error);
	return st == HF_LOST ? st : HF_OK; /* to keep out too many does no harm */
}

/* With what it stands on, from the root on: whose intentions are to be stronger first. */
static hf_status upgrade(struct conversion *c, hf_mode mode, hf_error *error)
{
	bool waits = c->options->wait_ms != 0;
	hf_lease *lease = c->lease;
	hf_status st = HF_OK;
	size_t i;

	if (waits)
		begin_to_wait(c);
	for (i = 0; !st && i < lease->above_count; i++)
		st = convert_one(c, lease->above[i], HF_INTENT_EXCLUSIVE, waits, error);
	if (!st)
		st = convert_one(c, lease, mode, waits, error);
	if (waits && st != HF_LOST && !hf_lease_valid(lease))
		st = say_lost(lease, error);
	if (st)
		(void)weaken_above(c, NULL);
	end_to_wait(c);
	hf_count_upgrade(lease, st, &c->tally);
	return st;
}

/* The other way round. */
static hf_status downgrade(struct conversion *c, hf_mode mode, hf_error *error)
{
	hf_status st = convert_one(c, c->lease, mode, false, error);

	return !st && mode == HF_SHARED ? weaken_above(c, error) : st;
}

static hf_status check(
	const hf_lease *lease, hf_mode mode, const hf_convert_options *o, hf_error *error)
{
	const char *what = NULL;

	if (!hf_lease_is_ours(lease) || !lease->manager)
		return hf_fail(error, HF_LOST, "convert", 0,
			"this lease belongs to the parent process, or its manager is closed");
	if (o->size != sizeof(*o))
		what = "hf_convert_options has another size than this library's: initialise it "
		       "with HF_CONVERT_OPTIONS_INIT";
	else if (!hf_mode_is_known(mode) || (lease->above_count && hf_mode_is_intent(mode)))
		what = "it can be HF_EXCLUSIVE or HF_SHARED";
	else if (o->wait_ms < -1)
		what = "the wait must be -1 (for ever), 0 or more";
	else if (o->flags & ~(uint32_t)HF_UNDER_OWN)
		what = "of the flags only HF_UNDER_OWN goes with a conversion";
	else if (o->under_count > HF_UNDER_MAX || (o->under_count && !o->under))
		what = "up to 64 holds can be named in 'under'";
	else if (lease->session_fd >= 0)
		what = "a hold of this layout (flock) cannot change its mode: release it and "
		       "acquire again";
	return what ? hf_fail(error, HF_INVALID, "convert", 0, "%s", what) : HF_OK;
}

/* False: another thread does so already. */
static bool begin(hf_lease *lease)
{
	bool free;

	pthread_mutex_lock(&lease->manager->mutex);
	free = !lease->converting;
	lease->converting = true;
	pthread_mutex_unlock(&lease->manager->mutex);
	return free;
}

static void end(hf_lease *lease)
{
	pthread_mutex_lock(&lease->manager->mutex);
	lease->converting = false;
	pthread_mutex_unlock(&lease->manager->mutex);
}

hf_status hf_convert(
	hf_lease *lease, hf_mode mode, const hf_convert_options *options, hf_error *error)
{
	int64_t now_ns = hf_boot_ns();
	int64_t now_ms = now_ns / 1000000;
	struct conversion c = {.lease = lease,
		.options = options ? options : &defaults,
		.until_ms = INT64_MAX,
		.stop_fd = -1,
		.tally = {.asked_ns = now_ns}};
	int64_t wait_ms = c.options->wait_ms;
	hf_status st = check(lease, mode, c.options, error);

	if (st)
		return st;
	if (!begin(lease))
		return hf_fail(error, HF_INVALID, "convert", 0,
			"another thread is changing the mode of this lease of lock '%s'",
			lease->name);
	if (wait_ms >= 0 && wait_ms <= INT64_MAX - now_ms)
		c.until_ms = now_ms + wait_ms;
	if (mode != lease->mode && hf_mode_covers(mode, lease->mode))
		st = upgrade(&c, mode, error);
	else
		st = downgrade(&c, mode, error);
	if (mode != HF_EXCLUSIVE)
		hf_lease_leave_line(lease);
	end(lease);
	return st;
}
