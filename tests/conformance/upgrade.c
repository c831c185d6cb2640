#include "upgrade.h"

#include <stdio.h>
#include <unistd.h>

hf_acquire_options sharing(void)
{
	hf_acquire_options o = HF_ACQUIRE_OPTIONS_INIT;

	o.mode = HF_SHARED;
	o.wait_ms = 30000;
	return o;
}

hf_convert_options waiting(int64_t wait_ms)
{
	hf_convert_options o = HF_CONVERT_OPTIONS_INIT;

	o.wait_ms = wait_ms;
	return o;
}

hf_lease *share(hf_manager *m, const char *name)
{
	hf_acquire_options o = sharing();

	return take(m, name, &o);
}

struct scene *new_scene(const char *hint)
{
	struct scene *s = world_shared(sizeof(*s));

	hf_copy(s->name, sizeof(s->name), world_name(hint));
	hf_copy(s->second, sizeof(s->second), world_name(hint));
	return s;
}

int wrong(struct scene *s, const char *what, hf_status st, const hf_error *error)
{
	snprintf(s->error, sizeof(s->error), "%s: %s: %s", what, hf_status_name(st),
		st ? error->text : "");
	return 0; /* the test tells */
}

void until(struct scene *s, int step)
{
	while (s->step < step && !s->error[0])
		usleep(500);
}
