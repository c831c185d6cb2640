/*
 * What the measured programs share: a clock, and how they end.
 *
 * Each of them is one side of one row. It does its pair COUNT times after a
 * warm-up, checks that what it timed was a lock (a second one is refused while
 * it is held, it is free afterwards), and prints words of the form key=number
 * on one line; compare.py starts the sides in turn and reads those.
 */
#ifndef HF_BENCH_H
#define HF_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* An assertion that no build option takes away. */
#define must(condition, what)                                                     \
	do {                                                                      \
		if (!(condition)) {                                               \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, what); \
			exit(1);                                                  \
		}                                                                 \
	} while (0)

static inline long count_from(const char *text)
{
	char *end;
	long count = strtol(text, &end, 10);

	must(!*end && count > 0, "a count is a whole number above 0");
	return count;
}

static inline void print_pair(int64_t spent_ns, long count)
{
	printf("pair_ns=%.1f\n", (double)spent_ns / (double)count);
}

#endif
