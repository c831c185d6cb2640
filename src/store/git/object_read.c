/* Reading objects: the loose file, else whatever else git keeps them in. */
#include "backend.h"
#include "sha1.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* Of an object: a record in hex, and what stands around it. */
#define CONTENT_MAX (4u << 20)
#define HEAD_MAX 32

void gs_object_clear(gs_object *object)
{
	free(object->data);
	memset(object, 0, sizeof(*object));
}

/* ---- loose ---- */

/* 0, ENOENT, or another errno. */
static int read_file(const hf_store *store, const gs_oid *oid, hf_buf *out)
{
	char path[64];
	struct stat st;
	int native = 0;
	int fd;

	gs_object_path(oid, path);
	fd = openat(store->common_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno;
	if (fstat(fd, &st))
		native = errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > 2 * (off_t)CONTENT_MAX)
		native = EFBIG;
	while (!native) {
		char *room = hf_buf_room(out, 4096);
		ssize_t n = room ? read(fd, room, 4096) : -1;

		if (!room)
			native = ENOMEM;
		else if (n < 0 && errno != EINTR)
			native = errno;
		else if (n == 0)
			break;
		else if (n > 0)
			out->len += (size_t)n;
	}
	close(fd);
	return native;
}

/* "TYPE LEN\0", then the content. False: damaged, or too large for us. */
static bool inflate_object(const hf_buf *file, gs_object *out)
{
	unsigned char head[HEAD_MAX + 1] = {0};
	z_stream z = {.next_in = (Bytef *)file->data, .avail_in = (uInt)file->len};
	unsigned char *nul;
	uint64_t len;
	char *blank;
	size_t extra;
	int code;

	if (inflateInit(&z) != Z_OK)
		return false;
	z.next_out = head;
	z.avail_out = HEAD_MAX;
	code = inflate(&z, Z_SYNC_FLUSH);
	nul = memchr(head, '\0', z.total_out);
	blank = nul ? strchr((char *)head, ' ') : NULL;
	if ((code != Z_OK && code != Z_STREAM_END) || !blank ||
		!hf_parse_u64(blank + 1, &len) || len > CONTENT_MAX ||
		!(out->data = malloc(len + 1))) {
		inflateEnd(&z);
		return false;
	}
	*blank = '\0';
	out->type = !strcmp((char *)head, "commit") ? GS_COMMIT
		    : !strcmp((char *)head, "blob") ? GS_BLOB
						    : GS_OTHER_TYPE;
	out->len = (size_t)len;
	extra = z.total_out - (size_t)(nul + 1 - head);
	if (extra > len)
		extra = (size_t)len + 1; /* more than it says: refused below */
	else
		memcpy(out->data, nul + 1, extra);
	z.next_out = (Bytef *)out->data + extra;
	z.avail_out = extra > len ? 0 : (uInt)(len - extra);
	if (code == Z_OK)
		code = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	out->data[len] = '\0';
	return code == Z_STREAM_END && extra <= len && z.avail_out == 0;
}

static bool has_id(const gs_object *object, const gs_oid *oid)
{
	gs_oid is;

	if (object->type == GS_OTHER_TYPE)
		return true; /* nobody is going to look into it */
	gs_object_hash(object->type, object->data, object->len, &is);
	return gs_oid_equal(&is, oid);
}

static hf_status read_loose(const hf_store *store, const gs_oid *oid, gs_object *out,
	bool *there_out, bool *missing_out, hf_error *error)
{
	hf_buf file = HF_BUF_INIT;
	char hex[GS_HEX + 1];
	int native = read_file(store, oid, &file);
	hf_status st = HF_OK;

	/* An empty file is all that a power cut left of it. */
	*there_out = native != ENOENT && !(native == 0 && file.len == 0);
	gs_oid_hex(oid, hex);
	if (*there_out && native && native != EFBIG)
		st = hf_fail_errno(error, HF_SYSTEM, "read", native,
			"cannot read the object %s in '%s'", hex, store->common);
	else if (*there_out && (native || !inflate_object(&file, out) || !has_id(out, oid))) {
		*missing_out = true;
		st = hf_fail(error, HF_CORRUPT, "read", 0,
			"the object %s in '%s' is damaged or larger than any of ours", hex,
			store->common);
	}
	if (st)
		gs_object_clear(out);
	hf_buf_free(&file);
	return st;
}

