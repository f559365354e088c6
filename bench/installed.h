/* SPDX-License-Identifier: MIT */
/*
 * Allocators that are installed on the host, behind the benchmark's interface: the malloc of the
 * process, and general-purpose ones that are loaded when the program runs.
 */
#ifndef BENCH_INSTALLED_H
#define BENCH_INSTALLED_H

#include "allocator.h"

#define INSTALLED_COUNT 3U

/* The one with that index; NULL, and one line on stdout, where it is not installed. */
const struct bench_allocator* installed_open(unsigned index);

#endif
