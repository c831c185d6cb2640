/*
 * holdfast top: locks as they are now, again and again.
 *
 *	top_look.c	what is there: hf_list(), and the metrics file
 *	top_frame.c	as lines of text
 *	top_screen.c	a terminal that is given back in every case, and its keys
 *	top.c		the command
 *
 * A look reads what `list` reads, once an interval, and never takes more than a
 * tenth of the time. Grants a second come from the tokens, which the record of
 * each lock counts, whoever takes it; how long it is held on average from what
 * this account's commands have counted (metrics.h).
 */
#ifndef HF_CLI_TOP_H
#define HF_CLI_TOP_H

#include "output.h"

/* ---- what is there ---- */

typedef struct top_person {
	char *owner;
	char *command;
	int64_t pid; /* 0: not known */
	int64_t since_wall_ms; /* -1: not known */
	int64_t remaining_ms; /* -1: not known, or no end */
	bool waits;
	bool shared;
	bool below; /* it holds something below the lock */
} top_person;

/* A count that grows, as it was 5 to 10 s ago: for its rate. */
typedef struct top_rate {
	uint64_t from;
	int64_t from_ms; /* hf_boot_ms(); 0: nothing was seen before */
	uint64_t middle;
	int64_t middle_ms;
	double per_s; /* -1: not known */
} top_rate;

typedef enum top_state { TOP_FREE, TOP_HELD, TOP_CLOSED, TOP_DAMAGED } top_state;

typedef struct top_lock {
	char *name;
	top_state state;
	char *problem; /* of a damaged one, else NULL */
	size_t holders;
	size_t waiters;
	top_person *people; /* holders, then waiters: the first of each */
	size_t people_count;
	int64_t held_since_ms; /* the earliest, by the wall clock; -1: not known */
	int64_t waiting_since_ms;
	uint64_t token;
	top_rate grants;
	int64_t hold_us; /* on average; -1: not known */
} top_lock;

typedef struct top_look {
	int64_t boot_ms;
	int64_t wall_ms;
	top_lock *locks;
	size_t count;
	size_t cap;
	size_t held;
	size_t waiting; /* how many wait, for any of them */
	size_t damaged;
	bool failed; /* no memory */
	/* Of this account's commands, in this store. */
	hf_metrics counted;
	top_rate acquisitions;
	top_rate conflicts;
} top_look;

/*
 * Look at the store. *now is what was seen before (zeroed: nothing) and becomes
 * what is seen; if the store cannot be read it stays.
 */
hf_status top_look_again(hf_manager *manager, top_look *now, hf_error *error);
void top_look_clear(top_look *look);

/* ---- as text ---- */

typedef enum top_sort {
	TOP_BY_WAITERS,
	TOP_BY_NAME,
	TOP_BY_HELD,
	TOP_BY_LONGEST,
	TOP_BY_RATE,
	TOP_BY_HOLD,
	TOP_SORTS
} top_sort;

/* TOP_SORTS: there is no such word. */
top_sort top_sort_of(const char *word);

typedef struct top_view {
	const char *store; /* its identity */
	size_t columns;
	size_t lines; /* 0: as many as there are */
	bool terminal; /* colours, and lines that cover what was there */
	top_sort sort;
	bool reverse;
	bool all; /* free locks too */
	bool people; /* a line for each who holds or waits */
	size_t first; /* the first row shown; put right if it is too great */
	char problem[256]; /* in place of the keys; "": none */
} top_view;

void top_frame(hf_buf *out, const top_look *look, top_view *view);

/* ---- the terminal ---- */

enum {
	TOP_KEY_NONE = 0, /* the time is over */
	TOP_KEY_REDRAW = 256, /* another size, or it was stopped */
	TOP_KEY_UP,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_END /* of the input */
};

/*
 * Take the terminal, and give it back. Whatever ends or stops the process by a
 * signal that can be caught gives it back too. False: errno says why.
 */
bool top_screen_enter(void);
void top_screen_leave(void);
/*
 * Take it again if we were stopped since, before anything is written to it. In
 * the background this stops until a shell brings us to the foreground.
 */
void top_screen_resume(void);
void top_screen_size(size_t *columns_out, size_t *lines_out);
/* The next key, or one of those above; waits until hf_boot_ms() is `until_ms`. */
int top_screen_key(int64_t until_ms);

#endif
