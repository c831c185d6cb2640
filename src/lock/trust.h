/*
 * How long before a lease ends in the store its holder stops trusting it.
 *
 * The margin covers what clocks of two machines may drift within one ttl and
 * the time that ending a command takes. A tenth of the ttl, 20 ms to 3 s, and
 * never more than a quarter of it.
 */
#ifndef HF_TRUST_H
#define HF_TRUST_H

#include <stdint.h>

static inline int64_t hf_trust_margin_ms(int64_t ttl_ms)
{
	int64_t margin = ttl_ms / 10;

	if (margin < 20)
		margin = 20;
	if (margin > 3000)
		margin = 3000;
	return margin < ttl_ms / 4 ? margin : ttl_ms / 4;
}

#endif
