/* Which stores there are. See registry.h. */
#include "registry.h"

#include "builtin.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
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
#define FOLDERS_MAX 3

static const hf_store_ops *const built_in[] = {&hf_store_memory, &hf_store_file};

/* A module once loaded stays: its code may be on some thread's stack. */
struct module {
	struct module *next;
	const hf_store_ops *ops;
	char path[];
};
static struct module *modules;
static pthread_mutex_t modules_mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- where to look ---- */

struct folders {
	size_t count;
	char paths[FOLDERS_MAX][PATH_MAX];
};

static void add_folder(struct folders *folders, const char *path)
{
	if (hf_copy(folders->paths[folders->count], PATH_MAX, path))
		folders->count++;
}

/*
 * With raised privileges only the installed folder counts: what a caller or
 * the place of the program says may come from whoever started it.
 */
static void find_folders(const char *module_dir, struct folders *folders)
{
	char program[PATH_MAX];
	ssize_t n;
	char *slash;

	folders->count = 0;
	if (!getauxval(AT_SECURE)) {
		if (module_dir)
			add_folder(folders, module_dir);
		n = readlink("/proc/self/exe", program, sizeof(program) - 1);
		program[n > 0 ? n : 0] = '\0';
		slash = strrchr(program, '/');
		if (slash &&
			(size_t)(slash - program) + sizeof("/modules") <= sizeof(program)) {
			memcpy(slash, "/modules", sizeof("/modules"));
			add_folder(folders, program);
		}
	}
	add_folder(folders, HF_MODULE_DIR);
}

/* ---- loading ---- */

static const hf_store_ops *ops_of(void *handle)
{
	void *symbol = dlsym(handle, HF_STORE_MODULE_SYMBOL);
	hf_store_module_fn module = NULL;

	if (!symbol)
		return NULL;
	/* ISO C has no cast for this. */
	memcpy(&module, &symbol, sizeof(module));
	return module();
}

static hf_status check(const hf_store_ops *ops, const char *path, hf_error *error)
{
	if (!ops)
		return hf_fail(
			error, HF_INVALID, "open", 0, "%s is not a store of holdfast", path);
	if (ops->abi != HF_STORE_ABI)
		return hf_fail(error, HF_INVALID, "open", 0,
			"%s was built for another holdfast (interface %u, this is %u): install "
			"the "
			"matching one",
			path, ops->abi, HF_STORE_ABI);
	return HF_OK;
}

static hf_status load_nolock(const char *path, const hf_store_ops **ops_out, hf_error *error)
{
	struct module *m;
	const hf_store_ops *ops;
	void *handle;
	hf_status st;

	for (m = modules; m; m = m->next) {
		if (strcmp(m->path, path) == 0) {
			*ops_out = m->ops;
			return HF_OK;
		}
	}
	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!handle) {
		const char *why = dlerror();

		return hf_fail(error, HF_INVALID, "open", 0, "cannot load the store %s: %s",
			path, why ? why : "?");
	}
	ops = ops_of(handle);
	st = check(ops, path, error);
	m = st ? NULL : malloc(sizeof(*m) + strlen(path) + 1);
	if (!m) {
		dlclose(handle);
		return st ? st : hf_fail_memory(error, "open");
	}
	memcpy(m->path, path, strlen(path) + 1);
	m->ops = ops;
	m->next = modules;
	modules = m;
	*ops_out = ops;
	return HF_OK;
}

static hf_status load(const char *path, const hf_store_ops **ops_out, hf_error *error)
{
	hf_status st;

	*ops_out = NULL;
	pthread_mutex_lock(&modules_mutex);
	st = load_nolock(path, ops_out, error);
	pthread_mutex_unlock(&modules_mutex);
	return st;
}

/* ---- listing ---- */

static bool is_built_in(const char *scheme)
{
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(built_in); i++)
		if (strcmp(built_in[i]->scheme, scheme) == 0)
			return true;
	return false;
}

/* The scheme in "holdfast-store-SCHEME.so". */
static bool scheme_of(const char *entry, char *out, size_t cap)
{
	size_t n = strlen(entry);
	size_t prefix = strlen(MODULE_PREFIX);
	size_t suffix = strlen(MODULE_SUFFIX);

	if (n <= prefix + suffix || n - prefix - suffix >= cap ||
		strncmp(entry, MODULE_PREFIX, prefix) != 0 ||
		strcmp(entry + n - suffix, MODULE_SUFFIX) != 0)
		return false;
	memcpy(out, entry + prefix, n - prefix - suffix);
	out[n - prefix - suffix] = '\0';
	return true;
}

/* ", SCHEME" appended to `seen`, which lists them all; false: it was there. */
static bool first_time(hf_buf *seen, const char *scheme)
{
	char item[80];

	snprintf(item, sizeof(item), " %s,", scheme);
	if (seen->data && strstr(seen->data, item))
		return false;
	hf_buf_adds(seen, item);
	return true;
}

