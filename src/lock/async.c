/* Acquiring without blocking: the calls. See async_internal.h. */
#include "async_internal.h"
#include "under.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* ---- made on first use, gone with the manager ---- */

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void async_free(struct hf_async *a)
{
	size_t i;

	close_fd(a->done_fd);
	close_fd(a->epoll);
	close_fd(a->timer);
	close_fd(a->bell);
	close_fd(a->stop_fd);
	for (i = 0; i < ASYNC_WORKERS; i++)
		close_fd(a->workers[i].nudge);
	pthread_mutex_destroy(&a->mutex);
	pthread_cond_destroy(&a->work);
	pthread_cond_destroy(&a->quiet);
	free(a->heap);
	free(a);
}

static void init_quiet(struct hf_async *a)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&a->quiet, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static struct hf_async *async_new(hf_manager *m, hf_error *error)
{
	struct hf_async *a = calloc(1, sizeof(*a));
	bool whole;
	size_t i;

	if (!a) {
		hf_fail_memory(error, "acquire");
		return NULL;
	}
	a->manager = m;
	pthread_mutex_init(&a->mutex, NULL);
	pthread_cond_init(&a->work, NULL);
	init_quiet(a);
	async_ring_init(&a->all);
	async_ring_init(&a->urgent);
	async_ring_init(&a->ready);
	async_ring_init(&a->done);
	async_ring_init(&a->lookers);
	a->armed_ms = INT64_MAX;
	hf_new_id(a->like);
	a->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	a->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	whole = a->done_fd >= 0 && a->epoll >= 0 && a->timer >= 0 && a->stop_fd >= 0;
	for (i = 0; i < ASYNC_WORKERS; i++) {
		a->workers[i].nudge = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		whole = whole && a->workers[i].nudge >= 0;
	}
	if (!whole) {
		hf_fail_errno(error, HF_SYSTEM, "acquire", errno,
			"cannot make the descriptors to acquire without blocking with");
		a->bell = -1;
		async_free(a);
		return NULL;
	}
	a->bell = hf_bell_new_shared(a->like);
	a->bell_room = hf_bell_room();
	return a;
}

static struct hf_async *need_async(hf_manager *m, hf_error *error)
{
	struct hf_async *a;

	pthread_mutex_lock(&m->mutex);
	a = m->async;
	if (!a) {
		a = async_new(m, error);
		atomic_store_explicit(&m->async, a, memory_order_release);
	}
	pthread_mutex_unlock(&m->mutex);
	return a;
}

int hf_acquire_fd(hf_manager *manager)
{
	struct hf_async *a;

	if (manager->fork_generation != hf_fork_generation())
		return -1;
	a = need_async(manager, NULL);
	return a ? a->done_fd : -1;
}

/* ---- start ---- */

static size_t size_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *keep(char **at, const char *text)
{
	const char *kept = *at;
	size_t n = size_of(text);

	if (!n)
		return NULL;
	memcpy(*at, text, n);
	*at += n;
	return kept;
}

/* A copy of all that the caller gave. */
static hf_pending *new_pending(hf_manager *m, const char *name, const hf_acquire_options *o)
{
	hf_pending *p = calloc(1, sizeof(*p) + size_of(name) + size_of(o->owner) +
					  size_of(o->fingerprint) + size_of(o->info) +
					  size_of(o->reenter));
	char *at;

	if (!p)
		return NULL;
	at = p->texts;
	p->manager = m;
	p->fork_generation = hf_fork_generation();
	p->options = *o;
	p->name = keep(&at, name);
	p->options.owner = keep(&at, o->owner);
	p->options.fingerprint = keep(&at, o->fingerprint);
	p->options.info = keep(&at, o->info);
	p->options.reenter = keep(&at, o->reenter);
	/* The caller does not have the lease yet, should it be lost. */
	p->on_lost = o->on_lost;
	p->on_lost_arg = o->on_lost_arg;
	p->options.on_lost = NULL;
	p->options.under = NULL;
	p->options.under_count = 0;
	/* This thread goes on, and may release what it has. */
	p->options.flags &= ~(uint32_t)HF_UNDER_OWN;
	p->state = ASYNC_RUNNING; /* by this thread */
	return p;
}

