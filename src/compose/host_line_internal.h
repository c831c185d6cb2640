/*
 * The host's line, its parts for each other:
 *
 *	host_line.c	   who stands in it and for how long
 *	host_line_place.c  one place: taken, renewed, given back
 *	host_line_open.c   the folder; what is forgotten
 */
#ifndef HF_HOST_LINE_INTERNAL_H
#define HF_HOST_LINE_INTERNAL_H

#include "host_line.h"

#define HF_LINE_NAMES 64 /* that are remembered, to be forgotten in the line: a power of two */

/* In hf_manager.before_data. */
typedef struct hf_host_line {
	pthread_mutex_t mutex; /* of `used` */
	char *used[HF_LINE_NAMES];
	atomic_bool told; /* that there is no line */
	char problem[384]; /* why it could not be opened */
} hf_host_line;

/* ---- host_line_open.c ---- */

/* From now on this stands before the manager, with a line if it can be opened. */
void hf_host_line_begin(hf_manager *m, const hf_before *before);
/* A place of this name was given back: it may be free, and of use to nobody. */
void hf_host_line_used(hf_manager *m, const char *name);
void hf_host_line_tidy(hf_manager *m);
void hf_host_line_close(hf_manager *m);
/* Say once that there is no line, and why. */
void hf_host_line_tell(hf_manager *m, const char *why);

/* ---- host_line_place.c ---- */

/* The place of one acquisition. */
typedef struct hf_place {
	hf_acquisition *acq;
	bool had; /* or may be had, if its fate is unknown */
	bool broken; /* the line cannot be used */
	int64_t ttl_ms;
	int64_t vouched_ms; /* on hf_boot_ms(), when it was taken or renewed */
} hf_place;

typedef struct hf_place_ask {
	hf_strategy strategy; /* HF_QUEUE, HF_RETRY, HF_FAIL_FAST */
	hf_take take; /* HF_TAKE_ALL: from whoever has it */
	int64_t ttl_ms;
} hf_place_ask;

/*
 * Take it. HF_OK: it is had, or the line cannot be used: on to the store. HF_HELD, and
 * *sure_out: the store would say so too. HF_TIMED_OUT, HF_DEADLOCK.
 */
hf_status hf_place_take(
	hf_place *place, const hf_place_ask *ask, bool *sure_out, hf_error *error);
/* False: it is had no longer. */
bool hf_place_renew(hf_lease *lease, int64_t ttl_ms);
void hf_place_leave(hf_lease *lease);

#endif
