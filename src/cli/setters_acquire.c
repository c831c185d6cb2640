/* What is asked for of a lock, and whose grant is meant. */
#include "setters.h"

#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define INFO_MAX 4096
#define HEARTBEAT_MIN_MS 10
#define TTL_MIN_MS 100
#define TTL_MAX_MS INT64_C(31536000000)

bool cli_set_exclusive(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->acquire.mode = HF_EXCLUSIVE;
	reader->exclusive_given = true;
	return true;
}

bool cli_set_shared(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->acquire.mode = HF_SHARED;
	reader->exclusive_given = false;
	return true;
}

bool cli_set_tree(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->acquire.flags |= HF_TREE_NAME;
	return true;
}

bool cli_set_limit(cli_reader *reader, const char *value)
{
	int64_t limit;

	if (!cli_number(reader, value, 1, 1000000, &limit))
		return false;
	reader->out->acquire.limit = (uint32_t)limit;
	return true;
}

bool cli_set_nonblock(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->acquire.wait_ms = 0;
	return true;
}

bool cli_set_wait(cli_reader *reader, const char *value)
{
	return cli_duration(reader, value, &reader->out->acquire.wait_ms);
}

bool cli_set_conflict_code(cli_reader *reader, const char *value)
{
	int64_t code;

	if (!cli_number(reader, value, 0, 255, &code))
		return false;
	reader->out->conflict_exit_code = (int)code;
	return true;
}

bool cli_set_ttl(cli_reader *reader, const char *value)
{
	int64_t ms;

	if (!cli_duration(reader, value, &ms))
		return false;
	if (ms != 0 && (ms < TTL_MIN_MS || ms > TTL_MAX_MS))
		return cli_refuse(
			reader, value, "a ttl is 0 (until released) or 100ms to 365d");
	reader->out->acquire.ttl_ms = ms;
	reader->out->ttl_source = reader->source;
	return true;
}

bool cli_set_heartbeat(cli_reader *reader, const char *value)
{
	int64_t ms;

	if (!cli_duration(reader, value, &ms))
		return false;
	if (ms != 0 && ms < HEARTBEAT_MIN_MS)
		return cli_refuse(reader, value,
			"a heartbeat is 0 (each third of the ttl) or 10ms and more");
	reader->out->acquire.renew_ms = ms;
	return true;
}

/*
 * What other settings begin with. "github": what people expect who come from
 * locks on GitHub issues.
 */
static const struct profile {
	const char *name;
	hf_strategy strategy;
	uint32_t max_retries;
	int64_t backoff_min_ms;
	int64_t backoff_max_ms;
	int64_t ttl_ms;
	int64_t renew_ms;
	int64_t stale_after_ms;
} profiles[] = {
	{"github", HF_RETRY, 5, 1000, 16000, 300000, 30000, 300000},
	{"fast", HF_QUEUE, 20, 10, 250, 10000, 0, 10000},
	{"conservative", HF_QUEUE, 10, 5000, 60000, 300000, 0, 900000},
};

bool cli_set_profile(cli_reader *reader, const char *value)
{
	hf_acquire_options *o = &reader->out->acquire;
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(profiles); i++) {
		const struct profile *p = &profiles[i];

		if (strcmp(value, p->name) != 0)
			continue;
		o->strategy = p->strategy;
		o->max_retries = p->max_retries;
		o->backoff_min_ms = p->backoff_min_ms;
		o->backoff_max_ms = p->backoff_max_ms;
		o->ttl_ms = p->ttl_ms;
		o->renew_ms = p->renew_ms;
		o->stale_after_ms = p->stale_after_ms;
		reader->out->ttl_source = reader->source;
		return true;
	}
	return cli_refuse(reader, value, "give one of github, fast, conservative");
}

bool cli_set_lock_delay(cli_reader *reader, const char *value)
{
	int64_t ms;

	if (!cli_duration(reader, value, &ms))
		return false;
	if (ms > 86400000)
		return cli_refuse(reader, value, "a lock delay is at most 1d");
	reader->out->acquire.lock_delay_ms = ms;
	return true;
}

bool cli_set_owner(cli_reader *reader, const char *value)
{
	return (reader->out->acquire.owner = cli_plain_text(reader, value, false)) != NULL;
}

bool cli_set_fingerprint(cli_reader *reader, const char *value)
{
	return (reader->out->acquire.fingerprint = cli_plain_text(reader, value, true)) != NULL;
}

