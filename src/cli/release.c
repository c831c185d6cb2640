#include "output.h"

int cli_release(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager;
	hf_error error;
	hf_status st;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_WHO, 1, 1, &options, &code))
		return code;
	manager = cli_open(&options, &code);
	if (manager) {
		st = hf_release_by(manager, options.names[0], &options.who, &error);
		if (st)
			code = cli_fail(&options, st, &error);
		else if (options.json &&
			 !cli_print_json(json_pack("{s:s, s:s}", "name", options.names[0],
				 "store", hf_store_identity(manager))))
			code = hf_status_exit_code(HF_SYSTEM);
		else if (options.verbose)
			cli_say("released '%s'", options.names[0]);
	}
	cli_close(&options, manager);
	cli_options_free(&options);
	return code;
}
