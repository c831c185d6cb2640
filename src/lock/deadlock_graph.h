/*
 * Who waits for whom: what deadlock.c reasons about and deadlock_gather.c reads.
 * See deadlock.h.
 */
#ifndef HF_DEADLOCK_GRAPH_H
#define HF_DEADLOCK_GRAPH_H

#include "deadlock.h"

#define HF_GRAPH_NODES_MAX 4096 /* more would take too long: then nothing is found */

/* One lock, as it was read, or as it was given. */
typedef struct hf_page {
	struct hf_page *next;
	const hf_record *store;
	hf_record line; /* of this host: its waiters alone count */
	int head; /* in the store's, the waiter whose turn it is in the line; -1: none */
	hf_record own;
	char name[HF_NAME_MAX + 1];
} hf_page;

/* One hold that a waiter stands under. */
typedef struct hf_node_hold {
	const hf_page *page;
	size_t grant; /* of the store's */
} hf_node_hold;

/* One who waits and holds something. */
typedef struct hf_node {
	const hf_page *page;
	bool in_line;
	size_t waiter; /* of the line's, or the store's */
	hf_node_hold *holds;
	size_t hold_count;
	bool blocked; /* for good, as far as is known */
	bool waited_for; /* by the one who looks, over others */
	bool waits; /* for the one who looks, over others */
	size_t from; /* on the way back to the one who looks */
} hf_node;

typedef struct hf_graph {
	const hf_deadlock_source *source;
	hf_page *pages;
	hf_node *nodes; /* the first is the one who looks */
	size_t count;
	size_t cap;
} hf_graph;

const hf_waiter *hf_node_waiter(const hf_node *n);
bool hf_node_holds_any_of_group(const hf_node *n, const hf_page *page, size_t grant);
/* Must something that is up to m happen before the turn of n comes? */
bool hf_node_waits_for(const hf_node *n, const hf_node *m);
/*
 * Those whose turn comes not after that of n, n too, one at each call, from *at = 0
 * on; NULL: no more.
 */
const hf_waiter *hf_node_next_before(const hf_node *n, size_t *at);

/*
 * All who wait for waiter `id` of this record, which is the first node. False: out
 * of memory. Without a node: it does not wait, or holds nothing.
 */
bool hf_graph_gather(hf_graph *g, const hf_record *record, bool in_line, const char *id);
void hf_graph_free(hf_graph *g);

#endif
