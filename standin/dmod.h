/* SPDX-License-Identifier: MIT */
/*
 * Stand-in for DMOD's main header: what a program that uses dmheap without DMOD may expect of
 * it. Dmod_Printf and the log macros print to stdout on a hosted compiler and do nothing on a
 * freestanding one; under DMOD_NO_LOGGING the latter are empty.
 */
#ifndef DMHEAP_STANDIN_DMOD_H
#define DMHEAP_STANDIN_DMOD_H

#include "dmod_types.h"

#if defined(__STDC_HOSTED__) && __STDC_HOSTED__ == 0
#define Dmod_Printf(...) ((void)0)
#else
#include <stdio.h>
#define Dmod_Printf(...) ((void)printf(__VA_ARGS__))
#endif

#if defined(DMOD_NO_LOGGING)
#define DMOD_LOG_ERROR(...) ((void)0)
#define DMOD_LOG_WARN(...)  ((void)0)
#define DMOD_LOG_INFO(...)  ((void)0)
#else
#define DMOD_LOG_ERROR(...) Dmod_Printf("[ERROR] " __VA_ARGS__)
#define DMOD_LOG_WARN(...)  Dmod_Printf("[WARN] " __VA_ARGS__)
#define DMOD_LOG_INFO(...)  Dmod_Printf("[INFO] " __VA_ARGS__)
#endif

#endif
