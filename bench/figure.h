/* SPDX-License-Identifier: MIT */
/*
 * A picture of what a workload costs against the number of live blocks.
 */
#ifndef BENCH_FIGURE_H
#define BENCH_FIGURE_H

#include "results.h"

/* Numbers of live blocks that make a picture, up to a 0. */
extern const uint32_t figure_live[];

/* Draw the workload's overall figures as SVG, with gnuplot. false, and a line on stderr: failed. */
bool figure_draw(const struct results* results, const struct workload* workload,
                 const struct bench_allocator* const* subjects, unsigned count, const char* path);

#endif
