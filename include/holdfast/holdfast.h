/*
 * holdfast: locks you can trust, on the store you already have.
 *
 * This header is the manual of the library. A program needs four calls:
 *
 *	hf_manager *m;
 *	hf_lease *lease;
 *
 *	if (hf_open("git:.", NULL, &m, NULL))        // 1. say where locks live
 *		...
 *	if (hf_acquire(m, "deploy", NULL, &lease, NULL) == HF_OK) {    // 2.
 *		use(hf_lease_token(lease));           // give it to what you guard
 *		hf_release(lease, NULL);              // 3. ends and frees it
 *	}
 *	hf_close(m);                                  // 4.
 *
 * What a lease means. A grant lasts ttl_ms and is renewed by a thread of the
 * manager every third of that. It is yours until hf_lease_remaining_ms() is
 * 0: that moment comes *before* the store would give the lock to another, so
 * whoever stops by then is never inside together with the next holder. A
 * program that may be paused (a laptop's lid, SIGSTOP, a slow disk) cannot
 * promise to stop in time; for that each grant carries a fencing token,
 * greater than every earlier one of that name: let the guarded thing refuse
 * smaller ones.
 *
 * Errors. Every call that can fail returns an hf_status, HF_OK being 0, and
 * fills the caller's hf_error when given one (NULL is allowed everywhere).
 * HF_HELD and HF_TIMED_OUT are answers, not errors. HF_UNKNOWN is said when a
 * request may or may not have reached the store: it is never reported as a
 * plain failure.
 *
 * Threads. A manager may be used by any number of threads. A lease may be
 * queried by any thread; hf_release() must be its last use.
 *
 * Fork. The child of a fork owns none of its parent's leases: there
 * hf_lease_remaining_ms() is 0 and hf_release() only frees memory. The child
 * must not use the parent's managers otherwise; it opens its own.
 *
 * Ownership. Parameters that end in _out are set only on the statuses their
 * function names (and to NULL otherwise). Strings returned as const char * are
 * borrowed from the object they came from. *_free() and hf_close() take NULL.
 *
 * Units stand last in a name: _ms is milliseconds.
 */
#ifndef HOLDFAST_HOLDFAST_H
#define HOLDFAST_HOLDFAST_H

#include <stddef.h>
#include <stdint.h>

#define HF_VERSION "0.1.0"

#if defined(__GNUC__)
#define HF_API __attribute__((visibility("default")))
#define HF_MUST_CHECK __attribute__((warn_unused_result))
#else
#define HF_API
#define HF_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- outcomes ---------------------------------------------------------- */

/*
 * What became of a call. Values are stable; new ones are only added at the
 * end. The command's exit code for each is hf_status_exit_code().
 */
typedef enum hf_status {
	HF_OK = 0,
	HF_HELD, /* another holds it, and we were asked not to wait */
	HF_TIMED_OUT, /* another held it for the whole time we might wait */
	HF_DEADLOCK, /* waiting would never end: we are the cycle's victim */
	HF_LOST, /* the lease ended without our releasing it */
	HF_NOT_OWNER, /* the lock is not ours to release, renew or change */
	HF_UNKNOWN, /* the request may have landed; nobody can say yet */
	HF_UNAVAILABLE, /* the store could not be reached */
	HF_CORRUPT, /* the record is damaged, foreign or of a newer format */
	HF_FENCED, /* a greater token has been seen */
	HF_INVALID, /* a bad name, URL, option or use */
	HF_NO_MEMORY,
	HF_SYSTEM, /* the operating system refused; hf_error.native says */
	HF_CANNOT_CREATE, /* the store's folder or file cannot be made */
	HF_CHANGED, /* stores only: the state is not the one expected */
	HF_STATUS_COUNT_
} hf_status;

/*
 * Why a call failed, in the caller's memory. Filled only when the call does
 * not return HF_OK. `text` is one sentence in English that says what was
 * tried, on what, why it failed and what to do; it never holds a secret.
 */
typedef struct hf_error {
	hf_status kind;
	int native; /* errno or the client library's code; 0: none */
	char op[24]; /* the operation: "acquire", "open", ... */
	char store[96]; /* the store's identity, without secrets, or "" */
	char text[384];
} hf_error;

