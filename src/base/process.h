/*
 * Who a process is, and the kernel's word that it is gone.
 *
 * A pid alone proves nothing: it is reused and differs between namespaces.
 * What proves a death is a lock: each process with process-bound grants keeps
 * a *liveness file* locked (an OFD lock, so that a child may inherit it and
 * other descriptors of the file do not matter). Whoever could take that lock
 * knows that nobody keeps it any more.
 *
 * The file being gone proves nothing (people clean /tmp). Then, and only with
 * equal boot and pid namespace, pid and start time are asked: ESRCH, another
 * start time, or a zombie without living threads.
 */
#ifndef HF_PROCESS_H
#define HF_PROCESS_H

#include "base.h"

/* The pid namespace that a kernel begins with, in /proc/PID/ns/pid. */
#define HF_PIDNS_OF_THE_HOST 4026531836u

typedef struct hf_process {
	const char *host; /* for people */
	const char *boot; /* the kernel's boot id; "": not known */
	uint64_t pidns; /* inode of the pid namespace; 0: not known */
	uint64_t timens;
	int64_t pid;
	uint64_t start; /* start time in clock ticks since boot; 0: not known */
	uint32_t uid;
	const char *live; /* path of the liveness file; "": none */
	const char *command; /* argv, cut short, for people */
} hf_process;

/*
 * This process. Borrowed, valid until the process ends; a forked child gets
 * its own on its first call. `live` is always "": hf_liveness_get() has it.
 */
const hf_process *hf_self(void);

/* "user@host" of this process, for people. Borrowed. */
const char *hf_self_owner(void);

/* What stands as `command` from now on ("" to begin with: taken from /proc). */
void hf_self_set_command(const char *command);

/*
 * The domain of hf_boot_ms(): times of equal domains may be compared. Boot id
 * and the time namespace's offset. Borrowed.
 */
const char *hf_self_clock_domain(void);

/* Grows by one in each forked child. What differs was made by a parent. */
unsigned hf_fork_generation(void);

/*
 * True: proven dead. False: alive, or not known. Only for processes of hosts
 * that share this kernel. `process` may hold anything: it comes from a record.
 */
bool hf_process_proven_dead(const hf_process *process);

/*
 * True: this process descends from that one, which is alive. False: it does
 * not, it is that process itself, or it cannot be seen in /proc. `process` may
 * hold anything: it comes from a record.
 */
bool hf_process_is_ancestor(const hf_process *process);

/* What /proc tells of a process. False: nothing, or it is gone. */
typedef struct hf_proc_stat {
	char state;
	int64_t parent; /* 0: none that can be seen */
	long threads;
	uint64_t start; /* clock ticks since boot */
} hf_proc_stat;
bool hf_proc_stat_read(int64_t pid, hf_proc_stat *out);

/*
 * The runtime folder: $HOLDFAST_RUNTIME_DIR, $XDG_RUNTIME_DIR/holdfast,
 * /run/user/UID/holdfast, /tmp/holdfast-UID; the first that can be had as a
 * folder of ours, mode 0700, no link. `wanted` (NULL or a path) comes first.
 */
hf_status hf_runtime_dir(const char *wanted, char *out, size_t cap, hf_error *error);

typedef struct hf_liveness hf_liveness;

/*
 * Make and lock a liveness file under `runtime_dir`. Closed in forked children
 * (which would otherwise keep the parent's grants alive), and removed by
 * hf_liveness_free().
 */
hf_status hf_liveness_new(const char *runtime_dir, hf_liveness **out, hf_error *error);
/* Remove the file and let go. NULL is fine. In a forked child: frees only. */
void hf_liveness_free(hf_liveness *liveness);
const char *hf_liveness_path(const hf_liveness *liveness);
int hf_liveness_fd(const hf_liveness *liveness);

/* Remove liveness files of dead processes in the folder; adds to *removed. */
void hf_liveness_sweep(const char *runtime_dir, size_t *removed);
/* Remove one, once its process is proven dead. */
void hf_liveness_bury(const char *path);

#endif
