/* SPDX-License-Identifier: MIT */
/*
 * The heap: allocate, release, resize, sweep.
 *
 * Knows: blocks and their neighbours, the index, the untouched end. An owner is
 * an opaque small number here. Does not know: names, locks, logs; its verdicts have those of the
 * layers above among them, so that there is one list.
 * Always holds: free memory is merged at once, so no two free blocks are adjacent
 * and none is adjacent to the untouched end; whatever is refused is left as it was.
 * Cost: constant for every call but heap_create; heap_sweep is bounded by its budget.
 */
#ifndef DMHEAP_HEAP_H
#define DMHEAP_HEAP_H

#include "dmheap_index.h"

#include <string.h>

enum dmheap_verdict {
    VERDICT_OK,
    VERDICT_NO_HEAP,       /* not initialized */
    VERDICT_NO_MEMORY,     /* no free block serves */
    VERDICT_BAD_BUFFER,    /* NULL, empty, or wrapping around the address space */
    VERDICT_TOO_SMALL,     /* a buffer without room for one block */
    VERDICT_TOO_LARGE,     /* a buffer beyond what a header can tell */
    VERDICT_BUSY,          /* another initialization is under way */
    VERDICT_BAD_ALIGNMENT, /* 0 or not a power of two */
    VERDICT_BAD_NAME,      /* no name, or longer than one may be */
    VERDICT_NAME_TAKEN,    /* another module has that name */
    VERDICT_NO_MODULE,     /* no module has that name */
    VERDICT_TOO_MANY,      /* as many modules as ids, or as many heaps as may be */
    VERDICT_BAD_POINTER,   /* no live payload starts there */
    VERDICT_DAMAGED,       /* tags contradict each other: written over by an overrun */
    VERDICT_MUST_MOVE,     /* a block cannot grow where it stands */
    VERDICT_GONE,          /* the module, or the whole heap, went while a block moved */
    VERDICT_FRAGMENTED,    /* of VERDICT_NO_MEMORY: there would be enough, but in pieces */
    VERDICT_LIMIT,         /* more than the owner may have */
    VERDICT_RESERVE        /* what there is, is kept for other owners */
};

/* ---- creation ---------------------------------------------------------------- */

/*
 * Bytes to leave in front of `block` so that its payload is aligned: none, or enough
 * for a free block. At most alignment + BLOCK_MIN_BYTES - granule.
 */
static inline uintptr_t heap_gap(const struct dmheap_block* block, uintptr_t alignment)
{
    DMHEAP_ASSERT(bits_is_power_of_two((size_t)alignment));
    const uintptr_t payload = (uintptr_t)block_payload(block);
    if ((payload & (alignment - 1)) == 0) {
        return 0;
    }
    return BLOCK_MIN_BYTES + ((0 - (payload + BLOCK_MIN_BYTES)) & (alignment - 1));
}

/*
 * A buffer above this is certainly too large: its live map takes far less than half of it. Up to
 * this, no sum of sizes leaves a word's range.
 */
#define HEAP_SIZE_MAX \
    ((size_t)(PTRDIFF_MAX / 2 > BLOCK_SIZE_MASK ? BLOCK_SIZE_MASK * 2 : PTRDIFF_MAX))

static inline bool heap_is_too_large(size_t size)
{
    return size > HEAP_SIZE_MAX;
}

/* Is this a buffer at all, and a default alignment? */
static DMHEAP_INLINE enum dmheap_verdict heap_check_buffer(const void* buffer, size_t size,
                                                           size_t alignment)
{
    if (buffer == NULL || size == 0 || size > UINTPTR_MAX - (uintptr_t)buffer) {
        return VERDICT_BAD_BUFFER;
    }
    if (!bits_is_power_of_two(alignment)) {
        return VERDICT_BAD_ALIGNMENT;
    }
    return heap_is_too_large(size) ? VERDICT_TOO_LARGE : VERDICT_OK;
}

/* The granule of a heap with that default alignment. */
static inline size_t heap_granule(size_t alignment)
{
    const size_t granule = alignment < DMHEAP_GRANULE_MIN ? DMHEAP_GRANULE_MIN : alignment;
    return granule < DMHEAP_GRANULE_MAX ? granule : DMHEAP_GRANULE_MAX;
}

/* Where in a buffer a heap of that granule begins. */
static inline struct dmheap_ctx* heap_at(const void* buffer, size_t granule)
{
    return (struct dmheap_ctx*)bits_round_up((uintptr_t)buffer, granule);
}

/* Does what is laid out at `ctx` serve one block of the default alignment, and fit a header? */
static DMHEAP_INLINE enum dmheap_verdict heap_check_plan(const struct dmheap_ctx* plan,
                                                         const struct dmheap_ctx* ctx)
{
    if (plan->end < plan->first || plan->end <= plan->alignment) {
        return VERDICT_TOO_SMALL;
    }
    if (plan->end - plan->first > BLOCK_SIZE_MASK) {
        return VERDICT_TOO_LARGE;
    }
    const uintptr_t gap =
        heap_gap(ctx_block(ctx, (uintptr_t)plan->first), (uintptr_t)plan->alignment);
    return plan->end - plan->first < gap + BLOCK_MIN_BYTES ? VERDICT_TOO_SMALL : VERDICT_OK;
}

/*
 * Lay a heap out in `size` bytes at `buffer`: VERDICT_OK, or why there can be none. *plan is the
 * context as it will be, computed before the first byte of the buffer is written.
 */
