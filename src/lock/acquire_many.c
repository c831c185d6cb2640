/*
 * Several locks: all or none, in an order that is the same for everybody.
 *
 * Whoever takes locks in one order only ever waits for one that stands later
 * than all it has, so no circle of waiters closes.
 */
#include "manager.h"

#include <stdlib.h>

#define LOST_TRIES 3 /* of a set of which one was lost on the way */

struct many {
	const hf_want *wants;
	size_t count;
	hf_lease **leases; /* as wants */
	size_t order[HF_MANY_MAX]; /* indices of wants, the first to take first */
	int64_t wait_ms;
	int64_t until_ms;
	size_t failed;
	hf_error *error;
};

static int by_place(
	const hf_manager *a, const char *a_name, const hf_manager *b, const char *b_name)
{
	int order = a == b ? 0 : strcmp(hf_store_identity(a), hf_store_identity(b));

	return order ? order : strcmp(a_name, b_name);
}

static int by_want(const void *a, const void *b, void *arg)
{
	const hf_want *wants = arg;
	const hf_want *left = &wants[*(const size_t *)a];
	const hf_want *right = &wants[*(const size_t *)b];

	return by_place(left->manager, left->name, right->manager, right->name);
}

static const hf_acquire_options *options_of(const hf_want *want)
{
	return want->options ? want->options : &hf_acquire_defaults;
}

/* Before anything is taken: what would be refused, is. */
static hf_status check(struct many *w)
{
	size_t i;

	for (i = 0; i < w->count; i++) {
		const hf_want *want = &w->wants[i];
		hf_status st = hf_manager_check(want->manager, want->name, w->error);

		if (!st)
			st = hf_acquire_check(want->manager, options_of(want), w->error);
		w->order[i] = i;
		if (st) {
			w->failed = i;
			return st;
		}
	}
	qsort_r(w->order, w->count, sizeof(w->order[0]), by_want, (void *)(uintptr_t)w->wants);
	for (i = 1; i < w->count; i++) {
		const hf_want *want = &w->wants[w->order[i]];

		if (by_want(&w->order[i - 1], &w->order[i], (void *)(uintptr_t)w->wants))
			continue;
		w->failed = w->order[i];
		return hf_fail(w->error, HF_INVALID, "acquire", 0,
			"lock '%s' of %s is named twice: name it once", want->name,
			hf_store_identity(want->manager));
	}
	return HF_OK;
}

static hf_status take_one(struct many *w, size_t i)
{
	hf_acquire_options o = *options_of(&w->wants[i]);
	const char *name = w->wants[i].name;
	int64_t now_ms;
	hf_status st;

	if (w->count > 1) {
		o.on_lost = NULL; /* the caller may never get to know of it */
		o.flags |= HF_UNDER_OWN; /* those had before are kept meanwhile */
	}
	o.wait_ms = w->wait_ms;
	if (w->until_ms != INT64_MAX && w->wait_ms) {
		now_ms = hf_boot_ms();
		o.wait_ms = w->until_ms > now_ms ? w->until_ms - now_ms : 0;
	}
	st = hf_acquire(w->wants[i].manager, name, &o, &w->leases[i], w->error);
	if (st == HF_HELD && w->wait_ms && !o.wait_ms && o.strategy != HF_FAIL_FAST) {
		st = HF_TIMED_OUT; /* the others took all of the time */
		if (w->error)
			w->error->kind = st;
	}
	if (st)
		w->failed = i;
	return st;
}

/* All are had: do the first still hold, now that the last does? */
static hf_status hand_all_over(struct many *w)
{
	size_t i;

	for (i = 0; i < w->count; i++) {
		if (hf_lease_valid(w->leases[i]))
			continue;
		w->failed = i;
		return hf_fail(w->error, HF_LOST, "acquire", 0,
			"lock '%s' was lost again while the others were acquired: use a "
			"longer ttl",
			w->wants[i].name);
	}
	for (i = 0; i < w->count; i++) {
		const hf_acquire_options *o = options_of(&w->wants[i]);

		hf_lease_hand_over(w->leases[i], o->on_lost, o->on_lost_arg);
	}
	return HF_OK;
}

static hf_status take_all(struct many *w)
{
	hf_status st = HF_OK;
	size_t k;

	for (k = 0; !st && k < w->count; k++)
		st = take_one(w, w->order[k]);
	/* One alone was found to hold a moment ago. */
	if (!st && w->count > 1)
		st = hand_all_over(w);
	if (st)
		(void)hf_release_many(w->leases, w->count, NULL, NULL);
	return st;
}

/* What was to be joined and is over will not be there again. */
static bool may_come_back(const struct many *w)
{
	const char *joined =
		w->failed < w->count ? options_of(&w->wants[w->failed])->reenter : NULL;

	return w->failed < w->count && !(joined && joined[0]);
}

hf_status hf_acquire_many(const hf_want *wants, size_t count, int64_t wait_ms,
	hf_lease **leases_out, size_t *failed_out, hf_error *error)
{
	struct many w = {.wants = wants,
		.count = count,
		.leases = leases_out,
		.wait_ms = wait_ms,
		.until_ms = INT64_MAX,
		.failed = count,
		.error = error};
	hf_status st;
	size_t i;

	for (i = 0; i < count; i++)
		leases_out[i] = NULL;
	if (count < 1 || count > HF_MANY_MAX)
		st = hf_fail(error, HF_INVALID, "acquire", 0,
			"1 to %d locks can be acquired at once, not %zu", HF_MANY_MAX, count);
	else if (wait_ms < -1)
		st = hf_fail(error, HF_INVALID, "acquire", 0,
			"the wait must be -1 (for ever), 0 or more");
	else
		st = check(&w);
	if (!st) {
		int64_t now_ms = hf_boot_ms();

		if (wait_ms >= 0 && wait_ms < INT64_MAX - now_ms)
			w.until_ms = now_ms + wait_ms;
		i = 0;
		do {
			w.failed = count;
			st = take_all(&w);
		} while (st == HF_LOST && may_come_back(&w) && ++i < LOST_TRIES);
	}
	if (failed_out)
		*failed_out = w.failed;
	return st;
}

/* The last in the order that is left; leases[i] is not NULL. False: none is. */
static bool last_of(hf_lease **leases, size_t count, size_t *i_out)
{
	const hf_lease *last = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		const hf_lease *lease = leases[i];

		/* Without a manager there is nothing to release: in any order. */
		if (!lease || (last && lease->manager && last->manager &&
				      by_place(lease->manager, lease->name, last->manager,
					      last->name) < 0))
			continue;
		last = lease;
		*i_out = i;
	}
	return last;
}

hf_status hf_release_many(hf_lease **leases, size_t count, size_t *failed_out, hf_error *error)
{
	hf_status worst = HF_OK;
	size_t i = 0;

	if (failed_out)
		*failed_out = count;
	while (last_of(leases, count, &i)) {
		hf_error why;
		hf_status st = hf_release(leases[i], &why);

		leases[i] = NULL;
		if (!st || worst == HF_LOST || (worst && st != HF_LOST))
			continue;
		worst = st;
		if (failed_out)
			*failed_out = i;
		if (error)
			*error = why;
	}
	return worst;
}
