/* The file of metrics: what is kept, in which bounds, and beginning anew. */
#include "metrics_helper.h"

#include <stdio.h>
#include <sys/stat.h>

/* ---- what is kept ---- */

static void file__keeps_every_counter(void **state)
{
	hf_metrics m = HF_METRICS_INIT;
	const cli_metric *metric;
	hf_metrics got;
	uint64_t n = 1;
	bool damaged;

	(void)state;
	for (metric = cli_metric_table(); metric->name; metric++)
		memcpy((char *)&m + metric->offset, &n, sizeof(n)), n++;
	/* There is no counter that the table forgets. */
	assert_int_equal(n - 1, (offsetof(hf_metrics, wait) - sizeof(size_t)) / sizeof(n));
	assert_true(add_metrics(STORE, "a", &m, &damaged));
	got = of(STORE, "a");
	assert_memory_equal(&got, &m, sizeof(m));
	assert_true(add_metrics(STORE, "a", &m, &damaged));
	assert_int_equal(of(STORE, "a").losses, 2 * m.losses);
}

static void file__is_for_its_user_alone(void **state)
{
	struct stat st;

	(void)state;
	assert_true(add(STORE, "a"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(st.st_size <= CLI_METRICS_PAGES * CLI_METRICS_PAGE);
}

static void file__is_sorted_and_tells_stores_apart(void **state)
{
	cli_metrics_filter filter = {.store = "file:/b"};
	cli_metrics_list list;

	(void)state;
	assert_true(add("file:/b", "x") && add("file:/a", "x") && add("file:/b", "w"));
	list = read_all();
	assert_int_equal(list.count, 3);
	assert_string_equal(list.items[0].name, "w");
	assert_string_equal(list.items[1].store, "file:/a");
	cli_metrics_list_clear(&list);
	assert_int_equal(cli_metrics_file_read(path, &filter, &list, NULL), HF_OK);
	assert_int_equal(list.count, 2);
	cli_metrics_list_clear(&list);
}

static void counters__stay_at_their_greatest(void **state)
{
	hf_metrics m = one();
	bool damaged;

	(void)state;
	m.acquisitions = UINT64_MAX - 1;
	m.hold.total_us = UINT64_MAX;
	assert_true(add_metrics(STORE, "a", &m, &damaged));
	assert_true(add_metrics(STORE, "a", &m, &damaged));
	assert_true(of(STORE, "a").acquisitions == UINT64_MAX);
	assert_true(of(STORE, "a").hold.total_us == UINT64_MAX);
	assert_int_equal(of(STORE, "a").releases, 2);
}

static void add_numbered(int first, int count)
{
	char name[20];
	int i;

	for (i = first; i < first + count; i++) {
		snprintf(name, sizeof(name), "lock-%d", i);
		assert_true(add(STORE, name));
	}
}

static void names__that_have_no_page_share_one(void **state)
{
	cli_metrics_list list;

	(void)state;
	add_numbered(0, 500);
	add_numbered(0, 500);
	assert_int_equal(acquisitions(), 1000);
	list = read_all();
	assert_true(list.count > 240);
	assert_string_equal(list.items[0].name, "");
	assert_int_equal(list.items[0].metrics.acquisitions, 2 * (500 - (list.count - 1)));
	cli_metrics_list_clear(&list);
	assert_counted(STORE, "lock-0", 2);
	assert_counted(STORE, "lock-99", 2);
}

/* How many names have a page of their own. */
static size_t named(void)
{
	cli_metrics_list list = read_all();
	size_t n = list.count;

	if (n > 0 && !list.items[0].name[0])
		n--;
	cli_metrics_list_clear(&list);
	return n;
}

static void names__unused_for_a_day_make_room_and_no_count_goes(void **state)
{
	cli_metrics_filter filter = {.name = "late"};
	uint64_t rest;

	(void)state;
	add_numbered(0, 1000);
	rest = of("", "").acquisitions;
	assert_int_equal(named(), 256);
	now_s += 86400;
	assert_true(add(STORE, "early")); /* not yet */
	assert_counted(STORE, "early", 0);
	assert_counted("", "", rest + 1);
	now_s += 1;
	assert_true(add(STORE, "late"));
	assert_true(add(STORE, "late"));
	assert_counted(STORE, "late", 2);
	assert_counted("", "", rest + 2);
	assert_int_equal(acquisitions(), 1000 + 1 + 2);
	assert_int_equal(named(), 256);
	/* The page is begun anew without what it has of others. */
	assert_int_equal(cli_metrics_file_reset(path, &filter, NULL), HF_OK);
	assert_counted("", "", rest + 2);
	assert_int_equal(named(), 255);
	now_s -= 86401;
}

/* A lock that is used every day keeps what is its own. */
static void names__without_end_stay_within_bounds(void **state)
{
	int rounds = (int)(10 * scaled(1000));
	struct stat st;
	int i;

	(void)state;
	for (i = 0; i < rounds; i += 100) {
		add_numbered(i, 100);
		assert_true(add(STORE, "always"));
		now_s += 40000;
	}
	assert_int_equal(acquisitions(), rounds + rounds / 100);
	assert_counted(STORE, "always", (uint64_t)rounds / 100);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size <= CLI_METRICS_PAGES * CLI_METRICS_PAGE);
	now_s = 1700000000;
}

static void keys__of_the_longest_name_fit_and_others_go_to_the_rest(void **state)
{
	char name[201];
	char store[4097];

	(void)state;
	memset(name, 'n', 200);
	name[200] = '\0';
	memset(store, 's', 4096);
	store[4096] = '\0';
	assert_true(add(store, name)); /* too long to stand for itself */
	assert_true(add("file:/a\nb", name));
	assert_counted("", "", 2);
	store[1100] = '\0';
	assert_true(add(store, name));
	assert_counted(store, name, 1);
}

/* ---- damage ---- */

/* ---- beginning anew ---- */

static void reset__is_of_all_or_of_some(void **state)
{
	cli_metrics_filter some = {.name = "a"};
	cli_metrics_list list;

	(void)state;
	assert_int_equal(cli_metrics_file_reset(path, &some, NULL), HF_OK); /* no file */
	assert_true(add(STORE, "a") && add("file:/b", "a") && add(STORE, "b"));
	some.store = STORE;
	assert_int_equal(cli_metrics_file_reset(path, &some, NULL), HF_OK);
	assert_counted(STORE, "a", 0);
	assert_counted("file:/b", "a", 1);
	assert_counted(STORE, "b", 1);
	some = (cli_metrics_filter){NULL, NULL};
	assert_int_equal(cli_metrics_file_reset(path, &some, NULL), HF_OK);
	list = read_all();
	assert_int_equal(list.count, 0);
	assert_int_equal(list.damaged, 0);
	cli_metrics_list_clear(&list);
	assert_true(add(STORE, "b"));
	assert_counted(STORE, "b", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(file__keeps_every_counter),
		IN_FOLDER(file__is_for_its_user_alone),
		IN_FOLDER(file__is_sorted_and_tells_stores_apart),
		IN_FOLDER(counters__stay_at_their_greatest),
		IN_FOLDER(names__that_have_no_page_share_one),
		IN_FOLDER(names__unused_for_a_day_make_room_and_no_count_goes),
		IN_FOLDER(names__without_end_stay_within_bounds),
		IN_FOLDER(keys__of_the_longest_name_fit_and_others_go_to_the_rest),
		IN_FOLDER(reset__is_of_all_or_of_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
