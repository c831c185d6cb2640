/*
 * What the subcommands share. One file a subcommand: cli_NAME(argc, argv) with
 * argv[0] the subcommand's name; it returns the process's exit code.
 */
#ifndef HF_CLI_H
#define HF_CLI_H

#include "base/base.h"
#include <holdfast/holdfast.h>

/* Options common to the subcommands, from git config, HOLDFAST_*, flags. */
typedef struct cli_options {
	char *store; /* URL; never NULL after cli_options_read() */
	hf_acquire_options acquire; /* strings are borrowed from argv or config */
	int conflict_exit_code; /* -E; default 1 */
	bool json;
	bool quiet;
	bool verbose;
	bool watch;
	bool release_by_set; /* --id, --fingerprint or --owner was given */
	hf_who who;
	int64_t forget_after_ms; /* cleanup; default a day */
	int64_t keep; /* log --prune N; -1: not given */
	size_t log_limit; /* log -N; 0: all */
	bool even_corrupt;
	/* run: what becomes of background processes the command leaves */
	bool orphans_keep_lock; /* default: true; -o/--close: false */
	bool kill_rest;
	int64_t kill_after_ms; /* between SIGTERM and SIGKILL when lost */
	/* What is left of argv: NAME... and, after "--", the command. */
	int name_count;
	char **names;
	char **command; /* NULL-ended; NULL: none given */
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
	CLI_TAKES_WAIT = 1 << 9 /* wait: -w -n -E */
};

/*
 * Read configuration and argv into `out`. False: a message has been printed
 * and *exit_out says with which code to leave (0 after --help).
 */
bool cli_options_read(int argc, char **argv, unsigned takes, int min_names, int max_names,
	cli_options *out, int *exit_out);
void cli_options_free(cli_options *options);

/* Open the store; on failure prints why and sets *exit_out. */
hf_manager *cli_open(const cli_options *options, int *exit_out);

/* Print "holdfast: TEXT" (unless quiet and it is only an answer); exit code. */
int cli_fail(const cli_options *options, hf_status status, const hf_error *error);

int cli_run(int argc, char **argv);
int cli_acquire(int argc, char **argv);
int cli_release(int argc, char **argv);
int cli_extend(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_list(int argc, char **argv);
int cli_log(int argc, char **argv);
int cli_cleanup(int argc, char **argv);
int cli_force_release(int argc, char **argv);
int cli_wait(int argc, char **argv);
int cli_stores(int argc, char **argv);
int cli_version(int argc, char **argv);
int cli_help(int argc, char **argv);

#endif