/* The status's stable name: "held", "timed out", ... Never NULL. */
HF_API const char *hf_status_name(hf_status status);

/*
 * The exit code of the command for a status: 0 ok, 1 held or timed out, 64
 * invalid, 65 corrupt, 69 unavailable or unknown, 71 system or memory, 73
 * cannot create, 77 not owner, 80 lost, 81 deadlock, 82 fenced.
 */
HF_API int hf_status_exit_code(hf_status status);

/* The library's version, as HF_VERSION was when it was built. */
HF_API const char *hf_version(void);

/* ---- a manager: locks in one store -------------------------------------- */

typedef struct hf_manager hf_manager;
typedef struct hf_lease hf_lease;

/* Called with one line of text without a newline; from any thread. */
typedef void (*hf_log_fn)(void *arg, const char *line);

typedef struct hf_open_options {
	size_t size; /* sizeof(hf_open_options); set by the _INIT */
	const char *module_dir; /* where store modules are; NULL: built-in */
	const char *state_dir; /* observations of one-shot contenders; NULL:
				 * $XDG_STATE_HOME/holdfast; "": keep none */
	const char *runtime_dir; /* liveness files; NULL: the host's (docs) */
	hf_log_fn log; /* warnings, e.g. a store that went back; NULL */
	void *log_arg;
	/* Events that each lock's history keeps at least; 0: all; default 1000. */
	uint32_t history_limit;
} hf_open_options;

#define HF_OPEN_OPTIONS_INIT                                                \
	{                                                                   \
		sizeof(hf_open_options), NULL, NULL, NULL, NULL, NULL, 1000 \
	}

/*
 * Open the store that `url` names (holdfast(7) lists them): "memory:",
 * "file:DIR", "git:PATH", ... with options as "?key=value&key=value".
 *
 * Options may be NULL. On HF_OK *manager_out is a manager that the caller
 * closes with hf_close(). Each "memory:" is a space of its own;
 * "memory:NAME" is shared by the managers of one process that name it.
 *
 * Errors: HF_INVALID (URL, unknown store or option, module missing),
 * HF_CANNOT_CREATE, HF_UNAVAILABLE, HF_SYSTEM, HF_NO_MEMORY.
 */
HF_API HF_MUST_CHECK hf_status hf_open(const char *url, const hf_open_options *options,
	hf_manager **manager_out, hf_error *error);

/*
 * Close a manager. Leases not yet released are abandoned, not released: their
 * handles may still be passed to hf_release(), which then only frees them;
 * in the store they end by ttl or with this process.
 */
HF_API void hf_close(hf_manager *manager);

/*
 * The store's canonical identity: the same text for every path or alias that
 * reaches the same locks. Without secrets. Borrowed from the manager.
 */
HF_API const char *hf_store_identity(const hf_manager *manager);

/* What a store can do (hf_store_capabilities()); see holdfast/store.h. */
enum {
	HF_CAP_CLOCK = 1 << 0, /* has a clock that decides expiry */
	HF_CAP_WATCH = 1 << 1, /* wakes waiters itself */
	HF_CAP_HISTORY = 1 << 2, /* keeps each lock's events */
	HF_CAP_FORGET = 1 << 3, /* can drop locks long free */
	HF_CAP_HOST_LOCAL = 1 << 4, /* all its users share this kernel */
	HF_CAP_SESSION_BOUND = 1 << 5, /* a hold dies with a descriptor */
	HF_CAP_AMEND = 1 << 6, /* renews without growing history */
	HF_CAP_NEIGHBOURS = 1 << 7 /* other programs read its locks */
};
HF_API unsigned hf_store_capabilities(const hf_manager *manager);

/* ---- acquire -------------------------------------------------------------- */

typedef enum hf_mode { HF_EXCLUSIVE = 0, HF_SHARED = 1 } hf_mode;

typedef enum hf_strategy {
	HF_QUEUE = 0, /* wait in line, by priority, then arrival; until wait_ms */
	HF_RETRY, /* max_retries tries, exponential backoff, full jitter */
	HF_FAIL_FAST, /* one try */
	HF_STEAL_STALE, /* as HF_QUEUE, and take a lease that was not renewed
			  * for stale_after_ms */
	HF_FORCE_ACQUIRE /* take it from whoever has it */
} hf_strategy;

