/*
 * Rules and stores broken on purpose: each must be caught. See sim.h.
 *
 * The calls that the attempt makes to the rules and to the decoder of
 * snapshots pass through here (the linker's --wrap), so that src/ is as it is.
 */
#include "sim.h"

#include "lock/queue.h"

#include <stdio.h>

hf_verdict __real_hf_rules_apply(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch);
hf_verdict __wrap_hf_rules_apply(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch);
hf_status __real_hf_snapshot_decode(const char *name, const hf_snapshot *snapshot, size_t near,
	hf_record *record, hf_error *error);
hf_status __wrap_hf_snapshot_decode(const char *name, const hf_snapshot *snapshot, size_t near,
	hf_record *record, hf_error *error);

hf_verdict __wrap_hf_rules_apply(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	const sim_mutant *m = sim_current ? sim_current->mutant : NULL;

	return (m && m->rules ? m->rules : __real_hf_rules_apply)(
		prev, request, evidence, next, scratch);
}

hf_status __wrap_hf_snapshot_decode(const char *name, const hf_snapshot *snapshot, size_t near,
	hf_record *record, hf_error *error)
{
	const sim_mutant *m = sim_current ? sim_current->mutant : NULL;

	return (m && m->decode ? m->decode : __real_hf_snapshot_decode)(
		name, snapshot, near, record, error);
}

/* ---- rules ---- */

static hf_verdict renew_whoever(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_request other = *request;

	if (request->ask == HF_ASK_RENEW && prev->grant_count) {
		other.who = (hf_who){.id = prev->grants[0].id};
		other.renewals = 0;
	}
	return __real_hf_rules_apply(prev, &other, evidence, next, scratch);
}

static hf_verdict release_by_name(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_request other = *request;

	if (request->ask == HF_ASK_RELEASE && prev->grant_count)
		other.who = (hf_who){.id = prev->grants[0].id};
	return __real_hf_rules_apply(prev, &other, evidence, next, scratch);
}

static hf_verdict wall_clocks(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_evidence other = *evidence;

	other.clock = "wall";
	other.now_ms = evidence->wall_ms;
	return __real_hf_rules_apply(prev, request, &other, next, scratch);
}

/* As if each grant had been renewed last when it was acquired, by wall time. */
static hf_evidence since_acquisition(
	const hf_record *prev, const hf_evidence *evidence, hf_grant_evidence *grants)
{
	hf_evidence other = *evidence;
	size_t i;

	for (i = 0; i < prev->grant_count && i < 64; i++) {
		grants[i] = evidence->grants[i];
		grants[i].unchanged_ms = evidence->wall_ms - prev->grants[i].acquired_wall_ms;
	}
	other.grants = grants;
	return other;
}

static hf_verdict expiry_from_acquisition(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_grant_evidence grants[64];
	hf_evidence other = since_acquisition(prev, evidence, grants);

	return __real_hf_rules_apply(prev, request, &other, next, scratch);
}

static hf_verdict steal_unseen(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_request other = *request;
	size_t i;

	if (request->take != HF_TAKE_STALE)
		return __real_hf_rules_apply(prev, request, evidence, next, scratch);
	for (i = 0; i < prev->grant_count; i++)
		if (evidence->wall_ms - prev->grants[i].acquired_wall_ms >=
			request->stale_after_ms)
			other.stale_after_ms = 0; /* however often it was renewed since */
	return __real_hf_rules_apply(prev, &other, evidence, next, scratch);
}

static hf_verdict token_from_wall(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_verdict v = __real_hf_rules_apply(prev, request, evidence, next, scratch);
	size_t i;

	if (!v.swap || request->ask != HF_ASK_ACQUIRE || v.status != HF_OK)
		return v;
	for (i = 0; i < next->grant_count; i++)
		if (!strcmp(next->grants[i].id, request->grant.id))
			next->grants[i].token = (uint64_t)evidence->wall_ms;
	next->counter = (uint64_t)evidence->wall_ms;
	next->event.token = next->counter;
	v.token = next->counter;
	return v;
}

