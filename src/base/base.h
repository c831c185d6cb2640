/*
 * The ground floor: what everything else stands on. No I/O on stores here.
 *
 *	error	hf_fail(), the one way to fill an hf_error
 *	time	the clocks, by name
 *	random	ids and jitter
 *	buf	a growing byte buffer
 *	text	fields, numbers, durations, UTF-8
 */
#ifndef HF_BASE_H
#define HF_BASE_H

#include <holdfast/store.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HF_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define HF_ID_LEN 32 /* hex digits of an id */

/* ---- error ---- */

/*
 * Fill *error (NULL: nothing) and return `kind`. `op` is a short verb,
 * `native` an errno or 0. The text is cut to fit, never split in a UTF-8
 * character.
 */
hf_status hf_fail(hf_error *error, hf_status kind, const char *op, int native,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* As hf_fail(), with ": strerror(native)" appended. */
hf_status hf_fail_errno(hf_error *error, hf_status kind, const char *op, int native,
	const char *format, ...) __attribute__((format(printf, 5, 6)));

/* "; ADVICE" after the text. */
void hf_fail_advise(hf_error *error, const char *advice);

/* Is it an errno that says that a file cannot become longer? */
bool hf_is_no_room(int native);

/* HF_NO_MEMORY with its text. */
hf_status hf_fail_memory(hf_error *error, const char *op);

/* ---- time ---- */

/* CLOCK_BOOTTIME in ms: goes on while the machine sleeps, never steps. */
int64_t hf_boot_ms(void);
/* The same in ns, for measuring. */
int64_t hf_boot_ns(void);
/* Wall time in ms since 1970: only ever shown to people. */
int64_t hf_wall_ms(void);
/* Sleep until hf_boot_ms() >= deadline or a signal handler ran. */
void hf_sleep_until_ms(int64_t deadline_boot_ms);

/* ---- random ---- */

/* Fill with bytes from the kernel's generator. Thread- and fork-safe. */
void hf_random(void *bytes, size_t n);
/* A new id: 128 random bits as HF_ID_LEN hex digits and a NUL. */
void hf_new_id(char id_out[HF_ID_LEN + 1]);

/* A small seeded generator (xorshift64*), for jitter and for the simulator. */
typedef struct hf_rng {
	uint64_t state; /* never 0 */
} hf_rng;
void hf_rng_seed(hf_rng *rng, uint64_t seed);
uint64_t hf_rng_next(hf_rng *rng);
/* Uniform in [0, n); 0 for n = 0. */
uint64_t hf_rng_below(hf_rng *rng, uint64_t n);

/* 64-bit FNV-1a of n bytes, continued from `hash` (start with HF_HASH_INIT). */
#define HF_HASH_INIT 0xcbf29ce484222325u
uint64_t hf_hash(uint64_t hash, const void *bytes, size_t n);

/* ---- buf ---- */

/*
 * A growing buffer. `data` is NUL-terminated whenever cap > 0. A failed
 * allocation sets `failed` and further adds do nothing: check once at the end.
 */
typedef struct hf_buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
} hf_buf;
#define HF_BUF_INIT               \
	{                         \
		NULL, 0, 0, false \
	}
void hf_buf_free(hf_buf *buf);
void hf_buf_clear(hf_buf *buf); /* len = 0, keeps the memory */
void hf_buf_add(hf_buf *buf, const void *bytes, size_t n);
void hf_buf_adds(hf_buf *buf, const char *text);
void hf_buf_addc(hf_buf *buf, char c);
void hf_buf_addf(hf_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Decimal digits at the end of `digits`, from the index returned on. */
#define HF_DIGITS_MAX 20 /* of a uint64_t */
size_t hf_digits(uint64_t value, char digits[HF_DIGITS_MAX]);
void hf_buf_add_u64(hf_buf *buf, uint64_t value);
void hf_buf_add_i64(hf_buf *buf, int64_t value);
/* As hf_buf_room(), when there is not enough of it. */
char *hf_buf_grow(hf_buf *buf, size_t n);
/* Make room for n more bytes and return where they go; NULL if failed. */
static inline char *hf_buf_room(hf_buf *buf, size_t n)
{
	if (buf->cap - buf->len > n && !buf->failed)
		return buf->data + buf->len;
	return hf_buf_grow(buf, n);
}

/* ---- text ---- */

/* Valid UTF-8 (no surrogates, no overlong forms) without control characters. */
bool hf_utf8_plain(const char *text, size_t n);

/* Copy at most cap-1 bytes and a NUL. True if all of it fitted. */
bool hf_copy(char *out, size_t cap, const char *text);

/* Whole decimal numbers: no sign (u64), no blanks, no overflow. */
bool hf_parse_u64(const char *text, uint64_t *out);
bool hf_parse_i64(const char *text, int64_t *out);

/*
 * A duration: a decimal number with an optional fraction and a unit of ms, s,
 * m, h or d ("250ms", "1.5h"); without a unit, seconds, as flock(1) has it.
 * 0 to about 290 years. False: not a duration. Fractions of a ms round up.
 */
bool hf_parse_duration(const char *text, int64_t *ms_out);
/* What hf_parse_duration() reads back, in the largest unit without a fraction. */
void hf_format_duration(int64_t ms, char out[24]);

/*
 * `name` checked (R6): HF_OK, or HF_INVALID with a text that says what is
 * wrong with it.
 */
hf_status hf_check_name(const char *name, hf_error *error);

/*
 * A name as one path component and one component of a ref: letters, digits,
 * '-', '_', '+', '=', ',', '@', UTF-8 and single inner dots stand for
 * themselves, everything else is %XX. An escaped name longer than `max` bytes
 * becomes its first bytes, '#' and 32 hex digits of a hash: then the name
 * cannot be read back from it and must be kept beside it. max >= 80;
 * out needs max + 1 bytes.
 */
void hf_name_escape(const char *name, size_t max, char *out);
/* False if `escaped` is hashed or not of our making. out: HF_NAME_MAX + 1. */
bool hf_name_unescape(const char *escaped, char *out);

#endif
