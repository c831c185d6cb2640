/* A tree of names, and taking them with HF_TREE_NAME. */
#ifndef HF_TEST_TREE_H
#define HF_TEST_TREE_H

#include "../held.h"
#include "world.h"

/* The base of a tree, and names in it. */
struct tree {
	char root[64];
	char a[80]; /* root/a */
	char b[80]; /* root/b */
	char deep[96]; /* root/a/deep */
};

/* New names. */
void plant(struct tree *t);
/* Options with HF_TREE_NAME. */
hf_acquire_options in_tree(hf_mode mode);
/* try_it() and take() with them. */
hf_status try_tree(hf_manager *m, const char *name, hf_mode mode);
hf_lease *take_tree(hf_manager *m, const char *name, hf_mode mode);

#endif
