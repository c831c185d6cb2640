/* The threads: workers, and the poller. See async_internal.h. */
#include "async_internal.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WATCH_MS 500 /* one name, before it is another's turn */
#define NO_WATCH_MS 1000 /* after watching has failed */

static void signal_fd(int fd)
{
	static const uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

static void quiet_fd(int fd)
{
	uint64_t count;

	(void)!read(fd, &count, sizeof(count));
}

/* ---- what is ready ---- */

static void *work_loop(void *arg);

static int start_worker(struct hf_async *a)
{
	async_worker *w = &a->workers[a->worker_count];
	int failed;

	w->async = a;
	failed = hf_thread_start(&w->thread, work_loop, w);
	if (!failed)
		a->worker_count++;
	return failed;
}

/* Somebody must see to what is ready. */
static void call_worker(struct hf_async *a)
{
	size_t i;

	if (a->sleeping > 0)
		pthread_cond_signal(&a->work);
	if (a->sleeping >= a->ready_count)
		return;
	if (a->worker_count < ASYNC_WORKERS && !a->stopping && !start_worker(a))
		return;
	for (i = 0; i < a->worker_count; i++) {
		async_worker *w = &a->workers[i];

		if (w->watches && !w->nudged) {
			w->nudged = true;
			signal_fd(w->nudge);
			return;
		}
	}
}

void hf_async_make_ready_nolock(struct hf_async *a, hf_pending *p, bool urgent)
{
	if (p->state == ASYNC_READY) {
		if (!urgent)
			return;
		a->ready_count--;
	}
	hf_async_unpark_nolock(a, p);
	p->state = ASYNC_READY;
	a->ready_count++;
	async_link_before(urgent ? &a->urgent : &a->ready, &p->at);
	call_worker(a);
}

static hf_pending *take_ready(struct hf_async *a)
{
	async_link *from = async_ring_empty(&a->urgent) ? &a->ready : &a->urgent;
	hf_pending *p;

	if (async_ring_empty(from))
		return NULL;
	p = ASYNC_OF(from->next, at);
	async_unlink(&p->at);
	a->ready_count--;
	p->state = ASYNC_RUNNING;
	p->rung = false;
	p->seen_changes = p->place->changes;
	return p;
}

void hf_async_done_nolock(struct hf_async *a, hf_pending *p)
{
	hf_async_unpark_nolock(a, p);
	hf_async_pass_gate_nolock(a, p);
	p->state = ASYNC_DONE;
	a->open_count--;
	a->finished++;
	if (!p->kept) {
		if (async_ring_empty(&a->done))
			signal_fd(a->done_fd);
		async_link_before(&a->done, &p->at);
	}
	pthread_cond_broadcast(&a->quiet);
}

/* ---- workers ---- */

/* Nobody wants it: what it had is given back, and its handle freed, if it is ours. */
static void drop(struct hf_async *a, hf_pending *p)
{
	bool had = p->lease != NULL;

	/* Who is next need not wait for that: he stands in line by himself. */
	hf_async_pass_gate_nolock(a, p);
	if (had) {
		pthread_mutex_unlock(&a->mutex);
		hf_async_give_back(p);
		pthread_mutex_lock(&a->mutex);
	}
	if (p->kept) {
		if (!p->status || p->status == HF_TIMED_OUT)
			hf_async_say_closed(p);
		hf_async_done_nolock(a, p);
		return;
	}
	hf_async_leave_nolock(a, p);
	a->finished++;
	pthread_cond_broadcast(&a->quiet);
	hf_async_free(p);
}

/* There is something to watch, perhaps for a worker that had nothing to do. */
static void call_watcher(struct hf_async *a)
{
	size_t watching = 0;
	size_t i;

	for (i = 0; i < a->worker_count; i++)
		watching += a->workers[i].watches;
	if (a->sleeping > 0 && watching + 1 < a->worker_count)
		pthread_cond_broadcast(&a->work);
}

static void settle(struct hf_async *a, hf_pending *p, async_outcome outcome)
{
	if (outcome == ASYNC_ANSWERED) {
		if (p->cancelled)
			drop(a, p);
		else
			hf_async_done_nolock(a, p);
		return;
	}
	if (outcome == ASYNC_AGAIN) {
		hf_async_set_id_nolock(a, p, p->acq.lease->id);
		hf_async_make_ready_nolock(a, p, true);
	} else if (p->rung || (p->cancelled && !p->told)) {
		hf_async_make_ready_nolock(a, p, true);
	} else if (!p->in_line && p->place->changes != p->seen_changes) {
		hf_async_make_ready_nolock(a, p, false);
	} else {
		hf_async_park_nolock(a, p);
		hf_async_entered_nolock(a, p);
		if (p->looks && p->seen.len)
			call_watcher(a);
	}
}

static void work_on(struct hf_async *a, hf_pending *p)
{
	bool cancel = p->cancelled;
	int64_t turn_ms = hf_async_poll_ms(a, 0);
	async_outcome outcome = ASYNC_ANSWERED;

	/* What was cancelled when it was DONE has nothing to ask any more. */
	if (!p->lease) {
		pthread_mutex_unlock(&a->mutex);
		outcome = hf_async_work(p, cancel, turn_ms);
		pthread_mutex_lock(&a->mutex);
	}
	settle(a, p, outcome);
}

static bool is_watched(const struct hf_async *a, const char *name)
{
	size_t i;

	for (i = 0; i < a->worker_count; i++)
		if (a->workers[i].watches && !strcmp(a->workers[i].watched, name))
			return true;
	return false;
}

/* One that waits for a change that no bell may tell of; the next one each time. */
static hf_pending *find_to_watch(struct hf_async *a)
{
	size_t i;

	if (a->no_watch_until_ms > hf_boot_ms() || a->stopping)
		return NULL;
	for (i = 0; i < a->looker_count && i < 2 * (size_t)ASYNC_WORKERS; i++) {
		hf_pending *p = ASYNC_OF(a->lookers.next, look);

		async_unlink(&p->look);
		async_link_before(&a->lookers, &p->look);
		if (p->seen.len && !is_watched(a, p->name))
			return p;
	}
	return NULL;
}

/* Some of those that wait for it, those first that have waited longest. */
static void tell_lookers(struct hf_async *a, async_place *place)
{
	int i;

	for (i = 0; i < ASYNC_HERD && !async_ring_empty(&place->looking); i++) {
		hf_pending *p = ASYNC_OF(place->looking.next, mate_looking);

		p->acq.bind_pause_ms = 1;
		hf_async_make_ready_nolock(a, p, false);
	}
}

static void watch(async_worker *w, const hf_pending *p)
{
	struct hf_async *a = w->async;
	int64_t until_ms = hf_boot_ms() + WATCH_MS;
	hf_etag seen = p->seen;
	async_place *place;
	hf_status st;

	if (p->wake_ms < until_ms)
		until_ms = p->wake_ms;
	hf_copy(w->watched, sizeof(w->watched), p->name);
	w->watches = true;
	pthread_mutex_unlock(&a->mutex);
	st = hf_register_watch(a->manager, w->watched, &seen, until_ms, w->nudge, NULL);
	pthread_mutex_lock(&a->mutex);
	w->watches = false;
	if (w->nudged)
		quiet_fd(w->nudge);
	else if (st)
		a->no_watch_until_ms = hf_boot_ms() + NO_WATCH_MS;
	else if (hf_boot_ms() < until_ms) {
		place = hf_async_find_place_nolock(a, w->watched);
		if (place)
			tell_lookers(a, place);
	}
	w->nudged = false;
}

static void *work_loop(void *arg)
{
	async_worker *w = arg;
	struct hf_async *a = w->async;

	pthread_mutex_lock(&a->mutex);
	while (!a->stopping) {
		hf_pending *p = take_ready(a);

		if (p) {
			work_on(a, p);
			continue;
		}
		/* One stays free for what comes: starting a watch has its price. */
		p = w == &a->workers[0] && a->worker_count > 1 ? NULL : find_to_watch(a);
		if (p) {
			watch(w, p);
			continue;
		}
		a->sleeping++;
		pthread_cond_wait(&a->work, &a->mutex);
		a->sleeping--;
	}
	pthread_mutex_unlock(&a->mutex);
	return NULL;
}

/* ---- the poller ---- */

enum { FROM_TIMER, FROM_BELL, FROM_STOP, FROM_HOLDERS };

static void timed_out(struct hf_async *a, hf_pending *p)
{
	hf_async_answer(p, hf_fail(&p->error, HF_TIMED_OUT, "acquire", 0,
				   "lock '%s' was held for all of the time to wait: others of "
				   "this process were before us",
				   p->name));
	hf_async_done_nolock(a, p);
}

static void expire(struct hf_async *a)
{
	int64_t now_ms = hf_boot_ms();

	while (a->heap_count && a->heap[1]->wake_ms <= now_ms) {
		hf_pending *p = a->heap[1];

		if (p->state == ASYNC_GATED)
			timed_out(a, p);
		else
			hf_async_make_ready_nolock(a, p, false);
	}
	a->armed_ms = 0;
	hf_async_arm_nolock(a);
}

static void tell(struct hf_async *a, hf_pending *p)
{
	p->rung = true;
	if (p->state == ASYNC_PARKED)
		hf_async_make_ready_nolock(a, p, true);
}

static void hear_bell(struct hf_async *a)
{
	char id[HF_ID_LEN + 1];
	size_t heard = 0;
	async_link *l;

	while (hf_bell_next(a->bell, id)) {
		hf_pending *p = hf_async_find_id_nolock(a, id);

		heard++;
		if (p)
			tell(a, p);
	}
	if (heard < a->bell_room)
		return;
	/* It may have been full: a ring that was not taken is not sent again. */
	for (l = a->all.next; l != &a->all; l = l->next) {
		hf_pending *p = ASYNC_OF(l, all);

		if (p->state == ASYNC_PARKED && p->queued)
			hf_async_make_ready_nolock(a, p, false);
	}
}

static void holder_ended(struct hf_async *a, uint64_t serial)
{
	async_link *l;

	for (l = a->all.next; l != &a->all; l = l->next) {
		hf_pending *p = ASYNC_OF(l, all);

		if (p->holder && p->holder->serial == serial)
			tell(a, p);
	}
}

static void hear(struct hf_async *a, uint64_t what)
{
	if (what == FROM_TIMER)
		quiet_fd(a->timer);
	else if (what == FROM_BELL)
		hear_bell(a);
	else if (what >= FROM_HOLDERS)
		holder_ended(a, what);
}

static void *poll_loop(void *arg)
{
	struct hf_async *a = arg;
	struct epoll_event events[16];

	pthread_mutex_lock(&a->mutex);
	while (!a->stopping) {
		int i;
		int n;

		expire(a);
		pthread_mutex_unlock(&a->mutex);
		n = epoll_wait(a->epoll, events, (int)HF_ARRAY_LEN(events), -1);
		pthread_mutex_lock(&a->mutex);
		for (i = 0; i < n; i++)
			hear(a, events[i].data.u64);
	}
	pthread_mutex_unlock(&a->mutex);
	return NULL;
}

static bool listen_to(struct hf_async *a, int fd, uint64_t what)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = what};

	return fd < 0 || !epoll_ctl(a->epoll, EPOLL_CTL_ADD, fd, &event) || errno == EEXIST;
}

