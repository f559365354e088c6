/* SPDX-License-Identifier: MIT */
/*
 * What the programs that measure space share: the command line, the heaps to compare, an arena,
 * and figures as JSON and as `name value` lines.
 *
 * Knows: names and numbers. Does not know: what is measured.
 * Always holds: a figure is named width.allocator.figure, a blank in a name as '-'. The width is
 * that of pointers; a heap's layout depends on no more of the machine.
 */
#ifndef BENCH_SPACE_H
#define BENCH_SPACE_H

#include "allocator.h"

#include <stdio.h>

#define SPACE_ARENA_MOST ((size_t)1 << 20)
#define SPACE_MOST       32U

struct space {
    const char* program;
    struct bench_allocator heap[SPACE_MOST]; /* dmheap first, then the plug-ins in their order */
    const char* plugin[SPACE_MOST];          /* the file it is from; NULL: it is linked in */
    unsigned count;
    unsigned seeds;
    unsigned char* arena; /* SPACE_ARENA_MOST bytes, 64-aligned */
    FILE* json;           /* NULL: not asked for, as `values` */
    FILE* values;
};

/*
 * dmheap is there in the first so many ways to call it. `seeds` is the default of --seeds; 0: there
 * is no such option. Ends the program where the command line is wrong or a file cannot be opened.
 */
struct space space_open(int argc, char** argv, const char* help, unsigned ways, unsigned seeds);

/* Exit status: a failure where a file could not be written. */
int space_close(struct space* space);

/* Begin a heap in the first `size` bytes of the arena; false: it refuses. */
bool space_begin(const struct space* space, const struct bench_allocator* heap, size_t size);

/* The default alignment that dmheap is begun with; 0: this is another allocator. */
size_t space_alignment(const struct bench_allocator* heap);

/* One figure; `figure` and `unit` are words. */
void space_write(const struct space* space, const struct bench_allocator* heap, const char* figure,
                 double value, const char* unit);

/* Of a figure that is the mean of several: the least and the most as well. Returns the mean. */
double space_write_mean(const struct space* space, const struct bench_allocator* heap,
                        const char* figure, const double* list, unsigned count, const char* unit);

/* End the program with one line. */
void space_fail(const struct space* space, const char* what, const char* name);

#endif
