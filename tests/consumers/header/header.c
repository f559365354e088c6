/* SPDX-License-Identifier: MIT */
/* The header compiles alone, in C and in C++, and twice. */
#include "dmheap.h"
#include "dmheap.h"
