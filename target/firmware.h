/* SPDX-License-Identifier: MIT */
/* The firmware: tests and benchmark in one image; the command line says which of them runs. */
#ifndef TARGET_FIRMWARE_H
#define TARGET_FIRMWARE_H

/* Run the program that the command line names; its exit status. */
int firmware_run(void);

#endif
