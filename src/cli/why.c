/*
 * Why a lock is not free: who has it, what these wait for themselves, and so on
 * along the chain; and who waits in which order.
 */
#include "lockview.h"

#include <stdlib.h>

/* One who waits and says what it keeps meanwhile. Owns its texts. */
struct link {
	char *id;
	char *waits_for;
	bool upgrades; /* what it holds of that */
	int64_t since_ms;
	hf_hold *keeps;
	size_t keeps_count;
};

struct chain {
	hf_manager *manager;
	struct link *links;
	size_t count;
	char **told; /* locks that have been explained */
	size_t told_count;
	bool failed; /* out of memory */
};

static void free_link(struct link *l)
{
	size_t i;

	for (i = 0; i < l->keeps_count; i++) {
		free((char *)(uintptr_t)l->keeps[i].name);
		free((char *)(uintptr_t)l->keeps[i].id);
	}
	free(l->keeps);
	free(l->id);
	free(l->waits_for);
}

static void free_chain(struct chain *c)
{
	size_t i;

	for (i = 0; i < c->count; i++)
		free_link(&c->links[i]);
	for (i = 0; i < c->told_count; i++)
		free(c->told[i]);
	free(c->links);
	free(c->told);
}

static bool copy_link(struct link *l, const hf_lock_info *info, const hf_holder *w)
{
	size_t i;

	*l = (struct link){.id = strdup(w->id),
		.waits_for = strdup(info->name),
		.upgrades = cli_holder_upgrades(w),
		.since_ms = cli_holder_age_ms(w),
		.keeps = calloc(w->under_count, sizeof(hf_hold))};
	if (!l->id || !l->waits_for || !l->keeps)
		return false;
	for (i = 0; i < w->under_count; i++) {
		l->keeps[i].name = strdup(w->under[i].name);
		l->keeps[i].id = strdup(w->under[i].id);
		l->keeps_count++;
		if (!l->keeps[i].name || !l->keeps[i].id)
			return false;
	}
	return true;
}

static int gather(void *arg, const hf_lock_info *info)
{
	struct chain *c = arg;
	size_t i;

	for (i = 0; i < info->waiter_count && !c->failed; i++) {
		struct link *links;

		if (!info->waiters[i].under_count)
			continue;
		links = reallocarray(c->links, c->count + 1, sizeof(*links));
		if (links)
			c->links = links;
		c->failed = !links || !copy_link(&c->links[c->count], info, &info->waiters[i]);
		if (links)
			c->count++;
	}
	return c->failed;
}

/* What keeps this holder of `name` from going on; NULL: nothing known here. */
static const struct link *link_of(
	const struct chain *c, const char *name, const hf_holder *h, const struct link *after)
{
	size_t i = after ? (size_t)(after - c->links) + 1 : 0;
	size_t k;

	for (; i < c->count; i++) {
		const struct link *l = &c->links[i];

		for (k = 0; k < l->keeps_count; k++)
			if (!strcmp(l->keeps[k].name, name) &&
				(!strcmp(l->keeps[k].id, h->id) ||
					!strcmp(l->keeps[k].id, h->group)))
				return l;
	}
	return NULL;
}

/* False: told already, or out of memory. */
static bool tell_once(struct chain *c, const char *name)
{
	char **told;
	size_t i;

	for (i = 0; i < c->told_count; i++)
		if (!strcmp(c->told[i], name))
			return false;
	told = reallocarray(c->told, c->told_count + 1, sizeof(*told));
	if (told)
		c->told = told;
	if (!told || !(c->told[c->told_count] = strdup(name))) {
		c->failed = true;
		return false;
	}
	c->told_count++;
	return true;
}

/* ---- in words ---- */

static void indent(hf_buf *out, unsigned depth)
{
	while (depth-- > 0)
		hf_buf_adds(out, "    ");
}

static void add_name(hf_buf *out, const char *name)
{
	hf_buf_addc(out, '\'');
	cli_printable(out, name);
	hf_buf_addc(out, '\'');
}

