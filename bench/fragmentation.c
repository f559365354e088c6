/* SPDX-License-Identifier: MIT */
/*
 * How full a heap gets: the payload that is live when it first refuses a request, in per cent of
 * an arena of 256 KiB, after work that fragments it.
 *
 * Each workload but the last keeps the live payload just below a limit that starts at half of the
 * arena and rises by a hundredth of it every 350 allocations. An allocation that would pass the
 * limit frees random blocks first. That goes on until one is refused, for each of several seeds.
 *
 * Knows: sizes, orders, the plug-in interface. Does not know: how a heap places blocks.
 * Always holds: the same seed asks every heap for the same sizes; each block carries a mark at
 * either end, so that a heap which gives out the same memory twice is found out, not praised.
 */
#include "random.h"
#include "space.h"

#include <stdint.h>
#include <string.h>

#define ARENA       ((size_t)256 * 1024)
#define MOST_BLOCKS 65536U
#define RISE_EVERY  350U /* allocations */
#define MODULES     32U
#define SEEDS_MOST  1000U

static const char help[] =
    "usage: fragmentation [options]\n"
    "Live payload when a heap of 256 KiB first refuses a request, in per cent of the heap.\n"
    "\n"
    "  --plugin FILE   an allocator in a shared object, see bench/allocator.h; repeatable\n"
    "  --seeds N       of how many runs it is the mean; default: 50\n"
    "  --json FILE     the figures as JSON, one object a line\n"
    "  --values FILE   the figures as `name value` lines, for bench/ceilings.sh\n"
    "  --help          this text\n";

/* ---- the blocks that live --------------------------------------------------------------- */

struct block {
    unsigned char* ptr;
    uint32_t size;
    uint32_t module;
};

struct pool {
    const struct space* space;
    const struct bench_allocator* heap;
    uint32_t random;
    uint32_t turn; /* allocations so far */
    size_t live;   /* payload */
    uint32_t count;
    struct block block[MOST_BLOCKS];
    uint32_t size_of[MODULES]; /* what each module allocates at present */
    uint32_t module;           /* for which the next block is */
};

static unsigned char mark_of(const struct block* block)
{
    return (unsigned char)((uintptr_t)block->ptr >> 3 ^ block->size);
}

static void pool_begin(struct pool* pool, uint32_t seed)
{
    memset(pool->size_of, 0, sizeof(pool->size_of));
    pool->random = seed * 2654435761U + 1;
    pool->turn = 0;
    pool->live = 0;
    pool->count = 0;
    pool->module = 0;
    if (!space_begin(pool->space, pool->heap, ARENA)) {
        space_fail(pool->space, "begins no heap of 256 KiB", pool->heap->name);
    }
}

static bool pool_allocate(struct pool* pool, uint32_t size)
{
    struct block* block = &pool->block[pool->count];
    if (pool->count == MOST_BLOCKS || pool->live > ARENA) {
        space_fail(pool->space, "gives out more than it has", pool->heap->name);
    }
    pool->turn++;
    block->ptr = pool->heap->allocate(size);
    if (block->ptr == NULL) {
        return false;
    }
    block->size = size;
    block->module = pool->module;
    block->ptr[0] = block->ptr[size - 1] = mark_of(block);
    pool->live += size;
    pool->count++;
    return true;
}

static void pool_free(struct pool* pool, uint32_t index)
{
    struct block* block = &pool->block[index];
    const unsigned char mark = mark_of(block);
    if (block->ptr[0] != mark || block->ptr[block->size - 1] != mark) {
        space_fail(pool->space, "wrote over a live block, or gave it out twice", pool->heap->name);
    }
    pool->heap->release(block->ptr);
    pool->live -= block->size;
    *block = pool->block[--pool->count];
}

/* ---- chance ------------------------------------------------------------------------------- */

