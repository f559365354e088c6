/* SPDX-License-Identifier: MIT */
/*
 * A client of the single-heap interface, as DMOD's boot loader is: the heap lies between two
 * symbols of the linker script, aligned to 4 only; the interpreter's buffers and a module's image
 * live on it, and argument lists are freed after the module that owned them.
 */
#include "dmod.h"
#include "dmheap.h"

#include "report.h"

#include <string.h>

static uint32_t ram[16 * 1024];

static void start_heap(void)
{
    void* const heap_start = &ram[1];
    void* const heap_end = &ram[16 * 1024];
    const size_t heap_size = (size_t)((uintptr_t)heap_end - (uintptr_t)heap_start);
    CHECK_THAT(!dmheap_is_initialized());
    if (!dmheap_init(heap_start, heap_size, sizeof(void*))) {
        DMOD_LOG_ERROR("no heap\n");
        CHECK_THAT(!"initialized");
    }
    CHECK_THAT(dmheap_is_initialized());
}

static void load_and_unload(void)
{
    void* const image = dmheap_aligned_alloc(16, 5000, NULL);
    CHECK_THAT(image != NULL && (uintptr_t)image % 16 == 0);
    char* line = NULL;
    for (size_t size = 16; size <= 1024; size *= 2) {
        char* const grown = dmheap_realloc(line, size, "shell");
        CHECK_THAT(grown != NULL);
        line = grown;
        report_fill(line, size, 1);
    }
    CHECK_THAT(report_holds(line, 1024, 1));
    dmheap_free(line, false);
    dmheap_unregister_module("shell");
    dmheap_free(image, false);
}

static void run_with_arguments(void)
{
    char** const argv = dmheap_malloc(2 * sizeof(char*), "app");
    CHECK_THAT(argv != NULL);
    char* const argument = dmheap_malloc(10, "app");
    CHECK_THAT(argument != NULL);
    strcpy(argument, "--verbose");
    argv[0] = argument;
    dmheap_unregister_module("app");
    dmheap_free(argument, false); /* is gone: harmless */
    dmheap_free(argv, false);
}

static void all_comes_back(void)
{
    dmheap_concatenate_free_blocks();
    void* const all = dmheap_malloc(60 * 1024, NULL);
    CHECK_THAT(all != NULL);
    dmheap_free(all, true);
}

int main(void)
{
    report_topic("the heap of the linker script", start_heap);
    report_topic("load and unload", load_and_unload);
    report_topic("run with arguments", run_with_arguments);
    report_topic("all comes back", all_comes_back);
    return report_end();
}
