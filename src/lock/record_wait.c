/*
 * Those who wait, as lines of the record. Each swap writes them anew, so a line has
 * only what is asked of one who waits; what many have in common stands once, as a
 * party; and the far end of a long line is carried along as it is. The rest of what
 * a waiter wants his claim brings.
 */
#include "record_lines.h"

#include <stdlib.h>

static const hf_field waiter_fields[] = {
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
	HF_FIELD("by", HF_FIELD_U32, hf_waiter, party),
};

static const hf_field party_fields[] = {
	HF_FIELD("in", HF_FIELD_I64, hf_party, claim_ms),
	HF_FIELD("owner", HF_FIELD_TEXT, hf_party, owner),
	HF_FIELD("host", HF_FIELD_TEXT, hf_party, process.host),
	HF_FIELD("boot", HF_FIELD_TEXT, hf_party, process.boot),
	HF_FIELD("pns", HF_FIELD_U64, hf_party, process.pidns),
	HF_FIELD("tns", HF_FIELD_U64, hf_party, process.timens),
	HF_FIELD("uid", HF_FIELD_U32, hf_party, process.uid),
	HF_FIELD("cmd", HF_FIELD_TEXT, hf_party, process.command),
};

static const hf_field fold_fields[] = {
	HF_FIELD("near", HF_FIELD_U64, hf_fold, near),
	HF_FIELD("far", HF_FIELD_U64, hf_fold, far),
	HF_FIELD("bytes", HF_FIELD_U64, hf_fold, bytes),
};

/* ---- parties ---- */

static bool same_text(const char *a, const char *b)
{
	return a == b || !strcmp(a, b);
}

static bool is_of(const hf_waiter *w, const hf_party *party)
{
	const hf_process *p = &w->want.process;
	const hf_process *q = &party->process;

	return w->claim_ms == party->claim_ms && p->pidns == q->pidns &&
	       p->timens == q->timens && p->uid == q->uid &&
	       same_text(w->want.owner, party->owner) && same_text(p->host, q->host) &&
	       same_text(p->boot, q->boot) && same_text(p->command, q->command);
}

static void take_common(hf_waiter *w, const hf_party *party)
{
	hf_process *p = &w->want.process;
	const hf_process *q = &party->process;

	w->claim_ms = party->claim_ms;
	w->want.owner = party->owner;
	p->host = q->host;
	p->boot = q->boot;
	p->pidns = q->pidns;
	p->timens = q->timens;
	p->uid = q->uid;
	p->command = q->command;
}

static hf_party party_of(const hf_waiter *w)
{
	hf_party party = {
		.claim_ms = w->claim_ms, .owner = w->want.owner, .process = w->want.process};

	return party;
}

/* The party of a waiter, from 1 on; 0: out of memory. */
static uint32_t find_party(hf_record *r, const hf_waiter *w)
{
	hf_party *party;
	size_t i;

	/* Most often it is the last that was told. */
	for (i = r->party_count; i > 0; i--)
		if (is_of(w, &r->parties[i - 1]))
			return (uint32_t)i;
	party = hf_record_add_party(r);
	if (!party)
		return 0;
	*party = party_of(w);
	return (uint32_t)r->party_count;
}

/* Every waiter at hand gets its party. False: out of memory. */
static bool tell_parties(hf_record *r)
{
	size_t i;

	if (!r->far_count)
		r->party_count = 0; /* those who left are told no more */
	for (i = 0; i < r->waiter_count; i++) {
		hf_waiter *w = &r->waiters[i];

		if (r->far_count && w->party)
			continue;
		w->party = find_party(r, w);
		if (!w->party)
			return false;
	}
	return true;
}

/* ---- writing ---- */

bool hf_waiter_is_plain(const hf_waiter *w)
{
	return !w->want.priority && !w->passed && !w->missed && !w->offer &&
	       !w->want.clock[0] && !w->claim_deadline_ms && !hf_waiter_upgrades(w);
}

static void put_waiter(hf_buf *buf, const hf_waiter *w)
{
	hf_waiter told = *w;

	if (!hf_waiter_upgrades(w))
		told.want.group = "";
	hf_buf_adds(buf, "wait");
	hf_fields_put(buf, waiter_fields, HF_ARRAY_LEN(waiter_fields), &told);
	hf_buf_addc(buf, '\n');
}

/*
 * From which of its waiters on a record that is not folded can be: none of the
 * plain ones before may come after them.
 */
