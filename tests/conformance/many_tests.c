/* Several locks at once, on every store. */
#include "../held.h"
#include "world.h"

#include <stdatomic.h>
#include <stdio.h>

#define MANY 3

/* Wants for `count` new names, which stay the caller's. */
static void want_new(hf_want *wants, size_t count, hf_manager *m, char names[][64])
{
	size_t i;

	for (i = 0; i < count; i++) {
		/* Their order is not that of the wants. */
		snprintf(names[i], 64, "%s", world_name(i % 2 ? "a" : "b"));
		wants[i] = (hf_want){m, names[i], NULL};
	}
}

static void take_many(const hf_want *wants, size_t count, hf_lease **leases)
{
	hf_error error;

	if (hf_acquire_many(wants, count, -1, leases, NULL, &error))
		fail_msg("%s", error.text);
}

static void give_back_many(hf_lease **leases, size_t count)
{
	hf_error error;
	size_t i;

	if (hf_release_many(leases, count, NULL, &error))
		fail_msg("%s", error.text);
	for (i = 0; i < count; i++)
		assert_null(leases[i]);
}

static void many__are_all_had_and_given_back(void **state)
{
	hf_manager *m = world_open();
	hf_want wants[MANY];
	char names[MANY][64];
	hf_lease *leases[MANY];
	size_t i;

	(void)state;
	want_new(wants, MANY, m, names);
	take_many(wants, MANY, leases);
	for (i = 0; i < MANY; i++) {
		assert_string_equal(hf_lease_name(leases[i]), names[i]);
		assert_true(hf_lease_valid(leases[i]));
		assert_int_equal(try_it(m, names[i], NULL), HF_HELD);
	}
	give_back_many(leases, MANY);
	for (i = 0; i < MANY; i++)
		assert_int_equal(try_it(m, names[i], NULL), HF_OK);
	hf_close(m);
}

static void many__none_is_kept_when_one_cannot_be_had(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	hf_want wants[MANY];
	char names[MANY][64];
	hf_lease *leases[MANY];
	hf_acquire_options fast = HF_ACQUIRE_OPTIONS_INIT;
	hf_error error;
	size_t failed;
	size_t held;
	size_t i;

	(void)state;
	fast.strategy = HF_FAIL_FAST;
	want_new(wants, MANY, m, names);
	for (held = 0; held < MANY; held++) {
		hf_lease *lease = take(other, names[held], NULL);

		assert_int_equal(
			hf_acquire_many(wants, MANY, 0, leases, &failed, &error), HF_HELD);
		assert_int_equal(failed, held);
		wants[held].options = &fast;
		assert_int_equal(
			hf_acquire_many(wants, MANY, -1, leases, &failed, &error), HF_HELD);
		wants[held].options = NULL;
		for (i = 0; i < MANY; i++) {
			assert_null(leases[i]);
			assert_int_equal(holders(m, names[i]), i == held);
		}
		give_back(lease);
	}
	hf_close(m);
	hf_close(other);
}

static void many__share_one_time_to_wait(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	hf_want wants[MANY];
	char names[MANY][64];
	hf_lease *leases[MANY];
	hf_lease *lease;
	hf_error error;
	size_t failed;
	int64_t start_ms;
	size_t i;

	(void)state;
	want_new(wants, MANY, m, names);
	lease = take(other, names[1], NULL);
	start_ms = hf_boot_ms();
	assert_int_equal(
		hf_acquire_many(wants, MANY, 300, leases, &failed, &error), HF_TIMED_OUT);
	assert_int_equal(error.kind, HF_TIMED_OUT);
	assert_int_equal(failed, 1);
	assert_true(hf_boot_ms() - start_ms >= 300);
	assert_true(hf_boot_ms() - start_ms < 5000);
	for (i = 0; i < MANY; i++)
		assert_int_equal(holders(m, names[i]), i == 1);
	give_back(lease);
	hf_close(m);
	hf_close(other);
}

static void many__one_lock_named_twice_is_refused(void **state)
{
	hf_manager *m = world_open();
	hf_manager *same = world_open();
	hf_want wants[2] = {{m, world_name("twice"), NULL}};
	hf_lease *leases[HF_MANY_MAX + 1];
	hf_error error;
	size_t failed;

	(void)state;
	wants[1] = wants[0];
	assert_int_equal(hf_acquire_many(wants, 2, 0, leases, &failed, &error), HF_INVALID);
	assert_true(failed < 2);
	wants[1].manager = same;
	assert_int_equal(hf_acquire_many(wants, 2, 0, leases, &failed, &error), HF_INVALID);
	assert_non_null(strstr(error.text, "twice"));
	assert_int_equal(holders(m, wants[0].name), 0);
	assert_int_equal(hf_acquire_many(wants, 0, 0, leases, &failed, &error), HF_INVALID);
	assert_int_equal(
		hf_acquire_many(wants, HF_MANY_MAX + 1, 0, leases, NULL, &error), HF_INVALID);
	hf_close(m);
	hf_close(same);
}

