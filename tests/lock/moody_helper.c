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
