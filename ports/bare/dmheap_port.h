/* SPDX-License-Identifier: MIT */
/*
 * Port: bare metal, one thread of execution. No lock, no log, no library.
 *
 * Right where nothing interrupts one call of the heap with another one. With interrupts or
 * threads that allocate, copy ports/template and fill it in.
 */
#ifndef DMHEAP_PORT_H
#define DMHEAP_PORT_H

static inline void dmheap_port_lock(void)
{
}

static inline void dmheap_port_unlock(void)
{
}

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

/* Stop here, where a debugger finds it. */
#define DMHEAP_PORT_ASSERT(condition) \
    do {                              \
        while (!(condition)) {        \
        }                             \
    } while (0)

#endif
