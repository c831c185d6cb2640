/* The record in memory, and how it is written. See record.h; record_read.c reads it. */
#include "record.h"
#include "record_lines.h"

#include <assert.h>
#include <stdlib.h>

static const char *const event_names[HF_EV_COUNT_ + 1] = {
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
	[HF_EV_QUEUE] = "queue",
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
	record->closed_gen = 0;
	record->told_grants = 0;
	record->told_waiters = 0;
	record->event = blank_event;
	record->grant_count = 0;
	record->waiter_count = 0;
	record->party_count = 0;
	record->far_count = 0;
	record->far_at = 0;
	record->far_from = 0;
	record->far = "";
	record->far_len = 0;
}

void hf_record_free(hf_record *record)
{
	free(record->grants);
	free(record->waiters);
	free(record->parties);
	free(record->text);
	free(record->far_text);
	memset(record, 0, sizeof(*record));
}

void hf_record_exchange(hf_record *a, hf_record *b)
{
	char *to = (char *)a;
	char *from = (char *)b;
	size_t left = sizeof(*a);
	char old[64];

	/* In pieces that fit into registers: each acquisition does this some times. */
	for (; left >= sizeof(old); to += sizeof(old), from += sizeof(old)) {
		memcpy(old, to, sizeof(old));
		memcpy(to, from, sizeof(old));
		memcpy(from, old, sizeof(old));
		left -= sizeof(old);
	}
	memcpy(old, to, left);
	memcpy(to, from, left);
	memcpy(from, old, left);
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
	waiters[record->waiter_count] = (hf_waiter){.want = hf_grant_blank()};
	return &waiters[record->waiter_count++];
}

hf_party *hf_record_add_party(hf_record *record)
{
	hf_party *parties = grown(
		record->parties, record->party_count, &record->party_cap, sizeof(*parties));

	if (!parties)
		return NULL;
	record->parties = parties;
	parties[record->party_count] = (hf_party){
		.owner = "", .process = {.host = "", .boot = "", .live = "", .command = ""}};
	return &parties[record->party_count++];
}

/* So many items of `size` bytes to *items, which has room for *cap. */
static bool copy_items(void **items, size_t *cap, const void *from, size_t count, size_t size)
{
	if (*cap < count) {
		void *more = reallocarray(*items, count, size);

		if (!more)
			return false;
		*items = more;
		*cap = count;
	}
	if (count)
		memcpy(*items, from, count * size);
	return true;
}

bool hf_record_copy(hf_record *to, const hf_record *from)
{
	void *grants = to->grants;
	void *waiters = to->waiters;
	void *parties = to->parties;
	bool done = copy_items(&grants, &to->grant_cap, from->grants, from->grant_count,
			    sizeof(*to->grants)) &&
		    copy_items(&waiters, &to->waiter_cap, from->waiters, from->waiter_count,
			    sizeof(*to->waiters)) &&
		    copy_items(&parties, &to->party_cap, from->parties, from->party_count,
			    sizeof(*to->parties));

	hf_record_reset(to);
	to->grants = grants;
	to->waiters = waiters;
	to->parties = parties;
	if (!done)
		return false;
	to->grant_count = from->grant_count;
	to->waiter_count = from->waiter_count;
	to->party_count = from->party_count;
	to->far_count = from->far_count;
	to->far_at = from->far_at;
	to->far_from = from->far_from;
	to->far = from->far;
	to->far_len = from->far_len;
	to->name = from->name;
	to->gen = from->gen;
	to->counter = from->counter;
	to->closed_ms = from->closed_ms;
	to->closed_until_ms = from->closed_until_ms;
	to->closed_clock = from->closed_clock;
	to->closed_gen = from->closed_gen;
	to->event = from->event;
	return true;
}

/* ---- the fields ---- */

