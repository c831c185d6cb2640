/*
 * Acquisitions without a thread each: how.
 *
 *	async.c	       the calls of <holdfast/async.h>, and closing
 *	async_table.c  what is pending: by name, by id, by when it is to go on
 *	async_work.c   one acquisition, from one wait to the next
 *	async_run.c    the threads
 *
 * An attempt needs a thread only while the store works; while it waits it is
 * parked: a few KB in a table. A manager has up to ASYNC_WORKERS threads that
 * take what is ready from one list, and one, the poller, that makes ready what
 * was parked: when its time has come, its bell rang (one bell for all of a
 * manager: bell.h), or the process that holds what it wants ended (one pidfd a
 * process). Workers without work watch in the store what the first of the lines
 * wait for, one each, and go round.
 *
 *	GATED ----> READY <---> RUNNING ----> DONE
 *	              ^            |
 *	              +-- PARKED <-+
 *
 * The gate: of thousands that want one lock only ASYNC_GATE stand in its record,
 * which every change of the lock writes anew; the others wait here, behind them.
 * Who is not to wait in a line (another strategy, a single try, one that joins a
 * hold) goes past it, and who has a higher priority than all who are in it.
 *
 * One mutex guards all of this. It is never held during a store operation, and
 * taken before no other. A RUNNING one belongs to its worker, except what is
 * marked (*).
 */
#ifndef HF_ASYNC_INTERNAL_H
#define HF_ASYNC_INTERNAL_H

#include "async.h"
#include "bell.h"

#include <holdfast/async.h>

#define ASYNC_WORKERS 3
#define ASYNC_GATE 16 /* of one name that stand in its line, or try to */
#define ASYNC_GATE_MAX 64 /* with those of higher priority */
#define ASYNC_HERD 16 /* of one name that are told of one change */
#define ASYNC_HOLDERS 64 /* processes whose end is waited for */
#define ASYNC_BUCKETS 4096 /* a power of two: 5,000 are few a bucket */
#define ASYNC_ENDED_MS 50 /* between two looks whether an ended holder's children are */
#define ASYNC_MANY 32 /* that look: from then on some at one time, */
#define ASYNC_TICK_MS 64 /* so often: waking a thread costs as much as a look */
#define ASYNC_LOOK_MS 5 /* all together look by themselves this often */

/* A link of a doubly linked ring, and the ring's head. */
typedef struct async_link {
	struct async_link *next;
	struct async_link *prev;
} async_link;

typedef enum async_state {
	ASYNC_GATED, /* waits to be let to the store */
	ASYNC_READY, /* waits for a worker */
	ASYNC_RUNNING, /* a worker has it */
	ASYNC_PARKED, /* in the store's line, or between two looks */
	ASYNC_DONE
} async_state;

/* All that want one name. */
typedef struct async_place {
	struct async_place *next; /* in its bucket */
	uint64_t hash;
	size_t users;
	size_t admitted_count;
	async_link admitted; /* by `mate`: let through the gate, not done */
	/* Of them, on its way into the line: one at a time, so that they keep order. */
	struct hf_pending *entering;
	async_link gated; /* by `at`: highest priority first, then arrival */
	async_link looking; /* by `mate_looking`: parked, not behind others */
	uint64_t changes; /* that this manager made */
	char name[];
} async_place;

/* A process whose end some wait for. */
typedef struct async_holder {
	struct async_holder *next;
	uint64_t serial; /* never used twice */
	int64_t pid;
	uint64_t start;
	int pidfd;
	size_t users;
} async_holder;

struct hf_pending {
	hf_manager *manager; /* NULL once it is closed */
	unsigned fork_generation;
	const char *name;
	void *arg;
	hf_lost_fn on_lost;
	void *on_lost_arg;
	hf_acquire_options options; /* a copy; texts are in `texts` */
	hf_acquisition acq;

	async_state state;
	bool cancelled; /* (*) nobody wants it any more */
	bool kept; /* (*) cancelled by closing: the handle is its owner's still */
	bool rung; /* (*) to be looked at again, also if it is RUNNING */
	uint64_t seen_changes; /* (*) of its place, when it began to run */
	bool in_gate; /* counts in its place's admitted */
	async_place *place;
	async_link all;
	async_link at; /* of its state: gated, ready, done */
	async_link mate;
	async_link mate_looking;
	async_link look; /* of all that look */
	bool looks;
	struct hf_pending *id_next; /* in its bucket */
	char id[HF_ID_LEN + 1]; /* by which it is found */
	size_t heap_at; /* from 1; 0: it is not in the heap */
	int64_t wake_ms;
	async_holder *holder;

	/* the worker's */
	hf_attempt *attempt; /* NULL: between two */
	hf_drive drive;
	bool told; /* the attempt knows that it is cancelled */

	/* WAITS: on what. */
	bool queued; /* it stands in the store's line, */
	bool in_line; /* and not as the first */
	hf_etag seen; /* the state; len 0: none */
	int64_t blocker_pid; /* whose end would matter; 0: nobody's */
	uint64_t blocker_start;
	hf_status status; /* DONE */
	hf_lease *lease; /* DONE and HF_OK */
	hf_error error;
	char texts[];
};

typedef struct async_worker {
	pthread_t thread;
	struct hf_async *async;
	int nudge; /* eventfd: there is work */
	bool watches;
	bool nudged;
	char watched[HF_NAME_MAX + 1];
} async_worker;

