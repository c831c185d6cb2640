/* The fence's record, key and decision. See fence.h. */
#include "fence.h"
#include "base/sha256.h"
#include "fields.h"

#include <stdlib.h>

/*
 * A resource whose name is too long to stand behind the prefix is hashed; its
 * name stands in the record. The two prefixes differ, so the keys do.
 */
static const char plain_prefix[] = "holdfast:fence:";
static const char hashed_prefix[] = "holdfast:fence#";
#define PREFIX_LEN (sizeof(plain_prefix) - 1)

#define TEXT_MAX 8192 /* ours have some 200 bytes, at most 2000 */

static const char first_word[] = "holdfast-fence ";
static const char seen_word[] = "seen";

void hf_fence_init(hf_fence *fence)
{
	*fence = (hf_fence){.name = "", .owner = "", .host = ""};
}

void hf_fence_free(hf_fence *fence)
{
	free(fence->text);
	hf_fence_init(fence);
}

/* ---- the key ---- */

void hf_fence_key(const char *resource, char key_out[HF_NAME_MAX + 1])
{
	size_t len = strlen(resource);
	hf_sha256 hash;

	if (PREFIX_LEN + len <= HF_NAME_MAX) {
		memcpy(key_out, plain_prefix, PREFIX_LEN);
		memcpy(key_out + PREFIX_LEN, resource, len + 1);
		return;
	}
	memcpy(key_out, hashed_prefix, PREFIX_LEN);
	hf_sha256_begin(&hash);
	hf_sha256_add(&hash, resource, len);
	hf_sha256_end(&hash, key_out + PREFIX_LEN);
}

bool hf_fence_is_key(const char *name)
{
	return !strncmp(name, plain_prefix, PREFIX_LEN) ||
	       !strncmp(name, hashed_prefix, PREFIX_LEN);
}

/* ---- the text ---- */

static const hf_field fields[] = {
	HF_FIELD("name", HF_FIELD_TEXT, hf_fence, name),
	HF_FIELD("tok", HF_FIELD_U64, hf_fence, token),
	HF_FIELD("at", HF_FIELD_I64, hf_fence, wall_ms),
	HF_FIELD("owner", HF_FIELD_TEXT, hf_fence, owner),
	HF_FIELD("host", HF_FIELD_TEXT, hf_fence, host),
	HF_FIELD("pid", HF_FIELD_I64, hf_fence, pid),
};

void hf_fence_encode(const hf_fence *fence, hf_buf *text, hf_buf *line)
{
	hf_fields_put(line, fields, HF_ARRAY_LEN(fields), fence);
	hf_buf_adds(text, first_word);
	hf_buf_add_u64(text, HF_FENCE_VERSION);
	hf_buf_addc(text, '\n');
	hf_buf_adds(text, seen_word);
	if (line->failed)
		text->failed = true;
	else
		hf_buf_add(text, line->data, line->len);
	hf_buf_adds(text, "\nend\n");
}

/* Fields as hf_fields_put() wrote them, and within what is ever written. */
static bool read_fields(hf_fence *f, char *line)
{
	return hf_fields_read(line, fields, HF_ARRAY_LEN(fields), f) && f->token > 0 &&
	       f->token <= HF_FENCE_TOKEN_MAX;
}

uint64_t hf_fence_line_token(char *line)
{
	hf_fence f;

	hf_fence_init(&f);
	return read_fields(&f, line) ? f.token : 0;
}

/* Cut the next line off *at; NULL: there is none that ends. */
static char *next_line(char **at)
{
	char *line = *at;
	char *newline = strchr(line, '\n');

	if (!newline)
		return NULL;
	*newline = '\0';
	*at = newline + 1;
	return line;
}

static hf_status read_version(char *line, hf_error *error)
{
	size_t n = sizeof(first_word) - 1;
	uint64_t version;

	if (!line || strncmp(line, first_word, n) != 0 || !hf_parse_u64(line + n, &version))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"this is no fence's record: another program wrote here");
	if (version != HF_FENCE_VERSION)
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the fence has format %llu and this is holdfast %s, which knows format "
			"%d: use a newer holdfast",
			(unsigned long long)version, HF_VERSION, HF_FENCE_VERSION);
	return HF_OK;
}

static hf_status read_text(hf_fence *f, const char *resource, hf_error *error)
{
	size_t n = sizeof(seen_word) - 1;
	char *at = f->text;
	hf_status st = read_version(next_line(&at), error);
	char *seen;
	char *end;

	if (st)
		return st;
	seen = next_line(&at);
	end = seen ? next_line(&at) : NULL;
	if (!end || strcmp(end, "end") != 0 || *at)
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the fence's record is damaged: it does not end where it should");
	if (strncmp(seen, seen_word, n) != 0 || seen[n] != ' ' || !read_fields(f, seen + n))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the fence's record is damaged: its line 2 cannot be read");
	if (strcmp(f->name, resource) != 0)
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the fence's record found there is that of '%s'", f->name);
	return HF_OK;
}

hf_status hf_fence_decode(
	hf_fence *fence, const char *resource, const char *data, size_t len, hf_error *error)
{
	hf_status st;

	hf_fence_free(fence);
	if (len > TEXT_MAX || memchr(data, '\0', len))
		return hf_fail(error, HF_CORRUPT, "decode", 0,
			"the fence's record is damaged: %s",
			len > TEXT_MAX ? "it is too long" : "it holds a zero byte");
	fence->text = strndup(data, len);
	if (!fence->text)
		return hf_fail_memory(error, "decode");
	st = read_text(fence, resource, error);
	if (st)
		hf_fence_free(fence);
	return st;
}

/* ---- for people ---- */

/* One line stays one. */
static void add_plain(hf_buf *buf, const char *text)
{
	for (; *text; text++)
		hf_buf_addc(buf, (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

void hf_fence_describe(const hf_fence *fence, hf_buf *buf)
{
	hf_buf_adds(buf, "fence ");
	add_plain(buf, fence->name);
	hf_buf_adds(buf, ", token ");
	hf_buf_add_u64(buf, fence->token);
	if (fence->owner[0]) {
		hf_buf_adds(buf, ", ");
		add_plain(buf, fence->owner);
	}
	if (fence->pid) {
		hf_buf_adds(buf, " pid ");
		hf_buf_add_i64(buf, fence->pid);
	}
}

/* ---- the decision ---- */

hf_fence_verdict hf_fence_decide(uint64_t seen, uint64_t known, uint64_t token)
{
	if (token < seen || token < known)
		return HF_FENCE_REFUSE;
	return token == seen ? HF_FENCE_ADMIT : HF_FENCE_RAISE;
}
