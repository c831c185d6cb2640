/* A repository for one test, the git: store on it, and the real git. */
#ifndef GIT_HELPER_H
#define GIT_HELPER_H

#include "base/base.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

extern const hf_store_ops *ops;

/* A scratch folder with the repository "repo" in it, and nobody's settings. */
void repo_make(void);

/* The store that repo_begin(), or a test's own beginning, has opened on it. */
extern hf_store *repo;
/* What cmocka does before a test: repo_make(), and the store of branches on it. */
int repo_begin(void **state);
/* And after it: close it, and remove all. */
int repo_end(void **state);

/* Run a shell command in the scratch folder. It must succeed. */
void sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Its exit code. */
int sh_code(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What it prints, without the last newline; one static buffer. */
const char *sh_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The repository is sound, by git's own word. */
void repo_check(void);

/* Open the store at a path under the scratch folder, with options. */
hf_store *store_open(const char *path, const char *options);
/* Its status when it cannot be opened. */
hf_status store_refused(const char *path, const char *options, hf_error *error);

void snap_clear(hf_snapshot *snap);
/* Read; must not fail. Clear it. */
hf_snapshot look(hf_store *store, const char *name);
hf_status look_status(hf_store *store, const char *name, hf_error *error);
/* Replace what is there by `record`; NULL view: free to neighbours. */
hf_status put_over(hf_store *store, const char *name, const hf_etag *expected,
	const char *record, const char *event, const hf_public_view *view, hf_error *error);
/* Read and replace; must succeed. `event` NULL: an amendment. */
void put(hf_store *store, const char *name, const char *record, const char *event);
/* The record, or "" for absent; static. */
const char *record_of(hf_store *store, const char *name);
/* The lines of the history, newest first, with '|' between; static. */
const char *history_of(hf_store *store, const char *name);
size_t history_count(hf_store *store, const char *name);
/* All names, each in brackets; static. */
const char *names_of(hf_store *store);

/* A hold of this id, as neighbours see it. */
hf_public_view view_of(const char *id, int64_t ttl_ms);

#endif
