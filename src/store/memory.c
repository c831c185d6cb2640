/*
 * memory: locks between the threads of one process.
 *
 * A space is a hash map under one mutex. "memory:" opens a space of its own,
 * which ends with its manager; "memory:NAME" is one space for all who name it,
 * and lasts as long as the process: were it to end with its last manager, the
 * next one would see tokens go back.
 *
 * An etag is the number of the change in the space that made the state, so
 * none comes back (R2). That of an absent key is the number of the last
 * forgetting in the space: whatever absent key was there before it compares
 * unequal after it.
 *
 * Nothing here survives the process, and nothing is shared with a forked child:
 * it has a copy, which it must not use.
 */
#include "builtin.h"
#include "line_ring.h"

#include "base/process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define FIRST_BUCKETS 64

struct entry {
	struct entry *next;
	uint64_t hash;
	uint64_t change; /* that made this state */
	char *data;
	size_t len;
	size_t cap;
	hf_line_ring history;
	char name[];
};

/* One who watches; on its stack, listed while it sleeps. */
struct watcher {
	struct watcher *next;
	const char *name;
	pthread_cond_t *wake; /* or */
	int event_fd;
	bool rung;
};

struct hf_store {
	hf_store *next; /* of the named ones */
	bool named;
	pthread_mutex_t mutex;
	uint64_t changes;
	uint64_t last_forgotten; /* the change that it was */
	uint64_t floor;
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t entry_count;
	struct watcher *watchers;
	char identity[];
};

static pthread_mutex_t spaces_mutex = PTHREAD_MUTEX_INITIALIZER;
static hf_store *named_spaces;
static uint64_t unnamed_spaces;
static unsigned spaces_generation; /* of forks */

/* What a forked child has copied is its parent's: it begins with nothing. */
static void leave_parents_spaces(void)
{
	unsigned generation = hf_fork_generation();

	if (spaces_generation == generation)
		return;
	pthread_mutex_init(&spaces_mutex, NULL); /* perhaps locked at the fork */
	named_spaces = NULL;
	spaces_generation = generation;
}

/* ---- the map ---- */

static struct entry **find(hf_store *space, const char *name, uint64_t hash)
{
	struct entry **at = &space->buckets[hash & (space->bucket_count - 1)];

