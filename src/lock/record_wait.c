/*
 * Those who wait, as lines of the record. A thousand of them are written anew by
 * every swap, so a line has only what is asked of one who waits, and says `same`
 * for what he has in common with the one before. The rest his claim brings.
 */
#include "record_wait.h"

static const hf_field fields[] = {
	HF_FIELD("id", HF_FIELD_TEXT, hf_waiter, want.id),
	HF_FIELD("group", HF_FIELD_TEXT, hf_waiter, want.group), /* of an upgrade */
	HF_FIELD("m", HF_FIELD_MODE, hf_waiter, want.mode),
	HF_FIELD("lim", HF_FIELD_U32, hf_waiter, want.limit),
	HF_FIELD("pri", HF_FIELD_I32, hf_waiter, want.priority),
	HF_FIELD("at", HF_FIELD_I64, hf_waiter, want.acquired_wall_ms),
	HF_FIELD("under", HF_FIELD_TEXT, hf_waiter, want.under),
	HF_FIELD("pid", HF_FIELD_I64, hf_waiter, want.process.pid),
	HF_FIELD("start", HF_FIELD_U64, hf_waiter, want.process.start),
	HF_FIELD("live", HF_FIELD_TEXT, hf_waiter, want.process.live),
	HF_FIELD("arr", HF_FIELD_U64, hf_waiter, arrival),
	HF_FIELD("pass", HF_FIELD_U64, hf_waiter, passed),
	HF_FIELD("miss", HF_FIELD_U64, hf_waiter, missed),
	HF_FIELD("offer", HF_FIELD_U64, hf_waiter, offer),
	HF_FIELD("clk", HF_FIELD_TEXT, hf_waiter, want.clock),
	HF_FIELD("claim", HF_FIELD_I64, hf_waiter, claim_deadline_ms),
	HF_FIELD("same", HF_FIELD_U32, hf_waiter, same),
	/* ---- with `same` these are not here ---- */
	HF_FIELD("in", HF_FIELD_I64, hf_waiter, claim_ms),
	HF_FIELD("owner", HF_FIELD_TEXT, hf_waiter, want.owner),
	HF_FIELD("host", HF_FIELD_TEXT, hf_waiter, want.process.host),
	HF_FIELD("boot", HF_FIELD_TEXT, hf_waiter, want.process.boot),
	HF_FIELD("pns", HF_FIELD_U64, hf_waiter, want.process.pidns),
	HF_FIELD("tns", HF_FIELD_U64, hf_waiter, want.process.timens),
	HF_FIELD("uid", HF_FIELD_U32, hf_waiter, want.process.uid),
	HF_FIELD("cmd", HF_FIELD_TEXT, hf_waiter, want.process.command),
};
#define COMMON 8 /* of them, the last, may be the same */
#define OF_ITS_OWN (HF_ARRAY_LEN(fields) - COMMON)

static bool same_text(const char *a, const char *b)
{
	return a == b || !strcmp(a, b);
}

static bool alike(const hf_waiter *a, const hf_waiter *b)
{
	const hf_process *p = &a->want.process;
	const hf_process *q = &b->want.process;

	return a->claim_ms == b->claim_ms && p->pidns == q->pidns && p->timens == q->timens &&
	       p->uid == q->uid && same_text(a->want.owner, b->want.owner) &&
	       same_text(p->host, q->host) && same_text(p->boot, q->boot) &&
	       same_text(p->command, q->command);
}

static void take_common(hf_waiter *to, const hf_waiter *from)
{
	hf_process *p = &to->want.process;
	const hf_process *q = &from->want.process;

	to->claim_ms = from->claim_ms;
	to->want.owner = from->want.owner;
	p->host = q->host;
	p->boot = q->boot;
	p->pidns = q->pidns;
	p->timens = q->timens;
	p->uid = q->uid;
	p->command = q->command;
}

void hf_waiters_put(hf_buf *buf, const hf_waiter *waiters, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		hf_waiter w = waiters[i];
		bool same = i > 0 && alike(&w, &waiters[i - 1]);

		w.same = same;
		if (!hf_waiter_upgrades(&w))
			w.want.group = "";
		hf_buf_adds(buf, "\nwait");
		hf_fields_put(buf, fields, same ? OF_ITS_OWN : HF_ARRAY_LEN(fields), &w);
	}
}

bool hf_waiter_read(char *line, hf_waiter *w, const hf_waiter *before)
{
	if (!hf_fields_read(line, fields, HF_ARRAY_LEN(fields), w))
		return false;
	if (w->same > 1 || (w->same && (!before || w->claim_ms)))
		return false;
	if (w->same)
		take_common(w, before);
	w->same = 0;
	if (!w->want.group[0])
		w->want.group = w->want.id;
	return true;
}

size_t hf_waiters_move_texts(
	hf_waiter *waiters, size_t count, char *to, size_t cap, size_t used)
{
	hf_waiter before = {.claim_ms = -1}; /* as it was */
	size_t i;

	for (i = 0; i < count; i++) {
		hf_waiter as_it_was = waiters[i];
		bool same = i > 0 && alike(&as_it_was, &before);
		bool upgrades = hf_waiter_upgrades(&as_it_was);

		if (!upgrades)
			waiters[i].want.group = "";
		used = hf_fields_move_texts(fields, same ? OF_ITS_OWN : HF_ARRAY_LEN(fields),
			&waiters[i], to, cap, used);
		if (same)
			take_common(&waiters[i], &waiters[i - 1]);
		if (!upgrades)
			waiters[i].want.group = waiters[i].want.id;
		before = as_it_was;
	}
	return used;
}
