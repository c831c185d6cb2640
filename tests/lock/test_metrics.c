/* What hf_metrics_get() counts, to the number. */
#include "metrics_helper.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- one by one ---- */

/* Somebody holds "a", and these options do not wait for it. */
struct scene {
	hf_manager *m;
	hf_lease *lease;
	hf_acquire_options options;
};

static struct scene held_by_another(void)
{
	struct scene scene = {.m = open_store("memory:"), .options = HF_ACQUIRE_OPTIONS_INIT};

	scene.lease = acquire(scene.m, "a", NULL);
	scene.options.wait_ms = 0;
	return scene;
}

static void counts__are_zero_for_what_was_never_used(void **state)
{
	static const hf_metrics zero = HF_METRICS_INIT;
	hf_manager *m = open_store("memory:");
	hf_metrics got = of(m, "never");
	hf_lease *lease;

	(void)state;
	assert_memory_equal(&got, &zero, sizeof(got));
	assert_int_equal(hf_acquire(m, "", NULL, &lease, NULL), HF_INVALID);
	got = of(m, NULL);
	assert_memory_equal(&got, &zero, sizeof(got));
	hf_close(m);
}

static void counts__tell_grants_and_releases(void **state)
{
	hf_manager *m = open_store("memory:");
	hf_metrics got;
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		assert_int_equal(hf_release(acquire(m, "a", NULL), NULL), HF_OK);
	hf_release(acquire(m, "b", NULL), NULL);
	got = of(m, "a");
	assert_int_equal(got.acquisitions, 5);
	assert_int_equal(got.releases, 5);
	assert_int_equal(got.wait.count, 5);
	assert_int_equal(got.hold.count, 5);
	assert_int_equal(all_buckets(&got.wait), 5);
	assert_int_equal(all_buckets(&got.hold), 5);
	assert_int_equal(
		got.conflicts + got.retries + got.losses + got.stale_claimed + got.forced, 0);
	assert_int_equal(of(m, NULL).acquisitions, 6);
	hf_close(m);
}

static void counts__tell_what_became_of_those_that_were_refused(void **state)
{
	struct scene s = held_by_another();
	hf_metrics got;

	(void)state;
	assert_refused(s.m, "a", &s.options, HF_HELD);
	s.options.wait_ms = 20;
	assert_refused(s.m, "a", &s.options, HF_TIMED_OUT);
	s.options.wait_ms = -1;
	s.options.strategy = HF_RETRY;
	s.options.max_retries = 3;
	s.options.backoff_min_ms = s.options.backoff_max_ms = 1;
	assert_refused(s.m, "a", &s.options, HF_HELD);
	got = of(s.m, "a");
	assert_int_equal(got.acquisitions, 1);
	assert_int_equal(got.conflicts, 3);
	assert_int_equal(got.failed_held, 2);
	assert_int_equal(got.failed_timed_out, 1);
	assert_true(got.retries >= 3 + 1);
	assert_int_equal(got.wait.count, 1); /* those granted alone */
	hf_release(s.lease, NULL);
	hf_close(s.m);
}

static void counts__of_a_first_try_are_those_of_the_second(void **state)
{
	struct scene s = held_by_another();
	hf_metrics got;

	(void)state;
	s.options.flags = HF_FIRST_TRY;
	assert_refused(s.m, "a", &s.options, HF_HELD);
	got = of(s.m, "a");
	assert_int_equal(got.conflicts + got.failed_held, 0);
	s.options.flags = 0;
	assert_refused(s.m, "a", &s.options, HF_HELD);
	got = of(s.m, "a");
	assert_int_equal(got.conflicts, 1);
	assert_int_equal(got.failed_held, 1);
	hf_release(s.lease, NULL);
	s.options.flags = HF_FIRST_TRY;
	hf_release(acquire(s.m, "a", &s.options), NULL);
	assert_int_equal(of(s.m, "a").acquisitions, 2); /* had, it counts */
	hf_close(s.m);
}

/* The next one that is told of, and what it got. */
static hf_status next_answer(hf_manager *m, hf_lease **lease_out)
{
	struct pollfd fd = {.fd = hf_acquire_fd(m), .events = POLLIN};
	hf_pending *pending = NULL;

	while (!(pending = hf_acquire_next(m)))
		assert_int_equal(poll(&fd, 1, 10000), 1);
	return hf_acquire_finish(pending, lease_out, NULL);
}

