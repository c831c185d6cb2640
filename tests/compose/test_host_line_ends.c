/* The host's line when those in it end: killed, stopped, robbed, or without a line. */
#include "compose/host_line.h"
#include "line_world.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct expected {
	hf_manager *m;
	const char *name;
	size_t waiters;
	const char *first; /* the owner of the first; NULL: anybody */
};

static bool they_wait(void *arg)
{
	const struct expected *e = arg;
	hf_lock_info *info;
	bool ok;

	if (hf_lock_status(e->m, e->name, &info, NULL))
		return false;
	ok = info->waiter_count == e->waiters &&
	     (!e->first || !strcmp(info->waiters[0].owner, e->first));
	hf_lock_info_free(info);
	return ok;
}

static contender *new_owner(const char *name, const char *owner)
{
	contender *c = new_contender(name);

	c->options.owner = owner;
	return c;
}

static void wait_for(hf_manager *m, const char *name, size_t waiters)
{
	struct expected e = {m, name, waiters, NULL};

	if (!soon(they_wait, &e, 20000))
		fail_msg("%zu do not wait for '%s'", waiters, name);
}

/* ---- killed ---- */

static void killed__who_waits_in_the_store_is_followed_at_once(void **state)
{
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	struct expected next = {off, "heir", 1, "second"};
	hf_lease *lease = take(off, "heir", NULL);
	contender *first = new_owner("heir", "first");
	contender *second = new_owner("heir", "second");
	pid_t pids[2];
	int64_t ms;

	(void)state;
	pids[0] = contend(first);
	wait_for(off, "heir", 1);
	pids[1] = contend(second);
	wait_for(m, "heir", 2);
	kill(pids[0], SIGKILL);
	assert_int_equal(scratch_wait(pids[0]), 1000 + SIGKILL);
	ms = hf_boot_ms();
	assert_true(soon(they_wait, &next, 10000));
	ms = hf_boot_ms() - ms;
	give_back(lease);
	contender_wait(second);
	contender_end(second, pids[1]);
	if (ms > 5000)
		fail_msg("it took %lld ms", (long long)ms);
	hf_close(m);
	hf_close(off);
}

static void killed__holder_is_followed_at_once(void **state)
{
	hf_manager *m = open_with("");
	contender *first = new_contender("heir");
	contender *second = new_contender("heir");
	pid_t pids[2];
	int64_t ms;

	(void)state;
	first->options.ttl_ms = 60000;
	pids[0] = contend(first);
	contender_wait(first);
	pids[1] = contend(second);
	wait_for(m, "heir", 1);
	kill(pids[0], SIGKILL);
	assert_int_equal(scratch_wait(pids[0]), 1000 + SIGKILL);
	ms = hf_boot_ms();
	contender_wait(second);
	if (second->got_ms - ms > 5000)
		fail_msg("it took %lld ms", (long long)(second->got_ms - ms));
	contender_end(second, pids[1]);
	hf_close(m);
}

/* ---- stopped ---- */

/* Its time runs out in the store; the line must not keep its neighbours longer. */
static void stopped__holder_keeps_nobody_beyond_its_ttl(void **state)
{
	hf_manager *m = open_with("");
	contender *first = new_contender("frozen");
	contender *second = new_contender("frozen");
	pid_t pids[2];
	int64_t ms;

	(void)state;
	first->options.ttl_ms = 1500;
	pids[0] = contend(first);
	contender_wait(first);
	pids[1] = contend(second);
	wait_for(m, "frozen", 1);
	kill(pids[0], SIGSTOP);
	scratch_wait_stopped(pids[0]);
	ms = hf_boot_ms();
	contender_wait(second);
	if (second->got_ms - ms > 1500 + 3000)
		fail_msg("it took %lld ms", (long long)(second->got_ms - ms));
	kill(pids[0], SIGKILL);
	assert_int_equal(scratch_wait(pids[0]), 1000 + SIGKILL);
	contender_end(second, pids[1]);
	hf_close(m);
}

/* Whoever waits in the store vouches for himself, as long as he runs. */
static void stopped__who_waits_in_the_store_keeps_nobody_for_long(void **state)
{
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	hf_lease *lease = take(off, "frozen", NULL);
	contender *first = new_contender("frozen");
	contender *second = new_contender("frozen");
	pid_t pids[2];
	int64_t ms;

	(void)state;
	pids[0] = contend(first);
	wait_for(off, "frozen", 1);
	pids[1] = contend(second);
	wait_for(m, "frozen", 2);
	kill(pids[0], SIGSTOP);
	scratch_wait_stopped(pids[0]);
	give_back(lease);
	ms = hf_boot_ms();
	assert_true(soon(contender_holds, second, 2 * HF_PLACE_MS));
	if (second->got_ms - ms > HF_PLACE_MS + 4000)
		fail_msg("it took %lld ms", (long long)(second->got_ms - ms));
	kill(pids[0], SIGKILL);
	assert_int_equal(scratch_wait(pids[0]), 1000 + SIGKILL);
	contender_end(second, pids[1]);
	hf_close(m);
	hf_close(off);
}

