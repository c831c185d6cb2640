/* conformance KIND [FILTER]: the promises of every store, by number. */
#include "world.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct CMUnitTest *all;
	size_t n = register_test_count + lease_test_count + race_test_count;
	int failed;

	if (argc < 2) {
		fprintf(stderr, "usage: %s memory|file|flock|git-history|git-blob [FILTER]\n",
			argv[0]);
		return 2;
	}
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	world_make(argv[1]);
	all = calloc(n, sizeof(*all));
	if (!all)
		return 2;
	memcpy(all, register_tests, register_test_count * sizeof(*all));
	memcpy(all + register_test_count, lease_tests, lease_test_count * sizeof(*all));
	memcpy(all + register_test_count + lease_test_count, race_tests,
		race_test_count * sizeof(*all));
	failed = _cmocka_run_group_tests(argv[1], all, n, NULL, NULL);
	free(all);
	world_remove();
	if (failed)
		fprintf(stderr, "again: %s %s '*part of the test name*'\n", argv[0], argv[1]);
	return failed ? 1 : 0;
}
