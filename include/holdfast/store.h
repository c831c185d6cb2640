/*
 * For authors of stores: the register, and what every store must keep.
 *
 * A lock is one small record in a register that can be swapped only if nobody
 * changed it. A store provides that register for any number of names. It knows
 * nothing of leases: the record is bytes to it, and all rules about who may
 * hold what are applied above. It asserts, traces and counts nothing: one
 * wrapper in the manager does.
 *
 * This interface has a weaker promise than holdfast.h: a module is built for
 * one HF_STORE_ABI and refused otherwise.
 *
 * The promises (tests/conformance checks each by its number):
 *
 * R1 Swap is atomic. Of all swaps that name the same expected etag at most one
 *    succeeds, whoever asks, from any process or machine the store reaches. A
 *    refused swap hands back the present snapshot (HF_CHANGED).
 * R2 A state once left never compares equal again: no etag comes back, through
 *    release, forgetting or restart. "Absent" has an etag too.
 * R3 What was acknowledged stays, through the death of any client at any
 *    instruction. What a power cut may take is in docs/guarantees.md.
 * R4 Unknown is said. A request that may have landed returns HF_UNKNOWN, never
 *    a failure. (Every other failure means: it has not landed and never will.)
 * R5 Foreign holders are respected: what another program put there comes back
 *    as snapshot.foreign and is part of the etag: a swap that did not know of
 *    it is refused.
 * R6 Any name of 1 to 200 bytes of UTF-8 without control characters comes back
 *    from list as it went in; "a" and "a/b" coexist.
 * R7 Watch may wake early and never sleeps past a change by more than the
 *    store's poll interval.
 * R8 No residue: no process, descriptor or temporary file stays behind; what a
 *    killed writer left is recognised as ours and cleared by the next.
 * R9 Damage is an answer: HF_CORRUPT, never "absent".
 * R10 Each swap that has an event (amendments have none) carries it into the
 *    key's history, atomically with the state or recoverable from it.
 *
 * Threads: every operation but open and close may be called by several threads
 * at once on one store object. Operations block; each except watch must return
 * within about `patience_ms` of the environment even if another process is
 * stopped in the middle of one. `close` is called once, when no other runs.
 * After a fork the parent's store is not used in the child, nor closed.
 *
 * Memory: what is passed in (url, env, names, events, etags) is valid during the
 * call only; env's log and log_arg until close returns. `error` may be NULL
 * everywhere; on every status but HF_OK fill it (kind, op, native, text;
 * store ""). log may be called with locks held. Callbacks (list,
 * history) may call read, history and watch of the same store: hold no lock
 * meanwhile. When they stop it, that is HF_OK.
 */
#ifndef HOLDFAST_STORE_H
#define HOLDFAST_STORE_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_STORE_ABI 1
#define HF_NAME_MAX 200 /* bytes, without the NUL */
#define HF_RECORD_MAX 1048576 /* bytes of one record */

/* An opaque mark of one state of one key. Compare with hf_etag_equal(). */
typedef struct hf_etag {
	uint8_t len; /* 0: no etag (never equal to anything) */
	unsigned char bytes[39];
} hf_etag;

/*
 * What a neighbour (a program that is not holdfast) sees of a lock, and what we
 * see of its. Only stores with a neighbour's layout use it (HF_CAP_NEIGHBOURS).
 */
typedef struct hf_public_view {
	int held;
	int exclusive;
	char id[65];
	char owner[HF_NAME_MAX + 1];
	char fingerprint[HF_NAME_MAX + 1];
	char host[65];
	int64_t pid; /* 0: not known */
	int64_t acquired_wall_ms; /* -1: not known */
	int64_t ttl_ms; /* 0: no expiry; -1: not known */
	/*
	 * Of a neighbour's hold: changes whenever its state does, so that it
	 * can be observed unchanged.
	 */
	char mark[65];
} hf_public_view;

