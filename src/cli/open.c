/* Opening the store, and telling why something was not to be. */
#include "cli.h"

#include "output.h"

static void warn(void *arg, const char *line)
{
	(void)arg;
	cli_say("warning: %s", line);
}

hf_manager *cli_open(const cli_options *options, int *exit_out)
{
	return cli_open_url(options, options->store, options->store_source, exit_out);
}

hf_manager *cli_open_url(
	const cli_options *options, const char *url, cli_source source, int *exit_out)
{
	static const char *const sources[] = {
		[CLI_FROM_DEFAULT] = "the default",
		[CLI_FROM_GIT_CONFIG] = "from git config",
		[CLI_FROM_ENVIRONMENT] = "from HOLDFAST_STORE",
		[CLI_FROM_FLAG] = "from -S",
		[CLI_FROM_NAME] = "from NAME@URL",
	};
	hf_open_options open = HF_OPEN_OPTIONS_INIT;
	hf_manager *manager;
	hf_error error;
	hf_status st;

	open.log = warn;
	open.history_limit = options->history_limit;
	st = hf_open(url, &open, &manager, &error);
	if (st) {
		*exit_out = cli_fail(options, st, &error);
		return NULL;
	}
	if (options->verbose)
		cli_say("store %s (%s)", hf_store_identity(manager), sources[source]);
	return manager;
}

int cli_fail(const cli_options *options, hf_status status, const hf_error *error)
{
	bool answer = status == HF_HELD || status == HF_TIMED_OUT;

	if (!answer || !options->quiet)
		cli_say("%s", error && error->text[0] ? error->text : hf_status_name(status));
	return answer ? options->conflict_exit_code : hf_status_exit_code(status);
}
