/* SPDX-License-Identifier: MIT */
/*
 * The index of free blocks by size.
 *
 * Classes: one for each granule multiple below INDEX_EXACT granules, where a
 * block found fits exactly; above, INDEX_STEPS per doubling:
 *
 *   granules  2 3 4 ...... 31 | 32-35 36-39 .. 60-63 | 64-71 .. 120-127 | ...
 *   class     2 3 4 ...... 31 | 32    33    .. 39    | 40    .. 47      | ...
 *
 * Each class is a doubly linked list, newest first (its memory is warm in the
 * cache). A list's first block names its bin as the previous one, seen as a block
 * whose `next` is the bin, so that unlinking needs no case for it; its last names
 * offset 0, none. Which classes have blocks is told by one bit each, in rows of
 * 32 with a word of bits above.
 *
 * Knows: free blocks by size. Does not know: neighbours, owners, live blocks.
 * Always holds: a class's bit is set exactly while its bin is not 0.
 * Cost: constant. Origin of the two-level classes: M. Masmano et al., TLSF, 2004;
 * of the exact small bins: D. Lea, dlmalloc.
 */
#ifndef DMHEAP_INDEX_H
#define DMHEAP_INDEX_H

#include "dmheap_trailer.h"

#define INDEX_EXACT_LOG2 5U
#define INDEX_STEPS_LOG2 3U
#define INDEX_EXACT      ((uintptr_t)1 << INDEX_EXACT_LOG2)
#define INDEX_STEPS      ((uintptr_t)1 << INDEX_STEPS_LOG2)
#define INDEX_NONE       (~(uintptr_t)0)

/* Blocks looked at in the class that a size itself falls in, above the exact ones. */
#define INDEX_LOOKS 3

/* With DMHEAP_GUARD offset 0 has no link: its place is the seal's. */
#define INDEX_WRITES_NONE (DMHEAP_AVOID_BRANCHES && !DMHEAP_GUARD)

DMHEAP_STATIC_ASSERT(INDEX_EXACT_LOG2 >= INDEX_STEPS_LOG2, steps_are_whole_granules);
DMHEAP_STATIC_ASSERT(INDEX_EXACT == 32, the_exact_classes_are_row_0);
DMHEAP_STATIC_ASSERT(DMHEAP_INDEX_ROWS <= 32, rows_have_a_bit_each);

/* The class of blocks of `size` bytes. */
static inline uintptr_t index_class(const struct dmheap_ctx* ctx, uintptr_t size)
{
    const uintptr_t granules = size >> (unsigned)ctx->granule_shift;
    DMHEAP_ASSERT(granules != 0);
    if (granules < INDEX_EXACT) {
        return granules;
    }
    const unsigned highest = bits_highest((dmheap_word)granules);
    return (granules >> (highest - INDEX_STEPS_LOG2)) +
           (uintptr_t)(highest - INDEX_EXACT_LOG2) * INDEX_STEPS + INDEX_EXACT - INDEX_STEPS;
}

/* The least size of a class's blocks. */
static inline uintptr_t index_floor(const struct dmheap_ctx* ctx, uintptr_t size_class)
{
    if (size_class < INDEX_EXACT) {
        return size_class << (unsigned)ctx->granule_shift;
    }
    const uintptr_t doublings = (size_class - INDEX_EXACT) / INDEX_STEPS;
    const uintptr_t steps = INDEX_STEPS + (size_class - INDEX_EXACT) % INDEX_STEPS;
    return (steps << (INDEX_EXACT_LOG2 - INDEX_STEPS_LOG2) << doublings)
           << (unsigned)ctx->granule_shift;
}

/* The bin of a class as the "previous block" of its list, and back. */
static inline uintptr_t index_bin_as_block(uintptr_t size_class)
{
    return offsetof(struct dmheap_ctx, bin) - offsetof(struct dmheap_block, next) +
           size_class * sizeof(dmheap_word);
}

static inline uintptr_t index_class_of_bin(uintptr_t bin_as_block)
{
    return (bin_as_block - index_bin_as_block(0)) / sizeof(dmheap_word);
}

/* The exact classes are row 0, which every search for one looks at and `rows` leaves out. */
static inline void index_mark(struct dmheap_ctx* ctx, uintptr_t size_class)
{
    const uintptr_t row = size_class / 32;
    if (size_class < INDEX_EXACT) {
        ctx->row[0] |= (uint32_t)1 << size_class;
    } else {
        ctx->row[row] |= (uint32_t)1 << (size_class % 32);
        ctx->rows |= (uint32_t)1 << row;
    }
}

