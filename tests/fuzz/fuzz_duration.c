/* A duration as a user types it. */
#include "base/base.h"
#include "fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[256];
	char shown[24];
	int64_t ms;
	int64_t back;

	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (!hf_parse_duration(text, &ms))
		return 0;
	if (ms < 0 || ms > INT64_MAX / 1000000)
		abort();
	hf_format_duration(ms, shown);
	if (!hf_parse_duration(shown, &back) || back != ms)
		abort();
	return 0;
}
