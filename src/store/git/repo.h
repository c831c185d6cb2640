/* Which repository a path belongs to. */
#ifndef GS_REPO_H
#define GS_REPO_H

#include "store.h"

/*
 * Find the repository that `path` is in (a work tree or a folder below it, a
 * bare repository, a linked work tree, a `.git` file) and fill common,
 * common_fd, network and shared of the store.
 *
 * HF_INVALID: not a repository, or of a format that cannot be read here.
 * HF_UNAVAILABLE: there is one but it cannot be opened. Both say what to do.
 */
hf_status gs_repo_open(hf_store *store, const char *path, hf_error *error);

/* True if git would take `name` for a ref's. */
bool gs_ref_name_valid(const char *name);

#endif
