/* Names that are paths in a tree, on every store that has intentions. */
#include "tree.h"

#include <stdatomic.h>

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
		assert_true(eventually(one_lost, &losses, 10000));
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

static const struct CMUnitTest tests[] = {
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
};
const test_group tree_tests = TEST_GROUP(tests);

/* ---- of stores that have none ---- */

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

static const struct CMUnitTest without[] = {
	cmocka_unit_test(tree__needs_intentions),
};
const test_group no_tree_tests = TEST_GROUP(without);
