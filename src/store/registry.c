/* Which stores there are. See registry.h. */
#include "registry.h"
#include "builtin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>

#ifndef HF_MODULE_DIR
#define HF_MODULE_DIR "/usr/local/lib/holdfast"
#endif
#define MODULE_PREFIX "holdfast-store-"
#define MODULE_SUFFIX ".so"
#define MODULES_MAX 32

static const hf_store_ops *const builtin[] = {&hf_store_memory};

/* Modules stay loaded: their code may run in threads until the process ends. */
static struct {
	pthread_mutex_t mutex;
	size_t count;
	const hf_store_ops *ops[MODULES_MAX];
	char path[MODULES_MAX][512];
} loaded = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* The folders modules may come from, in order; at most 3. */
static size_t module_dirs(const char *wanted, char dirs[3][480])
{
	size_t n = 0;
	ssize_t len;

	if (wanted && hf_copy(dirs[n], sizeof(dirs[n]), wanted))
		n++;
	len = readlink("/proc/self/exe", dirs[n], sizeof(dirs[n]) - sizeof("/modules"));
	/* Beside a program that runs with more rights than its user: never. */
	if (len > 0 && !getauxval(AT_SECURE)) {
		char *slash;

		dirs[n][len] = '\0';
		slash = strrchr(dirs[n], '/');
		if (slash) {
			memcpy(slash, "/modules", sizeof("/modules"));
			n++;
		}
	}
	hf_copy(dirs[n++], sizeof(dirs[0]), HF_MODULE_DIR);
	return n;
}

static const hf_store_ops *load(const char *path, const char *scheme, hf_error *error)
{
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	hf_store_module_fn entry = NULL;
	const hf_store_ops *ops;

	if (!handle) {
		hf_fail(error, HF_INVALID, "open", 0,
			"store '%s': its module cannot be loaded: %s", scheme, dlerror());
		return NULL;
	}
	/* ISO C has no cast from an object to a function: POSIX asks for this. */
	*(void **)&entry = dlsym(handle, HF_STORE_MODULE_SYMBOL);
	ops = entry ? entry() : NULL;
	if (!ops || ops->abi != HF_STORE_ABI || strcmp(ops->scheme, scheme) != 0) {
		hf_fail(error, HF_INVALID, "open", 0,
			"store '%s': %s is not a module for this version of holdfast", scheme,
			path);
		dlclose(handle);
		return NULL;
	}
	return ops;
}

static const hf_store_ops *find_module(
	const char *scheme, const char *module_dir, hf_error *error)
{
	char dirs[3][480];
	char path[512];
	size_t n = module_dirs(module_dir, dirs);
	size_t i;

	for (i = 0; i < loaded.count; i++)
		if (!strcmp(loaded.ops[i]->scheme, scheme))
			return loaded.ops[i];
	for (i = 0; i < n; i++) {
		const hf_store_ops *ops;

		if (snprintf(path, sizeof(path), "%s/" MODULE_PREFIX "%s" MODULE_SUFFIX,
			    dirs[i], scheme) >= (int)sizeof(path) ||
			access(path, R_OK))
			continue;
		ops = load(path, scheme, error);
		if (ops && loaded.count < MODULES_MAX) {
			hf_copy(loaded.path[loaded.count], sizeof(loaded.path[0]), path);
			loaded.ops[loaded.count++] = ops;
		}
		return ops;
	}
	hf_fail(error, HF_INVALID, "open", 0,
		"no store for '%s:' here: 'holdfast stores' lists those that are (looked for a "
		"module "
		"in %s)",
		scheme, dirs[n - 1]);
	return NULL;
}

/* Schemes are part of a file's name: nothing else may be. */
static bool is_scheme(const char *scheme)
{
	size_t n = strlen(scheme);

	return n > 0 && n <= 32 &&
	       strspn(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-") == n;
}

const hf_store_ops *hf_store_find(const char *scheme, const char *module_dir, hf_error *error)
{
	const hf_store_ops *ops;
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(builtin); i++)
		if (!strcmp(builtin[i]->scheme, scheme))
			return builtin[i];
	if (!is_scheme(scheme)) {
		hf_fail(error, HF_INVALID, "open", 0, "'%s' is not the name of a store",
			scheme);
		return NULL;
	}
	pthread_mutex_lock(&loaded.mutex);
	ops = find_module(scheme, module_dir, error);
	pthread_mutex_unlock(&loaded.mutex);
	return ops;
}

hf_status hf_store_check_options(const hf_store_ops *ops, const hf_url *url, hf_error *error)
{
	size_t i;

	for (i = 0; i < url->option_count; i++) {
		const char *key = url->options[i].key;
		size_t n = strlen(key);
		const char *const *known = ops->options;
		hf_buf all = HF_BUF_INIT;

		while (*known && (strncmp(*known, key, n) != 0 || (*known)[n] != '='))
			known++;
		if (*known)
			continue;
		for (known = ops->options; *known; known++) {
			hf_buf_adds(&all, known == ops->options ? "" : ", ");
			hf_buf_add(&all, *known, strcspn(*known, "="));
		}
		hf_fail(error, HF_INVALID, "open", 0,
			"store '%s:' has no option '%s'; it knows: %s", ops->scheme, key,
			all.len ? all.data : "none");
		hf_buf_free(&all);
		return HF_INVALID;
	}
	return HF_OK;
}

hf_status hf_store_known(
	const char *module_dir, hf_store_listed_fn fn, void *arg, hf_error *error)
{
	char dirs[3][480];
	size_t n = module_dirs(module_dir, dirs);
	size_t i;

	(void)error;
	for (i = 0; i < HF_ARRAY_LEN(builtin); i++) {
		hf_store_listed s = {builtin[i]->scheme, builtin[i]->summary, "built in"};

		if (fn(arg, &s))
			return HF_OK;
	}
	for (i = 0; i < n; i++) {
		DIR *dir = opendir(dirs[i]);
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			const char *p = entry->d_name;
			size_t len = strlen(p);
			size_t around = strlen(MODULE_PREFIX MODULE_SUFFIX);
			char scheme[64];
			size_t j;

			if (len <= around || len - around >= sizeof(scheme) ||
				strncmp(p, MODULE_PREFIX, strlen(MODULE_PREFIX)) != 0 ||
				strcmp(p + len - strlen(MODULE_SUFFIX), MODULE_SUFFIX) != 0)
				continue;
			memcpy(scheme, p + strlen(MODULE_PREFIX), len - around);
			scheme[len - around] = '\0';
			if (!hf_store_find(scheme, module_dir, NULL))
				continue;
			for (j = 0; j < loaded.count; j++) {
				hf_store_listed s = {loaded.ops[j]->scheme,
					loaded.ops[j]->summary, loaded.path[j]};

				/* Once, from the folder that it is loaded from. */
				if (strcmp(s.scheme, scheme) != 0 ||
					strncmp(s.where, dirs[i], strlen(dirs[i])) != 0)
					continue;
				if (fn(arg, &s)) {
					closedir(dir);
					return HF_OK;
				}
			}
		}
		if (dir)
			closedir(dir);
	}
	return HF_OK;
}
