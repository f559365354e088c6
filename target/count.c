/* SPDX-License-Identifier: MIT */
/*
 * The benchmark on a device: how many instructions each call takes, exactly.
 *
 * The sequences are those of the benchmark on a PC. The clock is read right before and right after
 * each call; the cost of the same two readings around a call of a function that is nothing but its
 * return, which is measured alike, is subtracted, and the return added again. So what counts
 * are the plug-in's instructions, from its first one to its return, both included. The mean is of
 * the measured part of a sequence, the worst of all of it, the first fill and a module's first
 * block included.
 *
 *     count              all allocators that are linked in; a line of JSON for each figure
 *     count NAME         one of them
 */
#include "../bench/replay.h"
#include "../bench/variants.h"
#include "board.h"
#include "figure.h"
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

/* dmheap's variants, then the peers; NULL behind the last one. */
static const struct bench_allocator* allocator_number(unsigned number)
{
    return number < bench_dmheap_count ? &bench_dmheap[number] : peers[number - bench_dmheap_count];
}

static bool is_wanted(const struct bench_allocator* allocator, const char* wanted)
{
    return wanted == NULL || strcmp(allocator->name, wanted) == 0;
}

/* ---- what is measured ------------------------------------------------------------- */

#define MEASURED          5000U
#define VARIANTS_LIVE_MAX 1000U

static const struct {
    const char* workload;
    uint32_t live;
} runs[] = {
    {"small", 100},   {"small", 1000},  {"small", 10000}, {"small", 30000},
    {"mixed", 100},   {"mixed", 1000},  {"mixed", 10000}, {"lifo", 50},
    {"realloc", 500}, {"aligned", 500}, {"load", 8},      {"modules", 8},
};

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
    "nothing",
    nothing_init,
    nothing_allocate,
    nothing_release,
    nothing_resize,
    nothing_allocate_aligned,
    nothing_allocate_for,
    nothing_unload,
    true,
};

#define RETURN 1U /* the instruction of each of them */

/* Do one operation; the instructions between the two readings. */
static uint32_t cost_of(const struct bench_allocator* allocator, struct workload_op op,
                        void** slots)
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
    return board_instructions(board_ticks(from, to));
}

/* What the readings and a return cost. */
static uint32_t around[WORKLOAD_KINDS];

/* It must be the same each time, whatever the arguments. */
static bool measure_around(void)
{
    enum { SLOTS = 16, TIMES = 200 };
    static void* slots[SLOTS];
    bool passed = true;
    for (uint32_t i = 0; i < TIMES * WORKLOAD_KINDS; i++) {
        const enum workload_kind kind = (enum workload_kind)(i % WORKLOAD_KINDS);
        const struct workload_op op = workload_make(kind, i / 7 % SLOTS, i % 32, 3 * i);
        const uint32_t cost = cost_of(&nothing, op, slots);
        if (i < WORKLOAD_KINDS) {
            around[kind] = cost;
        } else if (cost != around[kind]) {
            printf("a return costs %u or %u instructions\n", (unsigned)around[kind],
                   (unsigned)cost);
            passed = false;
        }
    }
    return passed;
}

/* ---- a run ------------------------------------------------------------------------ */

struct bench {
    struct workload_sequence sequence;
    struct workload_plan plan;
    struct workload_op* op;
    void** slots;
    struct tally tally[WORKLOAD_KINDS];
    uint32_t worst[WORKLOAD_KINDS];
};

static bool prepare(struct bench* bench, const struct workload* workload, uint32_t live)
{
    bench->plan = workload_usual_plan(workload, live, MEASURED);
    bench->sequence = workload_generate(&bench->plan, NULL, 0);
    bench->op = malloc(bench->sequence.count * sizeof(*bench->op));
    bench->slots = calloc(bench->sequence.slots, sizeof(*bench->slots));
    if (bench->op == NULL || bench->slots == NULL) {
        printf("no memory for the operations of %s, %u live\n", workload->name, (unsigned)live);
        return false;
    }
    bench->sequence = workload_generate(&bench->plan, bench->op, bench->sequence.count);
    return true;
}

/* One operation of the sequence; all count for the worst, the measured ones for the mean. */
static bool play_op(struct bench* bench, const struct bench_allocator* allocator, uint32_t index)
{
    const struct workload_op op = bench->op[index];
    const enum workload_kind kind = workload_kind(op);
    const uint32_t cost = cost_of(allocator, op, bench->slots) - around[kind] + RETURN;
    if (index >= bench->sequence.unmeasured) {
        tally_add(&bench->tally[kind], cost);
    }
    if (cost > bench->worst[kind]) {
        bench->worst[kind] = cost;
    }
    return bench->slots[workload_slot(op)] != NULL;
}

static bool play(struct bench* bench, const struct bench_allocator* allocator)
{
    const size_t room = (size_t)(target_arena_end - target_arena_start);
    const size_t wanted = workload_arena(&bench->plan);
    bool served = wanted <= room && allocator->init(target_arena_start, wanted);
    memset(bench->slots, 0, bench->sequence.slots * sizeof(*bench->slots));
    memset(bench->tally, 0, sizeof(bench->tally));
    memset(bench->worst, 0, sizeof(bench->worst));
    for (uint32_t i = 0; served && i < bench->sequence.count; i++) {
        served = play_op(bench, allocator, i);
    }
    return served;
}

/* The ways to call dmheap differ no more with many blocks than with few. */
static bool is_worth_it(unsigned number, uint32_t live)
{
    return number == 0 || number >= bench_dmheap_count || live <= VARIANTS_LIVE_MAX;
}

