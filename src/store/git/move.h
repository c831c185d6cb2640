/*
 * Changing a ref: compare and swap, as git does it.
 *
 * git's protocol: whoever has created REF.lock may change the loose file, and
 * whoever has created packed-refs.lock may replace packed-refs. Under the lock
 * the value is read again and compared.
 *
 * Ours keeps two things besides.
 *
 * A lock left by our killed process is known as ours. REF.lock is made as a
 * link to the file `guard` in the lock's moving folder ESC.K.move: same inode,
 * so ours, and its writer is dead, for we have the side file's lock.
 *
 * A stopped writer can be shut out. All that it does to the repository is a
 * link or a rename with one end in its moving folder: the new value comes out
 * of there, a deleted ref and REF.lock go back in. Whoever took its lock over
 * renames the folder away, and whatever it tries from then on fails with
 * ENOENT. (It looks whether it still has the side file's lock after making
 * the folder's content and before its first such step, so it cannot make
 * another folder unseen.)
 *
 * Not a rename over the ref but an exchange with it: replacing a file by
 * rename makes ext4 write the new one out at once, six times the cost of
 * everything else here. The old file comes back into the folder and its block
 * serves the next value; so after a power cut the ref holds an older or newer
 * value, never none. Not written into if it has another name (a backup made
 * of hard links).
 */
#ifndef GS_MOVE_H
#define GS_MOVE_H

#include "lock.h"
#include "ref.h"

/*
 * Asked once everything is in the folder and nothing was done outside of it:
 * HF_CHANGED if our lock of the side file was broken.
 */
typedef hf_status (*gs_still_ours_fn)(void *arg, hf_error *error);

typedef struct gs_move {
	const char *ref;
	uint32_t folder; /* K */
	gs_value from; /* kind and oid: what it must be now */
	gs_oid to; /* zero: delete it */
	gs_still_ours_fn still_ours; /* NULL: not asked */
	void *arg;
} gs_move;

/*
 * HF_OK: moved. HF_CHANGED: it has another value (or our lock was broken):
 * not moved. HF_UNKNOWN: shut out in the middle, it may have moved.
 * HF_UNAVAILABLE: another program keeps the ref locked, or other refs are in
 * the way; HF_SYSTEM: not moved.
 */
hf_status gs_move_ref(hf_store *store, gs_lock *lock, const gs_move *move, hf_error *error);

/* Git's locks left by a dead writer with this folder. Side file locked. */
void gs_move_clear(hf_store *store, gs_lock *lock, uint32_t folder);

/* Shut out a stopped writer with this folder; the next is K + 1. */
void gs_move_shut_out(hf_store *store, gs_lock *lock, uint32_t folder);

/* Remove the folder; forgetting a lock. */
void gs_move_remove_folder(hf_store *store, gs_lock *lock, uint32_t folder);

#endif
