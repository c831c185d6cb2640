/*
 * layout=blob: the ref names the holder's metadata, a free lock has no ref.
 *
 * The record, the counter of tokens and the events stand in our side file and
 * log. What the ref names is
 *
 *	what we put there	ours
 *	nothing			deleted by another: our record still holds
 *	an older one of ours	rewound by another: as if deleted
 *	anything else		a neighbour's hold, which overrides ours
 *
 * Ours are known by the id in them: it is the grant's, and in our log.
 *
 * A name that has another escaped form is "raw" to a neighbour: `a/b` is its
 * refs/gitvan/locks/a/b and our .../a%2Fb. So we look there too.
 */
#include "journal.h"
#include "layout.h"
#include "metadata.h"
#include "move.h"

#include <stdlib.h>

/* ---- what the ref means ---- */

static hf_status corrupt(gs_present *p, const char *ref, const char *why)
{
	p->status = HF_CORRUPT;
	hf_fail(&p->problem, HF_CORRUPT, "read", 0,
		"%s does not hold a lock's metadata: %s; look at it with git, then 'git "
		"update-ref -d' it or force the lock's release",
		ref, why);
	return HF_OK;
}

/* An entry of the log is the id, a newline, and the event's line. */
static bool id_is(const gs_entry *entry, const char *id)
{
	size_t n = strlen(id);

	return n && entry->len > n && entry->data[n] == '\n' && !memcmp(entry->data, id, n);
}

static hf_status is_ours(hf_store *store, gs_lock *lock, const gs_present *p, const char *id,
	bool *ours_out, hf_error *error)
{
	hf_public_view view;
	hf_buf memory = HF_BUF_INIT;
	gs_entry *entries = NULL;
	size_t count = 0;
	hf_status st;

	*ours_out = false;
	if (!id[0] || !p->state.present)
		return HF_OK;
	if (p->state.json[0] &&
		!gs_metadata_parse(p->state.json, strlen(p->state.json), &view, NULL))
		*ours_out = strcmp(view.id, id) == 0;
	if (*ours_out)
		return HF_OK;
	st = gs_journal_read(store, lock, &p->state, &memory, &entries, &count, error);
	while (!st && !*ours_out && count > 0)
		*ours_out = id_is(&entries[--count], id);
	free(entries);
	hf_buf_free(&memory);
	return st;
}

/* Judge one of the two refs. */
static hf_status look_at(hf_store *store, gs_lock *lock, gs_present *p, const char *ref,
	const gs_value *value, hf_error *error)
{
	hf_public_view view;
	hf_error why = {0};
	gs_object object;
	bool ours = false;
	bool missing;
	size_t i;
	hf_status st;

	st = gs_object_read(store, &value->oid, &object, &missing, &why);
	if (missing)
		return corrupt(p, ref, "it names an object that is not there");
	if (st) {
		if (error)
			*error = why;
		return st;
	}
	if (object.type != GS_BLOB)
		st = corrupt(p, ref, "it names an object that is no blob");
	else if (gs_metadata_parse(object.data, object.len, &view, &why))
		st = corrupt(p, ref, why.text);
	else
		st = is_ours(store, lock, p, view.id, &ours, error);
	gs_object_clear(&object);
	if (st || p->status || ours)
		return st;
	if (!p->foreign)
		p->neighbour = view;
	p->foreign = true;
	/* Of two, a change of either changes the mark. */
	for (i = 0; i < sizeof(value->oid.bytes); i++)
		p->foreign_oid.bytes[i] =
			(unsigned char)(p->foreign_oid.bytes[i] * 3 + value->oid.bytes[i]);
	return HF_OK;
}

static hf_status look(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	hf_status st = HF_OK;

	if (p->value.kind == GS_SYMBOLIC)
		return corrupt(p, lock->ref, "it is a symbolic ref");
	if (p->value.kind == GS_BROKEN && !p->state.present)
		return corrupt(p, lock->ref, "its file holds no object id");
	if (p->value.kind == GS_OID &&
		!(p->state.present && gs_oid_equal(&p->value.oid, &p->state.tip)))
		st = look_at(store, lock, p, lock->ref, &p->value, error);
	if (!st && !p->status && p->raw.kind == GS_OID) {
		bool before = p->foreign;

		st = look_at(store, lock, p, lock->raw, &p->raw, error);
		p->foreign_raw = p->foreign && !before;
	}
	return st;
}

/* ---- changing it ---- */

static hf_status heal(hf_store *store, gs_lock *lock, const gs_state *state, hf_error *error)
{
	(void)lock;
	return gs_object_write(
		store, GS_BLOB, &state->tip, state->json, strlen(state->json), error);
}

