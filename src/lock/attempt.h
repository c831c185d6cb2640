/*
 * An attempt: the loop between the rules and a register, without I/O.
 *
 * It says what it wants next and is told what came of it:
 *
 *	hf_attempt_init(&a, &setup, now);
 *	for (;;) switch (hf_attempt_next(&a, now)) {
 *	case HF_STEP_READ:	read into a.snap;	hf_attempt_on_read()
 *	case HF_STEP_PROBE:	fill a.evidence[].dead, or the one of
 *				a.probe_waiter;		hf_attempt_on_probe()
 *	case HF_STEP_SWAP:	swap a.snap.etag for a.change, answer into
 *				a.reply;		hf_attempt_on_swap()
 *	case HF_STEP_LOOK:	hf_deadlock_look() into a.deadlock;
 *				hf_attempt_on_look(); if a.ring_victim, wake
 *				whom a.deadlock.victim names
 *	case HF_STEP_WAIT:	until a.wake_ms, or the store says that it may
 *				differ from a.snap.etag; hf_attempt_on_wake()
 *	case HF_STEP_DONE:	a.status is the answer
 *	}
 *
 * so one code runs blocking (driver.c), in the keeper, and in the simulator.
 *
 * Before each hf_attempt_next() the driver may raise setup.request.least_gen
 * and least_counter to what was learnt elsewhere: then tokens never go back for
 * whoever shares that knowledge, even if the store does.
 *
 * Requests of unknown fate (R4). A swap that names state E can land only over
 * E. While the last read still shows E, it may land yet ("pending"). So: read;
 * found our id - it landed; found another state - it never will; found E - ask
 * again under the same id, of the two at most one lands. An answer other than
 * OK or UNKNOWN is given only when nothing is pending: if need be the record
 * is moved on by a swap of its own (HF_ASK_BARRIER) first.
 *
 * Who waits in line (request.queue) and gives up leaves it by a swap of its own
 * (HF_ASK_LEAVE). Should that not get through, an entry of nobody stays: it
 * never becomes a grant, and goes by its process's death or by lapsed offers.
 */
#ifndef HF_ATTEMPT_H
#define HF_ATTEMPT_H

#include "deadlock.h"
#include "observer.h"
#include "rules.h"

typedef enum hf_step {
	HF_STEP_READ,
	HF_STEP_PROBE,
	HF_STEP_SWAP,
	HF_STEP_LOOK,
	HF_STEP_WAIT,
	HF_STEP_DONE
} hf_step;

/* What time it is, told by the driver at every call. */
typedef struct hf_now {
	int64_t boot_ms; /* the attempt's own clock */
	int64_t wall_ms; /* for people */
} hf_now;

typedef struct hf_attempt_setup {
	const char *name;
	hf_request request; /* strings must outlive the attempt */
	hf_strategy strategy;
	uint32_t max_retries;
	int64_t backoff_min_ms;
	int64_t backoff_max_ms;
	/*
	 * -1: wait for ever; 0: one try; else as long. Also how long an
	 * unreachable store is tried again (with 0: not at all).
	 */
	int64_t wait_ms;
	/* How long the fate of an unknown request is looked into, beyond. */
	int64_t settle_ms;
	int64_t poll_ms; /* the backstop while waiting, before jitter */
	int64_t line_ms; /* the same in the line, behind others */
	/*
	 * Of the store: its HF_CAP_*, and the domain of hf_now.boot_ms if that
	 * is its clock (host-local stores), else "".
	 */
	unsigned capabilities;
	const char *host_clock;
	size_t history_limit;
	/* How many of the line are read at once, at least; HF_RECORD_NEAR. */
	size_t near;
	uint64_t seed; /* of the jitter */
	/* NULL: nothing observed is kept beyond this attempt. */
	hf_observer *observer;
} hf_attempt_setup;

typedef struct hf_attempt {
	hf_attempt_setup setup;

	/* ---- for the driver ---- */
	hf_snapshot snap; /* the last known state; READ goes here */
	hf_snapshot reply; /* SWAP's answer goes here */
	hf_change change; /* what SWAP is to write */
	hf_record record; /* snap, decoded: PROBE is about its grants */
	hf_grant_evidence *evidence; /* one for each grant of record */
	hf_waiter_evidence *waiters; /* one for each waiter of record */
	/* PROBE: of this waiter alone (fill its `dead`); -1: of the grants. */
	int probe_waiter;
	int64_t wake_ms; /* WAIT: on boot_ms; INT64_MAX: no limit */
	/*
	 * WAIT, SWAP: it stands in the line, or will by this swap: it is to
	 * hear the bell. WAIT: `in_line` and not the first: that will do, the
	 * first looks after the store and the holders.
	 */
	bool queued;
	bool in_line;
	hf_deadlock deadlock; /* LOOK's answer goes here */
	bool ring_victim;

	/* ---- the answer ---- */
	hf_status status;
	uint64_t token;
	/*
	 * Measured from here the grant may be trusted for its ttl. 0: nothing
	 * may be trusted, it was no request of this attempt that got it.
	 */
	int64_t base_ms;
	size_t ended; /* grants that this ended, of others */
	bool met_holder; /* it was held when we looked */
	uint32_t looked_again; /* after a wait */
	bool regressed; /* the store went back behind what we knew */
	hf_error error;

	/* ---- inside ---- */
	enum {
		HF_ATTEMPT_READ,
		HF_ATTEMPT_DECIDE,
		HF_ATTEMPT_HELD, /* decided: it is held, and we stand behind others */
		HF_ATTEMPT_PROBE,
		HF_ATTEMPT_SWAP,
		HF_ATTEMPT_LOOK,
		HF_ATTEMPT_WAIT,
		HF_ATTEMPT_DONE
	} state;
	int64_t wait_until_ms;
	bool fresh; /* snap was read in this attempt */
	bool decoded; /* record is snap */
	bool probed; /* evidence[].dead is known for record */
	bool pending; /* a swap over pending_over may land yet */
	bool sent; /* some swap of ours may have landed */
	bool giving_up; /* pending is to be resolved, then final is said */
	hf_status final;
	hf_error final_error;
	hf_etag pending_over;
	int64_t settle_until_ms;
	int64_t asked_ms;
	uint64_t asked_gen; /* least_gen when the store was asked */
	int64_t asked_base_ms; /* base of what is asked, or of what is pending */
	/*
	 * Of the last requests of unknown fate over one state: one of them at
	 * most lands. What is known, or a store's floor, may grow in between.
	 */
	uint64_t sent_from_gen;
	uint64_t sent_to_gen;
	int64_t sent_base_ms; /* of the first */
	uint32_t tries;
	hf_verdict verdict;
	hf_rng rng;
	hf_record next;
	/* snap is what we wrote: next, which owns its strings; no data in snap. */
	bool written;
	bool bare; /* record is what we wrote: still no data in snap */
	hf_buf scratch;
	hf_buf out;
	hf_buf line;
	hf_buf summary;
	hf_event_text event;
	hf_public_view *view; /* made on first use */
	hf_observer own_observer;
	size_t evidence_cap;
	size_t waiters_cap;
	bool leaving; /* nothing but our place in the line is still to go */
	/* attempt_wait.c */
	bool woken;
	bool deadlocked; /* in a circle, and its victim */
	int64_t look_ms; /* when to look next; 0: not known yet */
	int64_t look_from_ms; /* not before, whatever happens */
	int64_t company_ms; /* the pause to the next look; 0: none yet */
	char circle_seen[65]; /* by the last look */
	size_t circle_looks; /* that saw it */
} hf_attempt;

