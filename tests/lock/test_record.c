/* The text form of records and events: what is read is what was written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "draw.h"

static void encode(hf_record *r, hf_buf *out)
{
	hf_buf_clear(out);
	hf_record_encode(r, NULL, HF_RECORD_NEAR, out);
	CHECK(!out->failed);
}

static void check_same_grant(const hf_grant *a, const hf_grant *b)
{
	CHECK(!strcmp(a->id, b->id));
	CHECK(!strcmp(a->group, b->group));
	CHECK(!strcmp(a->owner, b->owner));
	CHECK(!strcmp(a->fingerprint, b->fingerprint));
	CHECK(!strcmp(a->info, b->info));
	CHECK(!strcmp(a->under, b->under));
	CHECK(!strcmp(a->clock, b->clock));
	CHECK(a->mode == b->mode && a->limit == b->limit && a->flags == b->flags);
	CHECK(a->priority == b->priority && a->token == b->token && a->ttl_ms == b->ttl_ms);
	CHECK(a->lock_delay_ms == b->lock_delay_ms && a->renewals == b->renewals);
	CHECK(a->gen == b->gen && a->acquired_wall_ms == b->acquired_wall_ms);
	CHECK(a->deadline_ms == b->deadline_ms);
	CHECK(!strcmp(a->process.host, b->process.host));
	CHECK(!strcmp(a->process.boot, b->process.boot));
	CHECK(!strcmp(a->process.live, b->process.live));
	CHECK(!strcmp(a->process.command, b->process.command));
	CHECK(a->process.pidns == b->process.pidns && a->process.timens == b->process.timens);
	CHECK(a->process.pid == b->process.pid && a->process.start == b->process.start);
	CHECK(a->process.uid == b->process.uid);
}

static void check_same_event(const hf_record_event *a, const hf_record_event *b)
{
	CHECK(a->gen == b->gen && a->kind == b->kind && a->wall_ms == b->wall_ms);
	CHECK(a->pid == b->pid && a->token == b->token && a->mode == b->mode);
	CHECK(!strcmp(a->id, b->id));
	CHECK(!strcmp(a->owner, b->owner));
	CHECK(!strcmp(a->host, b->host));
	CHECK(!strcmp(a->ended, b->ended));
}

static void check_same(const hf_record *a, const hf_record *b)
{
	size_t i;

	CHECK(!strcmp(a->name, b->name));
	CHECK(a->gen == b->gen && a->counter == b->counter);
	CHECK(a->closed_ms == b->closed_ms && a->closed_until_ms == b->closed_until_ms);
	CHECK(!strcmp(a->closed_clock, b->closed_clock) && a->closed_gen == b->closed_gen);
	check_same_event(&a->event, &b->event);
	CHECK(a->grant_count == b->grant_count && a->waiter_count == b->waiter_count);
	for (i = 0; i < a->grant_count; i++)
		check_same_grant(&a->grants[i], &b->grants[i]);
	for (i = 0; i < a->waiter_count; i++) {
		const hf_waiter *v = &a->waiters[i];
		const hf_waiter *w = &b->waiters[i];

		check_same_grant(&v->want, &w->want);
		CHECK(v->arrival == w->arrival && v->claim_ms == w->claim_ms);
		CHECK(v->passed == w->passed && v->missed == w->missed);
		CHECK(v->offer == w->offer && v->claim_deadline_ms == w->claim_deadline_ms);
	}
}

typedef struct fixture {
	draw d;
	hf_record record;
	hf_record read;
	hf_buf text;
} fixture;

static void begin(fixture *f, size_t round)
{
	draw_begin(&f->d, round);
	hf_record_init(&f->record);
	hf_record_init(&f->read);
	f->text = (hf_buf)HF_BUF_INIT;
}

static void end(fixture *f)
{
	hf_buf_free(&f->text);
	hf_record_free(&f->record);
	hf_record_free(&f->read);
	draw_free(&f->d);
}

/* ---- records ---- */

