#include "metrics_helper.h"

#include "../scale.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char folder[64];
char path[96];
int64_t now_s = 1700000000;

int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/holdfast-metrics-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/state/holdfast/metrics-1", folder);
	return 0;
}

int teardown(void **state)
{
	char text[96];

	(void)state;
	snprintf(text, sizeof(text), "rm -r %s", folder);
	return system(text);
}

hf_metrics one(void)
{
	hf_metrics m = HF_METRICS_INIT;

	m.acquisitions = m.wait.count = m.wait.buckets[3] = 1;
	m.wait.total_us = 500;
	m.releases = m.hold.count = m.hold.buckets[HF_HISTOGRAM_BUCKETS - 1] = 1;
	m.hold.total_us = 7;
	return m;
}

bool add_metrics(const char *store, const char *name, const hf_metrics *m, bool *damaged_out)
{
	cli_metrics_addition what = {
		.store = store, .name = name, .metrics = m, .now_s = now_s};

	return cli_metrics_file_add(path, &what, damaged_out);
}

bool add(const char *store, const char *name)
{
	hf_metrics m = one();
	bool damaged;

	return add_metrics(store, name, &m, &damaged) && !damaged;
}

cli_metrics_list read_all(void)
{
	static const cli_metrics_filter all = {NULL, NULL};
	cli_metrics_list list;

	assert_int_equal(cli_metrics_file_read(path, &all, &list, NULL), HF_OK);
	return list;
}

hf_metrics of(const char *store, const char *name)
{
	hf_metrics found = HF_METRICS_INIT;
	cli_metrics_list list = read_all();
	size_t i;

	for (i = 0; i < list.count; i++)
		if (!strcmp(list.items[i].store, store) && !strcmp(list.items[i].name, name))
			found = list.items[i].metrics;
	cli_metrics_list_clear(&list);
	return found;
}

void assert_counted(const char *store, const char *name, uint64_t n)
{
	hf_metrics m = of(store, name);

	assert_int_equal(m.acquisitions, n);
	assert_int_equal(m.releases, n);
	assert_int_equal(m.wait.count, n);
	assert_int_equal(m.wait.buckets[3], n);
	assert_int_equal(m.wait.total_us, 500 * n);
	assert_int_equal(m.hold.buckets[HF_HISTOGRAM_BUCKETS - 1], n);
	assert_int_equal(m.hold.total_us, 7 * n);
}

uint64_t acquisitions(void)
{
	cli_metrics_list list = read_all();
	uint64_t sum = 0;
	size_t i;

	assert_int_equal(list.damaged, 0);
	assert_true(list.count <= CLI_METRICS_PAGES);
	for (i = 0; i < list.count; i++)
		sum += list.items[i].metrics.acquisitions;
	cli_metrics_list_clear(&list);
	return sum;
}

off_t only_page(void)
{
	int fd = open(path, O_RDONLY);
	off_t at = lseek(fd, 0, SEEK_DATA);
	char first = 0;

	for (at = 0; pread(fd, &first, 1, at) == 1 && !first; at += CLI_METRICS_PAGE)
		;
	close(fd);
	assert_int_equal(first, 'h');
	return at;
}

unsigned scaled(unsigned rounds)
{
	return test_rounds(rounds, 10);
}
