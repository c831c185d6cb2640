/*
 * Which stores there are: memory and file are built in, the others are modules
 * opened when a URL names them.
 */
#ifndef HF_REGISTRY_H
#define HF_REGISTRY_H

#include "base/base.h"

/*
 * The store of a URL's scheme. Modules are looked for as
 * holdfast-store-SCHEME.so in module_dir (if not NULL), in "modules" beside the
 * running program, and in the installed folder. NULL: HF_INVALID, the error
 * says which stores are known. Thread-safe; modules stay loaded.
 */
const hf_store_ops *hf_store_find(const char *scheme, const char *module_dir, hf_error *error);

/* Whether there is a store of this scheme: built in, or a module's file. */
bool hf_store_exists(const char *scheme, const char *module_dir);

/* HF_INVALID if the URL has an option that the store does not list. */
hf_status hf_store_check_options(const hf_store_ops *ops, const hf_url *url, hf_error *error);

typedef struct hf_store_listed {
	const char *scheme;
	const char *summary;
	const char *where; /* "built in" or the module's path */
} hf_store_listed;

/* Return non-zero to stop. */
typedef int (*hf_store_listed_fn)(void *arg, const hf_store_listed *store);

/* Every store that can be opened now; modules that fail to load are left out. */
hf_status hf_store_known(
	const char *module_dir, hf_store_listed_fn fn, void *arg, hf_error *error);

#endif
