#include "fields.h"

static void put_key(hf_buf *buf, const char *key)
{
	hf_buf_addc(buf, ' ');
	hf_buf_adds(buf, key);
	hf_buf_addc(buf, '=');
}

void hf_put_text(hf_buf *buf, const char *key, const char *value)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *plain = value;

	if (!*value)
		return;
	put_key(buf, key);
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c <= ' ' || c == '%' || c == 0x7f) {
			char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};

			hf_buf_add(buf, plain, (size_t)(value - plain));
			hf_buf_add(buf, escaped, sizeof(escaped));
			plain = value + 1;
		}
	}
	hf_buf_add(buf, plain, (size_t)(value - plain));
}

void hf_put_u64(hf_buf *buf, const char *key, uint64_t value)
{
	if (!value)
		return;
	put_key(buf, key);
	hf_buf_add_u64(buf, value);
}

void hf_put_i64(hf_buf *buf, const char *key, int64_t value)
{
	if (!value)
		return;
	put_key(buf, key);
	hf_buf_add_i64(buf, value);
}

hf_fields hf_fields_of(char *line)
{
	return (hf_fields){.next = line};
}

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

bool hf_fields_next(hf_fields *fields, char **key_out, char **value_out)
{
	char *p = fields->next;
	char *end;
	char *equals;

	while (*p == ' ')
		p++;
	if (!*p)
		return false;
	end = p + strcspn(p, " ");
	fields->next = *end ? end + 1 : end;
	*end = '\0';
	equals = strchr(p, '=');
	if (!equals || equals == p || !equals[1] || !unescape(equals + 1)) {
		fields->bad = true;
		return false;
	}
	*equals = '\0';
	*key_out = p;
	*value_out = equals + 1;
	return true;
}

bool hf_read_u32(const char *value, uint32_t *out)
{
	uint64_t wide;

	if (!hf_parse_u64(value, &wide) || wide > UINT32_MAX)
		return false;
	*out = (uint32_t)wide;
	return true;
}

bool hf_read_i32(const char *value, int32_t *out)
{
	int64_t wide;

	if (!hf_parse_i64(value, &wide) || wide > INT32_MAX || wide < INT32_MIN)
		return false;
	*out = (int32_t)wide;
	return true;
}
