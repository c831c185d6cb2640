/* Circles of waiters. See deadlock.h. */
#include "deadlock.h"
#include "under.h"

#include "base/sha256.h"

#include <stdlib.h>

#define NODES_MAX 4096 /* more would take too long: then nothing is found */

/* A record that was read, or the one that all begins with. */
struct page {
	struct page *next;
	const hf_record *record;
	hf_record own;
	char name[HF_NAME_MAX + 1];
};

/* One hold that a waiter stands under. */
struct hold {
	const hf_record *record;
	size_t grant;
};

/* One who waits and holds something. */
struct node {
	const hf_record *record;
	size_t waiter;
	struct hold *holds;
	size_t hold_count;
	bool blocked; /* for good, as far as is known */
	bool waited_for; /* by the one who looks, over others */
	bool waits; /* for the one who looks, over others */
	size_t from; /* on the way back to the one who looks */
};

struct graph {
	const hf_deadlock_source *source;
	struct page *pages;
	struct node *nodes; /* the first is the one who looks */
	size_t count;
	size_t cap;
};

static const hf_waiter *waiter_of(const struct node *n)
{
	return &n->record->waiters[n->waiter];
}

/* ---- who is in whose way ---- */

/* Is grant i one that must go, or one of those of whom some must? */
static bool in_the_way(const hf_record *r, const hf_waiter *w, size_t i)
{
	const hf_grant *g = &r->grants[i];

	return !hf_same_group(g, &w->want) && hf_competes(r, g, &w->want);
}

static bool holds_any_of_group(const struct node *n, const hf_record *r, size_t grant)
{
	size_t i;

	for (i = 0; i < n->hold_count; i++)
		if (n->holds[i].record == r &&
			hf_same_group(&r->grants[n->holds[i].grant], &r->grants[grant]))
			return true;
	return false;
}

/* Does waiter w itself, whoever else is in the line, wait for a hold of m? */
static bool waits_on_holds(const hf_record *r, const hf_waiter *w, const struct node *m)
{
	size_t i;

	for (i = 0; i < m->hold_count; i++)
		if (m->holds[i].record == r && in_the_way(r, w, m->holds[i].grant))
			return true;
	return false;
}

/* w, or one whose turn comes before. */
static bool not_after(const hf_waiter *other, const hf_waiter *w)
{
	return other == w || (!other->offer && hf_queue_before(other, w));
}

/* Must something that is up to m happen before the turn of n comes? */
static bool waits_for(const struct node *n, const struct node *m)
{
	const hf_record *r = n->record;
	const hf_waiter *w = waiter_of(n);
	size_t i;

	if (m->record == r && m != n && not_after(waiter_of(m), w))
		return true;
	for (i = 0; i < r->waiter_count; i++)
		if (not_after(&r->waiters[i], w) && waits_on_holds(r, &r->waiters[i], m))
			return true;
	return false;
}

/* ---- gathering all who wait for the one who looks ---- */

static const hf_record *page_of(struct graph *g, const char *name)
{
	struct page *p;

	for (p = g->pages; p; p = p->next)
		if (!strcmp(p->name, name))
			return p->record;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	hf_record_init(&p->own);
	hf_copy(p->name, sizeof(p->name), name);
	if (g->source->read(g->source->arg, p->name, &p->own)) {
		hf_record_free(&p->own); /* not to be read: nobody holds it */
		hf_record_init(&p->own);
	}
	p->record = &p->own;
	p->next = g->pages;
	g->pages = p;
	return p->record;
}

static bool add_hold(struct node *n, const hf_record *r, const char *id)
{
	struct hold *more;
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (!strcmp(r->grants[i].id, id) || !strcmp(r->grants[i].group, id))
			break;
	if (i == r->grant_count)
		return true; /* over: it stands under it no more */
	more = realloc(n->holds, (n->hold_count + 1) * sizeof(*more));
	if (!more)
		return false;
	n->holds = more;
	n->holds[n->hold_count++] = (struct hold){r, i};
	return true;
}

static bool read_holds(struct graph *g, struct node *n)
{
	const char *at = waiter_of(n)->want.under;
	size_t count = 0;
	hf_under u;

	while (count++ < HF_UNDER_MAX && hf_under_next(&at, &u)) {
		const hf_record *r;

		if (n == g->nodes && g->source->lost(g->source->arg, u.id))
			continue;
		r = page_of(g, u.name);
		if (!r || !add_hold(n, r, u.id))
			return false;
	}
	return true;
}

static bool add_node(struct graph *g, const hf_record *r, size_t waiter)
{
	struct node *more;
	size_t i;

	for (i = 0; i < g->count; i++)
		if (g->nodes[i].record == r && g->nodes[i].waiter == waiter)
			return true;
	if (g->count == g->cap) {
		more = realloc(g->nodes, (2 * g->cap + 16) * sizeof(*more));
		if (!more)
			return false;
		g->nodes = more;
		g->cap = 2 * g->cap + 16;
	}
	g->nodes[g->count] = (struct node){.record = r, .waiter = waiter, .blocked = true};
	return read_holds(g, &g->nodes[g->count++]);
}

