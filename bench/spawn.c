/*
 * Whole processes, in turn: A B C A B C ...
 *
 *	spawn ROUNDS --- COMMAND... [--- COMMAND...]...
 *
 * From before posix_spawn until wait4 has returned; prints the median of each as
 * c0_ns=, c1_ns=, ... What a command leaves behind (it is adopted here) has ended
 * before the next is started, so that nobody pays for his neighbour.
 */
#include "bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define COMMANDS_MAX 16
#define WARM_UP 5

extern char **environ;

static int64_t run(char **arguments, const posix_spawn_file_actions_t *actions)
{
	int64_t start_ns = now_ns();
	int64_t spent_ns;
	struct rusage usage;
	pid_t pid;
	int status;

	must(!posix_spawnp(&pid, arguments[0], actions, NULL, arguments, environ),
		arguments[0]);
	must(wait4(pid, &status, 0, &usage) == pid, "it can be waited for");
	spent_ns = now_ns() - start_ns;
	must(WIFEXITED(status) && !WEXITSTATUS(status), arguments[0]);
	while (wait4(-1, &status, 0, &usage) > 0)
		;
	return spent_ns;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Split at each "---"; how many commands. */
static size_t take_commands(char **arguments, char ***commands)
{
	size_t n = 0;

	for (; *arguments; arguments++) {
		if (strcmp(*arguments, "---") != 0)
			continue;
		must(n < COMMANDS_MAX && arguments[1], "a command follows each ---");
		*arguments = NULL;
		commands[n++] = arguments + 1;
	}
	return n;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	char **commands[COMMANDS_MAX];
	int64_t *spent_ns;
	size_t count;
	size_t i;
	long rounds;
	long round;

	must(argc > 3, "usage: spawn ROUNDS --- COMMAND... [--- COMMAND...]...");
	rounds = count_from(argv[1]);
	count = take_commands(argv + 2, commands);
	spent_ns = calloc(count * (size_t)rounds + 1, sizeof(*spent_ns));
	must(spent_ns, "there is memory");
	must(!prctl(PR_SET_CHILD_SUBREAPER, 1), "orphans can be adopted");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	for (round = -WARM_UP; round < rounds; round++) {
		for (i = 0; i < count; i++) {
			int64_t ns = run(commands[i], &actions);

			if (round >= 0)
				spent_ns[i * (size_t)rounds + (size_t)round] = ns;
		}
	}
	for (i = 0; i < count; i++) {
		int64_t *of = spent_ns + i * (size_t)rounds;

		qsort(of, (size_t)rounds, sizeof(*of), compare);
		printf("c%zu_ns=%lld ", i, (long long)of[rounds / 2]);
	}
	printf("\n");
	free(spent_ns);
	return 0;
}
