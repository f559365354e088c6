/* SPDX-License-Identifier: MIT */
/* One program of two files, each of another generation of dmheap's interface. */
#ifndef MIXED_H
#define MIXED_H

#include <stdbool.h>
#include <stddef.h>

/* The file that calls the nine functions. */
bool first_is_initialized(void);
void* first_allocate(size_t size, const char* module_name);
void first_free(void* ptr);
bool first_starts_afresh(void);

#endif
