/*
 * The manager's parts, for each other. The public face is holdfast.h.
 *
 *	manager.c   open, close, and what is known of each name between calls
 *	acquire.c   requests from options; acquire
 *	acquire_many.c  several of them, all or none
 *	tree_name.c names that are paths: what stands above them
 *	held_under.c  what is kept while one waits
 *	async.c	    those that are waited for without a thread each; see async.h
 *	lease.c     a lease in hand: queries, release, extend
 *	convert.c   another mode for it
 *	driver.c    runs an attempt, blocking
 *	bell.c	    wakes those whose turn has come
 *	keeper.c    the thread that renews and tells of loss
 *	register.c  the one wrapper around a store's operations
 *	inspect.c   status, list, history
 *	admin.c     release_by, force_release, cleanup
 *	admit.c     fences
 *	observed.c  observations kept between runs
 *	metrics.c   what is counted
 *
 * Locks: manager.mutex guards the list of leases, the keeper's state, the
 * known states and the liveness file. It is never held during a store
 * operation. A lease's fields marked (keeper) are changed only by whoever has
 * set its `busy`.
 */
#ifndef HF_MANAGER_H
#define HF_MANAGER_H

#include "attempt.h"
#include "base/process.h"
#include "base/url.h"
#include "metrics.h"

#include <pthread.h>
#include <stdatomic.h>

#define HF_KNOWN_NAMES 256 /* a power of two */
#define HF_PATIENCE_MS 2000
#define HF_SETTLE_MS 5000
#define HF_POLL_MS 500
#define HF_LINE_MS 30000 /* the same behind others in the line */
#define HF_CLAIM_MS 2000 /* an offered lock is claimed within this */

struct hf_acquisition;

/*
 * What stands before a store and is asked first: the host's line. It is built of
 * managers and so stands above them, in compose/host_line.h, which says why; here is
 * where it is called from. `acquire` from blocking acquisitions, in place of
 * hf_acquire_in_store().
 */
typedef struct hf_before {
	hf_status (*acquire)(struct hf_acquisition *acq, hf_error *error);
	/* The store has just said that this lease stands. It is busy. */
	void (*renewed)(hf_lease *lease);
	/* This one is over, or no longer exclusive. */
	void (*leave)(hf_lease *lease);
	/* Those that `who` names (NULL: all) have been ended from outside. */
	void (*ended)(hf_manager *m, const char *name, const hf_who *who);
	void (*tidy)(hf_manager *m);
	void (*close)(hf_manager *m);
} hf_before;

/* What this manager last knew of one name. */
struct hf_known {
	char *name;
	hf_snapshot snapshot; /* etag.len 0: none */
	hf_record record; /* the snapshot, decoded, if has_record; else unused */
	bool has_record;
	uint64_t gen; /* the greatest seen: a store that goes back is told */
	uint64_t counter;
};

struct hf_manager {
	const hf_store_ops *ops;
	hf_store *store;
	unsigned capabilities;
	const char *host_clock; /* "" unless host-local */
	hf_log_fn log;
	void *log_arg;
	uint32_t history_limit;
	char *state_dir; /* "": keep nothing */
	char *runtime_dir; /* NULL: the host's */
	unsigned fork_generation;

	pthread_mutex_t mutex;
	pthread_cond_t changed; /* of a lease's `busy` */
	struct hf_known known[HF_KNOWN_NAMES];
	hf_attempt spare; /* its memory, for the next attempt */
	hf_counts_table counts;
	hf_liveness *liveness;
	atomic_bool liveness_tried; /* then `liveness` stays as it is */
	hf_lease *leases;
	bool keeper_runs;
	bool closing;
	int64_t keeper_wake_ms; /* when it will look next; 0: it is awake */
	int keeper_timer; /* valid while keeper_runs */
	int keeper_bell;
	pthread_t keeper;
	/* What is waited for without a thread of its own; NULL: never was. */
	struct hf_async *_Atomic async;

	const hf_before *before; /* NULL: nothing */
	void *before_data;
	hf_manager *line; /* its locks are places in the line; NULL: there is none */
	hf_manager *behind; /* of a line: the store's manager, whose `line` it is */
};