static DMHEAP_INLINE enum dmheap_verdict heap_lay_out(struct dmheap_ctx* plan, const void* buffer,
                                                      size_t size, size_t alignment)
{
    const enum dmheap_verdict verdict = heap_check_buffer(buffer, size, alignment);
    if (verdict != VERDICT_OK) {
        return verdict;
    }
    const size_t granule = heap_granule(alignment);
    const struct dmheap_ctx* ctx = heap_at(buffer, granule);
    const size_t lost = (size_t)((uintptr_t)ctx - (uintptr_t)buffer);
    if (size < lost + granule || alignment >= size) {
        return VERDICT_TOO_SMALL;
    }
    const dmheap_word usable = (dmheap_word)((size - lost) & ~(granule - 1));
    memset(plan, 0, sizeof(*plan));
    plan->granule_shift = bits_highest((dmheap_word)granule);
    plan->granules = usable >> (unsigned)plan->granule_shift;
    plan->size_mask = BLOCK_SIZE_MASK & (0 - (dmheap_word)granule);
    plan->round = BLOCK_OVERHEAD_BYTES + (dmheap_word)granule - 1;
    plan->alignment = (dmheap_word)(alignment < granule ? granule : alignment);
    plan->hint_id = OWNER_NOBODY;
    if (DMHEAP_ACCOUNTING) {
        ctx_totals(plan)->nobody.limit = ~(dmheap_word)0;
    }
    const uintptr_t classes = index_class(plan, (uintptr_t)usable) + 1;
    plan->live = (dmheap_word)bits_round_up(
        offsetof(struct dmheap_ctx, bin) + classes * sizeof(dmheap_word), sizeof(uintptr_t));
    const dmheap_word map_end = plan->live + live_map_bytes(plan->granules);
    plan->first = (dmheap_word)bits_round_up((uintptr_t)(map_end + DMHEAP_WORD_BYTES), granule) -
                  DMHEAP_WORD_BYTES;
    plan->top = plan->first;
    plan->end = usable - DMHEAP_WORD_BYTES;
    if (plan->alignment == granule) {
        plan->request_limit = plan->end - plan->first - BLOCK_OVERHEAD_BYTES + 1;
    }
    return heap_check_plan(plan, ctx);
}

/* Begin the heap that heap_lay_out laid out at `buffer`, which is written now. */
static DMHEAP_INLINE struct dmheap_ctx* heap_create(const struct dmheap_ctx* plan, void* buffer)
{
    struct dmheap_ctx* ctx = heap_at(buffer, (size_t)ctx_granule(plan));
    memset(ctx, 0, (size_t)plan->first);
    memcpy(ctx, plan, sizeof(*plan));
    ctx->seal = DMHEAP_GUARD ? ctx_seal(ctx) : 0;
    return ctx;
}

/* ---- what must agree --------------------------------------------------------- */

/* A live block's size as whole granules, whatever stands in the bits below. */
static inline uintptr_t heap_size(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    return (uintptr_t)block->header & (uintptr_t)ctx->size_mask;
}

/* Bytes of a live block that a client may use. */
static inline uintptr_t heap_usable(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    return heap_size(ctx, block) - BLOCK_OVERHEAD_BYTES - ((block->header & BLOCK_ALIGNED) != 0);
}

/* Can that be a live block's size: does it end in the heap, and not too soon? */
static inline bool heap_is_size(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    const uintptr_t size = heap_size(ctx, block);
    return size >= BLOCK_MIN_BYTES && size <= (uintptr_t)ctx->top - ctx_offset(ctx, block);
}

/* The number of a live block; 0 where its size cannot be right. */
static inline uint32_t heap_number(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    return heap_is_size(ctx, block) ? trailer_number(block, heap_size(ctx, block)) : 0;
}

/* Is what stands behind a live block's payload as it was written? Its size is not trusted. */
static inline bool heap_is_whole(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    return !DMHEAP_CANARY ||
           (heap_is_size(ctx, block) && trailer_is_sealed(ctx, block, heap_size(ctx, block)));
}

/* Write the canary of a live block whose header and last byte are as they stay. */
static inline void heap_seal(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    trailer_seal(ctx, block, heap_size(ctx, block));
}

/* Hand a live block over. Its canary goes along; one that is wrong stays as it is. */
static inline void heap_set_owner(const struct dmheap_ctx* ctx, struct dmheap_block* block,
                                  dmheap_word owner)
{
    const bool is_whole = heap_is_whole(ctx, block);
    block_set_owner(block, owner);
    if (is_whole) {
        heap_seal(ctx, block);
    }
}

/* Have two live blocks no memory in common, by their sizes? */
static inline bool heap_is_apart(const struct dmheap_ctx* ctx, const struct dmheap_block* one,
                                 const struct dmheap_block* other)
{
    const uintptr_t distance = (uintptr_t)other - (uintptr_t)one;
    return distance >= heap_size(ctx, one) && 0 - distance >= heap_size(ctx, other);
}

/* A block that moves stays the same allocation: its new place gets its number. */
static inline void heap_keep_number(const struct dmheap_ctx* ctx, const struct dmheap_block* from,
                                    const struct dmheap_block* to)
{
    trailer_set_number(to, heap_size(ctx, to), heap_number(ctx, from));
}

/* Where an over-aligned block keeps log2 of its alignment: its payload's last byte. */
static inline uint8_t* heap_alignment_byte(const struct dmheap_ctx* ctx,
                                           const struct dmheap_block* block)
{
    return trailer_alignment_byte(block, heap_size(ctx, block));
}

/*
 * Is this a free block of `most` bytes at most, by its tags: header and footer alike, and nothing
 * but a size? Nothing in the block is trusted; that it is large enough is the caller's to see.
 */
static inline bool heap_is_free(const struct dmheap_block* block, dmheap_word most)
{
    const dmheap_word size = block->header;
    return size <= most && (size & (DMHEAP_WORD_BYTES - 1)) == 0 &&
           block_footer_before(block_at(block, (uintptr_t)size)) == size;
}

/* Is there a free block at `next`, where nothing is live, by its tags? */
static inline bool heap_is_free_at(const struct dmheap_ctx* ctx, const struct dmheap_block* next)
{
    const dmheap_word offset = (dmheap_word)ctx_offset(ctx, next);
    return offset < ctx->top && next->header >= BLOCK_MIN_BYTES &&
           heap_is_free(next, ctx->top - offset);
}

/* Is there the free block, of *front bytes, that a live block's header announces in front of it? */
static inline bool heap_is_free_before(const struct dmheap_ctx* ctx,
                                       const struct dmheap_block* block, uintptr_t* front)
{
    *front = index_link(block_footer_before(block));
    const uintptr_t offset = ctx_offset(ctx, block) - *front;
    const struct dmheap_block* prev = ctx_block(ctx, offset);
    return DMHEAP_LIKELY(offset < ctx->end && prev->header == (dmheap_word)*front) &&
           index_is_linked(ctx, prev);
}

/* ---- merging and cutting ----------------------------------------------------- */

