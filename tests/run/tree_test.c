/*
 * Ending a process tree, with everything in it that does not want to be ended.
 * Each test runs as the root of the tree that it grows.
 */
#include "cli/tree.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define COMETS 16
#define BOMB_ALIVE 64 /* others use this machine too */
#define PATIENCE_MS 20000

/* What the processes of a tree tell the test. */
struct board {
	_Atomic unsigned ready;
	_Atomic unsigned alive;
	_Atomic unsigned forks;
	_Atomic uint64_t beats; /* grows as long as anything of the tree runs */
};

static struct board *board;

static void wait_ready(unsigned n)
{
	int64_t until_ms = hf_boot_ms() + PATIENCE_MS;

	while (board->ready < n) {
		assert_true(hf_boot_ms() < until_ms);
		usleep(1000);
	}
}

static void beat_for_ever(void)
{
	board->ready++;
	for (;;) {
		board->beats++;
		usleep(5000); /* two hundred do it at once, instrumented too */
	}
}

static void ignore_all(void)
{
	int i;

	for (i = 1; i < 32; i++)
		signal(i, SIG_IGN);
}

/* Grow: each of these ends in _exit() or never. */
typedef void (*growth)(void);

static pid_t grow(growth fn)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		fn();
		_exit(0);
	}
	return pid;
}

static void assert_quiet(void)
{
	uint64_t before = board->beats;

	usleep(30000);
	assert_int_equal(board->beats, before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static int set_up(void **state)
{
	(void)state;
	memset(board, 0, sizeof(*board));
	return 0;
}

static void end_it(tree *t)
{
	assert_true(tree_end(t, hf_boot_ms() + PATIENCE_MS));
	assert_quiet();
}

/* ---- what grows ---- */

static void double_fork(void)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			beat_for_ever();
		_exit(0);
	}
}

static void deaf_session(void)
{
	ignore_all();
	setsid();
	beat_for_ever();
}

static void stopped(void)
{
	if (fork() == 0)
		beat_for_ever();
	board->ready++;
	raise(SIGSTOP);
	beat_for_ever();
}

static void chain(void)
{
	int i;

	for (i = 0; i < 200; i++)
		if (fork() != 0)
			break;
	beat_for_ever();
}

/* Always one alive, never for long: it forks, and exits. */
static void comet(void)
{
	ignore_all();
	board->ready++;
	for (;;) {
		board->beats++;
		if (fork() > 0)
			_exit(0);
	}
}

/* Each forks as fast as it can, within bounds that spare the machine. */
static void bomb(void)
{
	board->alive++;
	board->ready++;
	for (;;) {
		board->beats++;
		/* Counted before it forks, so that the bound holds. */
		if (board->alive++ >= BOMB_ALIVE) {
			/* Make room for more: it never comes to rest. */
			board->alive -= 2;
			_exit(0);
		}
		board->forks++;
		(void)!fork();
	}
}

/* A parent that wakes whoever is stopped. */
static void waker(void)
{
	pid_t child = fork();

	if (child == 0)
		comet();
	ignore_all();
	board->ready++;
	for (;;) {
		kill(-1 * getpgrp(), SIGCONT);
		board->beats++;
	}
}

/* ---- tests ---- */

static void tree__ends_sessions_daemons_and_the_deaf(void **state)
{
	tree t;

	(void)state;
	grow(double_fork);
	grow(deaf_session);
	grow(chain);
	wait_ready(203);
	assert_true(tree_init(&t, false));
	assert_true(tree_signal(&t, 0) >= 203);
	end_it(&t);
}

static void tree__ends_what_is_stopped(void **state)
{
	tree t;

	(void)state;
	grow(stopped);
	wait_ready(2);
	assert_true(tree_init(&t, false));
	end_it(&t);
}

static void tree__is_ended_without_children_files(void **state)
{
	tree t;

	(void)state;
	grow(double_fork);
	grow(deaf_session);
	grow(stopped);
	wait_ready(4);
	assert_true(tree_init(&t, false));
	t.scan = true;
	assert_true(tree_signal(&t, 0) >= 4);
	end_it(&t);
}

