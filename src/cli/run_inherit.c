/*
 * What a command runs under, and what comes of it: joining, or saying that to
 * wait for it is to wait for oneself. See run_locks.h.
 */
#include "run_locks.h"

#include <stdlib.h>

static bool is_id(const char *text)
{
	return text && strlen(text) == HF_ID_LEN &&
	       strspn(text, "0123456789abcdef") == HF_ID_LEN;
}

static bool is_hold(const json_t *entry)
{
	const char *name = json_string_value(json_object_get(entry, "name"));

	return name && !hf_check_name(name, NULL) &&
	       is_id(json_string_value(json_object_get(entry, "id"))) &&
	       json_is_string(json_object_get(entry, "store")) &&
	       json_is_integer(json_object_get(entry, "token"));
}

json_t *run_inherited(void)
{
	const char *text = getenv("HOLDFAST_LOCKS");
	json_t *array = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
	size_t i = 0;

	while (i < json_array_size(array)) {
		if (is_hold(json_array_get(array, i)))
			i++;
		else
			json_array_remove(array, i);
	}
	if (json_array_size(array))
		return array;
	json_decref(array);
	return NULL;
}

static const hf_holder *holder_of(const hf_lock_info *info, const char *id)
{
	size_t i;

	for (i = 0; i < info->holder_count; i++)
		if (!strcmp(info->holders[i].id, id))
			return &info->holders[i];
	return NULL;
}

/* The first of the entries that stands in the lock's record, and is above us. */
static void find_one(const cli_options *o, run_lock *lock, const json_t *inherited)
{
	const hf_holder *copied = NULL;
	hf_lock_info *info = NULL;
	size_t i;

	for (i = 0; i < json_array_size(inherited) && !lock->join[0]; i++) {
		const json_t *entry = json_array_get(inherited, i);
		const hf_holder *h;

		if (strcmp(json_string_value(json_object_get(entry, "name")), lock->name) != 0)
			continue;
		/* What is wrong with the store, acquiring will tell. */
		if (!info && hf_lock_status(lock->manager, lock->name, &info, NULL))
			return;
		h = holder_of(info, json_string_value(json_object_get(entry, "id")));
		if (h && hf_holder_is_ancestor(info, h))
			hf_copy(lock->join, sizeof(lock->join), h->group);
		else if (h)
			copied = h;
	}
	if (copied && !lock->join[0] && !o->quiet)
		cli_say("lock '%s' is held as HOLDFAST_LOCKS says, but by a process that this "
			"one does not descend from (pid %lld): it is not joined",
			lock->name, (long long)copied->pid);
	hf_lock_info_free(info);
}

void run_inherit_find(run_locks *l, json_t *inherited)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		if (!(hf_store_capabilities(l->locks[i].manager) & HF_CAP_SESSION_BOUND))
			find_one(l->options, &l->locks[i], inherited);
}

hf_status run_inherit_check_wait(run_locks *l, hf_error *error)
{
	static const char join[] = "leave HOLDFAST_LOCKS in the environment, and --no-inherit "
				   "out, to join it";
	static const char flock[] = "a hold of layout=flock cannot be joined: take the lock "
				    "once, outside";
	hf_status st = HF_OK;
	size_t i;

	for (i = 0; !st && i < l->count; i++) {
		const run_lock *lock = &l->locks[i];
		bool session = hf_store_capabilities(lock->manager) & HF_CAP_SESSION_BOUND;
		hf_acquire_options o = l->options->acquire;

		o.under = lock->under.holds;
		o.under_count = lock->under.count;
		if (lock->join[0])
			st = cli_check_wait_above(lock->manager, lock->name, &o, join, error);
		else
			st = cli_check_wait(
				lock->manager, lock->name, &o, session ? flock : join, error);
		if (st)
			cli_metrics_deadlock(l->options, lock->manager, lock->name);
	}
	return st;
}
