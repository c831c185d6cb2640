/* Names that are paths in a tree, on every store that has intentions. */
#include "held.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* `base` of a tree, and names in it. */
struct tree {
	char root[64];
	char a[80]; /* root/a */
	char b[80]; /* root/b */
	char deep[96]; /* root/a/deep */
};

static void plant(struct tree *t)
{
	snprintf(t->root, sizeof(t->root), "%s", world_name("tree"));
	snprintf(t->a, sizeof(t->a), "%s/a", t->root);
	snprintf(t->b, sizeof(t->b), "%s/b", t->root);
	snprintf(t->deep, sizeof(t->deep), "%s/a/deep", t->root);
}

static hf_acquire_options in_tree(hf_mode mode)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.flags = HF_TREE_NAME;
	o.mode = mode;
	return o;
}

static hf_status try_tree(hf_manager *m, const char *name, hf_mode mode)
{
	hf_acquire_options o = in_tree(mode);

	return try_it(m, name, &o);
}

static hf_lease *take_tree(hf_manager *m, const char *name, hf_mode mode)
{
	hf_acquire_options o = in_tree(mode);

	return take(m, name, &o);
}

/* The mode of the only holder, and the id that it should have. */
static hf_mode mode_at(hf_manager *m, const char *name, const char *id)
{
	hf_lock_info *info;
	hf_mode mode;

	assert_int_equal(hf_lock_status(m, name, &info, NULL), HF_OK);
	assert_int_equal(info->holder_count, 1);
	assert_string_equal(info->holders[0].id, id);
	mode = info->holders[0].mode;
	hf_lock_info_free(info);
	return mode;
}

static void tree__excludes_above_and_below_and_not_beside(void **state)
{
	hf_manager *m = world_open();
	struct tree t;
	hf_lease *lease;

	(void)state;
	plant(&t);
	lease = take_tree(m, t.a, HF_EXCLUSIVE);
	assert_string_equal(hf_lease_name(lease), t.a);
	assert_true(hf_lease_token(lease) > 0);
	assert_int_equal(mode_at(m, t.root, hf_lease_id(lease)), HF_INTENT_EXCLUSIVE);
	assert_int_equal(mode_at(m, t.a, hf_lease_id(lease)), HF_EXCLUSIVE);
	assert_int_equal(try_tree(m, t.root, HF_EXCLUSIVE), HF_HELD);
	assert_int_equal(try_tree(m, t.root, HF_SHARED), HF_HELD);
	assert_int_equal(try_it(m, t.root, NULL), HF_HELD);
	assert_int_equal(try_tree(m, t.deep, HF_SHARED), HF_HELD);
	assert_int_equal(try_tree(m, t.a, HF_SHARED), HF_HELD);
	assert_int_equal(try_tree(m, t.b, HF_EXCLUSIVE), HF_OK);
	/* Without the flag it takes no notice of what is above. */
	assert_int_equal(try_it(m, t.deep, NULL), HF_OK);
	assert_int_equal(holders(m, t.root), 1);
	give_back(lease);
	assert_int_equal(holders(m, t.root) + holders(m, t.a), 0);

	lease = take_tree(m, t.deep, HF_SHARED);
	assert_int_equal(mode_at(m, t.root, hf_lease_id(lease)), HF_INTENT_SHARED);
	assert_int_equal(mode_at(m, t.a, hf_lease_id(lease)), HF_INTENT_SHARED);
	assert_int_equal(try_tree(m, t.root, HF_SHARED), HF_OK);
	assert_int_equal(try_tree(m, t.root, HF_EXCLUSIVE), HF_HELD);
	assert_int_equal(try_tree(m, t.b, HF_EXCLUSIVE), HF_OK);
	assert_int_equal(try_tree(m, t.a, HF_EXCLUSIVE), HF_HELD);
	give_back(lease);
	hf_close(m);
}