static void add_who(hf_buf *out, const hf_holder *h)
{
	cli_printable(out, h->owner[0] ? h->owner : "somebody");
	if (h->pid > 0 || h->command[0]) {
		hf_buf_adds(out, " (");
		if (h->pid > 0)
			hf_buf_addf(out, "pid %lld", (long long)h->pid);
		if (h->command[0]) {
			hf_buf_adds(out, h->pid > 0 ? ", " : "");
			cli_printable(out, h->command);
		}
		if (h->host[0]) {
			hf_buf_adds(out, ", on ");
			cli_printable(out, h->host);
		}
		hf_buf_addc(out, ')');
	}
}

static void add_time(hf_buf *out, const char *before, int64_t ms, const char *after)
{
	char text[40];

	if (ms < 0)
		return;
	cli_format_age(ms, text);
	hf_buf_adds(out, before);
	hf_buf_adds(out, text);
	hf_buf_adds(out, after);
}

static void explain(struct chain *c, const hf_lock_info *info, unsigned depth, hf_buf *out);

static void explain_named(struct chain *c, const char *name, unsigned depth, hf_buf *out)
{
	hf_lock_info *info;
	hf_error error;

	if (hf_lock_status(c->manager, name, &info, &error)) {
		indent(out, depth);
		add_name(out, name);
		hf_buf_adds(out, ": ");
		cli_printable(out, error.text);
		hf_buf_addc(out, '\n');
		return;
	}
	explain(c, info, depth, out);
	hf_lock_info_free(info);
}

static void add_holder(struct chain *c, const hf_lock_info *info, const hf_holder *h,
	unsigned depth, hf_buf *out)
{
	const struct link *l = NULL;

	indent(out, depth);
	add_name(out, info->name);
	hf_buf_adds(out, cli_is_intent(h->mode) ? " is held below it by "
			 : h->mode == HF_SHARED ? " is shared by "
						: " is held by ");
	add_who(out, h);
	if (h->token)
		hf_buf_addf(out, ", token %llu", (unsigned long long)h->token);
	add_time(out, ", for ", cli_holder_age_ms(h), "");
	add_time(out, "; unless it is renewed, its lease ends in ", h->remaining_ms, "");
	hf_buf_addc(out, '\n');
	while ((l = link_of(c, info->name, h, l))) {
		bool same = l->upgrades && !strcmp(l->waits_for, info->name);

		indent(out, depth + 1);
		hf_buf_adds(out, same ? "and waits to upgrade it" : "and waits for ");
		if (!same)
			add_name(out, l->waits_for);
		add_time(out, ", for ", l->since_ms, "");
		hf_buf_addc(out, '\n');
		if (!same)
			explain_named(c, l->waits_for, depth + 1, out);
	}
}

static void add_line(const hf_lock_info *info, unsigned depth, hf_buf *out)
{
	size_t i;

	if (!info->waiter_count)
		return;
	indent(out, depth);
	hf_buf_addf(out, "%zu wait%s in line for ", info->waiter_count,
		info->waiter_count == 1 ? "s" : "");
	add_name(out, info->name);
	hf_buf_adds(out, ":\n");
	for (i = 0; i < info->waiter_count; i++) {
		const hf_holder *w = &info->waiters[i];

		indent(out, depth + 1);
		hf_buf_addf(out, "%zu. ", i + 1);
		add_who(out, w);
		add_time(out, ", for ", cli_holder_age_ms(w), "");
		if (cli_holder_upgrades(w))
			hf_buf_adds(out, ", to upgrade what it holds");
		if (w->mode == HF_SHARED)
			hf_buf_adds(out, ", to share it");
		if (cli_is_intent(w->mode))
			hf_buf_adds(out, ", for what is below it");
		if (w->priority)
			hf_buf_addf(out, ", priority %d", (int)w->priority);
		if (w->in_line)
			hf_buf_adds(out, ", in the line of this host");
		if (w->offered)
			hf_buf_adds(out, ": it is its turn now");
		hf_buf_addc(out, '\n');
	}
}

