/* What clients may believe and be told. See sim.h. */
#include "sim.h"

const hf_grant *sim_find_grant(const hf_record *record, const char *id)
{
	size_t i;

	for (i = 0; i < record->grant_count; i++)
		if (!strcmp(record->grants[i].id, id))
			return &record->grants[i];
	return NULL;
}

bool sim_overruled(const sim *s, const sim_op *op)
{
	const sim_truth *t = &s->truth[op->key];
	size_t i;

	if (t->went_back && op->started_at <= t->went_back_at)
		return true;
	for (i = 0; i < t->overruled_count; i++)
		if (!strcmp(t->overruled[i], op->id))
			return true;
	return false;
}

/* ---- belief ---- */

const bool sim_together[4][4] = {
	[HF_EXCLUSIVE] = {false, false, false, false},
	[HF_SHARED] = {false, true, true, false},
	[HF_INTENT_SHARED] = {false, true, true, true},
	[HF_INTENT_EXCLUSIVE] = {false, false, true, true},
};

bool sim_is_intent(hf_mode mode)
{
	return mode == HF_INTENT_SHARED || mode == HF_INTENT_EXCLUSIVE;
}

bool sim_trusts(const sim *s, int client, const sim_lease *lease)
{
	return lease->held && !lease->releasing && s->clients[client].alive &&
	       sim_boot_ms(s, client) < lease->trust_until_ms;
}

static void check_one(sim *s, int client, const sim_lease *lease)
{
	const hf_grant *g = sim_find_grant(&s->truth[lease->key].record, lease->id);
	unsigned mode;

	if (!g)
		sim_fail(s, "c%d trusts %s, which the store does not have", client, lease->id);
	if (g->token < lease->token)
		sim_fail(s, "c%d trusts token %llu of %s, the store has %llu", client,
			(unsigned long long)lease->token, lease->id,
			(unsigned long long)g->token);
	for (mode = 0; mode < 4; mode++)
		if (!sim_together[lease->mode][mode] && sim_together[g->mode][mode])
			sim_fail(s, "c%d trusts %s to be %s, and it is %s", client, lease->id,
				hf_mode_name(lease->mode), hf_mode_name(g->mode));
}

static void check_two(sim *s, const sim_lease *a, const sim_lease *b)
{
	if (!strcmp(a->group, b->group))
		return;
	if (!sim_together[a->mode][b->mode])
		sim_fail(s, "%s and %s are in at once", a->id, b->id);
}

static void check_limit(sim *s, uint32_t limit, const sim_lease *const *in, size_t n)
{
	size_t groups = 0;
	size_t i;
	size_t j;

	for (i = 0; i < n; i++) {
		if (sim_is_intent(in[i]->mode))
			continue;
		for (j = 0; j < i && (sim_is_intent(in[j]->mode) ||
					     strcmp(in[j]->group, in[i]->group) != 0);
			j++)
			;
		groups += j == i;
	}
	if (limit && groups > limit)
		sim_fail(s, "%zu are in at once where the limit is %u", groups, limit);
}

static void check_key(sim *s, int key)
{
	const sim_lease *in[SIM_CLIENTS * SIM_LEASES];
	const hf_record *r = &s->truth[key].record;
	uint32_t limit = 0;
	size_t n = 0;
	size_t i;
	int c;
	int j;

	for (c = 0; c < s->plan.clients; c++)
		for (j = 0; j < SIM_LEASES; j++) {
			const sim_lease *lease = &s->clients[c].leases[j];

			if (lease->key != key || lease->overruled || !sim_trusts(s, c, lease))
				continue;
			check_one(s, c, lease);
			for (i = 0; i < n; i++)
				check_two(s, in[i], lease);
			in[n++] = lease;
		}
	for (i = 0; i < r->grant_count && !limit; i++)
		limit = r->grants[i].limit;
	check_limit(s, limit, in, n);
}

