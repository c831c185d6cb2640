/*
 * holdfast: locks you can trust, on the store you already have.
 *
 * This header is the manual of the library, with the headers that it includes at
 * its end. A program needs four calls:
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
 * What a lease means. A grant lasts ttl_ms and is renewed every third of that by the
 * *keeper*, a thread of the manager. Time ends it in the holder's eyes first:
 * hf_lease_remaining_ms() is 0 a margin (a tenth of the ttl, 20 ms to 3 s, at most a
 * quarter) before the store would give the lock to another. What is taken earlier
 * (HF_STEAL_STALE, HF_FORCE_ACQUIRE, hf_force_release(), hf_release_by(), a shorter ttl
 * by hf_extend_by()) its holder learns at the next renewal; one whom nobody renews (ttl 0,
 * HF_DETACHED, HF_NO_RENEW) only from its own hf_extend() or hf_convert(). And a program
 * that may be paused (a laptop's lid, SIGSTOP, a slow disk) cannot promise to stop in time. For that
 * each grant carries a fencing token, greater than every earlier one of that name: let
 * the guarded thing refuse smaller ones, by itself or with hf_fence_admit().
 *
 * Errors. Every call that can fail returns an hf_status, HF_OK being 0, and fills the
 * caller's hf_error when given one (NULL is allowed everywhere). HF_HELD and HF_TIMED_OUT
 * are answers, not errors. HF_UNKNOWN is said when a request may or may not have reached
 * the store: it is never reported as a plain failure. Whatever asks the store may return
 * HF_UNAVAILABLE, HF_CORRUPT, HF_SYSTEM, HF_CANNOT_CREATE and HF_NO_MEMORY; what changes
 * it, HF_UNKNOWN too; what takes a name or a manager, HF_INVALID (a bad name, a manager
 * from before a fork). Below stands what a function says besides, or means by it.
 *
 * Time. One operation of a store that is stuck takes up to about 2 s (?patience=). While
 * the store cannot be reached hf_acquire() and hf_convert() try as long as they may wait,
 * releasing, extending and forcing for 5 s, all others once. The fate of a request, if unknown, is
 * looked into for 5 s more. Signals do not end a wait: their handlers run, it goes on.
 *
 * Threads. A manager may be used by any number of threads. hf_close() must be its last
 * use, alone, and not in a callback. A lease may be used by any thread; hf_release() or
 * hf_lease_detach() must be its last use, alone. Both wait for an on_lost of it that runs
 * in the keeper. Callbacks of hf_list() and hf_history() may call all else, with the same
 * manager too.
 *
 * Fork. The child of a fork owns none of its parent's leases: there
 * hf_lease_remaining_ms() is 0 and hf_release() only frees memory. The child must not use
 * the parent's managers (hf_close() does nothing, other calls return HF_INVALID); it
 * opens its own.
 *
 * Ownership. Parameters that end in _out and are pointers are NULL unless the call
 * returns HF_OK; numbers are untouched then, but *ended_out and *report_out tell what was
 * done before it failed; *seen_out is always set. Strings returned as const char * belong
 * to the object they came from: a lease until its release, a manager until its closing,
 * what a callback gets until that returns. *_free(), hf_close(), hf_release() and hf_lease_detach() take NULL;
 * other pointers to objects must not be NULL. Strings given are copied.
 *
 * Signals. The library changes no disposition; its threads block all signals, and it
 * starts no processes. No call may be made in a handler of signals: to end a wait from
 * there, write to what cancel_fd reads. A program that may run under a limit of
 * file size (RLIMIT_FSIZE, ulimit -f) should ignore SIGXFSZ, which would end it in the
 * middle of a write: a call then fails with HF_SYSTEM or HF_CANNOT_CREATE, EFBIG in
 * hf_error.native, and nothing is left behind.
 *
 * Units stand last in a name: _ms is milliseconds, _wall_ms those since 1970 in UTC. R1
 * to R10 are promises of stores: see holdfast/store.h.
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
	HF_TIMED_OUT, /* another held it until waiting ended or was cancelled */
	HF_DEADLOCK, /* waiting would never end: the victim of a circle; see `under` */
	HF_LOST, /* the lease ended without our releasing it */
	HF_NOT_OWNER, /* the lock is not ours to release, renew or change */
	HF_UNKNOWN, /* the request may have landed; nobody can say yet */
	HF_UNAVAILABLE, /* the store could not be reached */
	HF_CORRUPT, /* the record is damaged, foreign or of a newer format */
	HF_FENCED, /* a greater token was seen: only hf_fence_*() say so */
	HF_INVALID, /* a bad name, URL, option or use */
	HF_NO_MEMORY,
	HF_SYSTEM, /* the operating system refused; hf_error.native says */
	HF_CANNOT_CREATE, /* the store's folder or file cannot be made */
	HF_CHANGED, /* stores only: the state is not the one expected */
	HF_PENDING, /* no answer yet: only hf_acquire_finish() says so */
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

