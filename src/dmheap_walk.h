/* SPDX-License-Identifier: MIT */
/*
 * The walk: a heap's blocks in the order of their addresses, a few in one hold of the lock.
 *
 * Knows: blocks, live and free, and where they end. Does not know: names, locks. Always holds: it
 * stands at a granule, and finds the next block by the live map. So whatever comes, goes and merges
 * between two steps, a block that is there all the while is found once. Cost: a step looks at
 * WALK_BUDGET words of the map and at two blocks at most.
 */
#ifndef DMHEAP_WALK_H
#define DMHEAP_WALK_H

#include "dmheap_heap.h"

#define WALK_BUDGET 64
#define WALK_FOUND  2 /* blocks that one step finds at most */

struct walk {
    uintptr_t start; /* granule behind the last live block that was found */
    uintptr_t index; /* granule where to look on, some steps behind that one */
    bool is_over;
};

struct walk_block {
    const struct dmheap_block* block;
    uintptr_t size; /* bytes, the header included */
    bool is_live;   /* else free memory, or the untouched end */
};

static inline struct walk_block walk_make(const struct dmheap_block* block, uintptr_t size,
                                          bool is_live)
{
    const struct walk_block found = {block, size, is_live};
    return found;
}

/* Granule of what a block at that offset would give its client. */
static inline uintptr_t walk_granule(const struct dmheap_ctx* ctx, uintptr_t offset)
{
    return live_index(ctx, block_payload(ctx_block(ctx, offset)));
}

/*
 * The free block in front of a live one, unless it begins before granule `start`. Its tags are
 * enough; whether it can be allocated, its links would tell.
 */
static inline unsigned walk_front(const struct dmheap_ctx* ctx, const struct dmheap_block* block,
                                  uintptr_t start, struct walk_block* found)
{
    if ((block->header & BLOCK_PREV_FREE) == 0) {
        return 0;
    }
    const uintptr_t size = (uintptr_t)block_footer_before(block);
    const uintptr_t most = ctx_offset(ctx, block) - (uintptr_t)ctx->first;
    if (size < BLOCK_MIN_BYTES || size > most || size % ctx_granule(ctx) != 0) {
        return 0;
    }
    const struct dmheap_block* front = block_before(block, size);
    if (front->header != (dmheap_word)size || live_index(ctx, block_payload(front)) < start) {
        return 0;
    }
    *found = walk_make(front, size, false);
    return 1;
}

/* The untouched end, the last of all, unless what was there was visited already. */
static inline unsigned walk_end(const struct dmheap_ctx* ctx, struct walk* walk,
                                struct walk_block* found)
{
    const uintptr_t top = (uintptr_t)ctx->top;
    walk->is_over = true;
    *found = walk_make(ctx_block(ctx, top), (uintptr_t)ctx->end - top, false);
    return found->size != 0 && walk_granule(ctx, top) >= walk->start;
}

/* Go on: how many blocks there are in `found`, none where the step was used up before. */
static inline unsigned walk_step(const struct dmheap_ctx* ctx, struct walk* walk,
                                 struct walk_block found[WALK_FOUND])
{
    int budget = WALK_BUDGET;
    const uintptr_t first = walk_granule(ctx, (uintptr_t)ctx->first);
    const uintptr_t limit = walk_granule(ctx, (uintptr_t)ctx->top);
    const uintptr_t from = walk->index > first ? walk->index : first;
    const uintptr_t index = heap_next_live(ctx, from, limit, &budget);
    if (index >= limit) {
        return walk_end(ctx, walk, &found[0]);
    }
    walk->index = index;
    if (budget <= 0) {
        return 0;
    }
    const struct dmheap_block* block = block_of(live_address(ctx, index));
    const unsigned fronts = walk_front(ctx, block, walk->start, &found[0]);
    const uintptr_t most = (uintptr_t)ctx->top - ctx_offset(ctx, block);
    const uintptr_t size = heap_size(ctx, block);
    found[fronts] = walk_make(block, size < most ? size : most, true);
    walk->start = index + 1;
    walk->index = index + 1;
    return fronts + 1;
}

#endif
