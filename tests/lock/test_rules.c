/* Properties of the rules over random records, requests and evidence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "draw.h"

#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition))                                                              \
			fail_msg(                                                              \
				"HF_SEED=%llu: %s", (unsigned long long)seed_now, #condition); \
	} while (0)

static uint64_t seed_now;

typedef struct fixture {
	draw d;
	hf_record prev;
	hf_record next;
	hf_record again;
	hf_record read; /* next, through its text */
	hf_buf scratch;
	hf_buf text;
	hf_grant_evidence grants[16];
	hf_evidence evidence;
	hf_request request;
	hf_verdict verdict;
} fixture;

static void begin(fixture *f, size_t round)
{
	memset(f, 0, sizeof(*f));
	seed_now = draw_seed(round);
	draw_init(&f->d, seed_now);
	hf_record_init(&f->prev);
	hf_record_init(&f->next);
	hf_record_init(&f->again);
	hf_record_init(&f->read);
	if (draw_chance(&f->d, 10)) {
		f->prev.name = draw_name(&f->d);
		f->evidence = draw_evidence(&f->d, &f->prev, f->grants);
		f->evidence.floor = draw_below(&f->d, 500);
	} else {
		draw_record(&f->d, &f->prev, true);
		f->evidence = draw_evidence(&f->d, &f->prev, f->grants);
	}
	f->request = draw_request(&f->d, &f->prev);
}

static void decide(fixture *f)
{
	f->verdict = hf_rules_apply(&f->prev, &f->request, &f->evidence, &f->next, &f->scratch);
}

/* What the swap wrote, as the next reader finds it. */
static void write_and_read(fixture *f)
{
	hf_error error;

	hf_buf_clear(&f->text);
	hf_record_encode(&f->next, NULL, HF_RECORD_NEAR, &f->text);
	if (hf_record_decode(
		    &f->read, f->text.data, f->text.len, f->prev.name, HF_RECORD_WHOLE, &error))
		fail_msg("HF_SEED=%llu: the rules wrote what cannot be read: %s",
			(unsigned long long)seed_now, error.text);
}

static void end(fixture *f)
{
	hf_buf_free(&f->scratch);
	hf_buf_free(&f->text);
	hf_record_free(&f->prev);
	hf_record_free(&f->next);
	hf_record_free(&f->again);
	hf_record_free(&f->read);
	draw_free(&f->d);
}

static const hf_grant *grant_of(const hf_record *r, const char *id)
{
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (!strcmp(r->grants[i].id, id))
			return &r->grants[i];
	return NULL;
}

static unsigned mode_of(const hf_record *r, const char *id)
{
	const hf_grant *g = grant_of(r, id);

	return g ? g->mode : 99;
}

static uint64_t token_of(const hf_record *r, const char *id)
{
	const hf_grant *g = grant_of(r, id);

	return g ? g->token : 0;
}

static bool over(const fixture *f, size_t i)
{
	return hf_rules_over(&f->prev, i, &f->evidence) != NULL;
}

/* ---- what every swap keeps ---- */

static void swap__keeps_the_invariants_and_is_readable(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(30000); i++) {
		fixture f;

		begin(&f, i);
		decide(&f);
		CHECK(f.verdict.blocker < (int)f.prev.grant_count);
		CHECK(f.verdict.reason != NULL);
		if (f.verdict.swap) {
			write_and_read(&f); /* reading checks the invariants */
			CHECK(f.next.gen > f.prev.gen && f.next.gen > f.request.least_gen);
			CHECK(f.next.counter >= f.prev.counter);
			CHECK(f.prev.gen || f.next.gen > f.evidence.floor);
			CHECK(f.prev.gen || f.next.counter >= f.evidence.floor);
			CHECK(f.verdict.amend || f.next.event.gen == f.next.gen);
			CHECK(!f.verdict.amend || f.next.event.gen == f.prev.event.gen);
		}
		end(&f);
	}
}

