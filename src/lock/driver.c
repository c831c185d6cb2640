/* Runs an attempt: does what it wants and tells it what came of it. */
#include "async.h"
#include "bell.h"
#include "manager.h"
#include "queue.h"

#include <errno.h>
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

/* The store, of which `m` may be the line. */
static hf_manager *store_of(hf_manager *m)
{
	return m->behind ? m->behind : m;
}

static void probe(hf_manager *m, hf_attempt *a, const hf_drive *drive)
{
	bool local = (m->capabilities & HF_CAP_HOST_LOCAL) != 0;
	size_t i;

	if (drive->under && !a->queued) {
		hf_buf_clear(drive->under);
		hf_manager_under(store_of(m), drive->options, drive->under);
		if (drive->under->len && !drive->under->failed)
			a->setup.request.grant.under = drive->under->data;
	}
	if (a->probe_waiter >= 0) {
		a->waiters[a->probe_waiter].dead =
			local && hf_process_proven_dead(
					 &a->record.waiters[a->probe_waiter].want.process);
		return;
	}
	for (i = 0; i < a->record.grant_count; i++) {
		const hf_grant *g = &a->record.grants[i];

		if (!(g->flags & HF_GRANT_BOUND) || !local)
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
	for (i = 0; i < a->record.waiter_count; i++)
		if (a->waiters[i].dead && a->record.waiters[i].want.process.live[0])
			hf_liveness_bury(a->record.waiters[i].want.process.live);
}

static void ring(void *arg, const hf_waiter *waiter)
{
	hf_manager *m = arg;

	if (strcmp(waiter->want.process.boot, hf_self()->boot) != 0)
		return;
	if (!hf_async_ring(m, waiter->want.id))
		hf_bell_ring(waiter->want.id);
}

/* ---- looking for circles ---- */

static hf_status read_from(hf_manager *m, const char *name, hf_record *record)
{
	hf_snapshot snapshot = {.len = 0};
	hf_status st = hf_register_read(m, name, &snapshot, NULL);

	/* A neighbour waits for nobody here. */
	free(snapshot.foreign);
	snapshot.foreign = NULL;
	if (!st)
		st = hf_snapshot_decode(name, &snapshot, HF_RECORD_WHOLE, record, NULL);
	hf_snapshot_clear(&snapshot);
	return st;
}

static hf_status read_record(void *arg, const char *name, hf_record *record)
{
	return read_from(arg, name, record);
}

static hf_status read_line(void *arg, const char *name, hf_record *record)
{
	const hf_manager *m = arg;

	return read_from(m->line, name, record);
}

static bool proven_dead(void *arg, const hf_process *process, bool in_line)
{
	const hf_manager *m = arg;

	return (in_line || (m->capabilities & HF_CAP_HOST_LOCAL)) &&
	       hf_process_proven_dead(process);
}

static bool known_lost(void *arg, const char *id)
{
	return hf_manager_knows_lost(arg, id);
}

static void look(hf_manager *m, hf_attempt *a)
{
	const hf_deadlock_source source = {.arg = store_of(m),
		.read = read_record,
		.read_line = store_of(m)->line ? read_line : NULL,
		.dead = proven_dead,
		.lost = known_lost};
	hf_status st = hf_deadlock_look(
		&a->record, m->behind, a->setup.request.grant.id, &source, &a->deadlock);

	hf_attempt_on_look(a, st, hf_now_here());
	if (a->ring_victim)
		hf_bell_ring(a->deadlock.victim);
}

/* ---- waiting ---- */

const hf_process *hf_drive_holder(hf_manager *m, const hf_attempt *a)
{
	const hf_process *me = hf_self();
	const hf_grant *g;

	if (a->verdict.blocker < 0 || (size_t)a->verdict.blocker >= a->record.grant_count)
		return NULL;
	g = &a->record.grants[a->verdict.blocker];
	if (!(g->flags & HF_GRANT_BOUND) || !(m->capabilities & HF_CAP_HOST_LOCAL) ||
		g->process.pid <= 0 || g->process.pid == me->pid ||
		g->process.pidns != me->pidns || strcmp(g->process.boot, me->boot) != 0)
		return NULL;
	return &g->process;
}

int hf_drive_pidfd(const hf_process *process)
{
	struct pollfd poller = {.events = POLLIN};

	poller.fd = (int)syscall(SYS_pidfd_open, (pid_t)process->pid, 0);
	if (poller.fd < 0)
		return HF_HOLDER_ENDED;
	if (poll(&poller, 1, 0) != 0) {
		close(poller.fd);
		return HF_HOLDER_ENDED;
	}
	return poller.fd;
}

int hf_fd_any(const int *fds, size_t count)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = epoll_create1(EPOLL_CLOEXEC);
	size_t i;

	for (i = 0; fd >= 0 && i < count; i++) {
		if (fds[i] >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, fds[i], &event)) {
			close(fd);
			fd = -1;
		}
	}
	return fd;
}

