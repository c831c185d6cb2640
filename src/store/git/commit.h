/*
 * An event as a commit, so that `git log` of a lock's ref tells who held it.
 *
 *	tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904
 *	parent (the event before)
 *	author alice@web1 <holdfast> 1700000000 +0000
 *	committer alice@web1 <holdfast> 1700000000 +0000
 *
 *	acquire deploy, token 5, alice@web1 pid 7
 *
 *	holdfast 1
 *	lock name=deploy gen=7 token=5		(the record)
 *	...
 *	end
 *
 *	Holdfast-Event: gen=7 kind=acquire ...
 *	Holdfast-State: 1 text RECORD-LENGTH ORIGIN GEN STAMP EVENTS NAME
 *
 * The last line tells what stands where, so a reader starts from the end.
 * A record that is no plain text stands there in hex ("hex" for "text").
 */
#ifndef GS_COMMIT_H
#define GS_COMMIT_H

#include "side.h"

typedef struct gs_commit {
	gs_oid parent; /* zero: the first */
	int64_t at_s; /* wall time */
	gs_state state; /* tip is not set; data as below */
	char name[HF_NAME_MAX + 1];
	const char *event; /* not NUL-ended */
	size_t event_len;
	hf_buf record; /* owns state.data */
} gs_commit;

void gs_commit_clear(gs_commit *commit);

/* Append the commit's content. `summary` and `line` without newlines. */
void gs_commit_build(hf_buf *out, const gs_oid *parent, const gs_state *state, const char *name,
	const hf_event_text *event);

/*
 * Take apart; pointers go into `data`. HF_CORRUPT: not one of our events, or
 * of a newer format; HF_NO_MEMORY.
 */
hf_status gs_commit_parse(const char *data, size_t len, gs_commit *out, hf_error *error);

/* The same commit with another parent (zero: none) and place in the branch. */
hf_status gs_commit_graft(const char *data, size_t len, const gs_oid *parent, uint64_t events,
	hf_buf *out, hf_error *error);

#endif