/* ---- ended from outside ---- */

static void forced__from_elsewhere_frees_the_place_too(void **state)
{
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	contender *first = new_contender("robbed");
	contender *second = new_contender("robbed");
	pid_t pids[2];
	size_t ended;

	(void)state;
	first->options.ttl_ms = 3000; /* it finds out in a third of that */
	pids[0] = contend(first);
	contender_wait(first);
	pids[1] = contend(second);
	wait_for(m, "robbed", 1);
	assert_int_equal(hf_force_release(off, "robbed", NULL, 0, &ended, NULL), HF_OK);
	assert_int_equal(ended, 1);
	contender_wait(second);
	first->go = 1;
	assert_int_equal(scratch_wait(pids[0]), 2); /* lost */
	contender_end(second, pids[1]);
	hf_close(m);
	hf_close(off);
}

static void ended__from_this_host_frees_the_place_at_once(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_with("");
	hf_manager *other = open_with("");
	hf_who who = {.id = NULL};
	hf_lease *lease;
	char id[64];

	(void)state;
	o.owner = "somebody";
	o.fingerprint = "a secret";
	lease = take(m, "ended", &o);
	hf_copy(id, sizeof(id), hf_lease_id(lease));
	who.id = id;
	assert_int_equal(hf_release_by(other, "ended", &who, NULL), HF_OK);
	assert_int_equal(try_it(other, "ended", HF_EXCLUSIVE), HF_OK);
	assert_int_equal(hf_release(lease, NULL), HF_LOST);

	lease = take(m, "ended", &o);
	who = (hf_who){.fingerprint = "a secret"};
	assert_int_equal(hf_release_by(other, "ended", &who, NULL), HF_OK);
	assert_int_equal(try_it(other, "ended", HF_EXCLUSIVE), HF_OK);
	assert_int_equal(hf_release(lease, NULL), HF_LOST);

	lease = take(m, "ended", &o);
	assert_int_equal(hf_force_release(other, "ended", NULL, 0, NULL, NULL), HF_OK);
	assert_int_equal(try_it(other, "ended", HF_EXCLUSIVE), HF_OK);
	assert_int_equal(hf_release(lease, NULL), HF_LOST);
	hf_close(other);
	hf_close(m);
}

static void forced__acquisition_takes_the_place_too(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_with("");
	hf_manager *other = open_with("");
	hf_lease *lease = take(m, "forced", NULL);
	hf_lease *robber;

	(void)state;
	o.strategy = HF_FORCE_ACQUIRE;
	robber = take(other, "forced", &o);
	assert_int_equal(try_it(m, "forced", HF_EXCLUSIVE), HF_HELD);
	assert_int_equal(hf_release(lease, NULL), HF_LOST);
	/* That was another's place: it is still taken. */
	assert_int_equal(try_it(m, "forced", HF_EXCLUSIVE), HF_HELD);
	give_back(robber);
	assert_int_equal(try_it(m, "forced", HF_EXCLUSIVE), HF_OK);
	hf_close(other);
	hf_close(m);
}

/* ---- detached ---- */

static int detach_one(void *arg)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_with("");
	hf_lease *lease;
	hf_status st;

	o.flags = HF_DETACHED;
	st = hf_acquire(m, "left", &o, &lease, NULL);
	if (!st)
		hf_copy(arg, HF_ID_LEN + 1, hf_lease_id(lease));
	hf_lease_detach(lease);
	hf_close(m);
	return st != HF_OK;
}

/* Its process need not be there, and cannot answer for it. */
static void detached__has_no_place(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	contender *next = new_contender("left");
	hf_lease *lease;
	pid_t pid;

	(void)state;
	o.flags = HF_DETACHED;
	lease = take(m, "left", &o);
	pid = contend(next);
	wait_for(off, "left", 1);
	give_back(lease);
	contender_wait(next);
	contender_end(next, pid);
	hf_close(m);
	hf_close(off);
}

static void detached__outlives_its_process_and_is_ended_by_id(void **state)
{
	char *id = scratch_shared(HF_ID_LEN + 1);
	hf_who who = {.id = id};
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	contender *next = new_contender("left");
	pid_t pid;

	(void)state;
	assert_int_equal(scratch_wait(scratch_fork(detach_one, id)), 0);
	assert_int_equal(try_it(m, "left", HF_EXCLUSIVE), HF_HELD);
	pid = contend(next);
	wait_for(off, "left", 1); /* nobody of this host is before it */
	assert_int_equal(hf_release_by(off, "left", &who, NULL), HF_OK);
	contender_wait(next);
	contender_end(next, pid);
	hf_close(m);
	hf_close(off);
}

