/* A frame of top: from what is there to lines of a width. */
#include "top.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HEADER_LINES 4 /* above the rows */

static const char *const sort_words[TOP_SORTS] = {
	"waiters", "name", "held", "longest", "rate", "hold"};

top_sort top_sort_of(const char *word)
{
	top_sort sort = TOP_BY_WAITERS;

	while (sort < TOP_SORTS && strcmp(word, sort_words[sort]) != 0)
		sort++;
	return sort;
}

/* ---- columns ---- */

enum column { NAME, HOLDER, PID, HELD, WAITERS, LONGEST, RATE, HOLD, LEFT, COMMAND, COLUMNS };

/* The first two share what the others leave. */
static const struct {
	const char *heading;
	size_t width; /* with the blank before it */
	size_t from; /* shown on screens of so many columns */
	bool to_the_left;
} columns[COLUMNS] = {
	[NAME] = {"NAME", 0, 0, true},
	[HOLDER] = {"HOLDER", 0, 0, true},
	[PID] = {"PID", 8, 64, false},
	[HELD] = {"HELD", 8, 0, false},
	[WAITERS] = {"WAIT", 6, 32, false},
	[LONGEST] = {"LONGEST", 8, 72, false},
	[RATE] = {"GRANTS/s", 9, 48, false},
	[HOLD] = {"AVG HOLD", 9, 80, false},
	[LEFT] = {"LEFT", 8, 92, false},
	[COMMAND] = {"COMMAND", 18, 110, true},
};

struct frame {
	hf_buf *out;
	const top_look *look;
	top_view *view;
	size_t widths[COLUMNS];
	const top_lock **rows;
	size_t count;
	bool colour;
};

static void set_widths(struct frame *f)
{
	size_t left = f->view->columns;
	size_t i;

	for (i = PID; i < COLUMNS; i++) {
		f->widths[i] = columns[i].from <= f->view->columns ? columns[i].width : 0;
		left = left > f->widths[i] ? left - f->widths[i] : 0;
	}
	f->widths[NAME] = left * 11 / 20;
	f->widths[HOLDER] = left - f->widths[NAME];
}

static void end_line(struct frame *f)
{
	/* Behind a full line there is no place to erase from: the next one is, before. */
	hf_buf_adds(f->out, f->view->terminal ? "\r\n\033[K" : "\n");
}

static void begin_colour(struct frame *f, const char *code)
{
	if (f->colour)
		hf_buf_adds(f->out, code);
}

static void end_colour(struct frame *f)
{
	if (f->colour)
		hf_buf_adds(f->out, "\033[0m");
}

/* As much as fits, the last of it '~' if not all does; and blanks. */
static void add_cell(struct frame *f, const char *text, size_t width, bool to_the_left)
{
	hf_buf plain = HF_BUF_INIT;
	size_t used = 0;
	size_t n;

	if (!width)
		return;
	cli_printable(&plain, text);
	if (plain.failed || !plain.data) {
		f->out->failed = f->out->failed || plain.failed;
		hf_buf_addf(f->out, "%*s", (int)width, "");
		hf_buf_free(&plain);
		return;
	}
	n = cli_fit(plain.data, width, &used);
	if (plain.data[n])
		n = cli_fit(plain.data, width - 1, &used);
	if (!to_the_left)
		hf_buf_addf(f->out, "%*s", (int)(width - used - (plain.data[n] != '\0')), "");
	hf_buf_add(f->out, plain.data, n);
	used += plain.data[n] != '\0';
	hf_buf_adds(f->out, plain.data[n] ? "~" : "");
	if (to_the_left)
		hf_buf_addf(f->out, "%*s", (int)(width - used), "");
	hf_buf_free(&plain);
}

/* cells[i] NULL: blank. */
static void add_row(struct frame *f, const char *const *cells)
{
	size_t i;

	for (i = 0; i < COLUMNS; i++) {
		if (!f->widths[i])
			continue;
		if (i != NAME)
			hf_buf_addc(f->out, ' ');
		add_cell(f, cells[i] ? cells[i] : "", f->widths[i] - (i != NAME),
			columns[i].to_the_left);
	}
}

/* ---- rows ---- */

typedef char text[40];