/* Tag and list [block, block + size), between two live blocks of which the second knows. */
static inline void heap_put(struct dmheap_ctx* ctx, struct dmheap_block* block, uintptr_t size)
{
    block_tag_free(block, size);
    index_insert(ctx, block, size);
}

/* Count live memory that had `before` bytes and has `now`: their difference may be below 0. */
static inline void heap_count(struct dmheap_ctx* ctx, uintptr_t before, uintptr_t now)
{
    if (DMHEAP_ACCOUNTING) {
        struct dmheap_totals* totals = ctx_totals(ctx);
        totals->used = totals->used - (dmheap_word)before + (dmheap_word)now;
    }
}

/* Make `block` a live one. */
static inline void heap_claim(struct dmheap_ctx* ctx, struct dmheap_block* block, uintptr_t size,
                              dmheap_word tags)
{
    DMHEAP_ASSERT((size & ~(uintptr_t)BLOCK_SIZE_MASK) == 0);
    block->header = tags | (dmheap_word)size;
    heap_count(ctx, 0, size);
    trailer_set_number(block, size, trailer_new_number());
    trailer_seal(ctx, block, size);
    live_set(ctx, live_index(ctx, block_payload(block)));
}

/*
 * Of [block, block + size), unlisted free memory or a live block and such behind it, keep `need`
 * bytes and list the rest:   [ need | rest ][ live | P ], where the live one has its P already.
 * The bytes kept: all, where the rest is too small for a free block.
 */
static inline uintptr_t heap_split(struct dmheap_ctx* ctx, struct dmheap_block* block,
                                   uintptr_t size, uintptr_t need)
{
    const uintptr_t rest = size - need;
    DMHEAP_ASSERT(size >= need);
    if (rest >= BLOCK_MIN_BYTES) {
        heap_put(ctx, block_at(block, need), rest);
        size = need;
    } else {
        block_at(block, size)->header &= ~BLOCK_PREV_FREE;
    }
    return size;
}

/* Claim `need` bytes at the start of unlisted free memory. */
static inline void heap_cut(struct dmheap_ctx* ctx, struct dmheap_block* block, uintptr_t size,
                            uintptr_t need, dmheap_word tags)
{
    size = heap_split(ctx, block, size, need);
    heap_claim(ctx, block, size, tags);
}

/* ---- allocation -------------------------------------------------------------- */

/* Note that a class's list is damaged. NULL, for it serves nobody now. */
static inline struct dmheap_block* heap_suspect(struct dmheap_ctx* ctx, uintptr_t size_class)
{
    ctx->suspect = (uint16_t)size_class;
    return NULL;
}

/*
 * After an allocation that found nothing: was that for a class whose list is damaged? Then this
 * one is given up, and the caller tries again; once per class at most.
 */
static DMHEAP_COLD bool heap_give_up(struct dmheap_ctx* ctx)
{
    if (ctx->suspect == 0) {
        return false;
    }
    index_abandon(ctx, (uintptr_t)ctx->suspect);
    ctx->suspect = 0;
    ctx->damage = 1;
    return true;
}

/* Is a payload of `size` bytes, and of one more if so, beyond what any block can have? */
static inline bool heap_is_beyond(const struct dmheap_ctx* ctx, size_t size, bool one_more)
{
    return size > ctx->end - ctx->first - BLOCK_OVERHEAD_BYTES - one_more;
}

/* Bytes of a block for a payload of `size` bytes that is not beyond that. */
static inline uintptr_t heap_need(const struct dmheap_ctx* ctx, size_t size)
{
    const uintptr_t need = ((uintptr_t)size + (uintptr_t)ctx->round) & (uintptr_t)ctx->size_mask;
    return DMHEAP_LIKELY(need >= BLOCK_MIN_BYTES) ? need : BLOCK_MIN_BYTES;
}

/*
 * Unlink the first among a few blocks of a class that holds `need` aligned bytes, *size in all.
 * NULL: none does, or the class is suspect by now.
 */
static inline struct dmheap_block* heap_detach_fit(struct dmheap_ctx* ctx, uintptr_t size_class,
                                                   uintptr_t need, uintptr_t alignment,
                                                   unsigned looks, uintptr_t* size)
{
    uintptr_t offset = index_first(ctx, size_class);
    if (DMHEAP_GUARD && offset == INDEX_NONE) {
        return heap_suspect(ctx, size_class);
    }
    for (; looks != 0 && offset != 0; looks--) {
        struct dmheap_block* block = ctx_block(ctx, offset);
        *size = (uintptr_t)block->header; /* once: unlinking forged links may write over it */
        if (*size >= need + heap_gap(block, alignment)) {
            if (DMHEAP_LIKELY(heap_is_free(block, ctx->top - (dmheap_word)offset)) &&
                index_remove(ctx, block)) {
                return block;
            }
            return heap_suspect(ctx, size_class);
        }
        offset = index_link(block->next);
        if (DMHEAP_UNLIKELY((dmheap_word)offset >= ctx->top)) {
            return heap_suspect(ctx, size_class);
        }
    }
    return NULL;
}

/*
 * Make `gap` bytes at `front`, behind a live block and in front of one to be claimed, free memory.
 * The tags that this one gets of it.
 */
static inline dmheap_word heap_leave_gap(struct dmheap_ctx* ctx, struct dmheap_block* front,
                                         uintptr_t gap)
{
    if (gap == 0) {
        return 0;
    }
    heap_put(ctx, front, gap);
    return BLOCK_PREV_FREE;
}

/* Claim `need` bytes of the untouched end, or NULL where it is too short. */
static inline struct dmheap_block* heap_take_top(struct dmheap_ctx* ctx, uintptr_t need,
                                                 uintptr_t alignment, dmheap_word tags)
{
    struct dmheap_block* front = ctx_block(ctx, (uintptr_t)ctx->top);
    const uintptr_t gap = heap_gap(front, alignment);
    if (DMHEAP_UNLIKELY((dmheap_word)(need + gap) > ctx->end - ctx->top)) {
        return NULL;
    }
    struct dmheap_block* block = block_at(front, gap);
    ctx_set(ctx, &ctx->top, ctx->top + (dmheap_word)(gap + need));
    tags |= heap_leave_gap(ctx, front, gap);
    heap_claim(ctx, block, need, tags);
    return block;
}

