/* SPDX-License-Identifier: MIT */
/* Log and critical section. */
#define DMOD_CURRENT_ALLOCATOR "dmod"
#include "dmod.h"

#include <stdarg.h>
#include <stdio.h>

/* Takes the records along, from wherever they come. */
static const void* const records __attribute__((used)) = &Dmod_Printf_registration;

static Dmod_LogLevel_t level = Dmod_LogLevel_Warn;

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, bool, _CheckLogLevel, (Dmod_LogLevel_t Level))
{
    return Level <= level;
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void, _SetLogLevel, (Dmod_LogLevel_t Level))
{
    level = Level;
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void, _EnterCritical, (void))
{
}

DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, void, _ExitCritical, (void))
{
}

static void print_number(uintptr_t number, unsigned base, const char* digits)
{
    if (number >= base) {
        print_number(number / base, base, digits);
    }
    putchar(digits[number % base]);
}

static void print_signed(int number)
{
    if (number < 0) {
        putchar('-');
    }
    print_number(number < 0 ? 0U - (unsigned)number : (unsigned)number, 10, "0123456789");
}

/*
 * The conversions of the one for devices: %% %c %s %d %i %u %x %X %p. Any other is printed as it
 * stands and takes no argument, so the ones behind it go wrong - as on the device.
 */
DMOD_INPUT_WEAK_API_DECLARATION(Dmod, 1.0, int, _Printf, (const char* Format, ...))
{
    va_list arguments;
    va_start(arguments, Format);
    for (const char* at = Format; *at != '\0'; at++) {
        if (*at != '%') {
            putchar(*at);
            continue;
        }
        at++;
        switch (*at) {
        case '%':
            putchar('%');
            break;
        case 'c':
            putchar(va_arg(arguments, int));
            break;
        case 's':
            fputs(va_arg(arguments, const char*), stdout);
            break;
        case 'd':
        case 'i':
            print_signed(va_arg(arguments, int));
            break;
        case 'u':
            print_number(va_arg(arguments, unsigned), 10, "0123456789");
            break;
        case 'x':
            print_number(va_arg(arguments, unsigned), 16, "0123456789abcdef");
            break;
        case 'X':
            print_number(va_arg(arguments, unsigned), 16, "0123456789ABCDEF");
            break;
        case 'p':
            fputs("0x", stdout);
            print_number((uintptr_t)va_arg(arguments, void*), 16, "0123456789abcdef");
            break;
        case '\0':
            putchar('%');
            at--;
            break;
        default:
            putchar('%');
            putchar(*at);
        }
    }
    va_end(arguments);
    return 0;
}
