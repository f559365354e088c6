/* SPDX-License-Identifier: MIT */
/* The heap by itself, topic by topic, through the public header only. */
#include "dmheap.h"
#include "report.h"

#include <string.h>

#define HEAP_BYTES ((size_t)65536)

static unsigned char memory[HEAP_BYTES];
static unsigned char other_memory[HEAP_BYTES];

static void start(void)
{
    CHECK_THAT(dmheap_init(memory, sizeof(memory), 8));
}

static bool is_aligned(const void* ptr, size_t alignment)
{
    return ((uintptr_t)ptr & (alignment - 1)) == 0;
}

/* The largest block that can be had now, to the byte. */
static size_t largest(void)
{
    size_t served = 0;
    for (size_t step = HEAP_BYTES / 2; step != 0; step /= 2) {
        void* ptr = dmheap_malloc(served + step, NULL);
        if (ptr != NULL) {
            served += step;
            dmheap_free(ptr, true);
        }
    }
    return served;
}

static void initialization(void)
{
    CHECK_THAT(!dmheap_is_initialized());
    CHECK_THAT(dmheap_malloc(16, NULL) == NULL);
    CHECK_THAT(!dmheap_init(NULL, sizeof(memory), 8));
    CHECK_THAT(!dmheap_init(memory, 0, 8));
    CHECK_THAT(!dmheap_init(memory, sizeof(memory), 0));
    CHECK_THAT(!dmheap_init(memory, sizeof(memory), 12));
    CHECK_THAT(!dmheap_is_initialized());

    CHECK_THAT(dmheap_init(memory, sizeof(memory), 8));
    CHECK_THAT(dmheap_is_initialized());
    const unsigned char* first = dmheap_malloc(100, NULL);
    CHECK_THAT(first >= memory && first + 100 <= memory + sizeof(memory));

    CHECK_THAT(!dmheap_init(other_memory, sizeof(other_memory), 3));
    const unsigned char* second = dmheap_malloc(100, NULL);
    CHECK_THAT(second >= memory && second + 100 <= memory + sizeof(memory));

    CHECK_THAT(dmheap_init(other_memory, sizeof(other_memory), 8));
    const unsigned char* third = dmheap_malloc(100, NULL);
    CHECK_THAT(third >= other_memory && third + 100 <= other_memory + sizeof(other_memory));
    CHECK_THAT(dmheap_init(other_memory + 3, 1024, 8));
    CHECK_THAT(is_aligned(dmheap_malloc(100, NULL), 8));
}

static void module_registration(void)
{
    start();
    const size_t before = largest();
    CHECK_THAT(dmheap_register_module("sensor"));
    CHECK_THAT(dmheap_register_module("sensor"));
    CHECK_THAT(!dmheap_register_module(NULL));
    CHECK_THAT(!dmheap_register_module(""));

    unsigned char* ours = dmheap_malloc(1000, "sensor");
    unsigned char* theirs = dmheap_malloc(1000, "network");
    unsigned char* nobodys = dmheap_malloc(1000, NULL);
    CHECK_THAT(ours != NULL && theirs != NULL && nobodys != NULL);
    report_fill(theirs, 1000, 1);
    report_fill(nobodys, 1000, 2);

    dmheap_unregister_module("sensor");
    dmheap_unregister_module("sensor");
    dmheap_unregister_module("never heard of");
    dmheap_unregister_module(NULL);
    unsigned char* reused = dmheap_malloc(1000, NULL);
    CHECK_THAT(reused != NULL && reused < theirs);
    CHECK_THAT(report_holds(theirs, 1000, 1));
    CHECK_THAT(report_holds(nobodys, 1000, 2));

    dmheap_unregister_module("network");
    dmheap_free(nobodys, true);
    dmheap_free(reused, true);
    CHECK_THAT(largest() == before);
}

static void allocation_and_deallocation(void)
{
    start();
    const size_t before = largest();
    unsigned char* blocks[100];
    for (unsigned i = 0; i < 100; i++) {
        blocks[i] = dmheap_malloc(i * 3, NULL);
        CHECK_THAT(blocks[i] != NULL && is_aligned(blocks[i], 8));
        report_fill(blocks[i], i * 3, i);
    }
    for (unsigned i = 0; i < 100; i++) {
        CHECK_THAT(report_holds(blocks[i], i * 3, i));
        dmheap_free(blocks[i], (i & 1) != 0);
    }
    dmheap_concatenate_free_blocks();
    CHECK_THAT(largest() == before);
    CHECK_THAT(dmheap_malloc(SIZE_MAX, NULL) == NULL);
    CHECK_THAT(dmheap_malloc(HEAP_BYTES, NULL) == NULL);
    dmheap_free(NULL, true);

    /* A pointer that is no block changes nothing. */
    unsigned char* kept = dmheap_malloc(64, NULL);
    report_fill(kept, 64, 5);
    dmheap_free(kept + 8, true);
    dmheap_free(blocks, true);
    CHECK_THAT(report_holds(kept, 64, 5));
    dmheap_free(kept, true);
    dmheap_free(kept, true);
    CHECK_THAT(largest() == before);
}

