/*
 * The `git:` store from the inside.
 *
 * Where a lock NAME lives (ESC is its escaped form, SPACE the folder of its
 * layout under the repository's common directory):
 *
 *	refs/holdfast/locks/ESC		its branch of events, or with
 *	refs/gitvan/locks/ESC		layout=blob the holder's metadata
 *	holdfast/SPACE/ESC.slot		the side file, see side.h
 *	holdfast/SPACE/ESC.G.log	the events, see journal.h
 *	holdfast/SPACE/ESC.K.move/	where a writer works, see move.h
 *	holdfast/SPACE/floor		see floor.h
 *
 * Two guards. Our own processes meet on the OFD lock of the side file. git,
 * and programs that use it, meet us on `ESC.lock` beside the ref, and move a
 * ref only by compare-and-swap.
 *
 * The side file is the truth about our own records: it is a write-ahead record
 * of each swap ("intent"), and the ref moving from its old value to the new
 * one is the moment the swap takes place. The ref is what everybody else sees;
 * when it was rewound, deleted or damaged behind our back, the next swap puts
 * it right.
 *
 * Files, from the ground: repo (which repository), object (read, hash, write),
 * ref (read), move (change a ref); side, journal, floor (our files); lock (one
 * name's handles); present (what state a lock is in); swap. A layout (branch,
 * neighbour) says what the ref's value means and what object a change makes.
 */
#ifndef GS_STORE_H
#define GS_STORE_H

#include "base/base.h"
#include "store/watcher.h"

#include <pthread.h>
#include <sys/stat.h>

#define GS_ESCAPED_MAX 150 /* bytes of an escaped name */
#define GS_PATH_MAX 512 /* of a path relative to the common directory */

/* The id of an object. All zero: none. */
typedef struct gs_oid {
	unsigned char bytes[20];
} gs_oid;
#define GS_HEX 40

/* Tries that a process gets even if it was stopped and its time is over. */
#define GS_TRIES_MIN 16

static inline bool gs_oid_is_zero(const gs_oid *oid)
{
	static const gs_oid zero;

	return memcmp(oid, &zero, sizeof(zero)) == 0;
}

static inline bool gs_oid_equal(const gs_oid *a, const gs_oid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void gs_oid_hex(const gs_oid *oid, char out[GS_HEX + 1]);
/* Exactly 40 hex digits at `text` (what follows is not looked at). */
bool gs_oid_parse(const char *text, gs_oid *out);

typedef struct gs_layout gs_layout; /* layout.h */
typedef struct gs_lock gs_lock; /* lock.h */
typedef struct gs_packed gs_packed; /* ref.h */
typedef struct gs_floor_file gs_floor_file;

struct hf_store {
	const gs_layout *layout;
	char *identity;
	char *common; /* real path of the common directory */
	int common_fd;
	char prefix[200]; /* of the refs: "refs/holdfast/locks/" */
	char space[224]; /* of the side files: "holdfast/locks" */
	bool history_given; /* in the URL: it says then, not the change */
	size_t history; /* events kept at least; 0: all */
	int64_t patience_ms; /* of one operation that is stuck */
	bool sync;
	bool network;
	mode_t shared; /* mode bits that core.sharedRepository adds */
	hf_log_fn log;
	void *log_arg;

	pthread_mutex_t mutex; /* the cache of handles */
	gs_lock *locks;
	size_t lock_count;
	uint64_t lock_tick;

	pthread_mutex_t packed_mutex;
	gs_packed *packed;

	pthread_mutex_t floor_mutex;
	gs_floor_file *floor;

	hf_watcher_pool watchers;
};

/* A warning for whoever opened the store. */
void gs_warn(const hf_store *store, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* An absolute path for what needs one. Out: PATH_MAX bytes. */
bool gs_absolute(const hf_store *store, const char *relative, char *out, size_t cap);

/*
 * Make the folders above `relative` (not its last part), as git makes them.
 * Returns 0 or an errno.
 */
int gs_make_folders_above(const hf_store *store, const char *relative);

/* Give a new file or folder what core.sharedRepository asks. */
void gs_share(const hf_store *store, int fd);

#endif
