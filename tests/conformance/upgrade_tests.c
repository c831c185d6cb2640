/* Upgrades that wait: alone in the end, before newcomers, and never for ever. */
#include "upgrade.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

/* For another thread. */
struct later {
	hf_manager *m;
	hf_lease *lease;
	const char *name;
	int64_t pause_ms; /* before it is done */
	int fd;
};

/* ---- one who upgrades ---- */

/* 0 upgrades, 1 shares it meanwhile, 2 is new and wants to share it. */
static int upgrader(struct scene *s, hf_manager *m)
{
	hf_lease *lease = share(m, s->name);
	hf_convert_options o = waiting(30000);
	uint64_t token = hf_lease_token(lease);
	char id[HF_ID_LEN + 1];
	hf_error error;
	hf_status st;

	hf_copy(id, sizeof(id), hf_lease_id(lease));
	s->step++;
	until(s, 2);
	st = hf_convert(lease, HF_EXCLUSIVE, &o, &error);
	s->at[0] = ++s->last;
	if (st)
		return wrong(s, "upgrade", st, &error);
	if (hf_lease_mode(lease) != HF_EXCLUSIVE || hf_lease_token(lease) <= token ||
		strcmp(id, hf_lease_id(lease)) != 0 || holders(m, s->name) != 1)
		return wrong(s, "what it got", st, &error);
	usleep(100000);
	s->at[1] = ++s->last;
	st = hf_release(lease, &error);
	return st ? wrong(s, "release", st, &error) : 0;
}

static int sharer(struct scene *s, hf_manager *m)
{
	hf_lease *lease = share(m, s->name);
	hf_error error;
	hf_status st;

	s->step++;
	if (!waiters_become(m, s->name, 2))
		return wrong(s, "nobody waits", HF_OK, NULL);
	usleep(200000);
	if (s->last)
		return wrong(s, "somebody is in", HF_OK, NULL);
	st = hf_release(lease, &error);
	return st ? wrong(s, "release", st, &error) : 0;
}

static int newcomer(struct scene *s, hf_manager *m)
{
	hf_acquire_options o = sharing();
	hf_lease *lease;
	hf_error error;
	hf_status st;

	until(s, 2);
	if (!waiters_become(m, s->name, 1))
		return wrong(s, "nobody waits", HF_OK, NULL);
	st = hf_try_acquire(m, s->name, &o, &lease, &error);
	if (st != HF_HELD)
		return wrong(s, "try", st, &error);
	o.priority = 5; /* not even so */
	st = hf_acquire(m, s->name, &o, &lease, &error);
	s->at[2] = ++s->last;
	if (!st)
		st = hf_release(lease, &error);
	return st ? wrong(s, "acquire", st, &error) : 0;
}

static int play(int i, void *arg)
{
	static int (*const parts[])(struct scene *, hf_manager *) = {
		upgrader, sharer, newcomer};
	hf_manager *m = world_open();
	int code = parts[i](arg, m);

	hf_close(m);
	return code;
}

static void upgrade__waits_and_goes_before_who_is_new(void **state)
{
	struct scene *s = new_scene("upgrade");

	(void)state;
	world_run(3, play, s, 60);
	assert_string_equal(s->error, "");
	assert_int_equal(s->at[0], 1);
	assert_int_equal(s->at[1], 2);
	assert_int_equal(s->at[2], 3);
}

static void upgrade__that_times_out_leaves_all_as_it_was(void **state)
{
	const char *name = world_name("late");
	hf_acquire_options o = sharing();
	hf_convert_options wait = waiting(300);
	hf_manager *m = world_open();
	hf_lease *a = share(m, name);
	hf_lease *b = share(m, name);
	uint64_t token = hf_lease_token(a);
	int64_t start_ms = hf_boot_ms();
	hf_error error;

	(void)state;
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, &error), HF_TIMED_OUT);
	assert_true(hf_boot_ms() - start_ms >= 300);
	assert_non_null(strstr(error.text, name));
	assert_int_equal(waiters(m, name), 0);
	assert_int_equal(hf_lease_mode(a), HF_SHARED);
	assert_int_equal(hf_lease_token(a), token);
	assert_true(hf_lease_valid(a));
	assert_int_equal(try_it(m, name, &o), HF_OK);
	wait.wait_ms = 0;
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, &error), HF_HELD);
	assert_int_equal(waiters(m, name), 0);
	give_back(b);
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, &error), HF_OK);
	give_back(a);
	hf_close(m);
}

static void upgrade__is_counted_but_as_no_acquisition(void **state)
{
	const char *name = world_name("counted");
	hf_metrics metrics = HF_METRICS_INIT;
	hf_convert_options wait = waiting(50);
	hf_manager *m = world_open();
	hf_lease *a = share(m, name);
	hf_lease *b = share(m, name);

	(void)state;
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, NULL), HF_TIMED_OUT);
	wait.wait_ms = 0;
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, NULL), HF_HELD);
	give_back(b);
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, NULL, NULL), HF_OK);
	give_back(a);
	assert_int_equal(hf_metrics_get(m, name, &metrics, NULL), HF_OK);
	assert_int_equal(metrics.failed_timed_out, 1);
	assert_int_equal(metrics.failed_held, 1);
	assert_int_equal(metrics.conflicts, 2);
	assert_int_equal(metrics.acquisitions, 2);
	assert_int_equal(metrics.releases, 2);
	hf_close(m);
}