static void many__bad_options_of_one_take_nothing(void **state)
{
	hf_acquire_options bad = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	hf_want wants[MANY];
	char names[MANY][64];
	hf_lease *leases[MANY];
	hf_error error;
	size_t failed;
	size_t i;

	(void)state;
	want_new(wants, MANY, m, names);
	bad.ttl_ms = 7;
	wants[2].options = &bad;
	assert_int_equal(hf_acquire_many(wants, MANY, 0, leases, &failed, &error), HF_INVALID);
	assert_int_equal(failed, 2);
	for (i = 0; i < MANY; i++) {
		hf_lock_info *info;

		assert_int_equal(hf_lock_status(m, names[i], &info, &error), HF_OK);
		assert_int_equal(info->generation, 0);
		hf_lock_info_free(info);
	}
	hf_close(m);
}

static void note_loss(hf_lease *lease, void *arg)
{
	(void)lease;
	atomic_fetch_add((_Atomic int *)arg, 1);
}

static bool one_lost(void *arg)
{
	return atomic_load((_Atomic int *)arg) == 1;
}

static void many__the_loss_of_one_is_told(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	/* a flock cannot be taken away */
	hf_manager *m = world_open_if(under_test.detached);
	hf_manager *other = world_open();
	hf_want wants[MANY];
	char names[MANY][64];
	hf_lease *leases[MANY];
	_Atomic int losses = 0;
	hf_error error;
	size_t failed;

	(void)state;
	want_new(wants, MANY, m, names);
	options.ttl_ms = 300;
	options.on_lost = note_loss;
	options.on_lost_arg = &losses;
	wants[1].options = &options;
	take_many(wants, MANY, leases);
	assert_int_equal(hf_force_release(other, names[1], NULL, 0, NULL, &error), HF_OK);
	assert_true(eventually(one_lost, &losses, 5000));
	assert_false(hf_lease_valid(leases[1]));
	assert_true(hf_lease_valid(leases[0]) && hf_lease_valid(leases[2]));
	assert_int_equal(hf_release_many(leases, MANY, &failed, &error), HF_LOST);
	assert_int_equal(failed, 1);
	assert_int_equal(holders(other, names[0]) + holders(other, names[2]), 0);
	hf_close(m);
	hf_close(other);
}

struct waiting {
	const char *names[2]; /* in canonical order */
	_Atomic int ready;
	_Atomic int losses;
};

/* 0 has the second and robs 1, who waits for it, of the first. */
static int rob_while_waiting(int i, void *arg)
{
	struct waiting *w = arg;
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	hf_want wants[2] = {{m, w->names[0], &options}, {m, w->names[1], &options}};
	hf_lease *leases[2] = {NULL, NULL};
	hf_lease *lease = NULL;
	hf_error error;
	hf_status st = HF_OK;

	options.ttl_ms = 300;
	options.on_lost = note_loss;
	options.on_lost_arg = &w->losses;
	if (i == 0) {
		lease = take(m, w->names[1], NULL);
		w->ready = 1;
		while (!holders(m, w->names[0]))
			hf_sleep_until_ms(hf_boot_ms() + 5);
		st = hf_force_release(m, w->names[0], NULL, 0, NULL, &error);
		/* Until that is known to it. */
		hf_sleep_until_ms(hf_boot_ms() + 400);
		give_back(lease);
	} else {
		while (!w->ready)
			hf_sleep_until_ms(hf_boot_ms() + 5);
		st = hf_acquire_many(wants, 2, -1, leases, NULL, &error);
		if (!st && !(hf_lease_valid(leases[0]) && hf_lease_valid(leases[1])))
			st = HF_LOST;
		if (!st && (holders(m, w->names[0]) != 1 || holders(m, w->names[1]) != 1))
			st = HF_HELD;
		if (!st)
			st = hf_release_many(leases, 2, NULL, &error);
	}
	hf_close(m);
	return (int)st;
}

static void many__one_lost_while_waiting_is_had_again(void **state)
{
	struct waiting *w = world_shared(sizeof(*w));
	/* Somebody has to keep a space in memory open. */
	hf_manager *between = world_open_if(under_test.detached);
	char names[2][64];

	(void)state;
	snprintf(names[0], 64, "%s", world_name("a"));
	snprintf(names[1], 64, "%s", world_name("b"));
	w->names[0] = strcmp(names[0], names[1]) < 0 ? names[0] : names[1];
	w->names[1] = w->names[0] == names[0] ? names[1] : names[0];
	world_run(2, rob_while_waiting, w, 60);
	assert_int_equal(w->losses, 0);
	hf_close(between);
}

#define CONTENDERS 4

struct circle {
	const char *names[MANY];
	unsigned rounds;
	_Atomic int inside[MANY];
	_Atomic unsigned met;
	_Atomic unsigned errors;
	_Atomic unsigned grants;
};

