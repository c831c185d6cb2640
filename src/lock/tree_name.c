/* Names that are paths in a tree. See tree_name.h. */
#include "tree_name.h"
#include "lock_state.h"

#include <stdlib.h>

#define AGAIN_MS 50 /* before a store that cannot be reached is asked again */

hf_status hf_tree_check_name(const char *name, hf_error *error)
{
	const char *at = name;

	for (;;) {
		size_t n = strcspn(at, "/");

		if (!n || (n <= 2 && strspn(at, ".") >= n))
			return hf_fail(error, HF_INVALID, "acquire", 0,
				"'%s' is no name in a tree: its parts, between the '/', must "
				"not be empty, '.' or '..'",
				name);
		if (!at[n])
			return HF_OK;
		at += n + 1;
	}
}

size_t hf_tree_next_above(const char *name, size_t len)
{
	const char *slash = strchr(name + len + (len > 0), '/');

	return slash ? (size_t)(slash - name) : 0;
}

/* Read the record of a name; both are to be freed in every case. */
static hf_status read_record(hf_manager *m, const char *name, int64_t patience_ms,
	hf_snapshot *snapshot, hf_record *record, hf_error *error)
{
	int64_t until_ms = hf_boot_ms() + patience_ms;
	hf_status st;

	memset(snapshot, 0, sizeof(*snapshot));
	hf_record_init(record);
	while ((st = hf_register_read(m, name, snapshot, error)) == HF_UNAVAILABLE &&
		hf_boot_ms() < until_ms)
		hf_sleep_until_ms(hf_boot_ms() + AGAIN_MS);
	return st ? st : hf_snapshot_decode(name, snapshot, HF_RECORD_WHOLE, record, error);
}

static void free_record(hf_snapshot *snapshot, hf_record *record)
{
	hf_snapshot_clear(snapshot);
	hf_record_free(record);
}

/* ---- joining what the asker stands under ---- */

static bool is_under(const hf_acquire_options *o, const char *name, const hf_grant *g)
{
	size_t i;

	for (i = 0; i < o->under_count; i++)
		if (!strcmp(o->under[i].name, name) &&
			(!strcmp(o->under[i].id, g->id) || !strcmp(o->under[i].id, g->group)))
			return true;
	return false;
}

hf_status hf_tree_find_join(hf_manager *m, const char *name, hf_mode mode,
	const hf_acquire_options *o, char group_out[HF_GROUP_MAX + 1], hf_error *error)
{
	const hf_grant *in_the_way = NULL;
	hf_snapshot snapshot;
	hf_record r;
	hf_status st;
	size_t i;
	size_t k;

	group_out[0] = '\0';
	for (i = 0; i < o->under_count && strcmp(o->under[i].name, name) != 0; i++)
		;
	if (i == o->under_count)
		return HF_OK;
	st = read_record(m, name, o->wait_ms ? HF_SETTLE_MS : 0, &snapshot, &r, error);
	for (i = 0; !st && i < r.grant_count && !group_out[0]; i++) {
		if (!is_under(o, name, &r.grants[i]))
			continue;
		for (k = 0; k < r.grant_count; k++) {
			if (!hf_same_group(&r.grants[k], &r.grants[i]))
				continue;
			if (hf_mode_covers(r.grants[k].mode, mode))
				hf_copy(group_out, HF_GROUP_MAX + 1, r.grants[i].group);
			else if (hf_modes_conflict(r.grants[k].mode, mode))
				in_the_way = &r.grants[k];
		}
	}
	if (!st && !group_out[0] && in_the_way)
		st = hf_fail(error, HF_INVALID, "acquire", 0,
			"lock '%s' is held (%s) by what this stands under: what is below it "
			"cannot be had exclusively; take '%s' exclusively outside",
			name, hf_mode_name(in_the_way->mode), name);
	free_record(&snapshot, &r);
	return st;
}

/* ---- from outside ---- */

static bool add_id(hf_tree_ids *out, const char *id)
{
	void *more = reallocarray(out->ids, out->count + 1, sizeof(*out->ids));

	if (!more)
		return false;
	out->ids = more;
	hf_copy(out->ids[out->count++], sizeof(*out->ids), id);
	return true;
}

