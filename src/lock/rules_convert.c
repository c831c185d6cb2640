/*
 * The rules of changing a hold's mode. See rules.h.
 *
 * Who wants more of what it holds, and may wait, stands in the line under an id of
 * its own, before all who hold nothing (queue.h): nobody is let in before it. Its
 * offer holds the lock for it as any other does; its claim is the upgrade. Its own
 * group is never in its way. It keeps what it has until then, so two of a lock wait
 * for each other for ever: see deadlock.h.
 */
#include "decision.h"

/* Out of the line, if it stood there. */
static void leave_line(hf_record *n, const char *id)
{
	int i = hf_queue_find(n, id);

	if (i >= 0)
		hf_queue_drop(n, (size_t)i);
}

/* The token of a hold of its group that keeps out all that this mode does; 0: none. */
static uint64_t token_beside(const hf_record *n, const hf_grant *mine, hf_mode mode)
{
	uint64_t token = 0;
	size_t i;

	for (i = 0; i < n->grant_count; i++) {
		const hf_grant *g = &n->grants[i];

		if (g != mine && hf_same_group(g, mine) && hf_mode_covers(g->mode, mode))
			token = hf_larger(token, g->token);
	}
	return token;
}

static hf_verdict upgrade(decision *d, hf_grant *mine)
{
	hf_grant want = d->req->grant;
	hf_record *n = d->next;
	int from = hf_state_of(n);
	hf_status st;

	want.group = mine->group;
	want.mode = d->req->mode;
	want.priority = mine->priority;
	want.limit = 0; /* it has its place */
	st = hf_decision_may_enter(d, &want);
	if (d->v.unproven >= 0 || d->v.unfold)
		return hf_decision_answer(d, HF_HELD);
	if (st)
		return hf_decision_held(d, &want);
	leave_line(n, want.id);
	mine->token = token_beside(n, mine, want.mode);
	/* Others may have shared it with greater tokens since. */
	if (!mine->token)
		mine->token = n->counter = hf_larger(n->counter, d->req->least_counter) + 1;
	mine->mode = want.mode;
	d->kind = HF_EV_UPGRADE;
	return hf_decision_commit(d, HF_OK, mine, from);
}

static hf_verdict downgrade(decision *d, hf_grant *mine)
{
	hf_record *n = d->next;
	int from = hf_state_of(n);
	size_t i;

	for (i = 0; i < n->grant_count; i++)
		if (d->req->mode == HF_SHARED && &n->grants[i] != mine &&
			n->grants[i].mode == HF_EXCLUSIVE)
			return hf_decision_refuse(d, HF_INVALID, -1,
				"another hold of this group is exclusive: release it first");
	mine->mode = d->req->mode;
	d->kind = HF_EV_DOWNGRADE;
	return hf_decision_commit(d, HF_OK, mine, from);
}

hf_verdict hf_decision_convert(decision *d)
{
	hf_record *n = d->next;
	hf_grant *mine = NULL;
	size_t i;

	for (i = 0; i < n->grant_count; i++)
		if (hf_who_names(&d->req->who, &n->grants[i]))
			mine = &n->grants[i];
	if (!mine)
		return hf_decision_not_there(d);
	if (mine->mode == d->req->mode) {
		d->v.token = mine->token;
		d->v.ended = 0;
		return hf_decision_answer(d, HF_OK);
	}
	if (hf_mode_is_intent(mine->mode) != hf_mode_is_intent(d->req->mode))
		return hf_decision_refuse(d, HF_INVALID, -1,
			"an intention does not become a hold of the lock itself, nor that an "
			"intention");
	return hf_mode_covers(d->req->mode, mine->mode) ? upgrade(d, mine) : downgrade(d, mine);
}