static void tree__is_had_whole_or_not_at_all(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	hf_acquire_options wait = in_tree(HF_EXCLUSIVE);
	struct tree t;
	hf_lease *lease;
	hf_lease *none;
	hf_error error;

	(void)state;
	plant(&t);
	wait.wait_ms = 200;
	lease = take(other, t.deep, NULL);
	assert_int_equal(try_tree(m, t.deep, HF_EXCLUSIVE), HF_HELD);
	assert_int_equal(hf_acquire(m, t.deep, &wait, &none, &error), HF_TIMED_OUT);
	assert_null(none);
	assert_int_equal(holders(m, t.root) + holders(m, t.a), 0);
	give_back(lease);
	hf_close(other);
	hf_close(m);
}

static void tree__names_are_parts_between_slashes(void **state)
{
	static const char *const bad[] = {
		"/a", "a/", "a//b", "./a", "a/..", "a/./b", "../a", ".", "/"};
	static const char *const good[] = {"a", "...", "a/.b", "a/...", ".a/b..c"};
	hf_acquire_options o = in_tree(HF_EXCLUSIVE);
	hf_manager *m = world_open();
	hf_pending *pending;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(bad); i++) {
		assert_int_equal(try_tree(m, bad[i], HF_EXCLUSIVE), HF_INVALID);
		assert_int_equal(try_it(m, bad[i], NULL), HF_OK);
	}
	for (i = 0; i < HF_ARRAY_LEN(good); i++)
		assert_int_equal(try_tree(m, good[i], HF_EXCLUSIVE), HF_OK);
	assert_int_equal(try_tree(m, "a/b", HF_INTENT_SHARED), HF_INVALID);
	assert_int_equal(hf_acquire_start(m, "a/b", &o, NULL, &pending, NULL), HF_INVALID);
	hf_close(m);
}

static void note_loss(hf_lease *lease, void *arg)
{
	(void)lease;
	atomic_fetch_add((_Atomic int *)arg, 1);
}

static bool one_lost(void *arg)
{
	return atomic_load((_Atomic int *)arg) > 0;
}

static void tree__is_lost_with_any_part_of_it(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		hf_manager *m = world_open();
		hf_manager *other = world_open();
		hf_acquire_options o = in_tree(HF_EXCLUSIVE);
		_Atomic int losses = 0;
		struct tree t;
		const char *robbed;
		hf_lease *lease;
		hf_error error;

		plant(&t);
		robbed = i == 0 ? t.root : i == 1 ? t.a : t.deep;
		o.ttl_ms = 600;
		o.on_lost = note_loss;
		o.on_lost_arg = &losses;
		lease = take(m, t.deep, &o);
		assert_true(hf_lease_valid(lease));
		assert_int_equal(hf_force_release(other, robbed, NULL, 0, NULL, &error), HF_OK);
		assert_true(world_eventually(one_lost, &losses, 10000));
		assert_false(hf_lease_valid(lease));
		assert_int_equal(hf_extend(lease, 0, &error), HF_LOST);
		assert_int_equal(hf_release(lease, &error), HF_LOST);
		assert_int_equal(losses, 1);
		assert_int_equal(holders(m, t.root) + holders(m, t.a) + holders(m, t.deep), 0);
		hf_close(other);
		hf_close(m);
	}
}

static void tree__is_kept_renewed_and_extended_whole(void **state)
{
	hf_manager *m = world_open();
	hf_acquire_options o = in_tree(HF_EXCLUSIVE);
	struct tree t;
	hf_lease *lease;
	hf_lock_info *info;
	int64_t until_ms;
	hf_error error;

	(void)state;
	plant(&t);
	o.ttl_ms = 1000;
	lease = take(m, t.a, &o);
	until_ms = hf_boot_ms() + 2500;
	while (hf_boot_ms() < until_ms) {
		assert_true(hf_lease_valid(lease));
		hf_sleep_until_ms(hf_boot_ms() + 50);
	}
	assert_int_equal(hf_extend(lease, 60000, &error), HF_OK);
	assert_true(hf_lease_remaining_ms(lease) > 40000);
	assert_int_equal(hf_lock_status(m, t.root, &info, NULL), HF_OK);
	assert_int_equal(info->holders[0].ttl_ms, 60000);
	hf_lock_info_free(info);
	give_back(lease);
	hf_close(m);
}

