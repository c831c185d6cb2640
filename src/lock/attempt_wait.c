/*
 * How long an attempt waits; when it looks for a circle that it waits in, and
 * what it makes of what was found. See attempt.h and deadlock.h.
 *
 * A circle closes when somebody begins to wait: he looks soon after, and again,
 * and has its victim rung, who looks on his part. The slower looks are for
 * victims who cannot be rung, and become ever slower: hundreds may wait in one
 * line who hold something each.
 */
#include "attempt.h"

#define FIRST_MS 100 /* most waits are over by then */
#define AGAIN_MS 100 /* to see it twice */
#define COMPANY_MS 300 /* somebody waits for what we hold, and holds something */
#define COMPANY_MOST_MS 19200 /* if he does for long, and there is no circle */
#define ALONE_MS 5000
#define FAR_BEHIND 32
#define FAR_TIMES 4
#define LOOKS_FOR_A_VICTIM 10 /* then the next one is to go */

/* Between half and all of `ms`, so that waiters do not march in step. */
static int64_t jittered(hf_attempt *a, int64_t ms)
{
	return ms - (int64_t)hf_rng_below(&a->rng, (uint64_t)(ms / 2 + 1));
}

int64_t hf_attempt_backoff_ms(hf_attempt *a, int64_t min_ms, int64_t max_ms)
{
	int64_t cap = min_ms;
	uint32_t i;

	for (i = 0; i < a->tries && cap < max_ms; i++)
		cap = cap > max_ms / 2 ? max_ms : cap * 2;
	a->tries++;
	return 1 + (int64_t)hf_rng_below(&a->rng, (uint64_t)cap);
}

/* The backstop in the line: longer for those far behind, whom nothing concerns yet. */
static int64_t line_ms(const hf_attempt *a)
{
	size_t times = 1 + a->verdict.ahead / FAR_BEHIND;

	return a->setup.line_ms * (int64_t)(times < FAR_TIMES ? times : FAR_TIMES);
}

int64_t hf_attempt_pause_ms(hf_attempt *a)
{
	const hf_verdict *v = &a->verdict;
	int64_t pause = jittered(a, a->in_line ? line_ms(a) : a->setup.poll_ms);
	int64_t wait_ms = v->wait_ms + 1;

	if (a->in_line)
		wait_ms += a->setup.request.claim_ms + 50 * (int64_t)v->ahead;
	return v->wait_ms >= 0 && wait_ms < pause ? wait_ms : pause;
}

bool hf_attempt_look_due(hf_attempt *a, hf_now now)
{
	const hf_attempt_setup *s = &a->setup;
	bool woken = a->woken && now.boot_ms < a->wake_ms;

	a->woken = false;
	if (!a->verdict.waits || !s->request.grant.under[0] || a->giving_up)
		return false;
	if (!a->look_ms) {
		a->look_from_ms = now.boot_ms + FIRST_MS;
		a->look_ms = a->look_from_ms;
	}
	/* Something has changed, or somebody wants us to look. */
	if (woken && a->look_ms > now.boot_ms && now.boot_ms >= a->look_from_ms)
		a->look_ms = now.boot_ms;
	return now.boot_ms >= a->look_ms;
}

void hf_attempt_on_look(hf_attempt *a, hf_status status, hf_now now)
{
	const hf_deadlock *d = &a->deadlock;
	bool again = !status && d->found && !strcmp(d->circle, a->circle_seen);
	int64_t pause_ms = a->company_ms ? a->company_ms : COMPANY_MS;

	a->ring_victim = false;
	a->state = HF_ATTEMPT_DECIDE;
	a->company_ms = d->found || pause_ms >= COMPANY_MOST_MS ? pause_ms : 2 * pause_ms;
	if (!status && !d->found && !d->company)
		pause_ms = ALONE_MS;
	if (!status && d->found)
		pause_ms = again ? COMPANY_MS : AGAIN_MS;
	a->look_ms = now.boot_ms + pause_ms;
	hf_copy(a->circle_seen, sizeof(a->circle_seen), !status && d->found ? d->circle : "");
	a->circle_looks = again ? a->circle_looks + 1 : 0;
	a->deadlock.passed_over = a->circle_looks / LOOKS_FOR_A_VICTIM;
	if (!again)
		return;
	a->deadlocked = !strcmp(d->victim, a->setup.request.grant.id);
	a->ring_victim = !a->deadlocked;
}
