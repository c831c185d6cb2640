/*
 * A key's state as bytes, in its slot file. The slot's checksum covers them, so
 * what is wrong here was written so: by another program, or a newer one.
 *
 *	 0  "hffile1\n"
 *	 8  u64 generation
 *	16  u64 x 4 the current segment: id, end, count, room
 *	48  u64 x 4 the one before
 *	80  u8  held, u8 unused
 *	82  u16 length of the name
 *	84  the name, then the record
 *
 * All numbers are little-endian.
 */
#include "file_internal.h"

#include <endian.h>

static const char state_magic[8] = {'h', 'f', 'f', 'i', 'l', 'e', '1', '\n'};
static const char floor_magic[8] = {'h', 'f', 'f', 'l', 'o', 'o', 'r', '1'};
#define NAME_AT 84

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

static void put_segment(char *at, const hf_segment *segment)
{
	put_u64(at, segment->id);
	put_u64(at + 8, segment->end);
	put_u64(at + 16, segment->count);
	put_u64(at + 24, segment->room);
}

static hf_segment get_segment(const char *at)
{
	return (hf_segment){.id = get_u64(at),
		.end = get_u64(at + 8),
		.count = get_u64(at + 16),
		.room = get_u64(at + 24)};
}

static size_t name_len(const char *data)
{
	return (size_t)((unsigned char)data[82] | (unsigned char)data[83] << 8);
}

static bool is_state(const hf_slot_content *content)
{
	return content->len > NAME_AT &&
	       memcmp(content->data, state_magic, sizeof(state_magic)) == 0 &&
	       name_len(content->data) <= HF_NAME_MAX &&
	       content->len > NAME_AT + name_len(content->data);
}

hf_status hf_file_state_decode(const hf_slot_content *content, const char *path,
	const char *name, hf_file_state *state_out, hf_error *error)
{
	const char *data = content->data;
	size_t n;

	*state_out = (hf_file_state){.present = false};
	if (content->seq == 0)
		return HF_OK;
	if (!is_state(content))
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"%s does not hold a lock that this holdfast understands: it is of a "
			"newer "
			"version, or another program's",
			path);
	n = name_len(data);
	if (name && (strlen(name) != n || memcmp(name, data + NAME_AT, n) != 0))
		return hf_fail(error, HF_CORRUPT, "read", 0,
			"%s holds the lock '%.*s', not '%s': use another name", path, (int)n,
			data + NAME_AT, name);
	*state_out = (hf_file_state){.present = true,
		.generation = get_u64(data + 8),
		.current = get_segment(data + 16),
		.before = get_segment(data + 48),
		.held = data[80] != 0,
		.record = data + NAME_AT + n,
		.record_len = content->len - NAME_AT - n};
	return HF_OK;
}

void hf_file_state_encode(const hf_file_state *state, const char *name, hf_buf *buf)
{
	size_t n = strlen(name);
	char head[NAME_AT] = {0};

	memcpy(head, state_magic, sizeof(state_magic));
	put_u64(head + 8, state->generation);
	put_segment(head + 16, &state->current);
	put_segment(head + 48, &state->before);
	head[80] = state->held;
	head[82] = (char)(n & 255);
	head[83] = (char)(n >> 8);
	hf_buf_clear(buf);
	hf_buf_add(buf, head, sizeof(head));
	hf_buf_add(buf, name, n);
	hf_buf_add(buf, state->record, state->record_len);
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
			"version, "
			"or another program's",
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
