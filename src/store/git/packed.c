/*
 * packed-refs, as much of it as is ours: kept in memory, read again whenever
 * the file is another. (libgit2 would read a whole large file for the one ref
 * asked for, and hides the difference between packed and loose, which changing
 * a ref must know.)
 */
#include "ref.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef struct packed_ref {
	char *name; /* without the prefix */
	gs_oid oid;
} packed_ref;

struct gs_packed {
	bool valid;
	struct stat stamp;
	size_t count;
	size_t cap;
	packed_ref *refs; /* sorted by name */
};

static void forget_refs(gs_packed *p)
{
	size_t i;

	for (i = 0; i < p->count; i++)
		free(p->refs[i].name);
	p->count = 0;
	p->valid = false;
}

void gs_packed_free(gs_packed *packed)
{
	if (!packed)
		return;
	forget_refs(packed);
	free(packed->refs);
	free(packed);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/*
 * Time stamps are coarse: a file changed again at once may look the same. Only
 * what had been left alone for a while when it was read is remembered.
 */
static bool settled(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec - st->st_ctim.tv_sec > 1 || now.tv_sec < st->st_ctim.tv_sec - 1;
}

static hf_status add(gs_packed *p, const char *name, size_t len, const gs_oid *oid)
{
	if (p->count == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		packed_ref *more = reallocarray(p->refs, cap, sizeof(*more));

		if (!more)
			return HF_NO_MEMORY;
		p->refs = more;
		p->cap = cap;
	}
	p->refs[p->count].name = strndup(name, len);
	if (!p->refs[p->count].name)
		return HF_NO_MEMORY;
	p->refs[p->count++].oid = *oid;
	return HF_OK;
}

static int by_name(const void *a, const void *b)
{
	const packed_ref *x = a;
	const packed_ref *y = b;

	return strcmp(x->name, y->name);
}

/* Lines are "OID NAME"; others ("#...", "^OID") are about a line before. */
static hf_status parse(gs_packed *p, const char *prefix, const char *text, size_t len)
{
	size_t prefix_len = strlen(prefix);
	const char *end = text + len;
	hf_status st = HF_OK;

	while (text < end && !st) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((eol ? eol : end) - text);
		const char *name = text + GS_HEX + 1;
		gs_oid oid;

		if (n > GS_HEX + 1 + prefix_len && text[GS_HEX] == ' ' &&
			!memcmp(name, prefix, prefix_len) && gs_oid_parse(text, &oid))
			st = add(p, name + prefix_len, n - GS_HEX - 1 - prefix_len, &oid);
		text += n + 1;
	}
	if (!st && p->count > 1)
		qsort(p->refs, p->count, sizeof(*p->refs), by_name);
	return st;
}

