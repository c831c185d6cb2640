/* "scheme:path?key=value&key=value", taken apart. */
#ifndef HF_URL_H
#define HF_URL_H

#include "base.h"

typedef struct hf_url_parts {
	hf_url url;
	char *memory; /* all strings of `url` */
	hf_url_option *options;
} hf_url_parts;

/*
 * HF_INVALID says what is wrong: no scheme, an option without '=', an option
 * twice, a bad %XX, a control character. A path without a scheme is refused
 * with the hint "file:PATH". Scheme: letters, digits, '+', '-', '.', lowercase.
 */
hf_status hf_url_parse(const char *text, hf_url_parts *out, hf_error *error);
void hf_url_parts_clear(hf_url_parts *parts);

/* The value of an option; NULL if it is not given. */
const char *hf_url_option_of(const hf_url *url, const char *key);

#endif
