/*
 * holdfast: acquiring without blocking, for event loops. A part of holdfast.h,
 * whose essay holds here too.
 *
 *	poll_this(hf_acquire_fd(manager));            // 1. once a manager
 *	hf_acquire_start(manager, "deploy", NULL, my_job, &pending, &error);   // 2.
 *
 *	// 3. whenever the descriptor is readable:
 *	while ((pending = hf_acquire_next(manager))) {
 *		job = hf_pending_arg(pending);
 *		status = hf_acquire_finish(pending, &lease, &error);
 *		...             // HF_OK: it is ours, as from hf_acquire()
 *	}
 *
 * Thousands may be pending at once. They have one descriptor together, and a handful
 * of threads (4, besides the keeper), that are made when they are needed and stay until
 * hf_close(). Each pending one is some KB of memory.
 *
 * What is waited for is as by hf_acquire(), with these differences. Of those that wait
 * in line for one lock (HF_QUEUE) up to 16 of a manager stand in the lock's record and
 * are seen by others, 64 with those of higher priority; the rest waits in the manager
 * behind them, by priority, then arrival. So a manager with thousands takes turns with
 * others as one that has 16. What changes without a doorbell (other programs, other
 * processes' locks for those who do not wait in line) is seen at once by two that wait,
 * by more in turn: every half second up to 100 of them, every 25 s with 5,000. A ttl
 * counts from the grant on: finish soon what is had with HF_NO_RENEW.
 *
 * Threads. All calls may be made by any thread; a pending acquisition is finished or
 * cancelled once, by one of them. Nothing is called back: what waits is told by the
 * descriptor alone.
 *
 * hf_close() cancels what is pending and gives back what was had and not finished, as
 * long as the store answers; that may take some time with many, and up to 8 s with a
 * store that does not. The handles stay: hf_acquire_finish() or hf_acquire_cancel() must
 * free them. In the child of a fork they are the parent's: both do nothing there.
 */
#ifndef HOLDFAST_ASYNC_H
#define HOLDFAST_ASYNC_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An acquisition that was started, and not yet finished or cancelled. */
typedef struct hf_pending hf_pending;

/*
 * Start to acquire lock `name`. Does not ask the store: returns at once. `arg` is the
 * caller's, for hf_pending_arg(). Options as of hf_acquire(), wait_ms counting from now,
 * except cancel_fd, which must be -1. on_lost is not called before
 * hf_acquire_finish(), perhaps in it.
 *
 * HF_OK: *pending_out is to be ended with hf_acquire_finish() or hf_acquire_cancel().
 * HF_INVALID: the name, options, cancel_fd, HF_TREE_NAME. HF_SYSTEM: no descriptor or thread is to be
 * had. HF_NO_MEMORY. All else is told by hf_acquire_finish().
 */
HF_API HF_MUST_CHECK hf_status hf_acquire_start(hf_manager *manager, const char *name,
	const hf_acquire_options *options, void *arg, hf_pending **pending_out,
	hf_error *error);

/*
 * The manager's descriptor: it polls readable as long as there is something for
 * hf_acquire_next(), level-triggered, for poll(), epoll and every loop built on them. The
 * same from the first call to hf_close(). It belongs to the manager: do not read or close
 * it. -1: none can be had, or in the child of a fork.
 */
HF_API int hf_acquire_fd(hf_manager *manager);

/*
 * The next one that has its answer, each told once, in the order they were answered; it
 * stays to be finished. NULL: none now. Does not block.
 */
HF_API hf_pending *hf_acquire_next(hf_manager *manager);

/*
 * The answer of one, told by hf_acquire_next() or not. Does not wait for the store; only
 * a renewal of this lease that happens to be under way is waited for, if on_lost is given.
 *
 * HF_PENDING: there is none yet, and nothing changes. After every other status the handle
 * is freed (not in the child of a fork, where it is always HF_INVALID). HF_OK: *lease_out
 * as from hf_acquire(). HF_LOST: also, it was had, and over before this was called.
 * HF_TIMED_OUT: also, the manager was closed first. Else as hf_acquire().
 */
HF_API HF_MUST_CHECK hf_status hf_acquire_finish(
	hf_pending *pending, hf_lease **lease_out, hf_error *error);

/*
 * Give it up and free the handle. Never blocks: the place in the line is left, and a
 * grant that has come in the meantime given back, by the manager's threads, soon, and
 * before hf_close() returns (as long as the store answers; else they end by lapsing, the
 * ttl, or with the process). NULL is allowed.
 */
HF_API void hf_acquire_cancel(hf_pending *pending);

/* What was given to hf_acquire_start(). The name is valid as long as the handle. */
HF_API void *hf_pending_arg(const hf_pending *pending);
HF_API const char *hf_pending_name(const hf_pending *pending);

#ifdef __cplusplus
}
#endif
#endif
