/*
 * A slot file: one small file whose content is replaced as a whole, in place,
 * by one writer at a time, and which is old or new after a crash, never torn.
 *
 * Two slots on blocks of their own, each with a sequence number, a length and
 * a checksum over both and the content. A writer overwrites the older one: the
 * newer stays whole whatever happens. Readers take no lock: they read both and
 * believe the newest whose checksum is right.
 *
 * Writers meet on an OFD lock of the file (it dies with its process, and other
 * descriptors of the file do not matter). The file at the path may be replaced
 * or removed by whoever has the lock, so having it counts only while the path
 * still names the locked inode: that is looked at after locking and again
 * after writing.
 *
 * Bounded. A process stopped inside would keep the lock for ever. Whoever has
 * waited for `patience_ms` while the content did not change *breaks* it:
 *
 *	1. make a new file beside it that says "rebuilding", locked by us;
 *	2. exchange the two (RENAME_EXCHANGE), so that the old one is at
 *	   PATH.broken-NONCE: from now on nothing that its writer does counts;
 *	3. copy the newest slot of the old one into the new one, unlink the old.
 *
 * What the stopped writer had finished before 2 is in the copy; what it
 * finishes after 3 is not. Its own look at the path after writing tells it
 * that it was broken: it gets HF_CHANGED and must not believe that it wrote,
 * nor that it did not, but read again. Things outside the file that a writer
 * changes while it has the lock (a ref, a log) it must guard itself:
 * hf_slotfile_broken() tells its successor to be careful. Breaking is safe
 * whoever does it and whenever; why stands in slotfile_internal.h. Not broken
 * are locks on network file systems (`read_locked`), where a look at the path
 * may be answered from a cache, and on file systems that cannot exchange: there
 * patience ends with HF_UNAVAILABLE.
 *
 * Content that does not fit makes the file grow: a larger one is put in its
 * place in the same way. It never shrinks. Slots start at one block (4096 bytes).
 *
 * R1 and R3 of `file:` and `git:` rest on this.
 */
#ifndef HF_SLOTFILE_H
#define HF_SLOTFILE_H

#include "slot.h"

#include <sys/types.h>

typedef struct hf_slotfile hf_slotfile;

typedef struct hf_slotfile_options {
	bool create; /* make the file if it is missing, with its folder */
	bool sync; /* fsync what must survive a power cut */
	bool read_locked; /* network file system: readers lock too */
	int64_t patience_ms; /* before a lock is broken; >= 1 */
	mode_t mode; /* of a new file; 0: 0600 */
} hf_slotfile_options;

/*
 * What a slot holds, with a zero byte behind it. `data` is borrowed from the handle and
 * valid until that is read or locked again, or freed.
 */
typedef struct hf_slot_content {
	const char *data;
	char *owned; /* by hf_slot_content_own(); else NULL */
	size_t len;
	uint64_t seq; /* 0: nothing was ever written */
	uint8_t mark; /* hf_slotfile_mark() since it was written */
} hf_slot_content;
/* Copy what is borrowed. HF_NO_MEMORY: it stays so. */
hf_status hf_slot_content_own(hf_slot_content *content, hf_error *error);
void hf_slot_content_clear(hf_slot_content *content);

/*
 * A handle for `path`. Opens nothing yet; keeps the file open from its first
 * use on. One thread at a time. A handle must not be used in a forked child.
 */
hf_status hf_slotfile_new(const char *path, const hf_slotfile_options *options,
	hf_slotfile **out, hf_error *error);
void hf_slotfile_free(hf_slotfile *file);

/*
 * The newest whole content, without locking. Missing file: HF_OK, seq 0.
 * HF_CORRUPT: neither slot is whole though the file was written. HF_SYSTEM.
 */
hf_status hf_slotfile_read(hf_slotfile *file, hf_slot_content *content_out, hf_error *error);

/*
 * Lock for writing, and read. HF_OK, HF_CORRUPT (locked all the same),
 * HF_UNAVAILABLE (patience ran out and it could not be broken), HF_SYSTEM,
 * HF_CANNOT_CREATE. Without `create` a missing file is HF_OK with seq 0 and
 * nothing is locked: only hf_slotfile_unlock() may follow.
 */
hf_status hf_slotfile_lock(hf_slotfile *file, hf_slot_content *content_out, hf_error *error);

/*
 * True if the present content was taken over from a stopped writer that may go
 * on yet. Persistent; ends with the next hf_slotfile_write().
 */
bool hf_slotfile_broken(const hf_slotfile *file);

/*
 * Replace the content, which gets the next sequence number. Locked only.
 * HF_CHANGED: our lock was broken meanwhile; only reading tells whether it
 * counts. HF_SYSTEM (disk full, ...): not written, the old content stands.
 * HF_UNKNOWN: written, but the disk would not say that it is durable.
 */
hf_status hf_slotfile_write(hf_slotfile *file, const char *data, size_t len, hf_error *error);

/* As hf_slotfile_write(), of up to HF_SLOT_PARTS pieces, one after the other. */
hf_status hf_slotfile_write_parts(
	hf_slotfile *file, const hf_slot_part *parts, size_t count, hf_error *error);

/*
 * Set the mark of what was last written: one byte, one write, not part of the
 * checksum. Locked only. HF_CHANGED as above.
 */
hf_status hf_slotfile_mark(hf_slotfile *file, uint8_t mark, hf_error *error);

/*
 * Remove the file. Locked only; only hf_slotfile_unlock() may follow. As soon
 * as it is gone others may enter through a new file. HF_CHANGED as above.
 */
hf_status hf_slotfile_remove(hf_slotfile *file, hf_error *error);

void hf_slotfile_unlock(hf_slotfile *file);

/* Left-overs of dead writers beside PATHs in a folder; adds to *removed. */
hf_status hf_slotfile_sweep(const char *folder, size_t *removed, hf_error *error);

/* Make the folder of `path`, and those above it; 0 or an errno. */
int hf_make_folder_of(const char *path);

/* fsync the folder that `path` is in. HF_UNKNOWN: it would not say. */
hf_status hf_sync_folder(const char *path, hf_error *error);

/* True if the file system of `path` is shared with other kernels. */
bool hf_is_network_fs(const char *path);

#endif
