#include "world.h"

#include "../scale.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

world under_test;

unsigned world_scaled(unsigned rounds)
{
	return test_rounds(rounds, 1);
}

void world_command(const char *const argv[])
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("%s %s: status %d", argv[0], argv[1], status);
}

static void path_in(char *out, size_t cap, const char *rest)
{
	snprintf(out, cap, "%s/%s", under_test.dir, rest);
}

static hf_manager *anchor;

void world_make(const char *kind)
{
	world *w = &under_test;
	const char *tmp = getenv("TMPDIR");
	char repo[300];

	w->kind = kind;
	snprintf(w->dir, sizeof(w->dir), "%s/holdfast-test-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(w->dir)) {
		perror(w->dir);
		exit(2);
	}
	w->processes = strcmp(kind, "memory") != 0;
	w->detached = strcmp(kind, "flock") != 0;
	path_in(repo, sizeof(repo), "repo");
	if (!strcmp(kind, "memory")) {
		snprintf(w->url, sizeof(w->url), "memory:conformance");
	} else if (!strcmp(kind, "file")) {
		snprintf(w->url, sizeof(w->url), "file:%s", repo);
	} else if (!strcmp(kind, "flock")) {
		snprintf(w->url, sizeof(w->url), "file:%s?layout=flock", repo);
	} else {
		const char *const init[] = {"git", "init", "-q", repo, NULL};

		world_command(init);
		snprintf(w->url, sizeof(w->url), "git:%s%s", repo,
			!strcmp(kind, "git-blob") ? "?layout=blob" : "");
	}
	path_in(repo, sizeof(repo), "run");
	mkdir(repo, 0700);
	/* A space in memory lasts as long as somebody has it open. */
	if (!w->processes)
		anchor = world_open();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void world_remove(void)
{
	hf_close(anchor);
	nftw(under_test.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

hf_manager *world_open(void)
{
	hf_open_options options = HF_OPEN_OPTIONS_INIT;
	char state[300];
	char runtime[300];
	hf_manager *m = NULL;
	hf_error error;

	path_in(state, sizeof(state), "state");
	path_in(runtime, sizeof(runtime), "run");
	options.module_dir = getenv("HF_TEST_MODULES");
	options.state_dir = state;
	options.runtime_dir = runtime;
	if (hf_open(under_test.url, &options, &m, &error))
		fail_msg("cannot open %s: %s", under_test.url, error.text);
	return m;
}

hf_manager *world_open_if(bool has)
{
	if (!has)
		skip();
	return world_open();
}

register_under_test world_register(void)
{
	register_under_test r = {.ops = NULL};
	hf_store_env env = {.patience_ms = 2000};
	hf_url_parts parts;
	hf_error error;

	if (hf_url_parse(under_test.url, &parts, &error))
		fail_msg("%s", error.text);
	r.ops = hf_store_find(parts.url.scheme, getenv("HF_TEST_MODULES"), &error);
	if (!r.ops || r.ops->open(&parts.url, &env, &r.store, &error))
		fail_msg("%s", error.text);
	hf_url_parts_clear(&parts);
	return r;
}

void world_register_close(register_under_test *r)
{
	r->ops->close(r->store);
}

void world_register_needs(register_under_test *r, bool has)
{
	if (has)
		return;
	world_register_close(r);
	skip();
}

bool world_record_has(const char *name, const char *text)
{
	register_under_test r = world_register();
	hf_snapshot s;
	hf_error error;
	bool has;

	memset(&s, 0, sizeof(s));
	if (r.ops->read(r.store, name, &s, &error))
		fail_msg("%s", error.text);
	assert_non_null(s.data);
	has = strstr(s.data, text) != NULL;
	hf_snapshot_clear(&s);
	world_register_close(&r);
	return has;
}

/* Overwrite the middle of a file, and all of its second half. */
static void scribble(const char *path)
{
	static const char junk[64] = "this is not what was written here before, is it?";
	struct stat st;
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	off_t at;

	if (fd < 0 || fstat(fd, &st))
		fail_msg("%s: %s", path, strerror(errno));
	for (at = 8; at < st.st_size; at += 64)
		assert_true(pwrite(fd, junk, sizeof(junk), at) > 0);
	close(fd);
}

void world_put_record(const char *name, const char *text)
{
	register_under_test r = world_register();
	hf_event_text event = {"test", "test"};
	hf_public_view view = {.held = 0};
	hf_change change = {.data = text, .len = strlen(text), .event = &event};
	hf_snapshot before;
	hf_snapshot reply;
	hf_error error;

	memset(&before, 0, sizeof(before));
	memset(&reply, 0, sizeof(reply));
	if (r.ops->capabilities(r.store) & HF_CAP_NEIGHBOURS)
		change.view = &view;
	if (r.ops->read(r.store, name, &before, &error) ||
		r.ops->swap(r.store, name, &before.etag, &change, &reply, &error))
		fail_msg("%s: %s", name, error.text);
	hf_snapshot_clear(&before);
	hf_snapshot_clear(&reply);
	world_register_close(&r);
}

void world_damage(const char *name)
{
	char escaped[256];
	char path[1024];

	hf_name_escape(name, 150, escaped);
	if (!strcmp(under_test.kind, "file")) {
		snprintf(path, sizeof(path), "%s/repo/%s.lock", under_test.dir, escaped);
		scribble(path);
	} else if (!strcmp(under_test.kind, "flock")) {
		snprintf(path, sizeof(path), "%s/repo/.holdfast/%s.lock", under_test.dir,
			escaped);
		scribble(path);
	} else if (!strncmp(under_test.kind, "git", 3)) {
		char ref[400];
		char command[2048];
		const char *const argv[] = {"sh", "-c", command, NULL};

		snprintf(ref, sizeof(ref), "refs/%s/locks/%s",
			!strcmp(under_test.kind, "git-blob") ? "gitvan" : "holdfast", escaped);
		snprintf(path, sizeof(path), "%s/repo", under_test.dir);
		snprintf(command, sizeof(command),
			"cd '%s' && git update-ref '%s' $(echo garbage | git hash-object -w "
			"--stdin)",
			path, ref);
		world_command(argv);
	}
}

static long file_count;
static int64_t block_count;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	file_count++;
	/* A folder's own blocks stay as they were at its fullest, on ext4. */
	if (type == FTW_F)
		block_count += st->st_blocks;
	return 0;
}

long world_files(void)
{
	char path[300];

	if (!under_test.processes)
		return -1;
	path_in(path, sizeof(path), "repo");
	file_count = 0;
	nftw(path, count_one, 16, FTW_PHYS);
	return file_count;
}

int64_t world_bytes(void)
{
	block_count = 0;
	(void)world_files();
	return block_count * 512;
}

int world_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

const char *world_name(const char *hint)
{
	static char name[128];
	static unsigned number;

	snprintf(name, sizeof(name), "%s-%d-%u", hint, (int)getpid(), number++);
	return name;
}

/* ---- processes ---- */

void *world_shared(size_t size)
{
	void *page =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(page != MAP_FAILED);
	return page;
}

pid_t world_spawn(world_fn fn, int i, void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		/* What fails here must end here, not run the tests that follow. */
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		_exit(fn(i, arg) & 0xff);
	}
	return pid;
}

int world_wait(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

struct thread_call {
	world_fn fn;
	int i;
	void *arg;
	int result;
};

static void *thread_main(void *arg)
{
	struct thread_call *call = arg;

	call->result = call->fn(call->i, call->arg);
	return NULL;
}

static void run_threads(int n, world_fn fn, void *arg)
{
	pthread_t threads[64];
	struct thread_call calls[64];
	int i;

	for (i = 0; i < n; i++) {
		calls[i] = (struct thread_call){.fn = fn, .i = i, .arg = arg};
		assert_int_equal(pthread_create(&threads[i], NULL, thread_main, &calls[i]), 0);
	}
	for (i = 0; i < n; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(calls[i].result, 0);
	}
}

void world_run(int n, world_fn fn, void *arg, unsigned seconds)
{
	int64_t deadline_ms = hf_boot_ms() + (int64_t)seconds * 1000;
	pid_t pids[64];
	bool failed = false;
	int left = n;
	int i;

	assert_true(n <= 64);
	if (!under_test.processes) {
		run_threads(n, fn, arg);
		return;
	}
	for (i = 0; i < n; i++)
		pids[i] = world_spawn(fn, i, arg);
	while (left > 0 && hf_boot_ms() < deadline_ms) {
		for (i = 0; i < n; i++) {
			int status;

			if (pids[i] && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
				if (status) {
					print_message(
						"process %d of %d: status %#x\n", i, n, status);
					failed = true;
				}
				pids[i] = 0;
				left--;
			}
		}
		usleep(2000);
	}
	for (i = 0; i < n; i++) {
		if (!pids[i])
			continue;
		print_message("process %d of %d did not end in time\n", i, n);
		failed = true;
		kill(pids[i], SIGKILL);
		world_wait(pids[i]);
	}
	assert_false(failed);
}
