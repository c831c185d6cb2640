/* Waiting for a process that waits for this one. */
#include "cli.h"

hf_status cli_deadlock(const hf_lock_info *info, hf_mode mode, uint32_t limit,
	const char *advice, hf_error *error)
{
	const hf_holder *h = hf_waits_for_itself(info, mode, limit);

	if (!h)
		return HF_OK;
	if (cli_is_intent(h->mode))
		advice = "what it holds is below that: take the whole first, outside";
	return hf_fail(error, HF_DEADLOCK, "acquire", 0,
		"deadlock: lock '%s' is held by pid %lld%s%.64s%s, which keeps it until this "
		"process has ended; %s",
		info->name, (long long)h->pid, h->command[0] ? " (" : "", h->command,
		h->command[0] ? ")" : "", advice);
}

static hf_status check_one(hf_manager *manager, const char *name, hf_mode mode, uint32_t limit,
	const char *advice, hf_error *error)
{
	hf_lock_info *info;
	hf_status st = HF_OK;

	/* What is wrong with the store, acquiring will tell. */
	if (hf_lock_status(manager, name, &info, NULL))
		return HF_OK;
	if (info->state == HF_OK)
		st = cli_deadlock(info, mode, limit, advice, error);
	hf_lock_info_free(info);
	return st;
}

size_t cli_next_above(const char *name, size_t len, char *above)
{
	const char *slash = strchr(name + len + (len > 0), '/');

	if (!slash)
		return 0;
	len = (size_t)(slash - name);
	memcpy(above, name, len);
	above[len] = '\0';
	return len;
}

/* What it stands under is joined, or refused, and not waited for. */
static bool is_under(const hf_acquire_options *o, const char *name)
{
	size_t i;

	for (i = 0; i < o->under_count; i++)
		if (!strcmp(o->under[i].name, name))
			return true;
	return false;
}

hf_status cli_check_wait_above(hf_manager *manager, const char *name,
	const hf_acquire_options *o, const char *advice, hf_error *error)
{
	hf_mode mode = o->mode == HF_SHARED ? HF_INTENT_SHARED : HF_INTENT_EXCLUSIVE;
	char above[HF_NAME_MAX + 1];
	hf_status st = HF_OK;
	size_t len = 0;

	if (!(o->flags & HF_TREE_NAME))
		return HF_OK;
	while (!st && (len = cli_next_above(name, len, above)) > 0)
		if (!is_under(o, above))
			st = check_one(manager, above, mode, 0, advice, error);
	return st;
}

hf_status cli_check_wait(hf_manager *manager, const char *name, const hf_acquire_options *o,
	const char *advice, hf_error *error)
{
	hf_status st = cli_check_wait_above(manager, name, o, advice, error);

	return st ? st : check_one(manager, name, o->mode, o->limit, advice, error);
}

bool cli_may_wait(const hf_acquire_options *o)
{
	return o->wait_ms && o->strategy != HF_FAIL_FAST && o->strategy != HF_FORCE_ACQUIRE;
}
