/* What is printed never obeys whoever wrote it. */
#include "cli/lockview.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static void check_printable(const char *text, const char *want)
{
	hf_buf buf = HF_BUF_INIT;

	cli_printable(&buf, text);
	assert_false(buf.failed);
	assert_string_equal(buf.data ? buf.data : "", want);
	hf_buf_free(&buf);
}

static void printable__leaves_text_alone(void **state)
{
	(void)state;
	check_printable("", "");
	check_printable("plain ~ \\x41", "plain ~ \\x41");
	check_printable("ünï \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x94\x92",
		"ünï \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x94\x92");
	/* A joiner holds emoji together; it turns nothing round. */
	check_printable("\xe2\x80\x8d", "\xe2\x80\x8d");
}

static void printable__spells_out_control_characters(void **state)
{
	char text[2] = {0, 0};
	char want[8];
	int c;

	(void)state;
	for (c = 1; c < 0x20; c++) {
		text[0] = (char)c;
		snprintf(want, sizeof(want), "\\x%02x", c);
		check_printable(text, want);
	}
	check_printable("\x7f", "\\x7f");
	/* C1: CSI as one character, and as a bare byte. */
	check_printable("\xc2\x9b", "\\xc2\\x9b");
	check_printable("\x9b", "\\x9b");
	check_printable("a\x1b[31mb", "a\\x1b[31mb");
}

static void printable__spells_out_direction_marks(void **state)
{
	(void)state;
	check_printable("\xe2\x80\xae", "\\xe2\\x80\\xae");
	check_printable("\xe2\x81\xa6", "\\xe2\\x81\\xa6");
	check_printable("\xe2\x80\x8f", "\\xe2\\x80\\x8f");
	check_printable("\xe2\x80\xa8", "\\xe2\\x80\\xa8");
	check_printable("\xd8\x9c", "\\xd8\\x9c");
}

