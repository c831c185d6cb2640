/*
 * Random things for the property tests, all from one seed.
 *
 * Each test draws its seed from HF_SEED or a fixed number, and prints it when
 * it fails, so that HF_SEED=N runs that one again.
 */
#ifndef DRAW_H
#define DRAW_H

#include "lock/modes.h"
#include "lock/rules.h"

typedef struct draw {
	hf_rng rng;
	char *texts[512]; /* what was handed out, freed by draw_free() */
	size_t count;
} draw;

/* How many rounds, after HF_TEST_SCALE (a percentage). */
size_t draw_rounds(size_t rounds);
/* The seed of the last draw_begin(): HF_SEED, or a fixed one, and the round. */
extern uint64_t seed_now;
void draw_begin(draw *d, size_t round);
void draw_free(draw *d);
/* cmocka's assert_true(), with the seed that runs it again. */
#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition))                                                              \
			fail_msg(                                                              \
				"HF_SEED=%llu: %s", (unsigned long long)seed_now, #condition); \
	} while (0)

uint64_t draw_below(draw *d, uint64_t n);
bool draw_chance(draw *d, unsigned percent);

/* Up to `most` bytes of UTF-8 with blanks, '%', '=' and now and then controls. */
const char *draw_text(draw *d, size_t most, bool controls);
const char *draw_id(draw *d);
/* A lock's name that hf_check_name() allows. */
const char *draw_name(draw *d);

hf_mode draw_mode(draw *d);
/* A grant as a contender may ask for it. */
hf_grant draw_grant(draw *d);
/* A record that keeps the invariants; `free_too`: it may have no grants. */
void draw_record(draw *d, hf_record *record, bool free_too);
/* Evidence about the record; `grants` has room for its grants. */
hf_evidence draw_evidence(draw *d, const hf_record *record, hf_grant_evidence *grants);
hf_request draw_request(draw *d, const hf_record *record);

#endif
