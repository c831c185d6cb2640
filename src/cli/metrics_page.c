#include "metrics_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 *	holdfast-metrics 1 CHECKSUM KEY CHANGED
 *	STORE
 *	NAME
 *	counters in the order of the table
 *	total and buckets of the wait
 *	total and buckets of the hold
 *	the same three lines of the rest, or an empty one
 */
#define MAGIC "holdfast-metrics 1 "
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define HEX_LEN 16
#define SECONDS_LEN 12
#define KEY_AT (MAGIC_LEN + HEX_LEN + 1)
#define SECONDS_AT (KEY_AT + HEX_LEN + 1)
#define HEADER_LEN (SECONDS_AT + SECONDS_LEN + 1)
_Static_assert(HEADER_LEN == CLI_PAGE_PEEK, "a peek is the first line");
#define SECONDS_MAX INT64_C(999999999999)
#define NUMBERS_MAX (2 * 64 * 21) /* of 20 digits each, with their separators */
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

bool cli_metrics_any(const hf_metrics *metrics)
{
	static const hf_metrics zero = HF_METRICS_INIT;

	return memcmp(metrics, &zero, sizeof(zero)) != 0;
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

static char *put_metrics(char *at, const hf_metrics *metrics)
{
	const cli_metric *m;

	for (m = table; m->name; m++)
		at = put_number(at, cli_metric_value(m, metrics), m[1].name ? ' ' : '\n');
	at = put_histogram(at, &metrics->wait);
	return put_histogram(at, &metrics->hold);
}

uint64_t cli_page_key(const char *store, const char *name)
{
	return hf_hash(hf_hash(HF_HASH_INIT, store, strlen(store) + 1), name, strlen(name));
}

void cli_page_encode(const cli_page *page, char *out)
{
	int64_t s = page->changed_s < 0 ? 0 : page->changed_s;
	char *at = out + HEADER_LEN;
	char header[HEADER_LEN + 1];

	memset(out, 0, CLI_METRICS_PAGE);
	at = stpcpy(at, page->store);
	*at++ = '\n';
	at = stpcpy(at, page->name);
	*at++ = '\n';
	at = put_metrics(at, &page->metrics);
	if (cli_metrics_any(&page->rest))
		at = put_metrics(at, &page->rest);
	else
		*at++ = '\n';
	snprintf(header, sizeof(header), MAGIC "%016d %016" PRIx64 " %012" PRId64 "\n", 0,
		cli_page_key(page->store, page->name), s < SECONDS_MAX ? s : SECONDS_MAX);
	memcpy(out, header, HEADER_LEN);
	snprintf(header, sizeof(header), "%016" PRIx64,
		hf_hash(HF_HASH_INIT, out + KEY_AT, (size_t)(at - out) - KEY_AT));
	memcpy(out + MAGIC_LEN, header, HEX_LEN);
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

/* From the first of their lines on, of which the others follow at *at. */
static bool take_metrics(char *line, char **at, hf_metrics *metrics)
{
	const cli_metric *m;

	for (m = table; m->name; m++)
		if (!take_number(&line, value_at(m, metrics)))
			return false;
	return !line && take_histogram(take_line(at), &metrics->wait) &&
	       take_histogram(take_line(at), &metrics->hold);
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
	const char *summed = page->bytes + KEY_AT;
	char sum[HEX_LEN + 1];
	char *at = page->bytes + HEADER_LEN;
	cli_page_peek peek;
	char *line;

	cli_page_peek_at(&peek, page->bytes, CLI_PAGE_PEEK);
	snprintf(
		sum, sizeof(sum), "%016" PRIx64, hf_hash(HF_HASH_INIT, summed, strlen(summed)));
	if (peek.state != CLI_PAGE_GOOD || memcmp(page->bytes + MAGIC_LEN, sum, HEX_LEN) != 0)
		return false;
	page->changed_s = peek.changed_s;
	page->metrics = page->rest = zero;
	page->store = take_line(&at);
	page->name = page->store ? take_line(&at) : NULL;
	if (!key_is_good(page) || peek.key != cli_page_key(page->store, page->name) ||
		!take_metrics(take_line(&at), &at, &page->metrics))
		return false;
	line = take_line(&at);
	return line && (!*line || take_metrics(line, &at, &page->rest)) && !*at;
}

static bool is_zero(const char *bytes, size_t len)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, len - 1);
}

void cli_page_decode(cli_page *page, size_t len)
{
	memset(page->bytes + len, 0, sizeof(page->bytes) - len);
	if (is_zero(page->bytes, sizeof(page->bytes)))
		page->state = CLI_PAGE_EMPTY;
	else
		page->state = decode(page) ? CLI_PAGE_GOOD : CLI_PAGE_DAMAGED;
}

/* Exactly as they are written. */
static bool take_hex(const char *text, uint64_t *out)
{
	char again[HEX_LEN + 1];
	char *end;

	memcpy(again, text, HEX_LEN);
	again[HEX_LEN] = '\0';
	*out = strtoull(again, &end, 16);
	snprintf(again, sizeof(again), "%016" PRIx64, *out);
	return !memcmp(again, text, HEX_LEN);
}

void cli_page_peek_at(cli_page_peek *peek, const char *bytes, size_t len)
{
	char seconds[SECONDS_LEN + 1];
	uint64_t s = 0;

	*peek = (cli_page_peek){.state = CLI_PAGE_DAMAGED};
	if (!len || is_zero(bytes, len)) {
		peek->state = CLI_PAGE_EMPTY;
		return;
	}
	if (len < CLI_PAGE_PEEK || memcmp(bytes, MAGIC, MAGIC_LEN) != 0)
		return;
	memcpy(seconds, bytes + SECONDS_AT, SECONDS_LEN);
	seconds[SECONDS_LEN] = '\0';
	if (!take_hex(bytes + KEY_AT, &peek->key) || !hf_parse_u64(seconds, &s) ||
		bytes[KEY_AT - 1] != ' ' || bytes[SECONDS_AT - 1] != ' ' ||
		bytes[HEADER_LEN - 1] != '\n')
		return;
	peek->changed_s = (int64_t)s;
	peek->state = CLI_PAGE_GOOD;
}
