/* A lease through the public API, the same on every store: had, waited for, kept, lost, seen. */
#include "../held.h"
#include "world.h"

#include <poll.h>
#include <sys/eventfd.h>
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
	/* a session is not renewed */
	hf_manager *m = world_open_if(under_test.detached);
	int64_t end_ms = hf_boot_ms() + 10000;
	int64_t renewals = 0;
	hf_lock_info *info;
	hf_lease *lease;

	(void)state;
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
	hf_manager *m = world_open_if(under_test.detached);
	const char *name = world_name("expire");
	hf_lease *lease;
	hf_lease *next;
	hf_error error;

	(void)state;
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
	hf_manager *m = world_open_if(under_test.detached);
	hf_manager *other = world_open();
	const char *name = world_name("lost");
	struct pollfd poller = {.events = POLLIN};
	hf_lease *lease;
	hf_error error;
	size_t ended = 0;

	(void)state;
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

static const struct CMUnitTest tests[] = {
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
	cmocka_unit_test(lease__is_released_by_id_fingerprint_or_owner_only_by_the_right_one),
	cmocka_unit_test(lease__status_shows_who_holds_it),
};
const test_group lease_tests = TEST_GROUP(tests);
