/*
 * sweep KIND: what a death or a refused system call leaves behind.
 *
 * A victim process acquires, renews, releases or passes a fence while its system calls are
 * counted (ptrace). One run for each n: it is killed with SIGKILL right before
 * its n-th call (so after its (n-1)-th), or its n-th call is refused with an
 * errno. Then the next contender must get in at once, with a greater token,
 * and find nothing torn; and what the victim was told must have been true.
 */
#include "../conformance/world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARK_BEGIN 0x48464201
#define MARK_END 0x48464202
#define CALLS_MAX 3000

enum operation { OP_ACQUIRE, OP_RENEW, OP_RELEASE, OP_FIRST, OP_FENCE };

static const char *const operation_names[] = {
	"acquire", "renew", "release", "first acquire", "fence"};

/* What the victim tells us, in shared memory: it may be dead when we look. */
struct testimony {
	uint64_t token; /* the last that an acquire returned; OP_FENCE: seen before */
	bool answered; /* the operation under test returned ... */
	hf_status status; /* ... this */
	char text[384];
};

static struct testimony *told;
static const char *lock_name;

/* A system call that does nothing and that the tracer knows by its argument. */
static void mark(long what)
{
	syscall(SYS_kill, 0x7fffffff, what);
}

/* The fence has seen told->token and is shown one that is greater. */
static int fence_victim(void)
{
	hf_manager *m = world_open();
	hf_error error = {.kind = HF_OK};

	if (hf_fence_admit(m, lock_name, told->token, NULL, &error))
		return 1;
	mark(MARK_BEGIN);
	told->status = hf_fence_admit(m, lock_name, told->token + 5, NULL, &error);
	if (told->status)
		hf_copy(told->text, sizeof(told->text), error.text);
	told->answered = true;
	mark(MARK_END);
	pause();
	return 0;
}

static int victim(enum operation op)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = op == OP_FIRST ? NULL : world_open();
	hf_lease *lease = NULL;
	hf_error error = {.kind = HF_OK};
	hf_status st = HF_OK;

	options.ttl_ms = 600000;
	if (op == OP_FIRST) {
		/* A name never used, by a process that has not opened the store. */
		mark(MARK_BEGIN);
		m = world_open();
		op = OP_ACQUIRE;
	} else if (op != OP_ACQUIRE) {
		st = hf_acquire(m, lock_name, &options, &lease, &error);
		if (st)
			return 1;
		told->token = hf_lease_token(lease);
	} else {
		/* The place in the process is warm: what counts is the change. */
		st = hf_acquire(m, lock_name, &options, &lease, &error);
		if (st || hf_release(lease, &error))
			return 1;
	}
	mark(MARK_BEGIN); /* a second one does nothing */
	if (op == OP_ACQUIRE)
		st = hf_acquire(m, lock_name, &options, &lease, &error);
	else if (op == OP_RENEW)
		st = hf_extend(lease, 0, &error);
	else
		st = hf_release(lease, &error);
	told->status = st;
	if (st)
		hf_copy(told->text, sizeof(told->text), error.text);
	if (!st && op == OP_ACQUIRE)
		told->token = hf_lease_token(lease);
	told->answered = true;
	mark(MARK_END);
	/* A living holder: what it was told is compared with what is there. */
	pause();
	return 0;
}

static pid_t start_victim(enum operation op)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(op == OP_FENCE ? fence_victim() : victim(op));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	ptrace(PTRACE_SETOPTIONS, pid, NULL,
		(void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	return pid;
}

/* Run to the next entry or exit of a system call; false: it has ended. */
static bool next_stop(pid_t pid, struct user_regs_struct *regs)
{
	int deliver = 0;

	for (;;) {
		int status;

		ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)deliver);
		if (waitpid(pid, &status, 0) != pid || WIFEXITED(status) || WIFSIGNALED(status))
			return false;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			ptrace(PTRACE_GETREGS, pid, NULL, regs);
			return true;
		}
		deliver = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
	}
}

static bool is_mark(const struct user_regs_struct *regs, long what)
{
	return regs->orig_rax == SYS_kill && regs->rdi == 0x7fffffff &&
	       regs->rsi == (unsigned long long)what;
}

/* Calls whose failure a program must expect; refusing others proves nothing. */
static bool may_fail(unsigned long call, int error)
{
	switch (call) {
	case SYS_openat:
	case SYS_open:
	case SYS_mkdir:
	case SYS_link:
	case SYS_linkat:
	case SYS_rename:
	case SYS_renameat2:
		return true;
	case SYS_write:
	case SYS_pwrite64:
	case SYS_fallocate:
	case SYS_ftruncate:
		return true;
	case SYS_read:
	case SYS_pread64:
	case SYS_fsync:
	case SYS_fdatasync:
		return error == EIO;
	case SYS_fcntl:
		return error == EIO; /* a lock that cannot be had */
	default:
		return false;
	}
}

