/* The newest lines of a history, in memory that is used again. */
#ifndef HF_LINE_RING_H
#define HF_LINE_RING_H

#include "base/base.h"

typedef struct hf_line {
	char *text;
	size_t cap;
} hf_line;

/* The newest is at (first + count - 1) % cap. */
typedef struct hf_line_ring {
	hf_line *lines;
	size_t cap;
	size_t first;
	size_t count;
} hf_line_ring;

void hf_line_ring_free(hf_line_ring *h);
/* The i-th line, the oldest being 0. */
hf_line *hf_line_ring_at(const hf_line_ring *h, size_t i);
/*
 * Get the place of the next line ready, so that adding it cannot fail. With
 * a limit the oldest line's memory is used again.
 */
bool hf_line_ring_prepare(hf_line_ring *h, size_t limit, size_t text_size);

#endif
