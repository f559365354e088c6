/* SPDX-License-Identifier: MIT */
/*
 * Semihosting: what the firmware asks of the emulator or debugger that runs it.
 *
 * Characters, the command line, the time and the exit status; the same calls on Arm and RISC-V.
 */
#ifndef TARGET_SEMIHOST_H
#define TARGET_SEMIHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void semihost_put(char character);

/* The command line, cut at `size`; false if there is none. */
bool semihost_command_line(char* text, size_t size);

/* Seconds since 1970. */
uint32_t semihost_time(void);

/* Exit statuses of runs that no program ended. */
#define FAULT_STATUS 70 /* an exception or interrupt that nobody expects */
#define ABORT_STATUS 71 /* the C library's abort */

__attribute__((noreturn)) void semihost_exit(int status);

/* The trap itself, in the startup code of each architecture. */
uintptr_t semihost_call(uintptr_t operation, const void* argument);

#endif