void hf_tree_ids_free(hf_tree_ids *ids)
{
	free(ids->ids);
	*ids = (hf_tree_ids){.count = 0};
}

hf_status hf_tree_ids_read(
	hf_manager *m, const char *name, const hf_who *who, hf_tree_ids *out, hf_error *error)
{
	hf_snapshot snapshot;
	hf_record r;
	hf_status st;
	size_t i;

	*out = (hf_tree_ids){.count = 0};
	if (!hf_tree_next_above(name, 0))
		return HF_OK;
	st = read_record(m, name, HF_SETTLE_MS, &snapshot, &r, error);
	for (i = 0; !st && i < r.grant_count; i++) {
		const hf_grant *g = &r.grants[i];

		if ((g->flags & HF_GRANT_TREE_NAME) && (!who || hf_who_names(who, g)) &&
			!add_id(out, g->id))
			st = hf_fail_memory(error, "tree");
	}
	free_record(&snapshot, &r);
	return st;
}

/* Is there such an intention? Any other hold of this id is none of ours. */
static hf_status is_there(
	hf_manager *m, const char *name, const char *id, bool *there_out, hf_error *error)
{
	hf_snapshot snapshot;
	hf_record r;
	hf_status st = read_record(m, name, HF_SETTLE_MS, &snapshot, &r, error);
	size_t i;

	*there_out = false;
	for (i = 0; !st && i < r.grant_count; i++)
		if (!strcmp(r.grants[i].id, id) && hf_mode_is_intent(r.grants[i].mode))
			*there_out = true;
	free_record(&snapshot, &r);
	return st;
}

static hf_status ask(hf_manager *m, const char *name, const char *id, hf_ask what,
	int64_t ttl_ms, hf_error *error)
{
	hf_attempt_setup setup;
	hf_attempt attempt;
	bool there;
	hf_status st = is_there(m, name, id, &there, error);

	if (!st && !there)
		st = HF_NOT_OWNER;
	if (!st) {
		setup = hf_manager_setup(m, name, what);
		setup.request.who.id = id;
		setup.request.ttl_ms = ttl_ms;
		setup.wait_ms = HF_SETTLE_MS;
		st = hf_drive_attempt(m, &setup, &attempt, NULL, error);
		hf_attempt_free(&attempt);
	}
	if (st == HF_NOT_OWNER || st == HF_LOST)
		st = hf_fail(error, HF_LOST, what == HF_ASK_RENEW ? "extend" : "release", 0,
			"the lease's intention on '%s' had ended: it expired or was taken away",
			name);
	return st;
}

hf_status hf_tree_release_above(
	hf_manager *m, const char *name, const hf_tree_ids *ids, hf_error *error)
{
	char above[HF_NAME_MAX + 1];
	hf_status worst = HF_OK;
	char *slash;
	size_t i;

	for (i = 0; i < ids->count; i++) {
		hf_copy(above, sizeof(above), name);
		while ((slash = strrchr(above, '/'))) {
			hf_error why;
			hf_status st;

			*slash = '\0';
			st = ask(m, above, ids->ids[i], HF_ASK_RELEASE, 0, &why);
			if (!st || (worst && (worst == HF_LOST || st != HF_LOST)))
				continue;
			worst = st;
			if (error)
				*error = why;
		}
	}
	return worst;
}

hf_status hf_tree_extend_above(hf_manager *m, const char *name, const hf_tree_ids *ids,
	int64_t ttl_ms, hf_error *error)
{
	char above[HF_NAME_MAX + 1];
	hf_status st = HF_OK;
	size_t len;
	size_t i;

	for (i = 0; i < ids->count; i++)
		for (len = hf_tree_next_above(name, 0); !st && len;
			len = hf_tree_next_above(name, len)) {
			memcpy(above, name, len);
			above[len] = '\0';
			st = ask(m, above, ids->ids[i], HF_ASK_RENEW, ttl_ms, error);
		}
	return st;
}
