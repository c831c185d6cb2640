/* Slots of more than a block, of which only the newest is read. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"
#include "store/slotfile_internal.h"

#define LONG 20000

static const hf_slotfile_options options = {.create = true, .patience_ms = 500};

static hf_slotfile *new_file(void)
{
	hf_slotfile *file;

	assert_int_equal(hf_slotfile_new(scratch_path("x"), &options, &file, NULL), HF_OK);
	return file;
}

static void put(hf_slotfile *file, char letter)
{
	static char text[LONG];
	hf_slot_content content;

	memset(text, letter, sizeof(text));
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_write(file, text, sizeof(text), NULL), HF_OK);
	hf_slotfile_unlock(file);
}

static void expect_content(const hf_slot_content *content, char letter)
{
	size_t i;

	assert_int_equal(content->len, LONG);
	for (i = 0; i < LONG; i++)
		if (content->data[i] != letter)
			fail_msg("byte %zu is '%c' and not '%c'", i, content->data[i], letter);
}

static void expect(hf_slotfile *file, char letter)
{
	hf_slot_content content;

	assert_int_equal(hf_slotfile_read(file, &content, NULL), HF_OK);
	expect_content(&content, letter);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	expect_content(&content, letter);
	hf_slot_content_clear(&content);
	hf_slotfile_unlock(file);
}

/* Where the slot begins that was written last. */
static off_t newest_at(void)
{
	struct stat st;
	uint64_t seq[2];
	off_t second;
	int fd = open(scratch_path("x"), O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	second = st.st_size / 2;
	assert_true(second > HF_SLOT_BLOCK);
	assert_int_equal(pread(fd, &seq[0], 8, 8), 8);
	assert_int_equal(pread(fd, &seq[1], 8, second + 8), 8);
	close(fd);
	return seq[1] > seq[0] ? second : 0;
}

static void scribble(off_t at)
{
	int fd = open(scratch_path("x"), O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "?", 1, at), 1);
	close(fd);
}

static void reader__sees_what_others_wrote(void **state)
{
	hf_slotfile *a = new_file();
	hf_slotfile *b = new_file();
	int i;

	(void)state;
	put(a, 'a');
	for (i = 0; i < 7; i++) {
		expect(b, i % 2 ? 'b' : 'a');
		expect(b, i % 2 ? 'b' : 'a'); /* at hand */
		put(i % 3 ? a : b, i % 2 ? 'a' : 'b');
	}
	hf_slotfile_free(a);
	hf_slotfile_free(b);
}

/* Cut off in the middle of it: what was there before is what counts. */
static void torn_slot__is_none(void **state)
{
	hf_slotfile *a = new_file();
	hf_slotfile *b = new_file();

	(void)state;
	put(a, 'a');
	put(a, 'b');
	scribble(newest_at() + HF_SLOT_HEADER + LONG - 5);
	expect(b, 'a');
	put(b, 'c');
	expect(a, 'c');
	put(a, 'd');
	scribble(newest_at() + HF_SLOT_MARK_AT - 1); /* its checksum */
	expect(b, 'c');
	hf_slotfile_free(a);
	hf_slotfile_free(b);
}

static void damaged_slots__are_damage(void **state)
{
	hf_slotfile *a = new_file();
	hf_slotfile *b = new_file();
	hf_slot_content content;
	off_t newest;

	(void)state;
	put(a, 'a');
	put(a, 'b');
	newest = newest_at();
	scribble(newest + HF_SLOT_HEADER + 9);
	scribble((newest ? 0 : 32768) + HF_SLOT_HEADER + 9);
	assert_int_equal(hf_slotfile_read(b, &content, NULL), HF_CORRUPT);
	hf_slotfile_free(a);
	hf_slotfile_free(b);
}

/* The file is another one, with slots of another length: nothing kept is believed. */
static void grown_file__is_read_anew(void **state)
{
	static char longer[3 * LONG];
	hf_slotfile *a = new_file();
	hf_slotfile *b = new_file();
	hf_slot_content content;

	(void)state;
	put(a, 'a');
	expect(b, 'a');
	memset(longer, 'l', sizeof(longer));
	assert_int_equal(hf_slotfile_lock(a, &content, NULL), HF_OK);
	hf_slot_content_clear(&content);
	assert_int_equal(hf_slotfile_write(a, longer, sizeof(longer), NULL), HF_OK);
	hf_slotfile_unlock(a);
	assert_int_equal(hf_slotfile_read(b, &content, NULL), HF_OK);
	assert_int_equal(content.len, sizeof(longer));
	assert_memory_equal(content.data, longer, sizeof(longer));
	hf_slot_content_clear(&content);
	put(b, 'b');
	expect(a, 'b');
	hf_slotfile_free(a);
	hf_slotfile_free(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_begin, scratch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(reader__sees_what_others_wrote),
		TEST(torn_slot__is_none),
		TEST(damaged_slots__are_damage),
		TEST(grown_file__is_read_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
