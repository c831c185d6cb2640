#include "metrics_page.h"

#include <inttypes.h>
#include <stdio.h>

/*
 *	holdfast-metrics 1 CHECKSUM
 *	STORE
 *	NAME
 *	counters in the order of the table
 *	total and buckets of the wait
 *	total and buckets of the hold
 */
#define MAGIC "holdfast-metrics 1 "
#define SUM_LEN 16
#define HEADER_LEN (sizeof(MAGIC) - 1 + SUM_LEN + 1)
#define NUMBERS_MAX 1500 /* of 63 numbers of 20 digits, with their separators */
#define STORE_MAX (CLI_METRICS_PAGE - HEADER_LEN - HF_NAME_MAX - 2 - NUMBERS_MAX)

static const cli_metric table[] = {
	{"acquisitions", offsetof(hf_metrics, acquisitions), "acquisitions", NULL,
		"Leases granted."},
	{"releases", offsetof(hf_metrics, releases), "releases", NULL, "Leases released."},
	{"failed_releases", offsetof(hf_metrics, failed_releases), "failed_releases", NULL,
		"Releases that the store did not say were done."},
	{"conflicts", offsetof(hf_metrics, conflicts), "conflicts", NULL,
		"Acquisitions that found the lock held."},
	{"retries", offsetof(hf_metrics, retries), "retries", NULL,
		"How often acquisitions looked again."},
	{"failed_held", offsetof(hf_metrics, failed_held), "failed_acquisitions", "held",
		"Acquisitions that were not granted, by outcome."},
	{"failed_timed_out", offsetof(hf_metrics, failed_timed_out), "failed_acquisitions",
		"timed_out", NULL},
	{"failed_deadlock", offsetof(hf_metrics, failed_deadlock), "failed_acquisitions",
		"deadlock", NULL},
	{"failed_unavailable", offsetof(hf_metrics, failed_unavailable), "failed_acquisitions",
		"unavailable", NULL},
	{"failed_unknown", offsetof(hf_metrics, failed_unknown), "failed_acquisitions",
		"unknown", NULL},
	{"failed_other", offsetof(hf_metrics, failed_other), "failed_acquisitions", "other",
		NULL},
	{"stale_claimed", offsetof(hf_metrics, stale_claimed), "stale_claimed", NULL,
		"Leases granted over one that was expired, dead or stale."},
	{"forced", offsetof(hf_metrics, forced), "forced", NULL,
		"How often the lock was taken from its holder by force."},
	{"losses", offsetof(hf_metrics, losses), "losses", NULL,
		"Leases that ended without a release."},
	{NULL, 0, NULL, NULL, NULL},
};

const cli_metric *cli_metric_table(void)
{
	return table;
}

static uint64_t *value_at(const cli_metric *metric, hf_metrics *metrics)
{
	return (uint64_t *)(void *)((char *)metrics + metric->offset);
}

uint64_t cli_metric_value(const cli_metric *metric, const hf_metrics *metrics)
{
	return *(const uint64_t *)(const void *)((const char *)metrics + metric->offset);
}

static void add(uint64_t *to, uint64_t n)
{
	if (__builtin_add_overflow(*to, n, to))
		*to = UINT64_MAX;
}

static void add_histogram(hf_histogram *to, const hf_histogram *from)
{
	size_t i;

	add(&to->count, from->count);
	add(&to->total_us, from->total_us);
	for (i = 0; i < HF_HISTOGRAM_BUCKETS; i++)
		add(&to->buckets[i], from->buckets[i]);
}

void cli_metrics_add(hf_metrics *to, const hf_metrics *from)
{
	const cli_metric *m;

	for (m = table; m->name; m++)
		add(value_at(m, to), cli_metric_value(m, from));
	add_histogram(&to->wait, &from->wait);
	add_histogram(&to->hold, &from->hold);
}

/* ---- bytes ---- */

bool cli_page_has_room(const char *store, const char *name)
{
	return strlen(store) <= STORE_MAX && strlen(name) <= HF_NAME_MAX &&
	       !strchr(store, '\n') && !strchr(name, '\n');
}

/* Numbers, each ended by a blank or, the last one, by a newline. */
static char *put_number(char *at, uint64_t n, char end)
{
	char digits[HF_DIGITS_MAX];
	size_t from = hf_digits(n, digits);

	memcpy(at, digits + from, sizeof(digits) - from);
	at += sizeof(digits) - from;
	*at = end;
	return at + 1;
}

