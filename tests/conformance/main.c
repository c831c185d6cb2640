/* conformance KIND [FILTER]: the promises of every store, by number. */
#include "world.h"

#include <stdio.h>
#include <unistd.h>

static size_t append(
	struct CMUnitTest *all, size_t n, const struct CMUnitTest *tests, size_t count)
{
	memcpy(all + n, tests, count * sizeof(*all));
	return n + count;
}

int main(int argc, char **argv)
{
	struct CMUnitTest *all;
	size_t n = 0;
	int failed;

	if (argc < 2) {
		fprintf(stderr, "usage: %s memory|file|flock|git-history|git-blob [FILTER]\n",
			argv[0]);
		return 2;
	}
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	world_make(argv[1]);
	all = calloc(register_test_count + lease_test_count + many_test_count +
			     tidy_test_count + fence_test_count + deadlock_test_count +
			     async_test_count + async_many_test_count + tree_test_count +
			     no_tree_test_count + upgrade_test_count +
			     upgrade_circle_test_count + race_test_count,
		sizeof(*all));
	if (!all)
		return 2;
	n = append(all, n, register_tests, register_test_count);
	n = append(all, n, lease_tests, lease_test_count);
	n = append(all, n, many_tests, many_test_count);
	n = append(all, n, tidy_tests, tidy_test_count);
	n = append(all, n, fence_tests, fence_test_count);
	n = append(all, n, deadlock_tests, deadlock_test_count);
	n = append(all, n, async_tests, async_test_count);
	n = append(all, n, async_many_tests, async_many_test_count);
	if (under_test.detached) {
		n = append(all, n, upgrade_tests, upgrade_test_count);
		n = append(all, n, upgrade_circle_tests, upgrade_circle_test_count);
		n = append(all, n, tree_tests, tree_test_count);
	} else { /* layout=flock has no line */
		n = append(all, n, no_tree_tests, no_tree_test_count);
	}
	n = append(all, n, race_tests, race_test_count);
	failed = _cmocka_run_group_tests(argv[1], all, n, NULL, NULL);
	free(all);
	world_remove();
	if (failed)
		fprintf(stderr, "again: %s %s '*part of the test name*'\n", argv[0], argv[1]);
	return failed ? 1 : 0;
}