/* The status's stable name: "held", "timed out", ...; "?" for no status. */
HF_API const char *hf_status_name(hf_status status);

/*
 * The exit code of the command for a status: 0 ok, 1 held or timed out, 64 invalid, 65
 * corrupt, 69 unavailable or unknown, 71 system or memory, 73 cannot create, 77 not
 * owner, 80 lost, 81 deadlock, 82 fenced; for any other value 71.
 */
HF_API int hf_status_exit_code(hf_status status);

/* The library's version, as HF_VERSION was when it was built. */
HF_API const char *hf_version(void);

/* ---- a manager: locks in one store -------------------------------------- */

typedef struct hf_manager hf_manager;
typedef struct hf_lease hf_lease;

/* Gets one line without a newline; from any thread; it must not call holdfast. */
typedef void (*hf_log_fn)(void *arg, const char *line);

typedef struct hf_open_options {
	size_t size; /* sizeof(hf_open_options); set by the _INIT */
	/*
	 * Where store modules are looked for first; then, and with NULL, in "modules"
	 * beside the program and where they were installed.
	 */
	const char *module_dir;
	/*
	 * What short-lived contenders saw is kept here for the next; made if missing.
	 * NULL: $XDG_STATE_HOME/holdfast or ~/.local/state/holdfast; "": nothing is kept.
	 */
	const char *state_dir;
	/*
	 * Where this manager's liveness file is made: an absolute path to a folder of
	 * this user that others cannot write, made if missing. NULL:
	 * $HOLDFAST_RUNTIME_DIR, $XDG_RUNTIME_DIR/holdfast, /run/user/UID/holdfast,
	 * /tmp/holdfast-UID, the first that can be had. The record has its path, so
	 * contenders may use other folders; who cannot open it goes by pid and start
	 * time, or by the ttl. None to be had: it is logged, and all do so.
	 */
	const char *runtime_dir;
	hf_log_fn log; /* warnings, e.g. a store that went back; NULL */
	void *log_arg; /* used as long as the manager, as `log` */
	/*
	 * Events that each lock's history keeps at least; 0: all; default 1000.
	 * "?history=N" in the URL of a git: store counts instead.
	 */
	uint32_t history_limit;
} hf_open_options;

#define HF_OPEN_OPTIONS_INIT                                                \
	{                                                                   \
		sizeof(hf_open_options), NULL, NULL, NULL, NULL, NULL, 1000 \
	}

/*
 * Open the store that `url` names (holdfast(7) lists them): "memory:", "file:DIR",
 * "git:PATH", ... with options as "?key=value&key=value". %XX is the byte XX (not 00) in
 * path and options: write %25 and %3F for '%' and '?', in options %26 for '&'. DIR is
 * made if missing, not its parents; PATH must be in a repository. A relative path counts
 * from the current directory now. Those exclude each other who open this very folder or
 * repository: clones share nothing, and nothing is pushed.
 *
 * Options may be NULL. On HF_OK *manager_out is to be closed with hf_close(). Each
 * "memory:" is a space of its own; "memory:NAME" is shared by the managers of one process
 * that name it.
 *
 * Before a store that is slower than a file (no HF_CAP_QUICK) the processes of one user
 * and host line up in runtime_dir, and one of them waits in the store: hf_acquire() and
 * hf_acquire_many(), not hf_acquire_start(). "?line=off" of any URL: none do. If the
 * folder cannot be used that is logged, and they go to the store each by itself.
 *
 * Errors: HF_INVALID (URL, unknown store or option, module missing), HF_CANNOT_CREATE,
 * HF_UNAVAILABLE, HF_SYSTEM, HF_NO_MEMORY.
 */
