/* SPDX-License-Identifier: MIT */
/*
 * The heap: allocate, release, resize, sweep.
 *
 * Knows: blocks and their neighbours, the index, the untouched end. An owner is
 * an opaque small number here. Does not know: names, locks, logs.
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
    VERDICT_NO_ID,         /* as many modules as ids */
    VERDICT_BAD_POINTER,   /* no live payload starts there */
    VERDICT_DAMAGED,       /* tags contradict each other: written over by an overrun */
    VERDICT_MUST_MOVE,     /* a block cannot grow where it stands */
    VERDICT_GONE           /* the module, or the whole heap, went while a block moved */
};

/* ---- creation ---------------------------------------------------------------- */

/* Where everything of a heap goes, computed before the first byte is written. */
struct heap_plan {
    uintptr_t base; /* the context's address */
    dmheap_word granule;
    dmheap_word alignment;
    dmheap_word live;
    dmheap_word live_bytes;
    dmheap_word first;
    dmheap_word end;
};

/*
 * Bytes to leave in front of `block` so that its payload is aligned: none, or enough
 * for a free block. At most alignment + BLOCK_MIN_BYTES - granule.
 */
static inline dmheap_word heap_gap(const struct dmheap_block* block, dmheap_word alignment)
{
    DMHEAP_ASSERT(bits_is_power_of_two((size_t)alignment));
    const dmheap_word gap = (dmheap_word)(0 - (uintptr_t)block_payload(block)) & (alignment - 1);
    if (gap == 0 || gap >= BLOCK_MIN_BYTES) {
        return gap;
    }
    return gap + ((BLOCK_MIN_BYTES - gap + alignment - 1) & ~(alignment - 1));
}

