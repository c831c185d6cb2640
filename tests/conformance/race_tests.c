/* Many contenders, many rounds: what must never be seen. */
#include "world.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define CONTENDERS 8

/* Shared by all contenders: what only a holder may touch. */
struct arena {
	const char *name;
	unsigned rounds;
	hf_acquire_options options;
	int most_inside; /* how many may be in at once */
	_Atomic int inside;
	_Atomic int worst;
	_Atomic uint64_t last_token;
	_Atomic unsigned backwards;
	_Atomic unsigned grants;
	uint64_t unguarded; /* changed without atomics: lost if two are in */
	_Atomic unsigned errors;
	char first_error[384];
};

static void note_error(struct arena *a, const hf_error *error)
{
	if (atomic_fetch_add(&a->errors, 1) == 0)
		hf_copy(a->first_error, sizeof(a->first_error), error->text);
}

static void inside(struct arena *a, const hf_lease *lease)
{
	int now = atomic_fetch_add(&a->inside, 1) + 1;
	uint64_t token = hf_lease_token(lease);
	uint64_t last = a->last_token;
	volatile uint64_t *unguarded = &a->unguarded;

	if (now > a->worst)
		a->worst = now;
	if (a->most_inside == 1) {
		if (token <= last)
			a->backwards++;
		a->last_token = token;
		(*unguarded)++;
	}
	a->grants++;
	atomic_fetch_sub(&a->inside, 1);
}

static int contend(int i, void *arg)
{
	struct arena *a = arg;
	hf_manager *m = world_open();
	unsigned round;

	(void)i;
	for (round = 0; round < a->rounds; round++) {
		hf_lease *lease;
		hf_error error;

		if (hf_acquire(m, a->name, &a->options, &lease, &error)) {
			note_error(a, &error);
			break;
		}
		inside(a, lease);
		if (hf_release(lease, &error)) {
			note_error(a, &error);
			break;
		}
	}
	hf_close(m);
	return 0;
}

static struct arena *new_arena(const char *name)
{
	struct arena *a = world_shared(sizeof(*a));

	a->name = name;
	a->most_inside = 1;
	a->options = (hf_acquire_options)HF_ACQUIRE_OPTIONS_INIT;
	return a;
}

static void race(struct arena *a)
{
	world_run(CONTENDERS, contend, a, 300);
	if (a->errors)
		fail_msg("%u errors, the first: %s", a->errors, a->first_error);
	assert_true(a->worst <= a->most_inside);
	assert_int_equal(a->backwards, 0);
	assert_int_equal(a->grants, CONTENDERS * a->rounds);
	if (a->most_inside == 1)
		assert_int_equal(a->unguarded, CONTENDERS * a->rounds);
}

static void race__a_fresh_name_has_one_holder_and_growing_tokens(void **state)
{
	struct arena *a = new_arena(world_name("fresh"));

	(void)state;
	a->rounds = world_scaled(2000);
	race(a);
}

static void race__a_used_name_has_one_holder_and_growing_tokens(void **state)
{
	struct arena *a = new_arena(world_name("used"));
	/* A space in memory lasts while somebody has it open. */
	hf_manager *between = world_open();
	uint64_t token;

	(void)state;
	a->rounds = world_scaled(100);
	race(a);
	token = a->last_token;
	a->grants = 0;
	a->unguarded = 0;
	a->rounds = world_scaled(2000);
	race(a);
	hf_close(between);
	assert_true(a->last_token > token);
}

/* Every name is dropped again and again while it is fought for. */
static int forget_always(int i, void *arg)
{
	struct arena *a = arg;
	hf_manager *m;

	if (i > 0)
		return contend(i, arg);
	m = world_open();
	while (a->grants < (CONTENDERS - 1) * a->rounds && !a->errors) {
		hf_error error;

		if (hf_cleanup(m, 0, NULL, &error))
			note_error(a, &error);
		usleep(500);
	}
	hf_close(m);
	return 0;
}

static void race__tokens_grow_while_the_lock_is_forgotten_over_and_over(void **state)
{
	struct arena *a = new_arena(world_name("forgotten"));

	(void)state;
	a->rounds = world_scaled(400);
	world_run(CONTENDERS, forget_always, a, 300);
	if (a->errors)
		fail_msg("%u errors, the first: %s", a->errors, a->first_error);
	assert_int_equal(a->worst, 1);
	assert_int_equal(a->backwards, 0);
	assert_int_equal(a->unguarded, (CONTENDERS - 1) * a->rounds);
}

