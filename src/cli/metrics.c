/* metrics: what the command has done so far, on this account. */
#include "metrics.h"

#include "output.h"
#include "store/slotfile.h"

#include <stdlib.h>

/* ---- keeping ---- */

/* What could not be kept in passing, for the next time. */
struct cli_metrics_left {
	struct cli_metrics_left *next;
	hf_metrics metrics;
	char *store;
	char *name;
};

struct keeping {
	cli_options *options;
	const char *path;
	const char *store;
	bool in_passing;
	bool damaged;
	bool dropped;
};

/* False: no memory. */
static bool leave(struct keeping *k, const char *name, const hf_metrics *metrics)
{
	size_t store_size = strlen(k->store) + 1;
	size_t name_size = strlen(name) + 1;
	struct cli_metrics_left *left = malloc(sizeof(*left) + store_size + name_size);

	if (!left)
		return false;
	left->store = memcpy(left + 1, k->store, store_size);
	left->name = memcpy(left->store + store_size, name, name_size);
	left->metrics = *metrics;
	left->next = k->options->metrics_left;
	k->options->metrics_left = left;
	return true;
}

static bool put(
	struct keeping *k, const char *store, const char *name, const hf_metrics *metrics)
{
	cli_metrics_addition what = {.store = store,
		.name = name,
		.metrics = metrics,
		.now_s = hf_wall_ms() / 1000,
		.in_passing = k->in_passing};
	bool damaged;
	bool done = cli_metrics_file_add(k->path, &what, &damaged);

	k->damaged = k->damaged || damaged;
	return done;
}

static int keep_one(void *arg, const char *name, const hf_metrics *metrics)
{
	struct keeping *k = arg;

	if (!put(k, k->store, name, metrics) && !(k->in_passing && leave(k, name, metrics)))
		k->dropped = true;
	return 0;
}

static void keep_left(struct keeping *k)
{
	struct cli_metrics_left *left;

	while ((left = k->options->metrics_left)) {
		k->options->metrics_left = left->next;
		if (!put(k, left->store, left->name, &left->metrics))
			k->dropped = true;
		free(left);
	}
}

static void say(const struct keeping *k)
{
	if (k->damaged && !k->options->quiet)
		cli_say("warning: metrics in %s were damaged and begin anew", k->path);
	if (k->dropped && k->options->verbose)
		cli_say("the metrics could not be kept in %s", k->path);
}

static void keep(cli_options *options, hf_manager *manager, bool in_passing)
{
	char *path = cli_metrics_path();
	struct keeping k = {.options = options,
		.path = path,
		.store = hf_store_identity(manager),
		.in_passing = in_passing};

	if (!path)
		return;
	if (!in_passing)
		keep_left(&k);
	if (hf_metrics_each(manager, true, keep_one, &k, NULL))
		k.dropped = true;
	say(&k);
	free(path);
}

void cli_metrics_begin(cli_options *options)
{
	char *path = options->metrics ? cli_metrics_path() : NULL;

	options->metrics_in_passing = path && !hf_is_network_fs(path);
	free(path);
}

void cli_metrics_keep(cli_options *options, hf_manager *manager)
{
	if (options->metrics_in_passing)
		keep(options, manager, true);
}

void cli_close(cli_options *options, hf_manager *manager)
{
	if (manager && options->metrics)
		keep(options, manager, false);
	hf_close(manager);
}

void cli_metrics_deadlock(cli_options *options, hf_manager *manager, const char *name)
{
	hf_metrics one = HF_METRICS_INIT;
	char *path = options->metrics ? cli_metrics_path() : NULL;
	struct keeping k = {.options = options, .path = path};

	one.conflicts = 1;
	one.failed_deadlock = 1;
	if (!path)
		return;
	k.dropped = !put(&k, hf_store_identity(manager), name, &one);
	say(&k);
	free(path);
}

/* ---- as text ---- */

/* A terminal shows the first ones. */
static const char *const headings[] = {"NAME", "ACQUIRED", "CONFLICTS", "FAILED", "STALE",
	"LOST", "WAIT", "HOLD", "STORE", "RELEASED", "RETRIES", "FORCED", "WAITED", "HELD"};
