/* The log of a key: segments of lines. The rules stand in file_internal.h. */
#include "file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROOM_STEP 4096
#define ROOM_UNKNOWN (UINT64_MAX / 2) /* a file system that cannot reserve */
#define CHUNK 65536
#define READ_TRIES 100

static char *segment_path(const hf_key *key, uint64_t id)
{
	char *path = NULL;

	if (asprintf(&path, "%s%016llx", key->log_stem, (unsigned long long)id) < 0)
		return NULL;
	return path;
}

void hf_log_close(hf_key *key)
{
	if (key->log_fd >= 0)
		close(key->log_fd);
	key->log_fd = -1;
	key->log_id = 0;
}

/* Open a segment; -1 with errno. */
static int open_segment(const hf_key *key, uint64_t id, int flags)
{
	char *path = segment_path(key, id);
	int fd;

	if (!path) {
		errno = ENOMEM;
		return -1;
	}
	fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	free(path);
	return fd;
}

static void unlink_segment(const hf_key *key, uint64_t id)
{
	char *path = segment_path(key, id);

	if (path)
		unlink(path);
	free(path);
}

void hf_log_drop(hf_key *key, const hf_file_state *from, const hf_file_state *to)
{
	const uint64_t ids[2] = {from->current.id, from->before.id};
	size_t i;

	for (i = 0; i < 2; i++) {
		if (!ids[i] || (to && (ids[i] == to->current.id || ids[i] == to->before.id)))
			continue;
		if (key->log_id == ids[i])
			hf_log_close(key);
		unlink_segment(key, ids[i]);
	}
}

/* ---- writing ---- */

static hf_status say(const hf_key *key, const char *what, hf_error *error)
{
	int native = errno;

	return hf_fail_errno(
		error, HF_SYSTEM, "history", native, "cannot %s %s*", what, key->log_stem);
}

/* A new, empty segment, open as the key's. */
static hf_status create_segment(
	hf_store *store, hf_key *key, hf_segment *segment_out, hf_error *error)
{
	hf_status st = HF_OK;

	hf_log_close(key);
	do {
		hf_random(&key->log_id, sizeof(key->log_id));
		key->log_fd = open_segment(key, key->log_id, O_RDWR | O_CREAT | O_EXCL);
	} while (key->log_fd < 0 && errno == EEXIST);
	if (key->log_fd < 0)
		return say(key, "create", error);
	if (store->options.mode & 077)
		(void)fchmod(key->log_fd, store->options.mode);
	*segment_out = (hf_segment){.id = key->log_id};
	if (store->options.sync) {
		st = hf_sync_folder(key->log_stem, error);
		if (st) {
			unlink_segment(key, key->log_id);
			hf_log_close(key);
			return HF_SYSTEM;
		}
	}
	return st;
}

static hf_status copy_range(
	const hf_key *key, int from_fd, uint64_t from, uint64_t n, uint64_t to, hf_error *error)
{
	char *bytes = malloc(CHUNK);

	if (!bytes)
		return hf_fail_memory(error, "history");
	while (n > 0) {
		ssize_t got = pread(from_fd, bytes, n < CHUNK ? n : CHUNK, (off_t)from);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got > 0)
			errno = ENOSPC; /* what a short write means */
		if (got <= 0 || pwrite(key->log_fd, bytes, (size_t)got, (off_t)to) != got) {
			free(bytes);
			return say(key, "copy", error);
		}
		from += (uint64_t)got;
		to += (uint64_t)got;
		n -= (uint64_t)got;
	}
	free(bytes);
	return HF_OK;
}

/*
 * Go on in a new segment. The current one becomes the one before, unless that
 * place holds lines still wanted: then its lines are copied.
 */
static hf_status next_segment(
	hf_store *store, hf_key *key, hf_file_state *state, size_t limit, hf_error *error)
{
	hf_segment segment;
	bool copy = state->before.id && state->current.id &&
		    (limit == 0 || state->current.count < limit);
	int from_fd = -1;
	hf_status st;

	if (copy)
		from_fd = open_segment(key, state->current.id, O_RDONLY);
	st = create_segment(store, key, &segment, error);
	if (!st && from_fd >= 0) {
		st = copy_range(key, from_fd, 0, state->current.end, 0, error);
		segment.end = state->current.end;
		segment.count = state->current.count;
		if (st) {
			unlink_segment(key, segment.id);
			hf_log_close(key);
		}
	}
	if (from_fd >= 0)
		close(from_fd);
	if (st)
		return st;
	if (!copy && state->current.id)
		state->before = state->current;
	state->current = segment;
	return HF_OK;
}

/* Have the current segment open. *missing_out: somebody has removed it. */
static hf_status open_current(
	hf_key *key, const hf_file_state *state, bool *missing_out, hf_error *error)
{
	*missing_out = false;
	if (key->log_fd >= 0 && key->log_id == state->current.id)
		return HF_OK;
	hf_log_close(key);
	key->log_fd = open_segment(key, state->current.id, O_RDWR);
	if (key->log_fd >= 0) {
		key->log_id = state->current.id;
		return HF_OK;
	}
	*missing_out = errno == ENOENT;
	return *missing_out ? HF_OK : say(key, "open", error);
}

