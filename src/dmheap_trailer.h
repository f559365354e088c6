/* SPDX-License-Identifier: MIT */
/*
 * Trailers: what a live block has behind its payload, in a library that was built with it.
 *
 *   [ header ][ payload ............ | A ][ number ][ next header
 *                                          DMHEAP_SEQUENCE
 *
 * Knows: the end of a live block whose size is known to be right. Does not know: who trusts it.
 * Always holds: without the setting there are no trailers, and nothing here comes to any code.
 * Cost: about three instructions for a number.
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
