/*
 * A process tree: finding and ending everything below one process.
 *
 * The root is the calling process itself, a child subreaper, so that whatever
 * loses its parent below it (a double fork, setsid, a daemon) becomes its own
 * child and not init's: nobody leaves the tree by forking.
 *
 *	tree_init(&tree)		once; says whether processes can be seen
 *	tree_signal(&tree, SIGTERM)	all of it, parents first
 *	tree_end(&tree, give_up_ms)	until nothing is left
 *
 * How it ends. A walk goes from parents to children and stops (SIGSTOP) each
 * process *before* its children are read. A process with a pending stop cannot
 * fork any more (the kernel looks for signals when it makes the child visible),
 * so what is read then is complete, and a stopped parent cannot reap, so no pid
 * read there can be reused before it is signalled. What moved meanwhile (a
 * parent that exited: its children are ours now) is found by walking again,
 * until two walks find the same. Then nothing runs, and all are killed,
 * children before parents: the other way round the kernel would continue
 * process groups that lose their last outside parent. Stopping first also
 * costs a fork bomb its processor at once; dying takes them much longer.
 *
 * Only async-signal-safe calls, no malloc: the watchdog is forked from a
 * process that has threads. Memory comes from mmap and is never given back.
 *
 * What it rests on: /proc/PID/task/TID/children, or where the kernel has none
 * /proc/PID/stat (complete only once two scans agree).
 */
#ifndef HF_CLI_TREE_H
#define HF_CLI_TREE_H

#include "base/base.h"
#include <sys/types.h>

#define TREE_MAX_KEPT 32 /* children of the root that are none of the tree */

typedef struct tree_pids {
	pid_t *at;
	size_t count;
	size_t cap;
} tree_pids;

typedef struct tree {
	pid_t root;
	bool scan; /* no children files here: scan /proc */
	bool only_ours; /* no child is kept: waitpid(-1) is allowed */
	pid_t kept[TREE_MAX_KEPT];
	size_t kept_count;
	pid_t leader; /* its status is kept when it is reaped; 0: none */
	bool leader_gone;
	bool leader_news; /* set when leader_status is; the reader clears it */
	int leader_status; /* as waitpid() gives it: its end, stop or going on */
	pid_t refused; /* one that may not be signalled; 0: none */

	tree_pids found; /* by the last walk, parents before children */
	size_t direct; /* so many at its start are children of the root */
	tree_pids scanned; /* scan: pairs of pid and parent */
} tree;

/*
 * For the calling process, whose main thread this must be. With `keep` the
 * children it has now (helpers of a library, say) are none of the tree, nor
 * those that its other threads start. False: /proc is not there, processes
 * cannot be seen.
 */
bool tree_init(tree *tree, bool keep);

/* The same for a child forked by the root of `other`; looks at nothing. */
void tree_init_child(tree *tree, const struct tree *other);

/*
 * Send `sig` (0: just look) to each process of the tree, parents first. How
 * many were found, zombies among them.
 */
size_t tree_signal(tree *tree, int sig);

/*
 * Collect dead children of the root, waiting for none. False: no child of the
 * tree is left, living or dead.
 */
bool tree_reap(tree *tree);

/*
 * End all of it. False: at give_up_ms (hf_boot_ms) something still lived: what
 * may not be signalled (tree.refused), or sits in the kernel with SIGKILL
 * pending and will not run again.
 */
bool tree_end(tree *tree, int64_t give_up_ms);

/* After tree_end() failed: one that is left. */
pid_t tree_survivor(const tree *tree);

/* Each name in the open folder that is a number, as in /proc/self/fd. */
void tree_each_number(int folder, void (*fn)(void *arg, pid_t number), void *arg);

#endif
