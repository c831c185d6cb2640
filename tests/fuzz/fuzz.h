/*
 * Fuzz targets: each reads bytes from outside, as a function of libFuzzer's
 * shape. What must hold is asserted in the target, the sanitizers do the rest.
 *
 * With clang each is also a libFuzzer program (ninja fuzzers); replay.c gives
 * all of them a main() that any compiler builds, for `make check`: the corpus,
 * and mutations of it from a seed.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
