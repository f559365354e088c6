/* SPDX-License-Identifier: MIT */
/*
 * Port: the heap as malloc of a whole process, in preload.c.
 *
 * The lock is one mutex. A call that would wait for itself - that of a signal's handler which
 * interrupted another call - stops the program with a line rather than to hang; the mutex's own
 * check for errors would miss it at the edges. Lines of level ERROR go to standard error and are
 * counted; the others would stand in between what programs say.
 */
#ifndef DMHEAP_PORT_H
#define DMHEAP_PORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* the port is the library's first include, so this is in time */
#endif

#include <pthread.h>
#include <stdbool.h>

extern pthread_mutex_t preload_mutex;

/* This thread has the lock, or is about to. By another model the loader might allocate it. */
extern __thread volatile bool preload_is_inside __attribute__((tls_model("initial-exec")));

/* One line on standard error, without any memory but the stack. */
void preload_log(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* The same, and the end of the process. */
void preload_stop(const char* why) __attribute__((noreturn));

static inline void dmheap_port_lock(void)
{
    if (__builtin_expect(preload_is_inside, 0)) {
        preload_stop("a call interrupted another one of the same thread");
    }
    preload_is_inside = true;
    (void)pthread_mutex_lock(&preload_mutex);
}

static inline void dmheap_port_unlock(void)
{
    (void)pthread_mutex_unlock(&preload_mutex);
    preload_is_inside = false;
}

#define DMHEAP_PORT_LOG_ERROR(...) preload_log("[ERROR] " __VA_ARGS__)
#define DMHEAP_PORT_LOG_WARN(...)  (0 ? preload_log(__VA_ARGS__) : (void)0)
#define DMHEAP_PORT_LOG_INFO(...)  (0 ? preload_log(__VA_ARGS__) : (void)0)

#define DMHEAP_PORT_ASSERT(condition) \
    ((condition) ? (void)0 : preload_stop("an assertion: " #condition))

#endif