static hf_verdict one_too_many(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_record more = *prev;
	hf_request other = *request;
	hf_grant grants[64];
	hf_verdict v;
	size_t i;

	if (request->ask != HF_ASK_ACQUIRE || !request->grant.limit || prev->grant_count > 64)
		return __real_hf_rules_apply(prev, request, evidence, next, scratch);
	for (i = 0; i < prev->grant_count; i++) {
		grants[i] = prev->grants[i];
		grants[i].limit += grants[i].limit > 0;
	}
	more.grants = grants;
	other.grant.limit++;
	v = __real_hf_rules_apply(&more, &other, evidence, next, scratch);
	for (i = 0; i < next->grant_count; i++)
		next->grants[i].limit -= next->grants[i].limit > 0;
	return v;
}

/* As the intention to share, below the lock, goes with all but an exclusive hold. */
static hf_verdict intentions_are_one(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_record other = *prev;
	hf_request asked = *request;
	hf_grant grants[64];
	hf_verdict v;
	size_t i;
	size_t j;

	if (request->ask != HF_ASK_ACQUIRE || prev->grant_count > 64)
		return __real_hf_rules_apply(prev, request, evidence, next, scratch);
	for (i = 0; i < prev->grant_count; i++) {
		grants[i] = prev->grants[i];
		if (grants[i].mode == HF_INTENT_EXCLUSIVE)
			grants[i].mode = HF_INTENT_SHARED;
	}
	other.grants = grants;
	if (asked.grant.mode == HF_INTENT_EXCLUSIVE)
		asked.grant.mode = HF_INTENT_SHARED;
	v = __real_hf_rules_apply(&other, &asked, evidence, next, scratch);
	for (i = 0; i < next->grant_count; i++) {
		hf_grant *g = &next->grants[i];

		if (!strcmp(g->id, request->grant.id))
			g->mode = request->grant.mode;
		for (j = 0; j < prev->grant_count; j++)
			if (!strcmp(g->id, prev->grants[j].id))
				g->mode = prev->grants[j].mode;
	}
	if (v.swap && !strcmp(next->event.id, request->grant.id))
		next->event.mode = request->grant.mode;
	return v;
}

static hf_verdict no_lock_delay(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_record open = *prev;

	open.closed_ms = 0;
	return __real_hf_rules_apply(&open, request, evidence, next, scratch);
}

static hf_verdict upgrade_keeps_token(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_verdict v = __real_hf_rules_apply(prev, request, evidence, next, scratch);
	size_t i;
	size_t j;

	if (!v.swap || request->ask != HF_ASK_CONVERT)
		return v;
	for (i = 0; i < next->grant_count; i++)
		for (j = 0; j < prev->grant_count; j++)
			if (!strcmp(next->grants[i].id, prev->grants[j].id) &&
				next->grants[i].token != prev->grants[j].token) {
				next->grants[i].token = prev->grants[j].token;
				next->event.token = prev->grants[j].token;
				v.token = prev->grants[j].token;
			}
	return v;
}

/* Who is new goes by those who wait to upgrade, as if they were not there. */
static hf_verdict upgrades_go_last(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_waiter upgrades[64];
	hf_waiter others[64];
	hf_waiter_evidence seen[64];
	hf_record fewer = *prev;
	hf_evidence e = *evidence;
	hf_verdict v;
	size_t n = 0;
	size_t i;

	if (request->ask != HF_ASK_ACQUIRE || prev->waiter_count > 64)
		return __real_hf_rules_apply(prev, request, evidence, next, scratch);
	fewer.waiter_count = 0;
	for (i = 0; i < prev->waiter_count; i++) {
		if (hf_waiter_upgrades(&prev->waiters[i])) {
			upgrades[n++] = prev->waiters[i];
			continue;
		}
		seen[fewer.waiter_count] = evidence->waiters[i];
		others[fewer.waiter_count++] = prev->waiters[i];
	}
	if (!n)
		return __real_hf_rules_apply(prev, request, evidence, next, scratch);
	fewer.waiters = others;
	e.waiters = seen;
	v = __real_hf_rules_apply(&fewer, request, &e, next, scratch);
	if (v.unproven >= 0) /* which it is, does not matter here */
		v = __real_hf_rules_apply(prev, request, evidence, next, scratch);
	for (i = 0; v.swap && i < n; i++)
		if (hf_queue_find(next, upgrades[i].want.id) < 0)
			*hf_record_add_waiter(next) = upgrades[i];
	return v;
}

static hf_verdict ended_in_silence(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_verdict v = __real_hf_rules_apply(prev, request, evidence, next, scratch);

	next->event.ended = "";
	return v;
}

