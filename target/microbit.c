/* SPDX-License-Identifier: MIT */
/*
 * Board: BBC micro:bit with an nRF51822 (Cortex-M0).
 *
 * Knows: the registers of SysTick, which microbit.h reads as the clock, and of TIMER0, which is the
 * timer that interrupts; both count at 16 MHz. Does not know: the heap, nor what a handler does.
 * The vector of TIMER0 stands in arm/start.c.
 */
#include "board.h"

#define SYSTICK_CONTROL (*(volatile uint32_t*)0xE000E010)
#define SYSTICK_RELOAD  (*(volatile uint32_t*)0xE000E014)
#define SYSTICK_COUNTS  5U /* enabled, by the processor's clock, without interrupt */
#define NVIC_ENABLE     (*(volatile uint32_t*)0xE000E100)
#define TIMER0_IRQ      8U

#define TIMER0_START    (*(volatile uint32_t*)0x40008000)
#define TIMER0_STOP     (*(volatile uint32_t*)0x40008004)
#define TIMER0_CLEAR    (*(volatile uint32_t*)0x4000800C)
#define TIMER0_COMPARED (*(volatile uint32_t*)0x40008140)
#define TIMER0_INTENSET (*(volatile uint32_t*)0x40008304)
#define TIMER0_BITMODE  (*(volatile uint32_t*)0x40008508)
#define TIMER0_PRESCALE (*(volatile uint32_t*)0x40008510)
#define TIMER0_COMPARE  (*(volatile uint32_t*)0x40008540)
#define COMPARE0        0x10000U
#define BITMODE_32      3U

static void (*timer_handler)(void);

void board_begin(void)
{
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = SYSTICK_COUNTS;
    TIMER0_BITMODE = BITMODE_32;
    TIMER0_PRESCALE = 0;
    TIMER0_INTENSET = COMPARE0;
    NVIC_ENABLE = 1U << TIMER0_IRQ;
}

void target_timer(void)
{
    TIMER0_STOP = 1;
    TIMER0_COMPARED = 0;
    timer_handler();
}

void board_interrupt_in(uint32_t instructions, void (*handler)(void))
{
    timer_handler = handler;
    TIMER0_STOP = 1;
    TIMER0_CLEAR = 1;
    TIMER0_COMPARE = instructions * BOARD_TICKS / BOARD_INSTRUCTIONS + 1;
    TIMER0_START = 1;
}
