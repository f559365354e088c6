/* SPDX-License-Identifier: MIT */
/*
 * Replaying a workload's operations on an allocator.
 *
 * Knows: allocators and operations. Does not know: why it is done, and what it costs.
 * Freestanding, as the workloads are.
 */
#ifndef BENCH_REPLAY_H
#define BENCH_REPLAY_H

#include "allocator.h"
#include "workload.h"

/* Has the allocator all that the workload asks for? */
static inline bool replay_is_possible(const struct bench_allocator* allocator,
                                      const struct workload* workload)
{
    return (!workload_uses(workload, WORKLOAD_RESIZE) || allocator->resize != NULL) &&
           (!workload_uses(workload, WORKLOAD_ALIGNED) || allocator->allocate_aligned != NULL) &&
           (!workload_uses(workload, WORKLOAD_UNLOAD) ||
            (allocator->allocate_for != NULL && allocator->unload != NULL));
}

/*
 * One operation. false: the allocator did not serve it. The slot of a freed block is NULL; an
 * unload leaves the slots of the module's blocks, which the next load overwrites.
 */
static inline bool replay_op(const struct bench_allocator* allocator, struct workload_op op,
                             void** slots)
{
    void** slot = &slots[workload_slot(op)];
    switch (workload_kind(op)) {
    case WORKLOAD_ALLOCATE:
        *slot = allocator->allocate(op.size);
        return *slot != NULL;
    case WORKLOAD_RELEASE:
        allocator->release(*slot);
        *slot = NULL;
        return true;
    case WORKLOAD_RESIZE:
        *slot = allocator->resize(*slot, op.size);
        return *slot != NULL;
    case WORKLOAD_ALIGNED:
        *slot = allocator->allocate_aligned((size_t)1 << workload_tag(op), op.size);
        return *slot != NULL;
    case WORKLOAD_ALLOCATE_FOR:
        *slot = allocator->allocate_for(op.size, workload_tag(op));
        return *slot != NULL;
    default:
        allocator->unload(workload_tag(op));
        return true;
    }
}

#endif
