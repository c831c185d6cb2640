/*
 * What one more process between a wrapper and its command costs.
 *
 *	forked 0|1 COMMAND...
 *
 * Runs the command and waits for it; with 1 from a forked child, as a watchdog
 * would.
 */
#include "bench.h"

#include <sys/wait.h>
#include <unistd.h>

static int run(char **command)
{
	pid_t pid = vfork();
	int status;

	must(pid >= 0, "a process can be had");
	if (pid == 0) {
		execvp(command[0], command);
		_exit(127);
	}
	must(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "the command ends");
	return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	int status;
	pid_t pid;

	must(argc > 2, "usage: forked 0|1 COMMAND...");
	if (argv[1][0] == '0')
		return run(argv + 2);
	pid = fork();
	must(pid >= 0, "a process can be had");
	if (pid == 0)
		_exit(run(argv + 2));
	must(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "the child ends");
	return WEXITSTATUS(status);
}
