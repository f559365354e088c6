/* SPDX-License-Identifier: MIT */
/*
 * The stage of one measurement on a host: a workload's operations, the slots and the arena, ready
 * before anything is measured and used by one allocator after the other.
 */
#ifndef BENCH_STAGE_H
#define BENCH_STAGE_H

#include "allocator.h"
#include "workload.h"

/* A workload at a number of live blocks. */
struct point {
    const struct workload* workload;
    uint32_t live;
};

struct stage {
    struct workload_plan plan;
    struct workload_sequence sequence;
    void** slots;
    void* arena;
    size_t arena_bytes;
    double deadline; /* in seconds of the processor: what goes on longer is given up */
};

/* About `measured` calls or pairs are what is measured. Ends the program where memory is short. */
struct stage stage_open(struct point point, uint32_t measured);
void stage_close(struct stage* stage);

/* Operations that are measured. */
uint32_t stage_measured(const struct stage* stage);

enum stage_outcome {
    STAGE_SERVED = 0,
    STAGE_CANNOT_FILL = 3, /* these may be exit statuses */
    STAGE_REFUSED = 4,
    STAGE_TOO_SLOW = 5
};

/* In words that go behind "left out:". NULL: served. */
const char* stage_explain(enum stage_outcome outcome);

/* Begin the heap anew, fill it and let it settle. */
enum stage_outcome stage_settle(struct stage* stage, const struct bench_allocator* allocator);

/* The measured operations, one after the other. */
enum stage_outcome stage_play(struct stage* stage, const struct bench_allocator* allocator);

/* Give back what an allocator with memory of its own still lends; the others begin anew. */
void stage_clear(struct stage* stage, const struct bench_allocator* allocator);

/* An allocator that does nothing, to measure the benchmark itself. */
extern const struct bench_allocator stage_nothing;

#endif
