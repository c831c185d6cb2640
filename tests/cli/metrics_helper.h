/* A file of metrics in a folder of its own, and adding to it and reading it in a test. */
#ifndef METRICS_HELPER_H
#define METRICS_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

#include <cmocka.h>

#include "cli/metrics_page.h"

#define STORE "file:/srv/locks"

extern char folder[64];
extern char path[96]; /* of the file */
extern int64_t now_s; /* as the next addition has it */

/* What cmocka does before and after a test: the folder. */
int setup(void **state);
int teardown(void **state);
#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* One lock had and given back. */
hf_metrics one(void);
bool add_metrics(const char *store, const char *name, const hf_metrics *m, bool *damaged_out);
/* Adds one(); false if it could not or something was damaged. */
bool add(const char *store, const char *name);

/* All that the file has; clear it. */
cli_metrics_list read_all(void);
/* What stands for a key; zeros if nothing does. */
hf_metrics of(const char *store, const char *name);
/* It is n times one(). */
void assert_counted(const char *store, const char *name, uint64_t n);
/* Of all there is, and nothing of it is damaged. */
uint64_t acquisitions(void);
/* Where the only page is that holds something. */
off_t only_page(void);

/* By HF_TEST_SCALE; ten or more. */
unsigned scaled(unsigned rounds);

#endif
