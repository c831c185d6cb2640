/* The attempt against a store that follows a script: how long it goes on, what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lock/attempt.h"

/* One key, on a clock that moves with each step. */
typedef struct world {
	hf_status read_says; /* HF_OK: the state below */
	hf_status swap_says; /* HF_OK: it is done */
	char *data;
	size_t len;
	uint64_t version;
	int64_t step_ms; /* what reading or swapping takes */
	hf_now now;
	size_t reads;
	size_t swaps;
} world;

static const char my_id[] = "0123456789abcdef0123456789abcdef";
static const char other_id[] = "fedcba9876543210fedcba9876543210";

static world new_world(void)
{
	return (world){.version = 1, .step_ms = 5, .now = {.boot_ms = 1000, .wall_ms = 2000}};
}

static hf_attempt_setup new_setup(hf_ask ask)
{
	hf_attempt_setup s = {.name = "deploy",
		.strategy = HF_QUEUE,
		.max_retries = 3,
		.backoff_min_ms = 10,
		.backoff_max_ms = 100,
		.settle_ms = 1000,
		.poll_ms = 100,
		.host_clock = "boot-1"};

	s.request.ask = ask;
	s.request.grant = hf_grant_blank();
	s.request.grant.id = my_id;
	s.request.grant.group = my_id;
	s.request.grant.owner = "me";
	s.request.grant.ttl_ms = 30000;
	return s;
}

static void snapshot_of(const world *w, hf_snapshot *out)
{
	hf_snapshot_clear(out);
	out->etag.len = sizeof(w->version);
	memcpy(out->etag.bytes, &w->version, sizeof(w->version));
	out->len = w->len;
	if (w->len) {
		out->data = malloc(w->len);
		assert_non_null(out->data);
		memcpy(out->data, w->data, w->len);
	}
}

static void take_over(world *w, const char *data, size_t len)
{
	free(w->data);
	w->data = malloc(len);
	assert_non_null(w->data);
	memcpy(w->data, data, len);
	w->len = len;
	w->version++;
}

/* Another holds it, without end. */
static void hold(world *w)
{
	hf_record r;
	hf_buf text = HF_BUF_INIT;
	hf_grant *g;

	hf_record_init(&r);
	r.name = "deploy";
	r.gen = 7;
	r.counter = 3;
	g = hf_record_add_grant(&r);
	assert_non_null(g);
	g->id = other_id;
	g->group = other_id;
	g->owner = "other";
	g->token = 3;
	hf_record_encode(&r, NULL, HF_RECORD_NEAR, &text);
	take_over(w, text.data, text.len);
	hf_buf_free(&text);
	hf_record_free(&r);
}

/* Run until it waits, or to its answer. Steps are bounded: more is a wedge. */
static hf_step run(hf_attempt *a, world *w, bool through_waits)
{
	size_t steps;
	hf_error error;

	hf_fail(&error, HF_UNAVAILABLE, "test", 0, "the script says so");
	for (steps = 0; steps < 20000; steps++) {
		hf_step step = hf_attempt_next(a, w->now);

		if (step == HF_STEP_DONE || (step == HF_STEP_WAIT && !through_waits))
			return step;
		switch (step) {
		case HF_STEP_READ:
			w->reads++;
			w->now.boot_ms += w->step_ms;
			snapshot_of(w, &a->snap);
			hf_attempt_on_read(a, w->read_says, &error, w->now);
			break;
		case HF_STEP_SWAP:
			w->swaps++;
			w->now.boot_ms += w->step_ms;
			if (w->swap_says == HF_OK) {
				take_over(w, a->change.data, a->change.len);
				snapshot_of(w, &a->reply);
			}
			hf_attempt_on_swap(a, w->swap_says, &error, w->now);
			break;
		case HF_STEP_PROBE:
			hf_attempt_on_probe(a);
			break;
		default:
			assert_true(a->wake_ms < INT64_MAX);
			if (w->now.boot_ms < a->wake_ms)
				w->now.boot_ms = a->wake_ms;
			hf_attempt_on_wake(a);
			break;
		}
	}
	fail_msg("no answer after %zu steps, %lld ms", steps, (long long)w->now.boot_ms);
	return HF_STEP_DONE;
}

static void finish(hf_attempt *a, world *w)
{
	if (a->status != HF_OK) {
		assert_int_equal(a->error.kind, a->status);
		assert_true(a->error.text[0] != '\0');
	}
	hf_attempt_free(a);
	free(w->data);
}

