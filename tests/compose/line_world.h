/*
 * A store with a line before it, managers on it, and processes that contend.
 *
 *	PROGRAM counted|git [FILTER]
 */
#ifndef LINE_WORLD_H
#define LINE_WORLD_H

#include "../held.h"
#include "../store/scratch.h"
#include "base/base.h"
#include "counted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* NULL for git. */
extern counted *store_counts;

/* The scratch folder, the store in it; for each test. */
int line_setup(void **state);
int line_teardown(void **state);
/* Read the arguments and run them all; the last `counting` only where it counts. */
int line_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests,
	size_t count, size_t counting);

/* With the line before it, or (`options` "?line=off") without. */
hf_manager *open_with(const char *options);
hf_manager *open_in(const char *runtime, const char *options, hf_log_fn log, void *arg);

/* Without a ttl, so that no thread stands in the way of a fork. */
hf_lease *take_for_ever(hf_manager *m, const char *name);
/* As try_it(). */
hf_status try_to_share(hf_manager *m, const char *name);
/* What is asked of the store, so far. */
long asked(void);

void sleep_ms(int64_t ms);
unsigned scaled(unsigned n);

/* One process that contends. */
typedef struct contender {
	const char *name;
	const char *url_options;
	hf_acquire_options options;
	_Atomic int holds; /* it has it */
	_Atomic int go; /* it may give it back */
	_Atomic int status; /* of the acquisition, + 1 */
	_Atomic int64_t got_ms;
	_Atomic uint64_t token;
} contender;

/* In shared memory; exclusive, for ever, until `go`. */
contender *new_contender(const char *name);
pid_t contend(contender *c);
bool contender_holds(void *c);
/* Wait until it has it / let it go and wait for its end. */
void contender_wait(contender *c);
void contender_end(contender *c, pid_t pid);

#endif