void hf_attempt_init(hf_attempt *attempt, const hf_attempt_setup *setup, hf_now now);
void hf_attempt_free(hf_attempt *attempt);

/*
 * Exchange the memory that two attempts have gathered; what `to` gets is empty.
 * For one that has not begun or is done, and one that only keeps memory (zeroed
 * to begin with), so that not every attempt allocates anew.
 */
void hf_attempt_exchange_memory(hf_attempt *to, hf_attempt *from);

/*
 * WAIT, and for long: leave what can be read again to `spare`, as above. Only
 * hf_attempt_on_wake() or hf_attempt_cancel() may follow; and before the next step
 * it may take memory from there again.
 */
void hf_attempt_rest(hf_attempt *attempt, hf_attempt *spare);

/*
 * Evidence for each grant and waiter of attempt->record, with nothing known.
 * False: out of memory.
 */
bool hf_attempt_blank_evidence(hf_attempt *attempt);

/*
 * Begin from a state known from before instead of a read; takes its memory.
 * `record` (NULL: not at hand) is that state decoded, owning its strings; it
 * is exchanged for an unused one. Only an answer that a swap confirms is given
 * on it: all else is read first.
 */
void hf_attempt_start_from(hf_attempt *attempt, hf_snapshot *known, hf_record *record);

hf_step hf_attempt_next(hf_attempt *attempt, hf_now now);
/* `error` may be NULL; it is what the store said when status is not OK. */
void hf_attempt_on_read(
	hf_attempt *attempt, hf_status status, const hf_error *error, hf_now now);
void hf_attempt_on_probe(hf_attempt *attempt);
void hf_attempt_on_swap(
	hf_attempt *attempt, hf_status status, const hf_error *error, hf_now now);
/* `status`: of hf_deadlock_look(). */
void hf_attempt_on_look(hf_attempt *attempt, hf_status status, hf_now now);
void hf_attempt_on_wake(hf_attempt *attempt);

/*
 * Stop waiting: the answer becomes `status` as soon as nothing is pending.
 */
void hf_attempt_cancel(hf_attempt *attempt, hf_status status);

/*
 * A snapshot decoded into a record, a neighbour's hold as a foreign grant; folded as by
 * hf_record_decode(), and borrowed from the snapshot then.
 */
hf_status hf_snapshot_decode(const char *name, const hf_snapshot *snapshot, size_t near,
	hf_record *record, hf_error *error);
void hf_snapshot_clear(hf_snapshot *snapshot);
/* What neighbours are to see of a record: one holder, the exclusive first. */
void hf_record_view(hf_public_view *view, const hf_record *record);

/* ---- attempt_ask.c, attempt_wait.c, attempt_explain.c: for attempt.c ---- */

/* The record of snap, and evidence of the right length with nothing known. */
hf_status hf_attempt_decode(hf_attempt *attempt, hf_now now);
/* With all of the line; evidence is to be had anew. */
hf_status hf_attempt_unfold(hf_attempt *attempt);
/*
 * Ask the rules: attempt->verdict. The far end of the line is read if it matters to
 * them. HF_CORRUPT, HF_NO_MEMORY: that could not be.
 */
hf_status hf_attempt_ask(hf_attempt *attempt, const hf_request *request, hf_now now);

/* Exponential backoff with full jitter: anything up to the doubled cap. */
int64_t hf_attempt_backoff_ms(hf_attempt *attempt, int64_t min_ms, int64_t max_ms);
/*
 * How long to wait without being told of a change. Behind others in the line:
 * what time alone brings is the first's to see, and only if he does not come
 * that of those behind him, one after the other.
 */
int64_t hf_attempt_pause_ms(hf_attempt *attempt);
/* Held: is it time to look for a circle? */
bool hf_attempt_look_due(hf_attempt *attempt, hf_now now);
/* Put `status` into words in attempt->error. */
void hf_attempt_explain(hf_attempt *attempt, hf_status status);

#endif
