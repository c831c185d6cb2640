/*
 * A fence: what a resource remembers of the fencing tokens it was shown.
 *
 * Pure, as the rules are: the record's text, the key it stands under, and the
 * decision. admit.c carries it out on a store.
 *
 *	holdfast-fence 1
 *	seen name=db tok=7 at=1700000000000 owner=alice@web1 host=web1 pid=12
 *	end
 *
 * The key is a name that no lock can have: hf_manager_check() refuses it for
 * locks, and list and cleanup pass it over. So a fence is no lock to anybody,
 * and is never forgotten: a store's floor keeps the counters of locks, not what
 * a resource has seen. Each state differs from all earlier ones, for its token
 * only grows; a request that is late or repeated therefore does no harm, and
 * needs no id of its own.
 */
#ifndef HF_FENCE_H
#define HF_FENCE_H

#include "base/base.h"

#include <holdfast/store.h>

#define HF_FENCE_VERSION 1
#define HF_FENCE_TOKEN_MAX ((uint64_t)1 << 62) /* as record.h counts tokens */

/* All strings are borrowed and never NULL. */
typedef struct hf_fence {
	const char *name; /* the resource */
	uint64_t token; /* the greatest seen; 0: none yet */
	int64_t wall_ms; /* when, where it was shown: for people */
	const char *owner;
	const char *host;
	int64_t pid;
	char *text; /* what a decoded one's strings point into */
} hf_fence;

/* Nothing seen. */
void hf_fence_init(hf_fence *fence);
void hf_fence_free(hf_fence *fence);

/* The key of a resource, which is a name as hf_check_name() wants it. */
void hf_fence_key(const char *resource, char key_out[HF_NAME_MAX + 1]);
bool hf_fence_is_key(const char *name);

/*
 * Read a record's text into an initialised fence; the name in it must be
 * `resource`. HF_CORRUPT: says what is wrong. HF_NO_MEMORY.
 */
hf_status hf_fence_decode(
	hf_fence *fence, const char *resource, const char *data, size_t len, hf_error *error);
/* Append the text, and to `line` the event's. A failure shows in buf->failed. */
void hf_fence_encode(const hf_fence *fence, hf_buf *text, hf_buf *line);
/* The token in an event's line; 0: it is none of a fence. `line` is overwritten. */
uint64_t hf_fence_line_token(char *line);
/* For people: "fence db, token 7, alice@web1 pid 12". */
void hf_fence_describe(const hf_fence *fence, hf_buf *buf);

typedef enum hf_fence_verdict {
	HF_FENCE_REFUSE, /* a greater one was seen */
	HF_FENCE_ADMIT, /* the greatest itself: nothing to write */
	HF_FENCE_RAISE /* admitted once the store has it as the greatest */
} hf_fence_verdict;

/*
 * What becomes of `token` (1 to HF_FENCE_TOKEN_MAX) where the store has `seen`
 * and this process knows of `known` (each 0: none). They differ only in a store
 * that went back.
 */
hf_fence_verdict hf_fence_decide(uint64_t seen, uint64_t known, uint64_t token);

#endif
