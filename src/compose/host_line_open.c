/* The line's folder: opened with its store, kept small. See host_line.h. */
#include "base/sha256.h"
#include "host_line_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define PATIENCE "500ms" /* the folder is ours: who is in the middle of a change is stopped */
#define KEY_LEN 32 /* digits of the hash that names the folder */
#define FORGET_AFTER_MS 60000

/* "RUNTIME/line-KEY". The same identity means the same locks, and so the same line. */
static hf_status path_of(hf_manager *m, char *out, size_t cap, hf_error *error)
{
	const char *identity = hf_store_identity(m);
	char dir[256];
	char key[65];
	hf_sha256 hash;
	hf_status st = hf_runtime_dir(m->runtime_dir, dir, sizeof(dir), error);

	if (st)
		return st;
	hf_sha256_begin(&hash);
	hf_sha256_add(&hash, identity, strlen(identity));
	hf_sha256_end(&hash, key);
	snprintf(out, cap, "%s/line-%.*s", dir, KEY_LEN, key);
	return HF_OK;
}

static hf_status open_line(hf_manager *m, hf_error *error)
{
	const hf_url_option patience = {.key = "patience", .value = PATIENCE};
	hf_url url = {.scheme = "file", .option_count = 1, .options = &patience};
	hf_open_options options = HF_OPEN_OPTIONS_INIT;
	char path[256 + KEY_LEN + 8];
	hf_status st = path_of(m, path, sizeof(path), error);

	if (st)
		return st;
	url.path = path;
	options.state_dir = "";
	options.runtime_dir = m->runtime_dir;
	options.history_limit = 1;
	st = hf_manager_open(&url, &options, &m->line, error);
	if (!st)
		m->line->behind = m;
	return st;
}

void hf_host_line_tell(hf_manager *m, const char *why)
{
	hf_host_line *l = m->before_data;

	if (!atomic_exchange(&l->told, true))
		hf_manager_log(m,
			"the line of this host before %s cannot be used: %s; each process "
			"goes to the store by itself (?line=off says so from the beginning)",
			hf_store_identity(m), why);
}

/* ---- what is left behind ---- */

/* It comes back above the floor, should somebody still know it. */
static void forget_if_free(hf_manager *line, const char *name)
{
	hf_snapshot snapshot = {.len = 0};
	hf_record r;
	hf_status st;

	hf_record_init(&r);
	st = hf_register_read(line, name, &snapshot, NULL);
	if (!st)
		st = hf_snapshot_decode(name, &snapshot, HF_RECORD_WHOLE, &r, NULL);
	if (!st && r.gen && !r.grant_count && !r.waiter_count)
		(void)line->ops->forget(line->store, name, &snapshot.etag,
			r.gen > r.counter ? r.gen : r.counter, NULL);
	hf_snapshot_clear(&snapshot);
	hf_record_free(&r);
}

void hf_host_line_used(hf_manager *m, const char *name)
{
	hf_host_line *l = m->before_data;
	uint64_t hash = hf_hash(HF_HASH_INIT, name, strlen(name));
	char **slot = &l->used[(hash ^ (hash >> 32)) & (HF_LINE_NAMES - 1)];
	char *before = NULL;

	pthread_mutex_lock(&l->mutex);
	if (!*slot || strcmp(*slot, name) != 0) {
		before = *slot;
		*slot = strdup(name);
	}
	pthread_mutex_unlock(&l->mutex);
	if (before)
		forget_if_free(m->line, before);
	free(before);
}

void hf_host_line_tidy(hf_manager *m)
{
	if (m->line)
		(void)!hf_cleanup(m->line, FORGET_AFTER_MS, NULL, NULL);
}

void hf_host_line_close(hf_manager *m)
{
	hf_host_line *l = m->before_data;
	size_t i;

	for (i = 0; i < HF_LINE_NAMES; i++) {
		if (l->used[i])
			forget_if_free(m->line, l->used[i]);
		free(l->used[i]);
	}
	hf_close(m->line);
	m->line = NULL;
	m->before = NULL;
	pthread_mutex_destroy(&l->mutex);
	free(l);
}

/* ---- open ---- */

void hf_host_line_begin(hf_manager *m, const hf_before *before)
{
	hf_host_line *l = calloc(1, sizeof(*l));
	hf_error error;

	if (!l) {
		hf_manager_log(m, "out of memory: no line of this host");
		return;
	}
	pthread_mutex_init(&l->mutex, NULL);
	m->before_data = l;
	m->before = before;
	if (open_line(m, &error))
		hf_copy(l->problem, sizeof(l->problem), error.text);
}
