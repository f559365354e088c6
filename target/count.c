/* SPDX-License-Identifier: MIT */
/*
 * The benchmark on a device: how many instructions each call takes, exactly.
 *
 * The sequences are those of the benchmark on a PC. The clock is read right before and right after
 * each call; the cost of the same two readings around a call of a function that is nothing but its
 * return, which is measured alike, is subtracted, and the return added again. So what counts
 * are the plug-in's instructions, from its first one to its return, both included.
 *
 *     count              all allocators that are linked in; a line of JSON for each figure
 *     count NAME         one of them
 */
#include "../bench/dmheap.h"
#include "../bench/replay.h"
#include "board.h"
#include "report.h"
#include "self_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the linker script: room for the heaps. */
extern char target_arena_start[];
extern char target_arena_end[];

#define PEER(name) extern const struct bench_allocator peer_##name;
PEERS
#undef PEER

static const struct bench_allocator* const peers[] = {
#define PEER(name) &peer_##name,
    PEERS
#undef PEER
        NULL};

int count_main(int count, char** arguments);

/* ---- what is measured ------------------------------------------------------------- */

#define MEASURED 5000U

static const struct {
    const char* workload;
    uint32_t live;
} runs[] = {
    {"small", 100},  {"small", 1000},  {"small", 10000}, {"small", 30000}, {"mixed", 100},
    {"mixed", 1000}, {"mixed", 10000}, {"lifo", 50},     {"realloc", 500}, {"aligned", 500},
    {"load", 8},     {"modules", 8},
};

static const char* const call_names[WORKLOAD_KINDS] = {
    [WORKLOAD_ALLOCATE] = "malloc",          [WORKLOAD_RELEASE] = "free",
    [WORKLOAD_RESIZE] = "realloc",           [WORKLOAD_ALIGNED] = "aligned_alloc",
    [WORKLOAD_ALLOCATE_FOR] = "malloc_for",  [WORKLOAD_UNLOAD] = "unload",
};

struct tally {
    uint32_t calls;
    uint32_t least;
    uint32_t most;
    uint64_t sum;
};

static void tally_add(struct tally* tally, uint32_t cost)
{
    if (tally->calls == 0 || cost < tally->least) {
        tally->least = cost;
    }
    if (cost > tally->most) {
        tally->most = cost;
    }
    tally->calls++;
    tally->sum += cost;
}

/* ---- one call --------------------------------------------------------------------- */

/* Functions of one instruction, their return: what they give back is their first argument. */
static bool nothing_init(void* arena, size_t size)
{
    (void)arena;
    (void)size;
    return true;
}

static void* nothing_allocate(size_t size)
{
    return (void*)size;
}

static void nothing_release(void* ptr)
{
    (void)ptr;
}

static void* nothing_resize(void* ptr, size_t size)
{
    (void)size;
    return ptr;
}

static void* nothing_allocate_aligned(size_t alignment, size_t size)
{
    (void)size;
    return (void*)alignment;
}

static void* nothing_allocate_for(size_t size, unsigned module)
{
    (void)module;
    return (void*)size;
}

static void nothing_unload(unsigned module)
{
    (void)module;
}

static const struct bench_allocator nothing = {
    "nothing",      nothing_init,   nothing_allocate,         nothing_release,
    nothing_resize, nothing_allocate_aligned, nothing_allocate_for, nothing_unload,
    true,
};

#define RETURN 1U /* the instruction of each of them */

/* Do one operation; the instructions between the two readings. */
static uint32_t cost_of(const struct bench_allocator* allocator, struct workload_op op, void** slots)
{
    void* ptr = slots[workload_slot(op)];
    const unsigned tag = workload_tag(op);
    const size_t alignment = (size_t)1 << tag;
    uint32_t from = 0;
    switch (workload_kind(op)) {
    case WORKLOAD_ALLOCATE:
        from = board_clock();
        ptr = allocator->allocate(op.size);
        break;
    case WORKLOAD_RELEASE:
        from = board_clock();
        allocator->release(ptr);
        break;
    case WORKLOAD_RESIZE:
        from = board_clock();
        ptr = allocator->resize(ptr, op.size);
        break;
    case WORKLOAD_ALIGNED:
        from = board_clock();
        ptr = allocator->allocate_aligned(alignment, op.size);
        break;
    case WORKLOAD_ALLOCATE_FOR:
        from = board_clock();
        ptr = allocator->allocate_for(op.size, tag);
        break;
    default:
        from = board_clock();
        allocator->unload(tag);
        break;
    }
    const uint32_t to = board_clock();
    slots[workload_slot(op)] = ptr;
    return board_instructions(from, to);
}