/* ---- beginning and end ---- */

hf_status hf_async_need_threads_nolock(struct hf_async *a, hf_error *error)
{
	int failed = 0;

	if (!a->poller_runs) {
		a->holder_serial = FROM_HOLDERS;
		if (!listen_to(a, a->timer, FROM_TIMER) || !listen_to(a, a->bell, FROM_BELL) ||
			!listen_to(a, a->stop_fd, FROM_STOP))
			return hf_fail(error, HF_SYSTEM, "acquire", 0,
				"cannot listen for what wakes those who wait (epoll)");
		failed = hf_thread_start(&a->poller, poll_loop, a);
		a->poller_runs = !failed;
	}
	if (!failed && !a->worker_count)
		failed = start_worker(a);
	if (failed)
		return hf_fail_errno(error, HF_SYSTEM, "acquire", failed,
			"cannot start the threads that acquire without blocking");
	return HF_OK;
}

void hf_async_end_threads(struct hf_async *a)
{
	size_t i;

	pthread_mutex_lock(&a->mutex);
	a->stopping = true;
	pthread_cond_broadcast(&a->work);
	signal_fd(a->stop_fd);
	for (i = 0; i < a->worker_count; i++)
		signal_fd(a->workers[i].nudge);
	pthread_mutex_unlock(&a->mutex);
	if (a->poller_runs)
		pthread_join(a->poller, NULL);
	for (i = 0; i < a->worker_count; i++)
		pthread_join(a->workers[i].thread, NULL);
}

/* ---- what others of this manager tell ---- */

bool hf_async_ring(hf_manager *m, const char *id)
{
	struct hf_async *a = atomic_load_explicit(&m->async, memory_order_acquire);
	hf_pending *p;

	if (!a || strncmp(a->like, id, HF_BELL_PREFIX_LEN) != 0)
		return false;
	pthread_mutex_lock(&a->mutex);
	p = hf_async_find_id_nolock(a, id);
	if (p)
		tell(a, p);
	pthread_mutex_unlock(&a->mutex);
	return true;
}

void hf_async_changed(hf_manager *m, const char *name, const char *self)
{
	struct hf_async *a = atomic_load_explicit(&m->async, memory_order_acquire);
	async_place *place;
	hf_pending *p;

	if (!a)
		return;
	pthread_mutex_lock(&a->mutex);
	place = hf_async_find_place_nolock(a, name);
	if (place) {
		place->changes++;
		p = hf_async_find_id_nolock(a, self);
		if (p)
			p->seen_changes++; /* its own */
		tell_lookers(a, place);
	}
	pthread_mutex_unlock(&a->mutex);
}
