#include "base.h"
#include "process.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

/*
 * Ids are drawn from a small pool per thread, so that an acquisition does not
 * pay a system call for each. A fork empties the pools: parent and child must
 * never hand out the same id.
 */
static _Thread_local struct {
	unsigned char bytes[1024];
	size_t used;
	unsigned generation;
} pool = {.used = sizeof(pool.bytes)};

static void from_kernel(unsigned char *out, size_t n)
{
	while (n > 0) {
		ssize_t got = getrandom(out, n, 0);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			abort(); /* no kernel that runs us lacks getrandom */
		}
		out += got;
		n -= (size_t)got;
	}
}

void hf_random(void *bytes, size_t n)
{
	unsigned generation;

	generation = hf_fork_generation();
	if (n > sizeof(pool.bytes)) {
		from_kernel(bytes, n);
		return;
	}
	if (pool.generation != generation || pool.used + n > sizeof(pool.bytes)) {
		from_kernel(pool.bytes, sizeof(pool.bytes));
		pool.used = 0;
		pool.generation = generation;
	}
	memcpy(bytes, pool.bytes + pool.used, n);
	memset(pool.bytes + pool.used, 0, n);
	pool.used += n;
}

void hf_new_id(char id_out[HF_ID_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[HF_ID_LEN / 2];
	size_t i;

	hf_random(raw, sizeof(raw));
	for (i = 0; i < sizeof(raw); i++) {
		id_out[2 * i] = digits[raw[i] >> 4];
		id_out[2 * i + 1] = digits[raw[i] & 15];
	}
	id_out[HF_ID_LEN] = '\0';
}

void hf_rng_seed(hf_rng *rng, uint64_t seed)
{
	/* One round of splitmix64, so that near seeds give far sequences. */
	seed += 0x9e3779b97f4a7c15u;
	seed = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9u;
	seed = (seed ^ (seed >> 27)) * 0x94d049bb133111ebu;
	seed ^= seed >> 31;
	rng->state = seed ? seed : 1;
}

uint64_t hf_rng_next(hf_rng *rng)
{
	uint64_t x = rng->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	rng->state = x;
	return x * 0x2545f4914f6cdd1du;
}

uint64_t hf_rng_below(hf_rng *rng, uint64_t n)
{
	if (n == 0)
		return 0;
	return hf_rng_next(rng) % n; /* the bias does not matter here */
}

uint64_t hf_hash(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	size_t i;

	for (i = 0; i < n; i++) {
		hash ^= p[i];
		hash *= 0x100000001b3u;
	}
	return hash;
}
