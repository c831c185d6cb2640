/*
 * A thousand who wait for one lock: what they cost while they wait, and what is left
 * of the line when half of them are killed.
 */
#include "../held.h"
#include "world.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define MOST 1000
#define WATCHED_MS 3000

struct crowd {
	char name[HF_NAME_MAX + 1];
	_Atomic bool begun; /* somebody holds it */
	_Atomic int inside;
	_Atomic int served;
	_Atomic uint64_t token;
	pid_t pids[MOST];
	int count;
	hf_manager *looker;
};

/* Processes of git cost more, and so do those of the sanitizers. */
static int crowd_size(void)
{
	int n = (int)world_scaled(strncmp(under_test.kind, "git", 3) ? MOST : 100);

	return n < 20 ? 20 : n;
}

static int wait_and_pass(int i, void *arg)
{
	struct crowd *c = arg;
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m;
	hf_lease *lease;
	uint64_t before;

	(void)i;
	while (!c->begun)
		hf_sleep_until_ms(hf_boot_ms() + 20);
	m = world_open();
	o.wait_ms = 240000;
	if (hf_acquire(m, c->name, &o, &lease, NULL))
		return 1;
	if (atomic_fetch_add(&c->inside, 1))
		return 2;
	before = atomic_exchange(&c->token, hf_lease_token(lease));
	if (before >= hf_lease_token(lease))
		return 3;
	c->served++;
	c->inside--;
	if (hf_release(lease, NULL))
		return 4;
	hf_close(m);
	return 0;
}

static bool all_wait(void *arg)
{
	struct crowd *c = arg;

	return waiters(c->looker, c->name) == (size_t)c->count;
}

/* One holds the lock, and all the others wait for it. Forked before there are threads. */
static hf_lease *gather(struct crowd *c)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *lease;
	int i;

	hf_copy(c->name, sizeof(c->name), world_name("crowd"));
	c->count = crowd_size();
	for (i = 0; i < c->count; i++)
		c->pids[i] = world_spawn(wait_and_pass, i, c);
	c->looker = world_open();
	o.ttl_ms = 300000;
	assert_int_equal(hf_acquire(c->looker, c->name, &o, &lease, NULL), HF_OK);
	c->token = hf_lease_token(lease);
	c->begun = true;
	assert_true(eventually(all_wait, c, 120000));
	return lease;
}

static int64_t processor_ns(const struct crowd *c)
{
	int64_t ns = 0;
	int i;

	for (i = 0; i < c->count; i++) {
		struct timespec t;
		clockid_t clock;

		assert_int_equal(clock_getcpuclockid(c->pids[i], &clock), 0);
		assert_int_equal(clock_gettime(clock, &t), 0);
		ns += (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
	}
	return ns;
}

/* Not one of them runs because time goes by. */
static void crowd__that_waits_hardly_runs(void **state)
{
	struct crowd *c = world_shared(sizeof(*c));
	hf_lease *lease = gather(c);
	int64_t used_ns;
	int i;

	(void)state;
	hf_sleep_until_ms(hf_boot_ms() + 500);
	used_ns = -processor_ns(c);
	hf_sleep_until_ms(hf_boot_ms() + WATCHED_MS);
	used_ns += processor_ns(c);
	print_message("# %d who wait: %.2f %% of a processor\n", c->count,
		(double)used_ns / (WATCHED_MS * 10000.0));
#ifndef __SANITIZE_THREAD__ /* whose own threads never rest */
	assert_true(used_ns < (int64_t)WATCHED_MS * 1000000 / 50);
#endif
	assert_int_equal(hf_release(lease, NULL), HF_OK);
	for (i = 0; i < c->count; i++)
		assert_int_equal(world_wait(c->pids[i]), 0);
	assert_int_equal(c->served, c->count);
	assert_int_equal(waiters(c->looker, c->name), 0);
	hf_close(c->looker);
}

static void crowd__of_which_half_is_killed_is_served(void **state)
{
	struct crowd *c = world_shared(sizeof(*c));
	hf_lease *lease = gather(c);
	int64_t start_ms;
	int i;

	(void)state;
	for (i = 0; i < c->count; i += 2)
		kill(c->pids[i], SIGKILL);
	for (i = 0; i < c->count; i += 2)
		assert_int_equal(world_wait(c->pids[i]), SIGKILL);
	start_ms = hf_boot_ms();
	assert_int_equal(hf_release(lease, NULL), HF_OK);
	for (i = 1; i < c->count; i += 2)
		assert_int_equal(world_wait(c->pids[i]), 0);
	print_message("# %d were served within %lld ms\n", c->count / 2,
		(long long)(hf_boot_ms() - start_ms));
	assert_int_equal(c->served, c->count / 2);
	assert_int_equal(waiters(c->looker, c->name), 0);
	hf_close(c->looker);
}

/* ---- the holder dies, and with him those who would see it ---- */

#define SMALL 8

static int hold_until_killed(int i, void *arg)
{
	struct crowd *c = arg;
	hf_manager *m = world_open();
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *lease;

	(void)i;
	o.ttl_ms = 300000;
	if (hf_acquire(m, c->name, &o, &lease, NULL))
		return 1;
	c->begun = true;
	for (;;)
		pause();
}

/* One after the other, so that it is known who comes first. */
static int wait_at_place(int i, void *arg)
{
	struct crowd *c = arg;
	hf_manager *m = world_open();

	while (!c->begun || waiters(m, c->name) < (size_t)i - 1)
		hf_sleep_until_ms(hf_boot_ms() + 5);
	hf_close(m);
	return wait_and_pass(i, arg);
}

static void crowd__goes_on_though_holder_and_first_are_killed_at_once(void **state)
{
	struct crowd *c = world_shared(sizeof(*c));
	int64_t start_ms;
	int i;

	(void)state;
	hf_copy(c->name, sizeof(c->name), world_name("crowd"));
	c->count = SMALL;
	for (i = 0; i <= SMALL; i++)
		c->pids[i] = world_spawn(i ? wait_at_place : hold_until_killed, i, c);
	c->looker = world_open();
	assert_true(eventually(all_wait, c, 60000));
	start_ms = hf_boot_ms();
	for (i = 0; i < 3; i++)
		kill(c->pids[i], SIGKILL);
	for (i = 0; i <= SMALL; i++)
		assert_int_equal(world_wait(c->pids[i]), i < 3 ? SIGKILL : 0);
	assert_int_equal(c->served, SMALL - 2);
	if (hf_boot_ms() - start_ms > 8000)
		fail_msg("noticed after %lld ms", (long long)(hf_boot_ms() - start_ms));
	assert_int_equal(waiters(c->looker, c->name), 0);
	hf_close(c->looker);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(crowd__that_waits_hardly_runs),
	cmocka_unit_test(crowd__of_which_half_is_killed_is_served),
	cmocka_unit_test(crowd__goes_on_though_holder_and_first_are_killed_at_once),
};
const test_group crowd_tests = TEST_GROUP(tests);
