/*
 * "key=value key=value": the fields of one line of a record.
 *
 * A table says which fields a struct has; the same table writes and reads it.
 * Empty texts, zeros and exclusive mode are left out. Values are
 * percent-escaped (blank, '%', control characters). Reading works in place:
 * texts point into the line, which is overwritten. It is strict: an unknown
 * key, one that is not in the table's order, a bad number or a stray word makes
 * the whole line unreadable. So a line that ran into another is noticed.
 */
#ifndef HF_FIELDS_H
#define HF_FIELDS_H

#include "base/base.h"

typedef enum hf_field_type {
	HF_FIELD_TEXT, /* const char * */
	HF_FIELD_U64,
	HF_FIELD_I64,
	HF_FIELD_U32,
	HF_FIELD_I32,
	HF_FIELD_MODE, /* hf_mode, as s, is, ix */
	HF_FIELD_NAMES /* unsigned enum, by hf_field.names[] up to NULL */
} hf_field_type;

#define HF_FIELD_WORD_MAX 8

typedef struct hf_field {
	char word[HF_FIELD_WORD_MAX + 1]; /* " key=", as it is written */
	unsigned char word_len;
	hf_field_type type;
	size_t offset;
	const char *const *names;
} hf_field;

#define HF_FIELD(key, type, struct_name, member)                                        \
	{                                                                               \
		" " key "=", sizeof(key) + 1, type, offsetof(struct_name, member), NULL \
	}

/* Append " key=value" for each field of `object` that is not blank. */
void hf_fields_put(hf_buf *buf, const hf_field *fields, size_t count, const void *object);

/* Read a line into `object`, whose fields are blank. */
bool hf_fields_read(char *line, const hf_field *fields, size_t count, void *object);

/*
 * Move the texts of `object` to `to`, of which the first `used` bytes are taken,
 * and let it point there. How many are taken then; if that is more than `cap`,
 * texts that did not fit stay where they were.
 */
size_t hf_fields_move_texts(
	const hf_field *fields, size_t count, void *object, char *to, size_t cap, size_t used);

#endif
