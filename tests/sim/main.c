/* hf-sim: run histories from seeds. See sim.h. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

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

static void how_to_run_again(const options *o, uint64_t seed)
{
	printf("# to run that one again: hf-sim --seed %llu%s%s --verbose\n",
		(unsigned long long)seed, o->mutant ? " --mutant " : "",
		o->mutant ? o->mutant : "");
}

/* The first history that breaks a promise, or the end of them. */
static bool run_all(sim *s, const options *o, uint64_t *failed_out, uint64_t *events_out)
{
	uint64_t i;

	*events_out = 0;
	for (i = 0; i < o->histories; i++) {
		bool good = sim_run(s, o->seed + i);

		*events_out += s->events;
		if (!good) {
			*failed_out = o->seed + i;
			return false;
		}
	}
	return true;
}

static int report(sim *s, const options *o, bool good, uint64_t failed, uint64_t events)
{
	struct rusage used;
	bool wanted = good == !o->mutant;

	getrusage(RUSAGE_SELF, &used);
	if (o->tap && o->mutant)
		printf("%s 1 - the mutant '%s' is caught: %s\n", wanted ? "ok" : "not ok",
			o->mutant, s->mutant->what);
	else if (o->tap)
		printf("%s 1 - %llu random histories keep every promise\n",
			wanted ? "ok" : "not ok", (unsigned long long)o->histories);
	printf("# %llu events, %zu swaps landed, %zu grants, %ld.%03ld s of processor\n",
		(unsigned long long)events, s->swaps_landed, s->grants,
		(long)used.ru_utime.tv_sec, (long)used.ru_utime.tv_usec / 1000);
	if (!good) {
		printf("# seed %llu: %s\n", (unsigned long long)failed, s->failure);
		how_to_run_again(o, failed);
	}
	return o->tap ? !wanted : !good;
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

int main(int argc, char **argv)
{
	options o = {.seed = 1, .histories = 1000};
	uint64_t failed = 0;
	uint64_t events;
	bool good;
	sim s;
	int code;

	if (argc == 2 && !strcmp(argv[1], "--list-mutants")) {
		sim_mutants_list();
		return 0;
	}
	sim_init(&s);
	if (!parse(argc, argv, &o) || (o.mutant && !(s.mutant = sim_mutant_named(o.mutant)))) {
		fputs(usage, stderr);
		return 2;
	}
	if (o.tap)
		puts("1..1");
	s.verbose = o.verbose;
	good = run_all(&s, &o, &failed, &events);
	if (!good && !o.mutant && !o.verbose) {
		/* Once more, aloud. */
		s.verbose = true;
		sim_run(&s, failed);
	}
	code = report(&s, &o, good, failed, events);
	sim_free(&s);
	return code;
}
