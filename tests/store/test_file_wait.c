/* Waiting at the file store: for a change, and for a file that another keeps locked. */
#include "file_helper.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* ---- watch ---- */

static int changes_soon(void *arg)
{
	hf_store *store = open_store("");

	usleep(50000);
	put(store, arg, "changed");
	ops->close(store);
	return 0;
}

static void watch__wakes_soon_for_present_absent_and_grown(void **state)
{
	static const char *const names[] = {"absent", "present", "present"};
	static char large[9000];
	hf_store *store = open_store("");
	size_t i;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	put(store, "present", "x");
	for (i = 0; i < HF_ARRAY_LEN(names); i++) {
		hf_snapshot s = look(store, names[i]);
		pid_t pid = scratch_fork(changes_soon, (void *)(uintptr_t)names[i]);
		int64_t start_ms = hf_boot_ms();

		assert_int_equal(ops->watch(store, names[i], &s.etag, 20000, -1, NULL), HF_OK);
		assert_in_range(hf_boot_ms() - start_ms, 0, 5000);
		assert_int_equal(scratch_wait(pid), 0);
		clear(&s);
		put(store, "present", large);
	}
	ops->close(store);
}

/* ---- a slow store ---- */

static int keep_it_locked(void *arg)
{
	const struct timespec pause = {.tv_nsec = 400000000};
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(scratch_path("locks/a.lock"), O_RDWR);

	(void)arg;
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock))
		return 1;
	touch("locked");
	nanosleep(&pause, NULL);
	return 0;
}

static void grant__that_came_later_than_its_ttl_is_renewed_first(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m;
	hf_lease *lease;
	hf_error error;
	char url[512];
	pid_t slow;

	(void)state;
	snprintf(url, sizeof(url), "file:%s", scratch_path("locks"));
	assert_int_equal(hf_open(url, NULL, &m, &error), HF_OK);
	o.ttl_ms = 300;
	assert_int_equal(hf_acquire(m, "a", &o, &lease, &error), HF_OK);
	assert_int_equal(hf_release(lease, &error), HF_OK);
	slow = scratch_fork(keep_it_locked, NULL);
	while (access(scratch_path("locked"), F_OK))
		hf_sleep_until_ms(hf_boot_ms() + 1);
	assert_int_equal(hf_acquire(m, "a", &o, &lease, &error), HF_OK);
	assert_int_equal(scratch_wait(slow), 0);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(hf_release(lease, &error), HF_OK);
	hf_close(m);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)
	const struct CMUnitTest tests[] = {
		TEST(grant__that_came_later_than_its_ttl_is_renewed_first),
		TEST(watch__wakes_soon_for_present_absent_and_grown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
