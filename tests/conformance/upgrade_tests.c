/* Upgrades that wait: alone in the end, before newcomers, and never for ever. */
#include "held.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define SOON_MS 10000 /* on a machine that is busy */

static hf_acquire_options sharing(void)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.mode = HF_SHARED;
	o.wait_ms = 30000;
	return o;
}

static hf_convert_options waiting(int64_t wait_ms)
{
	hf_convert_options o = HF_CONVERT_OPTIONS_INIT;

	o.wait_ms = wait_ms;
	return o;
}

static hf_lease *share(hf_manager *m, const char *name)
{
	hf_acquire_options o = sharing();

	return take(m, name, &o);
}

/* What several contenders of one lock share. */
struct scene {
	char name[64];
	char second[64];
	int count;
	_Atomic int step;
	_Atomic int deadlocks;
	_Atomic int upgraded;
	_Atomic int at[4]; /* the order in which something came to pass */
	_Atomic int last;
	char words[512];
	char error[512];
};

static struct scene *new_scene(const char *hint)
{
	struct scene *s = world_shared(sizeof(*s));

	hf_copy(s->name, sizeof(s->name), world_name(hint));
	hf_copy(s->second, sizeof(s->second), world_name(hint));
	return s;
}

static int wrong(struct scene *s, const char *what, hf_status st, const hf_error *error)
{
	snprintf(s->error, sizeof(s->error), "%s: %s: %s", what, hf_status_name(st),
		st ? error->text : "");
	return 0; /* the test tells */
}

static void until(struct scene *s, int step)
{
	while (s->step < step && !s->error[0])
		usleep(500);
}

static size_t waiters(hf_manager *m, const char *name)
{
	hf_lock_info *info;
	size_t n;

	if (hf_lock_status(m, name, &info, NULL))
		return 0;
	n = info->waiter_count;
	hf_lock_info_free(info);
	return n;
}

static bool until_waiting(hf_manager *m, const char *name, size_t count)
{
	int64_t until_ms = hf_boot_ms() + SOON_MS;

	while (waiters(m, name) < count && hf_boot_ms() < until_ms)
		usleep(2000);
	return waiters(m, name) >= count;
}

/* ---- one who upgrades ---- */

/* 0 upgrades, 1 shares it meanwhile, 2 is new and wants to share it. */
static int upgrader(struct scene *s, hf_manager *m)
{
	hf_lease *lease = share(m, s->name);
	hf_convert_options o = waiting(30000);
	uint64_t token = hf_lease_token(lease);
	char id[HF_ID_LEN + 1];
	hf_error error;
	hf_status st;

	hf_copy(id, sizeof(id), hf_lease_id(lease));
	s->step++;
	until(s, 2);
	st = hf_convert(lease, HF_EXCLUSIVE, &o, &error);
	s->at[0] = ++s->last;
	if (st)
		return wrong(s, "upgrade", st, &error);
	if (hf_lease_mode(lease) != HF_EXCLUSIVE || hf_lease_token(lease) <= token ||
		strcmp(id, hf_lease_id(lease)) != 0 || holders(m, s->name) != 1)
		return wrong(s, "what it got", st, &error);
	usleep(100000);
	s->at[1] = ++s->last;
	st = hf_release(lease, &error);
	return st ? wrong(s, "release", st, &error) : 0;
}

static int sharer(struct scene *s, hf_manager *m)
{
	hf_lease *lease = share(m, s->name);
	hf_error error;
	hf_status st;

	s->step++;
	if (!until_waiting(m, s->name, 2))
		return wrong(s, "nobody waits", HF_OK, NULL);
	usleep(200000);
	if (s->last)
		return wrong(s, "somebody is in", HF_OK, NULL);
	st = hf_release(lease, &error);
	return st ? wrong(s, "release", st, &error) : 0;
}

