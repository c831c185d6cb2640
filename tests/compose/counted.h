/* A store for tests: file:, except that it counts, can be late, and wants a line before it. */
#ifndef COUNTED_H
#define COUNTED_H

#include <stdatomic.h>

typedef struct counted {
	_Atomic long reads;
	_Atomic long swaps;
	_Atomic int late_ms; /* a swap begins so much later */
} counted;

/* A counted *, to a page that forked processes share. */
#define COUNTED_SYMBOL "counted_control"

#endif
