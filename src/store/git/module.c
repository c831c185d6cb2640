/* The store's table of operations, and opening it. */
#include "base/url.h"
#include "layout.h"
#include "repo.h"
#include "swap.h"
#include "tidy.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_DEFAULT_MS 10000

/* ---- opening ---- */

static hf_status bad_option(
	const char *key, const char *value, const char *want, hf_error *error)
{
	return hf_fail(error, HF_INVALID, "open", 0, "the option %s=%s of a git: store: %s",
		key, value, want);
}

/* A lock there would be a branch, a tag, ... to git, or a lock of another layout. */
static bool is_taken(const char *prefix)
{
	static const char *const folders[] = {"bisect", "bundles", "heads", "holdfast", "notes",
		"original", "prefetch", "remotes", "replace", "rewritten", "stash", "tags",
		"worktree"};
	const char *folder = prefix + strlen("refs/");
	size_t n = strcspn(folder, "/");
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(folders); i++)
		if (strlen(folders[i]) == n && !strncmp(folder, folders[i], n))
			return true;
	return false;
}

static hf_status set_prefix(hf_store *store, const char *prefix, hf_error *error)
{
	char probe[256];
	char escaped[GS_ESCAPED_MAX + 1];
	size_t n = strlen(prefix);

	snprintf(probe, sizeof(probe), "%.200s/x", prefix);
	if (strncmp(prefix, "refs/", 5) || n > 150 || prefix[n - 1] == '/' ||
		!gs_ref_name_valid(probe))
		return bad_option("prefix", prefix,
			"give the full name of a folder of refs, such as refs/gitvan/locks",
			error);
	if (is_taken(prefix))
		return bad_option("prefix", prefix,
			"git or another layout keeps its own refs there; give a folder that "
			"is for locks alone, such as refs/gitvan/locks",
			error);
	gs_escape(prefix, escaped);
	snprintf(store->prefix, sizeof(store->prefix), "%s/", prefix);
	snprintf(store->space, sizeof(store->space), "holdfast/blob/%s", escaped);
	return HF_OK;
}

static hf_status read_layout(hf_store *store, const hf_url *url, hf_error *error)
{
	const char *layout = hf_url_option_of(url, "layout");
	const char *prefix = hf_url_option_of(url, "prefix");

	if (!layout || !strcmp(layout, "history")) {
		if (prefix)
			return bad_option(
				"prefix", prefix, "it goes with layout=blob only", error);
		store->layout = &gs_branch_layout;
		snprintf(store->prefix, sizeof(store->prefix), "refs/holdfast/locks/");
		snprintf(store->space, sizeof(store->space), "holdfast/locks");
		return HF_OK;
	}
	if (strcmp(layout, "blob"))
		return bad_option("layout", layout, "it is 'history' or 'blob'", error);
	store->layout = &gs_neighbour_layout;
	return set_prefix(store, prefix ? prefix : "refs/gitvan/locks", error);
}

static hf_status read_options(
	hf_store *store, const hf_url *url, const hf_store_env *env, hf_error *error)
{
	const char *history = hf_url_option_of(url, "history");
	const char *sync = hf_url_option_of(url, "sync");
	const char *patience = hf_url_option_of(url, "patience");
	uint64_t number = 0;

	if (history && (!hf_parse_u64(history, &number) || number > 100000000))
		return bad_option("history", history,
			"it is how many events are kept at least; 0: all", error);
	store->history = (size_t)number;
	store->history_given = history != NULL;
	if (sync && strcmp(sync, "none") && strcmp(sync, "full"))
		return bad_option("sync", sync, "it is 'none' or 'full'", error);
	store->sync = sync && !strcmp(sync, "full");
	store->patience_ms = env->patience_ms > 0 ? env->patience_ms : PATIENCE_DEFAULT_MS;
	if (patience && (!hf_parse_duration(patience, &store->patience_ms) ||
				store->patience_ms < 1 || store->patience_ms > 86400000))
		return bad_option("patience", patience,
			"it is a duration of up to a day, such as 5s", error);
	store->log = env->log;
	store->log_arg = env->log_arg;
	return read_layout(store, url, error);
}

static hf_status set_identity(hf_store *store, hf_error *error)
{
	size_t n = strlen(store->prefix);
	int len;

	/* Another layout is another space of locks. */
	if (store->layout == &gs_branch_layout)
		len = asprintf(&store->identity, "git:%s", store->common);
	else
		len = asprintf(&store->identity, "git:%s?layout=blob&prefix=%.*s",
			store->common, (int)n - 1, store->prefix);
	if (len < 0) {
		store->identity = NULL;
		return hf_fail_memory(error, "open");
	}
	return HF_OK;
}