static void tree__is_converted_whole(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	struct tree t;
	hf_lease *lease;
	hf_lease *above;
	hf_convert_options at_once = HF_CONVERT_OPTIONS_INIT;
	hf_error error;

	(void)state;
	plant(&t);
	at_once.wait_ms = 0;
	lease = take_tree(m, t.deep, HF_SHARED);
	above = take_tree(other, t.root, HF_SHARED);
	assert_int_equal(hf_convert(lease, HF_EXCLUSIVE, &at_once, &error), HF_HELD);
	assert_int_equal(hf_lease_mode(lease), HF_SHARED);
	assert_int_equal(mode_at(m, t.a, hf_lease_id(lease)), HF_INTENT_SHARED);
	give_back(above);
	assert_int_equal(hf_convert(lease, HF_EXCLUSIVE, NULL, &error), HF_OK);
	assert_int_equal(mode_at(m, t.root, hf_lease_id(lease)), HF_INTENT_EXCLUSIVE);
	assert_int_equal(mode_at(m, t.a, hf_lease_id(lease)), HF_INTENT_EXCLUSIVE);
	assert_int_equal(try_tree(other, t.root, HF_SHARED), HF_HELD);
	assert_int_equal(hf_convert(lease, HF_SHARED, NULL, &error), HF_OK);
	assert_int_equal(mode_at(m, t.root, hf_lease_id(lease)), HF_INTENT_SHARED);
	assert_int_equal(try_tree(other, t.root, HF_SHARED), HF_OK);
	assert_int_equal(hf_convert(lease, HF_INTENT_SHARED, NULL, &error), HF_INVALID);
	give_back(lease);
	hf_close(other);
	hf_close(m);
}

/* From outside, by what stands in the record of its name alone. */
static void tree__is_released_and_extended_by_its_name(void **state)
{
	hf_acquire_options o = in_tree(HF_EXCLUSIVE);
	hf_manager *m = world_open();
	struct tree t;
	char id[HF_ID_LEN + 1];
	hf_lock_info *info;
	hf_lease *lease;
	hf_error error;
	int i;

	(void)state;
	plant(&t);
	o.flags |= HF_DETACHED;
	o.fingerprint = "secret";
	for (i = 0; i < 4; i++) {
		const hf_who ids[] = {
			{.id = id}, {.fingerprint = "secret"}, {.owner = "me"}, {.id = id}};

		o.owner = "me";
		lease = take(m, t.deep, &o);
		hf_copy(id, sizeof(id), hf_lease_id(lease));
		hf_lease_detach(lease);
		assert_int_equal(hf_extend_by(m, t.deep, &ids[i], 90000, NULL, &error), HF_OK);
		assert_int_equal(hf_lock_status(m, t.root, &info, NULL), HF_OK);
		assert_int_equal(info->holders[0].ttl_ms, 90000);
		hf_lock_info_free(info);
		if (i < 3) {
			assert_int_equal(hf_release_by(m, t.deep, &ids[i], &error), HF_OK);
		} else { /* one robbed above */
			assert_int_equal(
				hf_force_release(m, t.root, NULL, 0, NULL, &error), HF_OK);
			assert_int_equal(
				hf_extend_by(m, t.deep, &ids[i], 0, NULL, &error), HF_LOST);
			assert_int_equal(hf_release_by(m, t.deep, &ids[i], &error), HF_LOST);
		}
		assert_int_equal(holders(m, t.root) + holders(m, t.a) + holders(m, t.deep), 0);
	}
	/* A plain hold of the same name has nothing above it. */
	o.flags = HF_DETACHED;
	lease = take(m, t.deep, &o);
	hf_copy(id, sizeof(id), hf_lease_id(lease));
	hf_lease_detach(lease);
	assert_int_equal(hf_release_by(m, t.deep, &(hf_who){.id = id}, &error), HF_OK);
	hf_close(m);
}

