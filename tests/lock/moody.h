/* A store for tests: memory:, except that it can be told to answer late or not. */
#ifndef MOODY_H
#define MOODY_H

#include <stdatomic.h>
#include <stdbool.h>

typedef struct moody {
	_Atomic int late_ms; /* swaps are done, and answered so much later */
	_Atomic bool silent; /* swaps are done and never confirmed; reads fail */
	_Atomic int swaps; /* done while silent */
} moody;

#define MOODY_SYMBOL "moody_control"

#endif
