#include "base.h"

#include <time.h>

static int64_t clock_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t hf_boot_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

int64_t hf_boot_ms(void)
{
	return clock_ns(CLOCK_BOOTTIME) / 1000000;
}

int64_t hf_wall_ms(void)
{
	/* A few ms late is good enough for people, and much cheaper to ask. */
	return clock_ns(CLOCK_REALTIME_COARSE) / 1000000;
}

void hf_sleep_until_ms(int64_t deadline_boot_ms)
{
	struct timespec until = {
		.tv_sec = deadline_boot_ms / 1000,
		.tv_nsec = (deadline_boot_ms % 1000) * 1000000,
	};

	if (deadline_boot_ms > 0)
		clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &until, NULL);
}