/* Nothing is left above of one that was forced away, or whose release was cut short. */
static void tree__leaves_no_intention_behind(void **state)
{
	hf_acquire_options o = in_tree(HF_EXCLUSIVE);
	hf_acquire_options above = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	struct tree t;
	char id[HF_ID_LEN + 1];
	hf_lease *lease;
	hf_error error;
	size_t ended = 0;

	(void)state;
	plant(&t);
	o.flags |= HF_DETACHED;
	hf_lease_detach(take(m, t.a, &o));
	assert_int_equal(hf_force_release(m, t.a, NULL, 0, &ended, &error), HF_OK);
	assert_int_equal(ended, 1);
	assert_int_equal(holders(m, t.root), 0);

	/* As if killed between the two. */
	above.mode = HF_INTENT_EXCLUSIVE;
	above.flags = HF_DETACHED;
	lease = take(m, t.root, &above);
	hf_copy(id, sizeof(id), hf_lease_id(lease));
	hf_lease_detach(lease);
	assert_int_equal(hf_release_by(m, t.a, &(hf_who){.id = id}, &error), HF_NOT_OWNER);
	assert_int_equal(holders(m, t.root), 0);

	/* Another's hold of the name above is none of its business. */
	lease = take(m, t.root, NULL);
	hf_copy(id, sizeof(id), hf_lease_id(lease));
	assert_int_equal(hf_release_by(m, t.a, &(hf_who){.id = id}, &error), HF_NOT_OWNER);
	assert_int_equal(holders(m, t.root), 1);
	give_back(lease);
	hf_close(m);
}

static void tree__several_of_one_call_do_not_exclude_each_other(void **state)
{
	hf_acquire_options x = in_tree(HF_EXCLUSIVE);
	hf_acquire_options s = in_tree(HF_SHARED);
	hf_manager *m = world_open();
	struct tree t;
	hf_lease *leases[4];
	hf_error error;
	size_t failed;

	(void)state;
	plant(&t);
	{
		const hf_want wants[] = {
			{m, t.deep, &x}, {m, t.root, &x}, {m, t.b, &s}, {m, t.a, &x}};

		assert_int_equal(hf_acquire_many(wants, 4, 0, leases, &failed, &error), HF_OK);
		assert_int_equal(holders(m, t.root), 4);
		give_back(leases[1]);
		/* What is left keeps others out. */
		assert_int_equal(try_tree(m, t.root, HF_SHARED), HF_HELD);
		leases[1] = NULL;
		assert_int_equal(hf_release_many(leases, 4, NULL, &error), HF_OK);
		assert_int_equal(holders(m, t.root) + holders(m, t.a), 0);
	}
	{
		const hf_want wants[] = {{m, t.deep, &s}, {m, t.b, &x}, {m, t.a, &s}};

		assert_int_equal(hf_acquire_many(wants, 3, 0, leases, &failed, &error), HF_OK);
		assert_int_equal(hf_release_many(leases, 3, NULL, &error), HF_OK);
	}
	{
		const hf_want wants[] = {{m, t.root, &s}, {m, t.deep, &x}};

		assert_int_equal(
			hf_acquire_many(wants, 2, 0, leases, &failed, &error), HF_INVALID);
		assert_int_equal(failed, 1);
		assert_non_null(strstr(error.text, "below"));
	}
	hf_close(m);
}

