#include "moody_helper.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

moody *store;

hf_manager *open_url(const char *url)
{
	hf_open_options o = HF_OPEN_OPTIONS_INIT;
	hf_manager *m;
	hf_error error;

	o.module_dir = getenv("HF_TEST_MODULES");
	o.runtime_dir = scratch_path("run");
	o.state_dir = "";
	if (hf_open(url, &o, &m, &error))
		fail_msg("%s", error.text);
	return m;
}

hf_manager *open_moody(void)
{
	hf_manager *m = open_url("moody:space");
	char path[512];
	void *handle;

	snprintf(path, sizeof(path), "%s/holdfast-store-moody.so", getenv("HF_TEST_MODULES"));
	handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
	assert_non_null(handle);
	store = dlsym(handle, MOODY_SYMBOL);
	assert_non_null(store);
	return m;
}

hf_lease *take(hf_manager *m, const char *name, const hf_acquire_options *options)
{
	hf_lease *lease;
	hf_error error;

	if (hf_acquire(m, name, options, &lease, &error))
		fail_msg("%s", error.text);
	return lease;
}

static size_t count(hf_manager *m, const char *name, bool waiting)
{
	hf_lock_info *info;
	size_t n;

	assert_int_equal(hf_lock_status(m, name, &info, NULL), HF_OK);
	n = waiting ? info->waiter_count : info->holder_count;
	hf_lock_info_free(info);
	return n;
}

size_t holders(hf_manager *m, const char *name)
{
	return count(m, name, false);
}

size_t waiters(hf_manager *m, const char *name)
{
	return count(m, name, true);
}
