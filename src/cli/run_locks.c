#include "run_locks.h"

#include "settings.h"
#include "store/registry.h"

#include <stdio.h>
#include <stdlib.h>

/* What an outer run held is passed on so far: an environment has its limits. */
#define INHERITED_MAX 256

static bool out_of_memory(int *exit_out)
{
	cli_say("out of memory");
	*exit_out = hf_status_exit_code(HF_NO_MEMORY);
	return false;
}

/* ---- names ---- */

/* Bytes of the scheme that `text` begins with, if a ':' follows; 0: none. */
static size_t scheme_len(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.");

	return text[n] == ':' && text[0] >= 'a' && text[0] <= 'z' ? n : 0;
}

/*
 * The '@' before the URL; NULL: it is a name alone. *unknown_out: there is none,
 * but this looks like the URL of a store that there is not.
 */
static char *find_url(char *argument, const char **unknown_out)
{
	char scheme[32];
	char *at;

	*unknown_out = NULL;
	for (at = strchr(argument, '@'); at; at = strchr(at + 1, '@')) {
		size_t n = scheme_len(at + 1);

		if (!n || n >= sizeof(scheme))
			continue;
		memcpy(scheme, at + 1, n);
		scheme[n] = '\0';
		if (hf_store_exists(scheme, NULL))
			return at;
		if (!*unknown_out && !strncmp(at + 1 + n, "://", 3))
			*unknown_out = at + 1;
	}
	return NULL;
}

static bool read_one(run_locks *l, const char *argument, run_lock *lock, int *exit_out)
{
	cli_options *o = l->options;
	char *copy = cli_keep(o, argument);
	const char *unknown = NULL;
	char *at = copy && !o->literal ? find_url(copy, &unknown) : NULL;
	hf_error error;

	if (!copy)
		return out_of_memory(exit_out);
	*exit_out = hf_status_exit_code(HF_INVALID);
	if (unknown && !at) {
		cli_usage(o->command_name,
			"'%.*s@%.*s:...': there is no store '%.*s'; if all of that is the "
			"lock's name, give --literal",
			(int)(unknown - 1 - copy), copy, (int)scheme_len(unknown), unknown,
			(int)scheme_len(unknown), unknown);
		return false;
	}
	lock->name = copy;
	lock->store = o->store;
	lock->source = o->store_source;
	if (at) {
		*at = '\0';
		lock->store = cli_store_anchor(o, at + 1);
		lock->source = CLI_FROM_NAME;
		if (!lock->store) {
			*exit_out = hf_status_exit_code(HF_NO_MEMORY);
			return false;
		}
	}
	if (!hf_check_name(copy, &error))
		return true;
	cli_usage(o->command_name, "%s", error.text);
	return false;
}

bool run_locks_read(run_locks *l, cli_options *options, int *exit_out)
{
	size_t n = (size_t)options->name_count;
	size_t i;

	memset(l, 0, sizeof(*l));
	l->options = options;
	l->locks = calloc(n, sizeof(*l->locks));
	l->leases = calloc(n, sizeof(hf_lease *));
	l->managers = calloc(n, sizeof(hf_manager *));
	if (!l->locks || !l->leases || !l->managers)
		return out_of_memory(exit_out);
	l->count = n;
	for (i = 0; i < n; i++)
		if (!read_one(l, options->names[i], &l->locks[i], exit_out))
			return false;
	if ((n == 1 ? asprintf(&l->words, "lock '%s'", l->locks[0].name)
		    : asprintf(&l->words, "lock '%s' and %zu more", l->locks[0].name, n - 1)) <
		0) {
		l->words = NULL;
		return out_of_memory(exit_out);
	}
	return true;
}

/* ---- stores ---- */

/* The one that an earlier lock with this URL has; NULL: none. */
static hf_manager *opened(const run_locks *l, size_t before)
{
	size_t i;

	for (i = 0; i < before; i++)
		if (!strcmp(l->locks[i].store, l->locks[before].store))
			return l->locks[i].manager;
	return NULL;
}

