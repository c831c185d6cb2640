#include "fields.h"
#include "modes.h"

/* ---- writing ---- */

/* Where the next byte goes, and how far the room that was asked for reaches. */
typedef struct writer {
	hf_buf *buf;
	char *out;
	char *end;
} writer;

static void begin(writer *w, hf_buf *buf, size_t n)
{
	w->buf = buf;
	w->out = hf_buf_room(buf, n);
	w->end = w->out ? w->out + n : NULL;
}

static void finish(writer *w)
{
	if (!w->out)
		return;
	*w->out = '\0';
	w->buf->len = (size_t)(w->out - w->buf->data);
}

/* False: out of memory, and nothing more is written. */
static inline bool room(writer *w, size_t n)
{
	if ((size_t)(w->end - w->out) >= n)
		return w->out;
	finish(w);
	begin(w, w->buf, 2 * n);
	return w->out;
}

/* " key=" at `out`; where it ends. Needs HF_FIELD_WORD_MAX bytes in any case. */
static inline char *put_word(char *out, const hf_field *f)
{
	memcpy(out, f->word, HF_FIELD_WORD_MAX);
	return out + f->word_len;
}

static bool stands_plain(unsigned char c)
{
	return c > ' ' && c != '%' && c != 0x7f;
}

/* True if some byte of x is 0; and if some byte is below n <= 0x80. */
#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u
#define HAS_ZERO(x) (((x)-ONES) & ~(x)&HIGHS)
#define HAS_LESS(x, n) (((x)-ONES * (n)) & ~(x)&HIGHS)

static inline bool word_stands_plain(uint64_t x)
{
	return !(HAS_LESS(x, 0x21) | HAS_ZERO(x ^ (ONES * '%')) | HAS_ZERO(x ^ (ONES * 0x7f)));
}

/*
 * Copy the bytes that stand for themselves; how many. Eight at a time: this is
 * most of what an uncontended acquisition in memory does.
 */
static size_t copy_plain(char *out, const char *in, size_t n)
{
	size_t i = 0;
	uint64_t x;

	for (; i + sizeof(x) <= n; i += sizeof(x)) {
		memcpy(&x, in + i, sizeof(x));
		if (!word_stands_plain(x))
			break;
		memcpy(out + i, &x, sizeof(x));
	}
	/* The rest, with some bytes that have been copied already. */
	if (i > 0 && n - i < sizeof(x)) {
		memcpy(&x, in + n - sizeof(x), sizeof(x));
		if (word_stands_plain(x)) {
			memcpy(out + n - sizeof(x), &x, sizeof(x));
			return n;
		}
	}
	for (; i < n && stands_plain((unsigned char)in[i]); i++)
		out[i] = in[i];
	return i;
}

static void put_text(writer *w, const hf_field *f, const char *value)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = *value ? strlen(value) : 0;
	char *out;

	if (!n || !room(w, HF_FIELD_WORD_MAX + 3 * n))
		return;
	out = put_word(w->out, f);
	for (;;) {
		size_t plain = copy_plain(out, value, n);
		unsigned char c;

		out += plain;
		if (plain == n)
			break;
		c = (unsigned char)value[plain];
		*out++ = '%';
		*out++ = digits[c >> 4];
		*out++ = digits[c & 15];
		value += plain + 1;
		n -= plain + 1;
	}
	w->out = out;
}

static void put_number(writer *w, const hf_field *f, bool negative, uint64_t value)
{
	char digits[HF_DIGITS_MAX];
	size_t at;
	char *out;

	if (!value || !room(w, HF_FIELD_WORD_MAX + 1 + sizeof(digits)))
		return;
	out = put_word(w->out, f);
	if (negative)
		*out++ = '-';
	at = hf_digits(value, digits);
	memcpy(out, digits + at, sizeof(digits) - at);
	w->out = out + sizeof(digits) - at;
}

