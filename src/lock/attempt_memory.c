/* The memory of an attempt: given back, or kept for the next. See attempt.h. */
#include "attempt.h"

#include <stdlib.h>

static void free_gathered(hf_attempt *attempt)
{
	hf_snapshot_clear(&attempt->snap);
	hf_snapshot_clear(&attempt->reply);
	hf_record_free(&attempt->record);
	hf_record_free(&attempt->next);
	hf_buf_free(&attempt->scratch);
	hf_buf_free(&attempt->out);
	hf_buf_free(&attempt->line);
	hf_buf_free(&attempt->summary);
	hf_buf_free(&attempt->deadlock.words);
	free(attempt->evidence);
	attempt->evidence = NULL;
	attempt->evidence_cap = 0;
	free(attempt->waiters);
	attempt->waiters = NULL;
	attempt->waiters_cap = 0;
	free(attempt->view);
	attempt->view = NULL;
}

void hf_attempt_free(hf_attempt *attempt)
{
	free_gathered(attempt);
	hf_observer_free(&attempt->own_observer);
}

/* *items gets room for n of `size` bytes, zeroed. */
static bool blank(void **items, size_t *cap, size_t n, size_t size)
{
	if (n > *cap) {
		void *more = reallocarray(*items, n, size);

		if (!more)
			return false;
		*items = more;
		*cap = n;
	}
	if (n)
		memset(*items, 0, n * size);
	return true;
}

bool hf_attempt_blank_evidence(hf_attempt *attempt)
{
	const hf_record *r = &attempt->record;
	void *grants = attempt->evidence;
	void *waiters = attempt->waiters;
	bool enough = blank(&grants, &attempt->evidence_cap, r->grant_count,
			      sizeof(*attempt->evidence)) &&
		      blank(&waiters, &attempt->waiters_cap, r->waiter_count,
			      sizeof(*attempt->waiters));

	attempt->evidence = grants;
	attempt->waiters = waiters;
	return enough;
}

static void exchange_bufs(hf_buf *a, hf_buf *b)
{
	hf_buf old = *a;

	*a = *b;
	*b = old;
}

void hf_attempt_exchange_memory(hf_attempt *to, hf_attempt *from)
{
	hf_grant_evidence *evidence = to->evidence;
	size_t cap = to->evidence_cap;

	hf_record_exchange(&to->record, &from->record);
	hf_record_exchange(&to->next, &from->next);
	hf_record_reset(&to->record);
	hf_record_reset(&to->next);
	exchange_bufs(&to->scratch, &from->scratch);
	exchange_bufs(&to->out, &from->out);
	exchange_bufs(&to->line, &from->line);
	exchange_bufs(&to->summary, &from->summary);
	to->evidence = from->evidence;
	to->evidence_cap = from->evidence_cap;
	from->evidence = evidence;
	from->evidence_cap = cap;
}

void hf_attempt_rest(hf_attempt *attempt, hf_attempt *spare)
{
	hf_attempt_exchange_memory(spare, attempt);
	free_gathered(attempt);
	hf_record_init(&attempt->record);
	hf_record_init(&attempt->next);
	attempt->decoded = false;
	attempt->written = false;
	attempt->bare = false;
}
