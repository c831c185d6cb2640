/* The slot file damaged, cut, emptied, or something else: what is said, and what heals it. */
#include "slot_helper.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void damage_byte(off_t at, size_t n)
{
	int fd = open(scratch_path("x"), O_RDWR);
	char bytes[64];
	size_t i;

	assert_true(fd >= 0 && n <= sizeof(bytes));
	assert_int_equal(pread(fd, bytes, n, at), n);
	for (i = 0; i < n; i++)
		bytes[i] = (char)(bytes[i] ^ 0x55);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

/*
 * "one" is in slot 1, "two" in slot 0. Bytes 40 to 47 are the mark and unused.
 */
static void one_damaged_copy__is_the_content_before_or_the_present_one(void **state)
{
	off_t at;

	(void)state;
	put("one");
	put("two");
	for (at = 0; at < 51; at++) {
		damage_byte(at, 1);
		expect_text(at >= 40 && at < 48 ? "two" : "one");
		damage_byte(at, 1);
		damage_byte(4096 + at, 1);
		expect_text("two");
		damage_byte(4096 + at, 1);
	}
	expect_text("two");
}

static void damaged_copies__are_never_taken_for_nothing(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	(void)state;
	put("one");
	put("two");
	damage_byte(9, 1);
	damage_byte(4096 + 9, 1);
	assert_int_equal(get(&content), HF_CORRUPT);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_CORRUPT);
	assert_int_equal(hf_slotfile_write(file, "three", 5, NULL), HF_OK);
	hf_slotfile_unlock(file);
	hf_slotfile_free(file);
	expect_text("three");
}

static void cut_file__is_damage_at_every_length(void **state)
{
	hf_slot_content content;
	off_t n;

	(void)state;
	for (n = 1; n < 8192; n += n < 64 || n > 8100 ? 1 : 61) {
		put("one");
		put("two");
		assert_int_equal(truncate(scratch_path("x"), n), 0);
		assert_int_equal(get(&content), HF_CORRUPT);
		unlink(scratch_path("x"));
	}
	put("one");
	assert_int_equal(truncate(scratch_path("x"), 5000), 0);
	{
		hf_slotfile *file = new_file(&creating);

		assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_CORRUPT);
		assert_int_equal(hf_slotfile_write(file, "new", 3, NULL), HF_OK);
		hf_slotfile_unlock(file);
		hf_slotfile_free(file);
	}
	expect_text("new");
	assert_int_equal(scratch_count(), 1);
}

static void cut_file__can_be_removed(void **state)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	(void)state;
	put("one");
	assert_int_equal(truncate(scratch_path("x"), 5000), 0);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_CORRUPT);
	assert_int_equal(hf_slotfile_remove(file, NULL), HF_OK);
	hf_slotfile_free(file);
	assert_int_equal(scratch_count(), 0);
}

static void zero_file(off_t size, bool before_boot)
{
	static const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	int fd = open(scratch_path("x"), O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(ftruncate(fd, size), 0);
	if (before_boot)
		assert_int_equal(futimens(fd, long_ago), 0);
	close(fd);
}

static const off_t blank_sizes[] = {0, 100, 4096, 8191, 8192};

static void emptied_file__is_damage(void **state)
{
	hf_slot_content content;
	hf_slotfile *file;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(blank_sizes); i++) {
		put("one");
		zero_file(blank_sizes[i], false);
		assert_int_equal(get(&content), HF_CORRUPT);
		file = new_file(&creating);
		assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_CORRUPT);
		assert_int_equal(hf_slotfile_write(file, "new", 3, NULL), HF_OK);
		hf_slotfile_free(file);
		expect_text("new");
		unlink(scratch_path("x"));
	}
}

static void blank_since_a_power_cut__is_nothing(void **state)
{
	hf_slot_content content;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(blank_sizes); i++) {
		zero_file(blank_sizes[i], true);
		assert_int_equal(get(&content), HF_OK);
		assert_int_equal(content.seq, 0);
		put("one");
		expect_text("one");
		unlink(scratch_path("x"));
	}
}

static void newer_format__is_said_and_left_alone(void **state)
{
	hf_slot_content content;
	hf_error error;
	hf_slotfile *file = new_file(&looking);
	int fd;

	(void)state;
	put("one");
	fd = open(scratch_path("x"), O_RDWR);
	assert_int_equal(pwrite(fd, "hfslot2\n", 8, 0), 8);
	close(fd);
	assert_int_equal(hf_slotfile_read(file, &content, &error), HF_CORRUPT);
	assert_non_null(strstr(error.text, "newer"));
	hf_slotfile_free(file);
}

static void something_else_at_the_path__is_damage(void **state)
{
	hf_slot_content content;
	int fd = open(scratch_path("x"), O_RDWR | O_CREAT, 0600);

	(void)state;
	assert_int_equal(write(fd, "hello", 5), 5);
	close(fd);
	assert_int_equal(get(&content), HF_CORRUPT);
	unlink(scratch_path("x"));
	assert_int_equal(mkfifo(scratch_path("x"), 0600), 0);
	assert_int_equal(get(&content), HF_CORRUPT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)
	const struct CMUnitTest tests[] = {
		TEST(one_damaged_copy__is_the_content_before_or_the_present_one),
		TEST(damaged_copies__are_never_taken_for_nothing),
		TEST(cut_file__is_damage_at_every_length),
		TEST(cut_file__can_be_removed),
		TEST(emptied_file__is_damage),
		TEST(blank_since_a_power_cut__is_nothing),
		TEST(newer_format__is_said_and_left_alone),
		TEST(something_else_at_the_path__is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
