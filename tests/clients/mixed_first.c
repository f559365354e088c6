/* SPDX-License-Identifier: MIT */
/* The file of the first generation. */
#include "mixed.h"
#include "dmheap.h"

static char own_memory[4096];

bool first_is_initialized(void)
{
    return dmheap_is_initialized();
}

void* first_allocate(size_t size, const char* module_name)
{
    return dmheap_malloc(size, module_name);
}

void first_free(void* ptr)
{
    dmheap_free(ptr, false);
}

bool first_starts_afresh(void)
{
    return dmheap_init(own_memory, sizeof own_memory, 8);
}
