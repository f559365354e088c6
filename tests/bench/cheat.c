/* SPDX-License-Identifier: MIT */
/*
 * An allocator that the benchmark must not praise: it gives the same memory to everybody, or with
 * OWNS_MEMORY has memory of its own.
 */
#include "allocator.h"

#ifndef OWNS_MEMORY
#define OWNS_MEMORY false
#endif

extern const struct bench_allocator bench_allocator;

static unsigned char* heap;
static size_t left;

static bool init(void* arena, size_t size)
{
    heap = arena;
    left = size;
    return true;
}

static void* allocate(size_t size)
{
    if (size > left) {
        return NULL;
    }
    left -= size;
    return heap;
}

static void release(void* ptr)
{
    (void)ptr;
}

const struct bench_allocator bench_allocator = {"cheat", init, allocate, release,    NULL,
                                                NULL,    NULL, NULL,     OWNS_MEMORY};