/* A block of exactly `need` bytes from its class, which has one. NULL: the class is suspect. */
static inline struct dmheap_block* heap_take_exact(struct dmheap_ctx* ctx, uintptr_t size_class,
                                                   uintptr_t need, dmheap_word tags)
{
    const uintptr_t first = index_first(ctx, size_class);
    struct dmheap_block* block = ctx_block(ctx, first);
    if ((DMHEAP_GUARD && first == INDEX_NONE) ||
        DMHEAP_UNLIKELY(block->header != (dmheap_word)need) ||
        !index_remove_first(ctx, block, size_class)) {
        return heap_suspect(ctx, size_class);
    }
    block_at(block, need)->header &= ~BLOCK_PREV_FREE;
    heap_claim(ctx, block, need, tags);
    return block;
}

/*
 * Unlink the first block of a class whose blocks all have `need` bytes, *size in all. NULL: the
 * class is suspect.
 */
static inline struct dmheap_block* heap_detach_first(struct dmheap_ctx* ctx, uintptr_t size_class,
                                                     uintptr_t need, uintptr_t* size)
{
    const uintptr_t offset = index_first(ctx, size_class);
    struct dmheap_block* block = ctx_block(ctx, offset);
    if ((DMHEAP_GUARD && (offset == 0 || offset == INDEX_NONE)) ||
        DMHEAP_UNLIKELY((uintptr_t)block->header < need ||
                        !heap_is_free(block, ctx->top - (dmheap_word)offset))) {
        return heap_suspect(ctx, size_class);
    }
    *size = (uintptr_t)block->header;
    if (!index_remove_first(ctx, block, size_class)) {
        return heap_suspect(ctx, size_class);
    }
    return block;
}

/*
 * Where the exact class has no block, or there is none: from the class that the size falls in; from
 * a larger one, where all blocks are large enough; from the untouched end. NULL as for heap_take.
 */
static inline struct dmheap_block* heap_take_rest(struct dmheap_ctx* ctx, uintptr_t size_class,
                                                  uintptr_t need, dmheap_word tags)
{
    struct dmheap_block* block = NULL;
    uintptr_t size;
    if (size_class >= INDEX_EXACT) {
        block = heap_detach_fit(ctx, size_class, need, 1, INDEX_LOOKS, &size);
        if (DMHEAP_UNLIKELY(block == NULL && ctx->suspect != 0)) {
            return NULL;
        }
    }
    if (block == NULL) {
        const uintptr_t larger = index_find_above(ctx, size_class);
        if (larger == INDEX_NONE) {
            return heap_take_top(ctx, need, 1, tags);
        }
        block = heap_detach_first(ctx, larger, need, &size);
    }
    if (DMHEAP_LIKELY(block != NULL)) {
        heap_cut(ctx, block, size, need, tags);
    }
    return block;
}

/*
 * Allocate `need` bytes at a granule's alignment. NULL: nothing serves, or what would have served
 * is suspect.
 */
static inline struct dmheap_block* heap_take(struct dmheap_ctx* ctx, uintptr_t need,
                                             dmheap_word tags)
{
    const uintptr_t size_class = index_class(ctx, need);
    return size_class < INDEX_EXACT && ctx->bin[size_class] != 0
               ? heap_take_exact(ctx, size_class, need, tags)
               : heap_take_rest(ctx, size_class, need, tags);
}

/* In an exact class there is nothing to spare for a gap: the first block is aligned, or no use. */
static inline bool heap_first_may_serve(const struct dmheap_ctx* ctx, uintptr_t size_class,
                                        uintptr_t alignment)
{
    const uintptr_t first = (uintptr_t)ctx->bin[size_class];
    const uintptr_t payload = (uintptr_t)block_payload(ctx_block(ctx, first));
    return first != 0 && (size_class >= INDEX_EXACT || (payload & (alignment - 1)) == 0);
}

/* With luck: one of a few blocks of the class of that size, or of the next larger one. */
static DMHEAP_NOINLINE struct dmheap_block*
heap_detach_lucky(struct dmheap_ctx* ctx, uintptr_t need, uintptr_t alignment, uintptr_t* size)
{
    const uintptr_t own = index_class(ctx, need);
    struct dmheap_block* block = heap_detach_fit(ctx, own, need, alignment, INDEX_LOOKS, size);
    if (block == NULL && ctx->suspect == 0) {
        const uintptr_t larger = index_find_above(ctx, own);
        if (larger != INDEX_NONE) {
            block = heap_detach_fit(ctx, larger, need, alignment, INDEX_LOOKS, size);
        }
    }
    return block;
}

/* One so large that it serves wherever it lies. */
static inline struct dmheap_block* heap_detach_sure(struct dmheap_ctx* ctx, uintptr_t need,
                                                    uintptr_t alignment, uintptr_t* size)
{
    const uintptr_t worst = need + alignment + BLOCK_MIN_BYTES - ctx_granule(ctx);
    if (worst > ctx->end - ctx->first) {
        return NULL;
    }
    const uintptr_t sure = index_find_above(ctx, index_class(ctx, worst - ctx_granule(ctx)));
    return sure != INDEX_NONE ? heap_detach_first(ctx, sure, worst, size) : NULL;
}

/*
 * Unlink a block for `need` aligned bytes: the first of the class of that size, if it happens to
 * serve; one so large that it serves wherever it lies; or, with luck, another one. *size is all of
 * it. NULL: none does, or a class is suspect.
 */
static inline struct dmheap_block* heap_detach_aligned(struct dmheap_ctx* ctx, uintptr_t need,
                                                       uintptr_t alignment, uintptr_t* size)
{
    const uintptr_t own = index_class(ctx, need);
    if (heap_first_may_serve(ctx, own, alignment)) {
        struct dmheap_block* first = heap_detach_fit(ctx, own, need, alignment, 1, size);
        if (first != NULL || ctx->suspect != 0) {
            return first;
        }
    }
    struct dmheap_block* block = heap_detach_sure(ctx, need, alignment, size);
    if (block == NULL && ctx->suspect == 0) {
        block = heap_detach_lucky(ctx, need, alignment, size);
    }
    return block;
}

