/* SPDX-License-Identifier: MIT */
/*
 * Clients that know heaps by name: the kernel names the memory that a DMA engine reaches, and
 * drivers look it up, each time they allocate or free.
 */
#include "dmod.h"
#include "dmheap.h"

#include "report.h"

#include <string.h>

#define DMA_HEAP_NAME "dma"

/* As the codes of errno.h, whose 32-bit form not each host has. */
enum { ERROR_NO_MEMORY = -1, ERROR_NO_DEVICE = -2 };

static char main_memory[16 * 1024];
static char dma_memory[8 * 1024];

struct rings {
    uint32_t* descriptors;
    uint8_t* buffers;
};

static void free_rings(struct rings* rings)
{
    dmheap_context_t* heap = dmheap_get_context_by_name(DMA_HEAP_NAME);
    if (heap != NULL) {
        if (rings->buffers != NULL) {
            dmheap_free(heap, rings->buffers, true);
        }
        if (rings->descriptors != NULL) {
            dmheap_free(heap, rings->descriptors, true);
        }
    }
    memset(rings, 0, sizeof(*rings));
}

static int allocate_rings(struct rings* rings, size_t size)
{
    dmheap_context_t* heap = dmheap_get_context_by_name(DMA_HEAP_NAME);
    memset(rings, 0, sizeof(*rings));
    if (heap == NULL) {
        return ERROR_NO_DEVICE;
    }
    rings->descriptors = dmheap_aligned_alloc(heap, 32, 256, "ethernet");
    rings->buffers = dmheap_aligned_alloc(heap, 32, size, "ethernet");
    if (rings->descriptors == NULL || rings->buffers == NULL) {
        free_rings(rings);
        return ERROR_NO_MEMORY;
    }
    return 0;
}

static void without_the_heap(void)
{
    struct rings rings;
    CHECK_THAT(dmheap_init(main_memory, sizeof main_memory, 8) != NULL);
    CHECK_THAT(allocate_rings(&rings, 1000) == ERROR_NO_DEVICE);
    CHECK_THAT(dmheap_get_context_by_name(DMA_HEAP_NAME) == NULL);
}

static void name_the_heap(void)
{
    dmheap_context_t* const dma = dmheap_init(dma_memory, sizeof dma_memory, 32);
    CHECK_THAT(dma != NULL);
    CHECK_THAT(dmheap_set_context_name(dma, DMA_HEAP_NAME));
    CHECK_THAT(dmheap_set_context_name(dmheap_get_default_context(), "main"));
    CHECK_THAT(dmheap_get_context_by_name(DMA_HEAP_NAME) == dma);
    CHECK_THAT(strcmp(dmheap_get_context_name(dma), DMA_HEAP_NAME) == 0);
    CHECK_THAT(strcmp(dmheap_get_context_name(NULL), "main") == 0);
}

static void with_the_heap(void)
{
    struct rings rings;
    CHECK_THAT(allocate_rings(&rings, 4000) == 0);
    CHECK_THAT((uintptr_t)rings.descriptors - (uintptr_t)dma_memory < sizeof dma_memory);
    CHECK_THAT((uintptr_t)rings.buffers - (uintptr_t)dma_memory < sizeof dma_memory);
    CHECK_THAT((uintptr_t)rings.buffers % 32 == 0);
    free_rings(&rings);
    CHECK_THAT(rings.buffers == NULL);
    CHECK_THAT(allocate_rings(&rings, 7900) == ERROR_NO_MEMORY);
    CHECK_THAT(allocate_rings(&rings, 7000) == 0); /* nothing is lost */
    free_rings(&rings);
}

int main(void)
{
    report_topic("without the heap", without_the_heap);
    report_topic("name the heap", name_the_heap);
    report_topic("with the heap", with_the_heap);
    return report_end();
}