/* Asked again over its own result, it has happened. */
static void request__asked_again_over_its_result_changes_nothing(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(30000); i++) {
		hf_grant_evidence fresh[16] = {{.dead = false}};
		fixture f;
		hf_evidence e;
		hf_verdict v;
		bool gone;

		begin(&f, i);
		decide(&f);
		if (f.verdict.swap && f.verdict.status == HF_OK &&
			f.request.ask != HF_ASK_BARRIER) {
			write_and_read(&f);
			e = f.evidence;
			e.grants = fresh;
			e.closed_unchanged_ms = 0;
			e.now_ms -= 1000000000; /* nothing expires by a clock meanwhile */
			v = hf_rules_apply(&f.read, &f.request, &e, &f.again, &f.scratch);
			gone = f.request.ask == HF_ASK_RELEASE && v.status == HF_NOT_OWNER;
			CHECK(v.status == HF_OK || gone);
			if (f.request.ask != HF_ASK_RENEW || f.request.renewals)
				CHECK(!v.swap);
			if (f.request.ask == HF_ASK_ACQUIRE || f.request.ask == HF_ASK_CONVERT)
				CHECK(v.token == f.verdict.token);
		}
		end(&f);
	}
}

/* Nothing acts on a grant that it does not name, steal, force, or find over. */
static void request__leaves_the_others_alone(void **state)
{
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < draw_rounds(30000); i++) {
		fixture f;

		begin(&f, i);
		decide(&f);
		for (k = 0; f.verdict.swap && k < f.prev.grant_count; k++) {
			const hf_grant *g = &f.prev.grants[k];
			const hf_grant *n = grant_of(&f.next, g->id);
			const hf_who *w = &f.request.who;
			bool named = w->id	      ? !strcmp(g->id, w->id)
				     : w->fingerprint ? !strcmp(g->fingerprint, w->fingerprint)
						      : !strcmp(g->owner, w->owner);
			bool taken = (f.request.ask == HF_ASK_ACQUIRE && f.request.take) ||
				     f.request.ask == HF_ASK_FORCE_RELEASE;

			if (over(&f, k)) {
				CHECK(!n || f.request.ask == HF_ASK_ACQUIRE);
				continue;
			}
			if (!n) {
				CHECK(taken || (f.request.ask == HF_ASK_RELEASE && named));
				continue;
			}
			if (n->gen != g->gen || n->deadline_ms != g->deadline_ms)
				CHECK(f.request.ask == HF_ASK_RENEW && named);
			if (n->mode != g->mode || n->token != g->token)
				CHECK(f.request.ask == HF_ASK_CONVERT && named);
			CHECK(n->limit == g->limit && n->owner == g->owner);
		}
		end(&f);
	}
}

/* ---- acquire, against the plainest statement of who may come in ---- */

/* Which modes go together, row by row: exclusive, shared, intentions to share, to exclude. */
static const bool together[4][4] = {
	[HF_EXCLUSIVE] = {false, false, false, false},
	[HF_SHARED] = {false, true, true, false},
	[HF_INTENT_SHARED] = {false, true, true, true},
	[HF_INTENT_EXCLUSIVE] = {false, false, true, true},
};

static bool is_intent(hf_mode mode)
{
	return mode != HF_EXCLUSIVE && mode != HF_SHARED;
}

/* Of those that hold the lock itself. */
static size_t groups_left(const fixture *f)
{
	size_t n = 0;
	size_t i;
	size_t j;

	for (i = 0; i < f->prev.grant_count; i++) {
		bool first = !over(f, i) && !is_intent(f->prev.grants[i].mode);

		for (j = 0; first && j < i; j++)
			if (!over(f, j) && !is_intent(f->prev.grants[j].mode) &&
				!strcmp(f->prev.grants[i].group, f->prev.grants[j].group))
				first = false;
		n += first;
	}
	return n;
}

static hf_status who_may_come_in(const fixture *f)
{
	const hf_grant *want = &f->request.grant;
	const hf_grant *in = NULL;
	size_t i;

	for (i = 0; i < f->prev.grant_count; i++) {
		if (over(f, i))
			continue;
		if (!together[f->prev.grants[i].mode][want->mode])
			return HF_HELD;
		if (!is_intent(f->prev.grants[i].mode) && !is_intent(want->mode))
			in = &f->prev.grants[i];
	}
	if (in && in->limit != want->limit)
		return HF_INVALID;
	if (in && want->limit && groups_left(f) >= want->limit)
		return HF_HELD;
	return HF_OK;
}