/* Claim `need` aligned bytes wherever they are. NULL as for heap_take. */
static inline struct dmheap_block* heap_take_aligned(struct dmheap_ctx* ctx, uintptr_t need,
                                                     uintptr_t alignment, dmheap_word tags)
{
    uintptr_t size;
    struct dmheap_block* front = heap_detach_aligned(ctx, need, alignment, &size);
    if (front == NULL) {
        return ctx->suspect == 0 ? heap_take_top(ctx, need, alignment, tags) : NULL;
    }
    const uintptr_t gap = heap_gap(front, alignment);
    struct dmheap_block* block = block_at(front, gap);
    tags |= heap_leave_gap(ctx, front, gap);
    heap_cut(ctx, block, size - gap, need, tags);
    return block;
}

/* One try of heap_alloc_aligned. NULL may also mean that this is a case for that. */
static inline struct dmheap_block* heap_try_aligned(struct dmheap_ctx* ctx, size_t alignment,
                                                    size_t size, dmheap_word owner)
{
    const bool remember = alignment > ctx->alignment;
    if (DMHEAP_UNLIKELY(heap_is_beyond(ctx, size, remember) || alignment >= ctx->end)) {
        return NULL;
    }
    const uintptr_t need = heap_need(ctx, size + remember);
    const dmheap_word tags = block_tags(owner) | (remember ? BLOCK_ALIGNED : 0);
    struct dmheap_block* block = heap_take_aligned(ctx, need, (uintptr_t)alignment, tags);
    if (block != NULL && remember) {
        *heap_alignment_byte(ctx, block) = (uint8_t)bits_highest((dmheap_word)alignment);
        heap_seal(ctx, block);
    }
    return block;
}

/*
 * Allocate at any alignment, a power of two. One larger than the default is written into the
 * block's last byte. NULL if and only if none of the places looked at serves.
 */
static DMHEAP_NOINLINE struct dmheap_block*
heap_alloc_aligned(struct dmheap_ctx* ctx, size_t alignment, size_t size, dmheap_word owner)
{
    struct dmheap_block* block;
    do {
        block = heap_try_aligned(ctx, alignment, size, owner);
    } while (block == NULL && heap_give_up(ctx));
    return block;
}

/* One try of heap_alloc. NULL may also mean that this is a case for that. */
static inline struct dmheap_block* heap_try_alloc(struct dmheap_ctx* ctx, size_t size,
                                                  dmheap_word owner)
{
    return DMHEAP_LIKELY(size < ctx->request_limit)
               ? heap_take(ctx, heap_need(ctx, size), block_tags(owner))
               : NULL;
}

/*
 * Allocate at the default alignment. NULL if and only if none of the places looked at serves. A
 * class whose list turns out damaged is given up and the search repeated, once per class at most.
 */
static inline struct dmheap_block* heap_alloc(struct dmheap_ctx* ctx, size_t size,
                                              dmheap_word owner)
{
    if (ctx->alignment > ctx_granule(ctx)) {
        return heap_alloc_aligned(ctx, (size_t)ctx->alignment, size, owner);
    }
    struct dmheap_block* block;
    do {
        block = heap_try_alloc(ctx, size, owner);
    } while (block == NULL && heap_give_up(ctx));
    return block;
}

/* The largest block that heap_take finds in the index, 0: none. */
static inline uintptr_t heap_largest_listed(const struct dmheap_ctx* ctx)
{
    const uintptr_t size_class = index_highest(ctx);
    if (size_class == INDEX_NONE) {
        return 0;
    }
    uintptr_t largest = index_floor(ctx, size_class);
    uintptr_t offset = index_first(ctx, size_class);
    for (unsigned looks = INDEX_LOOKS; looks != 0 && offset != 0; looks--) {
        const struct dmheap_block* block = ctx_block(ctx, offset);
        if ((dmheap_word)offset >= ctx->top ||
            !heap_is_free(block, ctx->top - (dmheap_word)offset)) {
            break;
        }
        const uintptr_t size = (uintptr_t)block->header;
        largest = size > largest ? size : largest;
        offset = index_link(block->next);
    }
    return largest;
}

/*
 * The largest payload that an allocation at the default alignment is sure to get now, if nothing is
 * damaged; 0: none. Up to a granule's alignment nothing larger is to be had; above, with luck.
 */
static inline uintptr_t heap_largest(const struct dmheap_ctx* ctx)
{
    const uintptr_t alignment = (uintptr_t)ctx->alignment;
    const uintptr_t front = heap_gap(ctx_block(ctx, (uintptr_t)ctx->top), alignment);
    const uintptr_t end = (uintptr_t)(ctx->end - ctx->top);
    const uintptr_t room = end > front ? end - front : 0;
    uintptr_t listed = heap_largest_listed(ctx);
    if (alignment > ctx_granule(ctx)) {
        const uintptr_t least = listed != 0 ? index_floor(ctx, index_highest(ctx)) : 0;
        const uintptr_t spare = alignment + BLOCK_MIN_BYTES - ctx_granule(ctx);
        listed = least > spare ? least - spare : 0;
    }
    const uintptr_t largest = room > listed ? room : listed;
    return largest >= BLOCK_MIN_BYTES ? largest - BLOCK_OVERHEAD_BYTES : 0;
}

/* ---- release and resize ------------------------------------------------------ */

/* Unlink the free block of `front` bytes in front of `block`, if there is one, and merge it. */
static inline struct dmheap_block* heap_join(struct dmheap_ctx* ctx, struct dmheap_block* block,
                                             uintptr_t front)
{
    if (front != 0) {
        block = block_before(block, front);
        index_unlink(ctx, block);
    }
    return block;
}

/*
 * Make [block, block + size) free memory, which is not in the live map, and merge it:
 *   [ free, `front` bytes ][ block ][ live, untouched or free ]
 * False, and nothing has changed: no block begins behind it. What is in front is proven already.
 */
static inline bool heap_give(struct dmheap_ctx* ctx, struct dmheap_block* block, uintptr_t size,
                             uintptr_t front, bool is_live)
{
    struct dmheap_block* next = block_at(block, size);
    if (DMHEAP_LIKELY(is_live)) {
        if (DMHEAP_UNLIKELY(block_is_free(next))) {
            return false;
        }
        next->header |= BLOCK_PREV_FREE;
    } else if ((dmheap_word)ctx_offset(ctx, next) == ctx->top) {
        const struct dmheap_block* joined = heap_join(ctx, block, front);
        ctx_set(ctx, &ctx->top, (dmheap_word)ctx_offset(ctx, joined));
        return true;
    } else if (DMHEAP_LIKELY(heap_is_free_at(ctx, next))) {
        size += (uintptr_t)next->header;
        if (!index_remove(ctx, next)) {
            return false;
        }
    } else {
        return false;
    }
    heap_put(ctx, heap_join(ctx, block, front), size + front);
    return true;
}

