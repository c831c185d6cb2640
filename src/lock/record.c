/* The record in memory and its text form. See record.h. */
#include "record.h"
#include "modes.h"
#include "record_wait.h"

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
}

void hf_record_free(hf_record *record)
{
	free(record->grants);
	free(record->waiters);
	free(record->text);
	memset(record, 0, sizeof(*record));
}

void hf_record_exchange(hf_record *a, hf_record *b)
{
	hf_record old = *a;

	*a = *b;
	*b = old;
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
	if (to->waiter_cap < from->waiter_count) {
		hf_waiter *waiters =
			reallocarray(to->waiters, from->waiter_cap, sizeof(*waiters));

		if (!waiters)
			return false;
		to->waiters = waiters;
		to->waiter_cap = from->waiter_cap;
	}
	if (from->waiter_count)
		memcpy(to->waiters, from->waiters, from->waiter_count * sizeof(*to->waiters));
	to->waiter_count = from->waiter_count;
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
	return hf_waiters_move_texts(r->waiters, r->waiter_count, to, cap, used);
}

bool hf_record_own(hf_record *record)
{
	size_t size = move_texts(record, record->text, record->text_cap);
	char *text;

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

void hf_record_encode(const hf_record *record, const hf_buf *event_line, hf_buf *buf)
{
	hf_record told = *record;
	size_t i;

	told.told_grants = record->grant_count;
	told.told_waiters = record->waiter_count;
	hf_buf_adds(buf, "holdfast 1\nlock");
	hf_fields_put(buf, lock_fields, HF_ARRAY_LEN(lock_fields), &told);
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
	hf_waiters_put(buf, record->waiters, record->waiter_count);
	hf_buf_adds(buf, "\nend\n");
}

/* ---- reading ---- */

static bool span_in_range(int64_t ms)
{
	return ms >= 0 && ms <= HF_RECORD_MS_MAX;
}

static bool time_in_range(int64_t ms)
{
	return ms >= -HF_RECORD_MS_MAX && ms <= HF_RECORD_MS_MAX;
}

/* Ids stand in lists and in what people read. */
static bool good_id(const char *id)
{
	size_t n;

	for (n = 0; id[n]; n++)
		if (id[n] <= ' ' || id[n] >= 0x7f || id[n] == ',')
			return false;
	return n > 0 && n <= 64;
}

/* What a grant just read must keep to; its group is made explicit. */
static bool check_grant(hf_grant *g)
{
	if (!g->group[0])
		g->group = g->id;
	return good_id(g->id) && (g->group == g->id || good_id(g->group)) &&
	       !(g->flags & ~(uint32_t)HF_GRANT_FLAGS) &&
	       !(g->limit && hf_mode_is_intent(g->mode)) && span_in_range(g->ttl_ms) &&
	       span_in_range(g->lock_delay_ms) && time_in_range(g->deadline_ms) &&
	       g->renewals <= HF_RECORD_COUNT_MAX;
}

static bool read_grant(char *line, hf_grant *g)
{
	return hf_fields_read(line, grant_fields, HF_ARRAY_LEN(grant_fields), g) &&
	       check_grant(g);
}

static bool read_waiter(char *line, hf_record *r)
{
	hf_waiter *w = &r->waiters[r->waiter_count - 1];

	return hf_waiter_read(line, w, r->waiter_count > 1 ? w - 1 : NULL) &&
	       check_grant(&w->want) && w->passed <= HF_RECORD_COUNT_MAX &&
	       w->missed <= HF_RECORD_COUNT_MAX && w->claim_ms > 0 &&
	       span_in_range(w->claim_ms) && time_in_range(w->claim_deadline_ms);
}

static bool read_event(char *line, hf_record_event *e)
{
	*e = blank_event;
	return hf_fields_read(line, event_fields, HF_ARRAY_LEN(event_fields), e);
}

bool hf_event_decode(char *text, hf_record_event *event)
{
	return read_event(text, event) && event->gen > 0 && event->kind != HF_EV_NONE;
}

static bool read_lock(char *line, hf_record *r)
{
	return hf_fields_read(line, lock_fields, HF_ARRAY_LEN(lock_fields), r) && r->name[0] &&
	       r->gen > 0 && r->gen <= HF_RECORD_COUNT_MAX &&
	       r->counter <= HF_RECORD_COUNT_MAX && span_in_range(r->closed_ms) &&
	       time_in_range(r->closed_until_ms);
}

/* The invariants of the rules, which assert them: no damage may get so far. */
static bool check_holders(const hf_record *r)
{
	const hf_grant *first = NULL;
	size_t i;

	for (i = 0; i < r->grant_count; i++) {
		const hf_grant *g = &r->grants[i];

		if (!g->token || g->token > r->counter || g->gen > r->gen)
			return false;
		if (hf_mode_is_intent(g->mode))
			continue; /* has no limit, and takes no place of one */
		first = first ? first : g;
		if (g->limit != first->limit)
			return false;
	}
	if (!hf_holders_go_together(r))
		return false;
	return !first || !first->limit || r->grant_count <= first->limit ||
	       hf_place_count(r) <= first->limit;
}

/* None came, or was offered the lock, after the present. */
static bool check_waiters(const hf_record *r)
{
	size_t i;

	for (i = 0; i < r->waiter_count; i++)
		if (!r->waiters[i].arrival || r->waiters[i].arrival > r->gen ||
			r->waiters[i].offer > r->gen)
			return false;
	return true;
}

/* One line without its newline; `end_out` is set by the last. */
static hf_status read_line(hf_record *r, char *line, bool *end_out)
{
	char *rest = line + strcspn(line, " ");
	hf_grant *g;
	bool good;

	if (*rest)
		*rest++ = '\0';
	if (!strcmp(line, "lock")) {
		good = !r->name[0] && read_lock(rest, r);
	} else if (!strcmp(line, "event")) {
		good = r->event.kind == HF_EV_NONE && read_event(rest, &r->event);
	} else if (!strcmp(line, "grant")) {
		g = hf_record_add_grant(r);
		if (!g)
			return HF_NO_MEMORY;
		good = read_grant(rest, g);
	} else if (!strcmp(line, "wait")) {
		if (!hf_record_add_waiter(r))
			return HF_NO_MEMORY;
		good = read_waiter(rest, r);
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
	if (r->told_grants != r->grant_count || r->told_waiters != r->waiter_count)
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: it tells of %llu holders and %llu waiters and "
			"has %zu and %zu",
			(unsigned long long)r->told_grants, (unsigned long long)r->told_waiters,
			r->grant_count, r->waiter_count);
	if (!check_holders(r))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: its holders cannot hold together");
	if (!check_waiters(r))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: those who wait cannot have come so");
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
