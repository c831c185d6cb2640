/* The git: store's layout=blob, and the programs that share it. */
#include "git_helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REF "refs/gitvan/locks/"

static int begin(void **state)
{
	(void)state;
	repo_make();
	repo = store_open("repo", "?layout=blob");
	return 0;
}

/* Put there by a neighbour, as gitvan does it: without an old value. */
static void neighbour_puts(const char *ref, const char *json)
{
	sh("cd repo && git update-ref " REF
	   "%s $(printf '%%s' '%s' | git hash-object -w --stdin)",
		ref, json);
}

static void hold(const char *name, const char *id, int64_t ttl_ms)
{
	hf_public_view view = view_of(id, ttl_ms);
	hf_snapshot snap = look(repo, name);
	hf_error error = {.kind = HF_OK};

	if (put_over(repo, name, &snap.etag, "held", "acquire", &view, &error))
		fail_msg("%s", error.text);
	snap_clear(&snap);
}

static bool ref_is_there(const char *name)
{
	return sh_code("git -C repo rev-parse -q --verify " REF "%s", name) == 0;
}

#define JSON                                                             \
	"{\"id\":\"n1\",\"acquiredAt\":1703123456789,\"timeout\":30000," \
	"\"fingerprint\":\"f1\",\"exclusive\":true,\"pid\":12345,\"hostname\":\"machine\"}"

static void blob__ours_is_the_metadata_of_the_seed(void **state)
{
	long long acquired;
	long long timeout;
	const char *json;

	(void)state;
	hold("build", "id-1", 30000);
	json = sh_out("git -C repo cat-file blob " REF "build");
	assert_int_equal(sscanf(json,
				 "{\"id\":\"id-1\",\"acquiredAt\":%lld,\"timeout\":%lld,"
				 "\"fingerprint\":\"id-1\",\"exclusive\":true,\"pid\":4711,"
				 "\"hostname\":\"web1\"}",
				 &acquired, &timeout),
		2);
	assert_true(acquired + timeout >= hf_wall_ms() + 25000);
	put(repo, "build", "free", "release");
	assert_false(ref_is_there("build"));
	assert_string_equal(record_of(repo, "build"), "free");
	assert_string_equal(history_of(repo, "build"), "release|acquire");
	/* Without an end it never ends for them either. */
	hold("build", "id-2", 0);
	sscanf(strstr(sh_out("git -C repo cat-file blob " REF "build"), "timeout"),
		"timeout\":%lld", &timeout);
	assert_true(timeout > 50LL * 365 * 86400 * 1000);
	repo_check();
}

static void blob__an_amendment_moves_the_timeout_on(void **state)
{
	hf_public_view view = view_of("id-1", 1000);
	long long acquired = 0;
	long long timeout = 0;
	hf_snapshot snap;
	hf_error error;

	(void)state;
	view.acquired_wall_ms -= 60000;
	hold("build", "id-1", 1000);
	snap = look(repo, "build");
	assert_int_equal(
		put_over(repo, "build", &snap.etag, "again", NULL, &view, &error), HF_OK);
	snap_clear(&snap);
	sscanf(sh_out("git -C repo cat-file blob " REF "build"),
		"{\"id\":\"id-1\",\"acquiredAt\":%lld,\"timeout\":%lld", &acquired, &timeout);
	assert_int_equal(acquired, view.acquired_wall_ms);
	assert_true(timeout >= 61000 && timeout < 70000);
	assert_string_equal(history_of(repo, "build"), "acquire");
}

