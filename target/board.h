/* SPDX-License-Identifier: MIT */
/*
 * What a program of the firmware asks of its board: a clock that counts instructions, and a timer
 * that interrupts.
 *
 * Knows: nothing about the heap. The clock is exact only under qemu's -icount with the shift
 * below, where one instruction takes 2^10 ns of virtual time, more than one tick of
 * any clock here; target/self_test.c proves it.
 */
#ifndef TARGET_BOARD_H
#define TARGET_BOARD_H

#include <stdint.h>

/* Called by the startup code, before any program: whatever the board needs to run C. */
void board_begin(void);

/* The clock's state now; only differences mean something. */
uint32_t board_clock(void);

/* Instructions from one state of the clock to another; right up to 16 million. */
uint32_t board_instructions(uint32_t from, uint32_t to);

/*
 * Call `handler` from an interrupt after about `instructions`, once; the handler may ask for the
 * next time. Interrupts are unmasked by the first call.
 */
void board_interrupt_in(uint32_t instructions, void (*handler)(void));

#endif
