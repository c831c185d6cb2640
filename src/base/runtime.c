#include "process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of ours that nobody else can write; made if it is missing. */
static bool have_private_dir(const char *path)
{
	struct stat st;

	if (mkdir(path, 0700) && errno != EEXIST)
		return false;
	return !lstat(path, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH)) && !access(path, W_OK | X_OK);
}

static bool try_dir(char *out, size_t cap, const char *parent, const char *child)
{
	if (!parent || parent[0] != '/')
		return false;
	if (snprintf(out, cap, "%s%s", parent, child) >= (int)cap)
		return false;
	return have_private_dir(out);
}

hf_status hf_runtime_dir(const char *wanted, char *out, size_t cap, hf_error *error)
{
	char user_dir[48];
	char tmp_dir[48];

	if (wanted) {
		if (try_dir(out, cap, wanted, ""))
			return HF_OK;
		return hf_fail(error, HF_CANNOT_CREATE, "runtime", 0,
			"the runtime folder %s cannot be used: it must be an absolute path to "
			"a "
			"folder of this user that others cannot write",
			wanted);
	}
	snprintf(user_dir, sizeof(user_dir), "/run/user/%u", (unsigned)geteuid());
	snprintf(tmp_dir, sizeof(tmp_dir), "/tmp/holdfast-%u", (unsigned)geteuid());
	if (try_dir(out, cap, getenv("HOLDFAST_RUNTIME_DIR"), "") ||
		try_dir(out, cap, getenv("XDG_RUNTIME_DIR"), "/holdfast") ||
		try_dir(out, cap, user_dir, "/holdfast") || try_dir(out, cap, tmp_dir, ""))
		return HF_OK;
	return hf_fail(error, HF_CANNOT_CREATE, "runtime", 0,
		"no runtime folder can be had: set HOLDFAST_RUNTIME_DIR to a folder of this "
		"user "
		"that others cannot write (tried $XDG_RUNTIME_DIR/holdfast, %s/holdfast, %s)",
		user_dir, tmp_dir);
}

void hf_liveness_sweep(const char *runtime_dir, size_t *removed)
{
	DIR *dir = opendir(runtime_dir);
	struct dirent *entry;
	char path[512];

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "live-", 5) != 0)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", runtime_dir, entry->d_name) >=
			(int)sizeof(path))
			continue;
		hf_liveness_bury(path);
		if (access(path, F_OK))
			(*removed)++;
	}
	closedir(dir);
}
