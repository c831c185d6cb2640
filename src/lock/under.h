/*
 * What an acquisition stands under, as text: the holds that are kept until it
 * is over, of this and of other locks of the same space. It stands in the entry
 * of who waits; deadlock.h reads it.
 *
 *	ID/ESCAPED-NAME ID/ESCAPED-NAME ...
 */
#ifndef HF_UNDER_H
#define HF_UNDER_H

#include "base/base.h"

#define HF_UNDER_MAX 64 /* holds; more are left out, and a circle may be missed */

typedef struct hf_under {
	char id[HF_ID_LEN + 1]; /* of the hold, or of its group */
	char name[HF_NAME_MAX + 1];
} hf_under;

/* Append one, unless it is there. A failure shows in buf->failed. */
void hf_under_add(hf_buf *buf, const char *id, const char *name);

/*
 * Read the next one and move *at on; false: there is none. It comes from a
 * record: what is malformed is skipped.
 */
bool hf_under_next(const char **at, hf_under *out);

#endif
