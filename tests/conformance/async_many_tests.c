/* Thousands at once, and everybody against everybody. */
#include "pending.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define THREADS_MORE 6 /* keeper, poller, workers, and one to spare */

/* git takes a commit for each change; a hold of flock is a descriptor. */
static unsigned thousands(unsigned fewer)
{
	bool quick = !strcmp(under_test.kind, "memory") || !strcmp(under_test.kind, "file");

	return world_scaled(quick ? 5000 : fewer);
}

static long resident_kb(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long total = 0;
	long pages = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &total, &pages), 2);
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int64_t cpu_ms(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000;
}

/* The next one told, finished. */
static hf_lease *next_lease(hf_manager *m)
{
	hf_pending *p = hf_acquire_next(m);
	hf_lease *lease;
	hf_error error;

	while (!p) {
		if (!told(m, 20000))
			fail_msg("nobody is told for 20 s");
		p = hf_acquire_next(m);
	}
	if (hf_acquire_finish(p, &lease, &error))
		fail_msg("%s", error.text);
	return lease;
}

static void async__thousands_wait_for_one_lock(void **state)
{
	unsigned n = thousands(300);
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("one");
	hf_lease *held = take(other, name, NULL);
	int threads = world_threads();
	int descriptors = world_descriptors();
	uint64_t last = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < n; i++)
		(void)start(m, name, NULL, NULL);
	if (has_line() && n > 16)
		assert_true(waiters_become(other, name, 16));
	assert_true(world_threads() <= threads + THREADS_MORE);
	assert_true(world_descriptors() <= descriptors + 30);
	give_back(held);
	for (i = 0; i < n; i++) {
		hf_lease *lease = next_lease(m);

		assert_true(hf_lease_token(lease) > last);
		last = hf_lease_token(lease);
		give_back(lease);
	}
	assert_true(world_threads() <= threads + THREADS_MORE);
	assert_null(hf_acquire_next(m));
	assert_int_equal(waiters(other, name), 0);
	assert_int_equal(holders(other, name), 0);
	hf_close(other);
	hf_close(m);
}

static void name_of(char out[64], const char *base, unsigned i)
{
	snprintf(out, 64, "%s-%u", base, i);
}

/* While the others hold them all: little memory, few threads, little work. */
static void waiting_costs_little(hf_manager *m, const char *base, unsigned n)
{
	int threads = world_threads();
	long before_kb = resident_kb();
	char name[64];
	int64_t cpu;
	unsigned i;

	for (i = 0; i < n; i++) {
		name_of(name, base, i);
		(void)start(m, name, NULL, NULL);
	}
	name_of(name, base, n - 1);
	if (has_line())
		assert_true(waiters_become(m, name, 1));
	assert_false(told(m, 0));
	assert_true(world_threads() <= threads + THREADS_MORE);
	if (SANITIZED)
		return;
	assert_true(resident_kb() - before_kb < 4096 + 16 * (long)n);
	usleep(500000); /* all are parked */
	cpu = cpu_ms();
	usleep(1000000);
	cpu = cpu_ms() - cpu;
	print_message("# %u that wait used %d ms of a second\n", n, (int)cpu);
	if (cpu > 800)
		fail_msg("%u that wait used %d ms of a second", n, (int)cpu);
}

static void async__thousands_wait_for_as_many_locks(void **state)
{
	unsigned n = thousands(200);
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *next = world_name("many");
	hf_lease **held = calloc(n, sizeof(hf_lease *));
	char base[48];
	char name[64];
	unsigned i;

	(void)state;
	assert_non_null(held);
	snprintf(base, sizeof(base), "%s", next);
	for (i = 0; i < n; i++) {
		name_of(name, base, i);
		(void)start(other, name, NULL, NULL);
	}
	for (i = 0; i < n; i++)
		held[i] = next_lease(other);
	waiting_costs_little(m, base, n);
	for (i = 0; i < n; i++)
		give_back(held[i]);
	for (i = 0; i < n; i++)
		held[i] = next_lease(m);
	for (i = 0; i < n; i++) {
		assert_true(hf_lease_valid(held[i]));
		give_back(held[i]);
	}
	for (i = 0; i < n; i += 1 + n / 10) {
		name_of(name, base, i);
		assert_int_equal(waiters(other, name), 0);
		assert_int_equal(holders(other, name), 0);
	}
	free(held);
	hf_close(other);
	hf_close(m);
}

/* ---- races ---- */