/*
 * Run the victim; at the n-th call of the operation kill it (refuse == 0) or
 * refuse the call. Returns false when the operation has fewer calls. A refused
 * victim is left paused and running, *pid_out says which.
 */
static bool run_victim(enum operation op, int n, int refuse, pid_t *pid_out)
{
	struct user_regs_struct regs;
	pid_t pid = start_victim(op);
	bool entering = true;
	bool inside = false;
	bool hit = false;
	int count = 0;

	*pid_out = 0;
	while (next_stop(pid, &regs)) {
		if (entering && is_mark(&regs, MARK_BEGIN)) {
			inside = true;
		} else if (entering && is_mark(&regs, MARK_END)) {
			break;
		} else if (entering && inside && ++count == n) {
			hit = true;
			if (!refuse)
				break;
			if (may_fail(regs.orig_rax, refuse)) {
				regs.orig_rax = (unsigned long long)-1;
				ptrace(PTRACE_SETREGS, pid, NULL, &regs);
				if (!next_stop(pid, &regs))
					break;
				regs.rax = (unsigned long long)-refuse;
				ptrace(PTRACE_SETREGS, pid, NULL, &regs);
				continue; /* that was its exit */
			}
		}
		entering = !entering;
	}
	if (!refuse || !hit) {
		kill(pid, SIGKILL);
		world_wait(pid);
		return hit;
	}
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	*pid_out = pid;
	return true;
}

static int ignore_event(void *arg, const hf_event *event)
{
	(void)event;
	(*(unsigned *)arg)++;
	return 0;
}

/* After the victim's death: readable, free at once, tokens above. */
static void check_next(const char *when)
{
	hf_acquire_options options = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = world_open();
	hf_lock_info *info;
	hf_lease *lease;
	hf_error error;
	unsigned events = 0;

	if (hf_lock_status(m, lock_name, &info, &error))
		fail_msg("%s: status: %s", when, error.text);
	if (info->state)
		fail_msg("%s: torn: %s", when, info->problem);
	hf_lock_info_free(info);
	options.wait_ms = 4000;
	if (hf_acquire(m, lock_name, &options, &lease, &error))
		fail_msg("%s: the next contender: %s", when, error.text);
	if (hf_lease_token(lease) <= told->token)
		fail_msg("%s: token %llu after %llu", when,
			(unsigned long long)hf_lease_token(lease),
			(unsigned long long)told->token);
	if (hf_release(lease, &error))
		fail_msg("%s: release: %s", when, error.text);
	if (hf_history(m, lock_name, 0, ignore_event, &events, &error))
		fail_msg("%s: history: %s", when, error.text);
	assert_true(events > 0);
	hf_close(m);
}

/* One of the two, what it was told is true, and the next guest is judged by it. */
static void check_fence(const char *when)
{
	hf_manager *m = world_open();
	bool failed = told->answered && told->status && told->status != HF_UNKNOWN;
	uint64_t seen;
	hf_error error;

	if (hf_fence_seen(m, lock_name, &seen, &error))
		fail_msg("%s: %s", when, error.text);
	if (seen != told->token + 5 &&
		(seen != told->token || (told->answered && !told->status)))
		fail_msg("%s: %llu was seen, not %llu", when, (unsigned long long)seen,
			(unsigned long long)told->token + 5);
	if (failed && (seen != told->token || strlen(told->text) < 10))
		fail_msg("%s: it was told '%s' (%s) and was seen all the same", when,
			hf_status_name(told->status), told->text);
	if (hf_fence_admit(m, lock_name, seen - 1, NULL, &error) != HF_FENCED)
		fail_msg("%s: a smaller token was admitted", when);
	if (hf_fence_admit(m, lock_name, told->token + 6, NULL, &error))
		fail_msg("%s: the next guest: %s", when, error.text);
	if (hf_fence_admit(m, lock_name, told->token + 5, NULL, &error) != HF_FENCED)
		fail_msg("%s: the one before the next was admitted after it", when);
	hf_close(m);
}

/* The victim lives and was told something: is it true? */
static void check_testimony(enum operation op, const char *when)
{
	hf_manager *m = world_open();
	hf_lock_info *info;
	hf_error error;

	if (hf_lock_status(m, lock_name, &info, &error))
		fail_msg("%s: status: %s", when, error.text);
	if (info->state)
		fail_msg("%s: torn: %s", when, info->problem);
	if (op == OP_ACQUIRE && told->status == HF_OK)
		assert_int_equal(info->holder_count, 1);
	if (op == OP_ACQUIRE && told->status && told->status != HF_UNKNOWN &&
		info->holder_count != 0)
		fail_msg("%s: it was told '%s' (%s) and is in all the same", when,
			hf_status_name(told->status), told->text);
	if (op == OP_RELEASE && told->status == HF_OK)
		assert_int_equal(info->holder_count, 0);
	if (op == OP_RENEW)
		assert_int_equal(info->holder_count, 1);
	if (told->status && strlen(told->text) < 10)
		fail_msg("%s: refused without a reason", when);
	hf_lock_info_free(info);
	hf_close(m);
}

