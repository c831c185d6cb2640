/* The line: who comes first, what is offered, what lapses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lock/queue.h"
#include "lock/rules.h"

typedef struct world {
	hf_record now;
	hf_record next;
	hf_buf scratch;
	int64_t ms;
	hf_waiter_evidence seen[64];
	hf_verdict v;
} world;

static void ask(world *w, const hf_request *request)
{
	hf_evidence e = {.clock = "boot-1", .now_ms = w->ms, .wall_ms = 1, .waiters = w->seen};
	hf_record old;

	w->v = hf_rules_apply(&w->now, request, &e, &w->next, &w->scratch);
	while (w->v.unproven >= 0) {
		w->seen[w->v.unproven].probed = true;
		w->v = hf_rules_apply(&w->now, request, &e, &w->next, &w->scratch);
	}
	if (!w->v.swap)
		return;
	assert_true(hf_record_own(&w->next));
	old = w->now;
	w->now = w->next;
	w->next = old;
	memset(w->seen, 0, sizeof(w->seen));
}

static hf_request wanting(const char *id, hf_mode mode, int32_t priority)
{
	hf_request r = {.ask = HF_ASK_ACQUIRE,
		.grant = hf_grant_blank(),
		.queue = true,
		.claim_ms = 100};

	r.grant.id = id;
	r.grant.group = id;
	r.grant.mode = mode;
	r.grant.priority = priority;
	r.grant.ttl_ms = 1000000;
	r.grant.process.host = id; /* a host for each, unless a test says so */
	return r;
}

static hf_status want(world *w, const char *id, hf_mode mode, int32_t priority)
{
	hf_request r = wanting(id, mode, priority);

	ask(w, &r);
	return w->v.status;
}

static hf_status want_now(world *w, const char *id)
{
	hf_request r = wanting(id, HF_EXCLUSIVE, 0);

	r.queue = false;
	ask(w, &r);
	return w->v.status;
}

static void give_back(world *w, const char *id)
{
	hf_request r = {.ask = HF_ASK_RELEASE, .grant = hf_grant_blank(), .who = {.id = id}};

	ask(w, &r);
	assert_int_equal(w->v.status, HF_OK);
}

static void leave(world *w, const char *id)
{
	hf_request r = wanting(id, HF_EXCLUSIVE, 0);

	r.ask = HF_ASK_LEAVE;
	ask(w, &r);
}

static bool offered(const world *w, const char *id)
{
	int i = hf_queue_find(&w->now, id);

	return i >= 0 && w->now.waiters[i].offer;
}

static int set_up(void **state)
{
	world *w = calloc(1, sizeof(*w));

	hf_record_init(&w->now);
	hf_record_init(&w->next);
	w->now.name = "deploy";
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	world *w = *state;

	hf_record_free(&w->now);
	hf_record_free(&w->next);
	hf_buf_free(&w->scratch);
	free(w);
	return 0;
}

static void release__hands_over_to_who_came_first(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_EXCLUSIVE, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_EXCLUSIVE, 0), HF_HELD);
	assert_true(w->v.swap && w->v.amend && w->v.waits);
	assert_int_equal(want(w, "c", HF_EXCLUSIVE, 0), HF_HELD);
	give_back(w, "a");
	assert_true(offered(w, "b") && !offered(w, "c"));
	assert_int_equal(want(w, "c", HF_EXCLUSIVE, 0), HF_HELD);
	assert_int_equal(want_now(w, "d"), HF_HELD); /* no barging */
	assert_int_equal(want(w, "b", HF_EXCLUSIVE, 0), HF_OK);
	assert_int_equal(w->v.token, 2);
	assert_int_equal(w->now.waiter_count, 1);
	give_back(w, "b");
	assert_int_equal(want(w, "c", HF_EXCLUSIVE, 0), HF_OK);
	assert_int_equal(w->now.waiter_count, 0);
}

