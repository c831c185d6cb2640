/*
 * wait: until nobody holds the lock, without taking it. By the time this ends
 * another may have taken it; `run` and `acquire` are for whoever needs it.
 */
#include "lockview.h"

/* A holder that dies or runs out of time changes nothing that would wake us. */
#define LOOK_AGAIN_MS 500

struct waiting {
	const char *name;
	int64_t wait_ms; /* as asked for */
	int64_t until_ms; /* on hf_boot_ms() */
	/*
	 * A lock delay that nobody has noted yet begins anew in each look: what
	 * counts is when it was first seen, in which state of the record.
	 */
	uint64_t closed_generation;
	int64_t closed_until_ms;
};

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void note_delay(struct waiting *w, const hf_lock_info *info, int64_t now_ms)
{
	int64_t until_ms = now_ms + info->closed_ms;

	if (w->closed_generation == info->generation && w->closed_until_ms < until_ms)
		return;
	w->closed_generation = info->generation;
	w->closed_until_ms = until_ms;
}

static bool is_free(struct waiting *w, const hf_lock_info *info, int64_t now_ms)
{
	note_delay(w, info, now_ms);
	return info->state == HF_OK && info->holder_count == 0 && w->closed_until_ms <= now_ms;
}

static int64_t until_next_look(
	const struct waiting *w, const hf_lock_info *info, int64_t now_ms)
{
	int64_t ms = least(LOOK_AGAIN_MS, w->until_ms - now_ms);
	size_t i;

	if (w->closed_until_ms > now_ms)
		ms = least(ms, w->closed_until_ms - now_ms);
	for (i = 0; i < info->holder_count; i++)
		if (info->holders[i].remaining_ms >= 0)
			ms = least(ms, info->holders[i].remaining_ms + 1);
	return ms;
}

static hf_status give_up(const struct waiting *w, const hf_lock_info *info, hf_error *error)
{
	hf_status st = w->wait_ms == 0 ? HF_HELD : HF_TIMED_OUT;
	const char *owner;

	if (info->holder_count == 0)
		return hf_fail(error, st, "wait", 0,
			"lock '%s' is closed: its last lease was not released", w->name);
	owner = info->holders[0].owner;
	return hf_fail(error, st, "wait", 0, "lock '%s' is held by %s", w->name,
		owner[0] ? owner : "another program");
}

/* One look. HF_OK with *again_ms: it is not free, look again after that. */
static hf_status look(struct waiting *w, hf_manager *manager, uint64_t *seen, int64_t *again_ms,
	hf_error *error)
{
	hf_lock_info *info;
	int64_t now_ms;
	hf_status st = hf_lock_status(manager, w->name, &info, error);

	if (st)
		return st;
	now_ms = hf_boot_ms();
	*seen = info->generation;
	*again_ms = -1;
	if (info->state != HF_OK)
		st = hf_fail(error, info->state, "wait", 0, "%s", info->problem);
	else if (!is_free(w, info, now_ms) && now_ms >= w->until_ms)
		st = give_up(w, info, error);
	else if (!is_free(w, info, now_ms) &&
		 !(st = cli_deadlock(info, HF_EXCLUSIVE, 0,
			   "it cannot be waited for from inside", error)))
		*again_ms = until_next_look(w, info, now_ms);
	hf_lock_info_free(info);
	return st;
}

static hf_status wait_until_free(
	const cli_options *options, hf_manager *manager, hf_error *error)
{
	struct waiting w = {.name = options->names[0],
		.wait_ms = options->acquire.wait_ms,
		.until_ms = INT64_MAX};
	int64_t again_ms;
	uint64_t seen;
	hf_status st;

	if (w.wait_ms >= 0 && __builtin_add_overflow(hf_boot_ms(), w.wait_ms, &w.until_ms))
		w.until_ms = INT64_MAX;
	for (;;) {
		st = look(&w, manager, &seen, &again_ms, error);
		if (st || again_ms < 0)
			return st;
		st = hf_watch(manager, w.name, seen, again_ms, error);
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
