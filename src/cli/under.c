/* What this process stands under, to be told to those who look for circles. */
#include "run_locks.h"

#include <stdlib.h>

#define HOLDS_MAX 64 /* as many as hf_acquire_options.under may name */

static bool add(cli_under *u, const char *name, const char *group)
{
	hf_hold *holds = realloc(u->holds, (u->count + 1) * sizeof(*holds));
	char *copy = strdup(name);
	char *id = strdup(group);

	if (holds)
		u->holds = holds;
	if (!holds || !copy || !id) {
		free(copy);
		free(id);
		return false;
	}
	u->holds[u->count++] = (hf_hold){.name = copy, .id = id};
	return true;
}

/* Is it held in this store, by a run above us that keeps it until we have ended? */
static bool read_one(cli_under *u, hf_manager *manager, const char *name, const char *id)
{
	hf_lock_info *info;
	bool ok = true;
	size_t i;

	/* What is wrong with the store, acquiring will tell. */
	if (hf_lock_status(manager, name, &info, NULL))
		return true;
	for (i = 0; i < info->holder_count; i++) {
		const hf_holder *h = &info->holders[i];

		if (!strcmp(h->id, id) && h->for_tree && hf_holder_is_ancestor(info, h))
			ok = add(u, name, h->group[0] ? h->group : h->id);
	}
	hf_lock_info_free(info);
	return ok;
}

/* A hold of a tree name, and those of the same id above it. */
static bool read_entry(cli_under *u, hf_manager *manager, const json_t *entry)
{
	const char *name = json_string_value(json_object_get(entry, "name"));
	const char *id = json_string_value(json_object_get(entry, "id"));
	bool ok = read_one(u, manager, name, id);
	char above[HF_NAME_MAX + 1];
	size_t len = 0;

	if (!json_is_true(json_object_get(entry, "tree")))
		return ok;
	while (ok && u->count < HOLDS_MAX && (len = cli_next_above(name, len, above)) > 0)
		ok = read_one(u, manager, above, id);
	return ok;
}

bool cli_under_read(cli_under *u, hf_manager *manager)
{
	json_t *inherited = run_inherited();
	bool ok = true;
	size_t i;

	*u = (cli_under){.holds = NULL};
	for (i = 0; ok && i < json_array_size(inherited) && u->count < HOLDS_MAX; i++)
		ok = read_entry(u, manager, json_array_get(inherited, i));
	json_decref(inherited);
	return ok;
}

void cli_under_free(cli_under *u)
{
	size_t i;

	for (i = 0; i < u->count; i++) {
		free((char *)(uintptr_t)u->holds[i].name);
		free((char *)(uintptr_t)u->holds[i].id);
	}
	free(u->holds);
	*u = (cli_under){.holds = NULL};
}