static void upgrade__with_options_that_make_no_sense_is_refused(void **state)
{
	const char *name = world_name("options");
	hf_convert_options bad[] = {waiting(-2), waiting(0), waiting(0), waiting(0)};
	hf_manager *m = world_open();
	hf_lease *lease = share(m, name);
	hf_error error;
	size_t i;

	(void)state;
	bad[1].size--;
	bad[2].flags = HF_DETACHED;
	bad[3].under_count = 1;
	for (i = 0; i < HF_ARRAY_LEN(bad); i++) {
		assert_int_equal(hf_convert(lease, HF_EXCLUSIVE, &bad[i], &error), HF_INVALID);
		assert_int_equal(hf_lease_mode(lease), HF_SHARED);
	}
	give_back(lease);
	hf_close(m);
}

static void *cancel_later(void *arg)
{
	struct later *l = arg;
	hf_error error;

	assert_true(waiters_become(l->m, l->name, 1));
	/* One thread at a time. */
	assert_int_equal(hf_convert(l->lease, HF_SHARED, NULL, &error), HF_INVALID);
	assert_int_equal(write(l->fd, "x", 1), 1);
	return NULL;
}

static void upgrade__that_is_cancelled_leaves_all_as_it_was(void **state)
{
	const char *name = world_name("cancelled");
	hf_acquire_options o = sharing();
	hf_convert_options wait = HF_CONVERT_OPTIONS_INIT;
	hf_manager *m = world_open();
	struct later l = {.m = world_open(), .name = name};
	hf_lease *a = share(m, name);
	hf_lease *b = share(m, name);
	pthread_t thread;
	hf_error error;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	wait.cancel_fd = fds[0];
	l.fd = fds[1];
	l.lease = a;
	pthread_create(&thread, NULL, cancel_later, &l);
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, &error), HF_TIMED_OUT);
	pthread_join(thread, NULL);
	assert_int_equal(waiters(m, name), 0);
	assert_int_equal(hf_lease_mode(a), HF_SHARED);
	assert_int_equal(try_it(m, name, &o), HF_OK);
	give_back(a);
	give_back(b);
	close(fds[0]);
	close(fds[1]);
	hf_close(l.m);
	hf_close(m);
}

/* ---- what happens to the hold meanwhile ---- */

static void *give_back_later(void *arg)
{
	struct later *l = arg;

	assert_true(waiters_become(l->m, l->name, 1));
	hf_sleep_until_ms(hf_boot_ms() + l->pause_ms);
	give_back(l->lease);
	return NULL;
}

/* `o` upgrades; another who shares it as `other` says gives it back once that waits. */
static hf_lease *upgrade_beside(hf_manager *m, const char *name, const hf_acquire_options *o,
	const hf_acquire_options *other, int64_t pause_ms)
{
	struct later l = {.m = world_open(), .name = name, .pause_ms = pause_ms};
	hf_lease *lease = take(m, name, o);
	pthread_t thread;
	hf_error error;

	l.lease = take(l.m, name, other);
	pthread_create(&thread, NULL, give_back_later, &l);
	if (hf_convert(lease, HF_EXCLUSIVE, NULL, &error))
		fail_msg("%s", error.text);
	pthread_join(thread, NULL);
	hf_close(l.m);
	assert_int_equal(hf_lease_mode(lease), HF_EXCLUSIVE);
	assert_int_equal(try_it(m, name, o), HF_HELD);
	return lease;
}

static void upgrade__is_renewed_while_it_waits(void **state)
{
	const char *name = world_name("renewed");
	hf_acquire_options longer = sharing();
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	hf_lease *lease;

	(void)state;
	o.ttl_ms = 1500;
	lease = upgrade_beside(m, name, &o, &longer, 2400);
	assert_true(hf_lease_valid(lease));
	give_back(lease);
	hf_close(m);
}

static void *force_later(void *arg)
{
	struct later *l = arg;

	assert_true(waiters_become(l->m, l->name, 1));
	assert_int_equal(hf_force_release(l->m, l->name, NULL, 0, NULL, NULL), HF_OK);
	return NULL;
}

static void upgrade__of_a_hold_that_is_taken_away_is_lost(void **state)
{
	const char *name = world_name("taken");
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	struct later l = {.m = world_open(), .name = name};
	int64_t start_ms = hf_boot_ms();
	pthread_t thread;
	hf_lease *lease;
	hf_lease *other;
	hf_error error;

	(void)state;
	o.ttl_ms = 3000;
	lease = take(m, name, &o);
	other = share(m, name);
	pthread_create(&thread, NULL, force_later, &l);
	assert_int_equal(hf_convert(lease, HF_EXCLUSIVE, NULL, &error), HF_LOST);
	assert_true(hf_boot_ms() - start_ms < SOON_MS);
	pthread_join(thread, NULL);
	assert_false(hf_lease_valid(lease));
	assert_int_equal(waiters(m, name), 0);
	hf_release(lease, NULL);
	hf_release(other, NULL);
	hf_close(l.m);
	hf_close(m);
}

