/* The attempt. See attempt.h. */
#include "attempt.h"
#include "queue.h"

#include <stdio.h>
#include <stdlib.h>

/* now + ms, which may be as good as for ever. */
static int64_t after(int64_t now_ms, int64_t ms)
{
	return ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + ms;
}

static hf_step done(hf_attempt *a, hf_status status)
{
	/*
	 * An etag without its bytes is no state to begin the next attempt from:
	 * it would read as absent.
	 */
	if (a->bare)
		hf_snapshot_clear(&a->snap);
	a->bare = false;
	a->status = status;
	a->state = HF_ATTEMPT_DONE;
	return HF_STEP_DONE;
}

void hf_attempt_init(hf_attempt *attempt, const hf_attempt_setup *setup, hf_now now)
{
	memset(attempt, 0, sizeof(*attempt));
	attempt->setup = *setup;
	hf_record_init(&attempt->record);
	hf_record_init(&attempt->next);
	hf_rng_seed(&attempt->rng, setup->seed);
	if (!attempt->setup.observer)
		attempt->setup.observer = &attempt->own_observer;
	attempt->wait_until_ms =
		setup->wait_ms < 0 ? INT64_MAX : after(now.boot_ms, setup->wait_ms);
	attempt->probe_waiter = -1;
	attempt->setup.request.newcomer = true;
	attempt->state = HF_ATTEMPT_READ;
}

static void take_snapshot(hf_attempt *a, hf_snapshot *from, bool fresh)
{
	hf_snapshot_clear(&a->snap);
	a->snap = *from;
	memset(from, 0, sizeof(*from));
	a->fresh = fresh;
	a->decoded = false;
	a->written = false;
	a->bare = false;
	a->state = HF_ATTEMPT_DECIDE;
}

void hf_attempt_start_from(hf_attempt *attempt, hf_snapshot *known, hf_record *record)
{
	if (!known->etag.len)
		return;
	take_snapshot(attempt, known, false);
	if (record) {
		hf_record_exchange(&attempt->next, record);
		attempt->written = true;
	}
}

/* ---- deciding ---- */

/* Turn the verdict's next record into the change to swap in. */
static hf_step want_swap(hf_attempt *a, hf_now now)
{
	int64_t base = now.boot_ms;

	hf_buf_clear(&a->out);
	hf_buf_clear(&a->line);
	hf_buf_clear(&a->summary);
	a->change = (hf_change){.history_limit = a->setup.history_limit};
	if (a->setup.capabilities & HF_CAP_NEIGHBOURS) {
		if (!a->view)
			a->view = malloc(sizeof(*a->view));
		if (!a->view)
			return done(a, hf_fail_memory(&a->error, "attempt"));
		hf_record_view(a->view, &a->next);
		a->change.view = a->view;
	}
	if (!a->verdict.amend) {
		hf_event_encode(&a->next.event, &a->line);
		hf_event_describe(&a->next.event, a->setup.name, &a->summary);
		a->event.line = a->line.failed ? "" : a->line.data + 1; /* skip ' ' */
		a->event.summary = a->summary.data;
		a->change.event = &a->event;
	}
	hf_record_encode(&a->next, a->verdict.amend ? NULL : &a->line, a->setup.near, &a->out);
	if (a->out.failed || a->line.failed || a->summary.failed)
		return done(a, hf_fail_memory(&a->error, "attempt"));
	if (a->out.len > HF_RECORD_MAX)
		return done(a, hf_fail(&a->error, HF_INVALID, "attempt", 0,
				       "the lock's record would be longer than %d bytes: too "
				       "many holders, or "
				       "too long texts",
				       HF_RECORD_MAX));
	a->change.data = a->out.data;
	a->change.len = a->out.len;
	/*
	 * Trust is measured from before the request, or, on a store's clock,
	 * from before the question whose answer told its time. Of two requests
	 * that may have landed the earlier counts.
	 */
	if (!a->setup.host_clock[0] && (a->setup.capabilities & HF_CAP_CLOCK))
		base -= a->snap.told_ms - a->snap.asked_ms;
	if (!a->pending)
		a->asked_base_ms = base;
	a->queued = a->queued || a->verdict.waits;
	a->setup.request.newcomer = !a->queued;
	a->state = HF_ATTEMPT_SWAP;
	return HF_STEP_SWAP;
}

