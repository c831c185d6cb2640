/*
 * `memory:` - a map in the process, for threads of one program and for tests.
 *
 * Each "memory:" is a space of its own; "memory:NAME" is shared by all that
 * name it while one of them is open. Everything stands under the space's mutex.
 * The etag is a number that the space gives to each state once.
 */
#include "base/base.h"
#include "builtin.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS_MIN 64

struct event_line {
	char *text;
};

/* One name. Absent again after forget: then the entry is gone. */
struct entry {
	struct entry *next;
	char *name;
	char *data;
	size_t len;
	size_t cap;
	uint64_t state; /* what the etag says */
	struct event_line *events; /* a ring, oldest at `first` */
	size_t event_first;
	size_t event_count;
	size_t event_cap;
};

/* A watcher with a descriptor to poll besides: it cannot use the condition. */
struct listener {
	struct listener *next;
	int fd;
};

struct space {
	struct space *next;
	char *name; /* "": private */
	unsigned users;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned watchers; /* waiting on `changed` */
	struct listener *listeners;
	uint64_t last_state;
	uint64_t floor;
	size_t entry_count;
	size_t bucket_count;
	struct entry **buckets;
	char identity[64 + HF_NAME_MAX];
};

struct hf_store {
	struct space *space;
};

static struct {
	pthread_mutex_t mutex;
	struct space *named;
} spaces = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- spaces ---- */

static struct space *new_space(const char *name)
{
	struct space *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	s->name = strdup(name);
	s->bucket_count = BUCKETS_MIN;
	s->buckets = calloc(s->bucket_count, sizeof(*s->buckets));
	if (!s->name || !s->buckets) {
		free(s->name);
		free(s->buckets);
		free(s);
		return NULL;
	}
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attr);
	pthread_condattr_destroy(&attr);
	hf_copy(s->identity, sizeof(s->identity), "memory:");
	hf_copy(s->identity + 7, sizeof(s->identity) - 7, name);
	s->users = 1;
	return s;
}

static void free_entry(struct entry *e)
{
	size_t i;

	for (i = 0; i < e->event_count; i++)
		free(e->events[(e->event_first + i) % e->event_cap].text);
	free(e->events);
	free(e->name);
	free(e->data);
	free(e);
}

static void free_space(struct space *s)
{
	size_t i;

	for (i = 0; i < s->bucket_count; i++) {
		while (s->buckets[i]) {
			struct entry *e = s->buckets[i];

			s->buckets[i] = e->next;
			free_entry(e);
		}
	}
	pthread_mutex_destroy(&s->mutex);
	pthread_cond_destroy(&s->changed);
	free(s->buckets);
	free(s->name);
	free(s);
}

static struct space *join_space(const char *name)
{
	struct space *s;

	if (!name[0])
		return new_space(name);
	pthread_mutex_lock(&spaces.mutex);
	for (s = spaces.named; s && strcmp(s->name, name) != 0; s = s->next)
		;
	if (s) {
		s->users++;
	} else {
		s = new_space(name);
		if (s) {
			s->next = spaces.named;
			spaces.named = s;
		}
	}
	pthread_mutex_unlock(&spaces.mutex);
	return s;
}

static hf_status memory_open(
	const hf_url *url, const hf_store_env *env, hf_store **store_out, hf_error *error)
{
	hf_store *store = malloc(sizeof(*store));

	(void)env;
	*store_out = NULL;
	if (strlen(url->path) > HF_NAME_MAX) {
		free(store);
		return hf_fail(error, HF_INVALID, "open", 0,
			"memory: the space's name is longer than %d bytes", HF_NAME_MAX);
	}
	if (store)
		store->space = join_space(url->path);
	if (!store || !store->space) {
		free(store);
		return hf_fail_memory(error, "open");
	}
	*store_out = store;
	return HF_OK;
}

static void memory_close(hf_store *store)
{
	struct space *s = store->space;
	struct space **at;
	bool last;

	pthread_mutex_lock(&spaces.mutex);
	last = --s->users == 0;
	if (last) {
		for (at = &spaces.named; *at && *at != s; at = &(*at)->next)
			;
		if (*at)
			*at = s->next;
	}
	pthread_mutex_unlock(&spaces.mutex);
	if (last)
		free_space(s);
	free(store);
}

static unsigned memory_capabilities(const hf_store *store)
{
	(void)store;
	return HF_CAP_CLOCK | HF_CAP_WATCH | HF_CAP_HISTORY | HF_CAP_FORGET |
	       HF_CAP_HOST_LOCAL | HF_CAP_AMEND;
}

static const char *memory_identity(const hf_store *store)
{
	return store->space->identity;
}

/* ---- entries ---- */

static size_t bucket_of(const struct space *s, const char *name)
{
	return hf_hash(HF_HASH_INIT, name, strlen(name)) & (s->bucket_count - 1);
}