#define TERMINAL_COLUMNS 9

/* Seconds for a pipe, two or three digits that matter for a person. */
static void add_duration(cli_table *table, uint64_t us, bool known)
{
	char text[40];

	if (!known)
		cli_table_add(table, CLI_FAINT, NULL);
	else if (!cli_is_terminal())
		cli_table_addf(table, CLI_PLAIN, "%llu.%06llu",
			(unsigned long long)(us / 1000000), (unsigned long long)(us % 1000000));
	else {
		cli_format_us(us, text);
		cli_table_add(table, CLI_PLAIN, text);
	}
}

static void add_average(cli_table *table, const hf_histogram *h)
{
	add_duration(table, h->count ? h->total_us / h->count : 0, h->count > 0);
}

static void add_count(cli_table *table, cli_colour colour, uint64_t n)
{
	cli_table_addf(table, n ? colour : CLI_PLAIN, "%llu", (unsigned long long)n);
}

static uint64_t failed(const hf_metrics *m)
{
	return m->failed_held + m->failed_timed_out + m->failed_deadlock +
	       m->failed_unavailable + m->failed_unknown + m->failed_other;
}

static void add_row(cli_table *table, const char *name, const char *store, const hf_metrics *m)
{
	cli_table_add(table, CLI_PLAIN, name);
	add_count(table, CLI_PLAIN, m->acquisitions);
	add_count(table, CLI_PLAIN, m->conflicts);
	add_count(table, CLI_WARN, failed(m));
	add_count(table, CLI_WARN, m->stale_claimed);
	add_count(table, CLI_BAD, m->losses);
	add_average(table, &m->wait);
	add_average(table, &m->hold);
	cli_table_add(table, CLI_FAINT, store);
	if (cli_is_terminal())
		return;
	add_count(table, CLI_PLAIN, m->releases);
	add_count(table, CLI_PLAIN, m->retries);
	add_count(table, CLI_PLAIN, m->forced);
	add_duration(table, m->wait.total_us, true);
	add_duration(table, m->hold.total_us, true);
}

static hf_metrics sum_of(const cli_metrics_list *list)
{
	hf_metrics sum = HF_METRICS_INIT;
	size_t i;

	for (i = 0; i < list->count; i++)
		cli_metrics_add(&sum, &list->items[i].metrics);
	return sum;
}

static void add_table(hf_buf *out, const cli_metrics_list *list)
{
	hf_metrics sum = sum_of(list);
	cli_table table;
	size_t i;

	cli_table_init(&table, headings,
		cli_is_terminal() ? TERMINAL_COLUMNS : HF_ARRAY_LEN(headings));
	for (i = 0; i < list->count; i++) {
		const cli_metrics_item *item = &list->items[i];

		add_row(&table, item->name[0] ? item->name : "(others)", item->store,
			&item->metrics);
	}
	/* A program can add up by itself, and would take it for a lock. */
	if (cli_is_terminal() && list->count > 1)
		add_row(&table, "(all)", NULL, &sum);
	cli_table_render(&table, out);
	cli_table_clear(&table);
}

/* ---- as JSON ---- */

static json_t *buckets_json(const hf_histogram *h)
{
	json_t *buckets = json_array();
	size_t i;

	for (i = 0; buckets && i < HF_HISTOGRAM_BUCKETS; i++) {
		uint64_t bound = hf_histogram_bound_us(i);
		json_t *bucket = json_pack("{s:o, s:o}", "le_us",
			bound == UINT64_MAX ? json_null() : cli_json_count(bound), "count",
			cli_json_count(h->buckets[i]));

		if (json_array_append_new(buckets, bucket)) {
			json_decref(buckets);
			buckets = NULL;
		}
	}
	return buckets;
}

static json_t *histogram_json(const hf_histogram *h)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "count", cli_json_count(h->count), "total_us",
		cli_json_count(h->total_us), "average_us",
		h->count ? cli_json_count(h->total_us / h->count) : json_null(), "buckets",
		buckets_json(h));
}

