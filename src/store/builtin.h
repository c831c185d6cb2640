/* The stores that are part of the library. */
#ifndef HF_BUILTIN_H
#define HF_BUILTIN_H

#include <holdfast/store.h>

extern const hf_store_ops hf_store_file;
extern const hf_store_ops hf_store_memory;

#endif