	while (*at && ((*at)->hash != hash || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	return at;
}

static void grow_map(hf_store *space)
{
	size_t count = space->bucket_count * 2;
	struct entry **buckets = calloc(count, sizeof(struct entry *));
	size_t i;

	if (!buckets)
		return; /* it only gets slower */
	for (i = 0; i < space->bucket_count; i++) {
		struct entry *e = space->buckets[i];

		while (e) {
			struct entry *next = e->next;

			e->next = buckets[e->hash & (count - 1)];
			buckets[e->hash & (count - 1)] = e;
			e = next;
		}
	}
	free(space->buckets);
	space->buckets = buckets;
	space->bucket_count = count;
}

/* A new entry, not in the map yet. */
static struct entry *new_entry(const char *name, uint64_t hash)
{
	size_t n = strlen(name) + 1;
	struct entry *e = calloc(1, sizeof(*e) + n);

	if (!e)
		return NULL;
	e->hash = hash;
	memcpy(e->name, name, n);
	return e;
}

static void entry_free(struct entry *e)
{
	hf_line_ring_free(&e->history);
	free(e->data);
	free(e);
}

static bool entry_make_room(struct entry *e, size_t len)
{
	char *data;

	if (e->cap >= len)
		return true;
	data = realloc(e->data, len + len / 2);
	if (!data)
		return false;
	e->data = data;
	e->cap = len + len / 2;
	return true;
}

/* ---- open and close ---- */

static hf_store *new_space(const char *identity)
{
	hf_store *space = calloc(1, sizeof(*space) + strlen(identity) + 1);

	if (!space)
		return NULL;
	space->buckets = calloc(FIRST_BUCKETS, sizeof(struct entry *));
	if (!space->buckets) {
		free(space);
		return NULL;
	}
	space->bucket_count = FIRST_BUCKETS;
	memcpy(space->identity, identity, strlen(identity) + 1);
	pthread_mutex_init(&space->mutex, NULL);
	return space;
}

static hf_status memory_open(
	const hf_url *url, const hf_store_env *env, hf_store **store_out, hf_error *error)
{
	hf_buf identity = HF_BUF_INIT;
	hf_store *space = NULL;

	(void)env;
	*store_out = NULL;
	leave_parents_spaces();
	pthread_mutex_lock(&spaces_mutex);
	if (url->path[0])
		hf_buf_addf(&identity, "memory:%s", url->path);
	else
		hf_buf_addf(&identity, "memory:#%llu", (unsigned long long)++unnamed_spaces);
	if (!identity.failed && url->path[0]) {
		space = named_spaces;
		while (space && strcmp(space->identity, identity.data) != 0)
			space = space->next;
	}
	if (!identity.failed && !space) {
		space = new_space(identity.data);
		if (space && url->path[0]) {
			space->named = true;
			space->next = named_spaces;
			named_spaces = space;
		}
	}
	pthread_mutex_unlock(&spaces_mutex);
	hf_buf_free(&identity);
	*store_out = space;
	return space ? HF_OK : hf_fail_memory(error, "open");
}

static void memory_close(hf_store *space)
{
	size_t i;

	if (space->named)
		return;
	for (i = 0; i < space->bucket_count; i++) {
		while (space->buckets[i]) {
			struct entry *e = space->buckets[i];

			space->buckets[i] = e->next;
			entry_free(e);
		}
	}
	pthread_mutex_destroy(&space->mutex);
	free(space->buckets);
	free(space);
}

static unsigned memory_capabilities(const hf_store *space)
{
	(void)space;
	return HF_CAP_CLOCK | HF_CAP_WATCH | HF_CAP_HISTORY | HF_CAP_FORGET |
	       HF_CAP_HOST_LOCAL | HF_CAP_AMEND | HF_CAP_QUICK;
}

static const char *memory_identity(const hf_store *space)
{
	return space->identity;
}

/* ---- the register ---- */

static hf_etag etag_of(const hf_store *space, const struct entry *e)
{
	uint64_t change = e ? e->change : space->last_forgotten;
	hf_etag etag = {.len = 9};

	memcpy(etag.bytes, &change, sizeof(change));
	etag.bytes[8] = e ? 'p' : 'a';
	return etag;
}

static hf_status fill_nolock(
	const hf_store *space, const struct entry *e, hf_snapshot *snapshot, hf_error *error)
{
	snapshot->etag = etag_of(space, e);
	snapshot->floor = space->floor;
	snapshot->now_ms = hf_boot_ms();
	if (!e)
		return HF_OK;
	snapshot->data = malloc(e->len + 1);
	if (!snapshot->data)
		return hf_fail_memory(error, "read");
	memcpy(snapshot->data, e->data, e->len);
	snapshot->data[e->len] = '\0';
	snapshot->len = e->len;
	return HF_OK;
}

static uint64_t hash_of(const char *name)
{
	uint64_t hash = hf_hash(HF_HASH_INIT, name, strlen(name));

	return hash ^ hash >> 32;
}

static hf_status memory_read(
	hf_store *space, const char *name, hf_snapshot *snapshot, hf_error *error)
{
	uint64_t hash = hash_of(name);
	hf_status st;

	pthread_mutex_lock(&space->mutex);
	st = fill_nolock(space, *find(space, name, hash), snapshot, error);
	pthread_mutex_unlock(&space->mutex);
	return st;
}

static void ring_nolock(hf_store *space, const char *name)
{
	static const uint64_t one = 1;
	struct watcher *w;

	for (w = space->watchers; w; w = w->next) {
		if (w->rung || strcmp(w->name, name) != 0)
			continue;
		w->rung = true;
		if (w->wake)
			pthread_cond_signal(w->wake);
		else if (write(w->event_fd, &one, sizeof(one)) < 0)
			w->rung = false; /* only EINTR: the next change rings again */
	}
}

/* Everything that can fail comes first; then the state changes as a whole. */
static hf_status change_nolock(hf_store *space, struct entry **at, const char *name,
	uint64_t hash, const hf_change *change, hf_error *error)
{
	const char *line = change->event ? change->event->line : NULL;
	size_t line_size = line ? strlen(line) + 1 : 0;
	struct entry *e = *at ? *at : new_entry(name, hash);

	if (!e || !entry_make_room(e, change->len) ||
		(line &&
			!hf_line_ring_prepare(&e->history, change->history_limit, line_size))) {
		if (e && !*at)
			entry_free(e);
		return hf_fail_memory(error, "swap");
	}
	memcpy(e->data, change->data, change->len);
	e->len = change->len;
	e->change = ++space->changes;
	if (line) {
		memcpy(hf_line_ring_at(&e->history, e->history.count)->text, line, line_size);
		e->history.count++;
	}
	if (!*at) {
		*at = e;
		if (++space->entry_count > space->bucket_count)
			grow_map(space);
	}
	ring_nolock(space, name);
	return HF_OK;
}

static hf_status memory_swap(hf_store *space, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *snapshot_out, hf_error *error)
{
	uint64_t hash = hash_of(name);
	struct entry **at;
	hf_etag present;
	hf_status st;

	pthread_mutex_lock(&space->mutex);
	at = find(space, name, hash);
	present = etag_of(space, *at);
	if (expected && hf_etag_equal(expected, &present)) {
		st = change_nolock(space, at, name, hash, change, error);
		if (!st) {
			snapshot_out->etag = present;
			snapshot_out->etag.bytes[8] = 'p';
			memcpy(snapshot_out->etag.bytes, &space->changes,
				sizeof(space->changes));
			snapshot_out->floor = space->floor;
			snapshot_out->now_ms = hf_boot_ms();
		}
	} else {
		st = fill_nolock(space, *at, snapshot_out, error);
		if (!st)
			st = hf_fail(error, HF_CHANGED, "swap", 0,
				"the lock has changed since it was read");
	}
	pthread_mutex_unlock(&space->mutex);
	return st;
}

static hf_status memory_forget(hf_store *space, const char *name, const hf_etag *expected,
	uint64_t floor, hf_error *error)
{
	struct entry **at;
	struct entry *e;
	hf_etag present;
	hf_status st = HF_OK;

	pthread_mutex_lock(&space->mutex);
	at = find(space, name, hash_of(name));
	e = *at;
	present = etag_of(space, e);
	if (!e || !hf_etag_equal(expected, &present)) {
		st = hf_fail(error, HF_CHANGED, "forget", 0,
			"the lock has changed since it was read");
	} else {
		*at = e->next;
		space->entry_count--;
		space->last_forgotten = ++space->changes;
		if (space->floor < floor)
			space->floor = floor;
		ring_nolock(space, name);
		entry_free(e);
	}
	pthread_mutex_unlock(&space->mutex);
	return st;
}

/* ---- looking through ---- */

/* Names are copied first: `fn` may use the store. */
static hf_status memory_list(hf_store *space, hf_store_name_fn fn, void *arg, hf_error *error)
{
	hf_buf names = HF_BUF_INIT;
	const struct entry *e;
	hf_status st = HF_OK;
	size_t i;

	pthread_mutex_lock(&space->mutex);
	for (i = 0; i < space->bucket_count; i++)
		for (e = space->buckets[i]; e; e = e->next)
			hf_buf_add(&names, e->name, strlen(e->name) + 1);
	pthread_mutex_unlock(&space->mutex);
	if (names.failed)
		st = hf_fail_memory(error, "list");
	for (i = 0; !st && i < names.len; i += strlen(names.data + i) + 1)
		if (fn(arg, names.data + i))
			break;
	hf_buf_free(&names);
	return st;
}

static hf_status memory_history(hf_store *space, const char *name, size_t limit,
	hf_store_line_fn fn, void *arg, hf_error *error)
{
	hf_buf lines = HF_BUF_INIT;
	const struct entry *e;
	hf_status st = HF_OK;
	size_t i;

	pthread_mutex_lock(&space->mutex);
	e = *find(space, name, hash_of(name));
	for (i = e ? e->history.count : 0; i > 0; i--) {
		const char *text = hf_line_ring_at(&e->history, i - 1)->text;

		if (limit && e->history.count - i == limit)
			break;
		hf_buf_add(&lines, text, strlen(text) + 1);
	}
	pthread_mutex_unlock(&space->mutex);
	if (lines.failed)
		st = hf_fail_memory(error, "history");
	for (i = 0; !st && i < lines.len; i += strlen(lines.data + i) + 1)
		if (fn(arg, lines.data + i))
			break;
	hf_buf_free(&lines);
	return st;
}

static hf_status memory_prune(hf_store *space, const char *name, size_t keep, hf_error *error)
{
	struct entry *e;

	(void)error;
	pthread_mutex_lock(&space->mutex);
	e = *find(space, name, hash_of(name));
	while (e && e->history.count > keep) {
		hf_line *oldest = hf_line_ring_at(&e->history, 0);

		free(oldest->text);
		*oldest = (hf_line){.text = NULL};
		e->history.first = (e->history.first + 1) % e->history.cap;
		e->history.count--;
	}
	pthread_mutex_unlock(&space->mutex);
	return HF_OK;
}

/* ---- watch ---- */

static void unlist_nolock(hf_store *space, struct watcher *watcher)
{
	struct watcher **at = &space->watchers;

	while (*at != watcher)
		at = &(*at)->next;
	*at = watcher->next;
}

static void sleep_on_condition_nolock(hf_store *space, struct watcher *w, int64_t timeout_ms)
{
	struct timespec until;
	pthread_condattr_t monotonic;
	pthread_cond_t wake;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&wake, &monotonic);
	w->wake = &wake;
	w->next = space->watchers;
	space->watchers = w;
	while (!w->rung && !r)
		r = pthread_cond_timedwait(&wake, &space->mutex, &until);
	unlist_nolock(space, w);
	pthread_cond_destroy(&wake);
	pthread_condattr_destroy(&monotonic);
}

/* Releases the mutex while it sleeps, as the one above. */
static hf_status sleep_on_descriptors_nolock(
	hf_store *space, struct watcher *w, int64_t timeout_ms, int cancel_fd, hf_error *error)
{
	struct pollfd fds[2] = {{.fd = cancel_fd, .events = POLLIN}, {.events = POLLIN}};

	w->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event_fd < 0)
		return hf_fail_errno(error, HF_SYSTEM, "watch", errno,
			"cannot make a descriptor to wait on");
	fds[1].fd = w->event_fd;
	w->next = space->watchers;
	space->watchers = w;
	pthread_mutex_unlock(&space->mutex);
	(void)poll(fds, 2, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms);
	pthread_mutex_lock(&space->mutex);
	unlist_nolock(space, w);
	close(w->event_fd);
	return HF_OK;
}

