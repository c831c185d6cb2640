#include "base.h"

#include <stdio.h>

hf_status hf_check_name(const char *name, hf_error *error)
{
	size_t n = name ? strlen(name) : 0;

	if (n == 0)
		return hf_fail(error, HF_INVALID, "name", 0,
			"a lock's name is empty: give it 1 to %d bytes", HF_NAME_MAX);
	if (n > HF_NAME_MAX)
		return hf_fail(error, HF_INVALID, "name", 0,
			"a lock's name has %zu bytes: at most %d are allowed", n, HF_NAME_MAX);
	if (!hf_utf8_plain(name, n))
		return hf_fail(error, HF_INVALID, "name", 0,
			"a lock's name is not UTF-8 or has a control character: use plain "
			"text");
	return HF_OK;
}

static bool stands_for_itself(const char *name, size_t i)
{
	unsigned char c = (unsigned char)name[i];

	if (c >= 0x80)
		return true;
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	if (c == '-')
		return i > 0; /* never an option to a command */
	if (c == '.') {
		/* Neither hidden, nor "..", nor a trailing dot, nor ".lock". */
		return i > 0 && name[i - 1] != '.' && name[i + 1] != '\0' &&
		       strcmp(name + i, ".lock") != 0;
	}
	if (c == '@')
		return i > 0; /* "@" alone is no ref */
	return c == '_' || c == '+' || c == '=' || c == ',';
}

void hf_name_escape(const char *name, size_t max, char *out)
{
	static const char digits[] = "0123456789ABCDEF";
	char full[3 * HF_NAME_MAX + 1];
	size_t len = 0;
	size_t i;

	for (i = 0; name[i] && i < HF_NAME_MAX; i++) {
		if (stands_for_itself(name, i)) {
			full[len++] = name[i];
		} else {
			full[len++] = '%';
			full[len++] = digits[(unsigned char)name[i] >> 4];
			full[len++] = digits[(unsigned char)name[i] & 15];
		}
	}
	full[len] = '\0';
	if (len <= max) {
		memcpy(out, full, len + 1);
		return;
	}
	/*
	 * '#' is not among the bytes above, so a hashed name never equals an
	 * escaped one, and git allows it in a ref. Two passes with different
	 * starts make 128 bits; names that still meet are told apart by the
	 * full name kept in the record.
	 */
	len = max - 33;
	while (len > 0 && ((unsigned char)full[len] & 0xc0) == 0x80)
		len--; /* do not cut a UTF-8 character */
	if (len > 1 && full[len - 1] == '%')
		len--;
	else if (len > 2 && full[len - 2] == '%')
		len -= 2;
	memcpy(out, full, len);
	snprintf(out + len, max + 1 - len, "#%016llx%016llx",
		(unsigned long long)hf_hash(HF_HASH_INIT, name, i),
		(unsigned long long)hf_hash(hf_hash(HF_HASH_INIT, "holdfast", 8), name, i));
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hf_name_unescape(const char *escaped, char *out)
{
	char again[3 * HF_NAME_MAX + 1];
	size_t len = 0;
	const char *p = escaped;

	while (*p) {
		if (len == HF_NAME_MAX)
			return false;
		if (*p == '%') {
			int high = hex_digit(p[1]);
			int low = high < 0 ? -1 : hex_digit(p[2]);

			if (low < 0)
				return false;
			out[len++] = (char)(high * 16 + low);
			p += 3;
		} else {
			out[len++] = *p++;
		}
	}
	out[len] = '\0';
	if (hf_check_name(out, NULL))
		return false;
	/* Only the one spelling that we would write is ours. */
	hf_name_escape(out, sizeof(again) - 1, again);
	return strcmp(again, escaped) == 0;
}
