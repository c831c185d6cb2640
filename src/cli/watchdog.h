/*
 * The watchdog: the command's parent, which sees to it that no process of the
 * command runs on once the lock may be another's.
 *
 *	wrapper   holds the lease; a thread of the library renews it
 *	  watchdog  ends the tree when the wrapper dies, when told that the lease
 *		    is lost, and at the lease's deadline when nobody moves it
 *	    command   in the wrapper's process group, with its terminal
 *	      ...       whatever it starts; orphans come back to the watchdog
 *
 * Wrapper and watchdog are child subreapers. The deadline stands in a page that
 * both share: the wrapper moves it while it runs, and a stopped wrapper does
 * not. The watchdog stands in a session of its own, so that neither the terminal
 * nor a kill of the group reach it. If it is killed all the same, the command
 * gets SIGKILL from the kernel (PR_SET_PDEATHSIG), orphans come to the wrapper,
 * and watchdog_join() ends them.
 *
 *	watchdog_start(&dog, &setup, &error)
 *	for (;;)	poll dog.channel (readable: an event), and meanwhile
 *		watchdog_set_deadline()	at least a few times a ttl
 *		watchdog_order()	a signal to forward, "lost", ...
 *		watchdog_next_event()	until WATCHDOG_OVER
 *	watchdog_join(&dog, &outcome)	now the lock may be released
 *	watchdog_bury(&dog)
 *
 * The watchdog is forked from a process with threads, by _Fork(): no handler of
 * any library runs, and from then on only async-signal-safe calls are made.
 */
#ifndef HF_CLI_WATCHDOG_H
#define HF_CLI_WATCHDOG_H

#include "tree.h"
#include <signal.h>

typedef struct watchdog_setup {
	const char *locks; /* "lock 'x'", for messages */
	char *const *command; /* argv, looked up in PATH */
	const sigset_t *mask; /* signal mask for the command */
	const struct sigaction *on_child; /* its disposition of SIGCHLD */
	const struct sigaction *on_file_limit; /* and of SIGXFSZ */
	/*
	 * Whose locks prove the grants alive. The watchdog keeps them. The tree
	 * inherits them, unless leave_rest.
	 */
	const int *hold_fds;
	int *tree_fds; /* room for as many; the watchdog's own */
	size_t hold_count;
	bool leave_rest; /* over when the command has ended; the rest lives on */
	bool kill_rest; /* end the rest when the command has ended */
	int64_t kill_after_ms; /* between SIGTERM and SIGKILL, where there is time */
	int64_t ttl_ms; /* 0: no deadline */
	int64_t deadline_ms; /* hf_boot_ms(); INT64_MAX: none */
} watchdog_setup;

/* Why the tree was ended, if it was. */
typedef enum watchdog_why {
	WATCHDOG_NOT_ENDED = 0,
	WATCHDOG_LEASE_LOST, /* told so */
	WATCHDOG_DEADLINE, /* the lease ran out, nobody renewed it */
	WATCHDOG_REST, /* the command's left-overs: kill_rest, or told so */
	WATCHDOG_WRAPPER_DIED,
	WATCHDOG_DIED /* the watchdog itself was killed */
} watchdog_why;

typedef struct watchdog_outcome {
	watchdog_why why;
	bool started; /* the command was executed */
	int start_errno; /* why not */
	bool status_known;
	int status; /* the command's, as waitpid() gives it */
	pid_t survivor; /* a process that could not be ended; 0: none */
} watchdog_outcome;

typedef enum watchdog_event_kind {
	WATCHDOG_NOTHING = 0,
	WATCHDOG_STOPPED, /* the command was stopped, by event.signal */
	WATCHDOG_RESTS, /* it has ended; others of its tree have not */
	WATCHDOG_OVER /* the watchdog has no more to do, or is dead */
} watchdog_event_kind;

typedef enum watchdog_order_kind {
	WATCHDOG_FORWARD = 1, /* a signal to the command */
	WATCHDOG_CONTINUE, /* the command, if it has not stopped again since */
	WATCHDOG_END_LOST, /* the lease is lost: end the tree */
	WATCHDOG_END_REST /* end what the command left, if it has ended */
} watchdog_order_kind;

/* What goes through the channel, either way. */
typedef struct watchdog_message {
	unsigned char kind;
	unsigned char signal;
	unsigned char stop; /* how many stops of the command its sender knows of */
} watchdog_message;

typedef struct watchdog {
	pid_t pid;
	int channel;
	unsigned char stops; /* of the command, that we were told of; wraps */
	struct watchdog_page *page;
	tree tree; /* of the wrapper, should the watchdog be killed */
} watchdog;

/*
 * Start the watchdog and, through it, the command. The caller must be the main
 * thread and have blocked the signals it does not want to die of meanwhile.
 * HF_OK, or HF_SYSTEM: nothing was started.
 */
hf_status watchdog_start(watchdog *dog, const watchdog_setup *setup, hf_error *error);

/* The lease lasts until then (hf_boot_ms()). */
void watchdog_set_deadline(watchdog *dog, int64_t deadline_ms);

/* `signal` is for WATCHDOG_FORWARD. */
void watchdog_order(watchdog *dog, watchdog_order_kind kind, int signal);

/* The next event that is there; *signal_out is for WATCHDOG_STOPPED. */
watchdog_event_kind watchdog_next_event(watchdog *dog, int *signal_out);

/*
 * On WATCHDOG_STOPPED: the command's process group if it still is stopped; then
 * stop this process and afterwards call watchdog_stop_ends(). Whoever continues
 * the command, or ends it, continues this process too. 0: it goes on already.
 */
pid_t watchdog_stop_begins(watchdog *dog);
void watchdog_stop_ends(watchdog *dog);

/* If somebody has stopped the watchdog, continue it. On SIGCHLD. */
void watchdog_wake(watchdog *dog);

/* After WATCHDOG_OVER: nothing of the tree is left (or outcome.survivor). */
void watchdog_join(watchdog *dog, watchdog_outcome *outcome);

/* Collect its process, which has nothing left to do. */
void watchdog_bury(watchdog *dog);

#endif
