/* SPDX-License-Identifier: MIT */
#include "test_port.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Lines that are kept for tests to look at; a small device has room for few. */
#ifndef LINES_MAX
#define LINES_MAX 64
#endif
#define TEXT_MAX 256

struct line {
    enum test_level level;
    char text[TEXT_MAX];
};

struct hook {
    test_hook call;
    void* context;
};

static struct {
    unsigned depth;
    unsigned holds;
    unsigned passed; /* assertions, since the lock was taken */
    unsigned longest_hold;
    size_t lines; /* counted on beyond LINES_MAX */
    size_t lines_of[TEST_INFO + 1];
    struct line line[LINES_MAX];
    struct hook on_unlock;
    struct hook on_log;
    bool in_hook;
    bool only_counts;
} port;

__attribute__((noreturn)) static void stop(const char* what, const char* detail)
{
    (void)fflush(stdout);
    (void)fprintf(stderr, "\ntest port: %s: %s\n", what, detail);
    abort();
}

static void run(const struct hook* hook)
{
    if (hook->call == NULL || port.in_hook) {
        return;
    }
    port.in_hook = true;
    hook->call(hook->context);
    port.in_hook = false;
}

/* ---- what the library calls ----------------------------------------------------- */

void test_port_lock(void)
{
    if (port.depth != 0) {
        stop("the lock", "taken although it is held");
    }
    port.depth = 1;
    port.passed = 0;
}

void test_port_unlock(void)
{
    if (port.depth == 0) {
        stop("the lock", "released although it is not held");
    }
    port.depth = 0;
    port.holds++;
    if (port.passed > port.longest_hold) {
        port.longest_hold = port.passed;
    }
    run(&port.on_unlock);
}

uint32_t test_port_random(void)
{
    if (port.depth != 0) {
        stop("the random number", "asked for while the lock is held");
    }
    return TEST_PORT_RANDOM;
}

/* Only what DMOD's printf knows; "%zu" would be printed as it stands and shift the arguments. */
static void check_format(const char* format)
{
    for (const char* at = strchr(format, '%'); at != NULL; at = strchr(at + 2, '%')) {
        if (at[1] == '\0' || strchr("%csdiuxXp", at[1]) == NULL) {
            stop("a conversion that DMOD does not know", format);
        }
    }
    const char* end = strchr(format, '\n');
    if (end == NULL || end[1] != '\0') {
        stop("a log line does not end in exactly one line feed", format);
    }
}

/* Every text is made and looked at; there is room to keep the first ones. */
static void keep_text(const char* format, va_list arguments)
{
    char text[TEXT_MAX];
    check_format(format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    if (strstr(text, "(null)") != NULL) {
        stop("logged a NULL string", text);
    }
    if (port.lines < LINES_MAX) {
        memcpy(port.line[port.lines].text, text, sizeof(text));
    }
}

void test_port_log(enum test_level level, const char* format, ...)
{
    va_list arguments;
    if (format == NULL) {
        stop("a log line", "without a format");
    }
    if (port.depth != 0) {
        stop("logged while the lock was held", format);
    }
    if (port.lines < LINES_MAX) {
        port.line[port.lines].level = level;
        port.line[port.lines].text[0] = '\0';
    }
    if (!port.only_counts) {
        va_start(arguments, format);
        keep_text(format, arguments);
        va_end(arguments);
    }
    port.lines++;
    port.lines_of[level]++;
    run(&port.on_log);
}

void test_port_assert(bool condition, const char* text, const char* file, int line)
{
    if (!condition) {
        (void)fprintf(stderr, "\n%s:%d", file, line);
        stop("an assertion of the library", text);
    }
    port.passed++;
}

/* ---- what tests call ------------------------------------------------------------- */

bool test_port_reset(void)
{
    const bool was_free = port.depth == 0;
    memset(&port, 0, sizeof(port));
    return was_free;
}

bool test_port_is_held(void)
{
    return port.depth != 0;
}

unsigned test_port_holds(void)
{
    return port.holds;
}

unsigned test_port_longest_hold(void)
{
    return port.longest_hold;
}

size_t test_port_lines(void)
{
    return port.lines;
}

size_t test_port_lines_of(enum test_level level)
{
    return port.lines_of[level];
}

const char* test_port_text(size_t number)
{
    return number < port.lines && number < LINES_MAX ? port.line[number].text : "";
}

enum test_level test_port_level(size_t number)
{
    return number < LINES_MAX ? port.line[number].level : TEST_ERROR;
}

void test_port_forget_lines(void)
{
    port.lines = 0;
    memset(port.lines_of, 0, sizeof(port.lines_of));
}

void test_port_only_count(bool only)
{
    port.only_counts = only;
}

void test_port_on_unlock(test_hook hook, void* context)
{
    port.on_unlock.call = hook;
    port.on_unlock.context = context;
}

void test_port_on_log(test_hook hook, void* context)
{
    port.on_log.call = hook;
    port.on_log.context = context;
}
