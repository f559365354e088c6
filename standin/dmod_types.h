/* SPDX-License-Identifier: MIT */
/*
 * Stand-in for the part of DMOD that dmheap's public header needs, for builds without DMOD.
 * Inside a DMOD tree this folder is on no include path and DMOD's own headers serve.
 */
#ifndef DMHEAP_STANDIN_DMOD_TYPES_H
#define DMHEAP_STANDIN_DMOD_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Declare the function MODULE##NAME. VERSION serves DMOD's registration, which is not here. */
#define DMOD_BUILTIN_API(MODULE, VERSION, RET, NAME, PARAMS) RET MODULE##NAME PARAMS

/* Begin the definition of such a function. */
#define DMOD_INPUT_API_DECLARATION(MODULE, VERSION, RET, NAME, PARAMS) RET MODULE##NAME PARAMS

/* The same for one that gives way to any other definition. */
#define DMOD_INPUT_WEAK_API_DECLARATION(MODULE, VERSION, RET, NAME, PARAMS) \
    __attribute__((weak)) RET MODULE##NAME PARAMS

#endif
