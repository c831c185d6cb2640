#include "base.h"

#include <stdio.h>
#include <stdlib.h>

void hf_buf_free(hf_buf *buf)
{
	free(buf->data);
	*buf = (hf_buf)HF_BUF_INIT;
}

void hf_buf_clear(hf_buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

char *hf_buf_grow(hf_buf *buf, size_t n)
{
	if (buf->failed)
		return NULL;
	if (buf->cap - buf->len < n + 1) {
		size_t cap = buf->cap ? buf->cap : 256;
		char *data;

		while (cap - buf->len < n + 1)
			cap *= 2;
		data = realloc(buf->data, cap);
		if (!data) {
			buf->failed = true;
			return NULL;
		}
		buf->data = data;
		buf->cap = cap;
	}
	return buf->data + buf->len;
}

void hf_buf_add(hf_buf *buf, const void *bytes, size_t n)
{
	char *room = hf_buf_room(buf, n);

	if (!room)
		return;
	if (n > 0)
		memcpy(room, bytes, n);
	buf->len += n;
	buf->data[buf->len] = '\0';
}

void hf_buf_adds(hf_buf *buf, const char *text)
{
	hf_buf_add(buf, text, strlen(text));
}

void hf_buf_addc(hf_buf *buf, char c)
{
	hf_buf_add(buf, &c, 1);
}

void hf_buf_addf(hf_buf *buf, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !hf_buf_room(buf, (size_t)n)) {
		buf->failed = true;
		return;
	}
	va_start(args, format);
	vsnprintf(buf->data + buf->len, (size_t)n + 1, format, args);
	va_end(args);
	buf->len += (size_t)n;
}

size_t hf_digits(uint64_t value, char digits[HF_DIGITS_MAX])
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	size_t at = HF_DIGITS_MAX;

	for (; value >= 100; value /= 100) {
		at -= 2;
		memcpy(digits + at, pairs + 2 * (value % 100), 2);
	}
	if (value >= 10) {
		at -= 2;
		memcpy(digits + at, pairs + 2 * value, 2);
	} else {
		digits[--at] = (char)('0' + value);
	}
	return at;
}

void hf_buf_add_u64(hf_buf *buf, uint64_t value)
{
	char digits[HF_DIGITS_MAX];
	size_t at = hf_digits(value, digits);

	hf_buf_add(buf, digits + at, sizeof(digits) - at);
}

void hf_buf_add_i64(hf_buf *buf, int64_t value)
{
	if (value < 0)
		hf_buf_addc(buf, '-');
	hf_buf_add_u64(buf, value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value);
}