HF_API HF_MUST_CHECK hf_status hf_open(const char *url, const hf_open_options *options,
	hf_manager **manager_out, hf_error *error);

/*
 * Close a manager. What is pending (hf_acquire_start()) is cancelled. Leases not yet released are abandoned, not released: in the store they
 * end by ttl or with this process. on_lost is not called. Of their handles name, id, mode
 * and token stay; hf_lease_remaining_ms() is 0, hf_extend() and hf_convert() return
 * HF_LOST; hf_release() must still free them, and does no more (HF_OK).
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
	HF_CAP_SESSION_BOUND = 1 << 5, /* "session-bound": a hold dies with a descriptor */
	HF_CAP_AMEND = 1 << 6, /* renews without growing history */
	HF_CAP_NEIGHBOURS = 1 << 7, /* other programs read its locks */
	HF_CAP_QUICK = 1 << 8 /* as quick as a file of this host: needs no line before it */
};
HF_API unsigned hf_store_capabilities(const hf_manager *manager);

/* ---- acquire -------------------------------------------------------------- */

/*
 * An intention is a hold of something below the lock: HF_TREE_NAME takes them of the names
 * above. Intentions go together, and keep out holders of the whole lock: one to share
 * those that are exclusive, one to exclude all.
 */
typedef enum hf_mode {
	HF_EXCLUSIVE = 0,
	HF_SHARED = 1,
	HF_INTENT_SHARED = 2,
	HF_INTENT_EXCLUSIVE = 3
} hf_mode;

/* "exclusive", "shared", "intent-shared", "intent-exclusive"; "?" for no mode. */
HF_API const char *hf_mode_name(hf_mode mode);

typedef enum hf_strategy {
	/* Wait in line, by priority, then arrival; HF_TIMED_OUT after wait_ms. */
	HF_QUEUE = 0,
	/*
	 * One try, and up to max_retries more after pauses of exponential backoff with
	 * full jitter, which a change of the lock cuts short. HF_HELD after the last,
	 * HF_TIMED_OUT if wait_ms passes before it.
	 */
	HF_RETRY,
	HF_FAIL_FAST, /* one try: HF_HELD; wait_ms does not count */
	HF_STEAL_STALE, /* as HF_QUEUE; takes leases stale for stale_after_ms */
	HF_FORCE_ACQUIRE /* at once, from all in the way, and in a lock delay */
} hf_strategy;

/* Bits of hf_acquire_options.flags. */
enum {
	/*
	 * The lease is not bound to this process: it outlives it, and ends by release or
	 * ttl alone. The keeper neither renews nor watches it: on_lost and hf_lease_fd()
	 * tell only what hf_extend() or hf_convert() finds out. HF_INVALID on
	 * session-bound stores.
	 */
	HF_DETACHED = 1 << 0,
	/* Only hf_extend() renews it. The keeper tells when its time is over. */
	HF_NO_RENEW = 1 << 1,
	/*
	 * It is kept until every process below this one has ended, as by `holdfast run`.
	 * So one of them that waits for it waits for ever, and may be told so
	 * (hf_waits_for_itself()). Not with HF_DETACHED.
	 */
	HF_FOR_TREE = 1 << 2,
	/*
	 * What this thread has acquired through this manager and holds, nobody will release
	 * before this call has returned: as if it were named in hf_acquire_options.under.
	 * Of these, the leases that are renewed for it, or have no ttl. Not for
	 * hf_acquire_start().
	 */
	HF_UNDER_OWN = 1 << 3,
	/*
	 * If it is not to be had (HF_HELD, HF_UNAVAILABLE) the caller asks once more, as
	 * one who looks first whether to wait: the metrics count that alone.
	 */
	HF_FIRST_TRY = 1 << 4,
	/*
	 * The name is a path in a tree: `a/b/c` stands below `a/b` and `a`. With it
	 * intentions are acquired of these (the root first; all or none), so that who
	 * holds one of them is excluded, and holders of `a/b/c` and `a/x` are not. A
	 * hold without this takes no notice of what is above it. The lease is one: its
	 * token is that of `a/b/c`, its time the least of all, and it is lost if one of
	 * them is. hf_release_by() and the like need only name `a/b/c`. Of the options
	 * `limit` and `reenter` count for that alone; lock_delay_ms closes all of them.
	 * It goes with HF_UNDER_OWN, as the intentions are kept meanwhile. HF_INVALID: an empty part, "." or ".."; an intention as mode; session-bound
	 * stores; hf_acquire_start().
	 */
	HF_TREE_NAME = 1 << 5
};

