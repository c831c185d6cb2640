#include "held.h"

#include "base/base.h"

#include <unistd.h>

hf_lease *take(hf_manager *m, const char *name, const hf_acquire_options *options)
{
	hf_lease *lease = NULL;
	hf_error error;

	if (hf_acquire(m, name, options, &lease, &error))
		fail_msg("acquire %s: %s", name, error.text);
	return lease;
}

void give_back(hf_lease *lease)
{
	hf_error error;

	if (hf_release(lease, &error))
		fail_msg("release: %s", error.text);
}

hf_status try_it(hf_manager *m, const char *name, const hf_acquire_options *options)
{
	hf_lease *lease;
	hf_error error;
	hf_status st = hf_try_acquire(m, name, options, &lease, &error);

	if (st)
		assert_null(lease);
	else
		give_back(lease);
	if (st)
		assert_true(strlen(error.text) > 10);
	return st;
}

static size_t count_of(hf_manager *m, const char *name, bool waiting)
{
	hf_lock_info *info;
	hf_error error;
	size_t n;

	if (hf_lock_status(m, name, &info, &error))
		fail_msg("status: %s", error.text);
	n = waiting ? info->waiter_count : info->holder_count;
	hf_lock_info_free(info);
	return n;
}

size_t holders(hf_manager *m, const char *name)
{
	return count_of(m, name, false);
}

size_t waiters(hf_manager *m, const char *name)
{
	return count_of(m, name, true);
}

bool eventually(bool (*fn)(void *arg), void *arg, int64_t ms)
{
	int64_t until_ms = hf_boot_ms() + ms;

	while (!fn(arg)) {
		if (hf_boot_ms() >= until_ms)
			return false;
		usleep(2000);
	}
	return true;
}