static void store_close(hf_store *store)
{
	if (!store)
		return;
	gs_locks_free(store);
	gs_packed_free(store->packed);
	gs_floor_free(store->floor);
	if (store->common_fd >= 0)
		close(store->common_fd);
	pthread_mutex_destroy(&store->mutex);
	pthread_mutex_destroy(&store->packed_mutex);
	hf_watcher_pool_free(&store->watchers);
	pthread_mutex_destroy(&store->floor_mutex);
	free(store->common);
	free(store->identity);
	free(store);
}

static hf_status store_open(
	const hf_url *url, const hf_store_env *env, hf_store **store_out, hf_error *error)
{
	hf_store *store = calloc(1, sizeof(*store));
	hf_status st;

	*store_out = NULL;
	if (!store)
		return hf_fail_memory(error, "open");
	store->common_fd = -1;
	pthread_mutex_init(&store->mutex, NULL);
	pthread_mutex_init(&store->packed_mutex, NULL);
	hf_watcher_pool_init(&store->watchers);
	pthread_mutex_init(&store->floor_mutex, NULL);
	st = gs_repo_open(store, url->path, error);
	if (!st)
		st = read_options(store, url, env, error);
	if (!st)
		st = set_identity(store, error);
	if (st) {
		store_close(store);
		return st;
	}
	*store_out = store;
	return HF_OK;
}

static unsigned store_capabilities(const hf_store *store)
{
	unsigned caps = HF_CAP_WATCH | HF_CAP_HISTORY | HF_CAP_FORGET | HF_CAP_AMEND;

	if (store->layout == &gs_neighbour_layout)
		caps |= HF_CAP_NEIGHBOURS;
	return store->network ? caps : caps | HF_CAP_CLOCK | HF_CAP_HOST_LOCAL;
}

static const char *store_identity(const hf_store *store)
{
	return store->identity;
}

/* ---- reading ---- */

static hf_status store_read(
	hf_store *store, const char *name, hf_snapshot *snapshot, hf_error *error)
{
	gs_present p;
	gs_lock *lock;
	hf_status st = gs_lock_get(store, name, &lock, error);

	if (st)
		return st;
	st = gs_present_read(store, lock, &p, error);
	if (!st) {
		st = p.status;
		if (st && error)
			*error = p.problem;
		if (!st)
			st = gs_present_answer(store, &p, snapshot, error);
	}
	gs_present_clear(&p);
	gs_lock_put(store, lock);
	return st;
}

static int gather_line(void *arg, const char *line)
{
	hf_buf *lines = arg;

	hf_buf_add(lines, line, strlen(line) + 1);
	return lines->failed;
}

/* The caller is told once the lock is free again: it may come back here. */
static hf_status store_history(hf_store *store, const char *name, size_t limit,
	hf_store_line_fn fn, void *arg, hf_error *error)
{
	hf_buf lines = HF_BUF_INIT;
	const char *line;
	gs_present p;
	gs_lock *lock;
	hf_status st = gs_lock_get(store, name, &lock, error);

	if (st)
		return st;
	st = gs_present_read(store, lock, &p, error);
	if (!st && p.status) {
		st = p.status;
		if (error)
			*error = p.problem;
	}
	if (!st && p.state.present)
		st = store->layout->history(
			store, lock, &p.state, limit, gather_line, &lines, error);
	gs_present_clear(&p);
	gs_lock_put(store, lock);
	if (!st && lines.failed)
		st = hf_fail_memory(error, "history");
	for (line = lines.data; !st && line && line < lines.data + lines.len;
		line += strlen(line) + 1)
		if (fn(arg, line))
			break;
	hf_buf_free(&lines);
	return st;
}

static const char *const option_lines[] = {
	"layout=history|blob - a branch of events, or gitvan's metadata blobs (history)",
	"prefix=REFS - where the blobs' refs are (refs/gitvan/locks)",
	"history=N - events kept at least, whatever --history says; 0: all",
	"sync=none|full - full: survives a power cut (none)",
	"patience=DURATION - how long a stuck process is waited for",
	NULL,
};

static const hf_store_ops ops = {
	.abi = HF_STORE_ABI,
	.scheme = "git",
	.summary = "in a git repository, each lock a branch of events",
	.options = option_lines,
	.open = store_open,
	.close = store_close,
	.capabilities = store_capabilities,
	.identity = store_identity,
	.read = store_read,
	.swap = gs_swap,
	.list = gs_list,
	.watch = gs_watch,
	.history = store_history,
	.prune = gs_prune,
	.forget = gs_forget,
	.sweep = gs_sweep,
};

HF_API const hf_store_ops *hf_store_module(void);

HF_API const hf_store_ops *hf_store_module(void)
{
	return &ops;
}
