/*
 * holdfast run: a command under a lock, or several.
 *
 * This process holds the leases and waits; the watchdog (watchdog.h) is the
 * command's parent and ends its tree when a lease is no longer certain.
 */
#include "cli.h"

#include "run_locks.h"
#include "signals.h"
#include "watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_EXECUTABLE 126 /* as env(1) has them */
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNAL 128
#define KEEP_METRICS_MS 1000

struct run {
	cli_options options;
	run_locks locks;
	int *fds; /* twice what run_locks_hold_fds() needs: ours, the tree's */
	signals signals;
	watchdog dog;
	bool lost;
	size_t lost_lock; /* which; until then, whose lease ends first */
	bool kept_metrics; /* once, as the command may run for days */
	bool hung_up; /* our terminal is gone */
	bool resting; /* the command has ended, others of its tree have not */
	int ended_by; /* the signal that told us to end those; 0: none */
	int terminal_signal; /* the last one of SIGINT and SIGQUIT; 0: none */
	int die_of; /* so that our caller sees what the terminal did; 0: nothing */
};

/* ---- acquiring ---- */

/*
 * Acquire; SIGINT and the like end the waiting. Whether the locks are had:
 * without them *code_out is the exit code (which -E may have made 0).
 */
static bool acquire(struct run *r, int *code_out)
{
	hf_error error = {.kind = HF_OK};
	hf_status st = run_locks_acquire(&r->locks, r->signals.fd, &error);
	signals_one one = signals_next(&r->signals);

	if (one.number) {
		run_locks_release(&r->locks, NULL, NULL);
		if (one.from_terminal)
			r->die_of = one.number;
		*code_out = EXIT_SIGNAL + one.number;
		return false;
	}
	if (st)
		*code_out = cli_fail(&r->options, st, &error);
	return !st;
}

/* ---- running ---- */

static hf_status start(struct run *r, hf_error *error)
{
	const cli_options *o = &r->options;
	size_t n = r->locks.count;
	watchdog_setup setup = {
		.locks = r->locks.words,
		.command = o->command,
		.mask = &r->signals.before,
		.on_child = &r->signals.on_child,
		.on_file_limit = &r->signals.on_file_limit,
		.leave_rest = !o->orphans_keep_lock && !o->kill_rest,
		.kill_rest = o->kill_rest,
		.kill_after_ms = o->kill_after_ms,
		.deadline_ms = run_locks_deadline_ms(&r->locks, &r->lost_lock),
	};

	r->fds = calloc(2 * n, sizeof(*r->fds));
	if (!r->fds || !run_locks_set_environment(&r->locks))
		return hf_fail_memory(error, "run");
	setup.hold_count = run_locks_hold_fds(&r->locks, r->fds);
	setup.hold_fds = r->fds;
	setup.tree_fds = r->fds + n;
	if (setup.deadline_ms != INT64_MAX)
		setup.ttl_ms = o->acquire.ttl_ms;
	return watchdog_start(&r->dog, &setup, error);
}

/* Whoever reads what we were given to write waits for the command, not us. */
static void let_go_of_pipes(const struct run *r)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int i;

	if (fd < 0)
		return;
	for (i = STDIN_FILENO; i <= STDOUT_FILENO; i++)
		if (i != r->signals.terminal)
			dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

static void note_terminal(struct run *r, signals_one one)
{
	if (one.from_terminal && (one.number == SIGINT || one.number == SIGQUIT))
		r->terminal_signal = one.number;
	r->hung_up |= one.hung_up;
}

static void on_signal(struct run *r, signals_one one)
{
	switch (one.number) {
	case SIGCHLD:
		watchdog_wake(&r->dog);
		return;
	case SIGCONT:
		watchdog_order(&r->dog, WATCHDOG_CONTINUE, 0);
		return;
	default:
		break;
	}
	note_terminal(r, one);
	if (r->resting && (one.number == SIGINT || one.number == SIGTERM ||
				  one.number == SIGHUP || one.number == SIGQUIT)) {
		r->ended_by = one.number;
		watchdog_order(&r->dog, WATCHDOG_END_REST, 0);
	} else if (!one.from_terminal) {
		watchdog_order(&r->dog, WATCHDOG_FORWARD, one.number);
	}
}

/* Tell the watchdog how long it may let the command run. */
static void look_at_leases(struct run *r)
{
	int64_t until_ms;

	if (r->lost)
		return;
	until_ms = run_locks_deadline_ms(&r->locks, &r->lost_lock);
	if (until_ms > 0) {
		watchdog_set_deadline(&r->dog, until_ms);
		return;
	}
	/* What was its deadline before stays so. */
	r->lost = true;
	watchdog_order(&r->dog, WATCHDOG_END_LOST, 0);
	cli_say("lock '%s' was lost while the command ran: ending it",
		r->locks.locks[r->lost_lock].name);
}

