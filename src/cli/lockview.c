#include "lockview.h"

#include <stdio.h>

/* A terminal shows the first ones; a pipe has all, and times in seconds. */
static const char *const headings[] = {"NAME", "STATE", "OWNER", "MODE", "TOKEN", "AGE", "LEFT",
	"PID", "COMMAND", "ID", "HOST"};
#define TERMINAL_COLUMNS 9

bool cli_lock_is_free(const hf_lock_info *info)
{
	return info->state == HF_OK && info->holder_count == 0 && info->closed_ms <= 0;
}

void cli_lock_table_init(cli_table *table)
{
	cli_table_init(
		table, headings, cli_is_terminal() ? TERMINAL_COLUMNS : HF_ARRAY_LEN(headings));
}

bool cli_holder_upgrades(const hf_holder *waiter)
{
	return strcmp(waiter->group, waiter->id) != 0;
}

int64_t cli_holder_age_ms(const hf_holder *h)
{
	int64_t age;

	if (h->acquired_wall_ms <= 0)
		return -1;
	age = hf_wall_ms() - h->acquired_wall_ms;
	return age > 0 ? age : 0;
}

static void add_time(cli_table *table, int64_t ms)
{
	char text[40];

	if (cli_is_terminal())
		cli_format_age(ms, text);
	else if (ms < 0)
		hf_copy(text, sizeof(text), "-");
	else
		snprintf(text, sizeof(text), "%lld.%03d", (long long)(ms / 1000),
			(int)(ms % 1000));
	cli_table_add(table, CLI_PLAIN, text);
}

static void add_count(cli_table *table, uint64_t n)
{
	if (n > 0)
		cli_table_addf(table, CLI_PLAIN, "%llu", (unsigned long long)n);
	else
		cli_table_add(table, CLI_FAINT, NULL);
}

/* The cells behind TOKEN that only a pipe gets, or fill the row up. */
static void add_tail(cli_table *table, const char *id, const char *host)
{
	if (table->columns <= TERMINAL_COLUMNS)
		return;
	cli_table_add(table, CLI_PLAIN, id);
	cli_table_add(table, CLI_PLAIN, host);
}

static void add_holder(
	cli_table *table, const hf_lock_info *info, const hf_holder *h, bool waits)
{
	cli_table_add(table, CLI_PLAIN, info->name);
	if (waits)
		cli_table_add(table, CLI_FAINT, h->offered ? "offered" : "waiting");
	else
		cli_table_add(table, CLI_WARN, h->foreign ? "foreign" : "held");
	cli_table_add(table, CLI_PLAIN, h->owner);
	if (h->mode == HF_SHARED && h->limit > 0)
		cli_table_addf(table, CLI_PLAIN, "shared/%u", h->limit);
	else
		cli_table_add(table, CLI_PLAIN, hf_mode_name(h->mode));
	add_count(table, h->token);
	add_time(table, cli_holder_age_ms(h));
	add_time(table, waits ? -1 : h->remaining_ms);
	add_count(table, h->pid > 0 ? (uint64_t)h->pid : 0);
	cli_table_add(table, CLI_PLAIN, h->command);
	add_tail(table, h->id, h->host);
}

/* A lock without anybody: why, and what it was last. */
static void add_vacant(cli_table *table, const hf_lock_info *info)
{
	size_t i;

	cli_table_add(table, CLI_PLAIN, info->name);
	if (info->state != HF_OK)
		cli_table_add(table, CLI_BAD, "damaged");
	else if (info->closed_ms > 0)
		cli_table_add(table, CLI_WARN, "closed");
	else
		cli_table_add(table, CLI_GOOD, "free");
	for (i = 0; i < 2; i++)
		cli_table_add(table, CLI_FAINT, NULL);
	add_count(table, info->state == HF_OK ? info->token : 0);
	add_time(table, -1);
	add_time(table, info->state == HF_OK && info->closed_ms > 0 ? info->closed_ms : -1);
	cli_table_add(table, CLI_FAINT, NULL);
	cli_table_add(table, CLI_PLAIN, info->state == HF_OK ? NULL : info->problem);
	add_tail(table, NULL, NULL);
}

