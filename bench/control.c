/* SPDX-License-Identifier: MIT */
/*
 * See control.h. The only file of the benchmark that includes the library's layers: from outside
 * the context and the map cannot be told apart.
 */
#include "control.h"

/* Not every function of the layers is used here. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include "dmheap_heap.h"
#pragma GCC diagnostic pop

struct control control_of(const void* arena, size_t size, size_t alignment)
{
    struct control control = {0, 0};
    struct dmheap_ctx plan;
    if (heap_lay_out(&plan, arena, size, alignment) == VERDICT_OK) {
        control.context = (size_t)plan.live;
        control.map = (size_t)live_map_bytes(plan.granules);
    }
    return control;
}
