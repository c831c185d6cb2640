#include "backend.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>

#define FILE_NAME "holdfast-git-objects.so"

/* There if the backend is linked into the program that has this code. */
extern const gs_backend gs_backend_table __attribute__((weak));

static struct {
	pthread_mutex_t mutex;
	const gs_backend *backend;
} loaded = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Beside the file that this code is in, and nowhere else. */
static const gs_backend *load_nolock(hf_error *error)
{
	char path[PATH_MAX];
	const gs_backend *backend;
	const char *slash;
	Dl_info here;
	void *handle;

	if (&gs_backend_table)
		return &gs_backend_table;
	if (!dladdr(&loaded, &here) || !here.dli_fname ||
		!(slash = strrchr(here.dli_fname, '/'))) {
		hf_fail(error, HF_INVALID, "open", 0, "cannot tell where this module is");
		return NULL;
	}
	snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - here.dli_fname), here.dli_fname,
		FILE_NAME);
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	backend = handle ? dlsym(handle, GS_BACKEND_SYMBOL) : NULL;
	if (!backend || backend->abi != GS_BACKEND_ABI) {
		hf_fail(error, HF_INVALID, "open", 0,
			"this repository needs libgit2, and its module cannot be loaded: %s",
			handle ? "it is of another version of holdfast" : dlerror());
		return NULL;
	}
	return backend;
}

const gs_backend *gs_backend_get(hf_error *error)
{
	const gs_backend *backend;

	pthread_mutex_lock(&loaded.mutex);
	if (!loaded.backend)
		loaded.backend = load_nolock(error);
	backend = loaded.backend;
	pthread_mutex_unlock(&loaded.mutex);
	return backend;
}
