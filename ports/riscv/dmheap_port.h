/* SPDX-License-Identifier: MIT */
/*
 * Port: RISC-V in machine mode, one hart. The lock masks interrupts by mstatus.MIE; no log unless
 * one is named.
 *
 * Callable from machine-mode threads and from every handler of an interrupt, with nested interrupts
 * too; dmheap_init from threads only. Not callable from a handler of an exception or of a
 * non-maskable interrupt that struck inside the heap, for MIE masks neither. The state is
 * saved and restored, so a caller that has masked interrupts finds them masked afterwards. The
 * heap never takes the lock twice.
 *
 * The assembler must know csr instructions: by an -march that ends in _zicsr, where it asks for
 * that.
 *
 * DMHEAP_PORT_PRINTF, where defined, names a function like printf for the log lines. It is called
 * without the lock, from whatever called the heap: from an interrupt too.
 */
#ifndef DMHEAP_PORT_H
#define DMHEAP_PORT_H

#ifndef __riscv
#error "ports/riscv is for RISC-V: compile for it, or take another port."
#endif

#define DMHEAP_PORT_MIE 8 /* mstatus.MIE, which csrrci takes as an immediate */

/* mstatus.MIE as it was before the lock; written only while interrupts are masked. */
static unsigned long dmheap_port_mie;

static inline void dmheap_port_lock(void)
{
    unsigned long mstatus;
    __asm__ volatile("csrrci %0, mstatus, %1" : "=r"(mstatus) : "i"(DMHEAP_PORT_MIE) : "memory");
    dmheap_port_mie = mstatus & DMHEAP_PORT_MIE;
}

/* Read back first: an interrupt between unmasking and reading would have saved its own. */
static inline void dmheap_port_unlock(void)
{
    const unsigned long mie = dmheap_port_mie;
    __asm__ volatile("csrs mstatus, %0" : : "r"(mie) : "memory");
}

#ifdef DMHEAP_PORT_PRINTF
int DMHEAP_PORT_PRINTF(const char* format, ...);
#define DMHEAP_PORT_LOG_ERROR(...) ((void)DMHEAP_PORT_PRINTF("[ERROR] " __VA_ARGS__))
#define DMHEAP_PORT_LOG_WARN(...)  ((void)DMHEAP_PORT_PRINTF("[WARN] " __VA_ARGS__))
#define DMHEAP_PORT_LOG_INFO(...)  ((void)DMHEAP_PORT_PRINTF("[INFO] " __VA_ARGS__))
#else
/* The arguments are compiled, so that a mistake in one shows here too, but never evaluated. */
static inline void dmheap_port_no_log(const char* format, ...)
{
    (void)format;
}

#define DMHEAP_PORT_NO_LOG(...)              \
    do {                                     \
        if (0) {                             \
            dmheap_port_no_log(__VA_ARGS__); \
        }                                    \
    } while (0)
#define DMHEAP_PORT_LOG_ERROR(...) DMHEAP_PORT_NO_LOG(__VA_ARGS__)
#define DMHEAP_PORT_LOG_WARN(...)  DMHEAP_PORT_NO_LOG(__VA_ARGS__)
#define DMHEAP_PORT_LOG_INFO(...)  DMHEAP_PORT_NO_LOG(__VA_ARGS__)
#endif

/* Stop here, where a debugger finds it. */
#define DMHEAP_PORT_ASSERT(condition) \
    do {                              \
        while (!(condition)) {        \
        }                             \
    } while (0)

#endif
