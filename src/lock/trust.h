/*
 * For how long a holder believes in its lease.
 *
 * A lease is trusted until base + ttl - margin on the holder's own clock, base
 * being a moment before its last renewal was asked for. The store gives the
 * lock to another at base + ttl at the earliest. The margin between the two is
 * for what no protocol can see: clocks whose rates differ by a little, and the
 * holder's own way from looking at the clock to having stopped.
 */
#ifndef HF_TRUST_H
#define HF_TRUST_H

#include <stdint.h>

/*
 * A tenth of the ttl, 20 ms to 3 s, and never more than a quarter of it. The
 * margin covers clocks that differ in rate by up to 10 % for ttls of 200 ms to
 * 30 s. ttl_ms 0 (until released): 0.
 */
static inline int64_t hf_trust_margin_ms(int64_t ttl_ms)
{
	int64_t margin = ttl_ms / 10;

	if (margin < 20)
		margin = 20;
	if (margin > 3000)
		margin = 3000;
	return margin < ttl_ms / 4 ? margin : ttl_ms / 4;
}

/* Until when on the holder's clock. ttl_ms 0: for ever (INT64_MAX). */
static inline int64_t hf_trust_until_ms(int64_t base_ms, int64_t ttl_ms)
{
	if (ttl_ms <= 0)
		return INT64_MAX;
	return base_ms + ttl_ms - hf_trust_margin_ms(ttl_ms);
}

#endif