static void counts__tell_what_was_started(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_store("memory:");
	hf_lease *lease = NULL;
	hf_lease *other = NULL;
	hf_pending *pending;
	hf_metrics got;

	(void)state;
	assert_int_equal(hf_acquire_start(m, "a", NULL, NULL, &pending, NULL), HF_OK);
	assert_int_equal(next_answer(m, &lease), HF_OK);
	options.wait_ms = 30;
	assert_int_equal(hf_acquire_start(m, "a", &options, NULL, &pending, NULL), HF_OK);
	assert_int_equal(next_answer(m, &other), HF_TIMED_OUT);
	options.wait_ms = -1;
	assert_int_equal(hf_acquire_start(m, "a", &options, NULL, &pending, NULL), HF_OK);
	usleep(50000); /* it waits */
	assert_int_equal(hf_release(lease, NULL), HF_OK);
	assert_int_equal(next_answer(m, &other), HF_OK);
	assert_int_equal(hf_release(other, NULL), HF_OK);
	got = of(m, "a");
	assert_int_equal(got.acquisitions, 2);
	assert_int_equal(got.releases, 2);
	assert_int_equal(got.conflicts, 2);
	assert_int_equal(got.failed_timed_out, 1);
	assert_int_equal(got.failed_held + got.failed_other + got.losses, 0);
	assert_true(got.wait.total_us >= 40000);
	hf_close(m);
}

static void counts__tell_each_retry(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_store("memory:");
	hf_lease *lease = acquire(m, "a", NULL);

	(void)state;
	options.strategy = HF_RETRY;
	options.max_retries = 7;
	options.backoff_min_ms = options.backoff_max_ms = 1;
	assert_refused(m, "a", &options, HF_HELD);
	assert_int_equal(of(m, "a").retries, 7);
	assert_int_equal(of(m, "a").conflicts, 1);
	hf_release(lease, NULL);
	hf_close(m);
}

static void counts__tell_other_failures(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_store("memory:");
	hf_lease *lease;

	(void)state;
	options.mode = HF_SHARED;
	options.limit = 2;
	lease = acquire(m, "a", &options);
	options.limit = 3; /* the first holder's counts */
	assert_refused(m, "a", &options, HF_INVALID);
	assert_int_equal(of(m, "a").failed_other, 1);
	assert_int_equal(of(m, "a").conflicts, 0);
	hf_release(lease, NULL);
	hf_close(m);
}

static void *release_later(void *arg)
{
	hf_sleep_until_ms(hf_boot_ms() + 201);
	assert_int_equal(hf_release(arg, NULL), HF_OK);
	return NULL;
}

static uint64_t longer_than(const hf_histogram *h, uint64_t us)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i + 1 < HF_HISTOGRAM_BUCKETS; i++)
		if (hf_histogram_bound_us(i) >= us)
			n += h->buckets[i + 1];
	return n;
}

static void times__go_into_the_bucket_of_their_length(void **state)
{
	hf_manager *m = open_store("memory:");
	hf_lease *lease = acquire(m, "a", NULL);
	hf_metrics got;
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, release_later, lease);
	lease = acquire(m, "a", NULL);
	pthread_join(thread, NULL);
	got = of(m, "a");
	assert_int_equal(got.conflicts, 1);
	assert_true(got.retries >= 1);
	assert_true(got.hold.total_us >= 200000);
	assert_int_equal(got.hold.count, 1);
	assert_int_equal(longer_than(&got.hold, 100000), 1);
	/* The first was there at once, the second waited for most of it. */
	assert_int_equal(got.wait.count, 2);
	assert_true(got.wait.total_us >= 10000);
	assert_int_equal(longer_than(&got.wait, 10000), 1);
	assert_int_equal(hf_release(lease, NULL), HF_OK);
	hf_close(m);
}

