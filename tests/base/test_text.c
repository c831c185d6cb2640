/* Numbers, durations, names and URLs: what is read back, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/url.h"
#include "lock/draw.h"

/* ---- numbers ---- */

static void number__reads_back_and_never_overflows(void **state)
{
	static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "0x1", "1e3", "--1",
		"18446744073709551616", "99999999999999999999"};
	uint64_t u;
	int64_t s;
	size_t i;
	draw d;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(bad); i++)
		if (hf_parse_u64(bad[i], &u) || hf_parse_i64(bad[i], &s))
			fail_msg("read: '%s'", bad[i]);
	assert_true(hf_parse_u64("18446744073709551615", &u) && u == UINT64_MAX);
	assert_true(hf_parse_i64("9223372036854775807", &s) && s == INT64_MAX);
	assert_true(hf_parse_i64("-9223372036854775808", &s) && s == INT64_MIN);
	assert_false(hf_parse_i64("9223372036854775808", &s));
	assert_false(hf_parse_i64("-9223372036854775809", &s));
	assert_false(hf_parse_u64("-1", &u));
	for (i = 0; i < draw_rounds(20000); i++) {
		hf_buf buf = HF_BUF_INIT;
		int64_t value;

		draw_begin(&d, i);
		value = (int64_t)(hf_rng_next(&d.rng) >> draw_below(&d, 64));
		if (draw_chance(&d, 50))
			value = -value;
		hf_buf_add_i64(&buf, value);
		CHECK(hf_parse_i64(buf.data, &s) && s == value);
		hf_buf_clear(&buf);
		hf_buf_add_u64(&buf, (uint64_t)value);
		CHECK(hf_parse_u64(buf.data, &u) && u == (uint64_t)value);
		hf_buf_free(&buf);
		draw_free(&d);
	}
}

/* ---- durations ---- */

static void duration__is_read_as_flock_reads_it(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0}, {"1", 1000}, {"30s", 30000}, {"5m", 300000}, {"250ms", 250},
		{"1.5h", 5400000}, {"1d", 86400000}, {"0.25", 250}, {"0.0001s", 1},
		{"1.0000ms", 1}, {"0.5ms", 1}, {"007s", 7000},
		{"0.9999999999999999999999s", 1000}, {"1.000000000000000000001ms", 2},
		{"0.000000000000000000001d", 1}};
	static const char *const bad[] = {"", "s", "ms", ".5", "1.", "1.s", "-1", "+1", "1 s",
		" 1", "1S", "1sec", "1mss", "1e3", "0x10", "1.5.5", "1,5",
		"9223372036854775808", "9223372036854775807ms", "9223372036854776s",
		"106751991168d", "1000000d1", "300000000000000000000000000000d", "\xd9\xa1s",
		"1\xc2\xa0s", "inf", "nan"};
	int64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(good); i++)
		if (!hf_parse_duration(good[i].text, &ms) || ms != good[i].ms)
			fail_msg("'%s' is %lld", good[i].text, (long long)ms);
	for (i = 0; i < HF_ARRAY_LEN(bad); i++)
		if (hf_parse_duration(bad[i], &ms))
			fail_msg("read: '%s'", bad[i]);
}

/* Then now + duration cannot overflow, in ms or in ns. */
static void duration__ends_at_about_290_years(void **state)
{
	int64_t ms;

	(void)state;
	assert_true(hf_parse_duration("105850d", &ms));
	assert_true(ms <= INT64_MAX / 1000000);
	assert_false(hf_parse_duration("110000d", &ms));
	assert_false(hf_parse_duration("9223372036855ms", &ms));
}

static void duration__reads_back_as_it_was_shown(void **state)
{
	size_t i;
	draw d;

	(void)state;
	for (i = 0; i < draw_rounds(50000); i++) {
		static const int64_t units[] = {1, 1000, 60000, 3600000, 86400000};
		char text[24];
		int64_t ms;
		int64_t back;

		draw_begin(&d, i);
		ms = (int64_t)draw_below(&d, (uint64_t)1 << draw_below(&d, 43));
		ms -= ms % units[draw_below(&d, HF_ARRAY_LEN(units))];
		hf_format_duration(ms, text);
		CHECK(hf_parse_duration(text, &back) && back == ms);
		draw_free(&d);
	}
}

