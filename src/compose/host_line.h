/*
 * The host's line: contenders of one host line up among themselves before they go to
 * a store that is slower than a file.
 *
 * It is a lock before a lock: for each lock of the store one of the same name in a
 * `file:` store in the runtime folder of this user, in a folder named after the
 * store's identity. A place in it is a grant of that lock, whoever has it is the
 * *head*, and those who wait for it wait by the rules: by priority, then arrival,
 * with doorbells, proofs of death and all. So a thousand neighbours who wait cost the
 * store one entry in one record, and a neighbour's hold answers those who do not wait.
 *
 * Safety never rests on it. The store decides who holds; the line only says in which
 * order this host asks it. Whoever goes past it (another user, ?line=off, a holdfast
 * of before, hf_acquire_start()) meets the others in the store. If the line cannot be
 * had, its folder is full, or what stands there cannot be read, that is told once and
 * all go to the store.
 *
 * Who stands in it. Who waits (HF_QUEUE) takes the place, goes to the store with it,
 * waits there alone of this host, and gives it back when that is over. Who asks once
 * takes it too if it is free; if it is not:
 * - by one who wants the lock exclusively, or if that is what we want: HF_HELD, and
 *   the store is not asked. Had it been asked, that one would be before us;
 * - by one who wants to share it as we do: he may be in already, or be let in at any
 *   moment, and we with him. Only the store knows; we ask it, past the line.
 * HF_RETRY answers its tries so, and gives the place back before each pause: whoever
 * pauses must not keep others from a lock that may be free. HF_STEAL_STALE and
 * HF_FORCE_ACQUIRE want what others have, and go past it; so does who joins a grant
 * (`reenter`), who has the lock at once, and an upgrade (hf_convert()), which is before
 * all who hold nothing, and waits in the store beside the one of this host.
 *
 * The mode. A place has room for one, or two of this host would wait in the store. So
 * it is HF_EXCLUSIVE for who wants the lock exclusively, and for all others HF_SHARED
 * with a limit of 1: the record tells which it is, and nobody else need know the
 * limits and intentions of the store's holders. These are let in one after the other.
 *
 * How long. Who shares, or has an intention, gives the place back once he is in: the
 * next may be let in beside him. So does who holds a detached lease, whose process
 * will be gone. An exclusive holder of any other keeps it, so that neighbours' tries
 * end here, and gives it back *after* the release in the store, so that the next finds
 * that done. It is given back too when the lease is lost, shared from now on, or
 * detached from its handle.
 *
 * What it may not do is to keep anybody from a lock that is free in the store, where
 * another host may have ended the lease. So a place stands for no longer than the
 * store has vouched for it: it has a ttl, that of the lease or less, and each renewal
 * of the lease in the store renews it, nothing else. It is HF_PLACE_MS, or one and a
 * half times the pause between renewals if that is more and no more than a minute. A
 * lease that is renewed less often outlasts its place: then the next goes to the store
 * and waits there. Who waits in the store renews his place himself. The grant is bound to the process besides, by
 * the liveness file of its leases: who is killed frees the place at once. So what is
 * stopped (SIGSTOP) or robbed keeps neighbours back for a minute at most and never for
 * longer than its ttl, and what is ended from this host, by id, owner, fingerprint or
 * force, at no time: then the place is ended with it.
 *
 * Deadlocks. A place is not held in the sense of under.h, and nobody is a victim for
 * one: who waits in the line waits for what is in his way in the store. deadlock.h
 * says how the two records are read as one. Circles of locks whose waiters stand in
 * the store and in the line of this host are found; one that runs through the lines
 * of two hosts, or of two users, is seen by none of them.
 *
 * Order. Locks are taken in one order by who takes several (hf_acquire_many()), each
 * in the line and then in the store, so the line closes no circle by itself: a place
 * is waited for only by who has not asked the store for that lock yet.
 *
 * No residue. A place that is free and was used by this manager is forgotten when the
 * manager is closed, or before, when others have been used since. Tokens and history
 * of places mean nothing.
 */
#ifndef HF_HOST_LINE_H
#define HF_HOST_LINE_H

#include "lock/manager.h"

#define HF_PLACE_MS 15000 /* a place stands so long without being vouched for */

/* Does a store with these capabilities want a line before it? */
bool hf_host_line_wanted(unsigned capabilities);

/*
 * Put the line before an open manager that has none. Without a runtime folder, or
 * memory, there will be none: that is told by the manager's log, when it is first
 * missed.
 */
void hf_host_line_put(hf_manager *m);

/* How long the place of this exclusive lease stands, from when the store vouched. */
int64_t hf_host_line_place_ms(int64_t ttl_ms, int64_t renew_ms, bool renews);

#endif
