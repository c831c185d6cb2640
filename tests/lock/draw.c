/* Random things for the property tests. See draw.h. */
#include "draw.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	uint64_t value;

	return text && hf_parse_u64(text, &value) ? value : otherwise;
}

size_t draw_rounds(size_t rounds)
{
	uint64_t percent = from_environment("HF_TEST_SCALE", 100);

	if (getenv("HF_SEED"))
		return 1;
	return percent < 100 ? rounds * (size_t)percent / 100 + 1 : rounds;
}

uint64_t seed_now;

void draw_begin(draw *d, size_t round)
{
	seed_now = from_environment("HF_SEED", 1) + round;
	memset(d, 0, sizeof(*d));
	hf_rng_seed(&d->rng, seed_now);
}

void draw_free(draw *d)
{
	while (d->count)
		free(d->texts[--d->count]);
}

uint64_t draw_below(draw *d, uint64_t n)
{
	return hf_rng_below(&d->rng, n);
}

bool draw_chance(draw *d, unsigned percent)
{
	return draw_below(d, 100) < percent;
}

/* ---- texts ---- */

static const char *keep(draw *d, const char *text)
{
	if (d->count == HF_ARRAY_LEN(d->texts))
		abort();
	return d->texts[d->count++] = strdup(text);
}

static void add_letter(draw *d, hf_buf *buf, bool controls)
{
	static const char *const letters[] = {"a", "Z", "0", " ", "%", "=", "/", "..", "-", "@",
		".lock", ":", "~", "\\", "\"", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x92",
		"{", "*", "?", "[", "^", "%41", ","};
	static const char *const odd[] = {"\n", "\t", "\x1b[31m", "\x7f", "\x01", "\xff"};

	if (controls && draw_chance(d, 5))
		hf_buf_adds(buf, odd[draw_below(d, HF_ARRAY_LEN(odd))]);
	else if (draw_chance(d, 60))
		hf_buf_addc(buf, (char)('a' + draw_below(d, 26)));
	else
		hf_buf_adds(buf, letters[draw_below(d, HF_ARRAY_LEN(letters))]);
}

const char *draw_text(draw *d, size_t most, bool controls)
{
	size_t len = draw_chance(d, 30) ? 0 : (size_t)draw_below(d, most + 1);
	hf_buf buf = HF_BUF_INIT;
	const char *text;

	hf_buf_adds(&buf, "");
	while (buf.len + 8 <= len)
		add_letter(d, &buf, controls);
	text = keep(d, buf.data);
	hf_buf_free(&buf);
	return text;
}

const char *draw_id(draw *d)
{
	char id[33];

	snprintf(id, sizeof(id), "%016llx%016llx", (unsigned long long)hf_rng_next(&d->rng),
		(unsigned long long)hf_rng_next(&d->rng));
	return keep(d, id);
}

const char *draw_name(draw *d)
{
	hf_buf buf = HF_BUF_INIT;
	size_t len = 1 + (size_t)draw_below(d, draw_chance(d, 70) ? 20 : HF_NAME_MAX);
	const char *name;

	do {
		add_letter(d, &buf, false);
	} while (buf.len < len && buf.len + 5 <= HF_NAME_MAX);
	name = keep(d, buf.data);
	hf_buf_free(&buf);
	return name;
}

/* ---- records ---- */

static int64_t some_ms(draw *d)
{
	static const int64_t usual[] = {0, 1, 100, 30000, 86400000, 31536000000};

	return draw_chance(d, 50) ? usual[draw_below(d, HF_ARRAY_LEN(usual))]
				  : (int64_t)draw_below(d, 100000);
}

static const char *some_clock(draw *d)
{
	static const char *const clocks[] = {"", "boot-1.4026531834", "boot-2.1", "store"};

	return clocks[draw_below(d, HF_ARRAY_LEN(clocks))];
}

static hf_process some_process(draw *d)
{
	return (hf_process){.host = draw_text(d, 60, true),
		.boot = draw_text(d, 36, false),
		.pidns = draw_chance(d, 50) ? hf_rng_next(&d->rng) : 0,
		.timens = draw_below(d, 3),
		.pid = (int64_t)draw_below(d, 4194304),
		.start = draw_chance(d, 50) ? hf_rng_next(&d->rng) : 0,
		.uid = (uint32_t)hf_rng_next(&d->rng),
		.live = draw_text(d, 90, true),
		.command = draw_text(d, 90, true)};
}

