/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer's input as an image of a heap: the library's check, and the reader of dmheap-inspect, of
 * every format there is, come to an end and read nothing outside of it; what the check takes for a
 * heap the reader finds, and what it found can be shown in all ways.
 */
#include "dmheap_ctx.h"
#include "fuzz.h"
#include "inspect.h"

#include <stdlib.h>
#include <string.h>

#define HEAPS_MAX 4U /* that are shown of one image */

static FILE* nowhere;

static void show_all(const struct inspections* all)
{
    show_text(nowhere, all, NULL);
    show_text(nowhere, all, "network");
    show_json(nowhere, all, NULL);
    show_svg(nowhere, all);
    show_html(nowhere, all, NULL);
}

/* By the library, which knows its own format only. */
static bool is_sound_heap(const unsigned char* image, size_t size)
{
    struct dmheap_finding finding;
    const bool is_sound = dmheap_ctx_check_image(image, size, 0, &finding);
    if (is_sound != (finding.fault == DMHEAP_FAULT_NONE) || finding.offset > size) {
        abort();
    }
    return is_sound;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static struct inspection heaps[HEAPS_MAX];
    struct inspection* list[HEAPS_MAX];
    struct inspections all = {list, 0};
    size_t from = 0;
    unsigned char* exact = malloc(size != 0 ? size : 1); /* so that the sanitizer knows its end */
    nowhere = nowhere != NULL ? nowhere : fopen("/dev/null", "w");
    if (exact == NULL || nowhere == NULL) {
        abort();
    }
    memcpy(exact, data, size);
    while (all.count < HEAPS_MAX) {
        struct inspection* heap = &heaps[all.count];
        const size_t before = from;
        memset(heap, 0, sizeof(*heap));
        if (!inspect_image(exact, size, &from, 0, heap)) {
            break;
        }
        if (heap->blocks == NULL || from <= before) { /* out of memory, or on the spot for ever */
            abort();
        }
        list[all.count++] = heap;
    }
    if (is_sound_heap(exact, size) && all.count == 0) {
        abort();
    }
    show_all(&all);
    while (all.count != 0) {
        inspect_release(list[--all.count]);
    }
    free(exact);
    return 0;
}
