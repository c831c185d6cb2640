/*
 * Several locks at once in one thread, with poll().
 *
 *	poll URL HOLD_MS NAME...
 *
 * Asks for all names at once and works HOLD_MS under each as it is had, in any order. A
 * line on stdin gives up what is still waited for. Exits with 1 then.
 */
#include <holdfast/holdfast.h>

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct job {
	hf_pending *pending; /* NULL: answered, or given up */
	hf_lease *lease; /* NULL: not held */
	int64_t until_ms; /* held until then */
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Everybody who has an answer. */
static int take_answers(hf_manager *manager, int64_t hold_ms)
{
	int failed = 0;
	hf_pending *pending;
	hf_error error;

	while ((pending = hf_acquire_next(manager))) {
		struct job *job = hf_pending_arg(pending);
		hf_status status = hf_acquire_finish(pending, &job->lease, &error);

		job->pending = NULL;
		job->until_ms = now_ms() + hold_ms;
		if (status) {
			printf("%s\n", error.text);
			failed++;
			continue;
		}
		printf("%s: token %" PRIu64 "\n", hf_lease_name(job->lease),
			hf_lease_token(job->lease));
	}
	fflush(stdout);
	return failed;
}

/* Release what is done; how long until the next is, -1: nothing is held. */
static int release_done(struct job *jobs, int count, int *left_out)
{
	int64_t next_ms = -1;
	int i;

	*left_out = 0;
	for (i = 0; i < count; i++) {
		struct job *job = &jobs[i];
		int64_t left_ms = job->until_ms - now_ms();

		if (job->lease && left_ms <= 0) {
			/* HF_LOST: what was done under it may have been disturbed. */
			if (hf_release(job->lease, NULL))
				printf("a lease had ended before its release\n");
			job->lease = NULL;
		}
		if (job->lease && (next_ms < 0 || left_ms < next_ms))
			next_ms = left_ms;
		*left_out += job->lease || job->pending;
	}
	return (int)next_ms;
}

static int give_up(struct job *jobs, int count)
{
	int given_up = 0;
	int i;

	for (i = 0; i < count; i++) {
		if (!jobs[i].pending)
			continue;
		printf("%s: given up\n", hf_pending_name(jobs[i].pending));
		hf_acquire_cancel(jobs[i].pending);
		jobs[i].pending = NULL;
		given_up++;
	}
	return given_up;
}

static int loop(hf_manager *manager, struct job *jobs, int count, int64_t hold_ms)
{
	struct pollfd fds[2] = {{.fd = hf_acquire_fd(manager), .events = POLLIN},
		{.fd = STDIN_FILENO, .events = POLLIN}};
	int failed = 0;
	char line[64];
	int wait_ms;
	int left;

	while (wait_ms = release_done(jobs, count, &left), left > 0) {
		if (poll(fds, 2, wait_ms) < 0)
			continue;
		if (fds[0].revents)
			failed += take_answers(manager, hold_ms);
		if (fds[1].revents) {
			if (read(STDIN_FILENO, line, sizeof(line)) > 0)
				failed += give_up(jobs, count);
			else
				fds[1].fd = -1;
		}
	}
	return failed;
}

int main(int argc, char **argv)
{
	int count = argc - 3;
	struct job *jobs;
	hf_manager *manager;
	hf_error error;
	int failed = 0;
	int i;

	if (argc < 4) {
		fprintf(stderr, "usage: %s URL HOLD_MS NAME...\n", argv[0]);
		return 64;
	}
	jobs = calloc((size_t)count, sizeof(*jobs));
	if (!jobs || hf_open(argv[1], NULL, &manager, &error)) {
		fprintf(stderr, "%s\n", jobs ? error.text : "no memory");
		free(jobs);
		return 71;
	}
	for (i = 0; i < count; i++) {
		if (!hf_acquire_start(
			    manager, argv[3 + i], NULL, &jobs[i], &jobs[i].pending, &error))
			continue;
		fprintf(stderr, "%s\n", error.text);
		failed++;
	}
	failed += loop(manager, jobs, count, atoll(argv[2]));
	hf_close(manager);
	free(jobs);
	return failed ? 1 : 0;
}
