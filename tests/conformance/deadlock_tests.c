/* Those who wait for each other: one gives way, and nobody else. */
#include "../held.h"
#include "world.h"
#include "pending.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define ROUND_MS 1000 /* in which a circle is to be found, on a machine that is not busy */
#define MOST 5

struct ring_of_locks {
	int count;
	unsigned rounds;
	char names[MOST][64];
	_Atomic int ready; /* who has the first of his two locks */
	_Atomic int victims;
	_Atomic int served;
	_Atomic int finished;
	_Atomic int64_t closed_ms; /* the last to wait began to */
	_Atomic int64_t slowest_ms;
	_Atomic int64_t fastest_ms;
	char words[512];
	char error[384];
};

static void wait_for_all(struct ring_of_locks *r, _Atomic int *count, int n)
{
	while (atomic_load(count) < n && !r->error[0])
		usleep(200);
}

static void note_victim(struct ring_of_locks *r, const hf_error *error)
{
	int64_t took_ms = hf_boot_ms() - r->closed_ms;

	r->victims++;
	hf_copy(r->words, sizeof(r->words), error->text);
	if (took_ms > r->slowest_ms)
		r->slowest_ms = took_ms;
	if (took_ms < r->fastest_ms)
		r->fastest_ms = took_ms;
}

static void note(struct ring_of_locks *r, hf_status st, const hf_error *error)
{
	if (st == HF_DEADLOCK)
		note_victim(r, error);
	else if (!st)
		r->served++;
	else
		hf_copy(r->error, sizeof(r->error), error->text);
}

/* Contender i has lock i and wants lock i + 1. */
static int close_circle(int i, void *arg)
{
	struct ring_of_locks *r = arg;
	hf_manager *m = world_open();
	unsigned round;

	for (round = 0; round < r->rounds && !r->error[0]; round++) {
		hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
		hf_lease *first = NULL;
		hf_lease *second = NULL;
		hf_error error;
		hf_status st;

		o.flags = HF_UNDER_OWN;
		st = hf_acquire(m, r->names[i], &o, &first, &error);

		if (!st) {
			r->ready++;
			wait_for_all(r, &r->ready, (int)(round + 1) * r->count);
			r->closed_ms = hf_boot_ms();
			o.wait_ms = 30000;
			st = hf_acquire(m, r->names[(i + 1) % r->count], &o, &second, &error);
		}
		note(r, st, &error);
		hf_release(second, NULL);
		hf_release(first, NULL);
		r->finished++;
		wait_for_all(r, &r->finished, (int)(round + 1) * r->count);
	}
	hf_close(m);
	return 0;
}

static void circle_of(int count)
{
	struct ring_of_locks *r = world_shared(sizeof(*r));
	int i;

	r->count = count;
	r->rounds = world_scaled(4);
	r->fastest_ms = INT64_MAX;
	for (i = 0; i < count; i++)
		hf_copy(r->names[i], sizeof(r->names[i]), world_name("circle"));
	world_run(count, close_circle, r, 120);
	if (r->error[0])
		fail_msg("%s", r->error);
	assert_int_equal(r->victims, r->rounds);
	assert_int_equal(r->served, (unsigned)(count - 1) * r->rounds);
	for (i = 0; i < count; i++)
		if (!strstr(r->words, r->names[i]))
			fail_msg("'%s' is not in: %s", r->names[i], r->words);
	if (r->fastest_ms > ROUND_MS || r->slowest_ms > 10 * ROUND_MS)
		fail_msg("found after %lld to %lld ms", (long long)r->fastest_ms,
			(long long)r->slowest_ms);
}

static void deadlock__of_two_has_one_victim(void **state)
{
	(void)state;
	if (!under_test.detached)
		skip(); /* layout=flock has no line */
	circle_of(2);
}

static void deadlock__of_five_has_one_victim(void **state)
{
	(void)state;
	if (!under_test.detached)
		skip();
	circle_of(5);
}

