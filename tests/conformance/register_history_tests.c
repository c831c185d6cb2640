/* The register's R10: its history, amendments, and pruning. */
#include "register.h"

struct lines {
	unsigned count;
	uint64_t gens[512];
};

static int note_line(void *arg, const char *line)
{
	struct lines *l = arg;
	char *text = strdup(line);
	hf_record_event ev;

	assert_true(hf_event_decode(text, &ev));
	if (l->count < 512)
		l->gens[l->count++] = ev.gen;
	free(text);
	return 0;
}

static void R10__each_event_is_in_the_history_newest_first(void **state)
{
	enum { EVENTS = 60 };
	register_under_test r = world_register();
	const char *name = world_name("history");
	struct lines lines = {.count = 0};
	hf_snapshot s = look(&r, name);
	uint64_t floor = s.floor;
	hf_error error;
	unsigned i;

	(void)state;
	hf_snapshot_clear(&s);
	world_register_needs(&r, r.ops->history != NULL);
	for (i = 0; i < EVENTS; i++)
		write_once(&r, name);
	if (r.ops->history(r.store, name, 0, note_line, &lines, &error))
		fail_msg("%s", error.text);
	assert_int_equal(lines.count, EVENTS);
	for (i = 0; i < EVENTS; i++)
		assert_int_equal(lines.gens[i], floor + EVENTS - i);
	lines.count = 0;
	assert_int_equal(r.ops->history(r.store, name, 7, note_line, &lines, &error), HF_OK);
	assert_int_equal(lines.count, 7);
	assert_int_equal(lines.gens[0], floor + EVENTS);
	world_register_close(&r);
}

static void R10__an_amendment_does_not_grow_the_history(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("amend");
	struct lines lines = {.count = 0};
	hf_snapshot s;
	hf_snapshot reply;
	hf_error error;
	uint64_t i;

	(void)state;
	memset(&reply, 0, sizeof(reply));
	world_register_needs(&r, r.ops->capabilities(r.store) & HF_CAP_AMEND);
	write_once(&r, name);
	s = look(&r, name);
	for (i = 0; i < 20; i++) {
		char *text = record_text(name, 100000 + i, 1);
		hf_change change = {.data = text, .len = strlen(text)};

		hf_snapshot_clear(&reply);
		assert_int_equal(
			r.ops->swap(r.store, name, &s.etag, &change, &reply, &error), HF_OK);
		assert_false(hf_etag_equal(&s.etag, &reply.etag));
		hf_snapshot_clear(&s);
		s = look(&r, name);
		assert_int_equal(s.len, strlen(text));
		assert_memory_equal(s.data, text, s.len);
		free(text);
	}
	assert_int_equal(r.ops->history(r.store, name, 0, note_line, &lines, &error), HF_OK);
	assert_int_equal(lines.count, 1);
	hf_snapshot_clear(&s);
	hf_snapshot_clear(&reply);
	world_register_close(&r);
}

static void R10__pruning_keeps_the_newest_and_the_state(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("prune");
	struct lines lines = {.count = 0};
	hf_snapshot before;
	hf_snapshot after;
	hf_error error;
	unsigned i;

	(void)state;
	world_register_needs(&r, r.ops->prune != NULL);
	for (i = 0; i < 50; i++)
		write_once(&r, name);
	before = look(&r, name);
	if (r.ops->prune(r.store, name, 5, &error))
		fail_msg("%s", error.text);
	after = look(&r, name);
	assert_int_equal(before.len, after.len);
	assert_memory_equal(before.data, after.data, after.len);
	assert_int_equal(r.ops->history(r.store, name, 0, note_line, &lines, &error), HF_OK);
	assert_true(lines.count >= 5 && lines.count <= 10);
	write_once(&r, name);
	lines.count = 0;
	assert_int_equal(r.ops->history(r.store, name, 0, note_line, &lines, &error), HF_OK);
	assert_true(lines.count >= 6 && lines.count <= 11);
	hf_snapshot_clear(&before);
	hf_snapshot_clear(&after);
	world_register_close(&r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(R10__each_event_is_in_the_history_newest_first),
	cmocka_unit_test(R10__an_amendment_does_not_grow_the_history),
	cmocka_unit_test(R10__pruning_keeps_the_newest_and_the_state),
};
const test_group register_history_tests = TEST_GROUP(tests);
