/*
 * Reading the text of a record, which is hostile: see record.h for what makes it
 * HF_CORRUPT.
 */
#include "modes.h"
#include "record_lines.h"

#include <stdlib.h>

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

static bool check_grant(const hf_grant *g)
{
	return good_id(g->id) && (g->group == g->id || good_id(g->group)) &&
	       !(g->flags & ~(uint32_t)HF_GRANT_FLAGS) &&
	       !(g->limit && hf_mode_is_intent(g->mode)) && span_in_range(g->ttl_ms) &&
	       span_in_range(g->lock_delay_ms) && time_in_range(g->deadline_ms) &&
	       g->renewals <= HF_RECORD_COUNT_MAX;
}

static bool read_grant(char *line, hf_grant *g)
{
	return hf_grant_read(line, g) && check_grant(g);
}

static bool check_waiter(const hf_waiter *w)
{
	return check_grant(&w->want) && w->arrival && w->passed <= HF_RECORD_COUNT_MAX &&
	       w->missed <= HF_RECORD_COUNT_MAX && w->claim_ms > 0 &&
	       span_in_range(w->claim_ms) && time_in_range(w->claim_deadline_ms);
}

static bool read_waiter(char *line, const hf_record *r, hf_waiter *w)
{
	return hf_waiter_read(line, r, w) && check_waiter(w);
}

static bool read_lock(char *line, hf_record *r)
{
	return hf_lock_read(line, r) && r->name[0] && r->gen > 0 &&
	       r->gen <= HF_RECORD_COUNT_MAX && r->counter <= HF_RECORD_COUNT_MAX &&
	       span_in_range(r->closed_ms) && time_in_range(r->closed_until_ms);
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

/*
 * None came, or was offered the lock, after the present; and none who comes after
 * the far ones stands before them.
 */
static bool check_waiters(const hf_record *r)
{
	size_t i;

	for (i = 0; i < r->waiter_count; i++) {
		const hf_waiter *w = &r->waiters[i];

		if (w->arrival > r->gen || w->offer > r->gen)
			return false;
		if (r->far_count && hf_waiter_is_plain(w) && w->arrival >= r->far_from)
			return false;
	}
	return r->far_from <= r->gen;
}

/* One line without its newline, but not the last. */
static hf_status read_line(hf_record *r, char *line)
{
	char *rest = line + strcspn(line, " ");
	hf_grant *g;
	hf_party *party;
	hf_waiter *w;
	bool good = false;

	if (*rest)
		*rest++ = '\0';
	if (!strcmp(line, "lock")) {
		good = !r->name[0] && read_lock(rest, r);
	} else if (!strcmp(line, "event")) {
		good = r->event.kind == HF_EV_NONE && hf_event_read(rest, &r->event);
	} else if (!strcmp(line, "grant")) {
		g = hf_record_add_grant(r);
		if (!g)
			return HF_NO_MEMORY;
		good = read_grant(rest, g);
	} else if (!strcmp(line, "party")) {
		party = hf_record_add_party(r);
		if (!party)
			return HF_NO_MEMORY;
		good = hf_party_read(rest, party);
	} else if (!strcmp(line, "wait")) {
		w = hf_record_add_waiter(r);
		if (!w)
			return HF_NO_MEMORY;
		good = read_waiter(rest, r, w);
	}
	return good ? HF_OK : HF_CORRUPT;
}

static hf_status cut_off(hf_error *error, unsigned line)
{
	return hf_fail(error, HF_CORRUPT, "decode", 0,
		"the record is cut off in line %u: it has no end line", line);
}

/* The lines from `p` to `end`, of which the first has this number. */
static hf_status read_lines(
	hf_record *r, char *p, const char *end, unsigned number, hf_error *error)
{
	for (; p < end; number++) {
		char *newline = memchr(p, '\n', (size_t)(end - p));
		hf_status st;

		if (!newline)
			return cut_off(error, number);
		*newline = '\0';
		st = read_line(r, p);
		if (st == HF_NO_MEMORY)
			return hf_fail_memory(error, "decode");
		if (st)
			return hf_fail(error, HF_CORRUPT, "decode", 0,
				"the record's line %u cannot be read", number);
		p = newline + 1;
	}
	return HF_OK;
}

static hf_status check_all(const hf_record *r, hf_error *error)
{
	if (!r->name[0])
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: it has no lock line");
	if (r->told_grants != r->grant_count || r->told_waiters != hf_record_waiting(r))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: it tells of %llu holders and %llu waiters and "
			"has %zu and %zu",
			(unsigned long long)r->told_grants, (unsigned long long)r->told_waiters,
			r->grant_count, hf_record_waiting(r));
	if (!check_holders(r))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: its holders cannot hold together");
	if (!check_waiters(r))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: those who wait cannot have come so");
	if (!hf_offers_go_together(r))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: it offers what is taken");
	return HF_OK;
}

