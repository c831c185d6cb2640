/*
 * What the file system alone takes for what a loose git repository has to do:
 *
 *	object	a new file of some 200 bytes under a temporary name, renamed
 *	move	a new file of 41 bytes, renamed over an existing one
 *	exchange	the same, exchanged with it, and the old one unlinked
 *	create	a new file of 41 bytes, renamed to a new name, and unlinked
 *
 * No hashing, no deflating, no locking, no reading: nothing that keeps git's
 * format can be faster than these.
 *
 *	fs_floor FOLDER COUNT
 */
#include "bench.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDERS 256

static void write_file(const char *path, size_t n)
{
	static const char bytes[256];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && !close(fd),
		"a file can be written");
}

static void object(long i)
{
	char path[64];

	write_file("object.tmp", 200);
	snprintf(path, sizeof(path), "%02lx/%d-%ld", (unsigned long)i % FOLDERS, getpid(), i);
	must(!rename("object.tmp", path), "an object can be named");
}

static void move(long i)
{
	(void)i;
	write_file("moved.lock", 41);
	must(!rename("moved.lock", "moved"), "a ref can be moved");
}

static void exchange(long i)
{
	(void)i;
	write_file("moved.lock", 41);
	must(!renameat2(AT_FDCWD, "moved.lock", AT_FDCWD, "moved", RENAME_EXCHANGE) &&
			!unlink("moved.lock"),
		"a ref can be exchanged");
}

static void create(long i)
{
	(void)i;
	write_file("created.lock", 41);
	must(!rename("created.lock", "created") && !unlink("created"),
		"a ref can be created and deleted");
}

static void measure(const char *name, void (*step)(long), long count)
{
	int64_t start_ns = now_ns();
	long i;

	for (i = 0; i < count; i++)
		step(i);
	printf("%s_ns=%.1f ", name, (double)(now_ns() - start_ns) / (double)count);
}

int main(int argc, char **argv)
{
	char folder[8];
	unsigned i;
	long count;

	must(argc == 3, "usage: fs_floor FOLDER COUNT");
	count = count_from(argv[2]);
	must(!chdir(argv[1]), "the folder is there");
	for (i = 0; i < FOLDERS; i++) {
		snprintf(folder, sizeof(folder), "%02x", i);
		(void)!mkdir(folder, 0700);
	}
	measure("object", object, count);
	measure("move", move, count);
	measure("exchange", exchange, count);
	measure("create", create, count);
	printf("\n");
	return 0;
}