static void aligned_allocations(void)
{
    start();
    const size_t before = largest();
    unsigned char* blocks[12];
    unsigned count = 0;
    for (size_t alignment = 1; alignment <= 2048; alignment *= 2) {
        blocks[count] = dmheap_aligned_alloc(alignment, 100, NULL);
        CHECK_THAT(blocks[count] != NULL && is_aligned(blocks[count], alignment));
        report_fill(blocks[count], 100, count);
        count++;
    }
    for (unsigned i = 0; i < count; i++) {
        CHECK_THAT(report_holds(blocks[i], 100, i));
        dmheap_free(blocks[i], true);
    }
    CHECK_THAT(largest() == before);
    CHECK_THAT(dmheap_aligned_alloc(0, 100, NULL) == NULL);
    CHECK_THAT(dmheap_aligned_alloc(12, 100, NULL) == NULL);
    CHECK_THAT(dmheap_aligned_alloc(HEAP_BYTES * 2, 100, NULL) == NULL);
}

static void reallocation(void)
{
    start();
    const size_t before = largest();
    unsigned char* grown = dmheap_realloc(NULL, 10, "sensor");
    CHECK_THAT(grown != NULL);
    report_fill(grown, 10, 3);
    unsigned char* wall = dmheap_malloc(10, "sensor");
    unsigned char* moved = dmheap_realloc(grown, 1000, "sensor");
    CHECK_THAT(moved != NULL && moved != grown && report_holds(moved, 10, 3));
    report_fill(moved, 1000, 4);
    CHECK_THAT(dmheap_realloc(moved, 100, "sensor") == moved && report_holds(moved, 100, 4));
    CHECK_THAT(dmheap_realloc(moved, 2000, "sensor") == moved && report_holds(moved, 100, 4));
    CHECK_THAT(dmheap_realloc(moved, HEAP_BYTES, "sensor") == NULL);
    CHECK_THAT(report_holds(moved, 100, 4));
    CHECK_THAT(dmheap_realloc(moved, 0, "sensor") == moved);

    unsigned char* aligned = dmheap_aligned_alloc(256, 100, "sensor");
    unsigned char* second_wall = dmheap_malloc(10, "sensor");
    aligned = dmheap_realloc(aligned, 3000, "network");
    CHECK_THAT(aligned != NULL && is_aligned(aligned, 256));
    CHECK_THAT(wall != NULL && second_wall != NULL);

    /* Whatever name realloc was given, all of it is the sensor's. */
    dmheap_unregister_module("sensor");
    CHECK_THAT(largest() == before);
}

static void fragmentation_handling(void)
{
    start();
    const size_t before = largest();
    unsigned char* blocks[64];
    for (unsigned i = 0; i < 64; i++) {
        blocks[i] = dmheap_malloc(500, NULL);
        CHECK_THAT(blocks[i] != NULL);
    }
    /* Every second one first, so that each of the others has free memory on both sides. */
    for (unsigned first = 0; first < 2; first++) {
        for (unsigned i = first; i < 64; i += 2) {
            dmheap_free(blocks[i], false);
        }
    }
    /* No call to concatenate: an allocation never fails for want of merging. */
    CHECK_THAT(dmheap_malloc(before, NULL) != NULL);

    start();
    for (unsigned i = 0; i < 64; i++) {
        blocks[i] = dmheap_malloc(500, NULL);
    }
    for (unsigned i = 0; i < 64; i++) {
        dmheap_free(blocks[(i * 27) % 64], true);
    }
    CHECK_THAT(largest() == before);
}

static void stress(void)
{
    enum { SLOTS = 150, STEPS = 30000 };
    static struct {
        unsigned char* ptr;
        size_t size;
    } slot[SLOTS];
    static const char* const names[] = {"sensor", "network", "storage", NULL};
    uint32_t random = 12345;
    start();
    const size_t before = largest();
    bool intact = true;
    for (unsigned step = 0; step < STEPS; step++) {
        random = random * 1664525U + 1013904223U;
        const unsigned i = (random >> 8) % SLOTS;
        const size_t size = (random >> 16) % 900;
        if (slot[i].ptr == NULL) {
            slot[i].ptr = dmheap_malloc(size, names[i % 4]);
            slot[i].size = slot[i].ptr != NULL ? size : 0;
        } else if (step % 3 == 0) {
            intact = intact && report_holds(slot[i].ptr, slot[i].size, i);
            void* moved = dmheap_realloc(slot[i].ptr, size, names[i % 4]);
            if (moved != NULL) {
                const size_t kept = size < slot[i].size ? size : slot[i].size;
                intact = intact && report_holds(moved, kept, i);
                slot[i].ptr = moved;
                slot[i].size = size;
            }
        } else {
            intact = intact && report_holds(slot[i].ptr, slot[i].size, i);
            dmheap_free(slot[i].ptr, (step & 1) != 0);
            slot[i].ptr = NULL;
        }
        report_fill(slot[i].ptr, slot[i].ptr != NULL ? slot[i].size : 0, i);
    }
    CHECK_THAT(intact);
    for (unsigned i = 3; i < SLOTS; i += 4) {
        dmheap_free(slot[i].ptr, false);
    }
    for (unsigned i = 0; i < 3; i++) {
        dmheap_unregister_module(names[i]);
    }
    CHECK_THAT(largest() == before);
}

int main(void)
{
    printf("=== DMHEAP Unit Tests ===\n\n");
    report_topic("Initialization", initialization);
    report_topic("Module registration", module_registration);
    report_topic("Allocation and deallocation", allocation_and_deallocation);
    report_topic("Aligned allocations", aligned_allocations);
    report_topic("Reallocation", reallocation);
    report_topic("Fragmentation handling", fragmentation_handling);
    report_topic("Stress", stress);
    return report_end();
}