static hf_status keep_newest(
	hf_store *store, gs_lock *lock, gs_state *state, size_t keep, hf_error *error)
{
	hf_buf memory = HF_BUF_INIT;
	gs_entry *entries = NULL;
	size_t count = 0;
	hf_status st = gs_journal_read(store, lock, state, &memory, &entries, &count, error);

	if (!st && count > keep)
		st = gs_journal_replace(
			store, lock, state, entries + (count - keep), keep, error);
	if (!st)
		state->events = count < keep ? count : keep;
	free(entries);
	hf_buf_free(&memory);
	return st;
}

static hf_status log_event(hf_store *store, gs_lock *lock, const hf_change *change,
	bool gives_back, gs_state *now, hf_error *error)
{
	size_t limit = store->history_given ? store->history : change->history_limit;
	hf_buf text = HF_BUF_INIT;
	gs_entry entry;
	hf_status st = HF_OK;

	if (limit && now->events / 2 >= limit)
		st = keep_newest(store, lock, now, limit, error);
	if (st && gives_back && hf_is_no_room(error->native))
		st = HF_OK; /* it stays long until there is room */
	hf_buf_adds(&text, change->view && change->view->held ? change->view->id : "");
	hf_buf_addc(&text, '\n');
	hf_buf_adds(&text, change->event->line);
	if (!st && text.failed)
		st = hf_fail_memory(error, "swap");
	if (!st) {
		entry = (gs_entry){now->tip, text.data, text.len};
		st = gs_journal_append(store, lock, now, &entry, gives_back, error);
		now->events++;
	}
	hf_buf_free(&text);
	return st;
}

static bool leaves_neighbour(const gs_present *p, const hf_change *change)
{
	char mark[GS_HEX + 1];

	gs_oid_hex(&p->foreign_oid, mark);
	return p->foreign && change->view && change->view->held &&
	       !strcmp(change->view->id, mark);
}

static hf_status make(hf_store *store, gs_lock *lock, const gs_present *p,
	const hf_change *change, gs_side *side, gs_made *made, hf_error *error)
{
	gs_state *now = &side->now;
	hf_status st = HF_OK;

	memset(&now->tip, 0, sizeof(now->tip));
	now->json = "";
	made->type = GS_BLOB;
	made->leave_ref = leaves_neighbour(p, change);
	if (change->view && change->view->held && !made->leave_ref) {
		st = gs_metadata_build(change->view, hf_wall_ms(), &made->object, error);
		if (st)
			return st;
		gs_object_hash(GS_BLOB, made->object.data, made->object.len, &now->tip);
		now->json = made->object.data;
	}
	if (!st && change->event)
		st = log_event(store, lock, change, gs_gives_back(p, change), now, error);
	return st;
}

/* A neighbour whose time is over, at the raw ref: ours is the other one. */
static void landed(hf_store *store, gs_lock *lock, const gs_present *p, const hf_change *change,
	const gs_side *side)
{
	gs_move move = {.ref = lock->raw, .folder = side->folder, .from = p->raw};

	(void)change;
	if (p->raw.kind == GS_OID && gs_move_ref(store, lock, &move, NULL))
		gs_warn(store, "%s is still there: lock '%s' is its until it goes", lock->raw,
			lock->name);
}

static hf_status prune(
	hf_store *store, gs_lock *lock, size_t keep, gs_side *side, hf_error *error)
{
	return side->now.events <= keep ? HF_OK
					: keep_newest(store, lock, &side->now, keep, error);
}

/* ---- telling it ---- */

static hf_status history(hf_store *store, gs_lock *lock, const gs_state *state, size_t limit,
	hf_store_line_fn fn, void *arg, hf_error *error)
{
	hf_buf memory = HF_BUF_INIT;
	gs_entry *entries = NULL;
	size_t count = 0;
	size_t told = 0;
	hf_status st = gs_journal_read(store, lock, state, &memory, &entries, &count, error);

	while (!st && count > 0 && (!limit || told++ < limit)) {
		const char *line = strchr(entries[--count].data, '\n');

		if (line && fn(arg, line + 1))
			break;
	}
	free(entries);
	hf_buf_free(&memory);
	return st;
}

static bool name_of(hf_store *store, const char *relative, char out[HF_NAME_MAX + 1])
{
	(void)store;
	if (gs_unescape(relative, out))
		return true;
	/* A neighbour's name, as it is. */
	return !hf_check_name(relative, NULL) && hf_copy(out, HF_NAME_MAX + 1, relative);
}

const gs_layout gs_neighbour_layout = {
	.look = look,
	.make = make,
	.landed = landed,
	.heal = heal,
	.history = history,
	.prune = prune,
	.name_of = name_of,
};
