/* SPDX-License-Identifier: MIT */
/*
 * The live map: one bit per granule, set exactly where a live payload starts.
 *
 * Knows: which addresses malloc has handed out. Does not know: sizes, owners,
 * what the memory holds - which is why no content can deceive it.
 * Always holds: a pointer is live if and only if its bit is set.
 * Cost: about ten instructions a call.
 */
#ifndef DMHEAP_LIVE_H
#define DMHEAP_LIVE_H

#include "dmheap_layout.h"

/*
 * The granule number of any address whatever. One that is misaligned, in front of
 * the heap or behind it comes out as ctx->granules or more.
 */
static inline uintptr_t live_index(const struct dmheap_ctx* ctx, const void* address)
{
    return bits_rotate_right((uintptr_t)address - (uintptr_t)ctx, (unsigned)ctx->granule_shift);
}

static inline void* live_address(const struct dmheap_ctx* ctx, uintptr_t index)
{
    return (void*)((uintptr_t)ctx + (index << (unsigned)ctx->granule_shift));
}

/* The map's words are as wide as an address: most blocks have all their bits in one of them. */
#define LIVE_BITS ((uintptr_t)sizeof(uintptr_t) * 8)

/*
 * Where live_next reads two words, a word may alias: once it is written, the context is read again
 * rather than kept in registers that a function would have to save. Elsewhere that costs more.
 */
#if DMHEAP_AVOID_BRANCHES
typedef uintptr_t DMHEAP_MAY_ALIAS live_map_word;
#else
typedef uintptr_t live_map_word;
#endif

static inline live_map_word* live_word(const struct dmheap_ctx* ctx, uintptr_t index)
{
    return (live_map_word*)((uintptr_t)ctx + (uintptr_t)ctx->live) + index / LIVE_BITS;
}

static inline uintptr_t live_bit(uintptr_t index)
{
    return (uintptr_t)1 << (index % LIVE_BITS);
}

/* index <= ctx->granules: the map has one bit more, for a block that ends with the heap. */
static inline bool live_test(const struct dmheap_ctx* ctx, uintptr_t index)
{
    DMHEAP_ASSERT(index <= ctx->granules);
    return (*live_word(ctx, index) & live_bit(index)) != 0;
}

/* index < ctx->granules, here and below */
static inline void live_set(struct dmheap_ctx* ctx, uintptr_t index)
{
    DMHEAP_ASSERT(index < ctx->granules);
    *live_word(ctx, index) |= live_bit(index);
}

static inline void live_clear(struct dmheap_ctx* ctx, uintptr_t index)
{
    *live_word(ctx, index) &= ~live_bit(index);
}

/*
 * Is there a live payload at `address`, which may be anything? Then *index is its granule, and
 * *behind the map from there on, without its own bit, as far as the word goes.
 */
static inline bool live_find(const struct dmheap_ctx* ctx, const void* address, uintptr_t* index,
                             uintptr_t* behind)
{
    *index = live_index(ctx, address);
    if (DMHEAP_UNLIKELY(*index >= ctx->granules)) {
        return false;
    }
    const uintptr_t bits = *live_word(ctx, *index);
    *behind = (bits & ~live_bit(*index)) >> (*index % LIVE_BITS);
    return DMHEAP_LIKELY((bits >> (*index % LIVE_BITS) & 1) != 0);
}

static inline bool live_is(const struct dmheap_ctx* ctx, const void* address)
{
    uintptr_t index;
    uintptr_t behind;
    return live_find(ctx, address, &index, &behind);
}

/* Is there one? Then it is not live any more. */
static inline bool live_take(struct dmheap_ctx* ctx, const void* address, uintptr_t* index,
                             uintptr_t* behind)
{
    if (!live_find(ctx, address, index, behind)) {
        return false;
    }
    live_clear(ctx, *index);
    return true;
}

/* Flip the bit at `index`. What the map has then from there on, as far as the word goes. */
static inline uintptr_t live_flip(struct dmheap_ctx* ctx, uintptr_t index)
{
    DMHEAP_ASSERT(index < ctx->granules);
    const uintptr_t bits = *live_word(ctx, index) ^ live_bit(index);
    *live_word(ctx, index) = bits;
    return bits >> (index % LIVE_BITS);
}

/* Undo live_take. */
static inline void live_restore(struct dmheap_ctx* ctx, const void* address)
{
    live_set(ctx, live_index(ctx, address));
}

/* live_next: a live payload starts right there. */
#define LIVE_NEXT (~(~(uintptr_t)0 >> 1))

/*
 * What the map has up to `granules` behind `index`, where `behind` is from live_find: LIVE_NEXT, or
 * 0, nothing. Anything else: a live payload in between, or the end of the heap. Where the two are
 * in different words, those are looked at; to avoid that branch, a short block always has two. That
 * nothing is live behind the end is proven only where no bit is trusted.
 */
static inline uintptr_t live_next(const struct dmheap_ctx* ctx, uintptr_t index, uintptr_t granules,
                                  uintptr_t behind)
{
    const uintptr_t end = index + granules;
    if (DMHEAP_GUARD && DMHEAP_UNLIKELY(end > ctx->granules)) {
        return 1;
    }
    if (!DMHEAP_AVOID_BRANCHES && index % LIVE_BITS + granules < LIVE_BITS) {
        return behind << (LIVE_BITS - 1 - granules);
    }
    if (DMHEAP_AVOID_BRANCHES && granules < LIVE_BITS) {
        const uintptr_t beyond = live_word(ctx, index)[1] << 1 << (~index % LIVE_BITS);
        return (behind | beyond) << (~granules % LIVE_BITS);
    }
    if (DMHEAP_UNLIKELY(end > ctx->granules || behind != 0)) {
        return 1;
    }
    return *live_word(ctx, end) << (~end % LIVE_BITS);
}

/* Of a result of live_next: does something live begin before the place asked about? */
static inline bool live_is_inside(uintptr_t next)
{
    return next << 1 != 0;
}

/* Of one with nothing inside: does something live begin right there? */
static inline bool live_is_there(uintptr_t next)
{
    DMHEAP_ASSERT(!live_is_inside(next));
    return next != 0;
}

/* Bytes of a map for that many granules, a bit for the end, and live_next's second word. */
static inline dmheap_word live_map_bytes(dmheap_word granules)
{
    const dmheap_word bits = (dmheap_word)LIVE_BITS;
    const dmheap_word further = DMHEAP_AVOID_BRANCHES ? bits - 1 : 0;
    return ((granules + further) / bits + 1) * (dmheap_word)sizeof(uintptr_t);
}

#endif
