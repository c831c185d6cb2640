/* The observer against the plainest one: a list of what was seen, and since when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "draw.h"
#include "lock/observer.h"

enum { SIGHTS = 16 };

typedef struct sight {
	char id[65];
	uint64_t gen;
	int64_t since_ms;
} sight;

typedef struct model {
	sight seen[SIGHTS];
	size_t count;
} model;

static const sight *find(const model *m, const char *id, uint64_t gen)
{
	size_t i;

	for (i = 0; i < m->count; i++)
		if (m->seen[i].gen == gen && !strcmp(m->seen[i].id, id))
			return &m->seen[i];
	return NULL;
}

static void add(model *to, const model *from, const char *id, uint64_t gen, int64_t now_ms)
{
	const sight *known = find(from, id, gen);
	sight *s = &to->seen[to->count++];

	hf_copy(s->id, sizeof(s->id), id);
	s->gen = gen;
	s->since_ms = known ? known->since_ms : now_ms;
}

static void see(model *m, const hf_record *r, int64_t now_ms)
{
	model next = {.count = 0};
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		add(&next, m, r->grants[i].id, r->grants[i].gen, now_ms);
	if (r->closed_ms)
		add(&next, m, "(closed)", r->closed_gen, now_ms);
	*m = next;
}

static int64_t unchanged(const model *m, const char *id, uint64_t gen, int64_t now_ms)
{
	const sight *s = find(m, id, gen);

	return s ? now_ms - s->since_ms : 0;
}

/* A few grants that come, are renewed, change places and go. */
static void draw_state(draw *d, hf_record *r, uint64_t *gens)
{
	static const char *const ids[] = {"a", "b", "c", "d", "e", "f"};
	size_t i;

	hf_record_reset(r);
	r->name = "deploy";
	for (i = 0; i < HF_ARRAY_LEN(ids); i++) {
		size_t k = (i + (size_t)draw_below(d, 6)) % HF_ARRAY_LEN(ids);
		hf_grant *g;
		size_t j;

		for (j = 0; j < r->grant_count && strcmp(r->grants[j].id, ids[k]) != 0; j++)
			;
		if (j < r->grant_count || draw_chance(d, 30))
			continue;
		g = hf_record_add_grant(r);
		assert_non_null(g);
		g->id = ids[k];
		g->group = ids[k];
		gens[k] += draw_chance(d, 30);
		g->gen = gens[k];
	}
	if (draw_chance(d, 50)) {
		r->closed_ms = 1000;
		gens[6] += draw_chance(d, 30);
		r->closed_gen = gens[6];
	}
}

static void observer__knows_since_when_each_state_was_seen(void **state)
{
	size_t round;

	(void)state;
	for (round = 0; round < draw_rounds(2000); round++) {
		hf_observer o = HF_OBSERVER_INIT;
		uint64_t gens[7] = {0};
		model m = {.count = 0};
		int64_t now = 1000;
		hf_record r;
		size_t i;
		size_t k;
		draw d;

		draw_begin(&d, round);
		hf_record_init(&r);
		for (i = 0; i < 30; i++) {
			now += (int64_t)draw_below(&d, 100);
			draw_state(&d, &r, gens);
			CHECK(hf_observer_see(&o, &r, now));
			see(&m, &r, now);
			CHECK(o.count == m.count); /* what is gone is forgotten */
			now += (int64_t)draw_below(&d, 100);
			for (k = 0; k < r.grant_count; k++)
				CHECK(hf_observer_unchanged_ms(&o, &r, k, now) ==
					unchanged(&m, r.grants[k].id, r.grants[k].gen, now));
			CHECK(!r.closed_ms ||
				hf_observer_closed_ms(&o, &r, now) ==
					unchanged(&m, "(closed)", r.closed_gen, now));
		}
		hf_observer_free(&o);
		hf_record_free(&r);
		draw_free(&d);
	}
}

/* What was not seen, or is asked about for a time before, was unchanged for 0 ms. */
static void observer__claims_nothing_it_has_not_seen(void **state)
{
	hf_observer o = HF_OBSERVER_INIT;
	hf_record r;
	hf_grant *g;

	(void)state;
	hf_record_init(&r);
	g = hf_record_add_grant(&r);
	assert_non_null(g);
	g->id = "a";
	g->gen = 4;
	assert_int_equal(hf_observer_unchanged_ms(&o, &r, 0, 500), 0);
	assert_true(hf_observer_see(&o, &r, 1000));
	assert_int_equal(hf_observer_unchanged_ms(&o, &r, 0, 500), 0);
	assert_int_equal(hf_observer_unchanged_ms(&o, &r, 0, 1500), 500);
	g->gen = 5;
	assert_int_equal(hf_observer_unchanged_ms(&o, &r, 0, 1500), 0);
	hf_observer_free(&o);
	hf_record_free(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(observer__knows_since_when_each_state_was_seen),
		cmocka_unit_test(observer__claims_nothing_it_has_not_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
