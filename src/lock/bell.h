/*
 * Doorbells: how one process tells another on this host that its turn has come.
 *
 * Each acquisition that waits in line has a datagram socket, named after its
 * id, in Linux's abstract space: it has no file, ends with its process, and no
 * name in a record can lead anywhere else. A ring says only "look": it may come
 * for nothing, from anybody, and it may not come (another network namespace):
 * whoever waits looks now and then all the same.
 */
#ifndef HF_BELL_H
#define HF_BELL_H

/* A bell for the acquisition `id`: a descriptor to poll; -1: none can be had. */
int hf_bell_new(const char *id);
/* Forget the rings so far. */
void hf_bell_quiet(int bell);
/* Ring the bell of `id`, if there is one. Never waits. */
void hf_bell_ring(const char *id);

#endif
