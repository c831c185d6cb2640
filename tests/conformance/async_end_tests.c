/* Acquiring without blocking: given up, closed, lost, forked, killed. */
#include "pending.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

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
	hf_manager *m = world_open_if(has_line());
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *lease;
	hf_error error;
	hf_pending *p;

	(void)state;
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
	hf_manager *m = world_open_if(has_line());
	hf_manager *other = world_open();
	const char *name = world_name("async");
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	_Atomic int lost = 0;
	hf_lease *lease;
	hf_pending *p;

	(void)state;
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
	assert_true(eventually(is_one, &lost, 10000));
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
	hf_manager *m = world_open_if(under_test.processes);
	int64_t start_ms;
	hf_pending *p;
	pid_t pid;

	(void)state;
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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(async__cancelled_ones_leave_nothing),
	cmocka_unit_test(async__a_cancelled_grant_is_given_back),
	cmocka_unit_test(async__closing_cancels_and_leaves_nothing),
	cmocka_unit_test(async__a_grant_that_is_over_before_it_is_asked_for_is_lost),
	cmocka_unit_test(async__the_lease_is_kept_and_its_loss_told),
	cmocka_unit_test(async__belongs_to_the_parent_after_a_fork),
	cmocka_unit_test(async__a_killed_process_is_in_nobodys_way),
	cmocka_unit_test(async__a_killed_holder_is_noticed_at_once),
};
const test_group async_end_tests = TEST_GROUP(tests);