static int newcomer(struct scene *s, hf_manager *m)
{
	hf_acquire_options o = sharing();
	hf_lease *lease;
	hf_error error;
	hf_status st;

	until(s, 2);
	if (!until_waiting(m, s->name, 1))
		return wrong(s, "nobody waits", HF_OK, NULL);
	st = hf_try_acquire(m, s->name, &o, &lease, &error);
	if (st != HF_HELD)
		return wrong(s, "try", st, &error);
	o.priority = 5; /* not even so */
	st = hf_acquire(m, s->name, &o, &lease, &error);
	s->at[2] = ++s->last;
	if (!st)
		st = hf_release(lease, &error);
	return st ? wrong(s, "acquire", st, &error) : 0;
}

static int play(int i, void *arg)
{
	static int (*const parts[])(struct scene *, hf_manager *) = {
		upgrader, sharer, newcomer};
	hf_manager *m = world_open();
	int code = parts[i](arg, m);

	hf_close(m);
	return code;
}

static void upgrade__waits_and_goes_before_who_is_new(void **state)
{
	struct scene *s = new_scene("upgrade");

	(void)state;
	world_run(3, play, s, 60);
	assert_string_equal(s->error, "");
	assert_int_equal(s->at[0], 1);
	assert_int_equal(s->at[1], 2);
	assert_int_equal(s->at[2], 3);
}

static void upgrade__that_times_out_leaves_all_as_it_was(void **state)
{
	const char *name = world_name("late");
	hf_acquire_options o = sharing();
	hf_convert_options wait = waiting(300);
	hf_manager *m = world_open();
	hf_lease *a = share(m, name);
	hf_lease *b = share(m, name);
	uint64_t token = hf_lease_token(a);
	int64_t start_ms = hf_boot_ms();
	hf_error error;

	(void)state;
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, &error), HF_TIMED_OUT);
	assert_true(hf_boot_ms() - start_ms >= 300);
	assert_non_null(strstr(error.text, name));
	assert_int_equal(waiters(m, name), 0);
	assert_int_equal(hf_lease_mode(a), HF_SHARED);
	assert_int_equal(hf_lease_token(a), token);
	assert_true(hf_lease_valid(a));
	assert_int_equal(try_it(m, name, &o), HF_OK);
	wait.wait_ms = 0;
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, &error), HF_HELD);
	assert_int_equal(waiters(m, name), 0);
	give_back(b);
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, &error), HF_OK);
	give_back(a);
	hf_close(m);
}

struct later {
	hf_manager *m;
	hf_lease *lease;
	const char *name;
	int fd;
};

static void *cancel_later(void *arg)
{
	struct later *l = arg;

	assert_true(until_waiting(l->m, l->name, 1));
	assert_int_equal(write(l->fd, "x", 1), 1);
	return NULL;
}

static void upgrade__that_is_cancelled_leaves_all_as_it_was(void **state)
{
	const char *name = world_name("cancelled");
	hf_acquire_options o = sharing();
	hf_convert_options wait = HF_CONVERT_OPTIONS_INIT;
	hf_manager *m = world_open();
	struct later l = {.m = world_open(), .name = name};
	hf_lease *a = share(m, name);
	hf_lease *b = share(m, name);
	pthread_t thread;
	hf_error error;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	wait.cancel_fd = fds[0];
	l.fd = fds[1];
	pthread_create(&thread, NULL, cancel_later, &l);
	assert_int_equal(hf_convert(a, HF_EXCLUSIVE, &wait, &error), HF_TIMED_OUT);
	pthread_join(thread, NULL);
	assert_int_equal(waiters(m, name), 0);
	assert_int_equal(hf_lease_mode(a), HF_SHARED);
	assert_int_equal(try_it(m, name, &o), HF_OK);
	give_back(a);
	give_back(b);
	close(fds[0]);
	close(fds[1]);
	hf_close(l.m);
	hf_close(m);
}

/* ---- what happens to the hold meanwhile ---- */

static void *release_later(void *arg)
{
	struct later *l = arg;

	assert_true(until_waiting(l->m, l->name, 1));
	usleep(1800000);
	give_back(l->lease);
	return NULL;
}

