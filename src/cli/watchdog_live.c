/* The watchdog's own life: one thread, only async-signal-safe calls. */
#include "watchdog_page.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Where the tree's copies of hold_fds go: above what scripts use by number,
 * below what would make the kernel grow each process's table. */
#define HOLD_FD_FLOOR 48

/* How long the command runs before we look at anything but its end. */
#define MOMENT_MS 5

/* Background processes that end by themselves at once are not spoken of. */
#define REST_PATIENCE_MS 100

struct dog {
	const watchdog_setup *setup;
	struct watchdog_page *page;
	int channel;
	int timer;
	int listing; /* a folder being read; -1: none */
	unsigned char stops; /* of the command, that we have told of; wraps */
	int64_t armed_ms;
	pid_t wrapper;
	pid_t wrapper_group; /* process group */
	bool wrapper_gone;
	tree tree;
	bool ending;
	int64_t kill_at_ms; /* while ending */
	int64_t rest_since_ms; /* the command ended, others have not; 0: not so */
	bool rest_told;
};

static void on_child(int signal)
{
	(void)signal;
}

/* ---- times ---- */

/* SIGKILL comes this long before the lease ends: for the ending itself. */
static int64_t reserve_ms(const struct dog *dog)
{
	int64_t ms = dog->setup->ttl_ms / 20;

	return ms < MOMENT_MS ? MOMENT_MS : ms > 250 ? 250 : ms;
}

/* And SIGTERM this long before that, if nobody has renewed the lease. */
static int64_t notice_ms(const struct dog *dog)
{
	int64_t ms = dog->setup->ttl_ms / 6;

	return ms < dog->setup->kill_after_ms ? ms : dog->setup->kill_after_ms;
}

/* When the tree is to be killed, as it stands now. */
static int64_t kill_at_ms(const struct dog *dog)
{
	int64_t at_ms = dog->page->deadline_ms;

	if (at_ms != INT64_MAX)
		at_ms -= reserve_ms(dog);
	return dog->ending && dog->kill_at_ms < at_ms ? dog->kill_at_ms : at_ms;
}

/* ---- the command ---- */

static volatile sig_atomic_t stopped_early;

static void on_early_stop(int number)
{
	stopped_early = number;
}

/*
 * A key that stops the command in the moment before it is one would stop us
 * with it, in vfork(), timer and all. Noted, it is sent once more afterwards;
 * the command begins with what was set before.
 */
static void put_off_stops(void)
{
	static const int stops[] = {SIGTSTP, SIGTTIN, SIGTTOU};
	struct sigaction action;
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(stops); i++) {
		if (sigaction(stops[i], NULL, &action) || action.sa_handler == SIG_IGN)
			continue;
		action = (struct sigaction){.sa_handler = on_early_stop};
		sigaction(stops[i], &action, NULL);
	}
}

/* In the child of a vfork: the memory is the watchdog's. */
_Noreturn static void become_command(const struct dog *dog, pid_t parent)
{
	const watchdog_setup *s = dog->setup;

	prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL);
	if (getppid() != parent)
		_exit(127);
	sigaction(SIGCHLD, s->on_child, NULL);
	sigaction(SIGXFSZ, s->on_file_limit, NULL);
	put_off_stops();
	sigprocmask(SIG_SETMASK, s->mask, NULL);
	execvp(s->command[0], s->command);
	dog->page->outcome.start_errno = errno;
	_exit(127);
}

/* The command's process; 0: none was started. */
static pid_t start_command(struct dog *dog)
{
	pid_t me = getpid();
	pid_t pid;

	/* A wrapper that was stopped on the way here may have lost the lease. */
	if (hf_boot_ms() >= kill_at_ms(dog)) {
		dog->page->outcome.why = WATCHDOG_DEADLINE;
		return 0;
	}
	pid = vfork(); /* NOLINT(*insecureAPI.vfork): it must start however large we are */
	if (pid == 0) /* NOLINTNEXTLINE(*unix.Vfork): it calls no more than it may */
		become_command(dog, me);
	if (pid < 0) {
		dog->page->outcome.start_errno = errno;
		return 0;
	}
	if (stopped_early)
		kill(pid, stopped_early);
	return pid;
}

