/* SPDX-License-Identifier: MIT */
/*
 * A port around another one, TARGET_PORT_HEADER, that notes the longest hold of the lock.
 *
 * The clock is read as the first thing under the lock and as the last one, without a call.
 */
#ifndef TARGET_PORT_H
#define TARGET_PORT_H

#define dmheap_port_lock   target_port_lock
#define dmheap_port_unlock target_port_unlock
#include TARGET_PORT_HEADER
#undef dmheap_port_lock
#undef dmheap_port_unlock

#include "../hold.h"

static inline void dmheap_port_lock(void)
{
    target_port_lock();
    hold.from = board_clock();
}

static inline void dmheap_port_unlock(void)
{
    const uint32_t ticks = board_ticks(hold.from, board_clock());
    if (ticks > hold.longest) {
        hold.longest = ticks;
    }
    hold.count++;
    target_port_unlock();
}

#endif
