/* A record from a store: whatever the bytes, an answer; what is read can be written. */
#include "fuzz.h"
#include "lock/rules.h"

#include <stdlib.h>

/* Every question the rules can be asked, with nothing known. */
static void ask_everything(const hf_record *record)
{
	hf_request request = {.grant = hf_grant_blank()};
	hf_evidence evidence = {.clock = "boot-1", .now_ms = 1000000};
	hf_buf scratch = HF_BUF_INIT;
	hf_record next;
	int ask;
	int take;

	hf_record_init(&next);
	request.grant.id = "0123456789abcdef0123456789abcdef";
	request.grant.group = request.grant.id;
	request.grant.ttl_ms = 30000;
	request.who.id = record->grant_count ? record->grants[0].id : "x";
	request.stale_after_ms = 1;
	for (ask = HF_ASK_ACQUIRE; ask <= HF_ASK_BARRIER; ask++)
		for (take = HF_TAKE_NOTHING; take <= HF_TAKE_ALL; take++) {
			request.ask = (hf_ask)ask;
			request.take = (hf_take)take;
			hf_rules_apply(record, &request, &evidence, &next, &scratch);
		}
	hf_buf_free(&scratch);
	hf_record_free(&next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hf_record first;
	hf_record second;
	hf_buf text = HF_BUF_INIT;
	hf_buf again = HF_BUF_INIT;
	hf_error error;

	hf_record_init(&first);
	hf_record_init(&second);
	if (!hf_record_decode(
		    &first, (const char *)data, size, NULL, HF_RECORD_WHOLE, &error)) {
		hf_record_encode(&first, NULL, HF_RECORD_NEAR, &text);
		if (hf_record_decode(
			    &second, text.data, text.len, first.name, HF_RECORD_WHOLE, &error))
			abort();
		hf_record_encode(&second, NULL, HF_RECORD_NEAR, &again);
		if (text.len != again.len || memcmp(text.data, again.data, text.len) != 0)
			abort();
		ask_everything(&first);
	}
	hf_buf_free(&text);
	hf_buf_free(&again);
	hf_record_free(&first);
	hf_record_free(&second);
	return 0;
}
