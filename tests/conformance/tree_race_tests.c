/* Many in one tree of names: in line, in a race, killed, and in circles. */
#include "pending.h"
#include "tree.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a line at the name above ---- */

struct line {
	struct tree t;
	_Atomic int turn;
};

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
	hf_manager *m = world_open_if(under_test.processes);
	struct tree t;
	int64_t start_ms;

	(void)state;
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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(tree__who_waits_for_the_whole_stops_newcomers_below),
	cmocka_unit_test(tree__holders_never_meet_on_one_path_and_do_beside_it),
	cmocka_unit_test(tree__of_a_killed_process_is_free_at_once),
	cmocka_unit_test(tree__circles_have_one_victim),
	cmocka_unit_test(tree__intentions_close_circles_too),
};
const test_group tree_race_tests = TEST_GROUP(tests);
