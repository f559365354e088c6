/* SPDX-License-Identifier: MIT */
/*
 * The clock of mps2.c: the cycle counter of the FPGA's I/O block, 25 MHz, 32 bits, upwards.
 *
 * Knows: where it is, and how many of its ticks an instruction takes under qemu's -icount. Does not
 * know: interrupts, nor who reads it. Not SysTick, which is the timer and starts anew each time.
 */
#ifndef TARGET_MPS2_H
#define TARGET_MPS2_H

#include <stdint.h>

#define FPGAIO_COUNTER (*(volatile uint32_t*)0x40028018)

/* An instruction takes 1024 ns and a tick 40 ns. */
#define BOARD_TICKS        128U
#define BOARD_INSTRUCTIONS 5U
#define BOARD_LONGEST      160000000U

static inline uint32_t board_clock(void)
{
    return FPGAIO_COUNTER;
}

static inline uint32_t board_ticks(uint32_t from, uint32_t to)
{
    return to - from;
}

#endif
