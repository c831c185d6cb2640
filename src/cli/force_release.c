#include "output.h"

static bool print(const cli_options *options, const hf_manager *manager, size_t ended)
{
	hf_buf line = HF_BUF_INIT;
	bool ok = true;

	if (options->json)
		return cli_print_json(json_pack("{s:s, s:o, s:s}", "name", options->names[0],
			"ended", cli_json_count(ended), "store", hf_store_identity(manager)));
	hf_buf_addf(&line, ended == 1 ? "%zu lease ended\n" : "%zu leases ended\n", ended);
	if (!options->quiet)
		ok = cli_write(&line);
	hf_buf_free(&line);
	return ok;
}

int cli_force_release(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager;
	hf_error error;
	hf_status st;
	size_t ended = 0;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_FORCE, 1, 1, &options, &code))
		return code;
	manager = cli_open(&options, &code);
	if (manager) {
		st = hf_force_release(manager, options.names[0], options.acquire.owner,
			options.even_corrupt, &ended, &error);
		if (st) {
			code = cli_fail(&options, st, &error);
			if (st == HF_CORRUPT && !options.even_corrupt)
				cli_say("--even-corrupt replaces a record that cannot be read");
		} else if (!print(&options, manager, ended)) {
			code = hf_status_exit_code(HF_SYSTEM);
		}
	}
	cli_close(&options, manager);
	cli_options_free(&options);
	return code;
}