static void explain(struct chain *c, const hf_lock_info *info, unsigned depth, hf_buf *out)
{
	bool again = !tell_once(c, info->name);
	size_t i;

	if (again) {
		indent(out, depth);
		add_name(out, info->name);
		hf_buf_adds(out, ": see above\n");
		return;
	}
	for (i = 0; i < info->holder_count; i++)
		add_holder(c, info, &info->holders[i], depth, out);
	if (!info->holder_count) {
		indent(out, depth);
		add_name(out, info->name);
		if (info->state != HF_OK) {
			hf_buf_adds(out, " is damaged: ");
			cli_printable(out, info->problem);
		} else if (info->closed_ms > 0) {
			add_time(out, " is closed for ", info->closed_ms,
				": its last lease ended without a release");
		} else {
			hf_buf_adds(out, " is free");
		}
		hf_buf_addc(out, '\n');
	}
	add_line(info, depth, out);
}

/* ---- JSON ---- */

static json_t *edge_json(const char *name, const hf_holder *h, const struct link *l)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "lock", cli_json_text(name), "holder",
		cli_json_text(h->id), "waits_for", cli_json_text(l->waits_for), "waiter",
		cli_json_text(l->id), "since_ms", cli_json_time(l->since_ms));
}

/* Every step of the chain from this lock on, each once. */
static void add_edges(struct chain *c, const char *name, json_t *edges)
{
	hf_lock_info *info;
	size_t i;

	if (!tell_once(c, name) || hf_lock_status(c->manager, name, &info, NULL))
		return;
	for (i = 0; i < info->holder_count; i++) {
		const struct link *l = NULL;

		while ((l = link_of(c, name, &info->holders[i], l))) {
			if (json_array_append_new(edges, edge_json(name, &info->holders[i], l)))
				c->failed = true;
			add_edges(c, l->waits_for, edges);
		}
	}
	hf_lock_info_free(info);
}

static bool print_json(struct chain *c, const hf_lock_info *info)
{
	json_t *json = cli_lock_json(info);
	json_t *edges = json_array();

	if (info->state == HF_OK)
		add_edges(c, info->name, edges);
	if (json_object_set_new(json, "store", json_string(hf_store_identity(c->manager))) ||
		json_object_set_new(json, "chain", edges) || c->failed) {
		json_decref(json);
		json = NULL;
	}
	return cli_print_json(json);
}

static bool print(struct chain *c, const hf_lock_info *info)
{
	hf_buf text = HF_BUF_INIT;
	bool ok;

	explain(c, info, 0, &text);
	text.failed = text.failed || c->failed;
	ok = cli_write(&text);
	hf_buf_free(&text);
	return ok;
}

static int why(const cli_options *options, hf_manager *manager)
{
	struct chain c = {.manager = manager};
	hf_lock_info *info = NULL;
	hf_error error;
	hf_status st = hf_lock_status(manager, options->names[0], &info, &error);
	int code = 0;

	/* Only holders who might wait themselves make the rest worth reading. */
	if (!st && info->holder_count)
		st = hf_list(manager, gather, &c, &error);
	if (!st && c.failed)
		st = hf_fail(&error, HF_NO_MEMORY, "why", 0, "out of memory");
	if (st)
		code = cli_fail(options, st, &error);
	else if (info->state != HF_OK)
		code = hf_status_exit_code(info->state);
	if (!st && !(options->json ? print_json(&c, info) : print(&c, info)))
		code = hf_status_exit_code(HF_SYSTEM);
	hf_lock_info_free(info);
	free_chain(&c);
	return code;
}

int cli_why(int argc, char **argv)
{
	cli_options options;
	hf_manager *manager;
	int code;

	if (!cli_options_read(argc, argv, 0, 1, 1, &options, &code))
		return code;
	manager = cli_open(&options, &code);
	if (manager)
		code = why(&options, manager);
	hf_close(manager);
	cli_options_free(&options);
	return code;
}