static void upgrade__is_renewed_while_it_waits(void **state)
{
	const char *name = world_name("renewed");
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	struct later l = {.m = world_open(), .name = name};
	pthread_t thread;
	hf_lease *lease;
	hf_error error;

	(void)state;
	o.ttl_ms = 1000;
	lease = take(m, name, &o);
	l.lease = share(l.m, name);
	pthread_create(&thread, NULL, release_later, &l);
	if (hf_convert(lease, HF_EXCLUSIVE, NULL, &error))
		fail_msg("%s", error.text);
	pthread_join(thread, NULL);
	assert_true(hf_lease_valid(lease));
	assert_int_equal(hf_lease_mode(lease), HF_EXCLUSIVE);
	assert_int_equal(try_it(m, name, &o), HF_HELD);
	give_back(lease);
	hf_close(l.m);
	hf_close(m);
}

static void *force_later(void *arg)
{
	struct later *l = arg;

	assert_true(until_waiting(l->m, l->name, 1));
	assert_int_equal(hf_force_release(l->m, l->name, NULL, 0, NULL, NULL), HF_OK);
	return NULL;
}

static void upgrade__of_a_hold_that_is_taken_away_is_lost(void **state)
{
	const char *name = world_name("taken");
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	struct later l = {.m = world_open(), .name = name};
	int64_t start_ms = hf_boot_ms();
	pthread_t thread;
	hf_lease *lease;
	hf_lease *other;
	hf_error error;

	(void)state;
	o.ttl_ms = 3000;
	lease = take(m, name, &o);
	other = share(m, name);
	pthread_create(&thread, NULL, force_later, &l);
	assert_int_equal(hf_convert(lease, HF_EXCLUSIVE, NULL, &error), HF_LOST);
	assert_true(hf_boot_ms() - start_ms < SOON_MS);
	pthread_join(thread, NULL);
	assert_false(hf_lease_valid(lease));
	assert_int_equal(waiters(m, name), 0);
	hf_release(lease, NULL);
	hf_release(other, NULL);
	hf_close(l.m);
	hf_close(m);
}

/* What is detached is renewed by nobody: it ends while it waits. */
static void upgrade__of_a_hold_that_expires_is_lost(void **state)
{
	const char *name = world_name("expired");
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	hf_lease *other = share(m, name);
	int64_t start_ms = hf_boot_ms();
	hf_lease *lease;
	hf_error error;

	(void)state;
	o.ttl_ms = 700;
	o.flags = HF_DETACHED;
	lease = take(m, name, &o);
	assert_int_equal(hf_convert(lease, HF_EXCLUSIVE, NULL, &error), HF_LOST);
	assert_true(hf_boot_ms() - start_ms < SOON_MS);
	assert_int_equal(waiters(m, name), 0);
	hf_release(lease, NULL);
	give_back(other);
	hf_close(m);
}

/* ---- killed ---- */

static int wait_to_be_killed(int i, void *arg)
{
	struct scene *s = arg;
	hf_manager *m = world_open();
	hf_lease *lease = share(m, s->name);
	hf_error error;

	(void)i;
	return hf_convert(lease, HF_EXCLUSIVE, NULL, &error) != HF_OK;
}

static void *take_later(void *arg)
{
	struct later *l = arg;
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.wait_ms = 60000;
	l->lease = take(l->m, l->name, &o);
	return NULL;
}

static void upgrade__of_one_that_is_killed_is_skipped(void **state)
{
	struct scene *s = new_scene("killed");
	struct later l = {.name = s->name};
	int64_t start_ms;
	pthread_t thread;
	hf_manager *m;
	hf_lease *lease;
	pid_t pid;

	(void)state;
	if (!under_test.processes)
		skip();
	l.m = m = world_open();
	lease = share(m, s->name);
	pid = world_spawn(wait_to_be_killed, 0, s);
	assert_true(until_waiting(m, s->name, 1));
	pthread_create(&thread, NULL, take_later, &l);
	assert_true(until_waiting(m, s->name, 2));
	kill(pid, SIGKILL);
	world_wait(pid);
	start_ms = hf_boot_ms();
	give_back(lease);
	pthread_join(thread, NULL);
	assert_true(hf_boot_ms() - start_ms < SOON_MS);
	assert_int_equal(holders(m, s->name), 1);
	assert_int_equal(waiters(m, s->name), 0);
	give_back(l.lease);
	hf_close(m);
}

