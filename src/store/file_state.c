/*
 * A key's state as bytes, in its slot file. The slot's checksum covers them, so
 * what is wrong here was written so: by another program, or a newer one.
 *
 *	 0  "hffile1\n"
 *	 8  u64 generation
 *	16  u64 x 3 the current segment: id, end, count
 *	40  u64 x 3 the one before
 *	64  u32 length of the record
 *	68  u32 length of the recent lines
 *	72  u32 how many they are
 *	76  u8  held
 *	77  u8  sealed
 *	78  u16 length of the name
 *	80  the name, the record, the recent lines
 *
 * All numbers are little-endian.
 */
#include "file_internal.h"

#include <endian.h>

static const char state_magic[8] = {'h', 'f', 'f', 'i', 'l', 'e', '1', '\n'};
static const char floor_magic[8] = {'h', 'f', 'f', 'l', 'o', 'o', 'r', '1'};
#define NAME_AT 80

static void put_u64(char *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

static uint64_t get_u64(const char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static void put_u32(char *at, size_t value)
{
	uint32_t small = htole32((uint32_t)value);

	memcpy(at, &small, sizeof(small));
}

static size_t get_u32(const char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static void put_segment(char *at, const hf_segment *segment)
{
	put_u64(at, segment->id);
	put_u64(at + 8, segment->end);
	put_u64(at + 16, segment->count);
}

static hf_segment get_segment(const char *at)
{
	return (hf_segment){
		.id = get_u64(at), .end = get_u64(at + 8), .count = get_u64(at + 16)};
}

static size_t name_len(const char *data)
{
	return (size_t)((unsigned char)data[78] | (unsigned char)data[79] << 8);
}

static bool is_state(const hf_slot_content *content)
{
	const char *data = content->data;

	return content->len > NAME_AT && memcmp(data, state_magic, sizeof(state_magic)) == 0 &&
	       name_len(data) <= HF_NAME_MAX && get_u32(data + 64) > 0 &&
	       NAME_AT + name_len(data) + get_u32(data + 64) + get_u32(data + 68) ==
		       content->len;
}

hf_status hf_file_state_decode(const hf_slot_content *content, const char *path,
	const char *name, hf_file_state *state_out, hf_error *error)
{
	const char *data = content->data;
	const char *rest;
	size_t n;

	*state_out = (hf_file_state){.present = false};
	if (content->seq == 0)
		return HF_OK;
	if (!is_state(content))
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"%s does not hold a lock that this holdfast understands: it is of a "
			"newer version, or another program's",
			path);
	n = name_len(data);
	rest = data + NAME_AT + n;
	if (name && (strlen(name) != n || memcmp(name, data + NAME_AT, n) != 0))
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"%s holds the lock '%.*s', not '%s': use another name", path, (int)n,
			data + NAME_AT, name);
	*state_out = (hf_file_state){.present = true,
		.generation = get_u64(data + 8),
		.held = data[76] != 0,
		.sealed = data[77] != 0,
		.current = get_segment(data + 16),
		.before = get_segment(data + 40),
		.record = rest,
		.record_len = get_u32(data + 64),
		.recent = rest + get_u32(data + 64),
		.recent_len = get_u32(data + 68),
		.recent_count = get_u32(data + 72)};
	return HF_OK;
}

void hf_file_state_head(const hf_file_state *state, const char *name, hf_buf *buf)
{
	size_t n = strlen(name);
	char head[NAME_AT] = {0};

	memcpy(head, state_magic, sizeof(state_magic));
	put_u64(head + 8, state->generation);
	put_segment(head + 16, &state->current);
	put_segment(head + 40, &state->before);
	put_u32(head + 64, state->record_len);
	put_u32(head + 68, state->recent_len);
	put_u32(head + 72, state->recent_count);
	head[76] = state->held;
	head[77] = state->sealed;
	head[78] = (char)(n & 255);
	head[79] = (char)(n >> 8);
	hf_buf_clear(buf);
	hf_buf_add(buf, head, sizeof(head));
	hf_buf_add(buf, name, n);
}

bool hf_file_state_name(const hf_slot_content *content, char *out)
{
	size_t n;

	if (!is_state(content))
		return false;
	n = name_len(content->data);
	memcpy(out, content->data + NAME_AT, n);
	out[n] = '\0';
	return hf_check_name(out, NULL) == HF_OK;
}

/* ---- the floor ---- */

hf_status hf_floor_decode(
	const hf_slot_content *content, const char *path, hf_floor *floor_out, hf_error *error)
{
	*floor_out = (hf_floor){.generation = 0};
	if (content->seq == 0)
		return HF_OK;
	if (content->len != 24 || memcmp(content->data, floor_magic, sizeof(floor_magic)) != 0)
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"%s is not a file that this holdfast understands: it is of a newer "
			"version, or another program's",
			path);
	floor_out->generation = get_u64(content->data + 8);
	floor_out->counter = get_u64(content->data + 16);
	return HF_OK;
}

void hf_floor_encode(const hf_floor *floor, char out[24])
{
	memcpy(out, floor_magic, sizeof(floor_magic));
	put_u64(out + 8, floor->generation);
	put_u64(out + 16, floor->counter);
}

/*
 * A present key's etag is its generation, an absent one's that of the floor. A
 * key begins above the floor, and forgetting raises the floor above the key:
 * so neither ever comes back (R2).
 */
hf_etag hf_etag_of_state(const hf_file_state *state, const hf_floor *floor)
{
	hf_etag etag = {.len = 9};

	put_u64((char *)etag.bytes, state->present ? state->generation : floor->generation);
	etag.bytes[8] = state->present ? 'p' : 'a';
	return etag;
}
