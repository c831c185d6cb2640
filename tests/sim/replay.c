/* From lines of the history to who holds. See sim.h. */
#include "sim.h"

#include <stdio.h>

sim_fact *sim_fact_of(sim_facts *facts, const char *id)
{
	size_t i;

	for (i = 0; i < facts->count; i++)
		if (!strcmp(facts->items[i].id, id))
			return &facts->items[i];
	return NULL;
}

void sim_fact_remove(sim_facts *facts, const char *id)
{
	sim_fact *fact = sim_fact_of(facts, id);

	if (fact)
		*fact = facts->items[--facts->count];
}

sim_fact *sim_fact_add(sim *s, sim_facts *facts, const char *id)
{
	sim_fact *fact = &facts->items[facts->count];

	if (facts->count == HF_ARRAY_LEN(facts->items))
		sim_fail(s, "the simulator has no room for %zu grants", facts->count);
	facts->count++;
	*fact = (sim_fact){.token = 0};
	hf_copy(fact->id, sizeof(fact->id), id);
	return fact;
}

const char *sim_why_ended(const char *ended, const char *id, char why[16])
{
	size_t n = strlen(id);
	const char *p = ended;

	while (*p) {
		size_t len = strcspn(p, ",");
		size_t colon = strcspn(p, ":");

		if (colon < 16 && len == colon + 1 + n && !memcmp(p + colon + 1, id, n)) {
			memcpy(why, p, colon);
			why[colon] = '\0';
			return why;
		}
		p += len + (p[len] == ',');
	}
	return NULL;
}

static void end_all(sim *s, sim_facts *facts, const char *ended)
{
	const char *p = ended;

	while (*p) {
		size_t len = strcspn(p, ",");
		size_t colon = strcspn(p, ":");
		char id[80] = "";

		if (colon < len && len - colon - 1 < sizeof(id))
			memcpy(id, p + colon + 1, len - colon - 1);
		if (!sim_fact_of(facts, id))
			sim_fail(s, "the history ends '%s', which did not hold", id);
		sim_fact_remove(facts, id);
		p += len + (p[len] == ',');
	}
}

void sim_replay(sim *s, sim_facts *facts, const char *line)
{
	char text[4096];
	hf_record_event e;
	sim_fact *fact;

	if (!hf_copy(text, sizeof(text), line) || !hf_event_decode(text, &e))
		sim_fail(s, "the history has an unreadable line: %s", line);
	end_all(s, facts, e.ended);
	switch (e.kind) {
	case HF_EV_ACQUIRE:
	case HF_EV_STEAL:
	case HF_EV_FORCE:
	case HF_EV_REENTER:
		fact = sim_fact_add(s, facts, e.id);
		fact->token = e.token;
		fact->mode = e.mode;
		break;
	case HF_EV_RELEASE:
		if (!sim_fact_of(facts, e.id))
			sim_fail(s, "the history releases '%s', which did not hold", e.id);
		sim_fact_remove(facts, e.id);
		break;
	case HF_EV_UPGRADE:
	case HF_EV_DOWNGRADE:
		fact = sim_fact_of(facts, e.id);
		if (!fact)
			sim_fail(s, "the history converts '%s', which did not hold", e.id);
		fact->token = e.token;
		fact->mode = e.mode;
		break;
	default:
		break;
	}
}

void sim_compare_replay(sim *s, const sim_facts *facts, const hf_record *record)
{
	size_t i;

	if (facts->count != record->grant_count)
		sim_fail(s, "the history replays to %zu holders of %s, the record has %zu",
			facts->count, record->name, record->grant_count);
	for (i = 0; i < record->grant_count; i++) {
		const hf_grant *g = &record->grants[i];
		sim_facts *all = (sim_facts *)(uintptr_t)facts;
		const sim_fact *fact = sim_fact_of(all, g->id);

		if (!fact || fact->token != g->token || fact->mode != g->mode)
			sim_fail(s, "the history does not replay to grant %s with token %llu",
				g->id, (unsigned long long)g->token);
	}
}
