/*
 * The log of one lock: its events, oldest first, in a file of ours.
 *
 * An entry is an object id, a tag and bytes. With layout=blob it is the
 * history. With the branch of events it is a second copy of the newest
 * commits: a prune that began before we moved the ref may remove commits that
 * it took for unreachable, at any time until it ends, and then they are
 * written again from here.
 *
 * Written only under the side file's lock. How much of the file counts stands
 * in the side file (`log_len`): what a killed writer appended beyond is
 * overwritten. The log is replaced by writing another one under a number G
 * that nobody has used, which counts once the side file names it. So does
 * whoever took over from a stopped writer: that may yet write to the old one.
 */
#ifndef GS_JOURNAL_H
#define GS_JOURNAL_H

#include "side.h"

typedef struct gs_entry {
	gs_oid oid;
	const char *data; /* with a NUL behind it */
	size_t len;
} gs_entry;

/*
 * Append; state->log_len grows. HF_SYSTEM: disk full, ... An entry that is not
 * `last` is refused unless there is room for another one behind it, so that
 * what was taken can be given back when the disk has become full.
 */
hf_status gs_journal_append(const hf_store *store, gs_lock *lock, gs_state *state,
	const gs_entry *entry, bool last, hf_error *error);

/*
 * All entries that count. `memory` holds what they point to, `entries` is an
 * array of *count_out of them; both are the caller's to free. A damaged or
 * missing log gives the entries before the damage.
 */
hf_status gs_journal_read(const hf_store *store, const gs_lock *lock, const gs_state *state,
	hf_buf *memory, gs_entry **entries_out, size_t *count_out, hf_error *error);

/*
 * Write entries into a new log and make state->log and state->log_len name it.
 * The old one is removed by gs_journal_drop() once the side file is written.
 */
hf_status gs_journal_replace(const hf_store *store, gs_lock *lock, gs_state *state,
	const gs_entry *entries, size_t count, hf_error *error);
/* The same with the entries that are there, all of them. */
hf_status gs_journal_renew(
	const hf_store *store, gs_lock *lock, gs_state *state, hf_error *error);
void gs_journal_drop(const hf_store *store, gs_lock *lock, uint32_t log);

#endif
