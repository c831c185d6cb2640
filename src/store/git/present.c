#include "present.h"
#include "layout.h"
#include "move.h"

#include <stdlib.h>

void gs_present_clear(gs_present *p)
{
	hf_slot_content_clear(&p->content);
	hf_buf_free(&p->memory);
	memset(p, 0, sizeof(*p));
}

/* ---- identity ---- */

static void put_number(hf_etag *etag, uint64_t value)
{
	unsigned i;

	for (i = 0; i < 8; i++)
		etag->bytes[etag->len++] = (unsigned char)(value >> (8 * i));
}

hf_etag gs_etag_of(const gs_state *state)
{
	hf_etag etag = {0};

	etag.bytes[etag.len++] = 'P';
	put_number(&etag, state->origin);
	put_number(&etag, state->gen);
	put_number(&etag, state->stamp);
	return etag;
}

static hf_etag etag_of(const gs_present *p)
{
	hf_etag etag = {0};
	size_t room;

	if (p->state.present) {
		etag = gs_etag_of(&p->state);
	} else {
		etag.bytes[etag.len++] = 'A';
		put_number(&etag, p->floor.floor);
		put_number(&etag, p->floor.epoch);
	}
	if (p->foreign) {
		room = sizeof(etag.bytes) - etag.len;
		if (room > sizeof(p->foreign_oid.bytes))
			room = sizeof(p->foreign_oid.bytes);
		memcpy(etag.bytes + etag.len, p->foreign_oid.bytes, room);
		etag.len = (uint8_t)(etag.len + room);
	}
	return etag;
}

hf_status gs_present_answer(
	const hf_store *store, const gs_present *p, hf_snapshot *out, hf_error *error)
{
	free(out->data);
	free(out->foreign);
	memset(out, 0, sizeof(*out));
	out->etag = p->etag;
	if (!store->network)
		out->now_ms = hf_boot_ms();
	if (p->state.present) {
		out->data = malloc(p->state.len + 1);
		if (!out->data)
			return hf_fail_memory(error, "read");
		memcpy(out->data, p->state.data, p->state.len);
		out->data[p->state.len] = '\0';
		out->len = p->state.len;
	} else {
		out->floor = p->floor.floor;
	}
	if (p->foreign) {
		out->foreign = malloc(sizeof(*out->foreign));
		if (!out->foreign)
			return hf_fail_memory(error, "read");
		*out->foreign = p->neighbour;
		gs_oid_hex(&p->foreign_oid, out->foreign->mark);
	}
	return HF_OK;
}

/* ---- judging ---- */

static bool is_old_value(const gs_side *side, const gs_value *value)
{
	return side->old_broken
		       ? value->kind == GS_BROKEN
		       : value->kind != GS_BROKEN && gs_oid_equal(&value->oid, &side->old);
}

bool gs_side_took_place(const gs_side *side, uint8_t mark, const gs_value *value)
{
	if (!side->moving || mark == GS_LANDED)
		return true;
	return mark != GS_GIVEN_UP && !is_old_value(side, value);
}

static hf_status judge(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	hf_status st = HF_OK;

	if (p->side.name)
		p->state = gs_side_took_place(&p->side, p->content.mark, &p->value)
				   ? p->side.now
				   : p->side.before;
	if (!p->damaged)
		st = store->layout->look(store, lock, p, error);
	if (!st && !p->state.present && p->status == HF_OK) {
		st = gs_floor_read(store, &p->floor, &p->problem);
		if (st == HF_CORRUPT)
			p->status = st;
		else if (st && error)
			*error = p->problem;
		if (st == HF_CORRUPT)
			st = HF_OK;
	}
	p->etag = etag_of(p);
	return st;
}

/* The side file cannot be used. */
static void set_damaged(gs_present *p)
{
	memset(&p->side, 0, sizeof(p->side));
	p->damaged = true;
	p->status = HF_CORRUPT;
}

static hf_status read_refs(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	hf_status st = gs_ref_read(store, lock->ref, &p->value, error);

	if (!st && lock->raw[0])
		st = gs_ref_read(store, lock->raw, &p->raw, error);
	return st;
}

static hf_status read_once(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	hf_status st;

	memset(p, 0, sizeof(*p));
	p->state.json = "";
	st = hf_slotfile_read(lock->slot, &p->content, error ? &p->problem : NULL);
	if (!st)
		st = hf_slot_content_own(&p->content, &p->problem);
	if (st && st != HF_CORRUPT) {
		if (error)
			*error = p->problem;
		return st;
	}
	if (st || gs_side_decode(&p->side, &p->content, lock->name, &p->problem))
		set_damaged(p);
	st = read_refs(store, lock, p, error);
	return st ? st : judge(store, lock, p, error);
}