static inline void index_unmark(struct dmheap_ctx* ctx, uintptr_t size_class)
{
    const uintptr_t row = size_class / 32;
    if (size_class < INDEX_EXACT) {
        ctx->row[0] &= ~((uint32_t)1 << size_class);
    } else {
        ctx->row[row] &= ~((uint32_t)1 << (size_class % 32));
        if (ctx->row[row] == 0) {
            ctx->rows &= ~((uint32_t)1 << row);
        }
    }
}

/* The first class above `size_class` that has a block, or INDEX_NONE. */
static inline uintptr_t index_find_above(const struct dmheap_ctx* ctx, uintptr_t size_class)
{
    uintptr_t row = size_class < INDEX_EXACT ? 0 : size_class / 32;
    uint32_t candidates = ctx->row[row] & (~(uint32_t)1 << (size_class % 32));
    if (candidates == 0) {
        const uint32_t above = ctx->rows & (~(uint32_t)1 << row);
        if (above == 0) {
            return INDEX_NONE;
        }
        row = bits_lowest(above);
        if (DMHEAP_GUARD && (row >= DMHEAP_INDEX_ROWS || ctx->row[row] == 0)) {
            return INDEX_NONE; /* written over */
        }
        candidates = ctx->row[row];
    }
    return row * 32 + bits_lowest(candidates);
}

/*
 * A link as an offset that can be followed without a fault whatever was written over it: the
 * caller compares it with ctx->top.
 */
static inline uintptr_t index_link(dmheap_word link)
{
    return (uintptr_t)link & ~(uintptr_t)(sizeof(dmheap_word) - 1);
}

/*
 * Does the block at offset `next`, which is not 0, name the one at `self` as the previous? It has
 * to be a block: the context has the same offsets in it, and the untouched end the links of blocks
 * that were there.
 */
static inline bool index_leads_on(const struct dmheap_ctx* ctx, uintptr_t next, uintptr_t self)
{
    return DMHEAP_LIKELY((dmheap_word)next >= ctx->first &&
                         (dmheap_word)next < ctx->top - DMHEAP_WORD_BYTES &&
                         ctx_block(ctx, next)->prev == (dmheap_word)self);
}

/* Has this heap such a class? */
static inline bool index_is_class(const struct dmheap_ctx* ctx, uintptr_t size_class)
{
    return offsetof(struct dmheap_ctx, bin) + size_class * sizeof(dmheap_word) <
           (uintptr_t)ctx->live;
}

/* The highest class that has a block; INDEX_NONE: there is no free block, or that was written over. */
static inline uintptr_t index_highest(const struct dmheap_ctx* ctx)
{
    const uintptr_t row = ctx->rows != 0 ? bits_highest_32(ctx->rows) : 0;
    if ((DMHEAP_GUARD && row >= DMHEAP_INDEX_ROWS) || ctx->row[row] == 0) {
        return INDEX_NONE;
    }
    const uintptr_t size_class = row * 32 + bits_highest_32(ctx->row[row]);
    return !DMHEAP_GUARD || index_is_class(ctx, size_class) ? size_class : INDEX_NONE;
}

/*
 * The first block of a class, 0: none. With DMHEAP_GUARD a bin is proven as links are: where it does
 * not lead to a block that names it, or there is no such bin, that is INDEX_NONE.
 */
static inline uintptr_t index_first(const struct dmheap_ctx* ctx, uintptr_t size_class)
{
    if (!DMHEAP_GUARD) {
        return (uintptr_t)ctx->bin[size_class];
    }
    if (!index_is_class(ctx, size_class)) {
        return INDEX_NONE;
    }
    const uintptr_t first = index_link(ctx->bin[size_class]);
    const bool is_sound = first == 0 || index_leads_on(ctx, first, index_bin_as_block(size_class));
    return is_sound ? first : INDEX_NONE;
}

/*
 * Forget every block of a class whose list somebody wrote over. Those blocks stay free but
 * unlisted until the next dmheap_init, and the one in front of such a block cannot be freed;
 * nothing is read or written by way of the damaged links.
 */
