/* A folder for one test, and processes that it starts. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <stddef.h>
#include <sys/types.h>

/* Make it; the path is borrowed until scratch_clear(). */
const char *scratch_make(void);
/* "FOLDER/NAME"; one of a few static buffers in turn. */
const char *scratch_path(const char *name);
/* How many entries the folder has. */
size_t scratch_count(void);
/* Remove it and all in it. */
void scratch_clear(void);
/* The two as what cmocka does before and after a test. */
int scratch_begin(void **state);
int scratch_end(void **state);

/* Run fn(arg) in a child; its return value is the exit code. */
pid_t scratch_fork(int (*fn)(void *arg), void *arg);
/* Wait for it: the exit code, or 1000 + signal. */
int scratch_wait(pid_t pid);
/* Wait until it has stopped (SIGSTOP). */
void scratch_wait_stopped(pid_t pid);
/* Zeroed memory that children share. */
void *scratch_shared(size_t n);

#endif