/* One that has the same locks under another URL is used instead. */
static hf_manager *only_one_of(run_locks *l, hf_manager *manager)
{
	size_t i;

	for (i = 0; i < l->manager_count; i++) {
		if (strcmp(hf_store_identity(l->managers[i]), hf_store_identity(manager)) != 0)
			continue;
		hf_close(manager);
		return l->managers[i];
	}
	l->managers[l->manager_count++] = manager;
	return manager;
}

bool run_locks_open(run_locks *l, int *exit_out)
{
	size_t i;

	cli_metrics_begin(l->options);
	for (i = 0; i < l->count; i++) {
		run_lock *lock = &l->locks[i];

		lock->manager = opened(l, i);
		if (lock->manager)
			continue;
		lock->manager = cli_open_url(l->options, lock->store, lock->source, exit_out);
		if (!lock->manager)
			return false;
		lock->manager = only_one_of(l, lock->manager);
	}
	return true;
}

void run_locks_keep_metrics(run_locks *l)
{
	size_t i;

	for (i = 0; i < l->manager_count; i++)
		cli_metrics_keep(l->options, l->managers[i]);
}

void run_locks_close(run_locks *l)
{
	size_t i;

	for (i = 0; i < l->manager_count; i++)
		cli_close(l->options, l->managers[i]);
	for (i = 0; i < l->count; i++)
		cli_under_free(&l->locks[i].under);
	free(l->locks);
	free(l->leases);
	free(l->managers);
	free(l->words);
	memset(l, 0, sizeof(*l));
}

/* ---- leases ---- */

/* All of it, or what could not be had: an index of locks. */
static hf_status take(run_locks *l, int cancel_fd, int64_t wait_ms, uint32_t flags,
	size_t *failed_out, hf_error *error)
{
	const cli_options *o = l->options;
	hf_acquire_options *options = calloc(l->count, sizeof(*options));
	hf_want *wants = calloc(l->count, sizeof(*wants));
	hf_status st;
	size_t i;

	*failed_out = l->count;
	if (!options || !wants) {
		free(options);
		free(wants);
		return hf_fail_memory(error, "run");
	}
	for (i = 0; i < l->count; i++) {
		options[i] = o->acquire;
		options[i].cancel_fd = cancel_fd;
		options[i].flags |= flags;
		options[i].reenter = l->locks[i].join[0] ? l->locks[i].join : NULL;
		options[i].under = l->locks[i].under.holds;
		options[i].under_count = l->locks[i].under.count;
		if (o->orphans_keep_lock || o->kill_rest)
			options[i].flags |= HF_FOR_TREE;
		wants[i] = (hf_want){l->locks[i].manager, l->locks[i].name, &options[i]};
	}
	st = hf_acquire_many(wants, l->count, wait_ms, l->leases, failed_out, error);
	free(options);
	free(wants);
	return st;
}

static bool is_tree(const run_locks *l)
{
	return l->options->acquire.flags & HF_TREE_NAME;
}

static bool joins(const run_locks *l)
{
	size_t i;

	for (i = 0; i < l->count; i++)
		if (l->locks[i].join[0])
			return true;
	return false;
}

static hf_status read_under(run_locks *l, hf_error *error)
{
	size_t i;

	for (i = 0; i < l->count; i++) {
		cli_under_free(&l->locks[i].under);
		/* What is told here is joined above a tree name. */
		if (is_tree(l) && l->options->no_inherit)
			continue;
		if (!cli_under_read(&l->locks[i].under, l->locks[i].manager))
			return hf_fail_memory(error, "run");
	}
	return HF_OK;
}

/*
 * One lock is tried before anybody looks for who has it: that is all there is
 * to do where nobody has. Several would be taken and given back for nothing.
 */
