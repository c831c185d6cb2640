/*
 * The locks of one `holdfast run`: from its arguments to leases and back.
 *
 *	run_locks_read()	NAME and NAME@URL
 *	run_locks_open()	the stores that they are in, each once
 *	run_locks_acquire()	all or none; what an outer run holds is joined
 *	run_locks_release()
 *	run_locks_close()	in every case
 *
 * NAME@URL. The URL begins after the first '@' that is followed by the scheme of
 * a store that there is and a ':'. So a name may have an '@' (a@b, and
 * git@example.com:repo, as there is no store "example.com"), and so may a URL.
 * After an '@', "word://" of a store that there is not is refused, not taken for
 * a part of the name. With --literal no name is looked into.
 *
 * Joining (run_inherit.c). HOLDFAST_LOCKS tells a command what it runs under. It
 * is not believed: a grant is joined only if the lock's own record has it, and
 * says that it belongs to a process which is found above us in /proc, by boot,
 * pid namespace, process id and start time.
 */
#ifndef HF_CLI_RUN_LOCKS_H
#define HF_CLI_RUN_LOCKS_H

#include "cli.h"

#include <jansson.h>

#define RUN_GROUP_MAX 64 /* bytes of a group's id in a record */

typedef struct run_lock {
	const char *name;
	const char *store; /* its URL */
	cli_source source; /* of the URL */
	hf_manager *manager; /* borrowed from run_locks */
	char id[HF_ID_LEN + 1]; /* of its grant, also after the release */
	char join[RUN_GROUP_MAX + 1]; /* the group to join; "": none */
	cli_under under; /* in its store; read when it is waited for */
} run_lock;

typedef struct run_locks {
	cli_options *options;
	size_t count;
	run_lock *locks; /* as they stood in the arguments */
	hf_lease **leases; /* of each; all NULL while none is held */
	hf_manager **managers; /* each store once */
	size_t manager_count;
	char *words; /* "lock 'a'", "lock 'a' and 2 more" */
} run_locks;

/* False: a message has been printed, *exit_out says with which code to leave. */
bool run_locks_read(run_locks *l, cli_options *options, int *exit_out);
bool run_locks_open(run_locks *l, int *exit_out);
void run_locks_close(run_locks *l);
/* Before that too, as a command may run for days. */
void run_locks_keep_metrics(run_locks *l);

/*
 * As hf_acquire_many(), and HF_DEADLOCK: to wait would be to wait for a process
 * that waits for this one.
 */
hf_status run_locks_acquire(run_locks *l, int cancel_fd, hf_error *error);
/* As hf_release_many(). */
hf_status run_locks_release(run_locks *l, size_t *failed_out, hf_error *error);

/* Tell the command. False: out of memory. */
bool run_locks_set_environment(const run_locks *l);

/*
 * Until when (hf_boot_ms()) all leases are certainly ours; 0: one is not any
 * more; INT64_MAX: without end. *first_out is that one, or which ends first.
 */
int64_t run_locks_deadline_ms(const run_locks *l, size_t *first_out);

/* Each descriptor that keeps a grant alive, once, into fds[count]; how many. */
size_t run_locks_hold_fds(const run_locks *l, int *fds);

/* ---- run_inherit.c ---- */

/* What HOLDFAST_LOCKS says; NULL: nothing. What is malformed is left out. */
json_t *run_inherited(void);

/* Look for each lock that is held above us, as `inherited` says, and join it. */
void run_inherit_find(run_locks *l, json_t *inherited);

/* HF_DEADLOCK: a process above us has one that is not joined. Else HF_OK. */
hf_status run_inherit_check_wait(run_locks *l, hf_error *error);

#endif
