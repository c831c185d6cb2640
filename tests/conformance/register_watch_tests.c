/* The register's R7: who watches is woken. */
#include "register.h"

#include <sys/eventfd.h>
#include <unistd.h>

struct late_write {
	const char *name;
	register_under_test shared;
	int64_t delay_ms;
};

static int write_later(int i, void *arg)
{
	struct late_write *w = arg;
	register_under_test r = under_test.processes ? world_register() : w->shared;

	(void)i;
	usleep((useconds_t)w->delay_ms * 1000);
	write_once(&r, w->name);
	if (under_test.processes)
		world_register_close(&r);
	return 0;
}

static int watch_it(int i, void *arg)
{
	struct late_write *w = arg;
	register_under_test r = under_test.processes ? world_register() : w->shared;
	hf_snapshot s = look(&r, w->name);
	int64_t start_ms = hf_boot_ms();
	hf_error error;
	bool changed = false;

	(void)i;
	while (!changed && hf_boot_ms() - start_ms < 8000) {
		hf_snapshot now;

		if (r.ops->watch(r.store, w->name, &s.etag, 8000, -1, &error))
			return 1;
		now = look(&r, w->name);
		changed = !hf_etag_equal(&now.etag, &s.etag);
		hf_snapshot_clear(&now);
	}
	hf_snapshot_clear(&s);
	if (under_test.processes)
		world_register_close(&r);
	/* Woken by the change, not by the time running out. */
	return changed && hf_boot_ms() - start_ms < 4000 ? 0 : 1;
}

static int watch_or_write(int i, void *arg)
{
	return i == 0 ? write_later(i, arg) : watch_it(i, arg);
}

static void R7__a_watch_does_not_sleep_past_a_change(void **state)
{
	struct late_write w = {.delay_ms = 300};
	int round;

	(void)state;
	w.shared = world_register();
	world_register_needs(&w.shared, w.shared.ops->watch != NULL);
	for (round = 0; round < 3; round++) {
		w.name = world_name("watch");
		if (round) /* first a name never used, then one in use */
			write_once(&w.shared, w.name);
		world_run(3, watch_or_write, &w, 30);
	}
	world_register_close(&w.shared);
}

static void R7__a_watch_of_an_old_state_returns_at_once(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("watch");
	hf_etag old;
	hf_error error;
	int64_t start_ms;

	(void)state;
	world_register_needs(&r, r.ops->watch != NULL);
	old = write_once(&r, name);
	write_once(&r, name);
	start_ms = hf_boot_ms();
	assert_int_equal(r.ops->watch(r.store, name, &old, 8000, -1, &error), HF_OK);
	assert_true(hf_boot_ms() - start_ms < 4000);
	world_register_close(&r);
}

static void R7__a_watch_ends_with_its_time_or_when_cancelled(void **state)
{
	register_under_test r = world_register();
	const char *name = world_name("watch");
	hf_etag now;
	hf_error error;
	int64_t start_ms;
	uint64_t one = 1;
	int fd;

	(void)state;
	world_register_needs(&r, r.ops->watch != NULL);
	fd = eventfd(0, EFD_CLOEXEC);
	now = write_once(&r, name);
	start_ms = hf_boot_ms();
	assert_int_equal(r.ops->watch(r.store, name, &now, 100, -1, &error), HF_OK);
	assert_true(hf_boot_ms() - start_ms < 4000);
	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
	start_ms = hf_boot_ms();
	assert_int_equal(r.ops->watch(r.store, name, &now, 8000, fd, &error), HF_OK);
	assert_true(hf_boot_ms() - start_ms < 4000);
	close(fd);
	world_register_close(&r);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(R7__a_watch_does_not_sleep_past_a_change),
	cmocka_unit_test(R7__a_watch_of_an_old_state_returns_at_once),
	cmocka_unit_test(R7__a_watch_ends_with_its_time_or_when_cancelled),
};
const test_group register_watch_tests = TEST_GROUP(tests);
