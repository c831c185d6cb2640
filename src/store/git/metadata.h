/*
 * The holder's metadata as the seed's lock manager (gitvan) writes it: compact
 * JSON with id, acquiredAt, timeout, fingerprint, exclusive, pid, hostname.
 */
#ifndef GS_METADATA_H
#define GS_METADATA_H

#include "base/base.h"

/*
 * Append the metadata of a held view. There a lock is free once acquiredAt +
 * timeout has passed: so the timeout reaches as far from `now_wall_ms` on as
 * the lease does, and a lease without end gets a hundred years.
 * HF_INVALID: a text in it is no UTF-8.
 */
hf_status gs_metadata_build(
	const hf_public_view *view, int64_t now_wall_ms, hf_buf *out, hf_error *error);

/* HF_CORRUPT: it is no such metadata; the text says why. */
hf_status gs_metadata_parse(const char *data, size_t len, hf_public_view *out, hf_error *error);

#endif
