/* A page of the file of metrics, as bytes. See metrics.h. */
#ifndef HF_CLI_METRICS_PAGE_H
#define HF_CLI_METRICS_PAGE_H

#include "metrics.h"

typedef enum cli_page_state { CLI_PAGE_EMPTY, CLI_PAGE_GOOD, CLI_PAGE_DAMAGED } cli_page_state;

typedef struct cli_page {
	cli_page_state state;
	/* Of a good one: */
	const char *store; /* in `bytes` */
	const char *name;
	hf_metrics metrics;
	char bytes[CLI_METRICS_PAGE + 1];
} cli_page;

/* True if they fit; those that do not are counted with the rest. */
bool cli_page_has_room(const char *store, const char *name);

/* From what was read: `len` bytes of page->bytes. Fewer than a page: zeros follow. */
void cli_page_decode(cli_page *page, size_t len);

/* All of CLI_METRICS_PAGE bytes. */
void cli_page_encode(const char *store, const char *name, const hf_metrics *metrics, char *out);

#endif
