#include "tidy.h"
#include "journal.h"
#include "layout.h"
#include "move.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the space's folder ---- */

/* Return non-zero to stop. */
typedef int (*leaf_fn)(void *arg, const char *leaf);

static hf_status each_leaf(const hf_store *store, leaf_fn fn, void *arg, hf_error *error)
{
	int fd = openat(store->common_fd, store->space, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	DIR *dir;

	if (fd < 0 && errno == ENOENT)
		return HF_OK;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		hf_status st = hf_fail_errno(error, HF_SYSTEM, "list", errno,
			"cannot list '%s/%s'", store->common, store->space);

		if (fd >= 0)
			close(fd);
		return st;
	}
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && fn(arg, entry->d_name))
			break;
	closedir(dir);
	return HF_OK;
}

/* "ESC.slot", "ESC.N.log", ...: ESC; false: it does not end in `suffix`. */
static bool strip(const char *leaf, const char *suffix, char out[GS_ESCAPED_MAX + 1])
{
	size_t n = strlen(leaf);
	size_t k = strlen(suffix);

	if (n <= k || strcmp(leaf + n - k, suffix) || n - k > GS_ESCAPED_MAX)
		return false;
	memcpy(out, leaf, n - k);
	out[n - k] = '\0';
	return true;
}

/* "ESC.N.KIND": ESC and N. */
static bool strip_number(
	const char *leaf, const char *kind, char out[GS_ESCAPED_MAX + 1], uint32_t *number_out)
{
	char text[NAME_MAX + 1];
	uint64_t number;
	char *dot;
	size_t n;

	if (!hf_copy(text, sizeof(text), leaf))
		return false;
	n = strlen(text);
	if (n <= strlen(kind) || strcmp(text + n - strlen(kind), kind))
		return false;
	text[n - strlen(kind)] = '\0';
	dot = strrchr(text, '.');
	if (!dot || !hf_parse_u64(dot + 1, &number) || number > UINT32_MAX)
		return false;
	*dot = '\0';
	*number_out = (uint32_t)number;
	return hf_copy(out, GS_ESCAPED_MAX + 1, text);
}

/* ---- list ---- */

typedef struct listing {
	hf_store *store;
	hf_store_name_fn fn;
	void *arg;
	bool stop;
	hf_status status;
	hf_error *error;
} listing;

typedef enum presence { NOT_THERE, THERE, UNSURE } presence;

/* What the side file ESC.slot alone tells. UNSURE: damaged, or between two. */
static presence look_at_side(hf_store *store, const char *escaped, char name[HF_NAME_MAX + 1])
{
	hf_slot_content content = {0};
	hf_slotfile *file;
	presence is = UNSURE;
	gs_side side;
	hf_status st;

	if (!gs_unescape(escaped, name))
		name[0] = '\0';
	if (gs_slotfile_of(store, escaped, false, store->patience_ms, &file, NULL))
		return UNSURE;
	st = hf_slotfile_read(file, &content, NULL);
	if (!st && !gs_side_decode(&side, &content, NULL, NULL)) {
		if (!side.name)
			is = NOT_THERE;
		else if (!side.moving || content.mark == GS_LANDED || side.before.present)
			is = THERE;
		else if (content.mark == GS_GIVEN_UP)
			is = NOT_THERE;
		if (side.name)
			hf_copy(name, HF_NAME_MAX + 1, side.name);
	}
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
	return is;
}

static bool is_present(hf_store *store, const char *name)
{
	gs_present p;
	gs_lock *lock;
	bool is = true;

	if (gs_lock_get(store, name, &lock, NULL))
		return true;
	if (!gs_present_read(store, lock, &p, NULL)) {
		is = p.state.present || p.status || p.foreign;
		gs_present_clear(&p);
	}
	gs_lock_put(store, lock);
	return is;
}

static int list_side(void *arg, const char *leaf)
{
	char escaped[GS_ESCAPED_MAX + 1];
	char name[HF_NAME_MAX + 1];
	listing *l = arg;
	presence is;

	if (!strip(leaf, ".slot", escaped))
		return 0;
	is = look_at_side(l->store, escaped, name);
	if (!name[0] || is == NOT_THERE || (is == UNSURE && !is_present(l->store, name)))
		return 0;
	l->stop = l->fn(l->arg, name) != 0;
	return l->stop;
}

