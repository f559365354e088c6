/* SPDX-License-Identifier: MIT */
/*
 * Board: Arm's MPS2 with AN385 (Cortex-M3) or AN386 (Cortex-M4F).
 *
 * The clock is the cycle counter of the FPGA's I/O block, 25 MHz, 32 bits; the timer is SysTick.
 */
#include "board.h"

#define FPGAIO_COUNTER  (*(volatile uint32_t*)0x40028018)
#define SYSTICK_CONTROL (*(volatile uint32_t*)0xE000E010)
#define SYSTICK_RELOAD  (*(volatile uint32_t*)0xE000E014)
#define SYSTICK_VALUE   (*(volatile uint32_t*)0xE000E018)
#define SYSTICK_ENABLED 7U /* enabled, with interrupt, by the processor's clock */

/* An instruction takes 1024 ns and a tick 40 ns: 128 ticks for 5 instructions. */
#define TICKS        128U
#define INSTRUCTIONS 5U

void target_timer(void);

static void (*timer_handler)(void);

void board_begin(void)
{
}

uint32_t board_clock(void)
{
    return FPGAIO_COUNTER;
}

uint32_t board_instructions(uint32_t from, uint32_t to)
{
    return ((to - from) * INSTRUCTIONS + TICKS / 2) / TICKS;
}

void target_timer(void)
{
    SYSTICK_CONTROL = 0;
    timer_handler();
}

void board_interrupt_in(uint32_t instructions, void (*handler)(void))
{
    timer_handler = handler;
    SYSTICK_RELOAD = instructions * TICKS / INSTRUCTIONS;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = SYSTICK_ENABLED;
}
