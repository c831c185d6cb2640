/* The slot file: one process at a time, one thing after the other. */
#include "slot_helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void missing_file__reads_as_never_written(void **state)
{
	hf_slot_content content;
	hf_slotfile *file = new_file(&looking);

	(void)state;
	assert_int_equal(get(&content), HF_OK);
	assert_int_equal(content.seq, 0);
	assert_null(content.data);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	assert_int_equal(content.seq, 0);
	hf_slotfile_unlock(file);
	hf_slotfile_free(file);
	assert_int_equal(scratch_count(), 0);
}

static void content__comes_back_with_growing_numbers(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;
	uint64_t seq = 0;
	char text[32];
	int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		snprintf(text, sizeof(text), "content %d", i);
		assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
		assert_int_equal(content.seq, seq);
		hf_slot_content_clear(&content);
		assert_int_equal(hf_slotfile_write(file, text, strlen(text), NULL), HF_OK);
		hf_slotfile_unlock(file);
		assert_int_equal(hf_slotfile_read(file, &content, NULL), HF_OK);
		assert_string_equal(content.data, text);
		assert_true(content.seq > seq);
		seq = content.seq;
		hf_slot_content_clear(&content);
		expect_text(text);
	}
	assert_int_equal(scratch_count(), 1);
	hf_slotfile_free(file);
}

static void two_writes_under_one_lock__both_count(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	(void)state;
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	assert_int_equal(hf_slotfile_write(file, "one", 3, NULL), HF_OK);
	expect_text("one");
	assert_int_equal(hf_slotfile_write(file, "two", 3, NULL), HF_OK);
	expect_text("two");
	hf_slotfile_unlock(file);
	hf_slotfile_free(file);
}

static void mark__is_kept_until_the_next_write(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	(void)state;
	put("one");
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_mark(file, 7, NULL), HF_OK);
	hf_slotfile_unlock(file);
	assert_int_equal(get(&content), HF_OK);
	assert_int_equal(content.mark, 7);
	hf_slot_content_clear(&content);
	put("two");
	assert_int_equal(get(&content), HF_OK);
	assert_int_equal(content.mark, 0);
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
}

static void mode__is_private_unless_asked_for(void **state)
{
	struct stat st;

	(void)state;
	put("one");
	assert_int_equal(stat(scratch_path("x"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void folder__is_made_with_the_file(void **state)
{
	hf_slotfile *file;
	hf_slot_content content;

	(void)state;
	assert_int_equal(
		hf_slotfile_new(scratch_path("a/b/c.lock"), &creating, &file, NULL), HF_OK);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	assert_int_equal(hf_slotfile_write(file, "one", 3, NULL), HF_OK);
	hf_slotfile_free(file);
	assert_int_equal(access(scratch_path("a/b/c.lock"), R_OK), 0);
}

/* ---- growth, removal ---- */

static void growth__keeps_readers_and_writers_on_the_same_content(void **state)
{
	hf_slotfile *other = new_file(&creating);
	hf_slot_content content;
	char *text = malloc(1100001);
	size_t n;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 1100000);
	text[1100000] = '\0';
	put("small");
	assert_int_equal(hf_slotfile_read(other, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	for (n = 3000; n <= 1100000; n = n * 3 / 2) {
		text[n] = '\0';
		put(text);
		expect_text(text);
		assert_int_equal(hf_slotfile_lock(other, &content, NULL), HF_OK);
		assert_int_equal(content.len, n);
		assert_false(hf_slotfile_broken(other));
		hf_slotfile_unlock(other);
		hf_slot_content_clear(&content);
		text[n] = 'x';
	}
	put("small again");
	expect_text("small again");
	assert_int_equal(scratch_count(), 1);
	hf_slotfile_free(other);
	free(text);
}

static void removal__leaves_nothing_and_numbers_begin_anew(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slotfile *other = new_file(&creating);
	hf_slot_content content;

	(void)state;
	put("one");
	assert_int_equal(hf_slotfile_read(other, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_remove(file, NULL), HF_OK);
	hf_slotfile_unlock(file);
	assert_int_equal(scratch_count(), 0);
	assert_int_equal(hf_slotfile_read(other, &content, NULL), HF_OK);
	assert_int_equal(content.seq, 0);
	assert_int_equal(hf_slotfile_lock(other, &content, NULL), HF_OK);
	assert_int_equal(content.seq, 0);
	assert_int_equal(hf_slotfile_write(other, "two", 3, NULL), HF_OK);
	hf_slotfile_unlock(other);
	expect_text("two");
	hf_slotfile_free(file);
	hf_slotfile_free(other);
}

/* ---- damage ---- */

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)
	const struct CMUnitTest tests[] = {
		TEST(missing_file__reads_as_never_written),
		TEST(content__comes_back_with_growing_numbers),
		TEST(two_writes_under_one_lock__both_count),
		TEST(mark__is_kept_until_the_next_write),
		TEST(mode__is_private_unless_asked_for),
		TEST(folder__is_made_with_the_file),
		TEST(growth__keeps_readers_and_writers_on_the_same_content),
		TEST(removal__leaves_nothing_and_numbers_begin_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
