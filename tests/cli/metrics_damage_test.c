/* The file of metrics damaged, or something else at its path. */
#include "metrics_helper.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(off_t at, const char *bytes, size_t n)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void damage__costs_one_page_which_begins_anew_and_is_told(void **state)
{
	cli_metrics_list list;
	hf_metrics m = one();
	bool damaged;
	off_t at;

	(void)state;
	assert_true(add(STORE, "a"));
	at = only_page();
	assert_true(add(STORE, "b"));
	put(at + 60, "9", 1); /* a digit or a letter of the key: the checksum tells */
	assert_true(add_metrics(STORE, "a", &m, &damaged));
	assert_true(damaged);
	assert_counted(STORE, "a", 1);
	assert_counted(STORE, "b", 1);
	assert_true(add(STORE, "a"));
	put(at, "x", 1);
	list = read_all();
	assert_int_equal(list.damaged, 1);
	assert_int_equal(list.count, 1);
	cli_metrics_list_clear(&list);
	list = read_all();
	assert_int_equal(list.damaged, 0); /* told once */
	cli_metrics_list_clear(&list);
	assert_true(add(STORE, "a"));
	assert_counted(STORE, "a", 1);
}

static void damage__of_any_kind_is_survived(void **state)
{
	unsigned rounds = scaled(300);
	hf_rng rng;
	unsigned i;

	(void)state;
	hf_rng_seed(&rng, 11);
	for (i = 0; i < rounds; i++) {
		cli_metrics_list list;
		char junk[64];
		hf_metrics m = one();
		bool damaged;

		assert_true(add_metrics(STORE, "a", &m, &damaged));
		assert_true(add_metrics(STORE, "b", &m, &damaged));
		hf_random(junk, sizeof(junk));
		put((off_t)hf_rng_below(&rng, CLI_METRICS_PAGES * CLI_METRICS_PAGE), junk,
			1 + hf_rng_below(&rng, sizeof(junk)));
		if (i % 8 == 0)
			assert_int_equal(truncate(path, (off_t)hf_rng_below(&rng, 1 << 20)), 0);
		list = read_all();
		assert_true(list.count <= CLI_METRICS_PAGES);
		cli_metrics_list_clear(&list);
		assert_true(add(STORE, "a"));
	}
}

/* A page with a right checksum may still be another's idea of one. */
static void damage__that_has_a_right_checksum_is_seen_too(void **state)
{
	static const char *const bodies[] = {"", "\n\n", "s\nn\n1\n1\n1\n", "s\n\n",
		"\x01\n\x02\n", "s\nn\n-1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"};
	cli_page page;
	char summed[256];
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(bodies); i++) {
		int n = snprintf(summed, sizeof(summed), "%016llx 001700000000\n%s",
			(unsigned long long)cli_page_key("s", "n"), bodies[i]);

		n = snprintf(page.bytes, sizeof(page.bytes), "holdfast-metrics 1 %016llx %s",
			(unsigned long long)hf_hash(HF_HASH_INIT, summed, (size_t)n), summed);
		cli_page_decode(&page, (size_t)n);
		assert_int_equal(page.state, CLI_PAGE_DAMAGED);
	}
}

static void links__are_not_followed(void **state)
{
	static const cli_metrics_filter all = {NULL, NULL};
	cli_metrics_list list;
	char other[160];
	hf_error error;

	(void)state;
	assert_true(add(STORE, "a"));
	snprintf(other, sizeof(other), "%s/other", folder);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_false(add(STORE, "a"));
	assert_int_equal(cli_metrics_file_read(path, &all, &list, &error), HF_SYSTEM);
	cli_metrics_list_clear(&list);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_false(add(STORE, "a")); /* and does not hang */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(damage__costs_one_page_which_begins_anew_and_is_told),
		IN_FOLDER(damage__of_any_kind_is_survived),
		IN_FOLDER(damage__that_has_a_right_checksum_is_seen_too),
		IN_FOLDER(links__are_not_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
