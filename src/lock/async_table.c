/* What is pending: by name, by id, by when it is to go on. See async_internal.h. */
#include "async_internal.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* ---- by name ---- */

static uint64_t hash_of(const char *text)
{
	uint64_t hash = hf_hash(HF_HASH_INIT, text, strlen(text));

	return hash ^ (hash >> 32);
}

static async_place **place_at(struct hf_async *a, const char *name, uint64_t hash)
{
	async_place **at = &a->places[hash & (ASYNC_BUCKETS - 1)];

	while (*at && ((*at)->hash != hash || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	return at;
}

async_place *hf_async_find_place_nolock(struct hf_async *a, const char *name)
{
	return *place_at(a, name, hash_of(name));
}

static async_place *need_place(struct hf_async *a, const char *name)
{
	uint64_t hash = hash_of(name);
	async_place **at = place_at(a, name, hash);
	size_t size = strlen(name) + 1;
	async_place *place = *at;

	if (!place) {
		place = calloc(1, sizeof(*place) + size);
		if (!place)
			return NULL;
		place->hash = hash;
		memcpy(place->name, name, size);
		async_ring_init(&place->admitted);
		async_ring_init(&place->gated);
		async_ring_init(&place->looking);
		*at = place;
	}
	place->users++;
	return place;
}

static void put_place(struct hf_async *a, async_place *place)
{
	if (--place->users > 0)
		return;
	*place_at(a, place->name, place->hash) = place->next;
	free(place);
}

/* ---- by id ---- */

/* Of the part of the id that is its own. Ids from outside may be shorter. */
static hf_pending **bucket_of(struct hf_async *a, const char *id)
{
	size_t n = strlen(id);

	return &a->ids[hash_of(id + (n < HF_BELL_PREFIX_LEN ? n : HF_BELL_PREFIX_LEN)) &
		       (ASYNC_BUCKETS - 1)];
}

hf_pending *hf_async_find_id_nolock(struct hf_async *a, const char *id)
{
	hf_pending *p = *bucket_of(a, id);

	while (p && strcmp(p->id, id) != 0)
		p = p->id_next;
	return p;
}

static void forget_id(struct hf_async *a, hf_pending *p)
{
	hf_pending **at = bucket_of(a, p->id);

	while (*at && *at != p)
		at = &(*at)->id_next;
	if (*at)
		*at = p->id_next;
}

void hf_async_set_id_nolock(struct hf_async *a, hf_pending *p, const char *id)
{
	hf_pending **bucket;

	if (p->id[0])
		forget_id(a, p);
	hf_copy(p->id, sizeof(p->id), id);
	bucket = bucket_of(a, p->id);
	p->id_next = *bucket;
	*bucket = p;
}

/* ---- by time: a binary heap ---- */

static void heap_put(struct hf_async *a, size_t at, hf_pending *p)
{
	a->heap[at] = p;
	p->heap_at = at;
}

/* Where p belongs, from the free place `at` on. */
static void heap_settle(struct hf_async *a, size_t at, hf_pending *p)
{
	while (at > 1 && a->heap[at / 2]->wake_ms > p->wake_ms) {
		heap_put(a, at, a->heap[at / 2]);
		at /= 2;
	}
	while (at * 2 <= a->heap_count) {
		size_t child = at * 2;

		if (child < a->heap_count &&
			a->heap[child + 1]->wake_ms < a->heap[child]->wake_ms)
			child++;
		if (a->heap[child]->wake_ms >= p->wake_ms)
			break;
		heap_put(a, at, a->heap[child]);
		at = child;
	}
	heap_put(a, at, p);
}

static void heap_remove(struct hf_async *a, hf_pending *p)
{
	size_t at = p->heap_at;
	hf_pending *last;

	if (!at)
		return;
	p->heap_at = 0;
	last = a->heap[a->heap_count--];
	if (last != p)
		heap_settle(a, at, last);
}

static bool heap_make_room(struct hf_async *a)
{
	size_t cap = a->heap_cap ? a->heap_cap * 2 : 64;
	hf_pending **heap;

	if (a->count + 2 <= a->heap_cap)
		return true;
	heap = reallocarray(a->heap, cap, sizeof(hf_pending *));
	if (!heap)
		return false;
	a->heap = heap;
	a->heap_cap = cap;
	return true;
}

/* The timer is on CLOCK_BOOTTIME: it fires on waking from sleep too. */
void hf_async_arm_nolock(struct hf_async *a)
{
	struct itimerspec timer = {.it_value = {.tv_nsec = 0}};
	int64_t wake_ms = a->heap_count ? a->heap[1]->wake_ms : INT64_MAX;

	if (wake_ms == a->armed_ms)
		return;
	a->armed_ms = wake_ms;
	if (wake_ms != INT64_MAX) {
		timer.it_value.tv_sec = wake_ms / 1000;
		timer.it_value.tv_nsec = wake_ms % 1000 * 1000000 + 1;
	}
	timerfd_settime(a->timer, TFD_TIMER_ABSTIME, &timer, NULL);
}

void hf_async_wake_at_nolock(struct hf_async *a, hf_pending *p, int64_t wake_ms)
{
	heap_remove(a, p);
	p->wake_ms = wake_ms;
	if (wake_ms == INT64_MAX)
		return;
	heap_settle(a, ++a->heap_count, p);
	/* Later than the timer is for the poller to see: it looks when that fires. */
	if (wake_ms < a->armed_ms)
		hf_async_arm_nolock(a);
}

/* ---- the gate ---- */

static bool waits_in_line(const hf_pending *p)
{
	const hf_acquire_options *o = &p->options;
	bool session = (p->manager->capabilities & HF_CAP_SESSION_BOUND) != 0;

	if (o->wait_ms == 0 || (o->reenter && o->reenter[0]))
		return false;
	/* Those who look for circles must see it wait. */
	if (p->acq.under.len)
		return false;
	/* Session-bound stores have no line: there this is the only one. */
	return session ? o->strategy != HF_FAIL_FAST : o->strategy == HF_QUEUE;
}

static bool above_all(const async_place *place, const hf_pending *p)
{
	const async_link *l;

	for (l = place->admitted.next; l != &place->admitted; l = l->next)
		if (ASYNC_OF(l, mate)->options.priority >= p->options.priority)
			return false;
	return true;
}

static bool has_room(const hf_pending *p)
{
	const async_place *place = p->place;
	bool session = (p->manager->capabilities & HF_CAP_SESSION_BOUND) != 0;

	if (place->entering)
		return false;
	return place->admitted_count < (session ? 1 : ASYNC_GATE) ||
	       (place->admitted_count < ASYNC_GATE_MAX && above_all(place, p));
}

static void admit(hf_pending *p)
{
	p->in_gate = true;
	p->place->admitted_count++;
	p->place->entering = p;
	async_link_before(&p->place->admitted, &p->mate);
}

bool hf_async_gate_nolock(struct hf_async *a, hf_pending *p)
{
	async_place *place = p->place;
	async_link *at = &place->gated;

	if (!waits_in_line(p))
		return true;
	if (has_room(p)) {
		admit(p);
		return true;
	}
	while (at->prev != &place->gated &&
		ASYNC_OF(at->prev, at)->options.priority < p->options.priority)
		at = at->prev;
	async_link_before(at, &p->at);
	p->state = ASYNC_GATED;
	hf_async_wake_at_nolock(a, p, p->acq.until_ms);
	return false;
}

static void open_gate(struct hf_async *a, async_place *place)
{
	hf_pending *next;

	if (a->closing || async_ring_empty(&place->gated))
		return;
	next = ASYNC_OF(place->gated.next, at);
	if (!has_room(next))
		return;
	hf_async_unpark_nolock(a, next);
	admit(next);
	hf_async_make_ready_nolock(a, next, false);
}

void hf_async_entered_nolock(struct hf_async *a, hf_pending *p)
{
	if (p->place->entering != p)
		return;
	p->place->entering = NULL;
	open_gate(a, p->place);
}

void hf_async_pass_gate_nolock(struct hf_async *a, hf_pending *p)
{
	async_place *place = p->place;

	if (!p->in_gate)
		return;
	p->in_gate = false;
	place->admitted_count--;
	async_unlink(&p->mate);
	if (place->entering == p)
		place->entering = NULL;
	open_gate(a, place);
}

/* ---- whose end is waited for ---- */

static async_holder *find_holder(struct hf_async *a, const hf_pending *p)
{
	async_holder *h = a->holders;

	while (h && (h->pid != p->blocker_pid || h->start != p->blocker_start))
		h = h->next;
	return h;
}

/* Hear of the end of who is behind `pidfd`, which this takes. NULL: that cannot be. */
static async_holder *new_holder(struct hf_async *a, const hf_pending *p, int pidfd)
{
	struct epoll_event event = {.events = EPOLLIN};
	async_holder *h = calloc(1, sizeof(*h));

	event.data.u64 = a->holder_serial + 1;
	if (!h || epoll_ctl(a->epoll, EPOLL_CTL_ADD, pidfd, &event)) {
		close(pidfd);
		free(h);
		return NULL;
	}
	h->pid = p->blocker_pid;
	h->start = p->blocker_start;
	h->serial = ++a->holder_serial;
	h->pidfd = pidfd;
	h->next = a->holders;
	a->holders = h;
	a->holder_count++;
	return h;
}

/* Wait for the end of the holder too, or for that of his children. */
static void await_holder(struct hf_async *a, hf_pending *p)
{
	const hf_process process = {.pid = p->blocker_pid};
	int64_t soon_ms;
	int pidfd;

	p->holder = find_holder(a, p);
	if (!p->holder && a->holder_count < ASYNC_HOLDERS) {
		pidfd = hf_drive_pidfd(&process);
		if (pidfd >= 0)
			p->holder = new_holder(a, p, pidfd);
		soon_ms = hf_boot_ms() + hf_async_poll_ms(a, ASYNC_ENDED_MS);
		if (pidfd == HF_HOLDER_ENDED && soon_ms < p->wake_ms)
			p->wake_ms = soon_ms;
	}
	if (p->holder)
		p->holder->users++;
}

static void put_holder(struct hf_async *a, hf_pending *p)
{
	async_holder *h = p->holder;
	async_holder **at = &a->holders;

	p->holder = NULL;
	if (!h || --h->users > 0)
		return;
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	a->holder_count--;
	close(h->pidfd);
	free(h);
}

/* ---- parking ---- */

static int64_t with_others(const struct hf_async *a, int64_t wake_ms, int64_t until_ms)
{
	if (a->looker_count < ASYNC_MANY || wake_ms > until_ms - ASYNC_TICK_MS ||
		wake_ms - hf_boot_ms() < HF_POLL_MS / 4)
		return wake_ms;
	return (wake_ms / ASYNC_TICK_MS + 1) * ASYNC_TICK_MS;
}

void hf_async_park_nolock(struct hf_async *a, hf_pending *p)
{
	p->state = ASYNC_PARKED;
	/* Without a bell nobody is called: then each looks by himself. */
	p->looks = !p->in_line || a->bell < 0;
	if (p->looks && p->in_line &&
		p->wake_ms > hf_boot_ms() + hf_async_poll_ms(a, HF_POLL_MS))
		p->wake_ms = hf_boot_ms() + hf_async_poll_ms(a, HF_POLL_MS);
	if (p->looks && p->blocker_pid)
		await_holder(a, p);
	if (p->looks) {
		p->wake_ms = with_others(a, p->wake_ms, p->acq.until_ms);
		async_link_before(&p->place->looking, &p->mate_looking);
		async_link_before(&a->lookers, &p->look);
		a->looker_count++;
	}
	hf_async_wake_at_nolock(a, p, p->wake_ms);
}

void hf_async_unpark_nolock(struct hf_async *a, hf_pending *p)
{
	heap_remove(a, p);
	if (p->looks) {
		async_unlink(&p->mate_looking);
		async_unlink(&p->look);
		a->looker_count--;
		p->looks = false;
	}
	put_holder(a, p);
	async_unlink(&p->at);
}

/* ---- in and out ---- */

bool hf_async_enter_nolock(struct hf_async *a, hf_pending *p)
{
	if (!heap_make_room(a))
		return false;
	p->place = need_place(a, p->acq.lease->name);
	if (!p->place)
		return false;
	async_ring_init(&p->at);
	async_ring_init(&p->mate);
	async_ring_init(&p->mate_looking);
	async_ring_init(&p->look);
	async_link_before(&a->all, &p->all);
	a->count++;
	a->open_count++;
	hf_async_set_id_nolock(a, p, p->acq.lease->id);
	return true;
}

void hf_async_leave_nolock(struct hf_async *a, hf_pending *p)
{
	hf_async_unpark_nolock(a, p);
	hf_async_pass_gate_nolock(a, p);
	forget_id(a, p);
	if (p->state != ASYNC_DONE)
		a->open_count--;
	put_place(a, p->place);
	p->place = NULL;
	async_unlink(&p->all);
	a->count--;
}