struct hf_lease {
	hf_manager *manager; /* NULL once the manager is closed */
	hf_lease *next;
	bool listed; /* among the manager's leases */
	bool busy; /* somebody works on it, without the mutex */
	bool converting; /* some thread does; under the mutex */
	bool renews; /* the keeper renews it */
	unsigned fork_generation;
	uint64_t thread; /* that acquired it; hf_thread_number() */
	const char *name; /* in texts */
	const char *owner; /* in texts */
	char id[HF_ID_LEN + 1];
	_Atomic hf_mode mode;
	bool bound;
	_Atomic uint64_t token;
	_Atomic int64_t ttl_ms;
	int64_t renew_ms; /* 0: each third of the ttl */
	_Atomic int64_t trust_until_ms; /* INT64_MAX: ttl 0 */
	_Atomic bool lost;
	int lost_fd; /* eventfd; -1: not asked for */
	int session_fd; /* -1: none */
	hf_lost_fn on_lost;
	void *on_lost_arg;
	uint64_t renewals; /* (keeper) */
	int64_t due_ms; /* (keeper) when to renew next */
	hf_attempt *renewal; /* (keeper) under way; NULL: none */
	int64_t granted_ns; /* on hf_boot_ns() */
	hf_counts *counts; /* of its name; NULL: it does not count (yet) */
	/* One of several that are not all had: renewed meanwhile, whatever it is to be. */
	bool gathered;
	/* It has its place in the line, under that id. */
	_Atomic bool in_line;
	char line_id[HF_ID_LEN + 1];
	/* Of a tree name: its intentions on the names above, the root first. */
	hf_lease **above;
	size_t above_count;
	char texts[];
};

/* ---- register.c ---- */

hf_status hf_register_read(
	hf_manager *m, const char *name, hf_snapshot *snapshot, hf_error *error);
hf_status hf_register_swap(hf_manager *m, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *reply, hf_error *error);
/* Until deadline (hf_boot_ms), a change from `seen`, or cancel_fd (-1: none). */
hf_status hf_register_watch(hf_manager *m, const char *name, const hf_etag *seen,
	int64_t deadline_ms, int cancel_fd, hf_error *error);

/* ---- manager.c ---- */

/* As hf_open(), of a URL whose options are all the store's. Nothing stands before it. */
hf_status hf_manager_open(const hf_url *url, const hf_open_options *options,
	hf_manager **manager_out, hf_error *error);
