/*
 * SHA-1, which names git's objects. Not for secrets: git's ids are no more than
 * that either.
 *
 * Ours, because the libraries that have one take longer to start than all the
 * rest of a command does.
 */
#ifndef GS_SHA1_H
#define GS_SHA1_H

#include <stddef.h>
#include <stdint.h>

typedef struct gs_sha1 {
	uint32_t state[5];
	uint64_t len; /* bytes so far */
	unsigned char block[64];
} gs_sha1;

void gs_sha1_init(gs_sha1 *sha);
void gs_sha1_add(gs_sha1 *sha, const void *data, size_t len);
void gs_sha1_end(gs_sha1 *sha, unsigned char out[20]);

#endif