struct releaser {
	hf_manager *m;
	const char *name;
	unsigned rounds;
	_Atomic bool enough;
};

static void *hold_and_release(void *arg)
{
	struct releaser *r = arg;

	while (!r->enough) {
		hf_lease *lease = take(r->m, r->name, NULL);

		if (rand() % 2)
			usleep((useconds_t)(rand() % 500));
		give_back(lease);
	}
	return NULL;
}

/* At every moment: gated, ready, running, in the line, offered, granted, told. */
static void async__cancelled_at_any_moment_leaves_nothing(void **state)
{
	struct releaser r = {.name = world_name("cancel"), .rounds = world_scaled(300)};
	hf_manager *m = world_open();
	hf_pending *p[24];
	pthread_t thread;
	unsigned had = 0;
	unsigned round;
	size_t i;

	(void)state;
	r.m = world_open();
	assert_int_equal(pthread_create(&thread, NULL, hold_and_release, &r), 0);
	for (round = 0; round < r.rounds; round++) {
		for (i = 0; i < HF_ARRAY_LEN(p); i++)
			p[i] = start(m, r.name, NULL, NULL);
		usleep((useconds_t)(rand() % 3000));
		for (i = 0; i < HF_ARRAY_LEN(p); i++) {
			hf_lease *lease = NULL;
			hf_status st = HF_PENDING;
			hf_error error;

			if (rand() % 4 == 0)
				st = hf_acquire_finish(p[i], &lease, &error);
			if (st == HF_PENDING)
				hf_acquire_cancel(p[i]);
			else if (st)
				fail_msg("%s", error.text);
			had += lease != NULL;
			if (lease)
				give_back(lease);
		}
	}
	r.enough = true;
	pthread_join(thread, NULL);
	assert_null(hf_acquire_next(m));
	hf_close(m); /* what is still under way comes to its end */
	assert_int_equal(waiters(r.m, r.name), 0);
	assert_int_equal(holders(r.m, r.name), 0);
	assert_int_equal(try_it(r.m, r.name, NULL), HF_OK);
	hf_close(r.m);
	print_message(
		"# %u of %u were had before\n", had, r.rounds * (unsigned)HF_ARRAY_LEN(p));
}

#define CONTENDERS 6
#define PENDING 20

struct section {
	const char *name;
	unsigned rounds;
	_Atomic int inside;
	_Atomic unsigned meetings;
	_Atomic unsigned backwards;
	_Atomic uint64_t last_token;
	uint64_t unguarded; /* changed without atomics: lost if two are in */
};

static void be_inside(struct section *s, hf_lease *lease)
{
	volatile uint64_t *unguarded = &s->unguarded;

	if (atomic_fetch_add(&s->inside, 1) != 0)
		s->meetings++;
	if (hf_lease_token(lease) <= s->last_token)
		s->backwards++;
	s->last_token = hf_lease_token(lease);
	(*unguarded)++;
	atomic_fetch_sub(&s->inside, 1);
	give_back(lease);
}

/* The even ones block, the odd ones have PENDING at once. */
static int contend(int i, void *arg)
{
	struct section *s = arg;
	hf_manager *m = world_open();
	unsigned started = 0;
	unsigned done;

	for (done = 0; done < s->rounds; done++) {
		if (i % 2 == 0) {
			be_inside(s, take(m, s->name, NULL));
			continue;
		}
		while (started < s->rounds && started < done + PENDING) {
			(void)start(m, s->name, NULL, NULL);
			started++;
		}
		be_inside(s, next_lease(m));
	}
	hf_close(m);
	return 0;
}

static void async__blocking_and_pending_ones_exclude_each_other(void **state)
{
	struct section *s = world_shared(sizeof(*s));
	/* A space in memory lasts while somebody has it open. */
	hf_manager *between = world_open();

	(void)state;
	s->name = world_name("mixed");
	s->rounds = world_scaled(has_line() ? 300 : 100);
	world_run(CONTENDERS, contend, s, 300);
	assert_int_equal(s->meetings, 0);
	assert_int_equal(s->backwards, 0);
	assert_int_equal(s->unguarded, CONTENDERS * s->rounds);
	hf_close(between);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(async__thousands_wait_for_one_lock),
	cmocka_unit_test(async__thousands_wait_for_as_many_locks),
	cmocka_unit_test(async__cancelled_at_any_moment_leaves_nothing),
	cmocka_unit_test(async__blocking_and_pending_ones_exclude_each_other),
};
const test_group async_many_tests = TEST_GROUP(tests);