/*
 * Room for the line, and the reserve behind it, while nothing has changed yet:
 * whoever acquires makes sure that a release finds room on a full disk.
 */
static hf_status make_room(const hf_key *key, hf_segment *segment, size_t n,
	const hf_log_line *line, hf_error *error)
{
	uint64_t need = segment->end + n + line->reserve;
	int r;

	if (need <= segment->room)
		return HF_OK;
	need = (need + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
	do {
		r = fallocate(key->log_fd, FALLOC_FL_KEEP_SIZE, (off_t)segment->room,
			(off_t)(need - segment->room));
	} while (r && errno == EINTR);
	if (!r)
		segment->room = need;
	else if (errno == EOPNOTSUPP || errno == ENOSYS)
		segment->room = ROOM_UNKNOWN;
	else if (line->strict)
		return say(key, "reserve room for", error);
	return HF_OK;
}

static hf_status write_line(
	const hf_key *key, uint64_t at, const char *text, size_t n, bool sync, hf_error *error)
{
	struct iovec parts[2] = {
		{.iov_base = (void *)(uintptr_t)text, .iov_len = n - 1},
		{.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1},
	};
	ssize_t put;

	do {
		put = pwritev(key->log_fd, parts, 2, (off_t)at);
	} while (put < 0 && errno == EINTR);
	if (put >= 0 && (size_t)put != n) {
		errno = ENOSPC;
		put = -1;
	}
	if (put < 0)
		return say(key, "write", error);
	if (sync && fdatasync(key->log_fd))
		return say(key, "sync", error);
	return HF_OK;
}

hf_status hf_log_renew(
	hf_store *store, hf_key *key, hf_file_state *state, size_t limit, hf_error *error)
{
	return state->current.id ? next_segment(store, key, state, limit, error) : HF_OK;
}

hf_status hf_log_append(hf_store *store, hf_key *key, hf_file_state *state,
	const hf_log_line *line, hf_error *error)
{
	const hf_file_state before = *state;
	size_t n = strlen(line->text) + 1;
	bool full = line->limit && state->current.count >= line->limit;
	bool fresh = line->broken || !state->current.id;
	hf_status st = HF_OK;
	bool missing;

	if (strchr(line->text, '\n'))
		return hf_fail(error, HF_INVALID, "history", 0, "an event must be one line");
	if (!fresh) {
		st = open_current(key, state, &missing, error);
		if (missing) {
			fresh = true;
			state->current = (hf_segment){.id = 0};
		}
	}
	if (!st && fresh)
		st = next_segment(store, key, state, line->limit, error);
	/* On a full disk what gives something back goes on in the old one. */
	if (!st && !fresh && full && next_segment(store, key, state, line->limit, error))
		st = line->strict ? HF_SYSTEM : open_current(key, state, &missing, error);
	if (!st)
		st = make_room(key, &state->current, n, line, error);
	if (!st)
		st = write_line(
			key, state->current.end, line->text, n, store->options.sync, error);
	if (st) {
		hf_log_drop(key, state, &before);
		*state = before;
		return st;
	}
	state->current.end += n;
	state->current.count++;
	return HF_OK;
}

/* ---- reading backwards ---- */

typedef struct backwards {
	int fd;
	uint64_t at; /* what is before this has not been read */
	char *bytes;
	size_t len;
	size_t cap;
} backwards;

/* The line before; *line_out NULL: there is none. It ends with a NUL. */
static hf_status previous_line(backwards *b, char **line_out, hf_error *error)
{
	char *start;
	size_t step;
	ssize_t got;

	for (;;) {
		start = b->len > 1 ? memrchr(b->bytes, '\n', b->len - 1) : NULL;
		if (start || b->at == 0)
			break;
		step = b->at < CHUNK ? (size_t)b->at : CHUNK;
		if (b->cap < b->len + step) {
			char *bytes = realloc(b->bytes, b->len + step);

			if (!bytes)
				return hf_fail_memory(error, "history");
			b->bytes = bytes;
			b->cap = b->len + step;
		}
		if (b->len > 0)
			memmove(b->bytes + step, b->bytes, b->len);
		got = pread(b->fd, b->bytes, step, (off_t)(b->at - step));
		if (got != (ssize_t)step)
			return hf_fail(error, HF_CORRUPT, "history", 0,
				"a file of the history is shorter than it was");
		b->at -= step;
		b->len += step;
	}
	*line_out = NULL;
	if (b->len == 0)
		return HF_OK;
	*line_out = start ? start + 1 : b->bytes;
	if (b->bytes[b->len - 1] != '\n' ||
		memchr(*line_out, '\0', (size_t)(b->bytes + b->len - *line_out)))
		return hf_fail(error, HF_CORRUPT, "history", 0,
			"the history is damaged (by a power cut?); prune it to what can be "
			"read");
	b->bytes[b->len - 1] = '\0';
	b->len = (size_t)(*line_out - b->bytes);
	return HF_OK;
}

/* Both segments, the newer first; fd -1 where there is none. */
static hf_status open_both(
	const hf_key *key, const hf_file_state *state, backwards both[2], hf_error *error)
{
	const hf_segment *segments[2] = {&state->current, &state->before};
	size_t i;

	for (i = 0; i < 2; i++) {
		both[i] = (backwards){.fd = -1};
		if (!segments[i]->id)
			continue;
		both[i].fd = open_segment(key, segments[i]->id, O_RDONLY);
		both[i].at = segments[i]->end;
		if (both[i].fd >= 0)
			continue;
		if (errno == ENOENT) {
			if (i == 1 && both[0].fd >= 0)
				close(both[0].fd);
			both[0].fd = -1;
			return hf_fail(error, HF_CORRUPT, "history", 0,
				"%s%016llx is missing: part of the history has been removed",
				key->log_stem, (unsigned long long)segments[i]->id);
		}
		return say(key, "open", error);
	}
	return HF_OK;
}

static void close_both(backwards both[2])
{
	size_t i;

	for (i = 0; i < 2; i++) {
		if (both[i].fd >= 0)
			close(both[i].fd);
		free(both[i].bytes);
	}
}

/* Segments are removed behind our back when the log goes on: then again. */
static hf_status open_history(
	hf_store *store, const char *name, backwards both[2], hf_error *error)
{
	hf_key *key;
	hf_status st = hf_key_get(store, name, &key, error);
	uint64_t seen = 0;
	int i;

	both[0] = both[1] = (backwards){.fd = -1};
	if (st)
		return st;
	for (i = 0; i < READ_TRIES; i++) {
		hf_slot_content content;
		hf_file_state state = {.present = false};

		st = hf_slotfile_read(key->file, &content, error);
		if (!st)
			st = hf_file_state_decode(
				&content, key->lock_path, name, &state, error);
		hf_slot_content_clear(&content);
		if (st || !state.present)
			break;
		st = open_both(key, &state, both, error);
		if (st != HF_CORRUPT || seen == state.current.id)
			break;
		seen = state.current.id;
	}
	hf_key_put(store, key);
	return st;
}

hf_status hf_log_read(hf_store *store, const char *name, size_t limit, hf_store_line_fn fn,
	void *arg, hf_error *error)
{
	backwards both[2];
	size_t done = 0;
	char *line;
	int i;
	hf_status st = open_history(store, name, both, error);

	for (i = 0; !st && i < 2; i++) {
		while (!st && both[i].fd >= 0 && (!limit || done < limit)) {
			st = previous_line(&both[i], &line, error);
			if (st || !line)
				break;
			done++;
			if (fn(arg, line))
				limit = done; /* enough */
		}
	}
	close_both(both);
	return st;
}

/* ---- pruning ---- */

/*
 * Where the newest *keep readable lines begin. *keep becomes how many there
 * are: damage ends them.
 */
static void find_newest(backwards *b, size_t *keep, uint64_t *start_out)
{
	size_t found = 0;
	uint64_t start = b->at;
	char *line;

	while (found < *keep && !previous_line(b, &line, NULL) && line) {
		start = b->at + b->len;
		found++;
	}
	*keep = found;
	*start_out = start;
}

hf_status hf_log_prune(
	hf_store *store, hf_key *key, hf_file_state *state, size_t keep, hf_error *error)
{
	const hf_file_state was = *state;
	backwards both[2] = {{.fd = -1}, {.fd = -1}};
	size_t wanted[2] = {keep, 0};
	uint64_t starts[2] = {0, 0};
	uint64_t ends[2] = {was.current.end, was.before.end};
	hf_segment segment;
	hf_status st;
	int i;

	st = open_both(key, state, both, error);
	if (st && st != HF_CORRUPT)
		goto out;
	for (i = 0; i < 2; i++) {
		if (both[i].fd < 0)
			wanted[i] = 0;
		else
			find_newest(&both[i], &wanted[i], &starts[i]);
		if (i == 0 && both[0].fd >= 0 && starts[0] == 0)
			wanted[1] = keep - wanted[0];
	}
	st = create_segment(store, key, &segment, error);
	if (st)
		goto out;
	for (i = 1; !st && i >= 0; i--) {
		if (wanted[i] == 0)
			continue;
		st = copy_range(
			key, both[i].fd, starts[i], ends[i] - starts[i], segment.end, error);
		segment.end += ends[i] - starts[i];
		segment.count += wanted[i];
	}
	if (!st && store->options.sync && fdatasync(key->log_fd))
		st = say(key, "sync", error);
	state->current = segment;
	state->before = (hf_segment){.id = 0};
	if (st) {
		hf_log_drop(key, state, &was);
		*state = was;
	}
out:
	close_both(both);
	return st;
}
