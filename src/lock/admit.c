/*
 * Fences on a store: show a token, look, replace what is damaged.
 *
 * A loop of compare-and-swap. What is swapped in is always greater than what
 * it replaces, and lands only over the state that was read (R1): so the
 * greatest token seen never goes back, whoever dies or comes late.
 */
#include "manager.h"

#include "fence.h"

#include <stdlib.h>

#define PAUSE_MS 20 /* before a store that did not say is asked again */
#define MENDINGS_MAX 8 /* a record that is damaged again and again stays so */

struct admission {
	hf_manager *m;
	const char *resource;
	char key[HF_NAME_MAX + 1];
	uint64_t token;
	bool mend; /* a record that cannot be read is to be replaced */
	bool damaged; /* what is there is such a one */
	bool unreadable; /* to the store itself, which has no etag for it */
	unsigned mendings;
	bool present; /* the snapshot came with the last refusal */
	bool asked; /* a swap of unknown fate has been asked for (R4) */
	hf_snapshot snapshot;
	hf_fence fence; /* the snapshot, decoded */
};

static hf_status check(struct admission *a, hf_error *error)
{
	hf_status st = hf_manager_check(a->m, "fence", error);

	if (!st && hf_check_name(a->resource, NULL))
		st = hf_fail(error, HF_INVALID, "fence", 0,
			"a resource is named by 1 to %d bytes of UTF-8 without control "
			"characters",
			HF_NAME_MAX);
	if (!st)
		hf_fence_key(a->resource, a->key);
	return st;
}

static hf_status check_token(uint64_t token, hf_error *error)
{
	if (token >= 1 && token <= HF_FENCE_TOKEN_MAX)
		return HF_OK;
	return hf_fail(error, HF_INVALID, "fence", 0,
		"a fencing token is a number from 1 to %llu: give the one of the lease",
		(unsigned long long)HF_FENCE_TOKEN_MAX);
}

static void clear(struct admission *a)
{
	hf_snapshot_clear(&a->snapshot);
	hf_fence_free(&a->fence);
}

/* ---- reading ---- */

/* What the store has into a->fence. */
static hf_status look(struct admission *a, hf_error *error)
{
	hf_error why = {.kind = HF_OK};
	hf_status st = HF_OK;

	if (!a->present) {
		hf_snapshot_clear(&a->snapshot);
		st = hf_register_read(a->m, a->key, &a->snapshot, &why);
		a->unreadable = st == HF_CORRUPT;
	}
	a->present = false;
	hf_fence_free(&a->fence);
	a->fence.name = a->resource;
	if (!st && a->snapshot.len > 0)
		st = hf_fence_decode(
			&a->fence, a->resource, a->snapshot.data, a->snapshot.len, &why);
	a->damaged = st == HF_CORRUPT;
	if (a->damaged)
		return hf_fail(error, HF_CORRUPT, "fence", why.native,
			"what '%s' has seen cannot be read, so no token is admitted: %s; "
			"'holdfast fence --even-corrupt' with the newest token replaces it",
			a->resource, why.text);
	if (st && error)
		*error = why;
	return st;
}

/* ---- writing ---- */

/*
 * To neighbours a fence is no lock. What one of them may have put under its
 * name is left as it is.
 */
static void fill_view(const struct admission *a, hf_public_view *view)
{
	memset(view, 0, sizeof(*view));
	if (!a->snapshot.foreign)
		return;
	*view = *a->snapshot.foreign;
	hf_copy(view->id, sizeof(view->id), view->mark);
}

/* Make `next` what the store has, if it still has what was read. */
static hf_status swap(struct admission *a, const hf_fence *next, hf_error *error)
{
	hf_buf text = HF_BUF_INIT;
	hf_buf line = HF_BUF_INIT;
	hf_buf summary = HF_BUF_INIT;
	hf_event_text event;
	hf_public_view view;
	hf_change change = {.history_limit = a->m->history_limit};
	hf_snapshot reply;
	hf_status st;

	memset(&reply, 0, sizeof(reply));
	hf_fence_encode(next, &text, &line);
	hf_fence_describe(next, &summary);
	if (a->damaged)
		hf_buf_adds(&summary, ", in place of a damaged record");
	if (text.failed || line.failed || summary.failed) {
		st = hf_fail_memory(error, "fence");
	} else {
		event = (hf_event_text){.summary = summary.data, .line = line.data + 1};
		change.data = text.data;
		change.len = text.len;
		change.event = &event;
		if (a->m->capabilities & HF_CAP_NEIGHBOURS) {
			fill_view(a, &view);
			change.view = &view;
		}
		st = hf_register_swap(a->m, a->key, a->unreadable ? NULL : &a->snapshot.etag,
			&change, &reply, error);
	}
	if (st == HF_CHANGED) {
		hf_snapshot_clear(&a->snapshot);
		a->snapshot = reply;
		a->present = true;
		a->unreadable = false;
	} else {
		hf_snapshot_clear(&reply);
	}
	hf_buf_free(&text);
	hf_buf_free(&line);
	hf_buf_free(&summary);
	return st;
}

static hf_status raise_to(struct admission *a, uint64_t token, hf_error *error)
{
	hf_fence next;

	hf_fence_init(&next);
	next.name = a->resource;
	next.token = token;
	next.wall_ms = hf_wall_ms();
	next.owner = hf_self_owner();
	next.host = hf_self()->host;
	next.pid = hf_self()->pid;
	return swap(a, &next, error);
}