static int list_ref(void *arg, const char *relative)
{
	char escaped[GS_ESCAPED_MAX + 1];
	char name[HF_NAME_MAX + 1];
	char again[HF_NAME_MAX + 1];
	listing *l = arg;
	presence is;

	if (!l->store->layout->name_of(l->store, relative, name))
		return 0;
	gs_escape(name, escaped);
	is = look_at_side(l->store, escaped, again);
	if (is == THERE || (is == UNSURE && is_present(l->store, name)))
		return 0;
	/* A neighbour's raw form of what is listed by its escaped form. */
	if (strcmp(escaped, relative)) {
		char ref[GS_PATH_MAX];
		gs_value value;

		snprintf(ref, sizeof(ref), "%s%s", l->store->prefix, escaped);
		if (!gs_ref_read(l->store, ref, &value, NULL) && value.kind != GS_ABSENT)
			return 0;
	}
	if (!is_present(l->store, name))
		return 0;
	l->stop = l->fn(l->arg, name) != 0;
	return l->stop;
}

hf_status gs_list(hf_store *store, hf_store_name_fn fn, void *arg, hf_error *error)
{
	listing l = {.store = store, .fn = fn, .arg = arg, .error = error};
	hf_status st = each_leaf(store, list_side, &l, error);

	if (st || l.stop)
		return st;
	return gs_ref_list(store, list_ref, &l, error);
}

/* ---- sweep ---- */

typedef struct sweeping {
	hf_store *store;
	size_t removed;
	uint64_t blocked_ino; /* only the folder whose guard this is; 0: all */
	bool freed;
} sweeping;

/* Remove ESC.N.KIND if the side file does not name it. Side file locked. */
static void drop_orphan(
	sweeping *s, gs_lock *lock, const char *leaf, const gs_side *side, bool known)
{
	char escaped[GS_ESCAPED_MAX + 1];
	uint32_t number;

	if (strip_number(leaf, ".log", escaped, &number)) {
		if (known && (number == side->now.log ||
				     (side->moving && number == side->before.log)))
			return;
		gs_journal_drop(s->store, lock, number);
	} else if (strip_number(leaf, ".move", escaped, &number)) {
		gs_move_clear(s->store, lock, number);
		if (known && number == side->folder)
			return;
		gs_move_remove_folder(s->store, lock, number);
	} else if (strip_number(leaf, ".dead", escaped, &number)) {
		gs_move_shut_out(s->store, lock, number);
	} else {
		return;
	}
	s->removed++;
}

/*
 * With the side file of ESC locked, put in order what a dead writer left, and
 * drop `leaf` if it is nobody's.
 */
static void tend(sweeping *s, const char *escaped, const char *leaf)
{
	char name[HF_NAME_MAX + 1];
	hf_slot_content content = {0};
	gs_lock lock = {.log_fd = -1};
	gs_present p;
	gs_lock *real;
	gs_side side;
	hf_status st;

	/* The usual way knows everything about it, and settles what is open. */
	look_at_side(s->store, escaped, name);
	if (name[0] && !gs_lock_get(s->store, name, &real, NULL)) {
		if (!gs_present_lock(s->store, real, &p, NULL)) {
			drop_orphan(s, real, leaf, &p.side, p.side.name != NULL);
			if (p.content.seq == 0 && !p.damaged)
				hf_slotfile_remove(real->slot, NULL);
			hf_slotfile_unlock(real->slot);
			gs_present_clear(&p);
		}
		gs_lock_put(s->store, real);
		return;
	}
	/* A hashed name whose side file is gone: then nothing of it is in use. */
	if (gs_slotfile_of(s->store, escaped, true, s->store->patience_ms, &lock.slot, NULL))
		return;
	hf_copy(lock.escaped, sizeof(lock.escaped), escaped);
	snprintf(lock.ref, sizeof(lock.ref), "%s%s", s->store->prefix, escaped);
	snprintf(lock.stem, sizeof(lock.stem), "%s/%s", s->store->space, escaped);
	st = hf_slotfile_lock(lock.slot, &content, NULL);
	if (st == HF_OK || st == HF_CORRUPT) {
		if (st == HF_OK && content.seq == 0) {
			memset(&side, 0, sizeof(side));
			drop_orphan(s, &lock, leaf, &side, false);
			hf_slotfile_remove(lock.slot, NULL);
		}
		hf_slotfile_unlock(lock.slot);
	}
	hf_slot_content_clear(&content);
	hf_slotfile_free(lock.slot);
}

