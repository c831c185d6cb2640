/*
 * What the subcommands share. One file a subcommand: cli_NAME(argc, argv) with
 * argv[0] the subcommand's name; it returns the process's exit code.
 *
 * Each begins alike:
 *
 *	if (!cli_options_read(argc, argv, CLI_TAKES_..., 1, 1, &options, &code))
 *		return code;                // also after --help
 *	manager = cli_open(&options, &code);
 *	if (!manager)
 *		goto out;                   // the message is out already
 *	...
 *	out:
 *		cli_close(&options, manager); // hf_close() if nothing is counted
 *		cli_options_free(&options);
 *
 * Only the public API and src/base stand below this floor. What goes to a
 * person passes through output.h, which lets no control character through.
 */
#ifndef HF_CLI_H
#define HF_CLI_H

#include "base/base.h"
#include <holdfast/holdfast.h>

/* Where a value came from; a later one overrides an earlier one. */
typedef enum cli_source {
	CLI_FROM_DEFAULT = 0,
	CLI_FROM_GIT_CONFIG,
	CLI_FROM_ENVIRONMENT,
	CLI_FROM_FLAG,
	CLI_FROM_NAME /* of a lock: NAME@URL */
} cli_source;

/* Options common to the subcommands, from git config, HOLDFAST_*, flags. */
typedef struct cli_options {
	const char *command_name; /* the subcommand: "run" */
	const char *store; /* URL; never NULL after cli_options_read() */
	cli_source store_source;
	hf_acquire_options acquire; /* strings live as long as the options */
	cli_source ttl_source;
	int conflict_exit_code; /* -E; default 1 */
	bool json;
	bool quiet;
	bool verbose;
	bool watch;
	bool all; /* list --all: free locks too */
	bool release_by_set; /* --id, --fingerprint or --owner was given */
	hf_who who;
	int64_t forget_after_ms; /* cleanup; default a day; -1: never */
	uint32_t history_limit; /* what each lock's history keeps; 0: all */
	bool metrics; /* keep what was done for `metrics`; default: true */
	bool metrics_in_passing; /* while a lock is held, too */
	struct cli_metrics_left *metrics_left; /* for cli_close() */
	bool prometheus; /* metrics */
	bool reset; /* metrics */
	int64_t interval_ms; /* top; default 2 s */
	bool interval_set; /* top: given */
	const char *sort; /* top: a word of top_sort_of(); NULL: not given */
	bool once; /* top */
	int64_t keep; /* log --prune N; -1: not given */
	size_t log_limit; /* log -N; 0: all */
	bool even_corrupt;
	uint64_t token; /* fence --token; 0: none */
	cli_source token_source;
	bool show; /* fence: only look */
	/* run: what becomes of background processes the command leaves */
	bool orphans_keep_lock; /* default: true; -o/--close: false */
	bool kill_rest;
	int64_t kill_after_ms; /* between SIGTERM and SIGKILL when lost */
	bool no_inherit; /* run: do not join what an outer run holds */
	bool literal; /* run: no name is NAME@URL */
	/* What is left of argv: NAME... and, after "--", the command. */
	int name_count;
	char **names;
	char **command; /* NULL-ended; NULL: none given */
	struct cli_block *memory; /* what the strings above rest on */
} cli_options;

/* Bits saying which options a subcommand takes. */
enum {
	CLI_TAKES_ACQUIRE = 1 << 0, /* -s -x -n -w -E --ttl ... */
	CLI_TAKES_WHO = 1 << 1, /* --id --fingerprint --owner as a selector */
	CLI_TAKES_COMMAND = 1 << 2,
	CLI_TAKES_WATCH = 1 << 3,
	CLI_TAKES_LOG = 1 << 4,
	CLI_TAKES_CLEANUP = 1 << 5,
	CLI_TAKES_RUN = 1 << 6,
	CLI_TAKES_FORCE = 1 << 7,
	CLI_TAKES_TTL = 1 << 8, /* extend */
	CLI_TAKES_WAIT = 1 << 9, /* wait: -w -n -E */
	CLI_TAKES_LIST = 1 << 10,
	CLI_TAKES_QUERY = 1 << 11, /* status: -E */
	CLI_TAKES_NO_STORE = 1 << 12, /* stores, version: nothing is opened */
	CLI_TAKES_FENCE = 1 << 13, /* --token; the command may be left out */
	CLI_TAKES_METRICS = 1 << 14,
	CLI_TAKES_TOP = 1 << 15
};

