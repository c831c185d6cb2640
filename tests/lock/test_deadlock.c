/* Circles over the store's records and those of a line before it, made by hand. */
#include "lock/deadlock.h"
#include "lock/under.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LOCKS 2 /* "x" and "y" */

/* What is read: [0] of the store, [1] of the line. */
struct space {
	hf_record records[2][LOCKS];
	hf_buf under[8];
	size_t under_count;
};

static const char *const names[LOCKS] = {"x", "y"};

static struct space *new_space(void)
{
	struct space *s = calloc(1, sizeof(*s));
	size_t i;
	size_t k;

	assert_non_null(s);
	for (i = 0; i < 2; i++) {
		for (k = 0; k < LOCKS; k++) {
			hf_record_init(&s->records[i][k]);
			s->records[i][k].name = names[k];
			s->records[i][k].gen = 1;
		}
	}
	return s;
}

static void free_space(struct space *s)
{
	size_t i;
	size_t k;

	for (i = 0; i < 2; i++)
		for (k = 0; k < LOCKS; k++)
			hf_record_free(&s->records[i][k]);
	for (i = 0; i < s->under_count; i++)
		hf_buf_free(&s->under[i]);
	free(s);
}

static hf_record *record_of(struct space *s, bool in_line, const char *name)
{
	return &s->records[in_line][!strcmp(name, "y")];
}

static void hold(struct space *s, bool in_line, const char *name, const char *id, hf_mode mode,
	uint32_t limit)
{
	hf_grant *g = hf_record_add_grant(record_of(s, in_line, name));

	assert_non_null(g);
	g->id = g->group = g->owner = id;
	g->mode = mode;
	g->limit = limit;
}

/* `keeps`: the other lock, which it holds under the same id; NULL: nothing. */
static hf_waiter *wait_in(struct space *s, bool in_line, const char *name, const char *id,
	hf_mode mode, uint32_t limit, const char *keeps)
{
	hf_record *r = record_of(s, in_line, name);
	hf_waiter *w = hf_record_add_waiter(r);

	assert_non_null(w);
	w->want.id = w->want.group = id;
	w->want.owner = "somebody";
	w->want.mode = mode;
	w->want.limit = limit;
	w->arrival = r->waiter_count;
	w->claim_ms = 2000;
	if (keeps) {
		hf_buf *under = &s->under[s->under_count++];

		hf_under_add(under, id, keeps);
		w->want.under = under->data;
	}
	return w;
}

static hf_status read_store(void *arg, const char *name, hf_record *record)
{
	return hf_record_copy(record, record_of(arg, false, name)) ? HF_OK : HF_NO_MEMORY;
}

static hf_status read_line(void *arg, const char *name, hf_record *record)
{
	return hf_record_copy(record, record_of(arg, true, name)) ? HF_OK : HF_NO_MEMORY;
}

static bool dead(void *arg, const hf_process *process, bool in_line)
{
	(void)arg;
	(void)in_line;
	return process->pid == 13;
}

static bool lost(void *arg, const char *id)
{
	(void)arg;
	(void)id;
	return false;
}

static bool look_at(struct space *s, const hf_record *record, bool in_line, const char *id)
{
	const hf_deadlock_source source = {.arg = s,
		.read = read_store,
		.read_line = read_line,
		.dead = dead,
		.lost = lost};
	hf_deadlock d = {.passed_over = 0};

	assert_int_equal(hf_deadlock_look(record, in_line, id, &source, &d), HF_OK);
	hf_buf_free(&d.words);
	return d.found;
}

static bool look(struct space *s, bool in_line, const char *name, const char *id)
{
	return look_at(s, record_of(s, in_line, name), in_line, id);
}

/* ---- found ---- */

/* a has x and wants y; b has y and wants x. */
static struct space *circle(bool a_in_line, bool b_in_line)
{
	struct space *s = new_space();

