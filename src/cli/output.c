#include "output.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

/* Length of the UTF-8 character at text, 0 if it is none; its code point. */
static size_t decode(const char *text, uint32_t *code_out)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	size_t i;

	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = (code << 6) | (p[i] & 0x3fu);
	}
	*code_out = code;
	/* Overlong forms, surrogates and C1 controls are refused with the rest. */
	return hf_utf8_plain(text, n) ? n : 0;
}

/* Marks that turn the direction of text round, and the like. */
static bool is_deceptive(uint32_t code)
{
	return code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff || code == 0x61c;
}

void cli_printable(hf_buf *buf, const char *text)
{
	while (*text) {
		uint32_t code;
		size_t n = decode(text, &code);
		size_t i;

		if (n > 0 && !is_deceptive(code)) {
			hf_buf_add(buf, text, n);
		} else {
			n = n > 0 ? n : 1;
			for (i = 0; i < n; i++)
				hf_buf_addf(buf, "\\x%02x", (unsigned char)text[i]);
		}
		text += n;
	}
}

size_t cli_fit(const char *text, size_t columns, size_t *width_out)
{
	static locale_t utf8;
	const char *at = text;
	locale_t before;

	*width_out = 0;
	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	before = utf8 ? uselocale(utf8) : (locale_t)0;
	while (*at) {
		uint32_t code;
		size_t n = decode(at, &code);
		int wide = n > 1 && utf8 ? wcwidth((wchar_t)code) : 1;
		size_t more = wide > 0 ? (size_t)wide : 0;

		if (more > columns - *width_out)
			break;
		*width_out += more;
		at += n > 0 ? n : 1;
	}
	if (before)
		uselocale(before);
	return (size_t)(at - text);
}

size_t cli_width(const char *text)
{
	size_t width;

	cli_fit(text, SIZE_MAX, &width);
	return width;
}

bool cli_is_terminal(void)
{
	return isatty(STDOUT_FILENO) == 1;
}

bool cli_write(const hf_buf *buf)
{
	size_t done = 0;

	if (buf->failed) {
		cli_say("out of memory");
		return false;
	}
	while (done < buf->len) {
		ssize_t n = write(STDOUT_FILENO, buf->data + done, buf->len - done);

		if (n < 0 && errno != EINTR) {
			cli_say("cannot write to standard output: %s", strerror(errno));
			return false;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

/* ---- messages ---- */

static const char *program = "holdfast";

const char *cli_program(void)
{
	return program;
}

void cli_set_program(const char *argv0)
{
	const char *base = argv0 ? strrchr(argv0, '/') : NULL;

	base = base ? base + 1 : argv0;
	if (base && !strcmp(base, "git-hold"))
		program = "git hold";
}

static void say(const char *command, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

/* One write, so that the lines of several processes do not mix. */
static void say(const char *command, const char *format, va_list args)
{
	hf_buf line = HF_BUF_INIT;
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	hf_buf_addf(&line, "%s%s%s: ", program, command ? " " : "", command ? command : "");
	cli_printable(&line, text ? text : "out of memory");
	if (command)
		hf_buf_addf(&line, "; see '%s help %s'", program, command);
	hf_buf_addc(&line, '\n');
	if (!line.failed)
		fwrite(line.data, 1, line.len, stderr);
	free(text);
	hf_buf_free(&line);
}

void cli_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(NULL, format, args);
	va_end(args);
}

int cli_usage(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(command, format, args);
	va_end(args);
	return hf_status_exit_code(HF_INVALID);
}

/* ---- times ---- */

void cli_format_wall(int64_t wall_ms, char out[40])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	size_t n;

	hf_copy(out, 40, "-");
	/* Up to the year 9999: what comes out has four digits of it. */
	if (wall_ms < 0 || wall_ms > INT64_C(253402300799999) || !gmtime_r(&seconds, &tm))
		return;
	n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 40 - n, ".%03dZ", (int)(wall_ms % 1000));
}

void cli_format_age(int64_t ms, char out[40])
{
	static const struct {
		const char *name;
		int64_t seconds;
	} units[] = {{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
	int64_t seconds = ms / 1000;
	size_t i = 0;

	if (ms < 0) {
		hf_copy(out, 40, "-");
		return;
	}
	while (i < HF_ARRAY_LEN(units) - 1 && seconds < units[i].seconds)
		i++;
	if (i == HF_ARRAY_LEN(units) - 1 || seconds % units[i].seconds < units[i + 1].seconds)
		snprintf(out, 40, "%lld%s", (long long)(seconds / units[i].seconds),
			units[i].name);
	else
		snprintf(out, 40, "%lld%s%lld%s", (long long)(seconds / units[i].seconds),
			units[i].name,
			(long long)(seconds % units[i].seconds / units[i + 1].seconds),
			units[i + 1].name);
}

void cli_format_us(uint64_t us, char out[40])
{
	if (us < 1000)
		snprintf(out, 40, "%lluus", (unsigned long long)us);
	else if (us < 1000000)
		snprintf(out, 40, "%.*fms", us < 100000, (double)us / 1000);
	else if (us < 60000000)
		snprintf(out, 40, "%.1fs", (double)us / 1000000);
	else
		cli_format_age((int64_t)(us / 1000), out);
}
