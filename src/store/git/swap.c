/*
 * A swap, under the lock of the side file:
 *
 *	1. work out the present state, compare its etag;
 *	2. make the new object in memory; write the side file as intent;
 *	3. write the object; move the ref from the value that was read;
 *	4. see that the object exists still: a prune that began before may have
 *	   removed it as unreachable; write it again;
 *	5. mark the side file: landed.
 *
 * Killed anywhere, the next one finds either the state before or the new one
 * (side.h). Refused at 3, the intent is marked as given up. Whoever finds that
 * its lock was broken on the way has been stopped for long: it looks what has
 * become of its intent, and says "unknown" if it cannot tell.
 */
#include "swap.h"
#include "journal.h"
#include "layout.h"
#include "move.h"

#include <stdlib.h>

typedef struct swap_work {
	hf_store *store;
	gs_lock *lock;
	gs_present present;
	gs_side side; /* what is written */
	gs_made made;
	bool intent; /* the intent may be written: somebody may make it land */
	bool no_room; /* for the object */
	bool fresh; /* fresh_log was made, because the writer before was stopped */
	uint32_t fresh_log;
	hf_error *error;
} swap_work;

static uint64_t draw(void)
{
	uint64_t value;

	hf_random(&value, sizeof(value));
	return value;
}

static void work_clear(swap_work *w)
{
	gs_present_clear(&w->present);
	hf_buf_free(&w->made.object);
	memset(&w->made, 0, sizeof(w->made));
	w->intent = false;
	w->no_room = false;
	w->fresh = false;
}

static hf_status still_ours(void *arg, hf_error *error)
{
	swap_work *w = arg;

	return hf_slotfile_mark(w->lock->slot, GS_MOVING, error);
}

static hf_status write_side(swap_work *w)
{
	hf_buf bytes = HF_BUF_INIT;
	hf_status st;

	gs_side_encode(&w->side, &bytes);
	if (bytes.failed)
		st = hf_fail_memory(w->error, "swap");
	else
		st = hf_slotfile_write(w->lock->slot, bytes.data, bytes.len, w->error);
	hf_buf_free(&bytes);
	return st;
}

/* Steps 3 and 4. */
static hf_status move_ref(swap_work *w)
{
	const gs_present *p = &w->present;
	gs_move move = {.ref = w->lock->ref,
		.folder = w->side.folder,
		.from = p->value,
		.to = w->side.now.tip,
		.still_ours = still_ours,
		.arg = w};
	const hf_buf *object = &w->made.object;
	hf_status st = HF_OK;

	if (object->len)
		st = gs_object_write(w->store, w->made.type, &w->side.now.tip, object->data,
			object->len, w->error);
	w->no_room = st && hf_is_no_room(w->error->native);
	if (!st)
		st = gs_move_ref(w->store, w->lock, &move, w->error);
	if (!st && object->len && !gs_object_exists(w->store, &w->side.now.tip))
		st = gs_object_write(w->store, w->made.type, &w->side.now.tip, object->data,
			     object->len, w->error)
			     ? HF_UNKNOWN
			     : HF_OK;
	return st;
}

/* The ref was not moved and never will be: say so in the side file. */
static hf_status give_up(swap_work *w, hf_status st)
{
	if (hf_slotfile_mark(w->lock->slot, GS_GIVEN_UP, NULL))
		return HF_UNKNOWN;
	w->intent = false;
	return st;
}

/* It took place. */
static void tidy_up(swap_work *w, const hf_change *change)
{
	const gs_state *old = &w->present.state;

	if (old->present && old->log != w->side.now.log)
		gs_journal_drop(w->store, w->lock, old->log);
	if (w->fresh && w->fresh_log != w->side.now.log)
		gs_journal_drop(w->store, w->lock, w->fresh_log);
	if (change && !w->made.leave_ref && w->store->layout->landed)
		w->store->layout->landed(w->store, w->lock, &w->present, change, &w->side);
}

/*
 * There was no room for the event's object, and it gives back what was taken:
 * the event is in the log, so the side file is enough. The ref stays where it
 * is, and is put right by the next change.
 */
static hf_status land_without_ref(swap_work *w, const hf_change *change)
{
	hf_status st;

	gs_warn(w->store,
		"no room for the event of lock '%s' in '%s': %s is behind until the next "
		"change",
		w->lock->name, w->store->common, w->lock->ref);
	w->side.moving = false;
	w->made.leave_ref = true;
	st = write_side(w);
	w->intent = st == HF_OK || st == HF_CHANGED;
	if (!st)
		tidy_up(w, change);
	return st;
}

static bool can_do_without_ref(const swap_work *w, const hf_change *change)
{
	/* Neighbours go by the ref alone. */
	return w->no_room && change && gs_gives_back(&w->present, change) &&
	       w->store->layout == &gs_branch_layout;
}