static void tree__what_it_stands_under_is_joined(void **state)
{
	hf_acquire_options o = in_tree(HF_EXCLUSIVE);
	hf_manager *m = world_open();
	struct tree t;
	hf_lease *outer;
	hf_lease *inner;
	hf_lease *none;
	hf_hold under;
	hf_error error;

	(void)state;
	plant(&t);
	outer = take_tree(m, t.root, HF_EXCLUSIVE);
	under = (hf_hold){t.root, hf_lease_id(outer)};
	o.under = &under;
	o.under_count = 1;
	inner = take(m, t.deep, &o);
	give_back(outer);
	/* Inside it and after it: the lock is free after the last of them. */
	assert_int_equal(try_tree(m, t.root, HF_SHARED), HF_HELD);
	assert_int_equal(try_tree(m, t.b, HF_EXCLUSIVE), HF_OK);
	give_back(inner);

	outer = take_tree(m, t.root, HF_SHARED);
	under.id = hf_lease_id(outer);
	assert_int_equal(hf_acquire(m, t.deep, &o, &none, &error), HF_INVALID);
	assert_non_null(strstr(error.text, "stands under"));
	o.mode = HF_SHARED;
	inner = take(m, t.deep, &o);
	give_back(inner);
	give_back(outer);
	hf_close(m);
}

/* ---- a line at the name above ---- */

struct line {
	struct tree t;
	_Atomic int turn;
};

static size_t waiters(hf_manager *m, const char *name)
{
	hf_lock_info *info;
	size_t n;

	assert_int_equal(hf_lock_status(m, name, &info, NULL), HF_OK);
	n = info->waiter_count;
	hf_lock_info_free(info);
	return n;
}

/* 1 waits for the whole; 2 comes behind it, for a part that is free. */
static int stand_in_line(int i, void *arg)
{
	struct line *l = arg;
	hf_manager *m = world_open();
	hf_lease *lease;
	int failed = 0;

	if (i == 0) {
		lease = take_tree(m, l->t.a, HF_EXCLUSIVE);
		l->turn = 1;
		while (waiters(m, l->t.root) < 2)
			hf_sleep_until_ms(hf_boot_ms() + 5);
		give_back(lease);
	} else {
		while (l->turn < 1 || (i == 2 && waiters(m, l->t.root) < 1))
			hf_sleep_until_ms(hf_boot_ms() + 5);
		lease = take_tree(m, i == 1 ? l->t.root : l->t.b, HF_EXCLUSIVE);
		failed = l->turn++ != i;
		give_back(lease);
	}
	hf_close(m);
	return failed;
}

static void tree__who_waits_for_the_whole_stops_newcomers_below(void **state)
{
	struct line *l = world_shared(sizeof(*l));
	hf_manager *between = world_open();

	(void)state;
	plant(&l->t);
	world_run(3, stand_in_line, l, 60);
	assert_int_equal(l->turn, 3);
	hf_close(between);
}

/* ---- races ---- */

#define CONTENDERS 4
#define NODES 7

struct wood {
	char names[NODES][96];
	unsigned rounds;
	_Atomic int writers[NODES];
	_Atomic int readers[NODES];
	_Atomic unsigned met;
	_Atomic unsigned errors;
	_Atomic unsigned together; /* siblings were in at once */
	_Atomic unsigned in;
};

static bool is_above(const char *a, const char *b)
{
	size_t n = strlen(a);

	return !strncmp(a, b, n) && (b[n] == '/' || !b[n]);
}

/* Nobody else may be in at what is above or below, unless both only read. */
static void look_around(struct wood *w, unsigned node, bool writes)
{
	unsigned i;

	for (i = 0; i < NODES; i++) {
		int mine = i == node;

		if (!is_above(w->names[i], w->names[node]) &&
			!is_above(w->names[node], w->names[i]))
			continue;
		if (w->writers[i] > (mine && writes) || (writes && w->readers[i] > 0))
			w->met++;
	}
}