/*
 * Read configuration and argv into `out`. False: a message has been printed,
 * `out` holds nothing, and *exit_out says with which code to leave (0 after
 * --help).
 */
bool cli_options_read(int argc, char **argv, unsigned takes, int min_names, int max_names,
	cli_options *out, int *exit_out);
void cli_options_free(cli_options *options);

/* Open the store; on failure prints why and sets *exit_out. */
hf_manager *cli_open(const cli_options *options, int *exit_out);
/* The same for another store than that of the options. */
hf_manager *cli_open_url(
	const cli_options *options, const char *url, cli_source source, int *exit_out);

/*
 * Metrics (metrics.h). Nothing is held up for long by keeping them, and nothing
 * fails because of it. cli_close() does it, and closes the manager, which may be
 * NULL. Who keeps them before, while a lock is held, begins before that.
 */
void cli_metrics_begin(cli_options *options);
void cli_metrics_keep(cli_options *options, hf_manager *manager);
void cli_close(cli_options *options, hf_manager *manager);
/* The command has found a deadlock before the library was asked to wait. */
void cli_metrics_deadlock(cli_options *options, hf_manager *manager, const char *name);

/*
 * Print "holdfast: TEXT" and return the exit code for `status`. HF_HELD and
 * HF_TIMED_OUT are answers: with -q they are not printed, and their code is
 * that of -E.
 */
int cli_fail(const cli_options *options, hf_status status, const hf_error *error);

/*
 * HF_DEADLOCK if to wait for the lock is to wait for a process that waits for
 * this one (hf_waits_for_itself()), else HF_OK; `advice` says what to do.
 */
hf_status cli_deadlock(const hf_lock_info *info, hf_mode mode, uint32_t limit,
	const char *advice, hf_error *error);
/*
 * The same of a lock that was found to be held, for these options; of a tree name
 * also of what is above it, except what `o->under` holds.
 */
hf_status cli_check_wait(hf_manager *manager, const char *name, const hf_acquire_options *o,
	const char *advice, hf_error *error);
/* The second half of it alone. */
hf_status cli_check_wait_above(hf_manager *manager, const char *name,
	const hf_acquire_options *o, const char *advice, hf_error *error);

/* What this process stands under in one store (under.c). */
typedef struct cli_under {
	hf_hold *holds;
	size_t count;
} cli_under;
/*
 * As HOLDFAST_LOCKS says, and the records there, and /proc: what only says so is
 * left out. False: out of memory. To be freed in every case.
 */
bool cli_under_read(cli_under *under, hf_manager *manager);
void cli_under_free(cli_under *under);

/* Of a tree name: a hold of something below the lock. */
static inline bool cli_is_intent(hf_mode mode)
{
	return mode == HF_INTENT_SHARED || mode == HF_INTENT_EXCLUSIVE;
}
/*
 * The names above one, the root first: bytes of the next after `len`; 0: no more.
 * `above` (HF_NAME_MAX + 1 bytes) gets it.
 */
size_t cli_next_above(const char *name, size_t len, char *above);

/* Do these options wait at all for one who holds it? */
bool cli_may_wait(const hf_acquire_options *o);

/* How the command was called, for messages: "holdfast" or "git hold". */
const char *cli_program(void);
/* Tell it, from argv[0]. */
void cli_set_program(const char *argv0);

/* "holdfast: TEXT" on standard error, in one write. */
void cli_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same with "; see 'holdfast help COMMAND'" appended. Returns 64. */
int cli_usage(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One subcommand, for main() and the help. */
typedef struct cli_command {
	const char *name;
	int (*call)(int argc, char **argv);
	const char *arguments; /* after the options in the usage line */
	const char *summary; /* one line */
	const char *about; /* paragraphs */
} cli_command;

/* NULL: there is none of that name. */
const cli_command *cli_command_find(const char *name);
/* All of them, ended by one without a name. */
const cli_command *cli_command_table(void);

int cli_run(int argc, char **argv);
int cli_acquire(int argc, char **argv);
int cli_release(int argc, char **argv);
int cli_extend(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_log(int argc, char **argv);
int cli_cleanup(int argc, char **argv);
int cli_fence(int argc, char **argv);
int cli_force_release(int argc, char **argv);
int cli_wait(int argc, char **argv);
int cli_metrics(int argc, char **argv);
int cli_top(int argc, char **argv);
int cli_why(int argc, char **argv);
int cli_stores(int argc, char **argv);
int cli_version(int argc, char **argv);
int cli_help(int argc, char **argv);

#endif
