/* What the values of options mean, but for those of setters_acquire.c. */
#include "setters.h"

#include "top.h"

#include <stdio.h>
#include <strings.h>

#define DURATION_FORM                                                               \
	"a duration is a number with ms, s, m, h or d, such as 250ms, 30s or 1.5h " \
	"(without a unit: seconds)"

bool cli_refuse(cli_reader *reader, const char *value, const char *allowed)
{
	cli_usage(reader->out->command_name, "%s: '%s' is refused: %s", reader->label, value,
		allowed);
	return false;
}

bool cli_number(
	cli_reader *reader, const char *value, int64_t least, int64_t most, int64_t *out)
{
	char allowed[96];

	if (hf_parse_i64(value, out) && *out >= least && *out <= most)
		return true;
	snprintf(allowed, sizeof(allowed), "give a whole number from %lld to %lld",
		(long long)least, (long long)most);
	return cli_refuse(reader, value, allowed);
}

bool cli_duration(cli_reader *reader, const char *value, int64_t *ms_out)
{
	return hf_parse_duration(value, ms_out) || cli_refuse(reader, value, DURATION_FORM);
}

const char *cli_plain_text(cli_reader *reader, const char *value, bool secret)
{
	size_t n = strlen(value);

	if (n >= 1 && n <= CLI_TEXT_MAX && hf_utf8_plain(value, n))
		return cli_keep(reader->out, value);
	cli_refuse(reader, secret ? "(not shown)" : value,
		"give 1 to 200 bytes of UTF-8 without control characters");
	return NULL;
}
/* ---- common ---- */

bool cli_set_store(cli_reader *reader, const char *value)
{
	char *copy;

	if (!*value)
		return cli_refuse(reader, value, "give a URL such as git:. or file:DIR");
	copy = cli_keep(reader->out, value);
	reader->out->store = copy;
	reader->out->store_source = reader->source;
	return copy;
}

bool cli_set_json(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->json = true;
	return true;
}

bool cli_set_quiet(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->quiet = true;
	return true;
}

bool cli_set_verbose(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->verbose = true;
	return true;
}
/* ---- the rest ---- */

bool cli_set_watch(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->watch = true;
	return true;
}

bool cli_set_all(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->all = true;
	return true;
}

bool cli_set_log_limit(cli_reader *reader, const char *value)
{
	int64_t n;

	if (!cli_number(reader, value, 0, INT32_MAX, &n))
		return false;
	reader->out->log_limit = (size_t)n;
	return true;
}

bool cli_set_history(cli_reader *reader, const char *value)
{
	int64_t n;

	if (!cli_number(reader, value, 0, INT32_MAX, &n))
		return false;
	reader->out->history_limit = (uint32_t)n;
	return true;
}

bool cli_set_metrics(cli_reader *reader, const char *value)
{
	static const char *const words[] = {
		"false", "true", "no", "yes", "off", "on", "0", "1"};
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(words); i++) {
		if (!strcasecmp(value, words[i])) {
			reader->out->metrics = i % 2;
			return true;
		}
	}
	return cli_refuse(reader, value, "give true or false");
}

bool cli_set_prometheus(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->prometheus = true;
	return true;
}

bool cli_set_reset(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->reset = true;
	return true;
}

bool cli_set_prune(cli_reader *reader, const char *value)
{
	return cli_number(reader, value, 1, INT32_MAX, &reader->out->keep);
}

bool cli_set_forget_after(cli_reader *reader, const char *value)
{
	if (!strcmp(value, "never")) {
		reader->out->forget_after_ms = -1;
		return true;
	}
	if (hf_parse_duration(value, &reader->out->forget_after_ms))
		return true;
	return cli_refuse(reader, value, "give a duration such as 1d or 12h, or never");
}

bool cli_set_token(cli_reader *reader, const char *value)
{
	int64_t token;

	if (!cli_number(reader, value, 1, INT64_C(1) << 62, &token))
		return false;
	reader->out->token = (uint64_t)token;
	reader->out->token_source = reader->source;
	return true;
}

bool cli_set_show(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->show = true;
	return true;
}

bool cli_set_even_corrupt(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->even_corrupt = true;
	return true;
}

bool cli_set_close(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->orphans_keep_lock = false;
	return true;
}

bool cli_set_kill_rest(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->kill_rest = true;
	return true;
}

bool cli_set_kill_after(cli_reader *reader, const char *value)
{
	return cli_duration(reader, value, &reader->out->kill_after_ms);
}

bool cli_set_no_inherit(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->no_inherit = true;
	return true;
}

bool cli_set_literal(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->literal = true;
	return true;
}

bool cli_set_interval(cli_reader *reader, const char *value)
{
	int64_t *ms = &reader->out->interval_ms;

	reader->out->interval_set = true;
	return cli_duration(reader, value, ms) &&
	       ((*ms >= 100 && *ms <= 3600000) ||
		       cli_refuse(reader, value, "give 100ms to 1h"));
}

bool cli_set_sort(cli_reader *reader, const char *value)
{
	reader->out->sort = value;
	return top_sort_of(value) != TOP_SORTS ||
	       cli_refuse(reader, value, "give waiters, name, held, longest, rate or hold");
}

bool cli_set_once(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->once = true;
	return true;
}
