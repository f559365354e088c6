/* SPDX-License-Identifier: MIT */
/*
 * Blocks: boundary tags.
 *
 *   ...][ header ][ payload ........................ ][ next header
 *        one word  ^ the pointer a client has
 *
 *   header:  [ owner | size in bytes ............ | A | P ]
 *            size   in bytes, header included; a multiple of the granule, so that the
 *                   two lowest bits are free for A and P
 *            owner  0 while free, 1 the heap itself, 2 nobody, 3... a module
 *            A      the payload's last byte holds log2 of the alignment asked for
 *            P      the block in front is free
 *
 *   free:    [ size, all else 0 ][ next ][ prev ] ... [ size ]
 *                                                      ^ footer
 *
 * Knows: one block and its neighbours' tags. Does not know: lists, heaps' limits.
 * Always holds: a free block's header equals its footer; no two free blocks are
 * adjacent, so a free block's own P is 0.
 */
#ifndef DMHEAP_BLOCK_H
#define DMHEAP_BLOCK_H

#include "dmheap_live.h"

#define BLOCK_PREV_FREE   ((dmheap_word)1)
#define BLOCK_ALIGNED     ((dmheap_word)2)
#define BLOCK_OWNER_BITS  (DMHEAP_HEADER_BYTES == 4 ? 8 : 12)
#define BLOCK_OWNER_SHIFT (DMHEAP_HEADER_BYTES * 8 - BLOCK_OWNER_BITS)
/* No more bits than leave room for sums of addresses, and none below a word. */
#define BLOCK_SIZE_BITS                                                     \
    (BLOCK_OWNER_SHIFT < (int)sizeof(uintptr_t) * 8 - 1 ? BLOCK_OWNER_SHIFT \
                                                        : (int)sizeof(uintptr_t) * 8 - 1)
#define BLOCK_SIZE_MASK ((((dmheap_word)1 << BLOCK_SIZE_BITS) - 1) & ~(DMHEAP_WORD_BYTES - 1))
#define BLOCK_MIN_BYTES (sizeof(dmheap_word) * 4) /* header, two links, footer */

/* What a live block has behind its payload: dmheap_trailer.h. */
#define BLOCK_TRAILER_BYTES  (4U * DMHEAP_CANARY + 4U * DMHEAP_SEQUENCE)
#define BLOCK_OVERHEAD_BYTES ((unsigned)sizeof(dmheap_word) + BLOCK_TRAILER_BYTES)

#define OWNER_FREE    ((dmheap_word)0)
#define OWNER_HEAP    ((dmheap_word)1)
#define OWNER_NOBODY  ((dmheap_word)2)
#define OWNER_MODULES ((dmheap_word)3) /* the first id that a module gets */
#define OWNER_COUNT   ((dmheap_word)1 << BLOCK_OWNER_BITS)

static inline uintptr_t block_size(const struct dmheap_block* block)
{
    return (uintptr_t)(block->header & BLOCK_SIZE_MASK);
}

static inline dmheap_word block_owner(const struct dmheap_block* block)
{
    return block->header >> BLOCK_OWNER_SHIFT;
}

static inline bool block_is_free(const struct dmheap_block* block)
{
    return block->header < (dmheap_word)1 << BLOCK_OWNER_SHIFT;
}

/* A live block's header but for its size. */
static inline dmheap_word block_tags(dmheap_word owner)
{
    DMHEAP_ASSERT(owner != OWNER_FREE && owner < OWNER_COUNT);
    return owner << BLOCK_OWNER_SHIFT;
}

static inline void block_set_owner(struct dmheap_block* block, dmheap_word owner)
{
    DMHEAP_ASSERT(owner < OWNER_COUNT);
    block->header =
        (block->header & ~(~(dmheap_word)0 << BLOCK_OWNER_SHIFT)) | (owner << BLOCK_OWNER_SHIFT);
}

static inline void* block_payload(const struct dmheap_block* block)
{
    return (void*)((uintptr_t)block + sizeof(dmheap_word));
}

static inline struct dmheap_block* block_of(const void* payload)
{
    return (struct dmheap_block*)((uintptr_t)payload - sizeof(dmheap_word));
}

static inline struct dmheap_block* block_at(const struct dmheap_block* block, uintptr_t bytes)
{
    return (struct dmheap_block*)((uintptr_t)block + bytes);
}

/* What stands so many bytes in front of a block. */
static inline struct dmheap_block* block_before(const struct dmheap_block* block, uintptr_t bytes)
{
    return (struct dmheap_block*)((uintptr_t)block - bytes);
}

static inline struct dmheap_block* block_next(const struct dmheap_block* block)
{
    return block_at(block, block_size(block));
}

/* The word in front of `block`: the previous block's footer, if that is free. */
static inline dmheap_word block_footer_before(const struct dmheap_block* block)
{
    return ((const dmheap_word*)block)[-1];
}

/* Write the tags of a free block of `size` bytes: [ size ][ .. ][ size ]. */
static inline void block_tag_free(struct dmheap_block* block, uintptr_t size)
{
    DMHEAP_ASSERT((size & ~(uintptr_t)BLOCK_SIZE_MASK) == 0 && size >= BLOCK_MIN_BYTES);
    block->header = (dmheap_word)size;
    ((dmheap_word*)block_at(block, size))[-1] = (dmheap_word)size;
}

/* Bytes that a client may use. */
static inline uintptr_t block_capacity(const struct dmheap_block* block)
{
    return block_size(block) - BLOCK_OVERHEAD_BYTES;
}

#endif
