/* One acquisition, from one wait to the next. See async_internal.h. */
#include "async_internal.h"

#include <stdlib.h>

/*
 * What an attempt has gathered serves the next one; those that wait keep only
 * what they cannot read again.
 */
static void lay_aside(hf_pending *p)
{
	hf_manager *m = p->manager;

	p->seen = p->attempt->snap.etag;
	pthread_mutex_lock(&m->mutex);
	hf_attempt_rest(p->attempt, &m->spare);
	pthread_mutex_unlock(&m->mutex);
}

static void take_up(hf_pending *p)
{
	hf_manager *m = p->manager;

	pthread_mutex_lock(&m->mutex);
	hf_attempt_exchange_memory(p->attempt, &m->spare);
	pthread_mutex_unlock(&m->mutex);
}

void hf_async_answer(hf_pending *p, hf_status st)
{
	p->status = hf_acquisition_end(&p->acq, st, &p->lease, &p->error);
}

void hf_async_say_closed(hf_pending *p)
{
	hf_status st = hf_fail(&p->error, HF_TIMED_OUT, "acquire", 0,
		"lock '%s': its manager was closed while it was waited for", p->name);

	if (p->acq.lease)
		hf_async_answer(p, st);
	else
		p->status = st;
}

static async_outcome answer(hf_pending *p, hf_status st)
{
	hf_async_answer(p, st);
	return ASYNC_ANSWERED;
}

/* A grant that came, or what the answer is instead. */
static async_outcome conclude(hf_pending *p)
{
	hf_manager *m = p->manager;
	hf_status st = hf_drive_end(m, p->attempt, &p->error);
	bool again = false;

	hf_acquisition_tell(&p->acq, p->attempt);
	if (!st)
		st = hf_acquisition_granted(&p->acq, p->attempt, &again, &p->error);
	hf_attempt_free(p->attempt);
	free(p->attempt);
	p->attempt = NULL;
	if (!again)
		return answer(p, st);
	hf_bell_new_id(p->id, p->acq.lease->id);
	return ASYNC_AGAIN;
}

static bool begin(hf_pending *p)
{
	hf_attempt_setup setup;

	p->attempt = malloc(sizeof(*p->attempt));
	if (!p->attempt)
		return false;
	hf_acquisition_setup(&p->acq, &setup, &p->drive);
	p->drive.rung = true;
	hf_attempt_init(p->attempt, &setup, hf_now_here());
	hf_manager_recall(p->manager, p->attempt);
	p->told = false;
	return true;
}

static async_outcome wait_in_store(hf_pending *p)
{
	const hf_process *holder = hf_drive_holder(p->manager, p->attempt);

	p->wake_ms = p->attempt->wake_ms;
	p->queued = p->attempt->queued;
	p->in_line = p->attempt->in_line;
	if (holder && !p->in_line) {
		p->blocker_pid = holder->pid;
		p->blocker_start = holder->start;
	}
	lay_aside(p);
	return ASYNC_WAITS;
}

async_outcome hf_async_work(hf_pending *p, bool cancel, int64_t turn_ms)
{
	hf_attempt *attempt;
	hf_status st;

	if (cancel && !p->attempt)
		return answer(p, hf_fail(&p->error, HF_TIMED_OUT, "acquire", 0,
					 "lock '%s': waiting was cancelled", p->name));
	p->seen.len = 0;
	p->blocker_pid = 0;
	if (p->acq.bind_pause_max_ms < turn_ms)
		p->acq.bind_pause_max_ms = turn_ms;
	st = hf_acquisition_bind(&p->acq, &p->wake_ms, &p->error);
	if (st == HF_HELD && p->wake_ms) {
		p->in_line = false;
		return ASYNC_WAITS;
	}
	if (st)
		return answer(p, st);
	if (p->attempt) {
		take_up(p);
		hf_attempt_on_wake(p->attempt);
	} else if (!begin(p)) {
		return answer(p, hf_fail_memory(&p->error, "acquire"));
	}
	attempt = p->attempt;
	if (cancel && !p->told) {
		hf_attempt_cancel(attempt, HF_TIMED_OUT);
		p->told = true;
	}
	attempt->setup.poll_ms = turn_ms > HF_POLL_MS ? turn_ms : HF_POLL_MS;
	if (hf_drive_until(p->manager, attempt, &p->drive, hf_now_here(), true) == HF_STEP_WAIT)
		return wait_in_store(p);
	return conclude(p);
}

void hf_async_give_back(hf_pending *p)
{
	if (p->lease)
		(void)hf_release(p->lease, NULL);
	p->lease = NULL;
}

void hf_async_free(hf_pending *p)
{
	if (p->attempt)
		hf_attempt_free(p->attempt);
	free(p->attempt);
	hf_buf_free(&p->acq.under);
	if (p->acq.lease)
		hf_lease_destroy(p->acq.lease);
	free(p);
}