static hf_status memory_watch(hf_store *space, const char *name, const hf_etag *seen,
	int64_t timeout_ms, int cancel_fd, hf_error *error)
{
	struct watcher w = {.name = name, .event_fd = -1};
	hf_status st = HF_OK;
	hf_etag present;

	pthread_mutex_lock(&space->mutex);
	present = etag_of(space, *find(space, name, hash_of(name)));
	if (timeout_ms > 0 && hf_etag_equal(seen, &present)) {
		if (cancel_fd >= 0)
			st = sleep_on_descriptors_nolock(
				space, &w, timeout_ms, cancel_fd, error);
		else
			sleep_on_condition_nolock(space, &w, timeout_ms);
	}
	pthread_mutex_unlock(&space->mutex);
	return st;
}

static const char *const no_options[] = {NULL};

const hf_store_ops hf_store_memory = {
	.abi = HF_STORE_ABI,
	.scheme = "memory",
	.summary = "threads of one process (memory: or memory:NAME)",
	.options = no_options,
	.open = memory_open,
	.close = memory_close,
	.capabilities = memory_capabilities,
	.identity = memory_identity,
	.read = memory_read,
	.swap = memory_swap,
	.list = memory_list,
	.watch = memory_watch,
	.history = memory_history,
	.prune = memory_prune,
	.forget = memory_forget,
};
