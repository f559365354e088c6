/* SPDX-License-Identifier: MIT */
/*
 * Semihosting's operations, see semihost.h: their numbers and what each is given.
 *
 * Knows: the protocol, which is the same on Arm and RISC-V. Does not know: the instructions that
 * trap into the emulator, which are semihost_call in the startup code. Without an emulator or a
 * debugger such a trap is an exception, so none of this is for a device on its own.
 */
#include "semihost.h"

enum {
    SYS_WRITEC = 0x03,
    SYS_TIME = 0x11,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
};

#define STOPPED_APPLICATION_EXIT ((uintptr_t)0x20026)

void semihost_put(char character)
{
    (void)semihost_call(SYS_WRITEC, &character);
}

bool semihost_command_line(char* text, size_t size)
{
    const uintptr_t block[] = {(uintptr_t)text, size};
    return semihost_call(SYS_GET_CMDLINE, block) == 0;
}

uint32_t semihost_time(void)
{
    return (uint32_t)semihost_call(SYS_TIME, NULL);
}

void semihost_exit(int status)
{
    const uintptr_t block[] = {STOPPED_APPLICATION_EXIT, (uintptr_t)status};
    for (;;) {
        (void)semihost_call(SYS_EXIT_EXTENDED, block);
    }
}
