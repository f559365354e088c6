/* SPDX-License-Identifier: MIT */
/*
 * Plug-ins: allocators in shared objects, see allocator.h.
 */
#ifndef BENCH_PLUGIN_H
#define BENCH_PLUGIN_H

#include "allocator.h"

/* The allocator in the file, which stays loaded; NULL, and *why tells in words that stay, too. */
const struct bench_allocator* plugin_open(const char* path, const char** why);

#endif