/* fn may be NULL: then only the names are gathered, nothing is loaded. */
static bool list_folder(const char *folder, hf_buf *seen, hf_store_listed_fn fn, void *arg)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	const hf_store_ops *ops;
	char scheme[64];
	bool stop = false;

	while (dir && !stop && (entry = readdir(dir))) {
		char *path;

		if (!scheme_of(entry->d_name, scheme, sizeof(scheme)) || is_built_in(scheme) ||
			!first_time(seen, scheme) || !fn)
			continue;
		if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
			break;
		if (!load(path, &ops, NULL)) {
			const hf_store_listed listed = {
				.scheme = scheme, .summary = ops->summary, .where = path};

			stop = fn(arg, &listed) != 0;
		}
		free(path);
	}
	if (dir)
		closedir(dir);
	return stop;
}

hf_status hf_store_known(
	const char *module_dir, hf_store_listed_fn fn, void *arg, hf_error *error)
{
	struct folders *folders = malloc(sizeof(*folders));
	hf_buf seen = HF_BUF_INIT;
	bool stop = false;
	size_t i;

	if (!folders)
		return hf_fail_memory(error, "stores");
	for (i = 0; !stop && i < HF_ARRAY_LEN(built_in); i++) {
		const hf_store_listed listed = {.scheme = built_in[i]->scheme,
			.summary = built_in[i]->summary,
			.where = "built in"};

		stop = fn(arg, &listed) != 0;
	}
	find_folders(module_dir, folders);
	for (i = 0; !stop && i < folders->count; i++)
		stop = list_folder(folders->paths[i], &seen, fn, arg);
	free(folders);
	hf_buf_free(&seen);
	return HF_OK;
}

/* ---- finding ---- */

static void say_unknown(const char *scheme, const struct folders *folders, hf_error *error)
{
	hf_buf known = HF_BUF_INIT;
	size_t i;

	for (i = 0; i < folders->count; i++)
		(void)list_folder(folders->paths[i], &known, NULL, NULL);
	hf_fail(error, HF_INVALID, "open", 0,
		"there is no store '%s': known are%s memory and file; " MODULE_PREFIX
		"%s" MODULE_SUFFIX " is not in %s",
		scheme, known.data ? known.data : "", scheme, folders->paths[0]);
	hf_buf_free(&known);
}

/* The module's file in the first folder that has it; NULL: none, or no memory. */
static char *module_path(const struct folders *folders, const char *scheme)
{
	char *path;
	size_t i;

	for (i = 0; i < folders->count; i++) {
		if (asprintf(&path, "%s/" MODULE_PREFIX "%s" MODULE_SUFFIX, folders->paths[i],
			    scheme) < 0)
			return NULL;
		if (!access(path, F_OK))
			return path;
		free(path);
	}
	return NULL;
}

const hf_store_ops *hf_store_find(const char *scheme, const char *module_dir, hf_error *error)
{
	struct folders *folders;
	const hf_store_ops *ops = NULL;
	char *path;
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(built_in); i++)
		if (strcmp(built_in[i]->scheme, scheme) == 0)
			return built_in[i];
	folders = malloc(sizeof(*folders));
	if (!folders) {
		hf_fail_memory(error, "open");
		return NULL;
	}
	find_folders(module_dir, folders);
	path = module_path(folders, scheme);
	if (path)
		(void)load(path, &ops, error);
	else
		say_unknown(scheme, folders, error);
	free(path);
	free(folders);
	return ops;
}

bool hf_store_exists(const char *scheme, const char *module_dir)
{
	struct folders *folders;
	char *path = NULL;
	bool found;

	if (is_built_in(scheme))
		return true;
	folders = malloc(sizeof(*folders));
	if (folders) {
		find_folders(module_dir, folders);
		path = module_path(folders, scheme);
	}
	found = path;
	free(folders);
	free(path);
	return found;
}

/* ---- options ---- */

/* An entry is "key=values - meaning". */
static bool is_option(const char *entry, const char *key)
{
	size_t n = strlen(key);

	return strncmp(entry, key, n) == 0 && entry[n] == '=';
}

hf_status hf_store_check_options(const hf_store_ops *ops, const hf_url *url, hf_error *error)
{
	size_t i;

	for (i = 0; i < url->option_count; i++) {
		const char *const *at = ops->options;
		hf_buf known = HF_BUF_INIT;

		while (at && *at && !is_option(*at, url->options[i].key))
			at++;
		if (at && *at)
			continue;
		for (at = ops->options; at && *at; at++) {
			hf_buf_adds(&known, at == ops->options ? "" : ", ");
			hf_buf_add(&known, *at, strcspn(*at, " "));
		}
		hf_fail(error, HF_INVALID, "open", 0,
			known.len ? "the store '%s' has no option '%s': it knows %s"
				  : "the store '%s' has no option '%s': it knows none%s",
			ops->scheme, url->options[i].key, known.len ? known.data : "");
		hf_buf_free(&known);
		return HF_INVALID;
	}
	return HF_OK;
}
