/* Bad input, tidying up, looking around; the same on every store. */
#include "../held.h"
#include "world.h"

#include <stdio.h>
#include <unistd.h>

/* ---- bad input ---- */

static void bad_input__is_refused_and_changes_nothing(void **state)
{
	hf_manager *m = world_open();
	char long_name[HF_NAME_MAX + 2];
	hf_acquire_options o;
	int i;

	(void)state;
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_int_equal(try_it(m, "", NULL), HF_INVALID);
	assert_int_equal(try_it(m, "tab\there", NULL), HF_INVALID);
	assert_int_equal(try_it(m, "\xff\xfe", NULL), HF_INVALID);
	assert_int_equal(try_it(m, long_name, NULL), HF_INVALID);
	for (i = 0; i < 8; i++) {
		o = (hf_acquire_options)HF_ACQUIRE_OPTIONS_INIT;
		o.ttl_ms = i == 0 ? 5 : i == 1 ? -1 : o.ttl_ms;
		o.limit = i == 2 ? 3 : 0; /* without shared */
		o.lock_delay_ms = i == 3 ? -5 : 0;
		o.info = i == 4 ? "not json" : NULL;
		o.owner = i == 5 ? "new\nline" : NULL;
		o.size = i == 6 ? 3 : o.size;
		o.mode = i == 7 ? (hf_mode)9 : o.mode;
		assert_int_equal(try_it(m, "fine", &o), HF_INVALID);
	}
	assert_int_equal(holders(m, "fine"), 0);
	hf_close(m);
}

static void bad_input__unknown_urls_say_what_to_do(void **state)
{
	static const char *const urls[] = {"", "nothing", "nosuch:x", "file:/tmp?what=1",
		"memory:?x", "../evil:x", "file:%zz", "memory:x?a=1&a=2"};
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(urls); i++) {
		hf_manager *m = NULL;
		hf_error error = {.kind = HF_OK};

		assert_int_equal(hf_open(urls[i], NULL, &m, &error), HF_INVALID);
		assert_null(m);
		assert_true(strlen(error.text) > 20);
	}
}

static void cleanup__forgets_what_is_long_free_and_tokens_still_grow(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("forgotten");
	hf_cleanup_report report;
	hf_lease *lease;
	hf_error error;
	uint64_t token = 0;
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		lease = take(m, name, NULL);
		assert_true(hf_lease_token(lease) > token);
		token = hf_lease_token(lease);
		if (i == 2) { /* held: not forgotten */
			if (hf_cleanup(m, 0, &report, &error))
				fail_msg("%s", error.text);
			assert_int_equal(holders(m, name), 1);
		}
		give_back(lease);
		if (hf_cleanup(m, 0, &report, &error))
			fail_msg("%s", error.text);
	}
	hf_close(m);
}

/* R8: names used once do not pile up. Objects of git are for its own gc. */
static void cleanup__many_names_used_once_leave_a_small_space(void **state)
{
	bool git = !strncmp(under_test.kind, "git", 3);
	/* layout=flock keeps its records as file: does, and takes minutes for as many. */
	bool few = !strcmp(under_test.kind, "flock");
	unsigned names = world_scaled(git ? 5000 : few ? 10000 : 100000);
	hf_manager *m = world_open();
	hf_cleanup_report report;
	int64_t before;
	hf_error error;
	unsigned i;

	(void)state;
	assert_int_equal(hf_cleanup(m, 0, NULL, &error), HF_OK);
	before = world_bytes();
	for (i = 0; i < names; i++) {
		char name[64];

		snprintf(name, sizeof(name), "used/once/%u", i);
		give_back(take(m, name, NULL));
	}
	if (hf_cleanup(m, 0, &report, &error))
		fail_msg("%s", error.text);
	assert_true(report.forgotten >= names);
	if (git) {
		char repo[300];
		const char *const gc[] = {
			"git", "-C", repo, "-c", "gc.auto=0", "gc", "-q", "--prune=now", NULL};

		snprintf(repo, sizeof(repo), "%s/repo", under_test.dir);
		world_command(gc);
	}
	/* Of ext4 a folder keeps the size that its entries once needed. */
	if (under_test.processes && world_bytes() > before + 16 * 1024 * 1024)
		fail_msg("%lld bytes after %lld", (long long)world_bytes(), (long long)before);
	hf_close(m);
}

static int list_count(void *arg, const hf_lock_info *info)
{
	size_t *n = arg;

	*n += info->holder_count;
	return 0;
}