static const hf_field grant_fields[] = {
	HF_FIELD("id", HF_FIELD_TEXT, hf_grant, id),
	HF_FIELD("group", HF_FIELD_TEXT, hf_grant, group),
	HF_FIELD("m", HF_FIELD_MODE, hf_grant, mode),
	HF_FIELD("lim", HF_FIELD_U32, hf_grant, limit),
	HF_FIELD("fl", HF_FIELD_U32, hf_grant, flags),
	HF_FIELD("pri", HF_FIELD_I32, hf_grant, priority),
	HF_FIELD("tok", HF_FIELD_U64, hf_grant, token),
	HF_FIELD("ttl", HF_FIELD_I64, hf_grant, ttl_ms),
	HF_FIELD("delay", HF_FIELD_I64, hf_grant, lock_delay_ms),
	HF_FIELD("ren", HF_FIELD_U64, hf_grant, renewals),
	HF_FIELD("gen", HF_FIELD_U64, hf_grant, gen),
	HF_FIELD("at", HF_FIELD_I64, hf_grant, acquired_wall_ms),
	HF_FIELD("clk", HF_FIELD_TEXT, hf_grant, clock),
	HF_FIELD("dl", HF_FIELD_I64, hf_grant, deadline_ms),
	HF_FIELD("owner", HF_FIELD_TEXT, hf_grant, owner),
	HF_FIELD("fp", HF_FIELD_TEXT, hf_grant, fingerprint),
	HF_FIELD("under", HF_FIELD_TEXT, hf_grant, under),
	HF_FIELD("host", HF_FIELD_TEXT, hf_grant, process.host),
	HF_FIELD("boot", HF_FIELD_TEXT, hf_grant, process.boot),
	HF_FIELD("pns", HF_FIELD_U64, hf_grant, process.pidns),
	HF_FIELD("tns", HF_FIELD_U64, hf_grant, process.timens),
	HF_FIELD("pid", HF_FIELD_I64, hf_grant, process.pid),
	HF_FIELD("start", HF_FIELD_U64, hf_grant, process.start),
	HF_FIELD("uid", HF_FIELD_U32, hf_grant, process.uid),
	HF_FIELD("live", HF_FIELD_TEXT, hf_grant, process.live),
	HF_FIELD("cmd", HF_FIELD_TEXT, hf_grant, process.command),
	HF_FIELD("info", HF_FIELD_TEXT, hf_grant, info),
};

static const hf_field event_fields[] = {
	HF_FIELD("gen", HF_FIELD_U64, hf_record_event, gen),
	{" kind=", 6, HF_FIELD_NAMES, offsetof(hf_record_event, kind), event_names},
	HF_FIELD("at", HF_FIELD_I64, hf_record_event, wall_ms),
	HF_FIELD("id", HF_FIELD_TEXT, hf_record_event, id),
	HF_FIELD("m", HF_FIELD_MODE, hf_record_event, mode),
	HF_FIELD("tok", HF_FIELD_U64, hf_record_event, token),
	HF_FIELD("owner", HF_FIELD_TEXT, hf_record_event, owner),
	HF_FIELD("host", HF_FIELD_TEXT, hf_record_event, host),
	HF_FIELD("pid", HF_FIELD_I64, hf_record_event, pid),
	HF_FIELD("ended", HF_FIELD_TEXT, hf_record_event, ended),
};

static const hf_field lock_fields[] = {
	HF_FIELD("name", HF_FIELD_TEXT, hf_record, name),
	HF_FIELD("gen", HF_FIELD_U64, hf_record, gen),
	HF_FIELD("token", HF_FIELD_U64, hf_record, counter),
	HF_FIELD("held", HF_FIELD_U64, hf_record, told_grants),
	HF_FIELD("wait", HF_FIELD_U64, hf_record, told_waiters),
	HF_FIELD("closed", HF_FIELD_I64, hf_record, closed_ms),
	HF_FIELD("until", HF_FIELD_I64, hf_record, closed_until_ms),
	HF_FIELD("clk", HF_FIELD_TEXT, hf_record, closed_clock),
	HF_FIELD("since", HF_FIELD_U64, hf_record, closed_gen),
};

/* ---- owning ---- */

/* How many bytes the texts take; those that do not fit into cap have not moved. */
static size_t move_texts(hf_record *r, char *to, size_t cap)
{
	size_t used =
		hf_fields_move_texts(lock_fields, HF_ARRAY_LEN(lock_fields), r, to, cap, 0);
	size_t i;

	used = hf_fields_move_texts(
		event_fields, HF_ARRAY_LEN(event_fields), &r->event, to, cap, used);
	for (i = 0; i < r->grant_count; i++)
		used = hf_fields_move_texts(
			grant_fields, HF_ARRAY_LEN(grant_fields), &r->grants[i], to, cap, used);
	return hf_waiters_move_texts(r, to, cap, used);
}

