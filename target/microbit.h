/* SPDX-License-Identifier: MIT */
/*
 * The clock of microbit.c: SysTick's value, 24 bits, which counts down at 16 MHz. The chip itself
 * has none, qemu's does.
 */
#ifndef TARGET_MICROBIT_H
#define TARGET_MICROBIT_H

#include <stdint.h>

#define SYSTICK_VALUE (*(volatile uint32_t*)0xE000E018)
#define SYSTICK_MASK  0xFFFFFFU

/* An instruction takes 1024 ns and a tick 62.5 ns. */
#define BOARD_TICKS        16384U
#define BOARD_INSTRUCTIONS 1000U
#define BOARD_LONGEST      1000000U

static inline uint32_t board_clock(void)
{
    return SYSTICK_VALUE;
}

static inline uint32_t board_ticks(uint32_t from, uint32_t to)
{
    return (from - to) & SYSTICK_MASK;
}

#endif
