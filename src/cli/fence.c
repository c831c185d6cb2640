/*
 * fence: show a resource a token; then, if it is admitted, become the command.
 *
 * It is a gate in scripts, so without a token it fails: only --show looks without
 * one. An environment that was emptied on the way must not open the gate.
 *
 * The command takes our place, so its exit code and the signals it gets are its
 * own. Nothing of ours is needed any more: a fence is passed once, not held.
 */
#include "output.h"

#include <errno.h>
#include <unistd.h>

#define EXIT_NOT_EXECUTABLE 126 /* as env(1) has them */
#define EXIT_NOT_FOUND 127

/* What cannot have been meant. 0, or the exit code. */
static int refuse(const cli_options *options)
{
	if (!strncmp(options->store, "memory:", 7))
		return cli_usage(options->command_name,
			"what a fence of memory: has seen ends with the process, so with this "
			"command");
	if (options->show && (options->command || options->even_corrupt ||
				     options->token_source == CLI_FROM_FLAG))
		return cli_usage(options->command_name,
			"--show only looks: no --token, --even-corrupt or command goes with "
			"it");
	if (!options->show && !options->token)
		return cli_usage(options->command_name,
			"with which token? Give --token; HOLDFAST_TOKEN is not set. (To look, "
			"give --show)");
	return 0;
}

static bool print(const cli_options *options, const hf_manager *manager, uint64_t seen)
{
	hf_buf line = HF_BUF_INIT;
	bool ok = true;

	if (options->json)
		return cli_print_json(
			json_pack("{s:s, s:o, s:s}", "resource", options->names[0], "token",
				cli_json_count(seen), "store", hf_store_identity(manager)));
	hf_buf_addf(&line, "%llu\n", (unsigned long long)seen);
	if (!options->quiet)
		ok = cli_write(&line);
	hf_buf_free(&line);
	return ok;
}

/* 0, or the exit code. */
static int show_token_or_look(const cli_options *options, hf_manager *manager)
{
	const char *resource = options->names[0];
	uint64_t seen = 0;
	hf_error error;
	hf_status st;

	if (options->show)
		st = hf_fence_seen(manager, resource, &seen, &error);
	else if (options->even_corrupt)
		st = hf_fence_mend(manager, resource, options->token, &seen, &error);
	else
		st = hf_fence_admit(manager, resource, options->token, &seen, &error);
	if (st)
		return cli_fail(options, st, &error);
	if (!options->show && options->verbose)
		cli_say("'%s' admits token %llu", resource, (unsigned long long)seen);
	/* What the command prints is to be its own. */
	if (!options->command && (options->show || options->json) &&
		!print(options, manager, seen))
		return hf_status_exit_code(HF_SYSTEM);
	return 0;
}

/* Comes back only if the command cannot be run. */
static int become(char **command)
{
	int number;

	execvp(command[0], command);
	number = errno;
	cli_say("cannot run '%s': %s", command[0], strerror(number));
	return number == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

int cli_fence(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager = NULL;
	char **command;
	int code;

	if (!cli_options_read(
		    argc, argv, CLI_TAKES_FENCE | CLI_TAKES_COMMAND, 1, 1, &options, &code))
		return code;
	command = options.command;
	code = refuse(&options);
	if (!code)
		manager = cli_open(&options, &code);
	if (manager)
		code = show_token_or_look(&options, manager);
	hf_close(manager);
	cli_options_free(&options);
	return command && !code ? become(command) : code;
}
