/* SPDX-License-Identifier: MIT */
/* Succeeds if Dmod_MallocEx takes its memory from dmheap, whatever else was linked. */
#include "dmheap.h"

void* Dmod_MallocEx(size_t Size, const char* ModuleName);
void Dmod_FreeEx(void* Ptr, bool Concatenate);

static char memory[16384];

int main(void)
{
    if (!dmheap_init(memory, sizeof memory, 8)) {
        return 2;
    }
    void* block = Dmod_MallocEx(100, "app");
    const bool is_from_dmheap = (uintptr_t)block >= (uintptr_t)memory &&
                                (uintptr_t)block < (uintptr_t)memory + sizeof memory;
    Dmod_FreeEx(block, false);
    return is_from_dmheap ? 0 : 1;
}
