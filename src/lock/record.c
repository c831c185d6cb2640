/* The record in memory and its text form. See record.h. */
#include "record.h"
#include "fields.h"

#include <stdlib.h>

static const char *const event_names[HF_EV_COUNT_] = {
	[HF_EV_NONE] = "none",
	[HF_EV_ACQUIRE] = "acquire",
	[HF_EV_REENTER] = "reenter",
	[HF_EV_RELEASE] = "release",
	[HF_EV_EXTEND] = "extend",
	[HF_EV_RENEW] = "renew",
	[HF_EV_UPGRADE] = "upgrade",
	[HF_EV_DOWNGRADE] = "downgrade",
	[HF_EV_EXPIRE] = "expire",
	[HF_EV_STEAL] = "steal",
	[HF_EV_FORCE] = "force",
	[HF_EV_FORCE_RELEASE] = "force-release",
	[HF_EV_BARRIER] = "barrier",
};

const char *hf_event_kind_name(hf_event_kind kind)
{
	return (unsigned)kind < HF_EV_COUNT_ ? event_names[kind] : "?";
}

/* ---- memory ---- */

static const hf_record_event blank_event = {.id = "", .owner = "", .host = "", .ended = ""};

hf_grant hf_grant_blank(void)
{
	hf_grant g = {.id = "",
		.group = "",
		.owner = "",
		.fingerprint = "",
		.info = "",
		.under = "",
		.clock = "",
		.process = {.host = "", .boot = "", .live = "", .command = ""}};

	return g;
}

void hf_record_init(hf_record *record)
{
	memset(record, 0, sizeof(*record));
	hf_record_reset(record);
}

void hf_record_reset(hf_record *record)
{
	record->name = "";
	record->gen = 0;
	record->counter = 0;
	record->closed_ms = 0;
	record->closed_until_ms = 0;
	record->closed_clock = "";
	record->event = blank_event;
	record->grant_count = 0;
	record->waiter_count = 0;
}

void hf_record_free(hf_record *record)
{
	free(record->grants);
	free(record->waiters);
	free(record->text);
	memset(record, 0, sizeof(*record));
}

/* Room for one more of `size` bytes in *items; the doubled array, or NULL. */
static void *grown(void *items, size_t count, size_t *cap, size_t size)
{
	size_t want = *cap ? *cap * 2 : 4;
	void *more;

	if (count < *cap)
		return items;
	more = reallocarray(items, want, size);
	if (more)
		*cap = want;
	return more;
}

hf_grant *hf_record_add_grant(hf_record *record)
{
	hf_grant *grants =
		grown(record->grants, record->grant_count, &record->grant_cap, sizeof(*grants));

	if (!grants)
		return NULL;
	record->grants = grants;
	grants[record->grant_count] = hf_grant_blank();
	return &grants[record->grant_count++];
}

hf_waiter *hf_record_add_waiter(hf_record *record)
{
	hf_waiter *waiters = grown(
		record->waiters, record->waiter_count, &record->waiter_cap, sizeof(*waiters));

	if (!waiters)
		return NULL;
	record->waiters = waiters;
	waiters[record->waiter_count] = (hf_waiter){.want = hf_grant_blank(), .bell = ""};
	return &waiters[record->waiter_count++];
}

bool hf_record_copy(hf_record *to, const hf_record *from)
{
	size_t i;

	hf_record_reset(to);
	for (i = 0; i < from->grant_count; i++) {
		hf_grant *g = hf_record_add_grant(to);

		if (!g)
			return false;
		*g = from->grants[i];
	}
	for (i = 0; i < from->waiter_count; i++) {
		hf_waiter *w = hf_record_add_waiter(to);

		if (!w)
			return false;
		*w = from->waiters[i];
	}
	to->name = from->name;
	to->gen = from->gen;
	to->counter = from->counter;
	to->closed_ms = from->closed_ms;
	to->closed_until_ms = from->closed_until_ms;
	to->closed_clock = from->closed_clock;
	to->event = from->event;
	return true;
}

/* ---- writing ---- */

static void put_process(hf_buf *buf, const hf_process *p)
{
	hf_put_text(buf, "host", p->host);
	hf_put_text(buf, "boot", p->boot);
	hf_put_u64(buf, "pns", p->pidns);
	hf_put_u64(buf, "tns", p->timens);
	hf_put_i64(buf, "pid", p->pid);
	hf_put_u64(buf, "start", p->start);
	hf_put_u64(buf, "uid", p->uid);
	hf_put_text(buf, "live", p->live);
	hf_put_text(buf, "cmd", p->command);
}

