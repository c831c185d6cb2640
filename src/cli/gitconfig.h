/*
 * Git's configuration without a git process, as far as that goes.
 *
 * A git process costs 2 to 5 ms, several times what a whole `holdfast run`
 * costs. So the files that git would read are looked through for the word
 * "holdfast" (or an include, which may lead anywhere); only when it stands
 * there is git asked, and git's answer is what counts: precedence, includes
 * and the ownership checks of safe.directory are its own.
 */
#ifndef HF_CLI_GITCONFIG_H
#define HF_CLI_GITCONFIG_H

#include "base/base.h"

#include <limits.h>

typedef struct cli_repository {
	char git_dir[PATH_MAX]; /* of this worktree */
	char common_dir[PATH_MAX]; /* of all its worktrees */
} cli_repository;

/*
 * The repository that git would find from the current directory. False: none.
 */
bool cli_repository_find(cli_repository *out);

/* Whether git's configuration may have a word about us. NULL: no repository. */
bool cli_git_config_mentions_us(const cli_repository *repository);

/*
 * What `git config --null --get-regexp '^holdfast\.'` prints: "key\nvalue\0"
 * for each. HF_OK with nothing when there is none.
 */
hf_status cli_git_config_ask(hf_buf *out, hf_error *error);

#endif
