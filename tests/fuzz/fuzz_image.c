/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer's input as an image of a heap: the library's check, and the reader of dmheap-inspect, of
 * every format there is, come to an end and read nothing outside of it, whether the image's address is
 * known or not. What the check calls sound is sound for the reader; and whatever that found can be shown
 * in all ways.
 */
#include "dmheap_ctx.h"
#include "fuzz.h"
#include "inspect.h"

#include <stdlib.h>
#include <string.h>

#define HEAPS_MAX 4U    /* that are shown of one image */
#define ADDRESS   4096U /* where an image may have been on its target */

static FILE* nowhere;

static void show_all(const struct inspections* all)
{
    show_text(nowhere, all, NULL);
    show_text(nowhere, all, "network");
    show_json(nowhere, all, NULL);
    show_svg(nowhere, all);
    show_html(nowhere, all, NULL);
}

static bool has_end(const struct dmheap_beside* beside)
{
    return memchr(beside->module_name, '\0', sizeof(beside->module_name)) != NULL;
}

/* By the library, which knows its own format only. */
static bool is_sound_heap(const unsigned char* image, size_t size, uintptr_t address)
{
    struct dmheap_finding finding;
    const bool is_sound = dmheap_ctx_check_image(image, size, address, &finding);
    const uintptr_t start =
        finding.address != 0 ? address : 0; /* 0: nothing is wrong, or no heap */
    if (is_sound != (finding.fault == DMHEAP_FAULT_NONE) || finding.address - start > size ||
        finding.offset > finding.address - start || !has_end(&finding.block) ||
        !has_end(&finding.before) || !has_end(&finding.after)) {
        abort();
    }
    return is_sound;
}

/*
 * The check calls it sound: from the first byte of that heap on, so that none lies around it, the reader
 * does, too.
 */
static bool is_read_sound(const unsigned char* image, size_t size, uintptr_t address)
{
    struct dmheap_finding finding;
    static struct inspection heap;
    size_t place = 0;
    size_t from = 0;
    while (place + 1 < size &&
           dmheap_ctx_check_image(image + place + 1, size - place - 1,
                                  address != 0 ? address + place + 1 : 0, &finding)) {
        place++;
    }
    memset(&heap, 0, sizeof(heap));
    if (!inspect_image(image + place, size - place, &from, address != 0 ? address + place : 0,
                       &heap)) {
        return false;
    }
    const bool is_sound = heap.is_sound;
    inspect_release(&heap);
    return is_sound;
}

/* Whatever it is, the reader comes to its end and shows what it found. Is it sound? */
static bool read_image(const unsigned char* image, size_t size, uintptr_t address)
{
    static struct inspection heaps[HEAPS_MAX];
    struct inspection* list[HEAPS_MAX];
    struct inspections all = {list, 0};
    size_t from = 0;
    const bool is_sound = is_sound_heap(image, size, address);
    while (all.count < HEAPS_MAX) {
        struct inspection* heap = &heaps[all.count];
        const size_t before = from;
        memset(heap, 0, sizeof(*heap));
        if (!inspect_image(image, size, &from, address, heap)) {
            break;
        }
        if (heap->blocks == NULL || from <= before) { /* out of memory, or on the spot for ever */
            abort();
        }
        list[all.count++] = heap;
    }
    if (is_sound && (all.count == 0 || !is_read_sound(image, size, address))) {
        abort();
    }
    show_all(&all);
    while (all.count != 0) {
        inspect_release(list[--all.count]);
    }
    return is_sound;
}

/* A heap of the library's own, for inputs are seldom a sound one of its format. */
static void read_own_heap(void)
{
    static uint64_t memory[256];
    const unsigned char* image = (const unsigned char*)memory;
    struct dmheap_ctx* heap = dmheap_ctx_init(memory, sizeof(memory), 8);
    if (heap == NULL || dmheap_ctx_malloc(heap, 100, "network") == NULL ||
        !read_image(image, sizeof(memory), 0) ||
        !read_image(image, sizeof(memory), (uintptr_t)image)) {
        abort();
    }
}

/* Of no bytes: that heap. */
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    unsigned char* exact = malloc(size != 0 ? size : 1); /* so that the sanitizer knows its end */
    nowhere = nowhere != NULL ? nowhere : fopen("/dev/null", "w");
    if (exact == NULL || nowhere == NULL) {
        abort();
    }
    if (size == 0) {
        read_own_heap();
    }
    memcpy(exact, data, size);
    (void)read_image(exact, size, 0);
    (void)read_image(exact, size, ADDRESS + size / 4 % 4 * 4); /* aligned to 4, 8, or 16 */
    free(exact);
    return 0;
}
