#include "state_dir.h"

#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool cli_state_path(hf_buf *path, const char *name)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (!home || home[0] != '/') {
		const struct passwd *user = getpwuid(geteuid());

		home = user ? user->pw_dir : NULL;
	}
	if (state && state[0] == '/')
		hf_buf_addf(path, "%s/holdfast/%s", state, name);
	else if (home && home[0] == '/')
		hf_buf_addf(path, "%s/.local/state/holdfast/%s", home, name);
	return !path->failed && path->len > 0;
}

/* What fails here whoever opens the file will say. */
void cli_make_parents(const char *path)
{
	hf_buf folder = HF_BUF_INIT;
	char *slash;

	hf_buf_adds(&folder, path);
	if (!folder.failed && access(path, F_OK)) {
		for (slash = strchr(folder.data + 1, '/'); slash;
			slash = strchr(slash + 1, '/')) {
			*slash = '\0';
			(void)mkdir(folder.data, 0700);
			*slash = '/';
		}
	}
	hf_buf_free(&folder);
}
