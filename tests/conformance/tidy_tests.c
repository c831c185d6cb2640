/* Bad input, tidying up, looking around; the same on every store. */
#include "held.h"

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
	unsigned names = world_scaled(git ? 5000 : 100000);
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

const struct CMUnitTest tidy_tests[] = {
	cmocka_unit_test(bad_input__is_refused_and_changes_nothing),
	cmocka_unit_test(bad_input__unknown_urls_say_what_to_do),
	cmocka_unit_test(cleanup__forgets_what_is_long_free_and_tokens_still_grow),
	cmocka_unit_test(cleanup__many_names_used_once_leave_a_small_space),
	cmocka_unit_test(list__shows_every_held_lock),
};
const size_t tidy_test_count = HF_ARRAY_LEN(tidy_tests);
