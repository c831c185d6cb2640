/* Who may come in, over random records: against the plainest statement of it. */
#include "rules_helper.h"

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
		ask_anew(&f, HF_TAKE_NOTHING);
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
		ask_anew(&f, HF_TAKE_ALL);
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
		ask_anew(&f, HF_TAKE_STALE);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acquire__lets_in_whom_it_may),
		cmocka_unit_test(acquire__goes_together_as_the_table_says),
		cmocka_unit_test(reenter__is_for_those_who_need_no_more),
		cmocka_unit_test(convert__an_intention_stays_one),
		cmocka_unit_test(limit__counts_those_who_hold_the_lock_itself),
		cmocka_unit_test(acquire__waits_for_the_lock_delay),
		cmocka_unit_test(acquire__after_a_delay_that_nobody_saw_is_let_in),
		cmocka_unit_test(force__always_gets_it_or_says_why_not),
		cmocka_unit_test(steal__takes_only_what_is_stale_and_only_to_get_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
