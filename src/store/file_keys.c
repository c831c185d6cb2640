/* Keys in use, each with its open handles; and the floor. */
#include "file_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the cache ---- */

static void key_free(hf_key *key)
{
	if (!key)
		return;
	hf_slotfile_free(key->file);
	hf_buf_free(&key->out);
	hf_buf_free(&key->recent);
	pthread_mutex_destroy(&key->mutex);
	free(key->lock_path);
	free(key->log_stem);
	free(key);
}

char *hf_key_lock_path(const hf_store *store, const char *name)
{
	char escaped[HF_ESCAPED_MAX + 1];
	char *path = NULL;

	hf_name_escape(name, HF_ESCAPED_MAX, escaped);
	if (asprintf(&path, "%s/%s.lock", store->records, escaped) < 0)
		return NULL;
	return path;
}

static hf_key *key_new(hf_store *store, const char *name)
{
	hf_key *key = calloc(1, sizeof(*key));
	char escaped[HF_ESCAPED_MAX + 1];

	if (!key)
		return NULL;
	pthread_mutex_init(&key->mutex, NULL);
	hf_copy(key->name, sizeof(key->name), name);
	hf_name_escape(name, HF_ESCAPED_MAX, escaped);
	key->lock_path = hf_key_lock_path(store, name);
	if (asprintf(&key->log_stem, "%s/%s.log.", store->records, escaped) < 0)
		key->log_stem = NULL;
	if (!key->lock_path || !key->log_stem ||
		hf_slotfile_new(key->lock_path, &store->options, &key->file, NULL)) {
		key_free(key);
		return NULL;
	}
	return key;
}

/* Find it in the cache, or the place that it would best have there. */
static hf_key *find_nolock(hf_store *store, const char *name, size_t *place_out)
{
	uint64_t oldest = UINT64_MAX;
	size_t i;

	*place_out = HF_KEYS_CACHED;
	for (i = 0; i < HF_KEYS_CACHED; i++) {
		hf_key *key = store->keys[i];
		uint64_t age = key ? key->used_at : 0;

		if (key && strcmp(key->name, name) == 0)
			return key;
		if ((!key || key->users == 0) && age < oldest) {
			oldest = age;
			*place_out = i;
		}
	}
	return NULL;
}

hf_status hf_key_get(hf_store *store, const char *name, hf_key **key_out, hf_error *error)
{
	hf_key *evicted = NULL;
	hf_key *key;
	size_t place;

	pthread_mutex_lock(&store->keys_mutex);
	key = find_nolock(store, name, &place);
	if (!key) {
		key = key_new(store, name);
		if (key && place < HF_KEYS_CACHED) {
			evicted = store->keys[place];
			store->keys[place] = key;
			key->cached = true;
		}
	}
	if (key) {
		key->users++;
		key->used_at = ++store->uses;
	}
	pthread_mutex_unlock(&store->keys_mutex);
	key_free(evicted);
	*key_out = key;
	if (!key)
		return hf_fail_memory(error, "open");
	pthread_mutex_lock(&key->mutex);
	return HF_OK;
}

void hf_key_put(hf_store *store, hf_key *key)
{
	bool last;

	pthread_mutex_unlock(&key->mutex);
	pthread_mutex_lock(&store->keys_mutex);
	last = --key->users == 0 && !key->cached;
	pthread_mutex_unlock(&store->keys_mutex);
	if (last)
		key_free(key);
}

void hf_keys_init(hf_store *store)
{
	pthread_mutex_init(&store->keys_mutex, NULL);
	pthread_mutex_init(&store->floor_mutex, NULL);
}

void hf_keys_free(hf_store *store)
{
	size_t i;

	for (i = 0; i < HF_KEYS_CACHED; i++)
		key_free(store->keys[i]);
	hf_slotfile_free(store->floor);
	pthread_mutex_destroy(&store->keys_mutex);
	pthread_mutex_destroy(&store->floor_mutex);
}

/* ---- reading ---- */

hf_status hf_key_read(hf_store *store, hf_key *key, hf_slot_content *content,
	hf_file_state *state, hf_floor *floor, hf_error *error)
{
	hf_status st = hf_slotfile_read(key->file, content, error);

	*floor = (hf_floor){.generation = 0};
	if (!st)
		st = hf_file_state_decode(content, key->lock_path, key->name, state, error);
	if (!st && !state->present)
		st = hf_floor_read(store, floor, error);
	if (st)
		hf_slot_content_clear(content);
	return st;
}

/* ---- the floor ---- */

hf_status hf_floor_read(hf_store *store, hf_floor *floor_out, hf_error *error)
{
	hf_slot_content content;
	hf_status st;

	pthread_mutex_lock(&store->floor_mutex);
	st = hf_slotfile_read(store->floor, &content, error);
	if (!st)
		st = hf_floor_decode(&content, store->floor_path, floor_out, error);
	pthread_mutex_unlock(&store->floor_mutex);
	hf_slot_content_clear(&content);
	return st;
}

hf_status hf_floor_raise(
	hf_store *store, uint64_t generation, uint64_t counter, hf_error *error)
{
	hf_slot_content content;
	hf_floor floor;
	char bytes[24];
	hf_status st;

	pthread_mutex_lock(&store->floor_mutex);
	st = hf_slotfile_lock(store->floor, &content, error);
	if (!st)
		st = hf_floor_decode(&content, store->floor_path, &floor, error);
	if (!st) {
		if (floor.generation < generation)
			floor.generation = generation;
		floor.generation++;
		if (floor.counter < counter)
			floor.counter = counter;
		hf_floor_encode(&floor, bytes);
		st = hf_slotfile_write(store->floor, bytes, sizeof(bytes), error);
	}
	/* That it was raised for nothing does no harm; that it may not have is a no. */
	if (st == HF_CHANGED || st == HF_UNKNOWN)
		st = hf_fail(error, HF_UNAVAILABLE, "forget", 0,
			"%s could not be written for certain: try again", store->floor_path);
	hf_slotfile_unlock(store->floor);
	pthread_mutex_unlock(&store->floor_mutex);
	hf_slot_content_clear(&content);
	return st;
}
