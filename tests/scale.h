/* How many rounds of a race a test has. */
#ifndef HF_TEST_SCALE_H
#define HF_TEST_SCALE_H

#include "base/base.h"

#include <stdlib.h>

/* By HF_TEST_SCALE, a percentage (default 100); `least` or more. */
static inline unsigned test_rounds(unsigned rounds, unsigned least)
{
	const char *scale = getenv("HF_TEST_SCALE");
	uint64_t percent = 100;

	if (scale && !hf_parse_u64(scale, &percent))
		percent = 100;
	rounds = (unsigned)(rounds * percent / 100);
	return rounds > least ? rounds : least;
}

#endif
