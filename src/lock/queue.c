/* The line of those who wait. See queue.h. */
#include "queue.h"

#include <stdio.h>

static int64_t priority(const hf_waiter *w)
{
	return (int64_t)w->want.priority + (int64_t)(w->passed / HF_QUEUE_AGING);
}

bool hf_queue_before(const hf_waiter *a, const hf_waiter *b)
{
	if (hf_waiter_upgrades(a) != hf_waiter_upgrades(b))
		return hf_waiter_upgrades(a);
	if (a->missed != b->missed)
		return a->missed < b->missed;
	if (priority(a) != priority(b))
		return priority(a) > priority(b);
	if (a->arrival != b->arrival)
		return a->arrival < b->arrival;
	return strcmp(a->want.id, b->want.id) < 0;
}

int hf_queue_find(const hf_record *record, const char *id)
{
	size_t i;

	for (i = 0; i < record->waiter_count; i++)
		if (!strcmp(record->waiters[i].want.id, id))
			return (int)i;
	return -1;
}

size_t hf_queue_find_far(const hf_record *record, const char *id)
{
	char word[80];
	int n = snprintf(word, sizeof(word), "wait id=%s ", id);
	const char *at;
	const char *p;
	size_t far;

	if (!record->far_count)
		return 0;
	/* With '%' it would stand there in another form. */
	if (n >= (int)sizeof(word) || strchr(id, '%'))
		return SIZE_MAX;
	at = memmem(record->far, record->far_len, word, (size_t)n);
	if (!at)
		return 0;
	p = record->far;
	for (far = 1; (p = memchr(p, '\n', (size_t)(at - p))); far++)
		p++;
	return far;
}

/* Is he of those at hand served before all at the far end? */
static bool is_near(const hf_record *record, size_t i)
{
	const hf_waiter *w = &record->waiters[i];

	if (!record->far_count || hf_waiter_upgrades(w))
		return true;
	return !w->missed && (priority(w) > 0 || (priority(w) == 0 && i < record->far_at));
}

int hf_queue_head(const hf_record *record)
{
	int head = -1;
	size_t i;

	for (i = 0; i < record->waiter_count; i++)
		if (!record->waiters[i].offer &&
			(head < 0 ||
				hf_queue_before(&record->waiters[i], &record->waiters[head])))
			head = (int)i;
	if (record->far_count && (head < 0 || !is_near(record, (size_t)head)))
		return HF_QUEUE_FAR;
	return head;
}

size_t hf_queue_ahead(const hf_record *record, const hf_waiter *waiter)
{
	size_t n = 0;
	size_t me = record->waiter_count;
	size_t i;

	for (i = 0; i < record->waiter_count; i++) {
		const hf_waiter *w = &record->waiters[i];

		n += !w->offer && strcmp(w->want.id, waiter->want.id) != 0 &&
		     hf_queue_before(w, waiter);
		me = !strcmp(w->want.id, waiter->want.id) ? i : me;
	}
	if (me == record->waiter_count ? !hf_waiter_upgrades(waiter) : !is_near(record, me))
		n += record->far_count;
	return n;
}

size_t hf_queue_ahead_of_far(const hf_record *record, size_t far)
{
	size_t n = far - 1;
	size_t i;

	for (i = 0; i < record->waiter_count; i++)
		n += !record->waiters[i].offer && is_near(record, i);
	return n;
}

int hf_queue_right_before(const hf_record *record, const hf_waiter *waiter)
{
	bool behind_far =
		record->far_count && !is_near(record, (size_t)(waiter - record->waiters));
	int last = -1;
	size_t i;

	for (i = 0; i < record->waiter_count; i++) {
		const hf_waiter *w = &record->waiters[i];

		if (w->offer || w == waiter || !hf_queue_before(w, waiter) ||
			(last >= 0 && hf_queue_before(w, &record->waiters[last])))
			continue;
		last = (int)i;
	}
	if (behind_far && (last < 0 || is_near(record, (size_t)last)))
		return HF_QUEUE_FAR;
	return last;
}

int hf_queue_offered(const hf_record *record, const char *id)
{
	size_t i;

	for (i = 0; i < record->waiter_count; i++)
		if (record->waiters[i].offer && strcmp(record->waiters[i].want.id, id) != 0)
			return (int)i;
	return -1;
}

void hf_queue_drop(hf_record *record, size_t i)
{
	record->waiter_count--;
	record->far_at -= i < record->far_at;
	memmove(record->waiters + i, record->waiters + i + 1,
		(record->waiter_count - i) * sizeof(*record->waiters));
}

static bool has_hold(const hf_record *record, const char *group)
{
	size_t i;

	for (i = 0; i < record->grant_count; i++)
		if (!strcmp(record->grants[i].group, group))
			return true;
	return false;
}

void hf_queue_drop_orphans(hf_record *record)
{
	size_t i = 0;

	while (i < record->waiter_count) {
		const hf_waiter *w = &record->waiters[i];

		if (hf_waiter_upgrades(w) && !has_hold(record, w->want.group))
			hf_queue_drop(record, i);
		else
			i++;
	}
}

bool hf_queue_went_past(hf_record *record, uint64_t arrival)
{
	size_t i;

	for (i = 0; i < record->waiter_count; i++)
		if (!record->waiters[i].offer && record->waiters[i].arrival < arrival)
			record->waiters[i].passed++;
	return !record->far_count || arrival <= record->far_from;
}

/* Has waiter i let an offer lapse before, or another of his host? */
static bool missed_before(const hf_record *r, size_t i)
{
	size_t j;

	for (j = 0; j < r->waiter_count; j++)
		if (r->waiters[j].missed > HF_QUEUE_HOST_MISSED &&
			hf_queue_of_host(&r->waiters[j], r->waiters[i].want.process.host))
			return true;
	return false;
}

bool hf_queue_of_host(const hf_waiter *w, const char *host)
{
	return host[0] && !strcmp(w->want.process.host, host);
}

bool hf_queue_missed(hf_record *record, size_t i)
{
	hf_waiter *w = &record->waiters[i];
	bool all = missed_before(record, i);
	size_t j;

	w->offer = 0;
	w->claim_deadline_ms = 0;
	w->missed = (w->missed ? w->missed : HF_QUEUE_HOST_MISSED) + 1;
	for (j = 0; all && j < record->waiter_count; j++)
		if (!record->waiters[j].missed && !record->waiters[j].offer &&
			hf_queue_of_host(&record->waiters[j], w->want.process.host))
			record->waiters[j].missed = HF_QUEUE_HOST_MISSED;
	if (w->missed < HF_QUEUE_HOST_MISSED + HF_QUEUE_MISSES)
		return false;
	hf_queue_drop(record, i);
	return true;
}

void hf_queue_to_ring(const hf_record *before, const hf_record *after, const char *self,
	void (*ring)(void *arg, const hf_waiter *waiter), void *arg)
{
	int was = hf_queue_head(before);
	int is = hf_queue_head(after);
	size_t i;

	for (i = 0; i < after->waiter_count; i++) {
		const hf_waiter *w = &after->waiters[i];

		if (w->offer == after->gen && strcmp(w->want.id, self) != 0)
			ring(arg, w);
	}
	if (is < 0 || !strcmp(after->waiters[is].want.id, self))
		return;
	if (was < 0 || strcmp(before->waiters[was].want.id, after->waiters[is].want.id) != 0)
		ring(arg, &after->waiters[is]);
}
