#include "moody.h"

#include "base/base.h"
#include "store/builtin.h"

#include <unistd.h>

HF_API moody moody_control;
HF_API const hf_store_ops *hf_store_module(void);

static hf_status moody_read(
	hf_store *store, const char *name, hf_snapshot *snapshot, hf_error *error)
{
	if (moody_control.silent)
		return hf_fail(error, HF_UNAVAILABLE, "read", 0, "it does not answer");
	return hf_store_memory.read(store, name, snapshot, error);
}

static hf_status moody_swap(hf_store *store, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *snapshot_out, hf_error *error)
{
	hf_status st = hf_store_memory.swap(store, name, expected, change, snapshot_out, error);

	if (moody_control.late_ms)
		usleep((unsigned)moody_control.late_ms * 1000);
	if (!moody_control.silent)
		return st;
	moody_control.swaps++;
	return hf_fail(error, HF_UNKNOWN, "swap", 0, "it does not answer");
}

const hf_store_ops *hf_store_module(void)
{
	static hf_store_ops ops;

	ops = hf_store_memory;
	ops.scheme = "moody";
	ops.read = moody_read;
	ops.swap = moody_swap;
	return &ops;
}
