/* SPDX-License-Identifier: MIT */
/*
 * Trailers: what a live block has behind its payload, in a library that was built with it.
 *
 *   [ header ][ payload ............ | A ][ canary ][ number ][ next header
 *                                    DMHEAP_CANARY   DMHEAP_SEQUENCE
 *
 * Knows: the end of a live block whose size is known to be right. Does not know: who trusts it.
 * Always holds: a live block's canary is right for its place, its header and its heap; without the
 * settings there are no trailers, and nothing here comes to any code.
 * Cost: about twenty instructions for a canary, three for a number.
 */
#ifndef DMHEAP_TRAILER_H
#define DMHEAP_TRAILER_H

#include "dmheap_block.h"

typedef uint32_t DMHEAP_MAY_ALIAS trailer_word;

/* One count for all heaps, so that a mark is good for each of them. */
static uint32_t trailer_last_number;

/* The end of a block, as what its trailer's words are counted back from. */
static inline trailer_word* trailer_end(const struct dmheap_block* block, uintptr_t size)
{
    return (trailer_word*)block_at(block, size);
}

/* A payload's last byte, where an over-aligned block keeps log2 of its alignment. */
static inline uint8_t* trailer_alignment_byte(const struct dmheap_block* block, uintptr_t size)
{
    return (uint8_t*)block_at(block, size - BLOCK_TRAILER_BYTES) - 1;
}

/* ---- the canary --------------------------------------------------------------- */

/*
 * What of a header is mixed into a canary: all of it but the owner, which comes beside it, and P, which
 * changes with what is in front. No bit of it becomes another without a canary that shows it.
 */
static inline uint32_t trailer_fold(uint64_t header, unsigned owner_shift)
{
    const uint64_t rest = header & (((uint64_t)1 << owner_shift) - 1) & ~(uint64_t)BLOCK_PREV_FREE;
    return (uint32_t)(rest ^ rest >> 32);
}

/*
 * Another one in each place and each heap, so that one copied along with its block is wrong. It seals
 * the header, and the byte that keeps an alignment, which an overrun by one byte hits. No two owners,
 * and no two values of that byte, have one canary. No byte of a canary is 0, so the end of a text
 * always shows.
 */
static inline uint32_t trailer_mix(uint32_t offset, uint32_t folded, uint32_t serial,
                                   uint32_t owner, uint32_t alignment)
{
    const uint32_t tags = alignment * 0x102U | (owner & 0x7FU) << 17 | owner >> 7 << 25;
    return (bits_scatter(bits_scatter(folded) + offset) ^ serial ^ tags) | 0x01010101U;
}

static inline uint32_t trailer_canary(const struct dmheap_ctx* ctx,
                                      const struct dmheap_block* block, uintptr_t size)
{
    const bool is_aligned = (block->header & BLOCK_ALIGNED) != 0;
    const uint32_t alignment = is_aligned ? *trailer_alignment_byte(block, size) : 0;
    return trailer_mix((uint32_t)ctx_offset(ctx, block),
                       trailer_fold(block->header, BLOCK_OWNER_SHIFT), (uint32_t)ctx->serial,
                       (uint32_t)block_owner(block), alignment);
}

/* Write the canary of a live block: at last, when its header and its last byte are as they stay. */
static inline void trailer_seal(const struct dmheap_ctx* ctx, const struct dmheap_block* block,
                                uintptr_t size)
{
    if (DMHEAP_CANARY) {
        trailer_end(block, size)[-1 - DMHEAP_SEQUENCE] = trailer_canary(ctx, block, size);
    }
}

/* Is the canary as it was written? */
static inline bool trailer_is_sealed(const struct dmheap_ctx* ctx, const struct dmheap_block* block,
                                     uintptr_t size)
{
    return !DMHEAP_CANARY ||
           trailer_end(block, size)[-1 - DMHEAP_SEQUENCE] == trailer_canary(ctx, block, size);
}

/* ---- the number --------------------------------------------------------------- */

/* The number of a block that is new; they begin again after 2^32. */
static inline uint32_t trailer_new_number(void)
{
    return DMHEAP_SEQUENCE ? ++trailer_last_number : 0;
}

static inline uint32_t trailer_number(const struct dmheap_block* block, uintptr_t size)
{
    return DMHEAP_SEQUENCE ? trailer_end(block, size)[-1] : 0;
}

static inline void trailer_set_number(const struct dmheap_block* block, uintptr_t size,
                                      uint32_t number)
{
    if (DMHEAP_SEQUENCE) {
        trailer_end(block, size)[-1] = number;
    }
}

/*
 * Was a number given after the mark, and up to now? Both are the last number of their moment. Ages
 * are compared, not numbers, so it is right for every block that is no more than 2^32 numbers old.
 */
static inline bool trailer_is_since(uint32_t number, uint32_t mark, uint32_t now)
{
    return now - number < now - mark;
}

#endif
