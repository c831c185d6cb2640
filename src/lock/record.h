/*
 * The record: what a register holds for one lock, and its text form.
 *
 * The text is UTF-8 lines, so that `git log` and an editor show it:
 *
 *	holdfast 1
 *	lock name=deploy gen=7 token=3 held=1 wait=1
 *	event gen=7 kind=acquire at=1700000000000 id=... owner=alice@web1 ...
 *	grant id=... m=s tok=3 ttl=30000 ...
 *	party in=2000 owner=alice@web1 host=web1 ...
 *	wait id=... arr=8 by=1 ...
 *	end
 *
 * Values are percent-escaped (blank, '%', control characters); a field with
 * its default value is left out. A reader is strict: a first line of another
 * version, an unknown line or field, a missing `end`, a number out of range,
 * another number of grant and wait lines than `held` and `wait` say, holders
 * that the rules would never let in together: each makes the whole record
 * HF_CORRUPT (R9), never "free".
 *
 * A long line is *folded*: `end near=16 far=984 bytes=69000` says that the last
 * 984 of those who wait are plain ones, in order of arrival, in as many bytes.
 * They are neither read nor written anew while it is the turn of those before
 * them, so what a swap costs hardly grows with the line. Damage among them is
 * seen by whoever reads them: all but attempts, and those when they come near.
 *
 * A free lock is a record without grants: it keeps the counter of tokens, so
 * a token is greater than every earlier one of its name. `gen` grows with
 * every swap, amendments too.
 */
#ifndef HF_RECORD_H
#define HF_RECORD_H

#include "base/base.h"
#include "base/process.h"

#define HF_RECORD_VERSION 1

/* What is read is within these, so that sums of two do not overflow. */
#define HF_RECORD_COUNT_MAX ((uint64_t)1 << 62) /* generations, tokens */
#define HF_RECORD_MS_MAX ((int64_t)1 << 60) /* times and spans */

/* Bits of hf_grant.flags. */
enum {
	HF_GRANT_BOUND = 1 << 0, /* ends with its process */
	HF_GRANT_FOREIGN = 1 << 1, /* a neighbour's (R5); never in the text */
	HF_GRANT_FOR_TREE = 1 << 2, /* kept until all below its process has ended */
	/* Intentions of the same id stand in the records of the names above. */
	HF_GRANT_TREE_NAME = 1 << 3,
	HF_GRANT_FLAGS = HF_GRANT_BOUND | HF_GRANT_FOR_TREE | HF_GRANT_TREE_NAME /* in texts */
};

/* One hold of a lock. All strings are borrowed and never NULL. */
typedef struct hf_grant {
	const char *id;
	/*
	 * Re-entry: holds of one group stand inside each other and never
	 * conflict. The id of the group's first hold; its own id if first.
	 */
	const char *group;
	const char *owner;
	const char *fingerprint;
	const char *info;
	const char *under; /* the holds it stands under, as under.h has them */
	hf_mode mode;
	uint32_t limit;
	uint32_t flags;
	int32_t priority;
	uint64_t token;
	int64_t ttl_ms; /* 0: until released */
	int64_t lock_delay_ms;
	uint64_t renewals;
	/*
	 * The generation that granted or last renewed it: never the same for
	 * two states of it, also where an id is granted anew because its first
	 * grant ended before its attempt knew of it.
	 */
	uint64_t gen;
	int64_t acquired_wall_ms;
	/*
	 * When it expires, on the clock of domain `clock`. "" : no clock was
	 * at hand, it expires to whoever sees it unchanged for ttl_ms.
	 */
	const char *clock;
	int64_t deadline_ms;
	hf_process process;
} hf_grant;

/* What many of those who wait have in common, told once. */
typedef struct hf_party {
	int64_t claim_ms;
	const char *owner;
	hf_process process; /* without pid, start and live */
} hf_party;

/*
 * One who waits; see queue.h. Of `want` there are id, owner, mode, limit, priority,
 * acquired_wall_ms (when it came), under, process (who waits, bound or not), and
 * the clock of an offer; the rest comes with its claim. `group` is its id, or that
 * of the hold of which it wants more.
 */
typedef struct hf_waiter {
	hf_grant want;
	uint32_t party; /* which of the record's, from 1 on; 0: not told yet */
	uint64_t arrival; /* gen at which it came */
	uint64_t passed; /* grants since to such as came later */
	uint64_t missed; /* offers that it, or its host, let lapse in a row: see queue.h */
	int64_t claim_ms; /* it claims an offer within this time */
	uint64_t offer; /* gen that offered it the lock; 0: none */
	int64_t claim_deadline_ms; /* of the offer, on want.clock */
} hf_waiter;

/* Does it hold the lock already, and wait to hold more of it? */
static inline bool hf_waiter_upgrades(const hf_waiter *w)
{
	return w->want.group != w->want.id && strcmp(w->want.group, w->want.id) != 0;
}

