#include "cli.h"

static const cli_command table[] = {
	{"run", cli_run, "NAME... -- COMMAND...", "run a command under a lock, or several",
		"Take the lock, run the command, give the lock back. The lease is renewed "
		"while\n"
		"the command runs; if it is lost, the command and all that it started is "
		"ended,\n"
		"and the exit code is 80. Otherwise it is the command's own:\n"
		"\n"
		"    holdfast run deploy -- ./deploy.sh\n"
		"\n"
		"Several names are all had, or none; NAME@URL is a lock of another store. In "
		"the\n"
		"command, 'run' of a lock that it runs under joins it and does not wait."},
	{"acquire", cli_acquire, "NAME", "take a lock that outlives this command",
		"Take the lock and leave it taken: a lease bound to no process, which nobody\n"
		"renews. It ends by 'release', or by its ttl (default 5m). Prints its fencing\n"
		"token and its id:\n"
		"\n"
		"    read -r token id < <(holdfast acquire deploy)\n"
		"    ... holdfast extend deploy --id \"$id\" ...\n"
		"    holdfast release deploy --id \"$id\"\n"
		"\n"
		"For the time of one command, 'run' is better: it renews, and cannot forget."},
	{"release", cli_release, "NAME", "give back what 'acquire' took",
		"Release the lease that --id, --fingerprint or --owner names; exit code 77 if\n"
		"the lock is another's."},
	{"extend", cli_extend, "NAME", "let a lease last longer",
		"Let the lease that --id, --fingerprint or --owner names last for --ttl from\n"
		"now on; exit code 77 if the lock is another's."},
	{"status", cli_status, "NAME", "show who holds a lock and who waits",
		"Show a lock. The exit code is 0 whether it is held or free, and 65 if its\n"
		"record is damaged. With -q nothing is printed, and the exit code is 1 (or "
		"that\n"
		"of -E) unless the lock is free."},
	{"list", cli_list, "", "show all locks that are held",
		"Show every lock that is held, waited for, closed or damaged, by name. The "
		"exit\n"
		"code is 65 if the record of one is damaged."},
	{"log", cli_log, "NAME", "show what happened to a lock",
		"Show the history of a lock, newest first."},
	{"wait", cli_wait, "NAME", "wait until a lock is free",
		"Wait until nobody holds the lock, without taking it. Another may have it by\n"
		"the time this ends: whoever needs the lock takes 'run' or 'acquire'."},
	{"why", cli_why, "NAME", "tell why one must wait for a lock",
		"Tell who holds a lock, for how long, what these wait for themselves and who\n"
		"holds that, and so on; and who waits, in the order in which they are served."},
	{"cleanup", cli_cleanup, "", "end what is over, remove what was left",
		"End leases that are expired or whose process is dead, remove what killed\n"
		"processes left behind, and forget locks that nobody has used for long."},
	{"fence", cli_fence, "RESOURCE [-- COMMAND...]", "refuse who comes with an old token",
		"Show the resource the fencing token of a lease. It remembers the greatest it\n"
		"saw, in the store, and refuses a smaller one with exit code 82: who comes "
		"with\n"
		"that has lost the lock meanwhile. The command is run only if the token is\n"
		"admitted:\n"
		"\n"
		"    holdfast run deploy -- holdfast fence db -- ./migrate.sh\n"
		"\n"
		"With --show, only print the greatest token seen (0: none yet)."},
	{"force-release", cli_force_release, "NAME", "take a lock away from its holders",
		"End every lease of the lock, whoever holds it. The holders may still be at\n"
		"work: only what checks fencing tokens is safe then. The history says who did\n"
		"it and who was robbed."},
	{"metrics", cli_metrics, "[NAME]", "show how often and how long locks were taken",
		"Show what this command has done on this account, in all stores or that of -S: "
		"how\n"
		"often each lock was acquired, was found held, and was not to be had, and how "
		"long\n"
		"was waited and held. With --prometheus or --json for programs."},
	{"top", cli_top, "", "watch locks live: holders, waiters, rates",
		"Show the locks that are held, waited for or were taken lately, and go on "
		"until\n"
		"q. Who waits for longest stands first; keys: s sorts otherwise, r turns it "
		"round,\n"
		"a shows free locks too, w everybody who holds and waits, arrows move. With "
		"--once\n"
		"for a pipe."},
	{"stores", cli_stores, "", "list the stores that can be used",
		"List the stores there are, and whether each is built in or a module."},
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
