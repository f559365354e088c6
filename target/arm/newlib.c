/* SPDX-License-Identifier: MIT */
/*
 * What newlib asks of a system: characters out, memory for the tests' own malloc, the time, the
 * end.
 *
 * The tests take buffers from the C library; the heap under test is never that one.
 */
#include "../semihost.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* Of the linker script: what lies between static data and the stack. */
extern char target_heap_start[];
extern char target_heap_end[];

/* newlib declares these for itself only. */
int _write(int file, const char* text, int size);
int _read(int file, char* text, int size);
int _close(int file);
int _fstat(int file, struct stat* status);
int _isatty(int file);
int _lseek(int file, int offset, int whence);
int _gettimeofday(struct timeval* time, void* zone);
int _getpid(void);
int _kill(int process, int signal);
void* _sbrk(ptrdiff_t size);

int _write(int file, const char* text, int size)
{
    (void)file;
    for (int i = 0; i < size; i++) {
        semihost_put(text[i]);
    }
    return size;
}

void* _sbrk(ptrdiff_t size)
{
    static char* end = target_heap_start;
    if (size > target_heap_end - end) {
        errno = ENOMEM;
        return (void*)-1;
    }
    char* start = end;
    end += size;
    return start;
}

int _gettimeofday(struct timeval* time, void* zone)
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

int _kill(int process, int signal)
{
    (void)process;
    (void)signal;
    semihost_exit(ABORT_STATUS);
}

int _getpid(void)
{
    return 1;
}

/* Standard output is a terminal, so that its lines come at once; there is no other file. */
int _isatty(int file)
{
    (void)file;
    return 1;
}

int _fstat(int file, struct stat* status)
{
    (void)file;
    status->st_mode = S_IFCHR;
    return 0;
}

int _read(int file, char* text, int size)
{
    (void)file;
    (void)text;
    (void)size;
    return 0;
}

int _close(int file)
{
    (void)file;
    return -1;
}

int _lseek(int file, int offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    return 0;
}
