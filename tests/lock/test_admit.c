/*
 * Fences on a store that fails: what may have landed is found out, and nothing
 * is admitted that the store does not have.
 *
 * The store is memory:, with a table of operations before it that does as each
 * test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lock/fence.h"
#include "lock/manager.h"

static const hf_store_ops *real;

enum fate {
	FINE,
	LOST, /* did not land, and that is not known */
	LANDED, /* landed, and that is not known */
	FAILED, /* did not land, and that is known */
	PRETENDED /* did not land, and is said to have */
};

/* What happens to the next swaps and reads, one by one; then all is fine. */
static struct plan {
	enum fate swaps[16];
	hf_status reads[16];
	size_t swap;
	size_t read;
	uint64_t rival[16]; /* admitted by another just before this swap; 0: none */
	hf_manager *other;
	const char *resource;
} plan;

static hf_status say(hf_error *error, hf_status st)
{
	return hf_fail(error, st, "test", 0, "the test says that this store has trouble");
}

static hf_status plan_read(hf_store *store, const char *name, hf_snapshot *s, hf_error *error)
{
	hf_status st = plan.read < 16 ? plan.reads[plan.read] : HF_OK;

	plan.read++;
	return st ? say(error, st) : real->read(store, name, s, error);
}

static hf_status plan_swap(hf_store *store, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *out, hf_error *error)
{
	size_t i = plan.swap++;
	hf_status st;

	if (i >= 16)
		return real->swap(store, name, expected, change, out, error);
	if (plan.rival[i])
		assert_int_equal(
			hf_fence_admit(plan.other, plan.resource, plan.rival[i], NULL, NULL),
			HF_OK);
	switch (plan.swaps[i]) {
	case LOST:
		return say(error, HF_UNKNOWN);
	case FAILED:
		return say(error, HF_UNAVAILABLE);
	case PRETENDED:
		memset(out, 0, sizeof(*out));
		out->etag.len = 1;
		return HF_OK;
	case LANDED:
		st = real->swap(store, name, expected, change, out, error);
		hf_snapshot_clear(out);
		return st == HF_OK ? say(error, HF_UNKNOWN) : st;
	case FINE:
		break;
	}
	return real->swap(store, name, expected, change, out, error);
}

static hf_store_ops planned;

/* A manager that meets the plan, and another that does not. */
static hf_manager *meet(const char *resource)
{
	hf_open_options options = HF_OPEN_OPTIONS_INIT;
	hf_manager *m;

	options.state_dir = "";
	assert_int_equal(hf_open("memory:admit", &options, &m, NULL), HF_OK);
	memset(&plan, 0, sizeof(plan));
	assert_int_equal(hf_open("memory:admit", &options, &plan.other, NULL), HF_OK);
	plan.resource = resource;
	real = m->ops;
	planned = *real;
	planned.read = plan_read;
	planned.swap = plan_swap;
	m->ops = &planned;
	return m;
}

static void part(hf_manager *m)
{
	hf_close(plan.other);
	hf_close(m);
}

static uint64_t seen_in_truth(void)
{
	uint64_t seen;

	assert_int_equal(hf_fence_seen(plan.other, plan.resource, &seen, NULL), HF_OK);
	return seen;
}

static void unknown__that_landed_is_found_to_be_admitted(void **state)
{
	hf_manager *m = meet("landed");
	uint64_t seen;

	(void)state;
	plan.swaps[0] = LANDED;
	assert_int_equal(hf_fence_admit(m, "landed", 7, &seen, NULL), HF_OK);
	assert_true(seen == 7 && seen_in_truth() == 7);
	assert_int_equal(plan.swap, 1);
	part(m);
}

static void unknown__that_did_not_land_is_asked_again(void **state)
{
	hf_manager *m = meet("lost");
	uint64_t seen;

	(void)state;
	plan.swaps[0] = LOST;
	plan.swaps[1] = LOST;
	plan.reads[1] = HF_UNAVAILABLE;
	assert_int_equal(hf_fence_admit(m, "lost", 7, &seen, NULL), HF_OK);
	assert_true(seen == 7 && seen_in_truth() == 7);
	assert_int_equal(plan.swap, 3);
	part(m);
}

static void unknown__then_a_greater_one_by_another_is_refused(void **state)
{
	hf_manager *m = meet("passed");
	uint64_t seen;
	hf_error error;

	(void)state;
	plan.swaps[0] = LOST;
	plan.rival[1] = 9;
	assert_int_equal(hf_fence_admit(m, "passed", 7, &seen, &error), HF_FENCED);
	assert_true(seen == 9 && seen_in_truth() == 9);
	part(m);
}

static void unknown__is_said_when_it_cannot_be_found_out(void **state)
{
	hf_manager *m = meet("dark");
	uint64_t seen = 3;
	hf_error error;

	(void)state;
	/* Damage is no trouble that passes: no waiting for it. */
	plan.swaps[0] = LANDED;
	plan.reads[1] = HF_CORRUPT;
	assert_int_equal(hf_fence_admit(m, "dark", 7, &seen, &error), HF_UNKNOWN);
	assert_int_equal(error.kind, HF_UNKNOWN);
	assert_non_null(strstr(error.text, "ask again"));
	assert_true(seen == 0 && seen_in_truth() == 7);
	/* As the text says. */
	assert_int_equal(hf_fence_admit(m, "dark", 7, &seen, &error), HF_OK);
	part(m);
}

