/*
 * file: locks in a folder, one slot file a lock. What the folder looks like,
 * and how the log goes with the state, stands in file_internal.h.
 */
#include "base/url.h"
#include "builtin.h"
#include "file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- open and close ---- */

static hf_status read_options(
	const hf_url *url, const hf_store_env *env, hf_store *store, hf_error *error)
{
	const char *sync = hf_url_option_of(url, "sync");
	const char *layout = hf_url_option_of(url, "layout");
	const char *patience = hf_url_option_of(url, "patience");
	const char *parents = hf_url_option_of(url, "parents");

	store->options = (hf_slotfile_options){.create = true, .patience_ms = env->patience_ms};
	if (sync && strcmp(sync, "full") != 0 && strcmp(sync, "none") != 0)
		return hf_fail(error, HF_INVALID, "open", 0,
			"sync=%s is not known: it is full or none", sync);
	if (layout && strcmp(layout, "slots") != 0 && strcmp(layout, "flock") != 0)
		return hf_fail(error, HF_INVALID, "open", 0,
			"layout=%s is not known: it is slots or flock", layout);
	if (patience && (!hf_parse_duration(patience, &store->options.patience_ms) ||
				store->options.patience_ms < 1))
		return hf_fail(error, HF_INVALID, "open", 0,
			"patience=%s is not a duration above 0, such as 2s or 500ms", patience);
	if (parents && strcmp(parents, "make") != 0 && strcmp(parents, "need") != 0)
		return hf_fail(error, HF_INVALID, "open", 0,
			"parents=%s is not known: it is make or need", parents);
	store->make_parents = parents && strcmp(parents, "make") == 0;
	store->options.sync = sync && strcmp(sync, "full") == 0;
	store->flock_layout = layout && strcmp(layout, "flock") == 0;
	return HF_OK;
}

static void find_capabilities(hf_store *store)
{
	store->capabilities = HF_CAP_HISTORY | HF_CAP_FORGET | HF_CAP_AMEND;
	if (!store->network)
		store->capabilities |=
			HF_CAP_CLOCK | HF_CAP_WATCH | HF_CAP_HOST_LOCAL | HF_CAP_QUICK;
	if (store->flock_layout)
		store->capabilities |= HF_CAP_SESSION_BOUND | HF_CAP_NEIGHBOURS;
}

static void file_close(hf_store *store)
{
	if (!store)
		return;
	hf_watcher_pool_free(&store->watchers);
	hf_keys_free(store);
	free(store->floor_path);
	free(store->records);
	free(store->folder);
	free(store->identity);
	free(store);
}

static hf_status open_in(hf_store *store, const hf_url *url, hf_error *error)
{
	hf_status st = hf_folder_find(store, url->path, error);

	if (st)
		return st;
	find_capabilities(store);
	if (asprintf(&store->floor_path, "%s/.floor", store->records) < 0)
		store->floor_path = NULL;
	if (asprintf(&store->identity, "file:%s%s", store->folder,
		    store->flock_layout ? "?layout=flock" : "") < 0)
		store->identity = NULL;
	if (!store->floor_path || !store->identity)
		return hf_fail_memory(error, "open");
	return HF_OK;
}

static hf_status file_open(
	const hf_url *url, const hf_store_env *env, hf_store **store_out, hf_error *error)
{
	hf_store *store = calloc(1, sizeof(*store));
	hf_status st;

	*store_out = NULL;
	if (!store)
		return hf_fail_memory(error, "open");
	hf_keys_init(store);
	hf_watcher_pool_init(&store->watchers);
	st = read_options(url, env, store, error);
	if (!st && !url->path[0])
		st = hf_fail(error, HF_INVALID, "open", 0,
			"file: needs a folder, as in file:/var/lock/deploy");
	if (!st)
		st = open_in(store, url, error);
	if (st)
		file_close(store);
	else
		*store_out = store;
	return st;
}

static unsigned file_capabilities(const hf_store *store)
{
	return store->capabilities;
}

static const char *file_identity(const hf_store *store)
{
	return store->identity;
}

/* ---- read ---- */

static hf_status fill(hf_store *store, const char *name, const hf_file_state *state,
	const hf_floor *floor, hf_snapshot *snapshot, hf_error *error)
{
	snapshot->etag = hf_etag_of_state(state, floor);
	snapshot->floor = floor->counter;
	if (!store->network)
		snapshot->now_ms = hf_boot_ms();
	if (state->present) {
		snapshot->data = malloc(state->record_len + 1);
		if (!snapshot->data)
			return hf_fail_memory(error, "read");
		memcpy(snapshot->data, state->record, state->record_len);
		snapshot->data[state->record_len] = '\0';
		snapshot->len = state->record_len;
	}
	return store->flock_layout ? hf_flock_look(store, name, state, snapshot, error) : HF_OK;
}

