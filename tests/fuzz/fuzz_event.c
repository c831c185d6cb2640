/* A line of a history. */
#include "fuzz.h"
#include "lock/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size + 1);
	hf_buf text = HF_BUF_INIT;
	hf_buf summary = HF_BUF_INIT;
	hf_record_event e;
	hf_record_event back;
	size_t i;

	if (!line)
		return 0;
	memcpy(line, data, size);
	line[size] = '\0';
	if (hf_event_decode(line, &e)) {
		hf_event_encode(&e, &text);
		hf_event_describe(&e, "deploy", &summary);
		for (i = 0; i < summary.len; i++)
			if ((unsigned char)summary.data[i] < ' ')
				abort();
		if (!hf_event_decode(text.data, &back) || back.gen != e.gen ||
			back.kind != e.kind || strcmp(back.ended, e.ended) != 0)
			abort();
	}
	hf_buf_free(&text);
	hf_buf_free(&summary);
	free(line);
	return 0;
}
