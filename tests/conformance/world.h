/*
 * The store under test, and what tests need around it: scratch folders,
 * processes, a shared page for counters.
 *
 * One body of tests runs on every store: `conformance KIND` with KIND of
 * memory, file, flock, git-history, git-blob. HF_TEST_SCALE (percent, default
 * 100) scales rounds.
 */
#ifndef HF_TEST_WORLD_H
#define HF_TEST_WORLD_H

#include "base/base.h"
#include "base/url.h"
#include "lock/attempt.h"
#include "lock/record.h"
#include "store/registry.h"

#include <holdfast/holdfast.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/types.h>
#include <cmocka.h>

typedef struct world {
	const char *kind;
	char dir[256]; /* scratch, removed at the end */
	char url[512];
	bool processes; /* other processes reach the same locks */
	bool detached; /* leases can outlive their process */
} world;

extern world under_test;

void world_make(const char *kind);
void world_remove(void);

/* A manager on the store under test; state and runtime folders in scratch. */
hf_manager *world_open(void);
/* The same; the test is skipped on a store that has not what it is about. */
hf_manager *world_open_if(bool has);
/* The register itself. */
typedef struct register_under_test {
	const hf_store_ops *ops;
	hf_store *store;
} register_under_test;
register_under_test world_register(void);
void world_register_close(register_under_test *r);
/* Close it and skip the test on a store that has not what it is about. */
void world_register_needs(register_under_test *r, bool has);

/* Does the stored record of `name` hold this text? */
bool world_record_has(const char *name, const char *text);

/* Swap this text in as the record of `name`: whole to the store, junk to who reads it. */
void world_put_record(const char *name, const char *text);

/* Make the stored state of `name` unreadable, by the medium's own means. */
void world_damage(const char *name);
/* Files and folders below the store's place; -1: it has none. */
long world_files(void);
/* What the files take on the disk. */
int64_t world_bytes(void);
/* Open descriptors of this process. */
int world_descriptors(void);

/* A new name for each call, with `hint` in it. */
const char *world_name(const char *hint);

unsigned world_scaled(unsigned rounds);

/*
 * Run `fn(i, arg)` in n processes (threads on memory:) that start together;
 * fails the test if one does not return 0 within `seconds`.
 */
typedef int (*world_fn)(int i, void *arg);
void world_run(int n, world_fn fn, void *arg, unsigned seconds);
/* One process; returns its pid. It ends with fn's return value. */
pid_t world_spawn(world_fn fn, int i, void *arg);
/* Its exit status as waitpid() gives it. */
int world_wait(pid_t pid);
/* Zeroed memory shared with processes made later. */
void *world_shared(size_t size);

/* Run a command without a shell; fails the test unless it exits with 0. */
void world_command(const char *const argv[]);

/* What each file of tests has; main.c runs them in this order. */
typedef struct test_group {
	const struct CMUnitTest *tests;
	size_t count;
} test_group;
#define TEST_GROUP(tests)                  \
	{                                  \
		tests, HF_ARRAY_LEN(tests) \
	}

extern const test_group register_tests;
extern const test_group register_watch_tests;
extern const test_group register_history_tests;
extern const test_group lease_tests;
extern const test_group lease_change_tests;
extern const test_group lease_process_tests;
extern const test_group many_tests;
extern const test_group tidy_tests;
extern const test_group fence_tests;
extern const test_group deadlock_tests;
extern const test_group async_tests;
extern const test_group async_end_tests;
extern const test_group async_many_tests;
extern const test_group upgrade_tests;
extern const test_group upgrade_circle_tests;
extern const test_group tree_tests;
extern const test_group tree_race_tests;
extern const test_group no_tree_tests;
extern const test_group race_tests;
extern const test_group crowd_tests;

#endif
