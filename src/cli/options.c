/*
 * From argv to cli_options. Flags are collected first, then configuration is
 * applied, then the flags on top of it: so --help and a misspelt option cost
 * no look at git's configuration, and a later source wins.
 */
#include "base/process.h"
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>

struct cli_block {
	struct cli_block *next;
	char text[];
};

/* One flag as it stood in argv. */
struct flag {
	const cli_setting *setting;
	const char *value;
	char label[40];
};

struct scan {
	const char *command;
	unsigned takes;
	int argc;
	char **argv;
	int at; /* the next argument */
	struct flag *flags;
	size_t flag_count;
	int name_count;
	char **names;
	char **rest; /* what stands after "--" */
	bool help;
};

char *cli_keep(cli_options *options, const char *text)
{
	size_t n = strlen(text) + 1;
	struct cli_block *block = malloc(sizeof(*block) + n);

	if (!block) {
		cli_say("out of memory");
		return NULL;
	}
	memcpy(block->text, text, n);
	block->next = options->memory;
	options->memory = block;
	return block->text;
}

void cli_options_free(cli_options *options)
{
	while (options->memory) {
		struct cli_block *next = options->memory->next;

		/* A fingerprint may be among them. */
		explicit_bzero(options->memory->text, strlen(options->memory->text));
		free(options->memory);
		options->memory = next;
	}
	free(options->names);
	options->names = NULL;
}

static const cli_setting *find_long(unsigned takes, const char *name, size_t len)
{
	const cli_setting *s;

	for (s = cli_setting_table(); s->name; s++)
		if (cli_setting_taken(s, takes) && strlen(s->name) == len &&
			!memcmp(s->name, name, len))
			return s;
	return NULL;
}

static const cli_setting *find_letter(unsigned takes, char letter)
{
	const cli_setting *s;

	for (s = cli_setting_table(); s->name; s++)
		if (s->letter == letter && cli_setting_taken(s, takes))
			return s;
	return NULL;
}

static void add_flag(struct scan *scan, const cli_setting *setting, const char *value,
	const char *dashes, const char *name, size_t len)
{
	struct flag *flag = &scan->flags[scan->flag_count++];

	flag->setting = setting;
	flag->value = value;
	snprintf(flag->label, sizeof(flag->label), "%s%.*s", dashes, (int)len, name);
}

/* "--name", "--name=value" or "--name value" */
static bool scan_long(struct scan *scan, const char *name)
{
	const char *equals = strchr(name, '=');
	size_t len = equals ? (size_t)(equals - name) : strlen(name);
	const cli_setting *setting = find_long(scan->takes, name, len);
	const char *value = equals ? equals + 1 : NULL;

	if (len == 4 && !memcmp(name, "help", 4) && !equals) {
		scan->help = true;
		return true;
	}
	if (!setting) {
		cli_usage(scan->command, "there is no option '--%.*s' here", (int)len, name);
		return false;
	}
	if (!setting->argument && value) {
		cli_usage(scan->command, "--%s takes no value, and was given '%s'",
			setting->name, value);
		return false;
	}
	if (setting->argument && !value) {
		if (scan->at == scan->argc) {
			cli_usage(scan->command, "--%s needs a value: --%s %s", setting->name,
				setting->name, setting->argument);
			return false;
		}
		value = scan->argv[scan->at++];
	}
	add_flag(scan, setting, value, "--", name, len);
	return true;
}

/* "-n", "-nq", "-w5", "-w 5"; "-5" where -N is taken. */
static bool scan_letters(struct scan *scan, const char *letters)
{
	for (; *letters; letters++) {
		const cli_setting *setting = find_letter(scan->takes, *letters);
		const char *value = NULL;

		if (*letters == 'h') {
			scan->help = true;
			return true;
		}
		if (*letters >= '0' && *letters <= '9' && (scan->takes & CLI_TAKES_LOG)) {
			add_flag(scan, find_letter(scan->takes, 'N'), letters, "-", letters,
				strlen(letters));
			return true;
		}
		if (!setting) {
			cli_usage(scan->command, "there is no option '-%c' here", *letters);
			return false;
		}
		if (setting->argument) {
			if (letters[1]) {
				value = letters + 1;
			} else if (scan->at < scan->argc) {
				value = scan->argv[scan->at++];
			} else {
				cli_usage(scan->command, "-%c needs a value: -%c %s", *letters,
					*letters, setting->argument);
				return false;
			}
		}
		add_flag(scan, setting, value, "-", letters, 1);
		if (value)
			return true;
	}
	return true;
}

/*
 * Everything but the meaning of values. "--" ends the options; what follows is
 * the command where one is taken and all names are there, else more names.
 */
static bool scan_argv(struct scan *scan, int min_names)
{
	bool options_ended = false;

	while (scan->at < scan->argc && !scan->help) {
		char *arg = scan->argv[scan->at++];

		if (!strcmp(arg, "--") &&
			(!options_ended || (scan->takes & CLI_TAKES_COMMAND))) {
			if ((scan->takes & CLI_TAKES_COMMAND) &&
				(options_ended || scan->name_count >= min_names)) {
				scan->rest = scan->argv + scan->at;
				return true;
			}
			options_ended = true;
		} else if (options_ended || arg[0] != '-' || !arg[1]) {
			scan->names[scan->name_count++] = arg;
		} else if (arg[1] == '-') {
			if (!scan_long(scan, arg + 2))
				return false;
		} else if (!scan_letters(scan, arg + 1)) {
			return false;
		}
	}
	return true;
}

