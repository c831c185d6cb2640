/* A page of the file of metrics, as bytes. See metrics.h. */
#ifndef HF_CLI_METRICS_PAGE_H
#define HF_CLI_METRICS_PAGE_H

#include "metrics.h"

typedef enum cli_page_state { CLI_PAGE_EMPTY, CLI_PAGE_GOOD, CLI_PAGE_DAMAGED } cli_page_state;

typedef struct cli_page {
	cli_page_state state;
	/* Of a good one: */
	const char *store; /* in `bytes`, or borrowed */
	const char *name;
	int64_t changed_s; /* by the wall clock */
	hf_metrics metrics;
	hf_metrics rest; /* of keys that had the page before: counts of the rest */
	char bytes[CLI_METRICS_PAGE + 1];
} cli_page;

/* What a page begins with, enough to tell whose it is not. */
#define CLI_PAGE_PEEK 66
typedef struct cli_page_peek {
	cli_page_state state; /* good as far as that goes */
	uint64_t key;
	int64_t changed_s;
} cli_page_peek;

/* Where the search for a page of this key begins, and what it is known by. */
uint64_t cli_page_key(const char *store, const char *name);

/* True if they fit; those that do not are counted with the rest. */
bool cli_page_has_room(const char *store, const char *name);

/* From what was read: `len` bytes of page->bytes. Fewer than a page: zeros follow. */
void cli_page_decode(cli_page *page, size_t len);
/* From CLI_PAGE_PEEK bytes, or fewer at the end of the file. */
void cli_page_peek_at(cli_page_peek *peek, const char *bytes, size_t len);

/* All of CLI_METRICS_PAGE bytes, from store, name, changed_s and both counts. */
void cli_page_encode(const cli_page *page, char *out);

#endif
