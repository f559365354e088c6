/* SPDX-License-Identifier: MIT */
/*
 * Port: a template. Copy this file, fill in the five places, and build with
 *     cmake -DDMHEAP_PORT=path/to/dmheap_port.h ...     or
 *     make PORT=path/to/dmheap_port.h
 * docs/PORTING.md tells each requirement at length. Only the library includes this file, and
 * before everything else.
 */
#ifndef DMHEAP_PORT_H
#define DMHEAP_PORT_H

#error "Remove this line once all five places below are filled in."

/*
 * 1, 2. The lock. Between the two, no other call of the heap may run, from whatever thread or
 * interrupt may make one. The heap takes the lock once at a time and holds it for a bounded
 * number of instructions; it never blocks, logs or copies a client's data while it holds it.
 * Masking interrupts: save the state, mask, and restore exactly that state.
 */
static inline void dmheap_port_lock(void)
{
}

static inline void dmheap_port_unlock(void)
{
}

/*
 * 3, 4. The log. Arguments as for printf; the format is a literal that ends in a line feed and
 * has only %u, %s and %p in it. Called without the lock, so it may use the heap. May be empty.
 */
static inline void dmheap_port_log(const char* level, const char* format, ...)
{
    (void)level;
    (void)format;
}

#define DMHEAP_PORT_LOG_ERROR(...) dmheap_port_log("ERROR", __VA_ARGS__)
#define DMHEAP_PORT_LOG_WARN(...)  dmheap_port_log("WARN", __VA_ARGS__)
#define DMHEAP_PORT_LOG_INFO(...)  dmheap_port_log("INFO", __VA_ARGS__)

/*
 * 5. The assertion, for builds with DMHEAP_ASSERTS=1: internal invariants only, never a
 * client's mistake. Must not return where the condition is false.
 */
#define DMHEAP_PORT_ASSERT(condition) ((void)(condition))

/*
 * With DMHEAP_CANARY=1, and only if there is a source of random numbers: name it here by defining
 * DMHEAP_PORT_RANDOM, a function `uint32_t name(void)`. Called without the lock, when a heap begins,
 * so perhaps by several threads at a time; the first time counts.
 */

#endif