/* Somebody's hold of a lock: what to look for in its record. */
typedef struct hf_hold {
	const char *name;
	const char *id; /* of the lease, or of its group */
} hf_hold;

/*
 * Called once when a lease is lost: in the keeper, perhaps before hf_acquire() has
 * returned, or inside hf_extend() and hf_convert() that find it out. It may call
 * hf_lease_*() except hf_lease_detach(); not hf_release(), hf_extend() or hf_convert() of
 * this lease, nor hf_close(), nor wait for a mutex that somebody holds around one of
 * these: they wait for it. Until it returns no lease of this manager is renewed and no
 * other loss is told: set a flag, and return.
 */
typedef void (*hf_lost_fn)(hf_lease *lease, void *arg);

/* Begin with the _INIT: zeros mean other things (cancel_fd 0 is stdin). */
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
	 * 100 to 31 536 000 000 (a year). 0: until released, or until the process is
	 * proven dead. It is never renewed, so on_lost and hf_lease_fd() tell only what
	 * hf_extend() or hf_convert() finds out. Where no death can be proven (not
	 * HF_CAP_HOST_LOCAL) 0 is HF_INVALID without HF_DETACHED, and with it lasts until
	 * somebody releases it. On session-bound stores it is always 0.
	 */
	int64_t ttl_ms;
	/*
	 * -1: for ever; 0: one try, HF_HELD; else up to this long. A store that cannot be
	 * reached is tried again for as long, HF_FAIL_FAST excepted.
	 */
	int64_t wait_ms;
	/*
	 * How long the lock stays closed after this lease, if it ends in any
	 * way but a release or by force. 0 to 86 400 000.
	 */
	int64_t lock_delay_ms;
	uint32_t max_retries; /* HF_RETRY: tries after the first */
	int64_t backoff_min_ms; /* HF_RETRY: cap of the first pause; >= 1 */
	int64_t backoff_max_ms; /* HF_RETRY: cap of any pause; >= min */
	/*
	 * HF_STEAL_STALE: how long since its last renewal (without a common clock: since
	 * we first saw that one) makes a lease stale; at least 1; default 300 000. Nobody
	 * checks it against the holders' ttl: below a third of that it robs the living;
	 * from the ttl on there is nothing left to take. A lease that nobody
	 * renews (ttl 0, HF_NO_RENEW, HF_DETACHED) counts from its grant or its last
	 * hf_extend(), and is taken from one who lives.
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
	/*
	 * The id of a held grant to join (of one that joined another, its group:
	 * hf_holder.group), so that holds stand inside each other: the lock is free after
	 * the last of them. It has the group's token, and is had at once, whatever limit
	 * or lock delay there is. HF_LOST: it is not held any more. HF_INVALID: it is
	 * shared and this would be exclusive, or a session-bound store. NULL or "": none;
	 * then one who holds the lock already, the same thread too, is one more contender
	 * and waits for itself (with HF_UNDER_OWN: HF_DEADLOCK).
	 */
	const char *reenter;
	hf_lost_fn on_lost; /* NULL: none */
	void *on_lost_arg; /* until the release, as on_lost */
	/*
	 * A descriptor that polls readable (or closed, or broken) when waiting is to be
	 * given up: HF_TIMED_OUT then, leaving nothing behind. It is looked at only when
	 * there is something to wait for, and never read. -1: none.
	 */
	int cancel_fd;
	/*
	 * Holds of locks of the same store that nobody will release before this call has
	 * returned: under_count of them. Who waits in line is seen to wait while they are
	 * held, so circles of those who wait for each other are found: one gets
	 * HF_DEADLOCK. The library cannot know which these are: another thread may be about
	 * to release what this one has. See HF_UNDER_OWN.
	 *
	 * HF_TREE_NAME: one named here of a name above is joined, as by `reenter`, and not
	 * waited for; HF_INVALID: it is shared and this would be exclusive.
	 */
	const hf_hold *under;
	size_t under_count; /* up to 64; with HF_UNDER_OWN the newest 64 count */
	/*
	 * How often the keeper renews (the heartbeat): at most each third of the ttl. 0:
	 * at that; else from 10 on.
	 */
	int64_t renew_ms;
} hf_acquire_options;

