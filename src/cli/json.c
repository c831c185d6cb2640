#include "output.h"

#include <stdlib.h>

bool cli_print_json(json_t *json)
{
	size_t flags = JSON_COMPACT;
	hf_buf out = HF_BUF_INIT;
	char *text;
	char *p;
	bool ok;

	/* A terminal would obey C1 controls and direction marks. */
	if (cli_is_terminal())
		flags |= JSON_ENSURE_ASCII;
	text = json ? json_dumps(json, flags) : NULL;
	json_decref(json);
	if (!text)
		out.failed = true;
	/* The one control character that JSON lets stand as it is. */
	for (p = text; p && *p; p++) {
		if (*p == 0x7f)
			hf_buf_adds(&out, "\\u007f");
		else
			hf_buf_addc(&out, *p);
	}
	hf_buf_addc(&out, '\n');
	free(text);
	ok = cli_write(&out);
	hf_buf_free(&out);
	return ok;
}

json_t *cli_json_text(const char *text)
{
	json_t *json;
	hf_buf plain = HF_BUF_INIT;

	if (!text || !*text)
		return json_null();
	json = json_string(text);
	if (json)
		return json;
	/* Not UTF-8: JSON cannot have it as it is. */
	cli_printable(&plain, text);
	json = plain.failed ? NULL : json_string(plain.data);
	hf_buf_free(&plain);
	return json;
}

json_t *cli_json_time(int64_t ms)
{
	return ms < 0 ? json_null() : json_integer(ms);
}

json_t *cli_json_count(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *cli_json_wall(int64_t wall_ms)
{
	char text[40];

	cli_format_wall(wall_ms, text);
	return text[0] == '-' ? json_null() : json_string(text);
}