static inline void index_abandon(struct dmheap_ctx* ctx, uintptr_t size_class)
{
    if (DMHEAP_GUARD && size_class / 32 >= DMHEAP_INDEX_ROWS) {
        return; /* written over as well */
    }
    if (!DMHEAP_GUARD || index_is_class(ctx, size_class)) {
        ctx->bin[size_class] = 0;
    }
    index_unmark(ctx, size_class);
}

/*
 * Whether a list had a block before is a branch that goes either way: to avoid it, the link of
 * offset 0 and the bit of a class that has a block are written, too.
 */
static inline void index_insert(struct dmheap_ctx* ctx, struct dmheap_block* block, uintptr_t size)
{
    const uintptr_t size_class = index_class(ctx, size);
    if (INDEX_WRITES_NONE) {
        index_mark(ctx, size_class);
    }
    const uintptr_t before = index_bin_as_block(size_class);
    const uintptr_t self = ctx_offset(ctx, block);
    if (DMHEAP_GUARD && index_first(ctx, size_class) == INDEX_NONE) {
        index_abandon(ctx, size_class);
        ctx->damage = 1;
    }
    const uintptr_t first = (uintptr_t)ctx_block(ctx, before)->next;
    const uintptr_t next = DMHEAP_GUARD ? index_link((dmheap_word)first) : first;
    block->next = (dmheap_word)next;
    ctx_block(ctx, before)->next = (dmheap_word)self;
    block->prev = (dmheap_word)before;
    if (INDEX_WRITES_NONE || next != 0) {
        ctx_block(ctx, next)->prev = (dmheap_word)self;
    } else {
        index_mark(ctx, size_class);
    }
}

/* Does the block or bin at offset `prev` name the one at `self` as the next? */
static inline bool index_leads_back(const struct dmheap_ctx* ctx, uintptr_t prev, uintptr_t self)
{
    return DMHEAP_LIKELY((dmheap_word)prev < ctx->top && prev >= index_bin_as_block(0) &&
                         ctx_block(ctx, prev)->next == (dmheap_word)self);
}

/* Do both neighbours in its list point back at a block? Else somebody wrote over its links. */
static inline bool index_is_linked(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    const uintptr_t self = ctx_offset(ctx, block);
    const uintptr_t next = index_link(block->next);
    return index_leads_back(ctx, index_link(block->prev), self) &&
           (next == 0 || index_leads_on(ctx, next, self));
}

/* Has a list no block left, once the one between `prev` and `next` is unlinked? */
static inline bool index_is_last(const struct dmheap_ctx* ctx, uintptr_t prev, uintptr_t next)
{
    /* One comparison for two: whatever is not 0 is a block, behind the bins and the live map. */
    return DMHEAP_AVOID_BRANCHES ? (dmheap_word)(next | prev) < ctx->live
                                 : next == 0 && (dmheap_word)prev < ctx->live;
}

/* Unlink a block of which index_is_linked is true. */
static DMHEAP_SHORT_INLINE void index_unlink(struct dmheap_ctx* ctx,
                                             const struct dmheap_block* block)
{
    const uintptr_t next = index_link(block->next);
    const uintptr_t prev = index_link(block->prev);
    ctx_block(ctx, prev)->next = (dmheap_word)next;
    if (INDEX_WRITES_NONE || next != 0) {
        ctx_block(ctx, next)->prev = (dmheap_word)prev;
    }
    if (index_is_last(ctx, prev, next)) {
        index_unmark(ctx, index_class_of_bin(prev));
    }
}

/* Unlink a block; false, and nothing changed: somebody wrote over its links. */
static inline bool index_remove(struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    if (!index_is_linked(ctx, block)) {
        return false;
    }
    index_unlink(ctx, block);
    return true;
}

/* The same for the first block of a class. */
static inline bool index_remove_first(struct dmheap_ctx* ctx, const struct dmheap_block* block,
                                      uintptr_t size_class)
{
    const uintptr_t before = index_bin_as_block(size_class);
    const uintptr_t next = index_link(block->next);
    if (next == 0) {
        index_unmark(ctx, size_class);
    } else if (index_leads_on(ctx, next, ctx_offset(ctx, block))) {
        ctx_block(ctx, next)->prev = (dmheap_word)before;
    } else {
        return false;
    }
    ctx_block(ctx, before)->next = (dmheap_word)next;
    return true;
}

#endif
