/*
 * The lines of a record's text, for its three files:
 *
 *	record.c	writes it, and reads a line of holders or events
 *	record_wait.c	the lines of those who wait
 *	record_read.c	reads and checks the whole
 */
#ifndef HF_RECORD_LINES_H
#define HF_RECORD_LINES_H

#include "fields.h"
#include "record.h"

/* ---- record.c: read what follows the word, without a look at what it means ---- */

bool hf_lock_read(char *line, hf_record *record);
bool hf_grant_read(char *line, hf_grant *grant);
bool hf_event_read(char *line, hf_record_event *event);
/* A party with all strings ""; NULL: out of memory. */
hf_party *hf_record_add_party(hf_record *record);

/* ---- record_wait.c ---- */

/* What the `end` line of a folded record says. */
typedef struct hf_fold {
	uint64_t near; /* waiters before the far ones */
	uint64_t far;
	uint64_t bytes; /* of the far ones' lines */
} hf_fold;

/* Append "party ...\nwait ...\n" for all, and "end ...\n". */
void hf_waiters_put(hf_buf *buf, hf_record *record, size_t near);

/* Read what follows "party " or "wait " into a blank one. */
bool hf_party_read(char *line, hf_party *party);
bool hf_waiter_read(char *line, const hf_record *record, hf_waiter *waiter);
/* Of the `end` line what follows "end"; "": all zeros. */
bool hf_fold_read(char *line, hf_fold *fold);

/* Can this waiter stand at the far end? */
bool hf_waiter_is_plain(const hf_waiter *waiter);
/* Back into the order of arrival. */
void hf_waiters_sort(hf_record *record);
/* As hf_fields_move_texts(), of parties and waiters. */
size_t hf_waiters_move_texts(hf_record *record, char *to, size_t cap, size_t used);

#endif
