#include "lockview.h"

/* No change is missed for longer than this; a lease may also run out. */
#define LOOK_AGAIN_MS 1000

/* `again`: a state was printed before; an empty line stands between two. */
static bool print(const cli_options *options, const hf_manager *manager,
	const hf_lock_info *info, bool again)
{
	hf_buf text = HF_BUF_INIT;
	cli_table table;
	bool ok;

	if (options->json) {
		json_t *json = cli_lock_json(info);

		if (json && json_object_set_new(
				    json, "store", json_string(hf_store_identity(manager)))) {
			json_decref(json);
			json = NULL;
		}
		return cli_print_json(json);
	}
	cli_lock_table_init(&table);
	cli_lock_add_rows(&table, info);
	if (again)
		hf_buf_addc(&text, '\n');
	cli_table_render(&table, &text);
	ok = cli_write(&text);
	cli_table_clear(&table);
	hf_buf_free(&text);
	return ok;
}

static int exit_code(const cli_options *options, const hf_lock_info *info)
{
	if (info->state != HF_OK)
		return hf_status_exit_code(info->state);
	return options->quiet && !cli_lock_is_free(info) ? options->conflict_exit_code : 0;
}

/* A lease that ends by time changes nothing in the store that would wake us. */
static int64_t until_next_look(const hf_lock_info *info)
{
	int64_t ms = LOOK_AGAIN_MS;
	size_t i;

	for (i = 0; i < info->holder_count; i++)
		if (info->holders[i].remaining_ms >= 0 && info->holders[i].remaining_ms < ms)
			ms = info->holders[i].remaining_ms + 1;
	return ms;
}

/* For ever, or until something fails. */
static int follow(const cli_options *options, hf_manager *manager)
{
	uint64_t shown = 0;
	hf_lock_info *info;
	hf_error error;
	hf_status st;

	for (;;) {
		uint64_t digest;
		uint64_t seen;
		int64_t wait_ms;
		bool ok = true;

		st = hf_lock_status(manager, options->names[0], &info, &error);
		if (st)
			return cli_fail(options, st, &error);
		digest = cli_lock_digest(HF_HASH_INIT, info);
		if (digest != shown)
			ok = print(options, manager, info, shown != 0);
		shown = digest;
		seen = info->generation;
		wait_ms = until_next_look(info);
		hf_lock_info_free(info);
		if (!ok)
			return hf_status_exit_code(HF_SYSTEM);
		st = hf_watch(manager, options->names[0], seen, wait_ms, &error);
		if (st && st != HF_TIMED_OUT)
			return cli_fail(options, st, &error);
	}
}

static int show(const cli_options *options, hf_manager *manager)
{
	hf_lock_info *info;
	hf_error error;
	hf_status st = hf_lock_status(manager, options->names[0], &info, &error);
	int code;

	if (st)
		return cli_fail(options, st, &error);
	code = exit_code(options, info);
	if (info->state != HF_OK)
		cli_say("%s", info->problem);
	if (!options->quiet && !print(options, manager, info, false))
		code = hf_status_exit_code(HF_SYSTEM);
	hf_lock_info_free(info);
	return code;
}

int cli_status(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager;
	int code;

	if (!cli_options_read(
		    argc, argv, CLI_TAKES_WATCH | CLI_TAKES_QUERY, 1, 1, &options, &code))
		return code;
	manager = cli_open(&options, &code);
	if (manager)
		code = options.watch ? follow(&options, manager) : show(&options, manager);
	hf_close(manager);
	cli_options_free(&options);
	return code;
}
