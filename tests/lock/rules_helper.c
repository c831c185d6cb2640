#include "rules_helper.h"

void begin(fixture *f, size_t round)
{
	memset(f, 0, sizeof(*f));
	draw_begin(&f->d, round);
	hf_record_init(&f->prev);
	hf_record_init(&f->next);
	hf_record_init(&f->again);
	hf_record_init(&f->read);
	if (draw_chance(&f->d, 10)) {
		f->prev.name = draw_name(&f->d);
		f->evidence = draw_evidence(&f->d, &f->prev, f->grants);
		f->evidence.floor = draw_below(&f->d, 500);
	} else {
		draw_record(&f->d, &f->prev, true);
		f->evidence = draw_evidence(&f->d, &f->prev, f->grants);
	}
	f->request = draw_request(&f->d, &f->prev);
}

void ask_anew(fixture *f, hf_take take)
{
	f->request.ask = HF_ASK_ACQUIRE;
	f->request.take = take;
	f->request.grant.id = draw_id(&f->d);
	f->request.grant.group = f->request.grant.id;
}

void decide(fixture *f)
{
	f->verdict = hf_rules_apply(&f->prev, &f->request, &f->evidence, &f->next, &f->scratch);
}

void write_and_read(fixture *f)
{
	hf_error error;

	hf_buf_clear(&f->text);
	hf_record_encode(&f->next, NULL, HF_RECORD_NEAR, &f->text);
	if (hf_record_decode(
		    &f->read, f->text.data, f->text.len, f->prev.name, HF_RECORD_WHOLE, &error))
		fail_msg("HF_SEED=%llu: the rules wrote what cannot be read: %s",
			(unsigned long long)seed_now, error.text);
}

void end(fixture *f)
{
	hf_buf_free(&f->scratch);
	hf_buf_free(&f->text);
	hf_record_free(&f->prev);
	hf_record_free(&f->next);
	hf_record_free(&f->again);
	hf_record_free(&f->read);
	draw_free(&f->d);
}

const hf_grant *grant_of(const hf_record *r, const char *id)
{
	size_t i;

	for (i = 0; i < r->grant_count; i++)
		if (!strcmp(r->grants[i].id, id))
			return &r->grants[i];
	return NULL;
}

unsigned mode_of(const hf_record *r, const char *id)
{
	const hf_grant *g = grant_of(r, id);

	return g ? g->mode : 99;
}

uint64_t token_of(const hf_record *r, const char *id)
{
	const hf_grant *g = grant_of(r, id);

	return g ? g->token : 0;
}

bool over(const fixture *f, size_t i)
{
	return hf_rules_over(&f->prev, i, &f->evidence) != NULL;
}
