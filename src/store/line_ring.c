#include "line_ring.h"

#include <stdlib.h>

void hf_line_ring_free(hf_line_ring *h)
{
	size_t i;

	for (i = 0; i < h->cap; i++)
		free(h->lines[i].text);
	free(h->lines);
	*h = (hf_line_ring){.lines = NULL};
}

hf_line *hf_line_ring_at(const hf_line_ring *h, size_t i)
{
	return &h->lines[(h->first + i) % h->cap];
}

static bool history_make_room(hf_line_ring *h)
{
	size_t cap = h->cap ? h->cap * 2 : 8;
	hf_line *lines = calloc(cap, sizeof(*lines));
	size_t i;

	if (!lines)
		return false;
	for (i = 0; i < h->cap; i++)
		lines[i] = *hf_line_ring_at(h, i);
	free(h->lines);
	h->lines = lines;
	h->cap = cap;
	h->first = 0;
	return true;
}

bool hf_line_ring_prepare(hf_line_ring *h, size_t limit, size_t text_size)
{
	hf_line *line;

	while (limit && h->count >= limit) {
		h->first = (h->first + 1) % h->cap;
		h->count--;
	}
	if (h->count == h->cap && !history_make_room(h))
		return false;
	line = hf_line_ring_at(h, h->count);
	if (line->cap < text_size) {
		char *text = realloc(line->text, text_size + 32);

		if (!text)
			return false;
		line->text = text;
		line->cap = text_size + 32;
	}
	return true;
}
