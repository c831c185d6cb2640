/* A name found as a file or a ref, and any text as a name. */
#include "base/base.h"
#include "fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[4 * HF_NAME_MAX];
	char escaped[3 * HF_NAME_MAX + 1];
	char name[HF_NAME_MAX + 1];

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (hf_name_unescape(text, name)) {
		hf_name_escape(name, sizeof(escaped) - 1, escaped);
		if (strcmp(escaped, text) != 0)
			abort();
	}
	if (hf_check_name(text, NULL) == HF_OK) {
		hf_name_escape(text, 80, escaped);
		if (strlen(escaped) > 80 || strchr(escaped, '/'))
			abort();
		hf_name_escape(text, sizeof(escaped) - 1, escaped);
		if (!hf_name_unescape(escaped, name) || strcmp(name, text) != 0)
			abort();
	}
	return 0;
}
