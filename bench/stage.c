/* SPDX-License-Identifier: MIT */
/*
 * The stage of one measurement, see stage.h. Its own memory is the process's: glibc's heap, which
 * is measured too, only ever sees a few large blocks of it beside its work.
 */
#define _POSIX_C_SOURCE 200809L
#include "stage.h"

#include "replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARENA_ALIGNMENT 4096U

#define SLICE    1024U /* operations between two looks at the clock */
#define PATIENCE 20.0  /* seconds of one run */

static void* need(void* ptr)
{
    if (ptr == NULL) {
        fputs("bench: out of memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return ptr;
}

static struct workload_sequence generate(const struct workload_plan* plan)
{
    const uint32_t count = workload_generate(plan, NULL, 0).count;
    return workload_generate(plan, need(calloc(count, sizeof(struct workload_op))), count);
}

/* Written to once, so that no allocator pays for the pages. */
static void* open_arena(size_t bytes)
{
    void* arena;
    if (posix_memalign(&arena, ARENA_ALIGNMENT, bytes) != 0) {
        need(NULL);
    }
    memset(arena, 0xa5, bytes);
    return arena;
}

struct stage stage_open(struct point point, uint32_t measured)
{
    struct stage stage;
    stage.plan = workload_usual_plan(point.workload, point.live, measured);
    stage.sequence = generate(&stage.plan);
    stage.slots = need(calloc(stage.sequence.slots, sizeof(void*)));
    stage.arena_bytes = workload_arena(&stage.plan);
    stage.arena = open_arena(stage.arena_bytes);
    return stage;
}

void stage_close(struct stage* stage)
{
    free(stage->arena);
    free(stage->slots);
    free((void*)(uintptr_t)stage->sequence.op);
}

uint32_t stage_measured(const struct stage* stage)
{
    return stage->sequence.count - stage->sequence.unmeasured;
}

static double seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* In slices, for an allocator may take as long for a call as others for thousands. */
static enum stage_outcome play(struct stage* stage, const struct bench_allocator* allocator,
                               uint32_t first, uint32_t end)
{
    bool served = true;
    while (first < end && served) {
        const uint32_t slice = end - first < SLICE ? end : first + SLICE;
        for (; first < slice; first++) {
            served &= replay_op(allocator, stage->sequence.op[first], stage->slots);
        }
        if (seconds() > stage->deadline) {
            return STAGE_TOO_SLOW;
        }
    }
    return served ? STAGE_SERVED : STAGE_REFUSED;
}

enum stage_outcome stage_settle(struct stage* stage, const struct bench_allocator* allocator)
{
    memset(stage->slots, 0, stage->sequence.slots * sizeof(void*));
    stage->deadline = seconds() + PATIENCE;
    if (!allocator->init(stage->arena, stage->arena_bytes)) {
        return STAGE_CANNOT_FILL;
    }
    const enum stage_outcome outcome = play(stage, allocator, 0, stage->sequence.unmeasured);
    return outcome == STAGE_REFUSED ? STAGE_CANNOT_FILL : outcome;
}

enum stage_outcome stage_play(struct stage* stage, const struct bench_allocator* allocator)
{
    return play(stage, allocator, stage->sequence.unmeasured, stage->sequence.count);
}

const char* stage_explain(enum stage_outcome outcome)
{
    switch (outcome) {
    case STAGE_SERVED:
        return NULL;
    case STAGE_CANNOT_FILL:
        return "it cannot fill such a heap";
    case STAGE_REFUSED:
        return "it refused a request";
    default:
        return "it takes too long";
    }
}

void stage_clear(struct stage* stage, const struct bench_allocator* allocator)
{
    if (!allocator->owns_memory) {
        return;
    }
    for (uint32_t i = 0; i < stage->sequence.slots; i++) {
        allocator->release(stage->slots[i]);
    }
}

/* ---- nothing ---------------------------------------------------------------------------- */

static char somewhere;

static bool nothing_init(void* arena, size_t size)
{
    (void)arena;
    (void)size;
    return true;
}

static void* nothing_allocate(size_t size)
{
    (void)size;
    return &somewhere;
}

static void nothing_release(void* ptr)
{
    (void)ptr;
}

static void* nothing_resize(void* ptr, size_t size)
{
    (void)ptr;
    (void)size;
    return &somewhere;
}

static void* nothing_aligned(size_t alignment, size_t size)
{
    (void)alignment;
    (void)size;
    return &somewhere;
}

static void* nothing_allocate_for(size_t size, unsigned module)
{
    (void)size;
    (void)module;
    return &somewhere;
}

static void nothing_unload(unsigned module)
{
    (void)module;
}

const struct bench_allocator stage_nothing = {
    "nothing",      nothing_init,    nothing_allocate,     nothing_release,
    nothing_resize, nothing_aligned, nothing_allocate_for, nothing_unload,
    false};
