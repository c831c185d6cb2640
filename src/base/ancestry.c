/*
 * Who is above us, by /proc.
 *
 * Process ids are reused, so each step up is looked at twice: what /proc told of
 * the parent counts only if the child still has that parent afterwards. A
 * process whose parent has died gets a new one, and never that process id again
 * while it was somebody else's.
 */
#include "process.h"

#define DEPTH_MAX 4096

/* The parent of `child` (whose start is known) as it was at one moment. */
static bool parent_of(int64_t child, uint64_t start, int64_t *parent_out, hf_proc_stat *out)
{
	hf_proc_stat before;
	hf_proc_stat after;

	do {
		if (!hf_proc_stat_read(child, &before) || before.start != start ||
			before.parent <= 0 || !hf_proc_stat_read(before.parent, out) ||
			!hf_proc_stat_read(child, &after) || after.start != start)
			return false;
	} while (after.parent != before.parent);
	*parent_out = before.parent;
	return true;
}

bool hf_process_is_ancestor(const hf_process *process)
{
	const hf_process *me = hf_self();
	int64_t pid = me->pid;
	uint64_t start = me->start;
	hf_proc_stat parent;
	int i;

	/* /proc tells start times by the reader's clock. */
	if (!process->boot[0] || strcmp(process->boot, me->boot) != 0 || !process->pidns ||
		process->pidns != me->pidns || process->timens != me->timens ||
		process->pid <= 0 || !process->start || process->pid == me->pid)
		return false;
	for (i = 0; i < DEPTH_MAX; i++) {
		if (!parent_of(pid, start, &pid, &parent))
			return false;
		start = parent.start;
		if (pid == process->pid)
			return start == process->start;
	}
	return false;
}
