/* Runs an attempt: does what it wants and tells it what came of it. */
#include "manager.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

hf_now hf_now_here(void)
{
	return (hf_now){.boot_ms = hf_boot_ms(), .wall_ms = hf_wall_ms()};
}

/* True if some grant's expiry is judged by watching it, not by a clock. */
static bool needs_observation(hf_manager *m, const hf_record *r)
{
	size_t i;

	if (!m->host_clock[0] && (m->capabilities & HF_CAP_CLOCK))
		return false;
	for (i = 0; i < r->grant_count; i++)
		if (r->grants[i].ttl_ms && strcmp(r->grants[i].clock, m->host_clock) != 0)
			return true;
	return r->closed_ms && strcmp(r->closed_clock, m->host_clock) != 0;
}

/*
 * Having the session we are let in beside whoever else has one (flock -s): they
 * are no neighbours in our way.
 */
static void overlook_neighbours(hf_snapshot *snapshot, const hf_drive *drive)
{
	if (drive->session_fd < 0)
		return;
	free(snapshot->foreign);
	snapshot->foreign = NULL;
}

/* A session on the medium itself is the proof that others' have ended. */
static bool ended_by_session(const hf_drive *drive, const hf_grant *g)
{
	return drive->session_fd >= 0 &&
	       (drive->session_mode == HF_EXCLUSIVE || g->mode == HF_EXCLUSIVE);
}

static void probe(hf_manager *m, hf_attempt *a, const hf_drive *drive)
{
	size_t i;

	for (i = 0; i < a->record.grant_count; i++) {
		const hf_grant *g = &a->record.grants[i];

		if (!(g->flags & HF_GRANT_BOUND) || !(m->capabilities & HF_CAP_HOST_LOCAL))
			continue;
		a->evidence[i].dead =
			ended_by_session(drive, g) || hf_process_proven_dead(&g->process);
	}
}

/*
 * The dead have been ended in the store: their liveness files have served (R8).
 * Not before: others might have needed the proof.
 */
static void bury_the_dead(const hf_attempt *a)
{
	size_t i;

	for (i = 0; i < a->record.grant_count; i++)
		if (a->evidence[i].dead && a->record.grants[i].process.live[0])
			hf_liveness_bury(a->record.grants[i].process.live);
}

#define HOLDER_ENDED (-2)

/*
 * A descriptor that tells when the process in the way ends, if it can be had:
 * no need then to look again and again whether it is still there. HOLDER_ENDED
 * if it has ended already: what keeps the grant then is its children.
 */
static int holder_pidfd(hf_manager *m, const hf_attempt *a)
{
	const hf_process *me = hf_self();
	const hf_grant *g;
	struct pollfd poller = {.events = POLLIN};

	if (a->verdict.blocker < 0 || (size_t)a->verdict.blocker >= a->record.grant_count)
		return -1;
	g = &a->record.grants[a->verdict.blocker];
	if (!(g->flags & HF_GRANT_BOUND) || !(m->capabilities & HF_CAP_HOST_LOCAL) ||
		g->process.pid <= 0 || g->process.pid == me->pid ||
		g->process.pidns != me->pidns || strcmp(g->process.boot, me->boot) != 0)
		return -1;
	poller.fd = (int)syscall(SYS_pidfd_open, (pid_t)g->process.pid, 0);
	if (poller.fd < 0)
		return HOLDER_ENDED;
	if (poll(&poller, 1, 0) != 0) {
		close(poller.fd);
		return HOLDER_ENDED;
	}
	return poller.fd;
}

/* One descriptor for two; -1 if it cannot be had. */
static int either(int a, int b)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -1;
	if (epoll_ctl(fd, EPOLL_CTL_ADD, a, &event) ||
		epoll_ctl(fd, EPOLL_CTL_ADD, b, &event)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool hf_fd_readable(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&poller, 1, 0) > 0;
}

