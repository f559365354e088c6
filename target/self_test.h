/* SPDX-License-Identifier: MIT */
/*
 * The proof that the board's clock counts instructions, to the instruction.
 *
 * The programs of bench-target ask for it first, so that an emulator which was started otherwise
 * gives no figures at all. Knows: the board's clock. Does not know: what is counted later. It takes
 * about ten million instructions.
 */
#ifndef TARGET_SELF_TEST_H
#define TARGET_SELF_TEST_H

#include <stdbool.h>

/* Count sequences of known lengths; false, and a line for each that was counted wrong. */
bool self_test_passes(void);

#endif
