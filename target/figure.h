/* SPDX-License-Identifier: MIT */
/*
 * Figures: counted calls, and the lines of JSON that report them.
 */
#ifndef TARGET_FIGURE_H
#define TARGET_FIGURE_H

#include <stdint.h>

struct tally {
    uint32_t calls;
    uint32_t least;
    uint32_t most;
    uint64_t sum;
};

static inline void tally_add(struct tally* tally, uint32_t cost)
{
    if (tally->calls == 0 || cost < tally->least) {
        tally->least = cost;
    }
    if (cost > tally->most) {
        tally->most = cost;
    }
    tally->calls++;
    tally->sum += cost;
}

/* What was counted, as bench/ceilings names it: target.workload.live.call. */
struct figure {
    const char* allocator;
    const char* workload;
    uint32_t live;
    const char* call;
};

/* One line; nothing for a tally without calls. */
void figure_print(struct figure figure, const struct tally* tally);

/* The same where mean and worst are no calls' but computed, in hundredths of instructions. */
void figure_print_hundredths(struct figure figure, uint32_t mean, uint32_t worst);

#endif
