#include "floor.h"
#include "store/slotfile.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct gs_floor_file {
	hf_slotfile *slot;
};

static hf_status file_of_nolock(hf_store *store, hf_slotfile **out, hf_error *error)
{
	hf_slotfile_options options = {.create = true,
		.sync = store->sync,
		.read_locked = store->network,
		.patience_ms = store->patience_ms,
		.mode = 0600 | (store->shared & 0660)};
	char path[PATH_MAX];
	hf_status st;

	if (!store->floor) {
		store->floor = calloc(1, sizeof(*store->floor));
		if (!store->floor)
			return hf_fail_memory(error, "open");
		snprintf(path, sizeof(path), "%s/%s/floor", store->common, store->space);
		st = hf_slotfile_new(path, &options, &store->floor->slot, error);
		if (st) {
			free(store->floor);
			store->floor = NULL;
			return st;
		}
	}
	*out = store->floor->slot;
	return HF_OK;
}

void gs_floor_free(gs_floor_file *file)
{
	if (!file)
		return;
	hf_slotfile_free(file->slot);
	free(file);
}

/* "floor 1 FLOOR EPOCH WALL" */
static hf_status decode(
	const hf_store *store, const hf_slot_content *content, gs_floor *out, hf_error *error)
{
	char text[96];
	char *save = NULL;
	char *word[5];
	size_t i;

	memset(out, 0, sizeof(*out));
	if (content->seq == 0)
		return HF_OK;
	if (content->len < sizeof(text)) {
		memcpy(text, content->data, content->len);
		text[content->len] = '\0';
		for (i = 0; i < HF_ARRAY_LEN(word); i++)
			word[i] = strtok_r(i ? NULL : text, " ", &save);
		if (word[4] && !strcmp(word[0], "floor") && !strcmp(word[1], "1") &&
			hf_parse_u64(word[2], &out->floor) &&
			hf_parse_u64(word[3], &out->epoch) &&
			hf_parse_i64(word[4], &out->wall_ms))
			return HF_OK;
	}
	return hf_fail(error, HF_CORRUPT, "read", 0,
		"'%s/%s/floor' is damaged or of a newer format: tokens of forgotten locks "
		"could "
		"come again; restore it, or remove it if no such token is in use",
		store->common, store->space);
}

hf_status gs_floor_read(hf_store *store, gs_floor *out, hf_error *error)
{
	hf_slot_content content = {0};
	hf_slotfile *file;
	hf_status st;

	pthread_mutex_lock(&store->floor_mutex);
	st = file_of_nolock(store, &file, error);
	if (!st)
		st = hf_slotfile_read(file, &content, error);
	if (!st)
		st = decode(store, &content, out, error);
	pthread_mutex_unlock(&store->floor_mutex);
	hf_slot_content_clear(&content);
	return st;
}

static hf_status raise_nolock(
	hf_store *store, hf_slotfile *file, uint64_t floor, hf_error *error)
{
	hf_slot_content content = {0};
	gs_floor now;
	char text[96];
	int n;
	hf_status st = hf_slotfile_lock(file, &content, error);

	if (st == HF_OK || st == HF_CORRUPT) {
		if (!st)
			st = decode(store, &content, &now, error);
		if (!st) {
			n = snprintf(text, sizeof(text), "floor 1 %llu %llu %lld",
				(unsigned long long)(floor > now.floor ? floor : now.floor),
				(unsigned long long)now.epoch + 1, (long long)hf_wall_ms());
			st = hf_slotfile_write(file, text, (size_t)n, error);
		}
		hf_slotfile_unlock(file);
	}
	hf_slot_content_clear(&content);
	return st;
}

hf_status gs_floor_raise(hf_store *store, uint64_t floor, hf_error *error)
{
	hf_slotfile *file;
	hf_status st;

	pthread_mutex_lock(&store->floor_mutex);
	st = file_of_nolock(store, &file, error);
	if (!st) {
		do
			st = raise_nolock(store, file, floor, error);
		while (st == HF_CHANGED); /* broken meanwhile: another did work */
	}
	pthread_mutex_unlock(&store->floor_mutex);
	return st;
}
