/* Small things every file here uses: ids, paths, folders, warnings. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void gs_oid_hex(const gs_oid *oid, char out[GS_HEX + 1])
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < sizeof(oid->bytes); i++) {
		out[2 * i] = digits[oid->bytes[i] >> 4];
		out[2 * i + 1] = digits[oid->bytes[i] & 15];
	}
	out[GS_HEX] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool gs_oid_parse(const char *text, gs_oid *out)
{
	size_t i;

	for (i = 0; i < sizeof(out->bytes); i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return false;
		out->bytes[i] = (unsigned char)(high * 16 + low);
	}
	return true;
}

void gs_warn(const hf_store *store, const char *format, ...)
{
	char line[512];
	va_list args;

	if (!store->log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	store->log(store->log_arg, line);
}

bool gs_absolute(const hf_store *store, const char *relative, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s/%s", store->common, relative);

	return n > 0 && (size_t)n < cap;
}

void gs_share(const hf_store *store, int fd)
{
	struct stat st;
	mode_t bits = store->shared;

	if (!bits || fstat(fd, &st))
		return;
	if (S_ISDIR(st.st_mode))
		bits |= S_ISGID | ((bits & 0444) >> 2);
	else if (!(st.st_mode & 0200))
		bits &= (mode_t)~0222; /* objects stay read-only */
	/* Best effort, as in git: another owner's file is as it is. */
	if (fchmod(fd, (st.st_mode & 07777) | bits))
		return;
}

static int make_folder(const hf_store *store, const char *path)
{
	struct stat st;
	int fd;

	if (mkdirat(store->common_fd, path, 0777)) {
		int native = errno;

		if (native == EEXIST)
			return 0;
		return fstatat(store->common_fd, path, &st, 0) ? native : 0;
	}
	if (!store->shared)
		return 0;
	fd = openat(store->common_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		gs_share(store, fd);
		close(fd);
	}
	return 0;
}

int gs_make_folders_above(const hf_store *store, const char *relative)
{
	char path[GS_PATH_MAX];
	char *slash;
	int native = 0;

	if (!hf_copy(path, sizeof(path), relative))
		return ENAMETOOLONG;
	for (slash = strchr(path, '/'); slash && !native; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		native = make_folder(store, path);
		*slash = '/';
	}
	return native;
}