/* ---- behind others ---- */

#define AHEAD 6 /* for each lock, of such as hold nothing */

/* The first two have a lock each; then the others come; then each wants the other's. */
static int close_circle_behind(int i, void *arg)
{
	struct ring_of_locks *r = arg;
	hf_manager *m = world_open();
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *mine = NULL;
	hf_lease *other = NULL;
	hf_error error;
	hf_status st = HF_OK;

	o.wait_ms = 60000;
	o.flags = HF_UNDER_OWN;
	if (i < 2) {
		st = hf_acquire(m, r->names[i], &o, &mine, &error);
		r->ready++;
		while (waiters(m, r->names[!i]) < AHEAD && !r->error[0])
			usleep(2000);
		r->finished++;
		wait_for_all(r, &r->finished, 2);
		r->closed_ms = hf_boot_ms();
	} else {
		wait_for_all(r, &r->ready, 2);
	}
	if (!st)
		st = hf_acquire(m, r->names[i < 2 ? !i : i % 2], &o, &other, &error);
	note(r, st, &error);
	hf_release(other, NULL);
	hf_release(mine, NULL);
	hf_close(m);
	return 0;
}

static void deadlock__behind_others_is_found_as_soon(void **state)
{
	struct ring_of_locks *r = world_shared(sizeof(*r));

	(void)state;
	if (!under_test.detached)
		skip();
	r->fastest_ms = INT64_MAX;
	hf_copy(r->names[0], sizeof(r->names[0]), world_name("behind"));
	hf_copy(r->names[1], sizeof(r->names[1]), world_name("behind"));
	world_run(2 + 2 * AHEAD, close_circle_behind, r, 120);
	assert_string_equal(r->error, "");
	assert_int_equal(r->victims, 1);
	assert_int_equal(r->served, 1 + 2 * AHEAD);
	if (r->slowest_ms > 10 * ROUND_MS)
		fail_msg("found after %lld ms", (long long)r->slowest_ms);
}

static void deadlock__of_one_with_itself_is_found(void **state)
{
	const char *name = world_name("self");
	hf_manager *m = world_open_if(under_test.detached);
	hf_lease *first = take(m, name, NULL);
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_lease *second;
	hf_error error;

	(void)state;
	o.flags = HF_UNDER_OWN;
	assert_int_equal(hf_acquire(m, name, &o, &second, &error), HF_DEADLOCK);
	assert_null(second);
	assert_non_null(strstr(error.text, "holds"));
	give_back(first);
	/* No entry stays behind. */
	first = take(m, name, NULL);
	give_back(first);
	hf_close(m);
}

static void *release_later(void *arg)
{
	usleep(600000);
	give_back(arg);
	return NULL;
}

static void deadlock__is_none_if_another_thread_releases(void **state)
{
	const char *name = world_name("handed");
	hf_manager *m = world_open();
	hf_lease *lease = take(m, name, NULL);
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, release_later, lease);
	lease = take(m, name, &o);
	pthread_join(thread, NULL);
	give_back(lease);
	hf_close(m);
}

/* ---- circles through the line, and sharers ---- */

struct three {
	char x[64];
	char y[64];
	hf_mode second_mode; /* in which the second asks for x */
	uint32_t limit;
	_Atomic int step;
	_Atomic int deadlocks;
	_Atomic int served;
	char error[384];
};

static hf_status want(struct three *t, hf_manager *m, const char *name, hf_mode mode,
	uint32_t limit, hf_lease **lease)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_error error;
	hf_status st;

	o.mode = mode;
	o.limit = limit;
	o.wait_ms = 20000;
	o.flags = HF_UNDER_OWN;
	st = hf_acquire(m, name, &o, lease, &error);
	if (st == HF_DEADLOCK)
		t->deadlocks++;
	else if (!st)
		t->served++;
	else
		hf_copy(t->error, sizeof(t->error), error.text);
	return st;
}