static void priority__goes_first_and_waiting_raises_it(void **state)
{
	world *w = *state;
	char id[16];
	int turns;

	assert_int_equal(want(w, "held", HF_EXCLUSIVE, 0), HF_OK);
	assert_int_equal(want(w, "low", HF_EXCLUSIVE, 0), HF_HELD);
	hf_copy(id, sizeof(id), "held");
	for (turns = 0; turns < 100 && !offered(w, "low"); turns++) {
		char next[16];

		snprintf(next, sizeof(next), "high%d", turns);
		assert_int_equal(want(w, next, HF_EXCLUSIVE, 2), HF_HELD);
		give_back(w, id);
		if (offered(w, "low"))
			break;
		assert_int_equal(want(w, next, HF_EXCLUSIVE, 2), HF_OK);
		hf_copy(id, sizeof(id), next);
	}
	/* Two steps of priority are made up for by as many times that of turns. */
	assert_int_equal(turns, 2 * HF_QUEUE_AGING);
}

static void readers__go_in_together_but_not_past_a_writer(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "r0", HF_SHARED, 0), HF_OK);
	assert_int_equal(want(w, "w1", HF_EXCLUSIVE, 0), HF_HELD);
	assert_int_equal(want(w, "r1", HF_SHARED, 0), HF_HELD);
	assert_int_equal(want(w, "r2", HF_SHARED, 0), HF_HELD);
	give_back(w, "r0");
	assert_true(offered(w, "w1") && !offered(w, "r1"));
	assert_int_equal(want(w, "w1", HF_EXCLUSIVE, 0), HF_OK);
	give_back(w, "w1");
	assert_true(offered(w, "r1") && offered(w, "r2"));
	assert_int_equal(want(w, "r2", HF_SHARED, 0), HF_OK);
	assert_int_equal(want(w, "r1", HF_SHARED, 0), HF_OK);
	assert_int_equal(w->v.token, 4); /* of the claim, not of the offer */
}

static void offer__lapses_and_comes_back(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_EXCLUSIVE, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_EXCLUSIVE, 0), HF_HELD);
	assert_int_equal(want(w, "c", HF_EXCLUSIVE, 0), HF_HELD);
	give_back(w, "a");
	w->ms += 99;
	assert_int_equal(want(w, "c", HF_EXCLUSIVE, 0), HF_HELD);
	assert_int_equal(w->v.wait_ms, 1);
	w->ms += 1;
	assert_int_equal(want(w, "c", HF_EXCLUSIVE, 0), HF_OK);
	assert_int_equal(want(w, "d", HF_EXCLUSIVE, 0), HF_HELD);
	assert_int_equal(want(w, "b", HF_EXCLUSIVE, 0), HF_HELD); /* there again */
	give_back(w, "c");
	assert_true(offered(w, "b")); /* and in its old place */
}

static hf_status want_from(world *w, const char *id, const char *host)
{
	hf_request r = wanting(id, HF_EXCLUSIVE, 0);

	r.grant.process.host = host;
	ask(w, &r);
	return w->v.status;
}

static void offer__of_one_host_lapses_twice_for_all_of_it(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_EXCLUSIVE, 0), HF_OK);
	want_from(w, "g1", "gone");
	want_from(w, "g2", "gone");
	want_from(w, "g3", "gone");
	want_from(w, "g4", "gone");
	assert_int_equal(want(w, "z", HF_EXCLUSIVE, 0), HF_HELD);
	give_back(w, "a");
	assert_true(offered(w, "g1"));
	w->ms += 100;
	assert_int_equal(want(w, "z", HF_EXCLUSIVE, 0), HF_HELD);
	assert_true(offered(w, "g2"));
	w->ms += 100;
	assert_int_equal(want(w, "z", HF_EXCLUSIVE, 0), HF_OK);
	give_back(w, "z");
	assert_true(offered(w, "g3")); /* before those who let one lapse themselves */
}