/* ---- without a line ---- */

struct told {
	int lines;
	char last[512];
};

static void note(void *arg, const char *line)
{
	struct told *t = arg;

	if (!strstr(line, "line of this host"))
		return;
	t->lines++;
	hf_copy(t->last, sizeof(t->last), line);
}

static void works_without(const char *runtime)
{
	struct told told = {.lines = 0};
	hf_manager *m = open_in(runtime, "", note, &told);
	hf_manager *other = open_in(runtime, "", NULL, NULL);
	hf_lease *lease;
	int i;

	assert_int_equal(told.lines, 0); /* to look at locks none is needed */
	for (i = 0; i < 3; i++) {
		lease = take(m, "alone", NULL);
		assert_int_equal(try_it(other, "alone", HF_EXCLUSIVE), HF_HELD);
		give_back(lease);
	}
	assert_int_equal(try_it(other, "alone", HF_EXCLUSIVE), HF_OK);
	assert_int_equal(told.lines, 1);
	assert_non_null(strstr(told.last, "?line=off"));
	hf_close(other);
	hf_close(m);
}

static void put_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void folder__that_cannot_be_had_is_no_error(void **state)
{
	(void)state;
	put_file(scratch_path("plain"));
	works_without(scratch_path("plain"));
}

/* The one folder of a line in there. */
static void path_of_line(char *out, size_t cap, const char *rest)
{
	char pattern[600];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/line-*", scratch_path("run"));
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_int_equal(found.gl_pathc, 1);
	snprintf(out, cap, "%s%s", found.gl_pathv[0], rest);
	globfree(&found);
}

static void folder__that_goes_wrong_is_no_error(void **state)
{
	char path[600];
	char command[700];

	(void)state;
	hf_close(open_with(""));
	{
		hf_manager *m = open_with("");

		give_back(take(m, "alone", NULL));
		hf_close(m);
	}
	path_of_line(path, sizeof(path), "");
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
	put_file(path);
	works_without(scratch_path("run"));
}

static void place__that_cannot_be_read_is_put_right(void **state)
{
	hf_manager *m = open_with("");
	hf_manager *other = open_with("");
	struct told told = {.lines = 0};
	hf_manager *third = open_in(scratch_path("run"), "", note, &told);
	static const char junk[8192] = "this is no record";
	char path[600];
	hf_lease *lease = take(m, "torn", NULL);
	int fd;

	(void)state;
	path_of_line(path, sizeof(path), "/torn.lock");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	assert_int_equal(try_it(third, "torn", HF_EXCLUSIVE), HF_HELD); /* by the store */
	assert_int_equal(told.lines, 1);
	give_back(lease);
	lease = take(m, "torn", NULL);
	assert_int_equal(try_it(other, "torn", HF_EXCLUSIVE), HF_HELD);
	give_back(lease);
	assert_int_equal(try_it(other, "torn", HF_EXCLUSIVE), HF_OK);
	hf_close(third);
	hf_close(other);
	hf_close(m);
}

static void folder__keeps_no_names_used_once(void **state)
{
	hf_manager *m = open_with("");
	char pattern[600];
	char name[32];
	glob_t found;
	unsigned i;

	(void)state;
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "once-%u", i);
		give_back(take(m, name, NULL));
	}
	path_of_line(pattern, sizeof(pattern), "/once-*");
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc <= 70);
	globfree(&found);
	hf_close(m);
	assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, line_setup, line_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(killed__who_waits_in_the_store_is_followed_at_once),
		TEST(killed__holder_is_followed_at_once),
		TEST(stopped__holder_keeps_nobody_beyond_its_ttl),
		TEST(stopped__who_waits_in_the_store_keeps_nobody_for_long),
		TEST(forced__from_elsewhere_frees_the_place_too),
		TEST(ended__from_this_host_frees_the_place_at_once),
		TEST(forced__acquisition_takes_the_place_too),
		TEST(detached__has_no_place),
		TEST(detached__outlives_its_process_and_is_ended_by_id),
		TEST(folder__that_cannot_be_had_is_no_error),
		TEST(folder__that_goes_wrong_is_no_error),
		TEST(place__that_cannot_be_read_is_put_right),
		TEST(folder__keeps_no_names_used_once),
	};

	return line_main(argc, argv, "host_line_ends", tests, HF_ARRAY_LEN(tests), 0);
}
