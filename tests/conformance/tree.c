#include "tree.h"

#include <stdio.h>

void plant(struct tree *t)
{
	snprintf(t->root, sizeof(t->root), "%s", world_name("tree"));
	snprintf(t->a, sizeof(t->a), "%s/a", t->root);
	snprintf(t->b, sizeof(t->b), "%s/b", t->root);
	snprintf(t->deep, sizeof(t->deep), "%s/a/deep", t->root);
}

hf_acquire_options in_tree(hf_mode mode)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.flags = HF_TREE_NAME;
	o.mode = mode;
	return o;
}

hf_status try_tree(hf_manager *m, const char *name, hf_mode mode)
{
	hf_acquire_options o = in_tree(mode);

	return try_it(m, name, &o);
}

hf_lease *take_tree(hf_manager *m, const char *name, hf_mode mode)
{
	hf_acquire_options o = in_tree(mode);

	return take(m, name, &o);
}