/* False: the watchdog has done all there is to do. */
static bool on_event(struct run *r)
{
	int number = 0;
	pid_t group;

	for (;;) {
		switch (watchdog_next_event(&r->dog, &number)) {
		case WATCHDOG_NOTHING:
			return true;
		case WATCHDOG_STOPPED:
			look_at_leases(r);
			/* Our caller is to see that the job has stopped. */
			group = watchdog_stop_begins(&r->dog);
			if (group) {
				signals_stop_self(&r->signals, number, group);
				watchdog_stop_ends(&r->dog);
			}
			break;
		case WATCHDOG_RESTS:
			r->resting = true;
			/* Without us they would be told of it when we end. */
			if (r->hung_up)
				watchdog_order(&r->dog, WATCHDOG_END_REST, 0);
			else if (!r->options.quiet)
				cli_say("the command has ended and left processes running: "
					"%s %s kept until they end",
					r->locks.words, r->locks.count > 1 ? "are" : "is");
			break;
		case WATCHDOG_OVER:
			return false;
		}
	}
}

static int tick_ms(const struct run *r)
{
	int64_t ms = r->options.acquire.ttl_ms / 10;
	size_t first;

	if (r->lost || run_locks_deadline_ms(&r->locks, &first) == INT64_MAX)
		return r->kept_metrics ? -1 : KEEP_METRICS_MS;
	return ms < 10 ? 10 : ms > 1000 ? 1000 : (int)ms;
}

/* A short command has it done at its end. */
static void keep_metrics(struct run *r, int64_t begun_ms)
{
	if (r->kept_metrics || hf_boot_ms() - begun_ms < KEEP_METRICS_MS)
		return;
	r->kept_metrics = true;
	run_locks_keep_metrics(&r->locks);
}

static void supervise(struct run *r, struct pollfd *fds)
{
	size_t n = 2 + r->locks.count;
	int64_t begun_ms = hf_boot_ms();
	signals_one one;
	size_t i;

	fds[0] = (struct pollfd){.fd = r->dog.channel, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = r->signals.fd, .events = POLLIN};
	for (i = 2; i < n; i++)
		fds[i] = (struct pollfd){
			.fd = hf_lease_fd(r->locks.leases[i - 2]), .events = POLLIN};
	for (;;) {
		int ready = poll(fds, r->lost ? 2 : n, tick_ms(r));

		/*
		 * Whatever poll() saw: a SIGCONT that made us run is there now,
		 * and stopping with the command would discard it.
		 */
		if (ready != 0)
			while ((one = signals_next(&r->signals)).number)
				on_signal(r, one);
		if (ready > 0 && fds[0].revents && !on_event(r))
			return;
		look_at_leases(r);
		keep_metrics(r, begun_ms);
	}
}

/* ---- the end ---- */

struct search {
	const char *id;
	bool taken_away; /* by no release, which may be our own of what was left */
	bool found;
};

/* The event that ended our grant; says what it was. */
static int find_end(void *arg, const hf_event *event)
{
	struct search *search = arg;
	bool ours = !strcmp(event->id, search->id);

	if (search->taken_away && ours && !strcmp(event->kind, "release"))
		return 0;
	if (!strstr(event->ended, search->id) && !(ours && strstr(event->kind, "release")) &&
		strcmp(event->kind, "force-release"))
		return ours;
	cli_say("it was ended by '%s' of %s on %s, process %lld", event->kind, event->owner,
		event->host, (long long)event->pid);
	search->found = true;
	return 1;
}

/* Whatever became of the lock, or of what is above it. False: no history tells. */
static bool say_end(const struct run *r, const run_lock *lock, bool taken_away)
{
	struct search search = {.id = lock->id, .taken_away = taken_away};
	bool in_tree = r->options.acquire.flags & HF_TREE_NAME;
	char name[HF_NAME_MAX + 1];
	size_t len = 0;

	hf_copy(name, sizeof(name), lock->name);
	do {
		if (hf_history(lock->manager, name, 100, find_end, &search, NULL))
			return false;
	} while (!search.found && in_tree && (len = cli_next_above(lock->name, len, name)) > 0);
	return search.found;
}

static void say_why_lost(struct run *r, const watchdog_outcome *outcome)
{
	const run_lock *lock = &r->locks.locks[r->lost_lock];

	if (outcome->why == WATCHDOG_DEADLINE) {
		cli_say("lock '%s' was not renewed before its lease ran out (the store did not "
			"answer, or this process was stopped): the command was ended in time",
			lock->name);
		return;
	}
	if (!r->lost)
		cli_say("lock '%s' was lost while the command ran", lock->name);
	if (!say_end(r, lock, true) && !say_end(r, lock, false))
		cli_say("its lease ran out, or the store does not know it any more");
}

