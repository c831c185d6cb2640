#include "settings.h"

#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

#define TEXT_MAX 200 /* bytes of an owner or a fingerprint */
#define INFO_MAX 4096
#define DURATION_FORM                                                               \
	"a duration is a number with ms, s, m, h or d, such as 250ms, 30s or 1.5h " \
	"(without a unit: seconds)"
#define TTL_MIN_MS 100
#define TTL_MAX_MS INT64_C(31536000000)

/* "holdfast acquire: --ttl: 'abc': ALLOWED; see ..." */
static bool refuse(cli_reader *reader, const char *value, const char *allowed)
{
	cli_usage(reader->out->command_name, "%s: '%s' is refused: %s", reader->label, value,
		allowed);
	return false;
}

static bool number(
	cli_reader *reader, const char *value, int64_t least, int64_t most, int64_t *out)
{
	char allowed[96];

	if (hf_parse_i64(value, out) && *out >= least && *out <= most)
		return true;
	snprintf(allowed, sizeof(allowed), "give a whole number from %lld to %lld",
		(long long)least, (long long)most);
	return refuse(reader, value, allowed);
}

static bool duration(cli_reader *reader, const char *value, int64_t *ms_out)
{
	return hf_parse_duration(value, ms_out) || refuse(reader, value, DURATION_FORM);
}

/* Text that others are shown: not empty, not long, plain. NULL: refused. */
static const char *plain_text(cli_reader *reader, const char *value, bool secret)
{
	size_t n = strlen(value);

	if (n >= 1 && n <= TEXT_MAX && hf_utf8_plain(value, n))
		return cli_keep(reader->out, value);
	refuse(reader, secret ? "(not shown)" : value,
		"give 1 to 200 bytes of UTF-8 without control characters");
	return NULL;
}

/* ---- common ---- */

static bool set_store(cli_reader *reader, const char *value)
{
	char *copy;

	if (!*value)
		return refuse(reader, value, "give a URL such as git:. or file:DIR");
	copy = cli_keep(reader->out, value);
	reader->out->store = copy;
	reader->out->store_source = reader->source;
	return copy;
}

static bool set_json(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->json = true;
	return true;
}

static bool set_quiet(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->quiet = true;
	return true;
}

static bool set_verbose(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->verbose = true;
	return true;
}

/* ---- acquire ---- */

static bool set_exclusive(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->acquire.mode = HF_EXCLUSIVE;
	reader->exclusive_given = true;
	return true;
}

static bool set_shared(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->acquire.mode = HF_SHARED;
	reader->exclusive_given = false;
	return true;
}

static bool set_tree(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->acquire.flags |= HF_TREE_NAME;
	return true;
}

static bool set_limit(cli_reader *reader, const char *value)
{
	int64_t limit;

	if (!number(reader, value, 1, 1000000, &limit))
		return false;
	reader->out->acquire.limit = (uint32_t)limit;
	return true;
}

static bool set_nonblock(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->acquire.wait_ms = 0;
	return true;
}

static bool set_wait(cli_reader *reader, const char *value)
{
	return duration(reader, value, &reader->out->acquire.wait_ms);
}

static bool set_conflict_code(cli_reader *reader, const char *value)
{
	int64_t code;

	if (!number(reader, value, 0, 255, &code))
		return false;
	reader->out->conflict_exit_code = (int)code;
	return true;
}

static bool set_ttl(cli_reader *reader, const char *value)
{
	int64_t ms;

	if (!duration(reader, value, &ms))
		return false;
	if (ms != 0 && (ms < TTL_MIN_MS || ms > TTL_MAX_MS))
		return refuse(reader, value, "a ttl is 0 (until released) or 100ms to 365d");
	reader->out->acquire.ttl_ms = ms;
	reader->out->ttl_source = reader->source;
	return true;
}

static bool set_lock_delay(cli_reader *reader, const char *value)
{
	int64_t ms;

	if (!duration(reader, value, &ms))
		return false;
	if (ms > 86400000)
		return refuse(reader, value, "a lock delay is at most 1d");
	reader->out->acquire.lock_delay_ms = ms;
	return true;
}

static bool set_owner(cli_reader *reader, const char *value)
{
	return (reader->out->acquire.owner = plain_text(reader, value, false)) != NULL;
}

static bool set_fingerprint(cli_reader *reader, const char *value)
{
	return (reader->out->acquire.fingerprint = plain_text(reader, value, true)) != NULL;
}