static void blob__a_neighbours_is_held_with_its_fields(void **state)
{
	hf_snapshot snap;
	hf_snapshot again;

	(void)state;
	neighbour_puts("build", JSON);
	snap = look(repo, "build");
	assert_null(snap.data);
	assert_non_null(snap.foreign);
	assert_int_equal(snap.foreign->held, 1);
	assert_int_equal(snap.foreign->exclusive, 1);
	assert_string_equal(snap.foreign->id, "n1");
	assert_string_equal(snap.foreign->fingerprint, "f1");
	assert_string_equal(snap.foreign->host, "machine");
	assert_int_equal(snap.foreign->pid, 12345);
	assert_int_equal(snap.foreign->acquired_wall_ms, 1703123456789);
	assert_int_equal(snap.foreign->ttl_ms, 30000);
	assert_string_equal(snap.foreign->mark, sh_out("git -C repo rev-parse " REF "build"));
	/* Renewed: another state. */
	neighbour_puts(
		"build", "{\"id\":\"n1\",\"acquiredAt\":1703123456789,\"timeout\":60000}");
	again = look(repo, "build");
	assert_false(hf_etag_equal(&snap.etag, &again.etag));
	assert_string_not_equal(snap.foreign->mark, again.foreign->mark);
	snap_clear(&snap);
	snap_clear(&again);
}

static void blob__a_swap_that_did_not_know_of_it_is_refused(void **state)
{
	hf_public_view view = view_of("id-1", 1000);
	hf_snapshot before = look(repo, "build");
	hf_snapshot known;
	hf_error error;

	(void)state;
	neighbour_puts("build", JSON);
	assert_int_equal(
		put_over(repo, "build", &before.etag, "held", "acquire", &view, &error),
		HF_CHANGED);
	known = look(repo, "build");
	/* One that knew takes its place. */
	assert_int_equal(
		put_over(repo, "build", &known.etag, "held", "acquire", &view, &error), HF_OK);
	assert_non_null(strstr(sh_out("git -C repo cat-file blob " REF "build"), "id-1"));
	snap_clear(&before);
	snap_clear(&known);
	known = look(repo, "build");
	assert_null(known.foreign);
	snap_clear(&known);
}

static void blob__a_neighbour_that_stays_is_left_alone(void **state)
{
	hf_public_view view;
	hf_snapshot snap;
	hf_error error;
	char oid[64];

	(void)state;
	neighbour_puts("build", JSON);
	snprintf(oid, sizeof(oid), "%s", sh_out("git -C repo rev-parse " REF "build"));
	snap = look(repo, "build");
	view = *snap.foreign;
	hf_copy(view.id, sizeof(view.id), snap.foreign->mark);
	assert_int_equal(
		put_over(repo, "build", &snap.etag, "queued", "wait", &view, &error), HF_OK);
	snap_clear(&snap);
	assert_string_equal(sh_out("git -C repo rev-parse " REF "build"), oid);
	snap = look(repo, "build");
	assert_non_null(snap.foreign);
	assert_string_equal(snap.data, "queued");
	snap_clear(&snap);
	sh("git -C repo update-ref -d " REF "build");
	snap = look(repo, "build");
	assert_null(snap.foreign);
	snap_clear(&snap);
}

static void blob__over_ours_it_overrides_and_deleted_ours_still_holds(void **state)
{
	hf_snapshot before;
	hf_snapshot snap;
	char old[64];

	(void)state;
	hold("build", "id-1", 60000);
	snprintf(old, sizeof(old), "%s", sh_out("git -C repo rev-parse " REF "build"));
	before = look(repo, "build");
	sh("git -C repo update-ref -d " REF "build");
	snap = look(repo, "build");
	assert_true(hf_etag_equal(&before.etag, &snap.etag));
	assert_string_equal(snap.data, "held");
	snap_clear(&snap);
	snap_clear(&before);
	neighbour_puts("build", JSON);
	snap = look(repo, "build");
	assert_non_null(snap.foreign);
	assert_string_equal(snap.data, "held");
	snap_clear(&snap);
	hold("build", "id-2", 60000);
	put(repo, "build", "free", "release");
	/* An old one of ours brought back is no hold of anybody's. */
	sh("git -C repo update-ref " REF "build %s", old);
	snap = look(repo, "build");
	assert_null(snap.foreign);
	assert_string_equal(snap.data, "free");
	snap_clear(&snap);
	hold("build", "id-3", 60000);
	assert_non_null(strstr(sh_out("git -C repo cat-file blob " REF "build"), "id-3"));
	repo_check();
}