static const char *age(const top_look *look, int64_t since_ms, text out)
{
	if (since_ms < 0)
		return NULL;
	cli_format_age(look->wall_ms > since_ms ? look->wall_ms - since_ms : 0, out);
	return out;
}

static const char *rate_text(double per_s, text out)
{
	if (per_s < 0)
		return NULL;
	snprintf(out, sizeof(text), per_s >= 100 || per_s <= 0 ? "%.0f" : "%.1f", per_s);
	if (per_s > 0 && per_s < 0.1)
		snprintf(out, sizeof(text), "%.3f", per_s);
	return out;
}

static const char *number(int64_t n, text out)
{
	if (n <= 0)
		return NULL;
	snprintf(out, sizeof(text), "%lld", (long long)n);
	return out;
}

static const char *left(int64_t ms, text out)
{
	if (ms < 0)
		return NULL;
	cli_format_age(ms, out);
	return out;
}

static const char *holder_text(const top_lock *lock, char *out, size_t size)
{
	const char *owner = lock->people_count ? lock->people[0].owner : "";

	switch (lock->state) {
	case TOP_DAMAGED:
		return "(damaged)";
	case TOP_CLOSED:
		return "(closed)";
	case TOP_FREE:
		return "(free)";
	case TOP_HELD:
		break;
	}
	if (lock->holders < 2)
		return owner;
	snprintf(out, size, "%zu share: %s", lock->holders, owner);
	return out;
}

static void add_lock(struct frame *f, const top_lock *lock)
{
	const top_person *first = lock->holders && lock->people_count ? lock->people : NULL;
	const char *cells[COLUMNS] = {NULL};
	text texts[COLUMNS];
	char holder[256];

	cells[NAME] = lock->name;
	cells[HOLDER] = holder_text(lock, holder, sizeof(holder));
	cells[PID] = first ? number(first->pid, texts[PID]) : NULL;
	cells[HELD] = age(f->look, lock->held_since_ms, texts[HELD]);
	cells[WAITERS] = number((int64_t)lock->waiters, texts[WAITERS]);
	cells[LONGEST] = age(f->look, lock->waiting_since_ms, texts[LONGEST]);
	cells[RATE] = rate_text(lock->grants.per_s, texts[RATE]);
	cells[LEFT] = first ? left(first->remaining_ms, texts[LEFT]) : NULL;
	cells[COMMAND] = first ? first->command : NULL;
	if (lock->hold_us >= 0) {
		cli_format_us((uint64_t)lock->hold_us, texts[HOLD]);
		cells[HOLD] = texts[HOLD];
	}
	begin_colour(f, cli_colour_code(lock->state == TOP_DAMAGED ? CLI_BAD
					: lock->waiters		   ? CLI_WARN
					: lock->state == TOP_FREE  ? CLI_FAINT
								   : CLI_PLAIN));
	add_row(f, cells);
	end_colour(f);
}

static void add_person(struct frame *f, const top_person *person)
{
	const char *cells[COLUMNS] = {NULL};
	text texts[COLUMNS];

	cells[NAME] = person->waits    ? "  waits"
		      : person->shared ? "  shares"
		      : person->below  ? "  below"
				       : "  holds";
	cells[HOLDER] = person->owner;
	cells[PID] = number(person->pid, texts[PID]);
	cells[person->waits ? LONGEST : HELD] =
		age(f->look, person->since_wall_ms, texts[HELD]);
	cells[LEFT] = left(person->remaining_ms, texts[LEFT]);
	cells[COMMAND] = person->command;
	begin_colour(f, cli_colour_code(CLI_FAINT));
	add_row(f, cells);
	end_colour(f);
}

/* ---- which, and in what order ---- */

/* Seen free is not unused: it may be held for short times. */
static bool is_shown(const top_view *view, const top_lock *lock)
{
	return view->all || lock->state != TOP_FREE || lock->waiters || lock->grants.per_s > 0;
}

static int descending(double a, double b)
{
	return a > b ? -1 : a < b;
}

/* Since when, so the smaller is the longer; -1 is last. */
static int longest_first(int64_t a, int64_t b)
{
	return descending(a < 0 ? -1e300 : -(double)a, b < 0 ? -1e300 : -(double)b);
}

