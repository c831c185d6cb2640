/* The register of the store under test, used as the rules use it. What must succeed, does. */
#ifndef HF_TEST_REGISTER_H
#define HF_TEST_REGISTER_H

#include "world.h"

/* A record as the rules would write it, with `counter` in it; free it. */
char *record_text(const char *name, uint64_t gen, uint64_t counter);
/* Swap over `expected` with an event whose line tells gen. */
hf_status put(register_under_test *r, const char *name, const hf_etag *expected, uint64_t gen,
	uint64_t counter, hf_snapshot *reply);
/* Read; clear it. */
hf_snapshot look(register_under_test *r, const char *name);
/* What the record says; of an absent one the floor and 0. */
void parse(const char *name, const hf_snapshot *s, uint64_t *gen, uint64_t *counter);
/* Write once over whatever is there; the etag it has then. */
hf_etag write_once(register_under_test *r, const char *name);

#endif
