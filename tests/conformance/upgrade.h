/* Contenders of one lock who upgrade it, in processes. */
#ifndef HF_TEST_UPGRADE_H
#define HF_TEST_UPGRADE_H

#include "pending.h"

#include <stdatomic.h>

#define SOON_MS 10000 /* on a machine that is busy */

/* What several contenders of one lock share. */
struct scene {
	char name[64];
	char second[64];
	int count;
	_Atomic int step;
	_Atomic int deadlocks;
	_Atomic int upgraded;
	_Atomic int at[4]; /* the order in which something came to pass */
	_Atomic int last;
	char words[512];
	char error[512];
};

/* In memory that they share; two names made of the hint. */
struct scene *new_scene(const char *hint);
/* Note what went wrong, for the test to tell; 0. */
int wrong(struct scene *s, const char *what, hf_status st, const hf_error *error);
/* Until the others are as far, or something went wrong. */
void until(struct scene *s, int step);

/* To share it, and to wait for that. */
hf_acquire_options sharing(void);
hf_convert_options waiting(int64_t wait_ms);
hf_lease *share(hf_manager *m, const char *name);

#endif