static void race__a_shared_limit_is_never_exceeded(void **state)
{
	struct arena *a = new_arena(world_name("limit"));

	(void)state;
	if (!under_test.detached)
		skip();
	a->rounds = world_scaled(300);
	a->options.mode = HF_SHARED;
	a->options.limit = 3;
	a->most_inside = 3;
	race(a);
}

static int mixed(int i, void *arg)
{
	struct arena *a = arg;
	hf_acquire_options options = a->options;
	hf_manager *m = world_open();
	unsigned round;

	for (round = 0; round < a->rounds; round++) {
		hf_lease *lease;
		hf_error error;
		int before;

		options.mode = i % 4 == 0 ? HF_EXCLUSIVE : HF_SHARED;
		if (hf_acquire(m, a->name, &options, &lease, &error)) {
			note_error(a, &error);
			break;
		}
		/* A writer counts 1000: it tolerates nobody, readers each other. */
		before = atomic_fetch_add(&a->inside, options.mode == HF_EXCLUSIVE ? 1000 : 1);
		if (before >= 1000 || (options.mode == HF_EXCLUSIVE && before > 0))
			a->worst++;
		atomic_fetch_sub(&a->inside, options.mode == HF_EXCLUSIVE ? 1000 : 1);
		if (hf_release(lease, &error)) {
			note_error(a, &error);
			break;
		}
	}
	hf_close(m);
	return 0;
}

static void race__readers_and_writers_never_meet(void **state)
{
	struct arena *a = new_arena(world_name("mixed"));

	(void)state;
	a->rounds = world_scaled(150);
	world_run(CONTENDERS, mixed, a, 300);
	if (a->errors)
		fail_msg("%u errors, the first: %s", a->errors, a->first_error);
	assert_int_equal(a->worst, 0);
}

/* ---- killed at random ---- */

struct slaughter {
	struct arena *arena;
	_Atomic int holder; /* pid of who is inside; 0: nobody */
	_Atomic unsigned overlaps;
	_Atomic unsigned entries;
};

/* A zombie holds nothing any more. */
static bool is_alive(int pid)
{
	char path[48];
	char text[256];
	FILE *file;
	bool alive = false;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = pid ? fopen(path, "re") : NULL;
	if (!file)
		return false;
	if (fgets(text, sizeof(text), file) && strrchr(text, ')'))
		alive = strncmp(strrchr(text, ')'), ") Z", 3) != 0;
	fclose(file);
	return alive;
}

static int enter_for_ever(int i, void *arg)
{
	struct slaughter *s = arg;
	hf_manager *m = world_open();

	(void)i;
	for (;;) {
		hf_lease *lease;
		hf_error error;
		int other;

		if (hf_acquire(m, s->arena->name, &s->arena->options, &lease, &error)) {
			note_error(s->arena, &error);
			return 1;
		}
		other = s->holder;
		if (other != (int)getpid() && is_alive(other))
			s->overlaps++;
		s->holder = (int)getpid();
		s->entries++;
		usleep(200);
		if (s->holder != (int)getpid())
			s->overlaps++;
		s->holder = 0;
		if (hf_release(lease, &error)) {
			note_error(s->arena, &error);
			return 1;
		}
	}
}

static void race__contenders_killed_at_random_wedge_nothing(void **state)
{
	struct slaughter *s = world_shared(sizeof(*s));
	unsigned kills = world_scaled(60);
	pid_t pids[4];
	hf_rng rng;
	unsigned k;
	int i;

	(void)state;
	if (!under_test.processes)
		skip();
	s->arena = new_arena(world_name("slaughter"));
	hf_rng_seed(&rng, (uint64_t)getpid());
	for (i = 0; i < 4; i++)
		pids[i] = world_spawn(enter_for_ever, i, s);
	for (k = 0; k < kills; k++) {
		unsigned before;
		int64_t until_ms;

		usleep((useconds_t)(1000 + hf_rng_below(&rng, 20000)));
		i = (int)hf_rng_below(&rng, 4);
		kill(pids[i], SIGKILL);
		world_wait(pids[i]);
		pids[i] = world_spawn(enter_for_ever, i, s);
		before = s->entries;
		until_ms = hf_boot_ms() + 10000;
		while (s->entries < before + 4 && hf_boot_ms() < until_ms)
			usleep(500);
		if (s->entries < before + 4)
			break;
	}
	for (i = 0; i < 4; i++) {
		kill(pids[i], SIGKILL);
		world_wait(pids[i]);
	}
	if (s->arena->errors)
		fail_msg("%s", s->arena->first_error);
	assert_int_equal(s->overlaps, 0);
	assert_int_equal(k, kills); /* nobody waited 10 s for the dead */
}

