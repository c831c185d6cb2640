/* A fence's record from a store: whatever the bytes, an answer; what is read can be written. */
#include "fuzz.h"
#include "lock/fence.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hf_fence first;
	hf_fence second;
	hf_buf text = HF_BUF_INIT;
	hf_buf line = HF_BUF_INIT;
	hf_buf summary = HF_BUF_INIT;
	hf_error error;

	hf_fence_init(&first);
	hf_fence_init(&second);
	if (!hf_fence_decode(&first, "db", (const char *)data, size, &error)) {
		if (first.token < 1 || first.token > HF_FENCE_TOKEN_MAX)
			abort();
		hf_fence_encode(&first, &text, &line);
		hf_fence_describe(&first, &summary);
		if (hf_fence_decode(&second, "db", text.data, text.len, &error) ||
			second.token != first.token || strcmp(first.owner, second.owner) != 0 ||
			strcmp(first.host, second.host) != 0 || strchr(summary.data, '\n') ||
			hf_fence_line_token(line.data) != first.token)
			abort();
	}
	hf_buf_free(&text);
	hf_buf_free(&line);
	hf_buf_free(&summary);
	hf_fence_free(&first);
	hf_fence_free(&second);
	return 0;
}