static void put_grant(hf_buf *buf, const hf_grant *g)
{
	hf_put_text(buf, "id", g->id);
	if (strcmp(g->group, g->id) != 0)
		hf_put_text(buf, "group", g->group);
	hf_put_text(buf, "m", g->mode == HF_SHARED ? "s" : "x");
	hf_put_u64(buf, "lim", g->limit);
	hf_put_u64(buf, "fl", g->flags & (unsigned)~HF_GRANT_FOREIGN);
	hf_put_i64(buf, "pri", g->priority);
	hf_put_u64(buf, "tok", g->token);
	hf_put_i64(buf, "ttl", g->ttl_ms);
	hf_put_i64(buf, "delay", g->lock_delay_ms);
	hf_put_u64(buf, "ren", g->renewals);
	hf_put_i64(buf, "at", g->acquired_wall_ms);
	hf_put_text(buf, "clk", g->clock);
	hf_put_i64(buf, "dl", g->deadline_ms);
	hf_put_text(buf, "owner", g->owner);
	hf_put_text(buf, "fp", g->fingerprint);
	hf_put_text(buf, "under", g->under);
	put_process(buf, &g->process);
	hf_put_text(buf, "info", g->info);
}

void hf_event_encode(const hf_record_event *event, hf_buf *buf)
{
	hf_put_u64(buf, "gen", event->gen);
	hf_put_text(buf, "kind", hf_event_kind_name(event->kind));
	hf_put_i64(buf, "at", event->wall_ms);
	hf_put_text(buf, "id", event->id);
	if (event->mode == HF_SHARED)
		hf_put_text(buf, "m", "s");
	hf_put_u64(buf, "tok", event->token);
	hf_put_text(buf, "owner", event->owner);
	hf_put_text(buf, "host", event->host);
	hf_put_i64(buf, "pid", event->pid);
	hf_put_text(buf, "ended", event->ended);
}

void hf_record_encode(const hf_record *record, hf_buf *buf)
{
	size_t i;

	hf_buf_adds(buf, "holdfast 1\nlock");
	hf_put_text(buf, "name", record->name);
	hf_put_u64(buf, "gen", record->gen);
	hf_put_u64(buf, "token", record->counter);
	hf_put_i64(buf, "closed", record->closed_ms);
	hf_put_i64(buf, "until", record->closed_until_ms);
	hf_put_text(buf, "clk", record->closed_clock);
	hf_buf_adds(buf, "\nevent");
	hf_event_encode(&record->event, buf);
	for (i = 0; i < record->grant_count; i++) {
		hf_buf_adds(buf, "\ngrant");
		put_grant(buf, &record->grants[i]);
	}
	for (i = 0; i < record->waiter_count; i++) {
		const hf_waiter *w = &record->waiters[i];

		hf_buf_adds(buf, "\nwait");
		put_grant(buf, &w->want);
		hf_put_u64(buf, "arr", w->arrival);
		hf_put_text(buf, "bell", w->bell);
		hf_put_i64(buf, "wake", w->wake_ms);
		hf_put_u64(buf, "offer", w->offer);
		hf_put_i64(buf, "claim", w->claim_deadline_ms);
	}
	hf_buf_adds(buf, "\nend\n");
}

/* ---- reading ---- */

static bool read_mode(const char *value, hf_mode *out)
{
	*out = value[0] == 's' ? HF_SHARED : HF_EXCLUSIVE;
	return (value[0] == 's' || value[0] == 'x') && !value[1];
}

static bool read_process_field(hf_process *p, const char *key, const char *value)
{
	if (!strcmp(key, "host"))
		return (p->host = value);
	if (!strcmp(key, "boot"))
		return (p->boot = value);
	if (!strcmp(key, "pns"))
		return hf_parse_u64(value, &p->pidns);
	if (!strcmp(key, "tns"))
		return hf_parse_u64(value, &p->timens);
	if (!strcmp(key, "pid"))
		return hf_parse_i64(value, &p->pid);
	if (!strcmp(key, "start"))
		return hf_parse_u64(value, &p->start);
	if (!strcmp(key, "uid"))
		return hf_read_u32(value, &p->uid);
	if (!strcmp(key, "live"))
		return (p->live = value);
	if (!strcmp(key, "cmd"))
		return (p->command = value);
	return false;
}