/* ---- showing a token ---- */

static hf_status refuse(const struct admission *a, uint64_t greatest, hf_error *error)
{
	const char *owner = a->fence.token == greatest ? a->fence.owner : "";

	return hf_fail(error, HF_FENCED, "fence", 0,
		"'%s' refuses token %llu: it has seen %llu%s%s, so the lease of that token is "
		"over; acquire anew",
		a->resource, (unsigned long long)a->token, (unsigned long long)greatest,
		owner[0] ? " from " : "", owner);
}

/* One look and, if need be, one swap. HF_CHANGED: look again. */
static hf_status try_once(struct admission *a, uint64_t *seen_out, hf_error *error)
{
	uint64_t known = hf_manager_known_token(a->m, a->key);
	hf_status st = look(a, error);
	uint64_t seen = a->fence.token;

	if (st)
		return st;
	if (seen < known)
		hf_manager_log(a->m,
			"fence '%s': the store went back from token %llu to %llu; what this "
			"process has seen counts on",
			a->resource, (unsigned long long)known, (unsigned long long)seen);
	*seen_out = seen > known ? seen : known;
	switch (hf_fence_decide(seen, known, a->token)) {
	case HF_FENCE_REFUSE:
		st = refuse(a, *seen_out, error);
		break;
	case HF_FENCE_ADMIT:
		break;
	case HF_FENCE_RAISE:
		st = raise_to(a, a->token, error);
		if (!st)
			*seen_out = a->token;
		break;
	}
	if (!st || st == HF_FENCED)
		hf_manager_learn_token(a->m, a->key, *seen_out);
	return st;
}

struct greatest {
	uint64_t token;
};

static int find_greatest(void *arg, const char *line)
{
	struct greatest *g = arg;
	char *copy = strdup(line);
	uint64_t token = copy ? hf_fence_line_token(copy) : 0;

	free(copy);
	if (token > g->token)
		g->token = token;
	return 0;
}

/*
 * Replace a record that cannot be read by the greatest token that is known:
 * the one shown, those of the history, that of this process. HF_CHANGED: it is
 * another by now, or is to be looked at again.
 */
static hf_status mend(struct admission *a, hf_error *error)
{
	struct greatest g = {.token = a->token};
	uint64_t known = hf_manager_known_token(a->m, a->key);
	hf_status st;

	if (a->m->ops->history)
		(void)a->m->ops->history(a->m->store, a->key, 0, find_greatest, &g, NULL);
	st = raise_to(a, g.token > known ? g.token : known, error);
	return st ? st : HF_CHANGED;
}

/* A store that could not be asked, after it had been asked for a swap. */
static bool worth_asking_again(hf_status st)
{
	return st == HF_UNKNOWN || st == HF_UNAVAILABLE || st == HF_SYSTEM;
}

static hf_status say_unknown(const struct admission *a, hf_error *error)
{
	char cause[sizeof(error->text)] = "";

	if (error)
		hf_copy(cause, sizeof(cause), error->text);
	return hf_fail(error, HF_UNKNOWN, "fence", error ? error->native : 0,
		"whether '%s' has seen token %llu is not known: ask again, which is harmless; "
		"%s",
		a->resource, (unsigned long long)a->token, cause);
}

static hf_status show(struct admission *a, uint64_t *seen_out, hf_error *error)
{
	int64_t until_ms = hf_boot_ms() + HF_SETTLE_MS;
	hf_status st;

	for (;;) {
		st = try_once(a, seen_out, error);
		if (st == HF_CORRUPT && a->mend && a->mendings++ < MENDINGS_MAX)
			st = mend(a, error);
		if (st == HF_CHANGED)
			continue;
		a->asked |= st == HF_UNKNOWN;
		if (!a->asked || !worth_asking_again(st) || hf_boot_ms() >= until_ms)
			break;
		hf_sleep_until_ms(hf_boot_ms() + PAUSE_MS);
	}
	if (st && st != HF_FENCED) {
		*seen_out = 0;
		/* It may have landed before this went wrong. */
		if (a->asked)
			st = say_unknown(a, error);
	}
	return st;
}

static hf_status admit(hf_manager *manager, const char *resource, uint64_t token, bool mend_it,
	uint64_t *seen_out, hf_error *error)
{
	struct admission a = {
		.m = manager, .resource = resource, .token = token, .mend = mend_it};
	uint64_t seen = 0;
	hf_status st = check(&a, error);

	hf_fence_init(&a.fence);
	if (!st)
		st = check_token(token, error);
	if (!st)
		st = show(&a, &seen, error);
	clear(&a);
	if (seen_out)
		*seen_out = seen;
	return st;
}

hf_status hf_fence_admit(hf_manager *manager, const char *resource, uint64_t token,
	uint64_t *seen_out, hf_error *error)
{
	return admit(manager, resource, token, false, seen_out, error);
}

hf_status hf_fence_mend(hf_manager *manager, const char *resource, uint64_t token,
	uint64_t *seen_out, hf_error *error)
{
	return admit(manager, resource, token, true, seen_out, error);
}

hf_status hf_fence_seen(
	hf_manager *manager, const char *resource, uint64_t *seen_out, hf_error *error)
{
	struct admission a = {.m = manager, .resource = resource};
	hf_status st = check(&a, error);

	*seen_out = 0;
	hf_fence_init(&a.fence);
	if (!st)
		st = look(&a, error);
	if (!st)
		*seen_out = a.fence.token;
	clear(&a);
	return st;
}