static void until(struct three *t, int step)
{
	while (t->step < step && !t->error[0])
		usleep(500);
}

/*
 * A reads x and wants y; P, who has nothing, waits to write x; B has y and wants
 * to read x, behind P: nobody gets on, though B and A would share x.
 */
static int through_the_line(int i, void *arg)
{
	struct three *t = arg;
	hf_manager *m = world_open();
	hf_lease *first = NULL;
	hf_lease *second = NULL;

	if (i == 0 && !want(t, m, t->x, HF_SHARED, 0, &first)) {
		t->step = 1;
		until(t, 3);
		(void)!want(t, m, t->y, HF_EXCLUSIVE, 0, &second);
	} else if (i == 1) {
		until(t, 1);
		t->step = 2;
		(void)!want(t, m, t->x, HF_EXCLUSIVE, 0, &second);
	} else if (i == 2 && !want(t, m, t->y, HF_EXCLUSIVE, 0, &first)) {
		until(t, 2);
		usleep(100000); /* P stands in the line by now */
		t->step = 3;
		(void)!want(t, m, t->x, HF_SHARED, 0, &second);
	}
	hf_release(second, NULL);
	hf_release(first, NULL);
	hf_close(m);
	return 0;
}

/*
 * A and C share x with a limit of two; A wants y, which B has, who wants to
 * share x: C will make room for him.
 */
static int room_for_one(int i, void *arg)
{
	struct three *t = arg;
	hf_manager *m = world_open();
	hf_lease *first = NULL;
	hf_lease *second = NULL;

	if (i == 0 && !want(t, m, t->x, HF_SHARED, 2, &first)) {
		t->step++;
		until(t, 3);
		(void)!want(t, m, t->y, HF_EXCLUSIVE, 0, &second);
	} else if (i == 1 && !want(t, m, t->x, HF_SHARED, 2, &first)) {
		t->step++;
		until(t, 3);
		usleep(1500000);
	} else if (i == 2 && !want(t, m, t->y, HF_EXCLUSIVE, 0, &first)) {
		t->step++;
		until(t, 3);
		(void)!want(t, m, t->x, HF_SHARED, 2, &second);
	}
	hf_release(second, NULL);
	hf_release(first, NULL);
	hf_close(m);
	return 0;
}

static struct three *new_three(void)
{
	struct three *t = world_shared(sizeof(*t));

	hf_copy(t->x, sizeof(t->x), world_name("x"));
	hf_copy(t->y, sizeof(t->y), world_name("y"));
	return t;
}

static void deadlock__through_the_line_has_one_victim(void **state)
{
	struct three *t;

	(void)state;
	if (!under_test.detached)
		skip();
	t = new_three();
	world_run(3, through_the_line, t, 60);
	assert_string_equal(t->error, "");
	assert_int_equal(t->deadlocks, 1);
	assert_int_equal(t->served, 4);
}

static void deadlock__is_none_where_a_sharer_makes_room(void **state)
{
	struct three *t;

	(void)state;
	if (!under_test.detached)
		skip();
	t = new_three();
	world_run(3, room_for_one, t, 60);
	assert_string_equal(t->error, "");
	assert_int_equal(t->deadlocks, 0);
	assert_int_equal(t->served, 5);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(deadlock__of_two_has_one_victim),
	cmocka_unit_test(deadlock__of_five_has_one_victim),
	cmocka_unit_test(deadlock__behind_others_is_found_as_soon),
	cmocka_unit_test(deadlock__of_one_with_itself_is_found),
	cmocka_unit_test(deadlock__is_none_if_another_thread_releases),
	cmocka_unit_test(deadlock__through_the_line_has_one_victim),
	cmocka_unit_test(deadlock__is_none_where_a_sharer_makes_room),
};
const test_group deadlock_tests = TEST_GROUP(tests);