static bool read_grant_field(hf_grant *g, const char *key, const char *value)
{
	if (!strcmp(key, "id"))
		return *(g->id = value) && strlen(value) <= 64;
	if (!strcmp(key, "group"))
		return *(g->group = value) && strlen(value) <= 64;
	if (!strcmp(key, "m"))
		return read_mode(value, &g->mode);
	if (!strcmp(key, "lim"))
		return hf_read_u32(value, &g->limit);
	if (!strcmp(key, "fl"))
		return hf_read_u32(value, &g->flags) && g->flags <= HF_GRANT_BOUND;
	if (!strcmp(key, "pri"))
		return hf_read_i32(value, &g->priority);
	if (!strcmp(key, "tok"))
		return hf_parse_u64(value, &g->token);
	if (!strcmp(key, "ttl"))
		return hf_parse_i64(value, &g->ttl_ms) && g->ttl_ms >= 0;
	if (!strcmp(key, "delay"))
		return hf_parse_i64(value, &g->lock_delay_ms) && g->lock_delay_ms >= 0;
	if (!strcmp(key, "ren"))
		return hf_parse_u64(value, &g->renewals);
	if (!strcmp(key, "at"))
		return hf_parse_i64(value, &g->acquired_wall_ms);
	if (!strcmp(key, "clk"))
		return (g->clock = value);
	if (!strcmp(key, "dl"))
		return hf_parse_i64(value, &g->deadline_ms);
	if (!strcmp(key, "owner"))
		return (g->owner = value);
	if (!strcmp(key, "fp"))
		return (g->fingerprint = value);
	if (!strcmp(key, "under"))
		return (g->under = value);
	if (!strcmp(key, "info"))
		return (g->info = value);
	return read_process_field(&g->process, key, value);
}

static bool read_grant(hf_fields *fields, hf_grant *g)
{
	char *key;
	char *value;

	while (hf_fields_next(fields, &key, &value))
		if (!read_grant_field(g, key, value))
			return false;
	if (!g->group[0])
		g->group = g->id;
	return !fields->bad && g->id[0];
}

static bool read_waiter_field(hf_waiter *w, const char *key, const char *value)
{
	if (!strcmp(key, "arr"))
		return hf_parse_u64(value, &w->arrival);
	if (!strcmp(key, "bell"))
		return (w->bell = value);
	if (!strcmp(key, "wake"))
		return hf_parse_i64(value, &w->wake_ms);
	if (!strcmp(key, "offer"))
		return hf_parse_u64(value, &w->offer);
	if (!strcmp(key, "claim"))
		return hf_parse_i64(value, &w->claim_deadline_ms);
	return read_grant_field(&w->want, key, value);
}

static bool read_waiter(hf_fields *fields, hf_waiter *w)
{
	char *key;
	char *value;

	while (hf_fields_next(fields, &key, &value))
		if (!read_waiter_field(w, key, value))
			return false;
	if (!w->want.group[0])
		w->want.group = w->want.id;
	return !fields->bad && w->want.id[0];
}

static bool read_event_field(hf_record_event *e, const char *key, const char *value)
{
	unsigned kind;

	if (!strcmp(key, "gen"))
		return hf_parse_u64(value, &e->gen);
	if (!strcmp(key, "kind")) {
		for (kind = 0; kind < HF_EV_COUNT_; kind++)
			if (!strcmp(event_names[kind], value)) {
				e->kind = (hf_event_kind)kind;
				return true;
			}
		return false;
	}
	if (!strcmp(key, "at"))
		return hf_parse_i64(value, &e->wall_ms);
	if (!strcmp(key, "id"))
		return (e->id = value);
	if (!strcmp(key, "m"))
		return read_mode(value, &e->mode);
	if (!strcmp(key, "tok"))
		return hf_parse_u64(value, &e->token);
	if (!strcmp(key, "owner"))
		return (e->owner = value);
	if (!strcmp(key, "host"))
		return (e->host = value);
	if (!strcmp(key, "pid"))
		return hf_parse_i64(value, &e->pid);
	if (!strcmp(key, "ended"))
		return (e->ended = value);
	return false;
}

static bool read_event(hf_fields *fields, hf_record_event *e)
{
	char *key;
	char *value;

	*e = blank_event;
	while (hf_fields_next(fields, &key, &value))
		if (!read_event_field(e, key, value))
			return false;
	return !fields->bad;
}

bool hf_event_decode(char *text, hf_record_event *event)
{
	hf_fields fields = hf_fields_of(text);

	return read_event(&fields, event);
}

static bool read_lock(hf_fields *fields, hf_record *r)
{
	char *key;
	char *value;

	while (hf_fields_next(fields, &key, &value)) {
		bool good = false;

		if (!strcmp(key, "name"))
			good = (r->name = value);
		else if (!strcmp(key, "gen"))
			good = hf_parse_u64(value, &r->gen);
		else if (!strcmp(key, "token"))
			good = hf_parse_u64(value, &r->counter);
		else if (!strcmp(key, "closed"))
			good = hf_parse_i64(value, &r->closed_ms) && r->closed_ms >= 0;
		else if (!strcmp(key, "until"))
			good = hf_parse_i64(value, &r->closed_until_ms);
		else if (!strcmp(key, "clk"))
			good = (r->closed_clock = value);
		if (!good)
			return false;
	}
	return !fields->bad && r->name[0] && r->gen > 0;
}

