/*
 * "key=value key=value": the fields of one line of a record.
 *
 * Values are percent-escaped. Reading works in place: keys and values point
 * into the line, which is overwritten.
 */
#ifndef HF_FIELDS_H
#define HF_FIELDS_H

#include "base/base.h"

/* Append " key=value". Empty texts and zeros are left out. */
void hf_put_text(hf_buf *buf, const char *key, const char *value);
void hf_put_u64(hf_buf *buf, const char *key, uint64_t value);
void hf_put_i64(hf_buf *buf, const char *key, int64_t value);

typedef struct hf_fields {
	char *next;
	bool bad; /* what is left is no field */
} hf_fields;

hf_fields hf_fields_of(char *line);
/* The next field; false at the end, or with `bad` set. */
bool hf_fields_next(hf_fields *fields, char **key_out, char **value_out);

bool hf_read_u32(const char *value, uint32_t *out);
bool hf_read_i32(const char *value, int32_t *out);

#endif
