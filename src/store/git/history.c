/* layout=history: a lock is a branch of events. */
#include "branch.h"
#include "commit.h"
#include "journal.h"

#include <stdio.h>
#include <stdlib.h>

#define LOG_MAX (4u << 20) /* of the second copy of the newest commits */

/* ---- what the ref means ---- */

static hf_status corrupt(const gs_lock *lock, gs_present *p, const char *why)
{
	p->status = HF_CORRUPT;
	hf_fail(&p->problem, HF_CORRUPT, "read", 0,
		"%s does not hold the events of lock '%s': %s; look at it with git, then 'git "
		"update-ref -d' it or force the lock's release",
		lock->ref, lock->name, why);
	return HF_OK;
}

/*
 * The event that the ref names. *missing_out: there is no such object. Not an
 * event of this lock: p->status.
 */
static hf_status read_event(hf_store *store, gs_lock *lock, gs_present *p, gs_commit *out,
	bool *missing_out, hf_error *error)
{
	hf_error why = {0};
	gs_object object;
	hf_status st;

	memset(out, 0, sizeof(*out));
	st = gs_object_read(store, &p->value.oid, &object, missing_out, &why);
	if (st && error)
		*error = why;
	if (*missing_out || st)
		return st == HF_CORRUPT ? HF_OK : st;
	if (object.type != GS_COMMIT)
		st = corrupt(lock, p, "it names an object that is no commit");
	else if ((st = gs_commit_parse(object.data, object.len, out, &why)) == HF_CORRUPT)
		st = corrupt(lock, p, why.text);
	else if (!st && strcmp(out->name, lock->name))
		st = corrupt(lock, p, "it names an event of another lock");
	gs_object_clear(&object);
	return st;
}

/* The ref's event becomes the state; the commit gives up its record. */
static void adopt(gs_present *p, gs_commit *commit)
{
	hf_buf_free(&p->memory);
	p->memory = commit->record;
	commit->record = (hf_buf)HF_BUF_INIT;
	p->state = commit->state;
	p->state.tip = p->value.oid;
}

static bool descends(hf_store *store, gs_lock *lock, const gs_present *p, const gs_commit *from)
{
	gs_oid at = from->parent;
	uint64_t steps = from->state.gen - p->state.gen;
	bool found = false;
	gs_walk *walk;

	if (gs_walk_open(store, lock, &p->state, &walk, NULL))
		return false;
	while (!found && steps-- > 0 && !gs_oid_is_zero(&at)) {
		gs_commit commit;
		const char *data;
		size_t len;

		found = gs_oid_equal(&at, &p->state.tip);
		if (found || gs_walk_read(walk, &at, &data, &len, NULL) ||
			gs_commit_parse(data, len, &commit, NULL))
			break;
		at = commit.parent;
		gs_commit_clear(&commit);
	}
	gs_walk_close(walk);
	return found;
}

/*
 * The ref is not where we left it. Rewound or deleted, or replaced by the
 * branch of another repository: ours stands in the side file. But what goes
 * on from ours was brought here by another holdfast, and is newer.
 */
static hf_status look_astray(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	gs_commit commit;
	bool missing;
	hf_status st = read_event(store, lock, p, &commit, &missing, error);

	if (!st && !p->status && !missing && commit.state.origin == p->state.origin &&
		commit.state.gen > p->state.gen && descends(store, lock, p, &commit))
		adopt(p, &commit);
	gs_commit_clear(&commit);
	return st;
}

/*
 * A ref and no side file: a fresh clone, and the ref is all there is. Or a lock
 * that we have forgotten and a mirror brought back: then it stays forgotten.
 */
static hf_status look_first(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	gs_commit commit;
	gs_floor floor;
	bool missing;
	hf_status st = read_event(store, lock, p, &commit, &missing, error);

	if (!st && !p->status && missing)
		st = corrupt(lock, p, "it names an object that is not there");
	if (!st && !p->status) {
		st = gs_floor_read(store, &floor, error);
		if (!st && !(floor.epoch && commit.at_s <= floor.wall_ms / 1000))
			adopt(p, &commit);
	}
	gs_commit_clear(&commit);
	return st;
}

static hf_status look(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	if (p->value.kind == GS_SYMBOLIC)
		return corrupt(lock, p, "it is a symbolic ref");
	if (p->state.present)
		return p->value.kind != GS_OID || gs_oid_equal(&p->value.oid, &p->state.tip)
			       ? HF_OK
			       : look_astray(store, lock, p, error);
	if (p->value.kind == GS_BROKEN)
		return corrupt(lock, p, "its file holds no object id");
	return p->value.kind == GS_OID ? look_first(store, lock, p, error) : HF_OK;
}

/* ---- changing it ---- */

static hf_status heal(hf_store *store, gs_lock *lock, const gs_state *state, hf_error *error)
{
	hf_status st = gs_branch_repair(store, lock, state, 0, error);

	if (!st && !gs_object_exists(store, &state->tip))
		st = hf_fail(error, HF_CORRUPT, "read", 0,
			"the newest event of lock '%s' is lost: force the lock's release",
			lock->name);
	return st;
}

/*
 * See that the tip is there to build on; if it is lost the branch begins anew.
 * HF_SYSTEM, ...: it is not, but it cannot be written now.
 */
static hf_status need_tip(hf_store *store, gs_lock *lock, gs_state *state, hf_error *error)
{
	hf_status st;

	if (gs_oid_is_zero(&state->tip) || gs_object_is_loose(store, &state->tip) ||
		gs_object_exists(store, &state->tip))
		return HF_OK;
	st = heal(store, lock, state, error);
	if (st != HF_CORRUPT)
		return st;
	gs_warn(store, "the events of lock '%s' so far are lost: its history begins anew",
		lock->name);
	memset(&state->tip, 0, sizeof(state->tip));
	state->events = 0;
	return HF_OK;
}

