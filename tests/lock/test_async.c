/* Acquiring without blocking, from a store that answers late or not (moody_store.c). */
#include "moody_helper.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static hf_pending *start(hf_manager *m, const char *name, const hf_acquire_options *options)
{
	hf_pending *pending;
	hf_error error;

	if (hf_acquire_start(m, name, options, NULL, &pending, &error))
		fail_msg("%s", error.text);
	return pending;
}

static bool told(hf_manager *m, int ms)
{
	struct pollfd poller = {.fd = hf_acquire_fd(m), .events = POLLIN};

	return poll(&poller, 1, ms) == 1;
}

/* Nobody holds it and nobody waits, within 10 s. */
static bool is_left(hf_manager *m, const char *name)
{
	int64_t until_ms = hf_boot_ms() + 10000;
	size_t n;

	do {
		hf_lock_info *info;

		hf_sleep_until_ms(hf_boot_ms() + 5);
		assert_int_equal(hf_lock_status(m, name, &info, NULL), HF_OK);
		n = info->holder_count + info->waiter_count;
		hf_lock_info_free(info);
	} while (n && hf_boot_ms() < until_ms);
	return n == 0;
}

static void async__the_caller_never_waits_for_the_store(void **state)
{
	hf_manager *m = open_moody();
	hf_pending *p[20];
	int64_t start_ms;
	char name[32];
	size_t i;

	(void)state;
	store->late_ms = 700;
	start_ms = hf_boot_ms();
	for (i = 0; i < HF_ARRAY_LEN(p); i++) {
		snprintf(name, sizeof(name), "never-%zu", i);
		p[i] = start(m, name, NULL);
	}
	assert_true(hf_boot_ms() - start_ms < 300);
	hf_sleep_until_ms(start_ms + 350); /* the store is asked for some */
	start_ms = hf_boot_ms();
	for (i = 0; i < HF_ARRAY_LEN(p); i++) {
		hf_lease *lease;

		assert_int_equal(hf_acquire_finish(p[i], &lease, NULL), HF_PENDING);
		hf_acquire_cancel(p[i]);
	}
	assert_true(hf_boot_ms() - start_ms < 300);
	store->late_ms = 0;
	for (i = 0; i < HF_ARRAY_LEN(p); i++) {
		snprintf(name, sizeof(name), "never-%zu", i);
		assert_true(is_left(m, name));
	}
	hf_close(m);
}

static void async__a_grant_that_comes_too_late_is_none(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_moody();
	hf_pending *p;
	hf_lease *lease;
	hf_error error;

	(void)state;
	store->late_ms = 400;
	o.ttl_ms = 300;
	p = start(m, "late", &o);
	assert_true(told(m, 15000));
	assert_int_equal(hf_acquire_finish(p, &lease, &error), HF_UNAVAILABLE);
	assert_non_null(strstr(error.text, "ttl"));
	/* Late once: another grant, under another id. */
	p = start(m, "late", &o);
	hf_sleep_until_ms(hf_boot_ms() + 500);
	store->late_ms = 0;
	assert_true(told(m, 15000));
	assert_int_equal(hf_acquire_finish(p, &lease, &error), HF_OK);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(hf_release(lease, NULL), HF_OK);
	assert_true(is_left(m, "late"));
	hf_close(m);
}

static void async__closing_ends_although_the_store_is_silent(void **state)
{
	hf_manager *m = open_moody();
	hf_manager *other = open_url("moody:space");
	hf_pending *p[50];
	int64_t start_ms;
	hf_lease *held;
	hf_lease *lease;
	size_t i;

	(void)state;
	assert_int_equal(hf_acquire(other, "silent", NULL, &held, NULL), HF_OK);
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		p[i] = start(m, "silent", NULL);
	assert_false(told(m, 300));
	store->silent = true;
	start_ms = hf_boot_ms();
	hf_close(m);
	assert_true(hf_boot_ms() - start_ms < 12000);
	store->silent = false;
	for (i = 0; i < HF_ARRAY_LEN(p); i++)
		assert_int_equal(hf_acquire_finish(p[i], &lease, NULL), HF_TIMED_OUT);
	assert_int_equal(hf_release(held, NULL), HF_OK);
	hf_close(other);
}

