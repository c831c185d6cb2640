/* The file of metrics under many writers, killed ones and stopped ones. */
#include "metrics_helper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- many writers ---- */

#define WRITERS 6

static void add_or_die(const char *name)
{
	/* Dropping is allowed to whoever finds no way; here all go on. */
	while (!add(STORE, name))
		;
}

/* Half of all meet in one page, the others in pages of three names. */
static void write_much(int self, unsigned rounds)
{
	char name[20];
	unsigned i;

	snprintf(name, sizeof(name), "own-%d", self % 3);
	for (i = 0; i < rounds; i++)
		add_or_die(i % 2 ? "shared" : name);
	_exit(0);
}

static void counts__are_exact_with_many_processes(void **state)
{
	unsigned rounds = 2 * scaled(500);
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
	unsigned rounds = scaled(60);
	uint64_t counted;
	hf_rng rng;
	unsigned i;

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(counts__are_exact_with_many_processes),
		IN_FOLDER(counts__survive_writers_killed_at_any_moment),
		IN_FOLDER(counts__survive_writers_killed_when_pages_change_hands),
		IN_FOLDER(stopped_writers__are_passed_over_and_nothing_is_lost),
		IN_FOLDER(stopped_writers__of_all_pages_cost_the_counts_and_little_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