/*
 * Steps 2 to 5 for w->side. HF_CHANGED: not done; look again. HF_UNKNOWN: look
 * what became of it.
 */
static hf_status carry_out(swap_work *w, const hf_change *change)
{
	const gs_present *p = &w->present;
	hf_status st;

	w->side.old = p->value.oid;
	w->side.old_broken = p->value.kind == GS_BROKEN;
	w->side.moving =
		!w->made.leave_ref && (w->side.old_broken || p->value.kind == GS_SYMBOLIC ||
					      !gs_oid_equal(&w->side.now.tip, &p->value.oid));
	/* Stopped in there, it may be written and another may have taken it up. */
	st = write_side(w);
	w->intent = st == HF_OK || st == HF_CHANGED;
	if (st)
		return st;
	if (!w->side.moving) {
		tidy_up(w, change);
		return HF_OK;
	}
	st = move_ref(w);
	if (st && st != HF_UNKNOWN) {
		st = give_up(w, st);
		return st != HF_UNKNOWN && can_do_without_ref(w, change)
			       ? land_without_ref(w, change)
			       : st;
	}
	if (!st)
		st = hf_slotfile_mark(w->lock->slot, GS_LANDED, NULL) ? HF_UNKNOWN : HF_OK;
	if (!st)
		tidy_up(w, change);
	return st;
}

/* The side file to be, before the layout has added what it makes of it. */
static hf_status begin_side(swap_work *w)
{
	const gs_present *p = &w->present;
	gs_side *side = &w->side;
	bool broken = hf_slotfile_broken(w->lock->slot);
	hf_status st;

	memset(side, 0, sizeof(*side));
	side->name = w->lock->name;
	side->before = p->state;
	side->now = p->state;
	side->verify = p->side.verify;
	side->folder = p->side.folder + (broken ? 1 : 0);
	if (p->damaged) {
		/* Numbers that nobody has used. */
		side->folder = (uint32_t)draw();
		side->now.log = (uint32_t)draw();
	}
	if (!p->state.present) {
		side->now.present = true;
		side->now.origin = draw();
		side->now.gen = 0;
	}
	if (!broken || !p->state.present)
		return HF_OK;
	st = gs_journal_renew(w->store, w->lock, &side->now, w->error);
	w->fresh = st == HF_OK;
	w->fresh_log = side->now.log;
	return st;
}

static hf_status refuse(swap_work *w, hf_snapshot *out)
{
	hf_status st = gs_present_answer(w->store, &w->present, out, w->error);

	return st ? st
		  : hf_fail(w->error, HF_CHANGED, "swap", 0,
			    "lock '%s' is not in the state expected", w->lock->name);
}

/* A lock that was never used must not leave a file because somebody asked. */
static void unlock_side(swap_work *w)
{
	if (w->present.content.seq == 0 && !w->intent && !w->side.name)
		hf_slotfile_remove(w->lock->slot, NULL);
	hf_slotfile_unlock(w->lock->slot);
}

static hf_status swap_once(
	swap_work *w, const hf_etag *expected, const hf_change *change, hf_snapshot *out)
{
	gs_present *p = &w->present;
	hf_status st = gs_present_lock(w->store, w->lock, p, w->error);

	if (st)
		return st;
	memset(&w->side, 0, sizeof(w->side));
	if (p->status && expected) {
		if (w->error)
			*w->error = p->problem;
		st = p->status;
	} else if (expected ? !hf_etag_equal(expected, &p->etag) : p->status == HF_OK) {
		st = refuse(w, out);
	} else {
		st = begin_side(w);
		w->side.now.gen++;
		w->side.now.stamp = draw();
		w->side.now.data = change->data;
		w->side.now.len = change->len;
		if (!st)
			st = w->store->layout->make(
				w->store, w->lock, p, change, &w->side, &w->made, w->error);
		if (!st) {
			st = carry_out(w, change);
			if (st == HF_CHANGED)
				st = HF_UNKNOWN; /* for the loop: look again */
		}
	}
	unlock_side(w);
	return st;
}

/* What became of an intent: ours is the state, or it will never be. */
static hf_status find_out(swap_work *w, const gs_state *mine, const hf_etag *expected)
{
	gs_present p;
	hf_status st = gs_present_lock(w->store, w->lock, &p, NULL);

	if (st)
		return HF_UNKNOWN;
	hf_slotfile_unlock(w->lock->slot);
	if (p.status)
		st = HF_UNKNOWN;
	else if (p.state.present && p.state.origin == mine->origin &&
		 p.state.gen == mine->gen && p.state.stamp == mine->stamp)
		st = HF_OK;
	else if (expected && hf_etag_equal(expected, &p.etag))
		st = HF_CHANGED; /* not landed, and settled so: try again */
	else
		st = HF_UNKNOWN;
	gs_present_clear(&p);
	return st;
}

