#include "ref.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static gs_value_kind parse_loose(const char *text, size_t len, gs_oid *out)
{
	if (len >= 4 && !memcmp(text, "ref:", 4))
		return GS_SYMBOLIC;
	if (len < GS_HEX || !gs_oid_parse(text, out) || gs_oid_is_zero(out) ||
		(len > GS_HEX && !strchr(" \t\r\n", text[GS_HEX]))) {
		memset(out, 0, sizeof(*out));
		return GS_BROKEN;
	}
	return GS_OID;
}

/* GS_ABSENT: there is no loose file. */
static hf_status read_loose(hf_store *store, const char *ref, gs_value *out, hf_error *error)
{
	char text[128];
	ssize_t n;
	int native;
	int fd;

	memset(out, 0, sizeof(*out));
	fd = openat(store->common_fd, ref, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ELOOP) {
		out->kind = GS_SYMBOLIC;
		out->loose = true;
		return HF_OK;
	}
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return HF_OK;
	n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	native = errno;
	if (fd >= 0)
		close(fd);
	if (n < 0 && native == EISDIR) /* holds other refs, or is left over */
		return HF_OK;
	if (n < 0)
		return hf_fail_errno(error, HF_SYSTEM, "read", native,
			"cannot read the ref %s in '%s'", ref, store->common);
	out->loose = true;
	out->kind = parse_loose(text, (size_t)n, &out->oid);
	return HF_OK;
}

hf_status gs_ref_read(hf_store *store, const char *ref, gs_value *out, hf_error *error)
{
	bool found;
	hf_status st = read_loose(store, ref, out, error);

	if (st || out->kind != GS_ABSENT)
		return st;
	/* Packing writes packed-refs first and removes the file after. */
	st = gs_packed_read(store, ref, &out->oid, &found, error);
	if (!st && found)
		out->kind = GS_OID;
	return st;
}

/* ---- listing ---- */

typedef struct listing {
	hf_store *store;
	hf_store_name_fn fn;
	void *arg;
	bool stop;
} listing;

/* `relative` is under the prefix; "" to begin with. */
static void list_folder(listing *l, const char *relative, unsigned depth)
{
	char path[GS_PATH_MAX];
	struct dirent *entry;
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "%s%s", l->store->prefix, relative);
	fd = openat(l->store->common_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while (!l->stop && (entry = readdir(dir))) {
		size_t n = strlen(entry->d_name);
		struct stat st;
		int len;

		if (entry->d_name[0] == '.' ||
			(n > 5 && !strcmp(entry->d_name + n - 5, ".lock")))
			continue;
		len = snprintf(path, sizeof(path), "%s%s%s", relative, relative[0] ? "/" : "",
			entry->d_name);
		if (len < 0 || (size_t)len >= sizeof(path) - sizeof(l->store->prefix) ||
			fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
			continue;
		if (S_ISDIR(st.st_mode) && depth < 32)
			list_folder(l, path, depth + 1);
		else if (!S_ISDIR(st.st_mode))
			l->stop = l->fn(l->arg, path) != 0;
	}
	closedir(dir);
}

static int list_packed(void *arg, const char *relative)
{
	listing *l = arg;
	char path[GS_PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", l->store->prefix, relative);
	if (fstatat(l->store->common_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		!S_ISDIR(st.st_mode))
		return 0; /* loose too */
	l->stop = l->fn(l->arg, relative) != 0;
	return l->stop;
}

hf_status gs_ref_list(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error)
{
	listing l = {.store = store, .fn = fn, .arg = arg};

	list_folder(&l, "", 0);
	if (l.stop)
		return HF_OK;
	return gs_packed_list(store, list_packed, &l, error);
}