/* ---- it ends ---- */

static void attempt__ends_though_no_swap_is_ever_answered(void **state)
{
	static const hf_strategy all[] = {
		HF_QUEUE, HF_RETRY, HF_FAIL_FAST, HF_STEAL_STALE, HF_FORCE_ACQUIRE};
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(all); i++) {
		hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
		world w = new_world();
		hf_attempt a;

		w.swap_says = HF_UNKNOWN;
		s.strategy = all[i];
		s.wait_ms = 3000;
		hf_attempt_init(&a, &s, w.now);
		run(&a, &w, true);
		assert_int_equal(a.status, HF_UNKNOWN);
		assert_true(w.now.boot_ms <= 1000 + 3000 + 1000 + 100);
		finish(&a, &w);
	}
}

static void one_try__ends_soon_whatever_the_wait(void **state)
{
	static const hf_strategy all[] = {HF_RETRY, HF_FAIL_FAST};
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(all); i++) {
		hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
		world w = new_world();
		hf_attempt a;

		w.swap_says = HF_UNKNOWN;
		s.strategy = all[i];
		s.wait_ms = -1;
		hf_attempt_init(&a, &s, w.now);
		run(&a, &w, true);
		assert_int_equal(a.status, HF_UNKNOWN);
		assert_true(w.now.boot_ms <= 1000 + 1000 + 2100);
		finish(&a, &w);
	}
}

static void cancelled__ends_though_the_store_is_gone(void **state)
{
	hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
	world w = new_world();
	hf_attempt a;

	(void)state;
	w.swap_says = HF_UNKNOWN;
	s.wait_ms = -1;
	hf_attempt_init(&a, &s, w.now);
	assert_int_equal(run(&a, &w, false), HF_STEP_WAIT);
	w.now.boot_ms += 100000;
	w.read_says = HF_UNAVAILABLE;
	hf_attempt_cancel(&a, HF_TIMED_OUT);
	run(&a, &w, true);
	assert_int_equal(a.status, HF_UNKNOWN); /* it may land yet */
	assert_true(w.now.boot_ms <= 1000 + 100000 + 1000 + 2100);
	finish(&a, &w);
}

/* The barrier makes the late request impossible: then there is an answer. */
static void cancelled__moves_the_record_on(void **state)
{
	hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
	world w = new_world();
	hf_attempt a;

	(void)state;
	w.swap_says = HF_UNKNOWN;
	s.wait_ms = -1;
	hf_attempt_init(&a, &s, w.now);
	assert_int_equal(run(&a, &w, false), HF_STEP_WAIT);
	w.swap_says = HF_OK;
	hf_attempt_cancel(&a, HF_TIMED_OUT);
	run(&a, &w, true);
	assert_int_equal(a.status, HF_TIMED_OUT);
	assert_int_equal(w.version, 2);
	finish(&a, &w);
}

static void wait__of_any_length_does_not_overflow(void **state)
{
	static const int64_t waits[] = {INT64_MAX, INT64_MAX - 500, INT64_MAX / 2};
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(waits); i++) {
		hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
		world w = new_world();
		hf_attempt a;

		hold(&w);
		s.wait_ms = waits[i];
		hf_attempt_init(&a, &s, w.now);
		assert_int_equal(run(&a, &w, false), HF_STEP_WAIT);
		assert_true(a.wake_ms > w.now.boot_ms && a.wake_ms <= w.now.boot_ms + 100);
		finish(&a, &w);
		w = new_world();
		hold(&w);
		s.strategy = HF_RETRY;
		s.backoff_min_ms = INT64_MAX / 2 + 1;
		s.backoff_max_ms = INT64_MAX;
		hf_attempt_init(&a, &s, w.now);
		assert_int_equal(run(&a, &w, false), HF_STEP_WAIT);
		assert_true(a.wake_ms > w.now.boot_ms);
		finish(&a, &w);
	}
}

/* ---- what it asks the store ---- */

static void uncontended__costs_one_read_and_one_swap(void **state)
{
	hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
	world w = new_world();
	hf_attempt a;

	(void)state;
	hf_attempt_init(&a, &s, w.now);
	run(&a, &w, true);
	assert_int_equal(a.status, HF_OK);
	assert_int_equal(a.token, 1);
	assert_int_equal(w.reads, 1);
	assert_int_equal(w.swaps, 1);
	assert_int_equal(a.base_ms, 1005); /* before the request, not after */
	finish(&a, &w);
}

