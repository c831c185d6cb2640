/*
 * The simulator: many clients of a few locks, in one thread, on a clock that
 * moves only when nothing else is left to do.
 *
 * One seed makes one history. From it come the plan (how many clients, what
 * kind of store, which troubles), every delay, every loss and every decision
 * of a client; so the same seed is the same history, byte for byte.
 *
 *	world.c		the queue of events, the clocks, what goes wrong when
 *	store.c		the register, and the network before it
 *	op.c		drives an hf_attempt: what it asks is sent, what comes is told
 *	client.c	what clients do: acquire, hold, renew, die ...
 *	convert.c	and convert
 *	circle.c	who waits while it holds: deadlocks
 *	replay.c	from lines of the history to who holds
 *	check_landing.c	what a swap that landed may have changed
 *	check_client.c	what clients may believe and be told
 *	mutants.c	rules and stores broken on purpose
 *
 * The code under test is src/lock: record, rules, observer, attempt. The
 * simulator believes none of it: what a swap changed is judged from the bytes
 * before and after, and from what really happened (who died when, who trusts
 * its lease now by its own clock).
 *
 * Times are true milliseconds from the start of the history, unless a name
 * says boot (a client's CLOCK_BOOTTIME) or wall.
 */
#ifndef SIM_H
#define SIM_H

#include "lock/attempt.h"
#include "lock/trust.h"

#include <setjmp.h>

enum {
	SIM_CLIENTS = 5,
	SIM_KEYS = 3,
	SIM_LEASES = 4,
	SIM_SLOTS = 2, /* attempts that a client has under way besides renewals */
	SIM_LIVES = 24,
	SIM_GONE = 256,
	SIM_EVENTS_MAX = 60000 /* of one history: more is a wedge */
};

/* What the store can tell the time by, which decides how leases expire. */
typedef enum sim_medium {
	SIM_NO_CLOCK, /* a git remote: observation alone */
	SIM_STORE_CLOCK, /* a server with a clock of its own */
	SIM_HOST_CLOCK /* host-local: one clock for all, deaths are proven */
} sim_medium;

/* What this history is like; drawn from the seed. Rates are per mille. */
typedef struct sim_plan {
	sim_medium medium;
	int clients;
	int keys;
	int64_t run_ms; /* then all trouble stops */
	int64_t act_ms; /* a client does something about this often */
	int64_t delay_ms; /* of a request or reply, at most, when all is well */
	int64_t timeout_ms;
	unsigned lost_request, lost_reply, late, duplicate, refused, torn;
	unsigned death, pause, outage, step, forget;
	unsigned steal, force, shared, intent, lock_delay, endless;
	unsigned queue, priority; /* who waits does so in line */
	unsigned nest; /* who waits keeps what it holds */
	unsigned upgrade; /* who shares wants more, most of all */
	unsigned deaf; /* bells that are not heard */
	bool went_back; /* the store will once restart with an older state */
	bool watch;
	uint32_t limit[SIM_KEYS];
} sim_plan;

typedef struct sim_lease {
	bool held;
	bool releasing; /* given up by its holder, or by who may */
	bool overruled; /* stolen, forced, released by name: no claim any more */
	bool detached;
	unsigned serial;
	int key;
	char id[HF_ID_LEN + 1];
	char group[HF_ID_LEN + 1];
	char owner[16];
	char fingerprint[16];
	hf_mode mode;
	uint64_t token;
	uint64_t renewals; /* asked for, known or not */
	int64_t ttl_ms;
	int64_t base_ms; /* boot, as the attempt said */
	int64_t trust_until_ms; /* boot */
	int renewing; /* op, or -1 */
} sim_lease;

typedef struct sim_client {
	unsigned life; /* the how manieth process in this place */
	bool alive;
	int64_t died_at[SIM_LIVES];
	int64_t paused_until;
	int64_t boot_offset;
	int64_t wall_offset;
	int64_t drift_ppm;
	hf_observer seen[SIM_KEYS];
	uint64_t known_gen[SIM_KEYS];
	uint64_t known_counter[SIM_KEYS];
	uint64_t last_token[SIM_KEYS];
	/* The state that its last attempt left, as managers keep it. */
	hf_snapshot known[SIM_KEYS];
	hf_record known_record[SIM_KEYS];
	bool has_record[SIM_KEYS];
	sim_lease leases[SIM_LEASES];
	int ops[SIM_SLOTS]; /* or -1 */
	bool restart_at_quiet; /* a grant without ttl may haunt the store */
} sim_client;