/* One who is stopped is no reason to pass all of his host. */
static void offer__that_lapses_sets_only_him_back(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_EXCLUSIVE, 0), HF_OK);
	want_from(w, "stopped", "here");
	want_from(w, "b", "here");
	want_from(w, "c", "here");
	give_back(w, "a");
	w->ms += 100;
	assert_int_equal(want_from(w, "new", "here"), HF_HELD);
	assert_true(offered(w, "b"));
	assert_int_equal(want_from(w, "b", "here"), HF_OK);
	give_back(w, "b");
	assert_int_equal(want_from(w, "c", "here"), HF_OK);
	give_back(w, "c");
	assert_int_equal(want_from(w, "new", "here"), HF_OK);
	give_back(w, "new");
	assert_true(offered(w, "stopped"));
}

/* Two are stopped; whoever of the host comes next shows that the others are there. */
static void host__that_shows_itself_is_not_passed_by_newcomers(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_EXCLUSIVE, 0), HF_OK);
	want_from(w, "s1", "here");
	want_from(w, "s2", "here");
	want_from(w, "b", "here");
	give_back(w, "a");
	w->ms += 100;
	assert_int_equal(want(w, "other", HF_EXCLUSIVE, 0), HF_HELD);
	assert_true(offered(w, "s2"));
	w->ms += 100;
	assert_int_equal(want_from(w, "new", "here"), HF_HELD);
	assert_true(offered(w, "b"));
	assert_int_equal(want_from(w, "b", "here"), HF_OK);
}

static void waiter__that_is_dead_is_skipped_at_once(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_EXCLUSIVE, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_EXCLUSIVE, 0), HF_HELD);
	assert_int_equal(want(w, "c", HF_EXCLUSIVE, 0), HF_HELD);
	w->seen[0] = (hf_waiter_evidence){.probed = true, .dead = true};
	give_back(w, "a");
	assert_true(offered(w, "c"));
	assert_int_equal(hf_queue_find(&w->now, "b"), -1);
}

static void leaving__takes_the_place_out_and_passes_an_offer_on(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_EXCLUSIVE, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_EXCLUSIVE, 0), HF_HELD);
	assert_int_equal(want(w, "c", HF_EXCLUSIVE, 0), HF_HELD);
	give_back(w, "a");
	leave(w, "b");
	assert_true(w->v.swap && w->v.amend && offered(w, "c"));
	leave(w, "c");
	assert_int_equal(w->now.waiter_count, 0);
	leave(w, "c");
	assert_true(!w->v.swap && w->v.status == HF_OK);
}

static void force__goes_past_the_line_and_leaves_it_standing(void **state)
{
	world *w = *state;
	hf_request r = wanting("f", HF_EXCLUSIVE, 0);

	assert_int_equal(want(w, "a", HF_EXCLUSIVE, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_EXCLUSIVE, 0), HF_HELD);
	give_back(w, "a");
	r.queue = false;
	r.take = HF_TAKE_ALL;
	ask(w, &r);
	assert_int_equal(w->v.status, HF_OK);
	assert_false(offered(w, "b"));
	give_back(w, "f");
	assert_true(offered(w, "b"));
}

/* ---- upgrades ---- */

/* `place` is the id under which it waits. */
static hf_status upgrade(world *w, const char *id, const char *place)
{
	hf_request r = {.ask = HF_ASK_CONVERT,
		.grant = hf_grant_blank(),
		.who = {.id = id},
		.mode = HF_EXCLUSIVE,
		.queue = place[0] != '\0',
		.claim_ms = 100};

	r.grant.id = r.grant.group = place;
	r.grant.process.host = place;
	ask(w, &r);
	return w->v.status;
}

static void leave_upgrade(world *w, const char *id, const char *place)
{
	hf_request r = {.ask = HF_ASK_LEAVE,
		.grant = hf_grant_blank(),
		.who = {.id = id},
		.mode = HF_EXCLUSIVE};

	r.grant.id = r.grant.group = place;
	ask(w, &r);
}

static hf_status share(world *w, const char *id, const char *group, uint32_t limit)
{
	hf_request r = wanting(id, HF_SHARED, 0);

	r.grant.group = group;
	r.grant.limit = limit;
	ask(w, &r);
	return w->v.status;
}