static void known_state__saves_the_read(void **state)
{
	hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
	hf_snapshot known;
	world w = new_world();
	hf_attempt a;

	(void)state;
	memset(&known, 0, sizeof(known));
	snapshot_of(&w, &known);
	hf_attempt_init(&a, &s, w.now);
	hf_attempt_start_from(&a, &known, NULL);
	run(&a, &w, true);
	assert_int_equal(a.status, HF_OK);
	assert_int_equal(w.reads, 0);
	finish(&a, &w);
}

/* An old state is no ground for "held": it may be free by now. */
static void known_state__alone_is_no_ground_to_refuse(void **state)
{
	hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
	hf_snapshot known;
	world w = new_world();
	hf_attempt a;

	(void)state;
	memset(&known, 0, sizeof(known));
	hold(&w);
	snapshot_of(&w, &known);
	hf_attempt_init(&a, &s, w.now);
	hf_attempt_start_from(&a, &known, NULL);
	run(&a, &w, true);
	assert_int_equal(a.status, HF_HELD);
	assert_int_equal(w.reads, 1);
	finish(&a, &w);
}

/* Nor is one that cannot be read: it may have been repaired. */
static void known_state__that_is_damaged_is_read_again(void **state)
{
	hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
	hf_snapshot known;
	world w = new_world();
	hf_attempt a;

	(void)state;
	memset(&known, 0, sizeof(known));
	take_over(&w, "rubbish", 7);
	snapshot_of(&w, &known);
	w.len = 0;
	w.version++;
	hf_attempt_init(&a, &s, w.now);
	hf_attempt_start_from(&a, &known, NULL);
	run(&a, &w, true);
	assert_int_equal(a.status, HF_OK);
	assert_int_equal(w.reads, 1);
	finish(&a, &w);
}

/* An exclusive lock of ours, as it was before. */
static void hold_myself(world *w)
{
	hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
	hf_attempt a;

	hf_attempt_init(&a, &s, w->now);
	run(&a, w, true);
	assert_int_equal(a.status, HF_OK);
	hf_attempt_free(&a);
}

/* An earlier conversion back of unknown fate could land over what was found. */
static void conversion__to_the_mode_it_has_moves_the_record_on(void **state)
{
	hf_attempt_setup s = new_setup(HF_ASK_CONVERT);
	world w = new_world();
	hf_attempt a;

	(void)state;
	hold_myself(&w);
	s.request.who.id = my_id;
	s.request.mode = HF_EXCLUSIVE;
	hf_attempt_init(&a, &s, w.now);
	run(&a, &w, true);
	assert_int_equal(a.status, HF_OK);
	assert_int_equal(a.token, 1);
	assert_int_equal(w.version, 3);
	finish(&a, &w);
}

static void unknown__that_landed_is_found_out(void **state)
{
	hf_attempt_setup s = new_setup(HF_ASK_ACQUIRE);
	world w = new_world();
	hf_attempt a;

	(void)state;
	w.swap_says = HF_UNKNOWN;
	s.wait_ms = 1000;
	hf_attempt_init(&a, &s, w.now);
	assert_int_equal(run(&a, &w, false), HF_STEP_WAIT);
	take_over(&w, a.change.data, a.change.len); /* late */
	w.now.boot_ms = a.wake_ms;
	hf_attempt_on_wake(&a);
	run(&a, &w, true);
	assert_int_equal(a.status, HF_OK);
	assert_int_equal(a.token, 1);
	assert_int_equal(a.base_ms, 1005);
	assert_int_equal(w.swaps, 1);
	finish(&a, &w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempt__ends_though_no_swap_is_ever_answered),
		cmocka_unit_test(one_try__ends_soon_whatever_the_wait),
		cmocka_unit_test(cancelled__ends_though_the_store_is_gone),
		cmocka_unit_test(cancelled__moves_the_record_on),
		cmocka_unit_test(wait__of_any_length_does_not_overflow),
		cmocka_unit_test(uncontended__costs_one_read_and_one_swap),
		cmocka_unit_test(known_state__saves_the_read),
		cmocka_unit_test(known_state__alone_is_no_ground_to_refuse),
		cmocka_unit_test(known_state__that_is_damaged_is_read_again),
		cmocka_unit_test(conversion__to_the_mode_it_has_moves_the_record_on),
		cmocka_unit_test(unknown__that_landed_is_found_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