static int walk(int i, void *arg)
{
	struct wood *w = arg;
	hf_manager *m = world_open();
	unsigned round;
	hf_rng rng;

	hf_rng_seed(&rng, (uint64_t)i + 1);
	for (round = 0; round < w->rounds && !w->errors; round++) {
		unsigned node = (unsigned)hf_rng_below(&rng, NODES);
		bool writes = hf_rng_below(&rng, 3) > 0;
		hf_acquire_options o = in_tree(writes ? HF_EXCLUSIVE : HF_SHARED);
		_Atomic int *count = writes ? &w->writers[node] : &w->readers[node];
		hf_lease *lease;

		o.wait_ms = 120000;
		if (hf_acquire(m, w->names[node], &o, &lease, NULL)) {
			w->errors++;
			break;
		}
		atomic_fetch_add(count, 1);
		if (atomic_fetch_add(&w->in, 1) > 0)
			w->together++;
		look_around(w, node, writes);
		hf_sleep_until_ms(hf_boot_ms() + 1);
		look_around(w, node, writes);
		atomic_fetch_sub(&w->in, 1);
		atomic_fetch_sub(count, 1);
		if (hf_release(lease, NULL))
			w->errors++;
	}
	hf_close(m);
	return 0;
}

static void tree__holders_never_meet_on_one_path_and_do_beside_it(void **state)
{
	static const char *const paths[NODES] = {
		"", "/a", "/a/x", "/a/y", "/b", "/b/x", "/b/x/z"};
	struct wood *w = world_shared(sizeof(*w));
	hf_manager *between = world_open();
	const char *root = world_name("wood");
	unsigned i;

	(void)state;
	for (i = 0; i < NODES; i++)
		snprintf(w->names[i], sizeof(w->names[i]), "%s%s", root, paths[i]);
	w->rounds = world_scaled(100);
	world_run(CONTENDERS, walk, w, 300);
	assert_int_equal(w->errors, 0);
	assert_int_equal(w->met, 0);
	assert_true(w->together > 0);
	for (i = 0; i < NODES; i++)
		assert_int_equal(holders(between, w->names[i]), 0);
	hf_close(between);
}

/* ---- death, and circles ---- */

static int take_and_die(int i, void *arg)
{
	const struct tree *t = arg;
	hf_manager *m = world_open();

	(void)i;
	(void)take_tree(m, t->deep, HF_EXCLUSIVE);
	kill(getpid(), SIGKILL);
	return 1;
}

static void tree__of_a_killed_process_is_free_at_once(void **state)
{
	hf_acquire_options o = in_tree(HF_EXCLUSIVE);
	hf_manager *m = world_open();
	struct tree t;
	int64_t start_ms;

	(void)state;
	if (!under_test.processes) {
		hf_close(m);
		skip();
	}
	plant(&t);
	assert_true(WIFSIGNALED(world_wait(world_spawn(take_and_die, 0, &t))));
	start_ms = hf_boot_ms();
	give_back(take(m, t.root, &o));
	assert_true(hf_boot_ms() - start_ms < 20000); /* its ttl is 30 s */
	hf_close(m);
}

struct circle {
	struct tree t;
	_Atomic int ready;
	_Atomic int deadlocks;
	_Atomic int grants;
};

/* Each has a part and wants the other's: what both share above is in nobody's way. */
static int want_the_other(int i, void *arg)
{
	struct circle *c = arg;
	hf_manager *m = world_open();
	hf_acquire_options o = in_tree(HF_EXCLUSIVE);
	hf_lease *part = take_tree(m, i ? c->t.a : c->t.b, HF_EXCLUSIVE);
	hf_lease *other = NULL;
	hf_status st;

	o.wait_ms = 60000;
	c->ready++;
	while (c->ready < 2)
		hf_sleep_until_ms(hf_boot_ms() + 5);
	st = hf_acquire(m, i ? c->t.b : c->t.a, &o, &other, NULL);
	if (st == HF_DEADLOCK)
		c->deadlocks++;
	if (!st)
		c->grants++;
	give_back(part);
	give_back(other);
	hf_close(m);
	return st && st != HF_DEADLOCK;
}