static void upgrade__goes_before_the_line(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_SHARED, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_SHARED, 0), HF_OK);
	assert_int_equal(want(w, "first", HF_EXCLUSIVE, 9), HF_HELD);
	assert_int_equal(upgrade(w, "a", "up"), HF_HELD);
	assert_true(w->v.swap && w->v.amend && w->v.waits && w->v.ahead == 0);
	assert_int_equal(w->v.blocker, 1); /* not itself */
	assert_int_equal(upgrade(w, "a", "up"), HF_HELD);
	assert_false(w->v.swap);
	assert_int_equal(w->now.waiter_count, 2);
	give_back(w, "b");
	assert_true(offered(w, "up") && !offered(w, "first"));
	assert_int_equal(upgrade(w, "a", "up"), HF_OK);
	assert_int_equal(w->v.token, 3);
	assert_int_equal(w->now.grants[0].mode, HF_EXCLUSIVE);
	assert_int_equal(w->now.waiter_count, 1);
	give_back(w, "a");
	assert_true(offered(w, "first"));
}

static void upgrade__lets_no_newcomer_in(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_SHARED, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_SHARED, 0), HF_OK);
	assert_int_equal(upgrade(w, "a", "up"), HF_HELD);
	assert_int_equal(want(w, "new", HF_SHARED, 9), HF_HELD);
	assert_int_equal(share(w, "inner", "b", 0), HF_OK); /* re-entry goes on */
	give_back(w, "inner");
	give_back(w, "b");
	assert_int_equal(want(w, "new", HF_SHARED, 9), HF_HELD);
	leave_upgrade(w, "a", "up");
	assert_true(w->v.swap && !w->v.token && offered(w, "new"));
	assert_int_equal(want(w, "new", HF_SHARED, 9), HF_OK);
	assert_int_equal(w->now.grant_count, 2);
}

static void upgrade__that_is_had_is_not_left(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_SHARED, 0), HF_OK);
	assert_int_equal(upgrade(w, "a", "up"), HF_OK);
	leave_upgrade(w, "a", "up");
	assert_true(!w->v.swap && w->v.status == HF_OK);
	assert_int_equal(w->v.token, 2);
}

static void upgrade__of_two_are_in_each_others_way(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_SHARED, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_SHARED, 0), HF_OK);
	assert_int_equal(upgrade(w, "a", "up a"), HF_HELD);
	assert_int_equal(upgrade(w, "b", "up b"), HF_HELD);
	assert_int_equal(upgrade(w, "b", ""), HF_HELD); /* nor without waiting */
	assert_true(!offered(w, "up a") && !offered(w, "up b"));
	leave_upgrade(w, "a", "up a");
	assert_false(offered(w, "up b"));
	give_back(w, "a");
	assert_int_equal(upgrade(w, "b", "up b"), HF_OK);
}

static void upgrade__of_one_group_do_not_mind_each_other(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_SHARED, 0), HF_OK);
	assert_int_equal(share(w, "inner", "a", 0), HF_OK);
	assert_int_equal(want(w, "b", HF_SHARED, 0), HF_OK);
	assert_int_equal(upgrade(w, "a", "up a"), HF_HELD);
	assert_int_equal(upgrade(w, "inner", "up i"), HF_HELD);
	give_back(w, "b");
	assert_true(offered(w, "up a") && offered(w, "up i"));
	assert_int_equal(upgrade(w, "inner", "up i"), HF_OK);
	assert_int_equal(upgrade(w, "a", "up a"), HF_OK);
	assert_int_equal(w->v.token, 3); /* that of the one beside it */
}

static void upgrade__goes_with_its_hold(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_SHARED, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_SHARED, 0), HF_OK);
	assert_int_equal(upgrade(w, "a", "up"), HF_HELD);
	assert_int_equal(want(w, "new", HF_SHARED, 0), HF_HELD);
	give_back(w, "a");
	assert_int_equal(hf_queue_find(&w->now, "up"), -1);
	assert_true(offered(w, "new"));
	assert_int_equal(upgrade(w, "a", "up"), HF_NOT_OWNER);
}

