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

	if (!eventually(they_wait, &e, 20000))
		fail_msg("%zu do not wait for '%s'", waiters, name);
}

/* One holds the lock, and one waits for it. */
struct pair {
	hf_manager *m;
	contender *first;
	contender *second;
	pid_t holds;
	pid_t waits;
};

static struct pair new_pair(const char *name, int64_t ttl_ms)
{
	struct pair p = {.m = open_with(""),
		.first = new_contender(name),
		.second = new_contender(name)};

	p.first->options.ttl_ms = ttl_ms;
	p.holds = contend(p.first);
	contender_wait(p.first);
	p.waits = contend(p.second);
	wait_for(p.m, name, 1);
	return p;
}

static void pair_end(struct pair *p)
{
	contender_end(p->second, p->waits);
	hf_close(p->m);
}

static void kill_it(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(scratch_wait(pid), 1000 + SIGKILL);
}

static void stop_it(pid_t pid)
{
	kill(pid, SIGSTOP);
	scratch_wait_stopped(pid);
}

/* It is had within so long from then on. */
static void had_within(const contender *c, int64_t from_ms, int64_t ms)
{
	if (c->got_ms - from_ms > ms)
		fail_msg("it took %lld ms", (long long)(c->got_ms - from_ms));
}

/* ---- killed ---- */

static void killed__who_waits_in_the_store_is_followed_at_once(void **state)
{
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	struct expected next = {off, "heir", 1, "second"};
	hf_lease *lease = take_for_ever(off, "heir");
	contender *first = new_owner("heir", "first");
	contender *second = new_owner("heir", "second");
	pid_t pids[2];
	int64_t ms;

	(void)state;
	pids[0] = contend(first);
	wait_for(off, "heir", 1);
	pids[1] = contend(second);
	wait_for(m, "heir", 2);
	kill_it(pids[0]);
	ms = hf_boot_ms();
	assert_true(eventually(they_wait, &next, 10000));
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
	struct pair p = new_pair("heir", 60000);
	int64_t ms;

	(void)state;
	kill_it(p.holds);
	ms = hf_boot_ms();
	contender_wait(p.second);
	had_within(p.second, ms, 5000);
	pair_end(&p);
}

/* ---- stopped ---- */

/* Its time runs out in the store; the line must not keep its neighbours longer. */
static void stopped__holder_keeps_nobody_beyond_its_ttl(void **state)
{
	struct pair p = new_pair("frozen", 1500);
	int64_t ms;

	(void)state;
	stop_it(p.holds);
	ms = hf_boot_ms();
	contender_wait(p.second);
	had_within(p.second, ms, 1500 + 3000);
	kill_it(p.holds);
	pair_end(&p);
}

/* Whoever waits in the store vouches for himself, as long as he runs. */
static void stopped__who_waits_in_the_store_keeps_nobody_for_long(void **state)
{
	hf_manager *off = open_with("?line=off");
	hf_manager *m = open_with("");
	hf_lease *lease = take_for_ever(off, "frozen");
	contender *first = new_contender("frozen");
	contender *second = new_contender("frozen");
	pid_t pids[2];
	int64_t ms;

	(void)state;
	pids[0] = contend(first);
	wait_for(off, "frozen", 1);
	pids[1] = contend(second);
	wait_for(m, "frozen", 2);
	stop_it(pids[0]);
	give_back(lease);
	ms = hf_boot_ms();
	assert_true(eventually(contender_holds, second, 2 * HF_PLACE_MS));
	had_within(second, ms, HF_PLACE_MS + 4000);
	kill_it(pids[0]);
	contender_end(second, pids[1]);
	hf_close(m);
	hf_close(off);
}

/* ---- ended from outside ---- */

static void forced__from_elsewhere_frees_the_place_too(void **state)
{
	struct pair p = new_pair("robbed", 3000); /* it finds out in a third of that */
	hf_manager *off = open_with("?line=off");
	size_t ended;

	(void)state;
	assert_int_equal(hf_force_release(off, "robbed", NULL, 0, &ended, NULL), HF_OK);
	assert_int_equal(ended, 1);
	contender_wait(p.second);
	p.first->go = 1;
	assert_int_equal(scratch_wait(p.holds), 2); /* lost */
	pair_end(&p);
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
	assert_int_equal(try_it(other, "ended", NULL), HF_OK);
	assert_int_equal(hf_release(lease, NULL), HF_LOST);

	lease = take(m, "ended", &o);
	who = (hf_who){.fingerprint = "a secret"};
	assert_int_equal(hf_release_by(other, "ended", &who, NULL), HF_OK);
	assert_int_equal(try_it(other, "ended", NULL), HF_OK);
	assert_int_equal(hf_release(lease, NULL), HF_LOST);

	lease = take(m, "ended", &o);
	assert_int_equal(hf_force_release(other, "ended", NULL, 0, NULL, NULL), HF_OK);
	assert_int_equal(try_it(other, "ended", NULL), HF_OK);
	assert_int_equal(hf_release(lease, NULL), HF_LOST);
	hf_close(other);
	hf_close(m);
}

static void forced__acquisition_takes_the_place_too(void **state)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;
	hf_manager *m = open_with("");
	hf_manager *other = open_with("");
	hf_lease *lease = take_for_ever(m, "forced");
	hf_lease *robber;

	(void)state;
	o.strategy = HF_FORCE_ACQUIRE;
	robber = take(other, "forced", &o);
	assert_int_equal(try_it(m, "forced", NULL), HF_HELD);
	assert_int_equal(hf_release(lease, NULL), HF_LOST);
	/* That was another's place: it is still taken. */
	assert_int_equal(try_it(m, "forced", NULL), HF_HELD);
	give_back(robber);
	assert_int_equal(try_it(m, "forced", NULL), HF_OK);
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
	assert_int_equal(try_it(m, "left", NULL), HF_HELD);
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
		lease = take_for_ever(m, "alone");
		assert_int_equal(try_it(other, "alone", NULL), HF_HELD);
		give_back(lease);
	}
	assert_int_equal(try_it(other, "alone", NULL), HF_OK);
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

		give_back(take_for_ever(m, "alone"));
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
	hf_lease *lease = take_for_ever(m, "torn");
	int fd;

	(void)state;
	path_of_line(path, sizeof(path), "/torn.lock");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	close(fd);
	assert_int_equal(try_it(third, "torn", NULL), HF_HELD); /* by the store */
	assert_int_equal(told.lines, 1);
	give_back(lease);
	lease = take_for_ever(m, "torn");
	assert_int_equal(try_it(other, "torn", NULL), HF_HELD);
	give_back(lease);
	assert_int_equal(try_it(other, "torn", NULL), HF_OK);
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
		give_back(take_for_ever(m, name));
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
