#include "base.h"

#include <stdio.h>

bool hf_utf8_plain(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;
	const unsigned char *end = p + n;

	while (p < end) {
		unsigned char lead = *p++;
		uint32_t code;
		uint32_t least;
		int more;

		if (lead < 0x20 || lead == 0x7f)
			return false;
		if (lead < 0x80)
			continue;
		if (lead >= 0xc2 && lead <= 0xdf) {
			code = lead & 0x1fu;
			more = 1;
			least = 0x80;
		} else if ((lead & 0xf0) == 0xe0) {
			code = lead & 0x0fu;
			more = 2;
			least = 0x800;
		} else if (lead >= 0xf0 && lead <= 0xf4) {
			code = lead & 0x07u;
			more = 3;
			least = 0x10000;
		} else {
			return false;
		}
		for (; more > 0; more--) {
			if (p == end || (*p & 0xc0) != 0x80)
				return false;
			code = (code << 6) | (*p++ & 0x3fu);
		}
		/* C1 controls (U+0080 to U+009F) are control characters too. */
		if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ||
			code < 0xa0)
			return false;
	}
	return true;
}

bool hf_copy(char *out, size_t cap, const char *text)
{
	size_t n = strlen(text);
	bool fits = n < cap;

	if (!fits)
		n = cap - 1;
	memcpy(out, text, n);
	out[n] = '\0';
	return fits;
}

bool hf_parse_u64(const char *text, uint64_t *out)
{
	uint64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return false;
	}
	*out = value;
	return true;
}

bool hf_parse_i64(const char *text, int64_t *out)
{
	bool negative = *text == '-';
	uint64_t value;

	if (!hf_parse_u64(text + negative, &value))
		return false;
	if (value > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}

static const struct {
	const char *name;
	int64_t ms;
} units[] = {
	{"d", 86400000},
	{"h", 3600000},
	{"m", 60000},
	{"s", 1000},
	{"ms", 1},
};

static int64_t unit_ms(const char *name)
{
	size_t i;

	if (!*name)
		return 1000;
	for (i = 0; i < HF_ARRAY_LEN(units); i++)
		if (!strcmp(units[i].name, name))
			return units[i].ms;
	return 0;
}

bool hf_parse_duration(const char *text, int64_t *ms_out)
{
	int64_t whole = 0;
	int64_t part = 0; /* the fraction in millionths ... */
	int64_t place = 100000; /* ... and what the next digit of it is worth */
	bool more = false; /* digits beyond the millionths, not all 0 */
	bool digits = false;
	int64_t scale;

	for (; *text >= '0' && *text <= '9'; text++, digits = true)
		if (__builtin_mul_overflow(whole, (int64_t)10, &whole) ||
			__builtin_add_overflow(whole, (int64_t)(*text - '0'), &whole))
			return false;
	if (*text == '.') {
		if (!digits)
			return false;
		text++;
		digits = false;
		for (; *text >= '0' && *text <= '9'; text++, digits = true) {
			part += place * (*text - '0');
			more = more || (place == 0 && *text != '0');
			place /= 10;
		}
	}
	scale = unit_ms(text);
	if (!digits || scale == 0 || __builtin_mul_overflow(whole, scale, &whole))
		return false;
	part = (part * scale + (more ? 1 : 0) + 999999) / 1000000;
	if (__builtin_add_overflow(whole, part, &whole) || whole > INT64_MAX / 1000000)
		return false; /* in ns it fits too, and a moment plus it */
	*ms_out = whole;
	return true;
}

void hf_format_duration(int64_t ms, char out[24])
{
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(units); i++) {
		if (ms % units[i].ms == 0 && (ms != 0 || units[i].ms == 1000)) {
			snprintf(out, 24, "%lld%s", (long long)(ms / units[i].ms),
				units[i].name);
			return;
		}
	}
}