/* ---- the others ---- */

struct gs_objects {
	const hf_store *store;
	const gs_backend *backend; /* NULL: not needed so far */
	gs_odb *odb;
};

hf_status gs_objects_open(const hf_store *store, gs_objects **out, hf_error *error)
{
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return hf_fail_memory(error, "read");
	(*out)->store = store;
	return HF_OK;
}

void gs_objects_close(gs_objects *objects)
{
	if (!objects)
		return;
	if (objects->odb)
		objects->backend->close(objects->odb);
	free(objects);
}

/* Is there anything but loose objects? */
static bool has_more(const hf_store *store)
{
	struct dirent *entry;
	struct stat st;
	bool has = false;
	DIR *dir;
	int fd;

	if (fstatat(store->common_fd, "objects/info/alternates", &st, 0) == 0)
		return true;
	fd = openat(store->common_fd, "objects/pack", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return fd >= 0 || errno != ENOENT;
	}
	while (!has && (entry = readdir(dir))) {
		size_t n = strlen(entry->d_name);

		has = n > 4 && !strcmp(entry->d_name + n - 4, ".idx");
	}
	closedir(dir);
	return has;
}

/* HF_OK without odb: there is nothing to look into. */
static hf_status need_backend(gs_objects *objects, hf_error *error)
{
	char path[PATH_MAX];

	if (objects->odb || !has_more(objects->store))
		return HF_OK;
	objects->backend = gs_backend_get(error);
	if (!objects->backend)
		return HF_INVALID;
	if (!gs_absolute(objects->store, "objects", path, sizeof(path)))
		return hf_fail_memory(error, "read");
	return objects->backend->open(path, &objects->odb, error);
}

bool gs_objects_has(gs_objects *objects, const gs_oid *oid)
{
	if (gs_object_is_loose(objects->store, oid))
		return true;
	return need_backend(objects, NULL) == HF_OK && objects->odb &&
	       objects->backend->has(objects->odb, oid);
}

hf_status gs_objects_read(gs_objects *objects, const gs_oid *oid, gs_object *out,
	bool *missing_out, hf_error *error)
{
	char hex[GS_HEX + 1];
	bool there;
	hf_status st;

	memset(out, 0, sizeof(*out));
	*missing_out = false;
	st = read_loose(objects->store, oid, out, &there, missing_out, error);
	if (there)
		return st;
	st = need_backend(objects, error);
	if (st)
		return st;
	if (objects->odb)
		return objects->backend->read(objects->odb, oid, out, missing_out, error);
	gs_oid_hex(oid, hex);
	*missing_out = true;
	return hf_fail(error, HF_CORRUPT, "read", 0, "there is no object %s in '%s'", hex,
		objects->store->common);
}

bool gs_object_exists(const hf_store *store, const gs_oid *oid)
{
	gs_objects *objects;
	bool has;

	if (gs_object_is_loose(store, oid))
		return true;
	if (gs_objects_open(store, &objects, NULL))
		return false;
	has = gs_objects_has(objects, oid);
	gs_objects_close(objects);
	return has;
}

hf_status gs_object_read(const hf_store *store, const gs_oid *oid, gs_object *out,
	bool *missing_out, hf_error *error)
{
	gs_objects *objects;
	hf_status st;

	memset(out, 0, sizeof(*out));
	*missing_out = false;
	st = gs_objects_open(store, &objects, error);
	if (st)
		return st;
	st = gs_objects_read(objects, oid, out, missing_out, error);
	gs_objects_close(objects);
	return st;
}
