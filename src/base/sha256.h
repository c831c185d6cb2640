/*
 * SHA-256 (FIPS 180-4), for what must be compared but not read: fingerprints.
 *
 * Here and not from a library, because it is all that the command would load
 * one for, at each start.
 */
#ifndef HF_SHA256_H
#define HF_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct hf_sha256 {
	uint32_t state[8];
	uint64_t length; /* bytes so far */
	unsigned char block[64];
} hf_sha256;

void hf_sha256_begin(hf_sha256 *hash);
void hf_sha256_add(hf_sha256 *hash, const void *bytes, size_t n);
/* 64 hex digits and a NUL. The hash is used up. */
void hf_sha256_end(hf_sha256 *hash, char hex_out[65]);

#endif
