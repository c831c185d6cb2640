#include "output.h"

static bool print(
	const cli_options *options, const hf_manager *manager, const hf_cleanup_report *r)
{
	hf_buf line = HF_BUF_INIT;
	bool ok = true;

	if (options->json)
		return cli_print_json(json_pack("{s:o, s:o, s:o, s:o, s:o, s:s}", "locks",
			cli_json_count(r->locks), "ended", cli_json_count(r->ended),
			"forgotten", cli_json_count(r->forgotten), "residue",
			cli_json_count(r->residue), "damaged", cli_json_count(r->damaged),
			"store", hf_store_identity(manager)));
	hf_buf_addf(&line,
		"%zu locks looked at: %zu leases ended, %zu locks forgotten, "
		"%zu left-overs removed\n",
		r->locks, r->ended, r->forgotten, r->residue);
	if (!options->quiet)
		ok = cli_write(&line);
	hf_buf_free(&line);
	return ok;
}

int cli_cleanup(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager;
	hf_cleanup_report report = {.locks = 0};
	hf_error error;
	hf_status st;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_CLEANUP, 0, 0, &options, &code))
		return code;
	manager = cli_open(&options, &code);
	if (manager) {
		st = hf_cleanup(manager, options.forget_after_ms, &report, &error);
		if (st)
			code = cli_fail(&options, st, &error);
		else if (!print(&options, manager, &report))
			code = hf_status_exit_code(HF_SYSTEM);
		else if (report.damaged > 0) {
			cli_say("%zu records cannot be read and were left alone; '%s list' "
				"names "
				"them",
				report.damaged, cli_program());
			code = hf_status_exit_code(HF_CORRUPT);
		}
	}
	hf_close(manager);
	cli_options_free(&options);
	return code;
}
