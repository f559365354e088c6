/* SPDX-License-Identifier: MIT */
/* DMOD's memory interface, as DMOD's own headers declare it; stand-alone there are none. */
#ifndef DMHEAP_TEST_DMOD_API_H
#define DMHEAP_TEST_DMOD_API_H

#include <stdbool.h>
#include <stddef.h>

void* Dmod_MallocEx(size_t Size, const char* ModuleName);
void* Dmod_ReallocEx(void* Ptr, size_t Size, const char* ModuleName);
void* Dmod_AlignedMallocEx(size_t Size, size_t Alignment, const char* ModuleName);
void Dmod_FreeEx(void* Ptr, bool Concatenate);
void Dmod_FreeModule(const char* ModuleName);
bool Dmod_RetagEx(void* Ptr, const char* ModuleName);
bool Dmod_RenameTag(const char* OldName, const char* NewName);

#endif