/* The first line of the file, without its newline, into text[TEXT_MAX + 2]. */
static bool first_line(cli_reader *reader, const char *path, char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t got = -1;
	char *newline;

	while (fd >= 0 && len < TEXT_MAX + 1) {
		got = read(fd, text + len, TEXT_MAX + 1 - len);
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

static bool set_fingerprint_file(cli_reader *reader, const char *value)
{
	char text[TEXT_MAX + 2];

	return first_line(reader, value, text) && set_fingerprint(reader, text);
}

static bool set_strategy(cli_reader *reader, const char *value)
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
	return refuse(reader, value,
		"give one of queue, retry, fail_fast, steal_stale, force_acquire");
}

static bool set_stale_after(cli_reader *reader, const char *value)
{
	int64_t ms;

	if (!duration(reader, value, &ms))
		return false;
	if (ms < 1)
		return refuse(reader, value, "it must be at least 1ms");
	reader->out->acquire.stale_after_ms = ms;
	return true;
}

static bool set_max_retries(cli_reader *reader, const char *value)
{
	int64_t n;

	if (!number(reader, value, 0, UINT32_MAX, &n))
		return false;
	reader->out->acquire.max_retries = (uint32_t)n;
	return true;
}

static bool set_backoff(cli_reader *reader, const char *value)
{
	static const char form[] = "give MIN..MAX, two durations of at least 1ms of which "
				   "the first is not longer, such as 100ms..5s";
	const char *dots = strstr(value, "..");
	char least[32];
	int64_t min_ms;
	int64_t max_ms;

	if (!dots || (size_t)(dots - value) >= sizeof(least))
		return refuse(reader, value, form);
	memcpy(least, value, (size_t)(dots - value));
	least[dots - value] = '\0';
	if (!hf_parse_duration(least, &min_ms) || !hf_parse_duration(dots + 2, &max_ms) ||
		min_ms < 1 || max_ms < min_ms)
		return refuse(reader, value, form);
	reader->out->acquire.backoff_min_ms = min_ms;
	reader->out->acquire.backoff_max_ms = max_ms;
	return true;
}

static bool set_priority(cli_reader *reader, const char *value)
{
	int64_t n;

	if (!number(reader, value, INT32_MIN, INT32_MAX, &n))
		return false;
	reader->out->acquire.priority = (int32_t)n;
	return true;
}

static bool set_info(cli_reader *reader, const char *value)
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
		return refuse(reader, value, "give a JSON object, such as '{\"ticket\": 7}'");
	if (strlen(value) > INFO_MAX)
		return refuse(reader, "(long)", "it may have at most 4096 bytes");
	return (reader->out->acquire.info = cli_keep(reader->out, value)) != NULL;
}

/* ---- a selector: whose grant ---- */

