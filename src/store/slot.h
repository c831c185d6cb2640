/*
 * One slot of a slot file as bytes, and which of two to believe. Pure: no I/O.
 *
 * A slot is a header of HF_SLOT_HEADER bytes and the content. All numbers are
 * little-endian, so that machines that share a file agree:
 *
 *	 0  magic "hfslot1\n" (the digit is the format's version)
 *	 8  u64 sequence number
 *	16  u32 length of the content
 *	20  u32 bytes of a slot in this file
 *	24  u8  kind, u8 flags, 6 zero bytes
 *	32  u64 checksum over 0..31 and the content
 *	40  u8  mark (not under the checksum), 7 bytes unused
 *	48  content
 */
#ifndef HF_SLOT_H
#define HF_SLOT_H

#include "base/base.h"

#define HF_SLOT_HEADER 48
#define HF_SLOT_MARK_AT 40
#define HF_SLOT_BLOCK 4096

typedef enum hf_slot_kind {
	HF_SLOT_CONTENT = 1,
	HF_SLOT_NOTHING, /* made, nothing written yet */
	HF_SLOT_REMOVING, /* removed; whoever says so will unlink the path */
	HF_SLOT_REBUILDING, /* the content is the nonce of the file it is in */
	HF_SLOT_DAMAGED, /* taken over from a file that was damaged */
	HF_SLOT_KIND_COUNT_
} hf_slot_kind;

/* A piece of a content that is to be written. */
typedef struct hf_slot_part {
	const char *data;
	size_t len;
} hf_slot_part;
#define HF_SLOT_PARTS 3

typedef struct hf_slot {
	hf_slot_kind kind;
	bool taken; /* flag: taken over from a writer that may go on yet */
	uint8_t mark;
	unsigned index; /* which of the two it is */
	uint64_t seq;
	size_t len;
	const char *data; /* read: into the image */
	hf_slot_part parts[HF_SLOT_PARTS]; /* to be written: `len` bytes in all */
} hf_slot;

typedef enum hf_slot_pick {
	HF_PICK_OK,
	HF_PICK_BLANK, /* all bytes zero: never written */
	HF_PICK_DAMAGED, /* written, and neither slot is whole */
	HF_PICK_NEWER /* of a format newer than ours */
} hf_slot_pick;

/* Of a slot that was written: what it held is the caller's, not ours to keep. */
void hf_slot_forget_content(hf_slot *slot);

/* Write the header of `slot` to `out`; its content is to follow. */
void hf_slot_header(const hf_slot *slot, size_t slot_size, char out[HF_SLOT_HEADER]);

/* The newest whole slot of an image of 2 * slot_size bytes. */
hf_slot_pick hf_slot_newest(const char *image, size_t slot_size, hf_slot *newest_out);

/*
 * By the headers alone: which slot is the newest if it is whole, and how long its
 * content. False: they do not tell.
 */
bool hf_slot_promised(char headers[2][HF_SLOT_HEADER], size_t slot_size, unsigned *index_out,
	size_t *len_out);
/* Is the slot at `at` whole? Its index is not known from that. */
bool hf_slot_read(const char *at, size_t slot_size, hf_slot *slot_out);

bool hf_all_zero(const char *bytes, size_t n);

#endif
