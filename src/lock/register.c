/* The one wrapper around a store's operations: what every store is held to. */
#include "manager.h"

#include <assert.h>
#include <poll.h>

static hf_status told(hf_manager *m, hf_status status, hf_error *error)
{
	if (status && error) {
		error->kind = status;
		hf_copy(error->store, sizeof(error->store), m->ops->identity(m->store));
	}
	return status;
}

hf_status hf_register_read(
	hf_manager *m, const char *name, hf_snapshot *snapshot, hf_error *error)
{
	hf_status st = m->ops->read(m->store, name, snapshot, error);

	if (!st) {
		assert(snapshot->etag.len > 0);
		assert((snapshot->len == 0) == (snapshot->data == NULL));
	}
	return told(m, st, error);
}

hf_status hf_register_swap(hf_manager *m, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *reply, hf_error *error)
{
	hf_status st;

	assert(change->data && change->len > 0 && change->len <= HF_RECORD_MAX);
	st = m->ops->swap(m->store, name, expected, change, reply, error);
	if (st == HF_OK || st == HF_CHANGED)
		assert(reply->etag.len > 0);
	if (st == HF_OK)
		assert(!expected || !hf_etag_equal(&reply->etag, expected));
	return told(m, st, error);
}

hf_status hf_register_watch(hf_manager *m, const char *name, const hf_etag *seen,
	int64_t deadline_ms, int cancel_fd, hf_error *error)
{
	int64_t left = deadline_ms - hf_boot_ms();

	if (left <= 0)
		return HF_OK;
	if (left > 3600000)
		left = 3600000;
	if (m->ops->watch && seen)
		return told(
			m, m->ops->watch(m->store, name, seen, left, cancel_fd, error), error);
	if (cancel_fd >= 0) {
		struct pollfd fd = {.fd = cancel_fd, .events = POLLIN};

		(void)poll(&fd, 1, (int)left);
	} else {
		hf_sleep_until_ms(hf_boot_ms() + left);
	}
	return HF_OK;
}
