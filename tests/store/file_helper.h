/* The file: store in a scratch folder, and what its tests ask of it again and again. */
#ifndef FILE_HELPER_H
#define FILE_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base.h"
#include "scratch.h"
#include "store/registry.h"

extern const hf_store_ops *ops;

/* The store at "locks" in the scratch folder; `query` follows the path. */
hf_status try_open(const char *query, hf_store **store_out, hf_error *error);
/* As try_open(), and it must succeed. */
hf_store *open_store(const char *query);

/* Read; must not fail. Clear it. */
hf_snapshot look(hf_store *store, const char *name);
void clear(hf_snapshot *s);

extern hf_error last_error; /* of swap_over() */
/* `line` NULL: an amendment. */
hf_status swap_over(hf_store *store, const char *name, const hf_etag *expected,
	const char *data, const char *line, size_t limit, hf_etag *etag_out);
/* Over whatever is there; must succeed. */
hf_etag put_limited(
	hf_store *store, const char *name, const char *data, const char *line, size_t limit);
hf_etag put(hf_store *store, const char *name, const char *data);
/* What is there, "(absent)" for nothing. */
void expect(hf_store *store, const char *name, const char *data);

struct lines {
	size_t count;
	char text[2000][32];
};

/* For the store's history(): adds to a struct lines. */
int take_line(void *lines, const char *line);
/* Must not fail; static. */
struct lines *history(hf_store *store, const char *name, size_t limit);
/* "event N", newest first, without a gap. */
void expect_events(const struct lines *lines, int newest, size_t at_least);

/* An empty file in the scratch folder. */
void touch(const char *name);

#endif
