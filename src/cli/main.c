#include "cli.h"

#include "base/process.h"
#include "output.h"
#include "signals.h"

#include <fcntl.h>
#include <unistd.h>

/*
 * A descriptor from 0 to 2 that is closed would be taken by the next file that
 * is opened: a store's, into which messages would go. What is put there fails
 * as a closed one does, and is closed again for the command of `run`.
 */
static void fill_standard_descriptors(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		int access = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", access | O_CLOEXEC) != fd)
			_exit(hf_status_exit_code(HF_SYSTEM));
	}
}

int main(int argc, char **argv)
{
	const cli_command *command;
	char shown[40];
	const char *name = argc > 1 ? argv[1] : NULL;

	fill_standard_descriptors();
	signals_no_file_limit();
	cli_set_program(argc > 0 ? argv[0] : NULL);
	if (!name) {
		cli_say("what shall be done? See '%s help'", cli_program());
		return hf_status_exit_code(HF_INVALID);
	}
	if (!strcmp(name, "-h") || !strcmp(name, "--help"))
		name = "help";
	else if (!strcmp(name, "-V") || !strcmp(name, "--version"))
		name = "version";
	command = cli_command_find(name);
	if (!command) {
		if (name[0] == '-')
			cli_say("'%s' stands before the command: give the command first, as in "
				"'%s status NAME %s'",
				name, cli_program(), name);
		else
			cli_say("there is no command '%s'; see '%s help'", name, cli_program());
		return hf_status_exit_code(HF_INVALID);
	}
	/* What others are shown: never our arguments, a secret may be among them. */
	snprintf(shown, sizeof(shown), "holdfast %s", command->name);
	hf_self_set_command(shown);
	argv[1] = (char *)(uintptr_t)command->name;
	return command->call(argc - 1, argv + 1);
}
