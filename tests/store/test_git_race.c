/* Many processes on one lock of a git: store, and git among them. */
#include "../scale.h"
#include "git_helper.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REF "refs/holdfast/locks/"
#define PROCESSES 8

static int begin(void **state)
{
	(void)state;
	repo_make();
	return 0;
}

/* What the children of one test share. */
typedef struct shared {
	unsigned rounds;
	unsigned inside; /* in the section right now */
	unsigned overlaps; /* times it was more than one */
	unsigned swaps; /* that were acknowledged */
	unsigned unknown;
	unsigned pause_us; /* between swaps of one process */
	bool stop;
	char options[64];
} shared;

/* Add one to the counter in the record, until it was done `rounds` times. */
static int count_up(void *arg)
{
	shared *all = arg;
	hf_store *s = store_open("repo", all->options);
	hf_snapshot snap = look(s, "deploy");
	unsigned done = 0;

	while (done < all->rounds) {
		unsigned long n = snap.len ? strtoul(snap.data, NULL, 10) : 0;
		hf_snapshot reply = {.data = NULL};
		char record[32];
		char line[32];
		hf_event_text event = {line, line};
		hf_change change = {.data = record, .event = &event};
		hf_error error = {.kind = HF_OK};
		hf_status st;

		change.len = (size_t)snprintf(record, sizeof(record), "%lu\n", n + 1);
		snprintf(line, sizeof(line), "e%lu", n + 1);
		st = ops->swap(s, "deploy", &snap.etag, &change, &reply, &error);
		snap_clear(&snap);
		if (st == HF_OK) {
			done++;
			__atomic_add_fetch(&all->swaps, 1, __ATOMIC_SEQ_CST);
			snap_clear(&reply);
			snap = look(s, "deploy");
			if (strtoul(snap.data, NULL, 10) < n + 1)
				return 3;
			usleep(all->pause_us);
		} else if (st == HF_CHANGED) {
			snap = reply;
			if (strtoul(snap.data, NULL, 10) < n)
				return 4;
		} else if (st == HF_UNKNOWN) {
			__atomic_add_fetch(&all->unknown, 1, __ATOMIC_SEQ_CST);
			snap_clear(&reply);
			snap = look(s, "deploy");
			done++;
		} else {
			print_message("swap: %s\n", error.text);
			return 2;
		}
	}
	snap_clear(&snap);
	ops->close(s);
	return 0;
}

static void check_chain(hf_store *s, unsigned total)
{
	char want[32];
	char command[128];

	snprintf(want, sizeof(want), "%u\n", total);
	assert_string_equal(record_of(s, "deploy"), want);
	assert_int_equal(history_count(s, "deploy"), total);
	snprintf(command, sizeof(command), "git -C repo rev-list --count " REF "deploy");
	assert_int_equal(atoi(sh_out("%s", command)), total);
	/* Each once, in order. */
	sh("git -C repo log --format=%%s " REF "deploy | sed 's/^e//' >got && "
	   "seq %u -1 1 >want && cmp got want",
		total);
}

static void race__every_swap_counts_once(void **state)
{
	shared *all = scratch_shared(sizeof(*all));
	pid_t pids[PROCESSES];
	hf_store *s;
	size_t i;

	(void)state;
	all->rounds = test_rounds(2000, 1);
	hf_copy(all->options, sizeof(all->options), "?history=0");
	for (i = 0; i < PROCESSES; i++)
		pids[i] = scratch_fork(count_up, all);
	for (i = 0; i < PROCESSES; i++)
		assert_int_equal(scratch_wait(pids[i]), 0);
	assert_int_equal(all->unknown, 0);
	s = store_open("repo", "?history=0");
	check_chain(s, all->rounds * PROCESSES);
	ops->close(s);
	repo_check();
}

/* ---- git in a loop beside it ---- */

static const char *git_loop;

static int run_git(void *arg)
{
	shared *all = arg;
	unsigned runs = 0;
	unsigned failed = 0;

	/* git may give up, on a ref that moves under it or an object just pruned. */
	while (!__atomic_load_n(&all->stop, __ATOMIC_SEQ_CST)) {
		failed += sh_code("%s", git_loop) != 0;
		runs++;
	}
	print_message("# git ran %u times and gave up %u times\n", runs, failed);
	fflush(stdout);
	return runs ? 0 : 1;
}

