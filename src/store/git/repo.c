/*
 * Nearly all repositories are plain, and to find one is to look for a few
 * files. Whatever is not quite plain is left to libgit2, its refusals too.
 */
#include "repo.h"
#include "backend.h"
#include "store/slotfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define TEXT_MAX 65536 /* of a config file that is looked through */

/* ---- plain repositories ---- */

static bool is_folder(const char *path, const char *leaf, struct stat *st)
{
	char full[PATH_MAX];

	return snprintf(full, sizeof(full), "%s%s", path, leaf) < (int)sizeof(full) &&
	       stat(full, st) == 0 && S_ISDIR(st->st_mode);
}

/* A small text file, NUL-ended, without the newline at its end. */
static bool read_text(const char *path, const char *leaf, char *out, size_t cap)
{
	char full[PATH_MAX];
	ssize_t n;
	int fd;

	if (snprintf(full, sizeof(full), "%s%s", path, leaf) >= (int)sizeof(full))
		return false;
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	n = read(fd, out, cap - 1);
	close(fd);
	if (n < 0 || (size_t)n == cap - 1)
		return false;
	while (n > 0 && out[n - 1] == '\n')
		n--;
	out[n] = '\0';
	return strlen(out) == (size_t)n;
}

static bool is_git_folder(const char *path)
{
	char head[512];
	struct stat st;

	return read_text(path, "/HEAD", head, sizeof(head)) &&
	       is_folder(path, "/objects", &st) && is_folder(path, "/refs", &st);
}

/* `text` as a path, from `base` on if it is relative. */
static bool resolve(const char *base, const char *text, char out[PATH_MAX])
{
	char full[PATH_MAX];
	int n = text[0] == '/' ? snprintf(full, sizeof(full), "%s", text)
			       : snprintf(full, sizeof(full), "%s/%s", base, text);

	return n > 0 && (size_t)n < sizeof(full) && realpath(full, out);
}

/* The common directory that the folder `at` leads to. */
static bool common_of(const char *at, char out[PATH_MAX])
{
	char folder[PATH_MAX];
	char text[PATH_MAX];
	struct stat st;

	if (is_folder(at, "/.git", &st)) {
		if (!resolve(at, ".git", folder))
			return false;
	} else if (read_text(at, "/.git", text, sizeof(text))) {
		if (strncmp(text, "gitdir: ", 8) || !resolve(at, text + 8, folder))
			return false;
	} else {
		hf_copy(folder, sizeof(folder), at);
	}
	/* A linked work tree has the rest elsewhere. */
	if (read_text(folder, "/commondir", text, sizeof(text)))
		return read_text(folder, "/HEAD", out, PATH_MAX) &&
		       resolve(folder, text, out) && is_git_folder(out);
	return is_git_folder(folder) && hf_copy(out, PATH_MAX, folder);
}

/* Nothing in its settings that would make it another kind of repository. */
static bool has_plain_settings(const char *common)
{
	static const char *const words[] = {
		"extensions", "include", "sharedrepository", "repositoryformatversion = 1"};
	char *text = malloc(TEXT_MAX);
	bool plain = text && read_text(common, "/config", text, TEXT_MAX);
	size_t i;

	for (i = 0; plain && i < HF_ARRAY_LEN(words); i++)
		plain = !strcasestr(text, words[i]);
	plain = plain && strcasestr(text, "repositoryformatversion = 0");
	free(text);
	return plain;
}

/* git trusts a repository of one's own; all else is libgit2's to judge. */
static bool is_own(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_uid == geteuid();
}

static bool find_plain(const char *path, char common[PATH_MAX])
{
	char at[PATH_MAX];
	struct stat first;
	struct stat st;

	if (!realpath(path, at) || stat(at, &first) || !S_ISDIR(first.st_mode))
		return false;
	for (;;) {
		char *slash;

		if (common_of(at, common))
			return is_own(at) && is_own(common) && has_plain_settings(common);
		slash = strrchr(at, '/');
		if (!slash || slash == at)
			return false;
		*slash = '\0';
		/* As git does: not beyond the file system. */
		if (stat(at, &st) || st.st_dev != first.st_dev)
			return false;
	}
}

/* ---- all ---- */

/* core.sharedRepository, as git reads it: the mode bits it adds to files. */
static mode_t shared_bits(const char *value)
{
	if (!strcmp(value, "group") || !strcmp(value, "true") || !strcmp(value, "1"))
		return 0660;
	if (!strcmp(value, "all") || !strcmp(value, "world") || !strcmp(value, "everybody") ||
		!strcmp(value, "2"))
		return 0664;
	if (value[0] == '0' && value[1])
		return (mode_t)strtoul(value, NULL, 8) & 0666;
	return 0;
}

hf_status gs_repo_open(hf_store *store, const char *path, hf_error *error)
{
	char real[PATH_MAX];

	if (!path[0])
		path = ".";
	if (!find_plain(path, real)) {
		const gs_backend *backend = gs_backend_get(error);
		gs_found found;
		hf_status st = backend ? backend->find(path, &found, error) : HF_INVALID;

		if (st)
			return st;
		if (!realpath(found.common, real))
			return hf_fail_errno(error, HF_UNAVAILABLE, "open", errno,
				"cannot find the folder of the repository of '%s'", path);
		store->shared = shared_bits(found.shared);
	}
	store->common = strdup(real);
	if (!store->common)
		return hf_fail_memory(error, "open");
	store->common_fd = open(real, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->common_fd < 0)
		return hf_fail_errno(
			error, HF_UNAVAILABLE, "open", errno, "cannot open '%s'", real);
	store->network = hf_is_network_fs(real);
	return HF_OK;
}

/* ---- names ---- */

/* git check-ref-format(1), for a name that begins with "refs/". */
bool gs_ref_name_valid(const char *name)
{
	const char *p;

	if (strncmp(name, "refs/", 5) || strstr(name, "..") || strstr(name, "@{"))
		return false;
	for (p = name; *p; p++) {
		unsigned char c = (unsigned char)*p;
		bool begins = p == name || p[-1] == '/';
		bool ends = p[1] == '/' || p[1] == '\0';

		if (c <= ' ' || c == 0x7f || strchr("~^:?*[\\", c) ||
			(c == '/' && (begins || ends)) ||
			(c == '.' && (begins || p[1] == '\0')))
			return false;
		if (ends && p - name >= 4 && !strncmp(p - 4, ".lock", 5))
			return false;
	}
	return true;
}
