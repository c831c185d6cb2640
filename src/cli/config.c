/*
 * Settings that do not stand on the command line: git's configuration, then
 * HOLDFAST_* in the environment, then the default store. Only what the
 * subcommand takes is looked at, so that a bad holdfast.ttl does not keep
 * anybody from `holdfast status`.
 */
#include "gitconfig.h"
#include "settings.h"
#include "state_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool set_from(cli_reader *reader, const cli_setting *setting, cli_source source,
	const char *place, const char *key, const char *value)
{
	char label[64];
	bool ok;

	snprintf(label, sizeof(label), "%s%s", place, key);
	reader->label = label;
	reader->source = source;
	ok = setting->set(reader, value);
	reader->label = NULL;
	return ok;
}

/* One "key\nvalue" (or just "key") of git's answer. */
static bool apply_git_entry(cli_reader *reader, unsigned takes, bool profile, const char *entry)
{
	static const char section[] = "holdfast.";
	const char *newline = strchr(entry, '\n');
	size_t len = newline ? (size_t)(newline - entry) : strlen(entry);
	const cli_setting *s;

	if (len < sizeof(section) || memcmp(entry, section, sizeof(section) - 1))
		return true;
	entry += sizeof(section) - 1;
	len -= sizeof(section) - 1;
	for (s = cli_setting_table(); s->name; s++) {
		if (!s->git_key || cli_setting_is_profile(s) != profile ||
			!cli_setting_taken(s, takes) || strlen(s->git_key) != len ||
			memcmp(s->git_key, entry, len))
			continue;
		if (newline)
			return set_from(reader, s, CLI_FROM_GIT_CONFIG, "git config holdfast.",
				s->git_key, newline + 1);
		cli_usage(reader->out->command_name, "git config holdfast.%s has no value",
			s->git_key);
		return false;
	}
	return true;
}

static bool apply_git_config(cli_reader *reader, unsigned takes, int *exit_out)
{
	hf_buf answer = HF_BUF_INIT;
	hf_error error;
	const char *p;
	hf_status st = cli_git_config_ask(&answer, &error);
	bool ok = true;

	if (st) {
		cli_say("%s", error.text);
		*exit_out = hf_status_exit_code(st);
		hf_buf_free(&answer);
		return false;
	}
	/* A last entry that was cut off would not end with a NUL: hf_buf adds one. */
	for (p = answer.data; ok && p && p < answer.data + answer.len; p += strlen(p) + 1)
		ok = apply_git_entry(reader, takes, true, p);
	for (p = answer.data; ok && p && p < answer.data + answer.len; p += strlen(p) + 1)
		ok = apply_git_entry(reader, takes, false, p);
	hf_buf_free(&answer);
	*exit_out = hf_status_exit_code(HF_INVALID);
	return ok;
}

static bool apply_environment(cli_reader *reader, unsigned takes)
{
	const cli_setting *s;

	for (s = cli_setting_table(); s->name; s++) {
		const char *value;

		if (!s->environment || !cli_setting_taken(s, takes))
			continue;
		value = getenv(s->environment);
		if (value && *value &&
			!set_from(reader, s, CLI_FROM_ENVIRONMENT, "", s->environment, value))
			return false;
	}
	return true;
}

/* A path, with what a URL gives a meaning to written as %XX. */
static void add_path(hf_buf *url, const char *path)
{
	bool plain = hf_utf8_plain(path, strlen(path));

	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c == '%' || c == '?' || c == '#' || (!plain && (c < 0x20 || c >= 0x7f)))
			hf_buf_addf(url, "%%%02X", c);
		else
			hf_buf_addc(url, (char)c);
	}
}

/*
 * A folder that is the same for a login shell and for cron, which has no
 * runtime folder.
 */
static bool add_state_store(hf_buf *url)
{
	hf_buf path = HF_BUF_INIT;

	if (cli_state_path(&path, "locks")) {
		hf_buf_adds(url, "file:");
		add_path(url, path.data);
		/* Private, as the XDG specification asks; at the first change. */
		hf_buf_adds(url, "?parents=make");
	}
	url->failed = url->failed || path.failed;
	hf_buf_free(&path);
	return url->len > 0;
}

static bool set_default_store(
	cli_reader *reader, const cli_repository *repository, int *exit_out)
{
	hf_buf url = HF_BUF_INIT;

	if (repository) {
		hf_buf_adds(&url, "git:");
		add_path(&url, repository->common_dir);
	} else if (!add_state_store(&url) && !url.failed) {
		cli_usage(reader->out->command_name, "no store is given, this is not a git "
						     "repository, and there is no HOME: "
						     "say where the locks live with -S URL");
		return false;
	}
	if (url.failed) {
		cli_say("out of memory");
		*exit_out = hf_status_exit_code(HF_NO_MEMORY);
	} else {
		reader->out->store = cli_keep(reader->out, url.data);
	}
	hf_buf_free(&url);
	return reader->out->store;
}

const char *cli_store_anchor(cli_options *options, const char *store)
{
	static const char *const schemes[] = {"file:", "git:", "sqlite:"};
	hf_buf url = HF_BUF_INIT;
	char here[PATH_MAX];
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);
		const char *path = store + n;

		if (strncmp(store, schemes[i], n) != 0 || !*path || *path == '/' ||
			*path == '?' || !getcwd(here, sizeof(here)))
			continue;
		hf_buf_adds(&url, schemes[i]);
		add_path(&url, here);
		hf_buf_addf(&url, "/%s", path);
		if (url.failed)
			cli_say("out of memory");
		store = url.failed ? NULL : cli_keep(options, url.data);
		hf_buf_free(&url);
		break;
	}
	return store;
}

/* Whether git's configuration could tell the subcommand more than the store. */
static bool takes_settings(unsigned takes)
{
	const cli_setting *s;

	for (s = cli_setting_table(); s->name; s++)
		if (s->git_key && s->takes != 0 && cli_setting_taken(s, takes))
			return true;
	return false;
}

bool cli_config_read(cli_reader *reader, unsigned takes, const char *flag_store, int *exit_out)
{
	const char *environment_store = getenv("HOLDFAST_STORE");
	bool has_store = flag_store || (environment_store && *environment_store);
	bool has_settings = takes_settings(takes);
	cli_repository repository;
	bool in_repository = false;

	*exit_out = hf_status_exit_code(HF_INVALID);
	if (takes & CLI_TAKES_NO_STORE)
		return true;
	if (!has_store || has_settings) {
		in_repository = cli_repository_find(&repository);
		if (cli_git_config_mentions_us(in_repository ? &repository : NULL) &&
			!apply_git_config(reader, takes, exit_out))
			return false;
	}
	if (!apply_environment(reader, takes))
		return false;
	if (reader->out->store || flag_store)
		return true;
	return set_default_store(reader, in_repository ? &repository : NULL, exit_out);
}