static size_t fold_at(const hf_record *r, size_t near)
{
	size_t at = r->waiter_count;
	size_t i;

	if (near == HF_RECORD_WHOLE || r->waiter_count / 2 < near)
		return at;
	while (at > near && hf_waiter_is_plain(&r->waiters[at - 1]) &&
		(at == r->waiter_count || r->waiters[at - 1].arrival < r->waiters[at].arrival))
		at--;
	for (i = 0; i < at && at < r->waiter_count; i++)
		if (r->waiters[i].arrival > r->waiters[at].arrival)
			return r->waiter_count;
	return at;
}

void hf_waiters_put(hf_buf *buf, hf_record *r, size_t near)
{
	hf_fold fold = {.far = r->far_count};
	size_t far_at = r->far_count ? r->far_at : fold_at(r, near);
	size_t from;
	size_t i;

	if (!tell_parties(r)) {
		buf->failed = true;
		return;
	}
	for (i = 0; i < r->party_count; i++) {
		hf_buf_adds(buf, "party");
		hf_fields_put(buf, party_fields, HF_ARRAY_LEN(party_fields), &r->parties[i]);
		hf_buf_addc(buf, '\n');
	}
	for (i = 0; i < r->waiter_count; i++) {
		if (i >= far_at && hf_waiter_is_plain(&r->waiters[i]))
			continue;
		put_waiter(buf, &r->waiters[i]);
		fold.near++;
	}
	from = buf->len;
	hf_buf_add(buf, r->far, r->far_len);
	for (i = far_at; i < r->waiter_count; i++) {
		if (!hf_waiter_is_plain(&r->waiters[i]))
			continue;
		put_waiter(buf, &r->waiters[i]);
		fold.far++;
	}
	fold.bytes = buf->len - from;
	hf_buf_adds(buf, "end");
	if (fold.far)
		hf_fields_put(buf, fold_fields, HF_ARRAY_LEN(fold_fields), &fold);
	hf_buf_addc(buf, '\n');
}

/* ---- reading ---- */

bool hf_party_read(char *line, hf_party *party)
{
	return hf_fields_read(line, party_fields, HF_ARRAY_LEN(party_fields), party);
}

bool hf_waiter_read(char *line, const hf_record *r, hf_waiter *w)
{
	if (!hf_fields_read(line, waiter_fields, HF_ARRAY_LEN(waiter_fields), w))
		return false;
	if (!w->party || w->party > r->party_count)
		return false;
	take_common(w, &r->parties[w->party - 1]);
	if (!w->want.group[0])
		w->want.group = w->want.id;
	return true;
}

bool hf_fold_read(char *line, hf_fold *fold)
{
	*fold = (hf_fold){.near = 0};
	if (!*line)
		return true;
	return hf_fields_read(line, fold_fields, HF_ARRAY_LEN(fold_fields), fold) &&
	       fold->far && fold->bytes && fold->far <= HF_RECORD_MAX &&
	       fold->near <= HF_RECORD_MAX && fold->bytes <= HF_RECORD_MAX;
}

static int by_arrival(const void *left, const void *right)
{
	const hf_waiter *a = left;
	const hf_waiter *b = right;

	return (a->arrival > b->arrival) - (a->arrival < b->arrival);
}

void hf_waiters_sort(hf_record *r)
{
	size_t i;

	for (i = 1; i < r->waiter_count; i++)
		if (r->waiters[i - 1].arrival > r->waiters[i].arrival)
			break;
	if (i < r->waiter_count)
		qsort(r->waiters, r->waiter_count, sizeof(*r->waiters), by_arrival);
}

/* ---- owning ---- */

size_t hf_waiters_move_texts(hf_record *r, char *to, size_t cap, size_t used)
{
	size_t i;

	for (i = 0; i < r->party_count; i++)
		used = hf_fields_move_texts(party_fields, HF_ARRAY_LEN(party_fields),
			&r->parties[i], to, cap, used);
	for (i = 0; i < r->waiter_count; i++) {
		hf_waiter *w = &r->waiters[i];
		hf_party own = party_of(w);
		bool upgrades = hf_waiter_upgrades(w);

		if (!upgrades)
			w->want.group = "";
		used = hf_fields_move_texts(
			waiter_fields, HF_ARRAY_LEN(waiter_fields), w, to, cap, used);
		if (!w->party)
			used = hf_fields_move_texts(
				party_fields, HF_ARRAY_LEN(party_fields), &own, to, cap, used);
		take_common(w, w->party ? &r->parties[w->party - 1] : &own);
		if (!upgrades)
			w->want.group = w->want.id;
	}
	return used;
}