/*
 * Free a block that live_take took, and merge it with its neighbours:
 *   [ prev ][ block ][ next ]
 * False: its tags contradict its neighbours' or the live map, and nothing else has changed.
 */
static inline bool heap_release(struct dmheap_ctx* ctx, struct dmheap_block* block, uintptr_t index,
                                uintptr_t behind)
{
    const uintptr_t size = heap_size(ctx, block);
    const uintptr_t next = live_next(ctx, index, size >> (unsigned)ctx->granule_shift, behind);
    uintptr_t front = 0;
    if (DMHEAP_UNLIKELY(live_is_inside(next) || !heap_is_whole(ctx, block))) {
        return false;
    }
    if (DMHEAP_UNLIKELY((block->header & BLOCK_PREV_FREE) != 0) &&
        !heap_is_free_before(ctx, block, &front)) {
        return false;
    }
    if (!heap_give(ctx, block, size, front, live_is_there(next))) {
        return false;
    }
    heap_count(ctx, size, 0);
    return true;
}

/* Would heap_release free a block that live_find found? Nothing changes. */
static inline bool heap_may_release(const struct dmheap_ctx* ctx, const struct dmheap_block* block,
                                    uintptr_t index, uintptr_t behind)
{
    const uintptr_t size = heap_size(ctx, block);
    const uintptr_t live = live_next(ctx, index, size >> (unsigned)ctx->granule_shift, behind);
    const struct dmheap_block* next = block_at(block, size);
    uintptr_t front;
    if (live_is_inside(live) || !heap_is_size(ctx, block) || !heap_is_whole(ctx, block)) {
        return false;
    }
    if ((block->header & BLOCK_PREV_FREE) != 0 && !heap_is_free_before(ctx, block, &front)) {
        return false;
    }
    if (live_is_there(live)) {
        return !block_is_free(next);
    }
    return (dmheap_word)ctx_offset(ctx, next) == ctx->top ||
           (heap_is_free_at(ctx, next) && index_is_linked(ctx, next));
}

/* Free the live block at `payload`, which may be any address. */
static inline enum dmheap_verdict heap_free(struct dmheap_ctx* ctx, const void* payload)
{
    uintptr_t index;
    uintptr_t behind;
    if (!live_take(ctx, payload, &index, &behind)) {
        return VERDICT_BAD_POINTER;
    }
    if (!heap_release(ctx, block_of(payload), index, behind)) {
        live_restore(ctx, payload);
        return VERDICT_DAMAGED;
    }
    return VERDICT_OK;
}

/*
 * The alignment that a live block was asked for; 0 where its last byte is damaged, or its size
 * leads out of the heap.
 */
static inline dmheap_word heap_alignment(const struct dmheap_ctx* ctx,
                                         const struct dmheap_block* block)
{
    if ((block->header & BLOCK_ALIGNED) == 0) {
        return ctx->alignment;
    }
    if (heap_size(ctx, block) > (uintptr_t)ctx->top - ctx_offset(ctx, block)) {
        return 0;
    }
    const unsigned exponent = *heap_alignment_byte(ctx, block);
    if (exponent >= DMHEAP_HEADER_BYTES * 8 || exponent >= sizeof(size_t) * 8) {
        return 0;
    }
    const dmheap_word alignment = (dmheap_word)1 << exponent;
    const bool fits = alignment > ctx->alignment &&
                      ((uintptr_t)block_payload(block) & (uintptr_t)(alignment - 1)) == 0;
    return fits ? alignment : 0;
}

/*
 * Let a live block of *size bytes end `need` bytes from its start, at the cost or in favour of what
 * is behind it:
 *   [ block ][ live, untouched or free ]
 * VERDICT_MUST_MOVE: it cannot grow there. VERDICT_DAMAGED: no block begins there. VERDICT_OK with
 * *size as it was: it is large enough, and what is too much is too little for a free block; or the
 * links of the free block behind were written over, so nothing is given back.
 */
static DMHEAP_INLINE enum dmheap_verdict heap_move_end(struct dmheap_ctx* ctx,
                                                       struct dmheap_block* block, uintptr_t* size,
                                                       uintptr_t need, bool is_live)
{
    struct dmheap_block* next = block_at(block, *size);
    uintptr_t room = *size;
    if (is_live) {
        if (DMHEAP_UNLIKELY(block_is_free(next))) {
            return VERDICT_DAMAGED;
        }
        if (need > room) {
            return VERDICT_MUST_MOVE;
        }
        if (room - need < BLOCK_MIN_BYTES) {
            return VERDICT_OK;
        }
        next->header |= BLOCK_PREV_FREE;
    } else if ((dmheap_word)ctx_offset(ctx, next) == ctx->top) {
        const uintptr_t start = ctx_offset(ctx, block);
        if (need > (uintptr_t)ctx->end - start) {
            return VERDICT_MUST_MOVE;
        }
        ctx_set(ctx, &ctx->top, (dmheap_word)(start + need));
        *size = need;
        return VERDICT_OK;
    } else if (DMHEAP_LIKELY(heap_is_free_at(ctx, next))) {
        room += (uintptr_t)next->header;
        if (need > room || !index_remove(ctx, next)) {
            return need > *size ? VERDICT_MUST_MOVE : VERDICT_OK;
        }
    } else {
        return VERDICT_DAMAGED;
    }
    *size = heap_split(ctx, block, room, need);
    return VERDICT_OK;
}

/*
 * Give a live block, which live_find found, room for `size` bytes where it stands. Whatever is not
 * VERDICT_OK left everything as it was; VERDICT_MUST_MOVE: it cannot grow there.
 */
