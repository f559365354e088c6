/* SPDX-License-Identifier: MIT */
/* An application with a memory interface of its own, beside dmheap built without one. */
#include "dmheap.h"

DMOD_INPUT_API_DECLARATION(Dmod, 1.0, void*, _MallocEx, (size_t Size, const char* ModuleName));

static char memory[16384];
static int calls;

DMOD_INPUT_API_DECLARATION(Dmod, 1.0, void*, _MallocEx, (size_t Size, const char* ModuleName))
{
    calls++;
    return dmheap_malloc(Size, ModuleName);
}

int main(void)
{
    return dmheap_init(memory, sizeof memory, 8) && Dmod_MallocEx(100, "own") != NULL && calls == 1
               ? 0
               : 1;
}
