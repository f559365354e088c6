/* SPDX-License-Identifier: MIT */
/* A module of the later generation: all that it calls are pointers that the loader fills in. */
#include "dmheap.h"

#if DMOD_MODULE_EN != ON || !defined(DMOD_TREE_OF_THE_TEST)
#error "This is to be compiled as a module, with the headers of the test's tree."
#endif

void* module_start(void);
void* module_start(void)
{
    dmheap_context_t* heap = dmheap_get_context_by_name("dma");
    return heap != NULL ? dmheap_aligned_alloc(heap, 32, 100, "module") : NULL;
}
