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

/* A sum under way. */
struct sum {
	uint64_t lanes[LANES];
	char kept[8 * LANES]; /* what does not make a step yet */
	size_t kept_len;
};

/*
 * Eight bytes a step, in lanes that the processor works on side by side. Each
 * step is a bijection of the sum and of the word, and so is joining the lanes:
 * a change confined to one word always shows. The shift carries high bits down,
 * so that two changed high bits do not cancel.
 */
static void sum_begin(struct sum *s, uint64_t seed)
{
	*s = (struct sum){.lanes = {seed, ~seed, seed << 1, seed >> 1}};
}

static size_t sum_steps(struct sum *s, const char *bytes, size_t n)
{
	uint64_t a = s->lanes[0];
	uint64_t b = s->lanes[1];
	uint64_t c = s->lanes[2];
	uint64_t d = s->lanes[3];
	size_t done = 0;

	for (; n - done >= 8 * LANES; done += 8 * LANES) {
		a = step(a, get_u64(bytes + done));
		b = step(b, get_u64(bytes + done + 8));
		c = step(c, get_u64(bytes + done + 16));
		d = step(d, get_u64(bytes + done + 24));
	}
	s->lanes[0] = a;
	s->lanes[1] = b;
	s->lanes[2] = c;
	s->lanes[3] = d;
	return done;
}

static void sum_add(struct sum *s, const char *bytes, size_t n)
{
	size_t done = 0;

	if (n == 0)
		return;
	if (s->kept_len > 0) {
		done = sizeof(s->kept) - s->kept_len;
		done = done < n ? done : n;
		memcpy(s->kept + s->kept_len, bytes, done);
		s->kept_len += done;
		if (s->kept_len < sizeof(s->kept))
			return;
		sum_steps(s, s->kept, sizeof(s->kept));
		s->kept_len = 0;
	}
	done += sum_steps(s, bytes + done, n - done);
	s->kept_len = n - done;
	memcpy(s->kept, bytes + done, s->kept_len);
}

static uint64_t sum_end(struct sum *s, uint64_t sum)
{
	const char *bytes = s->kept;
	size_t n = s->kept_len;
	char last[8] = {0};
	size_t i;

	for (i = 0; i < LANES; i++)
		sum = step(sum, s->lanes[i]);
	for (; n >= 8; bytes += 8, n -= 8)
		sum = step(sum, get_u64(bytes));
	memcpy(last, bytes, n);
	return step(step(sum, get_u64(last)), n);
}

static uint64_t checksum(const char *header, const hf_slot_part *parts, size_t count)
{
	struct sum s;
	uint64_t seed;
	size_t i;

	sum_begin(&s, HF_HASH_INIT);
	sum_add(&s, header, SUM_AT);
	seed = sum_end(&s, HF_HASH_INIT);
	sum_begin(&s, seed);
	for (i = 0; i < count; i++)
		sum_add(&s, parts[i].data, parts[i].len);
	return sum_end(&s, seed);
}

void hf_slot_forget_content(hf_slot *slot)
{
	slot->data = NULL;
	memset(slot->parts, 0, sizeof(slot->parts));
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
	put_u64(out + SUM_AT, checksum(out, slot->parts, HF_SLOT_PARTS));
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
	const hf_slot_part content = {at + HF_SLOT_HEADER, len};

	if (!is_header(at, slot_size) || get_u64(at + SUM_AT) != checksum(at, &content, 1))
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
