/*
 * The terminal of top. It is given back by whatever ends this process: handlers
 * of signals do it themselves, so that also a store that does not answer is left
 * at once; they call nothing that a handler may not.
 */
#include "top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* The other screen, no cursor, lines that are cut off; and back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[?7h\033[?25h\033[?1049l"

static struct {
	struct termios before;
	struct termios raw;
	volatile sig_atomic_t entered;
	volatile sig_atomic_t redraw;
	volatile sig_atomic_t stopped; /* and continued: to be taken again */
	sigset_t waiting; /* the mask while a key is waited for */
	char keys[64]; /* read and not looked at yet */
	size_t at;
	size_t count;
} screen;

static void take(void)
{
	screen.entered = 1;
	screen.redraw = 1;
	tcsetattr(STDIN_FILENO, TCSANOW, &screen.raw);
	(void)!write(STDOUT_FILENO, ENTER, sizeof(ENTER) - 1);
}

/* In the background it is another's already. */
static void give_back(void)
{
	if (!screen.entered || tcgetpgrp(STDIN_FILENO) != getpgrp())
		return;
	screen.entered = 0;
	(void)!write(STDOUT_FILENO, LEAVE, sizeof(LEAVE) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

static void on_end(int number)
{
	int saved = errno;

	give_back();
	signal(number, SIG_DFL);
	raise(number); /* is blocked until this returns */
	errno = saved;
}

/* Ctrl-Z: stopped as it would be without a handler, and on again. */
static void on_stop(int number)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL};
	struct sigaction ours;
	int saved = errno;
	sigset_t set;

	give_back();
	sigaction(number, &by_default, &ours);
	raise(number);
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL); /* here it stops */
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaction(number, &ours, NULL);
	screen.stopped = 1;
	errno = saved;
}

/* After a SIGSTOP: a shell that saw it has the terminal as it likes it. */
static void on_continue(int number)
{
	(void)number;
	screen.stopped = 1;
}

void top_screen_resume(void)
{
	while (screen.stopped) {
		screen.stopped = 0;
		take();
	}
}

static void on_resize(int number)
{
	(void)number;
	screen.redraw = 1;
}

/* Unless it is ignored, as by nohup. */
static bool handle(int number, void (*handler)(int), const sigset_t *mask)
{
	struct sigaction action = {.sa_handler = handler, .sa_mask = *mask};
	struct sigaction before;

	if (sigaction(number, NULL, &before))
		return false;
	return before.sa_handler == SIG_IGN || !sigaction(number, &action, NULL);
}

static bool take_signals(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	sigset_t blocked;
	sigset_t none;
	sigset_t all;
	size_t i;
	bool ok = true;

	/* One at a time; and to give the terminal back is always allowed. */
	sigfillset(&all);
	sigemptyset(&none);
	for (i = 0; i < HF_ARRAY_LEN(ends); i++)
		ok = ok && handle(ends[i], on_end, &all);
	ok = ok && handle(SIGTSTP, on_stop, &none) && handle(SIGCONT, on_continue, &none) &&
	     handle(SIGWINCH, on_resize, &none);
	/* These come only while we wait for a key: none is missed. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGWINCH);
	sigaddset(&blocked, SIGCONT);
	return ok && !sigprocmask(SIG_BLOCK, &blocked, &screen.waiting);
}

bool top_screen_enter(void)
{
	if (tcgetattr(STDIN_FILENO, &screen.before))
		return false;
	screen.raw = screen.before;
	screen.raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	screen.raw.c_cc[VMIN] = 1;
	screen.raw.c_cc[VTIME] = 0;
	if (!take_signals())
		return false;
	take();
	return true;
}

void top_screen_leave(void)
{
	sigset_t all;
	sigset_t before;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	give_back();
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* A number of the environment, as a shell exports it. */
static size_t from_environment(const char *name, size_t otherwise)
{
	const char *text = getenv(name);
	uint64_t n;

	return text && hf_parse_u64(text, &n) && n > 0 && n <= 10000 ? (size_t)n : otherwise;
}

void top_screen_size(size_t *columns_out, size_t *lines_out)
{
	struct winsize size = {.ws_col = 0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		size.ws_col = size.ws_row = 0;
	*columns_out = size.ws_col ? size.ws_col : from_environment("COLUMNS", 80);
	*lines_out = size.ws_row ? size.ws_row : from_environment("LINES", 24);
}

/* ---- keys ---- */

#define UNFINISHED (-1)
#define ESCAPE_MS 50 /* so soon the rest of a key's bytes comes */

/* Of what an escape began: a key that we know, none, or UNFINISHED. */
static int escaped(void)
{
	static const struct {
		const char *text;
		int key;
	} keys[] = {{"[A", TOP_KEY_UP}, {"OA", TOP_KEY_UP}, {"[B", TOP_KEY_DOWN},
		{"OB", TOP_KEY_DOWN}, {"[5~", TOP_KEY_PAGE_UP}, {"[6~", TOP_KEY_PAGE_DOWN}};
	const char *text = screen.keys + screen.at;
	size_t left = screen.count - screen.at;
	size_t n = 1;
	size_t i;

	/* "[" and what is up to a letter or "~"; "O" and one; or Alt and one. */
	if (left > 0 && text[0] == '[')
		while (n < left && (text[n] < '@' || text[n] > '~'))
			n++;
	n += left > 0 && (text[0] == '[' || text[0] == 'O');
	if (n > left)
		return UNFINISHED;
	screen.at += n;
	for (i = 0; i < HF_ARRAY_LEN(keys); i++)
		if (n == strlen(keys[i].text) && !memcmp(text, keys[i].text, n))
			return keys[i].key;
	return TOP_KEY_NONE;
}

static int next_key(void)
{
	while (screen.at < screen.count) {
		int key = (unsigned char)screen.keys[screen.at++];

		if (key == '\033')
			key = escaped();
		if (key == UNFINISHED)
			screen.at--;
		if (key)
			return key == 4 ? TOP_KEY_END : key; /* Ctrl-D */
	}
	return TOP_KEY_NONE;
}

/* More of them, behind those not looked at yet. False: there are no more. */
static bool read_keys(void)
{
	ssize_t n;

	memmove(screen.keys, screen.keys + screen.at, screen.count - screen.at);
	screen.count -= screen.at;
	screen.at = 0;
	if (screen.count == sizeof(screen.keys))
		screen.count = 0; /* no key is so long */
	n = read(STDIN_FILENO, screen.keys + screen.count, sizeof(screen.keys) - screen.count);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	screen.count += n > 0 ? (size_t)n : 0;
	return n > 0;
}

int top_screen_key(int64_t until_ms)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};

	for (;;) {
		int key = next_key();
		int64_t left_ms = until_ms - hf_boot_ms();
		struct timespec left = {.tv_sec = 0};

		if (key && key != UNFINISHED)
			return key;
		if (screen.redraw || screen.stopped) {
			screen.redraw = 0;
			return TOP_KEY_REDRAW;
		}
		if (key)
			left_ms = ESCAPE_MS;
		if (left_ms > 0)
			left = (struct timespec){left_ms / 1000, left_ms % 1000 * 1000000};
		switch (ppoll(&in, 1, &left, &screen.waiting)) {
		case -1:
			if (errno != EINTR)
				return TOP_KEY_END;
			break;
		case 0:
			if (key)
				screen.at++; /* the escape alone */
			else if (hf_boot_ms() >= until_ms)
				return TOP_KEY_NONE;
			break;
		default:
			if (!read_keys())
				return TOP_KEY_END;
		}
	}
}