static void async__what_cannot_be_reached_is_tried_as_long_as_it_may_wait(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_moody();
	hf_pending *p;
	hf_lease *lease;

	(void)state;
	store->silent = true;
	p = start(m, "away", NULL);
	assert_false(told(m, 500));
	o.strategy = HF_FAIL_FAST;
	start(m, "away too", &o);
	assert_true(told(m, 10000));
	assert_int_equal(hf_acquire_finish(hf_acquire_next(m), &lease, NULL), HF_UNAVAILABLE);
	store->silent = false;
	assert_true(told(m, 10000));
	assert_int_equal(hf_acquire_finish(p, &lease, NULL), HF_OK);
	assert_int_equal(hf_release(lease, NULL), HF_OK);
	hf_close(m);
}

/* ---- rings that come while nobody hears them ---- */

#define SHARED_NAMES 64
#define SHARERS 16

struct crowd {
	_Atomic bool go;
	_Atomic int waiting;
	_Atomic int had;
	char url[256];
};

static int wait_in_a_crowd(void *arg)
{
	struct crowd *crowd = arg;
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_url(crowd->url);
	char name[32];
	int i;

	while (!crowd->go)
		usleep(1000);
	o.mode = HF_SHARED;
	for (i = 0; i < SHARED_NAMES * SHARERS; i++) {
		snprintf(name, sizeof(name), "shared-%d", i / SHARERS);
		start(m, name, &o);
	}
	crowd->waiting = 1;
	while (crowd->had < SHARED_NAMES * SHARERS) {
		hf_pending *p = hf_acquire_next(m);
		hf_lease *lease;

		if (!p) {
			(void)told(m, 100);
			continue;
		}
		if (hf_acquire_finish(p, &lease, NULL))
			return 1;
		crowd->had++;
	}
	hf_close(m);
	return 0;
}

/* More rings than its bell has room for, at once: those behind the first have no other. */
static void async__no_ring_is_missed_that_the_bell_had_no_room_for(void **state)
{
	struct crowd *crowd = scratch_shared(sizeof(*crowd));
	hf_lease *leases[SHARED_NAMES];
	char name[32];
	int64_t start_ms;
	hf_manager *m;
	pid_t pid;
	int i;

	(void)state;
	snprintf(crowd->url, sizeof(crowd->url), "file:%s", scratch_path("crowd"));
	pid = scratch_fork(wait_in_a_crowd, crowd); /* while there are no threads here */
	m = open_url(crowd->url);
	for (i = 0; i < SHARED_NAMES; i++) {
		snprintf(name, sizeof(name), "shared-%d", i);
		assert_int_equal(hf_acquire(m, name, NULL, &leases[i], NULL), HF_OK);
	}
	crowd->go = true;
	while (!crowd->waiting)
		usleep(1000);
	for (i = 0; i < SHARED_NAMES; i++) {
		snprintf(name, sizeof(name), "shared-%d", i);
		while (waiters(m, name) < SHARERS)
			usleep(5000);
	}
	assert_int_equal(kill(pid, SIGSTOP), 0);
	scratch_wait_stopped(pid);
	for (i = 0; i < SHARED_NAMES; i++)
		assert_int_equal(hf_release(leases[i], NULL), HF_OK);
	start_ms = hf_boot_ms();
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(scratch_wait(pid), 0);
	assert_int_equal(crowd->had, SHARED_NAMES * SHARERS);
	print_message("# the last was served after %d ms\n", (int)(hf_boot_ms() - start_ms));
	if (hf_boot_ms() - start_ms > 8000)
		fail_msg("the last was served after %d ms", (int)(hf_boot_ms() - start_ms));
	hf_close(m);
}

static int answer_at_once(void **state)
{
	if (store) {
		store->late_ms = 0;
		store->silent = false;
	}
	return scratch_end(state);
}

#define A_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, answer_at_once)

int main(void)
{
	const struct CMUnitTest tests[] = {
		A_TEST(async__no_ring_is_missed_that_the_bell_had_no_room_for),
		A_TEST(async__the_caller_never_waits_for_the_store),
		A_TEST(async__a_grant_that_comes_too_late_is_none),
		A_TEST(async__closing_ends_although_the_store_is_silent),
		A_TEST(async__what_cannot_be_reached_is_tried_as_long_as_it_may_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
