/* The file store's layout=flock: the folder, and the locks in it, are a neighbour's too. */
#include "file_helper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void looking__at_a_neighbours_folder_makes_none_in_it(void **state)
{
	hf_store *store;

	(void)state;
	mkdir(scratch_path("locks"), 0700);
	store = open_store("?layout=flock");
	expect(store, "a", "(absent)");
	assert_int_equal(access(scratch_path("locks/.holdfast"), F_OK), -1);
	put(store, "a", "one");
	assert_int_equal(access(scratch_path("locks/.holdfast"), F_OK), 0);
	ops->close(store);
}

static int holds_flock(void *arg)
{
	int fd = open(scratch_path("locks/a"), O_RDWR | O_CREAT, 0600);

	(void)arg;
	if (fd < 0 || flock(fd, LOCK_EX))
		return 1;
	raise(SIGSTOP);
	return 0;
}

static void neighbours_flock__is_seen_excludes_us_and_changes_the_etag(void **state)
{
	hf_store *store = open_store("?layout=flock");
	hf_snapshot free_state;
	hf_snapshot s;
	hf_error error;
	pid_t pid;
	int fd = -1;

	(void)state;
	assert_int_equal(mkdir(scratch_path("locks"), 0700), 0);
	assert_true(ops->capabilities(store) & HF_CAP_SESSION_BOUND);
	free_state = look(store, "a");
	pid = scratch_fork(holds_flock, NULL);
	scratch_wait_stopped(pid);
	s = look(store, "a");
	assert_non_null(s.foreign);
	assert_int_equal(s.foreign->pid, pid);
	assert_true(s.foreign->exclusive);
	assert_false(hf_etag_equal(&s.etag, &free_state.etag));
	clear(&s);
	assert_int_equal(
		swap_over(store, "a", &free_state.etag, "x", "x", 0, NULL), HF_CHANGED);
	assert_int_equal(ops->bind(store, "a", HF_SHARED, &fd, &error), HF_HELD);
	kill(pid, SIGKILL);
	scratch_wait(pid);
	s = look(store, "a");
	assert_null(s.foreign);
	clear(&s);
	assert_int_equal(ops->bind(store, "a", HF_EXCLUSIVE, &fd, &error), HF_OK);
	s = look(store, "a");
	assert_null(s.foreign); /* it is our own */
	clear(&s);
	close(fd);
	clear(&free_state);
	ops->close(store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)
	const struct CMUnitTest tests[] = {
		TEST(looking__at_a_neighbours_folder_makes_none_in_it),
		TEST(neighbours_flock__is_seen_excludes_us_and_changes_the_etag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
