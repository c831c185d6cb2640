/* What the register keeps: R1, R2, R6, R8 and R9 on the store's operations. */
#include "register.h"

#include <unistd.h>

/* ---- R1 ---- */

struct counting {
	const char *name;
	unsigned rounds;
	register_under_test shared; /* threads use one store object */
};

static int count_up(int i, void *arg)
{
	struct counting *c = arg;
	register_under_test r = under_test.processes ? world_register() : c->shared;
	hf_snapshot s = look(&r, c->name);
	unsigned done = 0;

	(void)i;
	while (done < c->rounds) {
		hf_snapshot reply;
		uint64_t gen;
		uint64_t counter;
		hf_status st;

		memset(&reply, 0, sizeof(reply));
		parse(c->name, &s, &gen, &counter);
		st = put(&r, c->name, &s.etag, gen + 1, counter + 1, &reply);
		if (st != HF_OK && st != HF_CHANGED)
			return 1;
		hf_snapshot_clear(&s);
		if (st == HF_OK) {
			done++;
			hf_snapshot_clear(&reply);
			s = look(&r, c->name);
		} else {
			s = reply; /* the present state, in the same round trip */
		}
	}
	hf_snapshot_clear(&s);
	if (under_test.processes)
		world_register_close(&r);
	return 0;
}

static void R1__of_all_swaps_that_name_one_state_one_succeeds(void **state)
{
	struct counting c = {.name = world_name("race"), .rounds = world_scaled(300)};
	hf_snapshot s;
	uint64_t gen;
	uint64_t counter;

	(void)state;
	c.shared = world_register();
	world_run(8, count_up, &c, 120);
	s = look(&c.shared, c.name);
	parse(c.name, &s, &gen, &counter);
	assert_int_equal(counter, 8 * c.rounds);
	hf_snapshot_clear(&s);
	world_register_close(&c.shared);
}

static void R1__a_refused_swap_hands_back_the_present_state(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("refused");
	hf_snapshot old = look(&r, name);
	hf_snapshot reply;
	hf_snapshot now;

	(void)state;
	memset(&reply, 0, sizeof(reply));
	write_once(&r, name);
	assert_int_equal(put(&r, name, &old.etag, 77, 77, &reply), HF_CHANGED);
	now = look(&r, name);
	assert_true(hf_etag_equal(&reply.etag, &now.etag));
	assert_int_equal(reply.len, now.len);
	assert_memory_equal(reply.data, now.data, now.len);
	hf_snapshot_clear(&old);
	hf_snapshot_clear(&reply);
	hf_snapshot_clear(&now);
	world_register_close(&r);
}

/* ---- R2 ---- */

static void R2__a_state_once_left_never_compares_equal_again(void **state)
{
	enum { STATES = 40 };
	register_under_test r = world_register();
	const char *name = world_name("aba");
	hf_etag seen[STATES];
	int i;
	int j;

	(void)state;
	for (i = 0; i < STATES; i++) {
		hf_snapshot s = look(&r, name);
		uint64_t gen;
		uint64_t counter;
		hf_error error;

		seen[i] = s.etag;
		for (j = 0; j < i; j++)
			assert_false(hf_etag_equal(&seen[j], &seen[i]));
		parse(name, &s, &gen, &counter);
		if (r.ops->forget && s.len && i % 4 == 3) {
			assert_int_equal(
				r.ops->forget(r.store, name, &s.etag, gen, &error), HF_OK);
		} else {
			hf_snapshot reply;

			memset(&reply, 0, sizeof(reply));
			/* The very same bytes every time: only the etag may tell. */
			assert_int_equal(put(&r, name, &s.etag, s.floor + 5, 5, &reply), HF_OK);
			hf_snapshot_clear(&reply);
		}
		hf_snapshot_clear(&s);
		/* And through a close and a fresh open. */
		if (i % 5 == 4 && under_test.processes) {
			world_register_close(&r);
			r = world_register();
		}
	}
	for (i = 0; i < STATES; i++) {
		hf_snapshot reply;

		memset(&reply, 0, sizeof(reply));
		assert_int_equal(put(&r, name, &seen[i], 999, 999, &reply), HF_CHANGED);
		hf_snapshot_clear(&reply);
	}
	world_register_close(&r);
}