hf_status hf_file_store_read(
	hf_store *store, const char *name, hf_snapshot *snapshot, hf_error *error)
{
	hf_slot_content content = {.data = NULL};
	hf_file_state state = {.present = false};
	hf_floor floor = {.generation = 0};
	hf_key *key;
	bool there;
	hf_status st = hf_folder_look(store, &there, error);

	if (!st && !there)
		return fill(store, name, &state, &floor, snapshot, error);
	if (!st)
		st = hf_key_get(store, name, &key, error);
	if (st)
		return st;
	st = hf_key_read(store, key, &content, &state, &floor, error);
	if (!st)
		st = fill(store, name, &state, &floor, snapshot, error);
	hf_slot_content_clear(&content);
	hf_key_put(store, key);
	return st;
}

/* ---- swap ---- */

/* What swap, forget and prune have of a key while it is locked. */
struct locked {
	hf_store *store;
	hf_key *key;
	hf_slot_content content;
	hf_file_state state;
	hf_floor floor;
};

/* HF_OK or HF_CORRUPT: locked. The floor is read when the lock is ours. */
static hf_status lock_key(hf_store *store, const char *name, struct locked *l, hf_error *error)
{
	hf_status st;

	memset(l, 0, sizeof(*l));
	l->store = store;
	st = hf_folder_make(store, error);
	if (!st)
		st = hf_key_get(store, name, &l->key, error);
	if (st)
		return st;
	st = hf_slotfile_lock(l->key->file, &l->content, error);
	if (!st)
		st = hf_file_state_decode(
			&l->content, l->key->lock_path, name, &l->state, error);
	if (!st && !l->state.present)
		st = hf_floor_read(store, &l->floor, error);
	return st;
}

static void unlock_key(struct locked *l)
{
	if (l->key) {
		hf_slotfile_unlock(l->key->file);
		hf_key_put(l->store, l->key);
	}
	hf_slot_content_clear(&l->content);
}

/* Not of the state expected: give the present one, leave no empty file. */
static hf_status refuse(struct locked *l, hf_snapshot *snapshot, hf_error *error)
{
	hf_status st = HF_OK;

	if (!l->state.present)
		(void)hf_slotfile_remove(l->key->file, NULL);
	if (snapshot)
		st = fill(l->store, l->key->name, &l->state, &l->floor, snapshot, error);
	if (st)
		return st;
	return hf_fail(error, HF_CHANGED, "swap", 0,
		"the lock '%s' has changed since it was read", l->key->name);
}

static bool is_expected(struct locked *l, const hf_etag *expected)
{
	hf_snapshot present = {.etag = hf_etag_of_state(&l->state, &l->floor)};

	if (l->store->flock_layout &&
		hf_flock_look(l->store, l->key->name, &l->state, &present, NULL))
		return false;
	free(present.foreign);
	return hf_etag_equal(expected, &present.etag);
}

/*
 * A generation that was never used by this key. Above the floor, and when the
 * key's own cannot be read, by a random stretch that counting never covers.
 */
static uint64_t next_generation(const struct locked *l, bool was_corrupt)
{
	uint64_t stretch = 0;

	if (l->state.present)
		return l->state.generation + 1;
	if (was_corrupt)
		hf_random(&stretch, 6);
	return l->floor.generation + 1 + stretch;
}

/* The new state is in `next`; its log is written. Swap the slot. */
static hf_status commit(struct locked *l, const hf_file_state *next, hf_error *error)
{
	hf_key *key = l->key;
	hf_slot_part parts[] = {
		{NULL, 0}, {next->record, next->record_len}, {next->recent, next->recent_len}};
	hf_status st;

	hf_file_state_head(next, key->name, &key->out);
	parts[0] = (hf_slot_part){key->out.data, key->out.len};
	if (key->out.failed)
		st = hf_fail_memory(error, "swap");
	else
		st = hf_slotfile_write_parts(key->file, parts, HF_ARRAY_LEN(parts), error);
	if (st == HF_OK)
		hf_log_drop(key, &l->state, next);
	else if (st == HF_CHANGED)
		/* The lock was broken: what we wrote may have been taken over. */
		st = hf_fail(error, HF_UNKNOWN, "swap", 0,
			"this process was stopped while it changed %s: another has gone on",
			key->lock_path);
	else if (st != HF_UNKNOWN)
		hf_log_drop(key, next, &l->state);
	return st;
}

static hf_status write_change(
	struct locked *l, const hf_change *change, bool was_corrupt, hf_error *error)
{
	hf_file_state next = l->state;
	hf_status st = HF_OK;