/* The first line of the file, without its newline, into text[CLI_TEXT_MAX + 2]. */
static bool first_line(cli_reader *reader, const char *path, char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got = -1;
	char *newline;

	while (fd >= 0 && len < CLI_TEXT_MAX + 1) {
		got = read(fd, text + len, CLI_TEXT_MAX + 1 - len);
		if (got <= 0 && !(got < 0 && errno == EINTR))
			break;
		len += got > 0 ? (size_t)got : 0;
	}
	if (fd < 0 || got < 0) {
		cli_usage(reader->out->command_name, "%s: cannot read '%s': %s", reader->label,
			path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	text[len] = '\0';
	newline = strchr(text, '\n');
	if (newline)
		*newline = '\0';
	return true;
}

bool cli_set_fingerprint_file(cli_reader *reader, const char *value)
{
	char text[CLI_TEXT_MAX + 2];

	return first_line(reader, value, text) && cli_set_fingerprint(reader, text);
}

bool cli_set_strategy(cli_reader *reader, const char *value)
{
	static const char *const names[] = {
		[HF_QUEUE] = "queue",
		[HF_RETRY] = "retry",
		[HF_FAIL_FAST] = "fail_fast",
		[HF_STEAL_STALE] = "steal_stale",
		[HF_FORCE_ACQUIRE] = "force_acquire",
	};
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(names); i++) {
		const char *a = names[i];
		const char *b = value;

		while (*a && (*a == *b || (*a == '_' && *b == '-')))
			a++, b++;
		if (!*a && !*b) {
			reader->out->acquire.strategy = (hf_strategy)i;
			return true;
		}
	}
	return cli_refuse(reader, value,
		"give one of queue, retry, fail_fast, steal_stale, force_acquire");
}

bool cli_set_stale_after(cli_reader *reader, const char *value)
{
	int64_t ms;

	if (!cli_duration(reader, value, &ms))
		return false;
	if (ms < 1)
		return cli_refuse(reader, value, "it must be at least 1ms");
	reader->out->acquire.stale_after_ms = ms;
	return true;
}

bool cli_set_max_retries(cli_reader *reader, const char *value)
{
	int64_t n;

	if (!cli_number(reader, value, 0, UINT32_MAX, &n))
		return false;
	reader->out->acquire.max_retries = (uint32_t)n;
	return true;
}

bool cli_set_backoff(cli_reader *reader, const char *value)
{
	static const char form[] = "give MIN..MAX, two durations of at least 1ms of which "
				   "the first is not longer, such as 100ms..5s";
	const char *dots = strstr(value, "..");
	char least[32];
	int64_t min_ms;
	int64_t max_ms;

	if (!dots || (size_t)(dots - value) >= sizeof(least))
		return cli_refuse(reader, value, form);
	memcpy(least, value, (size_t)(dots - value));
	least[dots - value] = '\0';
	if (!hf_parse_duration(least, &min_ms) || !hf_parse_duration(dots + 2, &max_ms) ||
		min_ms < 1 || max_ms < min_ms)
		return cli_refuse(reader, value, form);
	reader->out->acquire.backoff_min_ms = min_ms;
	reader->out->acquire.backoff_max_ms = max_ms;
	return true;
}

bool cli_set_priority(cli_reader *reader, const char *value)
{
	int64_t n;

	if (!cli_number(reader, value, INT32_MIN, INT32_MAX, &n))
		return false;
	reader->out->acquire.priority = (int32_t)n;
	return true;
}

bool cli_set_info(cli_reader *reader, const char *value)
{
	json_error_t where;
	json_t *json = json_loads(value, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
	bool is_object = json_is_object(json);

	json_decref(json);
	if (!json) {
		cli_usage(reader->out->command_name,
			"%s: this is no JSON: %s at line %d, column %d; give an object such as "
			"'{\"ticket\": 7}'",
			reader->label, where.text, where.line, where.column);
		return false;
	}
	if (!is_object)
		return cli_refuse(
			reader, value, "give a JSON object, such as '{\"ticket\": 7}'");
	if (strlen(value) > INFO_MAX)
		return cli_refuse(reader, "(long)", "it may have at most 4096 bytes");
	return (reader->out->acquire.info = cli_keep(reader->out, value)) != NULL;
}

/* ---- a selector: whose grant ---- */

static bool select_one(cli_reader *reader, const char *value, bool secret, const char **field)
{
	hf_who *who = &reader->out->who;

	if (!(value = cli_plain_text(reader, value, secret)))
		return false;
	*field = value;
	if (!!who->id + !!who->fingerprint + !!who->owner > 1) {
		cli_usage(reader->out->command_name,
			"give exactly one of --id, --fingerprint and --owner");
		return false;
	}
	reader->out->release_by_set = true;
	return true;
}

bool cli_select_id(cli_reader *reader, const char *value)
{
	return select_one(reader, value, false, &reader->out->who.id);
}

bool cli_select_owner(cli_reader *reader, const char *value)
{
	return select_one(reader, value, false, &reader->out->who.owner);
}

bool cli_select_fingerprint(cli_reader *reader, const char *value)
{
	if (reader->source != CLI_FROM_FLAG)
		return (reader->fingerprint = cli_plain_text(reader, value, true)) != NULL;
	return select_one(reader, value, true, &reader->out->who.fingerprint);
}

bool cli_select_fingerprint_file(cli_reader *reader, const char *value)
{
	char text[CLI_TEXT_MAX + 2];

	return first_line(reader, value, text) && cli_select_fingerprint(reader, text);
}

/* ---- extend ---- */

bool cli_set_extend_ttl(cli_reader *reader, const char *value)
{
	if (!cli_set_ttl(reader, value))
		return false;
	if (reader->out->acquire.ttl_ms == 0)
		return cli_refuse(reader, value,
			"a lease that has a ttl keeps one: give 100ms to 365d, or leave --ttl "
			"out");
	return true;
}
