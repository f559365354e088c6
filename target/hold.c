/* SPDX-License-Identifier: MIT */
/*
 * How long the heap holds the lock, see hold.h: what the port noted, as instructions.
 *
 * Knows: the port that notes it, which it calls around nothing to learn what an empty hold reads.
 * Does not know: the heap, nor what was done under the lock.
 * Always holds: an empty hold is none, and looking leaves the longest one as it was.
 */
#include "hold.h"

#include "port/dmheap_port.h"

struct hold hold;

/* What the readings see of an empty hold: the end of the first one, the beginning of the second. */
__attribute__((noipa)) static uint32_t empty_hold(void)
{
    const uint32_t before = hold.longest;
    hold.longest = 0;
    dmheap_port_lock();
    dmheap_port_unlock();
    const uint32_t empty = hold.longest;
    hold.longest = before;
    return empty;
}

uint32_t hold_longest(void)
{
    const uint32_t empty = empty_hold();
    return hold.longest > empty ? board_instructions(hold.longest - empty) : 0;
}

void hold_forget(void)
{
    hold.longest = 0;
    hold.count = 0;
}
