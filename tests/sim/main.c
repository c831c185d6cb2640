/* hf-sim: run histories from seeds. See sim.h. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char usage[] =
	"usage: hf-sim [--seed N] [--histories N] [--mutant NAME] [--tap] [--verbose]\n"
	"       hf-sim --list-mutants\n"
	"Runs N histories (1 with --seed, else 1000) from seed on and checks every promise\n"
	"after every event. With --mutant a rule or the store is broken on purpose; with\n"
	"--tap as well, being caught is what is wanted.\n";

typedef struct options {
	uint64_t seed;
	uint64_t histories;
	const char *mutant;
	bool tap;
	bool verbose;
} options;

static int tests;
static int failures;

static void tap(bool good, const char *promise)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, promise);
	failures += !good;
}

/* The first history that breaks a promise, or the end of them. */
static bool run_all(sim *s, const options *o)
{
	clock_t start = clock();
	uint64_t events = 0;
	uint64_t i = 0;
	bool good = true;

	for (; good && i < o->histories; i++) {
		good = sim_run(s, o->seed + i);
		events += s->events;
	}
	printf("# %llu histories, %llu events, %.1f s of processor\n", (unsigned long long)i,
		(unsigned long long)events, (double)(clock() - start) / CLOCKS_PER_SEC);
	if (good)
		return true;
	printf("# seed %llu: %s\n# to run that one again: hf-sim --seed %llu%s%s --verbose\n",
		(unsigned long long)s->seed, s->failure, (unsigned long long)s->seed,
		o->mutant ? " --mutant " : "", o->mutant ? o->mutant : "");
	if (!o->mutant && !o->verbose) {
		s->verbose = true; /* once more, aloud */
		sim_run(s, s->seed);
		s->verbose = false;
	}
	return false;
}

/* The end of a history tells whether it was the same. */
static bool same_again(sim *s)
{
	uint64_t seed;

	for (seed = 1; seed <= 50; seed++) {
		uint64_t random;
		size_t events;

		sim_run(s, seed);
		random = s->rng.state;
		events = s->events;
		sim_run(s, seed);
		if (s->rng.state != random || s->events != events)
			return false;
	}
	return true;
}

static bool met(const char *what, size_t count)
{
	printf("# %8zu %s\n", count, what);
	return count > 0;
}

/* Histories that never met a thing say nothing about it. */
static bool met_everything(const sim *s)
{
	static const hf_status answers[] = {HF_OK, HF_HELD, HF_TIMED_OUT, HF_LOST, HF_NOT_OWNER,
		HF_UNKNOWN, HF_UNAVAILABLE, HF_CORRUPT, HF_INVALID, HF_DEADLOCK};
	bool all = true;
	size_t i;
	int kind;

	for (i = 0; i < HF_ARRAY_LEN(answers); i++)
		all &= met(hf_status_name(answers[i]), s->answers[answers[i]]);
	for (kind = HF_EV_NONE + 1; kind < HF_EV_COUNT_; kind++)
		all &= met(hf_event_kind_name((hf_event_kind)kind), s->landed[kind]);
	all &= met("locks forgotten", s->forgotten);
	all &= met("stores that went back", s->restarts);
	all &= met("told so", s->regressions);
	all &= met("deadlocks", s->circles);
	all &= met("upgrades from the line", s->upgrades_from_line);
	all &= met("upgrades that were victims", s->upgrade_victims);
	return all;
}

static int run_tests(sim *s, const options *o)
{
	char promise[200];

	if (o->mutant) {
		printf("1..1\n");
		snprintf(promise, sizeof(promise), "a mutant is caught: %s", s->mutant->what);
		tap(!run_all(s, o), promise);
		return failures > 0;
	}
	printf("1..3\n");
	tap(run_all(s, o), "random histories keep every promise");
	tap(met_everything(s), "they met every kind of event and answer");
	tap(same_again(s), "one seed is one history");
	return failures > 0;
}

static bool parse(int argc, char **argv, options *o)
{
	bool counted = false;
	bool seeded = false;
	int i;

	for (i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--verbose")) {
			o->verbose = true;
		} else if (!strcmp(argv[i], "--tap")) {
			o->tap = true;
		} else if (!strcmp(argv[i], "--seed") && hf_parse_u64(value, &o->seed)) {
			seeded = true;
			i++;
		} else if (!strcmp(argv[i], "--histories") &&
			   hf_parse_u64(value, &o->histories)) {
			counted = true;
			i++;
		} else if (!strcmp(argv[i], "--mutant") && *value) {
			o->mutant = value;
			i++;
		} else {
			return false;
		}
	}
	if (seeded && !counted)
		o->histories = 1;
	return true;
}

/* HF_TEST_SCALE: a percentage, for variants that run slowly. */
static uint64_t scaled(uint64_t histories)
{
	const char *text = getenv("HF_TEST_SCALE");
	uint64_t percent;

	if (!text || !hf_parse_u64(text, &percent) || percent >= 100)
		return histories;
	return histories * percent / 100;
}

int main(int argc, char **argv)
{
	options o = {.seed = 1, .histories = 1000};
	int code;
	sim s;

	if (argc == 2 && !strcmp(argv[1], "--list-mutants")) {
		sim_mutants_list();
		return 0;
	}
	sim_init(&s);
	if (!parse(argc, argv, &o) || (o.mutant && !(s.mutant = sim_mutant_named(o.mutant)))) {
		fputs(usage, stderr);
		return 2;
	}
	s.verbose = o.verbose;
	if (o.tap && !o.mutant)
		o.histories = scaled(o.histories);
	code = o.tap ? run_tests(&s, &o) : !run_all(&s, &o);
	sim_free(&s);
	return code;
}
