/* Leases of processes that are killed or forked, and of many threads. */
#include "../held.h"
#include "world.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- processes ---- */

static int hold_and_tell(int i, void *arg)
{
	_Atomic int *in = arg;
	hf_manager *m = world_open();
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *lease;

	(void)i;
	options.ttl_ms = 600000;
	if (hf_acquire(m, "held by a process", &options, &lease, NULL))
		return 1;
	*in = 1;
	pause();
	return 0;
}

static void lease__of_a_killed_process_is_free_at_once(void **state)
{
	_Atomic int *in = world_shared(sizeof(*in));
	hf_manager *m = world_open_if(under_test.processes);
	int64_t start_ms;
	hf_lease *lease;
	pid_t pid;

	(void)state;
	pid = world_spawn(hold_and_tell, 0, (void *)in);
	while (!*in)
		usleep(1000);
	assert_int_equal(try_it(m, "held by a process", NULL), HF_HELD);
	kill(pid, SIGSTOP); /* stopped is not dead */
	usleep(50000);
	assert_int_equal(try_it(m, "held by a process", NULL), HF_HELD);
	kill(pid, SIGKILL);
	start_ms = hf_boot_ms();
	lease = take(m, "held by a process", NULL);
	assert_true(hf_boot_ms() - start_ms < 3000);
	world_wait(pid);
	give_back(lease);
	hf_close(m);
}

static void lease__belongs_to_the_parent_after_a_fork(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("fork");
	hf_lease *lease = take(m, name, NULL);
	int status;
	pid_t pid;

	(void)state;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		hf_lease *none;
		int bad = hf_lease_valid(lease) || hf_lease_remaining_ms(lease) != 0;

		bad = bad || hf_release(lease, NULL) != HF_OK;
		bad = bad || hf_acquire(m, "x", NULL, &none, NULL) != HF_INVALID;
		_exit(bad ? 1 : 0);
	}
	status = world_wait(pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(try_it(other, name, NULL), HF_HELD);
	give_back(lease);
	hf_close(other);
	hf_close(m);
}

static void lease__of_a_dead_parent_is_not_kept_by_a_forked_child(void **state)
{
	_Atomic int *in = world_shared(2 * sizeof(*in));
	hf_manager *m = world_open_if(under_test.detached && under_test.processes);
	pid_t parent;
	hf_lease *lease;

	(void)state;
	fflush(stdout);
	parent = fork();
	if (parent == 0) {
		hf_manager *mine = world_open();
		pid_t child;

		take(mine, "held by a parent", NULL);
		child = fork();
		if (child == 0) {
			in[1] = 1;
			sleep(20);
			_exit(0);
		}
		in[0] = child;
		pause();
	}
	while (!in[0] || !in[1])
		usleep(1000);
	kill(parent, SIGKILL);
	world_wait(parent);
	lease = take(m, "held by a parent", NULL);
	assert_int_equal(kill(in[0], SIGKILL), 0); /* it was still there */
	give_back(lease);
	hf_close(m);
}

/* ---- threads ---- */

struct threads {
	hf_manager *m;
	const char *name;
	_Atomic int inside;
	_Atomic int worst;
	unsigned rounds;
};

static void *thread_loop(void *arg)
{
	struct threads *t = arg;
	unsigned i;

	for (i = 0; i < t->rounds; i++) {
		hf_lease *lease;

		if (hf_acquire(t->m, t->name, NULL, &lease, NULL))
			return (void *)"failed";
		if (++t->inside != 1)
			t->worst++;
		t->inside--;
		if (hf_release(lease, NULL))
			return (void *)"failed";
	}
	return NULL;
}

static void lease__one_manager_serves_many_threads(void **state)
{
	struct threads t = {.name = world_name("threads"), .rounds = world_scaled(200)};
	pthread_t threads[8];
	int i;

	(void)state;
	t.m = world_open();
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_loop, &t), 0);
	for (i = 0; i < 8; i++) {
		void *result;

		pthread_join(threads[i], &result);
		assert_null(result);
	}
	assert_int_equal(t.worst, 0);
	hf_close(t.m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(lease__of_a_killed_process_is_free_at_once),
	cmocka_unit_test(lease__belongs_to_the_parent_after_a_fork),
	cmocka_unit_test(lease__of_a_dead_parent_is_not_kept_by_a_forked_child),
	cmocka_unit_test(lease__one_manager_serves_many_threads),
};
const test_group lease_process_tests = TEST_GROUP(tests);
