#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned generation = 1;

static struct {
	pthread_mutex_t mutex;
	unsigned generation; /* 0: not filled */
	hf_process process;
	char host[65];
	char boot[37];
	char command[97];
	char domain[96];
	char owner[160];
} self = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void before_fork(void)
{
	pthread_mutex_lock(&self.mutex);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&self.mutex);
}

static void after_fork_child(void)
{
	__atomic_add_fetch(&generation, 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&self.mutex);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

unsigned hf_fork_generation(void)
{
	return __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
}

/* Read a small file of /proc; returns the length, 0 if it cannot be had. */
static size_t slurp(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, out, cap - 1);
		close(fd);
	}
	if (n < 0)
		n = 0;
	out[n] = '\0';
	return (size_t)n;
}

/* The command's name may hold blanks and parentheses. */
bool hf_proc_stat_read(int64_t pid, hf_proc_stat *out)
{
	char path[48];
	char text[1024];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
	if (!slurp(path, text, sizeof(text)))
		return false;
	p = strrchr(text, ')');
	if (!p)
		return false;
	/* state(3) ppid(4) ... num_threads(20) itrealvalue starttime(22) */
	return sscanf(p + 1,
		       " %c %" SCNd64
		       " %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
		       "%ld "
		       "%*d %lu",
		       &out->state, &out->parent, &out->threads, &out->start) == 4;
}

static uint64_t namespace_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : (uint64_t)st.st_ino;
}

static void plain(char *text)
{
	if (!hf_utf8_plain(text, strlen(text)))
		for (; *text; text++)
			if (*text < 0x20 || *text == 0x7f)
				*text = '?';
}

static void fill_command(void)
{
	size_t n = slurp("/proc/self/cmdline", self.command, sizeof(self.command));
	size_t i;

	for (i = 0; i + 1 < n; i++)
		if (!self.command[i])
			self.command[i] = ' ';
	plain(self.command);
}

/* user@host, as `who` would show it. */
static void fill_owner(void)
{
	struct passwd entry;
	struct passwd *found = NULL;
	char memory[2048];
	const char *user = getenv("LOGNAME");

	if (!user || !*user || strlen(user) > 64 || !hf_utf8_plain(user, strlen(user))) {
		user = "?";
		if (!getpwuid_r(geteuid(), &entry, memory, sizeof(memory), &found) && found)
			user = entry.pw_name;
	}
	snprintf(self.owner, sizeof(self.owner), "%.64s@%s", user, self.host);
}

const char *hf_self_owner(void)
{
	hf_self();
	return self.owner;
}

/* PROC_TIME_INIT_INO: the time namespace that all machines begin with. */
#define FIRST_TIMENS 0xeffffffau

/*
 * Two clocks are one if their offset to the kernel's is. The namespace's inode
 * does not tell: numbers of namespaces that ended are used again. What /proc
 * knows is the offset of the children's namespace, mostly our own; where it is
 * not, nobody else shares the domain.
 */
static void fill_domain(void)
{
	const hf_process *p = &self.process;
	char text[256];
	const char *offset = NULL;
	long long seconds;
	long nanoseconds;

	if (!p->timens || p->timens == FIRST_TIMENS) {
		snprintf(self.domain, sizeof(self.domain), "%.36s.%llx", self.boot,
			(unsigned long long)p->timens);
		return;
	}
	if (namespace_of("/proc/self/ns/time_for_children") == p->timens &&
		slurp("/proc/self/timens_offsets", text, sizeof(text)))
		offset = strstr(text, "boottime");
	if (offset && sscanf(offset, "boottime %lld %ld", &seconds, &nanoseconds) == 2)
		snprintf(self.domain, sizeof(self.domain), "%.36s+%lld.%09ld", self.boot,
			seconds, nanoseconds);
	else
		snprintf(self.domain, sizeof(self.domain), "%.36s-%lld-%llx", self.boot,
			(long long)p->pid, (unsigned long long)p->start);
}

static void fill_self(void)
{
	hf_proc_stat st = {.start = 0};
	hf_process *p = &self.process;
	size_t n;

	if (gethostname(self.host, sizeof(self.host)))
		hf_copy(self.host, sizeof(self.host), "?");
	self.host[sizeof(self.host) - 1] = '\0';
	plain(self.host);
	n = slurp("/proc/sys/kernel/random/boot_id", self.boot, sizeof(self.boot));
	while (n > 0 && self.boot[n - 1] == '\n')
		self.boot[--n] = '\0';
	if (!self.command[0])
		fill_command();
	p->host = self.host;
	p->boot = self.boot;
	p->pid = getpid();
	p->uid = getuid();
	p->pidns = namespace_of("/proc/self/ns/pid");
	p->timens = namespace_of("/proc/self/ns/time");
	hf_proc_stat_read(p->pid, &st);
	p->start = st.start;
	p->live = "";
	p->command = self.command;
	fill_owner();
	fill_domain();
}

const hf_process *hf_self(void)
{
	unsigned now = hf_fork_generation();

	if (__atomic_load_n(&self.generation, __ATOMIC_ACQUIRE) != now) {
		pthread_mutex_lock(&self.mutex);
		if (self.generation != now) {
			fill_self();
			__atomic_store_n(&self.generation, now, __ATOMIC_RELEASE);
		}
		pthread_mutex_unlock(&self.mutex);
	}
	return &self.process;
}

