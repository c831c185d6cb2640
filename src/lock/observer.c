#include "observer.h"

#include <stdlib.h>

static const char closed_id[] = "closed";

void hf_observer_free(hf_observer *observer)
{
	free(observer->items);
	*observer = (hf_observer)HF_OBSERVER_INIT;
}

static hf_observation *find(const hf_observer *o, const char *id, uint64_t gen)
{
	size_t i;

	for (i = 0; i < o->count; i++)
		if (o->items[i].gen == gen && !strcmp(o->items[i].id, id))
			return &o->items[i];
	return NULL;
}

/* Put (id, gen) at place `at`, keeping since when it has been known. */
static bool note(hf_observer *o, size_t at, const char *id, uint64_t gen, int64_t now_ms)
{
	hf_observation *known = find(o, id, gen);
	hf_observation entry = {.gen = gen, .since_ms = now_ms};

	hf_copy(entry.id, sizeof(entry.id), id);
	if (known)
		entry.since_ms = known->since_ms;
	if (known && (size_t)(known - o->items) >= at) {
		*known = o->items[at];
		o->items[at] = entry;
		return true;
	}
	if (o->count == o->cap) {
		size_t cap = o->cap ? o->cap * 2 : 4;
		hf_observation *items = reallocarray(o->items, cap, sizeof(*items));

		if (!items)
			return false;
		o->items = items;
		o->cap = cap;
	}
	if (at < o->count)
		o->items[o->count] = o->items[at];
	o->items[at] = entry;
	o->count++;
	return true;
}

bool hf_observer_see(hf_observer *observer, const hf_record *record, int64_t now_ms)
{
	size_t at = 0;
	size_t i;

	for (i = 0; i < record->grant_count; i++, at++) {
		const hf_grant *g = &record->grants[i];

		if (!note(observer, at, g->id, g->gen, now_ms))
			return false;
	}
	for (i = 0; i < record->waiter_count; i++) {
		const hf_waiter *w = &record->waiters[i];

		if (w->offer && !note(observer, at++, w->want.id, w->offer, now_ms))
			return false;
	}
	if (record->closed_ms) {
		if (!note(observer, at++, closed_id, record->closed_gen, now_ms))
			return false;
	}
	observer->count = at;
	return true;
}

static int64_t since(const hf_observation *seen, int64_t now_ms)
{
	return seen && now_ms > seen->since_ms ? now_ms - seen->since_ms : 0;
}

int64_t hf_observer_unchanged_ms(
	const hf_observer *observer, const hf_record *record, size_t i, int64_t now_ms)
{
	const hf_grant *g = &record->grants[i];

	return since(find(observer, g->id, g->gen), now_ms);
}

int64_t hf_observer_offer_ms(
	const hf_observer *observer, const hf_record *record, size_t i, int64_t now_ms)
{
	const hf_waiter *w = &record->waiters[i];

	return w->offer ? since(find(observer, w->want.id, w->offer), now_ms) : 0;
}

int64_t hf_observer_closed_ms(
	const hf_observer *observer, const hf_record *record, int64_t now_ms)
{
	return since(find(observer, closed_id, record->closed_gen), now_ms);
}