bool hf_record_own(hf_record *record)
{
	size_t size = move_texts(record, record->text, record->text_cap);
	char *text;

	assert(!record->far_count);
	if (size <= record->text_cap)
		return true;
	text = malloc(size);
	if (!text)
		return false;
	move_texts(record, text, size);
	free(record->text);
	record->text = text;
	record->text_cap = size;
	return true;
}

/* ---- writing ---- */

/* A grant as it is written: alone in its group, that goes without saying. */
static hf_grant as_written(const hf_grant *g)
{
	hf_grant w = *g;

	if (!strcmp(w.group, w.id))
		w.group = "";
	w.flags &= (unsigned)~HF_GRANT_FOREIGN;
	return w;
}

void hf_event_encode(const hf_record_event *event, hf_buf *buf)
{
	hf_fields_put(buf, event_fields, HF_ARRAY_LEN(event_fields), event);
}

size_t hf_record_waiting(const hf_record *record)
{
	return record->waiter_count + record->far_count;
}

void hf_record_encode(hf_record *record, const hf_buf *event_line, size_t near, hf_buf *buf)
{
	size_t i;

	record->told_grants = record->grant_count;
	record->told_waiters = hf_record_waiting(record);
	hf_buf_adds(buf, "holdfast 1\nlock");
	hf_fields_put(buf, lock_fields, HF_ARRAY_LEN(lock_fields), record);
	hf_buf_adds(buf, "\nevent");
	if (event_line)
		hf_buf_add(buf, event_line->data, event_line->len);
	else
		hf_event_encode(&record->event, buf);
	for (i = 0; i < record->grant_count; i++) {
		hf_grant g = as_written(&record->grants[i]);

		hf_buf_adds(buf, "\ngrant");
		hf_fields_put(buf, grant_fields, HF_ARRAY_LEN(grant_fields), &g);
	}
	hf_buf_addc(buf, '\n');
	hf_waiters_put(buf, record, near);
}

/* ---- reading ---- */

bool hf_lock_read(char *line, hf_record *r)
{
	return hf_fields_read(line, lock_fields, HF_ARRAY_LEN(lock_fields), r);
}

bool hf_grant_read(char *line, hf_grant *g)
{
	if (!hf_fields_read(line, grant_fields, HF_ARRAY_LEN(grant_fields), g))
		return false;
	if (!g->group[0])
		g->group = g->id;
	return true;
}

bool hf_event_read(char *line, hf_record_event *e)
{
	*e = blank_event;
	return hf_fields_read(line, event_fields, HF_ARRAY_LEN(event_fields), e);
}

bool hf_event_decode(char *text, hf_record_event *event)
{
	return hf_event_read(text, event) && event->gen > 0 && event->kind != HF_EV_NONE;
}

/* ---- for people ---- */

/* One line stays one, whatever stands in the record that it comes from. */
static void add_plain(hf_buf *buf, const char *text)
{
	size_t at = buf->len;

	hf_buf_adds(buf, text);
	for (; at < buf->len; at++)
		if ((unsigned char)buf->data[at] < ' ' || buf->data[at] == 0x7f)
			buf->data[at] = '?';
}

void hf_event_describe(const hf_record_event *event, const char *name, hf_buf *buf)
{
	hf_buf_adds(buf, hf_event_kind_name(event->kind));
	hf_buf_addc(buf, ' ');
	add_plain(buf, name);
	if (event->token) {
		hf_buf_adds(buf, ", token ");
		hf_buf_add_u64(buf, event->token);
	}
	if (event->mode != HF_EXCLUSIVE) {
		hf_buf_adds(buf, ", ");
		hf_buf_adds(buf, hf_mode_name(event->mode));
	}
	if (event->owner[0]) {
		hf_buf_adds(buf, ", ");
		add_plain(buf, event->owner);
	}
	if (event->pid) {
		hf_buf_adds(buf, " pid ");
		hf_buf_add_i64(buf, event->pid);
	}
	if (event->ended[0]) {
		hf_buf_adds(buf, " (ended ");
		add_plain(buf, event->ended);
		hf_buf_addc(buf, ')');
	}
}
