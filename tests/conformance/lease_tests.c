/* Leases through the public API, the same on every store. */
#include "held.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

static void lease__is_exclusive_and_tokens_grow(void **state)
{
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("basic");
	hf_lease *lease = take(m, name, NULL);
	uint64_t first = hf_lease_token(lease);

	(void)state;
	assert_true(first >= 1);
	assert_int_equal(strlen(hf_lease_id(lease)), 32);
	assert_string_equal(hf_lease_name(lease), name);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(try_it(other, name, NULL), HF_HELD);
	assert_int_equal(try_it(m, name, NULL), HF_HELD);
	assert_int_equal(holders(other, name), 1);
	give_back(lease);
	assert_int_equal(holders(other, name), 0);
	lease = take(other, name, NULL);
	assert_true(hf_lease_token(lease) > first);
	give_back(lease);
	hf_close(m);
	hf_close(other);
}

static void lease__shared_holders_stand_together_and_keep_writers_out(void **state)
{
	hf_acquire_options shared = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("shared");
	hf_lease *a;
	hf_lease *b;

	(void)state;
	shared.mode = HF_SHARED;
	a = take(m, name, &shared);
	b = take(other, name, &shared);
	assert_true(hf_lease_token(b) > hf_lease_token(a));
	assert_int_equal(holders(m, name), 2);
	assert_int_equal(try_it(m, name, NULL), HF_HELD);
	give_back(a);
	assert_int_equal(try_it(m, name, NULL), HF_HELD);
	give_back(b);
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	hf_close(m);
	hf_close(other);
}

static void lease__a_shared_limit_counts_and_another_is_refused(void **state)
{
	hf_acquire_options two = HF_ACQUIRE_OPTIONS_INIT;
	hf_acquire_options three;
	hf_manager *m = world_open();
	const char *name = world_name("limit");
	hf_lease *a;
	hf_lease *b;

	(void)state;
	two.mode = HF_SHARED;
	two.limit = 2;
	three = two;
	three.limit = 3;
	if (!under_test.detached) {
		assert_int_equal(try_it(m, name, &two), HF_INVALID);
		hf_close(m);
		return;
	}
	a = take(m, name, &two);
	assert_int_equal(try_it(m, name, &three), HF_INVALID);
	b = take(m, name, &two);
	assert_int_equal(try_it(m, name, &two), HF_HELD);
	give_back(a);
	assert_int_equal(try_it(m, name, &two), HF_OK);
	give_back(b);
	assert_int_equal(try_it(m, name, &three), HF_OK);
	hf_close(m);
}

static void lease__waiting_ends_in_time_and_leaves_nothing(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("wait");
	hf_lease *lease = take(m, name, NULL);
	hf_lease *none;
	hf_error error;
	int64_t start_ms = hf_boot_ms();

	(void)state;
	options.wait_ms = 300;
	assert_int_equal(hf_acquire(m, name, &options, &none, &error), HF_TIMED_OUT);
	assert_null(none);
	assert_true(hf_boot_ms() - start_ms >= 300);
	assert_true(hf_boot_ms() - start_ms < 5000);
	assert_int_equal(holders(m, name), 1);
	give_back(lease);
	assert_int_equal(holders(m, name), 0);
	hf_close(m);
}

static void lease__is_renewed_as_often_as_its_heartbeat_says(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	const char *name = world_name("heartbeat");
	hf_manager *m = world_open();
	int64_t end_ms = hf_boot_ms() + 10000;
	int64_t renewals = 0;
	hf_lock_info *info;
	hf_lease *lease;

	(void)state;
	if (!under_test.detached) {
		hf_close(m);
		skip(); /* a session is not renewed */
	}
	options.ttl_ms = 60000; /* a third of which is longer than this may take */
	options.renew_ms = 20;
	lease = take(m, name, &options);
	while (renewals < 5 && hf_boot_ms() < end_ms) {
		usleep(20000);
		assert_int_equal(hf_lock_status(m, name, &info, NULL), HF_OK);
		renewals = info->holders[0].renewals;
		hf_lock_info_free(info);
	}
	assert_true(renewals >= 5);
	give_back(lease);
	options.renew_ms = 5;
	assert_int_equal(hf_acquire(m, name, &options, &lease, NULL), HF_INVALID);
	hf_close(m);
}