static void beside(const char *command, unsigned rounds, unsigned pause_us)
{
	shared *all = scratch_shared(sizeof(*all));
	pid_t pids[3];
	pid_t git;
	hf_store *s;
	size_t i;

	git_loop = command;
	all->rounds = rounds;
	all->pause_us = pause_us;
	hf_copy(all->options, sizeof(all->options), "?history=0");
	git = scratch_fork(run_git, all);
	for (i = 0; i < HF_ARRAY_LEN(pids); i++)
		pids[i] = scratch_fork(count_up, all);
	for (i = 0; i < HF_ARRAY_LEN(pids); i++)
		assert_int_equal(scratch_wait(pids[i]), 0);
	__atomic_store_n(&all->stop, true, __ATOMIC_SEQ_CST);
	assert_int_equal(scratch_wait(git), 0);
	assert_int_equal(all->unknown, 0);
	s = store_open("repo", "?history=0");
	/* The look after the last gc. */
	put(s, "deploy", record_of(s, "deploy"), NULL);
	check_chain(s, rounds * HF_ARRAY_LEN(pids));
	ops->close(s);
	repo_check();
}

static void race__packing_refs_all_the_time_loses_nothing(void **state)
{
	(void)state;
	beside("git -C repo pack-refs --all --prune", test_rounds(1500, 1), 500);
}

static void race__collecting_garbage_all_the_time_loses_nothing(void **state)
{
	(void)state;
	beside("git -C repo gc -q --prune=now", test_rounds(1500, 1), 3000);
}

static void race__rewinding_and_deleting_all_the_time_loses_nothing(void **state)
{
	hf_store *s = store_open("repo", "");

	(void)state;
	put(s, "other", "x", "x");
	ops->close(s);
	/* As a mirror fetch does: by compare-and-swap, from a value just read. */
	beside("old=$(git -C repo rev-parse -q --verify " REF "deploy) || exit 0;"
	       "up=$(git -C repo rev-parse -q --verify $old~1 2>/dev/null);"
	       "if [ $(( $(date +%N | tr -d 0 | head -c1)0 % 20 )) = 0 ] || [ -z \"$up\" ]; "
	       "then git -C repo update-ref -d " REF "deploy $old; "
	       "else git -C repo update-ref " REF "deploy $up $old; fi >/dev/null 2>&1; true",
		test_rounds(1000, 1), 500);
}

/* ---- a neighbour's compare-and-swap and ours exclude each other ---- */

#define GITVAN "refs/gitvan/locks/build"

static void enter(shared *all)
{
	if (__atomic_add_fetch(&all->inside, 1, __ATOMIC_SEQ_CST) > 1)
		__atomic_add_fetch(&all->overlaps, 1, __ATOMIC_SEQ_CST);
	usleep(200);
	__atomic_sub_fetch(&all->inside, 1, __ATOMIC_SEQ_CST);
}

static int neighbour(void *arg)
{
	shared *all = arg;
	unsigned done = 0;

	sh("printf '{\"id\":\"neighbour-%d\",\"acquiredAt\":%lld,\"timeout\":600000,"
	   "\"fingerprint\":\"f\",\"exclusive\":true,\"pid\":1,\"hostname\":\"h\"}' >blob.%d "
	   "&& "
	   "git -C repo hash-object -w ../blob.%d >oid.%d",
		(int)getpid(), (long long)hf_wall_ms(), (int)getpid(), (int)getpid(),
		(int)getpid());
	while (done < all->rounds) {
		if (sh_code("git -C repo update-ref " GITVAN
			    " $(cat oid.%d) 0000000000000000000000000000000000000000",
			    (int)getpid()))
			continue;
		enter(all);
		done++;
		sh("git -C repo update-ref -d " GITVAN " $(cat oid.%d)", (int)getpid());
	}
	return 0;
}

