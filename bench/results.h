/* SPDX-License-Identifier: MIT */
/*
 * What was measured: figures by allocator, workload, number of live blocks and call; as a table,
 * as JSON, one object a line, and as `name value` lines for the ceilings.
 *
 * Knows: names and numbers. Does not know: how they were measured.
 */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include "stage.h"

#include <stdio.h>

/* The figure by which allocators are compared: all calls of a pair, or the mean call. */
#define RESULTS_PAIR "pair"
#define RESULTS_CALL "call"

struct result {
    const char* allocator;
    struct point point;
    const char* call; /* malloc, free, ..., RESULTS_PAIR or RESULTS_CALL */
    double mean;
    double worst;     /* single call; negative: not measured */
    const char* note; /* NULL, or why there is no figure */
    /* Of a scene's overall figure: the cost of each call, from malloc; else NULL. */
    uint32_t* singles;
    uint32_t single_count;
};

struct results {
    const char* target;    /* the machine's kind, as in names */
    const char* unit;      /* of mean and worst */
    const char* reference; /* the allocator that is 1.00 */
    struct result* list;
    size_t count, capacity;
};

void results_add(struct results* results, struct result result);
void results_close(struct results* results);

/* The name of the figure that stands for the whole workload. */
const char* results_overall(const struct workload* workload);

/* NULL: there is none, or only a note. */
const struct result* results_find(const struct results* results, const char* allocator,
                                  struct point point, const char* call);

/* To the reference; negative: it has no such figure. */
double results_ratio(const struct results* results, const struct result* result);

/* Table of one point. */
void results_print(const struct results* results, struct point point);

/* One line about the machine, one for each figure. */
void results_write_json(const struct results* results, FILE* file);

/*
 * target.allocator.workload.live.call.mean and .worst, a blank in a name as '-'. For workloads
 * measured with different numbers of live blocks also target.allocator.workload.growth: the mean
 * with the most, divided by that with the fewest; of a scene also ...scene.differences: the calls
 * whose cost differs between the two.
 */
void results_write_values(const struct results* results, FILE* file);

#endif