bool hf_fd_readable(int fd)
{
	struct pollfd poller = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&poller, 1, 0) > 0;
}

#define SOON_MS 50 /* for what has just ended to be seen by all means */

/* ---- who comes before us ---- */

/* A pidfd of him; HF_HOLDER_ENDED; -1: he is this process, or cannot be seen. */
static int watch_waiter(const hf_waiter *w)
{
	const hf_process *p = &w->want.process;
	const hf_process *me = hf_self();
	int fd;

	if (p->pid <= 0 || p->pid == me->pid || p->pidns != me->pidns ||
		strcmp(p->boot, me->boot) != 0)
		return -1;
	errno = 0;
	fd = hf_drive_pidfd(p); /* if the number is another's by now, no harm is done */
	/* No descriptors left, no such call: nothing is known of him. */
	return fd == HF_HOLDER_ENDED && errno && errno != ESRCH ? -1 : fd;
}

/*
 * The first of the line looks after what the others need not. Should he die, whoever
 * comes next is to know: so each watches the one right before him, or, if that one has
 * died and nobody has taken him out yet, the first. HF_HOLDER_ENDED: so has that one, by
 * now.
 */
static int watch_before(const hf_record *r, const char *id)
{
	hf_buf scratch = HF_BUF_INIT;
	int mine = hf_queue_find(r, id);
	int before = mine < 0 ? -1 : hf_queue_right_before(r, &r->waiters[mine]);
	size_t far = mine < 0 ? hf_queue_find_far(r, id) : 0;
	int head = hf_queue_head(r);
	hf_waiter waiter;
	int fd = -1;

	if (before == HF_QUEUE_FAR)
		far = r->far_count + 1;
	if (before >= 0)
		fd = watch_waiter(&r->waiters[before]);
	else if (far > 1 && far != SIZE_MAX &&
		 hf_record_read_far(r, far - 1, &scratch, &waiter))
		fd = watch_waiter(&waiter);
	if (fd < 0 && head >= 0 && head != mine && (mine >= 0 || far))
		fd = watch_waiter(&r->waiters[head]);
	else if (fd < 0)
		fd = -1;
	hf_buf_free(&scratch);
	return fd;
}

/* What a waiter hears; -1: nothing. */
struct ears {
	int bell;
	int before; /* a pidfd: who comes right before him has ended */
};

static void watch_anew(int *before, const hf_record *r, const hf_attempt *a)
{
	if (*before >= 0)
		close(*before);
	*before = a->setup.capabilities & HF_CAP_HOST_LOCAL
			  ? watch_before(r, a->setup.request.grant.id)
			  : -1; /* nobody's death could be proven */
}

/* Behind others: whoever hands over rings, and the first looks after the rest. */
static void wait_in_line(int64_t wake_ms, int bell, int cancel_fd, int before)
{
	struct pollfd fds[3] = {{.fd = bell, .events = POLLIN},
		{.fd = cancel_fd, .events = POLLIN}, {.fd = before, .events = POLLIN}};
	int64_t left_ms = wake_ms - hf_boot_ms();

	if (before == HF_HOLDER_ENDED && left_ms > SOON_MS)
		left_ms = SOON_MS;
	if (left_ms > 0)
		(void)poll(fds, 3, left_ms > 60000 ? 60000 : (int)left_ms);
}

#define BELL_ALONE_MS 100

/*
 * Who has a bell listens to it alone for a while: a store's watch tells of each
 * who joins the line too, and most waits are over by then. True: it is time to
 * look again.
 */
static bool heard(int bell, int cancel_fd, int holder, int64_t wake_ms)
{
	struct pollfd fds[3] = {{.fd = bell, .events = POLLIN},
		{.fd = cancel_fd, .events = POLLIN}, {.fd = holder, .events = POLLIN}};
	int64_t now_ms = hf_boot_ms();
	int64_t left_ms = wake_ms - now_ms;

	if (bell < 0)
		return false;
	if (left_ms <= 0)
		return true;
	return poll(fds, 3, left_ms < BELL_ALONE_MS ? (int)left_ms : BELL_ALONE_MS) != 0 ||
	       left_ms < BELL_ALONE_MS;
}