static bool some_delay_may_run(const fixture *f)
{
	size_t i;

	if (hf_rules_closed_ms(&f->prev, &f->evidence) > 0)
		return true;
	for (i = 0; i < f->prev.grant_count; i++)
		if (over(f, i) && f->prev.grants[i].lock_delay_ms)
			return true;
	return false;
}

static void acquire__lets_in_whom_it_may(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(30000); i++) {
		fixture f;
		hf_status want;

		begin(&f, i);
		f.request.ask = HF_ASK_ACQUIRE;
		f.request.take = HF_TAKE_NOTHING;
		f.request.grant.group = f.request.grant.id;
		decide(&f);
		want = who_may_come_in(&f);
		if (grant_of(&f.prev, f.request.grant.id) || some_delay_may_run(&f))
			CHECK(f.verdict.status == HF_OK || f.verdict.status == HF_HELD ||
				f.verdict.status == HF_INVALID);
		else
			CHECK(f.verdict.status == want ||
				(f.prev.waiter_count && f.verdict.status == HF_HELD));
		if (want != HF_OK && !grant_of(&f.prev, f.request.grant.id))
			CHECK(f.verdict.status != HF_OK);
		if (f.verdict.status == HF_OK && f.verdict.swap)
			CHECK(f.verdict.token == f.next.counter &&
				f.next.counter > f.prev.counter &&
				token_of(&f.next, f.request.grant.id) == f.verdict.token);
		end(&f);
	}
}

/* One who holds it in `held`, and nobody else: the evidence knows of no end. */
static void begin_held(fixture *f, hf_mode held, const char *id)
{
	hf_grant *g;

	begin(f, held);
	hf_record_reset(&f->prev);
	f->prev.name = "repo";
	f->prev.gen = f->prev.counter = 5;
	f->evidence = (hf_evidence){.clock = ""};
	g = hf_record_add_grant(&f->prev);
	assert_non_null(g);
	g->id = g->group = id;
	g->token = g->gen = 5;
	g->mode = held;
	f->request = (hf_request){.ask = HF_ASK_ACQUIRE, .grant = hf_grant_blank()};
	f->request.grant.id = f->request.grant.group = "new";
}

static void acquire__goes_together_as_the_table_says(void **state)
{
	unsigned held;
	unsigned want;
	unsigned third;

	(void)state;
	for (held = 0; held < 4; held++)
		for (want = 0; want < 4; want++) {
			hf_grant more = hf_grant_blank();
			fixture f;

			begin_held(&f, (hf_mode)held, "first");
			f.request.grant.mode = (hf_mode)want;
			decide(&f);
			CHECK((f.verdict.status == HF_OK) == together[held][want]);
			CHECK(f.verdict.status == HF_OK || f.verdict.blocker == 0);
			CHECK(hf_modes_conflict((hf_mode)held, (hf_mode)want) ==
				!together[held][want]);
			/* And a third beside the two. */
			for (third = 0; f.verdict.swap && third < 4; third++) {
				hf_record_exchange(&f.prev, &f.next);
				more.id = more.group = "third";
				more.mode = (hf_mode)third;
				f.request.grant = more;
				decide(&f);
				CHECK((f.verdict.status == HF_OK) ==
					(together[held][third] && together[want][third]));
				if (f.verdict.swap)
					write_and_read(&f);
				hf_record_exchange(&f.prev, &f.next);
				f.verdict.swap = true;
			}
			end(&f);
		}
}

/* A covers B: what goes together with A goes together with B. */
static void reenter__is_for_those_who_need_no_more(void **state)
{
	unsigned held;
	unsigned want;
	unsigned k;

	(void)state;
	for (held = 0; held < 4; held++)
		for (want = 0; want < 4; want++) {
			bool covered = true;
			fixture f;

			for (k = 0; k < 4; k++)
				covered = covered && (!together[held][k] || together[want][k]);
			begin_held(&f, (hf_mode)held, "first");
			f.request.grant.mode = (hf_mode)want;
			f.request.grant.group = "first";
			decide(&f);
			CHECK(f.verdict.status == (covered ? HF_OK : HF_INVALID));
			if (covered)
				write_and_read(&f);
			else
				CHECK(f.verdict.reason[0] && !f.verdict.swap);
			end(&f);
		}
}

