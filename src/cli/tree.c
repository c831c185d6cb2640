#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Take what there is to be told of children, stops too, and do not wait. */
#define LOOK (WNOHANG | WUNTRACED | WCONTINUED | __WALL)

/* Walks until two agree, before what still moves is killed as it is. */
#define FREEZE_WALKS 50

/* ---- small things that malloc and stdio would do ---- */

static bool push(tree_pids *list, pid_t pid)
{
	if (list->count == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 1024;
		void *at = list->at ? mremap(list->at, list->cap * sizeof(pid_t),
					      cap * sizeof(pid_t), MREMAP_MAYMOVE)
				    : mmap(NULL, cap * sizeof(pid_t), PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED)
			return false;
		list->at = at;
		list->cap = cap;
	}
	list->at[list->count++] = pid;
	return true;
}

/* "/proc/PID" followed by `rest`; out has room for 64. */
static const char *proc_path(char *out, pid_t pid, const char *rest)
{
	const char *prefix = "/proc/";
	char digits[12];
	size_t n = 0;
	char *p = out;

	while (*prefix)
		*p++ = *prefix++;
	for (; pid > 0; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	while (n > 0)
		*p++ = digits[--n];
	while ((*p++ = *rest++))
		;
	return out;
}

static pid_t pid_of_name(const char *name)
{
	int64_t pid;

	return hf_parse_i64(name, &pid) && pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

struct dirent64_head {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

void tree_each_number(int folder, void (*fn)(void *arg, pid_t number), void *arg)
{
	_Alignas(8) char buf[4096];

	for (;;) {
		long n = syscall(SYS_getdents64, folder, buf, sizeof(buf));
		long at = 0;

		if (n <= 0)
			return;
		while (at < n) {
			const struct dirent64_head *e = (const void *)(buf + at);
			pid_t number = pid_of_name(e->name);

			if (number > 0)
				fn(arg, number);
			at += e->len;
		}
	}
}

/* ---- a walk ---- */

struct walk {
	tree *tree;
	int sig;
	pid_t parent; /* whose children are being read */
	int task_dir;
};

static bool is_kept(const tree *t, pid_t pid)
{
	size_t i;

	for (i = 0; i < t->kept_count; i++)
		if (t->kept[i] == pid)
			return true;
	return false;
}

static void visit(struct walk *w, pid_t pid)
{
	tree *t = w->tree;

	if (w->parent == t->root && is_kept(t, pid))
		return;
	/* Signal even what cannot be remembered. */
	push(&t->found, pid);
	if (w->sig && kill(pid, w->sig) && errno == EPERM)
		t->refused = pid;
}

/* A children file: pids in decimal, each followed by a blank. */
static bool read_children(struct walk *w, int dir, const char *path)
{
	int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	char buf[4096];
	int64_t pid = 0;
	ssize_t n;
	ssize_t i;

	if (fd < 0)
		return false;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (i = 0; i < n; i++) {
			if (buf[i] >= '0' && buf[i] <= '9') {
				pid = (pid * 10 + (buf[i] - '0')) & INT32_MAX;
			} else if (pid > 0) {
				visit(w, (pid_t)pid);
				pid = 0;
			}
		}
	}
	close(fd);
	return n == 0;
}

static void read_thread_children(void *arg, pid_t tid)
{
	struct walk *w = arg;
	char path[64];

	/* "/proc/TID/children" without its first six bytes. */
	proc_path(path, tid, "/children");
	read_children(w, w->task_dir, path + 6);
}

static bool read_root_children(struct walk *w)
{
	char task[64];
	char path[128];
	size_t n;

	/* Orphans go to the main thread; other threads' children are theirs. */
	proc_path(path, w->tree->root, "/task/");
	proc_path(task, w->tree->root, "/children");
	n = strlen(path);
	memcpy(path + n, task + 6, strlen(task + 6) + 1);
	return read_children(w, AT_FDCWD, path);
}

static void walk_children_files(struct walk *w)
{
	tree *t = w->tree;
	char path[64];
	size_t i;

	w->parent = t->root;
	read_root_children(w);
	t->direct = t->found.count;
	for (i = 0; i < t->found.count; i++) {
		w->parent = t->found.at[i];
		w->task_dir = open(proc_path(path, w->parent, "/task"),
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (w->task_dir < 0)
			continue;
		tree_each_number(w->task_dir, read_thread_children, w);
		close(w->task_dir);
	}
}

/* ---- a walk without children files ---- */

static void scan_one(void *arg, pid_t pid)
{
	struct walk *w = arg;
	char path[64];
	char text[512];
	int fd = open(proc_path(path, pid, "/stat"), O_RDONLY | O_CLOEXEC);
	const char *p;
	ssize_t n;
	pid_t parent = 0;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* "PID (NAME) STATE PARENT ..."; the name may hold anything. */
	p = strrchr(text, ')');
	if (!p || strlen(p) < 5)
		return;
	for (p += 4; *p >= '0' && *p <= '9'; p++)
		parent = parent * 10 + (*p - '0');
	if (push(&w->tree->scanned, pid) && !push(&w->tree->scanned, parent))
		w->tree->scanned.count--;
}

static void walk_scan(struct walk *w)
{
	tree *t = w->tree;
	int dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	size_t i;
	size_t j;

	t->scanned.count = 0;
	if (dir < 0)
		return;
	tree_each_number(dir, scan_one, w);
	close(dir);
	w->parent = t->root;
	for (i = 0;; i++) {
		for (j = 0; j + 1 < t->scanned.count; j += 2)
			if (t->scanned.at[j + 1] == w->parent)
				visit(w, t->scanned.at[j]);
		if (w->parent == t->root)
			t->direct = t->found.count;
		if (i == t->found.count)
			return;
		w->parent = t->found.at[i];
	}
}

size_t tree_signal(tree *t, int sig)
{
	struct walk w = {.tree = t, .sig = sig};

	t->found.count = 0;
	t->direct = 0;
	if (t->scan)
		walk_scan(&w);
	else
		walk_children_files(&w);
	return t->found.count;
}

bool tree_init(tree *t, bool keep)
{
	struct walk w = {.tree = t};
	size_t i;

	memset(t, 0, sizeof(*t));
	t->root = getpid();
	t->only_ours = !keep;
	w.parent = t->root;
	if (!read_root_children(&w)) {
		t->scan = true;
		if (access("/proc/self/stat", R_OK))
			return false;
		if (keep)
			walk_scan(&w);
		t->found.count = t->direct;
	}
	for (i = 0; keep && i < t->found.count && i < TREE_MAX_KEPT; i++)
		t->kept[t->kept_count++] = t->found.at[i];
	return true;
}

void tree_init_child(tree *t, const struct tree *other)
{
	memset(t, 0, sizeof(*t));
	t->root = getpid();
	t->scan = other->scan;
	t->only_ours = true;
}

/* ---- the end ---- */

static void note(tree *t, pid_t pid, int status)
{
	if (pid != t->leader)
		return;
	t->leader_status = status;
	t->leader_news = true;
	t->leader_gone = WIFEXITED(status) || WIFSIGNALED(status);
}

bool tree_reap(tree *t)
{
	int status;
	size_t i;
	pid_t pid;

	if (t->only_ours) {
		while ((pid = waitpid(-1, &status, LOOK)) > 0)
			note(t, pid, status);
		return pid == 0;
	}
	tree_signal(t, 0);
	for (i = 0; i < t->direct; i++) {
		pid = t->found.at[i];
		if (waitpid(pid, &status, LOOK) == pid)
			note(t, pid, status);
	}
	return tree_signal(t, 0) > 0;
}

static void freeze(tree *t)
{
	uint64_t before = 0;
	int i;

	t->refused = 0;
	for (i = 0; i < FREEZE_WALKS; i++) {
		size_t n = tree_signal(t, SIGSTOP);
		uint64_t now = hf_hash(HF_HASH_INIT, t->found.at, n * sizeof(pid_t));

		if (i > 0 && now == before)
			return;
		before = now;
	}
}

static void pause_us(long us)
{
	struct timespec t = {.tv_nsec = us * 1000};

	nanosleep(&t, NULL);
}

bool tree_end(tree *t, int64_t give_up_ms)
{
	long us = 100;
	size_t i;

	/* A busy tree must not starve us. Refused to all but the privileged. */
	setpriority(PRIO_PROCESS, 0, -20);
	freeze(t);
	for (i = t->found.count; i > 0; i--)
		kill(t->found.at[i - 1], SIGKILL);
	while (tree_reap(t)) {
		if (hf_boot_ms() >= give_up_ms)
			return false;
		pause_us(us);
		us = us < 10000 ? 2 * us : us;
		tree_signal(t, SIGKILL);
	}
	return true;
}

pid_t tree_survivor(const tree *t)
{
	if (t->refused)
		return t->refused;
	return t->found.count > 0 ? t->found.at[0] : 0;
}