static void lease__waiting_can_be_cancelled(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("cancel");
	hf_lease *lease = take(m, name, NULL);
	hf_lease *none;
	hf_error error;
	uint64_t one = 1;
	int64_t start_ms = hf_boot_ms();

	(void)state;
	options.cancel_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(write(options.cancel_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(hf_acquire(m, name, &options, &none, &error), HF_TIMED_OUT);
	assert_true(hf_boot_ms() - start_ms < 3000);
	close(options.cancel_fd);
	give_back(lease);
	hf_close(m);
}

struct hand_over {
	const char *name;
	hf_manager *shared;
	_Atomic int64_t released_ms;
	_Atomic int64_t entered_ms;
};

static int hold_or_wait(int i, void *arg)
{
	struct hand_over *h = arg;
	hf_manager *m = world_open();
	hf_lease *lease;

	if (i == 0) {
		lease = take(m, h->name, NULL);
		h->released_ms = -1; /* "I am in" */
		usleep(400000);
		h->released_ms = hf_boot_ms();
		give_back(lease);
	} else {
		while (h->released_ms == 0)
			usleep(1000);
		lease = take(m, h->name, NULL);
		h->entered_ms = hf_boot_ms();
		give_back(lease);
	}
	hf_close(m);
	return 0;
}

static void lease__a_waiter_gets_in_soon_after_a_release(void **state)
{
	struct hand_over *h = world_shared(sizeof(*h));

	(void)state;
	h->name = world_name("handover");
	world_run(2, hold_or_wait, h, 30);
	assert_true(h->entered_ms >= h->released_ms);
	assert_true(h->entered_ms - h->released_ms < 2000);
}

static void lease__without_renewal_expires_and_is_lost_before_another_has_it(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("expire");
	hf_lease *lease;
	hf_lease *next;
	hf_error error;

	(void)state;
	if (!under_test.detached) {
		hf_close(m);
		skip();
	}
	options.ttl_ms = 400;
	options.flags = HF_NO_RENEW;
	lease = take(m, name, &options);
	assert_true(hf_lease_remaining_ms(lease) <= 400);
	assert_int_equal(hf_acquire(m, name, NULL, &next, &error), HF_OK);
	/* Whoever is in now: the first has not believed in its lease for a while. */
	assert_int_equal(hf_lease_remaining_ms(lease), 0);
	assert_false(hf_lease_valid(lease));
	assert_true(hf_lease_token(next) > hf_lease_token(lease));
	assert_int_equal(hf_release(lease, &error), HF_LOST);
	assert_int_equal(holders(m, name), 1); /* only the exact grant is released */
	give_back(next);
	hf_close(m);
}

static void lease__is_kept_by_the_keeper_far_beyond_its_ttl(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("keep");
	hf_lease *lease;
	int i;

	(void)state;
	options.ttl_ms = 300;
	lease = take(m, name, &options);
	for (i = 0; i < 12; i++) {
		usleep(100000);
		assert_true(hf_lease_valid(lease));
		assert_int_equal(try_it(other, name, NULL), HF_HELD);
	}
	give_back(lease);
	hf_close(other);
	hf_close(m);
}

static void on_lost(hf_lease *lease, void *arg)
{
	(void)lease;
	(*(_Atomic int *)arg)++;
}

static void lease__loss_is_told_by_callback_and_descriptor(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	_Atomic int calls = 0;
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("lost");
	struct pollfd poller = {.events = POLLIN};
	hf_lease *lease;
	hf_error error;
	size_t ended = 0;

	(void)state;
	if (!under_test.detached) {
		hf_close(m);
		hf_close(other);
		skip();
	}
	options.ttl_ms = 600;
	options.on_lost = on_lost;
	options.on_lost_arg = (void *)&calls;
	lease = take(m, name, &options);
	poller.fd = hf_lease_fd(lease);
	assert_true(poller.fd >= 0);
	assert_int_equal(poll(&poller, 1, 0), 0);
	assert_int_equal(
		hf_force_release(other, name, "an operator", 0, &ended, &error), HF_OK);
	assert_int_equal(ended, 1);
	assert_int_equal(poll(&poller, 1, 5000), 1);
	while (!calls)
		usleep(1000);
	assert_int_equal(hf_lease_remaining_ms(lease), 0);
	assert_int_equal(hf_release(lease, &error), HF_LOST);
	assert_int_equal(calls, 1);
	hf_close(other);
	hf_close(m);
}

/* ---- taking ---- */

static void lease__force_takes_it_and_tells_who_was_robbed(void **state)
{
	hf_acquire_options force = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("force");
	hf_lease *robbed;
	hf_lease *robber;
	hf_error error;

	(void)state;
	force.strategy = HF_FORCE_ACQUIRE;
	if (!under_test.detached) {
		assert_int_equal(hf_acquire(m, name, &force, &robber, &error), HF_INVALID);
		hf_close(m);
		return;
	}
	robbed = take(m, name, NULL);
	robber = take(m, name, &force);
	assert_true(hf_lease_token(robber) > hf_lease_token(robbed));
	assert_int_equal(holders(m, name), 1);
	assert_int_equal(hf_extend(robbed, 0, &error), HF_LOST);
	assert_false(hf_lease_valid(robbed));
	assert_int_equal(hf_release(robbed, &error), HF_LOST);
	assert_int_equal(holders(m, name), 1);
	give_back(robber);
	hf_close(m);
}

static void lease__steal_stale_takes_only_what_is_not_renewed(void **state)
{
	hf_acquire_options lazy = HF_ACQUIRE_OPTIONS_INIT;
	hf_acquire_options thief = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	hf_manager *other = world_open();
	const char *name = world_name("steal");
	hf_lease *lease;
	hf_lease *stolen;
	hf_error error;

	(void)state;
	if (!under_test.detached) {
		hf_close(m);
		hf_close(other);
		skip();
	}
	thief.strategy = HF_STEAL_STALE;
	thief.stale_after_ms = 400;
	thief.wait_ms = 900;
	/* Renewed every 200 ms: never stale. */
	lazy.ttl_ms = 600;
	lease = take(m, name, &lazy);
	assert_int_equal(hf_acquire(other, name, &thief, &stolen, &error), HF_TIMED_OUT);
	give_back(lease);
	/* A long lease that nobody renews is. */
	lazy.ttl_ms = 60000;
	lazy.flags = HF_NO_RENEW;
	lease = take(m, name, &lazy);
	thief.wait_ms = 5000;
	assert_int_equal(hf_acquire(other, name, &thief, &stolen, &error), HF_OK);
	assert_true(hf_lease_token(stolen) > hf_lease_token(lease));
	assert_int_equal(hf_release(lease, &error), HF_LOST);
	give_back(stolen);
	hf_close(other);
	hf_close(m);
}

static void lease__a_lock_delay_keeps_it_closed_unless_released(void **state)
{
	hf_acquire_options delayed = HF_ACQUIRE_OPTIONS_INIT;
	hf_acquire_options waiting = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("delay");
	hf_lease *lease;
	hf_lease *next;
	hf_error error;
	int64_t start_ms;

	(void)state;
	if (!under_test.detached) {
		hf_close(m);
		skip();
	}
	delayed.lock_delay_ms = 700;
	lease = take(m, name, &delayed);
	give_back(lease);
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	delayed.ttl_ms = 200;
	delayed.flags = HF_NO_RENEW;
	start_ms = hf_boot_ms();
	lease = take(m, name, &delayed);
	waiting.wait_ms = 5000;
	assert_int_equal(hf_acquire(m, name, &waiting, &next, &error), HF_OK);
	assert_true(hf_boot_ms() - start_ms >= 900);
	give_back(next);
	assert_int_equal(hf_release(lease, &error), HF_LOST);
	hf_close(m);
}

/* ---- changing ---- */

static void lease__upgrade_needs_to_be_alone_and_gets_a_new_token(void **state)
{
	hf_acquire_options shared = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("upgrade");
	hf_lease *a;
	hf_lease *b;
	hf_convert_options at_once = HF_CONVERT_OPTIONS_INIT;
	hf_error error;

	(void)state;
	shared.mode = HF_SHARED;
	at_once.wait_ms = 0;
	a = take(m, name, &shared);
	if (!under_test.detached) {
		assert_int_equal(hf_convert(a, HF_EXCLUSIVE, NULL, &error), HF_INVALID);
		give_back(a);
		hf_close(m);
		return;
	}
	b = take(m, name, &shared);
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &at_once, &error), HF_HELD);
	assert_int_equal(hf_lease_mode(a), HF_SHARED);
	give_back(b);
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, NULL, &error), HF_OK);
	assert_int_equal(hf_lease_mode(a), HF_EXCLUSIVE);
	assert_true(hf_lease_token(a) >= 3);
	assert_int_equal(try_it(m, name, &shared), HF_HELD);
	assert_int_equal(hf_convert(a, HF_SHARED, NULL, &error), HF_OK);
	assert_int_equal(try_it(m, name, &shared), HF_OK);
	give_back(a);
	hf_close(m);
}