/* Two or three of the names, beginning with another one each time. */
static int go_round(int i, void *arg)
{
	struct circle *c = arg;
	hf_manager *m = world_open();
	unsigned round;

	for (round = 0; round < c->rounds; round++) {
		unsigned first = ((unsigned)i + round) % MANY;
		unsigned step = 1 + (unsigned)i % 2; /* one way round, or the other */
		size_t count = 2 + round % 2;
		hf_want wants[MANY];
		hf_lease *leases[MANY];
		size_t k;

		for (k = 0; k < count; k++)
			wants[k] = (hf_want){m, c->names[(first + k * step) % MANY], NULL};
		if (hf_acquire_many(wants, count, 60000, leases, NULL, NULL)) {
			c->errors++;
			break;
		}
		c->grants++;
		for (k = 0; k < count; k++)
			if (atomic_fetch_add(&c->inside[(first + k * step) % MANY], 1))
				c->met++;
		for (k = 0; k < count; k++)
			atomic_fetch_sub(&c->inside[(first + k * step) % MANY], 1);
		if (hf_release_many(leases, count, NULL, NULL))
			c->errors++;
	}
	hf_close(m);
	return 0;
}

static void many__asked_for_in_any_order_never_deadlock(void **state)
{
	struct circle *c = world_shared(sizeof(*c));
	hf_manager *between = world_open();
	char names[MANY][64];
	size_t i;

	(void)state;
	for (i = 0; i < MANY; i++) {
		snprintf(names[i], 64, "%s", world_name("circle"));
		c->names[i] = names[i];
	}
	c->rounds = world_scaled(200);
	world_run(CONTENDERS, go_round, c, 300);
	assert_int_equal(c->errors, 0);
	assert_int_equal(c->met, 0);
	assert_int_equal(c->grants, CONTENDERS * c->rounds);
	hf_close(between);
}

static void many__a_process_is_no_ancestor_of_itself(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("itself");
	hf_lease *lease;
	hf_lock_info *info;
	hf_error error;

	(void)state;
	options.flags = HF_FOR_TREE;
	lease = take(m, name, &options);
	assert_int_equal(hf_lock_status(m, name, &info, &error), HF_OK);
	assert_int_equal(info->holder_count, 1);
	assert_true(info->holders[0].for_tree);
	assert_string_equal(info->holders[0].group, hf_lease_id(lease));
	assert_false(hf_holder_is_ancestor(info, &info->holders[0]));
	assert_null(hf_waits_for_itself(info, HF_EXCLUSIVE, 0));
	hf_lock_info_free(info);
	give_back(lease);
	options.flags = HF_FOR_TREE | HF_DETACHED;
	assert_int_equal(try_it(m, name, &options), HF_INVALID);
	hf_close(m);
}

struct above {
	const char *name;
	hf_mode mode;
	bool for_tree;
};

/* In a child: what it sees of what its parent holds. */
static int look_up(int i, void *arg)
{
	const struct above *a = arg;
	hf_manager *m = world_open();
	hf_lock_info *info;
	const hf_holder *h;
	bool ok;

	(void)i;
	if (hf_lock_status(m, a->name, &info, NULL) || info->holder_count != 1)
		return 1;
	h = &info->holders[0];
	ok = hf_holder_is_ancestor(info, h) &&
	     hf_waits_for_itself(info, HF_EXCLUSIVE, 0) == (a->for_tree ? h : NULL) &&
	     hf_waits_for_itself(info, HF_SHARED, 0) ==
		     (a->for_tree && a->mode == HF_EXCLUSIVE ? h : NULL);
	hf_lock_info_free(info);
	hf_close(m);
	return ok ? 0 : 2;
}

static void many__a_child_sees_what_is_held_above_it(void **state)
{
	hf_manager *m = world_open_if(under_test.processes);
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct above a = {world_name("above"), i & 1 ? HF_SHARED : HF_EXCLUSIVE, i & 2};
		hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
		hf_lease *lease;

		options.mode = a.mode;
		options.flags = a.for_tree ? HF_FOR_TREE : 0;
		lease = take(m, a.name, &options);
		assert_int_equal(world_wait(world_spawn(look_up, 0, &a)), 0);
		give_back(lease);
	}
	hf_close(m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(many__are_all_had_and_given_back),
	cmocka_unit_test(many__none_is_kept_when_one_cannot_be_had),
	cmocka_unit_test(many__share_one_time_to_wait),
	cmocka_unit_test(many__one_lock_named_twice_is_refused),
	cmocka_unit_test(many__bad_options_of_one_take_nothing),
	cmocka_unit_test(many__the_loss_of_one_is_told),
	cmocka_unit_test(many__one_lost_while_waiting_is_had_again),
	cmocka_unit_test(many__asked_for_in_any_order_never_deadlock),
	cmocka_unit_test(many__a_process_is_no_ancestor_of_itself),
	cmocka_unit_test(many__a_child_sees_what_is_held_above_it),
};
const test_group many_tests = TEST_GROUP(tests);
