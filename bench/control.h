/* SPDX-License-Identifier: MIT */
/*
 * What dmheap keeps of a buffer for itself, by the plan that its own layers make.
 */
#ifndef BENCH_CONTROL_H
#define BENCH_CONTROL_H

#include <stddef.h>

struct control {
    size_t context; /* bytes of fields and bins */
    size_t map;     /* bytes of the live map */
};

/* Both 0: no heap can be laid out there. */
struct control control_of(const void* arena, size_t size, size_t alignment);

#endif