static void record__reads_back_as_it_was_written(void **state)
{
	fixture f;
	hf_error error;
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(3000); i++) {
		begin(&f, i);
		draw_record(&f.d, &f.record, true);
		encode(&f.record, &f.text);
		if (hf_record_decode(&f.read, f.text.data, f.text.len, f.record.name,
			    HF_RECORD_WHOLE, &error))
			fail_msg("HF_SEED=%llu: %s", (unsigned long long)seed_now, error.text);
		check_same(&f.record, &f.read);
		end(&f);
	}
}

static void record__of_another_name_is_refused(void **state)
{
	fixture f;
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(200); i++) {
		begin(&f, i);
		draw_record(&f.d, &f.record, true);
		encode(&f.record, &f.text);
		CHECK(hf_record_decode(&f.read, f.text.data, f.text.len, "\x02",
			      HF_RECORD_WHOLE, NULL) == HF_CORRUPT);
		CHECK(f.read.grant_count == 0 && f.read.gen == 0);
		end(&f);
	}
}

static void record__cut_short_anywhere_is_corrupt(void **state)
{
	fixture f;
	size_t i;
	size_t n;

	(void)state;
	for (i = 0; i < draw_rounds(200); i++) {
		begin(&f, i);
		draw_record(&f.d, &f.record, true);
		encode(&f.record, &f.text);
		for (n = 0; n < f.text.len; n++)
			CHECK(hf_record_decode(&f.read, f.text.data, n, NULL, HF_RECORD_WHOLE,
				      NULL) == HF_CORRUPT);
		end(&f);
	}
}

/* Any byte becomes any other: an error, or a record that is held as before. */
static void record__with_one_wrong_byte_is_never_free(void **state)
{
	fixture f;
	size_t i;
	size_t at;

	(void)state;
	for (i = 0; i < draw_rounds(600); i++) {
		begin(&f, i);
		draw_record(&f.d, &f.record, false);
		encode(&f.record, &f.text);
		for (at = 0; at < f.text.len; at++) {
			static const char likely[] = " =\n%0xs\t";
			char was = f.text.data[at];
			char wrong = draw_chance(&f.d, 50)
					     ? likely[draw_below(&f.d, sizeof(likely))]
					     : (char)draw_below(&f.d, 256);

			f.text.data[at] = wrong;
			if (wrong != was && !hf_record_decode(&f.read, f.text.data, f.text.len,
						    NULL, HF_RECORD_WHOLE, NULL))
				CHECK(f.read.grant_count == f.record.grant_count &&
					f.read.waiter_count == f.record.waiter_count);
			f.text.data[at] = was;
		}
		end(&f);
	}
}

/* Lines lost, doubled or swapped are no record, or one that is held. */
static void record__without_a_grant_line_is_corrupt(void **state)
{
	fixture f;
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(600); i++) {
		char *line;
		size_t n;

		begin(&f, i);
		draw_record(&f.d, &f.record, false);
		encode(&f.record, &f.text);
		line = strstr(f.text.data, "\ngrant ");
		CHECK(line != NULL);
		n = (size_t)(strchrnul(line + 1, '\n') - line);
		memmove(line, line + n, f.text.len - (size_t)(line + n - f.text.data) + 1);
		CHECK(hf_record_decode(&f.read, f.text.data, f.text.len - n, NULL,
			      HF_RECORD_WHOLE, NULL) == HF_CORRUPT);
		end(&f);
	}
}

