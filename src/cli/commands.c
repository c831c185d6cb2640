#include "cli.h"

static const cli_command table[] = {
	{"run", cli_run, "NAME -- COMMAND...", "run a command under a lock",
		"Acquire the lock, run the command, release the lock. Exits as the command does."},
	{"version", cli_version, "", "print the version", "Print the version."},
	{"help", cli_help, "[TOPIC]", "help on a command or a topic", ""},
	{NULL, NULL, NULL, NULL, NULL},
};

const cli_command *cli_command_table(void)
{
	return table;
}

const cli_command *cli_command_find(const char *name)
{
	const cli_command *command;

	for (command = table; command->name; command++)
		if (!strcmp(command->name, name))
			return command;
	return NULL;
}