/* What is detached is renewed by nobody: it ends while it waits. */
static void upgrade__of_a_hold_that_expires_is_lost(void **state)
{
	const char *name = world_name("expired");
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	hf_lease *other = share(m, name);
	int64_t start_ms = hf_boot_ms();
	hf_lease *lease;
	hf_error error;

	(void)state;
	o.ttl_ms = 700;
	o.flags = HF_DETACHED;
	lease = take(m, name, &o);
	assert_int_equal(hf_convert(lease, HF_EXCLUSIVE, NULL, &error), HF_LOST);
	assert_true(hf_boot_ms() - start_ms < SOON_MS);
	assert_int_equal(waiters(m, name), 0);
	hf_release(lease, NULL);
	give_back(other);
	hf_close(m);
}

/* ---- killed ---- */

static int wait_to_be_killed(int i, void *arg)
{
	struct scene *s = arg;
	hf_manager *m;
	hf_lease *lease;
	hf_error error;

	(void)i;
	until(s, 1);
	m = world_open();
	lease = share(m, s->name);
	return hf_convert(lease, HF_EXCLUSIVE, NULL, &error) != HF_OK;
}

static void *take_later(void *arg)
{
	struct later *l = arg;
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.wait_ms = 60000;
	l->lease = take(l->m, l->name, &o);
	return NULL;
}

static void upgrade__of_one_that_is_killed_is_skipped(void **state)
{
	struct scene *s = new_scene("killed");
	struct later l = {.name = s->name};
	int64_t start_ms;
	pthread_t thread;
	hf_manager *m;
	hf_lease *lease;
	pid_t pid;

	(void)state;
	if (!under_test.processes)
		skip();
	pid = world_spawn(wait_to_be_killed, 0, s); /* before there are threads */
	l.m = m = world_open();
	lease = share(m, s->name);
	s->step++;
	assert_true(waiters_become(m, s->name, 1));
	pthread_create(&thread, NULL, take_later, &l);
	assert_true(waiters_become(m, s->name, 2));
	kill(pid, SIGKILL);
	world_wait(pid);
	start_ms = hf_boot_ms();
	give_back(lease);
	pthread_join(thread, NULL);
	assert_true(hf_boot_ms() - start_ms < SOON_MS);
	assert_int_equal(holders(m, s->name), 1);
	assert_int_equal(waiters(m, s->name), 0);
	give_back(l.lease);
	hf_close(m);
}

/* ---- limits, groups ---- */

static void upgrade__of_one_of_a_few_takes_them_all(void **state)
{
	const char *name = world_name("limit");
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	hf_lease *lease;
	hf_error error;

	(void)state;
	o.limit = 3;
	lease = upgrade_beside(m, name, &o, &o, 0);
	assert_int_equal(hf_convert(lease, HF_SHARED, NULL, &error), HF_OK);
	assert_int_equal(try_it(m, name, &o), HF_OK);
	give_back(lease);
	hf_close(m);
}

static void upgrade__does_not_wait_for_its_own_group(void **state)
{
	const char *name = world_name("group");
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	struct later l = {.m = world_open(), .name = name};
	hf_lease *outer = share(m, name);
	pthread_t thread;
	hf_lease *inner;
	hf_error error;

	(void)state;
	l.lease = share(l.m, name);
	o.reenter = hf_lease_id(outer);
	inner = take(m, name, &o);
	pthread_create(&thread, NULL, give_back_later, &l);
	assert_int_equal(hf_convert(inner, HF_EXCLUSIVE, NULL, &error), HF_OK);
	pthread_join(thread, NULL);
	assert_int_equal(hf_lease_mode(outer), HF_SHARED);
	assert_int_equal(holders(m, name), 2);
	give_back(inner);
	give_back(outer);
	hf_close(l.m);
	hf_close(m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(upgrade__waits_and_goes_before_who_is_new),
	cmocka_unit_test(upgrade__that_times_out_leaves_all_as_it_was),
	cmocka_unit_test(upgrade__is_counted_but_as_no_acquisition),
	cmocka_unit_test(upgrade__with_options_that_make_no_sense_is_refused),
	cmocka_unit_test(upgrade__that_is_cancelled_leaves_all_as_it_was),
	cmocka_unit_test(upgrade__is_renewed_while_it_waits),
	cmocka_unit_test(upgrade__of_a_hold_that_is_taken_away_is_lost),
	cmocka_unit_test(upgrade__of_a_hold_that_expires_is_lost),
	cmocka_unit_test(upgrade__of_one_that_is_killed_is_skipped),
	cmocka_unit_test(upgrade__of_one_of_a_few_takes_them_all),
	cmocka_unit_test(upgrade__does_not_wait_for_its_own_group),
};
const test_group upgrade_tests = TEST_GROUP(tests);
