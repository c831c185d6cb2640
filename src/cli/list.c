#include "lockview.h"

#include <stdlib.h>

/* How often --watch looks: a list has nothing that would wake us. */
#define LOOK_AGAIN_MS 500

/* One lock, ready to be printed: the info it came from is gone by then. */
struct item {
	char *name;
	uint64_t digest;
	json_t *json; /* with --json */
	cli_table rows; /* without */
};

/* One look at all locks. */
struct listing {
	const cli_options *options;
	struct item *items;
	size_t count;
	size_t cap;
	size_t damaged;
	bool failed; /* out of memory */
};

static struct item *add_item(struct listing *l, const char *name)
{
	struct item *item;

	if (l->count == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct item *items = reallocarray(l->items, cap, sizeof(*items));

		if (!items)
			return NULL;
		l->items = items;
		l->cap = cap;
	}
	item = &l->items[l->count];
	memset(item, 0, sizeof(*item));
	item->name = strdup(name);
	if (!item->name)
		return NULL;
	l->count++;
	return item;
}

static int gather(void *arg, const hf_lock_info *info)
{
	struct listing *l = arg;
	struct item *item;

	if (info->state != HF_OK)
		l->damaged++;
	if (!l->options->all && cli_lock_is_free(info) && info->waiter_count == 0)
		return 0;
	item = add_item(l, info->name);
	if (!item) {
		l->failed = true;
		return 1;
	}
	item->digest = cli_lock_digest(HF_HASH_INIT, info);
	if (l->options->json) {
		item->json = cli_lock_json(info);
		l->failed = !item->json;
	} else {
		cli_lock_table_init(&item->rows);
		cli_lock_add_rows(&item->rows, info);
	}
	return l->failed;
}

static void clear(struct listing *l)
{
	size_t i;

	for (i = 0; i < l->count; i++) {
		free(l->items[i].name);
		json_decref(l->items[i].json);
		if (!l->options->json)
			cli_table_clear(&l->items[i].rows);
	}
	free(l->items);
}

static bool print_json(const struct listing *l, const hf_manager *manager)
{
	json_t *locks = json_array();
	size_t i;

	for (i = 0; locks && i < l->count; i++) {
		if (json_array_append(locks, l->items[i].json)) {
			json_decref(locks);
			locks = NULL;
		}
	}
	return cli_print_json(
		json_pack("{s:s, s:o}", "store", hf_store_identity(manager), "locks", locks));
}

/* `again`: a state was printed before; an empty line stands between two. */
static bool print_table(struct listing *l, bool again)
{
	hf_buf text = HF_BUF_INIT;
	cli_table table;
	size_t i;
	bool ok;

	cli_lock_table_init(&table);
	for (i = 0; i < l->count; i++)
		cli_table_move(&table, &l->items[i].rows);
	if (again)
		hf_buf_addc(&text, '\n');
	cli_table_render(&table, &text);
	ok = cli_write(&text);
	cli_table_clear(&table);
	hf_buf_free(&text);
	return ok;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

/*
 * Look once, and print unless it is what *shown stands for. 0, or the exit
 * code.
 */
static int look(const cli_options *options, hf_manager *manager, uint64_t *shown)
{
	struct listing l = {.options = options};
	uint64_t digest = HF_HASH_INIT;
	hf_error error;
	hf_status st = hf_list(manager, gather, &l, &error);
	size_t i;
	int code = 0;

	if (!st && l.failed)
		st = hf_fail(&error, HF_NO_MEMORY, "list", 0, "out of memory");
	/* A store lists in no order; people and diffs want one. */
	if (l.count > 0)
		qsort(l.items, l.count, sizeof(*l.items), by_name);
	for (i = 0; i < l.count; i++)
		digest = hf_hash(digest, &l.items[i].digest, sizeof(l.items[i].digest));
	if (st)
		code = cli_fail(options, st, &error);
	else if (digest != *shown && !options->quiet &&
		 !(options->json ? print_json(&l, manager) : print_table(&l, *shown != 0)))
		code = hf_status_exit_code(HF_SYSTEM);
	else if (l.damaged > 0 && !options->watch)
		code = hf_status_exit_code(HF_CORRUPT);
	*shown = digest;
	clear(&l);
	return code;
}

int cli_list(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager;
	uint64_t shown = 0;
	int code;

	if (!cli_options_read(
		    argc, argv, CLI_TAKES_WATCH | CLI_TAKES_LIST, 0, 0, &options, &code))
		return code;
	manager = cli_open(&options, &code);
	if (manager)
		code = look(&options, manager, &shown);
	while (manager && options.watch && code == 0) {
		hf_sleep_until_ms(hf_boot_ms() + LOOK_AGAIN_MS);
		code = look(&options, manager, &shown);
	}
	hf_close(manager);
	cli_options_free(&options);
	return code;
}