static inline dmheap_word heap_shift(dmheap_word granule)
{
    return (dmheap_word)bits_highest(granule);
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
static inline enum dmheap_verdict heap_check_buffer(const void* buffer, size_t size,
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

/* Does what is laid out serve one block of the default alignment, and fit a header? */
static inline enum dmheap_verdict heap_check_plan(const struct heap_plan* plan)
{
    if (plan->end < plan->first || plan->end <= plan->alignment) {
        return VERDICT_TOO_SMALL;
    }
    if (plan->end - plan->first > BLOCK_SIZE_MASK) {
        return VERDICT_TOO_LARGE;
    }
    const struct dmheap_ctx* ctx = (const struct dmheap_ctx*)plan->base;
    const dmheap_word gap = heap_gap(ctx_block(ctx, (uintptr_t)plan->first), plan->alignment);
    return plan->end - plan->first < gap + BLOCK_MIN_BYTES ? VERDICT_TOO_SMALL : VERDICT_OK;
}

/* Lay a heap out in `size` bytes at `buffer`: VERDICT_OK, or why there can be none. */
static inline enum dmheap_verdict heap_lay_out(struct heap_plan* plan, const void* buffer,
                                               size_t size, size_t alignment)
{
    const enum dmheap_verdict verdict = heap_check_buffer(buffer, size, alignment);
    if (verdict != VERDICT_OK) {
        return verdict;
    }
    const size_t granule = heap_granule(alignment);
    const uintptr_t base = bits_round_up((uintptr_t)buffer, granule);
    const size_t lost = (size_t)(base - (uintptr_t)buffer);
    if (size < lost + granule || alignment >= size) {
        return VERDICT_TOO_SMALL;
    }
    const size_t usable = (size - lost) & ~(granule - 1);
    const struct dmheap_ctx probe = {.granule_shift = heap_shift((dmheap_word)granule)};
    plan->base = base;
    plan->granule = (dmheap_word)granule;
    plan->alignment = (dmheap_word)(alignment < granule ? granule : alignment);
    plan->live =
        (dmheap_word)(offsetof(struct dmheap_ctx, bin) +
                      (index_class(&probe, (dmheap_word)usable) + 1) * sizeof(dmheap_word));
    plan->live_bytes = live_map_bytes((dmheap_word)(usable / granule));
    plan->first = (dmheap_word)bits_round_up(
                      (uintptr_t)(plan->live + plan->live_bytes + DMHEAP_WORD_BYTES), granule) -
                  DMHEAP_WORD_BYTES;
    plan->end = (dmheap_word)usable - DMHEAP_WORD_BYTES;
    return heap_check_plan(plan);
}

static inline struct dmheap_ctx* heap_create(const struct heap_plan* plan)
{
    struct dmheap_ctx* ctx = (struct dmheap_ctx*)plan->base;
    memset(ctx, 0, (size_t)(plan->live + plan->live_bytes));
    ctx->granule = plan->granule;
    ctx->granule_shift = heap_shift(plan->granule);
    ctx->granules = (plan->end + DMHEAP_WORD_BYTES) >> (unsigned)ctx->granule_shift;
    ctx->live = plan->live;
    ctx->first = plan->first;
    ctx->top = plan->first;
    ctx->end = plan->end;
    ctx->link_limit = plan->end - DMHEAP_WORD_BYTES;
    ctx->alignment = plan->alignment;
    if (plan->alignment == plan->granule) {
        ctx->request_limit = plan->end - plan->first - DMHEAP_WORD_BYTES + 1;
    }
    return ctx;
}

/* ---- what must agree --------------------------------------------------------- */

/*
 * Is this a free block of `least` to `most` bytes, by its tags: header and footer alike, and
 * nothing but a size? Nothing in the block is trusted.
 */
static inline bool heap_is_free(const struct dmheap_block* block, dmheap_word least,
                                dmheap_word most)
{
    const dmheap_word size = block->header;
    return (size & ~BLOCK_SIZE_MASK) == 0 && size >= least && size <= most &&
           block_footer_before(block_at(block, size)) == size;
}

/* ---- merging and cutting ----------------------------------------------------- */

/* Tag and list [block, block + size), between two live blocks of which the second knows. */
static inline void heap_put(struct dmheap_ctx* ctx, struct dmheap_block* block, dmheap_word size)
{
    block_tag_free(block, size);
    index_insert(ctx, block, size);
}

/*
 * Unlink the free block that a live block's header announces in front of it. NULL: it is not
 * there, and nothing has changed.
 */
static inline struct dmheap_block* heap_detach_prev(struct dmheap_ctx* ctx,
                                                    const struct dmheap_block* block)
{
    const uintptr_t size = index_link(block_footer_before(block));
    const uintptr_t offset = ctx_offset(ctx, block) - size;
    struct dmheap_block* prev = ctx_block(ctx, offset);
    if (DMHEAP_UNLIKELY(offset >= ctx->end || prev->header != (dmheap_word)size ||
                        !index_remove(ctx, prev))) {
        return NULL;
    }
    return prev;
}

/*
 * Does the block at granule `index` end where another block or the untouched end may begin, with
 * no live block in between? Then *is_live says whether that place is a live one. Up to 31
 * granules, one window of the live map answers both.
 */
static inline bool heap_find_end(const struct dmheap_ctx* ctx, const struct dmheap_block* block,
                                 uintptr_t index, bool* is_live)
{
    const dmheap_word size = block_size(block);
    const dmheap_word granules = size >> (unsigned)ctx->granule_shift;
    if (DMHEAP_UNLIKELY((size & (ctx->granule - 1)) != 0)) {
        return false;
    }
    if (granules < 32) {
        const uint64_t window = live_window(ctx, index);
        *is_live = (window >> (unsigned)granules & 1) != 0;
        return (window & ~(uint64_t)1 & (((uint64_t)1 << (unsigned)granules) - 1)) == 0;
    }
    const uintptr_t end = index + (uintptr_t)granules;
    if (granules > ctx->granules || end > ctx->granules || !live_is_gap(ctx, index, end)) {
        return false;
    }
    *is_live = live_test(ctx, end);
    return true;
}

/*
 * Make [from, next) free memory and merge it with what is free behind it:
 *   [ from ][ live     [ from ][ untouched     [ from ][ free ][ live
 * False, and nothing changed: no block begins at `next`.
 */
static inline bool heap_give(struct dmheap_ctx* ctx, struct dmheap_block* from,
                             struct dmheap_block* next, bool is_live)
{
    dmheap_word size = (dmheap_word)((uintptr_t)next - (uintptr_t)from);
    if (is_live) {
        if (DMHEAP_UNLIKELY(block_is_free(next))) {
            return false;
        }
        next->header |= BLOCK_PREV_FREE;
    } else {
        const dmheap_word offset = (dmheap_word)ctx_offset(ctx, next);
        if (offset == ctx->top) {
            ctx->top = (dmheap_word)ctx_offset(ctx, from);
            return true;
        }
        if (DMHEAP_UNLIKELY(offset > ctx->top)) {
            return false;
        }
        const dmheap_word behind = next->header;
        if (DMHEAP_UNLIKELY(!heap_is_free(next, BLOCK_MIN_BYTES, ctx->top - offset) ||
                            !index_remove(ctx, next))) {
            return false;
        }
        size += behind;
    }
    heap_put(ctx, from, size);
    return true;
}

/* Make `block` a live one. */
static inline void heap_claim(struct dmheap_ctx* ctx, struct dmheap_block* block, dmheap_word size,
                              dmheap_word owner)
{
    DMHEAP_ASSERT((size & ~BLOCK_SIZE_MASK) == 0 && owner != OWNER_FREE && owner < OWNER_COUNT);
    block->header = owner << BLOCK_OWNER_SHIFT | size;
    live_set(ctx, live_index(ctx, block_payload(block)));
}

/* Claim `need` bytes at the start of unlisted free memory:   [ need | rest ][ live | P ] */
static inline void heap_cut(struct dmheap_ctx* ctx, struct dmheap_block* block, dmheap_word size,
                            dmheap_word need, dmheap_word owner)
{
    const dmheap_word rest = size - need;
    DMHEAP_ASSERT(size >= need);
    if (rest >= BLOCK_MIN_BYTES) {
        heap_put(ctx, block_at(block, need), rest);
        size = need;
    } else {
        block_at(block, size)->header &= ~BLOCK_PREV_FREE;
    }
    heap_claim(ctx, block, size, owner);
}

/* ---- allocation -------------------------------------------------------------- */

/* Bytes of a block for a payload of `size` bytes; the caller knows that the sum fits. */
static inline dmheap_word heap_need(const struct dmheap_ctx* ctx, size_t size)
{
    const dmheap_word need =
        ((dmheap_word)size + DMHEAP_WORD_BYTES + ctx->granule - 1) & (0 - ctx->granule);
    return need < BLOCK_MIN_BYTES ? BLOCK_MIN_BYTES : need;
}

/*
 * Unlink the first among a few blocks of a class that holds `need` aligned bytes. NULL: none does,
 * or *damaged is the class by now.
 */
static inline struct dmheap_block* heap_detach_fit(struct dmheap_ctx* ctx, uintptr_t size_class,
                                                   dmheap_word need, dmheap_word alignment,
                                                   uintptr_t* damaged)
{
    uintptr_t offset = (uintptr_t)ctx->bin[size_class];
    for (unsigned looks = INDEX_LOOKS; looks != 0 && offset != 0; looks--) {
        struct dmheap_block* block = ctx_block(ctx, offset);
        if (DMHEAP_UNLIKELY(offset >= ctx->top || !heap_is_free(block, BLOCK_MIN_BYTES,
                                                                ctx->top - (dmheap_word)offset))) {
            *damaged = size_class;
            return NULL;
        }
        const dmheap_word size = block->header;
        if (size >= need + heap_gap(block, alignment)) {
            if (DMHEAP_UNLIKELY(!index_remove(ctx, block))) {
                *damaged = size_class;
                return NULL;
            }
            block->header = size; /* proven above; unlinking forged links may have hit it */
            return block;
        }
        offset = index_link(block->next);
    }
    return NULL;
}

/* Make [front, block), behind a live block and in front of the live `block`, free memory. */
static inline void heap_leave_gap(struct dmheap_ctx* ctx, struct dmheap_block* front,
                                  struct dmheap_block* block, dmheap_word gap)
{
    if (gap != 0) {
        heap_put(ctx, front, gap);
        block->header |= BLOCK_PREV_FREE;
    }
}

/* Claim `need` bytes of the untouched end, or NULL where it is too short. */
static inline struct dmheap_block* heap_take_top(struct dmheap_ctx* ctx, dmheap_word need,
                                                 dmheap_word alignment, dmheap_word owner)
{
    struct dmheap_block* front = ctx_block(ctx, (uintptr_t)ctx->top);
    const dmheap_word gap = heap_gap(front, alignment);
    if (need + gap > ctx->end - ctx->top) {
        return NULL;
    }
    struct dmheap_block* block = block_at(front, gap);
    ctx->top += gap + need;
    heap_claim(ctx, block, need, owner);
    heap_leave_gap(ctx, front, block, gap);
    return block;
}

/* A block of exactly `need` bytes from its class, which has one. */
static inline struct dmheap_block* heap_take_exact(struct dmheap_ctx* ctx, uintptr_t size_class,
                                                   dmheap_word need, dmheap_word owner,
                                                   uintptr_t* damaged)
{
    const dmheap_word offset = ctx->bin[size_class];
    struct dmheap_block* block = ctx_block(ctx, (uintptr_t)offset);
    if (DMHEAP_UNLIKELY(offset > ctx->top - need || !live_is_granule(ctx, block_payload(block)) ||
                        block->header != need || !index_remove_first(ctx, block, size_class))) {
        *damaged = size_class;
        return NULL;
    }
    block_at(block, need)->header &= ~BLOCK_PREV_FREE;
    heap_claim(ctx, block, need, owner);
    return block;
}

/* From the first class that has blocks, all of which are large enough; else the untouched end. */
static inline struct dmheap_block* heap_take_larger(struct dmheap_ctx* ctx, uintptr_t size_class,
                                                    dmheap_word need, dmheap_word owner,
                                                    uintptr_t* damaged)
{
    size_class = index_find(ctx, size_class);
    if (size_class == INDEX_NONE) {
        return heap_take_top(ctx, need, 1, owner);
    }
    const uintptr_t offset = (uintptr_t)ctx->bin[size_class];
    struct dmheap_block* block = ctx_block(ctx, offset);
    const dmheap_word size = block->header;
    if (DMHEAP_UNLIKELY(offset >= ctx->top || !live_is_granule(ctx, block_payload(block)) ||
                        !heap_is_free(block, need, ctx->top - (dmheap_word)offset) ||
                        !index_remove_first(ctx, block, size_class))) {
        *damaged = size_class;
        return NULL;
    }
    heap_cut(ctx, block, size, need, owner);
    return block;
}

/*
 * Allocate `need` bytes at a granule's alignment. NULL: nothing serves, or *damaged is a class by
 * now, which the caller gives up before the next try.
 */
static inline struct dmheap_block* heap_take(struct dmheap_ctx* ctx, dmheap_word need,
                                             dmheap_word owner, uintptr_t* damaged)
{
    const uintptr_t size_class = index_class(ctx, need);
    if (size_class < INDEX_EXACT) {
        if (ctx->bin[size_class] != 0) {
            return heap_take_exact(ctx, size_class, need, owner, damaged);
        }
    } else {
        struct dmheap_block* block = heap_detach_fit(ctx, size_class, need, 1, damaged);
        if (block != NULL) {
            heap_cut(ctx, block, block->header, need, owner);
            return block;
        }
        if (DMHEAP_UNLIKELY(*damaged != INDEX_NONE)) {
            return NULL;
        }
    }
    return heap_take_larger(ctx, size_class + 1, need, owner, damaged);
}

/*
 * The same from the first class at *size_class or above that has blocks; *size_class becomes the
 * one behind it, or INDEX_NONE.
 */
static inline struct dmheap_block* heap_detach_next(struct dmheap_ctx* ctx, uintptr_t* size_class,
                                                    dmheap_word need, dmheap_word alignment,
                                                    uintptr_t* damaged)
{
    const uintptr_t found = *damaged != INDEX_NONE || *size_class == INDEX_NONE
                                ? INDEX_NONE
                                : index_find(ctx, *size_class);
    *size_class = found == INDEX_NONE ? INDEX_NONE : found + 1;
    return found == INDEX_NONE ? NULL : heap_detach_fit(ctx, found, need, alignment, damaged);
}

/*
 * Unlink a block for `need` aligned bytes: from the class of that size, which may serve with
 * luck; from two where blocks are so large that they serve wherever they lie; at last from the
 * next larger class, with luck again. NULL: none does, or *damaged is a class by now.
 */
static inline struct dmheap_block* heap_detach_aligned(struct dmheap_ctx* ctx, dmheap_word need,
                                                       dmheap_word alignment, uintptr_t* damaged)
{
    const dmheap_word worst = need + alignment + BLOCK_MIN_BYTES - ctx->granule;
    const uintptr_t own = index_class(ctx, need);
    uintptr_t larger = own + 1;
    uintptr_t sure = worst <= ctx->end - ctx->first ? index_class(ctx, worst) : INDEX_NONE;
    struct dmheap_block* block = heap_detach_fit(ctx, own, need, alignment, damaged);
    for (unsigned round = 0; round < 2 && block == NULL; round++) {
        block = heap_detach_next(ctx, &sure, need, alignment, damaged);
    }
    return block != NULL ? block : heap_detach_next(ctx, &larger, need, alignment, damaged);
}

/* Claim `need` aligned bytes wherever they are. NULL as for heap_take. */
static inline struct dmheap_block* heap_take_aligned(struct dmheap_ctx* ctx, dmheap_word need,
                                                     dmheap_word alignment, dmheap_word owner,
                                                     uintptr_t* damaged)
{
    struct dmheap_block* front = heap_detach_aligned(ctx, need, alignment, damaged);
    if (front == NULL) {
        return *damaged == INDEX_NONE ? heap_take_top(ctx, need, alignment, owner) : NULL;
    }
    const dmheap_word size = front->header;
    const dmheap_word gap = heap_gap(front, alignment);
    struct dmheap_block* block = block_at(front, gap);
    heap_cut(ctx, block, size - gap, need, owner);
    heap_leave_gap(ctx, front, block, gap);
    return block;
}

/*
 * Allocate at any alignment, a power of two. One larger than the default is written into the
 * block's last byte. NULL if and only if none of the places looked at serves.
 */
static DMHEAP_NOINLINE struct dmheap_block*
heap_alloc_aligned(struct dmheap_ctx* ctx, size_t alignment, size_t size, dmheap_word owner)
{
    if (size >= ctx->end || alignment >= ctx->end) {
        return NULL;
    }
    const dmheap_word align = (dmheap_word)alignment;
    const bool remember = align > ctx->alignment;
    const dmheap_word need = heap_need(ctx, size + remember);
    if (need > ctx->end - ctx->first) {
        return NULL;
    }
    for (;;) {
        uintptr_t damaged = INDEX_NONE;
        struct dmheap_block* block = heap_take_aligned(ctx, need, align, owner, &damaged);
        if (DMHEAP_LIKELY(damaged == INDEX_NONE)) {
            if (block != NULL && remember) {
                block_remember_alignment(block, bits_highest(align));
            }
            return block;
        }
        index_abandon(ctx, damaged);
    }
}

/*
 * Allocate at the default alignment. NULL if and only if none of the places looked at serves. A
 * class whose list turns out damaged is given up and the search repeated, once per class at most.
 */
static inline struct dmheap_block* heap_alloc(struct dmheap_ctx* ctx, size_t size,
                                              dmheap_word owner)
{
    if (DMHEAP_UNLIKELY(size >= ctx->request_limit)) {
        return ctx->alignment > ctx->granule
                   ? heap_alloc_aligned(ctx, (size_t)ctx->alignment, size, owner)
                   : NULL;
    }
    const dmheap_word need = heap_need(ctx, size);
    for (;;) {
        uintptr_t damaged = INDEX_NONE;
        struct dmheap_block* block = heap_take(ctx, need, owner, &damaged);
        if (DMHEAP_LIKELY(damaged == INDEX_NONE)) {
            return block;
        }
        index_abandon(ctx, damaged);
    }
}

/* The short path of the same. NULL may also mean that this is a case for heap_alloc. */
static inline struct dmheap_block* heap_alloc_fast(struct dmheap_ctx* ctx, size_t size,
                                                   dmheap_word owner)
{
    uintptr_t damaged = INDEX_NONE;
    return DMHEAP_LIKELY(size < ctx->request_limit)
               ? heap_take(ctx, heap_need(ctx, size), owner, &damaged)
               : NULL;
}

/* ---- release and resize ------------------------------------------------------ */

/*
 * Free a block that live_take took out of the live map at granule `index`, and merge it with its
 * neighbours:   [ prev ][ block ][ next ]
 * False: its tags contradict its neighbours' or the live map, and it is as it was, in the map too.
 */
static inline bool heap_release(struct dmheap_ctx* ctx, struct dmheap_block* block, uintptr_t index)
{
    struct dmheap_block* const next = block_next(block);
    bool is_live;
    if (DMHEAP_LIKELY(heap_find_end(ctx, block, index, &is_live))) {
        struct dmheap_block* from = block;
        if ((block->header & BLOCK_PREV_FREE) != 0) {
            from = heap_detach_prev(ctx, block);
        }
        if (DMHEAP_LIKELY(from != NULL)) {
            if (DMHEAP_LIKELY(heap_give(ctx, from, next, is_live))) {
                return true;
            }
            if (from != block) {
                heap_put(ctx, from, (dmheap_word)((uintptr_t)block - (uintptr_t)from));
            }
        }
    }
    live_set(ctx, index);
    return false;
}

/* Free the live block at `payload`, which may be any address. */
static inline enum dmheap_verdict heap_free(struct dmheap_ctx* ctx, const void* payload)
{
    uintptr_t index;
    if (!live_take(ctx, payload, &index)) {
        return VERDICT_BAD_POINTER;
    }
    return heap_release(ctx, block_of(payload), index) ? VERDICT_OK : VERDICT_DAMAGED;
}

/* The alignment that a live block was asked for; 0 where its record is damaged. */
static inline dmheap_word heap_alignment(const struct dmheap_ctx* ctx,
                                         const struct dmheap_block* block)
{
    if ((block->header & BLOCK_ALIGNED) == 0) {
        return ctx->alignment;
    }
    const unsigned exponent = *block_alignment_byte(block);
    if (exponent >= DMHEAP_HEADER_BYTES * 8 || exponent >= sizeof(size_t) * 8) {
        return 0;
    }
    const dmheap_word alignment = (dmheap_word)1 << exponent;
    const bool fits = alignment > ctx->alignment &&
                      ((uintptr_t)block_payload(block) & (uintptr_t)(alignment - 1)) == 0;
    return fits ? alignment : 0;
}

/* Take in the free memory behind a live block, if that makes it `need` bytes or more. */
static inline bool heap_grow(struct dmheap_ctx* ctx, struct dmheap_block* block, dmheap_word need)
{
    const struct dmheap_block* next = block_next(block);
    const dmheap_word more = need - block_size(block);
    if (ctx_offset(ctx, next) == ctx->top) {
        if (more > ctx->end - ctx->top) {
            return false;
        }
        ctx->top += more;
        block->header += more;
        return true;
    }
    const dmheap_word behind = block_size(next);
    if (!block_is_free(next) || behind < more || !index_remove(ctx, next)) {
        return false;
    }
    block_at(next, behind)->header &= ~BLOCK_PREV_FREE;
    block->header += behind;
    return true;
}

/* Give back what a live block has beyond `need` bytes, if that can be free memory. */
static inline void heap_trim(struct dmheap_ctx* ctx, struct dmheap_block* block, dmheap_word need)
{
    struct dmheap_block* next = block_next(block);
    const dmheap_word rest = block_size(block) - need;
    const bool merges = ctx_offset(ctx, next) == ctx->top || block_is_free(next);
    if ((rest >= BLOCK_MIN_BYTES || (rest != 0 && merges)) &&
        heap_give(ctx, block_at(block, need), next, live_is(ctx, block_payload(next)))) {
        block->header -= rest;
    }
}

/* Does a live block end where the untouched end, a free block or another live one begins? */
static inline bool heap_is_whole(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    const struct dmheap_block* next = block_next(block);
    const dmheap_word offset = (dmheap_word)ctx_offset(ctx, next);
    bool is_live = false;
    if (!heap_find_end(ctx, block, live_index(ctx, block_payload(block)), &is_live) ||
        next == block || offset > ctx->top) {
        return false;
    }
    return offset == ctx->top || (is_live ? !block_is_free(next)
                                          : heap_is_free(next, BLOCK_MIN_BYTES, ctx->top - offset));
}

/*
 * Give a live block room for `size` bytes where it stands. VERDICT_MUST_MOVE: it cannot
 * grow there.
 */
static inline enum dmheap_verdict heap_resize(struct dmheap_ctx* ctx, struct dmheap_block* block,
                                              size_t size)
{
    const bool remembers = (block->header & BLOCK_ALIGNED) != 0;
    if (!heap_is_whole(ctx, block)) {
        return VERDICT_DAMAGED;
    }
    const dmheap_word alignment = heap_alignment(ctx, block);
    if (alignment == 0) {
        return VERDICT_DAMAGED;
    }
    if (size >= ctx->end) {
        return VERDICT_NO_MEMORY;
    }
    const dmheap_word need = heap_need(ctx, size + remembers);
    if (need > block_size(block) && !heap_grow(ctx, block, need)) {
        return VERDICT_MUST_MOVE;
    }
    heap_trim(ctx, block, need);
    if (remembers) {
        block_remember_alignment(block, bits_highest(alignment));
    }
    return VERDICT_OK;
}

/* ---- the sweep --------------------------------------------------------------- */

/* What one slice of a sweep may cost, in blocks passed; freeing a block counts as eight more. */
#define HEAP_SWEEP_BUDGET  64
#define HEAP_SWEEP_RELEASE 8

struct heap_sweep {
    uintptr_t index;  /* granule where to go on */
    dmheap_word left; /* blocks still to be found; set before each slice, counted down */
    bool careful;     /* the second time round: look at each live block, trust no size */
    bool damaged;     /* a block of that owner was left alone because its tags disagree */
};

/* The first live payload from `index` on and before `limit`, or where the budget ran out. */
static inline uintptr_t heap_next_live(const struct dmheap_ctx* ctx, uintptr_t index,
                                       uintptr_t limit, int* budget)
{
    while (*budget > 0 && index < limit) {
        const uint32_t word = *live_word(ctx, index) >> (index % 32);
        if (word != 0) {
            return index + bits_lowest(word);
        }
        index = (index | 31) + 1;
        *budget -= 1;
    }
    return index;
}

/* Free what is `owner`'s, from the live block at sweep->index on along the sizes in the headers. */
static inline void heap_sweep_along(struct dmheap_ctx* ctx, dmheap_word owner,
                                    struct heap_sweep* sweep, int* budget)
{
    struct dmheap_block* block = block_of(live_address(ctx, sweep->index));
    do {
        struct dmheap_block* next = block_next(block);
        if (block_owner(block) == owner) {
            if (heap_free(ctx, block_payload(block)) == VERDICT_OK) {
                sweep->left--;
                *budget -= HEAP_SWEEP_RELEASE;
            } else {
                sweep->damaged = true;
            }
        }
        *budget -= 1;
        block = next;
    } while (!sweep->careful && *budget > 0 && sweep->left != 0 &&
             ctx_offset(ctx, block) < ctx->top);

    /* A damaged size may lead nowhere; then go on at the live block behind the first one. */
    const uintptr_t index = live_index(ctx, block_payload(block));
    const bool leads_on = index > sweep->index && ctx_offset(ctx, block) <= ctx->top;
    sweep->index = leads_on && !sweep->careful ? index : sweep->index + 1;
}

/*
 * Free blocks of `owner` in one slice of bounded cost; true while there may be more. Blocks
 * come and go between two slices: each finds its first block by the live map, which no merge
 * can mislead. Where blocks are missing at the end, a damaged size led past them.
 */
static inline bool heap_sweep(struct dmheap_ctx* ctx, dmheap_word owner, struct heap_sweep* sweep)
{
    int budget = HEAP_SWEEP_BUDGET;
    while (budget > 0 && sweep->left != 0) {
        const uintptr_t limit = live_index(ctx, block_payload(ctx_block(ctx, (uintptr_t)ctx->top)));
        sweep->index = heap_next_live(ctx, sweep->index, limit, &budget);
        if (sweep->index < limit) {
            if (budget > 0) {
                heap_sweep_along(ctx, owner, sweep, &budget);
            }
        } else if (sweep->careful) {
            return false;
        } else {
            sweep->careful = true;
            sweep->index = 0;
        }
    }
    return sweep->left != 0;
}

#endif
