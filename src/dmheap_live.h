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

/* index < ctx->granules, here and below */
static inline bool live_test(const struct dmheap_ctx* ctx, uintptr_t index)
{
    return (*live_word(ctx, index) >> (index % 32) & 1U) != 0;
}

static inline void live_set(struct dmheap_ctx* ctx, uintptr_t index)
{
    *live_word(ctx, index) |= (uint32_t)1 << (index % 32);
}

static inline void live_clear(struct dmheap_ctx* ctx, uintptr_t index)
{
    *live_word(ctx, index) &= ~((uint32_t)1 << (index % 32));
}

/* Is there a live payload at `address`, which may be anything? */
static inline bool live_is(const struct dmheap_ctx* ctx, const void* address)
{
    const uintptr_t index = live_index(ctx, address);
    return index < ctx->granules && live_test(ctx, index);
}

/* The same, and from now on it is not live any more. */
static inline bool live_take(struct dmheap_ctx* ctx, const void* address)
{
    const uintptr_t index = live_index(ctx, address);
    if (DMHEAP_UNLIKELY(index >= ctx->granules)) {
        return false;
    }
    uint32_t* const word = live_word(ctx, index);
    const uint32_t bits = *word;
    const uint32_t bit = (uint32_t)1 << (index % 32);
    if (DMHEAP_UNLIKELY((bits & bit) == 0)) {
        return false;
    }
    *word = bits ^ bit;
    return true;
}

#endif
