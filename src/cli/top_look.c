#include "top.h"

#include "metrics.h"

#include <stdlib.h>
#include <sys/stat.h>

#define PEOPLE_MAX 64 /* of a lock, whom a screen could show */
#define WINDOW_MS 5000

/* ---- rates ---- */

/* Count on from what was seen before, which is also in *rate. */
static void see(top_rate *rate, uint64_t count, int64_t now_ms)
{
	if (!rate->from_ms || count < rate->middle) {
		*rate = (top_rate){count, now_ms, count, now_ms, -1};
		return;
	}
	rate->per_s = -1;
	if (now_ms > rate->from_ms)
		rate->per_s =
			1000 * (double)(count - rate->from) / (double)(now_ms - rate->from_ms);
	if (now_ms - rate->middle_ms < WINDOW_MS)
		return;
	rate->from = rate->middle;
	rate->from_ms = rate->middle_ms;
	rate->middle = count;
	rate->middle_ms = now_ms;
}

/* ---- the store ---- */

static void clear_lock(top_lock *lock)
{
	size_t i;

	for (i = 0; i < lock->people_count; i++) {
		free(lock->people[i].owner);
		free(lock->people[i].command);
	}
	free(lock->people);
	free(lock->name);
	free(lock->problem);
}

void top_look_clear(top_look *look)
{
	size_t i;

	for (i = 0; i < look->count; i++)
		clear_lock(&look->locks[i]);
	free(look->locks);
	memset(look, 0, sizeof(*look));
}

static void earlier(int64_t *since_ms, int64_t wall_ms)
{
	if (wall_ms > 0 && (*since_ms < 0 || wall_ms < *since_ms))
		*since_ms = wall_ms;
}

/* The first `count` of them; false: no memory. */
static bool add_people(top_lock *lock, const hf_holder *from, size_t count, bool waits)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const hf_holder *h = &from[i];
		top_person *person = &lock->people[lock->people_count];

		earlier(waits ? &lock->waiting_since_ms : &lock->held_since_ms,
			h->acquired_wall_ms);
		if (i >= PEOPLE_MAX)
			continue;
		*person = (top_person){.owner = strdup(h->owner),
			.command = strdup(h->command),
			.pid = h->pid,
			.since_wall_ms = h->acquired_wall_ms,
			.remaining_ms = waits ? -1 : h->remaining_ms,
			.waits = waits,
			.shared = h->mode == HF_SHARED,
			.below = cli_is_intent(h->mode)};
		lock->people_count++;
		if (!person->owner || !person->command)
			return false;
	}
	return true;
}

static bool fill(top_lock *lock, const hf_lock_info *info)
{
	*lock = (top_lock){.name = strdup(info->name),
		.held_since_ms = -1,
		.waiting_since_ms = -1,
		.hold_us = -1,
		.grants = {.per_s = -1}};
	if (info->state != HF_OK) {
		lock->state = TOP_DAMAGED;
		lock->problem = strdup(info->problem);
		return lock->name && lock->problem;
	}
	lock->state = info->holder_count > 0 ? TOP_HELD
		      : info->closed_ms > 0  ? TOP_CLOSED
					     : TOP_FREE;
	lock->holders = info->holder_count;
	lock->waiters = info->waiter_count;
	lock->token = info->token;
	lock->people = calloc(2 * PEOPLE_MAX, sizeof(*lock->people));
	return lock->name && lock->people &&
	       add_people(lock, info->holders, info->holder_count, false) &&
	       add_people(lock, info->waiters, info->waiter_count, true);
}

static int gather(void *arg, const hf_lock_info *info)
{
	top_look *look = arg;

	if (look->count == look->cap) {
		size_t cap = look->cap ? 2 * look->cap : 64;
		top_lock *locks = reallocarray(look->locks, cap, sizeof(*locks));

		look->failed = !locks;
		if (!locks)
			return 1;
		look->locks = locks;
		look->cap = cap;
	}
	look->failed = !fill(&look->locks[look->count++], info);
	look->held += info->state == HF_OK && info->holder_count > 0;
	look->waiting += info->state == HF_OK ? info->waiter_count : 0;
	look->damaged += info->state != HF_OK;
	return look->failed;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const top_lock *)a)->name, ((const top_lock *)b)->name);
}

/* ---- what was counted ---- */

static void add_averages(top_look *look, const cli_metrics_list *list)
{
	static const hf_metrics zero = HF_METRICS_INIT;
	size_t i;

	look->counted = zero;
	for (i = 0; i < list->count; i++) {
		const cli_metrics_item *item = &list->items[i];
		top_lock wanted = {.name = item->name};
		top_lock *lock = look->count ? bsearch(&wanted, look->locks, look->count,
						       sizeof(wanted), by_name)
					     : NULL;

		cli_metrics_add(&look->counted, &item->metrics);
		if (lock && item->metrics.hold.count)
			lock->hold_us = (int64_t)(item->metrics.hold.total_us /
						  item->metrics.hold.count);
	}
}

/* They are worth nothing more than their absence if they cannot be read. */
static void read_metrics(hf_manager *manager, top_look *look)
{
	cli_metrics_filter filter = {.store = hf_store_identity(manager)};
	char *path = cli_metrics_path();
	cli_metrics_list list;

	if (!path)
		return;
	if (!cli_metrics_file_read(path, &filter, &list, NULL))
		add_averages(look, &list);
	cli_metrics_list_clear(&list);
	free(path);
}

/* ---- both ---- */

/* The rates go on from what was seen before. */
static void go_on(top_look *look, const top_look *before)
{
	size_t i;

	for (i = 0; i < look->count; i++) {
		top_lock *lock = &look->locks[i];
		const top_lock *was = before->count
					      ? bsearch(lock, before->locks, before->count,
							sizeof(*lock), by_name)
					      : NULL;

		if (lock->state == TOP_DAMAGED)
			continue;
		if (was && was->state != TOP_DAMAGED)
			lock->grants = was->grants;
		see(&lock->grants, lock->token, look->boot_ms);
	}
	look->acquisitions = before->acquisitions;
	look->conflicts = before->conflicts;
	see(&look->acquisitions, look->counted.acquisitions, look->boot_ms);
	see(&look->conflicts, look->counted.conflicts, look->boot_ms);
}

hf_status top_look_again(hf_manager *manager, top_look *now, hf_error *error)
{
	top_look look = {.boot_ms = hf_boot_ms(), .wall_ms = hf_wall_ms()};
	hf_status st = hf_list(manager, gather, &look, error);

	if (!st && look.failed)
		st = hf_fail_memory(error, "top");
	if (st) {
		top_look_clear(&look);
		return st;
	}
	if (look.count > 0)
		qsort(look.locks, look.count, sizeof(*look.locks), by_name);
	read_metrics(manager, &look);
	go_on(&look, now);
	top_look_clear(now);
	*now = look;
	return HF_OK;
}
