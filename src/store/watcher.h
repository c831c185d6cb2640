/*
 * Descriptors of inotify, kept for the next wait.
 *
 * Closing one takes the kernel up to tens of ms (it waits for all readers of
 * its lists), which would delay whoever was woken: so those that are not in use
 * stay open, without watches, until the store is closed.
 */
#ifndef HF_STORE_WATCHER_H
#define HF_STORE_WATCHER_H

#include "base/base.h"

#include <pthread.h>

typedef struct hf_watcher_pool {
	pthread_mutex_t mutex;
	int idle[8]; /* -1: none */
} hf_watcher_pool;

/* What one wait watches; belongs to one thread. */
typedef struct hf_watcher {
	int fd; /* -1: there is none to be had */
	int watches[16];
	size_t count;
} hf_watcher;

#define HF_WATCHER_NONE  \
	{                \
		.fd = -1 \
	}

void hf_watcher_pool_init(hf_watcher_pool *pool);
void hf_watcher_pool_free(hf_watcher_pool *pool);

hf_watcher hf_watcher_take(hf_watcher_pool *pool);
/* Also of one that is none. */
void hf_watcher_give_back(hf_watcher_pool *pool, hf_watcher *w);

/*
 * Watch `path` for the events of `mask` (of inotify); false, with errno: it
 * cannot be watched. Watching the same file again changes its mask only.
 */
bool hf_watcher_add(hf_watcher *w, const char *path, uint32_t mask);
/* Watch nothing any more; what was told of it is thrown away. */
void hf_watcher_clear(hf_watcher *w);
/* Throw away what was told so far. */
void hf_watcher_drain(const hf_watcher *w);

#endif
