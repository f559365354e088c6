/* SPDX-License-Identifier: MIT */
/*
 * Board: qemu's virt with a 32-bit RISC-V hart.
 *
 * Clock and timer are mtime, 10 MHz. minstret is no better: what it counts under -icount has changed
 * between versions of qemu.
 */
#include "board.h"

#define MTIMECMP_LOW  (*(volatile uint32_t*)0x02004000)
#define MTIMECMP_HIGH (*(volatile uint32_t*)0x02004004)
#define MTIME_LOW     (*(volatile uint32_t*)0x0200BFF8)
#define MTIME_HIGH    (*(volatile uint32_t*)0x0200BFFC)

#define MIE_TIMER   0x80U /* in mie */
#define MSTATUS_MIE 0x8U

/* An instruction takes 1024 ns and a tick 100 ns: 256 ticks for 25 instructions. */
#define TICKS        256U
#define INSTRUCTIONS 25U

void target_timer(void);

static void (*timer_handler)(void);

void board_begin(void)
{
}

uint32_t board_clock(void)
{
    return MTIME_LOW;
}

uint32_t board_instructions(uint32_t from, uint32_t to)
{
    return ((to - from) * INSTRUCTIONS + TICKS / 2) / TICKS;
}

void target_timer(void)
{
    MTIMECMP_HIGH = UINT32_MAX;
    timer_handler();
}

/* High word first, so that no compare value in between lies in the past. */
void board_interrupt_in(uint32_t instructions, void (*handler)(void))
{
    timer_handler = handler;
    const uint64_t now = (uint64_t)MTIME_HIGH << 32 | MTIME_LOW;
    const uint64_t then = now + instructions * TICKS / INSTRUCTIONS;
    MTIMECMP_HIGH = UINT32_MAX;
    MTIMECMP_LOW = (uint32_t)then;
    MTIMECMP_HIGH = (uint32_t)(then >> 32);
    __asm__ volatile("csrs mie, %0\n\tcsrsi mstatus, %1" : : "r"(MIE_TIMER), "i"(MSTATUS_MIE));
}
