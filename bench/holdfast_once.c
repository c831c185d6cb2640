/*
 * The store in a process of its own: open, acquire, release, close, once.
 *
 *	holdfast_once [URL]
 *
 * Without a URL it does nothing: the difference is the store's.
 */
#include "bench.h"

#include <holdfast/holdfast.h>

static hf_error error;

static void check(hf_status status)
{
	must(!status, error.text);
}

int main(int argc, char **argv)
{
	hf_manager *m;
	hf_lease *lease;

	if (argc < 2)
		return 0;
	check(hf_open(argv[1], NULL, &m, &error));
	check(hf_acquire(m, "once", NULL, &lease, &error));
	must(hf_lease_token(lease) > 0, "a grant has a token");
	check(hf_release(lease, &error));
	hf_close(m);
	return 0;
}