static hf_step decide(hf_attempt *a, hf_now now);

/* `final` is the answer as soon as nothing of ours can land any more. */
static void give_up(hf_attempt *a, hf_status final)
{
	a->giving_up = true;
	a->final = final;
	a->final_error = a->error;
}

static hf_step say_final(hf_attempt *a)
{
	a->error = a->final_error; /* not what the store said since */
	return done(a, a->final);
}

/* Say `status`, once no request of ours can land any more and we wait no more. */
static hf_step conclude(hf_attempt *a, hf_status status, hf_now now)
{
	hf_ask ask = a->setup.request.ask;
	bool ends_any = ask == HF_ASK_FORCE_RELEASE || ask == HF_ASK_REAP;
	/* Found done, and what we asked before could yet be done once more. */
	bool late = status == HF_OK && a->pending && ends_any;
	bool is_final = (status == HF_OK && !late) || status == HF_UNKNOWN;

	if (!is_final && (a->pending || a->queued) && !a->giving_up) {
		hf_attempt_explain(a, status);
		give_up(a, status);
		a->settle_until_ms = after(now.boot_ms, a->setup.settle_ms);
		a->state = HF_ATTEMPT_DECIDE;
		return decide(a, now);
	}
	if (!is_final && a->pending)
		status = HF_UNKNOWN;
	if (status != HF_OK)
		hf_attempt_explain(a, status);
	return done(a, status);
}

static hf_step wait_until(hf_attempt *a, int64_t wake_ms)
{
	a->wake_ms = wake_ms;
	a->state = HF_ATTEMPT_WAIT;
	return HF_STEP_WAIT;
}

/* What is there cannot be read, or not held in memory. */
static hf_step unreadable(hf_attempt *a, hf_status status)
{
	if (status == HF_CORRUPT && a->pending) {
		status = HF_UNKNOWN; /* it may be ours that cannot be read */
		hf_attempt_explain(a, status);
	}
	if (status == HF_CORRUPT && !a->fresh) {
		a->state = HF_ATTEMPT_READ; /* it may have been repaired since */
		return HF_STEP_READ;
	}
	return done(a, status);
}

static hf_step held(hf_attempt *a, hf_now now)
{
	const hf_attempt_setup *s = &a->setup;
	int64_t wake;
	hf_status st;

	a->in_line = a->verdict.waits && a->verdict.ahead > 0;
	if (s->strategy == HF_FAIL_FAST || s->wait_ms == 0)
		return conclude(a, HF_HELD, now);
	if (a->deadlocked)
		return conclude(a, HF_DEADLOCK, now);
	if (now.boot_ms >= a->wait_until_ms)
		return conclude(a, HF_TIMED_OUT, now);
	if (hf_attempt_look_due(a, now)) {
		if (!a->decoded) { /* right after our own swap */
			a->state = HF_ATTEMPT_READ;
			return HF_STEP_READ;
		}
		st = a->record.far_count ? hf_attempt_unfold(a) : HF_OK;
		if (st)
			return unreadable(a, st);
		a->state = HF_ATTEMPT_LOOK;
		return HF_STEP_LOOK;
	}
	if (s->strategy == HF_RETRY) {
		if (a->tries >= s->max_retries)
			return conclude(a, HF_HELD, now);
		wake = after(now.boot_ms,
			hf_attempt_backoff_ms(a, s->backoff_min_ms, s->backoff_max_ms));
	} else {
		wake = now.boot_ms + hf_attempt_pause_ms(a);
	}
	if (a->look_ms && a->look_ms < wake)
		wake = a->look_ms;
	return wait_until(a, wake < a->wait_until_ms ? wake : a->wait_until_ms);
}