static void tree__circles_have_one_victim(void **state)
{
	struct circle *c = world_shared(sizeof(*c));
	hf_manager *between = world_open();

	(void)state;
	plant(&c->t);
	world_run(2, want_the_other, c, 120);
	assert_int_equal(c->deadlocks, 1);
	assert_int_equal(c->grants, 1);
	hf_close(between);
}

/* Each has a part and wants the whole: both are in the way, of themselves too. */
static int stand_in_each_others_way(int i, void *arg)
{
	struct circle *c = arg;
	hf_manager *m = world_open();
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *part = take_tree(m, i ? c->t.a : c->t.b, HF_EXCLUSIVE);
	hf_lease *lease;
	hf_status st;

	o.flags = HF_UNDER_OWN;
	o.wait_ms = 60000;
	o.mode = i ? HF_SHARED : HF_EXCLUSIVE;
	c->ready++;
	while (c->ready < 2)
		hf_sleep_until_ms(hf_boot_ms() + 5);
	st = hf_acquire(m, c->t.root, &o, &lease, NULL); /* intentions are in the way */
	if (st == HF_DEADLOCK)
		c->deadlocks++;
	else if (!st)
		give_back(lease);
	give_back(part);
	hf_close(m);
	return 0;
}

static void tree__intentions_close_circles_too(void **state)
{
	struct circle *c = world_shared(sizeof(*c));
	hf_manager *between = world_open();

	(void)state;
	plant(&c->t);
	world_run(2, stand_in_each_others_way, c, 120);
	assert_int_equal(c->deadlocks, 2);
	hf_close(between);
}

static void tree__needs_intentions(void **state)
{
	hf_manager *m = world_open();
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	(void)state;
	assert_int_equal(try_tree(m, "a/b", HF_EXCLUSIVE), HF_INVALID);
	assert_int_equal(try_tree(m, "a", HF_EXCLUSIVE), HF_INVALID);
	o.mode = HF_INTENT_SHARED;
	assert_int_equal(try_it(m, "a", &o), HF_INVALID);
	assert_int_equal(holders(m, "a"), 0);
	hf_close(m);
}

const struct CMUnitTest tree_tests[] = {
	cmocka_unit_test(tree__excludes_above_and_below_and_not_beside),
	cmocka_unit_test(tree__is_had_whole_or_not_at_all),
	cmocka_unit_test(tree__names_are_parts_between_slashes),
	cmocka_unit_test(tree__is_lost_with_any_part_of_it),
	cmocka_unit_test(tree__is_kept_renewed_and_extended_whole),
	cmocka_unit_test(tree__is_converted_whole),
	cmocka_unit_test(tree__is_released_and_extended_by_its_name),
	cmocka_unit_test(tree__leaves_no_intention_behind),
	cmocka_unit_test(tree__several_of_one_call_do_not_exclude_each_other),
	cmocka_unit_test(tree__what_it_stands_under_is_joined),
	cmocka_unit_test(tree__who_waits_for_the_whole_stops_newcomers_below),
	cmocka_unit_test(tree__holders_never_meet_on_one_path_and_do_beside_it),
	cmocka_unit_test(tree__of_a_killed_process_is_free_at_once),
	cmocka_unit_test(tree__circles_have_one_victim),
	cmocka_unit_test(tree__intentions_close_circles_too),
};
const size_t tree_test_count = HF_ARRAY_LEN(tree_tests);

/* Of stores that have none. */
const struct CMUnitTest no_tree_tests[] = {
	cmocka_unit_test(tree__needs_intentions),
};
const size_t no_tree_test_count = HF_ARRAY_LEN(no_tree_tests);
