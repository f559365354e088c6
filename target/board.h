/* SPDX-License-Identifier: MIT */
/*
 * What a program of the firmware asks of its board: a clock that counts instructions, and a timer
 * that interrupts.
 *
 * Knows: nothing about the heap. The clock is exact only under qemu's -icount with a shift of 10,
 * where an instruction takes 1024 ns of virtual time, more than one tick of any clock here;
 * target/self_test.c proves it. The board's own header has the clock, so that reading it is
 * no call.
 */
#ifndef TARGET_BOARD_H
#define TARGET_BOARD_H

#include <stdbool.h>
#include <stdint.h>

/*
 * static inline uint32_t board_clock(void): its state now.
 * static inline uint32_t board_ticks(uint32_t from, uint32_t to): from one state to another.
 * BOARD_TICKS: so many ticks are BOARD_INSTRUCTIONS instructions.
 * BOARD_LONGEST: instructions after which it may begin anew.
 */
#include TARGET_BOARD_HEADER

/* What so many ticks are in instructions, to the nearest. */
static inline uint32_t board_instructions(uint32_t ticks)
{
    return (uint32_t)(((uint64_t)ticks * BOARD_INSTRUCTIONS + BOARD_TICKS / 2) / BOARD_TICKS);
}

/* Called by the startup code, before any program: whatever the board needs. */
void board_begin(void);

/*
 * Call `handler` from an interrupt after about `instructions`, once; the handler may ask for the
 * next time. Interrupts have to be unmasked for it.
 */
void board_interrupt_in(uint32_t instructions, void (*handler)(void));

/* The timer's interrupt: the startup code has it called, the board has it call the handler. */
void target_timer(void);

/* ---- of the core, in its startup code ---------------------------------------------- */

bool core_is_masked(void);
void core_mask(void);
void core_unmask(void);

#endif
