/*
 * holdfast run: a command under a lock.
 *
 * This process holds the lease and waits; the watchdog (watchdog.h) is the
 * command's parent and ends its tree when the lease is no longer certain.
 */
#include "cli.h"

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

struct run {
	cli_options options;
	const char *name;
	hf_manager *manager;
	hf_lease *lease;
	signals signals;
	watchdog dog;
	bool lost;
	bool hung_up; /* our terminal is gone */
	bool resting; /* the command has ended, others of its tree have not */
	int ended_by; /* the signal that told us to end those; 0: none */
	int terminal_signal; /* the last one of SIGINT and SIGQUIT; 0: none */
	int die_of; /* so that our caller sees what the terminal did; 0: nothing */
};

/* ---- acquiring ---- */

/* Acquire; SIGINT and the like end the waiting. Without a lease, the exit code
 * (which -E may have made 0). */
static int acquire(struct run *r)
{
	hf_acquire_options options = r->options.acquire;
	hf_error error = {.kind = HF_OK};
	signals_one one;
	hf_status st;

	options.cancel_fd = r->signals.fd;
	st = hf_acquire(r->manager, r->name, &options, &r->lease, &error);
	one = signals_next(&r->signals);
	if (one.number) {
		hf_release(r->lease, NULL);
		r->lease = NULL;
		if (one.from_terminal)
			r->die_of = one.number;
		return EXIT_SIGNAL + one.number;
	}
	return st ? cli_fail(&r->options, st, &error) : 0;
}

/* ---- running ---- */

static bool set_environment(const struct run *r)
{
	char token[24];

	snprintf(token, sizeof(token), "%llu", (unsigned long long)hf_lease_token(r->lease));
	return !setenv("HOLDFAST_NAME", r->name, 1) && !setenv("HOLDFAST_TOKEN", token, 1) &&
	       !setenv("HOLDFAST_ID", hf_lease_id(r->lease), 1) &&
	       !setenv("HOLDFAST_STORE", r->options.store, 1);
}

/* Until when the lease is certainly ours; 0: it is not any more. */
static int64_t deadline_ms(const struct run *r)
{
	int64_t now_ms = hf_boot_ms();
	int64_t left_ms = hf_lease_remaining_ms(r->lease);

	if (left_ms == INT64_MAX || left_ms == 0)
		return left_ms;
	return now_ms + left_ms;
}

static hf_status start(struct run *r, hf_error *error)
{
	const cli_options *o = &r->options;
	watchdog_setup setup = {
		.name = r->name,
		.command = o->command,
		.mask = &r->signals.before,
		.on_child = &r->signals.on_child,
		.hold_fd = hf_lease_liveness_fd(r->lease),
		.leave_rest = !o->orphans_keep_lock && !o->kill_rest,
		.kill_rest = o->kill_rest,
		.kill_after_ms = o->kill_after_ms,
		.deadline_ms = deadline_ms(r),
	};

	if (setup.deadline_ms != INT64_MAX)
		setup.ttl_ms = o->acquire.ttl_ms;
	if (!set_environment(r))
		return hf_fail_memory(error, "run");
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
static void look_at_lease(struct run *r)
{
	int64_t until_ms;

	if (r->lost)
		return;
	until_ms = deadline_ms(r);
	if (until_ms > 0) {
		watchdog_set_deadline(&r->dog, until_ms);
		return;
	}
	/* What was its deadline before stays so. */
	r->lost = true;
	watchdog_order(&r->dog, WATCHDOG_END_LOST, 0);
	cli_say("lock '%s' was lost while the command ran: ending it", r->name);
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
			look_at_lease(r);
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
					"lock '%s' is kept until they end",
					r->name);
			break;
		case WATCHDOG_OVER:
			return false;
		}
	}
}

static int tick_ms(const struct run *r)
{
	int64_t ms = r->options.acquire.ttl_ms / 10;

	if (r->lost || hf_lease_remaining_ms(r->lease) == INT64_MAX)
		return -1;
	return ms < 10 ? 10 : ms > 1000 ? 1000 : (int)ms;
}