hf_mode draw_mode(draw *d)
{
	return (hf_mode)draw_below(d, HF_INTENT_EXCLUSIVE + 1);
}

hf_grant draw_grant(draw *d)
{
	hf_grant g = hf_grant_blank();

	g.id = draw_id(d);
	g.group = g.id;
	g.owner = draw_text(d, 40, true);
	g.fingerprint = draw_text(d, 20, true);
	g.info = draw_chance(d, 20) ? draw_text(d, 500, true) : "";
	g.under = draw_chance(d, 20) ? draw_id(d) : "";
	g.mode = draw_mode(d);
	g.limit = g.mode == HF_SHARED ? (uint32_t)draw_below(d, 5) : 0;
	g.flags = draw_chance(d, 50) ? HF_GRANT_BOUND : 0;
	if (g.flags && draw_chance(d, 30))
		g.flags |= HF_GRANT_FOR_TREE;
	g.priority = (int32_t)draw_below(d, 21) - 10;
	g.ttl_ms = some_ms(d);
	g.lock_delay_ms = draw_chance(d, 30) ? some_ms(d) : 0;
	g.process = some_process(d);
	return g;
}

/* What a record is to have beside re-entered holds: these go together. */
enum { ONE_EXCLUSIVE, SHARERS, INTENTIONS, KINDS };

static hf_mode mode_of_kind(draw *d, unsigned kind)
{
	switch (kind) {
	case ONE_EXCLUSIVE:
		return draw_mode(d);
	case SHARERS:
		return draw_chance(d, 70) ? HF_SHARED : HF_INTENT_SHARED;
	default:
		return draw_chance(d, 50) ? HF_INTENT_SHARED : HF_INTENT_EXCLUSIVE;
	}
}

static void add_grant(draw *d, hf_record *r, unsigned kind, uint32_t limit)
{
	hf_grant g = draw_grant(d);
	hf_grant *to;

	if (r->grant_count && (kind == ONE_EXCLUSIVE || draw_chance(d, 25)))
		g.group = r->grants[draw_below(d, r->grant_count)].group;
	g.mode = mode_of_kind(d, kind);
	g.limit = hf_mode_is_intent(g.mode) ? 0 : limit;
	g.token = 1 + draw_below(d, r->counter);
	g.gen = 1 + draw_below(d, r->gen);
	g.renewals = draw_below(d, 100);
	g.acquired_wall_ms = 1700000000000 + (int64_t)draw_below(d, 1000000);
	g.clock = some_clock(d);
	g.deadline_ms = (int64_t)draw_below(d, 200000) - 50000 + g.ttl_ms;
	to = hf_record_add_grant(r);
	if (!to)
		abort();
	*to = g;
}

static void add_event(draw *d, hf_record *r)
{
	r->event = (hf_record_event){.gen = r->gen - draw_below(d, r->gen),
		.kind = (hf_event_kind)(1 + draw_below(d, HF_EV_COUNT_ - 1)),
		.wall_ms = 1700000000000 + (int64_t)draw_below(d, 1000000),
		.id = draw_chance(d, 80) ? draw_id(d) : "",
		.owner = draw_text(d, 40, true),
		.host = draw_text(d, 40, true),
		.pid = (int64_t)draw_below(d, 100000),
		.token = draw_below(d, r->counter + 1),
		.mode = draw_mode(d),
		.ended = ""};
	if (draw_chance(d, 30)) {
		char ended[80];

		snprintf(ended, sizeof(ended), "expired:%s", draw_id(d));
		r->event.ended = keep(d, ended);
	}
}

