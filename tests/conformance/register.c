#include "register.h"

#include <stdio.h>

char *record_text(const char *name, uint64_t gen, uint64_t counter)
{
	hf_record r;
	hf_buf buf = HF_BUF_INIT;

	hf_record_init(&r);
	r.name = name;
	r.gen = gen;
	r.counter = counter;
	r.event.gen = gen;
	r.event.kind = HF_EV_BARRIER;
	hf_record_encode(&r, NULL, HF_RECORD_NEAR, &buf);
	hf_record_free(&r);
	assert_false(buf.failed);
	return buf.data;
}

hf_status put(register_under_test *r, const char *name, const hf_etag *expected, uint64_t gen,
	uint64_t counter, hf_snapshot *reply)
{
	char *text = record_text(name, gen, counter);
	char line[64];
	hf_event_text event = {.summary = "test", .line = line};
	hf_change change = {.data = text, .len = strlen(text), .event = &event};
	hf_error error = {.kind = HF_OK};
	hf_status st;

	snprintf(line, sizeof(line), "gen=%llu kind=barrier", (unsigned long long)gen);
	hf_snapshot_clear(reply);
	st = r->ops->swap(r->store, name, expected, &change, reply, &error);
	if (st && st != HF_CHANGED)
		print_message("swap of %s: %s\n", name, error.text);
	free(text);
	return st;
}

hf_snapshot look(register_under_test *r, const char *name)
{
	hf_snapshot s;
	hf_error error;

	memset(&s, 0, sizeof(s));
	if (r->ops->read(r->store, name, &s, &error))
		fail_msg("read of %s: %s", name, error.text);
	assert_true(s.etag.len > 0);
	return s;
}

void parse(const char *name, const hf_snapshot *s, uint64_t *gen, uint64_t *counter)
{
	hf_record r;
	hf_error error;

	hf_record_init(&r);
	*gen = s->floor;
	*counter = 0;
	if (s->len) {
		if (hf_record_decode(&r, s->data, s->len, name, HF_RECORD_WHOLE, &error))
			fail_msg("%s", error.text);
		*gen = r.gen;
		*counter = r.counter;
	}
	hf_record_free(&r);
}

hf_etag write_once(register_under_test *r, const char *name)
{
	hf_snapshot s = look(r, name);
	hf_snapshot reply;
	hf_etag etag;
	uint64_t gen;
	uint64_t counter;

	memset(&reply, 0, sizeof(reply));
	parse(name, &s, &gen, &counter);
	assert_int_equal(put(r, name, &s.etag, gen + 1, counter + 1, &reply), HF_OK);
	etag = reply.etag;
	hf_snapshot_clear(&s);
	hf_snapshot_clear(&reply);
	return etag;
}