/* Bits of hf_acquire_options.flags. */
enum {
	/*
	 * The lease is not bound to this process: it outlives it, and ends
	 * by release or ttl alone. The keeper does not renew it.
	 */
	HF_DETACHED = 1 << 0,
	/* The keeper does not renew it; hf_extend() does. */
	HF_NO_RENEW = 1 << 1
};

/*
 * Called once, from a thread of the manager (or inside hf_extend() and
 * hf_convert(), which find it out), when a lease is lost. It may query the
 * lease, not release it: that is for the thread that acquired it.
 */
typedef void (*hf_lost_fn)(hf_lease *lease, void *arg);

typedef struct hf_acquire_options {
	size_t size; /* sizeof(hf_acquire_options); set by the _INIT */
	hf_mode mode;
	hf_strategy strategy;
	/*
	 * How many may share it at once (HF_SHARED only): 0 any number, else 1
	 * to 1000000. The first holder's limit counts while anyone is in; a
	 * different one is refused with HF_INVALID.
	 */
	uint32_t limit;
	uint32_t flags;
	/*
	 * 0: until released, or until the process is proven dead (host-local
	 * stores only). Otherwise 100 to 31 536 000 000 (a year).
	 */
	int64_t ttl_ms;
	int64_t wait_ms; /* -1: for ever; 0: one try; else up to this long */
	/*
	 * How long the lock stays closed after this lease, if it ends in any
	 * way but a release or by force. 0 to 86 400 000.
	 */
	int64_t lock_delay_ms;
	uint32_t max_retries; /* HF_RETRY: tries after the first */
	int64_t backoff_min_ms; /* HF_RETRY: cap of the first pause; >= 1 */
	int64_t backoff_max_ms; /* HF_RETRY: cap of any pause; >= min */
	/*
	 * HF_STEAL_STALE: how long without renewal makes a lease stale. It
	 * must exceed the holder's renewal interval (ttl/3); at least 1.
	 */
	int64_t stale_after_ms;
	int32_t priority; /* higher is served first; default 0 */
	const char *owner; /* shown to others; NULL: user@host; <= 200 bytes */
	/*
	 * Secret to release by from elsewhere, instead of the id. NULL: none.
	 * Up to 200 bytes. The record keeps only a SHA-256 of it and the
	 * name, except in the layouts of other programs, which keep it as it
	 * is (HF_CAP_NEIGHBOURS).
	 */
	const char *fingerprint;
	const char *info; /* a JSON object for people; NULL: none; <= 4096 */
	const char *reenter; /* id of a held grant to join; NULL: none */
	hf_lost_fn on_lost; /* NULL: none */
	void *on_lost_arg;
	/*
	 * A descriptor that polls readable when waiting is to be given up:
	 * hf_acquire() then returns HF_TIMED_OUT, leaving nothing behind. -1:
	 * none.
	 */
	int cancel_fd;
} hf_acquire_options;

#define HF_ACQUIRE_OPTIONS_INIT                                                            \
	{                                                                                  \
		sizeof(hf_acquire_options), HF_EXCLUSIVE, HF_QUEUE, 0, 0, 30000, -1, 0, 5, \
			100, 5000, 300000, 0, NULL, NULL, NULL, NULL, NULL, NULL, -1       \
	}

/*
 * Acquire lock `name` (1 to 200 bytes of UTF-8 without control characters).
 * Options may be NULL for the defaults of the _INIT. Blocks up to wait_ms,
 * plus the time one store operation may take.
 *
 * HF_OK: *lease_out is a lease to end with hf_release(). Otherwise NULL:
 * HF_HELD, HF_TIMED_OUT, HF_DEADLOCK, HF_UNAVAILABLE, HF_CORRUPT, HF_INVALID,
 * HF_NO_MEMORY, HF_SYSTEM, HF_CANNOT_CREATE, and HF_UNKNOWN: the store may
 * yet show a grant with this process as its holder; it ends by its ttl.
 *
 * Rests on R1 (one of the contenders wins), R4 (unknown is found out).
 */
HF_API HF_MUST_CHECK hf_status hf_acquire(hf_manager *manager, const char *name,
	const hf_acquire_options *options, hf_lease **lease_out, hf_error *error);

