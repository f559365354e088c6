/* SPDX-License-Identifier: MIT */
/* DMOD's defaults of its memory interface: weak, and by libc. */
#include "dmod.h"

#include <stdlib.h>

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void*, _MallocEx, (size_t Size, const char* ModuleName));
DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void, _FreeEx, (void* Ptr, bool Concatenate));

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void*, _MallocEx, (size_t Size, const char* ModuleName))
{
    (void)ModuleName;
    return malloc(Size);
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void, _FreeEx, (void* Ptr, bool Concatenate))
{
    (void)Concatenate;
    free(Ptr);
}
