/* SPDX-License-Identifier: MIT */
/*
 * Instructions of single calls, exactly: counted by callgrind around each call, in a process of
 * its own for each allocator and workload.
 *
 * Counted is what a call executes beyond the same call of an allocator that does nothing, by
 * callgrind's "Ir" on the host's own code: both are counted alike in the same process, and
 * subtracted. So of the plug-in's function, from its entry to its return, as many instructions are
 * missing as the empty one consists of: its return, and where it gives back a pointer one that
 * loads that, 1 or 2 on x86-64. A pair is 3 above its figure. Firmware, see target/count.c, adds
 * the return again. What a call asks of the C library, such as memcpy in realloc, belongs to it;
 * what fills the heap and lets it settle is not counted.
 */
#ifndef BENCH_COUNT_H
#define BENCH_COUNT_H

#include "results.h"

/*
 * Start `command`, which must end in count_inside for this allocator and point, under valgrind, and
 * add a figure for each kind of call.
 */
void count_point(struct results* results, struct point point, uint32_t measured,
                 const struct bench_allocator* allocator, const char* const* command);

/* The inside of that process. Its exit status. */
int count_inside(struct point point, uint32_t measured, const struct bench_allocator* allocator);

#endif
