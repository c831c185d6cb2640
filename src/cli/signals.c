#include "signals.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int passed_on[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM,
	SIGWINCH, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU};

static struct sigaction inherited_on_file_limit;

void signals_no_file_limit(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};

	sigaction(SIGXFSZ, &ignore, &inherited_on_file_limit);
}

bool signals_init(signals *s)
{
	struct sigaction action;
	size_t i;
	int fd;

	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->on_file_limit = inherited_on_file_limit;
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
	signals_one one = {.number = 0};

	if (s->fd < 0 || read(s->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return one;
	one.number = (int)info.ssi_signo;
	one.from_terminal = info.ssi_code == SI_KERNEL;
	if (one.from_terminal && one.number == SIGHUP && getsid(0) == getpid()) {
		one.from_terminal = false;
		one.hung_up = true;
	}
	return one;
}

void signals_stop_self(const signals *s, int number, pid_t command_group)
{
	bool had_terminal = s->terminal >= 0 && tcgetpgrp(s->terminal) == command_group;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (had_terminal && tcgetpgrp(s->terminal) == getpgrp())
		tcsetpgrp(s->terminal, command_group);
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
	pid_t group = s->terminal >= 0 ? tcgetpgrp(s->terminal) : -1;

	if (group < 0 || s->terminal_group != getpgrp())
		return;
	if (group != s->terminal_group) {
		/* Somebody has it, a shell that put us into the background. */
		if (!kill(-group, 0) || errno != ESRCH)
			return;
		/* SIGTTOU is blocked: allowed from the background too. */
		tcsetpgrp(s->terminal, s->terminal_group);
	}
	tcsetattr(s->terminal, TCSADRAIN, &s->settings);
}