static hf_verdict counter_from_grants(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch)
{
	hf_record other = *prev;
	size_t i;

	/* A token is "one more than the holders have", as if nothing had been before. */
	other.counter = 0;
	for (i = 0; i < prev->grant_count; i++)
		if (prev->grants[i].token > other.counter)
			other.counter = prev->grants[i].token;
	return __real_hf_rules_apply(&other, request, evidence, next, scratch);
}

/* ---- reading ---- */

static hf_status corrupt_is_free(const char *name, const hf_snapshot *snapshot, size_t near,
	hf_record *record, hf_error *error)
{
	hf_status st = __real_hf_snapshot_decode(name, snapshot, near, record, error);

	if (st != HF_CORRUPT)
		return st;
	hf_record_reset(record);
	record->name = name;
	return HF_OK;
}

static const sim_mutant mutants[] = {
	{"unknown-as-failed", "a request without an answer counts as failed",
		.defects = SIM_UNKNOWN_AS_FAILED},
	{"swap-with-gap", "the store compares, and writes a little later",
		.defects = SIM_SWAP_WITH_GAP},
	{"etag-of-content", "etags are made of who holds, and come back",
		.defects = SIM_ETAG_OF_CONTENT},
	{"absent-is-absent", "a forgotten key has the etag of one never used",
		.defects = SIM_ABSENT_IS_ABSENT},
	{"floor-not-kept", "forgetting a key forgets its tokens",
		.defects = SIM_FLOOR_NOT_KEPT},
	{"duplicates-land", "a request that arrives twice is done twice",
		.defects = SIM_DUPLICATES_LAND},
	{"stale-reads", "reads are served by a copy that lags behind",
		.defects = SIM_STALE_READS},
	{"trust-from-reply", "a holder counts its ttl from the answer",
		.defects = SIM_TRUST_FROM_REPLY},
	{"paused-is-dead", "who does not answer is taken for dead",
		.defects = SIM_PAUSED_IS_DEAD},
	{"no-barrier", "giving up does not make the late request impossible",
		.defects = SIM_NO_BARRIER},
	{"silent-regress", "that the store went back is not said",
		.defects = SIM_SILENT_REGRESS},
	{"etag-without-state", "an etag is remembered and what it marks is not",
		.defects = SIM_ETAG_WITHOUT_STATE},
	{"circle-seen-once", "a circle that was seen once is believed",
		.defects = SIM_CIRCLE_ONCE},
	{"circle-unseen", "nobody looks for circles", .defects = SIM_CIRCLE_UNSEEN},
	{"upgrades-keep-nothing", "who waits to upgrade does not say what it holds",
		.defects = SIM_UPGRADES_KEEP_NOTHING},
	{"all-are-victims", "whoever sees a circle gives up", .defects = SIM_ALL_ARE_VICTIMS},
	{"renew-whoever", "a renewal does not compare the id", .rules = renew_whoever},
	{"release-by-name", "a release does not compare the id", .rules = release_by_name},
	{"wall-clocks", "wall clocks of two hosts are compared", .rules = wall_clocks},
	{"expiry-from-acquisition", "expiry is judged from the holder's wall time",
		.rules = expiry_from_acquisition},
	{"steal-unseen", "stealing does not look at renewals", .rules = steal_unseen},
	{"token-from-wall", "tokens are wall time", .rules = token_from_wall},
	{"token-from-holders", "tokens count from who holds now", .rules = counter_from_grants},
	{"one-too-many", "the limit is off by one", .rules = one_too_many},
	{"intentions-are-one", "an intention to exclude goes together with who shares",
		.rules = intentions_are_one},
	{"no-lock-delay", "nobody minds the lock delay", .rules = no_lock_delay},
	{"upgrade-keeps-token", "an upgrade gives no new token", .rules = upgrade_keeps_token},
	{"upgrades-go-last", "who is new goes by those who wait to upgrade",
		.rules = upgrades_go_last},
	{"ended-in-silence", "events do not say whom they ended", .rules = ended_in_silence},
	{"corrupt-is-free", "a record that cannot be read counts as free",
		.decode = corrupt_is_free},
};

const sim_mutant *sim_mutant_named(const char *name)
{
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(mutants); i++)
		if (!strcmp(mutants[i].name, name))
			return &mutants[i];
	return NULL;
}

void sim_mutants_list(void)
{
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(mutants); i++)
		printf("%-24s %s\n", mutants[i].name, mutants[i].what);
}