static hf_status enter(struct hf_async *a, hf_pending *p, hf_error *error)
{
	hf_status st;

	pthread_mutex_lock(&a->mutex);
	st = hf_async_need_threads_nolock(a, error);
	if (!st && !hf_async_enter_nolock(a, p))
		st = hf_fail_memory(error, "acquire");
	if (!st && hf_async_gate_nolock(a, p))
		hf_async_make_ready_nolock(a, p, false);
	pthread_mutex_unlock(&a->mutex);
	return st;
}

hf_status hf_acquire_start(hf_manager *manager, const char *name,
	const hf_acquire_options *options, void *arg, hf_pending **pending_out, hf_error *error)
{
	const hf_acquire_options *o = options ? options : &hf_acquire_defaults;
	struct hf_async *a = NULL;
	hf_pending *p;
	hf_status st;
	size_t i;

	*pending_out = NULL;
	st = hf_manager_check(manager, name, error);
	if (!st)
		st = hf_acquire_check(manager, o, error);
	if (!st && o->cancel_fd >= 0)
		st = hf_fail(error, HF_INVALID, "acquire", 0,
			"what was started is cancelled with hf_acquire_cancel(): leave "
			"cancel_fd at -1");
	if (!st && (o->flags & HF_TREE_NAME))
		st = hf_fail(error, HF_INVALID, "acquire", 0,
			"a tree name is several locks, which are not acquired without "
			"blocking: use hf_acquire() in a thread");
	if (st)
		return st;
	p = new_pending(manager, name, o);
	if (!p)
		return hf_fail_memory(error, "acquire");
	p->arg = arg;
	st = hf_acquisition_begin(&p->acq, manager, p->name, &p->options, error);
	for (i = 0; !st && i < o->under_count; i++)
		hf_under_add(&p->acq.under, o->under[i].id, o->under[i].name);
	if (!st && p->acq.under.failed)
		st = hf_fail_memory(error, "acquire");
	if (!st) {
		a = need_async(manager, error);
		st = a ? HF_OK : HF_SYSTEM;
	}
	if (!st) {
		hf_bell_new_id(a->like, p->acq.lease->id);
		st = enter(a, p, error);
	}
	if (st) {
		hf_async_free(p);
		return st;
	}
	*pending_out = p;
	return HF_OK;
}

/* ---- what became of it ---- */

/* Told, finished or cancelled: no news any more. With the mutex. */
static void not_news(struct hf_async *a, hf_pending *p)
{
	uint64_t count;

	async_unlink(&p->at);
	if (async_ring_empty(&a->done))
		(void)!read(a->done_fd, &count, sizeof(count));
}

hf_pending *hf_acquire_next(hf_manager *manager)
{
	struct hf_async *a;
	hf_pending *p = NULL;

	if (manager->fork_generation != hf_fork_generation())
		return NULL;
	a = atomic_load_explicit(&manager->async, memory_order_acquire);
	if (!a)
		return NULL;
	pthread_mutex_lock(&a->mutex);
	if (!async_ring_empty(&a->done)) {
		p = ASYNC_OF(a->done.next, at);
		not_news(a, p);
	}
	pthread_mutex_unlock(&a->mutex);
	return p;
}

static bool is_parents(const hf_pending *p)
{
	return p->fork_generation != hf_fork_generation();
}

/* What it had is the threads' to give back; the handle is theirs too. With the mutex. */
static void return_grant(struct hf_async *a, hf_pending *p)
{
	p->cancelled = true;
	p->state = ASYNC_RUNNING;
	a->open_count++;
	hf_async_make_ready_nolock(a, p, true);
}

/*
 * HF_OK: DONE, and the caller's alone from now on. HF_PENDING: it is not DONE.
 * HF_LOST: what it had is over; the handle is gone.
 */
static hf_status collect(hf_pending *p)
{
	struct hf_async *a = p->manager ? p->manager->async : NULL;
	hf_status st = HF_OK;

	if (!a)
		return HF_OK;
	pthread_mutex_lock(&a->mutex);
	if (p->state != ASYNC_DONE) {
		st = HF_PENDING;
	} else {
		not_news(a, p);
		if (!p->status && !hf_lease_valid(p->lease)) {
			st = HF_LOST;
			return_grant(a, p);
		} else {
			hf_async_leave_nolock(a, p);
		}
	}
	pthread_mutex_unlock(&a->mutex);
	return st;
}

