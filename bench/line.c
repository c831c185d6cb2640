/*
 * Many who wait for one lock: how long a hand-over takes, and how fair it is.
 *
 *	line MODULES URL CONTENDERS MILLISECONDS HOLD_US
 *	line - FILE CONTENDERS MILLISECONDS HOLD_US	with flock(2), blocking
 *
 * So many processes acquire, hold for a while, release, and again, until the time is
 * over. It prints turns=, the least and the most of one process, and the median time
 * from the beginning of a release to the return of the next acquisition in another
 * process (handover_ns), and its 99th percentile. Turns of the first tenth of the time,
 * in which the line forms, do not count.
 *
 * With holdfast it asserts that one at a time is in, that every grant's token is one
 * more than the last, and that the history has them.
 */
#include "bench.h"

#include <holdfast/holdfast.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "line"
#define SAMPLES 200000

struct shared {
	_Atomic long ready;
	_Atomic int inside;
	_Atomic int64_t begin_ns;
	_Atomic int64_t count_from_ns;
	_Atomic int64_t end_ns;
	_Atomic int64_t released_ns; /* when the last release began; 0: none yet */
	_Atomic long released_by;
	_Atomic uint64_t first_token;
	_Atomic uint64_t last_token;
	_Atomic long turns; /* all */
	_Atomic long samples;
	int64_t took_ns[SAMPLES];
	long of[]; /* turns that count, of each */
};

struct side {
	const char *modules; /* NULL: flock */
	const char *place;
	long contenders;
	int64_t time_ns;
	int64_t hold_ns;
	struct shared *shared;
	int gate[2]; /* a pipe: its end is the beginning */
};

static void hold(int64_t ns)
{
	int64_t until = now_ns() + ns;

	while (now_ns() < until)
		;
}

static void note_turn(const struct side *side, long me, int64_t got_ns)
{
	struct shared *s = side->shared;
	int64_t released_ns = s->released_ns;
	long sample;

	s->turns++;
	if (got_ns < s->count_from_ns)
		return;
	s->of[me]++;
	if (!released_ns || s->released_by == me)
		return;
	sample = s->samples++;
	if (sample < SAMPLES)
		s->took_ns[sample] = got_ns - released_ns;
}

static void inside(const struct side *side, long me, int64_t got_ns)
{
	struct shared *s = side->shared;

	must(++s->inside == 1, "one at a time");
	note_turn(side, me, got_ns);
	hold(side->hold_ns);
	s->inside--;
	s->released_by = me;
	s->released_ns = now_ns();
}

static void take_turns_flock(const struct side *side, long me)
{
	int fd = open(side->place, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	must(fd >= 0, "the file can be opened");
	while (now_ns() < side->shared->end_ns) {
		must(!flock(fd, LOCK_EX), "flock");
		inside(side, me, now_ns());
		must(!flock(fd, LOCK_UN), "flock");
	}
	close(fd);
}

static hf_manager *open_manager(const struct side *side)
{
	hf_open_options options = HF_OPEN_OPTIONS_INIT;
	hf_manager *m;
	hf_error error;

	options.module_dir = side->modules;
	if (hf_open(side->place, &options, &m, &error)) {
		fprintf(stderr, "%s\n", error.text);
		exit(1);
	}
	return m;
}

static void take_turns(const struct side *side, long me, hf_manager *m)
{
	struct shared *s = side->shared;
	hf_error error;

	while (now_ns() < s->end_ns) {
		hf_lease *lease;
		int64_t got_ns;

		if (hf_acquire(m, NAME, NULL, &lease, &error)) {
			fprintf(stderr, "%s\n", error.text);
			exit(1);
		}
		got_ns = now_ns();
		must(!s->last_token || hf_lease_token(lease) == s->last_token + 1,
			"a token is one more than the last");
		s->last_token = hf_lease_token(lease);
		inside(side, me, got_ns);
		must(!hf_release(lease, &error), error.text);
	}
}

static void contend(const struct side *side, long me)
{
	struct shared *s = side->shared;
	hf_manager *m = side->modules ? open_manager(side) : NULL;

	char none;

	close(side->gate[1]);
	s->ready++;
	must(read(side->gate[0], &none, 1) == 0, "the beginning");
	if (m)
		take_turns(side, me, m);
	else
		take_turns_flock(side, me);
	hf_close(m);
	_exit(0);
}

static int count_grant(void *arg, const hf_event *event)
{
	*(long *)arg += !strcmp(event->kind, "acquire");
	return 0;
}

/* The newest events are as many grants as releases, whatever its limit. */
static void check_history(const struct side *side)
{
	hf_manager *m = open_manager(side);
	long grants = 0;
	hf_error error;

	must(!hf_history(m, NAME, 20, count_grant, &grants, &error), error.text);
	must(grants >= 9 && grants <= 11, "the history has the grants");
	hf_close(m);
}

static int by_size(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a;
	int64_t right = *(const int64_t *)b;

	return left < right ? -1 : left > right;
}

static void print(const struct side *side)
{
	struct shared *s = side->shared;
	long samples = s->samples < SAMPLES ? s->samples : SAMPLES;
	long least = s->of[0];
	long most = s->of[0];
	long i;

	for (i = 1; i < side->contenders; i++) {
		least = s->of[i] < least ? s->of[i] : least;
		most = s->of[i] > most ? s->of[i] : most;
	}
	must(samples > 10, "there were hand-overs");
	qsort(s->took_ns, (size_t)samples, sizeof(*s->took_ns), by_size);
	printf("turns=%ld least=%ld most=%ld handovers=%ld handover_ns=%lld p99_ns=%lld\n",
		s->turns, least, most, samples, (long long)s->took_ns[samples / 2],
		(long long)s->took_ns[samples * 99 / 100]);
}

int main(int argc, char **argv)
{
	struct side side;
	long i;

	must(argc == 6, "usage: line MODULES|- URL|FILE CONTENDERS MILLISECONDS HOLD_US");
	side.modules = strcmp(argv[1], "-") ? argv[1] : NULL;
	side.place = argv[2];
	side.contenders = count_from(argv[3]);
	side.time_ns = count_from(argv[4]) * 1000000;
	side.hold_ns = count_from(argv[5]) * 1000;
	side.shared = mmap(NULL, sizeof(*side.shared) + (size_t)side.contenders * sizeof(long),
		PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(side.shared != MAP_FAILED, "memory");
	must(!pipe(side.gate), "a pipe");
	for (i = 0; i < side.contenders; i++) {
		pid_t child = fork();

		must(child >= 0, "a process");
		if (child == 0)
			contend(&side, i);
	}
	while (side.shared->ready < side.contenders)
		usleep(1000);
	side.shared->begin_ns = now_ns();
	side.shared->count_from_ns = side.shared->begin_ns + side.time_ns / 10;
	side.shared->end_ns = side.shared->begin_ns + side.time_ns;
	close(side.gate[1]);
	for (i = 0; i < side.contenders; i++) {
		int status;

		must(wait(&status) > 0 && status == 0, "a contender failed");
	}
	if (side.modules)
		check_history(&side);
	print(&side);
	return 0;
}
