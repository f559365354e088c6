/* SPDX-License-Identifier: MIT */
/*
 * A fuzzer's input as an image of a heap: the check and the reader of dmheap-inspect, of every
 * format there is, come to an end and read nothing outside of it; and what they found can be shown
 * in all ways.
 */
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
    show_all(&all);
    while (all.count != 0) {
        inspect_release(list[--all.count]);
    }
    free(exact);
    return 0;
}