	hold(s, false, "x", "a", HF_EXCLUSIVE, 0);
	hold(s, false, "y", "b", HF_EXCLUSIVE, 0);
	(void)wait_in(s, a_in_line, "y", "a", HF_EXCLUSIVE, 0, "x");
	(void)wait_in(s, b_in_line, "x", "b", HF_EXCLUSIVE, 0, "y");
	return s;
}

static void circle__is_found_wherever_they_wait(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct space *s = circle(i & 1, i & 2);

		assert_true(look(s, i & 1, "y", "a"));
		assert_true(look(s, (i & 2) != 0, "x", "b"));
		free_space(s);
	}
}

static void circle__behind_one_who_holds_nothing_is_found(void **state)
{
	struct space *s = new_space();

	(void)state;
	/* a shares x; h has the place before x and waits to write it; b comes behind him. */
	hold(s, false, "x", "a", HF_SHARED, 0);
	hold(s, false, "y", "b", HF_EXCLUSIVE, 0);
	hold(s, true, "x", "h", HF_EXCLUSIVE, 0);
	(void)wait_in(s, false, "x", "h", HF_EXCLUSIVE, 0, NULL);
	(void)wait_in(s, true, "x", "b", HF_SHARED, 1, "y");
	(void)wait_in(s, false, "y", "a", HF_EXCLUSIVE, 0, "x");
	assert_true(look(s, false, "y", "a"));
	assert_true(look(s, true, "x", "b"));
	/* Without him b and a would share x. */
	record_of(s, false, "x")->waiter_count = 0;
	assert_false(look(s, false, "y", "a"));
	free_space(s);
}

/* An attempt has read the ends of a long line: what closes the circle is between. */
static void circle__through_the_middle_of_a_long_line_is_found(void **state)
{
	static const char b[] = "0123456789abcdef0123456789abcdef";
	struct space *s = new_space();
	hf_buf text = HF_BUF_INIT;
	static char ids[40][HF_ID_LEN + 1];
	hf_record folded;
	hf_error error;
	int i;

	(void)state;
	hold(s, false, "x", "a", HF_SHARED, 0);
	hold(s, false, "y", b, HF_EXCLUSIVE, 0);
	for (i = 0; i < 40; i++) {
		hf_new_id(ids[i]);
		(void)wait_in(
			s, false, "x", ids[i], i == 25 ? HF_EXCLUSIVE : HF_SHARED, 0, NULL);
	}
	(void)wait_in(s, false, "x", b, HF_SHARED, 0, "y");
	(void)wait_in(s, false, "y", "a", HF_EXCLUSIVE, 0, "x");
	record_of(s, false, "x")->gen = 100;
	record_of(s, false, "x")->counter = 100;
	record_of(s, false, "x")->grants[0].token = 1;
	record_of(s, false, "x")->grants[0].gen = 1;
	hf_record_encode(record_of(s, false, "x"), NULL, HF_RECORD_NEAR, &text);
	hf_record_init(&folded);
	if (hf_record_decode(&folded, text.data, text.len, "x", HF_RECORD_NEAR, &error))
		fail_msg("%s", error.text);
	assert_true(folded.far_count > 0);
	assert_true(look_at(s, &folded, false, b));
	assert_true(look(s, false, "y", "a"));
	hf_record_free(&folded);
	hf_buf_free(&text);
	free_space(s);
}

/* ---- none ---- */

static void circle__is_none_if_one_of_them_is_dead(void **state)
{
	struct space *s = circle(true, true);

	(void)state;
	record_of(s, true, "x")->waiters[0].want.process.pid = 13;
	assert_false(look(s, true, "y", "a"));
	free_space(s);
}