static void R2__forgetting_raises_the_floor_of_what_comes_after(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("floor");
	hf_snapshot s;
	hf_error error;

	(void)state;
	world_register_needs(&r, r.ops->forget != NULL);
	write_once(&r, name);
	s = look(&r, name);
	assert_int_equal(r.ops->forget(r.store, name, &s.etag, 123456, &error), HF_OK);
	hf_snapshot_clear(&s);
	s = look(&r, name);
	assert_int_equal(s.len, 0);
	assert_true(s.floor >= 123456);
	hf_snapshot_clear(&s);
	world_register_close(&r);
	if (under_test.processes) {
		r = world_register();
		s = look(&r, name);
		assert_true(s.floor >= 123456);
		hf_snapshot_clear(&s);
		world_register_close(&r);
	}
}

static void R8__forgetting_what_changed_meanwhile_is_refused(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("forget");
	hf_etag old;
	hf_snapshot s;
	hf_error error;

	(void)state;
	world_register_needs(&r, r.ops->forget != NULL);
	old = write_once(&r, name);
	write_once(&r, name);
	assert_int_equal(r.ops->forget(r.store, name, &old, 5, &error), HF_CHANGED);
	s = look(&r, name);
	assert_true(s.len > 0);
	hf_snapshot_clear(&s);
	world_register_close(&r);
}

/* ---- R6 ---- */

static const char *const odd_names[] = {
	"a",
	"a/b",
	"a/b/c",
	"a.lock",
	".hidden",
	"..",
	".",
	"-n",
	"--",
	"@",
	"@{1}",
	"HEAD",
	"x y",
	" lead",
	"trail ",
	"trail.",
	"a..b",
	"per%cent",
	"%41",
	"%",
	"~tilde",
	"caret^1",
	"colon:name",
	"star*",
	"quest?",
	"[bracket]",
	"back\\slash",
	"quote'\"",
	"$(touch x)",
	"d\xc3\xa9ploy",
	"\xe9\x8e\x96",
	"\xf0\x9f\x94\x92",
	"UPPER",
	"upper",
	"a=b&c=d",
	"#hash",
	"new,comma",
	"semi;colon",
	"pipe|",
	"con",
	"refs/heads/main",
	"a/",
	"/a",
	"//",
};

struct names_seen {
	const char *const *names;
	size_t count;
	unsigned seen[64];
};

static int note_name(void *arg, const char *name)
{
	struct names_seen *n = arg;
	size_t i;

	for (i = 0; i < n->count; i++)
		if (!strcmp(n->names[i], name))
			n->seen[i]++;
	return 0;
}

static void R6__any_name_comes_back_from_list_as_it_went_in(void **state)
{
	register_under_test r = world_register();
	const char *names[64];
	char longest[HF_NAME_MAX + 1];
	char other[HF_NAME_MAX + 1];
	char wide[HF_NAME_MAX + 1];
	struct names_seen seen = {.names = names};
	hf_error error;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(odd_names); i++)
		names[seen.count++] = odd_names[i];
	memset(longest, '/', HF_NAME_MAX); /* grows threefold when escaped */
	longest[HF_NAME_MAX] = '\0';
	memcpy(other, longest, sizeof(other));
	other[HF_NAME_MAX - 1] = 'x'; /* the same beginning */
	for (i = 0; i < HF_NAME_MAX; i += 2)
		memcpy(wide + i, "\xc3\xa9", 2);
	wide[HF_NAME_MAX] = '\0';
	names[seen.count++] = longest;
	names[seen.count++] = other;
	names[seen.count++] = wide;
	for (i = 0; i < seen.count; i++)
		write_once(&r, names[i]);
	if (r.ops->list(r.store, note_name, &seen, &error))
		fail_msg("%s", error.text);
	for (i = 0; i < seen.count; i++)
		if (seen.seen[i] != 1)
			fail_msg("'%s' came back %u times", names[i], seen.seen[i]);
	for (i = 0; i < seen.count; i++) {
		hf_snapshot s = look(&r, names[i]);
		uint64_t gen;
		uint64_t counter;

		parse(names[i], &s, &gen, &counter);
		assert_int_equal(counter, 1);
		hf_snapshot_clear(&s);
	}
	world_register_close(&r);
}

