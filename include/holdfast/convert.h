/*
 * holdfast: another mode for a lease in hand. A part of holdfast.h, whose essay holds here
 * too.
 */
#ifndef HOLDFAST_CONVERT_H
#define HOLDFAST_CONVERT_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Begin with the _INIT: zeros mean other things (cancel_fd 0 is stdin). */
typedef struct hf_convert_options {
	size_t size; /* sizeof(hf_convert_options); set by the _INIT */
	/*
	 * -1: for ever; 0: one try, HF_HELD; else up to this long. A store that cannot be
	 * reached is tried again for as long.
	 */
	int64_t wait_ms;
	int cancel_fd; /* as hf_acquire_options.cancel_fd; -1: none */
	uint32_t flags; /* HF_UNDER_OWN, or 0 */
	/*
	 * As in hf_acquire_options: what else is kept until this call returns. That the
	 * lease itself is, goes without saying.
	 */
	const hf_hold *under;
	size_t under_count; /* up to 64 */
} hf_convert_options;

#define HF_CONVERT_OPTIONS_INIT                                \
	{                                                      \
		sizeof(hf_convert_options), -1, -1, 0, NULL, 0 \
	}

/*
 * Change the mode of a held lease. Options may be NULL for the defaults of the _INIT. Blocks
 * up to wait_ms; see Time in holdfast.h.
 *
 * Upgrading (shared to exclusive) waits in line until no others share the lock and no lock
 * delay runs. It comes before all who hold nothing, so nobody new is let in meanwhile. Until
 * it is had the lease stays shared, and is renewed. It is the same lease then, with a new
 * token (that of an exclusive hold it stands beside, see hf_acquire_options.reenter, if there
 * is one).
 *
 * HF_HELD, HF_TIMED_OUT (also cancelled): others share it, and the lease is as it was.
 * HF_DEADLOCK: the lease is as it was, and whoever waits for it to end keeps this call from
 * ever ending. So it is with two who share a lock and both wait to upgrade: one of them (of
 * the lower priority; else, who began to wait later) is told so. It is to release, or to do
 * without; then the other goes on. HF_LOST as hf_extend(), also if the lease ends while it
 * waits. HF_UNKNOWN: it may be had by now or soon; ask again.
 *
 * Downgrading does not wait and keeps the token. In its way can be only exclusive holds of its
 * own group: HF_INVALID.
 *
 * HF_INVALID: also, from an intention to none or back; options out of range; session-bound
 * stores; another thread is converting this lease.
 *
 * Of a tree name the intentions above go with it: the root's first, if they become stronger.
 * Those who are in the way above are waited for too, all within wait_ms.
 *
 * Rests on R1 (one of those who upgrade gets it), R4 (unknown is found out).
 */
HF_API HF_MUST_CHECK hf_status hf_convert(
	hf_lease *lease, hf_mode mode, const hf_convert_options *options, hf_error *error);

#ifdef __cplusplus
}
#endif
#endif
