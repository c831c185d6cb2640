#include "bell.h"

#include "base/base.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The first `len` bytes of the id. Without a first character: abstract. */
static socklen_t address_of(const char *id, int len, struct sockaddr_un *address)
{
	int n;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	n = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "holdfast-bell/%.*s",
		len, id);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int new_bell(const char *id, int id_len)
{
	struct sockaddr_un address;
	socklen_t len = address_of(id, id_len, &address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, len)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int hf_bell_new(const char *id)
{
	return new_bell(id, HF_ID_LEN);
}

int hf_bell_new_shared(const char *id)
{
	return new_bell(id, HF_BELL_PREFIX_LEN);
}

void hf_bell_new_id(const char *like, char *id_out)
{
	hf_new_id(id_out);
	memcpy(id_out, like, HF_BELL_PREFIX_LEN);
}

void hf_bell_quiet(int bell)
{
	char any[8];

	while (bell >= 0 && recv(bell, any, sizeof(any), 0) >= 0)
		;
}

bool hf_bell_next(int bell, char *id_out)
{
	ssize_t n;

	do
		n = recv(bell, id_out, HF_ID_LEN, 0);
	while (n < 0 && errno == EINTR);
	id_out[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

size_t hf_bell_room(void)
{
	FILE *file = fopen("/proc/sys/net/unix/max_dgram_qlen", "re");
	unsigned n = 10; /* the kernel's default */

	if (file) {
		if (fscanf(file, "%u", &n) != 1)
			n = 10;
		fclose(file);
	}
	return n;
}

static bool ring(int fd, const char *id, int id_len)
{
	struct sockaddr_un address;
	socklen_t len = address_of(id, id_len, &address);

	return sendto(fd, id, strnlen(id, HF_ID_LEN), MSG_NOSIGNAL,
		       (const struct sockaddr *)&address, len) >= 0;
}

void hf_bell_ring(const char *id)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	if (!ring(fd, id, HF_ID_LEN))
		(void)ring(fd, id, HF_BELL_PREFIX_LEN);
	close(fd);
}
