/*
 * holdfast: looking at locks. A part of holdfast.h, whose essay holds here too.
 *
 * What is told is how it was at one moment, and may be over when it is read: who wants to
 * be sure takes the lock.
 */
#ifndef HOLDFAST_LOOK_H
#define HOLDFAST_LOOK_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One who holds or waits. Strings are "" when not known. */
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
	int64_t ttl_ms; /* 0: none; of a foreign one also: not known */
	int64_t acquired_wall_ms; /* by its clock, for people; -1: not known */
	/* Until it may expire; -1: ttl 0, no common clock, or one who waits. */
	int64_t remaining_ms;
	int64_t renewals;
	int32_t priority;
	int foreign; /* put there by another program (R5) */
	int bound; /* bound to its process */
	int dead; /* its process is proven dead; such holders are left out */
	/*
	 * What hf_acquire_options.reenter takes to join it. Of a waiter: its id, or the
	 * group of a hold that it has and waits to upgrade (hf_convert()).
	 */
	const char *group;
	int for_tree; /* HF_FOR_TREE */
	int offered; /* (waiters) it is its turn, and it has not come yet */
	const hf_hold *under; /* (waiters) what it keeps meanwhile, as it says */
	size_t under_count;
	/*
	 * (waiters) It waits in the line of this host, before the store: holdfast(7). Of an
	 * intention there mode is HF_SHARED, and limit is 0.
	 */
	int in_line;
} hf_holder;

/* One lock as it stands. Owned by whoever hands it out. */
typedef struct hf_lock_info {
	const char *name;
	uint64_t token; /* the last one granted; 0: none yet */
	uint64_t generation; /* of the record: grows with each change; 0: none */
	int64_t closed_ms; /* lock delay still to run; 0: none */
	size_t holder_count;
	const hf_holder *holders;
	size_t waiter_count;
	/* First served first, those in the line last; without the dead. */
	const hf_holder *waiters;
	/*
	 * Not whether it is held, but whether it could be read: HF_OK, or HF_CORRUPT:
	 * nothing above but the name is meaningful; `problem` ("" with HF_OK) says why.
	 */
	hf_status state;
	const char *problem;
} hf_lock_info;

/*
 * Read one lock. A name never used is free, not an error; a damaged record is HF_OK with
 * info->state HF_CORRUPT. *info_out is to be freed with hf_lock_info_free(), also after
 * hf_close().
 */
HF_API HF_MUST_CHECK hf_status hf_lock_status(
	hf_manager *manager, const char *name, hf_lock_info **info_out, hf_error *error);
HF_API void hf_lock_info_free(hf_lock_info *info);

/*
 * 1 if `holder`, one of info->holders, is bound to a process that this one descends from,
 * else 0. Looked up now: the boot, the pid namespace, the process id and the start time in
 * the record must be those of a process that /proc shows above this one. 0 too if that
 * cannot be seen: in another pid namespace, or where /proc hides processes of other users.
 */
HF_API int hf_holder_is_ancestor(const hf_lock_info *info, const hf_holder *holder);

/*
 * Would this process wait for ever to acquire the lock in this mode (and with this limit,
 * as in hf_acquire_options), because holders that conflict are kept (HF_FOR_TREE) until it
 * has ended itself? One of these, or NULL. Borrowed from `info`.
 */
HF_API const hf_holder *hf_waits_for_itself(
	const hf_lock_info *info, hf_mode mode, uint32_t limit);

/* Return non-zero to stop: hf_list() is HF_OK then. `info` is borrowed. */
typedef int (*hf_list_fn)(void *arg, const hf_lock_info *info);

/*
 * Call `fn` for every lock the store knows, free ones too, in no order. One that cannot
 * be read for another reason than damage ends it with that error.
 */
HF_API HF_MUST_CHECK hf_status hf_list(
	hf_manager *manager, hf_list_fn fn, void *arg, hf_error *error);

/*
 * Wait until `name` is at another generation than `seen`, up to wait_ms (-1: for ever).
 * HF_OK: it may be (early wake-ups are allowed, R7). A renewal is a change; a lease's
 * time running out is none. HF_TIMED_OUT otherwise.
 */
HF_API HF_MUST_CHECK hf_status hf_watch(
	hf_manager *manager, const char *name, uint64_t seen, int64_t wait_ms, hf_error *error);

/* One event of a lock's history. Borrowed during the callback. */
typedef struct hf_event {
	uint64_t generation; /* the change that it is */
	int64_t wall_ms; /* by the clock where it was done, for people */
	/*
	 * acquire, reenter, steal, force (grants); release, force-release, expire; extend
	 * (another ttl), upgrade, downgrade; barrier (so that a late request cannot
	 * land). Renewals are no events.
	 */
	const char *kind;
	const char *id; /* the grant it is about; "" if it is about none, */
	const char *owner; /* then who did it */
	const char *host;
	int64_t pid;
	uint64_t token; /* 0: about no grant */
	hf_mode mode;
	/*
	 * Grants that this change ended besides, comma-separated as "why:id" with why of
	 * expired, dead, stale, forced, released, corrupt; "": none.
	 */
	const char *ended;
} hf_event;

/* Return non-zero to stop: hf_history() is HF_OK then. `event` is borrowed. */
typedef int (*hf_history_fn)(void *arg, const hf_event *event);

/*
 * Call `fn` for the newest `limit` events (0: all kept), newest first; none of a name
 * never used. HF_INVALID: also, the store keeps no history. HF_CORRUPT: also, older
 * events than those that came cannot be read, or none can.
 */
HF_API HF_MUST_CHECK hf_status hf_history(hf_manager *manager, const char *name, size_t limit,
	hf_history_fn fn, void *arg, hf_error *error);

/* Keep only the newest `keep` events (>= 1). HF_INVALID: also, it cannot. */
HF_API HF_MUST_CHECK hf_status hf_history_prune(
	hf_manager *manager, const char *name, size_t keep, hf_error *error);

#ifdef __cplusplus
}
#endif
#endif
