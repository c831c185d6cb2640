/*
 * acquire: a lease that no process stands behind. It outlives us, and ends by
 * release or by its ttl; so the ttl is finite unless somebody asks otherwise.
 */
#include "output.h"

#include <signal.h>

#define DEFAULT_TTL_MS 300000

/* What makes no sense for a lease without a process. 0, or the exit code. */
static int refuse_endless(cli_options *options)
{
	if (options->ttl_source == CLI_FROM_DEFAULT)
		options->acquire.ttl_ms = DEFAULT_TTL_MS;
	if (options->acquire.ttl_ms > 0 || options->ttl_source == CLI_FROM_FLAG)
		return 0;
	return cli_usage(options->command_name,
		"%s says a ttl of 0: nothing but a release would ever end this lease; "
		"give a ttl, or --ttl 0 if that is meant",
		options->ttl_source == CLI_FROM_ENVIRONMENT ? "HOLDFAST_TTL"
							    : "git config holdfast.ttl");
}

static int refuse_session(const cli_options *options, const hf_manager *manager)
{
	if (!strncmp(hf_store_identity(manager), "memory:", 7))
		return cli_usage(options->command_name,
			"the locks of memory: end with the process, so with this command");
	if (!(hf_store_capabilities(manager) & HF_CAP_SESSION_BOUND))
		return 0;
	return cli_usage(options->command_name,
		"a lock of %s is held by an open descriptor and would be free again as soon as "
		"this command ends: use '%s run %s -- COMMAND'",
		hf_store_identity(manager), cli_program(), options->names[0]);
}

static bool print(const cli_options *options, const hf_manager *manager, const hf_lease *lease)
{
	hf_buf line = HF_BUF_INIT;
	bool ok;

	if (options->json)
		return cli_print_json(json_pack("{s:s, s:o, s:s, s:o, s:o, s:s}", "name",
			hf_lease_name(lease), "token", cli_json_count(hf_lease_token(lease)),
			"id", hf_lease_id(lease), "mode",
			json_string(hf_mode_name(hf_lease_mode(lease))), "ttl_ms",
			json_integer(options->acquire.ttl_ms), "store",
			hf_store_identity(manager)));
	hf_buf_addf(&line, "%llu %s\n", (unsigned long long)hf_lease_token(lease),
		hf_lease_id(lease));
	ok = cli_write(&line);
	hf_buf_free(&line);
	return ok;
}

/* Nobody could release what nobody was told of. */
static int print_or_release(
	const cli_options *options, const hf_manager *manager, hf_lease *lease)
{
	hf_error error;
	hf_status st;

	if (print(options, manager, lease)) {
		hf_lease_detach(lease);
		return 0;
	}
	st = hf_release(lease, &error);
	if (st)
		cli_say("the lease could not be given back: %s", error.text);
	return hf_status_exit_code(HF_SYSTEM);
}

/* Before it is waited for: would that ever end? */
static hf_status acquire(
	cli_options *options, hf_manager *manager, hf_lease **lease_out, hf_error *error)
{
	const hf_acquire_options *o = &options->acquire;
	const char *name = options->names[0];
	hf_acquire_options once = *o;
	cli_under under = {.count = 0};
	hf_status st = HF_OK;

	/* What this stands under is joined above a tree name. */
	if ((o->flags & HF_TREE_NAME) && !cli_under_read(&under, manager))
		return hf_fail_memory(error, "acquire");
	once.under = under.holds;
	once.under_count = under.count;
	if (cli_may_wait(o)) {
		once.wait_ms = 0;
		once.flags |= HF_FIRST_TRY;
		st = hf_acquire(manager, name, &once, lease_out, error);
		if (st == HF_HELD)
			st = cli_check_wait(manager, name, &once,
				"only 'run' can join what is held outside", error);
		else if (st != HF_UNAVAILABLE)
			goto out;
		if (st == HF_DEADLOCK) {
			cli_metrics_deadlock(options, manager, name);
			goto out;
		}
		cli_under_free(&under);
		if (!cli_under_read(&under, manager))
			st = hf_fail_memory(error, "acquire");
	}
	once.wait_ms = o->wait_ms;
	once.flags = o->flags;
	once.under = under.holds;
	once.under_count = under.count;
	if (st != HF_NO_MEMORY)
		st = hf_acquire(manager, name, &once, lease_out, error);
out:
	cli_under_free(&under);
	return st;
}

int cli_acquire(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager = NULL;
	hf_lease *lease;
	hf_error error;
	hf_status st;
	int code;

	if (!cli_options_read(argc, argv, CLI_TAKES_ACQUIRE, 1, 1, &options, &code))
		return code;
	code = refuse_endless(&options);
	if (!code)
		manager = cli_open(&options, &code);
	if (manager)
		code = refuse_session(&options, manager);
	if (!code) {
		/* A closed pipe must be an answer to write(), not our end. */
		signal(SIGPIPE, SIG_IGN);
		options.acquire.flags |= HF_DETACHED;
		st = acquire(&options, manager, &lease, &error);
		code = st ? cli_fail(&options, st, &error)
			  : print_or_release(&options, manager, lease);
	}
	cli_close(&options, manager);
	cli_options_free(&options);
	return code;
}