/* d alone kept b from sharing x with a, and d is dead: he need only be taken out. */
static void circle__is_none_behind_one_who_died(void **state)
{
	struct space *s = new_space();
	hf_waiter *d;

	(void)state;
	hold(s, false, "x", "a", HF_SHARED, 0);
	hold(s, false, "y", "b", HF_EXCLUSIVE, 0);
	(void)wait_in(s, false, "x", "d", HF_EXCLUSIVE, 0, NULL);
	(void)wait_in(s, false, "x", "b", HF_SHARED, 0, "y");
	(void)wait_in(s, false, "y", "a", HF_EXCLUSIVE, 0, "x");
	d = &record_of(s, false, "x")->waiters[0];
	assert_true(look(s, false, "y", "a"));
	d->want.process.pid = 13;
	assert_false(look(s, false, "y", "a"));
	assert_false(look(s, false, "x", "b"));
	free_space(s);
}

/* Two have room; c, who shares x too, will go: then b, behind h, has his. */
static void circle__is_none_where_a_sharer_makes_room(void **state)
{
	struct space *s = new_space();

	(void)state;
	hold(s, false, "x", "a", HF_SHARED, 3);
	hold(s, false, "x", "c", HF_SHARED, 3);
	hold(s, false, "x", "d", HF_SHARED, 3);
	hold(s, true, "x", "h", HF_SHARED, 1);
	hold(s, false, "y", "b", HF_EXCLUSIVE, 0);
	(void)wait_in(s, false, "x", "h", HF_SHARED, 3, NULL);
	(void)wait_in(s, true, "x", "b", HF_SHARED, 1, "y");
	(void)wait_in(s, false, "y", "a", HF_EXCLUSIVE, 0, "x");
	assert_false(look(s, false, "y", "a"));
	assert_false(look(s, true, "x", "b"));
	free_space(s);
}

/* All that is known of b's wish is that it is not to have x for itself. */
static void circle__is_none_if_intentions_may_go_together(void **state)
{
	struct space *s = new_space();

	(void)state;
	hold(s, false, "x", "a", HF_INTENT_EXCLUSIVE, 0);
	hold(s, false, "y", "b", HF_EXCLUSIVE, 0);
	(void)wait_in(s, true, "x", "b", HF_SHARED, 1, "y");
	(void)wait_in(s, true, "y", "a", HF_EXCLUSIVE, 0, "x");
	assert_false(look(s, true, "y", "a"));
	free_space(s);
}

/*
 * k shares x and wants y, which b has, who is on his way to share x: if the one who
 * waits in the store to write it is served later, as his priority says, all get on.
 */
static void circle__is_none_as_long_as_turns_are_not_settled(void **state)
{
	struct space *s = new_space();
	hf_waiter *b;

	(void)state;
	hold(s, false, "x", "k", HF_SHARED, 0);
	hold(s, false, "y", "b", HF_EXCLUSIVE, 0);
	(void)wait_in(s, false, "x", "m", HF_EXCLUSIVE, 0, NULL);
	b = wait_in(s, true, "x", "b", HF_SHARED, 1, "y");
	b->want.priority = 5;
	(void)wait_in(s, false, "y", "k", HF_EXCLUSIVE, 0, "x");
	assert_false(look(s, false, "y", "k"));
	/* He is there, and comes after all. */
	record_of(s, true, "x")->waiter_count = 0;
	(void)wait_in(s, false, "x", "b", HF_SHARED, 0, "y");
	assert_true(look(s, false, "y", "k"));
	free_space(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(circle__is_found_wherever_they_wait),
		cmocka_unit_test(circle__behind_one_who_holds_nothing_is_found),
		cmocka_unit_test(circle__through_the_middle_of_a_long_line_is_found),
		cmocka_unit_test(circle__is_none_if_one_of_them_is_dead),
		cmocka_unit_test(circle__is_none_behind_one_who_died),
		cmocka_unit_test(circle__is_none_where_a_sharer_makes_room),
		cmocka_unit_test(circle__is_none_if_intentions_may_go_together),
		cmocka_unit_test(circle__is_none_as_long_as_turns_are_not_settled),
	};

	return cmocka_run_group_tests_name("deadlock", tests, NULL, NULL);
}