static DMHEAP_INLINE enum dmheap_verdict heap_resize(struct dmheap_ctx* ctx,
                                                     struct dmheap_block* block, uintptr_t index,
                                                     uintptr_t behind, size_t size)
{
    const dmheap_word header = block->header;
    const uintptr_t before = heap_size(ctx, block);
    const uintptr_t live = live_next(ctx, index, before >> (unsigned)ctx->granule_shift, behind);
    if (DMHEAP_UNLIKELY(live_is_inside(live))) {
        return VERDICT_DAMAGED;
    }
    const bool remembers = (block->header & BLOCK_ALIGNED) != 0;
    const bool is_usual = DMHEAP_SHORT_PATHS && !remembers; /* to save space, none is */
    const dmheap_word alignment = is_usual ? 1 : heap_alignment(ctx, block);
    if (DMHEAP_UNLIKELY(alignment == 0 || !heap_is_whole(ctx, block))) {
        return VERDICT_DAMAGED;
    }
    if (DMHEAP_UNLIKELY(!(is_usual && size < ctx->request_limit) &&
                        heap_is_beyond(ctx, size, remembers))) {
        return VERDICT_NO_MEMORY;
    }
    uintptr_t now = before;
    const uint32_t number = heap_number(ctx, block);
    const enum dmheap_verdict verdict =
        heap_move_end(ctx, block, &now, heap_need(ctx, size + remembers), live_is_there(live));
    if (verdict == VERDICT_OK) {
        const dmheap_word tags =
            (DMHEAP_SHORT_PATHS ? header : block->header) ^ (dmheap_word)before;
        block->header = tags | (dmheap_word)now;
        heap_count(ctx, before, now);
        if (DMHEAP_UNLIKELY(remembers)) {
            *heap_alignment_byte(ctx, block) = (uint8_t)bits_highest(alignment);
        }
        trailer_set_number(block, now, number);
        trailer_seal(ctx, block, now);
    }
    return verdict;
}

/* ---- the sweep --------------------------------------------------------------- */

/*
 * What one slice may cost. The unit is a block passed: 12 instructions on Cortex-M3
 * (unregister.1000.passed in bench/ceilings). The others are so large that no pattern of
 * target/holds.c holds the lock for longer than passing HEAP_SWEEP_BUDGET blocks does, some 2400
 * (lock.1000.unload.worst). The first of a run always goes, whatever is left, so a slice may exceed
 * its budget by the dearest of them. After a change here: make bench-target; raise the weight of
 * the pattern that holds longest, or lower the budget.
 */
#define HEAP_SWEEP_RUNS   DMHEAP_SHORT_PATHS /* to save space, each block is freed by itself */
#define HEAP_SWEEP_BUDGET 195
#define HEAP_SWEEP_OTHER  44 /* a block freed beside other memory, or refused */
#define HEAP_SWEEP_JOIN   8  /* the free block in front of a run */
#define HEAP_SWEEP_LOOK   8  /* one looked at by way of the live map */
/* A block freed between live ones, the first of a run; each further one, and the look for them. */
#define HEAP_SWEEP_RUN    (10 + 2 * DMHEAP_CANARY + DMHEAP_ACCOUNTING + 2 * DMHEAP_GUARD)
#define HEAP_SWEEP_MORE   (5 + 2 * DMHEAP_CANARY + DMHEAP_ACCOUNTING)

#define HEAP_SWEEP_CLOSING (HEAP_SWEEP_BUDGET / 2) /* left: the caller may forget the module now */

DMHEAP_STATIC_ASSERT(HEAP_SWEEP_BUDGET == 195 && 1 + (HEAP_SWEEP_BUDGET - 10) / 5 == 38,
                     a_slice_is_as_the_manual_says);

struct heap_sweep {
    uintptr_t index;  /* granule where to go on */
    dmheap_word left; /* blocks still to be found; set before each slice, counted down */
    bool careful;     /* the second time round: look at each live block, trust no size */
    bool damaged;     /* what looked like a block of that owner was left alone */
};

/* The first live payload from `index` on and before `limit`, or where the budget ran out. */
static inline uintptr_t heap_next_live(const struct dmheap_ctx* ctx, uintptr_t index,
                                       uintptr_t limit, int* budget)
{
    while (*budget > 0 && index < limit) {
        const uintptr_t word = *live_word(ctx, index) >> (index % LIVE_BITS);
        if (word != 0) {
            return index + bits_lowest_word(word);
        }
        index = (index | (LIVE_BITS - 1)) + 1;
        *budget -= 1;
    }
    return index;
}

/*
 * Along the sizes in the headers, from *offset to the first block of `owner`. False: there is none
 * as far as *budget, which is above 0, and the blocks go. An address instead might wrap around.
 */
static inline bool heap_pass(const struct dmheap_ctx* ctx, uintptr_t* offset, dmheap_word owner,
                             int* budget)
{
    const uintptr_t top = (uintptr_t)ctx->top;
    const uintptr_t mask = (uintptr_t)ctx->size_mask;
    while (*offset < top) {
        const dmheap_word header = ctx_block(ctx, *offset)->header;
        if (header >> BLOCK_OWNER_SHIFT == owner) {
            return true;
        }
        if (--*budget == 0) {
            return false;
        }
        *offset += (uintptr_t)header & mask;
    }
    return false;
}

/* Undo heap_take_before_live. */
static DMHEAP_COLD void heap_flip_back(struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    (void)live_flip(ctx, live_index(ctx, block_payload(block)));
}

/*
 * Take a block that ends at `end` out of the live map, if it is live, so is the block there, and
 * nothing is in between. False: it is not so, and nothing has changed. The bit is flipped before it
 * is known to have been set. If it was not, live_next finds it as something live inside; only for a
 * size of 0 would it pass for the one at `end`, so that is asked by itself.
 */
static inline bool heap_take_before_live(struct dmheap_ctx* ctx, const struct dmheap_block* block,
                                         const struct dmheap_block* end)
{
    const unsigned shift = (unsigned)ctx->granule_shift;
    const uintptr_t granules = ((uintptr_t)end - (uintptr_t)block) >> shift;
    const uintptr_t index = (ctx_offset(ctx, block) >> shift) + 1; /* of its payload */
    const uintptr_t next = live_next(ctx, index, granules, live_flip(ctx, index));
    if (DMHEAP_UNLIKELY(next != LIVE_NEXT || end == block || block_is_free(end) ||
                        !heap_is_whole(ctx, block))) {
        heap_flip_back(ctx, block);
        return false;
    }
    return true;
}

