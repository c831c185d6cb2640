/*
 * Deadlocks: circles of those who wait for each other, over any locks of one
 * space.
 *
 * Who waits in a line tells there what it stands under (under.h): the holds that
 * will not be given back before its wait is over. From these follows who waits
 * for whom; no lock is looked into that is not held by somebody on the way. So
 * a look costs one who holds nothing nothing, and one whose holds nobody waits
 * for one read for each of them.
 *
 * A waiter is blocked for good if, of what must happen before its turn comes,
 * something is up to waiters who are blocked for good: all of those in its way
 * must go, but of the sharers of a lock with a limit only as many as are too
 * many. The dead wait for nothing, and block nobody; that a wait will end by its
 * timeout no record tells. Of all who are blocked for good and wait for each
 * other in circles one is the victim: of the lowest priority, of these the
 * youngest, of these the one with the greatest id. So everybody who looks names
 * the same one. Should that one not go (it is stopped, or its end cannot be
 * proven), the next is named in his place (`passed_over`).
 *
 * The records are not read at one moment. Who sees the same circle twice, the
 * second time reading nothing before all of the first was read, knows that it
 * stood in between: entries and grants have ids that never come again, and who
 * is in a circle neither gets nor gives anything.
 *
 * A store may have a line of this host before it (compose/host_line.h): who waits
 * there is not in the store's record yet, except for the one whose turn it is, who
 * stands in both. From the line's record are taken those who wait in it, and nothing
 * else: that they wait for what is in their way in the store, and for what must
 * happen there before the turn of that one. Of a wait in the line only its being
 * exclusive or not is known; the rest shows when its turn has come.
 *
 * Pure: the driver reads.
 */
#ifndef HF_DEADLOCK_H
#define HF_DEADLOCK_H

#include "lock_state.h"

typedef struct hf_deadlock_source {
	void *arg;
	/* Read and decode the record of `name`; it is freed by the caller. */
	hf_status (*read)(void *arg, const char *name, hf_record *record);
	/* The same of this host's line; NULL: there is none. */
	hf_status (*read_line)(void *arg, const char *name, hf_record *record);
	/* Is this process proven dead? Then it waits for nothing. In the line: here. */
	bool (*dead)(void *arg, const hf_process *process, bool in_line);
	/* Does the one who looks know that this hold of its own is over? */
	bool (*lost)(void *arg, const char *id);
} hf_deadlock_source;

typedef struct hf_deadlock {
	size_t passed_over; /* in: so many victims did not go */
	bool found;
	/* Others, who hold something, wait for what `id` stands under. */
	bool company;
	char circle[65]; /* the same for the same waiters */
	char victim[HF_ID_LEN + 1];
	hf_buf words; /* for people: who holds what and waits for what */
} hf_deadlock;

/*
 * As far as the records tell: a lease whose holder has lost it stands in its
 * record until somebody has found out.
 *
 * Is the waiter `id` of `record` in a circle? That is the line's record, if `in_line`.
 * What cannot be read is taken for free. HF_NO_MEMORY. *out is to be zeroed at first
 * and may be used again; hf_buf_free(&out->words) at the end.
 */
hf_status hf_deadlock_look(const hf_record *record, bool in_line, const char *id,
	const hf_deadlock_source *source, hf_deadlock *out);

#endif
