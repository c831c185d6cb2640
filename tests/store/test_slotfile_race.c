/*
 * The slot file under many processes: no acknowledged write is lost, none that
 * was refused counts, whoever is stopped, killed, grows or removes.
 *
 * The content is a count, padded. Each process keeps in shared memory how many
 * of its writes were acknowledged and how many it cannot know of.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"
#include "store/slotfile.h"

#define PROCESSES 8
#define ROUNDS 2000

struct worker {
	atomic_ulong acknowledged;
	atomic_ulong unknown;
	atomic_int in_flight;
	atomic_ulong removing; /* the count that goes if a removal counts */
};

struct shared {
	atomic_int stop;
	atomic_int inside;
	atomic_int overlaps;
	atomic_ulong removed; /* the counts that went with a removal */
	atomic_ulong perhaps_removed;
	struct worker workers[PROCESSES];
};

struct job {
	struct shared *shared;
	int index;
	unsigned rounds; /* 0: until stop */
	int64_t patience_ms;
	bool grow;
	bool remove;
};

static unsigned long count_of(const hf_slot_content *content)
{
	return content->data ? strtoul(content->data, NULL, 10) : 0;
}

static size_t padded(char *out, size_t cap, unsigned long count, bool grow, hf_rng *rng)
{
	size_t n = grow ? (size_t)hf_rng_below(rng, cap - 32) : 0;
	int used = snprintf(out, 32, "%lu ", count);

	memset(out + used, 'x', n);
	return (size_t)used + n;
}

/* One critical section. 0, or a code that says what should not have been. */
static int increment(struct job *job, hf_slotfile *file, hf_rng *rng)
{
	static char text[20000];
	struct worker *me = &job->shared->workers[job->index];
	hf_slot_content content;
	hf_status st = hf_slotfile_lock(file, &content, NULL);
	unsigned long count = count_of(&content);
	bool removes = job->remove && hf_rng_below(rng, 4) == 0;

	if (st == HF_UNAVAILABLE) /* a remover that was stopped */
		return 0;
	if (st)
		return 10 + (int)st;
	if (job->rounds && atomic_fetch_add(&job->shared->inside, 1) != 0)
		atomic_fetch_add(&job->shared->overlaps, 1);
	if (removes)
		atomic_store(&me->removing, count);
	else
		atomic_store(&me->in_flight, 1);
	if (job->rounds && removes) /* others may enter as soon as it is gone */
		atomic_fetch_sub(&job->shared->inside, 1);
	if (removes)
		st = hf_slotfile_remove(file, NULL);
	else
		st = hf_slotfile_write(file, text,
			padded(text, sizeof(text), count + 1, job->grow, rng), NULL);
	if (!st && removes)
		atomic_fetch_add(&job->shared->removed, count);
	if (!st && !removes)
		atomic_fetch_add(&me->acknowledged, 1);
	if (st == HF_CHANGED && !removes)
		atomic_fetch_add(&me->unknown, 1);
	if (st == HF_CHANGED && removes)
		atomic_fetch_add(&job->shared->perhaps_removed, count);
	atomic_store(&me->in_flight, 0);
	atomic_store(&me->removing, 0);
	if (job->rounds && !removes)
		atomic_fetch_sub(&job->shared->inside, 1);
	hf_slotfile_unlock(file);
	hf_slot_content_clear(&content);
	return st && st != HF_CHANGED ? 10 + (int)st : 0;
}

static int work(void *arg)
{
	struct job *job = arg;
	hf_slotfile_options options = {.create = true, .patience_ms = job->patience_ms};
	hf_slotfile *file;
	hf_rng rng;
	unsigned i;
	int code = 0;

	hf_rng_seed(&rng, (uint64_t)job->index * 7919 + (uint64_t)getpid());
	if (hf_slotfile_new(scratch_path("x"), &options, &file, NULL))
		return 1;
	for (i = 0; !code && (job->rounds ? i < job->rounds : !job->shared->stop); i++)
		code = increment(job, file, &rng);
	hf_slotfile_free(file);
	return code;
}

static int watch(void *arg)
{
	struct shared *shared = arg;
	const hf_slotfile_options options = {.patience_ms = 2000};
	hf_slotfile *file;
	unsigned long before = 0;

	if (hf_slotfile_new(scratch_path("x"), &options, &file, NULL))
		return 1;
	while (!shared->stop) {
		hf_slot_content content;
		hf_status st = hf_slotfile_read(file, &content, NULL);
		unsigned long count = count_of(&content);

		if (st)
			return 10 + (int)st;
		hf_slot_content_clear(&content);
		if (count < before)
			return 2; /* a state that was left came back */
		before = count;
	}
	hf_slotfile_free(file);
	return 0;
}

static unsigned long final_count(void)
{
	const hf_slotfile_options options = {.patience_ms = 2000};
	hf_slotfile *file;
	hf_slot_content content;
	unsigned long count;

	assert_int_equal(hf_slotfile_new(scratch_path("x"), &options, &file, NULL), HF_OK);
	assert_int_equal(hf_slotfile_read(file, &content, NULL), HF_OK);
	count = count_of(&content);
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
	return count;
}

static void run_rounds(bool grow, bool removes, unsigned rounds)
{
	struct shared *shared = scratch_shared(sizeof(*shared));
	struct job jobs[PROCESSES];
	pid_t pids[PROCESSES];
	pid_t watcher = removes ? 0 : scratch_fork(watch, shared);
	unsigned long acknowledged = 0;
	int i;

	for (i = 0; i < PROCESSES; i++) {
		jobs[i] = (struct job){.shared = shared,
			.index = i,
			.rounds = rounds,
			.patience_ms = 5000,
			.grow = grow,
			.remove = removes};
		pids[i] = scratch_fork(work, &jobs[i]);
	}
	for (i = 0; i < PROCESSES; i++) {
		assert_int_equal(scratch_wait(pids[i]), 0);
		acknowledged += shared->workers[i].acknowledged;
	}
	shared->stop = 1;
	if (watcher)
		assert_int_equal(scratch_wait(watcher), 0);
	assert_int_equal(shared->overlaps, 0);
	assert_int_equal(final_count() + shared->removed, acknowledged);
	if (!removes)
		assert_int_equal(acknowledged, PROCESSES * rounds);
	assert_in_range(scratch_count(), 0, 1);
}

