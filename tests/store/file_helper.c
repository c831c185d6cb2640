#include "file_helper.h"

#include "base/url.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const hf_store_ops *ops;

hf_status try_open(const char *query, hf_store **store_out, hf_error *error)
{
	const hf_store_env env = {.patience_ms = 2000};
	char text[600];
	hf_url_parts parts;
	hf_status st;

	ops = hf_store_find("file", NULL, error);
	assert_non_null(ops);
	snprintf(text, sizeof(text), "file:%s%s", scratch_path("locks"), query);
	st = hf_url_parse(text, &parts, error);
	assert_int_equal(st, HF_OK);
	st = hf_store_check_options(ops, &parts.url, error);
	if (!st)
		st = ops->open(&parts.url, &env, store_out, error);
	hf_url_parts_clear(&parts);
	return st;
}

hf_store *open_store(const char *query)
{
	hf_store *store = NULL;
	hf_error error;

	if (try_open(query, &store, &error))
		fail_msg("%s", error.text);
	return store;
}

hf_snapshot look(hf_store *store, const char *name)
{
	hf_snapshot s = {.len = 0};
	hf_error error;

	if (ops->read(store, name, &s, &error))
		fail_msg("%s", error.text);
	return s;
}

void clear(hf_snapshot *s)
{
	free(s->data);
	free(s->foreign);
	*s = (hf_snapshot){.len = 0};
}

hf_error last_error;

hf_status swap_over(hf_store *store, const char *name, const hf_etag *expected,
	const char *data, const char *line, size_t limit, hf_etag *etag_out)
{
	const hf_event_text event = {.summary = line, .line = line};
	const hf_change change = {.data = data,
		.len = strlen(data),
		.event = line ? &event : NULL,
		.history_limit = limit};
	hf_snapshot reply = {.len = 0};
	hf_status st = ops->swap(store, name, expected, &change, &reply, &last_error);

	if (etag_out)
		*etag_out = reply.etag;
	clear(&reply);
	return st;
}

hf_etag put_limited(
	hf_store *store, const char *name, const char *data, const char *line, size_t limit)
{
	hf_snapshot s = look(store, name);
	hf_etag etag = {.len = 0};

	assert_int_equal(swap_over(store, name, &s.etag, data, line, limit, &etag), HF_OK);
	clear(&s);
	return etag;
}

hf_etag put(hf_store *store, const char *name, const char *data)
{
	return put_limited(store, name, data, data, 0);
}

void expect(hf_store *store, const char *name, const char *data)
{
	hf_snapshot s = look(store, name);

	assert_string_equal(s.data ? s.data : "(absent)", data);
	clear(&s);
}

int take_line(void *arg, const char *line)
{
	struct lines *lines = arg;

	if (lines->count < HF_ARRAY_LEN(lines->text))
		hf_copy(lines->text[lines->count], sizeof(lines->text[0]), line);
	lines->count++;
	return 0;
}

struct lines *history(hf_store *store, const char *name, size_t limit)
{
	static struct lines lines;
	hf_error error;

	lines.count = 0;
	if (ops->history(store, name, limit, take_line, &lines, &error))
		fail_msg("%s", error.text);
	return &lines;
}

void expect_events(const struct lines *lines, int newest, size_t at_least)
{
	size_t i;

	assert_true(lines->count >= at_least);
	for (i = 0; i < lines->count && i < HF_ARRAY_LEN(lines->text); i++) {
		char want[32];

		snprintf(want, sizeof(want), "event %d", newest - (int)i);
		assert_string_equal(lines->text[i], want);
	}
}

void touch(const char *name)
{
	int fd = open(scratch_path(name), O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
}