hf_now hf_now_here(void);
void hf_manager_log(hf_manager *m, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* HF_INVALID in a forked child, and for a name that no lock may have. */
hf_status hf_manager_check(hf_manager *m, const char *name, hf_error *error);
/*
 * What a record keeps of a fingerprint: enough to compare it, not to read it
 * (the history is for everybody). Where neighbours read the lock their layout
 * wants it as it is. Out: HF_VERIFIER_MAX bytes.
 */
#define HF_VERIFIER_MAX (HF_NAME_MAX + 1)
void hf_manager_verifier(
	const hf_manager *m, const char *name, const char *fingerprint, char *out);
/* Fill the parts of a setup that come from the manager and its store. */
hf_attempt_setup hf_manager_setup(hf_manager *m, const char *name, hf_ask ask);
/* The state known from before, moved out; and put back after an attempt. */
void hf_manager_recall(hf_manager *m, hf_attempt *attempt);
void hf_manager_remember(hf_manager *m, hf_attempt *attempt);
/* The greatest token that this process knows a fence's key to have seen; 0: none. */
uint64_t hf_manager_known_token(hf_manager *m, const char *key);
void hf_manager_learn_token(hf_manager *m, const char *key, uint64_t token);
/* The liveness file, made on first use. NULL: none can be had (logged once). */
hf_liveness *hf_manager_liveness(hf_manager *m);

/* ---- held_under.c ---- */

/* Of the calling thread; never that of another one of this process. */
uint64_t hf_thread_number(void);
/* What an acquisition with these options stands under, as under.h has it. */
void hf_manager_under(hf_manager *m, const hf_acquire_options *o, hf_buf *out);
/* Is this one of our leases, and lost? */
bool hf_manager_knows_lost(hf_manager *m, const char *id);

/* ---- driver.c ---- */

typedef struct hf_drive {
	int cancel_fd; /* -1: none */
	int session_fd; /* -1: none; else conflicting grants are dead */
	hf_mode session_mode;
	/*
	 * Options of an acquisition, and where to write what it stands under, once it
	 * is known that it must wait; NULL: it stands under nothing more.
	 */
	const hf_acquire_options *options;
	hf_buf *under;
	hf_lease *lease; /* seized by the caller: let go while it waits; NULL: none */
	bool rung; /* the caller hears its bell */
	/* Before each wait, unless it is the caller who waits; NULL: nothing. */
	void (*waits)(void *arg);
	void *waits_arg;
	bool observed; /* by the driver: earlier runs' observations are loaded */
} hf_drive;
#define HF_DRIVE_INIT                                                            \
	{                                                                        \
		-1, -1, HF_EXCLUSIVE, NULL, NULL, NULL, false, NULL, NULL, false \
	}

/* Now, without waiting; false for -1. */
bool hf_fd_readable(int fd);
/*
 * One descriptor, to be closed, that polls readable as soon as one of `fds` that are
 * not -1 does; -1: none could be made.
 */
int hf_fd_any(const int *fds, size_t count);
/*
 * Carry out what the attempt wants, from `now` on, until it is done, or, with
 * `nowait`, until it wants to wait (then HF_STEP_WAIT comes back).
 */
hf_step hf_drive_until(
	hf_manager *m, hf_attempt *attempt, hf_drive *drive, hf_now now, bool nowait);
/* It is done: remember what it saw, tell what is to be told; its answer. */
hf_status hf_drive_end(hf_manager *m, hf_attempt *attempt, hf_error *error);
/*
 * All of it: begin, recall, drive, remember; the answer. The attempt is to be
 * freed by the caller in any case. `drive` may be NULL.
 */
hf_status hf_drive_attempt(hf_manager *m, const hf_attempt_setup *setup, hf_attempt *attempt,
	hf_drive *drive, hf_error *error);
/*
 * WAIT: the process that is in the way, if its end can be waited for; else
 * NULL. Borrowed from the attempt.
 */
const hf_process *hf_drive_holder(hf_manager *m, const hf_attempt *a);
/*
 * A descriptor that tells when a process of this host ends: no need then to look
 * again and again whether it is still there. HF_HOLDER_ENDED if it has ended
 * already: what keeps the grant then is its children.
 */
#define HF_HOLDER_ENDED (-2)
int hf_drive_pidfd(const hf_process *process);

/* ---- acquire.c ---- */

extern const hf_acquire_options hf_acquire_defaults;
/* HF_INVALID: these options are not for this store, or for none. */
hf_status hf_acquire_check(const hf_manager *m, const hf_acquire_options *o, hf_error *error);
/*
 * One of several. `id` (NULL: a new one) is that of its grant. Besides hf_acquire():
 * HF_LOST: with an id given, the store answered so late that it was over. To be
 * settled when all are had, if it is `gathered`.
 */
hf_status hf_acquire_part(hf_manager *manager, const char *name, const hf_acquire_options *o,
	const char *id, bool gathered, hf_lease **lease_out, hf_error *error);

/*
 * One acquisition: the steps that the blocking call and async.h have in common.
 *
 *	begin	checks, and makes the lease
 *	bind	(session-bound stores) asks the medium, until it is not HELD
 *	setup	of an attempt, to be driven until it is done
 *	granted	when it was OK: is it in time to be of use?
 *	end	the keeper gets the lease, or it is freed
 */
typedef struct hf_acquisition {
	hf_lease *lease; /* ours until the end */
	const hf_acquire_options *options; /* borrowed */
	int64_t until_ms; /* INT64_MAX: waits for ever */
	int64_t bind_pause_ms;
	int64_t bind_pause_max_ms; /* may be raised */
	int too_late; /* grants that came when their ttl was over */
	bool one_id; /* it keeps its id: one that came too late is HF_LOST */
	char verifier[HF_VERIFIER_MAX];
	hf_buf under; /* what it stands under, once that is known */
	hf_tally tally; /* what it has met, for the metrics */
	/* As hf_drive.waits, at least so often while it stands in the store's queue. */
	void (*waits)(void *arg);
	void *waits_arg;
	int64_t waits_every_ms;
} hf_acquisition;

/* On any status but HF_OK there is no lease, and nothing to end. */
hf_status hf_acquisition_begin(hf_acquisition *acq, hf_manager *manager, const char *name,
	const hf_acquire_options *options, hf_error *error);
/* HF_HELD with *wake_ms_out: ask again then. With 0 there: it is the answer. */
hf_status hf_acquisition_bind(hf_acquisition *acq, int64_t *wake_ms_out, hf_error *error);
/* The setup borrows from the acquisition. */
void hf_acquisition_setup(hf_acquisition *acq, hf_attempt_setup *setup, hf_drive *drive);
/* What the attempt met, whatever came of it. Before `granted`. */
void hf_acquisition_tell(hf_acquisition *acq, const hf_attempt *attempt);
/* *again_out (then it is HF_LOST): from setup on, under the lease's new id. */
hf_status hf_acquisition_granted(
	hf_acquisition *acq, const hf_attempt *attempt, bool *again_out, hf_error *error);
/* Blocking: setup, drive and granted, until that is an answer. */
hf_status hf_acquire_in_store(hf_acquisition *acq, hf_error *error);
/* With `st`, the answer so far. */
hf_status hf_acquisition_end(
	hf_acquisition *acq, hf_status st, hf_lease **lease_out, hf_error *error);

/* ---- lease.c ---- */

/* False in a forked child: there it is the parent's. */
bool hf_lease_is_ours(const hf_lease *lease);
/* A setup about this very grant. */
hf_attempt_setup hf_lease_setup(hf_lease *lease, hf_ask ask);
/* Trust the lease for its ttl from base_ms on. */
void hf_lease_trust(hf_lease *lease, int64_t base_ms);
/*
 * Just granted, and not yet known to others. If the store took so long that
 * nothing of the ttl may be trusted, renew once. HF_LOST: that was too late
 * too, and nothing of it is left in the store; else as hf_extend().
 */
hf_status hf_lease_confirm(hf_lease *lease, hf_error *error);
/*
 * The count that the next renewal asks for. Never one twice: a late request of
 * an earlier attempt must not be taken for that of a later one, from which
 * trust is measured. The lease is seized.
 */
uint64_t hf_lease_next_renewal(hf_lease *lease);
/* Lost: wake the descriptor, call back. Once. Without the mutex. */
void hf_lease_tell_lost(hf_lease *lease);
/*
 * From now on the caller is told of its loss; at once if that was a moment ago.
 */
void hf_lease_hand_over(hf_lease *lease, hf_lost_fn on_lost, void *on_lost_arg);
void hf_lease_destroy(hf_lease *lease);
/*
 * All are had: from now on it is what `o` says. One that nobody will renew is
 * renewed a last time, so that none ends before the `last` that was had.
 */
hf_status hf_lease_settle(
	hf_lease *lease, const hf_acquire_options *o, bool last, hf_error *error);
/* Its place in the line is given up, if it has one. Once. */
void hf_lease_leave_line(hf_lease *lease);
/* From now on `lease` stands on these; it owns the array and them. */
void hf_lease_stand_on(hf_lease *lease, hf_lease **above, size_t count);
/* Wait until nobody works on it and take it / give it back. */
void hf_lease_seize(hf_lease *lease);
/*
 * Seize it for a change; HF_LOST if its time is over: once it was, it is not to
 * become ours again, even where the store still has the grant.
 */
hf_status hf_lease_seize_valid(hf_lease *lease, const char *op, hf_error *error);
void hf_lease_let_go(hf_lease *lease);

/* ---- keeper.c ---- */

/* A thread that takes no signals: they belong to the program. 0, or errno. */
int hf_thread_start(pthread_t *thread, void *(*fn)(void *), void *arg);
/*
 * From now on the keeper knows the lease, so that closing the manager reaches
 * it; it looks after those that are bound.
 */
hf_status hf_keeper_add(hf_lease *lease, hf_error *error);
/* The lease is to get a ttl: let there be a thread that renews it. */
hf_status hf_keeper_need(hf_lease *lease, hf_error *error);
/* Seize the lease and take it off the keeper's list; it stays seized. */
void hf_keeper_remove(hf_lease *lease);
/*
 * The lease's times have changed, or nobody works on it any more: the keeper
 * may have looked past it in the meantime. Under the mutex.
 */
void hf_keeper_notice_nolock(hf_lease *lease);
/* End the thread; leases are abandoned. */
void hf_keeper_stop(hf_manager *m);

/* ---- observed.c ---- */

/* Merge what earlier runs saw of `name` into the observer. */
void hf_observed_load(hf_manager *m, const char *name, hf_observer *observer);
/* Keep it for later runs. */
void hf_observed_save(hf_manager *m, const char *name, const hf_observer *observer);

#endif
