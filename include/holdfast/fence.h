/*
 * holdfast: fences. A part of holdfast.h, whose essay holds here too.
 *
 * A fence stands before what a lock guards and cannot remember tokens itself:
 * it remembers, in the store, the greatest token that `resource` was shown, and
 * refuses a smaller one. A resource is named as a lock is; names of fences and
 * of locks have nothing to do with each other, and the store may be another
 * than the lock's. The tokens shown to one fence must be those of one lock, and should be
 * of exclusive leases: of several who share it, the newest alone is admitted. Locks above
 * and below each other (HF_TREE_NAME) count by themselves: no fence orders them.
 *
 * HF_OK is true of that moment: a writer that is paused after it can still write late.
 * What compares the token in the step in which it writes is safer.
 *
 * hf_list() shows no fences and hf_cleanup() forgets none: they stay for ever.
 */
#ifndef HOLDFAST_FENCE_H
#define HOLDFAST_FENCE_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Show a token (1 to 2^62). HF_OK: the store has it as the greatest seen, or
 * had before: an equal one is admitted. HF_FENCED: a greater one was seen. With
 * both *seen_out (may be NULL) gets the greatest, with any other status 0.
 * HF_CORRUPT: a record that cannot be read admits nothing. HF_UNKNOWN: the token
 * may have been seen, or may come to be; asking again is harmless.
 *
 * Rests on R1 (of two, the greater stays) and R3 (it is not forgotten).
 */
HF_API HF_MUST_CHECK hf_status hf_fence_admit(hf_manager *manager, const char *resource,
	uint64_t token, uint64_t *seen_out, hf_error *error);

/*
 * Look only: the greatest token seen into *seen_out; 0: none yet, or an error.
 */
HF_API HF_MUST_CHECK hf_status hf_fence_seen(
	hf_manager *manager, const char *resource, uint64_t *seen_out, hf_error *error);

/*
 * As hf_fence_admit(), and replace a record that cannot be read: by `token`,
 * or a greater one in what is left of its history. Nobody can say what else the
 * damaged record had seen, so give the newest token there is. A record that can
 * be read is not replaced.
 */
HF_API HF_MUST_CHECK hf_status hf_fence_mend(hf_manager *manager, const char *resource,
	uint64_t token, uint64_t *seen_out, hf_error *error);

#ifdef __cplusplus
}
#endif
#endif