/* ---- descriptors ---- */

static int inheritable(int fd)
{
	int copy = fcntl(fd, F_DUPFD, HOLD_FD_FLOOR);

	return copy >= 0 ? copy : fcntl(fd, F_DUPFD, STDERR_FILENO + 1); /* so few */
}

/* The tree's copies; with leave_rest it has none. */
static void copy_holds(const watchdog_setup *setup)
{
	size_t i;

	for (i = 0; i < setup->hold_count; i++)
		setup->tree_fds[i] = setup->leave_rest ? -1 : inheritable(setup->hold_fds[i]);
}

static void close_holds(const watchdog_setup *setup)
{
	size_t i;

	for (i = 0; i < setup->hold_count; i++) {
		close(setup->hold_fds[i]);
		if (setup->tree_fds[i] >= 0)
			close(setup->tree_fds[i]);
	}
}

static bool is_hold(const watchdog_setup *setup, int fd)
{
	size_t i;

	for (i = 0; i < setup->hold_count; i++)
		if (setup->hold_fds[i] == fd)
			return true;
	return false;
}

/* Ours that the wrapper has open for itself: locks, connections, channels. */
static void close_private(void *arg, pid_t number)
{
	const struct dog *dog = arg;
	int fd = (int)number;
	int flags;

	if (fd <= STDERR_FILENO || fd == dog->channel || fd == dog->timer ||
		fd == dog->listing || is_hold(dog->setup, fd))
		return;
	flags = fcntl(fd, F_GETFD);
	if (flags >= 0 && (flags & FD_CLOEXEC))
		close(fd);
}

/* The command runs. Keep nobody waiting for the end of a pipe. */
static void settle(struct dog *dog)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_NAME, "holdfast-watch");
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		if (fd > STDERR_FILENO)
			close(fd);
	}
	dog->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	dog->listing = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dog->listing >= 0) {
		tree_each_number(dog->listing, close_private, dog);
		close(dog->listing);
		dog->listing = -1;
	}
}

/* ---- words ---- */