static void lease__extend_changes_the_ttl(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("extend");
	hf_lease *lease;
	hf_error error;

	(void)state;
	if (!under_test.detached) {
		hf_close(m);
		skip();
	}
	options.ttl_ms = 1000;
	options.flags = HF_NO_RENEW;
	lease = take(m, name, &options);
	assert_int_equal(hf_extend(lease, 60000, &error), HF_OK);
	assert_true(hf_lease_remaining_ms(lease) > 50000);
	assert_int_equal(hf_extend(lease, 5, &error), HF_INVALID);
	give_back(lease);
	hf_close(m);
}

static void lease__what_was_lost_is_not_extended(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("lost");
	hf_lease *lease;
	hf_error error;

	(void)state;
	if (!under_test.detached) {
		hf_close(m);
		skip();
	}
	options.ttl_ms = 2000;
	options.flags = HF_NO_RENEW;
	lease = take(m, name, &options);
	while (hf_lease_valid(lease))
		usleep(1000);
	/* The store has it for some time yet: the margin of a tenth. */
	assert_int_equal(hf_extend(lease, 0, &error), HF_LOST);
	assert_int_equal(hf_convert(lease, HF_SHARED, NULL, &error), HF_LOST);
	assert_int_equal(hf_lease_remaining_ms(lease), 0);
	hf_release(lease, NULL);
	hf_close(m);
}