void hf_self_set_command(const char *command)
{
	hf_self();
	pthread_mutex_lock(&self.mutex);
	hf_copy(self.command, sizeof(self.command), command);
	plain(self.command);
	pthread_mutex_unlock(&self.mutex);
}

const char *hf_self_clock_domain(void)
{
	hf_self();
	return self.domain;
}

/* ---- liveness ---- */

#define LIVE_PREFIX "live-"

struct hf_liveness {
	char path[256];
	int fd;
	unsigned generation;
	struct hf_liveness *next;
};

/*
 * All of this process, so that a forked child can close what it inherited. The
 * list is only changed under the mutex, which a fork holds.
 */
static hf_liveness *all_liveness;

static void close_inherited(void)
{
	hf_liveness *l;

	for (l = all_liveness; l; l = l->next) {
		close(l->fd);
		l->fd = -1;
	}
	all_liveness = NULL;
}

static pthread_once_t liveness_once = PTHREAD_ONCE_INIT;

static void watch_forks_for_liveness(void)
{
	pthread_atfork(NULL, NULL, close_inherited);
}

static struct flock whole_file(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

hf_status hf_liveness_new(const char *runtime_dir, hf_liveness **out, hf_error *error)
{
	hf_liveness *l = calloc(1, sizeof(*l));
	struct flock lock = whole_file(F_WRLCK);
	char id[HF_ID_LEN + 1];

	*out = NULL;
	if (!l)
		return hf_fail_memory(error, "liveness");
	pthread_once(&liveness_once, watch_forks_for_liveness);
	for (;;) {
		struct stat st;

		hf_new_id(id);
		if (snprintf(l->path, sizeof(l->path), "%s/" LIVE_PREFIX "%s", runtime_dir,
			    id) >= (int)sizeof(l->path)) {
			free(l);
			return hf_fail(error, HF_INVALID, "liveness", 0,
				"the runtime folder's path is too long: %s", runtime_dir);
		}
		l->fd = open(l->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (l->fd < 0) {
			hf_status st_fail = hf_fail_errno(error, HF_CANNOT_CREATE, "liveness",
				errno, "cannot make the liveness file %s", l->path);

			free(l);
			return st_fail;
		}
		/* A sweep may have come between open and lock: then again. */
		if (!fcntl(l->fd, F_OFD_SETLK, &lock) && !fstat(l->fd, &st) && st.st_nlink > 0)
			break;
		close(l->fd);
	}
	l->generation = hf_fork_generation();
	pthread_mutex_lock(&self.mutex);
	l->next = all_liveness;
	all_liveness = l;
	pthread_mutex_unlock(&self.mutex);
	*out = l;
	return HF_OK;
}

void hf_liveness_free(hf_liveness *liveness)
{
	hf_liveness **at;

	if (!liveness)
		return;
	if (liveness->generation == hf_fork_generation()) {
		pthread_mutex_lock(&self.mutex);
		for (at = &all_liveness; *at && *at != liveness; at = &(*at)->next)
			;
		if (*at)
			*at = liveness->next;
		pthread_mutex_unlock(&self.mutex);
		unlink(liveness->path);
		close(liveness->fd);
	}
	free(liveness);
}

const char *hf_liveness_path(const hf_liveness *liveness)
{
	return liveness->path;
}

int hf_liveness_fd(const hf_liveness *liveness)
{
	return liveness->fd;
}

enum liveness_state { LIVE_HELD, LIVE_LET_GO, LIVE_NOT_KNOWN };

static enum liveness_state probe_liveness(const char *path)
{
	const char *base = strrchr(path, '/');
	struct flock lock = whole_file(F_WRLCK);
	enum liveness_state state = LIVE_NOT_KNOWN;
	struct stat st;
	int fd;

	/* The path comes from a record: open nothing that could block or act. */
	if (!base || path[0] != '/' || strncmp(base + 1, LIVE_PREFIX, strlen(LIVE_PREFIX)))
		return LIVE_NOT_KNOWN;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return LIVE_NOT_KNOWN;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && !fcntl(fd, F_OFD_GETLK, &lock))
		state = lock.l_type == F_UNLCK ? LIVE_LET_GO : LIVE_HELD;
	close(fd);
	return state;
}

bool hf_process_proven_dead(const hf_process *process)
{
	const hf_process *me = hf_self();
	hf_proc_stat st;

	if (!process->boot[0] || !me->boot[0])
		return false;
	if (strcmp(process->boot, me->boot) != 0)
		return true; /* this kernel has been booted since */
	if (process->live[0]) {
		switch (probe_liveness(process->live)) {
		case LIVE_HELD:
			return false;
		case LIVE_LET_GO:
			return true;
		case LIVE_NOT_KNOWN:
			break;
		}
	}
	if (process->pid <= 0 || process->pid > INT32_MAX || !process->start ||
		!process->pidns || process->pidns != me->pidns)
		return false;
	if (!hf_proc_stat_read(process->pid, &st))
		return kill((pid_t)process->pid, 0) && errno == ESRCH;
	/* /proc tells start times by the reader's clock. */
	if (process->timens == me->timens && st.start != process->start)
		return true;
	return (st.state == 'Z' || st.state == 'X') && st.threads <= 1;
}

void hf_liveness_bury(const char *path)
{
	if (probe_liveness(path) == LIVE_LET_GO)
		unlink(path);
}
