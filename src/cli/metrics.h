/*
 * Metrics, kept from one run of the command to the next.
 *
 * They stand in one file of the user's state folder, a page of 4096 bytes for
 * each store and name: text, with a checksum. A page is written whole, by one
 * write, by whoever has its lock (an OFD lock of these bytes, which dies with its
 * process): so a killed writer leaves it old or new, and writers of different
 * locks do not meet. There are 256 such pages and one that all the rest share,
 * so the file has at most 1 052 672 bytes and a monitor at most 257 label sets.
 *
 * A key has one of the 16 pages from where its hash points, so that few are looked
 * at. When all those have a key, a new one takes that which is unchanged for
 * longest, if that is a day: names that were used once make room, and no name's
 * label comes and goes within a day. The counts of the old key stay in the page,
 * beside those of the new one, as counts of the rest: so they move in one write.
 *
 * Counting must not hold up or fail what is counted. Nobody waits for a page
 * whose writer was stopped: after 20 ms the counts go to another page of the
 * same key, as a reader adds up all there are. What cannot be written within
 * 200 ms is dropped. While a lock is held nothing is waited for at all, and no
 * file on a network file system is touched. A page that cannot be read begins
 * anew, and that is said.
 */
#ifndef HF_CLI_METRICS_H
#define HF_CLI_METRICS_H

#include "cli.h"

#define CLI_METRICS_PAGE 4096
#define CLI_METRICS_PAGES 257 /* the first is shared by the rest */

/* One counter of hf_metrics, under all its names. */
typedef struct cli_metric {
	const char *name; /* in JSON, and in hf_metrics */
	size_t offset;
	const char *family; /* for Prometheus: "holdfast_" FAMILY "_total" */
	const char *outcome; /* its label there; NULL: none */
	const char *help;
} cli_metric;

/* Ended by one without a name. Those of one family stand together. */
const cli_metric *cli_metric_table(void);
uint64_t cli_metric_value(const cli_metric *metric, const hf_metrics *metrics);
/* Add `from` to `to`, up to UINT64_MAX. */
void cli_metrics_add(hf_metrics *to, const hf_metrics *from);
/* Some count is not 0. */
bool cli_metrics_any(const hf_metrics *metrics);

/* ---- the file ---- */

typedef struct cli_metrics_item {
	char *store; /* its identity; "": the rest */
	char *name; /* "": the rest */
	hf_metrics metrics;
} cli_metrics_item;

typedef struct cli_metrics_list {
	cli_metrics_item *items; /* by name, then by store */
	size_t count;
	size_t damaged; /* pages that could not be read and begin anew */
} cli_metrics_list;

/* Which of them: NULL is any. */
typedef struct cli_metrics_filter {
	const char *store;
	const char *name;
} cli_metrics_filter;

/* Where the file is; NULL: there is no folder for it, or no memory. To be freed. */
char *cli_metrics_path(void);

typedef struct cli_metrics_addition {
	const char *store; /* "": to the rest */
	const char *name;
	const hf_metrics *metrics;
	int64_t now_s; /* of the wall clock */
	bool in_passing; /* do not wait for a page */
} cli_metrics_addition;

/* Add to the file, which is made if need be. False: nothing was added. */
bool cli_metrics_file_add(
	const char *path, const cli_metrics_addition *what, bool *damaged_out);

/* What is in the file; nothing if there is none. list_out is to be cleared. */
hf_status cli_metrics_file_read(const char *path, const cli_metrics_filter *filter,
	cli_metrics_list *list_out, hf_error *error);
void cli_metrics_list_clear(cli_metrics_list *list);

/* Begin anew. HF_UNAVAILABLE: a writer does not let go. */
hf_status cli_metrics_file_reset(
	const char *path, const cli_metrics_filter *filter, hf_error *error);

/* ---- formats ---- */

/* The text exposition format of Prometheus, version 0.0.4. */
void cli_metrics_prometheus(hf_buf *out, const cli_metrics_list *list);

#endif
