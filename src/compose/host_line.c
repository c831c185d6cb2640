/* The host's line. See host_line.h. */
#include "host_line_internal.h"

#define WAITS_EVERY_MS (HF_PLACE_MS / 3)
#define FRESH_MS 1000 /* a place that is no older need not be renewed at once */
#define PLACE_MAX_MS 60000

bool hf_host_line_wanted(unsigned capabilities)
{
	return !(capabilities & (HF_CAP_QUICK | HF_CAP_SESSION_BOUND));
}

int64_t hf_host_line_place_ms(int64_t ttl_ms, int64_t renew_ms, bool renews)
{
	int64_t every_ms = renew_ms && renew_ms < ttl_ms / 3 ? renew_ms : ttl_ms / 3;
	int64_t place_ms = every_ms + every_ms / 2;

	if (!renews || place_ms < HF_PLACE_MS || place_ms > PLACE_MAX_MS)
		place_ms = HF_PLACE_MS;
	return ttl_ms && ttl_ms < place_ms ? ttl_ms : place_ms;
}

static int64_t place_ms_of(const hf_lease *lease)
{
	return hf_host_line_place_ms(lease->ttl_ms, lease->renew_ms, lease->renews);
}

/* ---- who stands in it ---- */

static bool goes_past(const hf_acquire_options *o)
{
	return o->strategy == HF_STEAL_STALE || o->strategy == HF_FORCE_ACQUIRE ||
	       (o->reenter && o->reenter[0]);
}

/* An exclusive holder, for as long as his process has the lease. */
static bool keeps_place(const hf_acquisition *acq)
{
	const hf_acquire_options *o = acq->options;

	return o->mode == HF_EXCLUSIVE && !(o->flags & HF_DETACHED) &&
	       !(o->reenter && o->reenter[0]);
}

static bool asks_once(const hf_acquire_options *o)
{
	return o->strategy == HF_FAIL_FAST || o->wait_ms == 0;
}

/* HF_OK: on to the store, with the place or past it. */
static hf_status stand_in_line(hf_place *place, hf_error *error)
{
	const hf_acquire_options *o = place->acq->options;
	hf_place_ask ask = {.strategy = HF_QUEUE, .ttl_ms = place_ms_of(place->acq->lease)};
	hf_status st = HF_HELD;
	bool sure = true;

	if (goes_past(o))
		return HF_OK;
	if (o->strategy == HF_QUEUE && !asks_once(o))
		return hf_place_take(place, &ask, &sure, error);
	if (asks_once(o) || o->mode != HF_EXCLUSIVE) {
		ask.strategy = HF_FAIL_FAST;
		st = hf_place_take(place, &ask, &sure, error);
	}
	if (st != HF_HELD || asks_once(o) || !sure)
		return sure ? st : HF_OK;
	ask.strategy = HF_RETRY;
	return hf_place_take(place, &ask, &sure, error);
}

/* ---- with the place in the store ---- */

static void leave(hf_place *place)
{
	if (place->had)
		hf_place_leave(place->acq->lease);
	place->had = false;
}

static void renew(hf_place *place, int64_t ttl_ms)
{
	place->had = hf_place_renew(place->acq->lease, ttl_ms);
	place->ttl_ms = ttl_ms;
	place->vouched_ms = hf_boot_ms();
}

static bool is_older(const hf_place *place, int64_t ms)
{
	return hf_boot_ms() - place->vouched_ms > ms;
}

/* It is about to wait in the store. */
static void waits(void *arg)
{
	hf_place *place = arg;

	if (!place->had)
		return;
	if (place->acq->options->strategy == HF_RETRY)
		leave(place);
	else if (place->ttl_ms != HF_PLACE_MS || is_older(place, WAITS_EVERY_MS / 2))
		renew(place, HF_PLACE_MS);
}

static hf_status ask_store(hf_place *place, hf_error *error)
{
	hf_acquisition *acq = place->acq;

	if (place->had) {
		acq->waits = waits;
		acq->waits_arg = place;
		acq->waits_every_ms = WAITS_EVERY_MS;
	}
	return hf_acquire_in_store(acq, error);
}

/*
 * It holds. Who came past the line takes the place now, if it can be had: by force
 * from those whose leases it has taken so.
 */
static void keep(hf_place *place)
{
	hf_lease *lease = place->acq->lease;
	hf_place_ask ask = {.strategy = HF_FAIL_FAST, .ttl_ms = place_ms_of(lease)};
	bool sure;

	if (place->had && (place->ttl_ms != ask.ttl_ms || is_older(place, FRESH_MS)))
		renew(place, ask.ttl_ms);
	if (goes_past(place->acq->options))
		ask.take = HF_TAKE_ALL;
	if (!place->had && !place->broken)
		(void)hf_place_take(place, &ask, &sure, NULL);
	lease->in_line = place->had;
}

static hf_status line_acquire(hf_acquisition *acq, hf_error *error)
{
	hf_manager *m = acq->lease->manager;
	hf_host_line *l = m->before_data;
	hf_place place = {.acq = acq};
	hf_status st;

	if (!m->line) {
		hf_host_line_tell(m, l->problem);
		return hf_acquire_in_store(acq, error);
	}
	st = stand_in_line(&place, error);
	if (!st)
		st = ask_store(&place, error);
	if (!st && keeps_place(acq))
		keep(&place);
	else
		leave(&place);
	return st;
}

/* ---- a lease with a place ---- */

static void line_renewed(hf_lease *lease)
{
	if (!hf_place_renew(lease, place_ms_of(lease)))
		lease->in_line = false;
}

static void line_leave(hf_lease *lease)
{
	if (atomic_exchange(&lease->in_line, false))
		hf_place_leave(lease);
}

/* What was ended may have had a place, under the same id, owner and fingerprint. */
static void line_ended(hf_manager *m, const char *name, const hf_who *who)
{
	if (!m->line)
		return;
	if (who)
		(void)!hf_release_by(m->line, name, who, NULL);
	else
		(void)!hf_force_release(m->line, name, NULL, 1, NULL, NULL);
}

void hf_host_line_put(hf_manager *m)
{
	static const hf_before line = {
		.acquire = line_acquire,
		.renewed = line_renewed,
		.leave = line_leave,
		.ended = line_ended,
		.tidy = hf_host_line_tidy,
		.close = hf_host_line_close,
	};

	hf_host_line_begin(m, &line);
}
