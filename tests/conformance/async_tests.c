/* Acquiring without blocking, on every store: what is told, and when. */
#include "pending.h"

#include <stdio.h>

static hf_acquire_options with_wait(int64_t wait_ms)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.wait_ms = wait_ms;
	return o;
}

static void async__a_free_lock_is_had_and_told(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_pending *p;
	hf_lease *lease;
	int job = 7;

	(void)state;
	assert_null(hf_acquire_next(m));
	p = start(m, name, NULL, &job);
	assert_true(hf_pending_arg(p) == &job);
	assert_string_equal(hf_pending_name(p), name);
	assert_true(told(m, 10000));
	assert_true(hf_acquire_next(m) == p);
	assert_null(hf_acquire_next(m));
	assert_false(told(m, 0));
	assert_int_equal(hf_acquire_finish(p, &lease, NULL), HF_OK);
	assert_true(hf_lease_valid(lease));
	assert_true(hf_lease_token(lease) >= 1);
	assert_string_equal(hf_lease_name(lease), name);
	assert_int_equal(try_it(m, name, NULL), HF_HELD);
	give_back(lease);
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	hf_close(m);
}

static void async__what_is_held_is_pending_until_its_release(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("async");
	hf_lease *held = take(other, name, NULL);
	hf_pending *p = start(m, name, NULL, NULL);
	hf_lease *lease = held;
	hf_error error;

	(void)state;
	assert_false(told(m, 200));
	assert_int_equal(hf_acquire_finish(p, &lease, &error), HF_PENDING);
	assert_null(lease);
	assert_true(strlen(error.text) > 10);
	assert_null(hf_acquire_next(m));
	give_back(held);
	assert_true(told(m, 10000));
	assert_true(hf_acquire_next(m) == p);
	give_back(have(m, p));
	hf_close(other);
	hf_close(m);
}

static void async__the_descriptor_is_readable_until_all_are_told(void **state)
{
	hf_manager *m = world_open();
	hf_pending *p[3];
	hf_lease *lease;
	int fd = hf_acquire_fd(m);
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		p[i] = start(m, world_name("level"), NULL, NULL);
	for (i = 0; i < 3; i++) {
		hf_lease *one;
		hf_pending *next;

		assert_true(told(m, 10000));
		assert_true(told(m, 0));
		next = hf_acquire_next(m);
		assert_non_null(next);
		assert_int_equal(hf_acquire_finish(next, &one, NULL), HF_OK);
		give_back(one);
	}
	assert_false(told(m, 0));
	/* Finished before it was told: no news either. */
	p[0] = start(m, world_name("level"), NULL, NULL);
	assert_true(told(m, 10000));
	assert_int_equal(hf_acquire_finish(p[0], &lease, NULL), HF_OK);
	assert_false(told(m, 0));
	assert_null(hf_acquire_next(m));
	give_back(lease);
	assert_int_equal(hf_acquire_fd(m), fd);
	hf_close(m);
}

static void async__answers_are_those_of_acquire(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_lease *held = take(m, name, NULL);
	hf_acquire_options o = with_wait(0);
	int64_t start_ms;
	hf_pending *p;
	hf_lease *lease;
	hf_error error;

	(void)state;
	p = start(m, name, &o, NULL);
	assert_int_equal(answer(m, p, &lease, &error), HF_HELD);
	assert_int_equal(error.kind, HF_HELD);
	assert_true(strlen(error.text) > 10);
	o = with_wait(-1);
	o.strategy = HF_FAIL_FAST;
	assert_int_equal(answer(m, start(m, name, &o, NULL), &lease, &error), HF_HELD);
	o = with_wait(300);
	start_ms = hf_boot_ms();
	assert_int_equal(answer(m, start(m, name, &o, NULL), &lease, &error), HF_TIMED_OUT);
	assert_true(hf_boot_ms() - start_ms >= 300);
	assert_true(strlen(error.text) > 10);
	assert_int_equal(waiters(m, name), 0);
	assert_int_equal(hf_acquire_start(m, "", NULL, NULL, &p, &error), HF_INVALID);
	assert_null(p);
	o = with_wait(-1);
	o.ttl_ms = 5;
	assert_int_equal(hf_acquire_start(m, name, &o, NULL, &p, &error), HF_INVALID);
	o = with_wait(-1);
	o.cancel_fd = 0;
	assert_int_equal(hf_acquire_start(m, name, &o, NULL, &p, &error), HF_INVALID);
	assert_non_null(strstr(error.text, "hf_acquire_cancel"));
	give_back(held);
	hf_close(m);
}

/* Those behind the gate have only the time that they were given too. */
static void async__all_time_out_in_time(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_lease *held = take(m, name, NULL);
	hf_acquire_options o = with_wait(500);
	int64_t start_ms = hf_boot_ms();
	hf_pending *p[60];
	hf_lease *lease;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		p[i] = start(m, name, &o, NULL);
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		assert_int_equal(answer(m, p[i], &lease, NULL), HF_TIMED_OUT);
	assert_true(hf_boot_ms() - start_ms < 10000);
	assert_int_equal(waiters(m, name), 0);
	assert_int_equal(holders(m, name), 1);
	give_back(held);
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	hf_close(m);
}

