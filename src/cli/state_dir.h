/* The user's state folder: what is kept from one run to the next. */
#ifndef HF_CLI_STATE_DIR_H
#define HF_CLI_STATE_DIR_H

#include "base/base.h"

/*
 * $XDG_STATE_HOME/holdfast/NAME, or ~/.local/state/holdfast/NAME, which are the
 * same for a login shell and for cron. False: there is no home, or no memory.
 */
bool cli_state_path(hf_buf *path, const char *name);

/* The folders above `path`; private, as the XDG specification asks. */
void cli_make_parents(const char *path);

#endif
