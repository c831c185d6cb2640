/*
 * layout=flock: DIR/NAME is a file that flock(1) users lock.
 *
 * Ours hold it with the same flock(2), so either side excludes the other by
 * the kernel's word alone. The record beside it only says who it is. Who of
 * the others holds it is looked up in /proc/locks: a try to lock it would make
 * a neighbour's `flock -n` fail.
 */
#include "file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define BIND_TRIES 100

char *hf_flock_path(const hf_store *store, const char *name)
{
	char escaped[HF_ESCAPED_MAX + 1];
	char *path = NULL;

	hf_name_escape(name, HF_ESCAPED_MAX, escaped);
	if (asprintf(&path, "%s/%s", store->folder, escaped) < 0)
		return NULL;
	return path;
}

/* ---- who holds it ---- */

struct holders {
	bool ours; /* this process is among them */
	unsigned count; /* of other processes */
	long pid; /* of the first; 0: not visible from here */
	bool exclusive;
	uint64_t mark;
};

/* "1: FLOCK  ADVISORY  WRITE 709 fe:00:3142 0 EOF"; waiters have "->". */
static void take_line(const char *line, const struct stat *st, struct holders *holders)
{
	unsigned major_number;
	unsigned minor_number;
	unsigned long long inode;
	char mode[8];
	long pid;

	if (sscanf(line, "%*d: FLOCK %*s %7s %ld %x:%x:%llu", mode, &pid, &major_number,
		    &minor_number, &inode) != 5)
		return;
	if (inode != st->st_ino || major_number != major(st->st_dev) ||
		minor_number != minor(st->st_dev))
		return;
	if (pid == getpid()) {
		holders->ours = true;
		return;
	}
	if (holders->count++ == 0)
		holders->pid = pid > 0 ? pid : 0;
	holders->exclusive |= strcmp(mode, "WRITE") == 0;
	holders->mark = hf_hash(holders->mark, &pid, sizeof(pid));
	holders->mark = hf_hash(holders->mark, mode, strlen(mode));
}

static void find_holders(const char *path, struct holders *holders)
{
	FILE *locks;
	char line[256];
	struct stat st;

	*holders = (struct holders){.mark = HF_HASH_INIT};
	if (stat(path, &st))
		return;
	locks = fopen("/proc/locks", "re");
	if (!locks)
		return;
	while (fgets(line, sizeof(line), locks))
		take_line(line, &st, holders);
	fclose(locks);
}

hf_status hf_flock_look(hf_store *store, const char *name, const hf_file_state *state,
	hf_snapshot *snapshot, hf_error *error)
{
	struct holders holders;
	hf_public_view *view;
	char *path;

	if (state->held)
		return HF_OK; /* explained by our own record */
	path = hf_flock_path(store, name);
	if (!path)
		return hf_fail_memory(error, "read");
	find_holders(path, &holders);
	free(path);
	/*
	 * While we hold it ourselves, those who do besides go with us by the
	 * kernel's word; two readers who have not written their records yet
	 * would wait for each other else.
	 */
	if (holders.count == 0 || holders.ours)
		return HF_OK;
	snapshot->foreign = calloc(1, sizeof(*view));
	view = snapshot->foreign;
	if (!view)
		return hf_fail_memory(error, "read");
	view->held = 1;
	view->exclusive = holders.exclusive;
	view->pid = holders.pid;
	view->acquired_wall_ms = -1;
	hf_copy(view->owner, sizeof(view->owner), "flock");
	snprintf(view->id, sizeof(view->id), "flock-%ld", holders.pid);
	snprintf(view->mark, sizeof(view->mark), "flock-%016llx",
		(unsigned long long)holders.mark);
	memcpy(snapshot->etag.bytes + snapshot->etag.len, &holders.mark, sizeof(holders.mark));
	snapshot->etag.len = (uint8_t)(snapshot->etag.len + sizeof(holders.mark));
	return HF_OK;
}

/* ---- our own hold ---- */

static int open_to_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);

	/* flock needs no right to write. */
	if (fd < 0 && (errno == EACCES || errno == EROFS || errno == EISDIR))
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return fd;
}

static hf_status say_held(const char *path, hf_error *error)
{
	struct holders holders;

	find_holders(path, &holders);
	if (holders.pid)
		return hf_fail(error, HF_HELD, "acquire", 0, "%s is locked (flock) by pid %ld",
			path, holders.pid);
	return hf_fail(error, HF_HELD, "acquire", 0, "%s is locked (flock)", path);
}

/* HF_CHANGED: the path names another file by now. */
static hf_status lock_once(const char *path, hf_mode mode, int *fd_out, hf_error *error)
{
	struct stat open_st;
	struct stat path_st;
	int fd = open_to_lock(path);
	hf_status st = HF_OK;
	int r;

	if (fd < 0)
		return hf_fail_errno(
			error, HF_CANNOT_CREATE, "acquire", errno, "cannot open %s", path);
	do {
		r = flock(fd, (mode == HF_SHARED ? LOCK_SH : LOCK_EX) | LOCK_NB);
	} while (r && errno == EINTR);
	if (r && errno == EWOULDBLOCK)
		st = say_held(path, error);
	else if (r)
		st = hf_fail_errno(error, HF_SYSTEM, "acquire", errno, "cannot lock %s", path);
	else if (fstat(fd, &open_st) || stat(path, &path_st) ||
		 open_st.st_ino != path_st.st_ino || open_st.st_dev != path_st.st_dev)
		st = HF_CHANGED;
	if (st)
		close(fd);
	else
		*fd_out = fd;
	return st;
}

hf_status hf_file_bind(
	hf_store *store, const char *name, hf_mode mode, int *fd_out, hf_error *error)
{
	hf_status st = hf_folder_make(store, error);
	char *path;
	int i;

	*fd_out = -1;
	if (st)
		return st;
	st = HF_CHANGED;
	path = hf_flock_path(store, name);
	if (!path)
		return hf_fail_memory(error, "acquire");
	for (i = 0; st == HF_CHANGED && i < BIND_TRIES; i++)
		st = lock_once(path, mode, fd_out, error);
	if (st == HF_CHANGED)
		st = hf_fail(error, HF_UNAVAILABLE, "acquire", 0,
			"%s is replaced again and again by another program", path);
	free(path);
	return st;
}
