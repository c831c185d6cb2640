/* The bytes of a slot. See slot.h. */
#include "slot.h"

#include <endian.h>

static const char magic[8] = {'h', 'f', 's', 'l', 'o', 't', '1', '\n'};
#define MAGIC_VERSION_AT 6

enum { FLAG_TAKEN = 1 };

#define SUM_AT 32

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

#define LANES 4

static uint64_t step(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * 0x9fb21c651e98df25u;
	return sum ^ sum >> 29;
}

/*
 * Eight bytes a step, in lanes that the processor works on side by side. Each
 * step is a bijection of the sum and of the word, and so is joining the lanes:
 * a change confined to one word always shows. The shift carries high bits down,
 * so that two changed high bits do not cancel.
 */
static uint64_t mix(uint64_t sum, const char *bytes, size_t n)
{
	uint64_t lanes[LANES] = {sum, ~sum, sum << 1, sum >> 1};
	char last[8] = {0};
	size_t i;

	for (; n >= 8 * LANES; bytes += 8 * LANES, n -= 8 * LANES)
		for (i = 0; i < LANES; i++)
			lanes[i] = step(lanes[i], get_u64(bytes + 8 * i));
	for (i = 0; i < LANES; i++)
		sum = step(sum, lanes[i]);
	for (; n >= 8; bytes += 8, n -= 8)
		sum = step(sum, get_u64(bytes));
	if (n > 0)
		memcpy(last, bytes, n);
	return step(step(sum, get_u64(last)), n);
}

static uint64_t checksum(const char *header, const char *content, size_t len)
{
	return mix(mix(HF_HASH_INIT, header, SUM_AT), content, len);
}

void hf_slot_header(const hf_slot *slot, size_t slot_size, char out[HF_SLOT_HEADER])
{
	memset(out, 0, HF_SLOT_HEADER);
	memcpy(out, magic, sizeof(magic));
	put_u64(out + 8, slot->seq);
	put_u32(out + 16, slot->len);
	put_u32(out + 20, slot_size);
	out[24] = (char)slot->kind;
	out[25] = slot->taken ? FLAG_TAKEN : 0;
	out[HF_SLOT_MARK_AT] = (char)slot->mark;
	put_u64(out + SUM_AT, checksum(out, slot->data, slot->len));
}

static bool is_header(const char *at, size_t slot_size)
{
	return memcmp(at, magic, sizeof(magic)) == 0 && get_u32(at + 20) == slot_size &&
	       get_u32(at + 16) <= slot_size - HF_SLOT_HEADER && (unsigned char)at[24] > 0 &&
	       (unsigned char)at[24] < HF_SLOT_KIND_COUNT_;
}

bool hf_slot_read(const char *at, size_t slot_size, hf_slot *slot_out)
{
	size_t len = get_u32(at + 16);

	if (!is_header(at, slot_size) ||
		get_u64(at + SUM_AT) != checksum(at, at + HF_SLOT_HEADER, len))
		return false;
	*slot_out = (hf_slot){.kind = (hf_slot_kind)at[24],
		.taken = (at[25] & FLAG_TAKEN) != 0,
		.mark = (uint8_t)at[HF_SLOT_MARK_AT],
		.seq = get_u64(at + 8),
		.len = len,
		.data = at + HF_SLOT_HEADER};
	return true;
}

bool hf_slot_promised(
	char headers[2][HF_SLOT_HEADER], size_t slot_size, unsigned *index_out, size_t *len_out)
{
	unsigned index = get_u64(headers[1] + 8) > get_u64(headers[0] + 8);

	*index_out = index;
	*len_out = get_u32(headers[index] + 16);
	return is_header(headers[0], slot_size) && is_header(headers[1], slot_size);
}

static bool is_newer(const char *at)
{
	return memcmp(at, magic, MAGIC_VERSION_AT) == 0 &&
	       at[MAGIC_VERSION_AT] > magic[MAGIC_VERSION_AT] && at[MAGIC_VERSION_AT] <= '9';
}

hf_slot_pick hf_slot_newest(const char *image, size_t slot_size, hf_slot *newest_out)
{
	unsigned first = get_u64(image + slot_size + 8) > get_u64(image + 8);
	unsigned i;

	/* A newer program was here: what we could still read is not the present. */
	if (is_newer(image) || is_newer(image + slot_size))
		return HF_PICK_NEWER;
	/* A slot with a false sequence number is not whole, so it never wins. */
	for (i = 0; i < 2; i++) {
		unsigned index = i ? !first : first;

		if (!hf_slot_read(image + index * slot_size, slot_size, newest_out))
			continue;
		newest_out->index = index;
		return HF_PICK_OK;
	}
	return hf_all_zero(image, 2 * slot_size) ? HF_PICK_BLANK : HF_PICK_DAMAGED;
}

bool hf_all_zero(const char *bytes, size_t n)
{
	return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}