/* From `least` on through so many doublings, each of which is as likely. */
static uint32_t pick_octaves(struct pool* pool, uint32_t least, uint32_t octaves)
{
    const uint32_t low = least << random_below(&pool->random, octaves);
    return low + random_below(&pool->random, low);
}

/* ---- the sizes of the workloads ----------------------------------------------------------- */

static uint32_t pick_small(struct pool* pool)
{
    return pick_octaves(pool, 8, 5);
}

static uint32_t pick_mixed(struct pool* pool)
{
    return pick_octaves(pool, 16, 8);
}

static uint32_t pick_bimodal(struct pool* pool)
{
    return random_below(&pool->random, 10) != 0 ? random_uniform(&pool->random, 16, 64)
                                                : random_uniform(&pool->random, 512, 2048);
}

static uint32_t pick_power(struct pool* pool)
{
    return 16U << random_below(&pool->random, 8);
}

static uint32_t pick_equal(struct pool* pool)
{
    (void)pool;
    return 100;
}

/* Four doublings, whose lower end drifts from 16 to 256 and back in some 660 allocations. */
static uint32_t pick_drifting(struct pool* pool)
{
    const uint32_t way = pool->turn % 660;
    const uint32_t eighths = (way < 330 ? way : 659 - way) * 32 / 330; /* of a doubling */
    return pick_octaves(pool, (16U + 2U * (eighths % 8)) << eighths / 8, 4);
}

/* What a module allocates is all of one size, until it is unloaded. */
static uint32_t pick_module(struct pool* pool)
{
    pool->module = random_below(&pool->random, MODULES);
    if (pool->size_of[pool->module] == 0) {
        pool->size_of[pool->module] = pick_octaves(pool, 16, 7);
    }
    return pool->size_of[pool->module];
}

/* ---- what is freed ------------------------------------------------------------------------ */

static void free_one(struct pool* pool)
{
    pool_free(pool, random_below(&pool->random, pool->count));
}

/* A module's blocks, one by one and all together; it is loaded again with another size. */
static void free_module(struct pool* pool)
{
    const uint32_t module = random_below(&pool->random, MODULES);
    for (uint32_t i = pool->count; i-- > 0;) {
        if (pool->block[i].module == module) {
            pool_free(pool, i);
        }
    }
    pool->size_of[module] = 0;
}

/* ---- work at a rising limit --------------------------------------------------------------- */

struct mix {
    const char* name;
    const char* about;
    uint32_t (*pick)(struct pool* pool);
    void (*free_some)(struct pool* pool);
};

static const struct mix mixes[] = {
    {"small", "8 to 256 bytes, log-uniform", pick_small, free_one},
    {"mixed", "16 to 4096 bytes, log-uniform", pick_mixed, free_one},
    {"bimodal", "nine of 16 to 64 bytes to one of 512 to 2048", pick_bimodal, free_one},
    {"powers", "16 to 2048 bytes, powers of two", pick_power, free_one},
    {"equal", "100 bytes", pick_equal, free_one},
    {"drifting", "16-fold ranges that drift between 16 and 4096 bytes", pick_drifting, free_one},
    {"phases", "32 modules, each of blocks of one size from 16 to 2048 bytes that go together",
     pick_module, free_module},
};

#define MIXES (sizeof(mixes) / sizeof(mixes[0]))

/* Per cent of the arena that is live at the first refusal. */
static double fill(struct pool* pool, const struct mix* mix, uint32_t seed)
{
    size_t limit = ARENA / 2;
    pool_begin(pool, seed);
    for (;;) {
        const uint32_t size = mix->pick(pool);
        while (pool->live + size > limit && pool->count != 0) {
            mix->free_some(pool);
        }
        if (!pool_allocate(pool, size)) {
            return (double)pool->live * 100 / ARENA;
        }
        if (pool->turn % RISE_EVERY == 0) {
            limit += ARENA / 100;
        }
    }
}

/* ---- Robson's adversary --------------------------------------------------------------------- */

