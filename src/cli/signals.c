#include "signals.h"

#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM,
	SIGWINCH, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU};

bool signals_init(signals *s)
{
	struct sigaction action;
	size_t i;
	int fd;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	sigemptyset(&s->ignored);
	for (i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		if (!sigaction(passed_on[i], NULL, &action) && action.sa_handler == SIG_IGN)
			sigaddset(&s->ignored, passed_on[i]);
	/* Ignored, it would take away the exit status of our children. */
	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	if (sigaction(SIGCHLD, &action, &s->on_child) ||
		sigprocmask(SIG_SETMASK, NULL, &s->before))
		return false;
	s->terminal = -1;
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO && s->terminal < 0; fd++)
		if (!tcgetattr(fd, &s->settings))
			s->terminal = fd;
	if (s->terminal >= 0)
		s->terminal_group = tcgetpgrp(s->terminal);
	return true;
}

static bool take(signals *s, const int *numbers, size_t count, bool child)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < count; i++)
		if (!sigismember(&s->ignored, numbers[i]))
			sigaddset(&set, numbers[i]);
	if (child)
		sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return false;
	s->fd = signalfd(s->fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->fd >= 0;
}

bool signals_waiting(signals *s)
{
	return take(s, ending, sizeof(ending) / sizeof(ending[0]), false);
}

bool signals_running(signals *s)
{
	return take(s, passed_on, sizeof(passed_on) / sizeof(passed_on[0]), true);
}

signals_one signals_next(signals *s)
{
	struct signalfd_siginfo info;
	signals_one one = {0, false};

	if (s->fd < 0 || read(s->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return one;
	one.number = (int)info.ssi_signo;
	one.from_terminal = info.ssi_code == SI_KERNEL;
	/* Hanging up is told to the session's leader, not to the group. */
	if (one.number == SIGHUP && getsid(0) == getpid())
		one.from_terminal = false;
	return one;
}

void signals_stop_self(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

void signals_die_of(int number)
{
	static const struct rlimit none = {0, 0};
	sigset_t set;

	/* A core of ours would tell nothing of the command. */
	setrlimit(RLIMIT_CORE, &none);
	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

void signals_restore_terminal(const signals *s)
{
	/* SIGTTOU is blocked: allowed from the background too. */
	if (s->terminal < 0 || s->terminal_group != getpgrp())
		return;
	if (tcgetpgrp(s->terminal) != s->terminal_group)
		tcsetpgrp(s->terminal, s->terminal_group);
	tcsetattr(s->terminal, TCSADRAIN, &s->settings);
}
