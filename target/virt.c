/* SPDX-License-Identifier: MIT */
/*
 * Board: qemu's virt with a 32-bit RISC-V hart.
 *
 * Knows: mtimecmp, which is the timer that interrupts when mtime, the clock of virt.h, reaches it.
 * Does not know: how the hart takes an interrupt, which is riscv/start.c's, the heap, nor what a
 * handler does.
 */
#include "board.h"

#define MTIMECMP_LOW  (*(volatile uint32_t*)0x02004000)
#define MTIMECMP_HIGH (*(volatile uint32_t*)0x02004004)
#define MIE_TIMER     0x80U

static void (*timer_handler)(void);

void board_begin(void)
{
    MTIMECMP_HIGH = UINT32_MAX;
    __asm__ volatile("csrs mie, %0" : : "r"(MIE_TIMER));
}

void target_timer(void)
{
    MTIMECMP_HIGH = UINT32_MAX;
    timer_handler();
}

/* The high word is out of reach until the low one is right. */
void board_interrupt_in(uint32_t instructions, void (*handler)(void))
{
    timer_handler = handler;
    const uint32_t high = MTIME_HIGH;
    const uint64_t now = (uint64_t)high << 32 | MTIME_LOW;
    const uint64_t then = now + instructions * BOARD_TICKS / BOARD_INSTRUCTIONS;
    MTIMECMP_HIGH = UINT32_MAX;
    MTIMECMP_LOW = (uint32_t)then;
    MTIMECMP_HIGH = (uint32_t)(then >> 32);
}