/* hf_acquire() with wait_ms = 0 and HF_FAIL_FAST, whatever `options` say. */
HF_API HF_MUST_CHECK hf_status hf_try_acquire(hf_manager *manager, const char *name,
	const hf_acquire_options *options, hf_lease **lease_out, hf_error *error);

/* ---- a lease ---------------------------------------------------------------- */

/*
 * Release and free a lease. NULL is HF_OK.
 *
 * HF_OK: the lock is free of it. HF_LOST: it had ended before. HF_UNKNOWN,
 * HF_UNAVAILABLE: it could not be said or done; the lease ends by its ttl.
 * The handle is freed in every case.
 */
HF_API hf_status hf_release(hf_lease *lease, hf_error *error);

/*
 * Free the handle without releasing: the lease stays in the store until its
 * ttl, or until hf_release_by() names its id. For HF_DETACHED leases.
 */
HF_API void hf_lease_detach(hf_lease *lease);

/*
 * Renew now, and let it last `ttl_ms` from now on (0: keep the ttl it has).
 * Errors: HF_LOST, HF_UNKNOWN, HF_UNAVAILABLE, HF_INVALID.
 */
HF_API HF_MUST_CHECK hf_status hf_extend(hf_lease *lease, int64_t ttl_ms, hf_error *error);

/*
 * Change the mode of a held lease. Downgrading always succeeds. Upgrading
 * succeeds when no other holds it; HF_HELD otherwise (the lease stays shared).
 * Errors besides: HF_LOST, HF_UNKNOWN, HF_UNAVAILABLE.
 */
HF_API HF_MUST_CHECK hf_status hf_convert(hf_lease *lease, hf_mode mode, hf_error *error);

/*
 * How long the lease is certainly still ours, in ms: 0 when lost, expired, or
 * in a forked child; INT64_MAX with ttl 0. Reads a clock, no store. This is
 * measured on CLOCK_BOOTTIME from before the last renewal was asked for.
 */
HF_API int64_t hf_lease_remaining_ms(const hf_lease *lease);

/* 1 while hf_lease_remaining_ms() > 0, else 0. */
HF_API int hf_lease_valid(const hf_lease *lease);

/* The fencing token: greater than every earlier one of this name (>= 1). */
HF_API uint64_t hf_lease_token(const hf_lease *lease);

/* The grant's id, 32 hex digits; what hf_release_by() takes. */
HF_API const char *hf_lease_id(const hf_lease *lease);
HF_API const char *hf_lease_name(const hf_lease *lease);
HF_API hf_mode hf_lease_mode(const hf_lease *lease);

/*
 * A descriptor that polls readable once the lease is lost. It belongs to the
 * lease: do not read or close it. -1 if none could be made.
 */
HF_API int hf_lease_fd(hf_lease *lease);

/*
 * The descriptor that keeps the grant alive on this host, or -1 (detached, or
 * no runtime folder): its lock proves this process alive to contenders; on a
 * session-bound store it is the session itself. A child that inherits it keeps
 * the grant alive as long as the child lives. Borrowed, close-on-exec; it
 * belongs to the manager or the lease.
 */
HF_API int hf_lease_liveness_fd(const hf_lease *lease);

/* ---- looking and tidying -------------------------------------------------- */

/* One holder. Strings are "" when not known. Times: -1 when not known. */
typedef struct hf_holder {
	const char *id;
	const char *owner;
	const char *host;
	const char *info; /* JSON, or "" */
	const char *command;
	int64_t pid; /* 0: not known */
	hf_mode mode;
	uint32_t limit;
	uint64_t token;
	int64_t ttl_ms;
	int64_t acquired_wall_ms; /* wall time at the holder: for people */
	int64_t remaining_ms; /* until it may expire; -1: not known */
	int64_t renewals;
	int32_t priority;
	int foreign; /* put there by another program (R5) */
	int bound; /* bound to its process */
	int dead; /* its process is proven dead */
} hf_holder;