static struct entry **find(struct space *s, const char *name)
{
	struct entry **at = &s->buckets[bucket_of(s, name)];

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

/* Twice the buckets; if there is no memory the chains just stay long. */
static void grow(struct space *s)
{
	size_t old_count = s->bucket_count;
	struct entry **old = s->buckets;
	struct entry **buckets = calloc(old_count * 2, sizeof(*buckets));
	size_t i;

	if (!buckets)
		return;
	s->buckets = buckets;
	s->bucket_count = old_count * 2;
	for (i = 0; i < old_count; i++) {
		while (old[i]) {
			struct entry *e = old[i];
			size_t b = bucket_of(s, e->name);

			old[i] = e->next;
			e->next = buckets[b];
			buckets[b] = e;
		}
	}
	free(old);
}

static hf_etag etag_of(uint64_t state)
{
	hf_etag etag = {.len = sizeof(state)};

	memcpy(etag.bytes, &state, sizeof(state));
	return etag;
}

/*
 * An absent name has the state "floor": no name was ever in a state of that
 * number, because states are counted up and the floor takes the next one.
 */
static uint64_t state_of(const struct space *s, const struct entry *e)
{
	return e ? e->state : (s->floor << 1 | 1);
}

static hf_status fill(struct space *s, const struct entry *e, hf_snapshot *out, hf_error *error)
{
	out->etag = etag_of(state_of(s, e));
	out->floor = e ? 0 : s->floor;
	out->now_ms = hf_boot_ms();
	if (!e)
		return HF_OK;
	out->data = malloc(e->len + 1);
	if (!out->data)
		return hf_fail_memory(error, "read");
	memcpy(out->data, e->data, e->len);
	out->data[e->len] = '\0';
	out->len = e->len;
	return HF_OK;
}

static hf_status memory_read(
	hf_store *store, const char *name, hf_snapshot *snapshot, hf_error *error)
{
	struct space *s = store->space;
	hf_status st;

	pthread_mutex_lock(&s->mutex);
	st = fill(s, *find(s, name), snapshot, error);
	pthread_mutex_unlock(&s->mutex);
	return st;
}

/* Room for one more event; drops the oldest beyond the limit. */
static bool add_event(struct entry *e, const char *line, size_t limit)
{
	char *text = strdup(line);

	if (!text)
		return false;
	while (limit && e->event_count >= limit) {
		free(e->events[e->event_first].text);
		e->event_first = (e->event_first + 1) % e->event_cap;
		e->event_count--;
	}
	if (e->event_count == e->event_cap) {
		size_t cap = e->event_cap ? e->event_cap * 2 : 16;
		struct event_line *events = malloc(cap * sizeof(*events));
		size_t i;

		if (!events) {
			free(text);
			return false;
		}
		for (i = 0; i < e->event_count; i++)
			events[i] = e->events[(e->event_first + i) % e->event_cap];
		free(e->events);
		e->events = events;
		e->event_cap = cap;
		e->event_first = 0;
	}
	e->events[(e->event_first + e->event_count++) % e->event_cap].text = text;
	return true;
}

static void tell_watchers(struct space *s)
{
	struct listener *l;
	uint64_t one = 1;

	if (s->watchers)
		pthread_cond_broadcast(&s->changed);
	for (l = s->listeners; l; l = l->next)
		(void)!write(l->fd, &one, sizeof(one));
}

/* The entry of `name`, made if it is missing; NULL: no memory. */
static struct entry *need_entry(struct space *s, const char *name)
{
	struct entry **at = find(s, name);
	struct entry *e = *at;

