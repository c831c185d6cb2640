/* Several who upgrade, and wait for each other: all but one are told so. */
#include "upgrade.h"

#include <stdio.h>
#include <unistd.h>

static int upgrade_too(int i, void *arg)
{
	struct scene *s = arg;
	hf_manager *m = world_open();
	hf_lease *lease = share(m, s->name);
	hf_convert_options o = waiting(30000);
	uint64_t token = hf_lease_token(lease);
	hf_error error;
	hf_status st;

	(void)i;
	s->step++;
	until(s, s->count);
	st = hf_convert(lease, HF_EXCLUSIVE, &o, &error);
	if (st == HF_DEADLOCK) {
		s->deadlocks++;
		hf_copy(s->words, sizeof(s->words), error.text);
		if (!hf_lease_valid(lease) || hf_lease_mode(lease) != HF_SHARED ||
			hf_lease_token(lease) != token || s->upgraded)
			wrong(s, "what the victim has", st, &error);
	} else if (!st) {
		s->upgraded++;
		if (s->deadlocks != s->count - 1)
			wrong(s, "too soon", st, &error);
	} else {
		wrong(s, "upgrade", st, &error);
	}
	st = hf_release(lease, &error);
	if (st)
		wrong(s, "release", st, &error);
	hf_close(m);
	return 0;
}

static void upgrades_of(int count)
{
	unsigned round;

	for (round = 0; round < world_scaled(3); round++) {
		struct scene *s = new_scene("both");

		s->count = count;
		world_run(count, upgrade_too, s, 60);
		assert_string_equal(s->error, "");
		assert_int_equal(s->deadlocks, count - 1);
		assert_int_equal(s->upgraded, 1);
		if (!strstr(s->words, s->name) || !strstr(s->words, "waits to upgrade"))
			fail_msg("%s", s->words);
	}
}

static void upgrade__of_two_has_one_victim(void **state)
{
	(void)state;
	upgrades_of(2);
}

static void upgrade__of_three_has_two_victims(void **state)
{
	(void)state;
	upgrades_of(3);
}

/* 0 shares x, has y, and upgrades x; 1 shares x and wants y. */
static int through_another_lock(int i, void *arg)
{
	struct scene *s = arg;
	hf_manager *m = world_open();
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_convert_options up = waiting(30000);
	hf_lease *x = share(m, s->name);
	hf_lease *y = i == 0 ? take(m, s->second, NULL) : NULL;
	hf_error error;
	hf_status st;

	s->step++;
	until(s, 2);
	o.wait_ms = 30000;
	o.flags = up.flags = HF_UNDER_OWN;
	st = i == 0 ? hf_convert(x, HF_EXCLUSIVE, &up, &error)
		    : hf_acquire(m, s->second, &o, &y, &error);
	if (st == HF_DEADLOCK)
		s->deadlocks++;
	else if (!st)
		s->upgraded++;
	else
		wrong(s, "wait", st, &error);
	hf_release(y, NULL);
	hf_release(x, NULL);
	hf_close(m);
	return 0;
}

static void upgrade__in_a_circle_of_two_locks_has_one_victim(void **state)
{
	struct scene *s = new_scene("circle");

	(void)state;
	world_run(2, through_another_lock, s, 60);
	assert_string_equal(s->error, "");
	assert_int_equal(s->deadlocks, 1);
	assert_int_equal(s->upgraded, 1);
}

/* 0 shares what is below and upgrades it, 1 shares all and upgrades that. */
static int of_a_tree(int i, void *arg)
{
	struct scene *s = arg;
	hf_manager *m = world_open();
	hf_acquire_options o = sharing();
	hf_convert_options up = waiting(30000);
	char below[80];
	hf_lease *lease;
	hf_error error;
	hf_status st;

	snprintf(below, sizeof(below), "%s/docs", s->name);
	o.flags = HF_TREE_NAME;
	lease = take(m, i == 0 ? below : s->name, &o);
	s->step++;
	until(s, 2);
	st = hf_convert(lease, HF_EXCLUSIVE, &up, &error);
	if (st == HF_DEADLOCK)
		s->deadlocks++;
	else if (!st && hf_lease_mode(lease) == HF_EXCLUSIVE)
		s->upgraded++;
	else
		wrong(s, "upgrade", st, &error);
	st = hf_release(lease, &error);
	if (st)
		wrong(s, "release", st, &error);
	hf_close(m);
	return 0;
}

static void upgrade__in_a_tree_waits_for_what_is_above(void **state)
{
	struct scene *s = new_scene("tree");
	hf_manager *m = world_open();

	(void)state;
	world_run(2, of_a_tree, s, 60);
	assert_string_equal(s->error, "");
	assert_int_equal(s->deadlocks, 1);
	assert_int_equal(s->upgraded, 1);
	assert_int_equal(holders(m, s->name), 0);
	assert_int_equal(waiters(m, s->name), 0);
	hf_close(m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(upgrade__of_two_has_one_victim),
	cmocka_unit_test(upgrade__of_three_has_two_victims),
	cmocka_unit_test(upgrade__in_a_circle_of_two_locks_has_one_victim),
	cmocka_unit_test(upgrade__in_a_tree_waits_for_what_is_above),
};
const test_group upgrade_circle_tests = TEST_GROUP(tests);
