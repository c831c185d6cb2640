/* The host's line: who waits where, and what is not asked. */
#include "compose/host_line.h"
#include "line_world.h"

#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#define MOST 200

/* ---- many who wait ---- */

struct crowd {
	_Atomic int ready;
	_Atomic int inside;
	_Atomic int together; /* two were in at once */
	_Atomic int served;
	_Atomic int failed;
};

static int join_crowd(void *arg)
{
	struct crowd *c = arg;
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_with("");
	hf_lease *lease;

	o.wait_ms = 120000;
	c->ready++;
	if (hf_acquire(m, "crowded", &o, &lease, NULL)) {
		c->failed++;
	} else {
		c->together += c->inside++ > 0;
		c->served++;
		usleep(500);
		c->inside--;
		c->failed += hf_release(lease, NULL) != HF_OK;
	}
	hf_close(m);
	return 0;
}

struct expected {
	hf_manager *m;
	const char *name;
	size_t waiters;
};

static bool all_wait(void *arg)
{
	const struct expected *e = arg;

	return waiters(e->m, e->name) >= e->waiters;
}

static void line__has_one_of_this_host_wait_in_the_store(void **state)
{
	struct crowd *c = scratch_shared(sizeof(*c));
	int count = (int)scaled(60);
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	struct expected e = {m, "crowded", 0};
	hf_lease *lease = take_for_ever(off, "crowded");
	size_t most = 0;
	size_t least = MOST;
	pid_t pids[MOST];
	int i;

	(void)state;
	if (count > MOST)
		count = MOST;
	for (i = 0; i < count; i++)
		pids[i] = scratch_fork(join_crowd, c);
	e.waiters = (size_t)count;
	assert_true(eventually(all_wait, &e, 60000));
	least = waiters(off, "crowded");
	give_back(lease);
	while (c->served + c->failed < count) {
		size_t n = waiters(off, "crowded");

		most = n > most ? n : most;
		usleep(1000);
	}
	for (i = 0; i < count; i++)
		assert_int_equal(scratch_wait(pids[i]), 0);
	assert_int_equal(c->failed, 0);
	assert_int_equal(c->together, 0);
	assert_int_equal(least, 1);
	assert_true(most <= 1);
	assert_int_equal(waiters(m, "crowded"), 0);
	hf_close(m);
	hf_close(off);
}

static void line__serves_by_priority_then_arrival(void **state)
{
	hf_manager *m = open_with("");
	struct expected e = {m, "order", 0};
	hf_lease *lease = take_for_ever(m, "order");
	contender *c[4];
	pid_t pids[4];
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		c[i] = new_contender("order");
		c[i]->options.priority = i == 3 ? 5 : 0;
		c[i]->go = 1;
		pids[i] = contend(c[i]);
		e.waiters = (size_t)i + 1;
		assert_true(eventually(all_wait, &e, 20000));
	}
	give_back(lease);
	for (i = 0; i < 4; i++)
		contender_end(c[i], pids[i]);
	assert_true(c[3]->token < c[0]->token);
	assert_true(c[0]->token < c[1]->token);
	assert_true(c[1]->token < c[2]->token);
	hf_close(m);
}

static void line__and_store_are_shown_together(void **state)
{
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	struct expected e = {m, "shown", 0};
	hf_lease *lease = take_for_ever(off, "shown");
	contender *c[3];
	pid_t pids[3];
	hf_lock_info *info;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		c[i] = new_contender("shown");
		c[i]->options.owner = i == 0 ? "ann" : i == 1 ? "ben" : "cat";
		c[i]->options.mode = i == 2 ? HF_SHARED : HF_EXCLUSIVE;
		c[i]->go = 1;
		pids[i] = contend(c[i]);
		e.waiters = (size_t)i + 1;
		assert_true(eventually(all_wait, &e, 20000));
	}
	assert_int_equal(hf_lock_status(m, "shown", &info, NULL), HF_OK);
	assert_int_equal(info->holder_count, 1);
	assert_int_equal(info->waiter_count, 3);
	assert_string_equal(info->waiters[0].owner, "ann");
	assert_string_equal(info->waiters[1].owner, "ben");
	assert_string_equal(info->waiters[2].owner, "cat");
	assert_int_equal(info->waiters[2].mode, HF_SHARED);
	assert_int_equal(info->waiters[2].limit, 0);
	for (i = 0; i < 3; i++)
		assert_int_equal(info->waiters[i].in_line, i > 0);
	hf_lock_info_free(info);
	give_back(lease);
	for (i = 0; i < 3; i++)
		contender_end(c[i], pids[i]);
	hf_close(m);
	hf_close(off);
}

/* ---- what is not asked ---- */

