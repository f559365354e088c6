/* SPDX-License-Identifier: MIT */
/*
 * dmheap behind the benchmark's interface, see variants.h.
 *
 * Knows: the public headers only. Each function is the call that a client would write, so what is
 * measured has the client's arguments in it and nothing else.
 */
#include "dmheap_ctx.h"

#include "variants.h"

/* With 8-byte headers it is another allocator in the tables. */
#if DMHEAP_HEADER_BYTES == 8
#define NAME(how) "dmheap8" how
#else
#define NAME(how) "dmheap" how
#endif

#define ALIGNMENT 8

static bool init(void* arena, size_t size)
{
    return dmheap_init(arena, size, ALIGNMENT);
}

/* ---- nobody's blocks ------------------------------------------------------------------ */

static void* allocate(size_t size)
{
    return dmheap_malloc(size, NULL);
}

static void* resize(void* ptr, size_t size)
{
    return dmheap_realloc(ptr, size, NULL);
}

static void* allocate_aligned(size_t alignment, size_t size)
{
    return dmheap_aligned_alloc(alignment, size, NULL);
}

static void release(void* ptr)
{
    dmheap_free(ptr, false);
}

static void release_true(void* ptr)
{
    dmheap_free(ptr, true);
}

/* ---- a module's blocks, by a name of 7 characters --------------------------------------- */

/* Aligned, for the C library's string functions take a step more or less with the address. */
__attribute__((aligned(64))) static const char client[] = "network";

static void* allocate_named(size_t size)
{
    return dmheap_malloc(size, client);
}

static void* resize_named(void* ptr, size_t size)
{
    return dmheap_realloc(ptr, size, client);
}

static void* allocate_aligned_named(size_t alignment, size_t size)
{
    return dmheap_aligned_alloc(alignment, size, client);
}

/* ---- the same by a handle --------------------------------------------------------------- */

static struct dmheap_module handle;

static bool init_handle(void* arena, size_t size)
{
    return init(arena, size) && dmheap_ctx_open_module(NULL, client, &handle);
}

static void* allocate_handled(size_t size)
{
    return dmheap_ctx_malloc_for(NULL, size, handle);
}

static void* allocate_aligned_handled(size_t alignment, size_t size)
{
    return dmheap_ctx_aligned_alloc_for(NULL, alignment, size, handle);
}

/* ---- the blocks of several modules ------------------------------------------------------ */

__attribute__((aligned(64))) static const char module_name[32][8] = {
    "task_00", "task_01", "task_02", "task_03", "task_04", "task_05", "task_06", "task_07",
    "task_08", "task_09", "task_10", "task_11", "task_12", "task_13", "task_14", "task_15",
    "task_16", "task_17", "task_18", "task_19", "task_20", "task_21", "task_22", "task_23",
    "task_24", "task_25", "task_26", "task_27", "task_28", "task_29", "task_30", "task_31",
};

static void* allocate_for(size_t size, unsigned module)
{
    return dmheap_malloc(size, module_name[module]);
}

/* No two calls in a row by the same name: dmheap looks first where it found that name before. */
#define TAKING_TURNS 4

static const char* next_name(void)
{
    static unsigned turn;
    turn = (turn + 1) % TAKING_TURNS;
    return module_name[turn];
}

static void* allocate_in_turn(size_t size)
{
    return dmheap_malloc(size, next_name());
}

static void* resize_in_turn(void* ptr, size_t size)
{
    return dmheap_realloc(ptr, size, next_name());
}

static void* allocate_aligned_in_turn(size_t alignment, size_t size)
{
    return dmheap_aligned_alloc(alignment, size, next_name());
}

static void unload(unsigned module)
{
    dmheap_unregister_module(module_name[module]);
}

/* ---- the variants ----------------------------------------------------------------------- */

const struct bench_allocator bench_dmheap[] = {
    {NAME(""), init, allocate, release, resize, allocate_aligned, allocate_for, unload, false},
    {NAME(" true"), init, allocate, release_true, resize, allocate_aligned, allocate_for, unload,
     false},
    {NAME(" named"), init, allocate_named, release, resize_named, allocate_aligned_named,
     allocate_for, unload, false},
    {NAME(" handle"), init_handle, allocate_handled, release, resize_named,
     allocate_aligned_handled, allocate_for, unload, false},
    {NAME(" in turn"), init, allocate_in_turn, release, resize_in_turn, allocate_aligned_in_turn,
     allocate_for, unload, false},
};

const unsigned bench_dmheap_count = sizeof(bench_dmheap) / sizeof(bench_dmheap[0]);
