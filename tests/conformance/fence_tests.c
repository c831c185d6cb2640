/* Fences: a resource never admits a smaller token, on every store. */
#include "../held.h"
#include "world.h"
#include "lock/fence.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define MOST ((uint64_t)1 << 62)

static hf_status show(hf_manager *m, const char *resource, uint64_t token)
{
	uint64_t seen = 12345;
	hf_error error = {.kind = HF_OK};
	hf_status st = hf_fence_admit(m, resource, token, &seen, &error);

	if (st == HF_OK)
		assert_true(seen == token);
	else if (st == HF_FENCED)
		assert_true(seen > token);
	else
		assert_true(seen == 0);
	if (st)
		assert_true(error.kind == st && strlen(error.text) > 20);
	return st;
}

static uint64_t seen_by(hf_manager *m, const char *resource)
{
	uint64_t seen = 12345;
	hf_error error;

	if (hf_fence_seen(m, resource, &seen, &error))
		fail_msg("%s: %s", resource, error.text);
	return seen;
}

static void fence__admits_equal_and_greater_tokens_and_no_smaller_one(void **state)
{
	hf_manager *m = world_open();
	const char *db = world_name("db");

	(void)state;
	assert_int_equal(seen_by(m, db), 0);
	assert_int_equal(show(m, db, 5), HF_OK);
	assert_int_equal(seen_by(m, db), 5);
	assert_int_equal(show(m, db, 4), HF_FENCED);
	assert_int_equal(show(m, db, 1), HF_FENCED);
	assert_int_equal(show(m, db, 5), HF_OK);
	assert_int_equal(show(m, db, 7), HF_OK);
	assert_int_equal(show(m, db, 6), HF_FENCED);
	assert_int_equal(show(m, db, MOST), HF_OK);
	assert_int_equal(show(m, db, MOST - 1), HF_FENCED);
	assert_true(seen_by(m, db) == MOST);
	assert_int_equal(hf_fence_admit(m, db, MOST, NULL, NULL), HF_OK);
	hf_close(m);
}

static void fence__bad_input_is_refused_and_leaves_nothing(void **state)
{
	hf_manager *m = world_open();
	const char *db = world_name("bad");
	char long_name[HF_NAME_MAX + 2];
	uint64_t seen = 7;

	(void)state;
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(show(m, db, 0), HF_INVALID);
	assert_int_equal(show(m, db, MOST + 1), HF_INVALID);
	assert_int_equal(show(m, db, UINT64_MAX), HF_INVALID);
	assert_int_equal(seen_by(m, db), 0);
	assert_int_equal(show(m, "", 1), HF_INVALID);
	assert_int_equal(show(m, "tab\there", 1), HF_INVALID);
	assert_int_equal(show(m, "\xff\xfe", 1), HF_INVALID);
	assert_int_equal(show(m, long_name, 1), HF_INVALID);
	assert_int_equal(hf_fence_seen(m, long_name, &seen, NULL), HF_INVALID);
	assert_int_equal(seen, 0);
	assert_int_equal(hf_fence_mend(m, db, 0, &seen, NULL), HF_INVALID);
	hf_close(m);
}

/* Two for each length around that from which a key is hashed, and odd ones. */
static void fence__every_name_is_a_fence_of_its_own(void **state)
{
	static const char *const odd[] = {"a/b", "a", "..", "-n", "x.lock", "%41", "a b",
		"holdfast:fence:a", "holdfast:fence#a", "\xf0\x9f\x94\x92", "#", ":"};
	static const size_t lengths[] = {184, 185, 186, 187, 199, 200};
	hf_manager *m = world_open();
	char name[HF_NAME_MAX + 1];
	size_t round;
	size_t i;

	(void)state;
	for (round = 0; round < 2; round++) {
		uint64_t token = 1000;

		for (i = 0; i < HF_ARRAY_LEN(odd); i++) {
			assert_int_equal(show(m, odd[i], --token), HF_OK);
			assert_true(seen_by(m, odd[i]) == token);
		}
		for (i = 0; i < 2 * HF_ARRAY_LEN(lengths); i++) {
			memset(name, '/', sizeof(name));
			name[lengths[i / 2]] = '\0';
			name[lengths[i / 2] - 1] = i % 2 ? 'x' : 'y';
			assert_int_equal(show(m, name, --token), HF_OK);
			assert_int_equal(show(m, name, token - 1), HF_FENCED);
		}
		/* The second round finds what the first has left. */
		hf_close(m);
		m = world_open();
	}
	hf_close(m);
}