/* The log is a second copy, of the newest only. */
static hf_status trim_log(hf_store *store, gs_lock *lock, gs_state *state, hf_error *error)
{
	hf_buf memory = HF_BUF_INIT;
	gs_entry *entries = NULL;
	size_t count = 0;
	hf_status st = gs_journal_read(store, lock, state, &memory, &entries, &count, error);

	if (!st)
		st = gs_journal_replace(
			store, lock, state, entries + count / 2, count - count / 2, error);
	free(entries);
	hf_buf_free(&memory);
	return st;
}

static hf_status keep_short(hf_store *store, gs_lock *lock, const hf_change *change,
	gs_state *state, hf_error *error)
{
	size_t limit = store->history_given ? store->history : change->history_limit;

	if (limit && state->events / 2 >= limit)
		return gs_branch_shorten(store, lock, state, limit, error);
	return state->log_len > LOG_MAX ? trim_log(store, lock, state, error) : HF_OK;
}

/*
 * No room for objects. What gives back is written to the log alone, where its
 * room was reserved, and the ref is left behind: the next change puts it right.
 */
static hf_status without_room(gs_made *made, hf_status st, const hf_error *why, bool gives_back)
{
	if (!st || !gives_back || !hf_is_no_room(why->native))
		return st;
	made->leave_ref = true;
	return HF_OK;
}

static hf_status make(hf_store *store, gs_lock *lock, const gs_present *p,
	const hf_change *change, gs_side *side, gs_made *made, hf_error *error)
{
	bool gives_back = gs_gives_back(p, change);
	gs_state *now = &side->now;
	gs_oid parent;
	gs_entry entry;
	hf_status st = HF_OK;

	if (!gs_oid_equal(&p->value.oid, &p->state.tip) && p->state.present)
		gs_warn(store, "%s is not where this store left it: it is put right",
			lock->ref);
	gs_branch_tend(store, lock, p, side);
	if (change->event || !gs_oid_equal(&p->value.oid, &now->tip))
		st = without_room(made, need_tip(store, lock, now, error), error, gives_back);
	if (st || !change->event)
		return st;
	st = without_room(made, keep_short(store, lock, change, now, error), error, gives_back);
	if (!st && gs_oid_is_zero(&now->tip))
		st = gs_object_write_empty_tree(store, error);
	if (st)
		return st;
	parent = now->tip;
	now->events++;
	made->type = GS_COMMIT;
	gs_commit_build(&made->object, &parent, now, lock->name, change->event);
	if (made->object.failed)
		return hf_fail_memory(error, "swap");
	gs_object_hash(GS_COMMIT, made->object.data, made->object.len, &now->tip);
	entry = (gs_entry){now->tip, made->object.data, made->object.len};
	return gs_journal_append(store, lock, now, &entry, gives_back, error);
}

static hf_status prune(
	hf_store *store, gs_lock *lock, size_t keep, gs_side *side, hf_error *error)
{
	if (side->now.events <= keep || gs_oid_is_zero(&side->now.tip))
		return HF_OK;
	return gs_branch_shorten(store, lock, &side->now, keep, error);
}

/* ---- telling it ---- */

static hf_status history(hf_store *store, gs_lock *lock, const gs_state *state, size_t limit,
	hf_store_line_fn fn, void *arg, hf_error *error)
{
	gs_oid at = state->tip;
	hf_buf line = HF_BUF_INIT;
	size_t told = 0;
	gs_walk *walk;
	hf_status st = gs_walk_open(store, lock, state, &walk, error);

	while (!st && !gs_oid_is_zero(&at) && (!limit || told++ < limit)) {
		gs_commit commit;
		const char *data;
		size_t len;

		st = gs_walk_read(walk, &at, &data, &len, error);
		if (!st)
			st = gs_commit_parse(data, len, &commit, error);
		if (st)
			break;
		hf_buf_clear(&line);
		hf_buf_add(&line, commit.event, commit.event_len);
		at = commit.parent;
		gs_commit_clear(&commit);
		if (line.failed)
			st = hf_fail_memory(error, "history");
		else if (fn(arg, line.data))
			break;
	}
	hf_buf_free(&line);
	gs_walk_close(walk);
	return st;
}

static bool name_of(hf_store *store, const char *relative, char out[HF_NAME_MAX + 1])
{
	char ref[GS_PATH_MAX];
	gs_value value;
	gs_object object;
	gs_commit commit;
	bool missing;
	bool found;

	if (gs_unescape(relative, out))
		return true;
	/* Hashed: the event has the name. Anything else there is not ours. */
	if (snprintf(ref, sizeof(ref), "%s%s", store->prefix, relative) >= (int)sizeof(ref))
		return false;
	if (gs_ref_read(store, ref, &value, NULL) || value.kind != GS_OID ||
		gs_object_read(store, &value.oid, &object, &missing, NULL))
		return false;
	found = object.type == GS_COMMIT &&
		gs_commit_parse(object.data, object.len, &commit, NULL) == HF_OK;
	if (found) {
		hf_copy(out, HF_NAME_MAX + 1, commit.name);
		gs_commit_clear(&commit);
	}
	gs_object_clear(&object);
	return found;
}

const gs_layout gs_branch_layout = {
	.look = look,
	.make = make,
	.heal = heal,
	.history = history,
	.prune = prune,
	.name_of = name_of,
};