/* One key of the store. */
typedef struct sim_cell {
	char *data; /* NULL: absent */
	size_t len;
	uint64_t version; /* what the etag is made of */
	char **history;
	size_t history_count;
} sim_cell;

/* One attempt of a client, kept for the whole history. */
typedef struct sim_op {
	int index;
	int client;
	unsigned life;
	int key;
	int64_t started_at;
	hf_attempt_setup setup; /* as asked; its strings are the buffers below */
	char id[HF_ID_LEN + 1];
	char place[HF_ID_LEN + 1]; /* in the line, of an upgrade */
	char group[HF_ID_LEN + 1];
	char owner[16];
	char fingerprint[16];
	char live_path[24];
	int lease; /* that it is about, or -1 */
	unsigned lease_serial;
	hf_attempt *attempt; /* NULL: answered, or its process died */
	bool answered;
	hf_status answer;
	uint32_t message; /* awaited; 0: none */
	uint32_t waiting; /* serial of the wake-up awaited; 0: none */
	bool detached;
	bool granted; /* truth: a swap of it that grants has landed */
	int64_t granted_by; /* when that swap had been sent */
	uint64_t granted_token;
	uint64_t granted_above; /* the last token its client had when it asked */
	bool converted; /* truth: a swap of it that converts has landed */
	bool released; /* truth: a swap of it that releases has landed */
	bool saw_regress;
	/* Leases that its client will not give back before it is answered. */
	size_t under_count;
	int under_lease[SIM_LEASES];
	unsigned under_serial[SIM_LEASES];
	char under_id[SIM_LEASES][HF_ID_LEN + 1]; /* the groups */
	int under_key[SIM_LEASES];
	hf_buf under;
	unsigned looking; /* serial of the look under way; 0: none */
	sim_cell look[SIM_KEYS]; /* as it began */
	bool circle_true; /* truth, when its last request landed */
} sim_op;

typedef struct sim_message {
	bool swap;
	int op;
	int64_t sent_at;
	int64_t from; /* the moment that the deadline in it counts from */
	uint64_t last_token; /* that its client had been given */
	bool settled; /* the client has been told something */
	hf_etag expected;
	char *data;
	size_t len;
	char *line; /* NULL: an amendment */
	bool landed;
	hf_status status;
	hf_snapshot answer;
} sim_message;

typedef struct sim_store {
	sim_cell cells[SIM_KEYS];
	uint64_t last_version;
	uint64_t floor;
	int64_t clock_offset;
	int64_t down_until;
	bool has_backup;
	sim_cell backup[SIM_KEYS];
	uint64_t backup_floor;
	sim_cell before[SIM_KEYS]; /* the state before the present one */
} sim_store;

/* What is true of one grant besides what the record says. */
typedef struct sim_fact {
	char id[HF_ID_LEN + 1];
	uint64_t token;
	hf_mode mode;
	int64_t came_at;
	int64_t asked_at; /* the moment that its deadline counts from */
} sim_fact;

typedef struct sim_facts {
	size_t count;
	sim_fact items[64];
} sim_facts;

/* What is true of one key; kept by the checks. */
typedef struct sim_truth {
	hf_record record; /* the cell, decoded */
	hf_record next; /* what is landing */
	sim_facts facts; /* of the grants in the record */
	sim_facts replay; /* rebuilt from event lines alone */
	uint64_t greatest_token;
	uint64_t greatest_gen;
	int64_t closed_until; /* lock delay: no new group before */
	bool taken; /* it is not free */
	int64_t taken_until; /* when it was last not free */
	bool went_back; /* what rests on the store's memory is not claimed */
	int64_t went_back_at;
	uint64_t written_token; /* the fenced resource */
	char written_group[HF_ID_LEN + 1];
	size_t overruled_count;
	char overruled[SIM_GONE][HF_ID_LEN + 1];
} sim_truth;

