#include "output.h"

int cli_version(int argc, char **argv)
{
	cli_options options;
	hf_buf buf = HF_BUF_INIT;
	bool ok;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_NO_STORE, 0, 0, &options, &code))
		return code;
	if (options.json) {
		ok = cli_print_json(json_pack("{s:s}", "version", hf_version()));
	} else {
		hf_buf_addf(&buf, "holdfast %s\n", hf_version());
		ok = cli_write(&buf);
	}
	hf_buf_free(&buf);
	cli_options_free(&options);
	return ok ? 0 : hf_status_exit_code(HF_SYSTEM);
}