/* Sharing with or without exclusion, of the lock or below it; never from one to the other. */
static void convert__an_intention_stays_one(void **state)
{
	unsigned held;
	unsigned to;
	unsigned beside;

	(void)state;
	for (held = 0; held < 4; held++)
		for (to = 0; to < 4; to++)
			for (beside = 0; beside < 4; beside++) {
				hf_status want = HF_INVALID;
				hf_grant *g;
				fixture f;

				if (!together[held][beside])
					continue;
				begin_held(&f, (hf_mode)held, "mine");
				g = hf_record_add_grant(&f.prev);
				assert_non_null(g);
				g->id = g->group = "other";
				g->token = g->gen = 4;
				g->mode = (hf_mode)beside;
				f.request.ask = HF_ASK_CONVERT;
				f.request.mode = (hf_mode)to;
				f.request.who.id = "mine";
				if (is_intent((hf_mode)held) == is_intent((hf_mode)to))
					want = together[to][beside] ? HF_OK : HF_HELD;
				decide(&f);
				CHECK(f.verdict.status == want);
				if (f.verdict.swap) {
					write_and_read(&f);
					CHECK(mode_of(&f.read, "mine") == to);
				}
				end(&f);
			}
}

/* Intentions take no place of a limit, and have none. */
static void limit__counts_those_who_hold_the_lock_itself(void **state)
{
	hf_grant *g;
	fixture f;

	(void)state;
	begin_held(&f, HF_SHARED, "first");
	f.prev.grants[0].limit = 2;
	g = hf_record_add_grant(&f.prev);
	assert_non_null(g);
	g->id = g->group = "below";
	g->token = g->gen = 4;
	g->mode = HF_INTENT_SHARED;
	f.request.grant.mode = HF_SHARED;
	f.request.grant.limit = 2;
	decide(&f);
	CHECK(f.verdict.status == HF_OK);
	write_and_read(&f);
	hf_record_exchange(&f.prev, &f.next);
	f.request.grant.id = f.request.grant.group = "third";
	decide(&f);
	CHECK(f.verdict.status == HF_HELD && f.verdict.blocker == 0);
	f.request.take = HF_TAKE_ALL; /* of those two alone */
	decide(&f);
	CHECK(f.verdict.status == HF_OK && grant_of(&f.next, "below"));
	f.request.take = HF_TAKE_NOTHING;
	f.request.grant.mode = HF_INTENT_SHARED;
	f.request.grant.limit = 0;
	decide(&f);
	CHECK(f.verdict.status == HF_OK);
	end(&f);
}

/* A delay that began with the lease's end and is over by now closes nothing. */
static void acquire__after_a_delay_that_nobody_saw_is_let_in(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(2000); i++) {
		fixture f;
		hf_grant *g;

		begin(&f, i);
		hf_record_reset(&f.prev);
		f.prev.name = "deploy";
		f.prev.gen = 5;
		f.prev.counter = 5;
		g = hf_record_add_grant(&f.prev);
		assert_non_null(g);
		*g = draw_grant(&f.d);
		g->token = 5;
		g->ttl_ms = 1000;
		g->lock_delay_ms = 1 + (int64_t)draw_below(&f.d, 10000);
		g->flags = 0;
		g->clock = "boot-1";
		g->deadline_ms = 5000;
		f.evidence.clock = "boot-1";
		f.evidence.now_ms = 5000 + g->lock_delay_ms - (int64_t)draw_below(&f.d, 2);
		f.request = draw_request(&f.d, &f.prev);
		f.request.ask = HF_ASK_ACQUIRE;
		f.request.take = HF_TAKE_NOTHING;
		f.request.grant.id = draw_id(&f.d);
		f.request.grant.group = f.request.grant.id;
		decide(&f);
		CHECK((f.verdict.status == HF_OK) ==
			(f.evidence.now_ms >= 5000 + g->lock_delay_ms));
		CHECK(f.verdict.swap && f.verdict.ended == 1);
		end(&f);
	}
}

/* A lock delay closes it for everyone, except by force. */
static void acquire__waits_for_the_lock_delay(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(10000); i++) {
		fixture f;

		begin(&f, i);
		f.request.ask = HF_ASK_ACQUIRE;
		f.request.grant.id = draw_id(&f.d);
		f.request.grant.group = f.request.grant.id;
		if (hf_rules_closed_ms(&f.prev, &f.evidence) > 0) {
			decide(&f);
			if (f.request.take != HF_TAKE_ALL)
				CHECK(f.verdict.status != HF_OK);
			else
				CHECK(f.verdict.status == HF_OK ||
					f.verdict.status == HF_INVALID);
		}
		end(&f);
	}
}