struct hf_async {
	hf_manager *manager;
	pthread_mutex_t mutex;
	pthread_cond_t work; /* for a worker, or stopping */
	pthread_cond_t quiet; /* something is done */
	bool closing; /* nothing new is begun */
	bool stopping; /* the threads end */

	char like[HF_ID_LEN + 1]; /* how all ids begin */
	int done_fd; /* readable while `done` is not empty */
	int epoll;
	int timer;
	int bell; /* -1: none could be had */
	int stop_fd;
	size_t bell_room;
	bool poller_runs;
	pthread_t poller;
	async_worker workers[ASYNC_WORKERS];
	size_t worker_count;
	size_t sleeping; /* workers that wait for `work` */
	int64_t no_watch_until_ms; /* watching has failed */

	async_link all;
	size_t count; /* in all */
	size_t open_count; /* of them not DONE */
	uint64_t finished; /* how many became DONE or were dropped, ever */
	async_link urgent; /* ready, and somebody waits for them to come */
	async_link ready;
	size_t ready_count;
	async_link done;
	async_link lookers;
	size_t looker_count;
	async_holder *holders;
	size_t holder_count;
	uint64_t holder_serial;
	hf_pending **heap; /* by wake_ms, from 1 */
	size_t heap_count;
	size_t heap_cap;
	int64_t armed_ms; /* the timer; INT64_MAX: off */
	async_place *places[ASYNC_BUCKETS];
	hf_pending *ids[ASYNC_BUCKETS];
};

#define ASYNC_OF(link, member) \
	((hf_pending *)(void *)((char *)(link)-offsetof(hf_pending, member)))

static inline void async_ring_init(async_link *head)
{
	head->next = head->prev = head;
}

static inline bool async_ring_empty(const async_link *head)
{
	return head->next == head;
}

/* Before `at`; before a head: as the last. */
static inline void async_link_before(async_link *at, async_link *link)
{
	link->prev = at->prev;
	link->next = at;
	at->prev->next = link;
	at->prev = link;
}

static inline void async_unlink(async_link *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	async_ring_init(link);
}

/* ---- async_table.c; all with the mutex ---- */

/* Room for one more; false: out of memory. Its place is found or made. */
bool hf_async_enter_nolock(struct hf_async *a, hf_pending *p);
/* Out of all tables; the handle is not freed. */
void hf_async_leave_nolock(struct hf_async *a, hf_pending *p);
/* May it go to the store now, or is it put behind the gate? */
bool hf_async_gate_nolock(struct hf_async *a, hf_pending *p);
/* It stands in nobody's way any more: who is next goes to the store. */
void hf_async_pass_gate_nolock(struct hf_async *a, hf_pending *p);
/* It stands in the line, if it ever will: the next may follow. */
void hf_async_entered_nolock(struct hf_async *a, hf_pending *p);
/* Under another id from now on. */
void hf_async_set_id_nolock(struct hf_async *a, hf_pending *p, const char *id);
hf_pending *hf_async_find_id_nolock(struct hf_async *a, const char *id);
async_place *hf_async_find_place_nolock(struct hf_async *a, const char *name);
/* Between two looks, if that is `least_ms` for one alone: see ASYNC_LOOK_MS. */
static inline int64_t hf_async_poll_ms(const struct hf_async *a, int64_t least_ms)
{
	int64_t all_ms = (int64_t)a->looker_count * ASYNC_LOOK_MS;

	if (all_ms > HF_LINE_MS)
		all_ms = HF_LINE_MS;
	return all_ms > least_ms ? all_ms : least_ms;
}
/* In the heap at wake_ms (INT64_MAX: out of it), and the timer set. */
void hf_async_wake_at_nolock(struct hf_async *a, hf_pending *p, int64_t wake_ms);
void hf_async_arm_nolock(struct hf_async *a);
/* From RUNNING to PARKED. */
void hf_async_park_nolock(struct hf_async *a, hf_pending *p);
/* PARKED or GATED no more. */
void hf_async_unpark_nolock(struct hf_async *a, hf_pending *p);

/* ---- async_work.c; without the mutex, by its worker ---- */

typedef enum async_outcome {
	ASYNC_WAITS, /* until wake_ms; it may be cancelled while it does */
	ASYNC_AGAIN, /* at once, under a new id */
	ASYNC_ANSWERED /* p->status */
} async_outcome;

/* `cancel`: nobody wants it any more. turn_ms: between two looks, at least. */
async_outcome hf_async_work(hf_pending *p, bool cancel, int64_t turn_ms);
/* `st` is the answer so far; with HF_OK there is a lease from now on. */
void hf_async_answer(hf_pending *p, hf_status st);
/* The answer is that the manager was closed. */
void hf_async_say_closed(hf_pending *p);
/* Give back what it has got. */
void hf_async_give_back(hf_pending *p);
/* And what it has in memory, after that. */
void hf_async_free(hf_pending *p);

/* ---- async_run.c ---- */

/* The threads that this needs; HF_SYSTEM: not even one of each can be had. */
hf_status hf_async_need_threads_nolock(struct hf_async *a, hf_error *error);
/* To the workers. `urgent`: before what was only started. */
void hf_async_make_ready_nolock(struct hf_async *a, hf_pending *p, bool urgent);
/* It has its answer: its owner is told. */
void hf_async_done_nolock(struct hf_async *a, hf_pending *p);
/* Nobody works any more when this returns. */
void hf_async_end_threads(struct hf_async *a);

#endif
