/*
 * Signals and the terminal of a process that runs another: what reaches it is
 * for the other, unless that has it already.
 *
 *	signals_no_file_limit()	first in main(): a file limit is an error
 *	signals_init()		which signals are ours to take; mask kept
 *	signals_waiting()	INT TERM HUP QUIT come through signals.fd
 *	signals_running()	all that are to be passed on do, and SIGCHLD
 *	signals_next()		the next one; 0: none now
 *
 * A signal that was ignored when we were started (nohup, a shell's background)
 * stays so and is not taken.
 *
 * The terminal sends its own (Ctrl-C, Ctrl-\, Ctrl-Z, a new size, hanging up)
 * to the whole foreground group, so the command has them already; those are
 * told from those of kill(2) by who sent them, the kernel or a process. A kill
 * of the whole group cannot be told from one of us alone: then the command
 * gets it twice.
 */
#ifndef HF_CLI_SIGNALS_H
#define HF_CLI_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <termios.h>

typedef struct signals {
	int fd; /* readable when a signal has come; -1: none taken */
	sigset_t before; /* the mask to give to the command */
	sigset_t ignored;
	struct sigaction on_child; /* its disposition of SIGCHLD */
	struct sigaction on_file_limit; /* and of SIGXFSZ */
	int terminal; /* a descriptor of it, -1: none */
	pid_t terminal_group; /* its foreground group at the start */
	struct termios settings;
} signals;

typedef struct signals_one {
	int number;
	bool from_terminal; /* the command has it already */
	bool hung_up; /* the terminal is gone, and only we, its leader, are told */
} signals_one;

/*
 * Under a limit of file size (ulimit -f) a write is to fail, with EFBIG, and
 * not to end us: ignore SIGXFSZ.
 */
void signals_no_file_limit(void);

/* False: errno says why. */
bool signals_init(signals *s);
bool signals_waiting(signals *s);
bool signals_running(signals *s);
signals_one signals_next(signals *s);

/*
 * Stop this process by `number`, as the command was; returns when continued.
 * A process group that nobody controls is not stopped (nor is SIGCONT sent).
 * If the command's own group had the terminal (a shell that suspended itself)
 * and we get it, it is given back.
 */
void signals_stop_self(const signals *s, int number, pid_t command_group);

/* Die of `number`, for a caller that looks at how we ended. May return. */
void signals_die_of(int number);

/* Put the terminal back as it was, if it is ours: what was killed could not. */
void signals_restore_terminal(const signals *s);

#endif