static void say_too_many(const struct scan *scan, int names)
{
	const char *extra = scan->names[names];

	if ((scan->takes & CLI_TAKES_COMMAND) && !scan->rest)
		cli_usage(scan->command,
			"'%s' stands after the name: put '--' before the command", extra);
	else
		cli_usage(scan->command, "'%s' is one argument too many", extra);
}

static bool check_names(const struct scan *scan, int min_names, int max_names)
{
	hf_error error;
	int i;

	if (scan->name_count < min_names) {
		cli_usage(scan->command, "which %s? Give its name",
			scan->takes & CLI_TAKES_FENCE ? "resource" : "lock");
		return false;
	}
	if (scan->name_count > max_names) {
		say_too_many(scan, max_names);
		return false;
	}
	/* Those of run may have a URL with them: it looks itself. */
	for (i = 0; i < scan->name_count && !(scan->takes & CLI_TAKES_RUN); i++) {
		if (hf_check_name(scan->names[i], &error)) {
			cli_usage(scan->command, "%s", error.text);
			return false;
		}
	}
	if (scan->rest ? !scan->rest[0] : scan->takes & CLI_TAKES_RUN) {
		if (scan->name_count > 1 && !scan->rest)
			say_too_many(scan, 1);
		else
			cli_usage(scan->command,
				"run what? Give '--' and the command after the name");
		return false;
	}
	return true;
}

static void set_defaults(const struct scan *scan, cli_options *out)
{
	static const hf_acquire_options acquire = HF_ACQUIRE_OPTIONS_INIT;

	memset(out, 0, sizeof(*out));
	out->command_name = scan->command;
	out->acquire = acquire;
	out->conflict_exit_code = hf_status_exit_code(HF_HELD);
	out->forget_after_ms = 86400000;
	out->history_limit = 1000;
	out->metrics = true;
	out->interval_ms = 2000;
	out->keep = -1;
	out->orphans_keep_lock = true;
	out->kill_after_ms = 5000;
}

static const char *flag_store(const struct scan *scan)
{
	const char *value = NULL;
	size_t i;

	for (i = 0; i < scan->flag_count; i++)
		if (scan->flags[i].setting->letter == 'S')
			value = scan->flags[i].value;
	return value;
}

static bool apply_flags(const struct scan *scan, cli_reader *reader, bool profile)
{
	size_t i;

	for (i = 0; i < scan->flag_count; i++) {
		if (cli_setting_is_profile(scan->flags[i].setting) != profile)
			continue;
		reader->label = scan->flags[i].label;
		if (!scan->flags[i].setting->set(reader, scan->flags[i].value))
			return false;
	}
	return true;
}

static bool apply(const struct scan *scan, cli_options *out, int *exit_out)
{
	cli_reader reader = {.out = out};

	if (!cli_config_read(&reader, scan->takes, flag_store(scan), exit_out))
		return false;
	reader.source = CLI_FROM_FLAG;
	reader.exclusive_given = false;
	*exit_out = hf_status_exit_code(HF_INVALID);
	if (!apply_flags(scan, &reader, true) || !apply_flags(scan, &reader, false))
		return false;
	if (out->store && !(out->store = cli_store_anchor(out, out->store))) {
		*exit_out = hf_status_exit_code(HF_NO_MEMORY);
		return false;
	}
	if (out->acquire.limit > 0 && reader.exclusive_given) {
		cli_usage(scan->command, "--limit shares the lock, and -x does not: give one");
		return false;
	}
	if (out->acquire.limit > 0)
		out->acquire.mode = HF_SHARED;
	if ((scan->takes & CLI_TAKES_WHO) && !out->release_by_set) {
		if (!reader.fingerprint) {
			cli_usage(scan->command,
				"whose? Give one of --id, --fingerprint-file and --owner");
			return false;
		}
		out->who.fingerprint = reader.fingerprint;
		out->release_by_set = true;
	}
	return true;
}

bool cli_options_read(int argc, char **argv, unsigned takes, int min_names, int max_names,
	cli_options *out, int *exit_out)
{
	struct scan scan = {
		.command = argv[0], .takes = takes, .argc = argc, .argv = argv, .at = 1};
	size_t letters = 0;
	bool ok = false;
	int i;

	/* At most one flag a byte of argv, as in "-nq". */
	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		letters += strlen(argv[i]);
	set_defaults(&scan, out);
	scan.flags = calloc(letters + 1, sizeof(*scan.flags));
	scan.names = calloc((size_t)argc + 1, sizeof(*scan.names));
	if (!scan.flags || !scan.names) {
		cli_say("out of memory");
		*exit_out = hf_status_exit_code(HF_NO_MEMORY);
		goto out;
	}
	*exit_out = hf_status_exit_code(HF_INVALID);
	if (!scan_argv(&scan, min_names))
		goto out;
	if (scan.help) {
		*exit_out = cli_help_print(scan.command, takes);
		goto out;
	}
	if (!check_names(&scan, min_names, max_names) || !apply(&scan, out, exit_out))
		goto out;
	out->names = scan.names;
	out->name_count = scan.name_count;
	out->command = scan.rest;
	/* Its name alone: arguments may be secret, and a history is for ever. */
	if (out->command)
		hf_self_set_command(out->command[0]);
	scan.names = NULL;
	*exit_out = 0;
	ok = true;
out:
	free(scan.flags);
	free(scan.names);
	if (!ok)
		cli_options_free(out);
	return ok;
}
