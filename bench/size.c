/* SPDX-License-Identifier: MIT */
/*
 * A firmware that uses all of dmheap, to be linked and never run: what the linker keeps of the
 * library, with every section that nothing refers to removed, is what a firmware pays.
 *
 * SIZE_DMOD is 1 where DMOD's memory interface is used as well. Arguments come from volatile
 * memory, so that no call is left out and none is simplified.
 */
#include "dmheap.h"

#if SIZE_DMOD
#include "../tests/dmod_api.h"
#endif

static const char* volatile name;
static void* volatile place;
static volatile size_t size;
static volatile bool flag;

static void use_library(void)
{
    flag = dmheap_init(place, size, size);
    flag = dmheap_is_initialized();
    flag = dmheap_register_module(name);
    place = dmheap_malloc(size, name);
    place = dmheap_aligned_alloc(size, size, name);
    place = dmheap_realloc(place, size, name);
    dmheap_free(place, flag);
    dmheap_concatenate_free_blocks();
    dmheap_unregister_module(name);
}

static void use_dmod(void)
{
#if SIZE_DMOD
    place = Dmod_MallocEx(size, name);
    place = Dmod_ReallocEx(place, size, name);
    place = Dmod_AlignedMallocEx(size, size, name);
    flag = Dmod_RetagEx(place, name);
    flag = Dmod_RenameTag(name, name);
    Dmod_FreeEx(place, flag);
    Dmod_FreeModule(name);
#endif
}

int main(void)
{
    for (;;) {
        use_library();
        use_dmod();
    }
}
