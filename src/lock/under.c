#include "under.h"

/* As long as any escaped name: it can always be read back. */
#define ESCAPED_MAX (3 * HF_NAME_MAX)

/* Parts of one lease have one id. */
static bool has(const hf_buf *buf, const char *id, const char *name)
{
	const char *at = buf->len ? buf->data : "";
	hf_under u;

	while (hf_under_next(&at, &u))
		if (!strcmp(u.id, id) && !strcmp(u.name, name))
			return true;
	return false;
}

void hf_under_add(hf_buf *buf, const char *id, const char *name)
{
	char escaped[ESCAPED_MAX + 1];

	if (!id[0] || strlen(id) > HF_ID_LEN || strpbrk(id, " /") || has(buf, id, name))
		return;
	hf_name_escape(name, ESCAPED_MAX, escaped);
	if (buf->len)
		hf_buf_addc(buf, ' ');
	hf_buf_adds(buf, id);
	hf_buf_addc(buf, '/');
	hf_buf_adds(buf, escaped);
}

static bool read_entry(const char *entry, size_t len, hf_under *out)
{
	const char *slash = memchr(entry, '/', len);
	size_t id_len = slash ? (size_t)(slash - entry) : 0;
	char escaped[ESCAPED_MAX + 1];

	if (!id_len || id_len > HF_ID_LEN || len - id_len - 1 > ESCAPED_MAX)
		return false;
	memcpy(out->id, entry, id_len);
	out->id[id_len] = '\0';
	memcpy(escaped, slash + 1, len - id_len - 1);
	escaped[len - id_len - 1] = '\0';
	return hf_name_unescape(escaped, out->name);
}

bool hf_under_next(const char **at, hf_under *out)
{
	while (**at) {
		const char *entry = *at;
		size_t len = strcspn(entry, " ");

		*at = entry + len + strspn(entry + len, " ");
		if (len && read_entry(entry, len, out))
			return true;
	}
	return false;
}
