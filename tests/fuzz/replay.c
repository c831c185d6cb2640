/*
 * A main() for a fuzz target: replays a corpus, then runs mutations of it.
 *
 *	fuzz-TARGET CORPUS_FOLDER [SEED [ROUNDS]]
 *
 * An input that crashes is left in ./crash-TARGET, as the target saw it.
 */
#include "base/base.h"
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { INPUTS = 64, LONGEST = 8192 };

typedef struct input {
	uint8_t *data;
	size_t size;
} input;

static input inputs[INPUTS];
static size_t input_count;

static uint8_t now[LONGEST];
static size_t now_size;
static char crash_path[256];

static void on_crash(int number)
{
	int fd = open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd >= 0 && write(fd, now, now_size) == (ssize_t)now_size)
		close(fd);
	signal(number, SIG_DFL);
	raise(number);
}

static void add_input(const uint8_t *data, size_t size)
{
	input *in = &inputs[input_count];

	if (input_count == INPUTS || size > LONGEST)
		return;
	in->data = malloc(size + 1);
	if (!in->data)
		abort();
	memcpy(in->data, data, size);
	in->size = size;
	input_count++;
}

static bool read_corpus(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		char path[1024];
		uint8_t data[LONGEST];
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		add_input(data, fread(data, 1, sizeof(data), file));
		fclose(file);
	}
	closedir(dir);
	return input_count > 0;
}

/* ---- mutations ---- */

static void change_byte(hf_rng *rng)
{
	static const char likely[] = " =%\n0129:?&.,/\x80\xff";
	size_t at = (size_t)hf_rng_below(rng, now_size);

	if (now_size)
		now[at] = hf_rng_below(rng, 2)
				  ? (uint8_t)likely[hf_rng_below(rng, sizeof(likely))]
				  : (uint8_t)hf_rng_below(rng, 256);
}

/* Take bytes out, or put some of another input in. */
static void graft(hf_rng *rng)
{
	const input *from = &inputs[hf_rng_below(rng, input_count)];
	size_t at = (size_t)hf_rng_below(rng, now_size + 1);
	size_t cut = (size_t)hf_rng_below(rng, now_size - at + 1);
	size_t start = (size_t)hf_rng_below(rng, from->size + 1);
	size_t add =
		hf_rng_below(rng, 3) ? (size_t)hf_rng_below(rng, from->size - start + 1) : 0;

	if (hf_rng_below(rng, 2))
		cut = cut < 4 ? cut : 4;
	if (now_size - cut + add > LONGEST)
		return;
	memmove(now + at + add, now + at + cut, now_size - at - cut);
	memcpy(now + at, from->data + start, add);
	now_size = now_size - cut + add;
}

static void mutate(hf_rng *rng)
{
	const input *from = &inputs[hf_rng_below(rng, input_count)];
	uint64_t changes = 1 + hf_rng_below(rng, 6);

	memcpy(now, from->data, from->size);
	now_size = from->size;
	for (; changes > 0; changes--) {
		if (hf_rng_below(rng, 3))
			change_byte(rng);
		else
			graft(rng);
	}
}

/* From memory of just that size, so that a sanitizer sees the end of it. */
static void try_it(void)
{
	uint8_t *exact = malloc(now_size ? now_size : 1);

	if (!exact)
		abort();
	memcpy(exact, now, now_size);
	LLVMFuzzerTestOneInput(exact, now_size);
	free(exact);
}

static uint64_t scaled(uint64_t rounds)
{
	const char *text = getenv("HF_TEST_SCALE");
	uint64_t percent;

	if (!text || !hf_parse_u64(text, &percent) || percent >= 100)
		return rounds;
	return rounds * percent / 100;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	uint64_t seed = 1;
	uint64_t rounds = 200000;
	uint64_t i;
	hf_rng rng;

	if (argc < 2 || argc > 4 || (argc > 2 && !hf_parse_u64(argv[2], &seed)) ||
		(argc > 3 && !hf_parse_u64(argv[3], &rounds)) || !read_corpus(argv[1])) {
		fprintf(stderr, "usage: %s CORPUS_FOLDER [SEED [ROUNDS]]\n", name);
		return 2;
	}
	snprintf(crash_path, sizeof(crash_path), "crash-%s", name);
	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	puts("1..2");
	for (i = 0; i < input_count; i++) {
		memcpy(now, inputs[i].data, inputs[i].size);
		now_size = inputs[i].size;
		try_it();
	}
	printf("ok 1 - %s takes its corpus of %zu\n", name, input_count);
	fflush(stdout);
	hf_rng_seed(&rng, seed);
	rounds = scaled(rounds);
	for (i = 0; i < rounds; i++) {
		mutate(&rng);
		try_it();
	}
	printf("ok 2 - %s takes what came of it: %llu mutations\n", name,
		(unsigned long long)rounds);
	while (input_count)
		free(inputs[--input_count].data);
	return 0;
}
