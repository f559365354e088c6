/* SPDX-License-Identifier: MIT */
#ifndef DMOD_TYPES_H
#define DMOD_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dmod_defs.h"

typedef struct {
    void* Function;
    const char* Signature;
} Dmod_ApiRegistration_t;

#endif
