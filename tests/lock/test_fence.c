/* The fence's record, key and decision: nothing but what we wrote is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "draw.h"
#include "lock/fence.h"

static void decision__admits_what_is_not_smaller(void **state)
{
	static const struct {
		uint64_t seen;
		uint64_t known;
		uint64_t token;
		hf_fence_verdict want;
	} cases[] = {
		{0, 0, 1, HF_FENCE_RAISE},
		{0, 0, HF_FENCE_TOKEN_MAX, HF_FENCE_RAISE},
		{5, 0, 4, HF_FENCE_REFUSE},
		{5, 0, 5, HF_FENCE_ADMIT},
		{5, 0, 6, HF_FENCE_RAISE},
		{5, 5, 5, HF_FENCE_ADMIT},
		/* The store went back: what this process knows counts. */
		{5, 9, 6, HF_FENCE_REFUSE},
		{5, 9, 8, HF_FENCE_REFUSE},
		{5, 9, 9, HF_FENCE_RAISE},
		{0, 9, 1, HF_FENCE_REFUSE},
		/* Others went on. */
		{9, 5, 8, HF_FENCE_REFUSE},
		{9, 5, 9, HF_FENCE_ADMIT},
		{HF_FENCE_TOKEN_MAX, 0, HF_FENCE_TOKEN_MAX, HF_FENCE_ADMIT},
		{HF_FENCE_TOKEN_MAX, 0, HF_FENCE_TOKEN_MAX - 1, HF_FENCE_REFUSE},
	};
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(cases); i++)
		if (hf_fence_decide(cases[i].seen, cases[i].known, cases[i].token) !=
			cases[i].want)
			fail_msg("case %zu", i);
}

static void key__is_a_name_and_no_two_resources_share_one(void **state)
{
	char names[6][HF_NAME_MAX + 1];
	char keys[6][HF_NAME_MAX + 1];
	size_t i;
	size_t j;

	(void)state;
	memset(names, 'n', sizeof(names));
	hf_copy(names[0], sizeof(names[0]), "a");
	hf_copy(names[1], sizeof(names[1]), "holdfast:fence:a");
	names[2][185] = '\0'; /* the longest that stands as it is */
	names[3][186] = '\0';
	names[4][200] = '\0';
	names[5][200] = '\0';
	names[5][199] = 'm';
	for (i = 0; i < 6; i++) {
		hf_fence_key(names[i], keys[i]);
		assert_true(hf_fence_is_key(keys[i]));
		assert_false(strcmp(names[i], keys[i]) == 0);
		assert_int_equal(hf_check_name(keys[i], NULL), HF_OK);
		for (j = 0; j < i; j++)
			assert_string_not_equal(keys[i], keys[j]);
	}
	assert_string_equal(keys[0], "holdfast:fence:a");
	assert_int_equal(strlen(keys[2]), HF_NAME_MAX);
	assert_false(hf_fence_is_key("holdfast:fence"));
	assert_false(hf_fence_is_key("Holdfast:fence:a"));
	assert_false(hf_fence_is_key("fence:a"));
	assert_false(hf_fence_is_key(""));
}

static void record__what_is_read_is_what_was_written(void **state)
{
	static const char *const names[] = {"db", "a b%\xc3\xa9 =", "end", "name=x tok=9"};
	static const uint64_t tokens[] = {1, 2, 12345, HF_FENCE_TOKEN_MAX};
	hf_fence out;
	size_t i;

	(void)state;
	hf_fence_init(&out);
	for (i = 0; i < HF_ARRAY_LEN(names); i++) {
		hf_fence in = {.name = names[i],
			.token = tokens[i],
			.wall_ms = i % 2 ? 1700000000000 : -5,
			.owner = i % 2 ? "alice@web 1\n" : "",
			.host = "h\x7f%41",
			.pid = (int64_t)i * 1000};
		hf_buf text = HF_BUF_INIT;
		hf_buf line = HF_BUF_INIT;
		hf_buf summary = HF_BUF_INIT;
		hf_error error;

		hf_fence_encode(&in, &text, &line);
		hf_fence_describe(&in, &summary);
		assert_false(text.failed || line.failed || summary.failed);
		if (hf_fence_decode(&out, names[i], text.data, text.len, &error))
			fail_msg("%s: %s", text.data, error.text);
		assert_string_equal(out.name, in.name);
		assert_true(out.token == in.token && out.wall_ms == in.wall_ms);
		assert_string_equal(out.owner, in.owner);
		assert_string_equal(out.host, in.host);
		assert_true(out.pid == in.pid);
		assert_null(strchr(line.data, '\n'));
		assert_null(strchr(summary.data, '\n'));
		assert_true(hf_fence_line_token(line.data) == in.token);
		assert_int_equal(hf_fence_decode(&out, "other", text.data, text.len, &error),
			HF_CORRUPT);
		assert_true(out.token == 0 && !out.text && !out.name[0]);
		hf_buf_free(&text);
		hf_buf_free(&line);
		hf_buf_free(&summary);
	}
	hf_fence_free(&out);
}