static void wait_for_change(hf_manager *m, hf_attempt *a, const hf_drive *drive)
{
	int holder = holder_pidfd(m, a);
	int both = holder >= 0 && drive->cancel_fd >= 0 ? either(holder, drive->cancel_fd) : -1;
	int cancel = both >= 0		     ? both
		     : drive->cancel_fd >= 0 ? drive->cancel_fd
		     : holder >= 0	     ? holder
					     : -1;
	int64_t wake_ms = a->wake_ms;
	int64_t soon_ms = hf_boot_ms() + 50;

	if (holder == HOLDER_ENDED && wake_ms > soon_ms)
		wake_ms = soon_ms;
	if (hf_register_watch(m, a->setup.name, a->snap.etag.len ? &a->snap.etag : NULL,
		    wake_ms, cancel, NULL)) {
		/* Watching failed: the backstop alone, without spinning. */
		hf_sleep_until_ms(wake_ms < soon_ms ? wake_ms : soon_ms);
	}
	if (both >= 0)
		close(both);
	if (holder >= 0)
		close(holder);
}

hf_step hf_drive_until(
	hf_manager *m, hf_attempt *attempt, const hf_drive *drive, hf_now now, bool nowait)
{
	hf_attempt *a = attempt;
	bool observed = false;
	hf_error error;

	for (;;) {
		hf_step step = hf_attempt_next(a, now);
		hf_status st;

		error.kind = HF_OK;
		error.text[0] = '\0';
		switch (step) {
		case HF_STEP_READ:
			st = hf_register_read(m, a->setup.name, &a->snap, &error);
			overlook_neighbours(&a->snap, drive);
			now = hf_now_here();
			hf_attempt_on_read(a, st, &error, now);
			break;
		case HF_STEP_PROBE:
			probe(m, a, drive);
			if (!observed && needs_observation(m, &a->record)) {
				hf_observed_load(m, a->setup.name, a->setup.observer);
				observed = true;
			}
			hf_attempt_on_probe(a);
			now = hf_now_here();
			break;
		case HF_STEP_SWAP:
			st = hf_register_swap(
				m, a->setup.name, &a->snap.etag, &a->change, &a->reply, &error);
			overlook_neighbours(&a->reply, drive);
			/*
			 * When it answered matters to what is to be done next,
			 * and to the reckoning of a clock that is not ours.
			 */
			if (st || !m->host_clock[0])
				now = hf_now_here();
			if (!st && a->verdict.ended)
				bury_the_dead(a);
			hf_attempt_on_swap(a, st, &error, now);
			break;
		case HF_STEP_WAIT:
			if (nowait)
				return step;
			if (hf_fd_readable(drive->cancel_fd)) {
				hf_attempt_cancel(a, HF_TIMED_OUT);
				break;
			}
			wait_for_change(m, a, drive);
			now = hf_now_here();
			hf_attempt_on_wake(a);
			break;
		case HF_STEP_DONE:
			if (observed && a->status != HF_OK)
				hf_observed_save(m, a->setup.name, a->setup.observer);
			return step;
		}
	}
}

hf_status hf_drive_attempt(hf_manager *m, const hf_attempt_setup *setup, hf_attempt *attempt,
	const hf_drive *drive, hf_error *error)
{
	static const hf_drive plain = HF_DRIVE_INIT;
	hf_now now = hf_now_here();

	hf_attempt_init(attempt, setup, now);
	hf_manager_recall(m, attempt);
	hf_drive_until(m, attempt, drive ? drive : &plain, now, false);
	hf_manager_remember(m, attempt);
	if (attempt->regressed)
		hf_manager_log(m,
			"lock '%s': the store went back to an older state than this process "
			"knew; "
			"what was acknowledged in between is gone, tokens go on above what was "
			"known",
			attempt->setup.name);
	if (attempt->status && error) {
		*error = attempt->error;
		error->kind = attempt->status;
		if (setup->request.ask == HF_ASK_RELEASE && hf_is_no_room(error->native))
			hf_fail_advise(error,
				"the lease stays until its ttl is over: make room, and "
				"release it again");
	}
	return attempt->status;
}