static int by_sort(const void *a, const void *b, void *arg)
{
	const top_lock *x = *(const top_lock *const *)a;
	const top_lock *y = *(const top_lock *const *)b;
	const top_view *view = arg;
	int order = 0;

	switch (view->sort) {
	case TOP_BY_WAITERS:
		order = descending((double)x->waiters, (double)y->waiters);
		if (!order)
			order = longest_first(x->held_since_ms, y->held_since_ms);
		break;
	case TOP_BY_HELD:
		order = longest_first(x->held_since_ms, y->held_since_ms);
		break;
	case TOP_BY_LONGEST:
		order = longest_first(x->waiting_since_ms, y->waiting_since_ms);
		break;
	case TOP_BY_RATE:
		order = descending(x->grants.per_s, y->grants.per_s);
		break;
	case TOP_BY_HOLD:
		order = descending((double)x->hold_us, (double)y->hold_us);
		break;
	case TOP_BY_NAME:
	case TOP_SORTS:
		break;
	}
	if (!order)
		order = strcmp(x->name, y->name);
	return view->reverse ? -order : order;
}

static void choose_rows(struct frame *f)
{
	size_t i;

	f->rows = calloc(f->look->count + 1, sizeof(top_lock *));
	if (!f->rows) {
		f->out->failed = true;
		return;
	}
	for (i = 0; i < f->look->count; i++)
		if (is_shown(f->view, &f->look->locks[i]))
			f->rows[f->count++] = &f->look->locks[i];
	if (f->count)
		qsort_r((void *)f->rows, f->count, sizeof(top_lock *), by_sort, f->view);
}

/* ---- the frame ---- */

/* All of the width. */
static void add_line(struct frame *f, const char *code, const char *line)
{
	hf_buf cut = HF_BUF_INIT;
	size_t used;

	cli_printable(&cut, line);
	begin_colour(f, code);
	if (!cut.failed && cut.data)
		hf_buf_add(f->out, cut.data, cli_fit(cut.data, f->view->columns, &used));
	f->out->failed = f->out->failed || cut.failed;
	end_colour(f);
	hf_buf_free(&cut);
}

static void add_title(struct frame *f)
{
	time_t now = (time_t)(f->look->wall_ms / 1000);
	size_t width = f->view->columns > 10 ? f->view->columns - 9 : f->view->columns;
	hf_buf line = HF_BUF_INIT;
	char clock[16] = "";
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	hf_buf_adds(&line, "holdfast top: ");
	hf_buf_adds(&line, f->view->store);
	begin_colour(f, "\033[1m");
	add_cell(f, line.failed ? "" : line.data, width, true);
	end_colour(f);
	if (width != f->view->columns)
		hf_buf_addf(f->out, " %s", clock);
	hf_buf_free(&line);
	end_line(f);
}

static double grants_per_s(const top_look *look)
{
	double sum = -1;
	size_t i;

	for (i = 0; i < look->count; i++)
		if (look->locks[i].grants.per_s >= 0)
			sum = (sum < 0 ? 0 : sum) + look->locks[i].grants.per_s;
	return sum;
}

static void add_summary(struct frame *f)
{
	const top_look *look = f->look;
	hf_buf line = HF_BUF_INIT;
	text rate;

	hf_buf_addf(&line, "%zu locks: %zu held, %zu waiting", look->count, look->held,
		look->waiting);
	if (look->damaged)
		hf_buf_addf(&line, ", %zu damaged", look->damaged);
	if (rate_text(grants_per_s(look), rate))
		hf_buf_addf(&line, "; %s grants/s", rate);
	add_line(
		f, look->damaged ? cli_colour_code(CLI_BAD) : "", line.failed ? "" : line.data);
	hf_buf_free(&line);
	end_line(f);
}

static void add_average(hf_buf *line, const char *what, const hf_histogram *h)
{
	text average;

	if (!h->count)
		return;
	cli_format_us(h->total_us / h->count, average);
	hf_buf_addf(line, ", %s %s", what, average);
}

