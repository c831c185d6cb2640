/*
 * What one contender has itself seen of one lock, on its own clock.
 *
 * Without a common clock no time of another machine is ever compared: a lease
 * expires to whoever has seen the same grant with the same count of renewals
 * for a whole ttl. This keeps since when. Pure: the caller says what time it is.
 */
#ifndef HF_OBSERVER_H
#define HF_OBSERVER_H

#include "record.h"

typedef struct hf_observation {
	char id[65]; /* of a grant or waiter, a neighbour's mark, or "closed" */
	uint64_t gen; /* that granted or last renewed it, offered, or closed the lock */
	int64_t since_ms; /* on hf_boot_ms() of the observer */
} hf_observation;

typedef struct hf_observer {
	size_t count;
	size_t cap;
	hf_observation *items;
} hf_observer;

#define HF_OBSERVER_INIT   \
	{                  \
		0, 0, NULL \
	}

void hf_observer_free(hf_observer *observer);

/*
 * The record was read, all of it, at now_ms or later: forget what is not in it
 * any more, note what is new. False: out of memory.
 */
bool hf_observer_see(hf_observer *observer, const hf_record *record, int64_t now_ms);

/* For how long grant i / waiter i's offer / the lock delay has been seen so. */
int64_t hf_observer_unchanged_ms(
	const hf_observer *observer, const hf_record *record, size_t i, int64_t now_ms);
int64_t hf_observer_offer_ms(
	const hf_observer *observer, const hf_record *record, size_t i, int64_t now_ms);
int64_t hf_observer_closed_ms(
	const hf_observer *observer, const hf_record *record, int64_t now_ms);

#endif