static hf_status take_or_wait(run_locks *l, int cancel_fd, size_t *failed_out, hf_error *error)
{
	const hf_acquire_options *o = &l->options->acquire;
	hf_status st = is_tree(l) ? read_under(l, error) : HF_OK;

	*failed_out = l->count;
	if (st)
		return st;
	if (cli_may_wait(o)) {
		if (l->count == 1 && !joins(l)) {
			st = take(l, cancel_fd, 0, HF_FIRST_TRY, failed_out, error);
			if (st != HF_HELD && st != HF_UNAVAILABLE)
				return st;
		}
		*failed_out = l->count;
		st = read_under(l, error);
		if (!st)
			st = run_inherit_check_wait(l, error);
		if (st)
			return st;
	}
	return take(l, cancel_fd, o->wait_ms, 0, failed_out, error);
}

hf_status run_locks_acquire(run_locks *l, int cancel_fd, hf_error *error)
{
	json_t *inherited = l->options->no_inherit ? NULL : run_inherited();
	hf_status st;
	size_t i;

	if (inherited)
		run_inherit_find(l, inherited);
	json_decref(inherited);
	for (;;) {
		st = take_or_wait(l, cancel_fd, &i, error);
		if (st != HF_LOST || i == l->count || !l->locks[i].join[0])
			break;
		l->locks[i].join[0] = '\0'; /* it ended meanwhile: no joining */
	}
	for (i = 0; !st && i < l->count; i++)
		hf_copy(l->locks[i].id, sizeof(l->locks[i].id), hf_lease_id(l->leases[i]));
	return st;
}

hf_status run_locks_release(run_locks *l, size_t *failed_out, hf_error *error)
{
	return hf_release_many(l->leases, l->count, failed_out, error);
}

int64_t run_locks_deadline_ms(const run_locks *l, size_t *first_out)
{
	int64_t now_ms = hf_boot_ms();
	int64_t least_ms = INT64_MAX;
	size_t i;

	*first_out = 0;
	for (i = 0; i < l->count; i++) {
		int64_t left_ms = hf_lease_remaining_ms(l->leases[i]);

		if (left_ms >= least_ms)
			continue;
		least_ms = left_ms;
		*first_out = i;
	}
	return least_ms == 0 || least_ms == INT64_MAX ? least_ms : now_ms + least_ms;
}

size_t run_locks_hold_fds(const run_locks *l, int *fds)
{
	size_t count = 0;
	size_t i;
	size_t k;

	for (i = 0; i < l->count; i++) {
		int fd = hf_lease_liveness_fd(l->leases[i]);

		for (k = 0; k < count && fds[k] != fd; k++)
			;
		if (fd >= 0 && k == count)
			fds[count++] = fd;
	}
	return count;
}

/* ---- the command's environment ---- */

/* This run's locks first, then those that it stands under itself. */
static char *locks_text(const run_locks *l)
{
	json_t *array = json_array();
	json_t *inherited = run_inherited();
	char *text = NULL;
	bool ok = array;
	size_t i;

	for (i = 0; ok && i < l->count; i++) {
		json_t *entry = json_pack("{s:s, s:I, s:s, s:s}", "name", l->locks[i].name,
			"token", (json_int_t)hf_lease_token(l->leases[i]), "id", l->locks[i].id,
			"store", l->locks[i].store);

		ok = entry && !(is_tree(l) && json_object_set_new(entry, "tree", json_true()));
		ok = !json_array_append_new(array, entry) && ok;
	}
	for (i = 0; ok && i < json_array_size(inherited) && i < INHERITED_MAX; i++)
		ok = !json_array_append(array, json_array_get(inherited, i));
	if (ok)
		text = json_dumps(array, JSON_COMPACT);
	json_decref(array);
	json_decref(inherited);
	return text;
}

bool run_locks_set_environment(const run_locks *l)
{
	const run_lock *first = &l->locks[0];
	char *locks = locks_text(l);
	char token[24];
	bool ok;

	snprintf(
		token, sizeof(token), "%llu", (unsigned long long)hf_lease_token(l->leases[0]));
	ok = locks && !setenv("HOLDFAST_NAME", first->name, 1) &&
	     !setenv("HOLDFAST_TOKEN", token, 1) && !setenv("HOLDFAST_ID", first->id, 1) &&
	     !setenv("HOLDFAST_STORE", first->store, 1) && !setenv("HOLDFAST_LOCKS", locks, 1);
	free(locks);
	return ok;
}
