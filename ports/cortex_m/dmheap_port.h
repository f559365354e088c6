/* SPDX-License-Identifier: MIT */
/*
 * Port: Arm Cortex-M, any of them. The lock masks interrupts by PRIMASK; no log unless one is
 * named.
 *
 * Callable from privileged threads and from every handler but NMI and HardFault, which PRIMASK
 * does not mask; dmheap_init from threads only. Unprivileged threads may not call: the processor
 * ignores their masking. One core only. The state is saved and restored, so a caller that has
 * masked interrupts finds them masked afterwards. The heap never takes the lock twice.
 *
 * DMHEAP_PORT_PRINTF, where defined, names a function like printf for the log lines. It is called
 * without the lock, from whatever called the heap: from an interrupt too.
 */
#ifndef DMHEAP_PORT_H
#define DMHEAP_PORT_H

#if !defined(__ARM_ARCH_PROFILE) || __ARM_ARCH_PROFILE != 'M'
#error \
    "ports/cortex_m is for Arm's M profile: compile with -mcpu=cortex-m..., or take another port."
#endif

/* PRIMASK as it was before the lock; written only while interrupts are masked. */
static unsigned long dmheap_port_primask;

static inline void dmheap_port_lock(void)
{
    unsigned long primask;
    __asm__ volatile("mrs %0, primask\n\tcpsid i" : "=r"(primask) : : "memory");
    dmheap_port_primask = primask;
}

/* Read back first: an interrupt between unmasking and reading would have saved its own. */
static inline void dmheap_port_unlock(void)
{
    const unsigned long primask = dmheap_port_primask;
    __asm__ volatile("msr primask, %0" : : "r"(primask) : "memory");
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
