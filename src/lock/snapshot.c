/* From what a store gave back to a record the rules can be asked about. */
#include "attempt.h"
#include "queue.h"

#include <stdlib.h>

void hf_snapshot_clear(hf_snapshot *snapshot)
{
	free(snapshot->data);
	free(snapshot->foreign);
	memset(snapshot, 0, sizeof(*snapshot));
}

/*
 * What a neighbour put there overrides our record: whoever stood in it was
 * overrun. Its grant is seen by a mark that changes with its state, so that
 * renewals of the neighbour's are noticed.
 */
static hf_status add_neighbour(hf_record *record, const hf_snapshot *s, hf_error *error)
{
	const hf_public_view *v = s->foreign;
	hf_grant *g;

	record->grant_count = 0;
	if (!v->held)
		return HF_OK;
	g = hf_record_add_grant(record);
	if (!g)
		return hf_fail_memory(error, "decode");
	g->id = v->mark[0] ? v->mark : v->id;
	g->group = g->id;
	g->owner = v->owner[0] ? v->owner : v->fingerprint;
	g->fingerprint = v->fingerprint;
	g->mode = v->exclusive ? HF_EXCLUSIVE : HF_SHARED;
	g->flags = HF_GRANT_FOREIGN;
	g->ttl_ms = v->ttl_ms > 0 ? v->ttl_ms : 0;
	g->acquired_wall_ms = v->acquired_wall_ms;
	g->process.host = v->host;
	g->process.pid = v->pid;
	return HF_OK;
}

hf_status hf_snapshot_decode(const char *name, const hf_snapshot *snapshot, size_t near,
	hf_record *record, hf_error *error)
{
	hf_status st;

	hf_record_reset(record);
	if (snapshot->len > 0) {
		st = hf_record_decode(record, snapshot->data, snapshot->len, name, near, error);
		if (st)
			return st;
	}
	if (!record->name[0])
		record->name = name;
	return snapshot->foreign ? add_neighbour(record, snapshot, error) : HF_OK;
}

void hf_record_view(hf_public_view *view, const hf_record *r)
{
	const hf_grant *g = r->grants;
	size_t i;

	memset(view, 0, sizeof(*view));
	/* Handed over and not yet claimed is not free either. */
	if (!r->grant_count && hf_queue_offered(r, "") >= 0)
		g = &r->waiters[hf_queue_offered(r, "")].want;
	view->held = r->grant_count > 0 || hf_queue_offered(r, "") >= 0;
	if (!view->held)
		return;
	for (i = 1; i < r->grant_count; i++)
		if (r->grants[i].mode == HF_EXCLUSIVE && g->mode == HF_SHARED)
			g = &r->grants[i];
	view->exclusive = g->mode == HF_EXCLUSIVE;
	view->pid = g->process.pid;
	view->acquired_wall_ms = g->acquired_wall_ms;
	view->ttl_ms = g->ttl_ms;
	hf_copy(view->id, sizeof(view->id), g->id);
	hf_copy(view->owner, sizeof(view->owner), g->owner);
	hf_copy(view->fingerprint, sizeof(view->fingerprint), g->fingerprint);
	hf_copy(view->host, sizeof(view->host), g->process.host);
}