/* ---- the history tells it all ---- */

struct replay {
	char holders[16][80];
	size_t count;
	unsigned events;
	uint64_t next_gen;
	uint64_t token;
	bool wrong;
	struct {
		hf_event event;
		char id[80];
		char ended[1200];
		char kind[16];
	} * all;
	size_t all_count;
};

static int keep_event(void *arg, const hf_event *event)
{
	struct replay *r = arg;

	if (r->all_count == 4096)
		return 1;
	r->all[r->all_count].event = *event;
	hf_copy(r->all[r->all_count].id, 80, event->id);
	hf_copy(r->all[r->all_count].ended, 1200, event->ended);
	hf_copy(r->all[r->all_count].kind, 16, event->kind);
	r->all_count++;
	return 0;
}

static void remove_holder(struct replay *r, const char *id)
{
	size_t i;

	for (i = 0; i < r->count; i++) {
		if (!strcmp(r->holders[i], id)) {
			memmove(r->holders[i], r->holders[i + 1],
				(r->count - i - 1) * sizeof(r->holders[0]));
			r->count--;
			return;
		}
	}
	r->wrong = true; /* it ended somebody who was not in */
}

static void replay_one(struct replay *r, size_t i)
{
	const char *kind = r->all[i].kind;
	char *p = r->all[i].ended;

	while (*p) {
		char *colon = strchr(p, ':');
		char *end = p + strcspn(p, ",");
		char saved = *end;

		*end = '\0';
		if (colon)
			remove_holder(r, colon + 1);
		p = saved ? end + 1 : end;
	}
	if (!strcmp(kind, "acquire") || !strcmp(kind, "steal") || !strcmp(kind, "force")) {
		r->wrong = r->wrong || r->all[i].event.token <= r->token || r->count >= 15;
		r->token = r->all[i].event.token;
		hf_copy(r->holders[r->count++], 80, r->all[i].id);
	} else if (!strcmp(kind, "release")) {
		remove_holder(r, r->all[i].id);
	}
}

static void race__the_history_replays_to_the_present_record(void **state)
{
	struct arena *a = new_arena(world_name("replay"));
	struct replay r = {.count = 0};
	hf_manager *m = world_open();
	hf_lease *last;
	hf_lock_info *info;
	hf_error error;
	size_t i;

	(void)state;
	a->rounds = 40;
	race(a);
	if (hf_acquire(m, a->name, &a->options, &last, &error))
		fail_msg("%s", error.text);
	r.all = calloc(4096, sizeof(*r.all));
	assert_non_null(r.all);
	if (hf_history(m, a->name, 0, keep_event, &r, &error))
		fail_msg("%s", error.text);
	assert_true(r.all_count >= 2 * 40 * CONTENDERS);
	for (i = r.all_count; i > 0; i--)
		replay_one(&r, i - 1);
	assert_false(r.wrong);
	assert_int_equal(hf_lock_status(m, a->name, &info, &error), HF_OK);
	assert_int_equal(info->holder_count, r.count);
	assert_int_equal(r.count, 1);
	assert_string_equal(info->holders[0].id, r.holders[0]);
	assert_int_equal(info->token, r.token);
	hf_lock_info_free(info);
	assert_int_equal(hf_release(last, &error), HF_OK);
	free(r.all);
	hf_close(m);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(race__a_fresh_name_has_one_holder_and_growing_tokens),
	cmocka_unit_test(race__a_used_name_has_one_holder_and_growing_tokens),
	cmocka_unit_test(race__tokens_grow_while_the_lock_is_forgotten_over_and_over),
	cmocka_unit_test(race__a_shared_limit_is_never_exceeded),
	cmocka_unit_test(race__readers_and_writers_never_meet),
	cmocka_unit_test(race__contenders_killed_at_random_wedge_nothing),
	cmocka_unit_test(race__the_history_replays_to_the_present_record),
};
const test_group race_tests = TEST_GROUP(tests);
