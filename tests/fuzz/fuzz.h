/* SPDX-License-Identifier: MIT */
/* What libFuzzer calls for each input, and fuzz_files.c for each file. */
#ifndef DMHEAP_FUZZ_H
#define DMHEAP_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

#endif
