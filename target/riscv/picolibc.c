/* SPDX-License-Identifier: MIT */
/*
 * What picolibc asks of a system: characters out, the time, the end. Its malloc takes its memory
 * from the linker script.
 */
#include "../semihost.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static int put(char character, FILE* file)
{
    (void)file;
    semihost_put(character);
    return (unsigned char)character;
}

static FILE console = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE* const stdout = &console;
FILE* const stderr = &console;

int gettimeofday(struct timeval* time, void* zone)
{
    (void)zone;
    time->tv_sec = (time_t)semihost_time();
    time->tv_usec = 0;
    return 0;
}

void _exit(int status)
{
    semihost_exit(status);
}

void abort(void)
{
    semihost_exit(ABORT_STATUS);
}
