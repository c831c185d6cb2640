/*
 * The file store's parts, for each other.
 *
 *	file.c	        the operations; what the folder looks like
 *	file_folder.c   the folder itself: found, looked for, made
 *	file_state.c	a key's state as the bytes of its slot file
 *	file_keys.c	open keys: a small cache of handles; the floor
 *	file_history.c	the history of a key, written
 *	file_log.c	the history, read
 *	file_sweep.c	list, left-overs
 *	file_watch.c	waiting for a change
 *	file_flock.c	layout=flock: the neighbour's lock
 *
 * The folder:
 *
 *	ESCAPED.lock		slot file: the state, and how far the log counts
 *	ESCAPED.log.SEGMENT	events, a line each
 *	.floor			slot file: what forgotten keys leave behind
 *	*.broken-NONCE		see slotfile_internal.h
 *
 * With layout=flock these are in DIR/.holdfast, and DIR/ESCAPED is the file
 * that flock(1) users lock.
 *
 * The history. The newest lines stand in the slot file itself, with the state
 * (R10); so most locks need no second file, and a swap is one write. When they
 * have become many they are written to the log, behind the end that the slot
 * file tells, and the slot is swapped with the new end and without them: that
 * swap is the one moment at which all of it counts. What a crash leaves behind
 * the end the next writer overwrites, and readers stop at the end. A writer
 * whose lock was broken may yet write behind *its* end at any time: so after a
 * break the segment is sealed, and the log goes on in a new one. Names of
 * segments are random, so that no two writers ever mean the same file by
 * different segments. A state names at most two: the current one, and the one
 * before, which is only read.
 *
 * A full disk. Taking a lock fails, while nothing has changed yet, if its lines
 * should go to the log and cannot. Giving one back leaves its line in the slot
 * file, which has had its blocks from the beginning.
 *
 * Locks: key.mutex, then store.floor_mutex. store.keys_mutex is taken alone.
 */
#ifndef HF_FILE_INTERNAL_H
#define HF_FILE_INTERNAL_H

#include "slotfile.h"
#include "watcher.h"

#include <pthread.h>
#include <stdatomic.h>

#define HF_KEYS_CACHED 64
#define HF_ESCAPED_MAX 200 /* with ".log." and 16 digits below NAME_MAX */

/* ---- file_state.c ---- */

typedef struct hf_segment {
	uint64_t id; /* 0: there is none */
	uint64_t end; /* bytes that count */
	uint64_t count; /* lines in them */
} hf_segment;

typedef struct hf_file_state {
	bool present;
	uint64_t generation; /* of this key, grows with each swap */
	bool held; /* by the view that came with the record */
	bool sealed; /* nothing may be added to the current segment */
	hf_segment current;
	hf_segment before;
	/* Borrowed from the content they were decoded from. */
	const char *record;
	size_t record_len;
	const char *recent; /* lines that are not in the log yet */
	size_t recent_len;
	size_t recent_count;
} hf_file_state;

/* Absent, HF_CORRUPT, or what the content says of `name` (NULL: of any). */
hf_status hf_file_state_decode(const hf_slot_content *content, const char *path,
	const char *name, hf_file_state *state_out, hf_error *error);
/* What stands before the record and the recent lines. */
void hf_file_state_head(const hf_file_state *state, const char *name, hf_buf *buf);
/* The name that the content is of; false if there is none in it. */
bool hf_file_state_name(const hf_slot_content *content, char *out);

typedef struct hf_floor {
	uint64_t generation; /* above that of every key forgotten so far */
	uint64_t counter; /* as hf_snapshot.floor */
} hf_floor;
hf_status hf_floor_decode(
	const hf_slot_content *content, const char *path, hf_floor *floor_out, hf_error *error);
void hf_floor_encode(const hf_floor *floor, char out[24]);

hf_etag hf_etag_of_state(const hf_file_state *state, const hf_floor *floor);

/* ---- file_keys.c ---- */

/* One key in use. */
typedef struct hf_key {
	pthread_mutex_t mutex;
	hf_slotfile *file;
	char *lock_path;
	char *log_stem; /* "DIR/ESCAPED.log." */
	hf_buf out; /* the content to be written */
	hf_buf recent; /* the lines that go into it */
	/* Under the store's keys_mutex. */
	unsigned users;
	bool cached;
	uint64_t used_at;
	char name[HF_NAME_MAX + 1];
} hf_key;

struct hf_store {
	char *folder; /* canonical */
	char *records; /* the folder of the slot files: the same, or .holdfast */
	char *identity;
	bool flock_layout;
	bool make_parents;
	bool network;
	unsigned capabilities;
	atomic_bool there; /* `records` was seen: what follows is set */
	hf_slotfile_options options; /* of all slot files; the mode once there */

	pthread_mutex_t keys_mutex;
	hf_key *keys[HF_KEYS_CACHED];
	uint64_t uses;