#define HF_ACQUIRE_OPTIONS_INIT                                                                \
	{                                                                                      \
		sizeof(hf_acquire_options), HF_EXCLUSIVE, HF_QUEUE, 0, 0, 30000, -1, 0, 5,     \
			100, 5000, 300000, 0, NULL, NULL, NULL, NULL, NULL, NULL, -1, NULL, 0, \
			0                                                                      \
	}

/*
 * Acquire lock `name` (1 to 200 bytes of UTF-8 without control characters, that do not
 * begin with "holdfast:fence:" or "holdfast:fence#"). Options may be NULL for the defaults
 * of the _INIT. Blocks up to wait_ms; see Time above.
 *
 * HF_OK: *lease_out is a lease to end with hf_release(). HF_HELD, HF_TIMED_OUT,
 * HF_DEADLOCK: see hf_strategy and hf_status. HF_INVALID: also options that are out of
 * range, do not go together, or that this store cannot serve; another limit than the
 * holders'. HF_UNAVAILABLE: also, the store answers later than the ttl lasts. HF_LOST:
 * see `reenter`. HF_UNKNOWN: the store may yet show a grant with this process as its
 * holder; it ends by its ttl, or with the process.
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
 * Release and free a lease. NULL is HF_OK. The handle is freed in every case.
 *
 * HF_OK: the lock is free of it; or it was not ours to release (in the child of a fork,
 * or after hf_close()) and only the handle is gone. HF_LOST: it had ended before. Else:
 * it ends by its ttl or with the process. A session-bound one ends when the last copy of
 * its descriptor is closed: forked children have one until they exec or end.
 */
HF_API hf_status hf_release(hf_lease *lease, hf_error *error);

/*
 * Free the handle without releasing. It is for HF_DETACHED leases, which stay until their
 * ttl or until hf_release_by() names their id, and makes none of any other: that is no
 * longer renewed, ends by its ttl or with this process, a session-bound one at once, and
 * nobody is told.
 */
HF_API void hf_lease_detach(hf_lease *lease);

/*
 * Renew now, and let it last `ttl_ms` from now on: 0 keeps the ttl it has, else 100 to 31
 * 536 000 000, also less than it had, or one for a lease that had 0. The keeper renews
 * every third of the new one. Session-bound leases have none and get none.
 *
 * HF_LOST: also when its time was over, though the store might still have it. HF_UNKNOWN:
 * of the old ttl and the new the shorter is counted on. Other errors: it is as it was; of a
 * tree name, some of its parts may last as asked for, and the least is counted on.
 */
HF_API HF_MUST_CHECK hf_status hf_extend(hf_lease *lease, int64_t ttl_ms, hf_error *error);

/*
 * How long the lease is ours, in ms, as far as time tells (see the essay): 0 when known
 * as lost, expired, in a forked child, or after hf_close(); INT64_MAX with ttl 0, until
 * it is known as lost. Reads a clock, no store. It is the ttl less the margin, on
 * CLOCK_BOOTTIME from before the last renewal was asked for.
 */
HF_API int64_t hf_lease_remaining_ms(const hf_lease *lease);

/* 1 while hf_lease_remaining_ms() > 0, else 0. */
HF_API int hf_lease_valid(const hf_lease *lease);

