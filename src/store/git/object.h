/*
 * Objects of the repository: hash, write, look for, read.
 *
 * Written loose and by ourselves, in one link of a nameless file: half the time
 * libgit2 takes, and a writer killed in between leaves nothing. They are
 * stored uncompressed when that fits one block, where compressing would only
 * take time; the next `git gc` packs them.
 *
 * Read through libgit2, which knows packs and alternates. Each use opens the
 * object database afresh: a kept one has a cache, and a cache believes in
 * objects that a prune has removed meanwhile.
 */
#ifndef GS_OBJECT_H
#define GS_OBJECT_H

#include "store.h"

typedef enum gs_type { GS_COMMIT, GS_BLOB, GS_OTHER_TYPE } gs_type;

/* HF_NO_MEMORY, HF_SYSTEM. */
hf_status gs_object_hash(
	gs_type type, const void *data, size_t len, gs_oid *out, hf_error *error);

/*
 * Make sure that the object `oid` of this content exists. HF_SYSTEM: it could
 * not be written (disk full, permission).
 */
hf_status gs_object_write(const hf_store *store, gs_type type, const gs_oid *oid,
	const void *data, size_t len, hf_error *error);

/* The tree without entries, that every event's commit has. */
extern const gs_oid gs_empty_tree;
hf_status gs_object_write_empty_tree(const hf_store *store, hf_error *error);

bool gs_object_exists(const hf_store *store, const gs_oid *oid);
/* Cheap: false also if it is packed or in an alternate. */
bool gs_object_is_loose(const hf_store *store, const gs_oid *oid);
/* Remove it if it is loose. */
void gs_object_remove_loose(const hf_store *store, const gs_oid *oid);

typedef struct gs_objects gs_objects; /* one reading session */
hf_status gs_objects_open(const hf_store *store, gs_objects **out, hf_error *error);
void gs_objects_close(gs_objects *objects);
bool gs_objects_has(gs_objects *objects, const gs_oid *oid);

/* Content of an object, malloc'd, with a NUL behind it. */
typedef struct gs_object {
	gs_type type;
	char *data;
	size_t len;
} gs_object;
void gs_object_clear(gs_object *object);

/* HF_OK, or HF_CORRUPT with *missing_out: it is damaged, or not there. */
hf_status gs_objects_read(gs_objects *objects, const gs_oid *oid, gs_object *out,
	bool *missing_out, hf_error *error);
/* The same, for one. */
hf_status gs_object_read(const hf_store *store, const gs_oid *oid, gs_object *out,
	bool *missing_out, hf_error *error);

/* Temporaries of dead writers, where nameless files are not to be had. */
hf_status gs_objects_sweep(const hf_store *store, size_t *removed);

#endif
