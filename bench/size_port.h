/* SPDX-License-Identifier: MIT */
/*
 * Port: as ports/bare, but with a log that the firmware writes. Of its lines the library has the
 * texts and the calls, which is what they cost.
 */
#ifndef DMHEAP_PORT_H
#define DMHEAP_PORT_H

static inline void dmheap_port_lock(void)
{
}

static inline void dmheap_port_unlock(void)
{
}

void size_log(const char* level, const char* format, ...);

#define DMHEAP_PORT_LOG_ERROR(...) size_log("ERROR", __VA_ARGS__)
#define DMHEAP_PORT_LOG_WARN(...)  size_log("WARN", __VA_ARGS__)
#define DMHEAP_PORT_LOG_INFO(...)  size_log("INFO", __VA_ARGS__)

#define DMHEAP_PORT_ASSERT(condition) ((void)(condition))

#endif
