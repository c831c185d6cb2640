/* A store's URL. */
#include "base/url.h"
#include "fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	hf_url_parts parts;
	hf_error error;
	size_t i;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!hf_url_parse(text, &parts, &error)) {
		for (i = 0; i < parts.url.option_count; i++)
			if (hf_url_option_of(&parts.url, parts.url.options[i].key) !=
				parts.url.options[i].value)
				abort();
		if (!parts.url.scheme[0] || !parts.url.path)
			abort();
		hf_url_parts_clear(&parts);
	} else if (error.kind != HF_INVALID || !error.text[0]) {
		abort();
	}
	free(text);
	return 0;
}
