/* SPDX-License-Identifier: MIT */
/* Registers dmheap's functions by itself, and is found by the linker only after dmheap. */
#define DMOD_ENABLE_REGISTRATION
#include "dmheap.h"

int app_late(void);
int app_late(void)
{
    return 1;
}
