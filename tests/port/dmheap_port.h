/* SPDX-License-Identifier: MIT */
/* The library's side of the test port; test_port.h tells what it is for. */
#ifndef DMHEAP_PORT_H
#define DMHEAP_PORT_H

#include "test_port.h"

static inline void dmheap_port_lock(void)
{
    test_port_lock();
}

static inline void dmheap_port_unlock(void)
{
    test_port_unlock();
}

#define DMHEAP_PORT_RANDOM test_port_random

#define DMHEAP_PORT_LOG_ERROR(...) test_port_log(TEST_ERROR, __VA_ARGS__)
#define DMHEAP_PORT_LOG_WARN(...)  test_port_log(TEST_WARN, __VA_ARGS__)
#define DMHEAP_PORT_LOG_INFO(...)  test_port_log(TEST_INFO, __VA_ARGS__)

#define DMHEAP_PORT_ASSERT(condition) test_port_assert((condition), #condition, __FILE__, __LINE__)

#endif
