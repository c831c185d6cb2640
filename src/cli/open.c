/* Opening the store, and telling why something was not to be. */
#include "cli.h"

#include "output.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void warn(void *arg, const char *line)
{
	(void)arg;
	cli_say("warning: %s", line);
}

/*
 * A command that was built and not installed has its modules beside it. Where
 * it lies is the kernel's word, not the environment's.
 */
static const char *modules_beside_us(char path[PATH_MAX])
{
	static const char folder[] = "modules";
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(folder));
	struct stat st;
	char *slash;

	if (n <= 0 || n >= (ssize_t)(PATH_MAX - sizeof(folder)))
		return NULL;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	memcpy(slash + 1, folder, sizeof(folder));
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? path : NULL;
}

hf_manager *cli_open(const cli_options *options, int *exit_out)
{
	static const char *const sources[] = {
		[CLI_FROM_DEFAULT] = "the default",
		[CLI_FROM_GIT_CONFIG] = "from git config",
		[CLI_FROM_ENVIRONMENT] = "from HOLDFAST_STORE",
		[CLI_FROM_FLAG] = "from -S",
	};
	hf_open_options open = HF_OPEN_OPTIONS_INIT;
	hf_manager *manager;
	hf_error error;
	char path[PATH_MAX];
	hf_status st;

	open.module_dir = modules_beside_us(path);
	open.log = warn;
	st = hf_open(options->store, &open, &manager, &error);
	if (st) {
		*exit_out = cli_fail(options, st, &error);
		return NULL;
	}
	if (options->verbose)
		cli_say("store %s (%s)", hf_store_identity(manager),
			sources[options->store_source]);
	return manager;
}

int cli_fail(const cli_options *options, hf_status status, const hf_error *error)
{
	bool answer = status == HF_HELD || status == HF_TIMED_OUT;

	if (!answer || !options->quiet)
		cli_say("%s", error && error->text[0] ? error->text : hf_status_name(status));
	return answer ? options->conflict_exit_code : hf_status_exit_code(status);
}
