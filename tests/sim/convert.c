/* How clients change the mode of what they hold. See sim.h. */
#include "sim.h"

/* It is kept for the upgrade, and what else its client means to keep. */
static void upgrade_from_line(sim *s, sim_op *op)
{
	hf_request *request = &op->setup.request;

	sim_new_id(s, op->place);
	request->grant.id = request->grant.group = op->place;
	request->queue = true;
	op->setup.wait_ms = sim_chance(s, 500) ? -1 : sim_between(s, 1, 1500);
	sim_circle_stand_under(s, op, op->lease, !sim_defect(s, SIM_UPGRADES_KEEP_NOTHING));
	sim_circle_draw_under(s, op->client, op);
}

void sim_client_convert(sim *s, int client, int *slot, sim_lease *lease)
{
	static const hf_mode other[] = {[HF_EXCLUSIVE] = HF_SHARED,
		[HF_SHARED] = HF_EXCLUSIVE,
		[HF_INTENT_SHARED] = HF_INTENT_EXCLUSIVE,
		[HF_INTENT_EXCLUSIVE] = HF_INTENT_SHARED};
	hf_mode weaker = sim_is_intent(lease->mode) ? HF_INTENT_SHARED : HF_SHARED;
	sim_op *op = sim_op_about(s, client, lease, HF_ASK_CONVERT);

	*slot = op->index;
	op->setup.request.mode = other[lease->mode];
	op->setup.wait_ms = sim_chance(s, 500) ? 0 : sim_between(s, 1, 300);
	if (lease->mode == weaker && sim_chance(s, s->plan.queue + s->plan.upgrade))
		upgrade_from_line(s, op);
	sim_trace(s, "c%d op%d %s %s, wait %lld", client, op->index,
		lease->mode == weaker ? "upgrades" : "downgrades", lease->id,
		(long long)op->setup.wait_ms);
	lease->mode = weaker; /* a downgrade may land at any time from now on */
	sim_op_begin(s, op);
}

void sim_client_converted(sim *s, sim_op *op)
{
	sim_lease *lease = sim_lease_of(s, op);

	if (!lease || lease->releasing)
		return;
	if (op->answer == HF_OK) {
		lease->mode = op->setup.request.mode;
		lease->token = op->attempt->token;
		if (s->clients[op->client].last_token[op->key] < lease->token)
			s->clients[op->client].last_token[op->key] = lease->token;
	} else if (op->answer == HF_LOST || op->answer == HF_NOT_OWNER) {
		lease->held = false;
	}
}
