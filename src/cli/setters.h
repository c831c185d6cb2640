/* What the values of options mean: setters for the table of settings.h. */
#ifndef HF_CLI_SETTERS_H
#define HF_CLI_SETTERS_H

#include "settings.h"

#define CLI_TEXT_MAX 200 /* bytes of an owner or a fingerprint */

/* False, after "holdfast acquire: --ttl: 'abc' is refused: ALLOWED; see ..." */
bool cli_refuse(cli_reader *reader, const char *value, const char *allowed);
bool cli_number(
	cli_reader *reader, const char *value, int64_t least, int64_t most, int64_t *out);
bool cli_duration(cli_reader *reader, const char *value, int64_t *ms_out);
/* Text that others are shown: not empty, not long, plain. NULL: refused. */
const char *cli_plain_text(cli_reader *reader, const char *value, bool secret);

/* False: a message has been printed. value is NULL for a switch. */
typedef bool cli_setter(cli_reader *reader, const char *value);
cli_setter cli_set_store, cli_set_json, cli_set_quiet, cli_set_verbose, cli_set_exclusive,
	cli_set_shared, cli_set_limit, cli_set_tree, cli_set_nonblock, cli_set_wait,
	cli_set_conflict_code, cli_set_profile, cli_set_ttl, cli_set_heartbeat,
	cli_set_lock_delay, cli_set_owner, cli_set_fingerprint, cli_set_fingerprint_file,
	cli_set_strategy, cli_set_stale_after, cli_set_max_retries, cli_set_backoff,
	cli_set_priority, cli_set_info, cli_select_id, cli_select_owner, cli_select_fingerprint,
	cli_select_fingerprint_file, cli_set_watch, cli_set_all, cli_set_log_limit,
	cli_set_history, cli_set_metrics, cli_set_prometheus, cli_set_reset, cli_set_prune,
	cli_set_forget_after, cli_set_token, cli_set_show, cli_set_even_corrupt, cli_set_close,
	cli_set_kill_rest, cli_set_kill_after, cli_set_no_inherit, cli_set_literal,
	cli_set_extend_ttl, cli_set_interval, cli_set_sort, cli_set_once;

#endif
