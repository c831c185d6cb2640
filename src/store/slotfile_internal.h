/*
 * The slot file's parts, for each other. The public face is slotfile.h.
 *
 *	slot.c		    one slot as bytes; which of two to believe
 *	slotfile.c	    a handle: open, read, write, mark, remove
 *	slotfile_lock.c	    taking the lock, with a bound
 *	slotfile_replace.c  putting a new file in place: breaking and growing
 *	slotfile_sweep.c    left-overs
 *	netfs.c		    file systems shared with other kernels
 *
 * How a file is made. Under a name of its own (PATH.broken-NONCE, so that the
 * sweep knows it), with a first slot, then renamed to PATH if nothing is there:
 * a file at its path always has had a whole slot, and zeros are damage.
 *
 * How a file is replaced. Nothing can rename over PATH *on condition*, and
 * whoever decided to do it may be stopped in between for any time. So it is
 * done so that nothing is lost whenever it happens: a new file that says
 * "rebuilding from NONCE" is *exchanged* (RENAME_EXCHANGE) with whatever is at
 * PATH, which thereby gets the name PATH.broken-NONCE. From then on:
 *
 *  - the state is, by definition, what is in the chain that starts at PATH:
 *    the first file that does not say "rebuilding";
 *  - nothing that is written to a swapped-out file counts, and its writer
 *    knows: it looks at PATH *after* writing, and finds another file there. A
 *    writer that finds its own file there wrote before the exchange, so before
 *    anybody followed the chain;
 *  - the lock of the file at PATH is needed to end the rebuilding: copy the
 *    state into it, then unlink the chain's names. If the one who exchanged
 *    dies or is stopped, the next one to get (or break) that lock does it;
 *  - a name PATH.broken-NONCE is put in place once, by its creator, which
 *    holds the lock of the file under it until then. So if that lock can be had
 *    and the file there is the one that refers to its own name, it never will.
 *
 * Removing is the one step that cannot be undone so, as unlink(PATH) takes
 * whatever is there. So a remover first writes "removing", and while that is
 * the state and the remover's lock is alive nobody ends a rebuilding. (A
 * process stopped between those two calls does block its lock; others get
 * HF_UNAVAILABLE when their patience ends. Killed, it blocks nobody.)
 */
#ifndef HF_SLOTFILE_INTERNAL_H
#define HF_SLOTFILE_INTERNAL_H

#include "slot.h"
#include "slotfile.h"

#include <sys/stat.h>

#define HF_NONCE_LEN 16
#define HF_BROKEN_INFIX ".broken-"
#define HF_OPEN_FLAGS (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
#define HF_SLOT_SIZE_MAX (4 << 20) /* bytes of one slot; HF_RECORD_MAX fits */

/* A file as read: both slots, or of long ones the newest. */
typedef struct hf_slots {
	char *image;
	size_t cap;
	size_t slot_size; /* 0: not known yet, or the file's size is wrong */
	hf_slot_pick pick;
	hf_slot newest; /* with HF_PICK_OK; its data points into image */
	bool loaded; /* image begins with that slot alone, as it was read */
} hf_slots;

struct hf_slotfile {
	char *path;
	hf_slotfile_options options;
	hf_rng rng;
	int fd; /* -1: not open */
	bool writable;
	int write_errno; /* why it is not */
	bool locked;
	dev_t dev;
	ino_t ino;
	hf_slots slots;
};

/* ---- slots_io.c ---- */

/*
 * Read both slots of fd and pick. What is torn because it is just being
 * written is read again. HF_OK whatever the pick; HF_SYSTEM, HF_NO_MEMORY.
 */
hf_status hf_slots_read(int fd, const char *path, hf_slots *slots, hf_error *error);
/*
 * As hf_slots_read(), and judge what is blank. No file is ever blank at its
 * name, so that is damage - unless a power cut has taken what was written.
 */
hf_status hf_slots_load(int fd, const char *path, hf_slots *slots, hf_error *error);
/* Write a slot, with one call of the system if that takes it all. */
hf_status hf_slots_put(int fd, const hf_slot *slot, size_t slot_size, unsigned index,
	const char *path, hf_error *error);
/* Bytes of a slot for content of `len`. */
size_t hf_slot_size_for(size_t len);
/* Make room for two slots, so that no later write can fail for want of it. */
hf_status hf_slots_allocate(int fd, size_t slot_size, const char *path, hf_error *error);
hf_status hf_pwrite_all(
	int fd, const char *data, size_t n, off_t at, const char *path, hf_error *error);

/* ---- slotfile.c ---- */

/* Open PATH. *missing_out: it is not there, and was not to be made. */
hf_status hf_slotfile_open(hf_slotfile *file, bool create, bool *missing_out, hf_error *error);
void hf_slotfile_close(hf_slotfile *file);
/* Take over an open file. */
void hf_slotfile_adopt(hf_slotfile *file, int fd, const struct stat *st);
/* Is the file at PATH the one that is open? */
bool hf_slotfile_is_at_path(const hf_slotfile *file);
/* Write a slot over the older one and, if asked for, make it durable. */
hf_status hf_slotfile_put(hf_slotfile *file, const hf_slot *slot, hf_error *error);

/* ---- slotfile_lock.c ---- */

/* One try for an OFD lock of `type`: 0, EAGAIN, or another errno. */
int hf_try_ofd(int fd, short type);
/*
 * Open, lock, load, and end a rebuilding: as hf_slotfile_lock(), and also for
 * readers that lock (F_RDLCK). HF_OK whatever the pick.
 */
hf_status hf_slotfile_take(
	hf_slotfile *file, short type, bool create, bool *missing_out, hf_error *error);

/* ---- slotfile_replace.c ---- */

/*
 * Put a file with nothing in it where there is none. HF_OK: the handle has it,
 * and its lock; HF_CHANGED: there is one now; HF_CANNOT_CREATE, HF_SYSTEM,
 * HF_UNKNOWN (it is there; nobody can say whether on the disk).
 */
hf_status hf_slotfile_create(hf_slotfile *file, hf_error *error);
/*
 * Exchange PATH with a new file of ours that is "rebuilding". HF_OK: the handle
 * has the new file, locked; nonce_out (HF_NONCE_LEN + 1) says where what was at
 * PATH is now; the file before is closed unless old_fd_out is given. Else the
 * handle is as it was, and: HF_CHANGED: PATH has gone, begin again;
 * HF_UNAVAILABLE: this file system cannot exchange; HF_SYSTEM, ...
 */
hf_status hf_slotfile_exchange(
	hf_slotfile *file, size_t slot_size, char *nonce_out, int *old_fd_out, hf_error *error);
/*
 * End the rebuilding of the file that is open and locked, and load it.
 * HF_CHANGED: another file is at PATH, begin again; HF_HELD: a remover is at
 * work, wait; HF_SYSTEM, ...
 */
hf_status hf_slotfile_rebuild(hf_slotfile *file, hf_error *error);
/* Replace by a larger file with this content. As hf_slotfile_write(). */
hf_status hf_slotfile_grow(hf_slotfile *file, const hf_slot *slot, hf_error *error);
/* "PATH.broken-NONCE", malloc'd; NULL: out of memory. */
char *hf_broken_path(const char *path, const char *nonce, size_t nonce_len);
hf_status hf_slotfile_say_lost(const hf_slotfile *file, hf_error *error);
uint64_t hf_slotfile_next_seq(const hf_slotfile *file);

#endif