/* All of `r` who hold something and wait for node i. */
static bool add_waiters(struct graph *g, const hf_record *r, size_t i)
{
	size_t w;

	for (w = 0; w < r->waiter_count && g->count < NODES_MAX; w++) {
		const hf_waiter *waiter = &r->waiters[w];
		struct node other = {.record = r, .waiter = w};

		if (waiter->offer || !waiter->want.under[0] ||
			!waits_for(&other, &g->nodes[i]) ||
			g->source->dead(g->source->arg, &waiter->want.process))
			continue;
		if (!add_node(g, r, w))
			return false;
	}
	return true;
}

static bool gather(struct graph *g, const hf_record *record, size_t waiter)
{
	size_t i;
	size_t k;

	if (!add_node(g, record, waiter))
		return false;
	for (i = 0; i < g->count; i++) {
		if (!add_waiters(g, g->nodes[i].record, i))
			return false;
		for (k = 0; k < g->nodes[i].hold_count; k++)
			if (!add_waiters(g, g->nodes[i].holds[k].record, i))
				return false;
	}
	return true;
}

/* ---- who is blocked for good ---- */

static bool held_by_blocked(const struct graph *g, const hf_record *r, size_t grant)
{
	size_t i;

	for (i = 0; i < g->count; i++)
		if (g->nodes[i].blocked && holds_any_of_group(&g->nodes[i], r, grant))
			return true;
	return false;
}

/* Of those that hold the lock itself: intentions take no place of a limit. */
static bool first_of_group(const hf_record *r, size_t grant)
{
	size_t i;

	if (hf_mode_is_intent(r->grants[grant].mode))
		return false;
	for (i = 0; i < grant; i++)
		if (!hf_mode_is_intent(r->grants[i].mode) &&
			hf_same_group(&r->grants[i], &r->grants[grant]))
			return false;
	return true;
}

/* Will what stands in the way of w itself never go? */
static bool blocked_by_holds(const struct graph *g, const hf_record *r, const hf_waiter *w)
{
	size_t staying = 0;
	size_t i;

	for (i = 0; i < r->grant_count; i++) {
		bool conflicts = hf_conflicts(&r->grants[i], &w->want);

		if (hf_same_group(&r->grants[i], &w->want) ||
			!(conflicts || first_of_group(r, i)) || !held_by_blocked(g, r, i))
			continue;
		if (conflicts)
			return true;
		staying++;
	}
	return w->want.limit && staying >= w->want.limit;
}

static bool is_blocked(const struct graph *g, const struct node *n)
{
	const hf_record *r = n->record;
	const hf_waiter *w = waiter_of(n);
	size_t i;

	for (i = 0; i < r->waiter_count; i++)
		if (not_after(&r->waiters[i], w) && blocked_by_holds(g, r, &r->waiters[i]))
			return true;
	return false;
}

/* Take out those who will get on, until no more do. */
static void let_go(struct graph *g)
{
	bool again = true;
	size_t i;

	while (again) {
		again = false;
		for (i = 0; i < g->count; i++) {
			if (!g->nodes[i].blocked || is_blocked(g, &g->nodes[i]))
				continue;
			g->nodes[i].blocked = false;
			again = true;
		}
	}
}

/* ---- the circles through the one who looks ---- */

static void spread(struct graph *g)
{
	bool again = true;
	size_t i;
	size_t k;

	g->nodes[0].waits = g->nodes[0].waited_for = true;
	while (again) {
		again = false;
		for (i = 0; i < g->count; i++) {
			for (k = 0; k < g->count; k++) {
				struct node *n = &g->nodes[i];
				struct node *m = &g->nodes[k];

				if (!n->blocked || !m->blocked || i == k ||
					!((n->waited_for && !m->waited_for) ||
						(m->waits && !n->waits)) ||
					!waits_for(n, m))
					continue;
				again = again || (n->waited_for && !m->waited_for) ||
					(m->waits && !n->waits);
				if (n->waited_for && !m->waited_for) {
					m->waited_for = true;
					m->from = i;
				}
				n->waits = n->waits || m->waits;
			}
		}
	}
}

static bool in_circle(const struct node *n)
{
	return n->blocked && n->waits && n->waited_for;
}

/* Is `a` rather to give way than `b`? */
static bool gives_way(const hf_waiter *a, const hf_waiter *b)
{
	if (a->want.priority != b->want.priority)
		return a->want.priority < b->want.priority;
	if (a->want.acquired_wall_ms != b->want.acquired_wall_ms)
		return a->want.acquired_wall_ms > b->want.acquired_wall_ms;
	return strcmp(a->want.id, b->want.id) > 0;
}

