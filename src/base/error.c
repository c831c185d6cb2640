#include "base.h"

#include <errno.h>
#include <stdio.h>

struct status_entry {
	const char *name;
	int exit_code;
};

static const struct status_entry statuses[HF_STATUS_COUNT_] = {
	[HF_OK] = {"ok", 0},
	[HF_HELD] = {"held", 1},
	[HF_TIMED_OUT] = {"timed out", 1},
	[HF_DEADLOCK] = {"deadlock", 81},
	[HF_LOST] = {"lost", 80},
	[HF_NOT_OWNER] = {"not owner", 77},
	[HF_UNKNOWN] = {"unknown", 69},
	[HF_UNAVAILABLE] = {"unavailable", 69},
	[HF_CORRUPT] = {"corrupt", 65},
	[HF_FENCED] = {"fenced", 82},
	[HF_INVALID] = {"invalid", 64},
	[HF_NO_MEMORY] = {"no memory", 71},
	[HF_SYSTEM] = {"system", 71},
	[HF_CANNOT_CREATE] = {"cannot create", 73},
	[HF_CHANGED] = {"changed", 71},
	[HF_PENDING] = {"pending", 71},
};

const char *hf_status_name(hf_status status)
{
	if ((unsigned)status >= HF_STATUS_COUNT_)
		return "?";
	return statuses[status].name;
}

int hf_status_exit_code(hf_status status)
{
	if ((unsigned)status >= HF_STATUS_COUNT_)
		return 71;
	return statuses[status].exit_code;
}

const char *hf_version(void)
{
	return HF_VERSION;
}

/* Drop a UTF-8 character that the end of the buffer cut in two. */
static void trim_partial_utf8(char *text)
{
	size_t n = strlen(text);
	size_t back = 0;

	while (back < 3 && back < n && ((unsigned char)text[n - 1 - back] & 0xC0) == 0x80)
		back++;
	if (back < n) {
		unsigned char lead = (unsigned char)text[n - 1 - back];
		size_t want = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;

		if (want > back)
			text[n - 1 - back] = '\0';
	}
}

static void fill(hf_error *error, hf_status kind, const char *op, int native, bool explain,
	const char *format, va_list args)
{
	char reason[128];
	int n;

	error->kind = kind;
	error->native = native;
	hf_copy(error->op, sizeof(error->op), op);
	error->store[0] = '\0';
	n = vsnprintf(error->text, sizeof(error->text), format, args);
	if (explain && n >= 0 && (size_t)n < sizeof(error->text)) {
		/* GNU strerror_r: the text may or may not be in our buffer. */
		const char *why = strerror_r(native, reason, sizeof(reason));

		snprintf(error->text + n, sizeof(error->text) - (size_t)n, ": %s%s", why,
			/* Nothing of ours is large: it is the process's own limit. */
			native == EFBIG ? " (a limit of file size: see ulimit -f)" : "");
	}
	trim_partial_utf8(error->text);
}

hf_status hf_fail(
	hf_error *error, hf_status kind, const char *op, int native, const char *format, ...)
{
	va_list args;

	if (error) {
		va_start(args, format);
		fill(error, kind, op, native, false, format, args);
		va_end(args);
	}
	return kind;
}

hf_status hf_fail_errno(
	hf_error *error, hf_status kind, const char *op, int native, const char *format, ...)
{
	va_list args;

	if (error) {
		va_start(args, format);
		fill(error, kind, op, native, true, format, args);
		va_end(args);
	}
	return kind;
}

bool hf_is_no_room(int native)
{
	return native == ENOSPC || native == EDQUOT || native == EFBIG;
}

void hf_fail_advise(hf_error *error, const char *advice)
{
	size_t n = strlen(error->text);

	snprintf(error->text + n, sizeof(error->text) - n, "; %s", advice);
	trim_partial_utf8(error->text);
}

hf_status hf_fail_memory(hf_error *error, const char *op)
{
	return hf_fail(error, HF_NO_MEMORY, op, ENOMEM, "out of memory");
}
