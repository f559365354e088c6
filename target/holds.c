/* SPDX-License-Identifier: MIT */
/*
 * The longest time that each call holds the lock, in instructions: with interrupts masked, that is
 * how late one may come.
 *
 * The sequences of the benchmark are played on a dmheap whose port notes the holds; then a
 * module is unloaded from among others' blocks in several ways.
 */
#include "../bench/replay.h"
#include "../bench/variants.h"
#include "figure.h"
#include "hold.h"
#include "self_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the linker script: room for the heaps. */
extern char target_arena_start[];
extern char target_arena_end[];

#define MEASURED 5000U

/* The bound of docs/DESIGN.md for a slice of an unregister: with any settings, on a Cortex-M3. */
#if defined(__ARM_ARCH_7M__)
#define SLICE_MAX (2500U + 50U * DMHEAP_POISON)
#else
#define SLICE_MAX UINT32_MAX
#endif

static const struct {
    const char* workload;
    uint32_t live;
} runs[] = {{"small", 100},   {"small", 1000},  {"small", 30000}, {"mixed", 1000},
            {"realloc", 500}, {"aligned", 500}, {"modules", 8}};

static uint32_t longest[WORKLOAD_KINDS];

int holds_main(int count, char** arguments);

/* Do one operation, and note what it held. */
static bool note(const struct bench_allocator* allocator, struct workload_op op, void** slots)
{
    const enum workload_kind kind = workload_kind(op);
    hold_forget();
    const bool served = replay_op(allocator, op, slots);
    const uint32_t held = hold_longest();
    if (held > longest[kind]) {
        longest[kind] = held;
    }
    return served;
}

static bool run(const struct bench_allocator* allocator, const char* name, uint32_t live)
{
    const struct workload_plan plan = workload_usual_plan(workload_find(name), live, MEASURED);
    const uint32_t count = workload_generate(&plan, NULL, 0).count;
    struct workload_op* op = malloc(count * sizeof(*op));
    const struct workload_sequence sequence = workload_generate(&plan, op, op != NULL ? count : 0);
    void** slots = calloc(sequence.slots, sizeof(*slots));
    bool served =
        op != NULL && slots != NULL && allocator->init(target_arena_start, workload_arena(&plan));
    for (uint32_t i = 0; served && i < count; i++) {
        served = note(allocator, op[i], slots);
    }
    if (!served) {
        printf("%s does not serve %s, %u live\n", allocator->name, name, (unsigned)live);
    }
    free(op);
    free(slots);
    return served;
}

/*
 * Unload module 0 from among 1000 blocks of `size` bytes. Whose each one is says a pattern of
 * modules' numbers; what is module 2's is free by then.
 */
static bool unload(const struct bench_allocator* allocator, const char* pattern, uint32_t size)
{
    static void* slot[1];
    const size_t length = strlen(pattern);
    bool served = allocator->init(target_arena_start, 1000 * ((size_t)size + 64) + 16384);
    for (uint32_t i = 0; served && i < 1000; i++) {
        served = allocator->allocate_for(size, (unsigned)(pattern[i % length] - '0')) != NULL;
    }
    allocator->unload(2);
    const struct workload_op op = workload_make(WORKLOAD_UNLOAD, 0, 0, 0);
    return served && note(allocator, op, slot);
}

static bool unload_all(const struct bench_allocator* allocator)
{
    static const char* const patterns[] = {
        "0",   "01",  "011",  "01111111",    "011111111", "001",  "0001",     "00000001", "02",
        "021", "201", "2021", "00200200001", "2002001",   "1202", "20000000", "020111",   "2100",
    };
    static const uint32_t sizes[] = {4, 24, 100, 300, 1000};
    bool served = true;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
            served = unload(allocator, patterns[i], sizes[k]) && served;
        }
    }
    return served;
}

int holds_main(int count, char** arguments)
{
    /* Each with the most blocks that it was tried with. */
    static const uint32_t live[WORKLOAD_KINDS] = {
        [WORKLOAD_ALLOCATE] = 30000, [WORKLOAD_RELEASE] = 30000,  [WORKLOAD_RESIZE] = 500,
        [WORKLOAD_ALIGNED] = 500,    [WORKLOAD_ALLOCATE_FOR] = 8, [WORKLOAD_UNLOAD] = 1000,
    };
    const struct bench_allocator* allocator = &bench_dmheap[0];
    bool served = self_test_passes();
    (void)count;
    (void)arguments;
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        served = served && run(allocator, runs[i].workload, runs[i].live);
    }
    served = served && unload_all(allocator);
    for (unsigned kind = 0; kind < WORKLOAD_KINDS; kind++) {
        const struct figure figure = {allocator->name, "lock", live[kind], workload_call[kind]};
        figure_print_worst(figure, longest[kind]);
    }
    if (longest[WORKLOAD_UNLOAD] > SLICE_MAX) {
        printf("a slice holds the lock for %u instructions\n", (unsigned)longest[WORKLOAD_UNLOAD]);
        served = false;
    }
    return served ? 0 : 1;
}