static void racing_processes__lose_no_increment(void **state)
{
	(void)state;
	run_rounds(false, false, ROUNDS);
}

static void racing_processes__lose_no_increment_while_it_grows(void **state)
{
	(void)state;
	run_rounds(true, false, ROUNDS / 4);
}

static void racing_processes__lose_no_increment_while_it_is_removed(void **state)
{
	(void)state;
	run_rounds(true, true, ROUNDS / 4);
}

static void pause_us(long us)
{
	struct timespec pause = {.tv_nsec = us * 1000};

	nanosleep(&pause, NULL);
}

struct torture {
	bool kills;
	bool stops;
	bool grow;
	bool remove;
};

static void kill_one(struct job *job, pid_t *pid, unsigned long *unknown)
{
	struct worker *worker = &job->shared->workers[job->index];

	kill(*pid, SIGKILL);
	assert_int_equal(scratch_wait(*pid), 1000 + SIGKILL);
	*unknown += (unsigned long)atomic_exchange(&worker->in_flight, 0);
	atomic_fetch_add(&job->shared->perhaps_removed, atomic_exchange(&worker->removing, 0));
	*pid = scratch_fork(work, job);
}

/* For a while; the sum must still be right. */
static void torture(struct torture t)
{
	struct shared *shared = scratch_shared(sizeof(*shared));
	struct job jobs[PROCESSES];
	pid_t pids[PROCESSES];
	pid_t watcher = t.remove ? 0 : scratch_fork(watch, shared);
	unsigned long acknowledged = 0;
	unsigned long unknown = 0;
	int64_t end_ms = hf_boot_ms() + 3000;
	size_t removed = 0;
	unsigned long count;
	hf_rng rng;
	int i;

	hf_rng_seed(&rng, (uint64_t)hf_boot_ns());
	for (i = 0; i < PROCESSES; i++) {
		jobs[i] = (struct job){.shared = shared,
			.index = i,
			.patience_ms = t.stops ? 10 : 2000,
			.grow = t.grow,
			.remove = t.remove};
		pids[i] = scratch_fork(work, &jobs[i]);
	}
	while (hf_boot_ms() < end_ms) {
		i = (int)hf_rng_below(&rng, PROCESSES);
		if (t.stops)
			kill(pids[i], hf_rng_below(&rng, 2) ? SIGSTOP : SIGCONT);
		if (t.kills && hf_rng_below(&rng, t.stops ? 8 : 1) == 0)
			kill_one(&jobs[i], &pids[i], &unknown);
		pause_us((long)hf_rng_below(&rng, t.stops ? 8000 : 3000));
	}
	shared->stop = 1;
	for (i = 0; i < PROCESSES; i++)
		kill(pids[i], SIGCONT);
	for (i = 0; i < PROCESSES; i++) {
		assert_int_equal(scratch_wait(pids[i]), 0);
		acknowledged += shared->workers[i].acknowledged;
		unknown += shared->workers[i].unknown;
	}
	if (watcher)
		assert_int_equal(scratch_wait(watcher), 0);
	count = final_count() + shared->removed;
	assert_in_range(count + shared->perhaps_removed, acknowledged, UINT64_MAX);
	assert_in_range(count, 0, acknowledged + unknown);
	assert_int_equal(hf_slotfile_sweep(scratch_path(""), &removed, NULL), HF_OK);
	assert_in_range(scratch_count(), t.remove ? 0 : 1, 1);
	printf("# %lu acknowledged, %lu unknown, %lu counted, %zu swept\n", acknowledged,
		unknown, count, removed);
}

static void stopped_processes__lose_and_add_nothing(void **state)
{
	(void)state;
	torture((struct torture){.stops = true});
}

static void stopped_processes__lose_and_add_nothing_while_it_grows(void **state)
{
	(void)state;
	torture((struct torture){.stops = true, .grow = true});
}

static void stopped_processes__lose_and_add_nothing_while_it_is_removed(void **state)
{
	(void)state;
	torture((struct torture){.stops = true, .remove = true});
}

static void killed_processes__lose_nothing(void **state)
{
	(void)state;
	torture((struct torture){.kills = true, .grow = true});
}

static void killed_and_stopped_processes__lose_nothing(void **state)
{
	(void)state;
	torture((struct torture){.kills = true, .stops = true, .grow = true});
}

static void killed_and_stopped_processes__lose_nothing_while_it_is_removed(void **state)
{
	(void)state;
	torture((struct torture){.kills = true, .stops = true, .grow = true, .remove = true});
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)
	const struct CMUnitTest tests[] = {
		TEST(racing_processes__lose_no_increment),
		TEST(racing_processes__lose_no_increment_while_it_grows),
		TEST(racing_processes__lose_no_increment_while_it_is_removed),
		TEST(stopped_processes__lose_and_add_nothing),
		TEST(stopped_processes__lose_and_add_nothing_while_it_grows),
		TEST(stopped_processes__lose_and_add_nothing_while_it_is_removed),
		TEST(killed_processes__lose_nothing),
		TEST(killed_and_stopped_processes__lose_nothing),
		TEST(killed_and_stopped_processes__lose_nothing_while_it_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
