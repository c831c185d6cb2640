/*
 * Every option there is, in one table: its letters, which subcommands take it,
 * where configuration may give it, what its values mean, and its line in the
 * help. Flags, HOLDFAST_* and git config go through the same setters, so they
 * are checked alike; only the label in the message differs.
 */
#ifndef HF_CLI_SETTINGS_H
#define HF_CLI_SETTINGS_H

#include "cli.h"

/* What a setter works on. */
typedef struct cli_reader {
	cli_options *out;
	const char *label; /* "--ttl", "HOLDFAST_TTL", "git config holdfast.ttl" */
	cli_source source;
	bool exclusive_given; /* -x, which a --limit would contradict */
	const char *fingerprint; /* HOLDFAST_FINGERPRINT: selects when nothing else does */
} cli_reader;

typedef struct cli_setting {
	char letter; /* 0: none */
	const char *name; /* the long option, without "--" */
	const char *argument; /* what the help calls it; NULL: a switch */
	unsigned takes; /* CLI_TAKES_*: for any of these; 0: for all */
	/* A name in git's configuration (holdfast.KEY, lowercase); NULL: none. */
	const char *git_key;
	const char *environment; /* NULL: none */
	/* False: a message has been printed. value is NULL for a switch. */
	bool (*set)(cli_reader *reader, const char *value);
	const char *help; /* NULL: an alias that the help does not show */
} cli_setting;

/* Ended by one without a name. */
const cli_setting *cli_setting_table(void);
bool cli_setting_taken(const cli_setting *setting, unsigned takes);
/* It changes what others begin with: at each level it is read before them. */
bool cli_setting_is_profile(const cli_setting *setting);

/* Copy text into the options' memory; NULL (and a message) when out of it. */
char *cli_keep(cli_options *options, const char *text);

/* The help of one subcommand, on standard output. Returns the exit code. */
int cli_help_print(const char *command, unsigned takes);

/*
 * Git's configuration and the environment into the reader's options. False: a
 * message has been printed; *exit_out says with which code to leave.
 */
bool cli_config_read(cli_reader *reader, unsigned takes, const char *flag_store, int *exit_out);

/*
 * Make a relative path of the store absolute: the command of `run` is given the
 * URL, and may go elsewhere. The URL itself where that is not so; NULL: out of
 * memory, said.
 */
const char *cli_store_anchor(cli_options *options, const char *store);

#endif
