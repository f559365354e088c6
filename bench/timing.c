/* SPDX-License-Identifier: MIT */
/*
 * Time, see timing.h. The clock runs for all measured operations of a run together; filling the
 * heap and letting it settle is not measured. Payloads are not touched. A processor overlaps what
 * it can: the net of a cheap allocator is less than it would take alone.
 */
#define _POSIX_C_SOURCE 200809L
#include "timing.h"

#include "replay.h"

#include <time.h>

#define SUBJECTS 64U

/* An allocator that took so long has had enough runs. */
#define PATIENCE_NS 4e9

struct timing {
    const struct bench_allocator* allocator;
    double least; /* of the runs, in nanoseconds; 0: none yet */
    double spent; /* by all runs, with what is not measured */
    const char* note;
};

/* Of the processor, for what else runs on the machine is none of the allocator's time. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void run(struct stage* stage, struct timing* timing)
{
    const double begin = now();
    enum stage_outcome outcome = stage_settle(stage, timing->allocator);
    const double start = now();
    if (outcome == STAGE_SERVED) {
        outcome = stage_play(stage, timing->allocator);
    }
    const double end = now();
    stage_clear(stage, timing->allocator);
    timing->spent += end - begin;
    timing->note = stage_explain(outcome);
    if (timing->least <= 0 || end - start < timing->least) {
        timing->least = end - start;
    }
}

static bool goes_on(const struct timing* timing)
{
    return timing->note == NULL && timing->spent < PATIENCE_NS;
}

static void note(struct results* results, const struct stage* stage, const struct timing* timing,
                 double nothing)
{
    const struct workload* workload = stage->plan.workload;
    const double calls = (double)stage_measured(stage) / (workload_is_pairs(workload) ? 2 : 1);
    const struct result result = {timing->allocator->name,
                                  {workload, stage->plan.live},
                                  results_overall(workload),
                                  (timing->least - nothing) / calls,
                                  -1,
                                  timing->note,
                                  NULL,
                                  0};
    results_add(results, result);
}

void timing_point(struct results* results, struct point point, uint32_t measured, unsigned runs,
                  const struct bench_allocator* const* subjects, unsigned count)
{
    struct stage stage = stage_open(point, measured);
    struct timing nothing = {&stage_nothing, 0, 0, NULL};
    struct timing timing[SUBJECTS];
    for (unsigned i = 0; i < count; i++) {
        const struct timing fresh = {subjects[i], 0, 0, NULL};
        timing[i] = fresh;
        if (!replay_is_possible(subjects[i], point.workload)) {
            timing[i].note = "it has no such call";
        }
    }
    for (unsigned turn = 0; turn < runs; turn++) {
        run(&stage, &nothing);
        for (unsigned i = 0; i < count; i++) {
            if (goes_on(&timing[i])) {
                run(&stage, &timing[i]);
            }
        }
    }
    for (unsigned i = 0; i < count; i++) {
        note(results, &stage, &timing[i], nothing.least);
    }
    stage_close(&stage);
}
