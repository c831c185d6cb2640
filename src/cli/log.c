#include "output.h"

static const char *const headings[] = {
	"TIME", "EVENT", "TOKEN", "OWNER", "MODE", "PID", "HOST", "ID", "ENDED"};
/* On a terminal the last two, which are for programs, are left out. */
#define TERMINAL_COLUMNS 7

struct reading {
	json_t *events; /* with --json */
	cli_table table;
	bool failed;
};

static json_t *event_json(const hf_event *e)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "generation",
		cli_json_count(e->generation), "at", cli_json_wall(e->wall_ms), "event",
		cli_json_text(e->kind), "token",
		e->token ? cli_json_count(e->token) : json_null(), "id", cli_json_text(e->id),
		"owner", cli_json_text(e->owner), "host", cli_json_text(e->host), "mode",
		hf_mode_name(e->mode), "pid", e->pid > 0 ? json_integer(e->pid) : json_null(),
		"ended", cli_json_text(e->ended));
}

static void add_row(cli_table *table, const hf_event *e)
{
	char time[40];

	cli_format_wall(e->wall_ms, time);
	cli_table_add(table, CLI_FAINT, time);
	cli_table_add(table, CLI_PLAIN, e->kind);
	if (e->token)
		cli_table_addf(table, CLI_PLAIN, "%llu", (unsigned long long)e->token);
	else
		cli_table_add(table, CLI_FAINT, NULL);
	cli_table_add(table, CLI_PLAIN, e->owner);
	cli_table_add(table, CLI_PLAIN, hf_mode_name(e->mode));
	if (e->pid > 0)
		cli_table_addf(table, CLI_PLAIN, "%lld", (long long)e->pid);
	else
		cli_table_add(table, CLI_FAINT, NULL);
	cli_table_add(table, CLI_PLAIN, e->host);
	if (table->columns <= TERMINAL_COLUMNS)
		return;
	cli_table_add(table, CLI_PLAIN, e->id);
	cli_table_add(table, CLI_PLAIN, e->ended);
}

static int gather(void *arg, const hf_event *event)
{
	struct reading *r = arg;

	if (!r->events)
		add_row(&r->table, event);
	else if (json_array_append_new(r->events, event_json(event)))
		r->failed = true;
	return r->failed || r->table.failed;
}

static int show(const cli_options *options, hf_manager *manager)
{
	struct reading r = {.events = options->json ? json_array() : NULL};
	hf_buf text = HF_BUF_INIT;
	hf_error error;
	hf_status st;
	bool ok;

	cli_table_init(&r.table, headings,
		cli_is_terminal() ? TERMINAL_COLUMNS : HF_ARRAY_LEN(headings));
	st = hf_history(manager, options->names[0], options->log_limit, gather, &r, &error);
	if (st) {
		json_decref(r.events);
		cli_table_clear(&r.table);
		return cli_fail(options, st, &error);
	}
	if (options->json) {
		if (r.failed) {
			json_decref(r.events);
			r.events = NULL;
		}
		ok = cli_print_json(json_pack("{s:s, s:s, s:o}", "name", options->names[0],
			"store", hf_store_identity(manager), "events", r.events));
	} else {
		cli_table_render(&r.table, &text);
		ok = cli_write(&text);
	}
	cli_table_clear(&r.table);
	hf_buf_free(&text);
	return ok ? 0 : hf_status_exit_code(HF_SYSTEM);
}

static int prune(const cli_options *options, hf_manager *manager)
{
	hf_error error;
	hf_status st =
		hf_history_prune(manager, options->names[0], (size_t)options->keep, &error);

	return st ? cli_fail(options, st, &error) : 0;
}

int cli_log(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_LOG, 1, 1, &options, &code))
		return code;
	manager = cli_open(&options, &code);
	if (manager)
		code = options.keep >= 0 ? prune(&options, manager) : show(&options, manager);
	hf_close(manager);
	cli_options_free(&options);
	return code;
}