static void print_run(const struct bench* bench, const struct bench_allocator* allocator)
{
    struct figure figure = {allocator->name, bench->plan.workload->name, bench->plan.live, ""};
    for (unsigned kind = 0; kind < WORKLOAD_KINDS; kind++) {
        figure.call = workload_call[kind];
        figure_print(figure, &bench->tally[kind], bench->worst[kind]);
    }
}

/* All allocators on one sequence; those that lack a function of it are left out, and said to be. */
static bool run(const char* workload_name, uint32_t live, const char* wanted)
{
    struct bench bench = {.op = NULL};
    bool passed = prepare(&bench, workload_find(workload_name), live);
    for (unsigned i = 0; passed && allocator_number(i) != NULL; i++) {
        const struct bench_allocator* allocator = allocator_number(i);
        if (!is_wanted(allocator, wanted) || !is_worth_it(i, live)) {
            continue;
        }
        if (!replay_is_possible(allocator, bench.plan.workload)) {
            const struct figure figure = {allocator->name, workload_name, live, "call"};
            figure_print_left_out(figure, "it has no such call");
            continue;
        }
        passed = play(&bench, allocator);
        if (passed) {
            print_run(&bench, allocator);
        } else {
            printf("%s does not serve %s, %u live\n", allocator->name, workload_name,
                   (unsigned)live);
        }
    }
    free(bench.op);
    free(bench.slots);
    return passed;
}

/* ---- unregister ------------------------------------------------------------------- */

/* Which of `blocks` blocks are of the module that goes: the last, every second, any half, all. */
enum share { SHARE_LAST, SHARE_ALTERNATE, SHARE_RANDOM, SHARE_ALL };

/* How the figures of what is freed are called. */
static const char* const share_call[] = {NULL, "freed_alone", "freed_at_random", "freed_in_runs"};

static bool is_shared(enum share share, uint32_t index, uint32_t blocks, uint32_t random)
{
    switch (share) {
    case SHARE_LAST:
        return index == blocks - 1;
    case SHARE_ALTERNATE:
        return index % 2 == 0;
    case SHARE_RANDOM:
        return random % 2 == 0;
    default:
        return true;
    }
}

struct unload {
    uint32_t freed;
    uint32_t cost;
};

/* Two modules' blocks of 8 to 263 bytes; unload one module. */
static struct unload unload_share(const struct bench_allocator* allocator, uint32_t blocks,
                                  enum share share)
{
    static void* slot[1];
    const struct workload_op op = workload_make(WORKLOAD_UNLOAD, 0, 0, 0);
    struct unload unload = {0, 0};
    uint32_t random = 1;
    (void)allocator->init(target_arena_start, (size_t)blocks * 300 + 16384);
    for (uint32_t i = 0; i < blocks; i++) {
        random = random * 1664525U + 1013904223U;
        const bool is_first = is_shared(share, i, blocks, random >> 16);
        if (allocator->allocate_for(8 + (random >> 24), is_first ? 0 : 1) == NULL) {
            printf("%s: no memory for %u blocks\n", allocator->name, (unsigned)blocks);
        }
        unload.freed += is_first;
    }
    unload.cost = cost_of(allocator, op, slot) - around[WORKLOAD_UNLOAD] + RETURN;
    return unload;
}

/* What one more block costs that only is passed, in hundredths. */
static uint32_t cost_of_passing(const struct bench_allocator* allocator, uint32_t blocks)
{
    const struct unload few = unload_share(allocator, blocks, SHARE_LAST);
    const struct unload many = unload_share(allocator, 2 * blocks, SHARE_LAST);
    return (many.cost - few.cost) * 100 / blocks;
}

/* What freeing a block costs on top of passing all of them, in hundredths. */
static uint32_t cost_of_freeing(const struct bench_allocator* allocator, uint32_t blocks,
                                enum share share, uint32_t passing)
{
    const struct unload unload = unload_share(allocator, blocks, share);
    return (unload.cost * 100 - passing * blocks) / unload.freed;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void count_unregister(const struct bench_allocator* allocator)
{
    enum { BLOCKS = 1000 };
    struct figure figure = {allocator->name, "unregister", BLOCKS, "passed"};
    const uint32_t passing = cost_of_passing(allocator, BLOCKS);
    figure_print_mean(figure, passing,
                      larger(passing, larger(cost_of_passing(allocator, BLOCKS / 10),
                                             cost_of_passing(allocator, BLOCKS * 10))));
    for (enum share share = SHARE_ALTERNATE; share <= SHARE_ALL; share++) {
        const uint32_t usual = cost_of_freeing(allocator, BLOCKS, share, passing);
        figure.call = share_call[share];
        figure_print_mean(figure, usual,
                          larger(usual, cost_of_freeing(allocator, BLOCKS * 10, share, passing)));
    }
    const struct unload half = unload_share(allocator, BLOCKS, SHARE_ALTERNATE);
    figure.call = "half";
    figure_print_mean(figure, half.cost * 100, half.cost * 100);
}

/* ---- all of it -------------------------------------------------------------------- */

int count_main(int count, char** arguments)
{
    const char* wanted = count > 1 ? arguments[1] : NULL;
    if (!self_test_passes() || !measure_around()) {
        return 1;
    }
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        if (!run(runs[i].workload, runs[i].live, wanted)) {
            return 1;
        }
    }
    for (unsigned i = 0; allocator_number(i) != NULL; i++) {
        if (is_wanted(allocator_number(i), wanted) && allocator_number(i)->unload != NULL) {
            count_unregister(allocator_number(i));
        }
    }
    return 0;
}