static void force__always_gets_it_or_says_why_not(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(10000); i++) {
		fixture f;

		begin(&f, i);
		f.request.ask = HF_ASK_ACQUIRE;
		f.request.take = HF_TAKE_ALL;
		f.request.grant.id = draw_id(&f.d);
		f.request.grant.group = f.request.grant.id;
		decide(&f);
		CHECK(f.verdict.status == HF_OK || f.verdict.status == HF_INVALID);
		if (f.verdict.status == HF_INVALID)
			CHECK(!f.verdict.swap && f.verdict.reason[0]);
		else
			CHECK(f.verdict.swap && grant_of(&f.next, f.request.grant.id));
		end(&f);
	}
}

/* Nobody is robbed for nothing. */
static void steal__takes_only_what_is_stale_and_only_to_get_in(void **state)
{
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < draw_rounds(20000); i++) {
		fixture f;

		begin(&f, i);
		f.request.ask = HF_ASK_ACQUIRE;
		f.request.take = HF_TAKE_STALE;
		f.request.grant.id = draw_id(&f.d);
		f.request.grant.group = f.request.grant.id;
		decide(&f);
		for (k = 0; f.verdict.swap && k < f.prev.grant_count; k++) {
			const hf_grant *g = &f.prev.grants[k];
			int64_t unrenewed =
				f.evidence.grants ? f.evidence.grants[k].unchanged_ms : 0;

			if (grant_of(&f.next, g->id) || over(&f, k))
				continue;
			if (g->clock[0] && !strcmp(g->clock, f.evidence.clock))
				unrenewed = f.evidence.now_ms - (g->deadline_ms - g->ttl_ms);
			CHECK(f.verdict.status == HF_OK);
			CHECK(unrenewed >= f.request.stale_after_ms);
		}
		end(&f);
	}
}

/* ---- time ---- */

static void pass(hf_evidence *e, hf_grant_evidence *grants, size_t n, int64_t ms)
{
	size_t i;

	e->now_ms += ms;
	e->closed_unchanged_ms += ms;
	e->grants = grants;
	for (i = 0; i < n; i++)
		grants[i].unchanged_ms += ms;
}

/* Until wait_ms has passed, time alone changes nothing; then it does. */
static void held__tells_how_long_time_alone_changes_nothing(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(20000); i++) {
		fixture f;
		hf_verdict v;
		int64_t wait;
		size_t ended;

		begin(&f, i);
		f.request.ask = HF_ASK_ACQUIRE;
		f.request.take = HF_TAKE_NOTHING;
		f.request.grant.id = draw_id(&f.d);
		f.request.grant.group = f.request.grant.id;
		f.evidence.grants = f.grants;
		decide(&f);
		wait = f.verdict.wait_ms;
		ended = f.verdict.ended;
		if (f.verdict.status == HF_HELD && !f.verdict.swap && wait > 0) {
			pass(&f.evidence, f.grants, f.prev.grant_count, wait - 1);
			v = hf_rules_apply(
				&f.prev, &f.request, &f.evidence, &f.again, &f.scratch);
			CHECK(v.status == HF_HELD);
			pass(&f.evidence, f.grants, f.prev.grant_count, 1);
			v = hf_rules_apply(
				&f.prev, &f.request, &f.evidence, &f.again, &f.scratch);
			CHECK(v.status == HF_OK || v.ended > ended ||
				hf_rules_closed_ms(&f.prev, &f.evidence) == 0);
		}
		end(&f);
	}
}