/* One line without its newline; `end_out` is set by the last. */
static hf_status read_line(hf_record *r, char *line, bool *end_out)
{
	char *rest = line + strcspn(line, " ");
	hf_fields fields;
	hf_grant *g;
	hf_waiter *w;
	bool good;

	if (*rest)
		*rest++ = '\0';
	fields = hf_fields_of(rest);
	if (!strcmp(line, "lock")) {
		good = !r->name[0] && read_lock(&fields, r);
	} else if (!strcmp(line, "event")) {
		good = r->event.kind == HF_EV_NONE && read_event(&fields, &r->event);
	} else if (!strcmp(line, "grant")) {
		g = hf_record_add_grant(r);
		if (!g)
			return HF_NO_MEMORY;
		good = read_grant(&fields, g);
	} else if (!strcmp(line, "wait")) {
		w = hf_record_add_waiter(r);
		if (!w)
			return HF_NO_MEMORY;
		good = read_waiter(&fields, w);
	} else {
		*end_out = true;
		good = !strcmp(line, "end") && !*rest;
	}
	return good ? HF_OK : HF_CORRUPT;
}

static hf_status read_lines(hf_record *r, size_t len, hf_error *error)
{
	char *p = r->text;
	char *text_end = r->text + len;
	bool end = false;
	unsigned number;

	for (number = 1; !end; number++) {
		char *newline = memchr(p, '\n', (size_t)(text_end - p));
		uint64_t version;
		hf_status st;

		if (!newline)
			return hf_fail(error, HF_CORRUPT, "decode", 0,
				"the record is cut off in line %u: it has no end line", number);
		*newline = '\0';
		if (number > 1) {
			st = read_line(r, p, &end);
			if (st == HF_NO_MEMORY)
				return hf_fail_memory(error, "decode");
			if (st)
				return hf_fail(error, HF_CORRUPT, "decode", 0,
					"the record's line %u cannot be read", number);
		} else if (strncmp(p, "holdfast ", 9) != 0 || !hf_parse_u64(p + 9, &version)) {
			return hf_fail(error, HF_CORRUPT, "decode", 0,
				"this is not a holdfast record: another program wrote here");
		} else if (version != HF_RECORD_VERSION) {
			return hf_fail(error, HF_CORRUPT, "decode", 0,
				"the record has format %llu and this is holdfast %s, which "
				"knows "
				"format %d: use a newer holdfast",
				(unsigned long long)version, HF_VERSION, HF_RECORD_VERSION);
		}
		p = newline + 1;
	}
	if (p != text_end || !r->name[0])
		return hf_fail(error, HF_CORRUPT, "decode", 0, "the record is damaged: %s",
			r->name[0] ? "bytes follow its end line" : "it has no lock line");
	return HF_OK;
}

hf_status hf_record_decode(hf_record *record, const char *data, size_t len,
	const char *expect_name, hf_error *error)
{
	hf_status st;

	hf_record_reset(record);
	if (len > HF_RECORD_MAX || memchr(data, '\0', len))
		return hf_fail(error, HF_CORRUPT, "decode", 0, "the record is damaged: %s",
			len > HF_RECORD_MAX ? "it is too long" : "it holds a zero byte");
	if (record->text_cap < len + 1) {
		char *text = realloc(record->text, len + 1);

		if (!text)
			return hf_fail_memory(error, "decode");
		record->text = text;
		record->text_cap = len + 1;
	}
	memcpy(record->text, data, len);
	record->text[len] = '\0';
	st = read_lines(record, len, error);
	if (!st && expect_name && strcmp(record->name, expect_name) != 0)
		st = hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record found there is that of '%s'", record->name);
	if (st)
		hf_record_reset(record);
	return st;
}

/* ---- for people ---- */

void hf_event_describe(const hf_record_event *event, const char *name, hf_buf *buf)
{
	hf_buf_addf(buf, "%s %s", hf_event_kind_name(event->kind), name);
	if (event->token)
		hf_buf_addf(buf, ", token %llu", (unsigned long long)event->token);
	if (event->mode == HF_SHARED)
		hf_buf_adds(buf, ", shared");
	if (event->owner[0])
		hf_buf_addf(buf, ", %s", event->owner);
	if (event->pid)
		hf_buf_addf(buf, " pid %lld", (long long)event->pid);
	if (event->ended[0])
		hf_buf_addf(buf, " (ended %s)", event->ended);
}
