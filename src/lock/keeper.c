/*
 * The keeper: one thread for each manager that renews leases at a third of
 * their ttl and tells of loss.
 *
 * It never waits inside an attempt: a renewal that wants to wait (the store
 * does not answer) is put aside, so that one lock's trouble does not cost the
 * others their leases. A lease is lost when the store says so, or when its
 * trusted time has run out, whatever the store says: after sleep or SIGSTOP
 * that is looked at before anything else.
 */
#include "manager.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/*
 * Until then or until the bell is rung. A timer on CLOCK_BOOTTIME, because that
 * is the clock leases are trusted on: it fires on waking from sleep too.
 */
static void wait_until_ms(hf_manager *m, int64_t wake_ms)
{
	struct itimerspec timer = {.it_value = {.tv_nsec = 0}};
	struct pollfd fds[2] = {
		{.fd = m->keeper_timer, .events = POLLIN},
		{.fd = m->keeper_bell, .events = POLLIN},
	};
	uint64_t count;

	m->keeper_wake_ms = wake_ms;
	if (wake_ms != INT64_MAX) {
		timer.it_value.tv_sec = wake_ms / 1000;
		timer.it_value.tv_nsec = wake_ms % 1000 * 1000000 + 1;
	}
	timerfd_settime(m->keeper_timer, TFD_TIMER_ABSTIME, &timer, NULL);
	pthread_mutex_unlock(&m->mutex);
	(void)poll(fds, 2, -1);
	(void)!read(m->keeper_bell, &count, sizeof(count));
	pthread_mutex_lock(&m->mutex);
	m->keeper_wake_ms = 0; /* awake: it will look by itself */
}

static void ring(hf_manager *m)
{
	uint64_t one = 1;

	(void)!write(m->keeper_bell, &one, sizeof(one));
}

/* When this lease wants attention; INT64_MAX: never. */
static int64_t wants_ms(const hf_lease *lease)
{
	int64_t work_ms;

	if (lease->lost || lease->busy || !(lease->bound || lease->gathered))
		return INT64_MAX;
	work_ms = lease->renewal ? lease->renewal->wake_ms : lease->due_ms;
	return work_ms < lease->trust_until_ms ? work_ms : lease->trust_until_ms;
}

static bool start_renewal(hf_lease *lease)
{
	hf_manager *m = lease->manager;
	hf_attempt_setup setup = hf_manager_setup(m, lease->name, HF_ASK_RENEW);
	hf_now now = hf_now_here();

	lease->renewal = malloc(sizeof(*lease->renewal));
	if (!lease->renewal)
		return false;
	setup.request.grant.owner = lease->owner;
	setup.request.who.id = lease->id;
	setup.request.renewals = hf_lease_next_renewal(lease);
	setup.wait_ms = lease->trust_until_ms - now.boot_ms;
	setup.settle_ms = setup.wait_ms;
	hf_attempt_init(lease->renewal, &setup, now);
	hf_manager_recall(m, lease->renewal);
	return true;
}

/* Work on a seized lease; true: it is lost. */
static bool renew(hf_lease *lease)
{
	hf_drive plain = HF_DRIVE_INIT;
	hf_attempt *a;
	hf_status st;

	if (hf_boot_ms() >= lease->trust_until_ms)
		return true;
	if (!lease->renewal && !start_renewal(lease)) {
		lease->due_ms = hf_boot_ms() + 100;
		return false;
	}
	a = lease->renewal;
	if (a->wake_ms)
		hf_attempt_on_wake(a);
	a->wake_ms = 0;
	if (hf_drive_until(lease->manager, a, &plain, hf_now_here(), true) == HF_STEP_WAIT)
		return false;
	st = a->status;
	hf_manager_remember(lease->manager, a);
	if (st == HF_OK && a->base_ms) {
		hf_lease_trust(lease, a->base_ms);
		if (lease->in_line)
			lease->manager->before->renewed(lease);
	} else {
		lease->due_ms = hf_boot_ms() + lease->ttl_ms / 20;
		if (st != HF_LOST && st != HF_NOT_OWNER)
			hf_manager_log(lease->manager, "lock '%s' could not be renewed: %s",
				lease->name, a->error.text);
	}
	hf_attempt_free(a);
	free(a);
	lease->renewal = NULL;
	return st == HF_LOST || st == HF_NOT_OWNER;
}