static void record__says_what_is_wrong(void **state)
{
	static const char *const texts[] = {"", "\n", "holdfast", "holdfast 1", "holdfast 1\n",
		"holdfast 1\nend\n", "holdfast 2\nlock name=a gen=1\nend\n",
		"holdfast 1\nlock name=a gen=1\nlock name=b gen=1\nend\n",
		"holdfast 1\nlock name=a gen=0\nend\n", "holdfast 1\nlock gen=1\nend\n",
		"holdfast 1\nlock name=a gen=1\nend\n\n",
		"holdfast 1\nlock name=a gen=1\nend x\n",
		"holdfast 1\nlock name=a gen=1 color=red\nend\n",
		"holdfast 1\nlock name=a gen=1\nnote x=1\nend\n",
		"holdfast 1\nlock name=a gen=1 gen=2\nend\n",
		"holdfast 1\nlock name=a gen=18446744073709551615\nend\n",
		"holdfast 1\nlock name=a gen=1 token=18446744073709551615\nend\n",
		"holdfast 1\nlock name=a gen=-1\nend\n",
		"holdfast 1\nlock name=a gen=1x\nend\n",
		"holdfast 1\nlock name=%00 gen=1\nend\n",
		"holdfast 1\nlock name=% gen=1\nend\n", "holdfast 1\nlock name= gen=1\nend\n",
		"{\"id\":\"x\",\"acquired\":1}\n"};
	hf_record r;
	hf_error error;
	size_t i;

	(void)state;
	hf_record_init(&r);
	for (i = 0; i < HF_ARRAY_LEN(texts); i++) {
		hf_status st = hf_record_decode(
			&r, texts[i], strlen(texts[i]), NULL, HF_RECORD_WHOLE, &error);

		if (st != HF_CORRUPT || error.kind != HF_CORRUPT || !error.text[0])
			fail_msg("read as %s: %s", hf_status_name(st), texts[i]);
	}
	assert_int_equal(
		hf_record_decode(&r, "holdfast 1\0\nend\n", 16, NULL, HF_RECORD_WHOLE, &error),
		HF_CORRUPT);
	hf_record_free(&r);
}

/* What no holder of ours could have written must not reach the rules. */
static void record__that_breaks_the_invariants_is_corrupt(void **state)
{
	static const char *const grants[] = {
		"grant id=a", /* no token */
		"grant id=a tok=6", /* above the counter */
		"grant id=a tok=1\ngrant id=b tok=2", /* two exclusive */
		"grant id=a m=s tok=1\ngrant id=b tok=2",
		"grant id=a m=s lim=1 tok=1\ngrant id=b m=s lim=1 tok=2", /* above the limit */
		"grant id=a m=s lim=3 tok=1\ngrant id=b m=s lim=2 tok=2",
		"grant id=a tok=1 ttl=9223372036854775807",
		"grant id=a tok=1 delay=9223372036854775807",
		"grant id=a tok=1 dl=9223372036854775807",
		"grant id=a tok=1 dl=-9223372036854775808",
		"grant id=a tok=1 ren=18446744073709551615",
		"grant id=a tok=1 gen=7", /* later than the record */
		"grant id=a fl=2 tok=1", /* foreign ones are never written */
		"grant id=a tok=1 ttl=-1",
		"grant id=a,b tok=1", /* ids stand in lists */
		"grant id=a%0Ab tok=1",
		"grant id=a%20b tok=1",
	};
	hf_record r;
	size_t i;

	(void)state;
	hf_record_init(&r);
	for (i = 0; i < HF_ARRAY_LEN(grants); i++) {
		char text[512];
		size_t held = 1 + (strstr(grants[i], "\n") != NULL);

		snprintf(text, sizeof(text),
			"holdfast 1\nlock name=n gen=5 token=5 held=%zu\nevent gen=5 "
			"kind=acquire\n%s\nend\n",
			held, grants[i]);
		if (hf_record_decode(&r, text, strlen(text), NULL, HF_RECORD_WHOLE, NULL) !=
			HF_CORRUPT)
			fail_msg("read: %s", text);
	}
	hf_record_free(&r);
}