static void watch_store(hf_manager *m, hf_attempt *a, const hf_drive *drive, int bell)
{
	const hf_process *process = hf_drive_holder(m, a);
	int holder = process ? hf_drive_pidfd(process) : -1;
	int fds[3] = {bell, drive->cancel_fd, holder};
	int64_t wake_ms = a->wake_ms;
	int64_t soon_ms = hf_boot_ms() + SOON_MS;
	int any;

	if (holder == HF_HOLDER_ENDED && wake_ms > soon_ms)
		wake_ms = soon_ms;
	if (heard(bell, drive->cancel_fd, holder, wake_ms)) {
		if (holder >= 0)
			close(holder);
		return;
	}
	any = hf_fd_any(fds, 3);
	if (hf_register_watch(m, a->setup.name, a->snap.etag.len ? &a->snap.etag : NULL,
		    wake_ms, any >= 0 ? any : drive->cancel_fd, NULL)) {
		/* Watching failed: the backstop alone, without spinning. */
		hf_sleep_until_ms(wake_ms < soon_ms ? wake_ms : soon_ms);
	}
	if (any >= 0)
		close(any);
	if (holder >= 0)
		close(holder);
}

static void wait_for_change(
	hf_manager *m, hf_attempt *a, const hf_drive *drive, struct ears *ears)
{
	int bell = ears->bell;

	if (a->in_line && bell >= 0 && a->decoded)
		watch_anew(&ears->before, &a->record, a);
	if (a->in_line && bell >= 0)
		wait_in_line(a->wake_ms, bell, drive->cancel_fd, ears->before);
	else
		watch_store(m, a, drive, bell);
	hf_bell_quiet(bell);
}

/* It is in: tell those whom it concerns, clear up after those it ended. */
static void after_swap(hf_manager *m, const hf_attempt *a)
{
	if (a->verdict.ended || a->record.waiter_count)
		bury_the_dead(a);
	if (hf_record_waiting(&a->next))
		hf_queue_to_ring(&a->record, &a->next, a->setup.request.grant.id, ring, m);
	hf_async_changed(m, a->setup.name, a->setup.request.grant.id);
}

static hf_step drive_until(hf_manager *m, hf_attempt *attempt, hf_drive *drive, hf_now now,
	bool nowait, struct ears *ears)
{
	hf_attempt *a = attempt;
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
			if (!drive->observed && needs_observation(m, &a->record)) {
				hf_observed_load(m, a->setup.name, a->setup.observer);
				drive->observed = true;
			}
			hf_attempt_on_probe(a);
			now = hf_now_here();
			break;
		case HF_STEP_SWAP:
			/* Before anybody can ring it. */
			if (a->queued && ears->bell < 0 && !drive->rung)
				ears->bell = hf_bell_new(a->setup.request.grant.id);
			st = hf_register_swap(
				m, a->setup.name, &a->snap.etag, &a->change, &a->reply, &error);
			overlook_neighbours(&a->reply, drive);
			/*
			 * When it answered matters to what is to be done next,
			 * and to the reckoning of a clock that is not ours.
			 */
			if (st || !m->host_clock[0])
				now = hf_now_here();
			if (!st)
				after_swap(m, a);
			if (!st && a->verdict.waits)
				watch_anew(&ears->before, &a->next, a);
			hf_attempt_on_swap(a, st, &error, now);
			break;
		case HF_STEP_LOOK:
			look(m, a);
			now = hf_now_here();
			break;
		case HF_STEP_WAIT:
			if (nowait)
				return step;
			if (drive->waits)
				drive->waits(drive->waits_arg);
			if (hf_fd_readable(drive->cancel_fd)) {
				hf_attempt_cancel(a, HF_TIMED_OUT);
				break;
			}
			if (drive->lease)
				hf_lease_let_go(drive->lease);
			wait_for_change(m, a, drive, ears);
			if (drive->lease)
				hf_lease_seize(drive->lease);
			now = hf_now_here();
			hf_attempt_on_wake(a);
			break;
		case HF_STEP_DONE:
			if (drive->observed && a->status != HF_OK)
				hf_observed_save(m, a->setup.name, a->setup.observer);
			return step;
		}
	}
}

hf_step hf_drive_until(
	hf_manager *m, hf_attempt *attempt, hf_drive *drive, hf_now now, bool nowait)
{
	struct ears ears = {-1, -1};
	hf_step step = drive_until(m, attempt, drive, now, nowait, &ears);

	if (ears.bell >= 0)
		close(ears.bell);
	if (ears.before >= 0)
		close(ears.before);
	return step;
}

hf_status hf_drive_attempt(hf_manager *m, const hf_attempt_setup *setup, hf_attempt *attempt,
	hf_drive *drive, hf_error *error)
{
	hf_drive plain = HF_DRIVE_INIT;
	hf_now now = hf_now_here();

	hf_attempt_init(attempt, setup, now);
	hf_manager_recall(m, attempt);
	hf_drive_until(m, attempt, drive ? drive : &plain, now, false);
	return hf_drive_end(m, attempt, error);
}

hf_status hf_drive_end(hf_manager *m, hf_attempt *attempt, hf_error *error)
{
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
		if (attempt->setup.request.ask == HF_ASK_RELEASE &&
			hf_is_no_room(error->native))
			hf_fail_advise(error,
				"the lease stays until its ttl is over: make room, and "
				"release it again");
	}
	return attempt->status;
}
