/* The history of a key, read: line by line, the newest first. */
#include "file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define CHUNK 65536
#define READ_TRIES 100

/* Put the bytes before those that are here in front of them. */
static hf_status read_more(hf_backwards *part, hf_error *error)
{
	size_t step = part->at < CHUNK ? (size_t)part->at : CHUNK;
	ssize_t got;

	if (part->cap < part->len + step) {
		char *bytes = realloc(part->bytes, part->len + step);

		if (!bytes)
			return hf_fail_memory(error, "history");
		part->bytes = bytes;
		part->cap = part->len + step;
	}
	if (part->len > 0)
		memmove(part->bytes + step, part->bytes, part->len);
	do {
		got = pread(part->fd, part->bytes, step, (off_t)(part->at - step));
	} while (got < 0 && errno == EINTR);
	if (got != (ssize_t)step)
		return hf_fail(error, HF_CORRUPT, "history", 0,
			"a file of the history is shorter than it was; prune the history to "
			"what "
			"can be read");
	part->at -= step;
	part->len += step;
	return HF_OK;
}

hf_status hf_previous_line(hf_backwards *part, char **line_out, hf_error *error)
{
	char *newline = NULL;
	char *line;

	*line_out = NULL;
	for (;;) {
		hf_status st;

		if (part->len > 1)
			newline = memrchr(part->bytes, '\n', part->len - 1);
		if (newline || part->at == 0)
			break;
		st = read_more(part, error);
		if (st)
			return st;
	}
	if (part->len == 0)
		return HF_OK;
	line = newline ? newline + 1 : part->bytes;
	if (part->bytes[part->len - 1] != '\n' ||
		memchr(line, '\0', (size_t)(part->bytes + part->len - line)))
		return hf_fail(error, HF_CORRUPT, "history", 0,
			"the history is damaged (by a power cut?); prune it to what can be "
			"read");
	part->bytes[part->len - 1] = '\0';
	part->len = (size_t)(line - part->bytes);
	*line_out = line;
	return HF_OK;
}

hf_status hf_log_open(const hf_key *key, const hf_file_state *state,
	hf_backwards parts[HF_LOG_PARTS], hf_error *error)
{
	const hf_segment *segments[HF_LOG_PARTS] = {NULL, &state->current, &state->before};
	hf_status st = HF_OK;
	size_t i;

	for (i = 0; i < HF_LOG_PARTS; i++)
		parts[i] = (hf_backwards){.fd = -1};
	parts[0].bytes = malloc(state->recent_len + 1);
	if (!parts[0].bytes)
		return hf_fail_memory(error, "history");
	if (state->recent_len > 0)
		memcpy(parts[0].bytes, state->recent, state->recent_len);
	parts[0].len = state->recent_len;
	for (i = 1; i < HF_LOG_PARTS; i++) {
		if (!segments[i]->id)
			continue;
		parts[i].fd = hf_segment_open(key, segments[i]->id, O_RDONLY);
		if (parts[i].fd >= 0)
			parts[i].at = segments[i]->end;
		else if (errno == ENOENT)
			st = hf_fail(error, HF_CORRUPT, "history", 0,
				"%s%016llx is missing: part of the history has been removed; "
				"prune it to what can be read",
				key->log_stem, (unsigned long long)segments[i]->id);
		else
			return hf_fail_errno(error, HF_SYSTEM, "history", errno,
				"cannot open %s*", key->log_stem);
	}
	return st;
}

void hf_log_close_parts(hf_backwards parts[HF_LOG_PARTS])
{
	size_t i;

	for (i = 0; i < HF_LOG_PARTS; i++) {
		if (parts[i].fd >= 0)
			close(parts[i].fd);
		free(parts[i].bytes);
		parts[i] = (hf_backwards){.fd = -1};
	}
}

/*
 * Segments are removed while we look for them when the log goes on: then the
 * state has changed, and tells of others.
 */
static hf_status open_history(hf_key *key, hf_backwards parts[HF_LOG_PARTS], hf_error *error)
{
	uint64_t seen = 0;
	uint64_t seq;
	hf_status st = HF_OK;
	int i;

	for (i = 0; i < READ_TRIES; i++) {
		hf_slot_content content;
		hf_file_state state;

		st = hf_slotfile_read(key->file, &content, error);
		if (!st)
			st = hf_file_state_decode(
				&content, key->lock_path, key->name, &state, error);
		if (!st) {
			hf_log_close_parts(parts);
			st = hf_log_open(key, &state, parts, error);
		}
		seq = content.seq;
		hf_slot_content_clear(&content);
		if (st != HF_CORRUPT || seen == seq)
			break;
		seen = seq;
	}
	return st;
}

hf_status hf_log_read(hf_store *store, const char *name, size_t limit, hf_store_line_fn fn,
	void *arg, hf_error *error)
{
	hf_backwards parts[HF_LOG_PARTS] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
	bool stop = false;
	size_t done = 0;
	hf_key *key;
	char *line;
	bool there;
	hf_status st = hf_folder_look(store, &there, error);
	int i;

	if (!st && there)
		st = hf_key_get(store, name, &key, error);
	if (st || !there)
		return st;
	st = open_history(key, parts, error);
	hf_key_put(store, key); /* fn may use the store */
	for (i = 0; !st && !stop && i < HF_LOG_PARTS; i++) {
		while (!stop) {
			st = hf_previous_line(&parts[i], &line, error);
			if (st || !line)
				break;
			stop = fn(arg, line) || ++done == limit;
		}
	}
	hf_log_close_parts(parts);
	return st;
}