/*
 * The fencing token, at least 1. Each grant gets one greater than every earlier one of
 * this name, a shared grant too; one that joins another (`reenter`) has that one's. An
 * upgrade changes it: ask again after hf_convert().
 */
HF_API uint64_t hf_lease_token(const hf_lease *lease);

/* The grant's id, 32 hex digits; what hf_release_by() takes. */
HF_API const char *hf_lease_id(const hf_lease *lease);
HF_API const char *hf_lease_name(const hf_lease *lease);
HF_API hf_mode hf_lease_mode(const hf_lease *lease);

/*
 * A descriptor that polls readable once the lease is known as lost (see ttl_ms and
 * HF_DETACHED for when nobody looks); hf_close() does not make it so. It belongs to the
 * lease: do not read or close it. -1 if none could be made, in a forked child, and after
 * hf_close().
 */
HF_API int hf_lease_fd(hf_lease *lease);

/*
 * The descriptor that keeps the grant alive on this host. Borrowed, close-on-exec. -1:
 * detached, no runtime folder, not a host-local store, a forked child, or after
 * hf_close().
 *
 * It is one for all leases of the manager: its lock proves their process alive. While a
 * child has it open none of them counts as dead, until hf_close() here. fork() closes it
 * in the child; hand it on by dup() before the fork, or by posix_spawn() or vfork(), with
 * close-on-exec cleared. On a session-bound store it is the lease's own and the hold
 * itself, until every copy is closed; fork() leaves the child one.
 */
HF_API int hf_lease_liveness_fd(const hf_lease *lease);

/* ---- from outside ------------------------------------------------------------ */

/*
 * How to name grants that are not in a handle. Exactly one is not NULL, and not empty.
 * This guards against mistakes, it is no access control: whoever can write the store can
 * read ids and owners, and force.
 */
typedef struct hf_who {
	const char *id; /* this grant */
	const char *fingerprint; /* every grant given this one */
	const char *owner; /* every grant of this owner; as default user@host */
} hf_who;

/*
 * Release all grants of `name` that `who` names, from anywhere. HF_NOT_OWNER: it names
 * none ("lock is owned by X, not Y"). HF_LOST: what it names is over by time. On a
 * session-bound store the holder keeps the lock, and only the record of it goes.
 */
HF_API HF_MUST_CHECK hf_status hf_release_by(
	hf_manager *manager, const char *name, const hf_who *who, hf_error *error);

/*
 * Renew all grants of `name` that `who` names, to last ttl_ms from now (as hf_extend();
 * 0: their own ttl). For HF_DETACHED leases: a process that holds one does not learn of
 * another ttl, so a shorter one can end its lease before it knows. *token_out (may be
 * NULL) gets the token of the first. Errors as hf_release_by().
 */
HF_API HF_MUST_CHECK hf_status hf_extend_by(hf_manager *manager, const char *name,
	const hf_who *who, int64_t ttl_ms, uint64_t *token_out, hf_error *error);

/*
 * End every grant of `name`, whoever holds it, and a lock delay. The event in the history
 * names `by` (NULL: user@host; <= 200 bytes) and who was robbed. *ended_out (may be NULL)
 * gets how many, 0 if it was free. This suspends exclusivity: only tokens protect then.
 * Also replaces a damaged record if `even_corrupt` (else HF_CORRUPT). Session-bound
 * stores: as hf_release_by().
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
 * End what is expired or proven dead, remove left-overs of killed processes, and forget
 * locks free for at least forget_after_ms by the wall clock (-1: forget none; also
 * without HF_CAP_FORGET). *report_out may be NULL. Damaged records are counted; any other
 * error ends it.
 */
HF_API HF_MUST_CHECK hf_status hf_cleanup(hf_manager *manager, int64_t forget_after_ms,
	hf_cleanup_report *report_out, hf_error *error);

#ifdef __cplusplus
}
#endif

/* The rest, each with its own subject. */
#include <holdfast/async.h>
#include <holdfast/convert.h>
#include <holdfast/fence.h>
#include <holdfast/look.h>
#include <holdfast/many.h>
#include <holdfast/metrics.h>

#endif
