/* SPDX-License-Identifier: MIT */
/*
 * The clock of virt.c: mtime, 10 MHz. Not minstret, which counts nanoseconds under -icount in some
 * versions of qemu.
 */
#ifndef TARGET_VIRT_H
#define TARGET_VIRT_H

#include <stdint.h>

#define MTIME_LOW  (*(volatile uint32_t*)0x0200BFF8)
#define MTIME_HIGH (*(volatile uint32_t*)0x0200BFFC)

/* An instruction takes 1024 ns and a tick 100 ns. */
#define BOARD_TICKS        256U
#define BOARD_INSTRUCTIONS 25U
#define BOARD_LONGEST      400000000U

static inline uint32_t board_clock(void)
{
    return MTIME_LOW;
}

static inline uint32_t board_ticks(uint32_t from, uint32_t to)
{
    return to - from;
}

#endif