/* One lock as it stands. Owned by whoever hands it out. */
typedef struct hf_lock_info {
	const char *name;
	uint64_t token; /* the last one granted; 0: none yet */
	uint64_t generation; /* changes of the record so far */
	int64_t closed_ms; /* lock delay still to run; 0: none */
	size_t holder_count;
	const hf_holder *holders;
	size_t waiter_count;
	const hf_holder *waiters;
	/*
	 * HF_OK, or HF_CORRUPT: the record cannot be read and nothing above
	 * but the name is meaningful; `problem` says why.
	 */
	hf_status state;
	const char *problem;
} hf_lock_info;

/*
 * Read one lock. A name never used is free, not an error.
 * On HF_OK *info_out is to be freed with hf_lock_info_free().
 * Errors: HF_INVALID, HF_UNAVAILABLE, HF_SYSTEM, HF_NO_MEMORY.
 */
HF_API HF_MUST_CHECK hf_status hf_lock_status(
	hf_manager *manager, const char *name, hf_lock_info **info_out, hf_error *error);
HF_API void hf_lock_info_free(hf_lock_info *info);

/* Return non-zero to stop. `info` is valid during the call only. */
typedef int (*hf_list_fn)(void *arg, const hf_lock_info *info);

/*
 * Call `fn` for every lock the store knows, free ones too, in no order.
 * Errors as hf_lock_status().
 */
HF_API HF_MUST_CHECK hf_status hf_list(
	hf_manager *manager, hf_list_fn fn, void *arg, hf_error *error);

/*
 * Wait until `name` differs from generation `seen`, up to wait_ms (-1: for
 * ever). HF_OK: it may have changed (early wake-ups are allowed, R7).
 * HF_TIMED_OUT otherwise. Errors as hf_lock_status().
 */
HF_API HF_MUST_CHECK hf_status hf_watch(
	hf_manager *manager, const char *name, uint64_t seen, int64_t wait_ms, hf_error *error);

/* One event of a lock's history. Borrowed during the callback. */
typedef struct hf_event {
	uint64_t generation; /* the change that it is */
	int64_t wall_ms; /* wall time where it was done: for people */
	const char *kind; /* "acquire", "release", "expire", ... docs */
	const char *id; /* the grant it is about */
	const char *owner;
	const char *host;
	int64_t pid;
	uint64_t token;
	hf_mode mode;
	/*
	 * Grants that this change ended besides, comma-separated as
	 * "why:id" with why of expired, dead, stale, forced.
	 */
	const char *ended;
} hf_event;

typedef int (*hf_history_fn)(void *arg, const hf_event *event);

/*
 * Call `fn` for the newest `limit` events (0: all kept), newest first.
 * Errors: HF_INVALID (also: the store keeps no history), HF_UNAVAILABLE,
 * HF_CORRUPT, HF_SYSTEM, HF_NO_MEMORY.
 */
HF_API HF_MUST_CHECK hf_status hf_history(hf_manager *manager, const char *name, size_t limit,
	hf_history_fn fn, void *arg, hf_error *error);

/* Keep only the newest `keep` events (>= 1) of `name`. */
HF_API HF_MUST_CHECK hf_status hf_history_prune(
	hf_manager *manager, const char *name, size_t keep, hf_error *error);

/* How to name a grant that is not in a handle. Exactly one is not NULL. */
typedef struct hf_who {
	const char *id;
	const char *fingerprint;
	const char *owner;
} hf_who;

/*
 * Release the grants of `name` that `who` names, from anywhere.
 * HF_NOT_OWNER: none of them is its ("lock is owned by X, not Y").
 */
HF_API HF_MUST_CHECK hf_status hf_release_by(
	hf_manager *manager, const char *name, const hf_who *who, hf_error *error);

/*
 * Renew the grants of `name` that `who` names, to last ttl_ms from now
 * (0: their own ttl). *token_out (may be NULL) gets the grant's token.
 */
HF_API HF_MUST_CHECK hf_status hf_extend_by(hf_manager *manager, const char *name,
	const hf_who *who, int64_t ttl_ms, uint64_t *token_out, hf_error *error);

/*
 * End every grant of `name`, whoever holds it. The event in the history names
 * `by` (NULL: user@host) and who was robbed. *ended_out (may be NULL) gets how
 * many. This suspends exclusivity: only tokens protect then. Also replaces a
 * damaged record if `even_corrupt`.
 */