void sim_check_trust(sim *s)
{
	int k;

	for (k = 0; k < s->plan.keys; k++)
		check_key(s, k);
}

/*
 * The protected resource refuses a token smaller than one that wrote. Holds of
 * one group are one actor to it.
 */
void sim_check_use(sim *s, int client, const sim_lease *lease)
{
	sim_truth *t = &s->truth[lease->key];
	bool accepted =
		lease->token >= t->written_token || !strcmp(lease->group, t->written_group);

	if (!sim_trusts(s, client, lease))
		return;
	if (!accepted && !lease->overruled && !t->went_back)
		sim_fail(s, "c%d holds %s and is fenced out: token %llu after %llu", client,
			lease->id, (unsigned long long)lease->token,
			(unsigned long long)t->written_token);
	if (lease->mode != HF_EXCLUSIVE || !accepted)
		return;
	if (lease->token > t->written_token)
		t->written_token = lease->token;
	hf_copy(t->written_group, sizeof(t->written_group), lease->group);
}

/* ---- answers ---- */

static void check_acquired(sim *s, const sim_op *op)
{
	int64_t base = op->attempt->base_ms;

	if (s->truth[op->key].went_back && op->started_at <= s->truth[op->key].went_back_at)
		return; /* what could not land any more may have */
	if (!op->granted || op->granted_token != op->attempt->token)
		sim_fail(s, "op%d is told that it got token %llu, and was granted %llu",
			op->index, (unsigned long long)op->attempt->token,
			(unsigned long long)op->granted_token);
	if (base <= 0 || sim_true_ms(s, op->client, base) > op->granted_by + 1)
		sim_fail(s, "op%d may trust from %lld, its request was sent at %lld", op->index,
			(long long)sim_true_ms(s, op->client, base), (long long)op->granted_by);
}

/* One that has expired already, and was not swept yet, is none. */
static bool has_expired(const sim *s, sim_truth *t, const hf_grant *g)
{
	return g->ttl_ms && s->now >= sim_fact_of(&t->facts, g->id)->asked_at + g->ttl_ms;
}

static void check_not_acquired(sim *s, const sim_op *op)
{
	sim_truth *t = &s->truth[op->key];
	const hf_grant *g = sim_find_grant(&t->record, op->id);

	if (t->went_back)
		return;
	if (g && !has_expired(s, t, g))
		sim_fail(s, "op%d is told '%s', and its grant stands", op->index,
			hf_status_name(op->answer));
	if (op->answer == HF_HELD && !t->taken && t->taken_until < op->started_at)
		sim_fail(
			s, "op%d is told 'held', and nobody held it since it asked", op->index);
}

static void check_renewal(sim *s, const sim_op *op)
{
	sim_truth *t = &s->truth[op->key];
	const hf_grant *g = sim_find_grant(&t->record, op->id);
	uint64_t want = op->setup.request.renewals;
	int64_t base = sim_true_ms(s, op->client, op->attempt->base_ms);

	if (!g || t->went_back)
		return;
	if (op->answer == HF_OK && g->renewals < want)
		sim_fail(s, "op%d is told of renewal %llu, the store has %llu", op->index,
			(unsigned long long)want, (unsigned long long)g->renewals);
	if (op->answer == HF_OK && base > sim_fact_of(&t->facts, g->id)->asked_at + 2)
		sim_fail(s, "op%d may trust from %lld, after its request was sent", op->index,
			(long long)base);
	if (op->answer == HF_LOST || op->answer == HF_NOT_OWNER)
		sim_fail(s, "op%d is told '%s', and its grant stands", op->index,
			hf_status_name(op->answer));
}

