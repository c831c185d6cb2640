/* Acquiring without blocking, on every store. */
#include "pending.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static hf_acquire_options with_wait(int64_t wait_ms)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.wait_ms = wait_ms;
	return o;
}

static void async__a_free_lock_is_had_and_told(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_pending *p;
	hf_lease *lease;
	int job = 7;

	(void)state;
	assert_null(hf_acquire_next(m));
	p = start(m, name, NULL, &job);
	assert_true(hf_pending_arg(p) == &job);
	assert_string_equal(hf_pending_name(p), name);
	assert_true(told(m, 10000));
	assert_true(hf_acquire_next(m) == p);
	assert_null(hf_acquire_next(m));
	assert_false(told(m, 0));
	assert_int_equal(hf_acquire_finish(p, &lease, NULL), HF_OK);
	assert_true(hf_lease_valid(lease));
	assert_true(hf_lease_token(lease) >= 1);
	assert_string_equal(hf_lease_name(lease), name);
	assert_int_equal(try_it(m, name, NULL), HF_HELD);
	give_back(lease);
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	hf_close(m);
}

static void async__what_is_held_is_pending_until_its_release(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("async");
	hf_lease *held = take(other, name, NULL);
	hf_pending *p = start(m, name, NULL, NULL);
	hf_lease *lease = held;
	hf_error error;

	(void)state;
	assert_false(told(m, 200));
	assert_int_equal(hf_acquire_finish(p, &lease, &error), HF_PENDING);
	assert_null(lease);
	assert_true(strlen(error.text) > 10);
	assert_null(hf_acquire_next(m));
	give_back(held);
	assert_true(told(m, 10000));
	assert_true(hf_acquire_next(m) == p);
	give_back(have(m, p));
	hf_close(other);
	hf_close(m);
}

static void async__the_descriptor_is_readable_until_all_are_told(void **state)
{
	hf_manager *m = world_open();
	hf_pending *p[3];
	hf_lease *lease;
	int fd = hf_acquire_fd(m);
	int i;

	(void)state;
	for (i = 0; i < 3; i++)
		p[i] = start(m, world_name("level"), NULL, NULL);
	for (i = 0; i < 3; i++) {
		hf_lease *one;
		hf_pending *next;

		assert_true(told(m, 10000));
		assert_true(told(m, 0));
		next = hf_acquire_next(m);
		assert_non_null(next);
		assert_int_equal(hf_acquire_finish(next, &one, NULL), HF_OK);
		give_back(one);
	}
	assert_false(told(m, 0));
	/* Finished before it was told: no news either. */
	p[0] = start(m, world_name("level"), NULL, NULL);
	assert_true(told(m, 10000));
	assert_int_equal(hf_acquire_finish(p[0], &lease, NULL), HF_OK);
	assert_false(told(m, 0));
	assert_null(hf_acquire_next(m));
	give_back(lease);
	assert_int_equal(hf_acquire_fd(m), fd);
	hf_close(m);
}

static void async__answers_are_those_of_acquire(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_lease *held = take(m, name, NULL);
	hf_acquire_options o = with_wait(0);
	int64_t start_ms;
	hf_pending *p;
	hf_lease *lease;
	hf_error error;

	(void)state;
	p = start(m, name, &o, NULL);
	assert_int_equal(answer(m, p, &lease, &error), HF_HELD);
	assert_int_equal(error.kind, HF_HELD);
	assert_true(strlen(error.text) > 10);
	o = with_wait(-1);
	o.strategy = HF_FAIL_FAST;
	assert_int_equal(answer(m, start(m, name, &o, NULL), &lease, &error), HF_HELD);
	o = with_wait(300);
	start_ms = hf_boot_ms();
	assert_int_equal(answer(m, start(m, name, &o, NULL), &lease, &error), HF_TIMED_OUT);
	assert_true(hf_boot_ms() - start_ms >= 300);
	assert_true(strlen(error.text) > 10);
	assert_int_equal(waiters(m, name), 0);
	assert_int_equal(hf_acquire_start(m, "", NULL, NULL, &p, &error), HF_INVALID);
	assert_null(p);
	o = with_wait(-1);
	o.ttl_ms = 5;
	assert_int_equal(hf_acquire_start(m, name, &o, NULL, &p, &error), HF_INVALID);
	o = with_wait(-1);
	o.cancel_fd = 0;
	assert_int_equal(hf_acquire_start(m, name, &o, NULL, &p, &error), HF_INVALID);
	assert_non_null(strstr(error.text, "hf_acquire_cancel"));
	give_back(held);
	hf_close(m);
}

