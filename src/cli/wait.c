/*
 * wait: until nobody holds the lock, without taking it. By the time this ends
 * another may have taken it; `run` and `acquire` are for whoever needs it.
 */
#include "lockview.h"

/* A holder that dies or runs out of time changes nothing that would wake us. */
#define LOOK_AGAIN_MS 500

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t until_next_look(const hf_lock_info *info, int64_t left_ms)
{
	int64_t ms = least(LOOK_AGAIN_MS, left_ms);
	size_t i;

	if (info->closed_ms > 0)
		ms = least(ms, info->closed_ms);
	for (i = 0; i < info->holder_count; i++)
		if (info->holders[i].remaining_ms >= 0)
			ms = least(ms, info->holders[i].remaining_ms + 1);
	return ms;
}

static hf_status give_up(const cli_options *options, const hf_lock_info *info, hf_error *error)
{
	hf_status st = options->acquire.wait_ms == 0 ? HF_HELD : HF_TIMED_OUT;
	const char *name = options->names[0];

	if (info->holder_count > 0)
		return hf_fail(error, st, "wait", 0, "lock '%s' is held by %s", name,
			info->holders[0].owner[0] ? info->holders[0].owner : "another program");
	return hf_fail(error, st, "wait", 0,
		"lock '%s' is closed: its last lease was not released", name);
}

static hf_status wait_until_free(
	const cli_options *options, hf_manager *manager, hf_error *error)
{
	const char *name = options->names[0];
	int64_t wait_ms = options->acquire.wait_ms;
	int64_t until_ms = INT64_MAX;

	if (wait_ms >= 0 && __builtin_add_overflow(hf_boot_ms(), wait_ms, &until_ms))
		until_ms = INT64_MAX;
	for (;;) {
		hf_lock_info *info;
		int64_t left_ms;
		uint64_t seen;
		bool done = true;
		hf_status st = hf_lock_status(manager, name, &info, error);

		if (st)
			return st;
		left_ms = until_ms - hf_boot_ms();
		if (info->state != HF_OK)
			st = hf_fail(error, info->state, "wait", 0, "%s", info->problem);
		else if (!cli_lock_is_free(info) && left_ms <= 0)
			st = give_up(options, info, error);
		else
			done = cli_lock_is_free(info);
		seen = info->generation;
		left_ms = until_next_look(info, left_ms);
		hf_lock_info_free(info);
		if (st || done)
			return st;
		st = hf_watch(manager, name, seen, left_ms, error);
		if (st && st != HF_TIMED_OUT)
			return st;
	}
}

int cli_wait(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager;
	hf_error error;
	hf_status st;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_WAIT, 1, 1, &options, &code))
		return code;
	manager = cli_open(&options, &code);
	if (manager) {
		st = wait_until_free(&options, manager, &error);
		code = st ? cli_fail(&options, st, &error) : 0;
	}
	hf_close(manager);
	cli_options_free(&options);
	return code;
}
