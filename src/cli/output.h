/*
 * What goes to a person or to a pipe.
 *
 * Every byte that came from a record, a file or another program is hostile:
 * owners, names and error texts are printed through cli_printable(), so that
 * no control character and no text-direction mark reaches a terminal. JSON
 * goes through cli_print_json(), which escapes the same.
 *
 * A terminal gets aligned columns, a heading and colour (not with NO_COLOR or
 * TERM=dumb); anything else gets the same cells separated by tabs.
 */
#ifndef HF_CLI_OUTPUT_H
#define HF_CLI_OUTPUT_H

#include "cli.h"

#include <jansson.h>
#include <stdio.h>

/*
 * Append text with control characters, direction marks and bytes that are not
 * UTF-8 written as \xNN, byte for byte.
 */
void cli_printable(hf_buf *buf, const char *text);

/* How many columns a terminal needs for printable text. */
size_t cli_width(const char *text);
/* How many bytes of it fit into so many columns; *width_out: how many they take. */
size_t cli_fit(const char *text, size_t columns, size_t *width_out);

/* Standard output is a terminal. */
bool cli_is_terminal(void);

/*
 * Write the buffer to standard output, now. False: a message has been printed
 * (a full disk, a closed pipe); leave with 71.
 */
bool cli_write(const hf_buf *buf);

/* One line of JSON. Takes the reference. NULL counts as out of memory. */
bool cli_print_json(json_t *json);
/* A JSON string; null for "" and NULL. */
json_t *cli_json_text(const char *text);
/* A JSON number; null for negative ones, which mean "not known". */
json_t *cli_json_time(int64_t ms);
json_t *cli_json_count(uint64_t n);
/* An RFC 3339 time in UTC with milliseconds; null when negative. */
json_t *cli_json_wall(int64_t wall_ms);

/* "2024-05-01T12:00:00.007Z"; "-" when it cannot be told. */
void cli_format_wall(int64_t wall_ms, char out[40]);
/* A duration for people: two units at most ("2m 5s"); "-" when negative. */
void cli_format_age(int64_t ms, char out[40]);

/* One in microseconds, with two or three digits that matter ("1.2ms", "2m5s"). */
void cli_format_us(uint64_t us, char out[40]);

/* ---- tables ---- */

typedef enum cli_colour { CLI_PLAIN, CLI_GOOD, CLI_WARN, CLI_BAD, CLI_FAINT } cli_colour;

/* Not with NO_COLOR or TERM=dumb. */
bool cli_wants_colour(void);
/* What turns it on; "" for CLI_PLAIN. */
const char *cli_colour_code(cli_colour colour);

typedef struct cli_table {
	size_t columns;
	const char *const *headings;
	char **cells; /* columns * rows, row by row */
	cli_colour *colours;
	size_t count;
	size_t cap;
	bool failed; /* out of memory: said when printed */
} cli_table;

/* headings: one for each column, borrowed. */
void cli_table_init(cli_table *table, const char *const *headings, size_t columns);
void cli_table_clear(cli_table *table);
/* Add the next cell, from left to right. The text is copied. */
void cli_table_add(cli_table *table, cli_colour colour, const char *text);
void cli_table_addf(cli_table *table, cli_colour colour, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Move the rows of `from`, of as many columns, to the end of `to`. */
void cli_table_move(cli_table *to, cli_table *from);
/* Append it as standard output should have it. */
void cli_table_render(const cli_table *table, hf_buf *buf);

#endif
