/*
 * Prometheus' text format 0.0.4, for a textfile collector or a small exporter.
 *
 * A family's lines stand together, behind its HELP and TYPE. Buckets are
 * cumulative, units are seconds. What all other locks share has the labels
 * store="other", lock="other": no store has an identity like that.
 */
#include "metrics.h"

#include "output.h"

/* A label's value: UTF-8, with what the format gives a meaning to escaped. */
static void add_value(hf_buf *out, const char *text)
{
	hf_buf plain = HF_BUF_INIT;

	if (cli_is_terminal() || !hf_utf8_plain(text, strlen(text))) {
		cli_printable(&plain, text);
		out->failed = out->failed || plain.failed;
		text = plain.failed ? "" : plain.data;
	}
	for (; text && *text; text++) {
		if (*text == '\\' || *text == '"')
			hf_buf_addc(out, '\\');
		hf_buf_addc(out, *text);
	}
	hf_buf_free(&plain);
}

/* NAME{store="...",lock="...": the caller adds labels and the brace. */
static void begin_sample(
	hf_buf *out, const char *family, const char *suffix, const cli_metrics_item *item)
{
	hf_buf_addf(out, "holdfast_%s%s{store=\"", family, suffix);
	add_value(out, item->store[0] ? item->store : "other");
	hf_buf_adds(out, "\",lock=\"");
	add_value(out, item->store[0] ? item->name : "other");
	hf_buf_addc(out, '"');
}

static void end_sample(hf_buf *out, uint64_t value)
{
	hf_buf_adds(out, "} ");
	hf_buf_add_u64(out, value);
	hf_buf_addc(out, '\n');
}

/* Seconds without zeros at the end: "0.0025". */
static void add_seconds(hf_buf *out, uint64_t us)
{
	hf_buf_add_u64(out, us / 1000000);
	us %= 1000000;
	if (us) {
		char text[8];
		size_t n;

		snprintf(text, sizeof(text), ".%06u", (unsigned)us);
		for (n = strlen(text); text[n - 1] == '0'; n--)
			;
		hf_buf_add(out, text, n);
	}
}

static void add_counter(hf_buf *out, const cli_metric *metric, const cli_metrics_list *list)
{
	size_t i;

	if (metric->help)
		hf_buf_addf(out,
			"# HELP holdfast_%s_total %s\n# TYPE holdfast_%s_total counter\n",
			metric->family, metric->help, metric->family);
	for (i = 0; i < list->count; i++) {
		begin_sample(out, metric->family, "_total", &list->items[i]);
		if (metric->outcome)
			hf_buf_addf(out, ",outcome=\"%s\"", metric->outcome);
		end_sample(out, cli_metric_value(metric, &list->items[i].metrics));
	}
}

static void add_histogram(
	hf_buf *out, const char *family, const cli_metrics_item *item, const hf_histogram *h)
{
	uint64_t below = 0;
	size_t i;

	for (i = 0; i < HF_HISTOGRAM_BUCKETS; i++) {
		uint64_t bound = hf_histogram_bound_us(i);

		below += h->buckets[i];
		begin_sample(out, family, "_bucket", item);
		hf_buf_adds(out, ",le=\"");
		if (bound == UINT64_MAX)
			hf_buf_adds(out, "+Inf");
		else
			add_seconds(out, bound);
		hf_buf_addc(out, '"');
		end_sample(out, below);
	}
	begin_sample(out, family, "_sum", item);
	hf_buf_adds(out, "} ");
	add_seconds(out, h->total_us);
	hf_buf_addc(out, '\n');
	begin_sample(out, family, "_count", item);
	end_sample(out, below);
}

static void add_type(hf_buf *out, const char *family, const char *help)
{
	hf_buf_addf(out, "# HELP holdfast_%s %s\n# TYPE holdfast_%s histogram\n", family, help,
		family);
}

void cli_metrics_prometheus(hf_buf *out, const cli_metrics_list *list)
{
	const cli_metric *metric;
	size_t i;

	if (!list->count)
		return;
	for (metric = cli_metric_table(); metric->name; metric++)
		add_counter(out, metric, list);
	add_type(out, "wait_seconds", "From asking for a lock to its grant.");
	for (i = 0; i < list->count; i++)
		add_histogram(
			out, "wait_seconds", &list->items[i], &list->items[i].metrics.wait);
	add_type(out, "hold_seconds", "From the grant of a lease to its release or loss.");
	for (i = 0; i < list->count; i++)
		add_histogram(
			out, "hold_seconds", &list->items[i], &list->items[i].metrics.hold);
}
