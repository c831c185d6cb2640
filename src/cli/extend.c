#include "output.h"

int cli_extend(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager;
	hf_error error;
	hf_status st;
	uint64_t token = 0;
	int64_t ttl_ms;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_WHO | CLI_TAKES_TTL, 1, 1, &options, &code))
		return code;
	/* 0, which no flag can say, lets it keep its own. */
	ttl_ms = options.ttl_source == CLI_FROM_FLAG ? options.acquire.ttl_ms : 0;
	manager = cli_open(&options, &code);
	if (manager) {
		st = hf_extend_by(
			manager, options.names[0], &options.who, ttl_ms, &token, &error);
		if (st)
			code = cli_fail(&options, st, &error);
		else if (options.json &&
			 !cli_print_json(json_pack("{s:s, s:o, s:o, s:s}", "name",
				 options.names[0], "token", cli_json_count(token), "ttl_ms",
				 ttl_ms ? json_integer(ttl_ms) : json_null(), "store",
				 hf_store_identity(manager))))
			code = hf_status_exit_code(HF_SYSTEM);
		else if (options.verbose)
			cli_say("extended '%s', token %llu", options.names[0],
				(unsigned long long)token);
	}
	hf_close(manager);
	cli_options_free(&options);
	return code;
}
