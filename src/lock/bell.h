/*
 * Doorbells: how one process tells another on this host that its turn has come.
 *
 * Each acquisition that waits in line has a datagram socket, named after its
 * id, in Linux's abstract space: it has no file, ends with its process, and no
 * name in a record can lead anywhere else. A ring says only "look": it may come
 * for nothing, from anybody, and it may not come (another network namespace):
 * whoever waits looks now and then all the same.
 *
 * Thousands that wait in one process share one socket: their ids begin alike,
 * with what it is named after, and a ring says whose it is. Who rings tries the
 * id's own first.
 */
#ifndef HF_BELL_H
#define HF_BELL_H

#include <stdbool.h>
#include <stddef.h>

#define HF_BELL_PREFIX_LEN 16 /* digits of an id that name a shared bell */

/* A bell for the acquisition `id`: a descriptor to poll; -1: none can be had. */
int hf_bell_new(const char *id);
/* Forget the rings so far. */
void hf_bell_quiet(int bell);
/* Ring the bell of `id`, if there is one. Never waits. */
void hf_bell_ring(const char *id);

/* A bell for all ids that begin as `id` does. */
int hf_bell_new_shared(const char *id);
/* A new id that begins as `like` does. */
void hf_bell_new_id(const char *like, char *id_out);
/*
 * The next ring of a shared bell; false: none. id_out (HF_ID_LEN + 1 bytes) is
 * what the ring said: anything, of that length or less.
 */
bool hf_bell_next(int bell, char *id_out);
/*
 * How many rings a bell keeps at least. If that many were heard before it was
 * silent, others may have been lost.
 */
size_t hf_bell_room(void);

#endif