static void upgrade__of_the_dead_is_skipped(void **state)
{
	world *w = *state;

	assert_int_equal(want(w, "a", HF_SHARED, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_SHARED, 0), HF_OK);
	assert_int_equal(upgrade(w, "a", "up"), HF_HELD);
	w->seen[0] = (hf_waiter_evidence){.probed = true, .dead = true};
	assert_int_equal(want(w, "new", HF_SHARED, 0), HF_OK);
	assert_int_equal(w->now.waiter_count, 0);
}

static void upgrade__of_one_of_a_few_needs_no_place(void **state)
{
	world *w = *state;

	assert_int_equal(share(w, "a", "a", 2), HF_OK);
	assert_int_equal(share(w, "b", "b", 2), HF_OK);
	assert_int_equal(upgrade(w, "a", "up"), HF_HELD);
	give_back(w, "b");
	assert_true(offered(w, "up"));
	assert_int_equal(share(w, "c", "c", 2), HF_HELD);
	assert_int_equal(upgrade(w, "a", "up"), HF_OK);
	assert_int_equal(w->now.grants[0].limit, 2);
}

/* It lapses as any offer does; what was held stays held. */
static void upgrade__that_does_not_come_loses_its_place(void **state)
{
	world *w = *state;
	int i;

	assert_int_equal(want(w, "a", HF_SHARED, 0), HF_OK);
	assert_int_equal(want(w, "b", HF_SHARED, 0), HF_OK);
	assert_int_equal(upgrade(w, "a", "up"), HF_HELD);
	give_back(w, "b");
	for (i = 0; i < HF_QUEUE_MISSES; i++) {
		assert_int_equal(want(w, "new", HF_SHARED, 0), HF_HELD);
		w->ms += 100;
	}
	assert_int_equal(want(w, "new", HF_SHARED, 0), HF_OK);
	assert_int_equal(w->now.waiter_count, 0);
	assert_int_equal(w->now.grant_count, 2);
}

static void upgrade__waits_for_the_lock_delay(void **state)
{
	world *w = *state;
	hf_request r = wanting("b", HF_SHARED, 0);

	assert_int_equal(want(w, "a", HF_SHARED, 0), HF_OK);
	r.grant.ttl_ms = 1000;
	r.grant.lock_delay_ms = 500;
	ask(w, &r);
	assert_int_equal(w->v.status, HF_OK);
	w->ms += 1001; /* b has expired */
	assert_int_equal(upgrade(w, "a", "up"), HF_HELD);
	assert_int_equal(upgrade(w, "a", "up"), HF_HELD);
	assert_int_equal(w->v.wait_ms, 499);
	w->ms += 499;
	assert_int_equal(upgrade(w, "a", "up"), HF_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(release__hands_over_to_who_came_first),
		TEST(priority__goes_first_and_waiting_raises_it),
		TEST(readers__go_in_together_but_not_past_a_writer),
		TEST(offer__lapses_and_comes_back),
		TEST(offer__of_one_host_lapses_twice_for_all_of_it),
		TEST(offer__that_lapses_sets_only_him_back),
		TEST(host__that_shows_itself_is_not_passed_by_newcomers),
		TEST(waiter__that_is_dead_is_skipped_at_once),
		TEST(leaving__takes_the_place_out_and_passes_an_offer_on),
		TEST(force__goes_past_the_line_and_leaves_it_standing),
		TEST(upgrade__goes_before_the_line),
		TEST(upgrade__lets_no_newcomer_in),
		TEST(upgrade__that_is_had_is_not_left),
		TEST(upgrade__of_two_are_in_each_others_way),
		TEST(upgrade__of_one_group_do_not_mind_each_other),
		TEST(upgrade__goes_with_its_hold),
		TEST(upgrade__of_the_dead_is_skipped),
		TEST(upgrade__of_one_of_a_few_needs_no_place),
		TEST(upgrade__that_does_not_come_loses_its_place),
		TEST(upgrade__waits_for_the_lock_delay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
