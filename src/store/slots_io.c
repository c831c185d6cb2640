/* Reading both slots of a file, and the system calls around them. */
#include "slotfile_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define TORN_RETRIES 200

size_t hf_slot_size_for(size_t len)
{
	size_t size = HF_SLOT_BLOCK;

	while (size < len + HF_SLOT_HEADER)
		size *= 2;
	return size;
}

static ssize_t pread_full(int fd, char *data, size_t n, off_t at)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, data + done, n - done, at + (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static bool room_for(hf_slots *slots, size_t n)
{
	char *image;

	if (slots->cap > n)
		return true;
	image = realloc(slots->image, n + 1); /* with a zero behind what is read */
	if (!image)
		return false;
	slots->image = image;
	slots->cap = n + 1;
	return true;
}

/*
 * A size that we never make. Zeros of less than two blocks were begun and not
 * written; everything else was cut or is not ours. *size_changed_out: it is
 * just being written.
 */
static hf_status judge_odd_size(int fd, const char *path, off_t size, hf_slots *slots,
	bool *size_changed_out, hf_error *error)
{
	struct stat st;
	ssize_t n;

	if (!room_for(slots, 2 * HF_SLOT_BLOCK))
		return hf_fail_memory(error, "slot file");
	slots->loaded = false;
	n = pread_full(fd, slots->image, 2 * HF_SLOT_BLOCK, 0);
	if (n < 0)
		return hf_fail_errno(
			error, HF_SYSTEM, "slot file", errno, "cannot read %s", path);
	*size_changed_out = !fstat(fd, &st) && st.st_size != size;
	slots->pick = size < 2 * HF_SLOT_BLOCK && hf_all_zero(slots->image, (size_t)n)
			      ? HF_PICK_BLANK
			      : HF_PICK_DAMAGED;
	return HF_OK;
}

/*
 * Of long slots only the newest, if the headers agree about which that is. False: if it
 * is not whole or just being written, both together tell more.
 */
static bool read_newest(int fd, hf_slots *slots)
{
	char headers[2][HF_SLOT_HEADER];
	unsigned index;
	size_t len;
	ssize_t n = (ssize_t)sizeof(headers[0]);
	off_t second = (off_t)slots->slot_size;

	if (pread(fd, headers[0], sizeof(headers[0]), 0) != n ||
		pread(fd, headers[1], sizeof(headers[1]), second) != n ||
		!hf_slot_promised(headers, slots->slot_size, &index, &len))
		return false;
	len += HF_SLOT_HEADER;
	if (slots->loaded && slots->newest.index == index &&
		memcmp(slots->image, headers[index], HF_SLOT_MARK_AT) == 0) {
		slots->newest.mark = (uint8_t)headers[index][HF_SLOT_MARK_AT];
		slots->newest.data = slots->image + HF_SLOT_HEADER;
		slots->pick = HF_PICK_OK;
		return true; /* no two slots have one number and one checksum */
	}
	slots->loaded = false;
	if (pread_full(fd, slots->image, len, index ? second : 0) != (ssize_t)len ||
		memcmp(slots->image, headers[index], HF_SLOT_MARK_AT) != 0 ||
		!hf_slot_read(slots->image, slots->slot_size, &slots->newest))
		return false;
	slots->newest.index = index;
	slots->pick = HF_PICK_OK;
	slots->loaded = true;
	return true;
}

/* Read once. *size_changed_out: the file is not of the size we knew. */
static hf_status read_once(
	int fd, const char *path, hf_slots *slots, bool *size_changed_out, hf_error *error)
{
	struct stat st;
	ssize_t n;

	*size_changed_out = false;
	if (slots->slot_size == 0) {
		if (fstat(fd, &st))
			return hf_fail_errno(error, HF_SYSTEM, "slot file", errno,
				"cannot look at %s", path);
		if (st.st_size <= 0 || st.st_size % (2 * HF_SLOT_BLOCK) != 0 ||
			st.st_size / 2 > HF_SLOT_SIZE_MAX)
			return judge_odd_size(
				fd, path, st.st_size, slots, size_changed_out, error);
		slots->slot_size = (size_t)st.st_size / 2;
	}
	if (!room_for(slots, 2 * slots->slot_size))
		return hf_fail_memory(error, "slot file");
	if (slots->slot_size > HF_SLOT_BLOCK && read_newest(fd, slots))
		return HF_OK;
	slots->loaded = false;
	n = pread_full(fd, slots->image, 2 * slots->slot_size, 0);
	if (n < 0)
		return hf_fail_errno(
			error, HF_SYSTEM, "slot file", errno, "cannot read %s", path);
	if ((size_t)n != 2 * slots->slot_size) {
		slots->slot_size = 0;
		*size_changed_out = true;
		return HF_OK;
	}
	slots->pick = hf_slot_newest(slots->image, slots->slot_size, &slots->newest);
	return HF_OK;
}

hf_status hf_slots_read(int fd, const char *path, hf_slots *slots, hf_error *error)
{
	static const struct timespec pause = {.tv_nsec = 1000000};
	uint64_t before = 0;
	bool size_changed;
	int i;

	for (i = 0; i < TORN_RETRIES; i++) {
		uint64_t now;
		hf_status st = read_once(fd, path, slots, &size_changed, error);

		if (st)
			return st;
		if (size_changed)
			continue;
		if (slots->pick != HF_PICK_DAMAGED || slots->slot_size == 0)
			return HF_OK;
		/*
		 * Two writes that passed us by while we read tear both slots.
		 * The same bytes after a pause are no such passing thing.
		 */
		now = hf_hash(HF_HASH_INIT, slots->image, 2 * slots->slot_size);
		if (i > 0 && now == before)
			return HF_OK;
		before = now;
		nanosleep(&pause, NULL);
	}
	slots->pick = HF_PICK_DAMAGED;
	return HF_OK;
}

/* Wall clock of this machine's start, from its two clocks. */
static int64_t boot_wall_ms(void)
{
	return hf_wall_ms() - hf_boot_ms();
}

hf_status hf_slots_load(int fd, const char *path, hf_slots *slots, hf_error *error)
{
	hf_status st = hf_slots_read(fd, path, slots, error);
	struct stat file;

	if (st || slots->pick != HF_PICK_BLANK)
		return st;
	if (fstat(fd, &file))
		return hf_fail_errno(
			error, HF_SYSTEM, "slot file", errno, "cannot look at %s", path);
	if ((int64_t)file.st_mtim.tv_sec * 1000 > boot_wall_ms())
		slots->pick = HF_PICK_DAMAGED; /* emptied since */
	return HF_OK;
}

hf_status hf_pwrite_all(
	int fd, const char *data, size_t n, off_t at, const char *path, hf_error *error)
{
	while (n > 0) {
		ssize_t put = pwrite(fd, data, n, at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return hf_fail_errno(error, HF_SYSTEM, "slot file",
				put < 0 ? errno : EIO, "cannot write %s", path);
		data += put;
		n -= (size_t)put;
		at += put;
	}
	return HF_OK;
}

hf_status hf_slots_put(int fd, const hf_slot *slot, size_t slot_size, unsigned index,
	const char *path, hf_error *error)
{
	char header[HF_SLOT_HEADER];
	struct iovec all[1 + HF_SLOT_PARTS] = {{.iov_base = header, .iov_len = sizeof(header)}};
	off_t at = (off_t)(index * slot_size);
	hf_status st = HF_OK;
	size_t done;
	ssize_t put;
	int i;

	hf_slot_header(slot, slot_size, header);
	for (i = 0; i < HF_SLOT_PARTS; i++)
		all[1 + i] = (struct iovec){.iov_base = (char *)(uintptr_t)slot->parts[i].data,
			.iov_len = slot->parts[i].len};
	do {
		put = pwritev(fd, all, 1 + HF_SLOT_PARTS, at);
	} while (put < 0 && errno == EINTR);
	if (put <= 0)
		return hf_fail_errno(error, HF_SYSTEM, "slot file", put < 0 ? errno : EIO,
			"cannot write %s", path);
	done = (size_t)put;
	for (i = 0; !st && i < 1 + HF_SLOT_PARTS; i++) {
		size_t had = done < all[i].iov_len ? done : all[i].iov_len;

		st = hf_pwrite_all(fd, (const char *)all[i].iov_base + had,
			all[i].iov_len - had, at + (off_t)had, path, error);
		at += (off_t)all[i].iov_len;
		done -= had;
	}
	return st;
}

hf_status hf_slots_allocate(int fd, size_t slot_size, const char *path, hf_error *error)
{
	static const char zeros[HF_SLOT_BLOCK];
	size_t size = 2 * slot_size;
	size_t at;
	int r;

	do {
		r = fallocate(fd, 0, 0, (off_t)size);
	} while (r && errno == EINTR);
	if (!r)
		return HF_OK;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return hf_fail_errno(error, HF_SYSTEM, "slot file", errno,
			"cannot reserve %zu bytes for %s", size, path);
	for (at = 0; at < size; at += sizeof(zeros)) {
		hf_status st = hf_pwrite_all(fd, zeros, sizeof(zeros), (off_t)at, path, error);

		if (st)
			return st;
	}
	return HF_OK;
}

/* The folder part of `path`, malloc'd. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

hf_status hf_sync_folder(const char *path, hf_error *error)
{
	char *folder = folder_of(path);
	hf_status st = HF_OK;
	int fd;

	if (!folder)
		return hf_fail_memory(error, "slot file");
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Some file systems cannot sync a folder: then there is nothing to do. */
	if (fd < 0 || (fsync(fd) && errno != EINVAL && errno != EROFS))
		st = hf_fail_errno(error, HF_UNKNOWN, "slot file", errno,
			"cannot sync the folder %s", folder);
	if (fd >= 0)
		close(fd);
	free(folder);
	return st;
}

int hf_make_folder_of(const char *path)
{
	char *folder = folder_of(path);
	int native = 0;

	if (!folder)
		return ENOMEM;
	if (mkdir(folder, 0700) && errno != EEXIST) {
		native = errno;
		if (native == ENOENT && strcmp(folder, path) != 0) {
			native = hf_make_folder_of(folder);
			if (!native && mkdir(folder, 0700) && errno != EEXIST)
				native = errno;
		}
	}
	free(folder);
	return native;
}