static void try__behind_a_neighbour_does_not_ask_the_store(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_with("");
	hf_manager *other = open_with("");
	hf_lease *lease;
	hf_lease *none;
	hf_error error;
	long before;
	int i;

	(void)state;
	o.owner = "the neighbour";
	lease = take(m, "busy", &o);
	before = asked();
	for (i = 0; i < 50; i++) {
		assert_int_equal(try_it(other, "busy", NULL), HF_HELD);
		assert_int_equal(try_to_share(other, "busy"), HF_HELD);
		assert_int_equal(try_it(m, "busy", NULL), HF_HELD);
	}
	assert_int_equal(hf_try_acquire(other, "busy", NULL, &none, &error), HF_HELD);
	assert_non_null(strstr(error.text, "'busy' is held by the neighbour on "));
	o.strategy = HF_RETRY;
	o.max_retries = 3;
	o.backoff_min_ms = 1;
	o.backoff_max_ms = 5;
	assert_int_equal(hf_acquire(other, "busy", &o, &none, &error), HF_HELD);
	assert_true(asked() == before);
	/* It renews; nobody else asks. */
	give_back(lease);
	assert_int_equal(try_it(other, "busy", NULL), HF_OK);
	hf_close(other);
	hf_close(m);
}

static void wait__behind_a_neighbour_does_not_ask_the_store(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_with("");
	hf_manager *other = open_with("");
	hf_lease *lease = take_for_ever(m, "busy");
	hf_lease *none;
	long before;

	(void)state;
	before = asked();
	o.wait_ms = 1500;
	assert_int_equal(hf_acquire(other, "busy", &o, &none, NULL), HF_TIMED_OUT);
	assert_true(asked() == before);
	assert_int_equal(waiters(other, "busy"), 0);
	give_back(lease);
	hf_close(other);
	hf_close(m);
}

static size_t folders_of_lines(void)
{
	char pattern[600];
	glob_t found;
	size_t n;

	snprintf(pattern, sizeof(pattern), "%s/line-*", scratch_path("run"));
	n = glob(pattern, 0, NULL, &found) ? 0 : found.gl_pathc;
	globfree(&found);
	return n;
}

static void off__asks_the_store(void **state)
{
	hf_manager *m = open_with("?line=off");
	hf_manager *other = open_with("?line=off");
	hf_lease *lease = take_for_ever(m, "busy");
	long before = store_counts ? asked() : 0;

	(void)state;
	assert_int_equal(try_it(other, "busy", NULL), HF_HELD);
	if (store_counts)
		assert_true(asked() > before);
	give_back(lease);
	hf_close(other);
	hf_close(m);
	/* Nor is there a folder for it. */
	assert_int_equal(folders_of_lines(), 0);
}

static void off__and_on_exclude_each_other(void **state)
{
	hf_manager *off = open_with("?line=off");
	hf_manager *on = open_with("?line=on");
	hf_manager *elsewhere = open_in(scratch_path("run2"), "", NULL, NULL);
	hf_lease *lease = take_for_ever(off, "mixed");

	(void)state;
	assert_int_equal(try_it(on, "mixed", NULL), HF_HELD);
	give_back(lease);
	lease = take_for_ever(on, "mixed");
	assert_int_equal(try_it(off, "mixed", NULL), HF_HELD);
	assert_int_equal(try_it(elsewhere, "mixed", NULL), HF_HELD);
	give_back(lease);
	lease = take_for_ever(elsewhere, "mixed");
	assert_int_equal(try_it(on, "mixed", NULL), HF_HELD);
	give_back(lease);
	hf_close(elsewhere);
	hf_close(on);
	hf_close(off);
}

static void option__is_on_or_off(void **state)
{
	hf_manager *m = NULL;
	hf_error error;

	(void)state;
	assert_int_equal(hf_open("memory:?line=maybe", NULL, &m, &error), HF_INVALID);
	assert_non_null(strstr(error.text, "on or off"));
	assert_int_equal(hf_open("memory:?line=off", NULL, &m, &error), HF_OK);
	hf_close(m);
}

/* ---- sharers ---- */

static void sharers__go_together(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	struct expected e = {m, "pool", 2};
	hf_lease *first;
	hf_lease *second;
	contender *c[2];
	pid_t pids[2];
	int i;

	(void)state;
	o.mode = HF_SHARED;
	o.limit = 2;
	o.ttl_ms = 0;
	first = take(m, "pool", &o);
	second = take(m, "pool", &o);
	for (i = 0; i < 2; i++) {
		c[i] = new_contender("pool");
		c[i]->options.mode = HF_SHARED;
		c[i]->options.limit = 2;
		pids[i] = contend(c[i]);
	}
	assert_true(eventually(all_wait, &e, 20000));
	assert_int_equal(waiters(off, "pool"), 1);
	give_back(first);
	give_back(second);
	contender_wait(c[0]);
	contender_wait(c[1]);
	assert_int_equal(holders(m, "pool"), 2);
	for (i = 0; i < 2; i++)
		contender_end(c[i], pids[i]);
	hf_close(m);
	hf_close(off);
}

