/* SPDX-License-Identifier: MIT */
/*
 * Stand-in for DMOD's main header: what a program that uses dmheap without DMOD may expect of
 * it. Log macros print to stdout on a hosted compiler and are empty on a freestanding one or
 * under DMOD_NO_LOGGING.
 */
#ifndef DMHEAP_STANDIN_DMOD_H
#define DMHEAP_STANDIN_DMOD_H

#include "dmod_types.h"

#if defined(DMOD_NO_LOGGING) || (defined(__STDC_HOSTED__) && __STDC_HOSTED__ == 0)
#define DMOD_LOG_ERROR(...) ((void)0)
#define DMOD_LOG_WARN(...)  ((void)0)
#define DMOD_LOG_INFO(...)  ((void)0)
#else
#include <stdio.h>
#define DMOD_LOG_ERROR(...) ((void)printf("[ERROR] " __VA_ARGS__))
#define DMOD_LOG_WARN(...)  ((void)printf("[WARN] " __VA_ARGS__))
#define DMOD_LOG_INFO(...)  ((void)printf("[INFO] " __VA_ARGS__))
#endif

#endif
