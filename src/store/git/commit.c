#include "commit.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char event_key[] = "\nHoldfast-Event: ";
static const char state_key[] = "\nHoldfast-State: ";
static const char tree_line[] = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n";
#define PARENT_LINE (strlen("parent \n") + GS_HEX)

void gs_commit_clear(gs_commit *commit)
{
	hf_buf_free(&commit->record);
	memset(commit, 0, sizeof(*commit));
}

/* ---- building ---- */

/*
 * Who did it, for the author line: the event line has it as "owner=...",
 * percent-escaped. Nothing depends on it.
 */
static void add_author(hf_buf *out, const char *line)
{
	const char *at = strstr(line, "owner=");
	size_t begin = out->len;

	if (at && (at == line || at[-1] == ' ')) {
		for (at += 6; *at && *at != ' '; at++) {
			unsigned int byte = (unsigned char)*at;

			if (*at == '%' && at[1] && at[2]) {
				if (sscanf(at + 1, "%2x", &byte) != 1)
					byte = '_';
				at += 2;
			}
			/* What git would drop or choke on. */
			hf_buf_addc(
				out, byte <= ' ' || byte == '<' || byte == '>' || byte == 0x7f
					     ? '_'
					     : (char)byte);
		}
	}
	if (out->len == begin)
		hf_buf_adds(out, "holdfast");
	hf_buf_adds(out, " <holdfast>");
}

/* Plain lines that end in a newline: git shows them, and gives them back. */
static bool is_text(const char *data, size_t len)
{
	size_t begin = 0;
	size_t i;

	if (!len || data[len - 1] != '\n')
		return false;
	for (i = 0; i < len; i++) {
		if (data[i] != '\n')
			continue;
		if (!hf_utf8_plain(data + begin, i - begin))
			return false;
		begin = i + 1;
	}
	return true;
}

static void add_record(hf_buf *out, const char *data, size_t len, bool text)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	if (text) {
		hf_buf_add(out, data, len);
		return;
	}
	for (i = 0; i < len; i++) {
		hf_buf_addc(out, digits[(unsigned char)data[i] >> 4]);
		hf_buf_addc(out, digits[data[i] & 15]);
	}
	hf_buf_addc(out, '\n');
}

/* `text`: as it is, without what would end the line. */
static void add_line(hf_buf *out, const char *text)
{
	for (; *text; text++)
		hf_buf_addc(out, *text == '\n' ? ' ' : *text);
}

static void add_state_line(hf_buf *out, const gs_state *s, bool text, const char *name)
{
	hf_buf_adds(out, state_key);
	hf_buf_addf(out, "1 %s %zu %016llx %llu %016llx %llu %s\n", text ? "text" : "hex",
		s->len, (unsigned long long)s->origin, (unsigned long long)s->gen,
		(unsigned long long)s->stamp, (unsigned long long)s->events, name);
}

void gs_commit_build(hf_buf *out, const gs_oid *parent, const gs_state *state, const char *name,
	const hf_event_text *event)
{
	bool text = is_text(state->data, state->len);
	int64_t at_s = hf_wall_ms() / 1000;
	hf_buf author = HF_BUF_INIT;
	char hex[GS_HEX + 1];

	add_author(&author, event->line);
	hf_buf_adds(out, tree_line);
	if (!gs_oid_is_zero(parent)) {
		gs_oid_hex(parent, hex);
		hf_buf_addf(out, "parent %s\n", hex);
	}
	hf_buf_addf(out, "author %s %lld +0000\ncommitter %s %lld +0000\n\n",
		author.failed ? "" : author.data, (long long)at_s,
		author.failed ? "" : author.data, (long long)at_s);
	out->failed = out->failed || author.failed;
	add_line(out, event->summary);
	hf_buf_adds(out, "\n\n");
	add_record(out, state->data, state->len, text);
	hf_buf_adds(out, event_key);
	add_line(out, event->line);
	add_state_line(out, state, text, name);
	hf_buf_free(&author);
}

/* ---- taking apart ---- */

static const char *last(const char *data, size_t len, const char *key)
{
	size_t n = strlen(key);
	size_t i;

	if (len < n)
		return NULL;
	for (i = len - n + 1; i-- > 0;)
		if (data[i] == '\n' && !memcmp(data + i, key, n))
			return data + i;
	return NULL;
}

static hf_status not_ours(hf_error *error)
{
	return hf_fail(error, HF_CORRUPT, "read", 0, "it is a commit, but no event of a lock");
}

typedef struct state_line {
	bool text;
	size_t record_len;
} state_line;

