/*
 * The least a lock on a file can cost: open, flock, close. It knows no holder, no
 * lease, no token, no history.
 *
 *	flock_pair FILE COUNT
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	must(fd >= 0, "the file can be opened");
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	close(fd);
	return -1;
}

static void pairs(const char *path, long count)
{
	for (; count > 0; count--) {
		int fd = lock(path);

		must(fd >= 0, strerror(errno));
		close(fd);
	}
}

int main(int argc, char **argv)
{
	int64_t start_ns;
	long count;
	int fd;

	must(argc == 3, "usage: flock_pair FILE COUNT");
	count = count_from(argv[2]);
	fd = lock(argv[1]);
	must(fd >= 0 && lock(argv[1]) < 0, "a held lock is refused");
	close(fd);
	pairs(argv[1], count / 10 + 1);
	start_ns = now_ns();
	pairs(argv[1], count);
	print_pair(now_ns() - start_ns, count);
	return 0;
}
