/* A lease in hand. */
#include "manager.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "trust.h"

bool hf_lease_is_ours(const hf_lease *lease)
{
	return lease->fork_generation == hf_fork_generation();
}

/* Until when a lease with this ttl is trusted that was asked for at `base_ms`. */
static int64_t trusted_until_ms(int64_t base_ms, int64_t ttl_ms)
{
	return base_ms + ttl_ms - hf_trust_margin_ms(ttl_ms);
}

/* The next renewal of what was asked for at base_ms. */
static int64_t due_after(const hf_lease *lease, int64_t base_ms, int64_t ttl_ms)
{
	int64_t third_ms = ttl_ms / 3;
	bool sooner = lease->renew_ms && lease->renew_ms < third_ms;

	return base_ms + (sooner ? lease->renew_ms : third_ms);
}

void hf_lease_trust(hf_lease *lease, int64_t base_ms)
{
	int64_t ttl_ms = lease->ttl_ms;

	if (!ttl_ms) {
		lease->trust_until_ms = INT64_MAX;
		lease->due_ms = INT64_MAX;
		return;
	}
	lease->trust_until_ms = trusted_until_ms(base_ms, ttl_ms);
	lease->due_ms = lease->renews ? due_after(lease, base_ms, ttl_ms) : INT64_MAX;
}

uint64_t hf_lease_next_renewal(hf_lease *lease)
{
	return ++lease->renewals;
}

void hf_lease_destroy(hf_lease *lease)
{
	size_t i;

	for (i = 0; i < lease->above_count; i++)
		hf_lease_destroy(lease->above[i]);
	free(lease->above);
	if (lease->renewal) {
		hf_attempt_free(lease->renewal);
		free(lease->renewal);
	}
	if (lease->lost_fd >= 0)
		close(lease->lost_fd);
	if (lease->session_fd >= 0)
		close(lease->session_fd);
	free(lease);
}

void hf_lease_tell_lost(hf_lease *lease)
{
	uint64_t one = 1;
	size_t i;
	int fd;

	if (atomic_exchange(&lease->lost, true))
		return;
	hf_count_lost(lease);
	/* Nothing stands on these any more: renewed no longer, they end. */
	for (i = 0; i < lease->above_count; i++)
		lease->above[i]->lost = true;
	fd = __atomic_load_n(&lease->lost_fd, __ATOMIC_ACQUIRE);
	if (fd >= 0)
		(void)!write(fd, &one, sizeof(one));
	hf_lease_leave_line(lease);
	if (lease->on_lost)
		lease->on_lost(lease, lease->on_lost_arg);
}

void hf_lease_leave_line(hf_lease *lease)
{
	if (lease->in_line && hf_lease_is_ours(lease) && lease->manager)
		lease->manager->before->leave(lease);
}

void hf_lease_seize(hf_lease *lease)
{
	hf_manager *m = lease->manager;

	pthread_mutex_lock(&m->mutex);
	while (lease->busy)
		pthread_cond_wait(&m->changed, &m->mutex);
	lease->busy = true;
	pthread_mutex_unlock(&m->mutex);
}

void hf_lease_let_go(hf_lease *lease)
{
	hf_manager *m = lease->manager;

	pthread_mutex_lock(&m->mutex);
	lease->busy = false;
	pthread_cond_broadcast(&m->changed);
	hf_keeper_notice_nolock(lease);
	pthread_mutex_unlock(&m->mutex);
}

/* Nobody else works on it meanwhile: what was lost a moment ago has not been told. */
void hf_lease_hand_over(hf_lease *lease, hf_lost_fn on_lost, void *on_lost_arg)
{
	bool lost;

	hf_lease_seize(lease);
	lost = lease->lost;
	lease->on_lost = on_lost;
	lease->on_lost_arg = on_lost_arg;
	hf_lease_let_go(lease);
	if (lost && on_lost)
		on_lost(lease, on_lost_arg);
}

int64_t hf_lease_remaining_ms(const hf_lease *lease)
{
	int64_t until_ms = lease->trust_until_ms;
	int64_t left_ms;
	size_t i;

	if (!hf_lease_is_ours(lease) || lease->lost)
		return 0;
	for (i = 0; i < lease->above_count; i++) {
		if (lease->above[i]->lost)
			return 0;
		if (lease->above[i]->trust_until_ms < until_ms)
			until_ms = lease->above[i]->trust_until_ms;
	}
	if (until_ms == INT64_MAX)
		return INT64_MAX;
	left_ms = until_ms - hf_boot_ms();
	return left_ms > 0 ? left_ms : 0;
}

int hf_lease_valid(const hf_lease *lease)
{
	return hf_lease_remaining_ms(lease) > 0;
}

uint64_t hf_lease_token(const hf_lease *lease)
{
	return lease->token;
}