/* ---- UTF-8 ---- */

static void utf8__takes_what_is_well_formed_and_plain(void **state)
{
	static const char *const good[] = {"", "a", "\xc3\xa9", "\xe2\x82\xac",
		"\xf0\x9f\x94\x92", "\xf4\x8f\xbf\xbf", "\xee\x80\x80", "\xed\x9f\xbf",
		"\xc2\xa0"};
	static const char *const bad[] = {"\n", "\x1b", "\x7f", "\xc2\x80", "\xc2\x9f", "\x80",
		"\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xed\xa0\x80",
		"\xed\xbf\xbf", "\xf0\x80\x80\xaf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xfe", "\xff", "\xe2\x82", "a\xe2\x82z", "\xf0\x9f\x94"};
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(good); i++)
		assert_true(hf_utf8_plain(good[i], strlen(good[i])));
	for (i = 0; i < HF_ARRAY_LEN(bad); i++)
		if (hf_utf8_plain(bad[i], strlen(bad[i])))
			fail_msg("taken: number %zu", i);
	assert_false(hf_utf8_plain("a\0b", 3));
}

/* ---- names ---- */

static void name__is_refused_with_a_reason(void **state)
{
	char longest[HF_NAME_MAX + 2];
	hf_error error;

	(void)state;
	memset(longest, 'a', sizeof(longest));
	longest[HF_NAME_MAX + 1] = '\0';
	assert_int_equal(hf_check_name(NULL, &error), HF_INVALID);
	assert_int_equal(hf_check_name("", &error), HF_INVALID);
	assert_int_equal(hf_check_name("a\nb", &error), HF_INVALID);
	assert_int_equal(hf_check_name("a\xff", &error), HF_INVALID);
	assert_int_equal(hf_check_name(longest, &error), HF_INVALID);
	longest[HF_NAME_MAX] = '\0';
	assert_int_equal(hf_check_name(longest, &error), HF_OK);
	assert_int_equal(hf_check_name("/", &error), HF_OK);
	assert_int_equal(hf_check_name("..", &error), HF_OK);
}

static void name__comes_back_from_its_escaped_form(void **state)
{
	char escaped[3 * HF_NAME_MAX + 1];
	char back[HF_NAME_MAX + 1];
	size_t i;
	draw d;

	(void)state;
	for (i = 0; i < draw_rounds(20000); i++) {
		const char *name;

		draw_begin(&d, i);
		name = draw_name(&d);
		hf_name_escape(name, sizeof(escaped) - 1, escaped);
		CHECK(hf_name_unescape(escaped, back));
		CHECK(!strcmp(back, name));
		CHECK(!strchr(escaped, '/') && escaped[0] != '.' && escaped[0] != '-');
		draw_free(&d);
	}
}

/* One spelling for each name: nothing else is taken for ours. */
static void name__has_one_escaped_form(void **state)
{
	static const char *const bad[] = {"", "%61", "a%2fb", "a%2Fb%", "a%2", "%00", "a%00b",
		".a", "-a", "a/b", "a b", "a..b", "a.", "a.lock", "@", "a~b", "a#b", "%FF",
		"\xff"};
	char back[HF_NAME_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(bad); i++)
		if (hf_name_unescape(bad[i], back))
			fail_msg("taken: '%s'", bad[i]);
	assert_true(hf_name_unescape("a%2Fb", back));
	assert_string_equal(back, "a/b");
}

