#include "output.h"
#include "settings.h"

#include <stdlib.h>

/* What stands for a store in examples and is the same everywhere. */
static const char common[] =
	"Every command tells its options with -h. holdfast(1) has all of it.\n"
	"\n"
	"The store (-S URL) is, from the strongest: the flag, HOLDFAST_STORE, git config\n"
	"holdfast.store, the git repository around the current directory, and a folder of\n"
	"the user. Other topics: durations, exit-codes, tree, config.\n";

static const struct {
	const char *name;
	const char *text;
} topics[] = {
	{"durations", "A duration is a decimal number with a unit: ms, s, m, h or d.\n"
		      "Without a unit it is seconds, as flock(1) has it: 250ms, 2.5, 30s, "
		      "1.5h, 2d.\n"},
	{"tree", "With --tree names are paths. A hold of 'repo' excludes one of 'repo/docs' "
		 "and\n"
		 "the other way round; two holds of 'repo/docs' and 'repo/src' go together:\n"
		 "\n"
		 "    holdfast run --tree repo/docs -- make docs\n"
		 "    holdfast run --tree repo/src -- make\n"
		 "    holdfast run --tree repo -- git gc\n"
		 "\n"
		 "All who share a tree use --tree: a hold without it takes no notice of what\n"
		 "is above its name. What is above is held with an intention, which status,\n"
		 "list and why show. release, extend and force-release of 'repo/docs' see to\n"
		 "that too. The parts of a name must not be empty, '.' or '..'.\n"},
	{"exit-codes",
		"  0  done\n"
		"  1  another holds it (-E N changes this one)\n"
		" 64  a bad option, name, URL, duration or JSON\n"
		" 65  the record is damaged, foreign or of a newer format\n"
		" 69  the store cannot be reached, or what became of the request is not known\n"
		" 71  the operating system refused, or there is no memory\n"
		" 73  the store's folder or file cannot be made\n"
		" 77  the lock is another's\n"
		" 80  the lease was lost while the command ran\n"
		" 81  deadlock: what is waited for waits for this one\n"
		" 82  a greater token has been seen\n"
		"`run` otherwise has the exit code of its command.\n"},
};

/* Where the second column begins, and how wide all of it may be. */
#define HELP_COLUMN 30
#define HELP_WIDTH 80

/* Text broken between words, continued under its first line. */
static void add_wrapped(hf_buf *buf, const char *text)
{
	int at = HELP_COLUMN;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at > HELP_COLUMN && at + 1 + len > HELP_WIDTH) {
			hf_buf_addf(buf, "\n%*s", HELP_COLUMN, "");
			at = HELP_COLUMN;
		} else if (at > HELP_COLUMN) {
			hf_buf_addc(buf, ' ');
			at++;
		}
		hf_buf_add(buf, text, (size_t)len);
		at += len;
		text += len + (text[len] == ' ');
	}
	hf_buf_addc(buf, '\n');
}

/* The options of a subcommand, two columns. */
static void add_options(hf_buf *buf, unsigned takes)
{
	const cli_setting *s;

	for (s = cli_setting_table(); s->name; s++) {
		char left[64];

		if (!s->help || !cli_setting_taken(s, takes))
			continue;
		snprintf(left, sizeof(left), "%s%c%s --%s%s%s", s->letter ? "-" : " ",
			s->letter ? s->letter : ' ', s->letter ? "," : " ", s->name,
			s->argument ? " " : "", s->argument ? s->argument : "");
		hf_buf_addf(buf, "  %-*s", HELP_COLUMN - 2, left);
		add_wrapped(buf, s->help);
	}
	hf_buf_addf(buf, "  %-*sthis text\n", HELP_COLUMN - 2, "-h, --help");
}

static int put(hf_buf *buf)
{
	bool ok = cli_write(buf);

	hf_buf_free(buf);
	return ok ? 0 : hf_status_exit_code(HF_SYSTEM);
}

int cli_help_print(const char *command_name, unsigned takes)
{
	const cli_command *command = cli_command_find(command_name);
	hf_buf buf = HF_BUF_INIT;

	hf_buf_addf(&buf, "usage: %s %s [options]%s%s\n\n%s\n\noptions:\n", cli_program(),
		command_name, command->arguments[0] ? " " : "", command->arguments,
		command->about);
	add_options(&buf, takes);
	return put(&buf);
}

/* Where each setting may be given besides the flag. */
static int help_config(void)
{
	const cli_setting *s;
	hf_buf buf = HF_BUF_INIT;

	hf_buf_addf(&buf,
		"Later ones win: git config, the environment, the flag.\n\n"
		"  %-22s %-24s %s\n",
		"flag", "environment", "git config");
	for (s = cli_setting_table(); s->name; s++) {
		char flag[32];

		/* The selectors of release have rows of their own. */
		if (!s->environment || (s->takes && !(s->takes & CLI_TAKES_ACQUIRE)))
			continue;
		snprintf(flag, sizeof(flag), "--%s", s->name);
		hf_buf_addf(&buf, "  %-22s %-24s %s%s\n", flag, s->environment,
			s->git_key ? "holdfast." : "-", s->git_key ? s->git_key : "");
	}
	return put(&buf);
}

static int help_topic(const char *name)
{
	const cli_command *command = cli_command_find(name);
	hf_buf buf = HF_BUF_INIT;
	size_t i;

	if (command) {
		char flag[] = "--help";
		char *argv[] = {(char *)(uintptr_t)command->name, flag, NULL};

		return command->call(2, argv);
	}
	if (!strcmp(name, "config"))
		return help_config();
	for (i = 0; i < HF_ARRAY_LEN(topics); i++) {
		if (!strcmp(name, topics[i].name)) {
			hf_buf_adds(&buf, topics[i].text);
			return put(&buf);
		}
	}
	cli_say("there is no help on '%s'; see '%s help'", name, cli_program());
	return hf_status_exit_code(HF_INVALID);
}

int cli_help(int argc, char **argv)
{
	const cli_command *command;
	hf_buf buf = HF_BUF_INIT;

	if (argc > 1 && strcmp(argv[1], "-h") && strcmp(argv[1], "--help"))
		return help_topic(argv[1]);
	hf_buf_addf(&buf, "usage: %s COMMAND [options] [NAME] [-- COMMAND]\n\n", cli_program());
	for (command = cli_command_table(); command->name; command++)
		hf_buf_addf(&buf, "  %-14s %s\n", command->name, command->summary);
	hf_buf_addf(&buf, "\n%s", common);
	return put(&buf);
}