/* Add the counters to the object, which may be NULL; it again, or NULL. */
static json_t *add_metrics_json(json_t *json, const hf_metrics *m)
{
	const cli_metric *metric;
	int failed_sets = json == NULL;

	for (metric = cli_metric_table(); json && metric->name; metric++)
		failed_sets |= json_object_set_new(
			json, metric->name, cli_json_count(cli_metric_value(metric, m)));
	if (json)
		failed_sets |= json_object_set_new(json, "wait", histogram_json(&m->wait)) |
			       json_object_set_new(json, "hold", histogram_json(&m->hold));
	if (!failed_sets)
		return json;
	json_decref(json);
	return NULL;
}

static json_t *item_json(const cli_metrics_item *item)
{
	return add_metrics_json(json_pack("{s:o, s:o}", "name", cli_json_text(item->name),
					"store", cli_json_text(item->store)),
		&item->metrics);
}

static bool print_json(const char *path, const cli_metrics_list *list)
{
	hf_metrics sum = sum_of(list);
	json_t *locks = json_array();
	size_t i;

	for (i = 0; locks && i < list->count; i++) {
		if (json_array_append_new(locks, item_json(&list->items[i]))) {
			json_decref(locks);
			locks = NULL;
		}
	}
	return cli_print_json(json_pack("{s:o, s:o, s:o}", "file", cli_json_text(path), "locks",
		locks, "all", add_metrics_json(json_object(), &sum)));
}

/* ---- the command ---- */

static bool print(const cli_options *options, const char *path, const cli_metrics_list *list)
{
	hf_buf out = HF_BUF_INIT;
	bool ok;

	if (options->json)
		return print_json(path, list);
	if (options->prometheus)
		cli_metrics_prometheus(&out, list);
	else
		add_table(&out, list);
	ok = cli_write(&out);
	hf_buf_free(&out);
	return ok;
}

static int show(const cli_options *options, const char *path, const cli_metrics_filter *filter)
{
	cli_metrics_list list;
	hf_error error;
	hf_status st = cli_metrics_file_read(path, filter, &list, &error);
	int code = 0;

	if (list.damaged)
		cli_say("warning: metrics in %s were damaged and begin anew (%zu of %d pages)",
			path, list.damaged, CLI_METRICS_PAGES);
	if (st)
		code = cli_fail(options, st, &error);
	else if (!options->quiet && !print(options, path, &list))
		code = hf_status_exit_code(HF_SYSTEM);
	cli_metrics_list_clear(&list);
	return code;
}

static int reset(const cli_options *options, const char *path, const cli_metrics_filter *filter)
{
	hf_error error;
	hf_status st = cli_metrics_file_reset(path, filter, &error);

	if (st)
		return cli_fail(options, st, &error);
	if (options->verbose)
		cli_say("the metrics in %s begin anew", path);
	return 0;
}

static int look_or_reset(const cli_options *options, const cli_metrics_filter *filter)
{
	char *path = cli_metrics_path();
	int code;

	if (!path) {
		cli_say("there is no folder for metrics: set HOME or XDG_STATE_HOME");
		return hf_status_exit_code(HF_SYSTEM);
	}
	code = options->reset ? reset(options, path, filter) : show(options, path, filter);
	free(path);
	return code;
}

int cli_metrics(int argc, char **argv)
{
	cli_options options;
	cli_metrics_filter filter = {NULL, NULL};
	hf_manager *manager = NULL;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_METRICS, 0, 1, &options, &code))
		return code;
	if (options.name_count > 0)
		filter.name = options.names[0];
	if (options.json && options.prometheus)
		code = cli_usage(options.command_name, "give one of --json and --prometheus");
	/* All stores, unless one is asked for. */
	if (!code && options.store_source == CLI_FROM_FLAG) {
		manager = cli_open(&options, &code);
		filter.store = manager ? hf_store_identity(manager) : NULL;
	}
	if (!code)
		code = look_or_reset(&options, &filter);
	hf_close(manager);
	cli_options_free(&options);
	return code;
}
