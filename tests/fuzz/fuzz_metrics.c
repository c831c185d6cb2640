/* A page of metrics from a file: whatever the bytes, an answer; what is read can be written. */
#include "cli/metrics_page.h"
#include "fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SUM_AT 19 /* behind "holdfast-metrics 1 " */
#define SUMMED_AT (SUM_AT + 17)

static void load(cli_page *page, const void *bytes, size_t size)
{
	size = size < CLI_METRICS_PAGE ? size : CLI_METRICS_PAGE;
	memcpy(page->bytes, bytes, size);
	cli_page_decode(page, size);
}

static void check(const uint8_t *data, size_t size)
{
	static cli_page first;
	static cli_page second;
	char bytes[CLI_METRICS_PAGE];

	load(&first, data, size);
	if (first.state != CLI_PAGE_GOOD)
		return;
	cli_page_encode(&first, bytes);
	load(&second, bytes, sizeof(bytes));
	if (second.state != CLI_PAGE_GOOD || strcmp(first.store, second.store) != 0 ||
		strcmp(first.name, second.name) != 0 || first.changed_s != second.changed_s ||
		memcmp(&first.metrics, &second.metrics, sizeof(first.metrics)) != 0 ||
		memcmp(&first.rest, &second.rest, sizeof(first.rest)) != 0)
		abort();
}

/* As it is; and with a right checksum, behind which there is more to get wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t mended[CLI_METRICS_PAGE + 1] = {0};
	char sum[17];
	size_t n = size < CLI_METRICS_PAGE ? size : CLI_METRICS_PAGE;

	check(data, size);
	memcpy(mended, data, n);
	if (n > SUMMED_AT) {
		const char *summed = (const char *)mended + SUMMED_AT;

		snprintf(sum, sizeof(sum), "%016" PRIx64,
			hf_hash(HF_HASH_INIT, summed, strlen(summed)));
		memcpy(mended + SUM_AT, sum, 16);
		check(mended, n);
	}
	return 0;
}
