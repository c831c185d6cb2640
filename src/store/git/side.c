#include "side.h"

#define MAGIC "HFGITS"
#define VERSION 1

enum { F_MOVING = 1, F_VERIFY = 2, F_OLD_BROKEN = 4 };
enum { S_PRESENT = 1 };

static void put_uint(hf_buf *out, uint64_t value, unsigned bytes)
{
	char text[8];
	unsigned i;

	for (i = 0; i < bytes; i++)
		text[i] = (char)(value >> (8 * i));
	hf_buf_add(out, text, bytes);
}

/* Reading: past the end everything is 0 and `ok` is false. */
typedef struct reader {
	const char *at;
	const char *end;
	bool ok;
} reader;

static const char *take(reader *r, size_t n)
{
	const char *at = r->at;

	if (!r->ok || (size_t)(r->end - at) < n) {
		r->ok = false;
		return NULL;
	}
	r->at += n;
	return at;
}

static uint64_t take_uint(reader *r, unsigned bytes)
{
	const char *at = take(r, bytes);
	uint64_t value = 0;
	unsigned i;

	for (i = 0; at && i < bytes; i++)
		value |= (uint64_t)(unsigned char)at[i] << (8 * i);
	return value;
}

static void take_oid(reader *r, gs_oid *out)
{
	const char *at = take(r, sizeof(out->bytes));

	if (at)
		memcpy(out->bytes, at, sizeof(out->bytes));
}

/* A text with its length before and a NUL behind. */
static const char *take_text(reader *r, size_t *len_out)
{
	size_t n = (size_t)take_uint(r, 4);
	const char *text = take(r, n);
	const char *nul = take(r, 1);

	if (!text || !nul || *nul) {
		r->ok = false;
		n = 0;
		text = "";
	}
	*len_out = n;
	return text;
}

static void put_text(hf_buf *out, const char *text, size_t len)
{
	put_uint(out, len, 4);
	hf_buf_add(out, text, len);
	hf_buf_addc(out, '\0');
}

static void put_state(hf_buf *out, const gs_state *s)
{
	put_uint(out, s->present ? S_PRESENT : 0, 1);
	if (!s->present)
		return;
	put_uint(out, s->origin, 8);
	put_uint(out, s->gen, 8);
	put_uint(out, s->stamp, 8);
	put_uint(out, s->events, 8);
	put_uint(out, s->log, 4);
	put_uint(out, s->log_len, 8);
	hf_buf_add(out, s->tip.bytes, sizeof(s->tip.bytes));
	put_text(out, s->json, strlen(s->json));
	put_text(out, s->data, s->len);
}

static void take_state(reader *r, gs_state *s)
{
	size_t n;

	memset(s, 0, sizeof(*s));
	s->json = "";
	s->present = take_uint(r, 1) & S_PRESENT;
	if (!s->present)
		return;
	s->origin = take_uint(r, 8);
	s->gen = take_uint(r, 8);
	s->stamp = take_uint(r, 8);
	s->events = take_uint(r, 8);
	s->log = (uint32_t)take_uint(r, 4);
	s->log_len = take_uint(r, 8);
	take_oid(r, &s->tip);
	s->json = take_text(r, &n);
	s->data = take_text(r, &s->len);
	if (r->ok && strlen(s->json) != n)
		r->ok = false;
}

void gs_side_encode(const gs_side *side, hf_buf *out)
{
	hf_buf_adds(out, MAGIC);
	put_uint(out, VERSION, 2);
	put_uint(out,
		(side->moving ? F_MOVING : 0u) | (side->verify ? F_VERIFY : 0u) |
			(side->old_broken ? F_OLD_BROKEN : 0u),
		4);
	put_uint(out, side->folder, 4);
	hf_buf_add(out, side->old.bytes, sizeof(side->old.bytes));
	put_text(out, side->name, strlen(side->name));
	put_state(out, &side->now);
	if (side->moving)
		put_state(out, &side->before);
}

static hf_status decode(gs_side *side, reader *r, hf_error *error)
{
	const char *magic = take(r, strlen(MAGIC));
	uint64_t version = take_uint(r, 2);
	uint64_t flags;
	size_t n;

	if (!magic || memcmp(magic, MAGIC, strlen(MAGIC)))
		return hf_fail(error, HF_CORRUPT, "read", 0, "it is not one of ours");
	if (version != VERSION)
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"it has format %llu and this program knows %d: use a newer holdfast",
			(unsigned long long)version, VERSION);
	flags = take_uint(r, 4);
	side->moving = flags & F_MOVING;
	side->verify = flags & F_VERIFY;
	side->old_broken = flags & F_OLD_BROKEN;
	side->folder = (uint32_t)take_uint(r, 4);
	take_oid(r, &side->old);
	side->name = take_text(r, &n);
	take_state(r, &side->now);
	if (side->moving)
		take_state(r, &side->before);
	if (!r->ok || r->at != r->end || strlen(side->name) != n || !side->now.present)
		return hf_fail(error, HF_CORRUPT, "read", 0, "its content is damaged");
	return HF_OK;
}

hf_status gs_side_decode(
	gs_side *side, const hf_slot_content *content, const char *name, hf_error *error)
{
	reader r = {content->data, content->data + content->len, true};
	hf_error why = {0};

	memset(side, 0, sizeof(*side));
	side->now.json = side->before.json = "";
	if (content->seq == 0)
		return HF_OK;
	if (decode(side, &r, &why))
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"the side file of lock '%s' cannot be used: %s", name ? name : "?",
			why.text);
	if (name && strcmp(side->name, name))
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"the side file of lock '%s' is that of lock '%s': rename one of the "
			"two",
			name, side->name);
	return HF_OK;
}