/* `line` is what follows the key, NUL-ended, and is overwritten. */
static hf_status parse_state_line(
	char *line, gs_commit *out, state_line *out_line, hf_error *error)
{
	unsigned long long origin;
	unsigned long long gen;
	unsigned long long stamp;
	unsigned long long events;
	unsigned long long version;
	char form[8];
	int at = 0;

	if (sscanf(line, "%llu", &version) == 1 && version > 1)
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"it is an event of format %llu and this program knows 1: use a newer "
			"holdfast",
			version);
	if (sscanf(line, "1 %7s %zu %16llx %llu %16llx %llu %n", form, &out_line->record_len,
		    &origin, &gen, &stamp, &events, &at) != 6 ||
		at == 0 || (strcmp(form, "text") && strcmp(form, "hex")) ||
		hf_check_name(line + at, NULL))
		return not_ours(error);
	out_line->text = form[0] == 't';
	out->state.present = true;
	out->state.origin = origin;
	out->state.gen = gen;
	out->state.stamp = stamp;
	out->state.events = events;
	hf_copy(out->name, sizeof(out->name), line + at);
	return HF_OK;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The record stands right before the event line. */
static bool take_record(
	const char *data, const char *event, const state_line *s, gs_commit *out)
{
	size_t before = (size_t)(event - data);
	const char *at;
	size_t i;

	if (!s->record_len || s->record_len > HF_RECORD_MAX)
		return false;
	if (s->text) {
		if (before < s->record_len)
			return false;
		hf_buf_add(&out->record, event - s->record_len, s->record_len);
		return true;
	}
	if (before < 2 * s->record_len + 1)
		return false;
	at = event - 1 - 2 * s->record_len;
	for (i = 0; i < s->record_len; i++) {
		int high = hex_digit(at[2 * i]);
		int low = hex_digit(at[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		hf_buf_addc(&out->record, (char)(high * 16 + low));
	}
	return true;
}

static bool take_headers(const char *data, size_t len, gs_commit *out)
{
	const char *at = data + strlen(tree_line);
	const char *committer;

	if (len < strlen(tree_line) + PARENT_LINE || memcmp(data, tree_line, strlen(tree_line)))
		return false;
	if (!memcmp(at, "parent ", 7)) {
		if (!gs_oid_parse(at + 7, &out->parent))
			return false;
		at += PARENT_LINE;
		if (!strncmp(at, "parent ", 7))
			return false; /* a merge */
	}
	committer = strstr(at, "\ncommitter ");
	if (committer && (committer = strstr(committer, "> ")))
		out->at_s = strtoll(committer + 2, NULL, 10);
	return true;
}

hf_status gs_commit_parse(const char *data, size_t len, gs_commit *out, hf_error *error)
{
	char line[HF_NAME_MAX + 160];
	const char *state;
	const char *event;
	state_line s;
	size_t n;
	hf_status st;

	memset(out, 0, sizeof(*out));
	state = last(data, len, state_key);
	if (!state || data[len - 1] != '\n')
		return not_ours(error);
	n = (size_t)(data + len - 1 - state) - strlen(state_key);
	if (n >= sizeof(line))
		return not_ours(error);
	memcpy(line, state + strlen(state_key), n);
	line[n] = '\0';
	st = parse_state_line(line, out, &s, error);
	if (st)
		return st;
	event = last(data, (size_t)(state - data), event_key);
	if (!event || !take_headers(data, len, out) || !take_record(data, event, &s, out)) {
		gs_commit_clear(out);
		return not_ours(error);
	}
	if (out->record.failed) {
		gs_commit_clear(out);
		return hf_fail_memory(error, "read");
	}
	out->event = event + strlen(event_key);
	out->event_len = (size_t)(state - out->event);
	out->state.data = out->record.data;
	out->state.len = out->record.len;
	out->state.json = "";
	return HF_OK;
}

hf_status gs_commit_graft(const char *data, size_t len, const gs_oid *parent, uint64_t events,
	hf_buf *out, hf_error *error)
{
	const char *state = last(data, len, state_key);
	const char *rest = data + strlen(tree_line);
	char hex[GS_HEX + 1];
	gs_commit commit;
	hf_status st = gs_commit_parse(data, len, &commit, error);

	if (st)
		return st;
	assert(state); /* or it were no commit of ours */
	if (!gs_oid_is_zero(&commit.parent))
		rest += PARENT_LINE;
	hf_buf_adds(out, tree_line);
	if (!gs_oid_is_zero(parent)) {
		gs_oid_hex(parent, hex);
		hf_buf_addf(out, "parent %s\n", hex);
	}
	hf_buf_add(out, rest, (size_t)(state - rest));
	commit.state.events = events;
	add_state_line(out, &commit.state, strstr(state, ": 1 text ") != NULL, commit.name);
	gs_commit_clear(&commit);
	return out->failed ? hf_fail_memory(error, "prune") : HF_OK;
}