static hf_status load(hf_store *store, gs_packed *p, int fd, size_t size, hf_error *error)
{
	char *text = malloc(size + 1);
	size_t len = 0;
	hf_status st = HF_OK;

	if (!text)
		return hf_fail_memory(error, "read");
	while (len < size) {
		ssize_t n = read(fd, text + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			st = hf_fail_errno(error, HF_SYSTEM, "read", errno,
				"cannot read packed-refs in '%s'", store->common);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (!st) {
		st = parse(p, store->prefix, text, len);
		if (st)
			hf_fail_memory(error, "read");
	}
	free(text);
	return st;
}

static hf_status refresh_nolock(hf_store *store, hf_error *error)
{
	gs_packed *p = store->packed;
	struct stat now;
	hf_status st;
	int fd;

	if (!p) {
		p = store->packed = calloc(1, sizeof(*p));
		if (!p)
			return hf_fail_memory(error, "read");
	}
	if (fstatat(store->common_fd, "packed-refs", &now, 0)) {
		if (errno != ENOENT)
			return hf_fail_errno(error, HF_SYSTEM, "read", errno,
				"cannot look at packed-refs in '%s'", store->common);
		forget_refs(p);
		return HF_OK;
	}
	if (p->valid && same_file(&p->stamp, &now))
		return HF_OK;
	forget_refs(p);
	fd = openat(store->common_fd, "packed-refs", O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return HF_OK;
	if (fd < 0 || fstat(fd, &now)) {
		st = hf_fail_errno(error, HF_SYSTEM, "read", errno,
			"cannot open packed-refs in '%s'", store->common);
		if (fd >= 0)
			close(fd);
		return st;
	}
	st = load(store, p, fd, (size_t)now.st_size, error);
	close(fd);
	if (st) {
		forget_refs(p);
		return st;
	}
	p->stamp = now;
	p->valid = settled(&now);
	return HF_OK;
}

hf_status gs_packed_read(
	hf_store *store, const char *ref, gs_oid *out, bool *found_out, hf_error *error)
{
	size_t n = strlen(store->prefix);
	hf_status st;

	*found_out = false;
	if (strncmp(ref, store->prefix, n))
		return HF_OK;
	pthread_mutex_lock(&store->packed_mutex);
	st = refresh_nolock(store, error);
	if (!st && store->packed->count) {
		union {
			const char *in;
			char *name;
		} key = {.in = ref + n};
		packed_ref want = {.name = key.name};
		const packed_ref *hit = bsearch(&want, store->packed->refs,
			store->packed->count, sizeof(want), by_name);

		if (hit) {
			*out = hit->oid;
			*found_out = true;
		}
	}
	pthread_mutex_unlock(&store->packed_mutex);
	return st;
}

hf_status gs_packed_below(hf_store *store, const char *ref, bool *below_out, hf_error *error)
{
	const char *folder = ref + strlen(store->prefix);
	size_t n = strlen(folder);
	size_t low = 0;
	size_t high;
	hf_status st;

	*below_out = false;
	pthread_mutex_lock(&store->packed_mutex);
	st = refresh_nolock(store, error);
	high = st ? 0 : store->packed->count;
	/* The first that is not before "FOLDER/". */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *name = store->packed->refs[middle].name;
		int order = strncmp(name, folder, n);

		if (order < 0 || (order == 0 && (unsigned char)name[n] < '/'))
			low = middle + 1;
		else
			high = middle;
	}
	if (!st && low < store->packed->count) {
		const char *name = store->packed->refs[low].name;

		*below_out = strncmp(name, folder, n) == 0 && name[n] == '/';
	}
	pthread_mutex_unlock(&store->packed_mutex);
	return st;
}

/* The names are copied first: `fn` may come back here. */
hf_status gs_packed_list(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error)
{
	hf_buf names = HF_BUF_INIT;
	const char *name;
	hf_status st;
	size_t i;

	pthread_mutex_lock(&store->packed_mutex);
	st = refresh_nolock(store, error);
	for (i = 0; !st && i < store->packed->count; i++)
		hf_buf_add(&names, store->packed->refs[i].name,
			strlen(store->packed->refs[i].name) + 1);
	pthread_mutex_unlock(&store->packed_mutex);
	if (!st && names.failed)
		st = hf_fail_memory(error, "list");
	for (name = names.data; !st && name && name < names.data + names.len;
		name += strlen(name) + 1)
		if (fn(arg, name))
			break;
	hf_buf_free(&names);
	return st;
}

/* ---- rewriting ---- */

/* Copy without the ref and what belongs to it ("^OID" lines). */
static bool copy_without(const char *text, size_t len, const char *ref, hf_buf *out)
{
	const char *end = text + len;
	size_t ref_len = strlen(ref);
	bool dropping = false;
	bool found = false;

	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((eol ? eol + 1 : end) - text);

		if (text[0] != '^')
			dropping = n > GS_HEX + 1 + ref_len && text[GS_HEX] == ' ' &&
				   !memcmp(text + GS_HEX + 1, ref, ref_len) &&
				   text[GS_HEX + 1 + ref_len] == '\n';
		if (dropping)
			found = true;
		else
			hf_buf_add(out, text, n);
		text += n;
	}
	return found;
}

static int read_all(int fd, hf_buf *out)
{
	for (;;) {
		char *room = hf_buf_room(out, 65536);
		ssize_t n = room ? read(fd, room, 65536) : -1;

		if (!room)
			return ENOMEM;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		out->len += (size_t)n;
	}
}

static int write_all(int fd, const hf_buf *text)
{
	size_t done = 0;

	while (done < text->len) {
		ssize_t n = write(fd, text->data + done, text->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EIO;
		done += (size_t)n;
	}
	return 0;
}

/* Put `text` in the place of packed-refs. Written to disk, as git does it. */
static int replace(hf_store *store, const hf_buf *text, const char *scratch, mode_t mode)
{
	char path[PATH_MAX];
	char target[PATH_MAX];
	int native;
	int fd;

	/* Some keep it elsewhere and have a link here. */
	if (!gs_absolute(store, "packed-refs", path, sizeof(path)) || !realpath(path, target))
		return errno ? errno : ENAMETOOLONG;
	unlinkat(store->common_fd, scratch, 0);
	fd = openat(store->common_fd, scratch, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		mode & 0777);
	if (fd < 0)
		return errno;
	native = write_all(fd, text);
	if (!native && store->shared)
		gs_share(store, fd);
	if (!native && fsync(fd))
		native = errno;
	close(fd);
	if (!native && renameat(store->common_fd, scratch, AT_FDCWD, target))
		native = errno;
	if (native)
		unlinkat(store->common_fd, scratch, 0);
	return native;
}

int gs_packed_rewrite_without(hf_store *store, const char *ref, const char *scratch)
{
	hf_buf text = HF_BUF_INIT;
	hf_buf rest = HF_BUF_INIT;
	struct stat st = {.st_mode = 0644};
	int native;
	int fd = openat(store->common_fd, "packed-refs", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : errno;
	native = fstat(fd, &st) ? errno : read_all(fd, &text);
	close(fd);
	if (!native && copy_without(text.data, text.len, ref, &rest))
		native = rest.failed ? ENOMEM : replace(store, &rest, scratch, st.st_mode);
	hf_buf_free(&text);
	hf_buf_free(&rest);
	return native;
}