/* Those behind the gate have only the time that they were given too. */
static void async__all_time_out_in_time(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_lease *held = take(m, name, NULL);
	hf_acquire_options o = with_wait(500);
	int64_t start_ms = hf_boot_ms();
	hf_pending *p[60];
	hf_lease *lease;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		p[i] = start(m, name, &o, NULL);
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		assert_int_equal(answer(m, p[i], &lease, NULL), HF_TIMED_OUT);
	assert_true(hf_boot_ms() - start_ms < 10000);
	assert_int_equal(waiters(m, name), 0);
	assert_int_equal(holders(m, name), 1);
	give_back(held);
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	hf_close(m);
}

static void async__texts_are_copied(void **state)
{
	hf_manager *m = world_open();
	char name[64];
	char owner[] = "an owner";
	char info[] = "{\"why\":1}";
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lock_info *found;
	hf_lease *held;
	hf_lease *lease;
	hf_pending *p;

	(void)state;
	snprintf(name, sizeof(name), "%s", world_name("texts"));
	held = take(m, name, NULL);
	o.owner = owner;
	o.info = info;
	p = start(m, name, &o, NULL);
	memset(owner, 'x', sizeof(owner) - 1);
	memset(info, 'x', sizeof(info) - 1);
	give_back(held);
	lease = have(m, p);
	assert_int_equal(hf_lock_status(m, name, &found, NULL), HF_OK);
	assert_int_equal(found->holder_count, 1);
	assert_string_equal(found->holders[0].owner, "an owner");
	assert_string_equal(found->holders[0].info, "{\"why\":1}");
	hf_lock_info_free(found);
	give_back(lease);
	hf_close(m);
}

static void async__strategies_do_what_they_do_when_blocking(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *held = take(other, name, NULL);
	hf_lease *lease;
	hf_pending *p;

	(void)state;
	o.strategy = HF_RETRY;
	o.max_retries = 3;
	o.backoff_min_ms = 1;
	o.backoff_max_ms = 5;
	if (has_line())
		assert_int_equal(answer(m, start(m, name, &o, NULL), &lease, NULL), HF_HELD);
	o.max_retries = 1000;
	o.backoff_min_ms = 50;
	o.backoff_max_ms = 100;
	p = start(m, name, &o, NULL);
	assert_false(told(m, 100));
	give_back(held);
	give_back(have(m, p));
	if (has_line()) {
		held = take(other, name, NULL);
		o.strategy = HF_STEAL_STALE;
		o.stale_after_ms = 300;
		p = start(m, name, &o, NULL);
		lease = have(m, p);
		assert_true(hf_lease_token(lease) > hf_lease_token(held));
		(void)hf_release(held, NULL);
		o.strategy = HF_FORCE_ACQUIRE;
		held = have(other, start(other, name, &o, NULL));
		assert_true(hf_lease_token(held) > hf_lease_token(lease));
		assert_int_equal(hf_release(lease, NULL), HF_LOST);
		give_back(held);
	}
	hf_close(other);
	hf_close(m);
}

/* Past the gate: 16 stand in the line already. */
static void async__a_higher_priority_is_served_first(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *held = take(m, name, NULL);
	hf_pending *low[30];
	hf_pending *high;
	size_t i;

	(void)state;
	if (!has_line()) {
		give_back(held);
		hf_close(m);
		skip();
	}
	for (i = 0; i < HF_ARRAY_LEN(low); i++)
		low[i] = start(m, name, NULL, NULL);
	assert_true(waiters_become(m, name, 16));
	o.priority = 5;
	high = start(m, name, &o, NULL);
	assert_true(waiters_become(m, name, 17));
	give_back(held);
	assert_true(told(m, 10000));
	assert_true(hf_acquire_next(m) == high);
	give_back(have(m, high));
	for (i = 0; i < HF_ARRAY_LEN(low); i++)
		give_back(have(m, low[i]));
	assert_int_equal(waiters(m, name), 0);
	hf_close(m);
}

