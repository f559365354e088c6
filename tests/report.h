/* SPDX-License-Identifier: MIT */
/* Readable output for the tests without a framework: a line per topic, a line per failure. */
#ifndef DMHEAP_TEST_REPORT_H
#define DMHEAP_TEST_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static int report_checks;
static int report_failures;

static inline void report_check(bool passed, const char* text, const char* file, int line)
{
    report_checks++;
    if (!passed) {
        report_failures++;
        printf("%s:%d: not %s\n", file, line, text);
    }
}

#define CHECK_THAT(condition) report_check((condition), #condition, __FILE__, __LINE__)

/* Run one topic, a function without arguments. */
static inline void report_topic(const char* name, void (*topic)(void))
{
    const int before = report_failures;
    printf("--- %s\n", name);
    topic();
    printf("%s: %s\n\n", name, report_failures == before ? "PASS" : "FAIL");
}

/* The program's exit status. */
static inline int report_end(void)
{
    printf("%d checks, %d failures\n", report_checks, report_failures);
    return report_failures != 0;
}

/* A content that tells one block from another. */
static inline void report_fill(void* memory, size_t size, unsigned seed)
{
    unsigned char* bytes = memory;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(seed * 37U + (unsigned)i * 11U);
    }
}

static inline bool report_holds(const void* memory, size_t size, unsigned seed)
{
    const unsigned char* bytes = memory;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != (unsigned char)(seed * 37U + (unsigned)i * 11U)) {
            return false;
        }
    }
    return true;
}

#endif