const char *hf_lease_id(const hf_lease *lease)
{
	return lease->id;
}

const char *hf_lease_name(const hf_lease *lease)
{
	return lease->name;
}

hf_mode hf_lease_mode(const hf_lease *lease)
{
	return lease->mode;
}

int hf_lease_fd(hf_lease *lease)
{
	int fd;

	if (!hf_lease_is_ours(lease) || !lease->manager)
		return -1;
	pthread_mutex_lock(&lease->manager->mutex);
	fd = lease->lost_fd;
	if (fd < 0) {
		fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		__atomic_store_n(&lease->lost_fd, fd, __ATOMIC_RELEASE);
		if (fd >= 0 && lease->lost) {
			uint64_t one = 1;

			(void)!write(fd, &one, sizeof(one));
		}
	}
	pthread_mutex_unlock(&lease->manager->mutex);
	return fd;
}

int hf_lease_liveness_fd(const hf_lease *lease)
{
	if (!hf_lease_is_ours(lease) || !lease->manager || !lease->bound)
		return -1;
	if (lease->session_fd >= 0)
		return lease->session_fd;
	return lease->manager->liveness ? hf_liveness_fd(lease->manager->liveness) : -1;
}

/*
 * Nobody else works on it any more, nor on what it stands on; and nobody tells of
 * its loss. What it stands on is told last, as that tells of the lease itself.
 */
static void remove_from_keeper(hf_lease *lease)
{
	size_t i;

	for (i = 0; i < lease->above_count; i++)
		if (lease->above[i]->listed)
			hf_keeper_remove(lease->above[i]);
	if (lease->listed)
		hf_keeper_remove(lease);
}

void hf_lease_detach(hf_lease *lease)
{
	if (!lease)
		return;
	if (hf_lease_is_ours(lease) && lease->manager)
		remove_from_keeper(lease);
	hf_lease_leave_line(lease);
	hf_lease_destroy(lease);
}

hf_attempt_setup hf_lease_setup(hf_lease *lease, hf_ask ask)
{
	hf_attempt_setup setup = hf_manager_setup(lease->manager, lease->name, ask);

	setup.request.grant.owner = lease->owner;
	setup.request.who.id = lease->id;
	setup.wait_ms = HF_SETTLE_MS;
	return setup;
}

static hf_status give_back(hf_lease *lease, hf_error *error)
{
	hf_attempt_setup setup = hf_lease_setup(lease, HF_ASK_RELEASE);
	hf_drive drive = HF_DRIVE_INIT;
	hf_attempt attempt;
	hf_status st;

	drive.session_fd = lease->session_fd;
	drive.session_mode = lease->mode;
	st = hf_drive_attempt(lease->manager, &setup, &attempt, &drive, error);
	hf_attempt_free(&attempt);
	/* Ours by id and not there any more: it ended without us. */
	if (st == HF_NOT_OWNER)
		st = hf_fail(error, HF_LOST, "release", 0,
			"the lease of lock '%s' had ended before its release: it expired or "
			"was taken away",
			lease->name);
	return st;
}

/* Itself first: what it stands on keeps others out as long as it is there. */
static hf_status give_all_back(hf_lease *lease, hf_error *error)
{
	hf_status worst = give_back(lease, error);
	size_t i = lease->above_count;

	hf_count_released(lease, worst);
	while (i-- > 0) {
		hf_error why;
		hf_status st = give_back(lease->above[i], &why);

		hf_count_released(lease->above[i], st);
		if (!st || worst == HF_LOST || (worst && st != HF_LOST))
			continue;
		worst = st;
		if (error)
			*error = why;
	}
	return worst;
}

hf_status hf_release(hf_lease *lease, hf_error *error)
{
	hf_status st = HF_OK;

	if (!lease)
		return HF_OK;
	/* The descriptor of a session is the parent's; a copy is ours. */
	if (hf_lease_is_ours(lease) && lease->manager) {
		remove_from_keeper(lease);
		st = give_all_back(lease, error);
		/* Not before: who is next in the line is to find it free. */
		hf_lease_leave_line(lease);
	}
	hf_lease_destroy(lease);
	return st;
}

hf_status hf_lease_seize_valid(hf_lease *lease, const char *op, hf_error *error)
{
	hf_lease_seize(lease);
	if (hf_lease_valid(lease))
		return HF_OK;
	hf_lease_let_go(lease);
	hf_lease_tell_lost(lease);
	return hf_fail(error, HF_LOST, op, 0, "the lease of lock '%s' had ended", lease->name);
}