/* Our request of unknown fate, seen against the state that is there now. */
static void review_pending(hf_attempt *a)
{
	if (a->pending && a->fresh && !hf_etag_equal(&a->snap.etag, &a->pending_over))
		a->pending = false; /* it landed or never will: the rules tell */
}

/*
 * There without a swap of this decision. The generation tells whether the last
 * request of unknown fate did it: only then is it known since when to trust.
 */
static void found(hf_attempt *a)
{
	a->token = a->verdict.token;
	if (a->sent && a->verdict.gen >= a->sent_from_gen && a->verdict.gen <= a->sent_to_gen)
		a->base_ms = a->sent_base_ms;
}

/* The rules must know of a waiter whether it lives. */
static hf_step probe_waiter(hf_attempt *a)
{
	a->probe_waiter = a->verdict.unproven;
	a->state = HF_ATTEMPT_PROBE;
	return HF_STEP_PROBE;
}

/*
 * Given up, and nothing of ours can land any more. What landed before that is
 * ours all the same; else we go out of the line.
 */
static hf_step depart(hf_attempt *a, hf_now now)
{
	hf_request leave = a->setup.request;
	hf_status st;

	leave.ask = HF_ASK_LEAVE;
	st = hf_attempt_ask(a, &leave, now);
	if (st)
		return unreadable(a, st);
	if (a->verdict.unproven >= 0)
		return probe_waiter(a);
	if (a->verdict.swap) {
		a->leaving = true;
		return want_swap(a, now);
	}
	if (!a->verdict.token)
		return say_final(a);
	found(a);
	return done(a, HF_OK);
}

static hf_step decide(hf_attempt *a, hf_now now)
{
	hf_request barrier = a->setup.request;
	const hf_request *request = &a->setup.request;
	hf_status st = hf_attempt_decode(a, now);

	if (st)
		return unreadable(a, st);
	review_pending(a);
	if (a->giving_up && a->pending) {
		barrier.ask = HF_ASK_BARRIER;
		request = &barrier;
		a->leaving = false; /* if that was it, it is asked for anew */
	} else if (a->giving_up && (request->ask == HF_ASK_ACQUIRE || a->queued)) {
		return depart(a, now);
	} else if (a->giving_up) {
		a->giving_up = false;
	}
	if (!a->probed &&
		(request->ask == HF_ASK_REAP || request->ask == HF_ASK_FORCE_RELEASE) &&
		a->record.grant_count) {
		a->state = HF_ATTEMPT_PROBE;
		return HF_STEP_PROBE;
	}
	st = hf_attempt_ask(a, request, now);
	if (!st && a->verdict.status == HF_OK && !a->verdict.swap && a->fresh && !a->sent &&
		request->ask == HF_ASK_CONVERT) {
		/*
		 * In that mode already. A conversion back, asked for by an earlier
		 * attempt whose fate is unknown, could land yet: move on first.
		 */
		uint64_t token = a->verdict.token;

		barrier.ask = HF_ASK_BARRIER;
		st = hf_attempt_ask(a, &barrier, now);
		a->verdict.token = token;
	}
	if (st)
		return unreadable(a, st);
	if (a->verdict.unproven >= 0)
		return probe_waiter(a);
	if (a->verdict.status == HF_OK && a->verdict.swap)
		return want_swap(a, now);
	if (!a->fresh) {
		a->state = HF_ATTEMPT_READ; /* an old state proves nothing */
		return HF_STEP_READ;
	}
	if (a->verdict.status == HF_NO_MEMORY)
		return done(a, hf_fail_memory(&a->error, "attempt"));
	if (a->verdict.status == HF_HELD && !a->probed) {
		a->state = HF_ATTEMPT_PROBE;
		return HF_STEP_PROBE;
	}
	a->met_holder = a->met_holder || a->verdict.status == HF_HELD;
	if (a->verdict.swap)
		return want_swap(a, now);
	if (a->verdict.status == HF_HELD)
		return held(a, now);
	found(a);
	/* A release that was asked for and now finds nothing has landed. */
	if (request->ask == HF_ASK_RELEASE && a->sent &&
		(a->verdict.status == HF_NOT_OWNER || a->verdict.status == HF_LOST))
		return conclude(a, HF_OK, now);
	/* A lease we had, named by its id, that is not there: it was taken. */
	if (a->verdict.status == HF_NOT_OWNER && request->who.id &&
		request->ask != HF_ASK_ACQUIRE && request->renewals)
		return conclude(a, HF_LOST, now);
	return conclude(a, a->verdict.status, now);
}