/* A guard with another name: it is, or was left, as one of git's locks. */
static bool guard_is_out(sweeping *s, const char *leaf, uint64_t *ino_out)
{
	char path[GS_PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s/guard", s->store->space, leaf);
	if (fstatat(s->store->common_fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return false;
	*ino_out = st.st_ino;
	return st.st_nlink > 1;
}

/* Does the side file ESC.slot, unlocked, name this leaf and have nothing open? */
static bool in_order(sweeping *s, const char *escaped, const char *leaf)
{
	char other[GS_ESCAPED_MAX + 1];
	hf_slot_content content = {0};
	hf_slotfile *file;
	uint32_t number;
	uint64_t ino;
	bool fine = false;
	gs_side side;

	if (gs_slotfile_of(s->store, escaped, false, s->store->patience_ms, &file, NULL))
		return true;
	if (!hf_slotfile_read(file, &content, NULL) &&
		!gs_side_decode(&side, &content, NULL, NULL) && side.name) {
		fine = !side.moving || content.mark == GS_LANDED || content.mark == GS_GIVEN_UP;
		if (strip_number(leaf, ".log", other, &number))
			fine = fine && number == (content.mark == GS_GIVEN_UP ? side.before.log
									      : side.now.log);
		else if (strip_number(leaf, ".move", other, &number))
			fine = fine && number == side.folder && !guard_is_out(s, leaf, &ino);
		else if (strip_number(leaf, ".dead", other, &number))
			fine = false;
	}
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
	return fine;
}

static int sweep_leaf(void *arg, const char *leaf)
{
	static const char *const kinds[] = {".log", ".move", ".dead"};
	char escaped[GS_ESCAPED_MAX + 1];
	sweeping *s = arg;
	uint32_t number;
	size_t i;

	if (strip(leaf, ".slot", escaped)) {
		if (!in_order(s, escaped, leaf))
			tend(s, escaped, leaf);
		return 0;
	}
	for (i = 0; i < HF_ARRAY_LEN(kinds); i++) {
		if (!strip_number(leaf, kinds[i], escaped, &number))
			continue;
		if (!in_order(s, escaped, leaf))
			tend(s, escaped, leaf);
		break;
	}
	return 0;
}

hf_status gs_sweep(hf_store *store, size_t *removed, hf_error *error)
{
	sweeping s = {.store = store};
	char path[PATH_MAX];
	hf_status st = HF_OK;

	if (gs_absolute(store, store->space, path, sizeof(path)) && access(path, F_OK) == 0)
		st = hf_slotfile_sweep(path, removed, error);
	if (!st)
		st = each_leaf(store, sweep_leaf, &s, error);
	*removed += s.removed;
	return st ? st : gs_objects_sweep(store, removed);
}

/* ---- a lock of git's that one of us left ---- */

static int free_if_left(void *arg, const char *leaf)
{
	char escaped[GS_ESCAPED_MAX + 1];
	sweeping *s = arg;
	uint32_t number;
	uint64_t ino;

	if (!strip_number(leaf, ".move", escaped, &number) || !guard_is_out(s, leaf, &ino) ||
		ino != s->blocked_ino)
		return 0;
	tend(s, escaped, leaf);
	s->freed = true;
	return 1;
}

void gs_free_left_lock(hf_store *store, const char *path)
{
	sweeping s = {.store = store};
	struct stat st;

	if (fstatat(store->common_fd, path, &st, AT_SYMLINK_NOFOLLOW) || st.st_nlink < 2)
		return;
	s.blocked_ino = st.st_ino;
	each_leaf(store, free_if_left, &s, NULL);
}
