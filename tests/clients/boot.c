/* SPDX-License-Identifier: MIT */
/*
 * A boot loader of either generation: of dmheap itself it calls dmheap_init alone, in a condition;
 * all memory is had through DMOD's interface.
 */
#include "dmod.h"
#include "dmheap.h"

#include "report.h"

static uint32_t ram[4 * 1024];

static void boot(void)
{
    if (!dmheap_init(&ram[1], sizeof ram - 4, sizeof(void*))) {
        DMOD_LOG_ERROR("no heap\n");
        CHECK_THAT(!"initialized");
    }
    char** const argv = (char**)Dmod_MallocEx(3 * sizeof(char*), "app");
    CHECK_THAT((uintptr_t)argv >= (uintptr_t)ram && (uintptr_t)argv < (uintptr_t)(ram + 4 * 1024));
    void* const image = Dmod_AlignedMallocEx(3000, 16, NULL);
    CHECK_THAT(image != NULL && (uintptr_t)image % 16 == 0);
    Dmod_FreeEx(image, false);
    Dmod_FreeModule("app");
    Dmod_FreeEx(argv, false);
    Dmod_FreeModule("Invalid");
}

static void fail_to_boot(void)
{
    CHECK_THAT(!dmheap_init(NULL, 1024, 8));
}

int main(void)
{
    report_topic("boot", boot);
    report_topic("fail to boot", fail_to_boot);
    return report_end();
}
