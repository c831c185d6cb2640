/* The file of metrics: many writers, killed ones, stopped ones, damage, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/metrics_page.h"

#define STORE "file:/srv/locks"

static char folder[64];
static char path[96];
static int64_t now_s = 1700000000;

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/holdfast-metrics-XXXXXX");
	snprintf(path, sizeof(path), "%s/state/holdfast/metrics-1", mkdtemp(folder));
	return 0;
}

static int teardown(void **state)
{
	char text[96];

	(void)state;
	snprintf(text, sizeof(text), "rm -r %s", folder);
	return system(text);
}

static hf_metrics one(void)
{
	hf_metrics m = HF_METRICS_INIT;

	m.acquisitions = m.wait.count = m.wait.buckets[3] = 1;
	m.wait.total_us = 500;
	m.releases = m.hold.count = m.hold.buckets[HF_HISTOGRAM_BUCKETS - 1] = 1;
	m.hold.total_us = 7;
	return m;
}

static bool add_metrics(
	const char *store, const char *name, const hf_metrics *m, bool *damaged_out)
{
	cli_metrics_addition what = {
		.store = store, .name = name, .metrics = m, .now_s = now_s};

	return cli_metrics_file_add(path, &what, damaged_out);
}

static bool add(const char *store, const char *name)
{
	hf_metrics m = one();
	bool damaged;

	return add_metrics(store, name, &m, &damaged) && !damaged;
}

static cli_metrics_list read_all(void)
{
	static const cli_metrics_filter all = {NULL, NULL};
	cli_metrics_list list;

	assert_int_equal(cli_metrics_file_read(path, &all, &list, NULL), HF_OK);
	return list;
}

/* What stands for a key; zeros if nothing does. */
static hf_metrics of(const char *store, const char *name)
{
	hf_metrics found = HF_METRICS_INIT;
	cli_metrics_list list = read_all();
	size_t i;

	for (i = 0; i < list.count; i++)
		if (!strcmp(list.items[i].store, store) && !strcmp(list.items[i].name, name))
			found = list.items[i].metrics;
	cli_metrics_list_clear(&list);
	return found;
}

static void assert_counted(const char *store, const char *name, uint64_t n)
{
	hf_metrics m = of(store, name);

	assert_int_equal(m.acquisitions, n);
	assert_int_equal(m.releases, n);
	assert_int_equal(m.wait.count, n);
	assert_int_equal(m.wait.buckets[3], n);
	assert_int_equal(m.wait.total_us, 500 * n);
	assert_int_equal(m.hold.buckets[HF_HISTOGRAM_BUCKETS - 1], n);
	assert_int_equal(m.hold.total_us, 7 * n);
}

static long scaled(long rounds)
{
	const char *scale = getenv("HF_TEST_SCALE");
	long n = scale ? rounds * atol(scale) / 100 : rounds;

	return n > 10 ? n : 10;
}

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

/* Of all there is. */
static uint64_t acquisitions(void)
{
	cli_metrics_list list = read_all();
	uint64_t sum = 0;
	size_t i;

	assert_int_equal(list.damaged, 0);
	assert_true(list.count <= CLI_METRICS_PAGES);
	for (i = 0; i < list.count; i++)
		sum += list.items[i].metrics.acquisitions;
	cli_metrics_list_clear(&list);
	return sum;
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

/* ---- many writers ---- */

#define WRITERS 6

static void add_or_die(const char *name)
{
	/* Dropping is allowed to whoever finds no way; here all go on. */
	while (!add(STORE, name))
		;
}

/* Half of all meet in one page, the others in pages of three names. */
static void write_much(int self, long rounds)
{
	char name[20];
	long i;

	snprintf(name, sizeof(name), "own-%d", self % 3);
	for (i = 0; i < rounds; i++)
		add_or_die(i % 2 ? "shared" : name);
	_exit(0);
}

static void counts__are_exact_with_many_processes(void **state)
{
	long rounds = 2 * scaled(500);
	pid_t pids[WRITERS];
	int status;
	int i;

	(void)state;
	for (i = 0; i < WRITERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i])
			write_much(i, rounds);
	}
	for (i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_counted(STORE, "shared", (uint64_t)(WRITERS * rounds / 2));
	for (i = 0; i < 3; i++) {
		char name[20];

		snprintf(name, sizeof(name), "own-%d", i);
		assert_counted(STORE, name, (uint64_t)(WRITERS / 3 * rounds / 2));
	}
}

struct progress {
	_Atomic uint64_t begun;
	_Atomic uint64_t done;
};