static void tell(const struct dog *dog, watchdog_event_kind kind, int signal)
{
	watchdog_message m = {(unsigned char)kind, (unsigned char)signal, dog->stops};

	(void)!send(dog->channel, &m, sizeof(m), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* For people; only when there is no wrapper to say it. */
static void say_wrapper_died(const struct dog *dog)
{
	const char *parts[] = {"holdfast: the process that held ", dog->setup->locks,
		" for this command was killed: ending the command\n"};
	char line[400];
	size_t n = 0;
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(parts); i++) {
		size_t len = strlen(parts[i]);

		if (len > sizeof(line) - n)
			return;
		memcpy(line + n, parts[i], len);
		n += len;
	}
	(void)!write(STDERR_FILENO, line, n);
}

/* ---- the timer ---- */

static int64_t next_time_ms(const struct dog *dog)
{
	int64_t at_ms = kill_at_ms(dog);
	int64_t rest_ms = dog->rest_since_ms + REST_PATIENCE_MS;

	if (!dog->ending && at_ms != INT64_MAX)
		at_ms -= notice_ms(dog);
	if (dog->rest_since_ms && !dog->rest_told && rest_ms < at_ms)
		at_ms = rest_ms;
	return at_ms;
}

static void arm(struct dog *dog)
{
	struct itimerspec at = {.it_value.tv_sec = 0};
	int64_t ms = next_time_ms(dog);

	if (ms == dog->armed_ms)
		return;
	dog->armed_ms = ms;
	if (ms != INT64_MAX) {
		/* 0 would disarm it. */
		ms = ms < 1 ? 1 : ms;
		at.it_value.tv_sec = ms / 1000;
		at.it_value.tv_nsec = ms % 1000 * 1000000;
	}
	timerfd_settime(dog->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

/* ---- the end ---- */

/*
 * The command is not stopped any more: nor may the wrapper be that stopped with
 * it, which has a lease to renew or an end to tell of. It may be on the point
 * of stopping, so one SIGCONT is not enough.
 */
static void not_stopped(struct dog *dog)
{
	static const struct timespec pause = {.tv_nsec = 1000000};
	int i;

	dog->page->stopped_group = 0;
	for (i = 0; i < 1000 && dog->page->wrapper_stops; i++) {
		if (getppid() != dog->wrapper)
			return;
		kill(dog->wrapper, SIGCONT);
		nanosleep(&pause, NULL);
	}
}

_Noreturn static void finish(struct dog *dog)
{
	watchdog_outcome *o = &dog->page->outcome;

	not_stopped(dog);
	o->started = dog->tree.leader > 0 && o->start_errno == 0;
	o->status_known = dog->tree.leader_gone;
	o->status = dog->tree.leader_status;
	dog->page->finished = true;
	/* Before the wrapper learns of it: nothing of ours keeps the grants. */
	close_holds(dog->setup);
	close(dog->channel);
	_exit(0);
}

_Noreturn static void kill_tree(struct dog *dog)
{
	if (!tree_end(&dog->tree, hf_boot_ms() + WATCHDOG_GIVE_UP_MS))
		dog->page->outcome.survivor = tree_survivor(&dog->tree);
	finish(dog);
}

static void begin_ending(struct dog *dog, watchdog_why why)
{
	if (dog->ending)
		return;
	dog->ending = true;
	dog->page->outcome.why = why;
	dog->kill_at_ms = hf_boot_ms() + dog->setup->kill_after_ms;
	if (kill_at_ms(dog) <= hf_boot_ms())
		return;
	tree_signal(&dog->tree, SIGTERM);
	/* What is stopped is to have its chance too. */
	tree_signal(&dog->tree, SIGCONT);
}

/* ---- what happens ---- */

static void look_at_command(struct dog *dog)
{
	int status = dog->tree.leader_status;

	if (!dog->tree.leader_news)
		return;
	dog->tree.leader_news = false;
	if (WIFSTOPPED(status) && !dog->ending) {
		dog->stops++;
		dog->page->stopped_group = getpgid(dog->tree.leader);
		tell(dog, WATCHDOG_STOPPED, WSTOPSIG(status));
		return;
	}
	not_stopped(dog);
}

/* Does not return when nothing is left to watch. */
static void look_at_children(struct dog *dog)
{
	if (!tree_reap(&dog->tree))
		finish(dog);
	look_at_command(dog);
	if (!dog->tree.leader_gone || dog->rest_since_ms)
		return;
	if (dog->setup->leave_rest && !dog->ending)
		finish(dog);
	dog->rest_since_ms = hf_boot_ms();
	if (dog->setup->kill_rest)
		begin_ending(dog, WATCHDOG_REST);
}

static void continue_command(struct dog *dog)
{
	pid_t command = dog->tree.leader;
	pid_t group = getpgid(command);

	if (!WIFSTOPPED(dog->tree.leader_status))
		return;
	/* A shell under us has made a group of its own, which no `fg` reaches. */
	kill(group > 0 && group != dog->wrapper_group ? -group : command, SIGCONT);
}

/*
 * One key may follow the other (^Z, fg, ^Z): the first fg is not to undo the
 * second stop. A SIGSTOP is no key's: whoever sent it and then SIGCONT may have
 * been quicker than the wrapper is in reading of it.
 */
static bool is_about_this_stop(const struct dog *dog, const watchdog_message *m)
{
	return m->stop == dog->stops || WSTOPSIG(dog->tree.leader_status) == SIGSTOP;
}

static void forward(struct dog *dog, int signal)
{
	if (!dog->tree.leader_gone)
		kill(dog->tree.leader, signal);
	else if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT)
		begin_ending(dog, WATCHDOG_REST);
}

static void take_orders(struct dog *dog)
{
	watchdog_message m;
	ssize_t n;

	while ((n = recv(dog->channel, &m, sizeof(m), MSG_DONTWAIT)) == (ssize_t)sizeof(m)) {
		switch ((watchdog_order_kind)m.kind) {
		case WATCHDOG_FORWARD:
			forward(dog, m.signal);
			break;
		case WATCHDOG_CONTINUE:
			if (!dog->tree.leader_gone && is_about_this_stop(dog, &m))
				continue_command(dog);
			break;
		case WATCHDOG_END_LOST:
			begin_ending(dog, WATCHDOG_LEASE_LOST);
			break;
		case WATCHDOG_END_REST:
			if (dog->tree.leader_gone)
				begin_ending(dog, WATCHDOG_REST);
			break;
		}
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	dog->wrapper_gone = true;
	say_wrapper_died(dog);
	begin_ending(dog, WATCHDOG_WRAPPER_DIED);
}

static void look_at_clock(struct dog *dog)
{
	int64_t now_ms = hf_boot_ms();

	if (now_ms >= kill_at_ms(dog)) {
		if (!dog->ending)
			dog->page->outcome.why = WATCHDOG_DEADLINE;
		kill_tree(dog);
	}
	if (now_ms < next_time_ms(dog))
		return;
	if (dog->rest_since_ms && !dog->rest_told &&
		now_ms >= dog->rest_since_ms + REST_PATIENCE_MS) {
		dog->rest_told = true;
		if (!dog->ending)
			tell(dog, WATCHDOG_RESTS, 0);
	} else {
		begin_ending(dog, WATCHDOG_DEADLINE);
	}
}

/* True: there are orders. */
static bool wait_for_something(struct dog *dog, const sigset_t *open_mask)
{
	struct pollfd fds[2] = {{.fd = dog->timer, .events = POLLIN},
		{.fd = dog->wrapper_gone ? -1 : dog->channel, .events = POLLIN}};
	uint64_t ticks;

	arm(dog);
	if (ppoll(fds, 2, NULL, open_mask) <= 0)
		return false;
	if (fds[0].revents)
		(void)!read(dog->timer, &ticks, sizeof(ticks));
	return fds[1].revents != 0;
}

_Noreturn void watchdog_live(const watchdog_setup *setup, const watchdog *given, int channel)
{
	static const struct timespec moment = {.tv_nsec = MOMENT_MS * 1000000};
	struct dog dog = {.setup = setup,
		.page = given->page,
		.channel = channel,
		.timer = -1,
		.listing = -1,
		.wrapper = given->tree.root,
		.wrapper_group = getpgrp()};
	struct sigaction action = {.sa_handler = on_child};
	sigset_t mask;
	bool ordered = false;

	/* Blocked but while waiting: all, and SIGCHLD then alone gets through. */
	sigfillset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigdelset(&mask, SIGCHLD);
	sigaction(SIGCHLD, &action, NULL);
	prctl(PR_SET_CHILD_SUBREAPER, 1L);
	copy_holds(setup);
	tree_init_child(&dog.tree, &given->tree);
	dog.tree.leader = start_command(&dog);
	/*
	 * A process group of our own would not do: as a parent in the same
	 * session we would be the one that controls the wrapper's group where
	 * nobody else does, and when the command ended the kernel would send
	 * that group SIGHUP if the wrapper was stopped. In another session we
	 * are to it what init would be.
	 */
	setsid();
	/* A command that ends at once is not kept from the processor by us. */
	if (dog.tree.leader > 0)
		ppoll(NULL, 0, &moment, &mask);
	look_at_children(&dog);
	settle(&dog);
	for (;;) {
		/* First: an order to continue is about the stop before it. */
		look_at_children(&dog);
		if (ordered)
			take_orders(&dog);
		look_at_clock(&dog);
		ordered = wait_for_something(&dog, &mask);
	}
}