static void sweep(enum operation op, int refuse)
{
	char when[96];
	long files = 0;
	int n;

	lock_name = world_name(operation_names[op]);
	for (n = 1; n < CALLS_MAX; n++) {
		pid_t pid;
		bool hit;

		if (op == OP_FIRST)
			lock_name = world_name("first/name");
		memset(told, 0, sizeof(*told));
		if (op == OP_FENCE)
			told->token = 10 * (uint64_t)n;
		hit = run_victim(op, n, refuse, &pid);
		snprintf(when, sizeof(when), "%s, %s before call %d", operation_names[op],
			refuse ? strerror(refuse) : "killed", n);
		if (pid) {
			int64_t until_ms = hf_boot_ms() + 20000;

			while (!told->answered && hf_boot_ms() < until_ms)
				usleep(300);
			if (!told->answered)
				fail_msg("%s: no answer within 20 s", when);
			if (op != OP_FENCE)
				check_testimony(op, when);
			kill(pid, SIGKILL);
			world_wait(pid);
		}
		if (op == OP_FENCE)
			check_fence(when);
		else
			check_next(when);
		if (!hit)
			break;
		if (n == 2)
			files = world_files();
	}
	assert_true(n > 3 && n < CALLS_MAX);
	print_message("# %s: %d system calls, each %s once\n", operation_names[op], n - 1,
		refuse ? strerror(refuse) : "killed at");
	/*
	 * Left-overs are cleared by the next: what may have grown is the history
	 * (some objects or lines for each of the rounds).
	 */
	if (op != OP_FIRST && files > 0 && world_files() > files + 24L * n + 60)
		fail_msg("%ld files after %ld: left-overs pile up", world_files(), files);
}

static void sweep__killed_before_each_call_of_acquire(void **state)
{
	(void)state;
	sweep(OP_ACQUIRE, 0);
}

static void sweep__killed_before_each_call_of_a_first_acquire(void **state)
{
	(void)state;
	sweep(OP_FIRST, 0);
}

static void sweep__killed_before_each_call_of_renew(void **state)
{
	(void)state;
	sweep(OP_RENEW, 0);
}

static void sweep__killed_before_each_call_of_release(void **state)
{
	(void)state;
	sweep(OP_RELEASE, 0);
}

static void sweep__each_call_of_acquire_refused_for_a_full_disk(void **state)
{
	(void)state;
	sweep(OP_ACQUIRE, ENOSPC);
}

static void sweep__each_call_of_release_refused_for_a_full_disk(void **state)
{
	(void)state;
	sweep(OP_RELEASE, ENOSPC);
}

static void sweep__each_call_of_acquire_refused_for_a_broken_disk(void **state)
{
	(void)state;
	sweep(OP_ACQUIRE, EIO);
}

static void sweep__each_call_of_renew_refused_for_a_broken_disk(void **state)
{
	(void)state;
	sweep(OP_RENEW, EIO);
}

static void sweep__killed_before_each_call_of_a_fence(void **state)
{
	(void)state;
	sweep(OP_FENCE, 0);
}

static void sweep__each_call_of_a_fence_refused_for_a_full_disk(void **state)
{
	(void)state;
	sweep(OP_FENCE, ENOSPC);
}

static void sweep__each_call_of_a_fence_refused_for_a_broken_disk(void **state)
{
	(void)state;
	sweep(OP_FENCE, EIO);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sweep__killed_before_each_call_of_acquire),
		cmocka_unit_test(sweep__killed_before_each_call_of_a_first_acquire),
		cmocka_unit_test(sweep__killed_before_each_call_of_renew),
		cmocka_unit_test(sweep__killed_before_each_call_of_release),
		cmocka_unit_test(sweep__each_call_of_acquire_refused_for_a_full_disk),
		cmocka_unit_test(sweep__each_call_of_release_refused_for_a_full_disk),
		cmocka_unit_test(sweep__each_call_of_acquire_refused_for_a_broken_disk),
		cmocka_unit_test(sweep__each_call_of_renew_refused_for_a_broken_disk),
		cmocka_unit_test(sweep__killed_before_each_call_of_a_fence),
		cmocka_unit_test(sweep__each_call_of_a_fence_refused_for_a_full_disk),
		cmocka_unit_test(sweep__each_call_of_a_fence_refused_for_a_broken_disk),
	};
	int failed;

	if (argc < 2) {
		fprintf(stderr, "usage: %s file|git-history|git-blob [FILTER]\n", argv[0]);
		return 2;
	}
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	world_make(argv[1]);
	told = world_shared(sizeof(*told));
	failed = cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
	world_remove();
	if (failed)
		fprintf(stderr, "again: %s %s '*part of the test name*'\n", argv[0], argv[1]);
	return failed ? 1 : 0;
}
