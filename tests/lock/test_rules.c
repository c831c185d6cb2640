/* Properties of the rules over random records, requests and evidence. */
#include "rules_helper.h"

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
		ask_anew(&f, HF_TAKE_NOTHING);
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
		cmocka_unit_test(held__tells_how_long_time_alone_changes_nothing),
		cmocka_unit_test(renewal__never_ends_a_lease_sooner),
		cmocka_unit_test(lease__without_a_ttl_never_expires),
		cmocka_unit_test(dead__ends_what_is_bound),
		cmocka_unit_test(damaged_record__that_can_be_read_harms_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