/*
 * The ref was read after the side file: if it is not where that file has it,
 * somebody may have moved both meanwhile. Then the side file has changed.
 */
static bool is_settled(hf_store *store, gs_lock *lock, const gs_present *p)
{
	hf_slot_content again = {0};
	bool same;

	(void)store;
	if (p->status == HF_OK && p->state.present &&
		gs_oid_equal(&p->value.oid, &p->state.tip) && !p->foreign)
		return true;
	if (hf_slotfile_read(lock->slot, &again, NULL))
		return true;
	same = again.seq == p->content.seq && again.mark == p->content.mark &&
	       again.len == p->content.len &&
	       (!again.len || !memcmp(again.data, p->content.data, again.len));
	hf_slot_content_clear(&again);
	return same;
}

hf_status gs_present_read(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	int64_t until_ms = 0;
	unsigned tries;

	for (tries = 0;; tries++) {
		hf_status st = read_once(store, lock, p, error);

		if (st || is_settled(store, lock, p))
			return st;
		gs_present_clear(p);
		if (!until_ms)
			until_ms = hf_boot_ms() + store->patience_ms;
		else if (tries >= GS_TRIES_MIN && hf_boot_ms() > until_ms)
			return hf_fail(error, HF_UNAVAILABLE, "read", 0,
				"lock '%s' changes faster than it can be read: try again",
				lock->name);
	}
}

/* ---- putting in order ---- */

/* Make final what a dead or stopped writer left half way. */
static hf_status settle(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	uint8_t mark = p->content.mark;
	bool open = p->side.moving && mark != GS_LANDED && mark != GS_GIVEN_UP;
	bool took_place;
	hf_status st;

	if (p->damaged || !p->side.name)
		return HF_OK;
	if (hf_slotfile_broken(lock->slot))
		gs_move_shut_out(store, lock, p->side.folder);
	else if (open)
		gs_move_clear(store, lock, p->side.folder);
	if (!open)
		return HF_OK;
	st = gs_ref_read(store, lock->ref, &p->value, error);
	if (st)
		return st;
	took_place = gs_side_took_place(&p->side, mark, &p->value);
	/*
	 * From here on this process may itself have been stopped and shut out,
	 * and have read a newer ref: then marking says so, before anything else
	 * is believed.
	 */
	st = hf_slotfile_mark(lock->slot, mark, error);
	if (!st && took_place && !gs_oid_is_zero(&p->side.now.tip) &&
		!gs_object_exists(store, &p->side.now.tip))
		st = store->layout->heal(store, lock, &p->side.now, error);
	if (st)
		return st;
	mark = took_place ? GS_LANDED : GS_GIVEN_UP;
	st = hf_slotfile_mark(lock->slot, mark, error);
	if (!st)
		p->content.mark = mark;
	return st;
}

static hf_status lock_once(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	hf_status st;

	memset(p, 0, sizeof(*p));
	p->state.json = "";
	st = hf_slotfile_lock(lock->slot, &p->content, &p->problem);
	if (!st)
		st = hf_slot_content_own(&p->content, &p->problem);
	if (st && st != HF_CORRUPT) {
		if (error)
			*error = p->problem;
		return st;
	}
	if (st || gs_side_decode(&p->side, &p->content, lock->name, &p->problem))
		set_damaged(p);
	st = settle(store, lock, p, error);
	if (!st)
		st = read_refs(store, lock, p, error);
	if (!st)
		st = judge(store, lock, p, error);
	/* An old side file and a newer ref do not go together: which is it? */
	if (!st && p->status && p->side.name)
		st = hf_slotfile_mark(lock->slot, p->content.mark, error);
	if (st)
		hf_slotfile_unlock(lock->slot);
	return st;
}

hf_status gs_present_lock(hf_store *store, gs_lock *lock, gs_present *p, hf_error *error)
{
	int64_t until_ms = hf_boot_ms() + 2 * store->patience_ms;
	bool made_folders = false;
	unsigned tries;
	hf_status st;

	for (tries = 0;; tries++) {
		st = lock_once(store, lock, p, error);
		if (st == HF_OK)
			return st;
		gs_present_clear(p);
		if (st == HF_CANNOT_CREATE && !made_folders &&
			!gs_make_folders_above(store, lock->stem)) {
			made_folders = true;
			continue;
		}
		if (st != HF_CHANGED)
			return st;
		if (tries >= GS_TRIES_MIN && hf_boot_ms() >= until_ms)
			return hf_fail(error, HF_UNAVAILABLE, "lock", 0,
				"the side file of lock '%s' is taken away again and again",
				lock->name);
	}
}
