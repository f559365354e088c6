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

#include "dmheap_ctx.h"

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

static inline uint32_t* live_word(const struct dmheap_ctx* ctx, uintptr_t index)
{
    return (uint32_t*)((uintptr_t)ctx + (uintptr_t)ctx->live) + index / 32;
}

/* index <= ctx->granules: the map has one bit more, for a block that ends with the heap. */
static inline bool live_test(const struct dmheap_ctx* ctx, uintptr_t index)
{
    DMHEAP_ASSERT(index <= ctx->granules);
    return (*live_word(ctx, index) >> (index % 32) & 1U) != 0;
}

/* index < ctx->granules, here and below */
static inline void live_set(struct dmheap_ctx* ctx, uintptr_t index)
{
    DMHEAP_ASSERT(index < ctx->granules);
    *live_word(ctx, index) |= (uint32_t)1 << (index % 32);
}

static inline void live_clear(struct dmheap_ctx* ctx, uintptr_t index)
{
    *live_word(ctx, index) &= ~((uint32_t)1 << (index % 32));
}

/* Could a payload start at `address`? */
static inline bool live_is_granule(const struct dmheap_ctx* ctx, const void* address)
{
    return live_index(ctx, address) < ctx->granules;
}

/* Is there a live payload at `address`, which may be anything? */
static inline bool live_is(const struct dmheap_ctx* ctx, const void* address)
{
    const uintptr_t index = live_index(ctx, address);
    return index < ctx->granules && live_test(ctx, index);
}

/* The same, and from now on it is not live any more; *index is its granule. */
static inline bool live_take(struct dmheap_ctx* ctx, const void* address, uintptr_t* index)
{
    *index = live_index(ctx, address);
    if (DMHEAP_UNLIKELY(*index >= ctx->granules)) {
        return false;
    }
    uint32_t* const word = live_word(ctx, *index);
    const uint32_t bits = *word;
    const uint32_t bit = (uint32_t)1 << (*index % 32);
    if (DMHEAP_UNLIKELY((bits & bit) == 0)) {
        return false;
    }
    *word = bits ^ bit;
    return true;
}

/* The map's bits from `index` on: 33 of them at least, for a word of zeros ends the map. */
static inline uint64_t live_window(const struct dmheap_ctx* ctx, uintptr_t index)
{
    const uint32_t* const word = live_word(ctx, index);
    return ((uint64_t)word[1] << 32 | word[0]) >> (index % 32);
}

/*
 * Does no payload start between `first` and `last`, which are at least 32 apart? Looks at the two
 * words that these are in, so what is more than 64 granules long is not proven in its middle.
 */
static inline bool live_is_gap(const struct dmheap_ctx* ctx, uintptr_t first, uintptr_t last)
{
    const uint32_t above = *live_word(ctx, first) & (~(uint32_t)1 << (first % 32));
    const uint32_t below = *live_word(ctx, last) & ~(~(uint32_t)0 << (last % 32));
    return (below | above) == 0;
}

/* Bytes of a map for that many granules, a bit for the end and a word of zeros. */
static inline dmheap_word live_map_bytes(dmheap_word granules)
{
    return granules / 32 * 4 + 8;
}

#endif
