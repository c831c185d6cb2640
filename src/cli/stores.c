#include "output.h"

#include "store/registry.h"

static const char *const headings[] = {"STORE", "WHERE", "WHAT"};

struct known {
	json_t *stores; /* with --json */
	cli_table table;
	bool failed;
};

static int gather(void *arg, const hf_store_listed *store)
{
	struct known *k = arg;

	if (!k->stores) {
		cli_table_add(&k->table, CLI_PLAIN, store->scheme);
		cli_table_add(&k->table, CLI_FAINT, store->where);
		cli_table_add(&k->table, CLI_PLAIN, store->summary);
	} else if (json_array_append_new(k->stores,
			   json_pack("{s:o, s:o, s:o}", "scheme", cli_json_text(store->scheme),
				   "where", cli_json_text(store->where), "summary",
				   cli_json_text(store->summary)))) {
		k->failed = true;
	}
	return k->failed || k->table.failed;
}

int cli_stores(int argc, char **argv)
{
	cli_options options;
	struct known k = {.stores = NULL};
	hf_buf text = HF_BUF_INIT;
	hf_error error;
	hf_status st;
	bool ok;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_NO_STORE, 0, 0, &options, &code))
		return code;
	k.stores = options.json ? json_array() : NULL;
	cli_table_init(&k.table, headings, HF_ARRAY_LEN(headings));
	st = hf_store_known(NULL, gather, &k, &error);
	if (st) {
		json_decref(k.stores);
		code = cli_fail(&options, st, &error);
	} else {
		cli_table_render(&k.table, &text);
		ok = options.json ? cli_print_json(json_pack("{s:o}", "stores", k.stores))
				  : cli_write(&text);
		code = ok ? 0 : hf_status_exit_code(HF_SYSTEM);
	}
	cli_table_clear(&k.table);
	hf_buf_free(&text);
	cli_options_free(&options);
	return code;
}
