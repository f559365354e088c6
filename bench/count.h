/* SPDX-License-Identifier: MIT */
/*
 * Instructions of single calls, exactly: counted by callgrind around each call, in a process of
 * its own for each allocator and workload.
 *
 * Counted is what the processor executes from the entry of the plug-in's function to its return,
 * with the arguments that a client would set up there; callgrind's "Ir" on the host's own code. Not
 * counted is what fills the heap and lets it settle, and the benchmark itself: the same calls
 * of an allocator that does nothing, counted likewise in the same process, are subtracted.
 * What a call asks of the C library, such as memcpy in realloc, belongs to it.
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