static void printable__spells_out_what_is_not_utf8(void **state)
{
	(void)state;
	check_printable("\xff", "\\xff");
	check_printable("\xc3", "\\xc3");
	check_printable("\xe6\x97", "\\xe6\\x97");
	check_printable("\xc0\xaf", "\\xc0\\xaf");
	check_printable("\xed\xa0\x80", "\\xed\\xa0\\x80");
	check_printable("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
	check_printable("\xe6x", "\\xe6x");
}

/* Whatever comes in, what comes out is plain UTF-8. */
static void printable__is_plain_for_any_bytes(void **state)
{
	hf_rng rng;
	char text[33];
	int round;

	(void)state;
	hf_rng_seed(&rng, 7);
	for (round = 0; round < 20000; round++) {
		hf_buf buf = HF_BUF_INIT;
		size_t n = 1 + (size_t)hf_rng_below(&rng, sizeof(text) - 1);
		size_t i;

		for (i = 0; i < n; i++)
			text[i] = (char)(1 + hf_rng_below(&rng, 255));
		text[n] = '\0';
		cli_printable(&buf, text);
		assert_true(hf_utf8_plain(buf.data, buf.len));
		(void)cli_width(text);
		hf_buf_free(&buf);
	}
}

static void width__counts_columns(void **state)
{
	(void)state;
	assert_int_equal(cli_width(""), 0);
	assert_int_equal(cli_width("abc"), 3);
	assert_int_equal(cli_width("ünï"), 3);
	assert_int_equal(cli_width("\xe6\x97\xa5\xe6\x9c\xac"), 4);
	assert_int_equal(cli_width("e\xcc\x81"), 1);
}

static void check_age(int64_t ms, const char *want)
{
	char text[40];

	cli_format_age(ms, text);
	assert_string_equal(text, want);
}

static void age__has_two_units_at_most(void **state)
{
	(void)state;
	check_age(-1, "-");
	check_age(0, "0s");
	check_age(999, "0s");
	check_age(59999, "59s");
	check_age(60000, "1m");
	check_age(125000, "2m5s");
	check_age(3600000, "1h");
	check_age(3659000, "1h");
	check_age(3660000, "1h1m");
	check_age(90061000, "1d1h");
	check_age(INT64_MAX, "106751991167d7h");
}

static void wall__is_told_in_utc(void **state)
{
	char text[40];

	(void)state;
	cli_format_wall(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	cli_format_wall(INT64_C(1714564800007), text);
	assert_string_equal(text, "2024-05-01T12:00:00.007Z");
	cli_format_wall(-1, text);
	assert_string_equal(text, "-");
	cli_format_wall(INT64_MAX, text);
	assert_string_equal(text, "-");
}

static void json__has_text_that_is_no_utf8_spelled_out(void **state)
{
	json_t *json = cli_json_text("a\xff");

	(void)state;
	assert_string_equal(json_string_value(json), "a\\xff");
	json_decref(json);
	json = cli_json_count(UINT64_MAX);
	assert_true(json_integer_value(json) == INT64_MAX);
	json_decref(json);
	assert_true(json_is_null(cli_json_text("")));
	assert_true(json_is_null(cli_json_time(-1)));
}

static hf_holder holder(const char *id, int64_t renewals)
{
	return (hf_holder){.id = id,
		.owner = "o",
		.host = "h",
		.info = "",
		.command = "",
		.token = 1,
		.ttl_ms = 1000,
		.remaining_ms = 500 + renewals,
		.acquired_wall_ms = 1,
		.renewals = renewals};
}

static void digest__changes_with_holders_not_with_renewals(void **state)
{
	hf_holder first = holder("a", 0);
	hf_holder renewed = holder("a", 1);
	hf_holder second = holder("b", 0);
	hf_lock_info info = {
		.name = "x", .token = 1, .holder_count = 1, .holders = &first, .problem = ""};
	uint64_t before = cli_lock_digest(HF_HASH_INIT, &info);

	(void)state;
	info.holders = &renewed;
	info.generation++;
	assert_true(cli_lock_digest(HF_HASH_INIT, &info) == before);
	info.holders = &second;
	assert_true(cli_lock_digest(HF_HASH_INIT, &info) != before);
	info.holder_count = 0;
	assert_true(cli_lock_digest(HF_HASH_INIT, &info) != before);
	/* A waiter is not a holder. */
	info.waiters = &first;
	info.waiter_count = 1;
	assert_true(cli_lock_digest(HF_HASH_INIT, &info) != before);
}

static void rows__are_whole_for_every_kind_of_lock(void **state)
{
	hf_holder people[2] = {holder("a", 0), holder("b", 0)};
	hf_lock_info info = {.name = "x", .holders = people, .problem = "torn"};
	cli_table table;
	size_t rows;

	(void)state;
	cli_lock_table_init(&table);
	cli_lock_add_rows(&table, &info);
	info.closed_ms = 5;
	cli_lock_add_rows(&table, &info);
	info.state = HF_CORRUPT;
	info.holder_count = 2; /* not meaningful then, and not read */
	cli_lock_add_rows(&table, &info);
	info.state = HF_OK;
	info.waiters = people + 1;
	info.holder_count = 1;
	info.waiter_count = 1;
	cli_lock_add_rows(&table, &info);
	assert_false(table.failed);
	rows = table.count / table.columns;
	assert_int_equal(table.count, rows * table.columns);
	assert_int_equal(rows, 5);
	assert_string_equal(table.cells[1], "free");
	assert_string_equal(table.cells[table.columns + 1], "closed");
	assert_string_equal(table.cells[2 * table.columns + 1], "damaged");
	assert_string_equal(table.cells[3 * table.columns + 1], "held");
	assert_string_equal(table.cells[4 * table.columns + 1], "waiting");
	cli_table_clear(&table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(printable__leaves_text_alone),
		cmocka_unit_test(printable__spells_out_control_characters),
		cmocka_unit_test(printable__spells_out_direction_marks),
		cmocka_unit_test(printable__spells_out_what_is_not_utf8),
		cmocka_unit_test(printable__is_plain_for_any_bytes),
		cmocka_unit_test(width__counts_columns),
		cmocka_unit_test(age__has_two_units_at_most),
		cmocka_unit_test(wall__is_told_in_utc),
		cmocka_unit_test(json__has_text_that_is_no_utf8_spelled_out),
		cmocka_unit_test(digest__changes_with_holders_not_with_renewals),
		cmocka_unit_test(rows__are_whole_for_every_kind_of_lock),
	};

	return cmocka_run_group_tests_name("cli-output", tests, NULL, NULL);
}
