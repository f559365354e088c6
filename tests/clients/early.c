/* SPDX-License-Identifier: MIT */
/*
 * An early boot loader: it brings DMOD's memory interface itself, in the form of its day, where a
 * module's name stands for the flag and the alignment comes first. For a library that is built with
 * DMHEAP_DONT_IMPLEMENT_DMOD_API.
 */
#include "dmod.h"
#include "dmheap.h"

#include "report.h"

static char heap_buffer[16 * 1024];
static bool is_ready;

static void make_ready(void)
{
    if (!is_ready && dmheap_init(heap_buffer, sizeof heap_buffer, 8)) {
        is_ready = true;
    }
}

DMOD_INPUT_API_DECLARATION(Dmod, 1.0, void*, _MallocEx, (size_t Size, const char* ModuleName))
{
    make_ready();
    return dmheap_malloc(Size, ModuleName);
}

DMOD_INPUT_API_DECLARATION(Dmod, 1.0, void, _FreeEx, (void* Ptr, const char* ModuleName))
{
    (void)ModuleName;
    dmheap_free(Ptr, false);
}

DMOD_INPUT_API_DECLARATION(Dmod, 1.0, void*, _AlignedMallocEx,
                           (size_t Alignment, size_t Size, const char* ModuleName))
{
    make_ready();
    return dmheap_aligned_alloc(Alignment, Size, ModuleName);
}

DMOD_INPUT_API_DECLARATION(Dmod, 1.0, void, _FreeModule, (const char* ModuleName))
{
    dmheap_unregister_module(ModuleName);
}

static void demonstrate(void)
{
    char* const ptr = Dmod_MallocEx(256, "main");
    CHECK_THAT(ptr >= heap_buffer && ptr < heap_buffer + sizeof heap_buffer);
    report_fill(ptr, 256, 3);
    void* const aligned = Dmod_AlignedMallocEx(64, 128, "main");
    CHECK_THAT(aligned != NULL && (uintptr_t)aligned % 64 == 0);
    CHECK_THAT(report_holds(ptr, 256, 3));
    Dmod_FreeEx(ptr, "main");
    Dmod_FreeModule("main");
    CHECK_THAT(dmheap_malloc(15 * 1024, NULL) != NULL);
}

int main(void)
{
    report_topic("an interface of its own", demonstrate);
    return report_end();
}
