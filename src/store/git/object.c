#include "object.h"
#include "sha1.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#define FOLDER_TRIES 50

/*
 * So long it is not compressed: that takes longer than all the rest of a hand-over in a
 * line of a hundred, and saves two blocks until git packs it.
 */
#define STORED_MOST 16384
#define TEMPORARY_STALE_S 600 /* no writer takes as long */

const gs_oid gs_empty_tree = {{0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e, 0xb9, 0xa0, 0x60, 0xe5,
	0x4b, 0xf8, 0xd6, 0x92, 0x88, 0xfb, 0xee, 0x49, 0x04}};

static const char *const type_names[] = {[GS_COMMIT] = "commit", [GS_BLOB] = "blob"};

/* What stands before an object's content, with its NUL. Returns its length. */
static size_t object_head(const char *type, size_t len, char out[40])
{
	return (size_t)snprintf(out, 40, "%s %zu", type, len) + 1;
}

void gs_object_hash(gs_type type, const void *data, size_t len, gs_oid *out)
{
	char head[40];
	gs_sha1 sha;

	gs_sha1_init(&sha);
	gs_sha1_add(&sha, head, object_head(type_names[type], len, head));
	gs_sha1_add(&sha, data, len);
	gs_sha1_end(&sha, out->bytes);
}

void gs_object_path(const gs_oid *oid, char out[64])
{
	char hex[GS_HEX + 1];

	gs_oid_hex(oid, hex);
	snprintf(out, 64, "objects/%.2s/%s", hex, hex + 2);
}

/* ---- writing ---- */

static int deflate_all(
	z_stream *z, const char *head, size_t head_len, const void *data, size_t len)
{
	/* zlib's type lacks const; it does not write there. */
	union {
		const void *in;
		Bytef *bytes;
	} input;

	input.in = head;
	z->next_in = input.bytes;
	z->avail_in = (uInt)head_len;
	if (deflate(z, Z_NO_FLUSH) != Z_OK)
		return -1;
	input.in = data;
	z->next_in = input.bytes;
	z->avail_in = (uInt)len;
	return deflate(z, Z_FINISH) == Z_STREAM_END ? 0 : -1;
}

