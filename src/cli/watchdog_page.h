/*
 * What the wrapper and its watchdog share, and the watchdog's side of it.
 */
#ifndef HF_CLI_WATCHDOG_PAGE_H
#define HF_CLI_WATCHDOG_PAGE_H

#include "watchdog.h"
#include <stdatomic.h>

/* In memory that both map. The wrapper writes the deadline, all else it reads. */
struct watchdog_page {
	_Atomic int64_t deadline_ms;
	/*
	 * Stopping together. The watchdog says that the command is stopped, the
	 * wrapper that it is going to stop; each writes its own and then reads
	 * the other's. So either the wrapper sees that the command goes on, or
	 * the watchdog sees that the wrapper stops and continues it.
	 */
	_Atomic pid_t stopped_group; /* the command's, while it is stopped; else 0 */
	_Atomic bool wrapper_stops;
	_Atomic bool finished; /* last of all: the rest is whole */
	watchdog_outcome outcome;
};

/* When a tree that will not end is given up. */
#define WATCHDOG_GIVE_UP_MS 10000

/* The life of the watchdog, from right after the fork. */
_Noreturn void watchdog_live(const watchdog_setup *setup, const watchdog *dog, int channel);

#endif