/* The first line; 0 in *len_out: it is none of ours. */
static hf_status read_version(const char *data, size_t len, size_t *len_out, hf_error *error)
{
	char line[40] = "";
	const char *newline = memchr(data, '\n', len < sizeof(line) ? len : sizeof(line) - 1);
	uint64_t version;

	if (newline)
		memcpy(line, data, (size_t)(newline - data));
	*len_out = strlen(line) + 1;
	if (strncmp(line, "holdfast ", 9) != 0 || !hf_parse_u64(line + 9, &version))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"this is not a holdfast record: another program wrote here");
	if (version != HF_RECORD_VERSION)
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record has format %llu and this is holdfast %s, which knows "
			"format %d: use a newer holdfast",
			(unsigned long long)version, HF_VERSION, HF_RECORD_VERSION);
	return HF_OK;
}

/* The last line, which says what is folded; where it begins. */
static hf_status read_end(
	const char *data, size_t len, hf_fold *fold, size_t *at_out, hf_error *error)
{
	const char *before = len > 1 ? memrchr(data, '\n', len - 1) : NULL;
	char line[120] = "";
	size_t n;

	*at_out = before ? (size_t)(before - data) + 1 : 0;
	n = len - *at_out;
	if (!before || data[len - 1] != '\n' || n > sizeof(line))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is cut off, or bytes follow it: it has no end line");
	memcpy(line, data + *at_out, n - 1);
	if (strncmp(line, "end", 3) != 0 || (line[3] && line[3] != ' ') ||
		!hf_fold_read(line + 3, fold) || fold->bytes > *at_out ||
		(fold->bytes && data[*at_out - fold->bytes - 1] != '\n'))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is cut off, or bytes follow it: its last line is no end");
	return HF_OK;
}

/* Where the line ends, its newline too, that begins at `at`; `end` at most. */
static size_t line_end(const char *data, size_t at, size_t end)
{
	const char *newline = memchr(data + at, '\n', end - at);

	return newline ? (size_t)(newline - data) + 1 : end;
}

/* So many bytes to *text, with a zero behind them. */
static bool keep_text(char **text, size_t *cap, const char *data, size_t len)
{
	if (*cap < len + 1) {
		char *more = realloc(*text, len + 1);

		if (!more)
			return false;
		*text = more;
		*cap = len + 1;
	}
	memcpy(*text, data, len);
	(*text)[len] = '\0';
	return true;
}

/* The last `count` of the waiters read were folded: after so many others. */
static hf_status check_far(const hf_record *r, size_t near, size_t count, hf_error *error)
{
	size_t i;

	/* Without a fold nothing is told of those who are near. */
	bool good = !count || r->waiter_count == near + count;

	for (i = near; good && count && i < r->waiter_count; i++)
		good = hf_waiter_is_plain(&r->waiters[i]);
	if (good)
		return HF_OK;
	return hf_fail(error, HF_CORRUPT, "decode", 0,
		"the record is damaged: the far end of its line is not as it tells");
}

/* Of a folded record, the first who is not read, to know when he came. */
static bool look_at_far(hf_record *r, char *line)
{
	hf_waiter first = {.want = hf_grant_blank()};

	line[strcspn(line, "\n")] = '\0';
	if (strncmp(line, "wait ", 5) != 0 || !read_waiter(line + 5, r, &first))
		return false;
	r->far_from = first.arrival;
	return hf_waiter_is_plain(&first);
}

/*
 * The text is read up to `near_end`; from there to far_end those stand who are
 * not read but for the first. What is read is copied, as reading it changes it.
 */
