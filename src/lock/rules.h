/*
 * The rules: (record, request, evidence) -> (next record, verdict).
 *
 * Pure: no I/O, no clock, no random numbers. All that a lock does is decided
 * here, once, for every store. Every function is idempotent in the id of its
 * request: asked again over a record in which it already happened, it answers
 * HF_OK without a swap. That is how a request of unknown fate is found out.
 *
 * How a grant ends without a release ("is over"):
 *	dead	its process is proven dead (bound grants only)
 *	expired	by the clock both sides share: now >= deadline;
 *		without one: seen with the same count of renewals for its ttl
 *
 * The chart of a lock; modes.h tells which holds go together. S is any of those
 * that do: shared, of a limit or not, and intentions. A swap first ends what is over, stale or forced
 * (S -> S F C, X -> F C), then makes at most one step of its event:
 *
 *	from	event			to
 *	F free	acquire steal force	S X
 *	C shut	force			S X
 *	S share	acquire steal force	S	(another holder joins)
 *	S	reenter renew extend	S
 *	S	release			S F C
 *	S	upgrade			S X	(S: of an intention)
 *	S	downgrade		S	(of an intention)
 *	X excl	reenter renew extend	X
 *	X	release			X S F C	(X, S: holds of its group remain)
 *	X	upgrade			X	(of another hold of its group)
 *	X	downgrade		S X	(X: of an intention in its group)
 *	any	expire barrier queue	same
 *	any	force-release		F	(all are ended first)
 *
 * C is F with a lock delay running: a lease ended without a release. It may
 * begin while others share the lock; then too it lets no newcomer in.
 *
 * Who waits stands in the record (queue.h), and an offer to one of them keeps
 * everybody else out of F and, if theirs do not go together, of S. Every swap
 * ends by offering the lock to whoever is first and can be let in.
 *
 * The chart stands as a table in rules.c and is asserted after every step,
 * with the invariants: groups go together, at most `limit` of them share, no
 * token above the counter, counter and gen never smaller.
 */
#ifndef HF_RULES_H
#define HF_RULES_H

#include "record.h"

typedef enum hf_ask {
	HF_ASK_ACQUIRE,
	HF_ASK_RELEASE,
	HF_ASK_RENEW,
	HF_ASK_CONVERT,
	HF_ASK_FORCE_RELEASE,
	HF_ASK_REAP, /* end what is over */
	HF_ASK_LEAVE, /* wait no longer: grant.id goes out of the line */
	HF_ASK_BARRIER /* move the record on */
} hf_ask;

typedef enum hf_take { HF_TAKE_NOTHING, HF_TAKE_STALE, HF_TAKE_ALL } hf_take;

typedef struct hf_request {
	hf_ask ask;
	/*
	 * ACQUIRE: the grant wanted (id, group, owner, mode, ttl, process ...);
	 * group == id, or the group to re-enter. CONVERT: id is that of its place in
	 * the line, a new one, if it may wait for it. All others: owner and process
	 * tell who does it, for the event.
	 */
	hf_grant grant;
	hf_take take; /* ACQUIRE */
	/* ACQUIRE, CONVERT: held, stand in line; offers are claimed in claim_ms. */
	bool queue;
	bool newcomer; /* ACQUIRE: it has never asked for that */
	int64_t claim_ms;
	int64_t stale_after_ms; /* ACQUIRE with HF_TAKE_STALE */
	hf_who who; /* RELEASE, RENEW, CONVERT: whose grant; LEAVE: as CONVERT had it */
	int64_t ttl_ms; /* RENEW: the new ttl; 0: keep */
	/*
	 * RENEW by id: the count of renewals to reach; 0: just one more. It
	 * tells this request from earlier ones that may land yet, so a holder
	 * never asks for one count in two attempts, whatever became of the first.
	 */
	uint64_t renewals;
	hf_mode mode; /* CONVERT; LEAVE: as that had it */
	/* What we know to have been reached: the record may not go below. */
	uint64_t least_gen;
	uint64_t least_counter;
} hf_request;

typedef struct hf_grant_evidence {
	bool dead; /* proven; see hf_process_proven_dead() */
	int64_t unchanged_ms; /* how long we have seen this very grant */
} hf_grant_evidence;

typedef struct hf_waiter_evidence {
	bool probed; /* somebody has looked whether it is dead */
	bool dead;
	int64_t unchanged_ms; /* how long we have seen this very offer */
} hf_waiter_evidence;

typedef struct hf_evidence {
	const char *clock; /* domain of now_ms; "": no clock */
	int64_t now_ms;
	int64_t wall_ms; /* for people only, never compared */
	/* One for each grant of the record; NULL: nothing is known. */
	const hf_grant_evidence *grants;
	/* One for each waiter of the record; NULL: all live, as far as we know. */
	const hf_waiter_evidence *waiters;
	int64_t closed_unchanged_ms; /* as unchanged_ms, for the lock delay */
	uint64_t floor; /* of an absent record */
} hf_evidence;

typedef struct hf_verdict {
	/*
	 * HF_OK, HF_HELD, HF_LOST, HF_NOT_OWNER, HF_INVALID, HF_NO_MEMORY. It
	 * is the answer once the swap (if any) is done. HELD with a swap: what
	 * was over has been ended; look again.
	 */
	hf_status status;
	bool swap;
	bool amend; /* the swap is no event for the history */
	uint64_t token; /* OK: of the grant it is about */
	uint64_t gen; /* OK without a swap: of that grant */
	size_t ended; /* grants that this ends */
	/* HELD: until time alone may change the answer; -1: never. */
	int64_t wait_ms;
	/* HELD, NOT_OWNER, INVALID: index of a grant in the way; or -1. */
	int blocker;
	/*
	 * >= 0: nothing of this is to be acted on. Whether waiter i of prev
	 * lives must be known first: probe it and ask again.
	 */
	int unproven;
	/*
	 * Nothing of this is to be acted on. The far end of the line matters:
	 * hf_record_unfold() prev and ask again.
	 */
	bool unfold;
	bool waits; /* HELD: it is in the line, or will be by this swap */
	size_t ahead; /* if it waits: how many before it have no offer */
	const char *reason; /* INVALID, NOT_OWNER: a sentence; static */
} hf_verdict;

/*
 * Decide. `prev` with gen 0 is absent. `next` is overwritten; it borrows
 * strings from prev, request, and from `scratch` (cleared first), and is
 * meaningful only if the verdict asks for a swap.
 */
hf_verdict hf_rules_apply(const hf_record *prev, const hf_request *request,
	const hf_evidence *evidence, hf_record *next, hf_buf *scratch);

/* Why grant i is over, or NULL: "dead", "expired". */
const char *hf_rules_over(const hf_record *record, size_t i, const hf_evidence *evidence);
/* Until time alone ends grant i; -1: never. 0: it is over. */
int64_t hf_rules_remaining_ms(const hf_record *record, size_t i, const hf_evidence *evidence);
/* Lock delay still to run; 0: open. */
int64_t hf_rules_closed_ms(const hf_record *record, const hf_evidence *evidence);

#endif
