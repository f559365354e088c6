/* SPDX-License-Identifier: MIT */
/*
 * Startup of a RISC-V hart in machine mode: registers, memory, traps, then the firmware.
 *
 * Knows: the hart. Does not know: which board it is on. Interrupts of the machine timer go to the
 * board; each exception and every other interrupt ends the run with a line that says where.
 */
#include "../board.h"
#include "../firmware.h"
#include "../semihost.h"

#include <stdio.h>

/* Of the linker script. */
extern uint32_t target_bss_start[];
extern uint32_t target_bss_end[];

#define MSTATUS_MIE         8
#define CAUSE_MACHINE_TIMER 0x80000007U

/* ---- semihosting ------------------------------------------------------------------ */

/* The three instructions are known by their bits: none may be compressed. */
uintptr_t semihost_call(uintptr_t operation, const void* argument)
{
    register uintptr_t a0 __asm__("a0") = operation;
    register const void* a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\n\t"
                     ".option norvc\n\t"
                     ".balign 16\n\t"
                     "slli zero, zero, 0x1f\n\t"
                     "ebreak\n\t"
                     "srai zero, zero, 7\n\t"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}

/* ---- masking ---------------------------------------------------------------------- */

bool core_is_masked(void)
{
    uint32_t mstatus;
    __asm__ volatile("csrr %0, mstatus" : "=r"(mstatus));
    return (mstatus & MSTATUS_MIE) == 0;
}

void core_mask(void)
{
    __asm__ volatile("csrci mstatus, %0" : : "i"(MSTATUS_MIE) : "memory");
}

void core_unmask(void)
{
    __asm__ volatile("csrsi mstatus, %0" : : "i"(MSTATUS_MIE) : "memory");
}

/* ---- traps ------------------------------------------------------------------------ */

void target_reset(void);
void target_start(void);

__attribute__((noreturn)) static void fault(uint32_t cause)
{
    uint32_t at;
    __asm__ volatile("csrr %0, mepc" : "=r"(at));
    printf("trap 0x%x at 0x%x\n", (unsigned)cause, (unsigned)at);
    semihost_exit(FAULT_STATUS);
}

__attribute__((interrupt("machine"), aligned(4))) static void trap(void)
{
    uint32_t cause;
    __asm__ volatile("csrr %0, mcause" : "=r"(cause));
    if (cause != CAUSE_MACHINE_TIMER) {
        fault(cause);
    }
    target_timer();
}

/* ---- reset ------------------------------------------------------------------------ */

__attribute__((noreturn, used)) void target_start(void)
{
    for (uint32_t* word = target_bss_start; word < target_bss_end; word++) {
        *word = 0;
    }
    __asm__ volatile("csrw mtvec, %0" : : "r"(trap));
    board_begin();
    semihost_exit(firmware_run());
}

/* Registers that C relies on: stack, global data, thread-local data. */
__attribute__((naked, section(".reset"), used)) void target_reset(void)
{
    __asm__ volatile(".option push\n\t"
                     ".option norelax\n\t"
                     "la gp, __global_pointer$\n\t"
                     ".option pop\n\t"
                     "la sp, target_stack_top\n\t"
                     "la tp, target_tls_start\n\t"
                     "j target_start");
}
