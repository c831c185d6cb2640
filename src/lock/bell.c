#include "bell.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The name without a first character: that makes it abstract. */
static socklen_t address_of(const char *id, struct sockaddr_un *address)
{
	int n;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	n = snprintf(
		address->sun_path + 1, sizeof(address->sun_path) - 1, "holdfast-bell/%s", id);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

int hf_bell_new(const char *id)
{
	struct sockaddr_un address;
	socklen_t len = address_of(id, &address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, len)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void hf_bell_quiet(int bell)
{
	char any[8];

	while (bell >= 0 && recv(bell, any, sizeof(any), 0) >= 0)
		;
}

void hf_bell_ring(const char *id)
{
	struct sockaddr_un address;
	socklen_t len = address_of(id, &address);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	(void)!sendto(fd, "", 1, MSG_NOSIGNAL, (const struct sockaddr *)&address, len);
	close(fd);
}
