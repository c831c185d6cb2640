/* top: a live screen of the locks of a store. */
#include "top.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SHARE 10 /* a look takes at most so much less time than the pause after it */

struct top {
	const cli_options *options;
	hf_manager *manager;
	top_look look;
	top_view view;
	int64_t next_ms; /* when to look again */
};

/* At the store; what it said before stays shown if it cannot be read. */
static hf_status look(struct top *t, hf_error *error)
{
	int64_t start_ms = hf_boot_ms();
	hf_status st = top_look_again(t->manager, &t->look, error);
	int64_t end_ms = hf_boot_ms();
	int64_t pause_ms = SHARE * (end_ms - start_ms);

	t->view.problem[0] = '\0';
	if (st)
		hf_copy(t->view.problem, sizeof(t->view.problem), error->text);
	if (pause_ms < t->options->interval_ms)
		pause_ms = t->options->interval_ms;
	t->next_ms = end_ms + pause_ms;
	return st;
}

static bool draw(struct top *t)
{
	hf_buf frame = HF_BUF_INIT;
	bool ok;

	top_frame(&frame, &t->look, &t->view);
	ok = cli_write(&frame);
	hf_buf_free(&frame);
	return ok;
}

static int once(struct top *t)
{
	hf_error error;
	hf_status st = look(t, &error);
	size_t lines;

	if (!st && t->options->interval_set) {
		hf_sleep_until_ms(t->next_ms);
		st = look(t, &error);
	}
	if (st)
		return cli_fail(t->options, st, &error);
	top_screen_size(&t->view.columns, &lines);
	return t->options->quiet || draw(t) ? 0 : hf_status_exit_code(HF_SYSTEM);
}

/* False: quit. */
static bool on_key(struct top *t, int key)
{
	top_view *view = &t->view;
	size_t page = view->lines > 6 ? view->lines - 6 : 1;

	switch (key) {
	case 'q':
	case 'Q':
	case TOP_KEY_END:
		return false;
	case ' ':
		t->next_ms = 0;
		break;
	case 's':
		view->sort = (view->sort + 1) % TOP_SORTS;
		break;
	case 'r':
		view->reverse = !view->reverse;
		break;
	case 'a':
		view->all = !view->all;
		break;
	case 'w':
		view->people = !view->people;
		break;
	case 'k':
	case TOP_KEY_UP:
		view->first -= view->first > 0;
		break;
	case 'j':
	case TOP_KEY_DOWN:
		view->first++;
		break;
	case TOP_KEY_PAGE_UP:
		view->first -= view->first < page ? view->first : page;
		break;
	case TOP_KEY_PAGE_DOWN:
		view->first += page;
		break;
	default:
		break;
	}
	return true;
}

static int watch(struct top *t)
{
	hf_error error;
	hf_status st = look(t, &error);
	bool ok = true;

	if (st)
		return cli_fail(t->options, st, &error);
	if (!top_screen_enter()) {
		cli_say("cannot use the terminal: %s", strerror(errno));
		return hf_status_exit_code(HF_SYSTEM);
	}
	t->view.terminal = true;
	do {
		if (hf_boot_ms() >= t->next_ms)
			(void)look(t, &error);
		top_screen_resume();
		top_screen_size(&t->view.columns, &t->view.lines);
		ok = draw(t);
	} while (ok && on_key(t, top_screen_key(t->next_ms)));
	top_screen_leave();
	return ok ? 0 : hf_status_exit_code(HF_SYSTEM);
}

/* 0, or the exit code. */
static int refuse(const cli_options *o)
{
	const char *term = getenv("TERM");

	if (o->json)
		return cli_usage(o->command_name, "it has no JSON: 'list --json' and 'metrics "
						  "--json' have what it shows");
	if (o->once)
		return 0;
	if (!isatty(STDIN_FILENO) || !cli_is_terminal())
		return cli_usage(o->command_name,
			"standard input and output are not a terminal: give --once, or use "
			"'list --watch'");
	if (!term || !*term || !strcmp(term, "dumb"))
		return cli_usage(o->command_name,
			"this terminal (TERM=%s) cannot show a screen: give --once, or use "
			"'list --watch'",
			term ? term : "");
	return 0;
}

int cli_top(int argc, char **argv)
{
	cli_options options;
	struct top t = {.options = &options};
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_TOP, 0, 0, &options, &code))
		return code;
	code = refuse(&options);
	if (!code)
		t.manager = cli_open(&options, &code);
	if (t.manager) {
		t.view.store = hf_store_identity(t.manager);
		t.view.all = options.all;
		t.view.sort = options.sort ? top_sort_of(options.sort) : TOP_BY_WAITERS;
		code = options.once ? once(&t) : watch(&t);
	}
	top_look_clear(&t.look);
	hf_close(t.manager);
	cli_options_free(&options);
	return code;
}