static char *put_histogram(char *at, const hf_histogram *h)
{
	size_t i;

	at = put_number(at, h->total_us, ' ');
	for (i = 0; i < HF_HISTOGRAM_BUCKETS; i++)
		at = put_number(at, h->buckets[i], i + 1 < HF_HISTOGRAM_BUCKETS ? ' ' : '\n');
	return at;
}

void cli_page_encode(const char *store, const char *name, const hf_metrics *metrics, char *out)
{
	char *body = out + HEADER_LEN;
	char *at = body;
	char header[HEADER_LEN + 1];
	const cli_metric *m;

	memset(out, 0, CLI_METRICS_PAGE);
	at = stpcpy(at, store);
	*at++ = '\n';
	at = stpcpy(at, name);
	*at++ = '\n';
	for (m = table; m->name; m++)
		at = put_number(at, cli_metric_value(m, metrics), m[1].name ? ' ' : '\n');
	at = put_histogram(at, &metrics->wait);
	at = put_histogram(at, &metrics->hold);
	snprintf(header, sizeof(header), MAGIC "%016" PRIx64 "\n",
		hf_hash(HF_HASH_INIT, body, (size_t)(at - body)));
	memcpy(out, header, HEADER_LEN);
}

/* The next line, without its newline; NULL: none. */
static char *take_line(char **at)
{
	char *line = *at;
	char *newline = strchr(line, '\n');

	if (!newline)
		return NULL;
	*newline = '\0';
	*at = newline + 1;
	return line;
}

/* The next number of a line. */
static bool take_number(char **at, uint64_t *out)
{
	char *text = *at;
	char *blank = text ? strchr(text, ' ') : NULL;

	if (!text)
		return false;
	if (blank)
		*blank = '\0';
	*at = blank ? blank + 1 : NULL;
	return hf_parse_u64(text, out);
}

static bool take_histogram(char *line, hf_histogram *h)
{
	size_t i;

	if (!line || !take_number(&line, &h->total_us))
		return false;
	for (i = 0; i < HF_HISTOGRAM_BUCKETS; i++) {
		if (!take_number(&line, &h->buckets[i]))
			return false;
		add(&h->count, h->buckets[i]);
	}
	return !line;
}

static bool take_counters(char *line, hf_metrics *metrics)
{
	const cli_metric *m;

	for (m = table; m->name; m++)
		if (!take_number(&line, value_at(m, metrics)))
			return false;
	return !line;
}

/* The name is one, and no page but that of the rest is without. */
static bool key_is_good(const cli_page *page)
{
	if (!page->store || !page->name)
		return false;
	if (!page->store[0] || !page->name[0])
		return !page->store[0] && !page->name[0];
	return hf_check_name(page->name, NULL) == HF_OK;
}

static bool decode(cli_page *page)
{
	static const hf_metrics zero = HF_METRICS_INIT;
	char *body = page->bytes + HEADER_LEN;
	char sum[SUM_LEN + 1];
	char *at = body;

	snprintf(sum, sizeof(sum), "%016" PRIx64, hf_hash(HF_HASH_INIT, body, strlen(body)));
	if (memcmp(page->bytes, MAGIC, sizeof(MAGIC) - 1) != 0 ||
		memcmp(page->bytes + sizeof(MAGIC) - 1, sum, SUM_LEN) != 0)
		return false;
	page->metrics = zero;
	page->store = take_line(&at);
	page->name = page->store ? take_line(&at) : NULL;
	return key_is_good(page) && take_counters(take_line(&at), &page->metrics) &&
	       take_histogram(take_line(&at), &page->metrics.wait) &&
	       take_histogram(take_line(&at), &page->metrics.hold) && !*at;
}

void cli_page_decode(cli_page *page, size_t len)
{
	const char *bytes = page->bytes;

	memset(page->bytes + len, 0, sizeof(page->bytes) - len);
	if (!bytes[0] && !memcmp(bytes, bytes + 1, sizeof(page->bytes) - 1))
		page->state = CLI_PAGE_EMPTY;
	else
		page->state = decode(page) ? CLI_PAGE_GOOD : CLI_PAGE_DAMAGED;
}
