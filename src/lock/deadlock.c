/* Circles of waiters. See deadlock.h. */
#include "deadlock_graph.h"

#include "base/sha256.h"

#include <stdlib.h>

/* ---- who is blocked for good ---- */

static bool held_by_blocked(const hf_graph *g, const hf_page *page, size_t grant)
{
	size_t i;

	for (i = 0; i < g->count; i++)
		if (g->nodes[i].blocked &&
			hf_node_holds_any_of_group(&g->nodes[i], page, grant))
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
static bool blocked_by_holds(const hf_graph *g, const hf_page *page, const hf_waiter *w)
{
	const hf_record *r = page->store;
	size_t staying = 0;
	size_t i;

	for (i = 0; i < r->grant_count; i++) {
		bool conflicts = hf_conflicts(&r->grants[i], &w->want);

		if (hf_same_group(&r->grants[i], &w->want) ||
			!(conflicts || first_of_group(r, i)) || !held_by_blocked(g, page, i))
			continue;
		if (conflicts)
			return true;
		staying++;
	}
	return w->want.limit && staying >= w->want.limit;
}

/* One before n, who holds nothing himself, may have died: then nobody waits for him. */
static bool has_died(const hf_graph *g, const hf_node *n, const hf_waiter *w)
{
	const hf_record *line = &n->page->line;
	bool in_line = line->waiter_count && w >= line->waiters &&
		       w < line->waiters + line->waiter_count;

	return w != hf_node_waiter(n) &&
	       g->source->dead(g->source->arg, &w->want.process, in_line);
}

static bool is_blocked(const hf_graph *g, const hf_node *n)
{
	const hf_waiter *w;
	size_t at = 0;

	while ((w = hf_node_next_before(n, &at)))
		if (blocked_by_holds(g, n->page, w) && !has_died(g, n, w))
			return true;
	return false;
}

/* Take out those who will get on, until no more do. */
static void let_go(hf_graph *g)
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

static void spread(hf_graph *g)
{
	bool again = true;
	size_t i;
	size_t k;

	g->nodes[0].waits = g->nodes[0].waited_for = true;
	while (again) {
		again = false;
		for (i = 0; i < g->count; i++) {
			for (k = 0; k < g->count; k++) {
				hf_node *n = &g->nodes[i];
				hf_node *m = &g->nodes[k];

				if (!n->blocked || !m->blocked || i == k ||
					!((n->waited_for && !m->waited_for) ||
						(m->waits && !n->waits)) ||
					!hf_node_waits_for(n, m))
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

static bool in_circle(const hf_node *n)
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
	const hf_waiter *left = hf_node_waiter(*(const hf_node *const *)a);
	const hf_waiter *right = hf_node_waiter(*(const hf_node *const *)b);

	if (gives_way(left, right))
		return -1;
	return gives_way(right, left);
}

static bool name_circle(const hf_graph *g, hf_deadlock *out)
{
	const hf_node **members = malloc(g->count * sizeof(*members));
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
		const char *id = hf_node_waiter(members[i])->want.id;

		hf_sha256_add(&hash, id, strlen(id) + 1);
	}
	hf_sha256_end(&hash, out->circle);
	hf_copy(out->victim, sizeof(out->victim),
		hf_node_waiter(members[victim < count ? victim : count - 1])->want.id);
	free(members);
	return true;
}

/* ---- in words ---- */

static void tell_hold(const hf_node *n, const hf_page *wanted, hf_buf *words)
{
	const char *verb = "holds";
	size_t i;

	for (i = 0; i < n->hold_count; i++)
		if (n->holds[i].page == wanted)
			break;
	if (i == n->hold_count)
		verb = "comes before in the line of";
	hf_buf_addf(words, " %s '%s',", verb, wanted->name);
}

/* `wanted`: what the one before waits for. */
static void tell_node(const hf_node *n, const hf_page *wanted, hf_buf *words)
{
	const hf_waiter *w = hf_node_waiter(n);

	if (words->len)
		hf_buf_adds(words, "; ");
	hf_buf_adds(words, w->want.owner);
	if (w->want.process.pid > 0)
		hf_buf_addf(words, " (pid %lld)", (long long)w->want.process.pid);
	tell_hold(n, wanted, words);
	hf_buf_addf(words, hf_waiter_upgrades(w) ? " waits to upgrade '%s'" : " waits for '%s'",
		n->page->name);
}

/* The circle the other way round from its last member, who waits for us. */
static void tell(const hf_graph *g, hf_deadlock *out)
{
	size_t path[HF_GRAPH_NODES_MAX];
	size_t count = 0;
	size_t last = 0;
	size_t i;

	for (i = 1; i < g->count && !last; i++)
		if (in_circle(&g->nodes[i]) && hf_node_waits_for(&g->nodes[i], &g->nodes[0]))
			last = i;
	hf_buf_clear(&out->words);
	tell_node(&g->nodes[0], g->nodes[last].page, &out->words);
	for (i = last; i && count < HF_GRAPH_NODES_MAX; i = g->nodes[i].from)
		path[count++] = i;
	while (count-- > 0) {
		const hf_node *n = &g->nodes[path[count]];

		tell_node(n, g->nodes[n->from].page, &out->words);
	}
}

static bool find(hf_graph *g, hf_deadlock *out)
{
	size_t i;

	/* Also one alone, who has what he waits for. */
	out->found = hf_node_waits_for(&g->nodes[0], &g->nodes[0]);
	out->company = g->count > 1 || out->found;
	if (!out->company || g->count >= HF_GRAPH_NODES_MAX) {
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

hf_status hf_deadlock_look(const hf_record *record, bool in_line, const char *id,
	const hf_deadlock_source *source, hf_deadlock *out)
{
	hf_graph g = {.source = source};
	bool ok;

	out->found = out->company = false;
	ok = hf_graph_gather(&g, record, in_line, id) && (!g.count || find(&g, out));
	hf_graph_free(&g);
	if (!ok)
		out->found = false;
	return ok ? HF_OK : HF_NO_MEMORY;
}
