/*
 * The five git commands of a lock made by hand, one process each, without a shell:
 *
 *	acquire	git hash-object -w --stdin	the holder as JSON
 *		git update-ref REF BLOB 0000...	only if there is none
 *	release	git rev-parse REF
 *		git cat-file blob BLOB		is it ours?
 *		git update-ref -d REF BLOB	only if it is that
 *
 *	git_commands_pair REPOSITORY COUNT
 *
 * With the expected old values, without which it would not lock at all. It has no
 * token and no history.
 */
#include "bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REF "refs/gitvan/locks/bench"
#define NOTHING "0000000000000000000000000000000000000000"
#define TEXT_MAX 1024

extern char **environ;

/* The exit code; what it printed, without the last newline, is in out. */
static int git(const char *const *arguments, const char *input, char out[TEXT_MAX])
{
	posix_spawn_file_actions_t actions;
	int to[2];
	int from[2];
	size_t len = 0;
	ssize_t n;
	pid_t pid;
	int status;

	must(!pipe2(to, O_CLOEXEC) && !pipe2(from, O_CLOEXEC), "pipes can be had");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to[0], 0);
	posix_spawn_file_actions_adddup2(&actions, from[1], 1);
	must(!posix_spawnp(&pid, "git", &actions, NULL, (char *const *)arguments, environ),
		"git can be run");
	posix_spawn_file_actions_destroy(&actions);
	close(to[0]);
	close(from[1]);
	n = write(to[1], input, strlen(input));
	must(n == (ssize_t)strlen(input), "git takes its input");
	close(to[1]);
	while ((n = read(from[0], out + len, TEXT_MAX - 1 - len)) > 0)
		len += (size_t)n;
	close(from[0]);
	if (len > 0 && out[len - 1] == '\n')
		len--;
	out[len] = '\0';
	must(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "git ends by itself");
	return WEXITSTATUS(status);
}

static int acquire(char holder[TEXT_MAX])
{
	static unsigned long number;
	const char *hash_object[] = {"git", "hash-object", "-w", "--stdin", NULL};
	char blob[TEXT_MAX];
	char out[TEXT_MAX];

	snprintf(holder, TEXT_MAX,
		"{\"id\":\"%08lx-0000-4000-8000-%012lx\",\"acquiredAt\":%lld,"
		"\"timeout\":30000,\"fingerprint\":\"bench\",\"exclusive\":true,"
		"\"pid\":%d,\"hostname\":\"bench\"}",
		(unsigned long)getpid(), ++number, (long long)time(NULL) * 1000, getpid());
	must(!git(hash_object, holder, blob), "the blob is written");
	const char *update_ref[] = {"git", "update-ref", REF, blob, NOTHING, NULL};

	return git(update_ref, "", out);
}

static void release(const char *holder)
{
	const char *rev_parse[] = {"git", "rev-parse", REF, NULL};
	char blob[TEXT_MAX];
	char found[TEXT_MAX];

	must(!git(rev_parse, "", blob), "a held lock has its ref");
	const char *cat_file[] = {"git", "cat-file", "blob", blob, NULL};
	const char *delete_ref[] = {"git", "update-ref", "-d", REF, blob, NULL};

	must(!git(cat_file, "", found) && !strcmp(found, holder), "the holder is ours");
	must(!git(delete_ref, "", found), "the ref is deleted");
}

static void pairs(long count)
{
	char holder[TEXT_MAX];

	for (; count > 0; count--) {
		must(!acquire(holder), "a free lock is had");
		release(holder);
	}
}

/* What git says to the refused one is not for the reader. */
static void assert_excludes(void)
{
	char holder[TEXT_MAX];
	char other[TEXT_MAX];
	int heard = dup(2);
	int refused;

	must(!acquire(holder), "a free lock is had");
	must(heard >= 0 && freopen("/dev/null", "w", stderr), "stderr can be put aside");
	refused = acquire(other);
	must(dup2(heard, 2) == 2 && !close(heard), "stderr can be put back");
	must(refused, "a held lock is refused");
	release(holder);
}

int main(int argc, char **argv)
{
	int64_t start_ns;
	long count;

	must(argc == 3, "usage: git_commands_pair REPOSITORY COUNT");
	count = count_from(argv[2]);
	must(!chdir(argv[1]), "the repository is there");
	assert_excludes();
	start_ns = now_ns();
	pairs(count);
	print_pair(now_ns() - start_ns, count);
	return 0;
}