static bool swap_began(void *arg)
{
	return store_counts->swaps > *(long *)arg;
}

static void sharers__who_try_are_let_in_whoever_is_on_his_way(void **state)
{
	hf_manager *m;
	contender *c;
	long before;
	pid_t pid;

	(void)state;
	m = open_with("");
	c = new_contender("read");
	c->options.mode = HF_SHARED;
	before = store_counts->swaps;
	store_counts->late_ms = 1000;
	pid = contend(c);
	assert_true(eventually(swap_began, &before, 10000));
	store_counts->late_ms = 0;
	/* He has the place, and is not in yet. */
	assert_int_equal(try_to_share(m, "read"), HF_OK);
	assert_int_equal(try_it(m, "read", NULL), HF_HELD);
	contender_wait(c);
	contender_end(c, pid);
	hf_close(m);
}

static void place__is_given_back_by_who_shares_from_now_on(void **state)
{
	hf_manager *m = open_with("");
	hf_manager *other = open_with("");
	hf_lease *lease = take_for_ever(m, "weaker");

	(void)state;
	assert_int_equal(try_to_share(other, "weaker"), HF_HELD);
	assert_int_equal(hf_convert(lease, HF_SHARED, NULL, NULL), HF_OK);
	assert_int_equal(try_to_share(other, "weaker"), HF_OK);
	give_back(lease);
	hf_close(other);
	hf_close(m);
}

/* ---- the time of a place ---- */

static void place__stands_for_as_long_as_is_vouched_for(void **state)
{
	(void)state;
	/* Between two renewals, with some to spare; else HF_PLACE_MS. */
	assert_int_equal(hf_host_line_place_ms(30000, 0, true), HF_PLACE_MS);
	assert_int_equal(hf_host_line_place_ms(90000, 0, true), 45000);
	assert_int_equal(hf_host_line_place_ms(300000, 30000, true), 45000);
	assert_int_equal(hf_host_line_place_ms(3600000, 0, true), HF_PLACE_MS);
	assert_int_equal(hf_host_line_place_ms(3600000, 0, false), HF_PLACE_MS);
	assert_int_equal(hf_host_line_place_ms(0, 0, false), HF_PLACE_MS);
	/* Never longer than the lease. */
	assert_int_equal(hf_host_line_place_ms(1000, 0, true), 1000);
	assert_int_equal(hf_host_line_place_ms(100, 20, false), 100);
}

/* ---- counting ---- */

static void metrics__count_an_acquisition_once(void **state)
{
	hf_manager *m = open_with("");
	hf_lease *lease = take_for_ever(m, "counted");
	struct expected e = {m, "counted", 1};
	hf_manager *own = open_with("");
	contender *c = new_contender("counted");
	hf_metrics metrics = HF_METRICS_INIT;
	pid_t pid;

	(void)state;
	pid = contend(c);
	assert_true(eventually(all_wait, &e, 20000));
	assert_int_equal(try_it(own, "counted", NULL), HF_HELD);
	give_back(lease);
	contender_wait(c);
	contender_end(c, pid);
	give_back(take_for_ever(own, "counted"));
	assert_int_equal(hf_metrics_get(own, NULL, &metrics, NULL), HF_OK);
	assert_int_equal(metrics.acquisitions, 1);
	assert_int_equal(metrics.releases, 1);
	assert_int_equal(metrics.conflicts, 1);
	assert_int_equal(metrics.failed_held, 1);
	assert_int_equal(metrics.wait.count, 1);
	hf_close(own);
	hf_close(m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(line__has_one_of_this_host_wait_in_the_store),
		TEST(line__serves_by_priority_then_arrival),
		TEST(line__and_store_are_shown_together),
		TEST(off__asks_the_store),
		TEST(off__and_on_exclude_each_other),
		TEST(option__is_on_or_off),
		TEST(sharers__go_together),
		TEST(place__is_given_back_by_who_shares_from_now_on),
		TEST(place__stands_for_as_long_as_is_vouched_for),
		TEST(metrics__count_an_acquisition_once),
		/* What is asked of git is not counted. */
		TEST(try__behind_a_neighbour_does_not_ask_the_store),
		TEST(wait__behind_a_neighbour_does_not_ask_the_store),
		TEST(sharers__who_try_are_let_in_whoever_is_on_his_way),
	};

	return line_main(argc, argv, "host_line", tests, HF_ARRAY_LEN(tests), 3);
}