struct search {
	const char *name;
	bool found;
	bool keys;
};

static int find_name(void *arg, const hf_lock_info *info)
{
	struct search *s = arg;

	s->found = s->found || !strcmp(info->name, s->name);
	s->keys = s->keys || hf_fence_is_key(info->name);
	return 0;
}

static void fence__is_no_lock_and_no_lock_can_have_its_name(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("both");
	struct search search = {.name = name};
	hf_acquire_options nowait = HF_ACQUIRE_OPTIONS_INIT;
	hf_lock_info *info = NULL;
	char key[HF_NAME_MAX + 1];
	hf_error error;
	hf_lease *lease;

	(void)state;
	hf_fence_key(name, key);
	assert_int_equal(show(m, name, MOST - 1), HF_OK);
	assert_int_equal(hf_list(m, find_name, &search, &error), HF_OK);
	assert_false(search.found || search.keys);
	nowait.wait_ms = 0;
	lease = take(m, name, &nowait);
	assert_true(hf_lease_token(lease) < MOST - 1);
	assert_int_equal(show(m, name, MOST), HF_OK);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(hf_list(m, find_name, &search, &error), HF_OK);
	assert_true(search.found && !search.keys);
	give_back(lease);
	assert_int_equal(try_it(m, key, NULL), HF_INVALID);
	assert_int_equal(hf_lock_status(m, key, &info, &error), HF_INVALID);
	assert_int_equal(hf_force_release(m, key, NULL, 1, NULL, &error), HF_INVALID);
	assert_int_equal(hf_history_prune(m, key, 1, &error), HF_INVALID);
	assert_true(seen_by(m, name) == MOST);
	hf_close(m);
}

static int count_lock(void *arg, const hf_lock_info *info)
{
	size_t *n = arg;

	(void)info;
	++*n;
	return 0;
}

static void fence__outlives_cleanup_and_reopening(void **state)
{
	hf_manager *m = world_open();
	char old[128];
	char fresh[140];
	hf_cleanup_report report;
	hf_error error;
	int i;

	(void)state;
	hf_copy(old, sizeof(old), world_name("kept"));
	assert_int_equal(show(m, old, 3), HF_OK);
	for (i = 0; i < 20; i++) {
		size_t locks = 0;

		give_back(take(m, world_name("forget-me"), NULL));
		assert_int_equal(hf_list(m, count_lock, &locks, &error), HF_OK);
		if (hf_cleanup(m, 0, &report, &error))
			fail_msg("%s", error.text);
		assert_int_equal(report.locks, locks); /* and no fences */
		hf_close(m);
		m = world_open();
		assert_int_equal(seen_by(m, old), 3);
	}
	assert_int_equal(show(m, old, 2), HF_FENCED);
	assert_int_equal(show(m, old, 3), HF_OK);
	/* A floor is for the counters of locks: nothing was seen here yet. */
	snprintf(fresh, sizeof(fresh), "%s-fresh", old);
	assert_int_equal(show(m, fresh, 1), HF_OK);
	hf_close(m);
}

static void fence__a_damaged_record_admits_nothing_until_it_is_mended(void **state)
{
	const char *db = world_name("damaged");
	hf_manager *m = world_open_if(under_test.processes);
	char key[HF_NAME_MAX + 1];
	uint64_t seen = 1;
	hf_error error;
	hf_status st;

	(void)state;
	assert_int_equal(show(m, db, 10), HF_OK);
	hf_close(m);
	hf_fence_key(db, key);
	world_damage(key);
	m = world_open();
	st = hf_fence_seen(m, db, &seen, &error);
	if (!strcmp(under_test.kind, "git-history") && !st) {
		/* The ref was put right from the slot file, which is whole. */
		assert_int_equal(seen, 10);
	} else {
		assert_int_equal(st, HF_CORRUPT);
		assert_int_equal(seen, 0);
		assert_int_equal(show(m, db, 5), HF_CORRUPT);
		assert_int_equal(show(m, db, 11), HF_CORRUPT);
		assert_int_equal(show(m, db, MOST), HF_CORRUPT);
	}
	if (hf_fence_mend(m, db, 12, &seen, &error))
		fail_msg("%s", error.text);
	assert_int_equal(seen, 12);
	assert_int_equal(seen_by(m, db), 12);
	assert_int_equal(show(m, db, 11), HF_FENCED);
	assert_int_equal(show(m, db, 12), HF_OK);
	/* A record that can be read is not replaced. */
	assert_int_equal(hf_fence_mend(m, db, 3, &seen, &error), HF_FENCED);
	assert_int_equal(seen, 12);
	hf_close(m);
}

