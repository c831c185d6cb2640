#include "counted.h"

#include "base/base.h"
#include "store/builtin.h"

#include <sys/mman.h>
#include <unistd.h>

HF_API counted *counted_control;
HF_API const hf_store_ops *hf_store_module(void);

static unsigned counted_capabilities(const hf_store *store)
{
	return hf_store_file.capabilities(store) & ~(unsigned)HF_CAP_QUICK;
}

static hf_status counted_read(
	hf_store *store, const char *name, hf_snapshot *snapshot, hf_error *error)
{
	counted_control->reads++;
	return hf_store_file.read(store, name, snapshot, error);
}

static hf_status counted_swap(hf_store *store, const char *name, const hf_etag *expected,
	const hf_change *change, hf_snapshot *snapshot_out, hf_error *error)
{
	counted_control->swaps++;
	if (counted_control->late_ms)
		usleep((unsigned)counted_control->late_ms * 1000);
	return hf_store_file.swap(store, name, expected, change, snapshot_out, error);
}

const hf_store_ops *hf_store_module(void)
{
	static hf_store_ops ops;

	if (!counted_control)
		counted_control = mmap(NULL, sizeof(*counted_control), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ops = hf_store_file;
	ops.scheme = "counted";
	ops.capabilities = counted_capabilities;
	ops.read = counted_read;
	ops.swap = counted_swap;
	return &ops;
}