static void supervise(struct run *r)
{
	struct pollfd fds[3] = {{.fd = r->dog.channel, .events = POLLIN},
		{.fd = r->signals.fd, .events = POLLIN},
		{.fd = hf_lease_fd(r->lease), .events = POLLIN}};
	signals_one one;

	for (;;) {
		int n = poll(fds, 3, tick_ms(r));

		/*
		 * Whatever poll() saw: a SIGCONT that made us run is there now,
		 * and stopping with the command would discard it.
		 */
		if (n != 0)
			while ((one = signals_next(&r->signals)).number)
				on_signal(r, one);
		if (n > 0 && fds[0].revents && !on_event(r))
			return;
		look_at_lease(r);
		if (r->lost)
			fds[2].fd = -1;
	}
}

/* ---- the end ---- */

struct search {
	const char *id;
	bool found;
};

/* The event that ended our grant; says what it was. */
static int find_end(void *arg, const hf_event *event)
{
	struct search *search = arg;
	bool ours = !strcmp(event->id, search->id);

	if (!strstr(event->ended, search->id) && !(ours && strstr(event->kind, "release")) &&
		strcmp(event->kind, "force-release"))
		return ours;
	cli_say("it was ended by '%s' of %s on %s, process %lld", event->kind, event->owner,
		event->host, (long long)event->pid);
	search->found = true;
	return 1;
}

static void say_why_lost(struct run *r, const char *id, const watchdog_outcome *outcome)
{
	struct search search = {.id = id};

	if (outcome->why == WATCHDOG_DEADLINE) {
		cli_say("lock '%s' was not renewed before its lease ran out (the store did not "
			"answer, or this process was stopped): the command was ended in time",
			r->name);
		return;
	}
	if (!r->lost)
		cli_say("lock '%s' was lost while the command ran", r->name);
	if (hf_history(r->manager, r->name, 100, find_end, &search, NULL) || !search.found)
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

/* Nothing of the tree is left: give the lock back. */
static int end(struct run *r)
{
	hf_error error = {.kind = HF_OK};
	char id[HF_ID_LEN + 1];
	watchdog_outcome outcome;
	signals_one one;
	hf_status st;

	/* What ended the command may have been quicker there than here. */
	while ((one = signals_next(&r->signals)).number)
		note_terminal(r, one);
	watchdog_join(&r->dog, &outcome);
	hf_copy(id, sizeof(id), hf_lease_id(r->lease));
	st = hf_release(r->lease, &error);
	r->lease = NULL;
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
		say_why_lost(r, id, &outcome);
		return hf_status_exit_code(HF_LOST);
	}
	if (st)
		cli_say("the command has ended, but its lock was not given back: %s",
			error.text);
	return passed_through(r, &outcome);
}

static int run(struct run *r)
{
	hf_error error = {.kind = HF_OK};
	hf_status st;
	int code = acquire(r);

	/* The code may be 0 without a lease too: -E 0. */
	if (!r->lease)
		return code;
	if (!signals_running(&r->signals)) {
		st = hf_fail_errno(&error, HF_SYSTEM, "run", errno, "cannot take signals");
	} else {
		st = start(r, &error);
	}
	if (st) {
		hf_release(r->lease, NULL);
		return cli_fail(&r->options, st, &error);
	}
	let_go_of_pipes(r);
	cli_metrics_keep(&r->options, r->manager); /* it may run for days */
	supervise(r);
	return end(r);
}

int cli_run(int argc, char **argv)
{
	struct run r = {.manager = NULL};
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_ACQUIRE | CLI_TAKES_COMMAND | CLI_TAKES_RUN,
		    1, 1, &r.options, &code))
		return code;
	r.name = r.options.names[0];
	/* Before the library starts threads: they inherit what is blocked. */
	if (!signals_init(&r.signals) || !signals_waiting(&r.signals)) {
		cli_say("cannot take signals: %s", strerror(errno));
		code = hf_status_exit_code(HF_SYSTEM);
	} else {
		r.manager = cli_open(&r.options, &code);
		if (r.manager)
			code = run(&r);
	}
	cli_close(&r.options, r.manager);
	cli_options_free(&r.options);
	if (r.die_of)
		signals_die_of(r.die_of);
	return code;
}