static void fence__what_is_not_a_fence_admits_nothing(void **state)
{
	const char *db = world_name("junk");
	hf_manager *m = world_open();
	char key[HF_NAME_MAX + 1];
	uint64_t seen;
	hf_error error;

	(void)state;
	hf_fence_key(db, key);
	assert_int_equal(show(m, db, 20), HF_OK);
	assert_int_equal(show(m, db, 21), HF_OK);
	world_put_record(key, "holdfast 1\nlock name=x gen=1 token=1\nevent gen=1\nend\n");
	hf_close(m);
	m = world_open();
	assert_int_equal(show(m, db, 22), HF_CORRUPT);
	assert_int_equal(hf_fence_seen(m, db, &seen, &error), HF_CORRUPT);
	/* What the history still knows counts: 3 is not admitted by mending. */
	assert_int_equal(hf_fence_mend(m, db, 3, &seen, &error), HF_FENCED);
	assert_int_equal(seen, 21);
	assert_int_equal(show(m, db, 21), HF_OK);
	hf_close(m);
}

/* ---- races ---- */

#define GUESTS 8

struct gate {
	const char *resource;
	unsigned rounds;
	_Atomic uint64_t told; /* the greatest that was told to be admitted */
	_Atomic unsigned admitted;
	_Atomic unsigned refused;
	_Atomic unsigned wrong;
	_Atomic unsigned errors;
	char first_error[384];
};

static struct gate *new_gate(const char *hint)
{
	struct gate *g = world_shared(sizeof(*g));

	g->resource = world_name(hint);
	return g;
}

static void tell(struct gate *g, uint64_t token)
{
	uint64_t told = g->told;

	while (told < token && !atomic_compare_exchange_weak(&g->told, &told, token))
		;
}

/* One token; what was told before it was shown binds the answer. */
static bool pass(struct gate *g, hf_manager *m, uint64_t token)
{
	uint64_t before = g->told;
	uint64_t seen = 0;
	hf_error error;
	hf_status st = hf_fence_admit(m, g->resource, token, &seen, &error);

	if (st == HF_OK) {
		g->wrong += token < before || seen != token;
		tell(g, token);
		g->admitted++;
	} else if (st == HF_FENCED) {
		g->wrong += seen <= token || seen < before;
		g->refused++;
	} else if (atomic_fetch_add(&g->errors, 1) == 0) {
		hf_copy(g->first_error, sizeof(g->first_error), error.text);
	}
	return st == HF_OK || st == HF_FENCED;
}

static int come_often(int i, void *arg)
{
	struct gate *g = arg;
	hf_manager *m = world_open();
	unsigned round;
	hf_rng rng;

	hf_rng_seed(&rng, (uint64_t)i + 1);
	for (round = 0; round < g->rounds; round++) {
		uint64_t token = g->told + hf_rng_below(&rng, 12);

		if (!pass(g, m, token > 6 ? token - 5 : 1))
			break;
		/* The last one tidies up all the while. */
		if (i == GUESTS - 1 && round % 16 == 0 && hf_cleanup(m, 0, NULL, NULL))
			g->wrong++;
	}
	hf_close(m);
	return 0;
}

struct order {
	uint64_t last;
	unsigned lines;
	bool wrong;
};

/* Newest first: each is smaller than the one before. */
static int look_at_line(void *arg, const char *line)
{
	struct order *o = arg;
	char *copy = strdup(line);
	uint64_t token;

	assert_non_null(copy);
	token = hf_fence_line_token(copy);
	o->wrong = o->wrong || !token || (o->last && token >= o->last);
	o->last = token;
	o->lines++;
	free(copy);
	return 0;
}