static hf_status read_text(hf_record *r, const char *data, size_t near, hf_fold fold,
	size_t far_end, hf_error *error)
{
	size_t near_end = far_end - (size_t)fold.bytes;
	size_t more = near == HF_RECORD_WHOLE ? near
		      : fold.near < near      ? 2 * near - (size_t)fold.near
					      : 0;
	size_t taken = 0;
	size_t seen;
	size_t first;
	hf_status st;

	for (; taken < more && fold.far; taken++, fold.far--)
		near_end = line_end(data, near_end, far_end);
	seen = fold.far ? line_end(data, near_end, far_end) : near_end;
	if (!fold.far && near_end != far_end)
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: its end line tells of fewer waiters");
	if (memchr(data, '\0', seen))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: it holds a zero byte");
	if (!keep_text(&r->text, &r->text_cap, data, seen))
		return hf_fail_memory(error, "decode");
	st = read_version(r->text, seen, &first, error);
	if (!st)
		st = read_lines(r, r->text + first, r->text + near_end, 2, error);
	if (!st)
		st = check_far(r, (size_t)fold.near, taken, error);
	if (st)
		return st;
	r->far_count = (size_t)fold.far;
	r->far_at = r->waiter_count;
	r->far = data + near_end;
	r->far_len = far_end - near_end;
	if (r->far_count && !look_at_far(r, r->text + near_end))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: the far end of its line cannot be read");
	return check_all(r, error);
}

hf_status hf_record_decode(hf_record *record, const char *data, size_t len,
	const char *expect_name, size_t near, hf_error *error)
{
	hf_fold fold = {.near = 0};
	size_t at = 0;
	hf_status st;

	hf_record_reset(record);
	if (len > HF_RECORD_MAX)
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record is damaged: it is too long");
	st = read_version(data, len, &at, error);
	if (!st)
		st = read_end(data, len, &fold, &at, error);
	if (!st)
		st = read_text(record, data, near, fold, at, error);
	if (!st && expect_name && strcmp(record->name, expect_name) != 0)
		st = hf_fail(error, HF_CORRUPT, "decode", 0,
			"the record found there is that of '%s'", record->name);
	if (st)
		hf_record_reset(record);
	else if (fold.far && !record->far_count)
		hf_waiters_sort(record);
	return st;
}

/* The lines of the far end, and nothing else. */
static hf_status read_far(hf_record *r, hf_error *error)
{
	char *p = r->far_text;
	size_t far = r->far_count;
	hf_waiter *w;
	char *newline;

	for (; far && (newline = strchr(p, '\n')); far--) {
		*newline = '\0';
		w = hf_record_add_waiter(r);
		if (!w)
			return hf_fail_memory(error, "decode");
		if (strncmp(p, "wait ", 5) != 0 || !read_waiter(p + 5, r, w) ||
			!hf_waiter_is_plain(w))
			break;
		p = newline + 1;
	}
	if (!far && p == r->far_text + r->far_len)
		return HF_OK;
	return hf_fail(error, HF_CORRUPT, "decode", 0,
		"the record is damaged: the far end of its line is not as it tells");
}

hf_status hf_record_unfold(hf_record *r, hf_error *error)
{
	hf_status st = HF_OK;

	if (!r->far_count)
		return HF_OK;
	if (!keep_text(&r->far_text, &r->far_text_cap, r->far, r->far_len))
		return hf_fail_memory(error, "decode");
	st = read_far(r, error);
	r->far_count = 0;
	r->far_from = 0;
	r->far_len = 0;
	if (!st) {
		hf_waiters_sort(r);
		st = check_all(r, error);
	}
	if (st)
		hf_record_reset(r);
	return st;
}

bool hf_record_read_far(const hf_record *r, size_t far, hf_buf *scratch, hf_waiter *waiter)
{
	const char *p = r->far;
	const char *end = r->far + r->far_len;
	const char *newline = memchr(p, '\n', (size_t)(end - p));

	for (; newline && --far; newline = memchr(p, '\n', (size_t)(end - p)))
		p = newline + 1;
	hf_buf_clear(scratch);
	hf_buf_add(scratch, p, newline ? (size_t)(newline - p) : 0);
	*waiter = (hf_waiter){.want = hf_grant_blank()};
	return newline && !scratch->failed && strncmp(scratch->data, "wait ", 5) == 0 &&
	       read_waiter(scratch->data + 5, r, waiter);
}