/* What this account's commands have counted. */
static void add_counted(struct frame *f)
{
	const hf_metrics *m = &f->look->counted;
	uint64_t failed = m->failed_held + m->failed_timed_out + m->failed_deadlock +
			  m->failed_unavailable + m->failed_unknown + m->failed_other;
	hf_buf line = HF_BUF_INIT;
	text rate;

	hf_buf_addf(&line, "yours: %llu acquired", (unsigned long long)m->acquisitions);
	if (rate_text(f->look->acquisitions.per_s, rate))
		hf_buf_addf(&line, " (%s/s)", rate);
	add_average(&line, "wait", &m->wait);
	add_average(&line, "hold", &m->hold);
	hf_buf_addf(&line, "; %llu conflicts", (unsigned long long)m->conflicts);
	if (m->conflicts && rate_text(f->look->conflicts.per_s, rate))
		hf_buf_addf(&line, " (%s/s)", rate);
	if (failed)
		hf_buf_addf(&line, ", %llu failed", (unsigned long long)failed);
	if (m->losses)
		hf_buf_addf(&line, ", %llu lost", (unsigned long long)m->losses);
	add_line(f, cli_colour_code(CLI_FAINT), line.failed ? "" : line.data);
	hf_buf_free(&line);
	end_line(f);
}

static void add_headings(struct frame *f)
{
	const char *cells[COLUMNS];
	size_t i;

	for (i = 0; i < COLUMNS; i++)
		cells[i] = columns[i].heading;
	begin_colour(f, "\033[7m");
	add_row(f, cells);
	end_colour(f);
	end_line(f);
}

/* How many lines the row takes. */
static size_t lines_of(const struct frame *f, const top_lock *lock)
{
	return 1 + (f->view->people ? lock->people_count : 0);
}

/* The first row from which on the others do not fill the lines; 0 if all fit. */
static size_t last_first(const struct frame *f, size_t room)
{
	size_t first = f->count;
	size_t lines = 0;

	while (first > 0 && lines + lines_of(f, f->rows[first - 1]) <= room)
		lines += lines_of(f, f->rows[--first]);
	return first == f->count && first > 0 ? first - 1 : first;
}

/* So many lines, from view->first on; how many rows were shown at least in part. */
static size_t add_rows(struct frame *f, size_t room)
{
	size_t i;
	size_t k;

	for (i = f->view->first; i < f->count && room > 0; i++) {
		const top_lock *lock = f->rows[i];

		add_lock(f, lock);
		end_line(f);
		room--;
		for (k = 0; k + 1 < lines_of(f, lock) && room > 0; k++, room--) {
			add_person(f, &lock->people[k]);
			end_line(f);
		}
	}
	for (; f->view->terminal && room > 0; room--)
		end_line(f);
	return i - f->view->first;
}

static void add_keys(struct frame *f, size_t shown)
{
	hf_buf line = HF_BUF_INIT;

	if (f->view->problem[0])
		hf_buf_adds(&line, f->view->problem);
	else if (shown < f->count)
		hf_buf_addf(&line, "%zu-%zu of %zu  ", f->view->first + 1,
			f->view->first + shown, f->count);
	if (!f->view->problem[0])
		hf_buf_addf(&line, "q quit  s sort: %s%s  r reverse  a %s  w %s  up/down",
			sort_words[f->view->sort], f->view->reverse ? " (reverse)" : "",
			f->view->all ? "hide free" : "free too",
			f->view->people ? "locks only" : "who");
	add_line(f, f->view->problem[0] ? cli_colour_code(CLI_BAD) : cli_colour_code(CLI_FAINT),
		line.failed ? "" : line.data);
	hf_buf_free(&line);
}

void top_frame(hf_buf *out, const top_look *look, top_view *view)
{
	struct frame f = {.out = out,
		.look = look,
		.view = view,
		.colour = view->terminal && cli_wants_colour()};
	size_t room = SIZE_MAX;
	size_t shown;

	if (view->lines)
		room = view->lines > HEADER_LINES + 1 ? view->lines - HEADER_LINES - 1 : 1;
	set_widths(&f);
	choose_rows(&f);
	if (out->failed)
		goto out;
	if (view->first > last_first(&f, room))
		view->first = last_first(&f, room);
	hf_buf_adds(out, view->terminal ? "\033[H\033[K" : "");
	add_title(&f);
	add_summary(&f);
	add_counted(&f);
	add_headings(&f);
	shown = add_rows(&f, room);
	if (view->terminal)
		add_keys(&f, shown);
out:
	free((void *)f.rows);
}
