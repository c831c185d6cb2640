#include "gitconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOKED_AT_MAX 1048576 /* bytes of a file; of a larger one git is asked */

/* dir/name. False: too long. */
static bool join(char out[PATH_MAX], const char *dir, const char *name)
{
	size_t dir_len = strlen(dir);
	const char *slash = dir_len && dir[dir_len - 1] != '/' ? "/" : "";
	int n;

	if (name[0] == '/')
		return hf_copy(out, PATH_MAX, name);
	n = snprintf(out, PATH_MAX, "%s%s%s", dir, slash, name);
	return n > 0 && n < PATH_MAX;
}

/* A small file's first line. False: it cannot be read or is too long. */
static bool read_line(const char *path, char out[PATH_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, out, PATH_MAX - 1);
	close(fd);
	if (n <= 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\r\n")] = '\0';
	return true;
}

static bool exists_in(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return join(path, dir, name) && lstat(path, &st) == 0;
}

/* What git takes for a repository, and where its common directory is. */
static bool accept(const char *git_dir, cli_repository *out)
{
	char path[PATH_MAX];
	char line[PATH_MAX];

	if (!exists_in(git_dir, "HEAD") || !hf_copy(out->git_dir, PATH_MAX, git_dir))
		return false;
	if (join(path, git_dir, "commondir") && read_line(path, line)) {
		char common[PATH_MAX];

		if (!join(common, git_dir, line) || !realpath(common, out->common_dir))
			return false;
	} else if (!hf_copy(out->common_dir, PATH_MAX, git_dir)) {
		return false;
	}
	return exists_in(out->common_dir, "objects") && exists_in(out->common_dir, "refs");
}

/* dir/.git as a folder, or as a file that says where the folder is. */
static bool accept_dot_git(const char *dir, cli_repository *out)
{
	static const char prefix[] = "gitdir: ";
	char path[PATH_MAX];
	char line[PATH_MAX];
	char target[PATH_MAX];
	struct stat st;

	if (!join(path, dir, ".git") || stat(path, &st))
		return false;
	if (S_ISDIR(st.st_mode))
		return accept(path, out);
	return S_ISREG(st.st_mode) && read_line(path, line) &&
	       !strncmp(line, prefix, sizeof(prefix) - 1) &&
	       join(target, dir, line + sizeof(prefix) - 1) && accept(target, out);
}

/* GIT_CEILING_DIRECTORIES: the search does not go up into these. */
static bool is_ceiling(const char *dir)
{
	const char *list = getenv("GIT_CEILING_DIRECTORIES");
	size_t len = strlen(dir);

	while (list && *list) {
		size_t n = strcspn(list, ":");
		size_t bare = n > 1 && list[n - 1] == '/' ? n - 1 : n;

		if (bare == len && !memcmp(list, dir, len))
			return true;
		list += n + (list[n] == ':');
	}
	return false;
}

bool cli_repository_find(cli_repository *out)
{
	const char *git_dir = getenv("GIT_DIR");
	char dir[PATH_MAX];
	struct stat here;
	struct stat above;

	if (git_dir && *git_dir) {
		char real[PATH_MAX];

		return realpath(git_dir, real) && accept(real, out);
	}
	if (!getcwd(dir, sizeof(dir)) || stat(dir, &here))
		return false;
	for (;;) {
		char *slash = strrchr(dir, '/');

		if (accept_dot_git(dir, out) || accept(dir, out))
			return true;
		if (!slash || !slash[1])
			return false;
		slash[slash == dir] = '\0';
		/* git does not cross file systems, nor go up into a ceiling. */
		if (is_ceiling(dir) || stat(dir, &above) ||
			(above.st_dev != here.st_dev &&
				!getenv("GIT_DISCOVERY_ACROSS_FILESYSTEM")))
			return false;
	}
}

static bool has_word(const char *text, size_t n)
{
	size_t i;

	for (i = 0; i + 7 <= n; i++) {
		char c = text[i] | 0x20;

		if (c == 'h' && i + 8 <= n && !strncasecmp(text + i, "holdfast", 8))
			return true;
		if (c == 'i' && !strncasecmp(text + i, "include", 7))
			return true;
	}
	return false;
}

/* A file that is not there or not ours to read says nothing, to git as well. */
static bool file_mentions_us(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	char *text;
	ssize_t n;
	bool found = true;

	if (fd < 0)
		return errno != ENOENT && errno != ENOTDIR && errno != EACCES;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= LOOKED_AT_MAX &&
		(text = malloc((size_t)st.st_size + 1))) {
		n = read(fd, text, (size_t)st.st_size + 1);
		/* Growing under our eyes, or unreadable: let git say. */
		found = n < 0 || n > st.st_size || has_word(text, (size_t)n);
		free(text);
	}
	close(fd);
	return found;
}

static bool file_in_mentions_us(const char *dir, const char *name)
{
	char path[PATH_MAX];

	return dir && *dir && join(path, dir, name) && file_mentions_us(path);
}

bool cli_git_config_mentions_us(const cli_repository *repository)
{
	const char *home = getenv("HOME");
	const char *xdg = getenv("XDG_CONFIG_HOME");
	char **e;

	/* GIT_CONFIG_COUNT, _PARAMETERS (git -c), _GLOBAL, _SYSTEM, ... */
	for (e = environ; *e; e++)
		if (!strncmp(*e, "GIT_CONFIG", 10))
			return true;
	if (repository && (file_in_mentions_us(repository->common_dir, "config") ||
				  file_in_mentions_us(repository->git_dir, "config.worktree")))
		return true;
	return file_in_mentions_us(home, ".gitconfig") ||
	       (xdg && *xdg ? file_in_mentions_us(xdg, "git/config")
			    : file_in_mentions_us(home, ".config/git/config")) ||
	       file_mentions_us("/etc/gitconfig");
}

static hf_status start_git(pid_t *pid_out, int *fd_out, hf_error *error)
{
	static const char *const argv[] = {
		"git", "config", "--null", "--get-regexp", "^holdfast\\.", NULL};
	posix_spawn_file_actions_t actions;
	int ends[2];
	int rc;

	if (pipe2(ends, O_CLOEXEC))
		return hf_fail_errno(error, HF_SYSTEM, "config", errno, "cannot make a pipe");
	rc = posix_spawn_file_actions_init(&actions);
	if (!rc) {
		rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
		if (!rc)
			rc = posix_spawnp(pid_out, "git", &actions, NULL,
				(char *const *)(uintptr_t)argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	if (rc) {
		close(ends[0]);
		return hf_fail_errno(error, HF_SYSTEM, "config", rc,
			"git's configuration may speak of holdfast, but git cannot be run");
	}
	*fd_out = ends[0];
	return HF_OK;
}

hf_status cli_git_config_ask(hf_buf *out, hf_error *error)
{
	pid_t pid;
	int status;
	int fd = -1;
	hf_status st = start_git(&pid, &fd, error);

	if (st)
		return st;
	for (;;) {
		char *room = hf_buf_room(out, 4096);
		ssize_t n = room ? read(fd, room, 4096) : -1;

		if (n < 0 && room && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		out->len += (size_t)n;
	}
	close(fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (out->failed)
		return hf_fail_memory(error, "config");
	/* 1: no such key. Anything else and we do not know what is wanted. */
	if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 1))
		return HF_OK;
	return hf_fail(error, HF_SYSTEM, "config", 0,
		"git cannot read its configuration (git config exited with %d): see its "
		"message "
		"above",
		WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