static void async__shared_ones_are_had_together(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *held = take(m, name, NULL);
	hf_pending *p[40];
	hf_lease *leases[40];
	size_t i;

	(void)state;
	o.mode = HF_SHARED;
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		p[i] = start(m, name, &o, NULL);
	give_back(held);
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		leases[i] = have(m, p[i]);
	assert_int_equal(holders(m, name), HF_ARRAY_LEN(p));
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		give_back(leases[i]);
	hf_close(m);
}

/* Who does not stand in line has no bell: the store is watched for two of them. */
static void async__a_change_cuts_a_pause_short(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *held[2];
	hf_pending *p[2];
	char names[2][64];
	int64_t start_ms;
	size_t i;

	(void)state;
	o.strategy = HF_RETRY;
	o.max_retries = 1000;
	o.backoff_min_ms = o.backoff_max_ms = 120000;
	for (i = 0; i < 2; i++) {
		snprintf(names[i], sizeof(names[i]), "%s", world_name("cut"));
		held[i] = take(other, names[i], NULL);
		p[i] = start(m, names[i], &o, NULL);
		assert_false(told(m, 300));
	}
	start_ms = hf_boot_ms();
	for (i = 0; i < 2; i++)
		give_back(held[i]);
	for (i = 0; i < 2; i++)
		give_back(have(m, p[i]));
	assert_true(hf_boot_ms() - start_ms < 5000);
	hf_close(other);
	hf_close(m);
}

/* ---- giving up ---- */

static void async__cancelled_ones_leave_nothing(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("async");
	hf_lease *held = take(other, name, NULL);
	hf_pending *p[40];
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		p[i] = start(m, name, NULL, NULL);
	if (has_line())
		assert_true(waiters_become(other, name, 16));
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		hf_acquire_cancel(p[i]);
	hf_acquire_cancel(NULL);
	assert_true(waiters_become(other, name, 0));
	assert_int_equal(holders(other, name), 1);
	assert_false(told(m, 50));
	assert_null(hf_acquire_next(m));
	give_back(held);
	assert_int_equal(try_it(other, name, NULL), HF_OK);
	hf_close(other);
	hf_close(m);
}

static void async__a_cancelled_grant_is_given_back(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_pending *p = start(m, name, NULL, NULL);

	(void)state;
	assert_true(told(m, 10000));
	assert_int_equal(holders(m, name), 1);
	hf_acquire_cancel(p);
	assert_false(told(m, 0));
	assert_true(holders_become(m, name, 0));
	/* And of one that was told already. */
	p = start(m, name, NULL, NULL);
	assert_true(told(m, 10000));
	assert_true(hf_acquire_next(m) == p);
	hf_acquire_cancel(p);
	assert_true(holders_become(m, name, 0));
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	hf_close(m);
}

