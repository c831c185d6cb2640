/*
 * Several locks at once in a libuv loop.
 *
 *	libuv URL HOLD_MS NAME...
 *
 * As poll.c; what is still waited for is given up on SIGTERM or SIGINT.
 */
#include <holdfast/holdfast.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct job {
	uv_timer_t timer; /* first: of the hold */
	struct app *app;
	hf_pending *pending;
	hf_lease *lease;
};

struct app {
	hf_manager *manager;
	uv_poll_t answers;
	uv_signal_t stop[2];
	struct job *jobs;
	int count;
	int left;
	int failed;
	uint64_t hold_ms;
};

/* Without handles that are active the loop ends. */
static void one_less(struct app *app)
{
	if (--app->left > 0)
		return;
	uv_poll_stop(&app->answers);
	uv_signal_stop(&app->stop[0]);
	uv_signal_stop(&app->stop[1]);
}

static void on_hold_over(uv_timer_t *timer)
{
	struct job *job = timer->data;

	if (hf_release(job->lease, NULL))
		printf("a lease had ended before its release\n");
	job->lease = NULL;
	one_less(job->app);
}

static void on_answers(uv_poll_t *handle, int status, int events)
{
	struct app *app = handle->data;
	hf_pending *pending;
	hf_error error;

	(void)status;
	(void)events;
	while ((pending = hf_acquire_next(app->manager))) {
		struct job *job = hf_pending_arg(pending);

		job->pending = NULL;
		if (hf_acquire_finish(pending, &job->lease, &error)) {
			printf("%s\n", error.text);
			app->failed++;
			one_less(app);
			continue;
		}
		printf("%s: token %" PRIu64 "\n", hf_lease_name(job->lease),
			hf_lease_token(job->lease));
		fflush(stdout);
		uv_timer_start(&job->timer, on_hold_over, app->hold_ms, 0);
	}
}

static void on_stop(uv_signal_t *handle, int number)
{
	struct app *app = handle->data;
	int i;

	(void)number;
	for (i = 0; i < app->count; i++) {
		struct job *job = &app->jobs[i];

		if (!job->pending)
			continue;
		printf("%s: given up\n", hf_pending_name(job->pending));
		hf_acquire_cancel(job->pending); /* returns at once */
		job->pending = NULL;
		app->failed++;
		one_less(app);
	}
}

static void start(struct app *app, uv_loop_t *loop, char **names)
{
	hf_error error;
	int i;

	for (i = 0; i < app->count; i++) {
		struct job *job = &app->jobs[i];

		job->app = app;
		job->timer.data = job;
		uv_timer_init(loop, &job->timer);
		if (!hf_acquire_start(
			    app->manager, names[i], NULL, job, &job->pending, &error)) {
			app->left++;
			continue;
		}
		fprintf(stderr, "%s\n", error.text);
		app->failed++;
	}
}

int main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	struct app app = {.count = argc - 3};
	hf_error error;

	if (argc < 4) {
		fprintf(stderr, "usage: %s URL HOLD_MS NAME...\n", argv[0]);
		return 64;
	}
	app.hold_ms = (uint64_t)atoll(argv[2]);
	app.jobs = calloc((size_t)app.count, sizeof(*app.jobs));
	if (!app.jobs || hf_open(argv[1], NULL, &app.manager, &error)) {
		fprintf(stderr, "%s\n", app.jobs ? error.text : "no memory");
		free(app.jobs);
		return 71;
	}
	app.answers.data = app.stop[0].data = app.stop[1].data = &app;
	uv_poll_init(loop, &app.answers, hf_acquire_fd(app.manager));
	uv_signal_init(loop, &app.stop[0]);
	uv_signal_init(loop, &app.stop[1]);
	app.left = 1; /* until all are started */
	start(&app, loop, argv + 3);
	uv_poll_start(&app.answers, UV_READABLE, on_answers);
	uv_signal_start(&app.stop[0], on_stop, SIGTERM);
	uv_signal_start(&app.stop[1], on_stop, SIGINT);
	one_less(&app);
	uv_run(loop, UV_RUN_DEFAULT);
	hf_close(app.manager);
	free(app.jobs);
	return app.failed ? 1 : 0;
}
