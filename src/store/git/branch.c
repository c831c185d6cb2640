#include "branch.h"
#include "commit.h"
#include "journal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>

#define GC_STALE_S (12 * 3600) /* git too takes an older gc.pid for dead */
#define TEND_EVERY_MS 20 /* while a gc runs */
#define TEND_STEP 64 /* events between looks when none does */

/* ---- walking ---- */

struct gs_walk {
	gs_objects *objects;
	gs_object object;
	hf_buf memory;
	gs_entry *entries;
	size_t count;
	size_t at; /* entries from here on were not asked for yet */
};

hf_status gs_walk_open(
	hf_store *store, gs_lock *lock, const gs_state *state, gs_walk **out, hf_error *error)
{
	gs_walk *walk = calloc(1, sizeof(*walk));
	hf_status st;

	*out = NULL;
	if (!walk)
		return hf_fail_memory(error, "history");
	st = gs_objects_open(store, &walk->objects, error);
	if (!st)
		st = gs_journal_read(
			store, lock, state, &walk->memory, &walk->entries, &walk->count, error);
	if (st) {
		gs_walk_close(walk);
		return st;
	}
	walk->at = walk->count;
	*out = walk;
	return HF_OK;
}

void gs_walk_close(gs_walk *walk)
{
	if (!walk)
		return;
	gs_objects_close(walk->objects);
	gs_object_clear(&walk->object);
	hf_buf_free(&walk->memory);
	free(walk->entries);
	free(walk);
}

/* Asked for newest first, so the next one is mostly the one before. */
static const gs_entry *find_entry(gs_walk *walk, const gs_oid *oid)
{
	size_t i;

	assert(walk);
	for (i = 0; i < walk->count; i++) {
		size_t k = (walk->at + walk->count - 1 - i) % walk->count;

		if (gs_oid_equal(&walk->entries[k].oid, oid)) {
			walk->at = k;
			return &walk->entries[k];
		}
	}
	return NULL;
}

/* The log is not checked when it is read: the id does that. */
static bool is_whole(const gs_entry *entry)
{
	gs_oid oid;

	gs_object_hash(GS_COMMIT, entry->data, entry->len, &oid);
	return gs_oid_equal(&oid, &entry->oid);
}

hf_status gs_walk_read(gs_walk *walk, const gs_oid *oid, const char **data_out, size_t *len_out,
	hf_error *error)
{
	const gs_entry *entry = find_entry(walk, oid);
	bool missing;
	hf_status st;

	if (entry && is_whole(entry)) {
		*data_out = entry->data;
		*len_out = entry->len;
		return HF_OK;
	}
	gs_object_clear(&walk->object);
	st = gs_objects_read(walk->objects, oid, &walk->object, &missing, error);
	if (!st && walk->object.type != GS_COMMIT)
		st = hf_fail(error, HF_CORRUPT, "read", 0, "it is no commit");
	*data_out = walk->object.data;
	*len_out = walk->object.len;
	return st;
}

/* ---- keeping it whole ---- */

hf_status gs_branch_repair(
	hf_store *store, gs_lock *lock, const gs_state *state, size_t count, hf_error *error)
{
	gs_walk *walk;
	size_t i;
	hf_status st = gs_walk_open(store, lock, state, &walk, error);

	if (st)
		return st;
	assert(walk);
	/* The tip comes last: where it is, all before it is meant to be. */
	for (i = count && walk->count > count ? walk->count - count : 0; i < walk->count && !st;
		i++) {
		const gs_entry *e = &walk->entries[i];

		if (gs_object_is_loose(store, &e->oid) ||
			gs_objects_has(walk->objects, &e->oid) || !is_whole(e))
			continue;
		st = gs_object_write(store, GS_COMMIT, &e->oid, e->data, e->len, error);
	}
	if (!st && !gs_objects_has(walk->objects, &gs_empty_tree))
		st = gs_object_write_empty_tree(store, error);
	gs_walk_close(walk);
	return st;
}