static int by_turn_to_give_way(const void *a, const void *b)
{
	const hf_waiter *left = waiter_of(*(const struct node *const *)a);
	const hf_waiter *right = waiter_of(*(const struct node *const *)b);

	if (gives_way(left, right))
		return -1;
	return gives_way(right, left);
}

static bool name_circle(const struct graph *g, hf_deadlock *out)
{
	const struct node **members = malloc(g->count * sizeof(*members));
	size_t victim = out->passed_over;
	hf_sha256 hash;
	size_t count = 0;
	size_t i;

	if (!members)
		return false;
	for (i = 0; i < g->count; i++)
		if (in_circle(&g->nodes[i]))
			members[count++] = &g->nodes[i];
	qsort(members, count, sizeof(*members), by_turn_to_give_way);
	hf_sha256_begin(&hash);
	for (i = 0; i < count; i++) {
		const char *id = waiter_of(members[i])->want.id;

		hf_sha256_add(&hash, id, strlen(id) + 1);
	}
	hf_sha256_end(&hash, out->circle);
	hf_copy(out->victim, sizeof(out->victim),
		waiter_of(members[victim < count ? victim : count - 1])->want.id);
	free(members);
	return true;
}

/* ---- in words ---- */

static void tell_hold(const struct node *n, const hf_record *wanted, hf_buf *words)
{
	const char *verb = "holds";
	size_t i;

	for (i = 0; i < n->hold_count; i++)
		if (n->holds[i].record == wanted)
			break;
	if (i == n->hold_count)
		verb = "comes before in the line of";
	hf_buf_addf(words, " %s '%s',", verb, wanted->name);
}

/* `wanted`: what the one before waits for. */
static void tell_node(const struct node *n, const hf_record *wanted, hf_buf *words)
{
	const hf_waiter *w = waiter_of(n);

	if (words->len)
		hf_buf_adds(words, "; ");
	hf_buf_adds(words, w->want.owner);
	if (w->want.process.pid > 0)
		hf_buf_addf(words, " (pid %lld)", (long long)w->want.process.pid);
	tell_hold(n, wanted, words);
	hf_buf_addf(words, hf_waiter_upgrades(w) ? " waits to upgrade '%s'" : " waits for '%s'",
		n->record->name);
}

/* The circle the other way round from its last member, who waits for us. */
static void tell(const struct graph *g, hf_deadlock *out)
{
	size_t path[NODES_MAX];
	size_t count = 0;
	size_t last = 0;
	size_t i;

	for (i = 1; i < g->count && !last; i++)
		if (in_circle(&g->nodes[i]) && waits_for(&g->nodes[i], &g->nodes[0]))
			last = i;
	hf_buf_clear(&out->words);
	tell_node(&g->nodes[0], g->nodes[last].record, &out->words);
	for (i = last; i && count < NODES_MAX; i = g->nodes[i].from)
		path[count++] = i;
	while (count-- > 0) {
		const struct node *n = &g->nodes[path[count]];

		tell_node(n, g->nodes[n->from].record, &out->words);
	}
}

static void free_graph(struct graph *g, const hf_record *first)
{
	size_t i;

	while (g->pages) {
		struct page *p = g->pages;

		g->pages = p->next;
		if (p->record != first)
			hf_record_free(&p->own);
		free(p);
	}
	for (i = 0; i < g->count; i++)
		free(g->nodes[i].holds);
	free(g->nodes);
}

static bool find(struct graph *g, const hf_record *record, size_t waiter, hf_deadlock *out)
{
	struct page *first = calloc(1, sizeof(*first));
	size_t i;

	if (!first)
		return false;
	first->record = record;
	hf_copy(first->name, sizeof(first->name), record->name);
	g->pages = first;
	if (!gather(g, record, waiter))
		return false;
	/* Also one alone, who has what he waits for. */
	out->found = waits_for(&g->nodes[0], &g->nodes[0]);
	out->company = g->count > 1 || out->found;
	if (!out->company || g->count >= NODES_MAX) {
		out->found = false;
		return true;
	}
	let_go(g);
	out->found = out->found && g->nodes[0].blocked;
	if (!g->nodes[0].blocked)
		return true;
	spread(g);
	for (i = 1; i < g->count && !out->found; i++)
		out->found = in_circle(&g->nodes[i]);
	if (!out->found)
		return true;
	if (!name_circle(g, out))
		return false;
	tell(g, out);
	return !out->words.failed;
}

hf_status hf_deadlock_look(const hf_record *record, const char *id,
	const hf_deadlock_source *source, hf_deadlock *out)
{
	struct graph g = {.source = source};
	int mine = hf_queue_find(record, id);
	bool ok = true;

	out->found = out->company = false;
	if (mine < 0 || record->waiters[mine].offer || !record->waiters[mine].want.under[0])
		return HF_OK;
	ok = find(&g, record, (size_t)mine, out);
	free_graph(&g, record);
	if (!ok)
		out->found = false;
	return ok ? HF_OK : HF_NO_MEMORY;
}