static bool select_one(cli_reader *reader, const char *value, bool secret, const char **field)
{
	hf_who *who = &reader->out->who;

	if (!(value = plain_text(reader, value, secret)))
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

static bool select_id(cli_reader *reader, const char *value)
{
	return select_one(reader, value, false, &reader->out->who.id);
}

static bool select_owner(cli_reader *reader, const char *value)
{
	return select_one(reader, value, false, &reader->out->who.owner);
}

static bool select_fingerprint(cli_reader *reader, const char *value)
{
	if (reader->source != CLI_FROM_FLAG)
		return (reader->fingerprint = plain_text(reader, value, true)) != NULL;
	return select_one(reader, value, true, &reader->out->who.fingerprint);
}

static bool select_fingerprint_file(cli_reader *reader, const char *value)
{
	char text[TEXT_MAX + 2];

	return first_line(reader, value, text) && select_fingerprint(reader, text);
}

/* ---- the rest ---- */

static bool set_extend_ttl(cli_reader *reader, const char *value)
{
	if (!set_ttl(reader, value))
		return false;
	if (reader->out->acquire.ttl_ms == 0)
		return refuse(reader, value,
			"a lease that has a ttl keeps one: give 100ms to 365d, or leave --ttl "
			"out");
	return true;
}

static bool set_watch(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->watch = true;
	return true;
}

static bool set_all(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->all = true;
	return true;
}

static bool set_log_limit(cli_reader *reader, const char *value)
{
	int64_t n;

	if (!number(reader, value, 0, INT32_MAX, &n))
		return false;
	reader->out->log_limit = (size_t)n;
	return true;
}

static bool set_history(cli_reader *reader, const char *value)
{
	int64_t n;

	if (!number(reader, value, 0, INT32_MAX, &n))
		return false;
	reader->out->history_limit = (uint32_t)n;
	return true;
}

static bool set_prune(cli_reader *reader, const char *value)
{
	return number(reader, value, 1, INT32_MAX, &reader->out->keep);
}

static bool set_forget_after(cli_reader *reader, const char *value)
{
	if (!strcmp(value, "never")) {
		reader->out->forget_after_ms = -1;
		return true;
	}
	if (hf_parse_duration(value, &reader->out->forget_after_ms))
		return true;
	return refuse(reader, value, "give a duration such as 1d or 12h, or never");
}

static bool set_token(cli_reader *reader, const char *value)
{
	int64_t token;

	if (!number(reader, value, 1, INT64_C(1) << 62, &token))
		return false;
	reader->out->token = (uint64_t)token;
	reader->out->token_source = reader->source;
	return true;
}

static bool set_show(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->show = true;
	return true;
}

static bool set_even_corrupt(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->even_corrupt = true;
	return true;
}

static bool set_close(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->orphans_keep_lock = false;
	return true;
}

static bool set_kill_rest(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->kill_rest = true;
	return true;
}

static bool set_kill_after(cli_reader *reader, const char *value)
{
	return duration(reader, value, &reader->out->kill_after_ms);
}

static bool set_no_inherit(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->no_inherit = true;
	return true;
}

static bool set_literal(cli_reader *reader, const char *value)
{
	(void)value;
	reader->out->literal = true;
	return true;
}

#define ACQUIRE CLI_TAKES_ACQUIRE
#define WAITS (CLI_TAKES_ACQUIRE | CLI_TAKES_WAIT)

/* What writes an event into the history. */
#define CHANGES                                                                    \
	(CLI_TAKES_ACQUIRE | CLI_TAKES_WHO | CLI_TAKES_FORCE | CLI_TAKES_CLEANUP | \
		CLI_TAKES_FENCE)

static const cli_setting table[] = {
	{'S', "store", "URL", 0, "store", "HOLDFAST_STORE", set_store,
		"where the locks live (holdfast(7)); default: the git repository here, "
		"else a folder of the user"},
	{'x', "exclusive", NULL, ACQUIRE, NULL, NULL, set_exclusive,
		"hold it alone (the default)"},
	{'e', "exclusive", NULL, ACQUIRE, NULL, NULL, set_exclusive, NULL},
	{'s', "shared", NULL, ACQUIRE, NULL, NULL, set_shared, "hold it together with others"},
	{0, "limit", "N", ACQUIRE, NULL, NULL, set_limit,
		"shared by at most N at once (1 to 1000000); implies -s"},
	{0, "tree", NULL, ACQUIRE, NULL, NULL, set_tree,
		"names are paths: exclude who holds a/b while a/b/c is held, and not a/x"},
	{'n', "nonblock", NULL, WAITS, NULL, NULL, set_nonblock, "do not wait"},
	{0, "nb", NULL, WAITS, NULL, NULL, set_nonblock, NULL},
	{'w', "wait", "DUR", WAITS, "wait", "HOLDFAST_WAIT", set_wait,
		"wait at most this long; 0 is -n; default: for ever"},
	{0, "timeout", "DUR", WAITS, NULL, NULL, set_wait, NULL},
	{'E', "conflict-exit-code", "N", WAITS | CLI_TAKES_QUERY, NULL, NULL, set_conflict_code,
		"the exit code when it is held (0 to 255; default 1)"},
	{0, "ttl", "DUR", ACQUIRE, "ttl", "HOLDFAST_TTL", set_ttl,
		"how long the lease lasts unless it is renewed (0: until released)"},
	{0, "ttl", "DUR", CLI_TAKES_TTL, NULL, NULL, set_extend_ttl,
		"how long it lasts from now on; default: its own ttl"},
	{0, "lock-delay", "DUR", ACQUIRE, "lockdelay", "HOLDFAST_LOCK_DELAY", set_lock_delay,
		"keep it closed this long if it ends without a release (at most 1d)"},
	{0, "owner", "TEXT", ACQUIRE, "owner", "HOLDFAST_OWNER", set_owner,
		"who others are told holds it; default: user@host"},
	{0, "fingerprint", "TEXT", ACQUIRE, NULL, "HOLDFAST_FINGERPRINT", set_fingerprint,
		"a secret to release by; every user can see it here, so better give it in a "
		"file, or in HOLDFAST_FINGERPRINT"},
	{0, "fingerprint-file", "PATH", ACQUIRE, NULL, NULL, set_fingerprint_file,
		"the same from the first line of a file"},
	{0, "strategy", "WORD", ACQUIRE, "strategy", "HOLDFAST_STRATEGY", set_strategy,
		"queue (default), retry, fail_fast, steal_stale or force_acquire"},
	{0, "stale-after", "DUR", ACQUIRE, "staleafter", "HOLDFAST_STALE_AFTER",
		set_stale_after, "steal_stale: take a lease not renewed for so long (5m)"},
	{0, "max-retries", "N", ACQUIRE, "maxretries", "HOLDFAST_MAX_RETRIES", set_max_retries,
		"retry: tries after the first (5)"},
	{0, "backoff", "MIN..MAX", ACQUIRE, "backoff", "HOLDFAST_BACKOFF", set_backoff,
		"retry: the pauses between tries (100ms..5s)"},
	{0, "priority", "N", ACQUIRE, NULL, "HOLDFAST_PRIORITY", set_priority,
		"higher is served first (0)"},
	{0, "info", "JSON", ACQUIRE, NULL, NULL, set_info,
		"a JSON object for people, shown by status"},
	{0, "id", "ID", CLI_TAKES_WHO, NULL, NULL, select_id, "the grant that acquire printed"},
	{0, "fingerprint", "TEXT", CLI_TAKES_WHO, NULL, "HOLDFAST_FINGERPRINT",
		select_fingerprint,
		"the secret it was acquired with; every user can see it here, so better give "
		"it "
		"in a file, or in HOLDFAST_FINGERPRINT"},
	{0, "fingerprint-file", "PATH", CLI_TAKES_WHO, NULL, NULL, select_fingerprint_file,
		"the same from the first line of a file"},
	{0, "owner", "TEXT", CLI_TAKES_WHO, NULL, NULL, select_owner, "all grants of an owner"},
	{0, "owner", "TEXT", CLI_TAKES_FORCE, "owner", "HOLDFAST_OWNER", set_owner,
		"who the history is told did it; default: user@host"},
	{0, "token", "N", CLI_TAKES_FENCE, NULL, "HOLDFAST_TOKEN", set_token,
		"the token to show (1 to 2^62); default: HOLDFAST_TOKEN, as run gives it"},
	{0, "show", NULL, CLI_TAKES_FENCE, NULL, NULL, set_show,
		"only print the greatest token seen (0: none yet), and show none"},
	{0, "even-corrupt", NULL, CLI_TAKES_FORCE | CLI_TAKES_FENCE, NULL, NULL,
		set_even_corrupt, "also replace a record that cannot be read"},
	{'o', "close", NULL, CLI_TAKES_RUN, NULL, NULL, set_close,
		"background processes the command leaves do not keep the lock"},
	{0, "kill-rest", NULL, CLI_TAKES_RUN, NULL, NULL, set_kill_rest,
		"end the background processes that the command leaves"},
	{0, "kill-after", "DUR", CLI_TAKES_RUN, NULL, NULL, set_kill_after,
		"between SIGTERM and SIGKILL when the lease is lost"},
	{0, "no-inherit", NULL, CLI_TAKES_RUN, NULL, NULL, set_no_inherit,
		"do not join a lock that this runs under, but treat it as another's"},
	{0, "literal", NULL, CLI_TAKES_RUN, NULL, NULL, set_literal,
		"names are as they stand, none is NAME@URL"},
	{'a', "all", NULL, CLI_TAKES_LIST, NULL, NULL, set_all, "show free locks too"},
	{0, "watch", NULL, CLI_TAKES_WATCH, NULL, NULL, set_watch,
		"go on, and show each change until interrupted"},
	{0, "history", "N", CHANGES, "history", "HOLDFAST_HISTORY", set_history,
		"how many events its history keeps at least (default 1000; 0: all)"},
	{'N', "limit", "N", CLI_TAKES_LOG, NULL, NULL, set_log_limit,
		"only the newest N events (or -5 for -N 5); 0, also -0: all"},
	{0, "prune", "N", CLI_TAKES_LOG, NULL, NULL, set_prune,
		"do not show, but drop all except the newest N events"},
	{0, "forget-after", "DUR", CLI_TAKES_CLEANUP, NULL, NULL, set_forget_after,
		"forget locks that are free for so long (default 1d; never)"},
	{0, "json", NULL, 0, NULL, NULL, set_json, "print JSON (docs/json.md)"},
	{'q', "quiet", NULL, 0, NULL, NULL, set_quiet, "print no answers, only errors"},
	{'v', "verbose", NULL, 0, NULL, NULL, set_verbose, "say what is done"},
	{0, NULL, NULL, 0, NULL, NULL, NULL, NULL},
};

const cli_setting *cli_setting_table(void)
{
	return table;
}

bool cli_setting_taken(const cli_setting *setting, unsigned takes)
{
	if (setting->set == set_store && (takes & CLI_TAKES_NO_STORE))
		return false;
	return setting->takes == 0 || (setting->takes & takes) != 0;
}