/*
 * The state of one key. The caller zeroes it before read and swap, the store
 * fills it on HF_OK and HF_CHANGED, and the caller frees data and foreign with
 * free(). On any other status leave data and foreign NULL; nothing in it counts
 * then, nor has a key that is HF_CORRUPT an etag.
 */
typedef struct hf_snapshot {
	char *data; /* malloc'd; NULL with len 0: absent */
	size_t len;
	hf_etag etag; /* len > 0 */
	/*
	 * Of an absent key: no generation or token of it was ever above this;
	 * the greatest that forget was given, 0 if never. What is written over
	 * it starts above (R2); the caller sees to that. Of a present key it
	 * is not looked at.
	 */
	uint64_t floor;
	/*
	 * HF_CAP_CLOCK: the store's time in ms when it answered; its own epoch.
	 * With HF_CAP_HOST_LOCAL: CLOCK_BOOTTIME.
	 */
	int64_t now_ms;
	/*
	 * Set by the caller of the store, not by the store: CLOCK_BOOTTIME in
	 * ms just before it asked and just after it was told.
	 */
	int64_t asked_ms;
	int64_t told_ms;
	/*
	 * NULL, or malloc'd: what a neighbour put there (R5). It overrides the
	 * record: whoever stands in that was overrun.
	 */
	hf_public_view *foreign;
} hf_snapshot;

/* The event that a swap carries into the history. One line each, no newline. */
typedef struct hf_event_text {
	const char *summary; /* for people: "acquire deploy, token 5, by a@h" */
	const char *line; /* for machines: what history() gives back */
} hf_event_text;

typedef struct hf_change {
	const char *data; /* the new record; never NULL */
	size_t len; /* 1 to HF_RECORD_MAX */
	/*
	 * NULL: an amendment (a renewal). It is not put into the history; the
	 * record's event stays the one before.
	 */
	const hf_event_text *event;
	/* HF_CAP_NEIGHBOURS: the new state as neighbours see it; else NULL. */
	const hf_public_view *view;
	size_t history_limit; /* keep at least this many events; 0: all */
} hf_change;

/* A URL, taken apart: "scheme:path?key=value&key=value". */
typedef struct hf_url_option {
	const char *key;
	const char *value;
} hf_url_option;

typedef struct hf_url {
	const char *scheme;
	const char *path; /* percent-decoded */
	size_t option_count;
	const hf_url_option *options;
} hf_url;

typedef struct hf_store_env {
	int64_t patience_ms; /* how long an operation may take when stuck */
	hf_log_fn log; /* may be NULL */
	void *log_arg;
} hf_store_env;

typedef struct hf_store hf_store; /* each store's own */

/* Return non-zero to stop. */
typedef int (*hf_store_name_fn)(void *arg, const char *name);
typedef int (*hf_store_line_fn)(void *arg, const char *line);