static void failure__is_told_as_it_is_and_nothing_was_seen(void **state)
{
	hf_manager *m = meet("failed");
	uint64_t seen = 3;
	hf_error error;

	(void)state;
	plan.swaps[0] = FAILED;
	assert_int_equal(hf_fence_admit(m, "failed", 7, &seen, &error), HF_UNAVAILABLE);
	assert_true(seen == 0 && seen_in_truth() == 0);
	plan.reads[plan.read] = HF_UNAVAILABLE;
	assert_int_equal(hf_fence_admit(m, "failed", 7, &seen, &error), HF_UNAVAILABLE);
	assert_int_equal(plan.swap, 1);
	assert_int_equal(hf_fence_admit(m, "failed", 7, &seen, NULL), HF_OK);
	part(m);
}

/* Between our reading and our swap. */
static void rival__who_was_faster_decides(void **state)
{
	hf_manager *m = meet("rival");
	uint64_t seen;

	(void)state;
	plan.rival[0] = 8;
	assert_int_equal(hf_fence_admit(m, "rival", 7, &seen, NULL), HF_FENCED);
	assert_true(seen == 8 && seen_in_truth() == 8);
	plan.rival[1] = 10;
	plan.rival[2] = 11;
	assert_int_equal(hf_fence_admit(m, "rival", 12, &seen, NULL), HF_OK);
	assert_true(seen == 12 && seen_in_truth() == 12);
	plan.rival[plan.swap] = 13;
	assert_int_equal(hf_fence_admit(m, "rival", 13, &seen, NULL), HF_OK);
	assert_true(seen_in_truth() == 13);
	/* Nothing new: nothing is written. */
	plan.swap = 0;
	assert_int_equal(hf_fence_admit(m, "rival", 13, &seen, NULL), HF_OK);
	assert_int_equal(plan.swap, 0);
	part(m);
}

static unsigned warnings;

static void count_warning(void *arg, const char *line)
{
	(void)arg;
	warnings += strstr(line, "went back from token 9 to 4") != NULL;
}

static void store_that_went_back__does_not_make_this_process_forget(void **state)
{
	hf_open_options options = HF_OPEN_OPTIONS_INIT;
	hf_manager *m;
	hf_manager *past;
	hf_store *now;
	uint64_t seen;

	(void)state;
	options.state_dir = "";
	options.log = count_warning;
	assert_int_equal(hf_open("memory:", &options, &m, NULL), HF_OK);
	assert_int_equal(hf_open("memory:", &options, &past, NULL), HF_OK);
	assert_int_equal(hf_fence_admit(m, "db", 9, NULL, NULL), HF_OK);
	assert_int_equal(hf_fence_admit(past, "db", 4, NULL, NULL), HF_OK);
	now = m->store;
	m->store = past->store;
	assert_int_equal(hf_fence_admit(m, "db", 5, &seen, NULL), HF_FENCED);
	assert_true(seen == 9);
	assert_int_equal(warnings, 1);
	/* Its own token it puts there again. */
	assert_int_equal(hf_fence_admit(m, "db", 9, &seen, NULL), HF_OK);
	assert_int_equal(hf_fence_seen(past, "db", &seen, NULL), HF_OK);
	assert_true(seen == 9);
	m->store = now;
	hf_close(past);
	hf_close(m);
}

static void mending__replaces_nothing_that_is_whole_by_now(void **state)
{
	hf_manager *m = meet("whole");
	uint64_t seen;

	(void)state;
	assert_int_equal(hf_fence_admit(plan.other, "whole", 9, NULL, NULL), HF_OK);
	plan.reads[0] = HF_CORRUPT;
	assert_int_equal(hf_fence_mend(m, "whole", 7, &seen, NULL), HF_FENCED);
	assert_true(seen == 9 && seen_in_truth() == 9);
	part(m);
}

static void mending__that_does_not_help_comes_to_an_end(void **state)
{
	hf_manager *m = meet("hopeless");
	uint64_t seen;
	size_t i;

	(void)state;
	for (i = 0; i < 16; i++) {
		plan.reads[i] = HF_CORRUPT;
		plan.swaps[i] = PRETENDED;
	}
	assert_int_equal(hf_fence_mend(m, "hopeless", 7, &seen, NULL), HF_CORRUPT);
	assert_true(plan.swap > 0 && plan.swap < 16);
	assert_true(seen == 0);
	part(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown__that_landed_is_found_to_be_admitted),
		cmocka_unit_test(unknown__that_did_not_land_is_asked_again),
		cmocka_unit_test(unknown__then_a_greater_one_by_another_is_refused),
		cmocka_unit_test(unknown__is_said_when_it_cannot_be_found_out),
		cmocka_unit_test(failure__is_told_as_it_is_and_nothing_was_seen),
		cmocka_unit_test(rival__who_was_faster_decides),
		cmocka_unit_test(store_that_went_back__does_not_make_this_process_forget),
		cmocka_unit_test(mending__replaces_nothing_that_is_whole_by_now),
		cmocka_unit_test(mending__that_does_not_help_comes_to_an_end),
	};

	return cmocka_run_group_tests_name("admit", tests, NULL, NULL);
}
