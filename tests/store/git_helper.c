#include "git_helper.h"
#include "base/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

/* The module's one symbol; its code is linked into the tests. */
const hf_store_ops *hf_store_module(void);

const hf_store_ops *ops;
hf_store *repo;
static char home[256];

void repo_make(void)
{
	ops = hf_store_module();
	snprintf(home, sizeof(home), "%s", scratch_make());
	setenv("HOME", home, 1);
	setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
	setenv("GIT_CEILING_DIRECTORIES", home, 1);
	unsetenv("XDG_CONFIG_HOME");
	sh("git config --global user.name t; git config --global user.email t@example.org;"
	   "git config --global init.defaultBranch main; git config --global gc.auto 0;"
	   "git init -q repo");
}

int repo_begin(void **state)
{
	(void)state;
	repo_make();
	repo = store_open("repo", "");
	return 0;
}

int repo_end(void **state)
{
	ops->close(repo);
	return scratch_end(state);
}

static FILE *run(const char *format, va_list args)
{
	char command[4096];
	int n = snprintf(command, sizeof(command), "cd '%s' && { ", home);

	n += vsnprintf(command + n, sizeof(command) - (size_t)n, format, args);
	assert_true((size_t)n + 16 < sizeof(command));
	snprintf(command + n, sizeof(command) - (size_t)n, "\n} 2>&1");
	fflush(stdout);
	return popen(command, "r");
}

static char output[65536];

static int finish(FILE *pipe)
{
	size_t n = fread(output, 1, sizeof(output) - 1, pipe);
	int status;

	while (n && output[n - 1] == '\n')
		n--;
	output[n] = '\0';
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

void sh(const char *format, ...)
{
	va_list args;
	FILE *pipe;
	int code;

	va_start(args, format);
	pipe = run(format, args);
	va_end(args);
	code = finish(pipe);
	if (code)
		fail_msg("'%s': exit %d: %.300s", format, code, output);
}

int sh_code(const char *format, ...)
{
	va_list args;
	FILE *pipe;

	va_start(args, format);
	pipe = run(format, args);
	va_end(args);
	return finish(pipe);
}

const char *sh_out(const char *format, ...)
{
	va_list args;
	FILE *pipe;

	va_start(args, format);
	pipe = run(format, args);
	va_end(args);
	finish(pipe);
	return output;
}

void repo_check(void)
{
	sh("git -C repo fsck --strict --no-dangling");
}

static hf_status try_open(
	const char *path, const char *options, hf_store **store, hf_error *error)
{
	hf_store_env env = {.patience_ms = 2000};
	char url[1024];
	hf_url_parts parts;
	hf_status st;

	snprintf(url, sizeof(url), "git:%s/%s%s", home, path, options);
	assert_int_equal(hf_url_parse(url, &parts, error), HF_OK);
	st = ops->open(&parts.url, &env, store, error);
	hf_url_parts_clear(&parts);
	return st;
}

hf_store *store_open(const char *path, const char *options)
{
	hf_store *store = NULL;
	hf_error error = {.kind = HF_OK};

	if (try_open(path, options, &store, &error))
		fail_msg("open %s: %s", path, error.text);
	return store;
}

hf_status store_refused(const char *path, const char *options, hf_error *error)
{
	hf_store *store = NULL;
	hf_status st = try_open(path, options, &store, error);

	assert_null(store);
	return st;
}

void snap_clear(hf_snapshot *snap)
{
	free(snap->data);
	free(snap->foreign);
	memset(snap, 0, sizeof(*snap));
}

hf_snapshot look(hf_store *store, const char *name)
{
	hf_snapshot snap = {.data = NULL};
	hf_error error = {.kind = HF_OK};

	if (ops->read(store, name, &snap, &error))
		fail_msg("read %s: %s", name, error.text);
	assert_true(snap.etag.len > 0);
	return snap;
}

hf_status look_status(hf_store *store, const char *name, hf_error *error)
{
	hf_snapshot snap = {.data = NULL};
	hf_status st = ops->read(store, name, &snap, error);

	snap_clear(&snap);
	return st;
}

hf_status put_over(hf_store *store, const char *name, const hf_etag *expected,
	const char *record, const char *event, const hf_public_view *view, hf_error *error)
{
	hf_event_text text = {.summary = event, .line = event};
	hf_change change = {.data = record,
		.len = strlen(record),
		.event = event ? &text : NULL,
		.history_limit = 1000,
		.view = view};
	hf_snapshot reply = {.data = NULL};
	hf_status st = ops->swap(store, name, expected, &change, &reply, error);

	snap_clear(&reply);
	return st;
}

void put(hf_store *store, const char *name, const char *record, const char *event)
{
	hf_snapshot snap = look(store, name);
	hf_error error = {.kind = HF_OK};

	if (put_over(store, name, &snap.etag, record, event, NULL, &error))
		fail_msg("swap of %s: %s", name, error.text);
	snap_clear(&snap);
}

const char *record_of(hf_store *store, const char *name)
{
	static char text[4096];
	hf_snapshot snap = look(store, name);

	snprintf(text, sizeof(text), "%s", snap.len ? snap.data : "");
	snap_clear(&snap);
	return text;
}

static char lines[65536];
static size_t line_count;

static int add_line(void *arg, const char *line)
{
	size_t n = strlen(lines);

	(void)arg;
	line_count++;
	snprintf(lines + n, sizeof(lines) - n, "%s%s", n ? "|" : "", line);
	return 0;
}

static int count_line(void *arg, const char *line)
{
	(void)arg;
	(void)line;
	line_count++;
	return 0;
}

static void tell(hf_store *store, const char *name, hf_store_line_fn fn)
{
	hf_error error = {.kind = HF_OK};

	lines[0] = '\0';
	line_count = 0;
	if (ops->history(store, name, 0, fn, NULL, &error))
		fail_msg("history of %s: %s", name, error.text);
}

const char *history_of(hf_store *store, const char *name)
{
	tell(store, name, add_line);
	return lines;
}

size_t history_count(hf_store *store, const char *name)
{
	tell(store, name, count_line);
	return line_count;
}

static char names[8192];

static int add_name(void *arg, const char *name)
{
	size_t n = strlen(names);

	(void)arg;
	snprintf(names + n, sizeof(names) - n, "[%s]", name);
	return 0;
}

const char *names_of(hf_store *store)
{
	hf_error error;

	names[0] = '\0';
	if (ops->list(store, add_name, NULL, &error))
		fail_msg("%s", error.text);
	return names;
}

hf_public_view view_of(const char *id, int64_t ttl_ms)
{
	hf_public_view view = {.held = 1,
		.exclusive = 1,
		.pid = 4711,
		.acquired_wall_ms = hf_wall_ms(),
		.ttl_ms = ttl_ms};

	hf_copy(view.id, sizeof(view.id), id);
	hf_copy(view.owner, sizeof(view.owner), "alice@web1");
	hf_copy(view.host, sizeof(view.host), "web1");
	return view;
}