typedef enum sim_event_kind {
	SIM_EV_LAND,
	SIM_EV_WRITE, /* the second half of a landing, of a store with a gap */
	SIM_EV_REPLY,
	SIM_EV_TIMEOUT,
	SIM_EV_WAKE,
	SIM_EV_LOOKED,
	SIM_EV_ACT,
	SIM_EV_RENEW,
	SIM_EV_LEAVE,
	SIM_EV_TROUBLE,
	SIM_EV_QUIET
} sim_event_kind;

typedef struct sim_event {
	int64_t at;
	uint64_t order;
	sim_event_kind kind;
	int a;
	unsigned b;
	unsigned c;
} sim_event;

struct sim_mutant;

typedef struct sim {
	uint64_t seed;
	hf_rng rng;
	bool verbose;
	const struct sim_mutant *mutant;
	sim_plan plan;
	int64_t now;
	bool quiet; /* no new trouble, no new wishes */
	sim_event *queue;
	size_t queue_count;
	size_t queue_cap;
	size_t events;
	sim_client clients[SIM_CLIENTS];
	sim_store store;
	sim_truth truth[SIM_KEYS];
	sim_op **ops;
	size_t op_count;
	size_t op_cap;
	sim_message *messages; /* 1-based */
	size_t message_count;
	size_t message_cap;
	unsigned serial;
	/* Over all histories: what was met at all. */
	size_t answers[HF_STATUS_COUNT_];
	size_t landed[HF_EV_COUNT_];
	size_t forgotten;
	size_t restarts;
	size_t regressions;
	size_t circles;
	size_t upgrades_from_line;
	size_t upgrade_victims;
	int looker; /* op whose circle is being judged */
	bool restored;
	char failure[512]; /* "": none */
	jmp_buf stop;
} sim;

extern sim *sim_current; /* the one that runs, for what has no argument */

/* ---- world.c ---- */

