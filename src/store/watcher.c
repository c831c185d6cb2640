#include "watcher.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

void hf_watcher_pool_init(hf_watcher_pool *pool)
{
	size_t i;

	pthread_mutex_init(&pool->mutex, NULL);
	for (i = 0; i < HF_ARRAY_LEN(pool->idle); i++)
		pool->idle[i] = -1;
}

void hf_watcher_pool_free(hf_watcher_pool *pool)
{
	size_t i;

	for (i = 0; i < HF_ARRAY_LEN(pool->idle); i++)
		if (pool->idle[i] >= 0)
			close(pool->idle[i]);
	pthread_mutex_destroy(&pool->mutex);
}

hf_watcher hf_watcher_take(hf_watcher_pool *pool)
{
	hf_watcher w = HF_WATCHER_NONE;
	size_t i;

	pthread_mutex_lock(&pool->mutex);
	for (i = 0; w.fd < 0 && i < HF_ARRAY_LEN(pool->idle); i++) {
		w.fd = pool->idle[i];
		pool->idle[i] = -1;
	}
	pthread_mutex_unlock(&pool->mutex);
	if (w.fd < 0)
		w.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return w;
}

void hf_watcher_give_back(hf_watcher_pool *pool, hf_watcher *w)
{
	size_t i;

	hf_watcher_clear(w);
	pthread_mutex_lock(&pool->mutex);
	for (i = 0; w->fd >= 0 && i < HF_ARRAY_LEN(pool->idle); i++) {
		if (pool->idle[i] >= 0)
			continue;
		pool->idle[i] = w->fd;
		w->fd = -1;
	}
	pthread_mutex_unlock(&pool->mutex);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}

bool hf_watcher_add(hf_watcher *w, const char *path, uint32_t mask)
{
	int id = inotify_add_watch(w->fd, path, mask);
	size_t i;

	if (id < 0)
		return false;
	for (i = 0; i < w->count; i++)
		if (w->watches[i] == id)
			return true;
	if (w->count == HF_ARRAY_LEN(w->watches)) {
		(void)inotify_rm_watch(w->fd, id);
		errno = ENOSPC;
		return false;
	}
	w->watches[w->count++] = id;
	return true;
}

void hf_watcher_clear(hf_watcher *w)
{
	size_t i;

	if (w->fd < 0)
		return;
	for (i = 0; i < w->count; i++)
		(void)inotify_rm_watch(w->fd, w->watches[i]);
	w->count = 0;
	hf_watcher_drain(w);
}

void hf_watcher_drain(const hf_watcher *w)
{
	char events[4096];

	while (w->fd >= 0 && read(w->fd, events, sizeof(events)) > 0)
		;
}
