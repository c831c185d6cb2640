/* What hf_metrics_get() counts while many threads count and others take. */
#include "../scale.h"
#include "metrics_helper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define THREADS 4
#define NAMES 300 /* more than have counters of their own */

struct worker {
	hf_manager *m;
	pthread_t thread;
	unsigned rounds;
	uint64_t granted;
	uint64_t held;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	hf_rng rng;
	unsigned i;

	hf_rng_seed(&rng, (uint64_t)(uintptr_t)w);
	for (i = 0; i < w->rounds; i++) {
		char name[20];
		hf_lease *lease;
		hf_status st;

		/* Half of it where all meet. */
		snprintf(name, sizeof(name), "lock-%d",
			i % 2 ? 0 : (int)hf_rng_below(&rng, NAMES));
		st = hf_try_acquire(w->m, name, NULL, &lease, NULL);
		assert_true(st == HF_OK || st == HF_HELD);
		w->granted += st == HF_OK;
		w->held += st == HF_HELD;
		if (!st)
			assert_int_equal(hf_release(lease, NULL), HF_OK);
	}
	return NULL;
}

struct reader {
	hf_manager *m;
	pthread_t thread;
	atomic_int stop;
	hf_metrics taken;
};

static int add_taken(void *arg, const char *name, const hf_metrics *metrics)
{
	hf_metrics *sum = arg;

	(void)name;
	sum->acquisitions += metrics->acquisitions;
	sum->releases += metrics->releases;
	sum->conflicts += metrics->conflicts;
	sum->failed_held += metrics->failed_held;
	sum->wait.count += all_buckets(&metrics->wait);
	sum->hold.count += all_buckets(&metrics->hold);
	return 0;
}

static void *look(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load(&r->stop))
		assert_int_equal(hf_metrics_each(r->m, 1, add_taken, &r->taken, NULL), HF_OK);
	return NULL;
}

/* As many workers while one reads. */
static void run(struct worker *workers, int count, struct reader *reader, void *(*read)(void *))
{
	int i;

	assert_int_equal(pthread_create(&reader->thread, NULL, read, reader), 0);
	for (i = 0; i < count; i++) {
		workers[i] = (struct worker){.m = reader->m, .rounds = test_rounds(20000, 100)};
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
	atomic_store(&reader->stop, 1);
	pthread_join(reader->thread, NULL);
}

static void counts__are_exact_whoever_counts_and_takes(void **state)
{
	struct worker workers[THREADS];
	struct reader reader = {.m = open_store("memory:"), .taken = HF_METRICS_INIT};
	uint64_t granted = 0;
	uint64_t held = 0;
	int i;

	(void)state;
	run(workers, THREADS, &reader, look);
	for (i = 0; i < THREADS; i++) {
		granted += workers[i].granted;
		held += workers[i].held;
	}
	assert_int_equal(hf_metrics_each(reader.m, 1, add_taken, &reader.taken, NULL), HF_OK);
	assert_int_equal(reader.taken.acquisitions, granted);
	assert_int_equal(reader.taken.releases, granted);
	assert_int_equal(reader.taken.failed_held, held);
	assert_int_equal(reader.taken.conflicts, held);
	assert_int_equal(reader.taken.wait.count, granted);
	assert_int_equal(reader.taken.hold.count, granted);
	hf_close(reader.m);
}

static void *watch(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load(&r->stop)) {
		hf_metrics got = of(r->m, NULL);

		assert_true(got.releases <= got.acquisitions);
		assert_true(got.releases <= got.hold.count);
		assert_true(got.hold.count <= got.acquisitions);
		assert_true(got.conflicts <= got.acquisitions + got.failed_held);
		assert_int_equal(got.wait.count, all_buckets(&got.wait));
	}
	return NULL;
}

static void copies__never_show_an_end_without_its_beginning(void **state)
{
	struct worker workers[2];
	struct reader reader = {.m = open_store("memory:")};

	(void)state;
	run(workers, 2, &reader, watch);
	hf_close(reader.m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts__are_exact_whoever_counts_and_takes),
		cmocka_unit_test(copies__never_show_an_end_without_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
