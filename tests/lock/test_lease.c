/* Leases in hand, on a store that answers late or not: moody_store.c. */
#include "moody_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void sleep_ms(int64_t ms)
{
	hf_sleep_until_ms(hf_boot_ms() + ms);
}

static void lease__is_renewed_after_a_call_that_took_long(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_moody();
	hf_lease *lease;

	(void)state;
	o.mode = HF_SHARED;
	o.ttl_ms = 3000;
	lease = take(m, "long", &o);
	store->late_ms = 1300; /* its renewal falls due meanwhile */
	assert_int_equal(hf_convert(lease, HF_EXCLUSIVE, NULL, NULL), HF_OK);
	store->late_ms = 0;
	sleep_ms(2500);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(hf_release(lease, NULL), HF_OK);
	hf_close(m);
}

static void lease__that_is_given_a_ttl_later_is_renewed(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_moody();
	hf_lease *lease;

	(void)state;
	o.ttl_ms = 0;
	lease = take(m, "later", &o);
	assert_true(hf_lease_remaining_ms(lease) == INT64_MAX);
	assert_int_equal(hf_extend(lease, 1500, NULL), HF_OK);
	assert_true(hf_lease_remaining_ms(lease) <= 1500);
	sleep_ms(2000);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(hf_release(lease, NULL), HF_OK);
	hf_close(m);
}

static void *shorten(void *lease)
{
	static hf_status st;

	st = hf_extend(lease, 1000, NULL);
	return &st;
}

static void lease__is_trusted_for_a_shorter_ttl_from_when_it_is_asked_for(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_moody();
	pthread_t thread;
	hf_lease *lease;

	(void)state;
	o.ttl_ms = 60000;
	lease = take(m, "shorter", &o);
	store->swaps = 0;
	store->silent = true;
	assert_int_equal(pthread_create(&thread, NULL, shorten, lease), 0);
	while (!store->swaps)
		sleep_ms(1);
	/* The store has it now, though nobody was told. */
	assert_true(hf_lease_remaining_ms(lease) <= 1000);
	sleep_ms(1000);
	assert_int_equal(hf_lease_remaining_ms(lease), 0);
	store->silent = false;
	pthread_join(thread, NULL);
	assert_false(hf_lease_valid(lease));
	hf_release(lease, NULL);
	hf_close(m);
}

static void lease__whose_shorter_ttl_is_refused_is_as_before(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_moody();
	hf_lease *lease;

	(void)state;
	lease = take(m, "refused", &o);
	assert_int_equal(hf_extend(lease, 99, NULL), HF_INVALID);
	assert_int_equal(hf_convert(lease, (hf_mode)7, NULL, NULL), HF_INVALID);
	assert_true(hf_lease_remaining_ms(lease) > 20000);
	assert_int_equal(hf_extend(lease, 10000, NULL), HF_OK);
	assert_true(hf_lease_remaining_ms(lease) <= 9000);
	assert_int_equal(hf_release(lease, NULL), HF_OK);
	hf_close(m);
}

static void lease__outlives_its_manager_as_a_handle_only(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_moody();
	hf_manager *other = open_moody();
	hf_lease *bound = take(m, "bound", NULL);
	hf_lease *detached;
	hf_error error;

	(void)state;
	o.flags = HF_DETACHED;
	detached = take(m, "detached", &o);
	hf_close(m);
	assert_int_equal(hf_lease_remaining_ms(bound), 0);
	assert_int_equal(hf_lease_remaining_ms(detached), 0);
	assert_string_equal(hf_lease_name(detached), "detached");
	assert_int_equal(hf_lease_fd(detached), -1);
	assert_int_equal(hf_lease_liveness_fd(bound), -1);
	assert_int_equal(hf_extend(detached, 0, &error), HF_LOST);
	assert_int_equal(hf_release(detached, &error), HF_OK);
	assert_int_equal(hf_release(bound, &error), HF_OK);
	/* They are not released. */
	assert_int_equal(holders(other, "detached"), 1);
	assert_int_equal(holders(other, "bound"), 1);
	hf_close(other);
}

static void lost(hf_lease *lease, void *arg)
{
	(void)lease;
	(*(_Atomic int *)arg)++;
}

static void lease__without_a_ttl_learns_of_its_loss_when_it_asks(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_moody();
	_Atomic int calls = 0;
	hf_lease *lease;

	(void)state;
	o.ttl_ms = 0;
	o.on_lost = lost;
	o.on_lost_arg = (void *)&calls;
	lease = take(m, "no ttl", &o);
	assert_int_equal(hf_force_release(m, "no ttl", NULL, 0, NULL, NULL), HF_OK);
	assert_true(hf_lease_remaining_ms(lease) == INT64_MAX);
	assert_int_equal(hf_extend(lease, 0, NULL), HF_LOST);
	assert_int_equal(hf_lease_remaining_ms(lease), 0);
	assert_int_equal(calls, 1);
	hf_release(lease, NULL);
	hf_close(m);
}

static void liveness__is_one_descriptor_that_fork_closes_and_a_copy_survives(void **state)
{
	hf_manager *m = open_moody();
	hf_lease *a = take(m, "a", NULL);
	hf_lease *b = take(m, "b", NULL);
	int fd = hf_lease_liveness_fd(a);
	int copy = dup(fd);
	int status;
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(hf_lease_liveness_fd(b), fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int bad = fcntl(fd, F_GETFD) != -1 || errno != EBADF;

		_exit(bad || fcntl(copy, F_GETFD) == -1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(copy);
	assert_int_equal(hf_release(a, NULL), HF_OK);
	assert_int_equal(hf_release(b, NULL), HF_OK);
	hf_close(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lease__is_renewed_after_a_call_that_took_long),
		cmocka_unit_test(lease__that_is_given_a_ttl_later_is_renewed),
		cmocka_unit_test(lease__is_trusted_for_a_shorter_ttl_from_when_it_is_asked_for),
		cmocka_unit_test(lease__whose_shorter_ttl_is_refused_is_as_before),
		cmocka_unit_test(lease__outlives_its_manager_as_a_handle_only),
		cmocka_unit_test(lease__without_a_ttl_learns_of_its_loss_when_it_asks),
		cmocka_unit_test(
			liveness__is_one_descriptor_that_fork_closes_and_a_copy_survives),
	};

	return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