static void check_release(sim *s, const sim_op *op)
{
	sim_truth *t = &s->truth[op->key];
	const hf_who *who = &op->setup.request.who;
	size_t i;

	if (t->went_back ||
		(op->answer != HF_OK && op->answer != HF_LOST && op->answer != HF_NOT_OWNER))
		return;
	/* By name there may be another meanwhile, and that one is what is told of. */
	if (op->answer != HF_OK && op->released && who->id)
		sim_fail(s, "op%d is told '%s', and its release had landed", op->index,
			hf_status_name(op->answer));
	for (i = 0; i < t->record.grant_count; i++) {
		const hf_grant *g = &t->record.grants[i];

		if (who->id	     ? strcmp(g->id, who->id) != 0
			: who->owner ? strcmp(g->owner, who->owner) != 0
				     : strcmp(g->fingerprint, who->fingerprint) != 0)
			continue;
		if (sim_fact_of(&t->facts, g->id)->came_at < op->started_at)
			sim_fail(s, "op%d is told '%s' of a release, and %s stands", op->index,
				hf_status_name(op->answer), g->id);
	}
}

static void check_convert(sim *s, const sim_op *op)
{
	sim_truth *t = &s->truth[op->key];
	const hf_grant *g = sim_find_grant(&t->record, op->id);

	if (!g || t->went_back || has_expired(s, t, g))
		return;
	if (op->answer == HF_OK ? g->mode != op->setup.request.mode
				: op->converted && op->answer != HF_UNKNOWN)
		sim_fail(s, "op%d is told '%s' of a conversion, and the store says otherwise",
			op->index, hf_status_name(op->answer));
	if (op->answer == HF_OK && g->token != op->attempt->token)
		sim_fail(s, "op%d converted to token %llu, the store has %llu", op->index,
			(unsigned long long)op->attempt->token, (unsigned long long)g->token);
}

static void check_plausible(sim *s, const sim_op *op)
{
	const hf_attempt *a = op->attempt;
	bool asked_in_peace = s->quiet && op->started_at > s->plan.run_ms;

	if (a->regressed != op->saw_regress)
		sim_fail(s,
			a->regressed ? "op%d says that the store went back, and it did not"
				     : "op%d saw the store go back and says nothing",
			op->index);
	if (op->answer != HF_OK && (a->error.kind != op->answer || !a->error.text[0]))
		sim_fail(s, "op%d is told '%s' and explained '%s: %s'", op->index,
			hf_status_name(op->answer), hf_status_name(a->error.kind),
			a->error.text);
	switch (op->answer) {
	case HF_UNKNOWN:
	case HF_UNAVAILABLE:
		if (asked_in_peace)
			sim_fail(s, "op%d is told '%s' by a store that works", op->index,
				hf_status_name(op->answer));
		break;
	case HF_CORRUPT:
	case HF_OK:
	case HF_HELD:
	case HF_TIMED_OUT:
	case HF_LOST:
	case HF_NOT_OWNER:
	case HF_INVALID:
	case HF_DEADLOCK:
		break;
	default:
		sim_fail(s, "op%d is told '%s'", op->index, hf_status_name(op->answer));
	}
}

void sim_check_answer(sim *s, sim_op *op)
{
	check_plausible(s, op);
	s->answers[op->answer]++;
	s->regressions += op->attempt->regressed;
	switch (op->setup.request.ask) {
	case HF_ASK_ACQUIRE:
		if (op->answer == HF_OK)
			check_acquired(s, op);
		else if (op->answer != HF_UNKNOWN)
			check_not_acquired(s, op);
		break;
	case HF_ASK_RENEW:
		check_renewal(s, op);
		break;
	case HF_ASK_RELEASE:
		check_release(s, op);
		break;
	case HF_ASK_CONVERT:
		check_convert(s, op);
		break;
	default:
		break;
	}
}

/* The history that the store kept replays to the present, from its start. */
void sim_check_history(sim *s, int key)
{
	const sim_cell *cell = &s->store.cells[key];
	sim_facts facts = {.count = 0};
	size_t i;

	for (i = 0; i < cell->history_count; i++)
		sim_replay(s, &facts, cell->history[i]);
	sim_compare_replay(s, &facts, &s->truth[key].record);
}
