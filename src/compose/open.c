/* hf_open(): a store, and what stands before it. */
#include "host_line.h"

#include <stdlib.h>

/* Take the option out of those that are the store's. NULL: it is not given. */
static const char *take_option(hf_url_parts *parts, const char *key)
{
	size_t i;

	for (i = 0; i < parts->url.option_count; i++) {
		const char *value = parts->options[i].value;

		if (strcmp(parts->options[i].key, key) != 0)
			continue;
		parts->url.option_count--;
		memmove(&parts->options[i], &parts->options[i + 1],
			(parts->url.option_count - i) * sizeof(*parts->options));
		return value;
	}
	return NULL;
}

static hf_status open_url(hf_url_parts *parts, const hf_open_options *options,
	hf_manager **manager_out, hf_error *error)
{
	const char *line = take_option(parts, "line");
	hf_status st;

	if (line && strcmp(line, "on") != 0 && strcmp(line, "off") != 0)
		return hf_fail(error, HF_INVALID, "open", 0,
			"line=%s is not known: it is on or off", line);
	st = hf_manager_open(&parts->url, options, manager_out, error);
	if (!st && !(line && !strcmp(line, "off")) &&
		hf_host_line_wanted(hf_store_capabilities(*manager_out)))
		hf_host_line_put(*manager_out);
	return st;
}

hf_status hf_open(const char *url, const hf_open_options *options, hf_manager **manager_out,
	hf_error *error)
{
	static const hf_open_options defaults = HF_OPEN_OPTIONS_INIT;
	const hf_open_options *o = options ? options : &defaults;
	hf_url_parts parts;
	hf_status st;

	*manager_out = NULL;
	if (o->size != sizeof(*o))
		return hf_fail(error, HF_INVALID, "open", 0,
			"hf_open_options has another size than this library's: initialise it "
			"with "
			"HF_OPEN_OPTIONS_INIT and build against this version's header");
	st = hf_url_parse(url, &parts, error);
	if (st)
		return st;
	st = open_url(&parts, o, manager_out, error);
	hf_url_parts_clear(&parts);
	return st;
}
