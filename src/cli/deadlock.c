/* Waiting for a process that waits for this one. */
#include "cli.h"

hf_status cli_deadlock(const hf_lock_info *info, hf_mode mode, uint32_t limit,
	const char *advice, hf_error *error)
{
	const hf_holder *h = hf_waits_for_itself(info, mode, limit);

	if (!h)
		return HF_OK;
	return hf_fail(error, HF_DEADLOCK, "acquire", 0,
		"deadlock: lock '%s' is held by pid %lld%s%.64s%s, which keeps it until this "
		"process has ended; %s",
		info->name, (long long)h->pid, h->command[0] ? " (" : "", h->command,
		h->command[0] ? ")" : "", advice);
}

hf_status cli_check_wait(hf_manager *manager, const char *name, const hf_acquire_options *o,
	const char *advice, hf_error *error)
{
	hf_lock_info *info;
	hf_status st = HF_OK;

	/* What is wrong with the store, acquiring will tell. */
	if (hf_lock_status(manager, name, &info, NULL))
		return HF_OK;
	if (info->state == HF_OK)
		st = cli_deadlock(info, o->mode, o->limit, advice, error);
	hf_lock_info_free(info);
	return st;
}

bool cli_may_wait(const hf_acquire_options *o)
{
	return o->wait_ms && o->strategy != HF_FAIL_FAST && o->strategy != HF_FORCE_ACQUIRE;
}