void draw_record(draw *d, hf_record *r, bool free_too)
{
	unsigned kind = (unsigned)draw_below(d, KINDS);
	uint32_t limit = kind == SHARERS ? (uint32_t)draw_below(d, 5) : 0;
	size_t grants = (size_t)draw_below(d, 4) + !free_too;
	size_t i;

	hf_record_reset(r);
	r->name = draw_name(d);
	r->gen = 1 + draw_below(d, draw_chance(d, 90) ? 1000 : (uint64_t)1 << 60);
	r->counter = 1 + draw_below(d, r->gen);
	if (limit && grants > limit)
		grants = limit;
	for (i = 0; i < grants; i++)
		add_grant(d, r, kind, limit);
	if (draw_chance(d, 25)) {
		r->closed_ms = 1 + some_ms(d);
		r->closed_until_ms = (int64_t)draw_below(d, 200000);
		r->closed_clock = some_clock(d);
		r->closed_gen = 1 + draw_below(d, r->gen);
	}
	add_event(d, r);
	for (i = (size_t)draw_below(d, 3); i > 0; i--) {
		hf_waiter *w = hf_record_add_waiter(r);
		hf_grant g = draw_grant(d);

		if (!w)
			abort();
		w->want.id = w->want.group = g.id;
		if (r->grant_count && draw_chance(d, 25)) /* an upgrade */
			w->want.group = r->grants[draw_below(d, r->grant_count)].group;
		w->want.mode = g.mode;
		w->want.limit = g.limit;
		w->want.priority = g.priority;
		w->want.acquired_wall_ms = g.acquired_wall_ms;
		w->want.under = g.under;
		w->want.clock = g.clock;
		w->want.owner = g.owner;
		w->want.process = g.process;
		if (r->waiter_count > 1 && draw_chance(d, 50)) {
			w->want.owner = w[-1].want.owner;
			w->want.process = w[-1].want.process;
			w->claim_ms = w[-1].claim_ms;
		}
		w->arrival = 1 + draw_below(d, r->gen);
		w->passed = draw_below(d, 40);
		w->missed = draw_below(d, 3);
		if (!w->claim_ms)
			w->claim_ms = 1 + some_ms(d);
		w->claim_deadline_ms = some_ms(d);
	}
}

/* ---- asking ---- */

hf_evidence draw_evidence(draw *d, const hf_record *r, hf_grant_evidence *grants)
{
	hf_evidence e = {.clock = some_clock(d),
		.now_ms = (int64_t)draw_below(d, 300000),
		.wall_ms = 1700000000000 + (int64_t)draw_below(d, 10000000),
		.closed_unchanged_ms = some_ms(d),
		.grants = draw_chance(d, 90) ? grants : NULL};
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		grants[i] = (hf_grant_evidence){
			.dead = draw_chance(d, 20), .unchanged_ms = some_ms(d)};
	return e;
}

/* Somebody's, most of all that of one who holds. */
static hf_who some_who(draw *d, const hf_record *r)
{
	const hf_grant *g = r->grant_count ? &r->grants[draw_below(d, r->grant_count)] : NULL;
	hf_who who = {.id = NULL};

	if (!g || draw_chance(d, 15))
		who.id = draw_id(d);
	else if (draw_chance(d, 15))
		who.owner = g->owner;
	else if (draw_chance(d, 15))
		who.fingerprint = g->fingerprint;
	else
		who.id = g->id;
	return who;
}

static uint32_t limit_of(const hf_record *r)
{
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (!hf_mode_is_intent(r->grants[i].mode))
			return r->grants[i].limit;
	return 0;
}

hf_request draw_request(draw *d, const hf_record *r)
{
	hf_request q = {.ask = (hf_ask)draw_below(d, HF_ASK_BARRIER + 1),
		.grant = draw_grant(d),
		.stale_after_ms = some_ms(d),
		.who = some_who(d, r),
		.ttl_ms = some_ms(d),
		.mode = draw_mode(d),
		.queue = draw_chance(d, 50),
		.claim_ms = 1 + some_ms(d),
		.least_gen = draw_chance(d, 20) ? draw_below(d, 2000) : 0,
		.least_counter = draw_chance(d, 20) ? draw_below(d, 2000) : 0};

	if (draw_chance(d, 30))
		q.ask = HF_ASK_ACQUIRE;
	q.take = (hf_take)draw_below(d, HF_TAKE_ALL + 1);
	if (r->grant_count && draw_chance(d, 60))
		q.grant.limit = q.grant.mode == HF_SHARED ? limit_of(r) : 0;
	if (r->grant_count && draw_chance(d, 25))
		q.grant.group = r->grants[draw_below(d, r->grant_count)].group;
	if (r->grant_count && draw_chance(d, 5))
		q.grant.id = r->grants[draw_below(d, r->grant_count)].id;
	if (q.ask == HF_ASK_RENEW && q.who.id && draw_chance(d, 70))
		q.renewals = draw_below(d, 120);
	return q;
}