static void put_signed(writer *w, const hf_field *f, int64_t value)
{
	put_number(w, f, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void put_one(writer *w, const hf_field *f, const void *at)
{
	switch (f->type) {
	case HF_FIELD_TEXT:
		put_text(w, f, *(const char *const *)at);
		break;
	case HF_FIELD_U64:
		put_number(w, f, false, *(const uint64_t *)at);
		break;
	case HF_FIELD_I64:
		put_signed(w, f, *(const int64_t *)at);
		break;
	case HF_FIELD_U32:
		put_number(w, f, false, *(const uint32_t *)at);
		break;
	case HF_FIELD_I32:
		put_signed(w, f, *(const int32_t *)at);
		break;
	case HF_FIELD_MODE:
		if (*(const hf_mode *)at != HF_EXCLUSIVE)
			put_text(w, f, hf_mode_text(*(const hf_mode *)at));
		break;
	case HF_FIELD_NAMES:
		put_text(w, f, f->names[*(const unsigned *)at]);
		break;
	}
}

#define LINE_GUESS 512 /* bytes: most lines fit, the buffer grows once */

void hf_fields_put(hf_buf *buf, const hf_field *fields, size_t count, const void *object)
{
	writer w;
	size_t i;

	begin(&w, buf, LINE_GUESS);
	for (i = 0; w.out && i < count; i++)
		put_one(&w, &fields[i], (const char *)object + fields[i].offset);
	finish(&w);
}

/* ---- reading ---- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undo the escapes in place. False: a '%' that is none, or an escaped NUL. */
static bool unescape(char *value)
{
	char *in = strchr(value, '%');
	char *out = in;

	if (!in)
		return true;
	while (*in) {
		if (*in == '%') {
			int high = hex(in[1]);
			int low = high < 0 ? -1 : hex(in[2]);

			if (low < 0 || (high == 0 && low == 0))
				return false;
			*out++ = (char)(high * 16 + low);
			in += 3;
		} else {
			*out++ = *in++;
		}
	}
	*out = '\0';
	return true;
}

static bool read_name(const hf_field *f, const char *value, unsigned *out)
{
	unsigned i;

	for (i = 0; f->names[i]; i++) {
		if (!strcmp(f->names[i], value)) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool read_one(const hf_field *f, char *value, void *at)
{
	uint64_t u;
	int64_t i;

	switch (f->type) {
	case HF_FIELD_TEXT:
		*(const char **)at = value;
		return unescape(value);
	case HF_FIELD_U64:
		return hf_parse_u64(value, (uint64_t *)at);
	case HF_FIELD_I64:
		return hf_parse_i64(value, (int64_t *)at);
	case HF_FIELD_U32:
		if (!hf_parse_u64(value, &u) || u > UINT32_MAX)
			return false;
		*(uint32_t *)at = (uint32_t)u;
		return true;
	case HF_FIELD_I32:
		if (!hf_parse_i64(value, &i) || i > INT32_MAX || i < INT32_MIN)
			return false;
		*(int32_t *)at = (int32_t)i;
		return true;
	case HF_FIELD_MODE:
		return hf_mode_read(value, (hf_mode *)at) &&
		       *(hf_mode *)at != HF_EXCLUSIVE; /* which is left out */
	case HF_FIELD_NAMES:
		return read_name(f, value, (unsigned *)at);
	}
	return false;
}

/* The field of this key, from `from` on; NULL: none. */
static const hf_field *find(
	const hf_field *fields, size_t count, size_t from, const char *key, size_t len)
{
	size_t i;

	for (i = from; i < count; i++)
		if (fields[i].word_len == len + 2u && !memcmp(fields[i].word + 1, key, len))
			return &fields[i];
	return NULL;
}

bool hf_fields_read(char *line, const hf_field *fields, size_t count, void *object)
{
	size_t next = 0;
	char *p = line;

	while (*p) {
		const hf_field *f;
		char *equals;
		char *end;

		if (*p == ' ') {
			p++;
			continue;
		}
		end = strchrnul(p, ' ');
		equals = memchr(p, '=', (size_t)(end - p));
		if (!equals || equals + 1 == end)
			return false;
		if (*end)
			*end++ = '\0';
		f = find(fields, count, next, p, (size_t)(equals - p));
		if (!f || !read_one(f, equals + 1, (char *)object + f->offset))
			return false;
		next = (size_t)(f - fields) + 1;
		p = end;
	}
	return true;
}

/* ---- where texts are kept ---- */

size_t hf_fields_move_texts(
	const hf_field *fields, size_t count, void *object, char *to, size_t cap, size_t used)
{
	size_t i;

	for (i = 0; i < count; i++) {
		void *at = (char *)object + fields[i].offset;
		const char **text = at;
		size_t size;

		if (fields[i].type != HF_FIELD_TEXT)
			continue;
		if (!**text) {
			*text = "";
			continue;
		}
		size = strlen(*text) + 1;
		if (used + size <= cap)
			*text = memcpy(to + used, *text, size);
		used += size;
	}
	return used;
}
