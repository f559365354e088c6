/* SPDX-License-Identifier: MIT */
/*
 * dmheap behind the benchmark's interface: one allocator per way to call it. All of them are the
 * same heap, which init begins anew.
 */
#ifndef BENCH_VARIANTS_H
#define BENCH_VARIANTS_H

#include "allocator.h"

/* The first one, by NULL name and free(p, false), is what DMOD does most. */
extern const struct bench_allocator bench_dmheap[];
extern const unsigned bench_dmheap_count;

#endif
