#include "setters.h"

#define ACQUIRE CLI_TAKES_ACQUIRE
#define WAITS (CLI_TAKES_ACQUIRE | CLI_TAKES_WAIT)

/* What writes an event into the history. */
#define CHANGES                                                                    \
	(CLI_TAKES_ACQUIRE | CLI_TAKES_WHO | CLI_TAKES_FORCE | CLI_TAKES_CLEANUP | \
		CLI_TAKES_FENCE)

/* What changes the counts of metrics. */
#define COUNTS (CLI_TAKES_ACQUIRE | CLI_TAKES_WHO | CLI_TAKES_FORCE)

static const cli_setting table[] = {
	{'S', "store", "URL", 0, "store", "HOLDFAST_STORE", cli_set_store,
		"where the locks live (holdfast(7)); default: the git repository here, "
		"else a folder of the user"},
	{'x', "exclusive", NULL, ACQUIRE, NULL, NULL, cli_set_exclusive,
		"hold it alone (the default)"},
	{'e', "exclusive", NULL, ACQUIRE, NULL, NULL, cli_set_exclusive, NULL},
	{'s', "shared", NULL, ACQUIRE, NULL, NULL, cli_set_shared,
		"hold it together with others"},
	{0, "limit", "N", ACQUIRE, NULL, NULL, cli_set_limit,
		"shared by at most N at once (1 to 1000000); implies -s"},
	{0, "tree", NULL, ACQUIRE, NULL, NULL, cli_set_tree,
		"names are paths: exclude who holds a/b while a/b/c is held, and not a/x"},
	{'n', "nonblock", NULL, WAITS, NULL, NULL, cli_set_nonblock, "do not wait"},
	{0, "nb", NULL, WAITS, NULL, NULL, cli_set_nonblock, NULL},
	{'w', "wait", "DUR", WAITS, "wait", "HOLDFAST_WAIT", cli_set_wait,
		"wait at most this long; 0 is -n; default: for ever"},
	{0, "timeout", "DUR", WAITS, NULL, NULL, cli_set_wait, NULL},
	{'E', "conflict-exit-code", "N", WAITS | CLI_TAKES_QUERY, NULL, NULL,
		cli_set_conflict_code, "the exit code when it is held (0 to 255; default 1)"},
	{0, "profile", "WORD", ACQUIRE, "profile", "HOLDFAST_PROFILE", cli_set_profile,
		"github, fast or conservative: what the settings below begin with"},
	{0, "ttl", "DUR", ACQUIRE, "ttl", "HOLDFAST_TTL", cli_set_ttl,
		"how long the lease lasts unless it is renewed (0: until released)"},
	{0, "heartbeat", "DUR", ACQUIRE, "heartbeat", "HOLDFAST_HEARTBEAT", cli_set_heartbeat,
		"run: how often to renew; default, and at the least: each third of the ttl"},
	{0, "ttl", "DUR", CLI_TAKES_TTL, NULL, NULL, cli_set_extend_ttl,
		"how long it lasts from now on; default: its own ttl"},
	{0, "lock-delay", "DUR", ACQUIRE, "lockdelay", "HOLDFAST_LOCK_DELAY",
		cli_set_lock_delay,
		"keep it closed this long if it ends without a release (at most 1d)"},
	{0, "owner", "TEXT", ACQUIRE, "owner", "HOLDFAST_OWNER", cli_set_owner,
		"who others are told holds it; default: user@host"},
	{0, "fingerprint", "TEXT", ACQUIRE, NULL, "HOLDFAST_FINGERPRINT", cli_set_fingerprint,
		"a secret to release by; every user can see it here, so better give it in a "
		"file, or in HOLDFAST_FINGERPRINT"},
	{0, "fingerprint-file", "PATH", ACQUIRE, NULL, NULL, cli_set_fingerprint_file,
		"the same from the first line of a file"},
	{0, "strategy", "WORD", ACQUIRE, "strategy", "HOLDFAST_STRATEGY", cli_set_strategy,
		"queue (default), retry, fail_fast, steal_stale or force_acquire"},
	{0, "stale-after", "DUR", ACQUIRE, "staleafter", "HOLDFAST_STALE_AFTER",
		cli_set_stale_after, "steal_stale: take a lease not renewed for so long (5m)"},
	{0, "max-retries", "N", ACQUIRE, "maxretries", "HOLDFAST_MAX_RETRIES",
		cli_set_max_retries, "retry: tries after the first (5)"},
	{0, "backoff", "MIN..MAX", ACQUIRE, "backoff", "HOLDFAST_BACKOFF", cli_set_backoff,
		"retry: the pauses between tries (100ms..5s)"},
	{0, "priority", "N", ACQUIRE, NULL, "HOLDFAST_PRIORITY", cli_set_priority,
		"higher is served first (0)"},
	{0, "info", "JSON", ACQUIRE, NULL, NULL, cli_set_info,
		"a JSON object for people, shown by status"},
	{0, "id", "ID", CLI_TAKES_WHO, NULL, NULL, cli_select_id,
		"the grant that acquire printed"},
	{0, "fingerprint", "TEXT", CLI_TAKES_WHO, NULL, "HOLDFAST_FINGERPRINT",
		cli_select_fingerprint,
		"the secret it was acquired with; every user can see it here, so better give "
		"it "
		"in a file, or in HOLDFAST_FINGERPRINT"},
	{0, "fingerprint-file", "PATH", CLI_TAKES_WHO, NULL, NULL, cli_select_fingerprint_file,
		"the same from the first line of a file"},
	{0, "owner", "TEXT", CLI_TAKES_WHO, NULL, NULL, cli_select_owner,
		"all grants of an owner"},
	{0, "owner", "TEXT", CLI_TAKES_FORCE, "owner", "HOLDFAST_OWNER", cli_set_owner,
		"who the history is told did it; default: user@host"},
	{0, "token", "N", CLI_TAKES_FENCE, NULL, "HOLDFAST_TOKEN", cli_set_token,
		"the token to show (1 to 2^62); default: HOLDFAST_TOKEN, as run gives it"},
	{0, "show", NULL, CLI_TAKES_FENCE, NULL, NULL, cli_set_show,
		"only print the greatest token seen (0: none yet), and show none"},
	{0, "even-corrupt", NULL, CLI_TAKES_FORCE | CLI_TAKES_FENCE, NULL, NULL,
		cli_set_even_corrupt, "also replace a record that cannot be read"},
	{'o', "close", NULL, CLI_TAKES_RUN, NULL, NULL, cli_set_close,
		"background processes the command leaves do not keep the lock"},
	{0, "kill-rest", NULL, CLI_TAKES_RUN, NULL, NULL, cli_set_kill_rest,
		"end the background processes that the command leaves"},
	{0, "kill-after", "DUR", CLI_TAKES_RUN, NULL, NULL, cli_set_kill_after,
		"between SIGTERM and SIGKILL when the lease is lost"},
	{0, "no-inherit", NULL, CLI_TAKES_RUN, NULL, NULL, cli_set_no_inherit,
		"do not join a lock that this runs under, but treat it as another's"},
	{0, "literal", NULL, CLI_TAKES_RUN, NULL, NULL, cli_set_literal,
		"names are as they stand, none is NAME@URL"},
	{'a', "all", NULL, CLI_TAKES_LIST | CLI_TAKES_TOP, NULL, NULL, cli_set_all,
		"show free locks too"},
	{0, "watch", NULL, CLI_TAKES_WATCH, NULL, NULL, cli_set_watch,
		"go on, and show each change until interrupted"},
	{0, "history", "N", CHANGES, "history", "HOLDFAST_HISTORY", cli_set_history,
		"how many events its history keeps at least (default 1000; 0: all)"},
	{0, "metrics", "BOOL", COUNTS, "metrics", "HOLDFAST_METRICS", cli_set_metrics,
		"whether 'metrics' is to tell of it (default true)"},
	{0, "prometheus", NULL, CLI_TAKES_METRICS, NULL, NULL, cli_set_prometheus,
		"print Prometheus' text format"},
	{0, "reset", NULL, CLI_TAKES_METRICS, NULL, NULL, cli_set_reset,
		"do not show, but begin anew: all, or those of NAME or the store"},
	{0, "interval", "DUR", CLI_TAKES_TOP, NULL, NULL, cli_set_interval,
		"how often it looks (default 2s; 100ms to 1h)"},
	{0, "sort", "WORD", CLI_TAKES_TOP, NULL, NULL, cli_set_sort,
		"waiters (default), name, held, longest, rate or hold"},
	{0, "once", NULL, CLI_TAKES_TOP, NULL, NULL, cli_set_once,
		"print one frame, after --interval if that is given (for rates), and end"},
	{'N', "limit", "N", CLI_TAKES_LOG, NULL, NULL, cli_set_log_limit,
		"only the newest N events (or -5 for -N 5); 0, also -0: all"},
	{0, "prune", "N", CLI_TAKES_LOG, NULL, NULL, cli_set_prune,
		"do not show, but drop all except the newest N events"},
	{0, "forget-after", "DUR", CLI_TAKES_CLEANUP, NULL, NULL, cli_set_forget_after,
		"forget locks that are free for so long (default 1d; never)"},
	{0, "json", NULL, 0, NULL, NULL, cli_set_json, "print JSON (docs/json.md)"},
	{'q', "quiet", NULL, 0, NULL, NULL, cli_set_quiet, "print no answers, only errors"},
	{'v', "verbose", NULL, 0, NULL, NULL, cli_set_verbose, "say what is done"},
	{0, NULL, NULL, 0, NULL, NULL, NULL, NULL},
};

const cli_setting *cli_setting_table(void)
{
	return table;
}

bool cli_setting_is_profile(const cli_setting *setting)
{
	return setting->set == cli_set_profile;
}

bool cli_setting_taken(const cli_setting *setting, unsigned takes)
{
	if (setting->set == cli_set_store && (takes & CLI_TAKES_NO_STORE))
		return false;
	return setting->takes == 0 || (setting->takes & takes) != 0;
}