/* Why the command was not executed; the exit code. */
static int not_started(const struct run *r, int number)
{
	cli_say("cannot run '%s': %s", r->options.command[0], strerror(number));
	switch (number) {
	case ENOENT:
		return EXIT_NOT_FOUND;
	case EAGAIN:
	case ENOMEM:
		return hf_status_exit_code(HF_SYSTEM);
	default:
		return EXIT_NOT_EXECUTABLE;
	}
}

/* What the command's own end makes of our exit code. */
static int passed_through(struct run *r, const watchdog_outcome *outcome)
{
	if (outcome->why == WATCHDOG_DIED) {
		cli_say("the watchdog of the command was killed: the command was ended");
		return hf_status_exit_code(HF_SYSTEM);
	}
	if (!outcome->started)
		return not_started(r, outcome->start_errno);
	if (!outcome->status_known)
		return hf_status_exit_code(HF_SYSTEM);
	if (r->ended_by)
		return EXIT_SIGNAL + r->ended_by;
	if (WIFEXITED(outcome->status))
		return WEXITSTATUS(outcome->status);
	if (WTERMSIG(outcome->status) == r->terminal_signal)
		r->die_of = r->terminal_signal;
	return EXIT_SIGNAL + WTERMSIG(outcome->status);
}

/* Nothing of the tree is left: give the locks back. */
static int end(struct run *r)
{
	hf_error error = {.kind = HF_OK};
	watchdog_outcome outcome;
	signals_one one;
	size_t failed;
	hf_status st;

	/* What ended the command may have been quicker there than here. */
	while ((one = signals_next(&r->signals)).number)
		note_terminal(r, one);
	watchdog_join(&r->dog, &outcome);
	if (!r->lost)
		(void)run_locks_deadline_ms(&r->locks, &r->lost_lock);
	st = run_locks_release(&r->locks, &failed, &error);
	if (st == HF_LOST && !r->lost && outcome.why != WATCHDOG_DEADLINE)
		r->lost_lock = failed;
	watchdog_bury(&r->dog);
	if (outcome.why != WATCHDOG_NOT_ENDED && outcome.why != WATCHDOG_REST)
		signals_restore_terminal(&r->signals);
	if (outcome.survivor)
		cli_say("process %d of the command could not be ended: it may run on without "
			"the "
			"lock",
			(int)outcome.survivor);
	if (r->lost || st == HF_LOST || outcome.why == WATCHDOG_LEASE_LOST ||
		outcome.why == WATCHDOG_DEADLINE) {
		say_why_lost(r, &outcome);
		return hf_status_exit_code(HF_LOST);
	}
	if (st)
		cli_say("the command has ended, but lock '%s' was not given back: %s",
			r->locks.locks[failed].name, error.text);
	return passed_through(r, &outcome);
}

static int run(struct run *r)
{
	struct pollfd *fds = calloc(2 + r->locks.count, sizeof(*fds));
	hf_error error = {.kind = HF_OK};
	hf_status st;
	int code = 0;

	if (!fds)
		return cli_fail(&r->options, hf_fail_memory(&error, "run"), &error);
	if (!acquire(r, &code)) {
		free(fds);
		return code;
	}
	if (!signals_running(&r->signals))
		st = hf_fail_errno(&error, HF_SYSTEM, "run", errno, "cannot take signals");
	else
		st = start(r, &error);
	if (st) {
		run_locks_release(&r->locks, NULL, NULL);
		code = cli_fail(&r->options, st, &error);
	} else {
		let_go_of_pipes(r);
		supervise(r, fds);
		code = end(r);
	}
	free(fds);
	free(r->fds);
	return code;
}

/* Before the library starts threads: they inherit what is blocked. */
static bool take_signals(signals *s, int *code_out)
{
	if (signals_init(s) && signals_waiting(s))
		return true;
	cli_say("cannot take signals: %s", strerror(errno));
	*code_out = hf_status_exit_code(HF_SYSTEM);
	return false;
}

int cli_run(int argc, char **argv)
{
	struct run r = {.fds = NULL};
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_ACQUIRE | CLI_TAKES_COMMAND | CLI_TAKES_RUN,
		    1, HF_MANY_MAX, &r.options, &code))
		return code;
	if (run_locks_read(&r.locks, &r.options, &code) && take_signals(&r.signals, &code) &&
		run_locks_open(&r.locks, &code))
		code = run(&r);
	run_locks_close(&r.locks);
	cli_options_free(&r.options);
	if (r.die_of)
		signals_die_of(r.die_of);
	return code;
}
