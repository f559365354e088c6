/* SPDX-License-Identifier: MIT */
#ifndef DMOD_H
#define DMOD_H

#include <stdlib.h>

#include "dmod_types.h"
#include "dmod_sal.h"

#ifdef NDEBUG
#define DMOD_ASSERT(condition) ((void)0)
#else
#define DMOD_ASSERT(condition) ((condition) ? (void)0 : abort())
#endif

#endif