static void check_order(const struct gate *g)
{
	register_under_test r = world_register();
	struct order order = {.last = 0};
	char key[HF_NAME_MAX + 1];
	hf_error error;

	hf_fence_key(g->resource, key);
	if (r.ops->history(r.store, key, 0, look_at_line, &order, &error))
		fail_msg("%s", error.text);
	assert_false(order.wrong);
	assert_true(order.lines > 0);
	world_register_close(&r);
}

static void fence__of_many_who_come_at_once_the_greatest_seen_never_goes_back(void **state)
{
	struct gate *g = new_gate("many");
	hf_manager *m = world_open();

	(void)state;
	g->rounds = world_scaled(250);
	world_run(GUESTS, come_often, g, 300);
	if (g->errors)
		fail_msg("%u errors, the first: %s", g->errors, g->first_error);
	assert_int_equal(g->wrong, 0);
	assert_int_equal(g->admitted + g->refused, GUESTS * g->rounds);
	assert_true(g->admitted > 0);
	if (g->rounds > 50)
		assert_true(g->refused > 0);
	assert_true(seen_by(m, g->resource) == g->told);
	check_order(g);
	hf_close(m);
}

static int come_for_ever(int i, void *arg)
{
	struct gate *g = arg;
	hf_manager *m = world_open();
	hf_rng rng;

	hf_rng_seed(&rng, (uint64_t)i * 1000 + (uint64_t)getpid());
	for (;;)
		if (!pass(g, m, g->told + 1 + hf_rng_below(&rng, 3)))
			return 1;
}

static bool is_busy(void *arg)
{
	struct gate *g = arg;

	return g->errors || g->admitted + g->refused >= g->rounds;
}

static void fence__guests_killed_at_random_take_nothing_back(void **state)
{
	struct gate *g = new_gate("killed");
	unsigned kills = world_scaled(60);
	hf_manager *m = world_open_if(under_test.processes);
	bool went_on = true;
	pid_t pids[4];
	hf_rng rng;
	unsigned k;
	int i;

	(void)state;
	hf_rng_seed(&rng, (uint64_t)getpid());
	for (i = 0; i < 4; i++)
		pids[i] = world_spawn(come_for_ever, i, g);
	for (k = 0; k < kills && went_on; k++) {
		uint64_t told;

		usleep((useconds_t)hf_rng_below(&rng, 15000));
		i = (int)hf_rng_below(&rng, 4);
		kill(pids[i], SIGKILL);
		world_wait(pids[i]);
		told = g->told;
		if (seen_by(m, g->resource) < told)
			g->wrong++;
		pids[i] = world_spawn(come_for_ever, i, g);
		g->rounds = g->admitted + g->refused + 4;
		went_on = eventually(is_busy, g, 20000);
	}
	for (i = 0; i < 4; i++) {
		kill(pids[i], SIGKILL);
		world_wait(pids[i]);
	}
	if (g->errors)
		fail_msg("%s", g->first_error);
	assert_int_equal(g->wrong, 0);
	assert_true(went_on);
	hf_close(m);
	m = world_open();
	assert_true(seen_by(m, g->resource) >= g->told);
	if (g->told > 1)
		assert_int_equal(show(m, g->resource, g->told - 1), HF_FENCED);
	check_order(g);
	hf_close(m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(fence__admits_equal_and_greater_tokens_and_no_smaller_one),
	cmocka_unit_test(fence__bad_input_is_refused_and_leaves_nothing),
	cmocka_unit_test(fence__every_name_is_a_fence_of_its_own),
	cmocka_unit_test(fence__is_no_lock_and_no_lock_can_have_its_name),
	cmocka_unit_test(fence__outlives_cleanup_and_reopening),
	cmocka_unit_test(fence__a_damaged_record_admits_nothing_until_it_is_mended),
	cmocka_unit_test(fence__what_is_not_a_fence_admits_nothing),
	cmocka_unit_test(fence__of_many_who_come_at_once_the_greatest_seen_never_goes_back),
	cmocka_unit_test(fence__guests_killed_at_random_take_nothing_back),
};
const test_group fence_tests = TEST_GROUP(tests);
