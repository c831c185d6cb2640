/*
 * What only libgit2 can do for us, loaded when it is first needed.
 *
 * Packs, alternates, and repositories that are not of the plain kind. Loading
 * libgit2 and what it brings along takes 5 ms (it reads the host's TLS
 * certificates, among others), a multiple of what a lock costs; most commands
 * never need it. It is in a shared object of its own beside the module:
 * holdfast-git-objects.so, which exports gs_backend_table.
 */
#ifndef GS_BACKEND_H
#define GS_BACKEND_H

#include "object.h"

#define GS_BACKEND_ABI 1
#define GS_BACKEND_SYMBOL "gs_backend_table"

typedef struct gs_odb gs_odb;

/* What opening a repository found. */
typedef struct gs_found {
	char common[4096]; /* the common directory */
	char shared[32]; /* core.sharedRepository; "": not set */
} gs_found;

typedef struct gs_backend {
	unsigned abi;
	/* HF_INVALID, HF_UNAVAILABLE, as gs_repo_open(). */
	hf_status (*find)(const char *path, gs_found *out, hf_error *error);
	hf_status (*open)(const char *objects_folder, gs_odb **out, hf_error *error);
	void (*close)(gs_odb *odb);
	bool (*has)(gs_odb *odb, const gs_oid *oid);
	/* As gs_objects_read(). */
	hf_status (*read)(gs_odb *odb, const gs_oid *oid, gs_object *out, bool *missing_out,
		hf_error *error);
} gs_backend;

/* NULL: it cannot be loaded; *error is HF_INVALID and says why. */
const gs_backend *gs_backend_get(hf_error *error);

#endif
