/* One random record, request and evidence, and what the rules make of them. */
#ifndef RULES_HELPER_H
#define RULES_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "draw.h"

typedef struct fixture {
	draw d;
	hf_record prev;
	hf_record next;
	hf_record again;
	hf_record read; /* next, through its text */
	hf_buf scratch;
	hf_buf text;
	hf_grant_evidence grants[16];
	hf_evidence evidence;
	hf_request request;
	hf_verdict verdict;
} fixture;

/* Draw all of a round; end() frees it. */
void begin(fixture *f, size_t round);
void end(fixture *f);
/* Make the request an acquisition by somebody new, who takes as told. */
void ask_anew(fixture *f, hf_take take);
/* prev to next. */
void decide(fixture *f);
/* What the swap wrote, as the next reader finds it. */
void write_and_read(fixture *f);

/* NULL: it has none. */
const hf_grant *grant_of(const hf_record *r, const char *id);
/* 99 and 0 of one that it has not. */
unsigned mode_of(const hf_record *r, const char *id);
uint64_t token_of(const hf_record *r, const char *id);
/* Is grant i of prev over? */
bool over(const fixture *f, size_t i);

#endif
