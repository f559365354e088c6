/* SPDX-License-Identifier: MIT */
/*
 * How long the heap holds the lock, in instructions: kept by target/port/dmheap_port.h.
 *
 * Counted are the instructions between the port's lock and its unlock; the few of the port
 * itself come on top.
 */
#ifndef TARGET_HOLD_H
#define TARGET_HOLD_H

#include "board.h"

struct hold {
    uint32_t from;    /* the clock when the lock was taken */
    uint32_t longest; /* in ticks */
    uint32_t count;
};

extern struct hold hold; /* written under the lock only */

/* The longest one since it was last forgotten, and none since. */
uint32_t hold_longest(void);
void hold_forget(void);

#endif