static void bounds__grow_and_end_with_none(void **state)
{
	size_t i;

	(void)state;
	assert_int_equal(hf_histogram_bound_us(0), 1);
	for (i = 1; i < HF_HISTOGRAM_BUCKETS; i++)
		assert_true(hf_histogram_bound_us(i) > hf_histogram_bound_us(i - 1));
	assert_true(hf_histogram_bound_us(HF_HISTOGRAM_BUCKETS - 2) == UINT64_C(86400000000));
	assert_true(hf_histogram_bound_us(HF_HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
	assert_true(hf_histogram_bound_us(SIZE_MAX) == UINT64_MAX);
}

/* ---- leases that end in other ways ---- */

static void counts__tell_a_lease_that_ran_out_and_who_came_after(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_store("memory:");
	hf_lease *first;
	hf_lease *second;
	hf_metrics got;

	(void)state;
	options.ttl_ms = 100;
	options.flags = HF_DETACHED;
	first = acquire(m, "a", &options);
	options.ttl_ms = 30000;
	second = acquire(m, "a", &options);
	got = of(m, "a");
	assert_int_equal(got.stale_claimed, 1);
	assert_int_equal(hf_release(first, NULL), HF_LOST);
	assert_int_equal(hf_release(second, NULL), HF_OK);
	got = of(m, "a");
	assert_int_equal(got.losses, 1);
	assert_int_equal(got.releases, 1);
	assert_int_equal(got.hold.count, 2);
	assert_int_equal(got.forced, 0);
	hf_close(m);
}

static void note_loss(hf_lease *lease, void *arg)
{
	(void)lease;
	atomic_store((atomic_int *)arg, 1);
}

/* The keeper tells of the loss; what release says then is not a second end. */
static void counts__tell_a_loss_once(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_store("memory:");
	atomic_int lost = 0;
	hf_lease *lease;
	hf_metrics got;

	(void)state;
	options.ttl_ms = 300;
	options.on_lost = note_loss;
	options.on_lost_arg = &lost;
	lease = acquire(m, "a", &options);
	assert_int_equal(hf_force_release(m, "a", NULL, 0, NULL, NULL), HF_OK);
	while (!atomic_load(&lost))
		hf_sleep_until_ms(hf_boot_ms() + 5);
	assert_int_equal(of(m, "a").losses, 1);
	assert_int_equal(hf_release(lease, NULL), HF_LOST);
	got = of(m, "a");
	assert_int_equal(got.losses, 1);
	assert_int_equal(got.releases, 0);
	assert_int_equal(got.hold.count, 1);
	assert_int_equal(got.forced, 1);
	hf_close(m);
}

static void counts__tell_what_was_taken_by_force(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_store("memory:");
	hf_lease *first = acquire(m, "a", NULL);
	hf_lease *second;

	(void)state;
	options.strategy = HF_FORCE_ACQUIRE;
	second = acquire(m, "a", &options);
	assert_int_equal(of(m, "a").forced, 1);
	assert_int_equal(of(m, "a").stale_claimed, 0);
	assert_int_equal(of(m, "a").conflicts, 0);
	hf_release(first, NULL);
	hf_release(second, NULL);
	assert_int_equal(hf_force_release(m, "a", NULL, 0, NULL, NULL), HF_OK);
	assert_int_equal(of(m, "a").forced, 1); /* there was nobody */
	hf_close(m);
}

static void counts__tell_releases_without_a_handle(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_store("memory:");
	hf_who who = {.owner = "nightly"};
	hf_metrics got;

	(void)state;
	options.mode = HF_SHARED;
	options.owner = "nightly";
	options.flags = HF_DETACHED;
	hf_lease_detach(acquire(m, "a", &options));
	hf_lease_detach(acquire(m, "a", &options));
	assert_int_equal(hf_release_by(m, "a", &who, NULL), HF_OK);
	assert_int_equal(hf_release_by(m, "a", &who, NULL), HF_NOT_OWNER);
	got = of(m, "a");
	assert_int_equal(got.acquisitions, 2);
	assert_int_equal(got.releases, 2);
	assert_int_equal(got.hold.count, 0);
	assert_int_equal(got.failed_releases, 0);
	hf_close(m);
}

/* The medium's own lock is found held before the record is looked at. */
static void counts__tell_conflicts_of_a_session(void **state)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	char folder[] = "/tmp/holdfast-metrics-XXXXXX";
	char text[200];
	hf_manager *m;
	hf_manager *other;
	hf_lease *lease;
	hf_metrics got;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(text, sizeof(text), "file:%s?layout=flock", folder);
	m = open_store(text);
	other = open_store(text);
	lease = acquire(other, "a", NULL);
	options.wait_ms = 0;
	assert_refused(m, "a", &options, HF_HELD);
	options.wait_ms = 30;
	assert_refused(m, "a", &options, HF_TIMED_OUT);
	got = of(m, "a");
	assert_int_equal(got.conflicts, 2);
	assert_int_equal(got.failed_held, 1);
	assert_int_equal(got.failed_timed_out, 1);
	assert_true(got.retries >= 1);
	hf_release(lease, NULL);
	hf_close(other);
	hf_close(m);
	snprintf(text, sizeof(text), "rm -r %s", folder);
	assert_int_equal(system(text), 0);
}

/* ---- bounds ---- */

static int count_names(void *arg, const char *name, const hf_metrics *metrics)
{
	(*(size_t *)arg)++;
	assert_true(metrics->acquisitions > 0);
	if (!name[0])
		assert_int_equal(metrics->acquisitions, 300 - 256);
	return 0;
}

static int stop_at_once(void *arg, const char *name, const hf_metrics *metrics)
{
	(void)name;
	(void)metrics;
	(*(size_t *)arg)++;
	return 1;
}

static void names__are_at_most_256_and_the_rest_share_one(void **state)
{
	hf_manager *m = open_store("memory:");
	size_t told = 0;
	char name[20];
	int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "lock-%d", i);
		hf_release(acquire(m, name, NULL), NULL);
	}
	assert_int_equal(hf_metrics_each(m, 0, count_names, &told, NULL), HF_OK);
	assert_int_equal(told, 257);
	assert_int_equal(of(m, NULL).acquisitions, 300);
	assert_int_equal(of(m, "").acquisitions, 44);
	assert_int_equal(of(m, "lock-0").releases, 1);
	assert_int_equal(of(m, "lock-299").releases, 0);
	told = 0;
	assert_int_equal(hf_metrics_each(m, 0, stop_at_once, &told, NULL), HF_OK);
	assert_int_equal(told, 1);
	/* Taken once, there is nothing more to tell. */
	assert_int_equal(hf_metrics_each(m, 1, count_names, &told, NULL), HF_OK);
	assert_int_equal(told, 258);
	assert_int_equal(hf_metrics_each(m, 1, count_names, &told, NULL), HF_OK);
	assert_int_equal(told, 258);
	assert_int_equal(of(m, NULL).acquisitions, 0);
	hf_close(m);
}