typedef enum hf_event_kind {
	HF_EV_NONE = 0,
	HF_EV_ACQUIRE, /* a grant where none conflicts */
	HF_EV_REENTER, /* one more hold in a group */
	HF_EV_RELEASE,
	HF_EV_EXTEND, /* a renewal with another ttl */
	HF_EV_RENEW, /* an amendment: in the record, not in the history */
	HF_EV_UPGRADE, /* shared to exclusive */
	HF_EV_DOWNGRADE, /* exclusive to shared */
	HF_EV_EXPIRE, /* grants ended by time or death, none given */
	HF_EV_STEAL, /* a grant, taking a stale lease */
	HF_EV_FORCE, /* a grant, taking it from whoever had it */
	HF_EV_FORCE_RELEASE,
	HF_EV_BARRIER, /* moved on, so that a late request cannot land (R4) */
	HF_EV_QUEUE, /* an amendment: who waits, nothing else */
	HF_EV_COUNT_
} hf_event_kind;

typedef struct hf_record_event {
	uint64_t gen;
	hf_event_kind kind;
	int64_t wall_ms;
	const char *id;
	const char *owner;
	const char *host;
	int64_t pid;
	uint64_t token;
	hf_mode mode;
	const char *ended; /* as in hf_event */
} hf_record_event;

typedef struct hf_record {
	const char *name;
	uint64_t gen;
	uint64_t counter; /* the last token granted */
	/*
	 * Lock delay: closed until then; without a clock, until it was seen
	 * unchanged for closed_ms. 0: open. closed_gen is the generation that
	 * closed it and tells one closing from the next.
	 */
	int64_t closed_ms;
	int64_t closed_until_ms;
	const char *closed_clock;
	uint64_t closed_gen;
	hf_record_event event;
	uint64_t told_grants; /* of the text: what its lock line says */
	uint64_t told_waiters;
	size_t grant_count;
	hf_grant *grants;
	size_t waiter_count;
	hf_waiter *waiters;
	size_t party_count;
	hf_party *parties;
	/*
	 * Folded: those at the far end, who stand between waiters[far_at - 1] and
	 * waiters[far_at], as lines of text that are borrowed. Each is plain: of
	 * priority 0, never offered anything nor passed. 0: all are in waiters.
	 */
	size_t far_count;
	size_t far_at;
	uint64_t far_from; /* the arrival of their first */
	const char *far;
	size_t far_len;

	/* Memory, kept for the next use. */
	size_t grant_cap;
	size_t waiter_cap;
	size_t party_cap;
	char *text;
	size_t text_cap;
	char *far_text;
	size_t far_text_cap;
} hf_record;

/* How many of the line are at least at hand in a folded record. */
#define HF_RECORD_NEAR 4
#define HF_RECORD_WHOLE SIZE_MAX /* all of them: not folded */

/* An empty record: free, generation 0, all strings "". */
void hf_record_init(hf_record *record);
void hf_record_free(hf_record *record);
/* Back to empty, keeping memory. */
void hf_record_reset(hf_record *record);
void hf_record_exchange(hf_record *a, hf_record *b);

/* Append a zeroed entry with all strings ""; NULL when out of memory. */
hf_grant *hf_record_add_grant(hf_record *record);
hf_waiter *hf_record_add_waiter(hf_record *record);
/* A grant with all strings "". */
hf_grant hf_grant_blank(void);

/*
 * Copy `from` into `to` (reset first). Strings stay borrowed from `from`.
 * False: out of memory.
 */
bool hf_record_copy(hf_record *to, const hf_record *from);

/*
 * Make all strings the record's own, so that it outlives what they were
 * borrowed from; none of them may stand in record->text, and it may not be
 * folded. False: out of memory; they may be used as long as before.
 */
bool hf_record_own(hf_record *record);

/*
 * Read a record's text. `expect_name` (NULL: any) must be the name in it: two
 * names that share a place would otherwise share a lock. If it is folded, at least
 * `near` of the line are read (HF_RECORD_WHOLE: all); the rest is borrowed from
 * `data`. HF_CORRUPT: says what is wrong and where. HF_NO_MEMORY.
 */
hf_status hf_record_decode(hf_record *record, const char *data, size_t len,
	const char *expect_name, size_t near, hf_error *error);
/* Read the far end too. HF_CORRUPT, HF_NO_MEMORY: it is left empty. */
hf_status hf_record_unfold(hf_record *record, hf_error *error);
/*
 * Append the text; a line of more than twice `near` is folded if that can be. Its
 * parties are told anew. A failure shows in buf->failed. `event_line` is what
 * hf_event_encode() wrote of record->event; NULL: encode it here.
 */
void hf_record_encode(hf_record *record, const hf_buf *event_line, size_t near, hf_buf *buf);
/*
 * Read the so manieth at the far end, from 1 on, into `waiter`; its strings are of the
 * record and of `scratch`. False: it cannot be read, or memory is short.
 */
bool hf_record_read_far(
	const hf_record *record, size_t far, hf_buf *scratch, hf_waiter *waiter);
/* How many wait, the far ones too. */
size_t hf_record_waiting(const hf_record *record);

const char *hf_event_kind_name(hf_event_kind kind);
/* The history line of an event (without "event ", without a newline). */
void hf_event_encode(const hf_record_event *event, hf_buf *buf);
/*
 * Read it back. `text` is overwritten: the event's strings point into it.
 * False: not an event line.
 */
bool hf_event_decode(char *text, hf_record_event *event);
/* For people: "acquire deploy, token 5, alice@web1 pid 7". */
void hf_event_describe(const hf_record_event *event, const char *name, hf_buf *buf);

#endif
