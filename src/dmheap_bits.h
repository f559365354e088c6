/* SPDX-License-Identifier: MIT */
/*
 * Bits: rounding, rotation and bit scans.
 *
 * Knows: integers. Does not know: blocks, heaps, pointers to memory.
 * Always holds: each function states the range of its arguments and asserts it;
 * no shift ever reaches the width of its type.
 * Cost: one to five instructions with the compiler's bit scans, about twenty in
 * portable C.
 */
#ifndef DMHEAP_BITS_H
#define DMHEAP_BITS_H

#include "dmheap_platform.h"

static DMHEAP_INLINE bool bits_is_power_of_two(size_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/*
 * How many of `steps` equal steps, 1000 at most, that part is of `whole`, which is not 0; rounded. One
 * that exceeds it, as what changes meanwhile may, counts as all.
 */
static inline unsigned bits_share(uintptr_t part, uintptr_t whole, unsigned steps)
{
    DMHEAP_ASSERT(whole != 0 && steps <= 1000);
    while (whole > UINTPTR_MAX / 1001) {
        whole >>= 1;
        part >>= 1;
    }
    return part < whole ? (unsigned)((part * steps + whole / 2) / whole) : steps;
}

/* The same to be shown: all of it only if nothing is missing, and none only of nothing. */
static inline unsigned bits_share_shown(uintptr_t part, uintptr_t whole, unsigned steps)
{
    const unsigned share = bits_share(part, whole, steps);
    if (share == 0) {
        return part != 0;
    }
    return share == steps && part < whole ? steps - 1 : share;
}

/* Multiplicative hashing, by D. Knuth: the upper bits are the ones to take. */
static inline uint32_t bits_scatter(uint32_t value)
{
    return value * 2654435769U;
}

#define BITS_HASH_OF_NOTHING 2166136261U

/* The hash of one byte more. FNV-1a, by G. Fowler, L. C. Noll and K.-P. Vo. */
static inline uint32_t bits_hash(uint32_t hash, uint8_t byte)
{
    return (hash ^ byte) * 16777619U;
}

/* `step` is a power of two; the caller knows that the sum fits. */
static inline uintptr_t bits_round_up(uintptr_t value, uintptr_t step)
{
    DMHEAP_ASSERT(bits_is_power_of_two(step));
    return (value + (step - 1)) & ~(step - 1);
}

/*
 * Rotate right, 1 <= count < width. A value that is not a multiple of
 * 1 << count comes out larger than any sensible limit, so one comparison checks
 * alignment and range together.
 */
static inline uintptr_t bits_rotate_right(uintptr_t value, unsigned count)
{
    const unsigned width = (unsigned)sizeof(uintptr_t) * 8U;
    DMHEAP_ASSERT(count >= 1 && count < width);
    return (value >> count) | (value << ((width - count) & (width - 1)));
}

/* Multiplying an isolated bit with this sequence brings its number to the top five bits. */
static inline unsigned bits_lowest_portable(uint32_t value)
{
    static const uint8_t number[32] = {0,  1,  28, 2,  29, 14, 24, 3,  30, 22, 20,
                                       15, 25, 17, 4,  8,  31, 27, 13, 23, 21, 19,
                                       16, 7,  26, 12, 18, 6,  11, 5,  10, 9};
    DMHEAP_ASSERT(value != 0);
    return number[((value & (~value + 1U)) * 0x077CB531U) >> 27];
}

static inline unsigned bits_highest_portable(uint32_t value)
{
    unsigned number = 0;
    DMHEAP_ASSERT(value != 0);
    for (unsigned half = 16; half != 0; half >>= 1) {
        if (value >> half != 0) {
            value >>= half;
            number += half;
        }
    }
    return number;
}

#if DMHEAP_BIT_SCAN
/* Number of the lowest set bit; `value` is not 0. */
static inline unsigned bits_lowest(uint32_t value)
{
    DMHEAP_ASSERT(value != 0);
    return (unsigned)__builtin_ctz(value);
}

/* Number of the highest set bit; `value` is not 0. */
static inline unsigned bits_highest_32(uint32_t value)
{
    DMHEAP_ASSERT(value != 0);
    return 31U ^ (unsigned)__builtin_clz(value);
}
#else
#define bits_lowest     bits_lowest_portable
#define bits_highest_32 bits_highest_portable
#endif

/* The lowest set bit of an address; `value` is not 0. */
static inline unsigned bits_lowest_word(uintptr_t value)
{
    const uint32_t lower = (uint32_t)value;
    return lower != 0 ? bits_lowest(lower) : 32U + bits_lowest((uint32_t)((uint64_t)value >> 32));
}

/* The same for a word of either width; `value` is not 0. */
static inline unsigned bits_highest(dmheap_word value)
{
    const uint32_t upper = (uint32_t)((uint64_t)value >> 32);
    return upper != 0 ? 32U + bits_highest_32(upper) : bits_highest_32((uint32_t)value);
}

#endif
