/* SPDX-License-Identifier: MIT */
/* A module: calls dmheap through pointers that the loader fills in. */
#include "dmheap.h"

#if DMOD_MODULE_EN != ON || !defined(DMOD_TREE_OF_THE_TEST)
#error "This is to be compiled as a module, with the headers of the test's tree."
#endif

void* module_start(void);
void* module_start(void)
{
    void* first = dmheap_malloc(100, "module");
    return first != NULL ? dmheap_realloc(first, 200, "module") : NULL;
}
