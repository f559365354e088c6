/* SPDX-License-Identifier: MIT */
/*
 * Port: POSIX threads and stdout.
 *
 * The lock is one recursive mutex, created on first use. Log lines of the levels ERROR, WARN
 * and INFO go to stdout, each in one call, so that lines of several threads never mix. The
 * random number that canaries begin with is the system's.
 */
#ifndef DMHEAP_PORT_H
#define DMHEAP_PORT_H

/* Recursive mutexes are POSIX 2008; the port is the library's first include, so this is in time. */
#if !defined(_POSIX_C_SOURCE) && !defined(_XOPEN_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t dmheap_port_mutex;
static pthread_once_t dmheap_port_once = PTHREAD_ONCE_INIT;

static inline void dmheap_port_create(void)
{
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0 ||
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) != 0 ||
        pthread_mutex_init(&dmheap_port_mutex, &attributes) != 0) {
        abort();
    }
    (void)pthread_mutexattr_destroy(&attributes);
}

static inline void dmheap_port_lock(void)
{
    (void)pthread_once(&dmheap_port_once, dmheap_port_create);
    (void)pthread_mutex_lock(&dmheap_port_mutex);
}

static inline void dmheap_port_unlock(void)
{
    (void)pthread_mutex_unlock(&dmheap_port_mutex);
}

#if DMHEAP_CANARY
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

/* 0 where the system has none. */
static inline uint32_t dmheap_port_random(void)
{
    uint32_t number = 0;
    const int file = open("/dev/urandom", O_RDONLY);
    if (file >= 0) {
        if (read(file, &number, sizeof(number)) != (ssize_t)sizeof(number)) {
            number = 0;
        }
        (void)close(file);
    }
    return number;
}

#ifndef DMHEAP_PORT_RANDOM
#define DMHEAP_PORT_RANDOM dmheap_port_random
#endif
#endif

#define DMHEAP_PORT_LOG_ERROR(...) ((void)printf("[ERROR] " __VA_ARGS__))
#define DMHEAP_PORT_LOG_WARN(...)  ((void)printf("[WARN] " __VA_ARGS__))
#define DMHEAP_PORT_LOG_INFO(...)  ((void)printf("[INFO] " __VA_ARGS__))

#define DMHEAP_PORT_ASSERT(condition) ((condition) ? (void)0 : abort())

#endif
