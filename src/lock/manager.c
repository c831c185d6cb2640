/* Opening and closing a manager, and what it knows between calls. */
#include "manager.h"
#include "async.h"
#include "base/sha256.h"
#include "fence.h"
#include "store/registry.h"

#include <stdio.h>
#include <stdlib.h>

void hf_manager_log(hf_manager *m, const char *format, ...)
{
	char line[512];
	va_list args;

	if (!m->log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	m->log(m->log_arg, line);
}

/* $XDG_STATE_HOME/holdfast, ~/.local/state/holdfast, or "" (nothing is kept). */
static char *default_state_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	char *dir = NULL;

	if (state && state[0] == '/')
		return asprintf(&dir, "%s/holdfast", state) < 0 ? NULL : dir;
	if (home && home[0] == '/')
		return asprintf(&dir, "%s/.local/state/holdfast", home) < 0 ? NULL : dir;
	return strdup("");
}

static hf_status open_store(
	hf_manager *m, const hf_url *url, const hf_open_options *o, hf_error *error)
{
	hf_store_env env = {
		.patience_ms = HF_PATIENCE_MS, .log = o->log, .log_arg = o->log_arg};
	hf_status st;

	m->ops = hf_store_find(url->scheme, o->module_dir, error);
	if (!m->ops)
		return HF_INVALID;
	st = hf_store_check_options(m->ops, url, error);
	if (!st)
		st = m->ops->open(url, &env, &m->store, error);
	if (st)
		m->store = NULL;
	return st;
}

hf_status hf_manager_open(
	const hf_url *url, const hf_open_options *o, hf_manager **manager_out, hf_error *error)
{
	hf_manager *m = calloc(1, sizeof(*m));
	hf_status st;

	*manager_out = NULL;
	if (!m)
		return hf_fail_memory(error, "open");
	m->fork_generation = hf_fork_generation();
	m->log = o->log;
	m->log_arg = o->log_arg;
	m->history_limit = o->history_limit;
	m->keeper_wake_ms = INT64_MAX;
	pthread_mutex_init(&m->mutex, NULL);
	pthread_cond_init(&m->changed, NULL);
	m->state_dir = o->state_dir ? strdup(o->state_dir) : default_state_dir();
	m->runtime_dir = o->runtime_dir ? strdup(o->runtime_dir) : NULL;
	if (!m->state_dir || (o->runtime_dir && !m->runtime_dir))
		st = hf_fail_memory(error, "open");
	else
		st = open_store(m, url, o, error);
	if (st) {
		hf_close(m);
		return st;
	}
	m->capabilities = m->ops->capabilities(m->store);
	m->host_clock = m->capabilities & HF_CAP_HOST_LOCAL ? hf_self_clock_domain() : "";
	*manager_out = m;
	return HF_OK;
}

void hf_close(hf_manager *manager)
{
	size_t i;

	if (!manager)
		return;
	/*
	 * In a forked child nothing of it is ours: its locks may be held by
	 * threads that do not exist here. The memory is left alone.
	 */
	if (manager->fork_generation != hf_fork_generation())
		return;
	hf_async_stop(manager);
	hf_keeper_stop(manager);
	if (manager->before)
		manager->before->close(manager);
	hf_liveness_free(manager->liveness);
	if (manager->store)
		manager->ops->close(manager->store);
	hf_attempt_free(&manager->spare);
	hf_counts_free(&manager->counts);
	for (i = 0; i < HF_KNOWN_NAMES; i++) {
		free(manager->known[i].name);
		hf_snapshot_clear(&manager->known[i].snapshot);
		hf_record_free(&manager->known[i].record);
	}
	pthread_mutex_destroy(&manager->mutex);
	pthread_cond_destroy(&manager->changed);
	free(manager->state_dir);
	free(manager->runtime_dir);
	free(manager);
}

const char *hf_store_identity(const hf_manager *manager)
{
	return manager->ops->identity(manager->store);
}

unsigned hf_store_capabilities(const hf_manager *manager)
{
	return manager->capabilities;
}

hf_status hf_manager_check(hf_manager *m, const char *name, hf_error *error)
{
	if (m->fork_generation != hf_fork_generation())
		return hf_fail(error, HF_INVALID, "manager", 0,
			"this manager was opened before a fork: open another in the child");
	if (name && hf_fence_is_key(name))
		return hf_fail(error, HF_INVALID, "name", 0,
			"names that begin as '%.15s' does are kept for fences: look with "
			"'holdfast fence', or give the lock another name",
			name);
	return hf_check_name(name, error);
}

void hf_manager_verifier(
	const hf_manager *m, const char *name, const char *fingerprint, char *out)
{
	static const char prefix[] = "sha256:";
	hf_sha256 hash;

	if (!fingerprint || !fingerprint[0] || (m->capabilities & HF_CAP_NEIGHBOURS)) {
		hf_copy(out, HF_VERIFIER_MAX, fingerprint ? fingerprint : "");
		return;
	}
	hf_sha256_begin(&hash);
	hf_sha256_add(&hash, name, strlen(name) + 1);
	hf_sha256_add(&hash, fingerprint, strlen(fingerprint));
	memcpy(out, prefix, sizeof(prefix));
	hf_sha256_end(&hash, out + sizeof(prefix) - 1);
}

