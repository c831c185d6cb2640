/* Who is above us: believed only when all of it fits. */
#include "base/process.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* This process as a record would have it. */
static hf_process recorded(void)
{
	return *hf_self();
}

/* `fn` in a child of this process; its answer. */
static int in_child(int (*fn)(const hf_process *p), const hf_process *p)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn(p));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int sees_it(const hf_process *p)
{
	return hf_process_is_ancestor(p);
}

static int grandchild_sees_it(const hf_process *p)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(setsid() > 0 ? hf_process_is_ancestor(p) : 9);
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 8;
}

/* One whose parent is gone: it has come to us, the subreaper. */
static int orphan_sees_it(const hf_process *p)
{
	int fds[2];
	char answer = 9;

	if (pipe(fds))
		return 8;
	if (fork() == 0) {
		pid_t parent = getpid();

		if (fork() == 0) {
			while (getppid() == parent)
				usleep(1000);
			answer = (char)hf_process_is_ancestor(p);
			_exit(write(fds[1], &answer, 1) == 1 ? 0 : 1);
		}
		_exit(0);
	}
	if (read(fds[0], &answer, 1) != 1)
		return 7;
	return answer;
}

static void ancestor__is_a_parent_a_grandparent_and_a_subreaper(void **state)
{
	hf_process p = recorded();

	(void)state;
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1L), 0);
	assert_int_equal(in_child(sees_it, &p), 1);
	assert_int_equal(in_child(grandchild_sees_it, &p), 1);
	assert_int_equal(in_child(orphan_sees_it, &p), 1);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void ancestor__is_not_this_process_nor_its_child(void **state)
{
	hf_process p = recorded();
	hf_proc_stat child;
	pid_t pid;

	(void)state;
	assert_false(hf_process_is_ancestor(&p));
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	assert_true(hf_proc_stat_read(pid, &child));
	p.pid = pid;
	p.start = child.start;
	assert_false(hf_process_is_ancestor(&p));
	/* Nor is one its sibling. */
	assert_int_equal(in_child(sees_it, &p), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void ancestor__must_fit_in_every_part(void **state)
{
	const hf_process good = recorded();
	hf_process p;

	(void)state;
	assert_int_equal(in_child(sees_it, &good), 1);
	p = good;
	p.start++; /* its number was given to another */
	assert_int_equal(in_child(sees_it, &p), 0);
	p = good;
	p.start = 0;
	assert_int_equal(in_child(sees_it, &p), 0);
	p = good;
	p.boot = "";
	assert_int_equal(in_child(sees_it, &p), 0);
	p.boot = "00000000-0000-0000-0000-000000000000";
	assert_int_equal(in_child(sees_it, &p), 0);
	p = good;
	p.pidns++;
	assert_int_equal(in_child(sees_it, &p), 0);
	p.pidns = 0;
	assert_int_equal(in_child(sees_it, &p), 0);
	p = good;
	p.timens++;
	assert_int_equal(in_child(sees_it, &p), 0);
	p = good;
	p.pid = 0;
	assert_int_equal(in_child(sees_it, &p), 0);
	p.pid = -good.pid;
	assert_int_equal(in_child(sees_it, &p), 0);
	p.pid = good.pid + ((int64_t)1 << 32);
	assert_int_equal(in_child(sees_it, &p), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ancestor__is_a_parent_a_grandparent_and_a_subreaper),
		cmocka_unit_test(ancestor__is_not_this_process_nor_its_child),
		cmocka_unit_test(ancestor__must_fit_in_every_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