static void size__must_be_ours(void **state)
{
	hf_manager *m = open_store("memory:");
	hf_metrics metrics = HF_METRICS_INIT;
	hf_error error;

	(void)state;
	metrics.size--;
	assert_int_equal(hf_metrics_get(m, NULL, &metrics, &error), HF_INVALID);
	assert_non_null(strstr(error.text, "HF_METRICS_INIT"));
	hf_close(m);
}

static void fork__has_no_counts_of_its_parent(void **state)
{
	hf_manager *m = open_store("memory:");
	hf_metrics metrics = HF_METRICS_INIT;
	size_t told = 0;
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (pid == 0)
		_exit(hf_metrics_get(m, NULL, &metrics, NULL) == HF_INVALID &&
					hf_metrics_each(m, 0, stop_at_once, &told, NULL) ==
						HF_INVALID &&
					told == 0
				? 0
				: 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	hf_close(m);
}

/* ---- many at once ---- */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts__are_zero_for_what_was_never_used),
		cmocka_unit_test(counts__tell_grants_and_releases),
		cmocka_unit_test(counts__tell_what_became_of_those_that_were_refused),
		cmocka_unit_test(counts__of_a_first_try_are_those_of_the_second),
		cmocka_unit_test(counts__tell_what_was_started),
		cmocka_unit_test(counts__tell_each_retry),
		cmocka_unit_test(counts__tell_other_failures),
		cmocka_unit_test(times__go_into_the_bucket_of_their_length),
		cmocka_unit_test(bounds__grow_and_end_with_none),
		cmocka_unit_test(counts__tell_a_lease_that_ran_out_and_who_came_after),
		cmocka_unit_test(counts__tell_a_loss_once),
		cmocka_unit_test(counts__tell_what_was_taken_by_force),
		cmocka_unit_test(counts__tell_releases_without_a_handle),
		cmocka_unit_test(counts__tell_conflicts_of_a_session),
		cmocka_unit_test(names__are_at_most_256_and_the_rest_share_one),
		cmocka_unit_test(size__must_be_ours),
		cmocka_unit_test(fork__has_no_counts_of_its_parent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