/* ---- what came of it ---- */

hf_step hf_attempt_next(hf_attempt *attempt, hf_now now)
{
	switch (attempt->state) {
	case HF_ATTEMPT_READ:
		hf_snapshot_clear(&attempt->snap);
		attempt->decoded = false;
		attempt->written = false;
		attempt->bare = false;
		attempt->asked_ms = now.boot_ms;
		attempt->asked_gen = attempt->setup.request.least_gen;
		return HF_STEP_READ;
	case HF_ATTEMPT_DECIDE:
	case HF_ATTEMPT_HELD: {
		hf_step step = attempt->state == HF_ATTEMPT_HELD ? held(attempt, now)
								 : decide(attempt, now);

		if (step != HF_STEP_READ && step != HF_STEP_SWAP)
			return step;
		return hf_attempt_next(attempt, now);
	}
	case HF_ATTEMPT_PROBE:
		return HF_STEP_PROBE;
	case HF_ATTEMPT_SWAP:
		attempt->asked_ms = now.boot_ms;
		attempt->asked_gen = attempt->setup.request.least_gen;
		return HF_STEP_SWAP;
	case HF_ATTEMPT_LOOK:
		return HF_STEP_LOOK;
	case HF_ATTEMPT_WAIT:
		return HF_STEP_WAIT;
	default:
		return HF_STEP_DONE;
	}
}

/*
 * How long the fate of a request is looked into, from its first UNKNOWN: beyond
 * the wait, which only those have who wait for the lock. Later ones do not
 * prolong it: a store that never answers a swap would keep us for ever.
 */
static int64_t settle_until(const hf_attempt *a, hf_now now)
{
	bool tries = a->setup.strategy == HF_FAIL_FAST || a->setup.strategy == HF_RETRY;
	int64_t from = now.boot_ms;

	if (!a->giving_up && !tries && from < a->wait_until_ms)
		from = a->wait_until_ms;
	return after(from, a->setup.settle_ms);
}

/* The store did not answer: again after a pause, while there is time. */
static void unreachable(hf_attempt *a, hf_status status, const hf_error *error, hf_now now)
{
	int64_t until = a->wait_until_ms;

	if (error)
		a->error = *error;
	if (a->pending || a->giving_up) {
		if (!a->settle_until_ms)
			a->settle_until_ms = settle_until(a, now);
		until = a->settle_until_ms;
		status = a->pending ? HF_UNKNOWN : status;
	} else if (a->setup.strategy == HF_FAIL_FAST) {
		until = now.boot_ms;
	}
	if (status != HF_UNAVAILABLE && status != HF_UNKNOWN) {
		done(a, status);
		return;
	}
	if (now.boot_ms >= until && a->giving_up && (a->leaving || !a->pending)) {
		say_final(a); /* an entry of nobody stays: see attempt.h */
		return;
	}
	if (now.boot_ms >= until || (a->setup.strategy == HF_RETRY && !a->pending &&
					    a->tries >= a->setup.max_retries)) {
		if (status == HF_UNKNOWN)
			hf_attempt_explain(a, status);
		done(a, status);
		return;
	}
	wait_until(a, now.boot_ms + hf_attempt_backoff_ms(a, 20, 2000));
	if (a->wake_ms > until)
		a->wake_ms = until;
}