	next.present = true;
	next.generation = next_generation(l, was_corrupt);
	next.held = change->view && change->view->held;
	next.record = change->data;
	next.record_len = change->len;
	/* Writing ends the warning, so it is kept in the state. */
	next.sealed |= hf_slotfile_broken(l->key->file);
	if (change->event) {
		/* What takes something makes a record grow. */
		const hf_log_line line = {.text = change->event->line,
			.limit = change->history_limit,
			.strict = change->len > l->state.record_len};

		st = hf_log_append(l->store, l->key, &next, &line, error);
	}
	if (!st)
		st = commit(l, &next, error);
	if (!st)
		l->state = next;
	return st;
}

static hf_status file_swap(hf_store *store, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *snapshot_out, hf_error *error)
{
	struct locked l;
	hf_status st = lock_key(store, name, &l, error);
	bool was_corrupt = st == HF_CORRUPT;

	if (was_corrupt && !expected) {
		l.state = (hf_file_state){.present = false};
		(void)hf_floor_read(store, &l.floor, NULL);
		st = HF_OK;
	}
	if (!st && (expected ? !is_expected(&l, expected) : !was_corrupt))
		st = refuse(&l, snapshot_out, error);
	else if (!st)
		st = write_change(&l, change, was_corrupt, error);
	if (!st) {
		snapshot_out->etag = hf_etag_of_state(&l.state, &l.floor);
		snapshot_out->floor = l.floor.counter;
		if (!store->network)
			snapshot_out->now_ms = hf_boot_ms();
	}
	unlock_key(&l);
	return st;
}

/* ---- forget, history ---- */

static hf_status remove_locked(struct locked *l, hf_error *error)
{
	hf_status st = hf_slotfile_remove(l->key->file, error);

	if (st == HF_OK)
		hf_log_drop(l->key, &l->state, NULL);
	if (st == HF_CHANGED)
		st = hf_fail(error, HF_UNKNOWN, "forget", 0,
			"this process was stopped while it removed %s: another has gone on",
			l->key->lock_path);
	return st;
}

static hf_status file_forget(hf_store *store, const char *name, const hf_etag *expected,
	uint64_t floor, hf_error *error)
{
	struct locked l;
	hf_status st = lock_key(store, name, &l, error);

	if (!st && (!l.state.present || !is_expected(&l, expected)))
		st = refuse(&l, NULL, error);
	/* First the floor: from then on it is no matter when we die. */
	if (!st)
		st = hf_floor_raise(store, l.state.generation, floor, error);
	if (!st)
		st = remove_locked(&l, error);
	unlock_key(&l);
	return st;
}

static hf_status file_history(hf_store *store, const char *name, size_t limit,
	hf_store_line_fn fn, void *arg, hf_error *error)
{
	return hf_log_read(store, name, limit, fn, arg, error);
}

static int ignore_line(void *arg, const char *line)
{
	(void)arg;
	(void)line;
	return 0;
}

static uint64_t count_of(const hf_file_state *state)
{
	return state->recent_count + state->current.count + state->before.count;
}

static hf_status file_prune(hf_store *store, const char *name, size_t keep, hf_error *error)
{
	struct locked l;
	hf_file_state next;
	hf_status readable;
	bool there;
	hf_status st = hf_folder_look(store, &there, error);

	if (st || !there)
		return st;
	readable = hf_log_read(store, name, 0, ignore_line, NULL, error);
	if (readable && readable != HF_CORRUPT)
		return readable;
	st = lock_key(store, name, &l, error);
	if (!st && !l.state.present)
		(void)hf_slotfile_remove(l.key->file, NULL);
	else if (!st && (readable || count_of(&l.state) > keep)) {
		next = l.state;
		next.sealed |= hf_slotfile_broken(l.key->file);
		st = hf_log_prune(store, l.key, &next, keep, error);
		if (!st)
			st = commit(&l, &next, error);
	}
	unlock_key(&l);
	return st;
}

static const char *const options[] = {
	"layout=slots|flock - flock: exclude and be excluded by flock(1) on DIR/NAME; the lock "
	"ends with the process",
	"parents=make|need - make: the folders above DIR are made with it (need)",
	"patience=DURATION - after it a process stopped in the middle of a change is passed "
	"over "
	"(2s)",
	"sync=full|none - full: a power cut takes nothing that was acknowledged (none)",
	NULL,
};

const hf_store_ops hf_store_file = {
	.abi = HF_STORE_ABI,
	.scheme = "file",
	.summary = "a folder, for the processes of a host (file:DIR)",
	.options = options,
	.open = file_open,
	.close = file_close,
	.capabilities = file_capabilities,
	.identity = file_identity,
	.read = hf_file_store_read,
	.swap = file_swap,
	.list = hf_file_list,
	.watch = hf_file_watch,
	.history = file_history,
	.prune = file_prune,
	.forget = file_forget,
	.sweep = hf_file_sweep,
	.bind = hf_file_bind,
};