/* One renewal, with another ttl if that is not 0. The lease is seized. */
static hf_status renew(hf_lease *lease, int64_t ttl_ms, hf_error *error)
{
	hf_attempt_setup setup = hf_lease_setup(lease, HF_ASK_RENEW);
	hf_attempt attempt;
	hf_status st;

	setup.request.renewals = hf_lease_next_renewal(lease);
	setup.request.ttl_ms = ttl_ms;
	st = hf_drive_attempt(lease->manager, &setup, &attempt, NULL, error);
	if (!st) {
		if (ttl_ms)
			lease->ttl_ms = ttl_ms;
		if (attempt.base_ms)
			hf_lease_trust(lease, attempt.base_ms);
		if (lease->in_line)
			lease->manager->before->renewed(lease);
	}
	hf_attempt_free(&attempt);
	return st;
}

/*
 * As renew(), with a ttl shorter than the lease has. It counts from before the
 * store is asked: that may have it, and give the lock on, while we are not told.
 */
static hf_status shorten(hf_lease *lease, int64_t ttl_ms, hf_error *error)
{
	int64_t before_ttl_ms = lease->ttl_ms;
	int64_t before_until_ms = lease->trust_until_ms;
	int64_t before_due_ms = lease->due_ms;
	int64_t now_ms = hf_boot_ms();
	hf_status st;

	lease->ttl_ms = ttl_ms;
	/* Others read it meanwhile: it must never be longer than it was. */
	if (trusted_until_ms(now_ms, ttl_ms) < before_until_ms)
		lease->trust_until_ms = trusted_until_ms(now_ms, ttl_ms);
	if (lease->renews)
		lease->due_ms = due_after(lease, now_ms, ttl_ms);
	st = renew(lease, ttl_ms, error);
	/* It never will have it: as before, unless that was over meanwhile. */
	if (st && st != HF_UNKNOWN && st != HF_LOST && hf_lease_valid(lease)) {
		lease->ttl_ms = before_ttl_ms;
		lease->trust_until_ms = before_until_ms;
		lease->due_ms = before_due_ms;
	}
	return st;
}

hf_status hf_lease_confirm(hf_lease *lease, hf_error *error)
{
	hf_status st = HF_OK;

	if (!hf_lease_valid(lease))
		st = renew(lease, 0, error);
	if (!st && !hf_lease_valid(lease)) {
		(void)give_back(lease, NULL);
		st = HF_LOST;
	}
	return st;
}

static hf_status extend_one(hf_lease *lease, int64_t ttl_ms, hf_error *error)
{
	hf_status st = HF_OK;

	if (lease->session_fd >= 0)
		ttl_ms = 0; /* it lasts as long as the descriptor, whatever it is told */
	if (ttl_ms)
		st = hf_keeper_need(lease, error);
	if (!st)
		st = hf_lease_seize_valid(lease, "extend", error);
	if (st)
		return st;
	if (ttl_ms && (!lease->ttl_ms || ttl_ms < lease->ttl_ms))
		st = shorten(lease, ttl_ms, error);
	else
		st = renew(lease, ttl_ms, error);
	hf_lease_let_go(lease);
	if (st == HF_LOST)
		hf_lease_tell_lost(lease);
	return st;
}

hf_status hf_extend(hf_lease *lease, int64_t ttl_ms, hf_error *error)
{
	hf_status st = HF_OK;
	size_t i;

	if (!hf_lease_is_ours(lease) || !lease->manager)
		return hf_fail(error, HF_LOST, "extend", 0,
			"this lease belongs to the parent process, or its manager is closed");
	if (ttl_ms && (ttl_ms < 100 || ttl_ms > 31536000000))
		return hf_fail(error, HF_INVALID, "extend", 0,
			"the ttl must be 0 (as it was) or 100 ms to 365 days");
	for (i = 0; !st && i < lease->above_count; i++)
		st = extend_one(lease->above[i], ttl_ms, error);
	return st ? st : extend_one(lease, ttl_ms, error);
}

/* ---- one of several ---- */

hf_status hf_lease_settle(
	hf_lease *lease, const hf_acquire_options *o, bool last, hf_error *error)
{
	hf_manager *m = lease->manager;
	bool renews = lease->bound && !(o->flags & HF_NO_RENEW);

	hf_lease_seize(lease);
	pthread_mutex_lock(&m->mutex);
	lease->gathered = false;
	lease->renews = renews;
	if (!renews)
		lease->due_ms = INT64_MAX;
	pthread_mutex_unlock(&m->mutex);
	hf_lease_let_go(lease);
	return last || renews || !lease->ttl_ms ? HF_OK : extend_one(lease, 0, error);
}

static void tell_below(hf_lease *above, void *lease)
{
	(void)above;
	hf_lease_tell_lost(lease);
}

void hf_lease_stand_on(hf_lease *lease, hf_lease **above, size_t count)
{
	size_t i;

	pthread_mutex_lock(&lease->manager->mutex);
	lease->above = above;
	lease->above_count = count;
	pthread_mutex_unlock(&lease->manager->mutex);
	for (i = 0; i < count; i++)
		hf_lease_hand_over(above[i], tell_below, lease);
}