static void lease__reentry_frees_the_lock_with_the_last_hold(void **state)
{
	hf_acquire_options again = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("reenter");
	hf_lease *outer;
	hf_lease *inner;
	hf_error error;

	(void)state;
	if (!under_test.detached) {
		hf_close(m);
		skip();
	}
	outer = take(m, name, NULL);
	again.reenter = hf_lease_id(outer);
	inner = take(m, name, &again);
	assert_int_equal(hf_lease_token(inner), hf_lease_token(outer));
	give_back(outer);
	assert_int_equal(try_it(m, name, NULL), HF_HELD);
	give_back(inner);
	assert_int_equal(try_it(m, name, NULL), HF_OK);
	again.reenter = "00000000000000000000000000000000";
	assert_int_equal(hf_acquire(m, name, &again, &inner, &error), HF_LOST);
	hf_close(m);
}

/* ---- from outside ---- */

static void lease__is_released_by_id_fingerprint_or_owner_only_by_the_right_one(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("who");
	hf_who wrong = {.owner = "bob"};
	hf_who right = {.owner = "alice"};
	hf_error error;
	int round;

	(void)state;
	options.flags = HF_DETACHED;
	options.owner = "alice";
	options.fingerprint = "s3cret";
	options.info = "{\"build\": 17}";
	if (!under_test.detached) {
		hf_lease *lease;

		assert_int_equal(hf_acquire(m, name, &options, &lease, &error), HF_INVALID);
		assert_non_null(strstr(error.text, "run"));
		hf_close(m);
		return;
	}
	assert_int_equal(hf_release_by(m, name, &right, &error), HF_NOT_OWNER);
	for (round = 0; round < 3; round++) {
		hf_lease *lease = take(m, name, &options);
		char id[40];

		hf_copy(id, sizeof(id), hf_lease_id(lease));
		hf_lease_detach(lease);
		assert_int_equal(holders(m, name), 1);
		assert_int_equal(hf_release_by(m, name, &wrong, &error), HF_NOT_OWNER);
		assert_non_null(strstr(error.text, "is owned by alice, not bob"));
		assert_null(strstr(error.text, "s3cret"));
		/* Nor is it in what everybody may read, the history before all. */
		if (strcmp(under_test.kind, "git-blob") != 0)
			assert_false(world_record_has(name, "s3cret"));
		right = (hf_who){.owner = round == 0 ? "alice" : NULL,
			.id = round == 1 ? id : NULL,
			.fingerprint = round == 2 ? "s3cret" : NULL};
		if (hf_release_by(m, name, &right, &error))
			fail_msg("%s", error.text);
		assert_int_equal(holders(m, name), 0);
	}
	hf_close(m);
}