/* Run the history of `seed`. True: every promise was kept. */
bool sim_run(sim *s, uint64_t seed);
void sim_init(sim *s);
void sim_free(sim *s);
void sim_schedule(sim *s, int64_t at, sim_event_kind kind, int a, unsigned b, unsigned c);
_Noreturn void sim_fail(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool sim_chance(sim *s, unsigned per_mille);
int64_t sim_between(sim *s, int64_t least, int64_t most);
int64_t sim_boot_ms(const sim *s, int client);
int64_t sim_wall_ms(const sim *s, int client);
/* The first true time at which that client's boot clock says so. */
int64_t sim_true_ms(const sim *s, int client, int64_t boot_ms);
extern const char *const sim_key_names[SIM_KEYS];

/* ---- store.c ---- */

void sim_store_init(sim *s);
void sim_store_free(sim *s);
/* Send what the op's attempt wants; the answer comes as an event. */
void sim_send(sim *s, sim_op *op, bool swap);
void sim_land(sim *s, uint32_t message);
void sim_write(sim *s, uint32_t message);
void sim_forget(sim *s, int key);
void sim_backup(sim *s);
void sim_restore(sim *s);

/* ---- op.c ---- */

sim_op *sim_op_new(sim *s, int client, int key);
void sim_op_begin(sim *s, sim_op *op);
void sim_op_reply(sim *s, uint32_t message);
void sim_op_timeout(sim *s, uint32_t message);
void sim_op_looked(sim *s, sim_op *op, unsigned serial);
void sim_op_wake(sim *s, sim_op *op, uint32_t serial);
void sim_op_cancel(sim *s, sim_op *op);
void sim_op_drop(sim *s, sim_op *op);
void sim_client_forget(sim_client *c);
/* Someone changed the key: a store with a watch tells some who wait. */
void sim_op_ring(sim *s, int key);

/* ---- client.c ---- */

void sim_client_start(sim *s, int client);
void sim_client_act(sim *s, int client);
void sim_client_renew(sim *s, int client, unsigned lease, unsigned serial);
void sim_client_leave(sim *s, int client, unsigned lease, unsigned serial);
void sim_client_answered(sim *s, sim_op *op);
void sim_client_die(sim *s, int client);
void sim_client_quiet(sim *s, int client);
bool sim_client_idle(const sim *s, int client);
void sim_new_id(sim *s, char id[HF_ID_LEN + 1]);
/* The lease that an op is about, if the client still has it. */
sim_lease *sim_lease_of(sim *s, const sim_op *op);
sim_op *sim_op_about(sim *s, int client, sim_lease *lease, hf_ask ask);

/* ---- convert.c ---- */

void sim_client_convert(sim *s, int client, int *slot, sim_lease *lease);
void sim_client_converted(sim *s, sim_op *op);

/* ---- circle.c ---- */

/* It may be asked for while all that its client holds is kept. */
void sim_circle_draw_under(sim *s, int client, sim_op *op);
/* This lease is kept until it is answered; `told` others of it. */
void sim_circle_stand_under(sim *s, sim_op *op, int lease, bool told);
/* Under which it stands in a line. */
const char *sim_op_place(const sim_op *op);
/* Is this lease kept for what its client waits for? */
bool sim_circle_binds(const sim *s, int client, const sim_lease *lease);
void sim_circle_look(sim *s, sim_op *op);
/* False: nobody waits for this look any more. */
bool sim_circle_looked(sim *s, sim_op *op, unsigned serial, hf_now now);
bool sim_circle_is_true(sim *s, const sim_op *op);
void sim_circle_forget(sim_op *op);

/* ---- replay.c ---- */

sim_fact *sim_fact_of(sim_facts *facts, const char *id);
void sim_fact_remove(sim_facts *facts, const char *id);
sim_fact *sim_fact_add(sim *s, sim_facts *facts, const char *id);
/* Apply one line of the history. */
void sim_replay(sim *s, sim_facts *facts, const char *line);
/* The replayed holders are those of the record. */
void sim_compare_replay(sim *s, const sim_facts *facts, const hf_record *record);
/* The why of "why:id,why:id" for this id, or NULL. */
const char *sim_why_ended(const char *ended, const char *id, char why[16]);

/* ---- check_landing.c ---- */

void sim_check_landing(sim *s, const sim_message *m);
void sim_check_forgotten(sim *s, int key);
void sim_check_restored(sim *s, int key);

/* ---- check_client.c ---- */

/* Which modes go together: our own table, as src/lock is what is tested. */
extern const bool sim_together[4][4];
/* Is that a hold of something below the lock alone? */
bool sim_is_intent(hf_mode mode);
bool sim_trusts(const sim *s, int client, const sim_lease *lease);
/* What clients believe now, against what the store says. */
void sim_check_trust(sim *s);
void sim_check_answer(sim *s, sim_op *op);
/* A holder uses what the lock protects. */
void sim_check_use(sim *s, int client, const sim_lease *lease);
void sim_check_history(sim *s, int key);
/* Was what this op was granted taken away before it knew? */
bool sim_overruled(const sim *s, const sim_op *op);
const hf_grant *sim_find_grant(const hf_record *record, const char *id);

/* ---- mutants.c ---- */

/* Bits of sim_mutant.defects. */
enum {
	SIM_UNKNOWN_AS_FAILED = 1 << 0,
	SIM_SWAP_WITH_GAP = 1 << 1,
	SIM_ETAG_OF_CONTENT = 1 << 2,
	SIM_FLOOR_NOT_KEPT = 1 << 3,
	SIM_ABSENT_IS_ABSENT = 1 << 4,
	SIM_DUPLICATES_LAND = 1 << 5,
	SIM_STALE_READS = 1 << 6,
	SIM_TRUST_FROM_REPLY = 1 << 7,
	SIM_PAUSED_IS_DEAD = 1 << 8,
	SIM_NO_BARRIER = 1 << 9,
	SIM_SILENT_REGRESS = 1 << 10,
	SIM_ETAG_WITHOUT_STATE = 1 << 11,
	SIM_CIRCLE_ONCE = 1 << 12,
	SIM_CIRCLE_UNSEEN = 1 << 13,
	SIM_ALL_ARE_VICTIMS = 1 << 14,
	SIM_UPGRADES_KEEP_NOTHING = 1 << 15
};

typedef struct sim_mutant {
	const char *name;
	const char *what;
	unsigned defects;
	hf_verdict (*rules)(const hf_record *prev, const hf_request *request,
		const hf_evidence *evidence, hf_record *next, hf_buf *scratch);
	hf_status (*decode)(const char *name, const hf_snapshot *snapshot, size_t near,
		hf_record *record, hf_error *error);
} sim_mutant;

const sim_mutant *sim_mutant_named(const char *name);
void sim_mutants_list(void);
static inline bool sim_defect(const sim *s, unsigned defect)
{
	return s->mutant && (s->mutant->defects & defect);
}

#endif