/* Offers that the rules would not have made must not reach them either. */
static void record__that_offers_what_is_taken_is_corrupt(void **state)
{
	static const struct {
		const char *lines; /* one grant, and those who wait */
		hf_status status;
	} cases[] = {
		{"grant id=a tok=1\nwait id=b arr=2 offer=3 by=1", HF_CORRUPT},
		{"grant id=a m=s tok=1\nwait id=b arr=2 offer=3 by=1", HF_CORRUPT},
		{"grant id=a m=s tok=1\nwait id=b m=s arr=2 offer=3 by=1", HF_OK},
		{"grant id=a m=s tok=1\nwait id=b m=s arr=2 offer=3 by=1\n"
		 "wait id=c arr=3 offer=4 by=1",
			HF_CORRUPT},
		{"grant id=a m=s tok=1\nwait id=b group=a arr=2 offer=3 by=1", HF_OK},
		{"grant id=a m=s tok=1\nwait id=b group=c arr=2 offer=3 by=1", HF_CORRUPT},
		{"grant id=a m=s tok=1\nwait id=b group=a%20b arr=2 by=1", HF_CORRUPT},
	};
	hf_record r;
	size_t i;

	(void)state;
	hf_record_init(&r);
	for (i = 0; i < HF_ARRAY_LEN(cases); i++) {
		const char *lines = strchr(cases[i].lines, '\n');
		char text[512];

		snprintf(text, sizeof(text),
			"holdfast 1\nlock name=n gen=5 token=5 held=1 wait=%d\nevent gen=5 "
			"kind=acquire\n%.*s\nparty in=100%s\nend\n",
			strstr(cases[i].lines, "id=c arr") ? 2 : 1,
			(int)(lines - cases[i].lines), cases[i].lines, lines);
		if (hf_record_decode(&r, text, strlen(text), NULL, HF_RECORD_WHOLE, NULL) !=
			cases[i].status)
			fail_msg("is not '%s': %s", hf_status_name(cases[i].status), text);
	}
	hf_record_free(&r);
}

/* ---- events ---- */

static void event__reads_back_as_it_was_written(void **state)
{
	fixture f;
	hf_record_event e;
	size_t i;

	(void)state;
	for (i = 0; i < draw_rounds(3000); i++) {
		begin(&f, i);
		draw_record(&f.d, &f.record, true);
		hf_event_encode(&f.record.event, &f.text);
		CHECK(!strchr(f.text.data, '\n'));
		CHECK(hf_event_decode(f.text.data, &e));
		check_same_event(&f.record.event, &e);
		end(&f);
	}
}

static void event__is_described_in_one_plain_line(void **state)
{
	fixture f;
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < draw_rounds(2000); i++) {
		begin(&f, i);
		draw_record(&f.d, &f.record, true);
		hf_event_describe(&f.record.event, f.record.name, &f.text);
		CHECK(!f.text.failed);
		for (k = 0; k < f.text.len; k++)
			CHECK((unsigned char)f.text.data[k] >= ' ' && f.text.data[k] != 0x7f);
		end(&f);
	}
}

static void event__that_is_none_is_refused(void **state)
{
	static const char *const lines[] = {"", " ", "kind=acquire", "gen=1", "gen=1 kind=none",
		"gen=1 kind=dance", "gen=0 kind=acquire", "gen=1 kind=acquire x", "gen=1 kind",
		"gen=1 kind=acquire gen=2", "gen=1 kind=acquire tok=-1",
		"gen=1 kind=acquire m=y", "gen=1 kind=acquire owner=%GG"};
	hf_record_event e;
	size_t i;

	(void)state;
	for (i = 0; i < HF_ARRAY_LEN(lines); i++) {
		char line[64];

		hf_copy(line, sizeof(line), lines[i]);
		if (hf_event_decode(line, &e))
			fail_msg("read: '%s'", lines[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(record__reads_back_as_it_was_written),
		cmocka_unit_test(record__of_another_name_is_refused),
		cmocka_unit_test(record__cut_short_anywhere_is_corrupt),
		cmocka_unit_test(record__with_one_wrong_byte_is_never_free),
		cmocka_unit_test(record__without_a_grant_line_is_corrupt),
		cmocka_unit_test(record__says_what_is_wrong),
		cmocka_unit_test(record__that_breaks_the_invariants_is_corrupt),
		cmocka_unit_test(record__that_offers_what_is_taken_is_corrupt),
		cmocka_unit_test(event__reads_back_as_it_was_written),
		cmocka_unit_test(event__is_described_in_one_plain_line),
		cmocka_unit_test(event__that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