static bool gc_is_running(const hf_store *store)
{
	struct stat st;

	return fstatat(store->common_fd, "gc.pid", &st, 0) == 0 &&
	       hf_wall_ms() / 1000 - st.st_mtim.tv_sec < GC_STALE_S;
}

void gs_branch_tend(hf_store *store, gs_lock *lock, const gs_present *p, gs_side *side)
{
	const gs_state *s = &p->state;
	int64_t now_ms = hf_boot_ms();
	hf_error why = {0};
	hf_status st = HF_OK;

	if (gc_is_running(store)) {
		side->verify = true;
		if (now_ms - lock->verified_ms < TEND_EVERY_MS)
			return;
		lock->verified_ms = now_ms;
		st = gs_branch_repair(store, lock, s, 0, &why);
	} else if (side->verify) {
		st = gs_branch_repair(store, lock, s, 0, &why);
		side->verify = st != HF_OK;
	} else if (s->events % TEND_STEP == 0 && s->events) {
		st = gs_branch_repair(store, lock, s, 2 * TEND_STEP, &why);
	}
	if (st)
		gs_warn(store, "the history of lock '%s' cannot be kept whole: %s", lock->name,
			why.text);
}

/* ---- keeping it short ---- */

typedef struct chain {
	hf_buf *commits; /* newest first */
	gs_entry *entries; /* oldest first */
	size_t count;
} chain;

static void chain_free(chain *c)
{
	size_t i;

	for (i = 0; c->commits && i < c->count; i++)
		hf_buf_free(&c->commits[i]);
	free(c->commits);
	free(c->entries);
}

static hf_status gather(hf_store *store, gs_lock *lock, const gs_state *state, size_t keep,
	chain *c, hf_error *error)
{
	gs_oid at = state->tip;
	gs_walk *walk;
	hf_status st;

	c->commits = calloc(keep, sizeof(*c->commits));
	c->entries = calloc(keep, sizeof(*c->entries));
	if (!c->commits || !c->entries)
		return hf_fail_memory(error, "prune");
	st = gs_walk_open(store, lock, state, &walk, error);
	while (!st && c->count < keep && !gs_oid_is_zero(&at)) {
		gs_commit commit;
		const char *data;
		size_t len;

		/* What is lost ends the branch here. */
		if (gs_walk_read(walk, &at, &data, &len, NULL) ||
			gs_commit_parse(data, len, &commit, NULL))
			break;
		hf_buf_add(&c->commits[c->count], data, len);
		if (c->commits[c->count++].failed)
			st = hf_fail_memory(error, "prune");
		at = commit.parent;
		gs_commit_clear(&commit);
	}
	gs_walk_close(walk);
	return st;
}

hf_status gs_branch_shorten(
	hf_store *store, gs_lock *lock, gs_state *state, size_t keep, hf_error *error)
{
	chain c = {0};
	gs_oid parent = {{0}};
	size_t i;
	hf_status st = gather(store, lock, state, keep, &c, error);

	for (i = 0; i < c.count && !st; i++) {
		hf_buf *commit = &c.commits[c.count - 1 - i];
		hf_buf grafted = HF_BUF_INIT;

		st = gs_commit_graft(
			commit->data, commit->len, &parent, i + 1, &grafted, error);
		hf_buf_free(commit);
		*commit = grafted;
		if (!st) {
			gs_object_hash(GS_COMMIT, commit->data, commit->len, &parent);
			st = gs_object_write(
				store, GS_COMMIT, &parent, commit->data, commit->len, error);
		}
		c.entries[i] = (gs_entry){parent, commit->data, commit->len};
	}
	if (!st)
		st = gs_journal_replace(store, lock, state, c.entries, c.count, error);
	if (!st) {
		state->tip = parent;
		state->events = c.count;
	}
	chain_free(&c);
	return st;
}
