/*
 * Our side: acquire and release through the library, defaults as they are.
 *
 *	holdfast_pair MODULE_DIR URL COUNT
 *
 * Tokens and history are on, and this is asserted: every grant has the token
 * after the last one, and the history has the events of all grants so far, up to
 * the limit of hf_open_options.
 */
#include "bench.h"

#include <holdfast/holdfast.h>
#include <string.h>

#define NAME "deploy"

static hf_error error;

static void check(hf_status status)
{
	must(!status, error.text);
}

static uint64_t pairs(hf_manager *m, long count, uint64_t token)
{
	hf_lease *lease;

	for (; count > 0; count--) {
		check(hf_acquire(m, NAME, NULL, &lease, &error));
		must(!token || hf_lease_token(lease) == token + 1,
			"a token is one more than the last");
		token = hf_lease_token(lease);
		check(hf_release(lease, &error));
	}
	return token;
}

/* What history has to say of the newest events. */
struct told {
	uint64_t events;
	uint64_t token;
	int is_release;
};

static int count_event(void *arg, const hf_event *event)
{
	struct told *told = arg;

	if (told->events++ == 0) {
		told->token = event->token;
		told->is_release = !strcmp(event->kind, "release");
	}
	return 0;
}

static void assert_history(hf_manager *m, uint64_t grants, uint64_t limit)
{
	uint64_t expected = 2 * grants < limit ? 2 * grants : limit;
	struct told told = {0};

	must(hf_store_capabilities(m) & HF_CAP_HISTORY, "the store keeps a history");
	check(hf_history(m, NAME, 0, count_event, &told, &error));
	must(told.events >= expected, "history has every event up to the limit");
	must(told.is_release && told.token == grants, "the last event is the last release");
}

static void assert_excludes(hf_manager *m)
{
	hf_lock_info *info;
	hf_lease *lease;
	hf_lease *other;

	check(hf_acquire(m, NAME, NULL, &lease, &error));
	must(hf_try_acquire(m, NAME, NULL, &other, NULL) == HF_HELD, "a held lock is refused");
	check(hf_release(lease, &error));
	check(hf_lock_status(m, NAME, &info, &error));
	must(info->holder_count == 0, "a released lock is free");
	hf_lock_info_free(info);
}

int main(int argc, char **argv)
{
	hf_open_options options = HF_OPEN_OPTIONS_INIT;
	int64_t start_ns;
	int64_t spent_ns;
	hf_manager *m;
	uint64_t token;
	long count;

	must(argc == 4, "usage: holdfast_pair MODULE_DIR URL COUNT");
	options.module_dir = argv[1];
	count = count_from(argv[3]);
	check(hf_open(argv[2], &options, &m, &error));
	assert_excludes(m);
	token = pairs(m, count / 10 + 1, 0);
	start_ns = now_ns();
	token = pairs(m, count, token);
	spent_ns = now_ns() - start_ns;
	assert_history(m, token, options.history_limit);
	hf_close(m);
	print_pair(spent_ns, count);
	return 0;
}