static void name__too_long_for_the_medium_is_hashed(void **state)
{
	char one[201];
	char two[201];
	char back[HF_NAME_MAX + 1];
	size_t i;
	draw d;

	(void)state;
	for (i = 0; i < draw_rounds(20000); i++) {
		size_t max;
		const char *name;
		char *other;

		draw_begin(&d, i);
		max = 80 + (size_t)draw_below(&d, 121);
		name = draw_name(&d);
		hf_name_escape(name, max, one);
		CHECK(strlen(one) <= max);
		CHECK(hf_utf8_plain(one, strlen(one)));
		if (!hf_name_unescape(one, back)) {
			other = strdup(name);
			other[strlen(other) - 1] ^= 1;
			hf_name_escape(other, max, two);
			CHECK(strcmp(one, two) != 0);
			free(other);
		} else {
			CHECK(!strcmp(back, name));
		}
		draw_free(&d);
	}
}

/* As git itself judges it, hashed or not. */
static bool git_takes(const char *ref)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		execlp("git", "git", "check-ref-format", ref, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void name__escaped_is_a_ref_to_git(void **state)
{
	static const char *const odd[] = {"..", ".", "@", "@{", "a.lock", ".lock", "-", "/",
		"//", "a..b", "a.", "~^:?*[\\", " ", "a b", "\"'$;&|<>", "refs/heads/main",
		"HEAD", "%", "\xf0\x9f\x94\x92"};
	char ref[700];
	size_t i;
	draw d;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(odd); i++) {
		snprintf(ref, sizeof(ref), "refs/holdfast/locks/");
		hf_name_escape(odd[i], 150, ref + strlen(ref));
		if (!git_takes(ref))
			fail_msg("git refuses %s", ref);
	}
	for (i = 0; i < draw_rounds(300); i++) {
		draw_begin(&d, i);
		snprintf(ref, sizeof(ref), "refs/holdfast/locks/");
		hf_name_escape(
			draw_name(&d), 80 + (size_t)draw_below(&d, 200), ref + strlen(ref));
		if (!git_takes(ref))
			fail_msg("HF_SEED=%llu: git refuses %s", (unsigned long long)seed_now,
				ref);
		draw_free(&d);
	}
}

/* ---- URLs ---- */

static void url__is_taken_apart(void **state)
{
	hf_url_parts u;

	(void)state;
	assert_int_equal(hf_url_parse("file:/tmp/a%20b?sync=full&x=%26", &u, NULL), HF_OK);
	assert_string_equal(u.url.scheme, "file");
	assert_string_equal(u.url.path, "/tmp/a b");
	assert_int_equal(u.url.option_count, 2);
	assert_string_equal(hf_url_option_of(&u.url, "sync"), "full");
	assert_string_equal(hf_url_option_of(&u.url, "x"), "&");
	assert_null(hf_url_option_of(&u.url, "y"));
	hf_url_parts_clear(&u);
	assert_int_equal(hf_url_parse("memory:", &u, NULL), HF_OK);
	assert_string_equal(u.url.path, "");
	hf_url_parts_clear(&u);
	assert_int_equal(hf_url_parse("git+push:ssh://h/x:y?a=b=c", &u, NULL), HF_OK);
	assert_string_equal(u.url.path, "ssh://h/x:y");
	assert_string_equal(hf_url_option_of(&u.url, "a"), "b=c");
	hf_url_parts_clear(&u);
}

static void url__is_refused_with_a_reason(void **state)
{
	static const char *const bad[] = {"", "/tmp/x", ":x", "file", "FILE:x", "1f:x",
		"f ile:x", "file:x?", "file:x?a", "file:x?=b", "file:x?a=1&a=2", "file:x?a=1&",
		"file:x?a=1&%61=2", "file:%", "file:%4", "file:%zz", "file:%00", "file:x?a=%00",
		"file:x?a=%", "file:\n", "file:\xff", "file:a\x7f"};
	hf_url_parts u;
	hf_error error;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(bad); i++) {
		memset(&error, 0, sizeof(error));
		if (hf_url_parse(bad[i], &u, &error) != HF_INVALID || !error.text[0])
			fail_msg("taken: '%s'", bad[i]);
	}
	assert_int_equal(hf_url_parse(NULL, &u, &error), HF_INVALID);
}