/* ---- several who upgrade ---- */

static int upgrade_too(int i, void *arg)
{
	struct scene *s = arg;
	hf_manager *m = world_open();
	hf_lease *lease = share(m, s->name);
	hf_convert_options o = waiting(30000);
	uint64_t token = hf_lease_token(lease);
	hf_error error;
	hf_status st;

	(void)i;
	s->step++;
	until(s, s->count);
	st = hf_convert(lease, HF_EXCLUSIVE, &o, &error);
	if (st == HF_DEADLOCK) {
		s->deadlocks++;
		hf_copy(s->words, sizeof(s->words), error.text);
		if (!hf_lease_valid(lease) || hf_lease_mode(lease) != HF_SHARED ||
			hf_lease_token(lease) != token || s->upgraded)
			wrong(s, "what the victim has", st, &error);
	} else if (!st) {
		s->upgraded++;
		if (s->deadlocks != s->count - 1)
			wrong(s, "too soon", st, &error);
	} else {
		wrong(s, "upgrade", st, &error);
	}
	st = hf_release(lease, &error);
	if (st)
		wrong(s, "release", st, &error);
	hf_close(m);
	return 0;
}

static void upgrades_of(int count)
{
	unsigned round;

	for (round = 0; round < world_scaled(3); round++) {
		struct scene *s = new_scene("both");

		s->count = count;
		world_run(count, upgrade_too, s, 60);
		assert_string_equal(s->error, "");
		assert_int_equal(s->deadlocks, count - 1);
		assert_int_equal(s->upgraded, 1);
		if (!strstr(s->words, s->name) || !strstr(s->words, "waits to upgrade"))
			fail_msg("%s", s->words);
	}
}

static void upgrade__of_two_has_one_victim(void **state)
{
	(void)state;
	upgrades_of(2);
}

static void upgrade__of_three_has_two_victims(void **state)
{
	(void)state;
	upgrades_of(3);
}

/* 0 shares x, has y, and upgrades x; 1 shares x and wants y. */
static int through_another_lock(int i, void *arg)
{
	struct scene *s = arg;
	hf_manager *m = world_open();
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_convert_options up = waiting(30000);
	hf_lease *x = share(m, s->name);
	hf_lease *y = i == 0 ? take(m, s->second, NULL) : NULL;
	hf_error error;
	hf_status st;

	s->step++;
	until(s, 2);
	o.wait_ms = 30000;
	o.flags = up.flags = HF_UNDER_OWN;
	st = i == 0 ? hf_convert(x, HF_EXCLUSIVE, &up, &error)
		    : hf_acquire(m, s->second, &o, &y, &error);
	if (st == HF_DEADLOCK)
		s->deadlocks++;
	else if (!st)
		s->upgraded++;
	else
		wrong(s, "wait", st, &error);
	hf_release(y, NULL);
	hf_release(x, NULL);
	hf_close(m);
	return 0;
}

static void upgrade__in_a_circle_of_two_locks_has_one_victim(void **state)
{
	struct scene *s = new_scene("circle");

	(void)state;
	world_run(2, through_another_lock, s, 60);
	assert_string_equal(s->error, "");
	assert_int_equal(s->deadlocks, 1);
	assert_int_equal(s->upgraded, 1);
}

/* ---- limits, groups, trees ---- */

static void *give_back_later(void *arg)
{
	struct later *l = arg;

	assert_true(until_waiting(l->m, l->name, 1));
	give_back(l->lease);
	return NULL;
}

static void upgrade__of_one_of_a_few_takes_them_all(void **state)
{
	const char *name = world_name("limit");
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	struct later l = {.m = world_open(), .name = name};
	pthread_t thread;
	hf_lease *lease;
	hf_error error;

	(void)state;
	o.limit = 3;
	lease = take(m, name, &o);
	l.lease = take(l.m, name, &o);
	pthread_create(&thread, NULL, give_back_later, &l);
	assert_int_equal(hf_convert(lease, HF_EXCLUSIVE, NULL, &error), HF_OK);
	pthread_join(thread, NULL);
	assert_int_equal(try_it(m, name, &o), HF_HELD);
	assert_int_equal(hf_convert(lease, HF_SHARED, NULL, &error), HF_OK);
	assert_int_equal(try_it(m, name, &o), HF_OK);
	give_back(lease);
	hf_close(l.m);
	hf_close(m);
}