#define HEAD "holdfast-fence 1\n"
#define SEEN "seen name=db tok=7 at=1 owner=a host=h pid=3\n"

static void record__damage_is_an_answer(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"end\n",
		HEAD,
		HEAD SEEN,
		HEAD SEEN "end",
		HEAD SEEN "end\n\n",
		HEAD SEEN "end\nx",
		HEAD SEEN "End\n",
		HEAD SEEN SEEN "end\n",
		HEAD "end\n" SEEN,
		SEEN "end\n",
		"holdfast-fence 2\n" SEEN "end\n",
		"holdfast-fence 01x\n" SEEN "end\n",
		"holdfast-fence \n" SEEN "end\n",
		"holdfast 1\n" SEEN "end\n",
		"holdfast 1\nlock name=db gen=1 token=7\nevent gen=1 kind=acquire\nend\n",
		"{\"id\":\"x\"}",
		HEAD "seen name=db\nend\n",
		HEAD "seen tok=7\nend\n",
		HEAD "seen name=db tok=0\nend\n",
		HEAD "seen name=db tok=4611686018427387905\nend\n",
		HEAD "seen name=db tok=18446744073709551616\nend\n",
		HEAD "seen name=db tok=-7\nend\n",
		HEAD "seen name=db tok=7x\nend\n",
		HEAD "seen name=db tok= 7\nend\n",
		HEAD "seen name=db tok=7 tok=8\nend\n",
		HEAD "seen tok=7 name=db\nend\n",
		HEAD "seen name=db tok=7 new=1\nend\n",
		HEAD "seen name=db tok=7 word\nend\n",
		HEAD "seen name=db tok=7 owner=%4\nend\n",
		HEAD "seen name=db%00 tok=7\nend\n",
		HEAD "seen name=dc tok=7\nend\n",
		HEAD "seen name=d tok=7\nend\n",
		HEAD "seenname=db tok=7\nend\n",
		HEAD "saw name=db tok=7\nend\n",
	};
	static const char good[] = HEAD SEEN "end\n";
	static char huge[20000];
	char zero[sizeof(good)];
	hf_fence f;
	hf_error error;
	size_t i;

	(void)state;
	hf_fence_init(&f);
	assert_int_equal(hf_fence_decode(&f, "db", good, sizeof(good) - 1, &error), HF_OK);
	for (i = 0; i < HF_ARRAY_LEN(bad); i++) {
		if (hf_fence_decode(&f, "db", bad[i], strlen(bad[i]), &error) != HF_CORRUPT)
			fail_msg("it was read: %s", bad[i]);
		assert_true(strlen(error.text) > 10);
		assert_true(f.token == 0);
	}
	/* Each shorter beginning, and each place with a zero in it. */
	for (i = 0; i < sizeof(good) - 1; i++) {
		assert_int_equal(hf_fence_decode(&f, "db", good, i, &error), HF_CORRUPT);
		memcpy(zero, good, sizeof(good));
		zero[i] = '\0';
		assert_int_equal(
			hf_fence_decode(&f, "db", zero, sizeof(good) - 1, &error), HF_CORRUPT);
	}
	memset(huge, 'x', sizeof(huge));
	memcpy(huge, good, sizeof(good) - 5);
	assert_int_equal(hf_fence_decode(&f, "db", huge, sizeof(huge), &error), HF_CORRUPT);
	hf_fence_free(&f);
}

static void line__of_anything_else_tells_no_token(void **state)
{
	char acquire[] = "gen=3 kind=acquire at=17 id=00ff tok=9 owner=a host=h pid=1";
	char empty[] = "";
	char word[] = "test";
	char ours[] = "name=db tok=9 at=1";

	(void)state;
	assert_true(hf_fence_line_token(acquire) == 0);
	assert_true(hf_fence_line_token(empty) == 0);
	assert_true(hf_fence_line_token(word) == 0);
	assert_true(hf_fence_line_token(ours) == 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decision__admits_what_is_not_smaller),
		cmocka_unit_test(key__is_a_name_and_no_two_resources_share_one),
		cmocka_unit_test(record__what_is_read_is_what_was_written),
		cmocka_unit_test(record__damage_is_an_answer),
		cmocka_unit_test(line__of_anything_else_tells_no_token),
	};

	return cmocka_run_group_tests_name("fence", tests, NULL, NULL);
}
