#include "line_world.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

counted *store_counts;
static const char *kind;
static char url[512];

int line_setup(void **state)
{
	char command[600];

	(void)state;
	scratch_make();
	if (!strcmp(kind, "git")) {
		snprintf(command, sizeof(command), "git init -q '%s'", scratch_path("repo"));
		assert_int_equal(system(command), 0);
	}
	snprintf(url, sizeof(url), "%s:%s", kind, scratch_path("repo"));
	return 0;
}

int line_teardown(void **state)
{
	(void)state;
	scratch_clear();
	return 0;
}

/* Loaded once, before any process is forked: all share its page. */
static void find_counts(void)
{
	char path[512];
	void *handle;

	snprintf(path, sizeof(path), "%s/holdfast-store-counted.so", getenv("HF_TEST_MODULES"));
	handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
	assert_non_null(handle);
	store_counts = *(counted **)dlsym(handle, COUNTED_SYMBOL);
	assert_non_null(store_counts);
}

int line_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests,
	size_t count, size_t counting)
{
	int failed;

	if (argc < 2 || (strcmp(argv[1], "counted") && strcmp(argv[1], "git"))) {
		fprintf(stderr, "usage: %s counted|git [FILTER]\n", argv[0]);
		return 2;
	}
	kind = argv[1];
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	if (!strcmp(kind, "counted")) {
		line_setup(NULL);
		hf_close(open_with(""));
		line_teardown(NULL);
		find_counts();
	} else {
		count -= counting;
	}
	failed = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
	if (failed)
		fprintf(stderr, "again: %s %s '*part of the test name*'\n", argv[0], kind);
	return failed ? 1 : 0;
}

hf_manager *open_in(const char *runtime, const char *options, hf_log_fn log, void *arg)
{
	hf_open_options o = HF_OPEN_OPTIONS_INIT;
	char full[600];
	hf_manager *m;
	hf_error error;

	o.module_dir = getenv("HF_TEST_MODULES");
	o.runtime_dir = runtime;
	o.state_dir = "";
	o.log = log;
	o.log_arg = arg;
	snprintf(full, sizeof(full), "%s%s", url, options);
	if (hf_open(full, &o, &m, &error))
		fail_msg("%s: %s", full, error.text);
	return m;
}

hf_manager *open_with(const char *options)
{
	return open_in(scratch_path("run"), options, NULL, NULL);
}

hf_lease *take_for_ever(hf_manager *m, const char *name)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.ttl_ms = 0;
	return take(m, name, &o);
}

hf_status try_to_share(hf_manager *m, const char *name)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.mode = HF_SHARED;
	return try_it(m, name, &o);
}

long asked(void)
{
	return store_counts->reads + store_counts->swaps;
}

void sleep_ms(int64_t ms)
{
	hf_sleep_until_ms(hf_boot_ms() + ms);
}

unsigned scaled(unsigned n)
{
	const char *scale = getenv("HF_TEST_SCALE");
	uint64_t percent = 100;

	if (scale && !hf_parse_u64(scale, &percent))
		percent = 100;
	n = (unsigned)(n * percent / 100);
	return n > 4 ? n : 4;
}

/* ---- contenders ---- */

contender *new_contender(const char *name)
{
	contender *c = scratch_shared(sizeof(*c));

	*c = (contender){.name = name, .url_options = ""};
	c->options = (hf_acquire_options)HF_ACQUIRE_OPTIONS_INIT;
	c->options.wait_ms = 60000;
	return c;
}

static int contend_main(void *arg)
{
	contender *c = arg;
	hf_manager *m = open_with(c->url_options);
	hf_lease *lease;
	hf_error error;
	hf_status st = hf_acquire(m, c->name, &c->options, &lease, &error);

	c->got_ms = hf_boot_ms();
	c->status = (int)st + 1;
	if (st) {
		hf_close(m);
		return 1;
	}
	c->token = hf_lease_token(lease);
	c->holds = 1;
	while (!c->go)
		usleep(2000);
	st = hf_release(lease, NULL);
	hf_close(m);
	return st ? 2 : 0;
}

pid_t contend(contender *c)
{
	return scratch_fork(contend_main, c);
}

bool contender_holds(void *c)
{
	return ((contender *)c)->holds;
}

void contender_wait(contender *c)
{
	if (!eventually(contender_holds, c, 20000))
		fail_msg("'%s' was not had in time (status %d)", c->name, c->status - 1);
}

void contender_end(contender *c, pid_t pid)
{
	c->go = 1;
	assert_int_equal(scratch_wait(pid), 0);
}