static void url__a_nul_byte_is_told_as_what_it_is(void **state)
{
	static const char *const bad[] = {
		"file:%00", "file:/a%00b", "file:x?a=%00", "file:x?%00=b", "git:x%zz?a=1%00"};
	hf_url_parts u;
	hf_error error;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(bad); i++) {
		assert_int_equal(hf_url_parse(bad[i], &u, &error), HF_INVALID);
		if (!strstr(error.text, "NUL") || strstr(error.text, "hex"))
			fail_msg("%s: %s", bad[i], error.text);
	}
	assert_int_equal(hf_url_parse("file:%0z", &u, &error), HF_INVALID);
	assert_non_null(strstr(error.text, "hex"));
}

/* An error text never holds a secret. */
static void url__error_does_not_show_the_password(void **state)
{
	static const char *const bad[] = {"redis://:hunter2@host/0?",
		"postgresql://u:hunter2@h/db?a", "postgresql://u:hun%ter2@h/db",
		"redis://host?password=hunter2&x", "http//u:hunter2@host"};
	hf_url_parts u;
	hf_error error;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(bad); i++) {
		assert_int_equal(hf_url_parse(bad[i], &u, &error), HF_INVALID);
		if (strstr(error.text, "hunter2") || strstr(error.text, "hun%ter2"))
			fail_msg("shown: %s", error.text);
	}
}

static void url__of_any_bytes_crashes_nothing(void **state)
{
	size_t i;
	draw d;

	(void)state;
	for (i = 0; i < draw_rounds(20000); i++) {
		hf_buf buf = HF_BUF_INIT;
		hf_url_parts u;

		draw_begin(&d, i);
		hf_buf_adds(&buf, draw_chance(&d, 80) ? "file:" : "");
		hf_buf_adds(&buf, draw_text(&d, 60, true));
		if (draw_chance(&d, 70))
			hf_buf_adds(&buf, "?");
		hf_buf_adds(&buf, draw_text(&d, 60, true));
		if (!hf_url_parse(buf.data, &u, NULL))
			hf_url_parts_clear(&u);
		hf_buf_free(&buf);
		draw_free(&d);
	}
}

/* ---- errors ---- */

static void error__is_cut_between_characters(void **state)
{
	char text[500] = "";
	hf_error error;
	size_t n;

	(void)state;
	for (n = 300; n < 420; n++) {
		memset(text, 'a', n);
		strcpy(text + n, "\xf0\x9f\x94\x92\xe2\x82\xac\xc3\xa9");
		assert_int_equal(hf_fail(&error, HF_SYSTEM, "x", 0, "%s", text), HF_SYSTEM);
		assert_true(hf_utf8_plain(error.text, strlen(error.text)));
		hf_fail_errno(&error, HF_SYSTEM, "x", 2, "%s", text);
		assert_true(hf_utf8_plain(error.text, strlen(error.text)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number__reads_back_and_never_overflows),
		cmocka_unit_test(duration__is_read_as_flock_reads_it),
		cmocka_unit_test(duration__ends_at_about_290_years),
		cmocka_unit_test(duration__reads_back_as_it_was_shown),
		cmocka_unit_test(utf8__takes_what_is_well_formed_and_plain),
		cmocka_unit_test(name__is_refused_with_a_reason),
		cmocka_unit_test(name__comes_back_from_its_escaped_form),
		cmocka_unit_test(name__has_one_escaped_form),
		cmocka_unit_test(name__too_long_for_the_medium_is_hashed),
		cmocka_unit_test(name__escaped_is_a_ref_to_git),
		cmocka_unit_test(url__is_taken_apart),
		cmocka_unit_test(url__is_refused_with_a_reason),
		cmocka_unit_test(url__a_nul_byte_is_told_as_what_it_is),
		cmocka_unit_test(url__error_does_not_show_the_password),
		cmocka_unit_test(url__of_any_bytes_crashes_nothing),
		cmocka_unit_test(error__is_cut_between_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
