/* Leases that are taken from their holder, or changed in his hand. */
#include "../held.h"
#include "world.h"

#include <unistd.h>

/* ---- taking ---- */

static void lease__force_takes_it_and_tells_who_was_robbed(void **state)
{
	hf_acquire_options force = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("force");
	hf_lease *robbed;
	hf_lease *robber;
	hf_error error;

	(void)state;
	force.strategy = HF_FORCE_ACQUIRE;
	if (!under_test.detached) {
		assert_int_equal(hf_acquire(m, name, &force, &robber, &error), HF_INVALID);
		hf_close(m);
		return;
	}
	robbed = take(m, name, NULL);
	robber = take(m, name, &force);
	assert_true(hf_lease_token(robber) > hf_lease_token(robbed));
	assert_int_equal(holders(m, name), 1);
	assert_int_equal(hf_extend(robbed, 0, &error), HF_LOST);
	assert_false(hf_lease_valid(robbed));
	assert_int_equal(hf_release(robbed, &error), HF_LOST);
	assert_int_equal(holders(m, name), 1);
	give_back(robber);
	hf_close(m);
}

static void lease__steal_stale_takes_only_what_is_not_renewed(void **state)
{
	hf_acquire_options lazy = HF_ACQUIRE_OPTIONS_INIT;
	hf_acquire_options thief = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open_if(under_test.detached);
	hf_manager *other = world_open();
	const char *name = world_name("steal");
	hf_lease *lease;
	hf_lease *stolen;
	hf_error error;

	(void)state;
	thief.strategy = HF_STEAL_STALE;
	thief.stale_after_ms = 400;
	thief.wait_ms = 900;
	/* Renewed every 200 ms: never stale. */
	lazy.ttl_ms = 600;
	lease = take(m, name, &lazy);
	assert_int_equal(hf_acquire(other, name, &thief, &stolen, &error), HF_TIMED_OUT);
	give_back(lease);
	/* A long lease that nobody renews is. */
	lazy.ttl_ms = 60000;
	lazy.flags = HF_NO_RENEW;
	lease = take(m, name, &lazy);
	thief.wait_ms = 5000;
	assert_int_equal(hf_acquire(other, name, &thief, &stolen, &error), HF_OK);
	assert_true(hf_lease_token(stolen) > hf_lease_token(lease));
	assert_int_equal(hf_release(lease, &error), HF_LOST);
	give_back(stolen);
	hf_close(other);
	hf_close(m);
}

static void lease__a_lock_delay_keeps_it_closed_unless_released(void **state)
{
	hf_acquire_options delayed = HF_ACQUIRE_OPTIONS_INIT;
	hf_acquire_options waiting = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open_if(under_test.detached);
	const char *name = world_name("delay");
	hf_lease *lease;
	hf_lease *next;
	hf_error error;
	int64_t start_ms;

	(void)state;
	delayed.lock_delay_ms = 700;
	lease = take(m, name, &delayed);
	give_back(lease);
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	delayed.ttl_ms = 200;
	delayed.flags = HF_NO_RENEW;
	start_ms = hf_boot_ms();
	lease = take(m, name, &delayed);
	waiting.wait_ms = 5000;
	assert_int_equal(hf_acquire(m, name, &waiting, &next, &error), HF_OK);
	assert_true(hf_boot_ms() - start_ms >= 900);
	give_back(next);
	assert_int_equal(hf_release(lease, &error), HF_LOST);
	hf_close(m);
}

/* ---- changing ---- */

static void lease__upgrade_needs_to_be_alone_and_gets_a_new_token(void **state)
{
	hf_acquire_options shared = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("upgrade");
	hf_lease *a;
	hf_lease *b;
	hf_convert_options at_once = HF_CONVERT_OPTIONS_INIT;
	hf_error error;

	(void)state;
	shared.mode = HF_SHARED;
	at_once.wait_ms = 0;
	a = take(m, name, &shared);
	if (!under_test.detached) {
		assert_int_equal(hf_convert(a, HF_EXCLUSIVE, NULL, &error), HF_INVALID);
		give_back(a);
		hf_close(m);
		return;
	}
	b = take(m, name, &shared);
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &at_once, &error), HF_HELD);
	assert_int_equal(hf_lease_mode(a), HF_SHARED);
	give_back(b);
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, NULL, &error), HF_OK);
	assert_int_equal(hf_lease_mode(a), HF_EXCLUSIVE);
	assert_true(hf_lease_token(a) >= 3);
	assert_int_equal(try_it(m, name, &shared), HF_HELD);
	assert_int_equal(hf_convert(a, HF_SHARED, NULL, &error), HF_OK);
	assert_int_equal(try_it(m, name, &shared), HF_OK);
	give_back(a);
	hf_close(m);
}

static void lease__extend_changes_the_ttl(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open_if(under_test.detached);
	const char *name = world_name("extend");
	hf_lease *lease;
	hf_error error;

	(void)state;
	options.ttl_ms = 1000;
	options.flags = HF_NO_RENEW;
	lease = take(m, name, &options);
	assert_int_equal(hf_extend(lease, 60000, &error), HF_OK);
	assert_true(hf_lease_remaining_ms(lease) > 50000);
	assert_int_equal(hf_extend(lease, 5, &error), HF_INVALID);
	give_back(lease);
	hf_close(m);
}

static void lease__what_was_lost_is_not_extended(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open_if(under_test.detached);
	const char *name = world_name("lost");
	hf_lease *lease;
	hf_error error;

	(void)state;
	options.ttl_ms = 2000;
	options.flags = HF_NO_RENEW;
	lease = take(m, name, &options);
	while (hf_lease_valid(lease))
		usleep(1000);
	/* The store has it for some time yet: the margin of a tenth. */
	assert_int_equal(hf_extend(lease, 0, &error), HF_LOST);
	assert_int_equal(hf_convert(lease, HF_SHARED, NULL, &error), HF_LOST);
	assert_int_equal(hf_lease_remaining_ms(lease), 0);
	hf_release(lease, NULL);
	hf_close(m);
}

static void lease__reentry_frees_the_lock_with_the_last_hold(void **state)
{
	hf_acquire_options again = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open_if(under_test.detached);
	const char *name = world_name("reenter");
	hf_lease *outer;
	hf_lease *inner;
	hf_error error;

	(void)state;
	outer = take(m, name, NULL);
	again.reenter = hf_lease_id(outer);
	inner = take(m, name, &again);
	assert_int_equal(hf_lease_token(inner), hf_lease_token(outer));
	give_back(outer);
	assert_int_equal(try_it(m, name, NULL), HF_HELD);
	give_back(inner);
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	again.reenter = "00000000000000000000000000000000";
	assert_int_equal(hf_acquire(m, name, &again, &inner, &error), HF_LOST);
	hf_close(m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(lease__force_takes_it_and_tells_who_was_robbed),
	cmocka_unit_test(lease__steal_stale_takes_only_what_is_not_renewed),
	cmocka_unit_test(lease__a_lock_delay_keeps_it_closed_unless_released),
	cmocka_unit_test(lease__upgrade_needs_to_be_alone_and_gets_a_new_token),
	cmocka_unit_test(lease__extend_changes_the_ttl),
	cmocka_unit_test(lease__what_was_lost_is_not_extended),
	cmocka_unit_test(lease__reentry_frees_the_lock_with_the_last_hold),
};
const test_group lease_change_tests = TEST_GROUP(tests);
