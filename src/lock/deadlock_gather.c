/* Who waits for whom, from the records. See deadlock_graph.h. */
#include "deadlock_graph.h"
#include "under.h"

#include <stdlib.h>

const hf_waiter *hf_node_waiter(const hf_node *n)
{
	return n->in_line ? &n->page->line.waiters[n->waiter]
			  : &n->page->store->waiters[n->waiter];
}

/* ---- who is in whose way ---- */

/* Is grant i one that must go, or one of those of whom some must? */
static bool in_the_way(const hf_record *r, const hf_waiter *w, size_t i)
{
	const hf_grant *g = &r->grants[i];

	return !hf_same_group(g, &w->want) && hf_competes(r, g, &w->want);
}

bool hf_node_holds_any_of_group(const hf_node *n, const hf_page *page, size_t grant)
{
	const hf_grant *grants = page->store->grants;
	size_t i;

	for (i = 0; i < n->hold_count; i++)
		if (n->holds[i].page == page &&
			hf_same_group(&grants[n->holds[i].grant], &grants[grant]))
			return true;
	return false;
}

/* Does waiter w itself, whoever else is in the line, wait for a hold of m? */
static bool waits_on_holds(const hf_page *page, const hf_waiter *w, const hf_node *m)
{
	size_t i;

	for (i = 0; i < m->hold_count; i++)
		if (m->holds[i].page == page && in_the_way(page->store, w, m->holds[i].grant))
			return true;
	return false;
}

/* w, or one whose turn comes before. Both of one record. */
static bool not_after(const hf_waiter *other, const hf_waiter *w)
{
	return other == w || (!other->offer && hf_queue_before(other, w));
}

/*
 * Of the store's waiters: is his turn not after that of n? Who waits in the line
 * comes after its head, after those before whom that one comes not, and after
 * upgrades, as all who hold nothing do.
 */
static bool store_waiter_not_after(const hf_node *n, const hf_waiter *w)
{
	const hf_page *page = n->page;

	if (!n->in_line)
		return not_after(w, hf_node_waiter(n));
	return (hf_waiter_upgrades(w) && !w->offer) ||
	       (page->head >= 0 && not_after(w, &page->store->waiters[page->head]));
}

const hf_waiter *hf_node_next_before(const hf_node *n, size_t *at)
{
	const hf_page *page = n->page;
	size_t count = page->store->waiter_count;

	while (*at < count) {
		const hf_waiter *w = &page->store->waiters[(*at)++];

		if (store_waiter_not_after(n, w))
			return w;
	}
	while (n->in_line && *at < count + page->line.waiter_count) {
		const hf_waiter *w = &page->line.waiters[(*at)++ - count];

		if (not_after(w, hf_node_waiter(n)))
			return w;
	}
	return NULL;
}

/* Of one page: is the turn of m surely before that of n? */
static bool precedes(const hf_node *m, const hf_node *n)
{
	if (m->in_line)
		return n->in_line && not_after(hf_node_waiter(m), hf_node_waiter(n));
	return store_waiter_not_after(n, hf_node_waiter(m));
}

bool hf_node_waits_for(const hf_node *n, const hf_node *m)
{
	const hf_waiter *w;
	size_t at = 0;

	if (m->page == n->page && m != n && precedes(m, n))
		return true;
	while ((w = hf_node_next_before(n, &at)))
		if (waits_on_holds(n->page, w, m))
			return true;
	return false;
}

/* ---- reading ---- */

static void find_head(hf_page *p)
{
	size_t i;

	p->head = -1;
	for (i = 0; i < p->line.grant_count && p->head < 0; i++)
		p->head = hf_queue_find(p->store, p->line.grants[i].id);
}

/* Whatever they want, of those who want to share it the exclusive are in the way. */
static void keep_what_counts(hf_record *line)
{
	size_t i;

	for (i = 0; i < line->waiter_count; i++) {
		hf_grant *want = &line->waiters[i].want;

		want->limit = 0;
		if (want->mode != HF_EXCLUSIVE)
			want->mode = HF_INTENT_SHARED;
	}
}

static void read_into(const hf_graph *g, const char *name, hf_record *record, bool in_line)
{
	const hf_deadlock_source *s = g->source;

	if (in_line ? !s->read_line || s->read_line(s->arg, name, record)
		    : s->read(s->arg, name, record)) {
		hf_record_free(record); /* not to be read: nobody holds it */
		hf_record_init(record);
	}
}

/* What an attempt has at hand may be folded. False: it cannot be read whole. */
static bool copy_into(hf_record *to, const hf_record *from)
{
	if (!hf_record_copy(to, from))
		return false;
	to->told_grants = from->told_grants;
	to->told_waiters = from->told_waiters;
	return !hf_record_unfold(to, NULL);
}

