#include "journal.h"
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Before each entry: a tag, the length (little-endian), the object id. */
#define TAG "hfe1"
#define HEADER 28

#define BLOCK 4096
#define RESERVE 4096 /* of a log, for giving back what was taken */

static void log_path(const gs_lock *lock, uint32_t log, char out[GS_PATH_MAX])
{
	snprintf(out, GS_PATH_MAX, "%.400s.%u.log", lock->stem, log);
}

static void put_entry(hf_buf *out, const gs_entry *e)
{
	char head[HEADER] = TAG;
	unsigned i;

	for (i = 0; i < 4; i++)
		head[4 + i] = (char)(e->len >> (8 * i));
	memcpy(head + 8, e->oid.bytes, sizeof(e->oid.bytes));
	hf_buf_add(out, head, sizeof(head));
	hf_buf_add(out, e->data, e->len);
	hf_buf_addc(out, '\0');
}

static int open_log(const hf_store *store, const gs_lock *lock, uint32_t log, int flags)
{
	char path[GS_PATH_MAX];
	int fd;

	log_path(lock, log, path);
	fd = openat(store->common_fd, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && (flags & O_CREAT) && store->shared)
		gs_share(store, fd);
	return fd;
}

static hf_status write_at(const hf_store *store, int fd, const hf_buf *bytes, uint64_t at,
	const gs_lock *lock, hf_error *error)
{
	size_t done = 0;

	while (done < bytes->len) {
		ssize_t n =
			pwrite(fd, bytes->data + done, bytes->len - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return hf_fail_errno(error, HF_SYSTEM, "write", n < 0 ? errno : EIO,
				"cannot write the log of lock '%s' in '%s'", lock->name,
				store->common);
		done += (size_t)n;
	}
	if (store->sync && fdatasync(fd))
		return hf_fail_errno(error, HF_SYSTEM, "write", errno,
			"cannot write the log of lock '%s' to disk", lock->name);
	return HF_OK;
}

/* Blocks for what comes next; 0 or an errno. Where none can be reserved, 0. */
static int reserve(int fd, const struct stat *st, uint64_t end)
{
	uint64_t want = (end + RESERVE + BLOCK - 1) / BLOCK * BLOCK;

	if ((uint64_t)st->st_blocks * 512 >= want ||
		!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)want))
		return 0;
	return hf_is_no_room(errno) ? errno : 0;
}

hf_status gs_journal_append(const hf_store *store, gs_lock *lock, gs_state *state,
	const gs_entry *entry, bool last, hf_error *error)
{
	hf_buf bytes = HF_BUF_INIT;
	struct stat st;
	hf_status status;
	int native;

	/* A log that was removed behind our back is begun again. */
	if (lock->log_fd >= 0 && (lock->log_fd_of != state->log || fstat(lock->log_fd, &st) ||
					 st.st_nlink == 0)) {
		close(lock->log_fd);
		lock->log_fd = -1;
	}
	if (lock->log_fd < 0) {
		lock->log_fd = open_log(store, lock, state->log, O_RDWR | O_CREAT);
		lock->log_fd_of = state->log;
		if (lock->log_fd < 0)
			return hf_fail_errno(error, HF_SYSTEM, "write", errno,
				"cannot open the log of lock '%s' in '%s'", lock->name,
				store->common);
		if (fstat(lock->log_fd, &st) || (uint64_t)st.st_size < state->log_len)
			state->log_len = 0;
	}
	put_entry(&bytes, entry);
	if (bytes.failed)
		return hf_fail_memory(error, "write");
	native = last ? 0 : reserve(lock->log_fd, &st, state->log_len + bytes.len);
	if (native) {
		hf_buf_free(&bytes);
		return hf_fail_errno(error, HF_SYSTEM, "write", native,
			"cannot make the log of lock '%s' longer in '%s'", lock->name,
			store->common);
	}
	status = write_at(store, lock->log_fd, &bytes, state->log_len, lock, error);
	if (!status)
		state->log_len += bytes.len;
	hf_buf_free(&bytes);
	return status;
}

