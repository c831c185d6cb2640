/*
 * A writer stopped at any instruction, for longer than others have patience.
 *
 * Once for each of its system calls, before and after it: it is held there,
 * another takes its turn, goes on, and then it is let go. What it was told
 * must be true, what the other did must stand, and the ref must show it.
 */
#include "git_helper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define STOPS_MAX 1000
#define PATIENCE "patience=20ms"

enum deed { ACQUIRE, RENEW, RELEASE };

static const char *layout;

typedef struct told {
	bool answered;
	hf_status status;
	char text[384];
} told;

static told *victim_told;
static enum deed victim_deed;

static int begin(void **state)
{
	(void)state;
	repo_make();
	return 0;
}

static hf_store *open_it(void)
{
	char options[64];

	snprintf(options, sizeof(options), "?layout=%s&%s", layout, PATIENCE);
	return store_open("repo", options);
}

/* Swap over `over`, with `id` as holder (NULL: free). */
static hf_status do_swap(hf_store *s, const char *record, const char *event, const char *id,
	const hf_etag *over, hf_error *error)
{
	/* Each another metadata blob, also within one millisecond. */
	static int64_t ttl_ms = 60000;
	hf_public_view view = id ? view_of(id, ttl_ms++) : (hf_public_view){.held = 0};

	return put_over(s, "deploy", over, record, event, &view, error);
}

static int victim(void *arg)
{
	hf_store *s = open_it();
	hf_snapshot snap = look(s, "deploy");
	hf_error error = {.kind = HF_OK};
	hf_status st;

	(void)arg;
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	raise(SIGSTOP);
	if (victim_deed == ACQUIRE)
		st = do_swap(s, "victim", "victim", "victim", &snap.etag, &error);
	else if (victim_deed == RENEW)
		st = do_swap(s, "victim", NULL, "holder", &snap.etag, &error);
	else
		st = do_swap(s, "victim", "victim", NULL, &snap.etag, &error);
	victim_told->answered = true;
	victim_told->status = st;
	hf_copy(victim_told->text, sizeof(victim_told->text), error.text);
	return 0;
}

/* Let it run to its n-th stop at a system call. False: it ended before. */
static bool run_to(pid_t pid, unsigned n)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD);
	while (n-- > 0) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			return false;
	}
	return true;
}

static unsigned count_in(const char *lines, const char *word)
{
	unsigned count = 0;

	for (; (lines = strstr(lines, word)); lines += strlen(word))
		count++;
	return count;
}

static void ref_shows(const char *id)
{
	const char *ref = !strcmp(layout, "blob") ? "refs/gitvan/locks/deploy"
						  : "refs/holdfast/locks/deploy";

	if (strcmp(layout, "blob"))
		assert_int_equal(sh_code("git -C repo rev-parse -q --verify %s", ref), 0);
	else if (id)
		assert_non_null(strstr(sh_out("git -C repo cat-file blob %s", ref), id));
	else
		assert_int_not_equal(sh_code("git -C repo rev-parse -q --verify %s", ref), 0);
}

/* One run; false: the victim has no n-th stop. */
static bool stopped_at(unsigned n)
{
	hf_store *s = open_it();
	hf_snapshot snap;
	hf_error error = {.kind = HF_OK};
	const char *lines;
	bool victims;
	bool seen;
	int status;
	pid_t pid;

	sh("rm -rf repo/.git/refs/holdfast repo/.git/refs/gitvan repo/.git/holdfast");
	snap = look(s, "deploy");
	assert_int_equal(do_swap(s, "begin", "begin", victim_deed == ACQUIRE ? NULL : "holder",
				 &snap.etag, &error),
		HF_OK);
	snap_clear(&snap);
	memset(victim_told, 0, sizeof(*victim_told));
	pid = scratch_fork(victim, NULL);
	if (!run_to(pid, n)) {
		if (!victim_told->answered || victim_told->status)
			fail_msg("left alone, it was told: %s", victim_told->text);
		ops->close(s);
		return false;
	}
	/* Another has its turn, and leaves the lock in the other state. */
	snap = look(s, "deploy");
	seen = !strcmp(snap.data, "victim");
	status = (int)do_swap(s, "after", "after", victim_deed == RELEASE ? "after" : NULL,
		&snap.etag, &error);
	/* It may have read the state before the victim's swap landed. */
	if (status == HF_CHANGED) {
		snap_clear(&snap);
		snap = look(s, "deploy");
		seen = !strcmp(snap.data, "victim");
		status = (int)do_swap(s, "after", "after",
			victim_deed == RELEASE ? "after" : NULL, &snap.etag, &error);
	}
	if (status)
		fail_msg("stop %u: the other was told: %s", n, error.text);
	snap_clear(&snap);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	assert_int_equal(scratch_wait(pid), 0);
	lines = history_of(s, "deploy");
	victims = victim_deed == RENEW ? seen : count_in(lines, "victim") == 1;
	if (count_in(lines, "after") != 1 || count_in(lines, "begin") != 1 ||
		count_in(lines, "victim") > 1 || strncmp(lines, "after", 5) ||
		victims != seen || (victim_told->status == HF_OK && !victims) ||
		(victim_told->status != HF_OK && victim_told->status != HF_UNKNOWN && victims))
		fail_msg("stop %u: told %s (%s), seen %d, history: %s", n,
			victim_told->status == HF_OK ? "ok" : "no", victim_told->text, seen,
			lines);
	assert_string_equal(record_of(s, "deploy"), "after");
	ref_shows(victim_deed == RELEASE ? "after" : NULL);
	/* Nothing is in anybody's way. */
	put(s, "deploy", "end", "end");
	ref_shows(NULL);
	assert_string_equal(sh_out("find repo/.git -name '*.lock' -o -name '*.dead'"), "");
	ops->close(s);
	return true;
}

static void sweep(const char *which, enum deed deed)
{
	unsigned ended = 0;
	unsigned n;

	layout = which;
	victim_deed = deed;
	victim_told = scratch_shared(sizeof(*victim_told));
	/* A folder to be made more or less: not all runs have as many calls. */
	for (n = 1; n < STOPS_MAX && ended < 4; n++)
		ended += !stopped_at(n);
	print_message("# stopped at %u places\n", n - ended - 1);
	assert_true(n > 10 && n < STOPS_MAX);
	repo_check();
}

static void stopped__in_acquire_of_a_branch(void **state)
{
	(void)state;
	sweep("history", ACQUIRE);
}

static void stopped__in_release_of_a_branch(void **state)
{
	(void)state;
	sweep("history", RELEASE);
}

static void stopped__in_renew_of_a_branch(void **state)
{
	(void)state;
	sweep("history", RENEW);
}

static void stopped__in_acquire_of_a_blob(void **state)
{
	(void)state;
	sweep("blob", ACQUIRE);
}

static void stopped__in_renew_of_a_blob(void **state)
{
	(void)state;
	sweep("blob", RENEW);
}

static void stopped__in_release_of_a_blob(void **state)
{
	(void)state;
	sweep("blob", RELEASE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, scratch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(stopped__in_acquire_of_a_branch),
		T(stopped__in_release_of_a_branch),
		T(stopped__in_renew_of_a_branch),
		T(stopped__in_acquire_of_a_blob),
		T(stopped__in_renew_of_a_blob),
		T(stopped__in_release_of_a_blob),
	};

	cmocka_set_test_filter(getenv("HF_TEST_FILTER"));
	return cmocka_run_group_tests_name("git stopped", tests, NULL, NULL);
}
