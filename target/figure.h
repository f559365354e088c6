/* SPDX-License-Identifier: MIT */
/*
 * Figures: what was counted, and the lines of JSON that tell it. target/results.py reads them.
 */
#ifndef TARGET_FIGURE_H
#define TARGET_FIGURE_H

#include <stdint.h>

struct tally {
    uint32_t calls;
    uint32_t sum;
};

static inline void tally_add(struct tally* tally, uint32_t cost)
{
    tally->calls++;
    tally->sum += cost;
}

/* Whose calls, doing what, with how many live blocks. */
struct figure {
    const char* allocator;
    const char* workload;
    uint32_t live;
    const char* call;
};

/* Calls: their number and sum, and the worst. Nothing for a tally without calls. */
void figure_print(struct figure figure, const struct tally* tally, uint32_t worst);

/* A mean that was computed from several measurements, and the worst, in hundredths. */
void figure_print_mean(struct figure figure, uint32_t mean, uint32_t worst);

/* That there is no figure, and why. */
void figure_print_left_out(struct figure figure, const char* why);

/* The longest of something. */
void figure_print_worst(struct figure figure, uint32_t worst);

#endif