static void async__texts_are_copied(void **state)
{
	hf_manager *m = world_open();
	char name[64];
	char owner[] = "an owner";
	char info[] = "{\"why\":1}";
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lock_info *found;
	hf_lease *held;
	hf_lease *lease;
	hf_pending *p;

	(void)state;
	snprintf(name, sizeof(name), "%s", world_name("texts"));
	held = take(m, name, NULL);
	o.owner = owner;
	o.info = info;
	p = start(m, name, &o, NULL);
	memset(owner, 'x', sizeof(owner) - 1);
	memset(info, 'x', sizeof(info) - 1);
	give_back(held);
	lease = have(m, p);
	assert_int_equal(hf_lock_status(m, name, &found, NULL), HF_OK);
	assert_int_equal(found->holder_count, 1);
	assert_string_equal(found->holders[0].owner, "an owner");
	assert_string_equal(found->holders[0].info, "{\"why\":1}");
	hf_lock_info_free(found);
	give_back(lease);
	hf_close(m);
}

static void async__strategies_do_what_they_do_when_blocking(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *held = take(other, name, NULL);
	hf_lease *lease;
	hf_pending *p;

	(void)state;
	o.strategy = HF_RETRY;
	o.max_retries = 3;
	o.backoff_min_ms = 1;
	o.backoff_max_ms = 5;
	if (has_line())
		assert_int_equal(answer(m, start(m, name, &o, NULL), &lease, NULL), HF_HELD);
	o.max_retries = 1000;
	o.backoff_min_ms = 50;
	o.backoff_max_ms = 100;
	p = start(m, name, &o, NULL);
	assert_false(told(m, 100));
	give_back(held);
	give_back(have(m, p));
	if (has_line()) {
		held = take(other, name, NULL);
		o.strategy = HF_STEAL_STALE;
		o.stale_after_ms = 300;
		p = start(m, name, &o, NULL);
		lease = have(m, p);
		assert_true(hf_lease_token(lease) > hf_lease_token(held));
		(void)hf_release(held, NULL);
		o.strategy = HF_FORCE_ACQUIRE;
		held = have(other, start(other, name, &o, NULL));
		assert_true(hf_lease_token(held) > hf_lease_token(lease));
		assert_int_equal(hf_release(lease, NULL), HF_LOST);
		give_back(held);
	}
	hf_close(other);
	hf_close(m);
}

/* Past the gate: 16 stand in the line already. */
static void async__a_higher_priority_is_served_first(void **state)
{
	hf_manager *m = world_open_if(has_line());
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *held = take(m, name, NULL);
	hf_pending *low[30];
	hf_pending *high;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(low); i++)
		low[i] = start(m, name, NULL, NULL);
	assert_true(waiters_become(m, name, 16));
	o.priority = 5;
	high = start(m, name, &o, NULL);
	assert_true(waiters_become(m, name, 17));
	give_back(held);
	assert_true(told(m, 10000));
	assert_true(hf_acquire_next(m) == high);
	give_back(have(m, high));
	for (i = 0; i < HF_ARRAY_LEN(low); i++)
		give_back(have(m, low[i]));
	assert_int_equal(waiters(m, name), 0);
	hf_close(m);
}

static void async__shared_ones_are_had_together(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *held = take(m, name, NULL);
	hf_pending *p[40];
	hf_lease *leases[40];
	size_t i;

	(void)state;
	o.mode = HF_SHARED;
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		p[i] = start(m, name, &o, NULL);
	give_back(held);
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		leases[i] = have(m, p[i]);
	assert_int_equal(holders(m, name), HF_ARRAY_LEN(p));
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		give_back(leases[i]);
	hf_close(m);
}

/* Who does not stand in line has no bell: the store is watched for two of them. */
static void async__a_change_cuts_a_pause_short(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *held[2];
	hf_pending *p[2];
	char names[2][64];
	int64_t start_ms;
	size_t i;

	(void)state;
	o.strategy = HF_RETRY;
	o.max_retries = 1000;
	o.backoff_min_ms = o.backoff_max_ms = 120000;
	for (i = 0; i < 2; i++) {
		snprintf(names[i], sizeof(names[i]), "%s", world_name("cut"));
		held[i] = take(other, names[i], NULL);
		p[i] = start(m, names[i], &o, NULL);
		assert_false(told(m, 300));
	}
	start_ms = hf_boot_ms();
	for (i = 0; i < 2; i++)
		give_back(held[i]);
	for (i = 0; i < 2; i++)
		give_back(have(m, p[i]));
	assert_true(hf_boot_ms() - start_ms < 5000);
	hf_close(other);
	hf_close(m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(async__a_free_lock_is_had_and_told),
	cmocka_unit_test(async__what_is_held_is_pending_until_its_release),
	cmocka_unit_test(async__the_descriptor_is_readable_until_all_are_told),
	cmocka_unit_test(async__answers_are_those_of_acquire),
	cmocka_unit_test(async__all_time_out_in_time),
	cmocka_unit_test(async__texts_are_copied),
	cmocka_unit_test(async__strategies_do_what_they_do_when_blocking),
	cmocka_unit_test(async__a_higher_priority_is_served_first),
	cmocka_unit_test(async__shared_ones_are_had_together),
	cmocka_unit_test(async__a_change_cuts_a_pause_short),
};
const test_group async_tests = TEST_GROUP(tests);
