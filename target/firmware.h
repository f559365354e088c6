/* SPDX-License-Identifier: MIT */
/*
 * The firmware: tests and benchmark in one image; the command line says which of them runs.
 *
 * Called by the startup code of each core once memory and board are ready; what it returns ends the
 * run. Knows: the programs that are linked in, and the command line. Does not know: core and board.
 */
#ifndef TARGET_FIRMWARE_H
#define TARGET_FIRMWARE_H

/* Run the program that the command line names; its exit status. */
int firmware_run(void);

#endif