static void blob__what_cannot_be_read_is_never_free(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "\"x\"", "null", "garbage"};
	hf_error error;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(bad); i++) {
		neighbour_puts("build", bad[i]);
		assert_int_equal(look_status(repo, "build", &error), HF_CORRUPT);
	}
	sh("cd repo && git commit -q --allow-empty -m x && git update-ref " REF "build HEAD");
	assert_int_equal(look_status(repo, "build", &error), HF_CORRUPT);
	sh("cd repo && echo 1234567812345678123456781234567812345678 >.git/" REF "build");
	assert_int_equal(look_status(repo, "build", &error), HF_CORRUPT);
	assert_int_equal(put_over(repo, "build", NULL, "new", "fresh", NULL, &error), HF_OK);
	assert_string_equal(record_of(repo, "build"), "new");
	assert_false(ref_is_there("build"));
}

static void blob__a_neighbours_own_spelling_of_a_name_is_found(void **state)
{
	hf_public_view view = view_of("id-1", 60000);
	hf_snapshot snap;
	hf_error error;

	(void)state;
	neighbour_puts("web/api", JSON);
	snap = look(repo, "web/api");
	assert_non_null(snap.foreign);
	assert_string_equal(names_of(repo), "[web/api]");
	assert_int_equal(
		put_over(repo, "web/api", &snap.etag, "held", "acquire", &view, &error), HF_OK);
	snap_clear(&snap);
	/* Ours stands at the escaped name, and the other is gone. */
	assert_string_equal(
		sh_out("git -C repo for-each-ref --format='%%(refname)'"), REF "web%2Fapi");
	snap = look(repo, "web/api");
	assert_null(snap.foreign);
	snap_clear(&snap);
	/* git has no place for a ref under a ref: said, not broken. */
	neighbour_puts("db/main", JSON);
	snap = look(repo, "db");
	assert_int_equal(put_over(repo, "db", &snap.etag, "held", "acquire", &view, &error),
		HF_UNAVAILABLE);
	sh("git -C repo pack-refs --all");
	assert_int_equal(put_over(repo, "db", &snap.etag, "held", "acquire", &view, &error),
		HF_UNAVAILABLE);
	snap_clear(&snap);
	repo_check();
}

static void blob__packed_it_is_still_freed(void **state)
{
	(void)state;
	hold("build", "id-1", 60000);
	hold("other", "id-2", 60000);
	sh("git -C repo tag -a -m t t $(git -C repo hash-object -w /dev/null) && "
	   "git -C repo pack-refs --all");
	put(repo, "build", "free", "release");
	assert_false(ref_is_there("build"));
	assert_true(ref_is_there("other"));
	assert_int_equal(sh_code("git -C repo show-ref -d | grep -q 'tags.t^{}'"), 0);
	repo_check();
}

static void blob__the_log_keeps_to_its_limit(void **state)
{
	hf_store *t = store_open("repo", "?layout=blob&history=5");
	hf_error error;
	char event[16];
	int i;

	(void)state;
	for (i = 1; i <= 37; i++) {
		snprintf(event, sizeof(event), "e%d", i);
		put(t, "build", event, event);
		assert_true(history_count(t, "build") >= (size_t)(i < 5 ? i : 5));
		assert_true(history_count(t, "build") <= 10);
	}
	assert_int_equal(ops->prune(t, "build", 2, &error), HF_OK);
	assert_string_equal(history_of(t, "build"), "e37|e36");
	assert_string_equal(sh_out("ls repo/.git/holdfast/blob/*/ | grep -c '[.]log$'"), "1");
	ops->close(t);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, repo_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(blob__ours_is_the_metadata_of_the_seed),
		T(blob__an_amendment_moves_the_timeout_on),
		T(blob__a_neighbours_is_held_with_its_fields),
		T(blob__a_swap_that_did_not_know_of_it_is_refused),
		T(blob__a_neighbour_that_stays_is_left_alone),
		T(blob__over_ours_it_overrides_and_deleted_ours_still_holds),
		T(blob__what_cannot_be_read_is_never_free),
		T(blob__a_neighbours_own_spelling_of_a_name_is_found),
		T(blob__packed_it_is_still_freed),
		T(blob__the_log_keeps_to_its_limit),
	};

	return cmocka_run_group_tests_name("git blob", tests, NULL, NULL);
}
