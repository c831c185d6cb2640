/* The history of a key, written. The rules stand in file_internal.h. */
#include "file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * More than so many bytes of lines go to the log. They are written again with
 * each swap, which costs less than a second file while they are few.
 */
#define RECENT_MAX 1024
#define CHUNK 65536

char *hf_segment_path(const hf_key *key, uint64_t id)
{
	char *path = NULL;

	if (asprintf(&path, "%s%016llx", key->log_stem, (unsigned long long)id) < 0)
		return NULL;
	return path;
}

/* Open a segment; -1 with errno. */
int hf_segment_open(const hf_key *key, uint64_t id, int flags)
{
	char *path = hf_segment_path(key, id);
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
	char *path = hf_segment_path(key, id);

	if (path)
		unlink(path);
	free(path);
}

void hf_log_drop(const hf_key *key, const hf_file_state *from, const hf_file_state *to)
{
	const uint64_t ids[2] = {from->current.id, from->before.id};
	size_t i;

	for (i = 0; i < 2; i++) {
		if (!ids[i] || (to && (ids[i] == to->current.id || ids[i] == to->before.id)))
			continue;
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

/* A new, empty segment. */
static hf_status create_segment(const hf_store *store, const hf_key *key,
	hf_segment *segment_out, int *fd_out, hf_error *error)
{
	hf_status st = HF_OK;
	uint64_t id;
	int fd;

	do {
		hf_random(&id, sizeof(id));
		fd = hf_segment_open(key, id, O_RDWR | O_CREAT | O_EXCL);
	} while (fd < 0 && errno == EEXIST);
	if (fd < 0)
		return say(key, "create", error);
	if (store->options.mode & 077)
		(void)fchmod(fd, store->options.mode);
	if (store->options.sync)
		st = hf_sync_folder(key->log_stem, error);
	if (st) {
		unlink_segment(key, id);
		close(fd);
		return HF_SYSTEM;
	}
	*segment_out = (hf_segment){.id = id};
	*fd_out = fd;
	return HF_OK;
}

/* 0 or an errno; what is written in part is told as what stopped it. */
static int write_at(int fd, const char *data, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t put = pwrite(fd, data, n, (off_t)at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return put < 0 ? errno : EIO;
		data += put;
		n -= (size_t)put;
		at += (uint64_t)put;
	}
	return 0;
}

static hf_status copy_range(const hf_key *key, int from_fd, uint64_t from, uint64_t n,
	int to_fd, uint64_t to, hf_error *error)
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
			errno = write_at(to_fd, bytes, (size_t)got, to);
		if (got <= 0 || errno) {
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
static hf_status next_segment(const hf_store *store, const hf_key *key, hf_file_state *state,
	size_t limit, int *fd_out, hf_error *error)
{
	const hf_segment old = state->current;
	bool copy = state->before.id && old.id && (limit == 0 || old.count < limit);
	int old_fd = copy ? hf_segment_open(key, old.id, O_RDONLY) : -1;
	hf_segment segment;
	hf_status st = create_segment(store, key, &segment, fd_out, error);

	if (!st && old_fd >= 0) {
		segment.end = old.end;
		segment.count = old.count;
		st = copy_range(key, old_fd, 0, old.end, *fd_out, 0, error);
		if (st) {
			unlink_segment(key, segment.id);
			close(*fd_out);
			*fd_out = -1;
		}
	}
	if (old_fd >= 0)
		close(old_fd);
	if (st)
		return st;
	if (!copy && old.id)
		state->before = old;
	state->current = segment;
	return HF_OK;
}

static hf_status write_lines(
	const hf_key *key, int fd, uint64_t at, const hf_buf *lines, bool sync, hf_error *error)
{
	errno = write_at(fd, lines->data, lines->len, at);
	if (errno)
		return say(key, "write", error);
	if (sync && fdatasync(fd))
		return say(key, "sync", error);
	return HF_OK;
}

/* Move the key's recent lines to the log. */
static hf_status flush(
	const hf_store *store, hf_key *key, hf_file_state *state, size_t limit, hf_error *error)
{
	const hf_file_state before = *state;
	bool fresh =
		state->sealed || !state->current.id || (limit && state->current.count >= limit);
	hf_status st = HF_OK;
	int fd = -1;

	if (!fresh) {
		fd = hf_segment_open(key, state->current.id, O_WRONLY);
		if (fd < 0 && errno != ENOENT)
			return say(key, "open", error);
		if (fd < 0) /* somebody has removed it */
			state->current = (hf_segment){.id = 0};
	}
	if (fd < 0)
		st = next_segment(store, key, state, limit, &fd, error);
	if (!st)
		st = write_lines(
			key, fd, state->current.end, &key->recent, store->options.sync, error);
	if (fd >= 0)
		close(fd);
	if (st) {
		hf_log_drop(key, state, &before);
		*state = before;
		return st;
	}
	state->sealed = false;
	state->current.end += key->recent.len;
	state->current.count += state->recent_count;
	state->recent_count = 0;
	hf_buf_clear(&key->recent);
	return HF_OK;
}

hf_status hf_log_append(hf_store *store, hf_key *key, hf_file_state *state,
	const hf_log_line *line, hf_error *error)
{
	const hf_file_state before = *state;
	hf_status st = HF_OK;

	if (strchr(line->text, '\n'))
		return hf_fail(error, HF_INVALID, "history", 0, "an event must be one line");
	hf_buf_clear(&key->recent);
	hf_buf_add(&key->recent, state->recent, state->recent_len);
	hf_buf_adds(&key->recent, line->text);
	hf_buf_addc(&key->recent, '\n');
	if (key->recent.failed)
		return hf_fail_memory(error, "history");
	state->recent_count++;
	if (key->recent.len > RECENT_MAX)
		st = flush(store, key, state, line->limit, error);
	if (st && line->strict) {
		*state = before;
		return st;
	}
	state->recent = key->recent.data;
	state->recent_len = key->recent.len;
	return HF_OK;
}

/* ---- pruning ---- */

/*
 * Where the newest *keep readable lines of a part begin. *keep becomes how many
 * there are: damage ends them.
 */
static void find_newest(hf_backwards *part, size_t *keep, uint64_t *start_out)
{
	size_t found = 0;
	uint64_t start = part->at + part->len;
	char *line;

	while (found < *keep && !hf_previous_line(part, &line, NULL) && line) {
		start = part->at + part->len;
		found++;
	}
	*keep = found;
	*start_out = start;
}

/* Copy what is to stay of the two old segments into a new one. */
static hf_status compact(const hf_store *store, const hf_key *key, hf_file_state *state,
	const hf_backwards parts[HF_LOG_PARTS], const size_t wanted[HF_LOG_PARTS],
	const uint64_t starts[HF_LOG_PARTS], hf_error *error)
{
	const hf_file_state before = *state;
	const uint64_t ends[HF_LOG_PARTS] = {0, before.current.end, before.before.end};
	hf_segment segment;
	int fd = -1;
	hf_status st = create_segment(store, key, &segment, &fd, error);
	int i;

	if (st)
		return st;
	for (i = HF_LOG_PARTS - 1; !st && i > 0; i--) {
		if (wanted[i] == 0)
			continue;
		st = copy_range(key, parts[i].fd, starts[i], ends[i] - starts[i], fd,
			segment.end, error);
		segment.end += ends[i] - starts[i];
		segment.count += wanted[i];
	}
	if (!st && store->options.sync && fdatasync(fd))
		st = say(key, "sync", error);
	close(fd);
	state->current = segment;
	state->before = (hf_segment){.id = 0};
	state->sealed = false;
	if (st) {
		hf_log_drop(key, state, &before);
		*state = before;
	}
	return st;
}

hf_status hf_log_prune(
	hf_store *store, hf_key *key, hf_file_state *state, size_t keep, hf_error *error)
{
	hf_backwards parts[HF_LOG_PARTS];
	size_t wanted[HF_LOG_PARTS] = {0};
	uint64_t starts[HF_LOG_PARTS] = {0};
	size_t left = keep;
	hf_status st = hf_log_open(key, state, parts, error);
	int i;

	if (st && st != HF_CORRUPT) {
		hf_log_close_parts(parts);
		return st;
	}
	st = HF_OK;
	for (i = 0; i < HF_LOG_PARTS; i++) {
		wanted[i] = left;
		find_newest(&parts[i], &wanted[i], &starts[i]);
		left -= wanted[i];
		if (starts[i] > 0)
			break; /* there is older, but it cannot be read, or is not wanted */
	}
	if (wanted[1] || wanted[2]) {
		st = compact(store, key, state, parts, wanted, starts, error);
	} else {
		state->current = (hf_segment){.id = 0};
		state->before = (hf_segment){.id = 0};
		state->sealed = false;
	}
	if (!st) {
		state->recent += starts[0];
		state->recent_len -= starts[0];
		state->recent_count = wanted[0];
	}
	hf_log_close_parts(parts);
	return st;
}
