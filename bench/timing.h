/* SPDX-License-Identifier: MIT */
/*
 * Time that allocators take, in nanoseconds, net of the benchmark itself.
 */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include "results.h"

/*
 * Each of the allocators in turn, `runs` times over, so that what disturbs the machine disturbs all
 * of them; the minimum of the runs counts. The same number for an allocator that does nothing is
 * subtracted.
 */
void timing_point(struct results* results, struct point point, uint32_t measured, unsigned runs,
                  const struct bench_allocator* const* subjects, unsigned count);

#endif