/* Unlink the free block that a live block's header announces in front of it. NULL: none. */
static DMHEAP_NOINLINE struct dmheap_block* heap_detach_before(struct dmheap_ctx* ctx,
                                                               struct dmheap_block* block)
{
    uintptr_t front;
    return heap_is_free_before(ctx, block, &front) ? heap_join(ctx, block, front) : NULL;
}

/*
 * A run is what a sweep makes one free block at once: the owner's blocks, each right behind the
 * other, a live one behind the last, and what is free in front of the first:
 *   [ free, perhaps ][ block ][ block ][ block ][ live ]
 *   ^ first                                     ^ end
 * Begin one with the block that ends at `end`. To its first byte; NULL: that block is not in front
 * of a live one, or damaged, and nothing has changed.
 */
static inline struct dmheap_block* heap_begin_run(struct dmheap_ctx* ctx,
                                                  struct dmheap_block* block,
                                                  const struct dmheap_block* end, int* budget)
{
    if (!heap_take_before_live(ctx, block, end)) {
        return NULL;
    }
    if (DMHEAP_LIKELY((block->header & BLOCK_PREV_FREE) == 0)) {
        return block;
    }
    struct dmheap_block* first = heap_detach_before(ctx, block);
    *budget -= HEAP_SWEEP_JOIN;
    if (first == NULL) {
        heap_flip_back(ctx, block);
    }
    return first;
}

/* Take up to `most` blocks of `owner` at *end into a run, which moves its end. How many. */
static DMHEAP_NOINLINE dmheap_word heap_extend_run(struct dmheap_ctx* ctx, dmheap_word owner,
                                                   dmheap_word most, struct dmheap_block** end)
{
    struct dmheap_block* block = *end;
    dmheap_word taken = 0;
    while (taken < most && block_owner(block) == owner) {
        struct dmheap_block* next = block_at(block, heap_size(ctx, block));
        if (!heap_take_before_live(ctx, block, next)) {
            break;
        }
        block = next;
        taken++;
    }
    *end = block;
    return taken;
}

/*
 * Free a run of one block, and with it what follows of the same owner. To its end. That more
 * follows is called unlikely, for what is freed alone must not pay for runs.
 */
static inline struct dmheap_block* heap_sweep_run(struct dmheap_ctx* ctx,
                                                  struct dmheap_block* first,
                                                  struct dmheap_block* end, dmheap_word owner,
                                                  dmheap_word* left, int* budget)
{
    *left -= 1;
    *budget -= HEAP_SWEEP_RUN;
    if (DMHEAP_UNLIKELY(block_owner(end) == owner) && *budget > 0) {
        const dmheap_word most = (unsigned)*budget / HEAP_SWEEP_MORE;
        struct dmheap_block* moved = end; /* so that `end` can stay in a register */
        const dmheap_word taken = heap_extend_run(ctx, owner, most < *left ? most : *left, &moved);
        *left -= taken;
        *budget -= (int)(taken + 1) * HEAP_SWEEP_MORE;
        end = moved;
    }
    end->header |= BLOCK_PREV_FREE;
    heap_put(ctx, first, (uintptr_t)end - (uintptr_t)first);
    return end;
}

/*
 * Free what is `owner`'s, from the live block at sweep->index on along the sizes in the headers: in
 * runs, and by itself what is in front of other than live memory. A damaged one may lead nowhere;
 * then the next slice goes on at the live block behind the first.
 */
static DMHEAP_NOINLINE int heap_sweep_along(struct dmheap_ctx* ctx, dmheap_word owner,
                                            struct heap_sweep* sweep, int budget)
{
    uintptr_t offset = ctx_offset(ctx, block_of(live_address(ctx, sweep->index)));
    dmheap_word left = sweep->left;
    while (heap_pass(ctx, &offset, owner, &budget)) {
        struct dmheap_block* block = ctx_block(ctx, offset);
        struct dmheap_block* end = block_at(block, heap_size(ctx, block));
        struct dmheap_block* first =
            HEAP_SWEEP_RUNS ? heap_begin_run(ctx, block, end, &budget) : NULL;
        if (DMHEAP_LIKELY(first != NULL)) {
            end = heap_sweep_run(ctx, first, end, owner, &left, &budget);
            heap_count(ctx, (uintptr_t)end - (uintptr_t)block, 0);
        } else {
            const bool is_freed = heap_free(ctx, block_payload(block)) == VERDICT_OK;
            budget -= HEAP_SWEEP_OTHER;
            left -= is_freed;
            sweep->damaged = sweep->damaged || !is_freed;
        }
        offset = ctx_offset(ctx, end);
        if (budget <= 0 || left == 0) {
            break;
        }
    }
    sweep->left = left;
    const uintptr_t index = live_index(ctx, block_payload(ctx_block(ctx, offset)));
    const bool leads_on = index > sweep->index && offset <= ctx->top;
    sweep->index = leads_on && !sweep->careful ? index : sweep->index + 1;
    return budget;
}

/*
 * Free blocks of `owner` in one slice of bounded cost; true while there may be more, or where the
 * caller has to let go of the lock before it does anything else. Blocks come and go between two
 * slices: each finds its first block by the live map, which no merge can mislead. Where blocks are
 * missing at the end, a damaged size led past them.
 */
static DMHEAP_INLINE bool heap_sweep(struct dmheap_ctx* ctx, dmheap_word owner,
                                     struct heap_sweep* sweep)
{
    int budget = HEAP_SWEEP_BUDGET;
    while (budget > 0 && sweep->left != 0) {
        const uintptr_t limit = live_index(ctx, block_payload(ctx_block(ctx, (uintptr_t)ctx->top)));
        sweep->index = heap_next_live(ctx, sweep->index, limit, &budget);
        if (sweep->index < limit) {
            if (budget > 0) {
                const int share = sweep->careful ? 1 : budget;
                const int look = sweep->careful ? HEAP_SWEEP_LOOK : 0;
                budget -= look + share - heap_sweep_along(ctx, owner, sweep, share);
            }
        } else if (sweep->careful) {
            return budget < HEAP_SWEEP_CLOSING;
        } else {
            sweep->careful = true;
            sweep->index = 0;
        }
    }
    return sweep->left != 0 || budget < HEAP_SWEEP_CLOSING;
}

#endif
