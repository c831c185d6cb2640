/*
 * The slot file on file systems that cannot do everything, and on disks that
 * refuse. The system calls below replace the C library's for this program.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"
#include "store/slotfile_internal.h"

/* ---- the system calls ---- */

static int exchange_errno;
static int fallocate_errno;
static int fdatasync_errno;
static int pwrite_errno;
static ssize_t pwrite_most; /* bytes a call; 0: all */

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	if (exchange_errno) {
		errno = exchange_errno;
		return -1;
	}
	return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
	if (fallocate_errno) {
		errno = fallocate_errno;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int fdatasync(int fd)
{
	if (fdatasync_errno) {
		errno = fdatasync_errno;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
	if (pwrite_errno) {
		errno = pwrite_errno;
		return -1;
	}
	if (pwrite_most && n > (size_t)pwrite_most)
		n = (size_t)pwrite_most;
	return syscall(SYS_pwrite64, fd, data, n, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	char all[65536];
	size_t n = 0;
	int i;

	for (i = 0; i < count; i++) {
		assert_true(n + parts[i].iov_len <= sizeof(all));
		if (parts[i].iov_len)
			memcpy(all + n, parts[i].iov_base, parts[i].iov_len);
		n += parts[i].iov_len;
	}
	return pwrite(fd, all, n, at);
}

/* Called once, before a file whose path has this in it is opened. */
static const char *open_of;
static void (*before_open)(void);

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list rest;

	va_start(rest, flags);
	if (flags & O_CREAT)
		mode = (mode_t)va_arg(rest, int);
	va_end(rest);
	if (open_of && strstr(path, open_of)) {
		open_of = NULL;
		before_open();
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* ---- around the tests ---- */

static hf_slotfile_options options = {.create = true, .patience_ms = 100};

static hf_status put(const char *data, size_t len)
{
	hf_slotfile *file;
	hf_slot_content content;
	hf_status st;

	assert_int_equal(hf_slotfile_new(scratch_path("x"), &options, &file, NULL), HF_OK);
	st = hf_slotfile_lock(file, &content, NULL);
	hf_slot_content_clear(&content);
	if (!st)
		st = hf_slotfile_write(file, data, len, NULL);
	hf_slotfile_unlock(file);
	hf_slotfile_free(file);
	return st;
}

static void expect(const char *data, size_t len)
{
	hf_slotfile *file;
	hf_slot_content content;

	assert_int_equal(hf_slotfile_new(scratch_path("x"), &options, &file, NULL), HF_OK);
	assert_int_equal(hf_slotfile_read(file, &content, NULL), HF_OK);
	assert_int_equal(content.len, len);
	if (len)
		assert_memory_equal(content.data, data, len);
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
}

static int set_up(void **state)
{
	exchange_errno = fallocate_errno = fdatasync_errno = pwrite_errno = 0;
	pwrite_most = 0;
	options.sync = false;
	return scratch_begin(state);
}

static int stops_inside(void *arg)
{
	hf_slotfile *file;
	hf_slot_content content;

	(void)arg;
	if (hf_slotfile_new(scratch_path("x"), &options, &file, NULL) ||
		hf_slotfile_lock(file, &content, NULL))
		return 99;
	raise(SIGSTOP);
	return (int)hf_slotfile_write(file, "late", 4, NULL);
}

/* ---- the tests ---- */

static void without_exchange__it_grows_by_rename(void **state)
{
	static char large[40000];

	(void)state;
	memset(large, 'x', sizeof(large));
	exchange_errno = EINVAL;
	assert_int_equal(put("small", 5), HF_OK);
	assert_int_equal(put(large, 5000), HF_OK);
	expect(large, 5000);
	assert_int_equal(put(large, sizeof(large)), HF_OK);
	expect(large, sizeof(large));
	assert_int_equal(put("small", 5), HF_OK);
	expect("small", 5);
	assert_int_equal(scratch_count(), 1);
}

static void without_exchange__a_stopped_writer_is_not_broken(void **state)
{
	int64_t start_ms;
	pid_t pid;

	(void)state;
	assert_int_equal(put("before", 6), HF_OK);
	pid = scratch_fork(stops_inside, NULL);
	scratch_wait_stopped(pid);
	exchange_errno = EINVAL;
	start_ms = hf_boot_ms();
	assert_int_equal(put("other", 5), HF_UNAVAILABLE);
	assert_in_range(hf_boot_ms() - start_ms, 100, 2000);
	expect("before", 6);
	kill(pid, SIGCONT);
	assert_int_equal(scratch_wait(pid), HF_OK);
	expect("late", 4);
	assert_int_equal(put("other", 5), HF_OK);
	assert_int_equal(scratch_count(), 1);
}

static void without_fallocate__the_blocks_are_written(void **state)
{
	static char large[10000];

	(void)state;
	fallocate_errno = EOPNOTSUPP;
	assert_int_equal(put("small", 5), HF_OK);
	assert_int_equal(put(large, sizeof(large)), HF_OK);
	expect(large, sizeof(large));
}

static void full_disk__refuses_new_files_and_growth_and_nothing_else(void **state)
{
	static char large[10000];

	(void)state;
	fallocate_errno = ENOSPC;
	assert_int_equal(put("small", 5), HF_SYSTEM);
	expect(NULL, 0);
	fallocate_errno = 0;
	assert_int_equal(put("small", 5), HF_OK);
	fallocate_errno = ENOSPC;
	assert_int_equal(put(large, sizeof(large)), HF_SYSTEM);
	expect("small", 5);
	assert_int_equal(put("other", 5), HF_OK);
	expect("other", 5);
	assert_int_equal(scratch_count(), 1);
}

static void failed_write__leaves_the_old_content(void **state)
{
	(void)state;
	assert_int_equal(put("before", 6), HF_OK);
	pwrite_errno = EIO;
	assert_int_equal(put("after", 5), HF_SYSTEM);
	expect("before", 6);
	pwrite_errno = 0;
	assert_int_equal(put("after", 5), HF_OK);
	expect("after", 5);
}

static void short_writes__are_continued(void **state)
{
	static char large[10000];

	(void)state;
	memset(large, 'x', sizeof(large));
	pwrite_most = 7;
	assert_int_equal(put("some content", 12), HF_OK);
	expect("some content", 12);
	pwrite_most = 1000;
	assert_int_equal(put(large, sizeof(large)), HF_OK);
	expect(large, sizeof(large));
}

static void failed_sync__is_unknown_as_it_can_be_read(void **state)
{
	(void)state;
	options.sync = true;
	assert_int_equal(put("before", 6), HF_OK);
	fdatasync_errno = EIO;
	assert_int_equal(put("after", 5), HF_UNKNOWN);
	expect("after", 5);
}

/* ---- one who was stopped ends what another one is just looking through ---- */

static hf_slotfile *stopped;

static void go_on(void)
{
	assert_int_equal(hf_slotfile_rebuild(stopped, NULL), HF_CHANGED);
}

static hf_slotfile *exchanged(char *nonce_out)
{
	hf_slotfile *file;
	bool missing;

	assert_int_equal(hf_slotfile_new(scratch_path("x"), &options, &file, NULL), HF_OK);
	assert_int_equal(hf_slotfile_open(file, false, &missing, NULL), HF_OK);
	assert_int_equal(hf_slotfile_exchange(file, 4096, nonce_out, NULL, NULL), HF_OK);
	return file;
}

static void chain_that_is_shortened_meanwhile__leads_to_the_content(void **state)
{
	char first[HF_NONCE_LEN + 1];
	char nonce[HF_NONCE_LEN + 1];
	hf_slotfile *file;

	(void)state;
	assert_int_equal(put("the content", 11), HF_OK);
	hf_slotfile_free(exchanged(first)); /* killed */
	stopped = exchanged(nonce);
	file = exchanged(nonce);
	/* Where it looks last, the other has been: the content is with that one now. */
	open_of = first;
	before_open = go_on;
	assert_int_equal(hf_slotfile_rebuild(file, NULL), HF_OK);
	assert_null(open_of);
	hf_slotfile_close(file);
	hf_slotfile_free(file);
	hf_slotfile_free(stopped);
	expect("the content", 11);
	assert_int_equal(scratch_count(), 1);
}

/* As many as may run out of patience at one time. */
static void chain_of_hundreds__leads_to_the_content(void **state)
{
	char nonce[HF_NONCE_LEN + 1];
	int i;

	(void)state;
	assert_int_equal(put("the content", 11), HF_OK);
	for (i = 0; i < 300; i++)
		hf_slotfile_free(exchanged(nonce));
	expect("the content", 11);
	assert_int_equal(scratch_count(), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, scratch_end)
	const struct CMUnitTest tests[] = {
		TEST(without_exchange__it_grows_by_rename),
		TEST(without_exchange__a_stopped_writer_is_not_broken),
		TEST(without_fallocate__the_blocks_are_written),
		TEST(full_disk__refuses_new_files_and_growth_and_nothing_else),
		TEST(failed_write__leaves_the_old_content),
		TEST(short_writes__are_continued),
		TEST(failed_sync__is_unknown_as_it_can_be_read),
		TEST(chain_that_is_shortened_meanwhile__leads_to_the_content),
		TEST(chain_of_hundreds__leads_to_the_content),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