static hf_status say_unknown(const swap_work *w)
{
	return hf_fail(w->error, HF_UNKNOWN, "swap", 0,
		"a swap of lock '%s' may or may not have taken place: this process lost its "
		"turn "
		"in the middle",
		w->lock->name);
}

hf_status gs_swap(hf_store *store, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *snapshot_out, hf_error *error)
{
	int64_t until_ms = hf_boot_ms() + store->patience_ms;
	hf_error why = {.kind = HF_OK};
	swap_work w = {.store = store, .error = error ? error : &why};
	unsigned tries;
	hf_status st = gs_lock_get(store, name, &w.lock, w.error);

	if (st)
		return st;
	for (tries = 0;; tries++) {
		st = swap_once(&w, expected, change, snapshot_out);
		if (st != HF_UNKNOWN)
			break;
		if (w.intent)
			st = find_out(&w, &w.side.now, expected);
		else
			st = HF_CHANGED; /* not even written */
		if (st == HF_UNKNOWN)
			st = say_unknown(&w);
		if (st != HF_CHANGED)
			break;
		if (tries >= GS_TRIES_MIN && hf_boot_ms() >= until_ms) {
			st = hf_fail(w.error, HF_UNAVAILABLE, "swap", 0,
				"another program changes %s all the time", w.lock->ref);
			break;
		}
		work_clear(&w);
	}
	if (st == HF_OK) {
		memset(snapshot_out, 0, sizeof(*snapshot_out));
		snapshot_out->etag = gs_etag_of(&w.side.now);
		if (!store->network)
			snapshot_out->now_ms = hf_boot_ms();
	}
	work_clear(&w);
	gs_lock_put(store, w.lock);
	return st;
}

/* ---- history and forgetting ---- */

hf_status gs_prune(hf_store *store, const char *name, size_t keep, hf_error *error)
{
	hf_error why = {.kind = HF_OK};
	swap_work w = {.store = store, .error = error ? error : &why};
	hf_status st = gs_lock_get(store, name, &w.lock, error);

	if (st)
		return st;
	st = gs_present_lock(store, w.lock, &w.present, error);
	if (st)
		goto out;
	if (w.present.status) {
		if (error)
			*error = w.present.problem;
		st = w.present.status;
	} else if (w.present.state.present && !w.present.foreign) {
		st = begin_side(&w);
		if (!st)
			st = store->layout->prune(store, w.lock, keep, &w.side, error);
		if (!st && w.side.now.log != w.present.state.log)
			st = carry_out(&w, NULL);
	}
	unlock_side(&w);
out:
	/* What is in the history does not change the state: either way is fine. */
	if (st == HF_CHANGED || st == HF_UNKNOWN)
		st = hf_fail(error, HF_UNAVAILABLE, "prune", 0,
			"the history of lock '%s' is being changed by another: try again",
			name);
	work_clear(&w);
	gs_lock_put(store, w.lock);
	return st;
}

static hf_status still_landed(void *arg, hf_error *error)
{
	swap_work *w = arg;

	return hf_slotfile_mark(w->lock->slot, GS_LANDED, error);
}

/* The floor is raised: from here on each step may be the last. */
static hf_status remove_all(swap_work *w)
{
	const gs_present *p = &w->present;
	gs_move move = {.ref = w->lock->ref,
		.folder = p->side.folder + (hf_slotfile_broken(w->lock->slot) ? 1 : 0),
		.from = p->value,
		.still_ours = p->side.name ? still_landed : NULL,
		.arg = w};
	hf_status st = HF_OK;

	if (p->value.kind != GS_ABSENT && (!p->foreign || p->foreign_raw))
		st = gs_move_ref(w->store, w->lock, &move, w->error);
	if (st)
		return st;
	gs_journal_drop(w->store, w->lock, p->state.log);
	gs_move_remove_folder(w->store, w->lock, move.folder);
	return hf_slotfile_remove(w->lock->slot, w->error);
}

hf_status gs_forget(hf_store *store, const char *name, const hf_etag *expected, uint64_t floor,
	hf_error *error)
{
	swap_work w = {.store = store, .error = error};
	gs_present *p = &w.present;
	hf_status st = gs_lock_get(store, name, &w.lock, error);

	if (st)
		return st;
	st = gs_present_lock(store, w.lock, p, error);
	if (st)
		goto out;
	if (p->status) {
		if (error)
			*error = p->problem;
		st = p->status;
	} else if (!hf_etag_equal(expected, &p->etag)) {
		st = hf_fail(error, HF_CHANGED, "forget", 0,
			"lock '%s' is not in the state expected", name);
	} else {
		st = gs_floor_raise(store, floor, error);
		if (!st)
			st = remove_all(&w);
	}
	hf_slotfile_unlock(w.lock->slot);
out:
	work_clear(&w);
	gs_lock_put(store, w.lock);
	return st;
}
