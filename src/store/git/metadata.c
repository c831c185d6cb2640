#include "metadata.h"

#include <jansson.h>
#include <stdlib.h>

#define NEVER_MS (100LL * 365 * 86400 * 1000)
#define ROUNDING_MS 1 /* the reader may compare with > or >= */

hf_status gs_metadata_build(
	const hf_public_view *view, int64_t now_wall_ms, hf_buf *out, hf_error *error)
{
	int64_t acquired_ms = view->acquired_wall_ms < 0 ? now_wall_ms : view->acquired_wall_ms;
	int64_t timeout_ms = NEVER_MS;
	char *text = NULL;
	json_t *object;

	if (view->ttl_ms > 0 && view->ttl_ms < NEVER_MS) {
		timeout_ms = now_wall_ms - acquired_ms + view->ttl_ms + ROUNDING_MS;
		/* A wall clock that was set back. */
		if (timeout_ms < view->ttl_ms)
			timeout_ms = view->ttl_ms;
	}
	object = json_pack("{s:s, s:I, s:I, s:s, s:b, s:I, s:s}", "id", view->id, "acquiredAt",
		(json_int_t)acquired_ms, "timeout", (json_int_t)timeout_ms, "fingerprint",
		view->fingerprint[0] ? view->fingerprint : view->id, "exclusive",
		view->exclusive != 0, "pid", (json_int_t)view->pid, "hostname", view->host);
	if (object)
		text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (!text)
		return hf_fail(error, HF_INVALID, "swap", 0,
			"the holder cannot be written as JSON: its id, fingerprint or host is "
			"no "
			"UTF-8");
	hf_buf_adds(out, text);
	free(text);
	return out->failed ? hf_fail_memory(error, "swap") : HF_OK;
}

/* A text cut to fit, not within a character. */
static void take_text(const json_t *object, const char *key, char *out, size_t cap)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_is_string(value) ? json_string_value(value) : "";

	if (hf_copy(out, cap, text))
		return;
	while (out[0] && !hf_utf8_plain(out, strlen(out)))
		out[strlen(out) - 1] = '\0';
}

static int64_t take_number(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *value = json_object_get(object, key);
	double real;

	if (json_is_integer(value))
		return json_integer_value(value) < 0 ? otherwise : json_integer_value(value);
	if (!json_is_real(value))
		return otherwise;
	real = json_real_value(value);
	return real >= 0 && real < 9e15 ? (int64_t)real : otherwise;
}

hf_status gs_metadata_parse(const char *data, size_t len, hf_public_view *out, hf_error *error)
{
	json_error_t why;
	json_t *object = json_loadb(data, len, 0, &why);

	memset(out, 0, sizeof(*out));
	if (!object)
		return hf_fail(error, HF_CORRUPT, "read", 0, "it is no JSON (line %d: %s)",
			why.line, why.text);
	if (!json_is_object(object)) {
		json_decref(object);
		return hf_fail(error, HF_CORRUPT, "read", 0, "its JSON is no object");
	}
	out->held = 1;
	out->exclusive = !json_is_false(json_object_get(object, "exclusive"));
	take_text(object, "id", out->id, sizeof(out->id));
	take_text(object, "fingerprint", out->fingerprint, sizeof(out->fingerprint));
	take_text(object, "hostname", out->host, sizeof(out->host));
	out->pid = take_number(object, "pid", 0);
	out->acquired_wall_ms = take_number(object, "acquiredAt", -1);
	out->ttl_ms = take_number(object, "timeout", -1);
	json_decref(object);
	return HF_OK;
}
