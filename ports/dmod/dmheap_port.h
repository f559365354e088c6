/* SPDX-License-Identifier: MIT */
/*
 * Port: inside a DMOD tree. Lock, log and assertion are DMOD's own.
 *
 * The lock may be taken at any depth and with interrupts; on a host DMOD's default for it is
 * empty, so a threaded host program has to bring its own Dmod_EnterCritical and
 * Dmod_ExitCritical. Printing may itself allocate, which is why the heap never logs while
 * it holds the lock.
 */
#ifndef DMHEAP_PORT_H
#define DMHEAP_PORT_H

/* Newer DMOD headers ask every system-side file for a name to allocate under. */
#ifndef DMOD_CURRENT_ALLOCATOR
#define DMOD_CURRENT_ALLOCATOR "dmheap"
#endif
#include "dmod.h"
#include "dmheap.h"

/*
 * Refers to the registration of dmheap's functions, so that the linker takes it along with the
 * heap: from the application, if that registers them itself, else src/dmheap_register.c.
 */
static const void* const dmheap_port_registration __attribute__((used)) = &dmheap_init_registration;

static inline void dmheap_port_lock(void)
{
    Dmod_EnterCritical();
}

static inline void dmheap_port_unlock(void)
{
    Dmod_ExitCritical();
}

/* DMOD's macros are bare if statements that end in a semicolon. */
#define DMHEAP_PORT_LOG_ERROR(...)   \
    do {                             \
        DMOD_LOG_ERROR(__VA_ARGS__); \
    } while (0)
#define DMHEAP_PORT_LOG_WARN(...)   \
    do {                            \
        DMOD_LOG_WARN(__VA_ARGS__); \
    } while (0)
#define DMHEAP_PORT_LOG_INFO(...)   \
    do {                            \
        DMOD_LOG_INFO(__VA_ARGS__); \
    } while (0)

#define DMHEAP_PORT_ASSERT(condition) DMOD_ASSERT(condition)

#endif