static void upgrade__does_not_wait_for_its_own_group(void **state)
{
	const char *name = world_name("group");
	hf_acquire_options o = sharing();
	hf_manager *m = world_open();
	struct later l = {.m = world_open(), .name = name};
	hf_lease *outer = share(m, name);
	pthread_t thread;
	hf_lease *inner;
	hf_error error;

	(void)state;
	l.lease = share(l.m, name);
	o.reenter = hf_lease_id(outer);
	inner = take(m, name, &o);
	pthread_create(&thread, NULL, give_back_later, &l);
	assert_int_equal(hf_convert(inner, HF_EXCLUSIVE, NULL, &error), HF_OK);
	pthread_join(thread, NULL);
	assert_int_equal(hf_lease_mode(outer), HF_SHARED);
	assert_int_equal(holders(m, name), 2);
	give_back(inner);
	give_back(outer);
	hf_close(l.m);
	hf_close(m);
}

/* 0 shares what is below and upgrades it, 1 shares all and upgrades that. */
static int of_a_tree(int i, void *arg)
{
	struct scene *s = arg;
	hf_manager *m = world_open();
	hf_acquire_options o = sharing();
	hf_convert_options up = waiting(30000);
	char below[80];
	hf_lease *lease;
	hf_error error;
	hf_status st;

	snprintf(below, sizeof(below), "%s/docs", s->name);
	o.flags = HF_TREE_NAME;
	lease = take(m, i == 0 ? below : s->name, &o);
	s->step++;
	until(s, 2);
	st = hf_convert(lease, HF_EXCLUSIVE, &up, &error);
	if (st == HF_DEADLOCK)
		s->deadlocks++;
	else if (!st && hf_lease_mode(lease) == HF_EXCLUSIVE)
		s->upgraded++;
	else
		wrong(s, "upgrade", st, &error);
	st = hf_release(lease, &error);
	if (st)
		wrong(s, "release", st, &error);
	hf_close(m);
	return 0;
}

static void upgrade__in_a_tree_waits_for_what_is_above(void **state)
{
	struct scene *s = new_scene("tree");
	hf_manager *m = world_open();

	(void)state;
	world_run(2, of_a_tree, s, 60);
	assert_string_equal(s->error, "");
	assert_int_equal(s->deadlocks, 1);
	assert_int_equal(s->upgraded, 1);
	assert_int_equal(holders(m, s->name), 0);
	assert_int_equal(waiters(m, s->name), 0);
	hf_close(m);
}

const struct CMUnitTest upgrade_tests[] = {
	cmocka_unit_test(upgrade__waits_and_goes_before_who_is_new),
	cmocka_unit_test(upgrade__that_times_out_leaves_all_as_it_was),
	cmocka_unit_test(upgrade__that_is_cancelled_leaves_all_as_it_was),
	cmocka_unit_test(upgrade__is_renewed_while_it_waits),
	cmocka_unit_test(upgrade__of_a_hold_that_is_taken_away_is_lost),
	cmocka_unit_test(upgrade__of_a_hold_that_expires_is_lost),
	cmocka_unit_test(upgrade__of_one_that_is_killed_is_skipped),
	cmocka_unit_test(upgrade__of_two_has_one_victim),
	cmocka_unit_test(upgrade__of_three_has_two_victims),
	cmocka_unit_test(upgrade__in_a_circle_of_two_locks_has_one_victim),
	cmocka_unit_test(upgrade__of_one_of_a_few_takes_them_all),
	cmocka_unit_test(upgrade__does_not_wait_for_its_own_group),
	cmocka_unit_test(upgrade__in_a_tree_waits_for_what_is_above),
};
const size_t upgrade_test_count = HF_ARRAY_LEN(upgrade_tests);
