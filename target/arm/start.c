/* SPDX-License-Identifier: MIT */
/*
 * Startup of a Cortex-M: vectors, memory, then the firmware.
 *
 * Knows: the core. Does not know: which board it is on, but for interrupt numbers, of which the
 * table has as many as the boards here use. Each exception that nobody expects ends the
 * run with a line that says where.
 */
#include "../board.h"
#include "../firmware.h"
#include "../semihost.h"

#include <stdio.h>

/* Of the linker script. */
extern uint32_t target_stack_top[];
extern uint32_t target_data_image[];
extern uint32_t target_data_start[];
extern uint32_t target_data_end[];
extern uint32_t target_bss_start[];
extern uint32_t target_bss_end[];

#define CPACR     (*(volatile uint32_t*)0xE000ED88)
#define CPACR_FPU 0x00F00000U

/* ---- semihosting ------------------------------------------------------------------ */

uintptr_t semihost_call(uintptr_t operation, const void* argument)
{
    register uintptr_t r0 __asm__("r0") = operation;
    register const void* r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* ---- masking ---------------------------------------------------------------------- */

bool core_is_masked(void)
{
    uint32_t primask;
    __asm__ volatile("mrs %0, primask" : "=r"(primask));
    return primask != 0;
}

void core_mask(void)
{
    __asm__ volatile("cpsid i" : : : "memory");
}

void core_unmask(void)
{
    __asm__ volatile("cpsie i" : : : "memory");
}

/* ---- exceptions ------------------------------------------------------------------- */

void target_reset(void);
void target_fault(void);
void target_fault_at(const uint32_t* frame);

__attribute__((noreturn)) void target_fault_at(const uint32_t* frame)
{
    uint32_t number;
    __asm__ volatile("mrs %0, ipsr" : "=r"(number));
    printf("exception %u at 0x%x, called from 0x%x\n", (unsigned)number, (unsigned)frame[6],
           (unsigned)frame[5]);
    semihost_exit(FAULT_STATUS);
}

/* The stacked frame lies where the stack pointer is: no prologue may move it before. */
__attribute__((naked)) void target_fault(void)
{
    __asm__ volatile("mov r0, sp\n\t"
                     "bl target_fault_at");
}

typedef void (*vector)(void);

struct vectors {
    const uint32_t* stack_top;
    vector reset;
    vector faults[13]; /* exceptions 2 to 14 */
    vector systick;
    vector interrupt[32];
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    .stack_top = target_stack_top,
    .reset = target_reset,
    .faults = {target_fault, target_fault, target_fault, target_fault, target_fault, target_fault,
               target_fault, target_fault, target_fault, target_fault, target_fault, target_fault,
               target_fault},
    .systick = target_timer,
    .interrupt = {[8] = target_timer},
};

/* ---- reset ------------------------------------------------------------------------ */

#if defined(__ARM_FP)
static void enable_fpu(void)
{
    CPACR |= CPACR_FPU;
    __asm__ volatile("dsb\n\tisb" : : : "memory");
}
#else
static void enable_fpu(void)
{
}
#endif

__attribute__((noreturn)) void target_reset(void)
{
    enable_fpu();
    const uint32_t* image = target_data_image;
    for (uint32_t* word = target_data_start; word < target_data_end; word++) {
        *word = *image++;
    }
    for (uint32_t* word = target_bss_start; word < target_bss_end; word++) {
        *word = 0;
    }
    board_begin();
    semihost_exit(firmware_run());
}