HF_API HF_MUST_CHECK hf_status hf_force_release(hf_manager *manager, const char *name,
	const char *by, int even_corrupt, size_t *ended_out, hf_error *error);

typedef struct hf_cleanup_report {
	size_t locks; /* looked at */
	size_t ended; /* grants that were expired or proven dead */
	size_t forgotten; /* locks long free that were dropped */
	size_t residue; /* left-overs of killed processes removed */
	size_t damaged; /* records that could not be read: left alone */
} hf_cleanup_report;

/*
 * End what is expired or proven dead, remove left-overs of killed processes,
 * and forget locks free for at least forget_after_ms (-1: forget none).
 * *report_out may be NULL.
 */
HF_API HF_MUST_CHECK hf_status hf_cleanup(hf_manager *manager, int64_t forget_after_ms,
	hf_cleanup_report *report_out, hf_error *error);

/* ---- metrics ---------------------------------------------------------------- */

/* How often it took how long. */
#define HF_HISTOGRAM_BUCKETS 24
typedef struct hf_histogram {
	uint64_t count;
	uint64_t total_us; /* total_us / count is the average */
	/* [i]: longer than bound i - 1, at most hf_histogram_bound_us(i). */
	uint64_t buckets[HF_HISTOGRAM_BUCKETS];
} hf_histogram;

/*
 * The upper bound of a bucket in microseconds, from 1 to 86 400 000 000 (a
 * day); UINT64_MAX for the last one, and beyond. The bounds never change.
 */
HF_API uint64_t hf_histogram_bound_us(size_t bucket);

/*
 * What a manager has done, since it was opened or since the counts were last
 * taken. Refusals before anything was asked (a bad name or option) do not count.
 */
typedef struct hf_metrics {
	size_t size; /* sizeof(hf_metrics); set by the _INIT */
	uint64_t acquisitions; /* granted */
	uint64_t releases; /* hf_release_by() has no time to add to `hold` */
	uint64_t conflicts; /* acquisitions, granted or not, that found it held */
	uint64_t retries; /* how often they looked again */
	uint64_t failed_held; /* acquisitions that returned HF_HELD, and so on */
	uint64_t failed_timed_out; /* cancelled ones, too */
	uint64_t failed_deadlock;
	uint64_t failed_unavailable;
	uint64_t failed_unknown;
	uint64_t failed_other;
	uint64_t stale_claimed; /* grants for which one ended that was expired,
				 * dead, or stale (HF_STEAL_STALE) */
	uint64_t forced; /* HF_FORCE_ACQUIRE that ended another's; hf_force_release() */
	uint64_t losses; /* leases that ended without our releasing them */
	uint64_t failed_releases; /* the store did not say that it was done */
	hf_histogram wait; /* from asking to the grant: of acquisitions */
	hf_histogram hold; /* from the grant to release or loss */
} hf_metrics;

#define HF_METRICS_INIT                                                                    \
	{                                                                                  \
		sizeof(hf_metrics), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0, 0, {0}}, \
		{                                                                          \
			0, 0,                                                              \
			{                                                                  \
				0                                                          \
			}                                                                  \
		}                                                                          \
	}

/*
 * Copy the metrics of `name`, or of all names (NULL), into *metrics_out, which
 * the caller has set to HF_METRICS_INIT. A name not used has zeros. Cheap; asks
 * no store. Thread-safe: what others count meanwhile may be in it or not, but
 * never an end without its beginning. HF_INVALID: another size, or after a fork.
 */
HF_API HF_MUST_CHECK hf_status hf_metrics_get(
	hf_manager *manager, const char *name, hf_metrics *metrics_out, hf_error *error);

/* Return non-zero to stop. `metrics` is valid during the call only. */
typedef int (*hf_metrics_fn)(void *arg, const char *name, const hf_metrics *metrics);

/*
 * Call `fn` for each name counted, in no order. There are at most 256: what
 * comes after shares one under the name "". With `take` the counts begin anew,
 * and nothing counted meanwhile is lost; then only names that have counts are
 * told. HF_INVALID: after a fork.
 */
HF_API HF_MUST_CHECK hf_status hf_metrics_each(
	hf_manager *manager, int take, hf_metrics_fn fn, void *arg, hf_error *error);

#ifdef __cplusplus
}
#endif
#endif
