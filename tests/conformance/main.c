/* conformance KIND [FILTER]: the promises of every store, by number. */
#include "world.h"

#include <stdio.h>

static const test_group *const groups[] = {
	&register_tests,
	&register_watch_tests,
	&register_history_tests,
	&lease_tests,
	&lease_change_tests,
	&lease_process_tests,
	&many_tests,
	&tidy_tests,
	&fence_tests,
	&deadlock_tests,
	&async_tests,
	&async_end_tests,
	&async_many_tests,
	&upgrade_tests,
	&upgrade_circle_tests,
	&tree_tests,
	&tree_race_tests,
	&no_tree_tests,
	&race_tests,
	&crowd_tests,
};

/* Has the store under test what this group is about? */
static bool applies(const test_group *group)
{
	if (group == &tree_tests || group == &tree_race_tests || group == &upgrade_tests ||
		group == &upgrade_circle_tests)
		return under_test.detached;
	if (group == &crowd_tests)
		return under_test.processes && under_test.detached;
	if (group == &no_tree_tests)
		return !under_test.detached;
	return true;
}

int main(int argc, char **argv)
{
	struct CMUnitTest *all;
	size_t most = 0;
	size_t n = 0;
	size_t i;
	int failed;

	if (argc < 2) {
		fprintf(stderr, "usage: %s memory|file|flock|git-history|git-blob [FILTER]\n",
			argv[0]);
		return 2;
	}
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	world_make(argv[1]);
	for (i = 0; i < HF_ARRAY_LEN(groups); i++)
		most += groups[i]->count;
	all = calloc(most, sizeof(*all));
	if (!all)
		return 2;
	for (i = 0; i < HF_ARRAY_LEN(groups); i++) {
		if (!applies(groups[i]))
			continue;
		memcpy(all + n, groups[i]->tests, groups[i]->count * sizeof(*all));
		n += groups[i]->count;
	}
	failed = _cmocka_run_group_tests(argv[1], all, n, NULL, NULL);
	free(all);
	world_remove();
	if (failed)
		fprintf(stderr, "again: %s %s '*part of the test name*'\n", argv[0], argv[1]);
	return failed ? 1 : 0;
}