/* A page; of what is given, not read. NULL: out of memory. */
static hf_page *new_page(
	hf_graph *g, const char *name, const hf_record *store, const hf_record *line)
{
	hf_page *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->next = g->pages;
	g->pages = p;
	hf_copy(p->name, sizeof(p->name), name);
	hf_record_init(&p->own);
	hf_record_init(&p->line);
	if (!line)
		read_into(g, p->name, &p->line, true);
	else if (!copy_into(&p->line, line))
		return NULL;
	p->store = &p->own;
	if (!store)
		read_into(g, p->name, &p->own, false);
	else if (!store->far_count)
		p->store = store;
	else if (!copy_into(&p->own, store))
		return NULL;
	find_head(p);
	keep_what_counts(&p->line);
	return p;
}

static const hf_page *page_of(hf_graph *g, const char *name)
{
	const hf_page *p;

	for (p = g->pages; p; p = p->next)
		if (!strcmp(p->name, name))
			return p;
	return new_page(g, name, NULL, NULL);
}

/* ---- gathering all who wait for the one who looks ---- */

static bool add_hold(hf_node *n, const hf_page *page, const char *id)
{
	const hf_record *r = page->store;
	hf_node_hold *more;
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
	n->holds[n->hold_count++] = (hf_node_hold){page, i};
	return true;
}

static bool read_holds(hf_graph *g, hf_node *n)
{
	const char *at = hf_node_waiter(n)->want.under;
	size_t count = 0;
	hf_under u;

	while (count++ < HF_UNDER_MAX && hf_under_next(&at, &u)) {
		const hf_page *page;

		if (n == g->nodes && g->source->lost(g->source->arg, u.id))
			continue;
		page = page_of(g, u.name);
		if (!page || !add_hold(n, page, u.id))
			return false;
	}
	return true;
}

static bool add_node(hf_graph *g, const hf_node *node)
{
	hf_node *more;
	size_t i;

	for (i = 0; i < g->count; i++)
		if (g->nodes[i].page == node->page && g->nodes[i].in_line == node->in_line &&
			g->nodes[i].waiter == node->waiter)
			return true;
	if (g->count == g->cap) {
		more = realloc(g->nodes, (2 * g->cap + 16) * sizeof(*more));
		if (!more)
			return false;
		g->nodes = more;
		g->cap = 2 * g->cap + 16;
	}
	g->nodes[g->count] = *node;
	g->nodes[g->count].blocked = true;
	return read_holds(g, &g->nodes[g->count++]);
}

/* Of the page, all in the line or the store's who hold something and wait for node i. */
static bool add_waiters(hf_graph *g, const hf_page *page, bool in_line, size_t i)
{
	const hf_record *r = in_line ? &page->line : page->store;
	hf_node other = {.page = page, .in_line = in_line};
	size_t w;

	for (w = 0; w < r->waiter_count && g->count < HF_GRAPH_NODES_MAX; w++) {
		const hf_waiter *waiter = &r->waiters[w];

		other.waiter = w;
		/* Who has an offer in the line goes to the store now: he waits there yet. */
		if ((waiter->offer && !in_line) || !waiter->want.under[0] ||
			!hf_node_waits_for(&other, &g->nodes[i]) ||
			g->source->dead(g->source->arg, &waiter->want.process, in_line))
			continue;
		if (!add_node(g, &other))
			return false;
	}
	return true;
}

static bool add_all_waiters(hf_graph *g, const hf_page *page, size_t i)
{
	return add_waiters(g, page, false, i) && add_waiters(g, page, true, i);
}

/* May this one be a node? Not if it does not wait, or holds nothing. */
static bool waits_with_holds(const hf_record *r, const char *id)
{
	int mine = hf_queue_find(r, id);

	if (mine < 0)
		return r->far_count > 0; /* who knows */
	return !r->waiters[mine].offer && r->waiters[mine].want.under[0];
}

/* The node of the one who looks, if it is one. */
static bool add_first(hf_graph *g, const hf_record *record, bool in_line, const char *id)
{
	hf_node first = {.in_line = in_line};
	const hf_record *whole;

	if (!waits_with_holds(record, id))
		return true;
	first.page =
		new_page(g, record->name, in_line ? NULL : record, in_line ? record : NULL);
	if (!first.page)
		return false;
	whole = in_line ? &first.page->line : first.page->store;
	if (!waits_with_holds(whole, id))
		return true;
	first.waiter = (size_t)hf_queue_find(whole, id);
	return add_node(g, &first);
}

bool hf_graph_gather(hf_graph *g, const hf_record *record, bool in_line, const char *id)
{
	size_t i;
	size_t k;

	if (!add_first(g, record, in_line, id))
		return false;
	for (i = 0; i < g->count; i++) {
		if (!add_all_waiters(g, g->nodes[i].page, i))
			return false;
		for (k = 0; k < g->nodes[i].hold_count; k++)
			if (!add_all_waiters(g, g->nodes[i].holds[k].page, i))
				return false;
	}
	return true;
}

void hf_graph_free(hf_graph *g)
{
	size_t i;

	while (g->pages) {
		hf_page *p = g->pages;

		g->pages = p->next;
		hf_record_free(&p->own);
		hf_record_free(&p->line);
		free(p);
	}
	for (i = 0; i < g->count; i++)
		free(g->nodes[i].holds);
	free(g->nodes);
}
