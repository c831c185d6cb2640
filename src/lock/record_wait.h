/* Those who wait, as lines of the record: for record.c. */
#ifndef HF_RECORD_WAIT_H
#define HF_RECORD_WAIT_H

#include "fields.h"
#include "record.h"

/* Append "\nwait ..." for each. */
void hf_waiters_put(hf_buf *buf, const hf_waiter *waiters, size_t count);
/*
 * Read what follows "wait " into a blank one; `before` is the one on the line
 * before, NULL for the first.
 */
bool hf_waiter_read(char *line, hf_waiter *w, const hf_waiter *before);
/* As hf_fields_move_texts(), of all of them. */
size_t hf_waiters_move_texts(
	hf_waiter *waiters, size_t count, char *to, size_t cap, size_t used);

#endif
