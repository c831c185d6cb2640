#include "url.h"

#include <stdlib.h>

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undo %XX in place. NULL, or why it cannot be. */
static const char *percent_decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (*text == '%') {
			int high = hex(text[1]);
			int low = high < 0 ? -1 : hex(text[2]);

			if (low < 0)
				return "a '%' is not followed by two hex digits";
			if (!high && !low)
				return "%00 is a NUL byte, which cannot be in a path or an "
				       "option: leave it out";
			*out++ = (char)(high * 16 + low);
			text += 2;
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
	return NULL;
}

static bool is_scheme(const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		char c = text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
			    c == '-' || c == '.'))
			return false;
	}
	return n > 0 && text[0] >= 'a' && text[0] <= 'z';
}

/* Neither who logs in and with what, nor options: those may be secrets. */
static hf_status bad(hf_error *error, const char *text, const char *why)
{
	size_t len = strcspn(text, "?");
	const char *host = memrchr(text, '@', len);
	size_t scheme = host ? strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.") : 0;
	const char *shown = host ? host : text;

	return hf_fail(error, HF_INVALID, "url", 0, "store '%.*s%s%.*s%s': %s", (int)scheme,
		text, host ? ":..." : "", (int)(text + len - shown), shown,
		text[len] ? "?..." : "", why);
}

/* "key=value&key=value" */
static hf_status parse_options(
	const char *text, char *query, hf_url_parts *out, hf_error *error)
{
	const char *why;
	size_t count = 1;
	char *p;

	for (p = query; *p; p++)
		count += *p == '&';
	out->options = calloc(count, sizeof(*out->options));
	if (!out->options)
		return hf_fail_memory(error, "url");
	out->url.options = out->options;
	for (p = query; p;) {
		char *next = strchr(p, '&');
		char *equals;

		if (next)
			*next++ = '\0';
		equals = strchr(p, '=');
		if (!equals || equals == p)
			return bad(error, text, "an option is not of the form key=value");
		*equals++ = '\0';
		why = percent_decode(p);
		if (!why)
			why = percent_decode(equals);
		if (why)
			return bad(error, text, why);
		if (hf_url_option_of(&out->url, p))
			return bad(error, text, "an option is given twice");
		out->options[out->url.option_count].key = p;
		out->options[out->url.option_count++].value = equals;
		p = next;
	}
	return HF_OK;
}

hf_status hf_url_parse(const char *text, hf_url_parts *out, hf_error *error)
{
	const char *colon = text ? strchr(text, ':') : NULL;
	const char *why;
	char *query;
	hf_status st = HF_OK;

	memset(out, 0, sizeof(*out));
	if (!text || !*text)
		return bad(error, "", "it is empty: give scheme:path, as in git:. or file:DIR");
	if (!hf_utf8_plain(text, strlen(text)))
		return bad(error, "?", "it is not UTF-8 or has a control character");
	if (!colon || !is_scheme(text, (size_t)(colon - text)))
		return bad(error, text, "it has no scheme: write file:PATH or git:PATH");
	out->memory = strdup(text);
	if (!out->memory)
		return hf_fail_memory(error, "url");
	out->memory[colon - text] = '\0';
	out->url.scheme = out->memory;
	out->url.path = out->memory + (colon - text) + 1;
	query = strchr(out->url.path, '?');
	if (query) {
		*query++ = '\0';
		st = parse_options(text, query, out, error);
	}
	why = st ? NULL : percent_decode(out->memory + (colon - text) + 1);
	if (why)
		st = bad(error, text, why);
	if (st)
		hf_url_parts_clear(out);
	return st;
}

void hf_url_parts_clear(hf_url_parts *parts)
{
	free(parts->memory);
	free(parts->options);
	memset(parts, 0, sizeof(*parts));
}

const char *hf_url_option_of(const hf_url *url, const char *key)
{
	size_t i;

	for (i = 0; i < url->option_count; i++)
		if (!strcmp(url->options[i].key, key))
			return url->options[i].value;
	return NULL;
}
