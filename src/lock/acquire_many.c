/*
 * Several locks: all or none, in an order that is the same for everybody.
 *
 * Whoever takes locks in one order only ever waits for one that stands later
 * than all it has, so no circle of waiters closes. A tree name is several: the
 * names above it come before it in that order, as they are its beginning. Where
 * several of one call want the same name, the later join the first.
 */
#include "modes.h"
#include "tree_name.h"

#include <assert.h>
#include <stdlib.h>

#define LOST_TRIES 3 /* of a set of which one was lost on the way */

/* What one want takes of one name. */
struct part {
	size_t want; /* index */
	hf_mode mode;
	bool leaf; /* what was asked for, no intention above it */
	hf_lease *lease;
	char group[HF_GROUP_MAX + 1]; /* of the lease */
	char name[HF_NAME_MAX + 1];
};

struct many {
	const hf_want *wants;
	size_t count;
	hf_lease **leases; /* as wants */
	struct part *parts; /* the first to take first */
	size_t part_count;
	char (*ids)[HF_ID_LEN + 1]; /* of each want's parts, if it has several */
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

/* The later of one name are to be covered by the first. */
static int by_part(const void *a, const void *b, void *arg)
{
	static const int strength[] = {[HF_EXCLUSIVE] = 0,
		[HF_SHARED] = 1,
		[HF_INTENT_EXCLUSIVE] = 2,
		[HF_INTENT_SHARED] = 3};
	const hf_want *wants = arg;
	const struct part *left = a;
	const struct part *right = b;
	int order = by_place(
		wants[left->want].manager, left->name, wants[right->want].manager, right->name);

	if (!order)
		order = strength[left->mode] - strength[right->mode];
	if (!order && left->want != right->want)
		order = left->want < right->want ? -1 : 1;
	return order;
}

static bool same_place(const struct many *w, const struct part *a, const struct part *b)
{
	return !by_place(
		w->wants[a->want].manager, a->name, w->wants[b->want].manager, b->name);
}

static const hf_acquire_options *options_of(const hf_want *want)
{
	return want->options ? want->options : &hf_acquire_defaults;
}

static bool is_tree(const struct many *w, size_t want)
{
	return (options_of(&w->wants[want])->flags & HF_TREE_NAME) != 0;
}

/* ---- before anything is taken: what would be refused, is ---- */

static hf_status check_wants(struct many *w)
{
	size_t i;

	for (i = 0; i < w->count; i++) {
		const hf_want *want = &w->wants[i];
		hf_status st = hf_manager_check(want->manager, want->name, w->error);
		size_t len = 0;

		if (!st)
			st = hf_acquire_check(want->manager, options_of(want), w->error);
		if (!st && is_tree(w, i))
			st = hf_tree_check_name(want->name, w->error);
		if (st) {
			w->failed = i;
			return st;
		}
		w->part_count++;
		while (is_tree(w, i) && (len = hf_tree_next_above(want->name, len)) > 0)
			w->part_count++;
	}
	return HF_OK;
}

static void add_parts(struct many *w, size_t i)
{
	const hf_want *want = &w->wants[i];
	hf_mode mode = options_of(want)->mode;
	struct part *p = &w->parts[w->part_count++];
	size_t len = 0;

	*p = (struct part){.want = i, .mode = mode, .leaf = true};
	hf_copy(p->name, sizeof(p->name), want->name);
	while (is_tree(w, i) && (len = hf_tree_next_above(want->name, len)) > 0) {
		p = &w->parts[w->part_count++];
		*p = (struct part){.want = i, .mode = hf_mode_above(mode)};
		memcpy(p->name, want->name, len);
	}
}

/* Can those of one name be in together? The first of them has it. */
static hf_status check_place(struct many *w, const struct part *first, const struct part *p)
{
	w->failed = p->want;
	if (first->leaf && p->leaf)
		return hf_fail(w->error, HF_INVALID, "acquire", 0,
			"lock '%s' of %s is named twice: name it once", p->name,
			hf_store_identity(w->wants[p->want].manager));
	if (!hf_mode_covers(first->mode, p->mode))
		return hf_fail(w->error, HF_INVALID, "acquire", 0,
			"lock '%s' is to be shared, and '%s' below it to be exclusive: name "
			"'%s' alone, exclusively",
			p->name, w->wants[p->want].name, p->name);
	w->failed = w->count;
	return HF_OK;
}

static hf_status make_parts(struct many *w)
{
	const struct part *first;
	hf_status st = check_wants(w);
	size_t i;

	if (st)
		return st;
	w->parts = calloc(w->part_count, sizeof(*w->parts));
	w->ids = calloc(w->count, sizeof(*w->ids));
	if (!w->parts || !w->ids)
		return hf_fail_memory(w->error, "acquire");
	w->part_count = 0;
	for (i = 0; i < w->count; i++)
		add_parts(w, i);
	qsort_r(w->parts, w->part_count, sizeof(*w->parts), by_part,
		(void *)(uintptr_t)w->wants);
	first = w->parts;
	for (i = 1; !st && i < w->part_count; i++) {
		if (same_place(w, first, &w->parts[i]))
			st = check_place(w, first, &w->parts[i]);
		else
			first = &w->parts[i];
	}
	return st;
}

/* ---- taking ---- */

/* What the part joins: one that we have, one that this stands under, or none. */
static hf_status find_join(struct many *w, size_t k, hf_acquire_options *o)
{
	struct part *p = &w->parts[k];
	hf_status st;

	if (p->leaf && o->reenter && o->reenter[0]) {
		hf_copy(p->group, sizeof(p->group), o->reenter);
		return HF_OK;
	}
	p->group[0] = '\0';
	if (k && same_place(w, &w->parts[k - 1], p)) {
		hf_copy(p->group, sizeof(p->group), w->parts[k - 1].group);
	} else if (!p->leaf) {
		st = hf_tree_find_join(
			w->wants[p->want].manager, p->name, p->mode, o, p->group, w->error);
		if (st)
			return st;
	}
	o->reenter = p->group;
	return HF_OK;
}

static hf_acquire_options options_of_part(const struct many *w, const struct part *p)
{
	hf_acquire_options o = *options_of(&w->wants[p->want]);

	if (w->part_count > 1) {
		o.on_lost = NULL; /* the caller may never get to know of it */
		o.flags |= HF_UNDER_OWN; /* those had before are kept meanwhile */
	}
	if (!p->leaf) {
		o.mode = p->mode;
		o.limit = 0;
		o.flags &= ~(uint32_t)HF_TREE_NAME;
		o.reenter = NULL;
	}
	return o;
}

static hf_status take_one(struct many *w, size_t k)
{
	struct part *p = &w->parts[k];
	hf_acquire_options o = options_of_part(w, p);
	const char *id = is_tree(w, p->want) ? w->ids[p->want] : NULL;
	hf_status st = find_join(w, k, &o);
	int64_t now_ms;

	o.wait_ms = w->wait_ms;
	if (w->until_ms != INT64_MAX && w->wait_ms) {
		now_ms = hf_boot_ms();
		o.wait_ms = w->until_ms > now_ms ? w->until_ms - now_ms : 0;
	}
	if (!st)
		st = hf_acquire_part(w->wants[p->want].manager, p->name, &o, id,
			w->part_count > 1, &p->lease, w->error);
	if (st == HF_HELD && w->wait_ms && !o.wait_ms && o.strategy != HF_FAIL_FAST) {
		st = HF_TIMED_OUT; /* the others took all of the time */
		if (w->error)
			w->error->kind = st;
	}
	if (st)
		w->failed = p->want;
	else if (!p->group[0])
		hf_copy(p->group, sizeof(p->group), hf_lease_id(p->lease));
	return st;
}

/* ---- all are had ---- */

/* Do the first still hold, now that the last does? Who renews them from now on? */
static hf_status settle(struct many *w)
{
	hf_status st = HF_OK;
	size_t k;

	for (k = 0; !st && k < w->part_count; k++) {
		struct part *p = &w->parts[k];

		w->failed = p->want;
		st = hf_lease_settle(p->lease, options_of(&w->wants[p->want]),
			k + 1 == w->part_count, w->error);
	}
	for (k = 0; !st && k < w->part_count; k++) {
		w->failed = w->parts[k].want;
		if (!hf_lease_valid(w->parts[k].lease))
			st = hf_fail(w->error, HF_LOST, "acquire", 0,
				"lock '%s' was lost again while the others were acquired: use "
				"a longer ttl",
				w->parts[k].name);
	}
	if (!st)
		w->failed = w->count;
	return st;
}

/* The leaf of this want with what it stands on. False: out of memory. */
static bool compose(struct many *w, size_t want)
{
	size_t most = 0;
	size_t count = 0;
	hf_lease **above = NULL;
	hf_lease *leaf = NULL;
	size_t k;

	for (k = 0; k < w->part_count; k++)
		if (w->parts[k].want == want && !w->parts[k].leaf)
			most++;
	if (most) {
		above = calloc(most, sizeof(hf_lease *));
		if (!above)
			return false;
	}
	for (k = 0; k < w->part_count; k++) {
		if (w->parts[k].want != want)
			continue;
		if (w->parts[k].leaf) {
			leaf = w->parts[k].lease;
		} else if (above) {
			above[count++] = w->parts[k].lease;
			w->parts[k].lease = NULL; /* the leaf's now */
		}
	}
	if (count)
		hf_lease_stand_on(leaf, above, count);
	w->leases[want] = leaf;
	return true;
}

static hf_status hand_all_over(struct many *w)
{
	hf_status st = settle(w);
	size_t i;
	size_t k;

	for (i = 0; !st && i < w->count; i++)
		if (!compose(w, i))
			st = hf_fail_memory(w->error, "acquire");
	for (i = 0; st && i < w->count; i++)
		w->leases[i] = NULL;
	if (st)
		return st;
	for (k = 0; k < w->part_count; k++)
		w->parts[k].lease = NULL; /* the caller's now */
	for (i = 0; i < w->count; i++) {
		const hf_acquire_options *o = options_of(&w->wants[i]);

		hf_lease_hand_over(w->leases[i], o->on_lost, o->on_lost_arg);
	}
	return HF_OK;
}

static void give_all_back(struct many *w)
{
	size_t k = w->part_count;

	while (k-- > 0) {
		(void)hf_release(w->parts[k].lease, NULL);
		w->parts[k].lease = NULL;
	}
}

static hf_status take_all(struct many *w)
{
	hf_status st = HF_OK;
	size_t k;

	assert(w->parts && w->ids);
	for (k = 0; k < w->count; k++)
		hf_new_id(w->ids[k]);
	for (k = 0; !st && k < w->part_count; k++)
		st = take_one(w, k);
	if (!st && w->part_count > 1) {
		st = hand_all_over(w);
	} else if (!st) { /* one alone was found to hold a moment ago */
		w->leases[0] = w->parts[0].lease;
		w->parts[0].lease = NULL;
	}
	if (st)
		give_all_back(w);
	return st;
}

/* What was to be joined and is over will not be there again. */
static bool may_come_back(const struct many *w)
{
	const char *joined =
		w->failed < w->count ? options_of(&w->wants[w->failed])->reenter : NULL;

	return w->failed < w->count && !(joined && joined[0]);
}

static hf_status acquire_all(struct many *w)
{
	int64_t now_ms = hf_boot_ms();
	hf_status st = make_parts(w);
	int i = 0;

	if (st)
		return st;
	if (w->wait_ms >= 0 && w->wait_ms < INT64_MAX - now_ms)
		w->until_ms = now_ms + w->wait_ms;
	do {
		w->failed = w->count;
		st = take_all(w);
	} while (st == HF_LOST && may_come_back(w) && ++i < LOST_TRIES);
	return st;
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
		st = acquire_all(&w);
	free(w.parts);
	free(w.ids);
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
