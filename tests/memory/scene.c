/* SPDX-License-Identifier: MIT */
/*
 * Two heaps for the application `memory` to show: main, which serves by default, and dma.
 *
 *     scene ARGUMENTS ...        runs memory with these
 *     scene none ARGUMENTS ...   the same without a heap
 *     scene full ARGUMENTS ...   the same with one that has 16 bytes left
 */
#include "dmheap.h"
#include "dmheap_ctx.h"

#include <string.h>

int memory_main(int argc, char* argv[]);

static unsigned char memory[16384] __attribute__((aligned(64)));
static unsigned char dma_memory[4096] __attribute__((aligned(64)));

/* The figures of it are those of 4-byte headers. */
static bool make_scene(void)
{
    if (!dmheap_init(memory, sizeof memory, 8)) {
        return false;
    }
    struct dmheap_ctx* dma = dmheap_ctx_init(dma_memory, sizeof dma_memory, 32);
    void* sensor = dmheap_malloc(2000, "sensor");
    void* image = dmheap_malloc(3000, NULL);
    void* frame = dmheap_ctx_malloc(dma, 1500, "network");
    for (unsigned i = 0; i < 4; i++) {
        if (dmheap_aligned_alloc(64, 700, "network") == NULL) {
            return false;
        }
    }
    dmheap_free(image, false);
    return sensor != NULL && frame != NULL && dmheap_ctx_set_name(dma, "dma") &&
           dmheap_ctx_set_name(dmheap_ctx_get_default(0), "main");
}

/* All of main but the smallest block is one block. */
static bool make_full(void)
{
    struct dmheap_stats stats;
    void* last = NULL;
    if (!dmheap_init(memory, sizeof memory, 8)) {
        return false;
    }
    last = dmheap_malloc(12, NULL);
    return dmheap_ctx_get_stats(NULL, &stats) && dmheap_malloc(stats.largest_alloc, NULL) != NULL &&
           (dmheap_free(last, true), true);
}

int main(int argc, char* argv[])
{
    if (argc > 1 && strcmp(argv[1], "none") == 0) {
        return memory_main(argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "full") == 0) {
        return make_full() ? memory_main(argc - 1, argv + 1) : 99;
    }
    return make_scene() ? memory_main(argc, argv) : 99;
}
