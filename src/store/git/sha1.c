#include "sha1.h"

#include <string.h>

static uint32_t rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

/* FIPS 180-4, 6.1.2. */
static void add_block(gs_sha1 *sha, const unsigned char *p)
{
	static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
	uint32_t w[80];
	uint32_t a = sha->state[0];
	uint32_t b = sha->state[1];
	uint32_t c = sha->state[2];
	uint32_t d = sha->state[3];
	uint32_t e = sha->state[4];
	unsigned t;

	for (t = 0; t < 16; t++)
		w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 |
		       (uint32_t)p[4 * t + 2] << 8 | (uint32_t)p[4 * t + 3];
	for (; t < 80; t++)
		w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	for (t = 0; t < 80; t++) {
		uint32_t f = t < 20   ? (b & c) | (~b & d)
			     : t < 40 ? b ^ c ^ d
			     : t < 60 ? (b & c) | (b & d) | (c & d)
				      : b ^ c ^ d;
		uint32_t next = rotate(a, 5) + f + e + k[t / 20] + w[t];

		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = next;
	}
	sha->state[0] += a;
	sha->state[1] += b;
	sha->state[2] += c;
	sha->state[3] += d;
	sha->state[4] += e;
}

void gs_sha1_init(gs_sha1 *sha)
{
	static const uint32_t begin[5] = {
		0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

	memcpy(sha->state, begin, sizeof(begin));
	sha->len = 0;
}

void gs_sha1_add(gs_sha1 *sha, const void *data, size_t len)
{
	const unsigned char *p = data;
	size_t used = sha->len % sizeof(sha->block);

	sha->len += len;
	if (used) {
		size_t room = sizeof(sha->block) - used;
		size_t n = len < room ? len : room;

		memcpy(sha->block + used, p, n);
		if (n < room)
			return;
		add_block(sha, sha->block);
		p += n;
		len -= n;
	}
	for (; len >= sizeof(sha->block); len -= sizeof(sha->block), p += sizeof(sha->block))
		add_block(sha, p);
	if (len)
		memcpy(sha->block, p, len);
}

void gs_sha1_end(gs_sha1 *sha, unsigned char out[20])
{
	static const unsigned char padding[64] = {0x80};
	uint64_t bits = sha->len * 8;
	size_t used = sha->len % 64;
	unsigned char tail[8];
	unsigned i;

	for (i = 0; i < 8; i++)
		tail[i] = (unsigned char)(bits >> (56 - 8 * i));
	gs_sha1_add(sha, padding, used < 56 ? 56 - used : 120 - used);
	gs_sha1_add(sha, tail, sizeof(tail));
	for (i = 0; i < 20; i++)
		out[i] = (unsigned char)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
}
