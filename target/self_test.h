/* SPDX-License-Identifier: MIT */
/* The proof that the board's clock counts instructions, to the instruction. */
#ifndef TARGET_SELF_TEST_H
#define TARGET_SELF_TEST_H

#include <stdbool.h>

/* Count sequences of known lengths; false, and a line for each that was counted wrong. */
bool self_test_passes(void);

#endif
