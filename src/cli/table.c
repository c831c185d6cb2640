#include "output.h"

#include <stdlib.h>

/* Between two columns on a terminal. */
#define GAP 2

void cli_table_init(cli_table *table, const char *const *headings, size_t columns)
{
	memset(table, 0, sizeof(*table));
	table->headings = headings;
	table->columns = columns;
}

void cli_table_clear(cli_table *table)
{
	size_t i;

	for (i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table->colours);
	cli_table_init(table, table->headings, table->columns);
}

static bool make_room(cli_table *table)
{
	size_t cap = table->cap ? table->cap * 2 : 16;
	char **cells;
	cli_colour *colours;

	if (table->count < table->cap)
		return true;
	cells = reallocarray(table->cells, cap, sizeof(*cells));
	if (cells)
		table->cells = cells;
	colours = cells ? reallocarray(table->colours, cap, sizeof(*colours)) : NULL;
	if (!colours)
		return false;
	table->colours = colours;
	table->cap = cap;
	return true;
}

void cli_table_add(cli_table *table, cli_colour colour, const char *text)
{
	hf_buf cell = HF_BUF_INIT;

	cli_printable(&cell, text && *text ? text : "-");
	if (cell.failed || !make_room(table)) {
		table->failed = true;
		hf_buf_free(&cell);
		return;
	}
	table->colours[table->count] = colour;
	table->cells[table->count++] = cell.data;
}

void cli_table_addf(cli_table *table, cli_colour colour, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		cli_table_add(table, colour, text);
	else
		table->failed = true;
	free(text);
}

void cli_table_move(cli_table *to, cli_table *from)
{
	size_t i;

	to->failed = to->failed || from->failed;
	for (i = 0; i < from->count; i++) {
		if (!make_room(to)) {
			to->failed = true;
			return;
		}
		to->colours[to->count] = from->colours[i];
		to->cells[to->count++] = from->cells[i];
		from->cells[i] = NULL;
	}
	cli_table_clear(from);
}

bool cli_wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return !(no_color && *no_color) && term && *term && strcmp(term, "dumb") != 0;
}

const char *cli_colour_code(cli_colour colour)
{
	static const char *const codes[] = {
		[CLI_PLAIN] = "",
		[CLI_GOOD] = "\033[32m",
		[CLI_WARN] = "\033[33m",
		[CLI_BAD] = "\033[31m",
		[CLI_FAINT] = "\033[2m",
	};

	return codes[colour];
}

static size_t column_width(const cli_table *table, size_t column)
{
	size_t width = cli_width(table->headings[column]);
	size_t i;

	for (i = column; i < table->count; i += table->columns) {
		size_t w = cli_width(table->cells[i]);

		width = w > width ? w : width;
	}
	return width;
}

static void add_cell(hf_buf *buf, const char *text, const char *escape, size_t pad_to)
{
	size_t width = cli_width(text);

	hf_buf_addf(buf, "%s%s%s", escape, text, *escape ? "\033[0m" : "");
	for (; width < pad_to; width++)
		hf_buf_addc(buf, ' ');
}

static void render_aligned(const cli_table *table, hf_buf *buf)
{
	bool colour = cli_wants_colour();
	size_t *widths = calloc(table->columns, sizeof(*widths));
	size_t i;

	if (!widths) {
		buf->failed = true;
		return;
	}
	for (i = 0; i < table->columns; i++)
		/* Nothing needs to be filled up behind the last one. */
		widths[i] = i + 1 < table->columns ? column_width(table, i) + GAP : 0;
	for (i = 0; i < table->columns; i++)
		add_cell(buf, table->headings[i], colour ? "\033[1m" : "", widths[i]);
	hf_buf_addc(buf, '\n');
	for (i = 0; i < table->count; i++) {
		size_t column = i % table->columns;

		add_cell(buf, table->cells[i], colour ? cli_colour_code(table->colours[i]) : "",
			widths[column]);
		if (column + 1 == table->columns)
			hf_buf_addc(buf, '\n');
	}
	free(widths);
}

void cli_table_render(const cli_table *table, hf_buf *buf)
{
	size_t i;

	if (table->failed)
		buf->failed = true;
	else if (table->count > 0 && cli_is_terminal())
		render_aligned(table, buf);
	else
		for (i = 0; i < table->count; i++)
			hf_buf_addf(buf, "%s%c", table->cells[i],
				(i + 1) % table->columns ? '\t' : '\n');
}