static void lease__status_shows_who_holds_it(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	const char *name = world_name("status");
	hf_lock_info *info;
	hf_lease *lease;
	hf_error error;

	(void)state;
	options.owner = "\xc3\xa4lice with blanks % and =";
	options.info = "{\"why\": \"line\\nbreak\", \"n\": [1, 2]}";
	lease = take(m, name, &options);
	assert_int_equal(hf_lock_status(m, name, &info, &error), HF_OK);
	assert_int_equal(info->holder_count, 1);
	assert_string_equal(info->name, name);
	assert_string_equal(info->holders[0].owner, options.owner);
	assert_string_equal(info->holders[0].info, options.info);
	assert_string_equal(info->holders[0].id, hf_lease_id(lease));
	assert_int_equal(info->holders[0].pid, getpid());
	assert_int_equal(info->holders[0].token, hf_lease_token(lease));
	assert_int_equal(info->token, hf_lease_token(lease));
	hf_lock_info_free(info);
	give_back(lease);
	assert_int_equal(hf_lock_status(m, "never used", &info, &error), HF_OK);
	assert_int_equal(info->holder_count, 0);
	assert_int_equal(info->generation, 0);
	hf_lock_info_free(info);
	hf_close(m);
}

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
	hf_manager *m = world_open();
	int64_t start_ms;
	hf_lease *lease;
	pid_t pid;

	(void)state;
	if (!under_test.processes) {
		hf_close(m);
		skip();
	}
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
	hf_manager *m = world_open();
	pid_t parent;
	hf_lease *lease;

	(void)state;
	if (!under_test.detached || !under_test.processes) {
		hf_close(m);
		skip();
	}
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

const struct CMUnitTest lease_tests[] = {
	cmocka_unit_test(lease__is_exclusive_and_tokens_grow),
	cmocka_unit_test(lease__shared_holders_stand_together_and_keep_writers_out),
	cmocka_unit_test(lease__a_shared_limit_counts_and_another_is_refused),
	cmocka_unit_test(lease__waiting_ends_in_time_and_leaves_nothing),
	cmocka_unit_test(lease__is_renewed_as_often_as_its_heartbeat_says),
	cmocka_unit_test(lease__waiting_can_be_cancelled),
	cmocka_unit_test(lease__a_waiter_gets_in_soon_after_a_release),
	cmocka_unit_test(lease__without_renewal_expires_and_is_lost_before_another_has_it),
	cmocka_unit_test(lease__is_kept_by_the_keeper_far_beyond_its_ttl),
	cmocka_unit_test(lease__loss_is_told_by_callback_and_descriptor),
	cmocka_unit_test(lease__force_takes_it_and_tells_who_was_robbed),
	cmocka_unit_test(lease__steal_stale_takes_only_what_is_not_renewed),
	cmocka_unit_test(lease__a_lock_delay_keeps_it_closed_unless_released),
	cmocka_unit_test(lease__upgrade_needs_to_be_alone_and_gets_a_new_token),
	cmocka_unit_test(lease__extend_changes_the_ttl),
	cmocka_unit_test(lease__what_was_lost_is_not_extended),
	cmocka_unit_test(lease__reentry_frees_the_lock_with_the_last_hold),
	cmocka_unit_test(lease__is_released_by_id_fingerprint_or_owner_only_by_the_right_one),
	cmocka_unit_test(lease__status_shows_who_holds_it),
	cmocka_unit_test(lease__of_a_killed_process_is_free_at_once),
	cmocka_unit_test(lease__belongs_to_the_parent_after_a_fork),
	cmocka_unit_test(lease__of_a_dead_parent_is_not_kept_by_a_forked_child),
	cmocka_unit_test(lease__one_manager_serves_many_threads),
};
const size_t lease_test_count = HF_ARRAY_LEN(lease_tests);
