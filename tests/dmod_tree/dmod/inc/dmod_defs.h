/* SPDX-License-Identifier: MIT */
/* The macros that declare what the system offers to modules. */
#ifndef DMOD_DEFS_H
#define DMOD_DEFS_H

#include "dmod-config.h"

/* So that an application can tell these headers from dmheap's stand-in. */
#define DMOD_TREE_OF_THE_TEST 1

#define DMOD_MAX_MODULE_NAME_LENGTH 32
#define DMOD_STACK_ALIGNMENT        16

#define DMOD_SIGNATURE_OF(MODULE, VERSION, NAME) "\021DMBI\022" #NAME "@" #MODULE ":" #VERSION "\0"

/* In the system: a prototype, and a record that the loader finds in a section of its own. */
#ifdef DMOD_ENABLE_REGISTRATION
#define DMOD_RECORD(RECORD, FUNCTION, SIGNATURE) \
    volatile const Dmod_ApiRegistration_t RECORD \
        __attribute__((used, section(".dmod.inputs"))) = {(void*)FUNCTION, SIGNATURE};
#else
#define DMOD_RECORD(RECORD, FUNCTION, SIGNATURE) extern Dmod_ApiRegistration_t RECORD;
#endif

/* In a module: a pointer that holds the signature until the loader puts the function in. */
#if DMOD_SYSTEM_EN == ON
#define DMOD_BUILTIN_API(MODULE, VERSION, RET, NAME, PARAMS) \
    extern RET MODULE##NAME PARAMS;                          \
    DMOD_RECORD(MODULE##NAME##_registration, MODULE##NAME, DMOD_SIGNATURE_OF(MODULE, VERSION, NAME))
#elif DMOD_MODULE_EN == ON
#define DMOD_BUILTIN_API(MODULE, VERSION, RET, NAME, PARAMS)                             \
    static RET(*MODULE##NAME) PARAMS __attribute__((section(".dmod.outputs"), unused)) = \
        (void*)DMOD_SIGNATURE_OF(MODULE, VERSION, NAME);
#else
#error "Neither system nor module."
#endif

#define DMOD_INPUT_API_DECLARATION(MODULE, VERSION, RET, NAME, PARAMS) RET MODULE##NAME PARAMS
#define DMOD_INPUT_WEAK_API_DECLARATION(MODULE, VERSION, RET, NAME, PARAMS) \
    __attribute__((weak)) RET MODULE##NAME PARAMS

#endif