static void async__closing_cancels_and_leaves_nothing(void **state)
{
	hf_manager *other = world_open();
	const char *name = world_name("held");
	const char *free_name;
	char had[64];
	hf_lease *held;
	hf_pending *p[40];
	hf_pending *granted;
	hf_lease *lease;
	hf_error error;
	hf_manager *m;
	int descriptors;
	int threads;
	char waited[64];
	size_t i;

	(void)state;
	snprintf(waited, sizeof(waited), "%s", name);
	held = take(other, waited, NULL);
	free_name = world_name("free");
	snprintf(had, sizeof(had), "%s", free_name);
	/* The store keeps descriptors of names it knows. */
	assert_int_equal(try_it(other, had, NULL), HF_OK);
	descriptors = world_descriptors();
	threads = world_threads();
	m = world_open();
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		p[i] = start(m, waited, NULL, NULL);
	granted = start(m, had, NULL, NULL);
	assert_true(told(m, 10000));
	if (has_line())
		assert_true(waiters_become(other, waited, 16));
	hf_close(m);
	assert_int_equal(waiters(other, waited), 0);
	assert_int_equal(holders(other, waited), 1);
	assert_int_equal(holders(other, had), 0);
	assert_int_equal(world_threads(), threads);
	assert_int_equal(world_descriptors(), descriptors);
	for (i = 0; i + 1 < HF_ARRAY_LEN(p); i++) {
		assert_int_equal(hf_acquire_finish(p[i], &lease, &error), HF_TIMED_OUT);
		assert_null(lease);
		assert_non_null(strstr(error.text, "closed"));
	}
	hf_acquire_cancel(p[i]);
	assert_int_equal(hf_acquire_finish(granted, &lease, &error), HF_TIMED_OUT);
	give_back(held);
	hf_close(other);
}

static void async__a_grant_that_is_over_before_it_is_asked_for_is_lost(void **state)
{
	hf_manager *m = world_open();
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *lease;
	hf_error error;
	hf_pending *p;

	(void)state;
	if (!has_line()) {
		hf_close(m);
		skip();
	}
	o.ttl_ms = 200;
	o.flags = HF_NO_RENEW;
	p = start(m, name, &o, NULL);
	assert_true(told(m, 10000));
	usleep(300000);
	assert_int_equal(hf_acquire_finish(p, &lease, &error), HF_LOST);
	assert_null(lease);
	assert_non_null(strstr(error.text, "ttl"));
	assert_true(holders_become(m, name, 0));
	hf_close(m);
}

static void count_lost(hf_lease *lease, void *arg)
{
	(void)lease;
	(*(_Atomic int *)arg)++;
}

static bool is_one(void *arg)
{
	return *(_Atomic int *)arg == 1;
}

/* The keeper renews it before it is finished, and tells its loss after. */
static void async__the_lease_is_kept_and_its_loss_told(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	_Atomic int lost = 0;
	hf_lease *lease;
	hf_pending *p;

	(void)state;
	if (!has_line()) {
		hf_close(other);
		hf_close(m);
		skip();
	}
	o.ttl_ms = 1500;
	o.on_lost = count_lost;
	o.on_lost_arg = &lost;
	p = start(m, name, &o, NULL);
	assert_true(told(m, 10000));
	usleep(2000000);
	assert_int_equal(hf_acquire_finish(p, &lease, NULL), HF_OK);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(lost, 0);
	assert_int_equal(hf_force_release(other, name, NULL, 0, NULL, NULL), HF_OK);
	assert_true(world_eventually(is_one, &lost, 10000));
	assert_int_equal(hf_release(lease, NULL), HF_LOST);
	assert_int_equal(lost, 1);
	hf_close(other);
	hf_close(m);
}

/* ---- processes ---- */

static void async__belongs_to_the_parent_after_a_fork(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("async");
	hf_lease *held = take(other, name, NULL);
	hf_pending *p = start(m, name, NULL, NULL);
	int status;
	pid_t pid;

	(void)state;
	if (has_line())
		assert_true(waiters_become(other, name, 1));
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		hf_lease *none;
		hf_pending *child;
		int bad = hf_acquire_finish(p, &none, NULL) != HF_INVALID || none;

		hf_acquire_cancel(p);
		bad = bad || hf_acquire_fd(m) != -1 || hf_acquire_next(m);
		bad = bad || hf_acquire_start(m, name, NULL, NULL, &child, NULL) != HF_INVALID;
		hf_close(m);
		_exit(bad);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (has_line())
		assert_int_equal(waiters(other, name), 1);
	give_back(held);
	give_back(have(m, p));
	hf_close(other);
	hf_close(m);
}

struct victim {
	_Atomic bool go;
	_Atomic int started;
	char name[64];
	char had[64];
};