void cli_lock_add_rows(cli_table *table, const hf_lock_info *info)
{
	bool readable = info->state == HF_OK;
	size_t i;

	for (i = 0; readable && i < info->holder_count; i++)
		add_holder(table, info, &info->holders[i], false);
	if (!readable || info->holder_count == 0)
		add_vacant(table, info);
	for (i = 0; readable && i < info->waiter_count; i++)
		add_holder(table, info, &info->waiters[i], true);
}

/* ---- JSON ---- */

/* An object for people; what is none (a neighbour's) is shown as text. */
static json_t *info_json(const char *text)
{
	json_t *json = *text ? json_loads(text, 0, NULL) : NULL;

	return json ? json : cli_json_text(text);
}

static json_t *under_json(const hf_holder *h)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; array && i < h->under_count; i++) {
		if (json_array_append_new(array,
			    json_pack("{s:o, s:o}", "name", cli_json_text(h->under[i].name),
				    "id", cli_json_text(h->under[i].id)))) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static json_t *holder_json(const hf_holder *h, bool waits)
{
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:b, s:b, s:o, s:b, s:b, s:b}",
		"id", cli_json_text(h->id), "owner", cli_json_text(h->owner), "host",
		cli_json_text(h->host), "pid", h->pid > 0 ? json_integer(h->pid) : json_null(),
		"command", cli_json_text(h->command), "mode", hf_mode_name(h->mode), "limit",
		h->limit ? json_integer(h->limit) : json_null(), "token",
		h->token ? cli_json_count(h->token) : json_null(), "ttl_ms",
		cli_json_time(h->ttl_ms), "acquired_at",
		h->acquired_wall_ms > 0 ? cli_json_wall(h->acquired_wall_ms) : json_null(),
		"age_ms", cli_json_time(cli_holder_age_ms(h)), "remaining_ms",
		cli_json_time(waits ? -1 : h->remaining_ms), "renewals",
		waits ? json_null() : cli_json_time(h->renewals), "priority",
		json_integer(h->priority), "info", info_json(h->info), "foreign", h->foreign,
		"process_bound", h->bound, "under", under_json(h), "offered", h->offered,
		"in_line", h->in_line, "upgrades", waits && cli_holder_upgrades(h));
}

static json_t *holders_json(const hf_holder *holders, size_t count, bool waits)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; array && i < count; i++) {
		if (json_array_append_new(array, holder_json(&holders[i], waits))) {
			json_decref(array);
			array = NULL;
		}
	}
	return array;
}

static const char *state_name(const hf_lock_info *info)
{
	if (info->state != HF_OK)
		return "damaged";
	if (info->holder_count > 0)
		return "held";
	return info->closed_ms > 0 ? "closed" : "free";
}

json_t *cli_lock_json(const hf_lock_info *info)
{
	bool readable = info->state == HF_OK;

	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
		cli_json_text(info->name), "state", state_name(info), "token",
		readable ? cli_json_count(info->token) : json_null(), "generation",
		readable ? cli_json_count(info->generation) : json_null(), "closed_ms",
		readable && info->closed_ms > 0 ? json_integer(info->closed_ms) : json_null(),
		"holders",
		holders_json(info->holders, readable ? info->holder_count : 0, false),
		"waiters", holders_json(info->waiters, readable ? info->waiter_count : 0, true),
		"problem", readable ? json_null() : cli_json_text(info->problem));
}

/* ---- digest ---- */

static uint64_t add_text(uint64_t hash, const char *text)
{
	return hf_hash(hash, text, strlen(text) + 1);
}

uint64_t cli_lock_digest(uint64_t hash, const hf_lock_info *info)
{
	size_t i;

	hash = add_text(hash, info->name);
	hash = add_text(hash, state_name(info));
	if (info->state != HF_OK)
		return add_text(hash, info->problem);
	hash = hf_hash(hash, &info->token, sizeof(info->token));
	for (i = 0; i < info->holder_count; i++) {
		const hf_holder *h = &info->holders[i];

		hash = add_text(hash, h->id);
		hash = hf_hash(hash, &h->token, sizeof(h->token));
		hash = hf_hash(hash, &h->mode, sizeof(h->mode));
		hash = hf_hash(hash, &h->ttl_ms, sizeof(h->ttl_ms));
	}
	hash = add_text(hash, "waiting");
	for (i = 0; i < info->waiter_count; i++)
		hash = add_text(hash, info->waiters[i].id);
	return hash;
}