static void tree__outruns_processes_that_fork_and_exit(void **state)
{
	int64_t start_ms;
	tree t;
	int i;

	(void)state;
	for (i = 0; i < COMETS; i++)
		grow(comet);
	wait_ready(COMETS);
	usleep(50000);
	assert_true(tree_init(&t, false));
	start_ms = hf_boot_ms();
	end_it(&t);
	print_message(
		"# %d comets ended in %lld ms\n", COMETS, (long long)(hf_boot_ms() - start_ms));
}

static void tree__outruns_a_fork_bomb(void **state)
{
	int64_t start_ms;
	tree t;

	(void)state;
	grow(bomb);
	wait_ready(1);
	usleep(30000);
	assert_true(tree_init(&t, false));
	start_ms = hf_boot_ms();
	end_it(&t);
	print_message("# a bomb of %u forks ended in %lld ms\n", board->forks,
		(long long)(hf_boot_ms() - start_ms));
}

static void tree__ends_although_one_continues_the_stopped(void **state)
{
	tree t;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		setsid();
		waker();
	}
	wait_ready(2);
	assert_true(tree_init(&t, false));
	end_it(&t);
}

static void tree__keeps_the_status_of_its_leader(void **state)
{
	tree t;
	pid_t leader;
	siginfo_t info;

	(void)state;
	leader = fork();
	if (leader == 0)
		_exit(42);
	assert_int_equal(waitid(P_PID, (id_t)leader, &info, WEXITED | WNOWAIT), 0);
	grow(deaf_session);
	wait_ready(1);
	assert_true(tree_init(&t, false));
	t.leader = leader;
	end_it(&t);
	assert_true(t.leader_gone);
	assert_true(WIFEXITED(t.leader_status));
	assert_int_equal(WEXITSTATUS(t.leader_status), 42);
}

static void *start_helper(void *arg)
{
	*(_Atomic pid_t *)arg = grow(beat_for_ever);
	while (board->ready < 5)
		usleep(1000);
	return NULL;
}

static void tree__spares_the_helpers_of_the_root(void **state)
{
	pthread_t thread;
	pid_t before = grow(beat_for_ever);
	_Atomic pid_t beside = 0;
	tree t;

	(void)state;
	wait_ready(1);
	assert_true(tree_init(&t, true));
	assert_int_equal(pthread_create(&thread, NULL, start_helper, &beside), 0);
	grow(double_fork);
	grow(deaf_session);
	wait_ready(4);
	assert_true(tree_end(&t, hf_boot_ms() + PATIENCE_MS));
	assert_int_equal(kill(before, 0), 0);
	assert_int_equal(kill(beside, 0), 0);
	assert_int_equal(waitpid(before, NULL, WNOHANG), 0);
	assert_int_equal(waitpid(beside, NULL, WNOHANG), 0);
	board->ready = 5;
	pthread_join(thread, NULL);
	kill(before, SIGKILL);
	kill(beside, SIGKILL);
	assert_int_equal(waitpid(before, NULL, 0), before);
	assert_int_equal(waitpid(beside, NULL, 0), beside);
	assert_quiet();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(tree__ends_sessions_daemons_and_the_deaf, set_up),
		cmocka_unit_test_setup(tree__ends_what_is_stopped, set_up),
		cmocka_unit_test_setup(tree__is_ended_without_children_files, set_up),
		cmocka_unit_test_setup(tree__outruns_processes_that_fork_and_exit, set_up),
		cmocka_unit_test_setup(tree__outruns_a_fork_bomb, set_up),
		cmocka_unit_test_setup(tree__ends_although_one_continues_the_stopped, set_up),
		cmocka_unit_test_setup(tree__keeps_the_status_of_its_leader, set_up),
		cmocka_unit_test_setup(tree__spares_the_helpers_of_the_root, set_up),
	};

	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		-1, 0);
	if (board == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1L))
		return 1;
	/* Whatever goes wrong, nothing may be left that runs for ever. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