static int wait_for_ever(int i, void *arg)
{
	struct victim *v = arg;
	hf_manager *m = world_open();
	int n;

	(void)i;
	while (!v->go)
		usleep(1000);
	for (n = 0; n < 40; n++)
		(void)start(m, v->name, NULL, NULL);
	(void)start(m, v->had, NULL, NULL);
	assert_true(told(m, 10000));
	v->started = 1;
	while (v->started)
		pause();
	return 0;
}

static void async__a_killed_process_is_in_nobodys_way(void **state)
{
	struct victim *v = world_shared(sizeof(*v));
	hf_manager *m;
	int64_t start_ms;
	hf_lease *held;
	hf_lease *had;
	pid_t pid;

	(void)state;
	if (!under_test.processes)
		skip();
	snprintf(v->name, sizeof(v->name), "%s", world_name("waited"));
	snprintf(v->had, sizeof(v->had), "%s", world_name("had"));
	pid = world_spawn(wait_for_ever, 0, v); /* while there are no threads here */
	m = world_open();
	held = take(m, v->name, NULL);
	v->go = true;
	while (!v->started)
		usleep(1000);
	if (has_line())
		assert_true(waiters_become(m, v->name, 16));
	kill(pid, SIGKILL);
	world_wait(pid);
	start_ms = hf_boot_ms();
	give_back(held);
	held = have(m, start(m, v->name, NULL, NULL));
	had = have(m, start(m, v->had, NULL, NULL));
	assert_true(hf_boot_ms() - start_ms < 5000);
	assert_int_equal(waiters(m, v->name), 0);
	give_back(held);
	give_back(had);
	hf_close(m);
}

static int hold_until_killed(int i, void *arg)
{
	struct victim *v = arg;
	hf_manager *m = world_open();

	(void)i;
	(void)take(m, v->name, NULL);
	v->started = 1;
	while (v->started)
		pause();
	return 0;
}

/* No bell rings for it, and the lease has most of its 30 s to go. */
static void async__a_killed_holder_is_noticed_at_once(void **state)
{
	struct victim *v = world_shared(sizeof(*v));
	hf_manager *m = world_open();
	int64_t start_ms;
	hf_pending *p;
	pid_t pid;

	(void)state;
	if (!under_test.processes) {
		hf_close(m);
		skip();
	}
	snprintf(v->name, sizeof(v->name), "%s", world_name("killed"));
	pid = world_spawn(hold_until_killed, 0, v);
	while (!v->started)
		usleep(1000);
	p = start(m, v->name, NULL, NULL);
	assert_false(told(m, 200));
	start_ms = hf_boot_ms();
	kill(pid, SIGKILL);
	give_back(have(m, p));
	assert_true(hf_boot_ms() - start_ms < 3000);
	world_wait(pid);
	hf_close(m);
}

const struct CMUnitTest async_tests[] = {
	cmocka_unit_test(async__a_free_lock_is_had_and_told),
	cmocka_unit_test(async__what_is_held_is_pending_until_its_release),
	cmocka_unit_test(async__the_descriptor_is_readable_until_all_are_told),
	cmocka_unit_test(async__answers_are_those_of_acquire),
	cmocka_unit_test(async__all_time_out_in_time),
	cmocka_unit_test(async__texts_are_copied),
	cmocka_unit_test(async__strategies_do_what_they_do_when_blocking),
	cmocka_unit_test(async__a_higher_priority_is_served_first),
	cmocka_unit_test(async__shared_ones_are_had_together),
	cmocka_unit_test(async__a_change_cuts_a_pause_short),
	cmocka_unit_test(async__cancelled_ones_leave_nothing),
	cmocka_unit_test(async__a_cancelled_grant_is_given_back),
	cmocka_unit_test(async__closing_cancels_and_leaves_nothing),
	cmocka_unit_test(async__a_grant_that_is_over_before_it_is_asked_for_is_lost),
	cmocka_unit_test(async__the_lease_is_kept_and_its_loss_told),
	cmocka_unit_test(async__belongs_to_the_parent_after_a_fork),
	cmocka_unit_test(async__a_killed_process_is_in_nobodys_way),
	cmocka_unit_test(async__a_killed_holder_is_noticed_at_once),
};
const size_t async_test_count = HF_ARRAY_LEN(async_tests);