/* ---- R7 ---- */

/* ---- R8 ---- */

static void R8__no_descriptor_and_no_file_stays_behind(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("residue");
	int descriptors;
	long files;
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		write_once(&r, name);
	descriptors = world_descriptors();
	files = world_files();
	for (i = 0; i < 50; i++) {
		hf_snapshot s = look(&r, name);

		hf_snapshot_clear(&s);
		write_once(&r, name);
	}
	assert_int_equal(world_descriptors(), descriptors);
	/* A change may cost one object of the history, and nothing else. */
	if (files >= 0)
		assert_true(world_files() <= files + 2 * 50 + 10);
	world_register_close(&r);
}

/* ---- R9 ---- */

static void R9__damage_is_said_and_never_taken_for_free(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("damage");
	hf_snapshot s;
	hf_error error;
	hf_status st;

	(void)state;
	world_register_needs(&r, under_test.processes);
	write_once(&r, name);
	world_damage(name);
	memset(&s, 0, sizeof(s));
	st = r.ops->read(r.store, name, &s, &error);
	if (st == HF_OK && !s.foreign) {
		/* Handed on as it is: then the record's own checks tell. */
		hf_record record;

		hf_record_init(&record);
		assert_true(s.len > 0);
		assert_int_equal(
			hf_record_decode(&record, s.data, s.len, name, HF_RECORD_WHOLE, &error),
			HF_CORRUPT);
		hf_record_free(&record);
	} else if (!s.foreign) {
		assert_int_equal(st, HF_CORRUPT);
		assert_true(strlen(error.text) > 20);
	}
	hf_snapshot_clear(&s);
	world_register_close(&r);
}

/* ---- R10 ---- */

static void register__records_may_grow_and_shrink(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("grow");
	size_t sizes[] = {10, 5000, 20, 100000, 4080, 4096, 8192, 900000, 30};
	hf_snapshot s = look(&r, name);
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(sizes); i++) {
		hf_record record;
		hf_buf text = HF_BUF_INIT;
		char *info = malloc(sizes[i] + 1);
		hf_event_text event = {.summary = "test", .line = "gen=1 kind=barrier"};
		hf_change change = {.event = &event};
		hf_snapshot reply;
		hf_error error;
		hf_grant *g;

		memset(&reply, 0, sizeof(reply));
		memset(info, 'x', sizes[i]);
		info[sizes[i]] = '\0';
		hf_record_init(&record);
		record.name = name;
		record.gen = s.floor + 10 + i;
		record.counter = 1;
		g = hf_record_add_grant(&record);
		g->id = "0123456789abcdef0123456789abcdef";
		g->group = g->id;
		g->token = 1;
		g->info = info;
		hf_record_encode(&record, NULL, HF_RECORD_NEAR, &text);
		change.data = text.data;
		change.len = text.len;
		if (r.ops->swap(r.store, name, &s.etag, &change, &reply, &error))
			fail_msg("%zu bytes: %s", sizes[i], error.text);
		hf_snapshot_clear(&s);
		s = look(&r, name);
		assert_int_equal(s.len, text.len);
		assert_memory_equal(s.data, text.data, text.len);
		hf_snapshot_clear(&reply);
		hf_record_free(&record);
		hf_buf_free(&text);
		free(info);
	}
	hf_snapshot_clear(&s);
	world_register_close(&r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(R1__of_all_swaps_that_name_one_state_one_succeeds),
	cmocka_unit_test(R1__a_refused_swap_hands_back_the_present_state),
	cmocka_unit_test(R2__a_state_once_left_never_compares_equal_again),
	cmocka_unit_test(R2__forgetting_raises_the_floor_of_what_comes_after),
	cmocka_unit_test(R8__forgetting_what_changed_meanwhile_is_refused),
	cmocka_unit_test(R6__any_name_comes_back_from_list_as_it_went_in),
	cmocka_unit_test(R8__no_descriptor_and_no_file_stays_behind),
	cmocka_unit_test(R9__damage_is_said_and_never_taken_for_free),
	cmocka_unit_test(register__records_may_grow_and_shrink),
};
const test_group register_tests = TEST_GROUP(tests);
