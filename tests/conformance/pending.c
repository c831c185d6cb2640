#include "pending.h"

#include <dirent.h>
#include <poll.h>
#include <unistd.h>

hf_pending *start(hf_manager *m, const char *name, const hf_acquire_options *options, void *arg)
{
	hf_pending *pending = NULL;
	hf_error error;

	if (hf_acquire_start(m, name, options, arg, &pending, &error))
		fail_msg("start %s: %s", name, error.text);
	assert_non_null(pending);
	return pending;
}

bool told(hf_manager *m, int64_t ms)
{
	struct pollfd poller = {.fd = hf_acquire_fd(m), .events = POLLIN};

	assert_true(poller.fd >= 0);
	return poll(&poller, 1, (int)ms) == 1 && (poller.revents & POLLIN);
}

hf_status answer(hf_manager *m, hf_pending *pending, hf_lease **lease_out, hf_error *error)
{
	int64_t until_ms = hf_boot_ms() + 20000;
	hf_status st;

	while ((st = hf_acquire_finish(pending, lease_out, error)) == HF_PENDING) {
		assert_null(*lease_out);
		if (hf_boot_ms() > until_ms)
			fail_msg("no answer for %s", hf_pending_name(pending));
		/* What others are told of makes it readable too. */
		if (told(m, 100))
			usleep(1000);
	}
	return st;
}

hf_lease *have(hf_manager *m, hf_pending *pending)
{
	hf_lease *lease;
	hf_error error;

	if (answer(m, pending, &lease, &error))
		fail_msg("%s", error.text);
	assert_non_null(lease);
	return lease;
}

struct expected {
	hf_manager *m;
	const char *name;
	size_t n;
};

static bool waiters_are(void *arg)
{
	const struct expected *e = arg;

	return waiters(e->m, e->name) == e->n;
}

static bool holders_are(void *arg)
{
	const struct expected *e = arg;

	return holders(e->m, e->name) == e->n;
}

bool waiters_become(hf_manager *m, const char *name, size_t n)
{
	struct expected e = {m, name, n};

	return eventually(waiters_are, &e, 10000);
}

bool holders_become(hf_manager *m, const char *name, size_t n)
{
	struct expected e = {m, name, n};

	return eventually(holders_are, &e, 10000);
}

int world_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int n = -2; /* . and .. */

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

bool has_line(void)
{
	return strcmp(under_test.kind, "flock") != 0;
}
