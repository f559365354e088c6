/* SPDX-License-Identifier: MIT */
/* The memory interface by libc, weak: what dmheap must win against. */
#define DMOD_CURRENT_ALLOCATOR "dmod"
#include "dmod.h"

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void*, _MallocEx, (size_t Size, const char* ModuleName))
{
    (void)ModuleName;
    return malloc(Size);
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void*, _ReallocEx,
                                (void* Ptr, size_t Size, const char* ModuleName))
{
    (void)ModuleName;
    return realloc(Ptr, Size);
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void*, _AlignedMallocEx,
                                (size_t Size, size_t Alignment, const char* ModuleName))
{
    (void)Alignment;
    (void)ModuleName;
    return malloc(Size);
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void, _FreeEx, (void* Ptr, bool Concatenate))
{
    (void)Concatenate;
    free(Ptr);
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void, _FreeModule, (const char* ModuleName))
{
    (void)ModuleName;
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, bool, _RetagEx, (void* Ptr, const char* ModuleName))
{
    (void)Ptr;
    (void)ModuleName;
    return false;
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, bool, _RenameTag, (const char* Old, const char* New))
{
    (void)Old;
    (void)New;
    return false;
}
