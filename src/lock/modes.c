/* The modes of a hold. See modes.h. */
#include "modes.h"

#define MODES (HF_INTENT_EXCLUSIVE + 1)
#define BIT(mode) (1u << (mode))

/* The modes that each conflicts with. */
static const unsigned char conflicts[MODES] = {
	[HF_EXCLUSIVE] = BIT(HF_EXCLUSIVE) | BIT(HF_SHARED) | BIT(HF_INTENT_SHARED) |
			 BIT(HF_INTENT_EXCLUSIVE),
	[HF_SHARED] = BIT(HF_EXCLUSIVE) | BIT(HF_INTENT_EXCLUSIVE),
	[HF_INTENT_SHARED] = BIT(HF_EXCLUSIVE),
	[HF_INTENT_EXCLUSIVE] = BIT(HF_EXCLUSIVE) | BIT(HF_SHARED),
};

static const char *const texts[MODES] = {
	[HF_EXCLUSIVE] = "x",
	[HF_SHARED] = "s",
	[HF_INTENT_SHARED] = "is",
	[HF_INTENT_EXCLUSIVE] = "ix",
};

const char *hf_mode_name(hf_mode mode)
{
	static const char *const names[MODES] = {
		[HF_EXCLUSIVE] = "exclusive",
		[HF_SHARED] = "shared",
		[HF_INTENT_SHARED] = "intent-shared",
		[HF_INTENT_EXCLUSIVE] = "intent-exclusive",
	};

	return hf_mode_is_known(mode) ? names[mode] : "?";
}

bool hf_mode_is_known(hf_mode mode)
{
	return (unsigned)mode < MODES;
}

bool hf_modes_conflict(hf_mode a, hf_mode b)
{
	return (conflicts[a] & BIT(b)) != 0;
}

bool hf_mode_covers(hf_mode a, hf_mode b)
{
	return (conflicts[b] & ~conflicts[a]) == 0;
}

bool hf_mode_is_intent(hf_mode mode)
{
	return mode == HF_INTENT_SHARED || mode == HF_INTENT_EXCLUSIVE;
}

hf_mode hf_mode_above(hf_mode mode)
{
	return mode == HF_SHARED || mode == HF_INTENT_SHARED ? HF_INTENT_SHARED
							     : HF_INTENT_EXCLUSIVE;
}

const char *hf_mode_text(hf_mode mode)
{
	return texts[mode];
}

bool hf_mode_read(const char *text, hf_mode *out)
{
	unsigned i;

	for (i = 0; i < MODES; i++) {
		if (!strcmp(texts[i], text)) {
			*out = (hf_mode)i;
			return true;
		}
	}
	return false;
}

/* ---- groups ---- */

bool hf_same_group(const hf_grant *a, const hf_grant *b)
{
	return strcmp(a->group, b->group) == 0;
}

/* True for the first of each group that holds the lock itself. */
static bool takes_place(const hf_record *r, size_t i)
{
	size_t j;

	if (hf_mode_is_intent(r->grants[i].mode))
		return false;
	for (j = 0; j < i; j++)
		if (!hf_mode_is_intent(r->grants[j].mode) &&
			hf_same_group(&r->grants[j], &r->grants[i]))
			return false;
	return true;
}

size_t hf_place_count(const hf_record *r)
{
	size_t n = 0;
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		n += takes_place(r, i);
	return n;
}

/*
 * Whoever conflicts with another is of its group, and so are all that conflict
 * with that: exclusive ones make all one group; shared ones and exclusive
 * intentions, if there are both, make all of these one.
 */
bool hf_holders_go_together(const hf_record *r)
{
	const hf_grant *first = NULL;
	unsigned modes = 0;
	unsigned of_one_group;
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		modes |= BIT(r->grants[i].mode);
	of_one_group = BIT(HF_SHARED) | BIT(HF_INTENT_EXCLUSIVE);
	if (modes & BIT(HF_EXCLUSIVE))
		of_one_group = modes;
	else if ((modes & of_one_group) != of_one_group)
		return true;
	for (i = 0; i < r->grant_count; i++) {
		const hf_grant *g = &r->grants[i];

		if (!(BIT(g->mode) & of_one_group))
			continue;
		if (!first)
			first = g;
		else if (!hf_same_group(g, first))
			return false;
	}
	return true;
}

/* How many of its own group there are, itself included, whose mode conflicts. */
static size_t own_in_the_way(const hf_record *r, const hf_waiter *w)
{
	size_t n = 0;
	size_t i;

	if (!hf_waiter_upgrades(w))
		return hf_modes_conflict(w->want.mode, w->want.mode);
	for (i = 0; i < r->grant_count; i++)
		n += hf_same_group(&r->grants[i], &w->want) &&
		     hf_modes_conflict(r->grants[i].mode, w->want.mode);
	for (i = 0; i < r->waiter_count; i++)
		n += r->waiters[i].offer && hf_same_group(&r->waiters[i].want, &w->want) &&
		     hf_modes_conflict(r->waiters[i].want.mode, w->want.mode);
	return n;
}

bool hf_offers_go_together(const hf_record *r)
{
	size_t held[HF_INTENT_EXCLUSIVE + 1] = {0};
	size_t i;
	unsigned k;

	for (i = 0; i < r->grant_count; i++)
		held[r->grants[i].mode]++;
	for (i = 0; i < r->waiter_count; i++)
		if (r->waiters[i].offer)
			held[r->waiters[i].want.mode]++;
	for (i = 0; i < r->waiter_count; i++) {
		const hf_waiter *w = &r->waiters[i];
		size_t in_the_way = 0;

		if (!w->offer)
			continue;
		for (k = 0; k < HF_ARRAY_LEN(held); k++)
			if (hf_modes_conflict((hf_mode)k, w->want.mode))
				in_the_way += held[k];
		if (in_the_way != own_in_the_way(r, w))
			return false;
	}
	return true;
}
