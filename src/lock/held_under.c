/* What one who waits keeps meanwhile. See under.h. */
#include "manager.h"
#include "under.h"

uint64_t hf_thread_number(void)
{
	static _Atomic uint64_t last;
	static _Thread_local uint64_t mine;

	if (!mine)
		mine = ++last;
	return mine;
}

#define LOOKED_AT 256 /* of a manager's leases, the newest: to stay quick */

/* Held until its thread releases it: no time and nobody else ends it. */
static bool is_kept(const hf_lease *lease, uint64_t thread)
{
	return lease->thread == thread && (lease->bound || lease->gathered) &&
	       lease->fork_generation == hf_fork_generation() &&
	       (lease->renews || !lease->ttl_ms) && hf_lease_valid(lease);
}

void hf_manager_under(hf_manager *m, const hf_acquire_options *o, hf_buf *out)
{
	const hf_lease *lease;
	size_t looked_at = 0;
	size_t i;

	for (i = 0; i < o->under_count && i < HF_UNDER_MAX; i++)
		hf_under_add(out, o->under[i].id, o->under[i].name);
	if (!(o->flags & HF_UNDER_OWN))
		return;
	pthread_mutex_lock(&m->mutex);
	for (lease = m->leases; lease && i < HF_UNDER_MAX; lease = lease->next) {
		if (looked_at++ == LOOKED_AT)
			break;
		if (!is_kept(lease, hf_thread_number()))
			continue;
		hf_under_add(out, lease->id, lease->name);
		i++;
	}
	pthread_mutex_unlock(&m->mutex);
}

bool hf_manager_knows_lost(hf_manager *m, const char *id)
{
	const hf_lease *lease;
	bool lost = false;

	pthread_mutex_lock(&m->mutex);
	for (lease = m->leases; lease; lease = lease->next)
		lost = lost || (!strcmp(lease->id, id) && !hf_lease_valid(lease));
	pthread_mutex_unlock(&m->mutex);
	return lost;
}