static void list__shows_every_held_lock(void **state)
{
	hf_manager *m = world_open();
	hf_lease *leases[10];
	size_t before = 0;
	size_t after = 0;
	hf_error error;
	int i;

	(void)state;
	assert_int_equal(hf_list(m, list_count, &before, &error), HF_OK);
	for (i = 0; i < 10; i++)
		leases[i] = take(m, world_name("list/of/ten"), NULL);
	assert_int_equal(hf_list(m, list_count, &after, &error), HF_OK);
	assert_int_equal(after, before + 10);
	for (i = 0; i < 10; i++)
		give_back(leases[i]);
	hf_close(m);
}

/* ---- damage ---- */

static uint64_t token_of_one(hf_manager *m, const char *name)
{
	hf_lease *lease = take(m, name, NULL);
	uint64_t token = hf_lease_token(lease);

	give_back(lease);
	return token;
}

/* It is refused without even_corrupt, and with it goes, and tokens grow on. */
static void replace(hf_manager *m, const char *name, uint64_t token)
{
	hf_lock_info *info;
	size_t ended = 7;
	hf_error error;

	assert_int_equal(hf_force_release(m, name, NULL, 0, &ended, &error), HF_CORRUPT);
	assert_int_equal(ended, 0);
	assert_int_equal(try_it(m, name, NULL), HF_CORRUPT);
	if (hf_force_release(m, name, "mender", 1, &ended, &error))
		fail_msg("%s", error.text);
	assert_int_equal(ended, 0);
	assert_int_equal(hf_lock_status(m, name, &info, &error), HF_OK);
	assert_int_equal(info->state, HF_OK);
	hf_lock_info_free(info);
	assert_int_equal(holders(m, name), 0);
	assert_true(token_of_one(m, name) > token);
}

static void damage__that_the_store_can_read_is_replaced_by_force(void **state)
{
	static const char *const junk[] = {"not a record", "holdfast 999\nlock\nend\n",
		"holdfast 1\nlock name=other gen=1 token=1\nevent gen=1\nend\n"};
	hf_manager *m = world_open();
	char name[128];
	size_t i;

	(void)state;
	hf_copy(name, sizeof(name), world_name("junk"));
	for (i = 0; i < HF_ARRAY_LEN(junk); i++) {
		uint64_t token = token_of_one(m, name);

		world_put_record(name, junk[i]);
		replace(m, name, token);
	}
	hf_close(m);
}

static void damage__that_the_store_cannot_read_is_replaced_by_force(void **state)
{
	hf_manager *m = world_open_if(under_test.processes);
	hf_lock_info *info;
	hf_error error;
	char name[128];
	uint64_t token;
	hf_status now;

	(void)state;
	hf_copy(name, sizeof(name), world_name("broken"));
	token = token_of_one(m, name);
	world_damage(name);
	assert_int_equal(hf_lock_status(m, name, &info, &error), HF_OK);
	now = info->state;
	hf_lock_info_free(info);
	/* In git-history the ref is put right from the slot file, which is whole. */
	if (now == HF_OK && !strcmp(under_test.kind, "git-history"))
		assert_true(token_of_one(m, name) > token);
	else
		replace(m, name, token);
	hf_close(m);
}

static int force(int i, void *arg)
{
	hf_manager *m = world_open();
	hf_error error = {.text = ""};
	hf_status st = hf_force_release(m, arg, NULL, 1, NULL, &error);

	if (st)
		printf("# %d: %s: %s\n", i, hf_status_name(st), error.text);
	hf_close(m);
	return st != HF_OK;
}

static void damage__is_replaced_by_whoever_comes_first(void **state)
{
	unsigned rounds = world_scaled(10);
	char name[128];

	(void)state;
	hf_copy(name, sizeof(name), world_name("together"));
	while (rounds-- > 0) {
		world_put_record(name, "junk");
		world_run(4, force, name, 60);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(bad_input__is_refused_and_changes_nothing),
	cmocka_unit_test(bad_input__unknown_urls_say_what_to_do),
	cmocka_unit_test(cleanup__forgets_what_is_long_free_and_tokens_still_grow),
	cmocka_unit_test(cleanup__many_names_used_once_leave_a_small_space),
	cmocka_unit_test(list__shows_every_held_lock),
	cmocka_unit_test(damage__that_the_store_can_read_is_replaced_by_force),
	cmocka_unit_test(damage__that_the_store_cannot_read_is_replaced_by_force),
	cmocka_unit_test(damage__is_replaced_by_whoever_comes_first),
};
const test_group tidy_tests = TEST_GROUP(tests);
