/* SPDX-License-Identifier: MIT */
/*
 * An application's own memory interface for DMOD's modules, over the public functions: what the
 * tests use where the library leaves it out, by DMHEAP_DONT_IMPLEMENT_DMOD_API. A linker would
 * refuse it beside one of the library's.
 */
#include "dmheap_ctx.h"
#include "dmod_api.h"

void* Dmod_MallocEx(size_t Size, const char* ModuleName)
{
    return dmheap_ctx_malloc(NULL, Size, ModuleName);
}

void* Dmod_ReallocEx(void* Ptr, size_t Size, const char* ModuleName)
{
    return dmheap_ctx_realloc(NULL, Ptr, Size, ModuleName);
}

void* Dmod_AlignedMallocEx(size_t Size, size_t Alignment, const char* ModuleName)
{
    return dmheap_ctx_aligned_alloc(NULL, Alignment, Size, ModuleName);
}

void Dmod_FreeEx(void* Ptr, bool Concatenate)
{
    dmheap_ctx_free(NULL, Ptr, Concatenate);
}

void Dmod_FreeModule(const char* ModuleName)
{
    dmheap_ctx_unregister_module(NULL, ModuleName);
}

bool Dmod_RetagEx(void* Ptr, const char* ModuleName)
{
    return dmheap_ctx_retag(NULL, Ptr, ModuleName);
}

bool Dmod_RenameTag(const char* OldName, const char* NewName)
{
    return dmheap_ctx_rename_module(NULL, OldName, NewName);
}