/* The file of a loose object: zlib's form of "TYPE LEN\0" and the content. */
static hf_status encode_loose(
	const char *type, const void *data, size_t len, hf_buf *out, hf_error *error)
{
	z_stream z = {0};
	char head[40];
	size_t head_len = object_head(type, len, head);
	bool small = len + head_len <= STORED_MOST;
	uLong bound;
	char *room;

	if ((small ? deflateInit2(&z, Z_NO_COMPRESSION, Z_DEFLATED, 9, 1, Z_DEFAULT_STRATEGY)
		   : deflateInit(&z, Z_BEST_SPEED)) != Z_OK)
		return hf_fail_memory(error, "write");
	bound = deflateBound(&z, (uLong)(len + head_len));
	room = hf_buf_room(out, bound);
	z.next_out = (Bytef *)room;
	z.avail_out = (uInt)bound;
	if (!room || deflate_all(&z, head, head_len, data, len)) {
		deflateEnd(&z);
		return hf_fail_memory(error, "write");
	}
	out->len += z.total_out;
	deflateEnd(&z);
	return HF_OK;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Half an object left by a power cut has no bytes: it is to be replaced. */
static bool is_whole(const hf_store *store, const char *path)
{
	struct stat st;

	return fstatat(store->common_fd, path, &st, 0) == 0 && st.st_size > 0;
}

/* Fill `fd` and give it its name. `temporary` NULL: it has none yet. */
static int publish(const hf_store *store, int fd, const char *temporary, const char *path,
	const hf_buf *file)
{
	char self[40];
	int native = write_all(fd, file->data, file->len);

	if (!native && store->shared)
		gs_share(store, fd);
	if (!native && store->sync && fsync(fd))
		native = errno;
	if (native)
		return native;
	if (temporary)
		return renameat(store->common_fd, temporary, store->common_fd, path) ? errno
										     : 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, store->common_fd, path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return errno == EEXIST && is_whole(store, path) ? 0 : errno;
}

static int write_named(
	const hf_store *store, const char *folder, const char *path, const hf_buf *file)
{
	char temporary[80];
	char id[HF_ID_LEN + 1];
	int native;
	int fd;

	hf_new_id(id);
	snprintf(temporary, sizeof(temporary), "%s/tmp_obj_hf%.12s", folder, id);
	fd = openat(store->common_fd, temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
	if (fd < 0)
		return errno;
	native = publish(store, fd, temporary, path, file);
	close(fd);
	if (native)
		unlinkat(store->common_fd, temporary, 0);
	return native;
}

static int write_file(
	const hf_store *store, const char *folder, const char *path, const hf_buf *file)
{
	int fd = openat(store->common_fd, folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0444);
	int native;

	if (fd < 0 && errno == ENOENT)
		return ENOENT;
	if (fd < 0)
		return write_named(store, folder, path, file);
	native = publish(store, fd, NULL, path, file);
	close(fd);
	/* No /proc, a file system without such links, an empty object there. */
	if (native && native != EIO && !hf_is_no_room(native))
		return write_named(store, folder, path, file);
	return native;
}

static void sync_folder(const hf_store *store, const char *folder)
{
	int fd = openat(store->common_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

static hf_status write_loose(const hf_store *store, const char *type, const gs_oid *oid,
	const void *data, size_t len, hf_error *error)
{
	hf_buf file = HF_BUF_INIT;
	char path[64];
	char folder[16];
	hf_status st;
	int native;
	int tries;

	gs_object_path(oid, path);
	snprintf(folder, sizeof(folder), "%.10s", path);
	st = encode_loose(type, data, len, &file, error);
	if (st)
		goto out;
	native = write_file(store, folder, path, &file);
	/* gc removes empty folders at any time, also the one just made. */
	for (tries = 0; native == ENOENT && tries < FOLDER_TRIES; tries++) {
		native = gs_make_folders_above(store, path);
		if (!native)
			native = write_file(store, folder, path, &file);
	}
	if (native)
		st = hf_fail_errno(error, HF_SYSTEM, "write", native,
			"cannot write the object %s in '%s'", path, store->common);
	else if (store->sync)
		sync_folder(store, folder);
out:
	hf_buf_free(&file);
	return st;
}

hf_status gs_object_write(const hf_store *store, gs_type type, const gs_oid *oid,
	const void *data, size_t len, hf_error *error)
{
	return write_loose(store, type_names[type], oid, data, len, error);
}

hf_status gs_object_write_empty_tree(const hf_store *store, hf_error *error)
{
	if (gs_object_is_loose(store, &gs_empty_tree))
		return HF_OK;
	return write_loose(store, "tree", &gs_empty_tree, "", 0, error);
}

/* git itself removes "tmp_obj_*" too, but only when it collects garbage. */
hf_status gs_objects_sweep(const hf_store *store, size_t *removed)
{
	char folder[16];
	unsigned i;

	for (i = 0; i < 256; i++) {
		struct dirent *entry;
		DIR *dir;
		int fd;

		snprintf(folder, sizeof(folder), "objects/%02x", i);
		fd = openat(store->common_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		dir = fd < 0 ? NULL : fdopendir(fd);
		if (!dir) {
			if (fd >= 0)
				close(fd);
			continue;
		}
		while ((entry = readdir(dir))) {
			struct stat st;

			if (strncmp(entry->d_name, "tmp_obj_hf", 10) ||
				fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) ||
				hf_wall_ms() / 1000 - st.st_mtim.tv_sec < TEMPORARY_STALE_S)
				continue;
			if (unlinkat(dirfd(dir), entry->d_name, 0) == 0)
				++*removed;
		}
		closedir(dir);
	}
	return HF_OK;
}

/* ---- looking ---- */

bool gs_object_is_loose(const hf_store *store, const gs_oid *oid)
{
	char path[64];

	gs_object_path(oid, path);
	return is_whole(store, path);
}