typedef struct hf_store_ops {
	unsigned abi; /* HF_STORE_ABI */
	const char *scheme; /* "file" */
	const char *summary; /* one line for `holdfast stores` */
	/* Options, as "key=values - meaning" lines; NULL-ended, or NULL. */
	const char *const *options;

	/* ---- must (never NULL) ---- */

	/*
	 * Open. Unknown options have been refused already; their values have
	 * not been looked at. Creates nothing: a place that is not there yet
	 * has no locks, and the first change makes it. HF_CANNOT_CREATE: it
	 * could not be made there. *store_out is used only on HF_OK.
	 */
	hf_status (*open)(const hf_url *url, const hf_store_env *env, hf_store **store_out,
		hf_error *error);
	void (*close)(hf_store *store);
	/* HF_CAP_* of this open store; the same until it is closed. */
	unsigned (*capabilities)(const hf_store *store);
	/* As hf_store_identity(). Borrowed from the store. */
	const char *(*identity)(const hf_store *store);

	/* HF_OK (absent is OK), HF_CORRUPT, HF_UNAVAILABLE, HF_SYSTEM, HF_NO_MEMORY. */
	hf_status (*read)(
		hf_store *store, const char *name, hf_snapshot *snapshot, hf_error *error);

	/*
	 * Replace the state marked `expected`, an absent one too. HF_OK: done,
	 * and snapshot_out has the new etag and now_ms (its data may be NULL:
	 * the caller knows it). HF_CHANGED: not done, snapshot_out is the
	 * present state. HF_UNKNOWN: it may land, now or later, but only over
	 * `expected`. Others: it has not landed and never will; HF_CORRUPT if
	 * the present state is.
	 *
	 * expected NULL replaces a state that is HF_CORRUPT when it comes to
	 * it, and is HF_CHANGED over any other. The new etag is one that the
	 * key never had (R2); generation and token of the record are the
	 * caller's business.
	 */
	hf_status (*swap)(hf_store *store, const char *name, const hf_etag *expected,
		const hf_change *change, hf_snapshot *snapshot_out, hf_error *error);

	/* Every name with a state, also a damaged one, once each. */
	hf_status (*list)(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error);

	/* ---- may (NULL: not offered, and so its HF_CAP_* is not set) ---- */

	/*
	 * Return when the state of `name` may differ from `seen`, when
	 * `cancel_fd` (-1: none) is readable, or after timeout_ms (0 to an
	 * hour). Always HF_OK unless it failed. Without it the caller sleeps
	 * for its poll interval.
	 */
	hf_status (*watch)(hf_store *store, const char *name, const hf_etag *seen,
		int64_t timeout_ms, int cancel_fd, hf_error *error);

	/* Event lines, newest first, at most `limit` (0: all); none if absent. */
	hf_status (*history)(hf_store *store, const char *name, size_t limit,
		hf_store_line_fn fn, void *arg, hf_error *error);
	/* Keep the newest `keep` events (at least; >= 1). */
	hf_status (*prune)(hf_store *store, const char *name, size_t keep, hf_error *error);

	/*
	 * Drop the state marked `expected` (a present one) and its history;
	 * from then on the floor of every absent key is at least `floor`.
	 * HF_CHANGED if it is not that state.
	 */
	hf_status (*forget)(hf_store *store, const char *name, const hf_etag *expected,
		uint64_t floor, hf_error *error);

	/* Remove left-overs of killed processes; adds to *removed. */
	hf_status (*sweep)(hf_store *store, size_t *removed, hf_error *error);

	/*
	 * HF_CAP_SESSION_BOUND (a must there): take the medium's own lock on
	 * `name` for as long as *fd_out (close-on-exec; the caller closes it)
	 * or a copy that a child inherited is open, also beyond close. Never
	 * waits: HF_HELD if a neighbour or another of us has it. Whoever has
	 * it has proof that conflicting grants in the record are dead.
	 */
	hf_status (*bind)(
		hf_store *store, const char *name, hf_mode mode, int *fd_out, hf_error *error);
} hf_store_ops;

/*
 * A module is a shared object holdfast-store-SCHEME.so that exports this with
 * default visibility (HF_API) and nothing else. It links what it needs of
 * src/base statically and gets everything else here: it is loaded with
 * RTLD_NOW | RTLD_LOCAL and needs no symbol of its loader. The table is static,
 * with the scheme of the file's name; a module that was accepted is never
 * unloaded.
 */
#define HF_STORE_MODULE_SYMBOL "hf_store_module"
typedef const hf_store_ops *(*hf_store_module_fn)(void);

static inline int hf_etag_equal(const hf_etag *a, const hf_etag *b)
{
	unsigned i;

	if (a->len == 0 || a->len != b->len)
		return 0;
	for (i = 0; i < a->len; i++)
		if (a->bytes[i] != b->bytes[i])
			return 0;
	return 1;
}

#ifdef __cplusplus
}
#endif
#endif
