/* SPDX-License-Identifier: MIT */
/*
 * The records of DMOD's own functions, in an object of their own: an application that registers
 * by itself includes dmod.h and has them, too.
 */
#define DMOD_CURRENT_ALLOCATOR "dmod"
#define DMOD_ENABLE_REGISTRATION
#include "dmod.h"
