/* SPDX-License-Identifier: MIT */
/*
 * Random numbers for the benchmark: the same from the same state on every machine.
 *
 * Knows: a state of 32 bits that its owner keeps. Does not know: what the numbers are for.
 * Freestanding. Origin: G. Marsaglia's xorshift, 2003. Every value but 0 comes once in 2^32 - 1,
 * so a state must not begin with 0.
 */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

#include <stdint.h>

static inline uint32_t random_next(uint32_t* state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    *state = x;
    return x;
}

/* 0 <= result < count, by the high bits, which are the better ones. */
static inline uint32_t random_below(uint32_t* state, uint32_t count)
{
    return (uint32_t)((uint64_t)random_next(state) * count >> 32);
}

/* least <= result <= most, each as likely. */
static inline uint32_t random_uniform(uint32_t* state, uint32_t least, uint32_t most)
{
    return least + random_below(state, most - least + 1U);
}

#endif