	pthread_mutex_t floor_mutex;
	hf_slotfile *floor; /* once there */
	char *floor_path;

	hf_watcher_pool watchers;
};

/* ---- file_folder.c ---- */

/*
 * Fill folder, records, network. Makes nothing. HF_CANNOT_CREATE: it is not
 * there and could not be made, or is no folder; HF_SYSTEM, HF_NO_MEMORY.
 */
hf_status hf_folder_find(hf_store *store, const char *path, hf_error *error);
/* Before any look. *there_out false: there are no locks, and no keys to get. */
hf_status hf_folder_look(hf_store *store, bool *there_out, hf_error *error);
/* Before any change. */
hf_status hf_folder_make(hf_store *store, hf_error *error);

/* ---- file_keys.c ---- */

/* "RECORDS/ESCAPED.lock", malloc'd; NULL: out of memory. */
char *hf_key_lock_path(const hf_store *store, const char *name);
/* A key, with its mutex locked; give it back with hf_key_put(). */
hf_status hf_key_get(hf_store *store, const char *name, hf_key **key_out, hf_error *error);
void hf_key_put(hf_store *store, hf_key *key);
void hf_keys_init(hf_store *store);
void hf_keys_free(hf_store *store);

/* The key's state and, if it is absent, the floor. content holds the record. */
hf_status hf_key_read(hf_store *store, hf_key *key, hf_slot_content *content,
	hf_file_state *state, hf_floor *floor, hf_error *error);
hf_status hf_floor_read(hf_store *store, hf_floor *floor_out, hf_error *error);
/* From now on it is above `generation`, and its counter at least `counter`. */
hf_status hf_floor_raise(
	hf_store *store, uint64_t generation, uint64_t counter, hf_error *error);

/* ---- file_history.c ---- */

typedef struct hf_log_line {
	const char *text;
	size_t limit; /* events to keep at least; 0: all */
	bool strict; /* fail rather than leave more lines than usual in the slot */
} hf_log_line;

/*
 * Add the line to `state`, the key being locked; nothing counts until the state
 * is written. On failure the state is as it was.
 */
hf_status hf_log_append(hf_store *store, hf_key *key, hf_file_state *state,
	const hf_log_line *line, hf_error *error);
/* Keep the newest `keep` lines of what can be read. As above. */
hf_status hf_log_prune(
	hf_store *store, hf_key *key, hf_file_state *state, size_t keep, hf_error *error);
/* Remove the segments that `from` names and `to` (NULL: nothing) does not. */
void hf_log_drop(const hf_key *key, const hf_file_state *from, const hf_file_state *to);
/* Its path, malloc'd. */
char *hf_segment_path(const hf_key *key, uint64_t id);
/* -1 with errno. */
int hf_segment_open(const hf_key *key, uint64_t id, int flags);

/* ---- file_log.c ---- */

/* A part of the history that is read line by line, the newest first. */
typedef struct hf_backwards {
	int fd; /* -1: all of it is in bytes */
	uint64_t at; /* what is before this has not been read */
	char *bytes;
	size_t len;
	size_t cap;
} hf_backwards;

/* The recent lines, the current segment, the one before. */
#define HF_LOG_PARTS 3

/*
 * Open what there is of them. HF_CORRUPT: a segment is missing (and reads as
 * empty). To be closed whatever it returns.
 */
hf_status hf_log_open(const hf_key *key, const hf_file_state *state,
	hf_backwards parts[HF_LOG_PARTS], hf_error *error);
void hf_log_close_parts(hf_backwards parts[HF_LOG_PARTS]);
/* The line before; *line_out NULL: there is none. HF_CORRUPT, HF_NO_MEMORY. */
hf_status hf_previous_line(hf_backwards *part, char **line_out, hf_error *error);
hf_status hf_log_read(hf_store *store, const char *name, size_t limit, hf_store_line_fn fn,
	void *arg, hf_error *error);

/* ---- file.c, file_sweep.c, file_watch.c ---- */

hf_status hf_file_store_read(
	hf_store *store, const char *name, hf_snapshot *snapshot, hf_error *error);
hf_status hf_file_list(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error);
hf_status hf_file_sweep(hf_store *store, size_t *removed, hf_error *error);
hf_status hf_file_watch(hf_store *store, const char *name, const hf_etag *seen,
	int64_t timeout_ms, int cancel_fd, hf_error *error);

/* ---- file_flock.c ---- */

hf_status hf_file_bind(
	hf_store *store, const char *name, hf_mode mode, int *fd_out, hf_error *error);
/* "DIR/ESCAPED", malloc'd. */
char *hf_flock_path(const hf_store *store, const char *name);
/* What flock holds that our state does not explain, into the snapshot. */
hf_status hf_flock_look(hf_store *store, const char *name, const hf_file_state *state,
	hf_snapshot *snapshot, hf_error *error);

#endif