hf_attempt_setup hf_manager_setup(hf_manager *m, const char *name, hf_ask ask)
{
	hf_attempt_setup setup = {
		.name = name,
		.strategy = HF_QUEUE,
		.wait_ms = 0,
		.settle_ms = HF_SETTLE_MS,
		.poll_ms = HF_POLL_MS,
		.line_ms = HF_LINE_MS,
		.backoff_min_ms = 20,
		.backoff_max_ms = 2000,
		.capabilities = m->capabilities,
		.host_clock = m->host_clock,
		.history_limit = m->history_limit,
		.near = HF_RECORD_NEAR,
	};

	setup.request.ask = ask;
	setup.request.grant = hf_grant_blank();
	setup.request.grant.process = *hf_self();
	hf_random(&setup.seed, sizeof(setup.seed));
	return setup;
}

/* ---- known states ---- */

static struct hf_known *place_of(hf_manager *m, const char *name)
{
	uint64_t hash = hf_hash(HF_HASH_INIT, name, strlen(name));

	return &m->known[(hash ^ (hash >> 32)) & (HF_KNOWN_NAMES - 1)];
}

void hf_manager_recall(hf_manager *m, hf_attempt *attempt)
{
	struct hf_known *known = place_of(m, attempt->setup.name);

	pthread_mutex_lock(&m->mutex);
	hf_attempt_exchange_memory(attempt, &m->spare);
	if (known->name && !strcmp(known->name, attempt->setup.name)) {
		attempt->setup.request.least_gen = known->gen;
		attempt->setup.request.least_counter = known->counter;
		hf_attempt_start_from(
			attempt, &known->snapshot, known->has_record ? &known->record : NULL);
		known->has_record = false;
	}
	pthread_mutex_unlock(&m->mutex);
}

/* What the attempt leaves as the state of its name. Under the mutex. */
static void keep_state(struct hf_known *known, hf_attempt *attempt)
{
	const hf_record *seen = attempt->decoded ? &attempt->record : &attempt->next;
	hf_record unused = known->record;

	/* Only what the store has confirmed counts as known. */
	if (attempt->decoded || attempt->status == HF_OK) {
		if (seen->gen > known->gen)
			known->gen = seen->gen;
		if (seen->counter > known->counter)
			known->counter = seen->counter;
	}
	hf_snapshot_clear(&known->snapshot);
	known->snapshot = attempt->snap;
	memset(&attempt->snap, 0, sizeof(attempt->snap));
	known->has_record = attempt->written;
	if (attempt->written) {
		known->record = attempt->next;
		attempt->next = unused;
		attempt->written = false;
	}
}

/* The place of this name, taken from another if need be; NULL: no memory. */
static struct hf_known *claim_place(hf_manager *m, const char *name)
{
	struct hf_known *known = place_of(m, name);
	char *copy;

	if (known->name && !strcmp(known->name, name))
		return known;
	copy = strdup(name);
	if (!copy)
		return NULL;
	free(known->name);
	hf_snapshot_clear(&known->snapshot);
	known->has_record = false;
	known->name = copy;
	known->gen = 0;
	known->counter = 0;
	return known;
}

void hf_manager_remember(hf_manager *m, hf_attempt *attempt)
{
	struct hf_known *known;

	pthread_mutex_lock(&m->mutex);
	known = claim_place(m, attempt->setup.name);
	if (known)
		keep_state(known, attempt);
	hf_attempt_exchange_memory(&m->spare, attempt);
	pthread_mutex_unlock(&m->mutex);
}

uint64_t hf_manager_known_token(hf_manager *m, const char *key)
{
	struct hf_known *known = place_of(m, key);
	uint64_t token = 0;

	pthread_mutex_lock(&m->mutex);
	if (known->name && !strcmp(known->name, key))
		token = known->counter;
	pthread_mutex_unlock(&m->mutex);
	return token;
}

void hf_manager_learn_token(hf_manager *m, const char *key, uint64_t token)
{
	struct hf_known *known;

	pthread_mutex_lock(&m->mutex);
	known = claim_place(m, key);
	if (known && token > known->counter)
		known->counter = token;
	pthread_mutex_unlock(&m->mutex);
}

hf_liveness *hf_manager_liveness(hf_manager *m)
{
	char dir[256];
	hf_error error;

	if (atomic_load_explicit(&m->liveness_tried, memory_order_acquire))
		return m->liveness;
	pthread_mutex_lock(&m->mutex);
	if (!m->liveness_tried) {
		hf_status st = hf_runtime_dir(m->runtime_dir, dir, sizeof(dir), &error);

		if (!st)
			st = hf_liveness_new(dir, &m->liveness, &error);
		if (st)
			hf_manager_log(m,
				"%s; without a liveness file others learn of this "
				"process's death by its pid or the ttl alone",
				error.text);
		atomic_store_explicit(&m->liveness_tried, true, memory_order_release);
	}
	pthread_mutex_unlock(&m->mutex);
	return m->liveness;
}