/* The lease that wants attention first; NULL: none. */
static hf_lease *next_lease(hf_manager *m, int64_t *wake_ms_out)
{
	hf_lease *first = NULL;
	hf_lease *lease;

	*wake_ms_out = INT64_MAX;
	for (lease = m->leases; lease; lease = lease->next) {
		int64_t at = wants_ms(lease);

		if (at < *wake_ms_out) {
			*wake_ms_out = at;
			first = lease;
		}
	}
	return first;
}

static void *keep(void *arg)
{
	hf_manager *m = arg;

	pthread_mutex_lock(&m->mutex);
	while (!m->closing) {
		int64_t wake_ms;
		hf_lease *lease = next_lease(m, &wake_ms);
		bool lost;

		if (!lease || wake_ms > hf_boot_ms()) {
			wait_until_ms(m, wake_ms);
			continue;
		}
		lease->busy = true;
		pthread_mutex_unlock(&m->mutex);
		lost = renew(lease);
		if (lost)
			hf_lease_tell_lost(lease);
		pthread_mutex_lock(&m->mutex);
		lease->busy = false;
		pthread_cond_broadcast(&m->changed);
	}
	pthread_mutex_unlock(&m->mutex);
	return NULL;
}

static void close_fds(hf_manager *m)
{
	if (m->keeper_timer >= 0)
		close(m->keeper_timer);
	if (m->keeper_bell >= 0)
		close(m->keeper_bell);
}

int hf_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg)
{
	sigset_t all;
	sigset_t before;
	int failed;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed;
}

static int start_thread(hf_manager *m)
{
	int failed;

	m->keeper_timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	m->keeper_bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->keeper_timer < 0 || m->keeper_bell < 0) {
		failed = errno;
		close_fds(m);
		return failed;
	}
	failed = hf_thread_start(&m->keeper, keep, m);
	if (failed)
		close_fds(m);
	return failed;
}

/* 0, or errno. */
static int need_thread_nolock(hf_manager *m)
{
	int failed = m->keeper_runs ? 0 : start_thread(m);

	m->keeper_runs = !failed;
	return failed;
}

void hf_keeper_notice_nolock(hf_lease *lease)
{
	hf_manager *m = lease->manager;

	if (m->keeper_runs && lease->listed && wants_ms(lease) < m->keeper_wake_ms)
		ring(m);
}

hf_status hf_keeper_add(hf_lease *lease, hf_error *error)
{
	hf_manager *m = lease->manager;
	int failed = 0;

	pthread_mutex_lock(&m->mutex);
	lease->next = m->leases;
	m->leases = lease;
	lease->listed = true;
	/* Nothing ever falls due with ttl 0 or without a process: no thread for that. */
	if (wants_ms(lease) != INT64_MAX)
		failed = need_thread_nolock(m);
	hf_keeper_notice_nolock(lease);
	pthread_mutex_unlock(&m->mutex);
	if (!failed)
		return HF_OK;
	return hf_fail_errno(error, HF_SYSTEM, "acquire", failed,
		"cannot start the thread that renews leases; the lock '%s' was released again",
		lease->name);
}

hf_status hf_keeper_need(hf_lease *lease, hf_error *error)
{
	hf_manager *m = lease->manager;
	int failed;

	pthread_mutex_lock(&m->mutex);
	failed = lease->bound || lease->gathered ? need_thread_nolock(m) : 0;
	pthread_mutex_unlock(&m->mutex);
	if (!failed)
		return HF_OK;
	return hf_fail_errno(error, HF_SYSTEM, "extend", failed,
		"cannot start the thread that renews leases; the lease of lock '%s' is as it "
		"was",
		lease->name);
}

void hf_keeper_remove(hf_lease *lease)
{
	hf_manager *m = lease->manager;
	hf_lease **at;

	pthread_mutex_lock(&m->mutex);
	while (lease->busy)
		pthread_cond_wait(&m->changed, &m->mutex);
	lease->busy = true;
	for (at = &m->leases; *at && *at != lease; at = &(*at)->next)
		;
	if (*at)
		*at = lease->next;
	lease->listed = false;
	pthread_mutex_unlock(&m->mutex);
}

void hf_keeper_stop(hf_manager *m)
{
	hf_lease *lease;
	bool runs;

	pthread_mutex_lock(&m->mutex);
	m->closing = true;
	runs = m->keeper_runs;
	if (runs)
		ring(m);
	pthread_mutex_unlock(&m->mutex);
	if (runs) {
		pthread_join(m->keeper, NULL);
		close_fds(m);
	}
	for (lease = m->leases; lease; lease = lease->next) {
		lease->manager = NULL;
		lease->listed = false;
		lease->lost = true;
	}
	m->leases = NULL;
}