	if (e)
		return e;
	e = calloc(1, sizeof(*e));
	if (e)
		e->name = strdup(name);
	if (!e || !e->name) {
		free(e);
		return NULL;
	}
	*at = e;
	if (++s->entry_count > s->bucket_count)
		grow(s);
	return e;
}

static hf_status write_entry(struct space *s, const char *name, const hf_change *change,
	hf_snapshot *snapshot_out, hf_error *error)
{
	struct entry *e = need_entry(s, name);

	if (e && e->cap < change->len) {
		size_t cap = change->len * 2;
		char *data = realloc(e->data, cap);

		if (!data)
			return hf_fail_memory(error, "swap");
		e->data = data;
		e->cap = cap;
	}
	if (!e || (change->event && !add_event(e, change->event->line, change->history_limit)))
		return hf_fail_memory(error, "swap");
	memcpy(e->data, change->data, change->len);
	e->len = change->len;
	e->state = ++s->last_state << 1;
	snapshot_out->etag = etag_of(e->state);
	snapshot_out->now_ms = hf_boot_ms();
	tell_watchers(s);
	return HF_OK;
}

static hf_status memory_swap(hf_store *store, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *snapshot_out, hf_error *error)
{
	struct space *s = store->space;
	struct entry *e;
	hf_etag now;
	hf_status st;

	pthread_mutex_lock(&s->mutex);
	e = *find(s, name);
	now = etag_of(state_of(s, e));
	if (expected && !hf_etag_equal(&now, expected)) {
		st = fill(s, e, snapshot_out, error);
		if (!st)
			st = HF_CHANGED;
	} else {
		st = write_entry(s, name, change, snapshot_out, error);
	}
	pthread_mutex_unlock(&s->mutex);
	return st;
}

static hf_status memory_forget(hf_store *store, const char *name, const hf_etag *expected,
	uint64_t floor, hf_error *error)
{
	struct space *s = store->space;
	struct entry **at;
	struct entry *e;
	hf_etag now;
	hf_status st = HF_OK;

	pthread_mutex_lock(&s->mutex);
	at = find(s, name);
	e = *at;
	now = etag_of(state_of(s, e));
	if (!e || !hf_etag_equal(&now, expected)) {
		st = hf_fail(error, HF_CHANGED, "forget", 0, "lock '%s' is in use again", name);
	} else {
		*at = e->next;
		s->entry_count--;
		/* Above every earlier floor too: "absent" is a new state each time. */
		s->floor = floor > s->floor ? floor : s->floor + 1;
		free_entry(e);
		tell_watchers(s);
	}
	pthread_mutex_unlock(&s->mutex);
	return st;
}

static hf_status memory_list(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error)
{
	struct space *s = store->space;
	hf_buf names = HF_BUF_INIT;
	hf_status st = HF_OK;
	const char *p;
	size_t i;

	/* Collected first: fn may use the store. */
	pthread_mutex_lock(&s->mutex);
	for (i = 0; i < s->bucket_count; i++) {
		struct entry *e;

		for (e = s->buckets[i]; e; e = e->next)
			hf_buf_add(&names, e->name, strlen(e->name) + 1);
	}
	pthread_mutex_unlock(&s->mutex);
	if (names.failed)
		st = hf_fail_memory(error, "list");
	for (p = names.data; !st && p && p < names.data + names.len; p += strlen(p) + 1)
		if (fn(arg, p))
			break;
	hf_buf_free(&names);
	return st;
}

/* ---- watch ---- */

static void listen_until(struct space *s, struct listener *l, int cancel_fd, int64_t ms)
{
	struct pollfd fds[2] = {
		{.fd = l->fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};

	l->next = s->listeners;
	s->listeners = l;
	pthread_mutex_unlock(&s->mutex);
	(void)poll(fds, 2, (int)ms);
	pthread_mutex_lock(&s->mutex);
}

static void forget_listener(struct space *s, const struct listener *l)
{
	struct listener **at = &s->listeners;

	while (*at && *at != l)
		at = &(*at)->next;
	if (*at)
		*at = l->next;
}

static struct timespec after_ms(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static hf_status memory_watch(hf_store *store, const char *name, const hf_etag *seen,
	int64_t timeout_ms, int cancel_fd, hf_error *error)
{
	struct space *s = store->space;
	struct timespec until = after_ms(timeout_ms);
	struct listener l = {.fd = -1};
	bool woken = false;

	if (cancel_fd >= 0) {
		l.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (l.fd < 0)
			return hf_fail_errno(
				error, HF_SYSTEM, "watch", errno, "cannot make a descriptor");
	}
	pthread_mutex_lock(&s->mutex);
	while (!woken) {
		hf_etag now = etag_of(state_of(s, *find(s, name)));

		if (!hf_etag_equal(&now, seen))
			break;
		if (l.fd >= 0) {
			/* Waking early is allowed (R7): once is enough. */
			listen_until(s, &l, cancel_fd, timeout_ms);
			forget_listener(s, &l);
			woken = true;
		} else {
			s->watchers++;
			woken = pthread_cond_timedwait(&s->changed, &s->mutex, &until) != 0;
			s->watchers--;
		}
	}
	pthread_mutex_unlock(&s->mutex);
	if (l.fd >= 0)
		close(l.fd);
	return HF_OK;
}

/* ---- history ---- */

static hf_status memory_history(hf_store *store, const char *name, size_t limit,
	hf_store_line_fn fn, void *arg, hf_error *error)
{
	struct space *s = store->space;
	hf_buf lines = HF_BUF_INIT;
	hf_status st = HF_OK;
	struct entry *e;
	const char *p;
	size_t i;

	pthread_mutex_lock(&s->mutex);
	e = *find(s, name);
	for (i = e ? e->event_count : 0; i > 0 && (!limit || e->event_count - i < limit); i--) {
		const char *text = e->events[(e->event_first + i - 1) % e->event_cap].text;

		hf_buf_add(&lines, text, strlen(text) + 1);
	}
	pthread_mutex_unlock(&s->mutex);
	if (lines.failed)
		st = hf_fail_memory(error, "history");
	for (p = lines.data; !st && p && p < lines.data + lines.len; p += strlen(p) + 1)
		if (fn(arg, p))
			break;
	hf_buf_free(&lines);
	return st;
}

static hf_status memory_prune(hf_store *store, const char *name, size_t keep, hf_error *error)
{
	struct space *s = store->space;
	struct entry *e;

	(void)error;
	pthread_mutex_lock(&s->mutex);
	e = *find(s, name);
	while (e && e->event_count > keep) {
		free(e->events[e->event_first].text);
		e->event_first = (e->event_first + 1) % e->event_cap;
		e->event_count--;
	}
	pthread_mutex_unlock(&s->mutex);
	return HF_OK;
}

static const char *const no_options[] = {NULL};

const hf_store_ops hf_store_memory = {
	.abi = HF_STORE_ABI,
	.scheme = "memory",
	.summary = "a map in this process, for threads and tests",
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