/* A renewal that does not shorten the ttl does not shorten the lease. */
static void renewal__never_ends_a_lease_sooner(void **state)
{
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < draw_rounds(20000); i++) {
		fixture f;

		begin(&f, i);
		f.request.ask = HF_ASK_RENEW;
		decide(&f);
		for (k = 0; f.verdict.swap && k < f.prev.grant_count; k++) {
			const hf_grant *g = &f.prev.grants[k];
			const hf_grant *n = grant_of(&f.next, g->id);

			if (!n || n->gen == g->gen || !g->ttl_ms || n->ttl_ms < g->ttl_ms)
				continue;
			CHECK(!strcmp(n->clock, f.evidence.clock));
			CHECK(n->deadline_ms >= f.evidence.now_ms + n->ttl_ms);
			if (g->clock[0] && !strcmp(g->clock, n->clock))
				CHECK(n->deadline_ms >= g->deadline_ms);
		}
		end(&f);
	}
}

static void lease__without_a_ttl_never_expires(void **state)
{
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < draw_rounds(5000); i++) {
		fixture f;

		begin(&f, i);
		pass(&f.evidence, f.grants, f.prev.grant_count, HF_RECORD_MS_MAX / 2);
		for (k = 0; k < f.prev.grant_count; k++) {
			const hf_grant *g = &f.prev.grants[k];
			const char *why = hf_rules_over(&f.prev, k, &f.evidence);

			if (g->ttl_ms)
				CHECK(why != NULL);
			else
				CHECK(!why || !strcmp(why, "dead"));
		}
		end(&f);
	}
}

/* Deaths count for grants that are bound to their process, and only those. */
static void dead__ends_what_is_bound(void **state)
{
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < draw_rounds(5000); i++) {
		fixture f;

		begin(&f, i);
		f.evidence.grants = f.grants;
		for (k = 0; k < f.prev.grant_count; k++) {
			f.grants[k] = (hf_grant_evidence){.dead = true};
			f.prev.grants[k].ttl_ms = 0;
			CHECK(over(&f, k) == !!(f.prev.grants[k].flags & HF_GRANT_BOUND));
		}
		end(&f);
	}
}

/* ---- what comes from outside ---- */

/* Whatever can be read, the rules can be asked about: they assert and crash at nothing. */
static void damaged_record__that_can_be_read_harms_nobody(void **state)
{
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < draw_rounds(30000); i++) {
		hf_grant_evidence grants[16];
		fixture f;
		size_t changes;

		begin(&f, i);
		hf_record_encode(&f.prev, NULL, HF_RECORD_NEAR, &f.text);
		changes = 1 + (size_t)draw_below(&f.d, 4);
		for (k = 0; k < changes; k++) {
			static const char digits[] = "0123456789 =\n-sxi";

			f.text.data[draw_below(&f.d, f.text.len)] =
				digits[draw_below(&f.d, sizeof(digits) - 1)];
		}
		if (!hf_record_decode(&f.read, f.text.data, f.text.len, NULL, i % 2, NULL)) {
			for (k = 0; k < HF_ARRAY_LEN(grants); k++)
				grants[k] = f.grants[k];
			f.evidence.grants = f.read.grant_count <= 16 ? grants : NULL;
			for (k = 0; k <= HF_ASK_BARRIER; k++) {
				f.request.ask = (hf_ask)k;
				hf_rules_apply(
					&f.read, &f.request, &f.evidence, &f.again, &f.scratch);
			}
		}
		end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swap__keeps_the_invariants_and_is_readable),
		cmocka_unit_test(request__asked_again_over_its_result_changes_nothing),
		cmocka_unit_test(request__leaves_the_others_alone),
		cmocka_unit_test(acquire__lets_in_whom_it_may),
		cmocka_unit_test(acquire__goes_together_as_the_table_says),
		cmocka_unit_test(reenter__is_for_those_who_need_no_more),
		cmocka_unit_test(convert__an_intention_stays_one),
		cmocka_unit_test(limit__counts_those_who_hold_the_lock_itself),
		cmocka_unit_test(acquire__waits_for_the_lock_delay),
		cmocka_unit_test(acquire__after_a_delay_that_nobody_saw_is_let_in),
		cmocka_unit_test(force__always_gets_it_or_says_why_not),
		cmocka_unit_test(steal__takes_only_what_is_stale_and_only_to_get_in),
		cmocka_unit_test(held__tells_how_long_time_alone_changes_nothing),
		cmocka_unit_test(renewal__never_ends_a_lease_sooner),
		cmocka_unit_test(lease__without_a_ttl_never_expires),
		cmocka_unit_test(dead__ends_what_is_bound),
		cmocka_unit_test(damaged_record__that_can_be_read_harms_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