void hf_attempt_on_read(
	hf_attempt *attempt, hf_status status, const hf_error *error, hf_now now)
{
	if (status) {
		unreachable(
			attempt, status == HF_UNKNOWN ? HF_UNAVAILABLE : status, error, now);
		return;
	}
	attempt->snap.asked_ms = attempt->asked_ms;
	attempt->snap.told_ms = now.boot_ms;
	attempt->fresh = true;
	attempt->decoded = false;
	attempt->state = HF_ATTEMPT_DECIDE;
}

void hf_attempt_on_probe(hf_attempt *attempt)
{
	if (attempt->probe_waiter >= 0)
		attempt->waiters[attempt->probe_waiter].probed = true;
	else
		attempt->probed = true;
	attempt->probe_waiter = -1;
	attempt->state = HF_ATTEMPT_DECIDE;
}

/* Our record is in: the next decision may start from it. */
static void adopt_own_record(hf_attempt *a)
{
	hf_snapshot mine = a->reply;
	bool brief = !a->next.far_count && a->next.waiter_count <= 2 * a->setup.near;
	bool written = !mine.data && brief && hf_record_own(&a->next);

	memset(&a->reply, 0, sizeof(a->reply));
	if (!mine.data && !written) {
		mine.data = a->out.data;
		mine.len = a->out.len;
		a->out = (hf_buf)HF_BUF_INIT;
	}
	free(mine.foreign);
	mine.foreign = NULL;
	take_snapshot(a, &mine, true);
	a->written = written;
}

/*
 * Is what the swap leaves known without asking the rules again? It put us into the
 * line, behind others, and nobody has offered us anything.
 */
static bool stands_behind(const hf_attempt *a)
{
	int mine = hf_queue_find(&a->next, a->setup.request.grant.id);

	return a->verdict.status == HF_HELD && a->verdict.waits && a->verdict.ahead > 0 &&
	       mine >= 0 && !a->next.waiters[mine].offer;
}

void hf_attempt_on_swap(
	hf_attempt *attempt, hf_status status, const hf_error *error, hf_now now)
{
	hf_attempt *a = attempt;
	bool behind;

	a->reply.asked_ms = a->asked_ms;
	a->reply.told_ms = now.boot_ms;
	switch (status) {
	case HF_OK:
		a->pending = false;
		a->ended += a->verdict.ended;
		a->token = a->verdict.token;
		a->base_ms = a->asked_base_ms;
		behind = stands_behind(a);
		adopt_own_record(a);
		if (a->giving_up && (a->leaving || !a->queued))
			say_final(a);
		else if (a->giving_up)
			return; /* nothing is pending any more: out of the line */
		else if (a->verdict.status == HF_OK)
			done(a, HF_OK);
		else if (a->verdict.status != HF_HELD)
			conclude(a, a->verdict.status, now);
		else if (behind)
			a->state = HF_ATTEMPT_HELD;
		return;
	case HF_CHANGED:
		take_snapshot(a, &a->reply, true);
		return;
	case HF_UNKNOWN:
		if (!a->pending) {
			a->sent_from_gen = a->next.gen;
			a->sent_base_ms = a->asked_base_ms;
		}
		a->sent_to_gen = a->next.gen;
		a->pending = true;
		a->sent = true;
		a->pending_over = a->snap.etag;
		unreachable(a, status, error, now);
		return;
	default:
		unreachable(a, status, error, now);
		return;
	}
}

void hf_attempt_on_wake(hf_attempt *attempt)
{
	attempt->looked_again++;
	attempt->woken = true;
	attempt->state = HF_ATTEMPT_READ;
}

void hf_attempt_cancel(hf_attempt *attempt, hf_status status)
{
	if (attempt->state == HF_ATTEMPT_DONE)
		return;
	hf_fail(&attempt->error, status,
		attempt->setup.request.ask == HF_ASK_CONVERT ? "convert" : "acquire", 0,
		"lock '%s': waiting was cancelled", attempt->setup.name);
	if (!attempt->pending && !attempt->queued) {
		done(attempt, status);
		return;
	}
	give_up(attempt, status);
	attempt->settle_until_ms = 0; /* anew, from the next look */
	attempt->state = HF_ATTEMPT_READ;
}
