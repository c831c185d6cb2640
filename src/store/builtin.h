/* The stores that are part of the library. */
#ifndef HF_BUILTIN_H
#define HF_BUILTIN_H

#include "base/base.h"

extern const hf_store_ops hf_memory_store;
extern const hf_store_ops hf_file_store;

#endif
