/* SPDX-License-Identifier: MIT */
/*
 * What the benchmark asks of an allocator: the plug-in interface.
 *
 * A plug-in is a shared object (or, on a target, a relocatable one) that exports one
 * `const struct bench_allocator bench_allocator`. Functions may be NULL where the allocator
 * has nothing of that kind; the workloads that need it are then left out and say so.
 * Only one heap is in use at a time: init begins it anew.
 */
#ifndef BENCH_ALLOCATOR_H
#define BENCH_ALLOCATOR_H

#include <stdbool.h>
#include <stddef.h>

struct bench_allocator {
    const char* name; /* in tables, 1 to 15 characters */
    /* Begin a heap in `size` bytes at `arena`, 16-aligned; one with its own memory ignores them. */
    bool (*init)(void* arena, size_t size);
    void* (*allocate)(size_t size);                           /* malloc: NULL when nothing serves */
    void (*release)(void* ptr);                               /* free */
    void* (*resize)(void* ptr, size_t size);                  /* realloc */
    void* (*allocate_aligned)(size_t alignment, size_t size); /* alignment: a power of two */
    /* Allocate for a module, 0 to 31; free all of a module's blocks at once: both or neither. */
    void* (*allocate_for)(size_t size, unsigned module);
    void (*unload)(unsigned module);
    /* It uses memory of its own, so its payload and fragmentation are not comparable. */
    bool owns_memory;
};

#endif