static bool read_file(int fd, uint64_t len, hf_buf *out)
{
	char *room = hf_buf_room(out, len);
	uint64_t done = 0;

	while (room && done < len) {
		ssize_t n = pread(fd, room + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	if (room)
		out->len += done;
	return room != NULL;
}

/* The entry at `at`; 0: there is none, or it is damaged. Else its whole size. */
static size_t entry_at(const hf_buf *b, size_t at, gs_entry *out)
{
	const char *p = b->data + at;
	size_t len = 0;
	unsigned i;

	if (b->len - at < HEADER || memcmp(p, TAG, 4))
		return 0;
	for (i = 0; i < 4; i++)
		len |= (size_t)(unsigned char)p[4 + i] << (8 * i);
	if (b->len - at - HEADER <= len || p[HEADER + len])
		return 0;
	if (out) {
		memcpy(out->oid.bytes, p + 8, sizeof(out->oid.bytes));
		out->data = p + HEADER;
		out->len = len;
	}
	return HEADER + len + 1;
}

hf_status gs_journal_read(const hf_store *store, const gs_lock *lock, const gs_state *state,
	hf_buf *memory, gs_entry **entries_out, size_t *count_out, hf_error *error)
{
	size_t count = 0;
	size_t at = 0;
	size_t n;
	int fd;

	*entries_out = NULL;
	*count_out = 0;
	fd = open_log(store, lock, state->log, O_RDONLY);
	if (fd < 0)
		return HF_OK;
	if (!read_file(fd, state->log_len, memory)) {
		close(fd);
		return hf_fail_memory(error, "read");
	}
	close(fd);
	for (; at < memory->len && (n = entry_at(memory, at, NULL)); at += n)
		count++;
	if (!count)
		return HF_OK;
	*entries_out = calloc(count, sizeof(**entries_out));
	if (!*entries_out)
		return hf_fail_memory(error, "read");
	for (at = 0; *count_out < count; at += n)
		n = entry_at(memory, at, &(*entries_out)[(*count_out)++]);
	return HF_OK;
}

hf_status gs_journal_replace(const hf_store *store, gs_lock *lock, gs_state *state,
	const gs_entry *entries, size_t count, hf_error *error)
{
	hf_buf bytes = HF_BUF_INIT;
	hf_status st = HF_OK;
	uint32_t log;
	size_t i;
	int fd;

	for (i = 0; i < count; i++)
		put_entry(&bytes, &entries[i]);
	hf_random(&log, sizeof(log));
	fd = open_log(store, lock, log, O_RDWR | O_CREAT | O_EXCL);
	if (bytes.failed)
		st = hf_fail_memory(error, "prune");
	else if (fd < 0)
		st = hf_fail_errno(error, HF_SYSTEM, "prune", errno,
			"cannot make a log for lock '%s' in '%s'", lock->name, store->common);
	else
		st = write_at(store, fd, &bytes, 0, lock, error);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && st)
		gs_journal_drop(store, lock, log);
	if (!st) {
		state->log = log;
		state->log_len = bytes.len;
	}
	hf_buf_free(&bytes);
	return st;
}

hf_status gs_journal_renew(
	const hf_store *store, gs_lock *lock, gs_state *state, hf_error *error)
{
	hf_buf memory = HF_BUF_INIT;
	gs_entry *entries = NULL;
	size_t count = 0;
	hf_status st = gs_journal_read(store, lock, state, &memory, &entries, &count, error);

	if (!st)
		st = gs_journal_replace(store, lock, state, entries, count, error);
	free(entries);
	hf_buf_free(&memory);
	return st;
}

void gs_journal_drop(const hf_store *store, gs_lock *lock, uint32_t log)
{
	char path[GS_PATH_MAX];

	log_path(lock, log, path);
	unlinkat(store->common_fd, path, 0);
}