/* With `names` > 1 pages change hands all the time: a day is over soon. */
static void write_until_killed(struct progress *p, uint64_t names)
{
	char name[20];
	hf_rng rng;

	hf_rng_seed(&rng, (uint64_t)getpid());
	for (;;) {
		uint64_t n = atomic_fetch_add(&p->begun, 1);

		now_s = 1700000000 + (names > 1 ? (int64_t)n * 500 : 0);
		snprintf(name, sizeof(name), "lock-%u", (unsigned)hf_rng_below(&rng, names));
		add_or_die(name);
		atomic_fetch_add(&p->done, 1);
	}
}

/* Each of those killed was at most inside of one addition. */
static void kill_writers(uint64_t names)
{
	struct progress *p = mmap(
		NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long rounds = scaled(60);
	uint64_t counted;
	hf_rng rng;
	long i;

	assert_true(p != MAP_FAILED);
	hf_rng_seed(&rng, 7);
	for (i = 0; i < rounds; i++) {
		pid_t pids[2];
		int j;

		for (j = 0; j < 2; j++) {
			pids[j] = fork();
			assert_true(pids[j] >= 0);
			if (!pids[j])
				write_until_killed(p, names);
		}
		usleep((useconds_t)hf_rng_below(&rng, 6000));
		for (j = 0; j < 2; j++) {
			kill(pids[j], SIGKILL);
			waitpid(pids[j], NULL, 0);
		}
		counted = acquisitions();
		assert_true(counted >= p->done);
		assert_true(counted <= p->begun);
	}
	assert_true(acquisitions() > 0);
	munmap(p, sizeof(*p));
}

static void counts__survive_writers_killed_at_any_moment(void **state)
{
	(void)state;
	kill_writers(1);
}

static void counts__survive_writers_killed_when_pages_change_hands(void **state)
{
	(void)state;
	kill_writers(2000);
}

/* ---- stopped writers ---- */

/* A process that has the lock of pages and does not go on. */
static pid_t lock_and_stay(off_t at, off_t len)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		struct flock lock = {
			.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = len};
		int fd = open(path, O_RDWR);

		if (fcntl(fd, F_OFD_SETLK, &lock) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Where the only page is that holds something. */
static off_t only_page(void)
{
	int fd = open(path, O_RDONLY);
	off_t at = lseek(fd, 0, SEEK_DATA);
	char first = 0;

	for (at = 0; pread(fd, &first, 1, at) == 1 && !first; at += CLI_METRICS_PAGE)
		;
	close(fd);
	assert_int_equal(first, 'h');
	return at;
}

static void stopped_writers__are_passed_over_and_nothing_is_lost(void **state)
{
	cli_metrics_list list;
	pid_t pid;

	(void)state;
	assert_true(add(STORE, "a"));
	pid = lock_and_stay(only_page(), CLI_METRICS_PAGE);
	assert_true(add(STORE, "a"));
	assert_true(add(STORE, "a"));
	assert_counted(STORE, "a", 3);
	end(pid);
	assert_true(add(STORE, "a"));
	assert_counted(STORE, "a", 4);
	list = read_all();
	assert_int_equal(list.count, 1); /* though two pages have it */
	cli_metrics_list_clear(&list);
}

static void stopped_writers__of_all_pages_cost_the_counts_and_little_time(void **state)
{
	static const cli_metrics_filter all = {NULL, NULL};
	int64_t start_ms;
	hf_error error;
	pid_t pid;

	(void)state;
	assert_true(add(STORE, "a"));
	pid = lock_and_stay(0, CLI_METRICS_PAGES * CLI_METRICS_PAGE);
	start_ms = hf_boot_ms();
	assert_false(add(STORE, "a"));
	assert_true(hf_boot_ms() - start_ms < 5000);
	assert_counted(STORE, "a", 1); /* looking needs no lock */
	assert_int_equal(cli_metrics_file_reset(path, &all, &error), HF_UNAVAILABLE);
	end(pid);
	assert_true(add(STORE, "a"));
	assert_counted(STORE, "a", 2);
}

/* ---- damage ---- */

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
	long rounds = scaled(300);
	hf_rng rng;
	long i;

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

#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		IN_FOLDER(counts__are_exact_with_many_processes),
		IN_FOLDER(counts__survive_writers_killed_at_any_moment),
		IN_FOLDER(counts__survive_writers_killed_when_pages_change_hands),
		IN_FOLDER(stopped_writers__are_passed_over_and_nothing_is_lost),
		IN_FOLDER(stopped_writers__of_all_pages_cost_the_counts_and_little_time),
		IN_FOLDER(damage__costs_one_page_which_begins_anew_and_is_told),
		IN_FOLDER(damage__of_any_kind_is_survived),
		IN_FOLDER(damage__that_has_a_right_checksum_is_seen_too),
		IN_FOLDER(links__are_not_followed),
		IN_FOLDER(reset__is_of_all_or_of_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
