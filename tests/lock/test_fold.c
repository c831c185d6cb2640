/*
 * A folded record is the same lock: the same requests, decided over records of which
 * little of the line is read and over whole ones, lead to the same answers and the
 * same line.
 */
#include "draw.h"

#include "lock/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CLIENTS 40
#define STEPS 120

/* One way to keep the record between two swaps. */
typedef struct side {
	size_t near;
	hf_record prev;
	hf_record next;
	hf_buf text;
	hf_buf before; /* the text that prev was read from */
	hf_buf scratch;
	hf_verdict verdict;
	hf_waiter_evidence seen[CLIENTS];
} side;

typedef struct both {
	draw d;
	side whole;
	side folded;
	hf_record check;
	hf_buf check_text;
	int64_t now_ms;
	char ids[CLIENTS][24];
	char places[CLIENTS][24]; /* in the line, of those who upgrade */
	bool dead[CLIENTS];
	size_t folds; /* records that were folded when the rules were asked */
	size_t unfolds;
	size_t upgrades; /* that came out of the line */
} both;

static void begin_side(side *s, size_t near)
{
	s->near = near;
	hf_record_init(&s->prev);
	hf_record_init(&s->next);
	s->prev.name = "n";
}

static void end_side(side *s)
{
	hf_record_free(&s->prev);
	hf_record_free(&s->next);
	hf_buf_free(&s->text);
	hf_buf_free(&s->before);
	hf_buf_free(&s->scratch);
}

static void begin(both *b, size_t round)
{
	size_t i;

	memset(b, 0, sizeof(*b));
	draw_begin(&b->d, round);
	begin_side(&b->whole, HF_RECORD_WHOLE);
	begin_side(&b->folded, 1 + (size_t)draw_below(&b->d, 4));
	hf_record_init(&b->check);
	for (i = 0; i < CLIENTS; i++) {
		snprintf(b->ids[i], sizeof(b->ids[i]), "%s%zu", i % 7 ? "c" : "c%", i);
		snprintf(b->places[i], sizeof(b->places[i]), "up%zu", i);
	}
}

static void end(both *b)
{
	end_side(&b->whole);
	end_side(&b->folded);
	hf_record_free(&b->check);
	hf_buf_free(&b->check_text);
	draw_free(&b->d);
}

static int number_of(const both *b, const char *id)
{
	int i;

	for (i = 0; i < CLIENTS; i++)
		if (!strcmp(b->ids[i], id) || !strcmp(b->places[i], id))
			return i;
	return -1;
}

static void decide(both *b, side *s, const hf_request *request)
{
	hf_grant_evidence grants[CLIENTS] = {{.dead = false}};
	hf_evidence e = {.clock = "boot-1",
		.now_ms = b->now_ms,
		.wall_ms = 1700000000000 + b->now_ms,
		.grants = grants,
		.waiters = s->seen};
	int i;

	memset(s->seen, 0, sizeof(s->seen));
	s->verdict = hf_rules_apply(&s->prev, request, &e, &s->next, &s->scratch);
	while (!s->verdict.unfold && (i = s->verdict.unproven) >= 0) {
		s->seen[i].probed = true;
		s->seen[i].dead = b->dead[number_of(b, s->prev.waiters[i].want.id)];
		s->verdict = hf_rules_apply(&s->prev, request, &e, &s->next, &s->scratch);
	}
}

/* What was swapped in, as the next who asks reads it. */
static void land(side *s)
{
	hf_buf old = s->before;
	hf_error error;

	hf_buf_clear(&s->text);
	hf_record_encode(&s->next, NULL, s->near, &s->text);
	CHECK(!s->text.failed);
	s->before = s->text;
	s->text = old;
	if (hf_record_decode(&s->prev, s->before.data, s->before.len, "n", s->near, &error))
		fail_msg("HF_SEED=%llu: %s\n%s", (unsigned long long)seed_now, error.text,
			s->before.data);
}

/* Are the two the same to whoever reads them whole? */
static void check_same_lock(both *b)
{
	CHECK(b->whole.before.data && b->folded.before.data);
	CHECK(!hf_record_decode(&b->check, b->folded.before.data, b->folded.before.len, "n",
		HF_RECORD_WHOLE, NULL));
	hf_buf_clear(&b->check_text);
	hf_record_encode(&b->check, NULL, HF_RECORD_WHOLE, &b->check_text);
	if (strcmp(b->check_text.data, b->whole.before.data) != 0)
		fail_msg("HF_SEED=%llu: it is\n%swhere folded it is\n%s",
			(unsigned long long)seed_now, b->whole.before.data,
			b->folded.before.data);
}

static bool waits(const both *b, const char *id)
{
	return hf_queue_find(&b->whole.prev, id) >= 0;
}

static void step(both *b, const hf_request *request)
{
	const hf_verdict *v = &b->whole.verdict;
	const hf_verdict *w = &b->folded.verdict;

	decide(b, &b->whole, request);
	CHECK(!v->unfold);
	b->folds += b->folded.prev.far_count > 0;
	decide(b, &b->folded, request);
	if (w->unfold) {
		b->unfolds++;
		CHECK(!hf_record_unfold(&b->folded.prev, NULL));
		decide(b, &b->folded, request);
	}
	CHECK(!w->unfold);
	CHECK(v->status == w->status && v->swap == w->swap && v->amend == w->amend);
	CHECK(v->token == w->token && v->ended == w->ended && v->wait_ms == w->wait_ms);
	CHECK(v->waits == w->waits && v->ahead == w->ahead && v->blocker == w->blocker);
	if (!v->swap)
		return;
	b->upgrades += v->status == HF_OK && request->ask == HF_ASK_CONVERT &&
		       waits(b, request->grant.id);
	land(&b->whole);
	land(&b->folded);
	check_same_lock(b);
}