hf_status hf_acquire_finish(hf_pending *pending, hf_lease **lease_out, hf_error *error)
{
	hf_pending *p = pending;
	hf_status st;

	*lease_out = NULL;
	if (is_parents(p))
		return hf_fail(error, HF_INVALID, "acquire", 0,
			"this acquisition belongs to the parent process");
	st = collect(p);
	if (st == HF_PENDING)
		return hf_fail(error, HF_PENDING, "acquire", 0,
			"lock '%s' is still waited for: ask again when the descriptor of "
			"hf_acquire_fd() is readable",
			p->name);
	if (st == HF_LOST)
		return hf_fail(error, HF_LOST, "acquire", 0,
			"the lock was had, and its lease over before it was asked for: finish "
			"sooner, or use a longer ttl");
	st = p->status;
	if (st && error)
		*error = p->error;
	if (!st) {
		*lease_out = p->lease;
		if (p->on_lost)
			hf_lease_hand_over(p->lease, p->on_lost, p->on_lost_arg);
	}
	hf_async_free(p);
	return st;
}

/* Nobody wants it. True: it can be freed at once. With the mutex. */
static bool give_up(struct hf_async *a, hf_pending *p)
{
	bool had = p->state == ASYNC_DONE && p->lease;

	if (p->state == ASYNC_DONE)
		not_news(a, p);
	if (p->state == ASYNC_GATED || (p->state == ASYNC_DONE && !had))
		return true;
	p->cancelled = true;
	if (had)
		return_grant(a, p);
	else if (p->state == ASYNC_PARKED)
		hf_async_make_ready_nolock(a, p, true);
	return false;
}

void hf_acquire_cancel(hf_pending *pending)
{
	hf_pending *p = pending;
	struct hf_async *a;
	bool freed = true;

	if (!p || is_parents(p))
		return;
	a = p->manager ? p->manager->async : NULL;
	if (a) {
		pthread_mutex_lock(&a->mutex);
		freed = give_up(a, p);
		if (freed)
			hf_async_leave_nolock(a, p);
		pthread_mutex_unlock(&a->mutex);
	}
	if (freed)
		hf_async_free(p);
}

void *hf_pending_arg(const hf_pending *pending)
{
	return pending->arg;
}

const char *hf_pending_name(const hf_pending *pending)
{
	return pending->name;
}

/* ---- closing ---- */

/* All handles stay; what stands in a line or was had is the threads' to clear. */
static void give_all_up(struct hf_async *a)
{
	async_link *l;

	for (l = a->all.next; l != &a->all; l = l->next) {
		hf_pending *p = ASYNC_OF(l, all);

		p->kept = !p->cancelled;
		if (!p->kept || !give_up(a, p))
			continue;
		if (p->state == ASYNC_GATED) {
			hf_async_say_closed(p);
			hf_async_done_nolock(a, p);
		}
	}
}

/* As long as one after the other comes to its end. */
static void await_quiet(struct hf_async *a)
{
	struct timespec until;
	uint64_t finished;
	int r;

	while (a->open_count > 0) {
		finished = a->finished;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += HF_SETTLE_MS / 1000 + 1;
		r = 0;
		while (a->open_count > 0 && a->finished == finished && !r)
			r = pthread_cond_timedwait(&a->quiet, &a->mutex, &until);
		if (r)
			return;
	}
}

/* The threads have ended: the handle is all that is left of it. */
static void orphan(struct hf_async *a, hf_pending *p)
{
	if (p->attempt) {
		hf_attempt_free(p->attempt);
		free(p->attempt);
		p->attempt = NULL;
	}
	if (p->kept && (p->state != ASYNC_DONE || !p->status))
		hf_async_say_closed(p);
	hf_lease_detach(p->lease);
	p->lease = NULL;
	hf_async_leave_nolock(a, p);
	p->manager = NULL;
	if (!p->kept)
		hf_async_free(p);
}

void hf_async_stop(hf_manager *m)
{
	struct hf_async *a = m->async;

	if (!a)
		return;
	pthread_mutex_lock(&a->mutex);
	a->closing = true;
	give_all_up(a);
	await_quiet(a);
	pthread_mutex_unlock(&a->mutex);
	hf_async_end_threads(a);
	while (!async_ring_empty(&a->all))
		orphan(a, ASYNC_OF(a->all.next, all));
	atomic_store_explicit(&m->async, NULL, memory_order_release);
	async_free(a);
}