static int ours(void *arg)
{
	shared *all = arg;
	hf_store *s = store_open("repo", "?layout=blob");
	unsigned done = 0;

	while (done < all->rounds) {
		hf_snapshot snap = look(s, "build");
		hf_snapshot reply = {.data = NULL};
		hf_error error = {.kind = HF_OK};
		hf_event_text event = {"e", "e"};
		hf_change change = {.data = "held", .len = 4, .event = &event};
		hf_public_view view;
		char id[HF_ID_LEN + 1];
		bool free_now = !snap.foreign && (!snap.len || !strcmp(snap.data, "free"));

		hf_new_id(id);
		view = view_of(id, 60000);
		change.view = &view;
		if (!free_now ||
			ops->swap(s, "build", &snap.etag, &change, &reply, &error) != HF_OK) {
			snap_clear(&snap);
			snap_clear(&reply);
			usleep(500);
			continue;
		}
		enter(all);
		done++;
		change.data = "free";
		change.view = NULL;
		if (ops->swap(s, "build", &reply.etag, &change, &snap, &error) != HF_OK) {
			print_message("release: %s\n", error.text);
			return 5;
		}
		snap_clear(&reply);
		snap_clear(&snap);
	}
	ops->close(s);
	return 0;
}

static void race__a_neighbours_compare_and_swap_and_ours_exclude_each_other(void **state)
{
	shared *all = scratch_shared(sizeof(*all));
	pid_t pids[5];
	size_t i;

	(void)state;
	all->rounds = test_rounds(300, 1);
	for (i = 0; i < HF_ARRAY_LEN(pids); i++)
		pids[i] = scratch_fork(i < 2 ? neighbour : ours, all);
	for (i = 0; i < HF_ARRAY_LEN(pids); i++)
		assert_int_equal(scratch_wait(pids[i]), 0);
	assert_int_equal(all->overlaps, 0);
	assert_int_not_equal(sh_code("git -C repo rev-parse -q --verify " GITVAN), 0);
	repo_check();
}

/* ---- stopped and killed ---- */

static void race__stopped_and_killed_processes_tear_nothing(void **state)
{
	shared *all = scratch_shared(sizeof(*all));
	unsigned rounds = test_rounds(60, 1);
	pid_t pids[4] = {0};
	hf_rng rng;
	unsigned i;
	unsigned total;
	hf_store *s;

	(void)state;
	hf_rng_seed(&rng, 20240229);
	all->rounds = 1u << 30;
	hf_copy(all->options, sizeof(all->options), "?history=0&patience=30ms");
	for (i = 0; i < rounds * 4; i++) {
		pid_t *pid = &pids[i % 4];

		if (!*pid)
			*pid = scratch_fork(count_up, all);
		usleep((useconds_t)hf_rng_below(&rng, 3000));
		kill(*pid, SIGSTOP);
		usleep((useconds_t)(20000 + hf_rng_below(&rng, 60000)));
		if (hf_rng_below(&rng, 4) == 0) {
			kill(*pid, SIGKILL);
			scratch_wait(*pid);
			*pid = 0;
		} else {
			kill(*pid, SIGCONT);
		}
	}
	for (i = 0; i < 4; i++) {
		if (!pids[i])
			continue;
		kill(pids[i], SIGKILL);
		assert_int_equal(scratch_wait(pids[i]), 1000 + SIGKILL);
	}
	s = store_open("repo", "?history=0");
	put(s, "deploy", record_of(s, "deploy"), NULL); /* and no one is in the way */
	total = (unsigned)strtoul(record_of(s, "deploy"), NULL, 10);
	/* Of the dead, the last of each may have landed unacknowledged. */
	print_message(
		"# %u swaps, %u acknowledged, %u unknown\n", total, all->swaps, all->unknown);
	assert_true(total >= all->swaps);
	assert_true(total <= all->swaps + all->unknown + rounds * 4 + 4);
	check_chain(s, total);
	ops->close(s);
	repo_check();
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, scratch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(race__every_swap_counts_once),
		T(race__packing_refs_all_the_time_loses_nothing),
		T(race__collecting_garbage_all_the_time_loses_nothing),
		T(race__rewinding_and_deleting_all_the_time_loses_nothing),
		T(race__a_neighbours_compare_and_swap_and_ours_exclude_each_other),
		T(race__stopped_and_killed_processes_tear_nothing),
	};

	cmocka_set_test_filter(getenv("HF_TEST_FILTER"));
	return cmocka_run_group_tests_name("git race", tests, NULL, NULL);
}