/*
 * It never has more live than a budget, and yet a heap has to refuse: J. M. Robson, "Bounds for
 * some functions concerning dynamic storage allocation", 1974. With each doubling of the size it
 * allocates what the budget allows, after it has freed all blocks but those that lie on one of
 * the addresses `phase` modulo the new size - of two candidates the phase where those that stay
 * block the most memory. The figure is the least budget at which the heap refuses.
 */
#define ROBSON_LEAST 16U
#define ROBSON_MOST  4096U

static bool lies_on(const struct pool* pool, const struct block* block, uint32_t phase,
                    uint32_t size)
{
    const uintptr_t begin = (uintptr_t)block->ptr - (uintptr_t)pool->space->arena;
    const uintptr_t passed = (begin - phase) & (size - 1); /* since the last such address */
    return passed == 0 || size - passed < block->size;
}

/* Bytes of the new size that blocks which stay would block beyond their own. */
static size_t blocked(const struct pool* pool, uint32_t phase, uint32_t size)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < pool->count; i++) {
        if (lies_on(pool, &pool->block[i], phase, size)) {
            sum += size - pool->block[i].size;
        }
    }
    return sum;
}

static bool robson_is_refused(struct pool* pool, size_t budget)
{
    uint32_t phase = 0;
    pool_begin(pool, 1);
    for (uint32_t size = ROBSON_LEAST; size <= ROBSON_MOST; size *= 2) {
        if (size != ROBSON_LEAST) {
            const uint32_t other = phase + size / 2;
            phase = blocked(pool, other, size) > blocked(pool, phase, size) ? other : phase;
            for (uint32_t i = pool->count; i-- > 0;) {
                if (!lies_on(pool, &pool->block[i], phase, size)) {
                    pool_free(pool, i);
                }
            }
        }
        while (pool->live + size <= budget) {
            if (!pool_allocate(pool, size)) {
                return true;
            }
        }
    }
    return false;
}

/* In per cent of the arena, by tenths. */
static double robson(struct pool* pool)
{
    size_t thousandths = 50;
    while (!robson_is_refused(pool, ARENA * thousandths / 1000)) {
        thousandths++;
    }
    return (double)thousandths / 10;
}

/* ---- the table ------------------------------------------------------------------------------ */

static void measure(const struct space* space, const struct bench_allocator* heap)
{
    static struct pool pool;
    static double result[SEEDS_MOST];
    char name[64];
    pool.space = space;
    pool.heap = heap;
    printf("%-15s", heap->name);
    if (!space_begin(space, heap, ARENA)) {
        printf(" begins no heap of that size\n");
        return;
    }
    for (size_t i = 0; i < MIXES; i++) {
        for (unsigned seed = 0; seed < space->seeds; seed++) {
            result[seed] = fill(&pool, &mixes[i], seed + 1);
        }
        snprintf(name, sizeof(name), "fragmentation.%s", mixes[i].name);
        printf(" %8.1f", space_write_mean(space, heap, name, result, space->seeds, "percent"));
    }
    const double least = robson(&pool);
    space_write(space, heap, "fragmentation.robson", least, "percent");
    printf(" %8.1f\n", least);
    fflush(stdout);
}

int main(int argc, char** argv)
{
    struct space space = space_open(argc, argv, help, 3, 50);
    printf("Live payload at the first refusal, per cent of 256 KiB, %u-bit, mean of %u runs:\n",
           (unsigned)sizeof(void*) * 8, space.seeds);
    printf("%-15s", "");
    for (size_t i = 0; i < MIXES; i++) {
        printf(" %8s", mixes[i].name);
    }
    printf(" %8s\n", "robson");
    for (unsigned i = 0; i < space.count; i++) {
        measure(&space, &space.heap[i]);
    }
    for (size_t i = 0; i < MIXES; i++) {
        printf("  %-9s %s\n", mixes[i].name, mixes[i].about);
    }
    printf("  robson    an adversary: the least budget of live payload that it needs\n");
    return space_close(&space);
}
