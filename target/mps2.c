/* SPDX-License-Identifier: MIT */
/*
 * Board: Arm's MPS2 with AN385 (Cortex-M3) or AN386 (Cortex-M4F).
 *
 * Knows: SysTick, which is the timer that interrupts, at 25 MHz as the clock of mps2.h. That one
 * runs from reset on and needs nothing to begin. Does not know: which of the cores it is, the heap,
 * nor what a handler does.
 */
#include "board.h"

#define SYSTICK_CONTROL (*(volatile uint32_t*)0xE000E010)
#define SYSTICK_RELOAD  (*(volatile uint32_t*)0xE000E014)
#define SYSTICK_VALUE   (*(volatile uint32_t*)0xE000E018)
#define SYSTICK_ENABLED 7U /* enabled, with interrupt, by the processor's clock, 25 MHz too */

static void (*timer_handler)(void);

void board_begin(void)
{
}

void target_timer(void)
{
    SYSTICK_CONTROL = 0;
    timer_handler();
}

void board_interrupt_in(uint32_t instructions, void (*handler)(void))
{
    timer_handler = handler;
    SYSTICK_RELOAD = instructions * BOARD_TICKS / BOARD_INSTRUCTIONS;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = SYSTICK_ENABLED;
}