/* To have more of what is shared, or no longer to wait for that. */
static hf_request upgrade(both *b, size_t i)
{
	hf_request q = {.ask = draw_chance(&b->d, 90) ? HF_ASK_CONVERT : HF_ASK_LEAVE,
		.grant = hf_grant_blank(),
		.queue = true,
		.claim_ms = 100,
		.who = {.id = b->ids[i]},
		.mode = HF_EXCLUSIVE};

	q.grant.id = q.grant.group = b->places[i];
	q.grant.owner = i % 3 ? "alice" : "bob";
	q.newcomer = !waits(b, q.grant.id);
	return q;
}

static hf_request some_request(both *b)
{
	draw *d = &b->d;
	size_t i = (size_t)draw_below(d, CLIENTS);
	const hf_record *r = &b->whole.prev;
	hf_request q = {.ask = HF_ASK_ACQUIRE,
		.grant = hf_grant_blank(),
		.queue = true,
		.claim_ms = 100 + 100 * (int64_t)(i % 2)};

	/* Those who have an offer claim it, most often. */
	if (hf_queue_offered(r, "") >= 0 && draw_chance(d, 50)) {
		const hf_waiter *w = &r->waiters[hf_queue_offered(r, "")];

		i = (size_t)number_of(b, w->want.id);
		if (hf_waiter_upgrades(w))
			return upgrade(b, i);
	}
	if (r->grant_count && r->grants[0].mode == HF_SHARED && draw_chance(d, 20))
		return upgrade(b, (size_t)number_of(b, r->grants[0].id));
	q.grant.id = q.grant.group = b->ids[i];
	q.grant.owner = i % 3 ? "alice" : "bob";
	q.grant.process.host = i % 5 ? "web1" : "web2";
	q.grant.process.command = i % 4 ? "make" : "";
	q.grant.mode = i % 2 ? HF_EXCLUSIVE : HF_SHARED;
	q.grant.priority = draw_chance(d, 95) ? 0 : (int32_t)draw_below(d, 5) - 2;
	q.grant.ttl_ms = 500;
	q.newcomer = !waits(b, q.grant.id) && draw_chance(d, 50);
	if (draw_chance(d, 10)) {
		q.take = HF_TAKE_ALL;
	} else if (draw_chance(d, 30) && r->grant_count) {
		q.ask = HF_ASK_RELEASE;
		q.who.id = r->grants[0].id;
	} else if (draw_chance(d, 8)) {
		q.ask = HF_ASK_LEAVE;
	} else if (draw_chance(d, 5)) {
		q.ask = HF_ASK_REAP;
	}
	return q;
}

static void fold__changes_nothing_but_what_is_read(void **state)
{
	size_t folds = 0;
	size_t unfolds = 0;
	size_t upgrades = 0;
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(1500); i++) {
		both b;
		size_t k;

		begin(&b, i);
		for (k = 0; k < STEPS; k++) {
			hf_request q = some_request(&b);

			b.now_ms += (int64_t)draw_below(&b.d, draw_chance(&b.d, 5) ? 300 : 5);
			if (draw_chance(&b.d, 2))
				b.dead[draw_below(&b.d, CLIENTS)] ^= true;
			step(&b, &q);
		}
		folds += b.folds;
		unfolds += b.unfolds;
		upgrades += b.upgrades;
		end(&b);
	}
	print_message("# folded %zu times, unfolded %zu times; %zu upgrades out of the line\n",
		folds, unfolds, upgrades);
	assert_true(folds > unfolds && unfolds > 0 && upgrades > 0);
}

/* Nobody who waits is lost unnoticed when lines at the far end are damaged. */
static void fold__that_is_damaged_is_corrupt_to_whoever_reads_it(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(300); i++) {
		hf_record folded;
		both b;
		size_t k;
		char *line;

		begin(&b, i);
		for (k = 0; k < CLIENTS; k++) {
			hf_request q = {.ask = HF_ASK_ACQUIRE,
				.grant = hf_grant_blank(),
				.queue = true,
				.claim_ms = 100};

			q.grant.id = q.grant.group = b.ids[k];
			q.grant.ttl_ms = 1000000;
			step(&b, &q);
		}
		line = strstr(b.folded.before.data, "\nend ");
		CHECK(line && b.folded.prev.far_count > 20);
		/* One line less, as long in all. */
		while (*--line != '\n')
			;
		line[-1] = draw_chance(&b.d, 50) ? 'x' : ' ';
		*line = draw_chance(&b.d, 50) ? '\0' : 'x';
		hf_record_init(&folded);
		CHECK(hf_record_decode(&folded, b.folded.before.data, b.folded.before.len, "n",
			      HF_RECORD_WHOLE, NULL) == HF_CORRUPT);
		CHECK(!hf_record_decode(
			&folded, b.folded.before.data, b.folded.before.len, "n", 1, NULL));
		CHECK(hf_record_unfold(&folded, NULL) == HF_CORRUPT);
		CHECK(!folded.waiter_count && !folded.gen);
		hf_record_free(&folded);
		end(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fold__changes_nothing_but_what_is_read),
		cmocka_unit_test(fold__that_is_damaged_is_corrupt_to_whoever_reads_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
