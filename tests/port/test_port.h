/* SPDX-License-Identifier: MIT */
/*
 * The test port: a lock that is only counted, a log that is only captured, and hooks that
 * run a test's code where another thread's could run.
 *
 * It stops the program with a message, at once, when the library takes the lock twice, releases
 * one that it does not hold, logs or asks for a random number while it holds it, logs a conversion
 * that DMOD's small printf does not know, or fails an assertion of its own.
 */
#ifndef DMHEAP_TEST_PORT_H
#define DMHEAP_TEST_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum test_level { TEST_ERROR, TEST_WARN, TEST_INFO };

/* What the library calls: */
void test_port_lock(void);
void test_port_unlock(void);
void test_port_log(enum test_level level, const char* format, ...)
    __attribute__((format(printf, 2, 3)));
void test_port_assert(bool condition, const char* text, const char* file, int line);
uint32_t test_port_random(void);

/* What test_port_random gives: always the same, for a run to be repeated. */
#define TEST_PORT_RANDOM 0x6B79A3C5U

/* What tests call: */

/* Forget captured lines, counts and hooks; false if the lock was still held. */
bool test_port_reset(void);

/* Is the lock held right now? */
bool test_port_is_held(void);

/* Lock holds that are over, since the last reset. */
unsigned test_port_holds(void);

/*
 * The most assertions that were passed during one hold, since the last reset. The verbs that work
 * on bits, tags and classes assert something, so this grows with the blocks that a hold treats.
 */
unsigned test_port_longest_hold(void);

/* Captured lines that are not yet forgotten. */
size_t test_port_lines(void);
size_t test_port_lines_of(enum test_level level);

/* Text of captured line `number`, with its line feed; "" where there is none. */
const char* test_port_text(size_t number);
enum test_level test_port_level(size_t number);
void test_port_forget_lines(void);

/*
 * Only count lines, each with the text "", until this is called with false: for what logs millions
 * of them, and would take most of its time for that.
 */
void test_port_only_count(bool only);

/*
 * Call `hook` after each release of the lock, until another one or NULL is set. What the hook
 * does with the heap calls no hook again.
 */
typedef void (*test_hook)(void* context);
void test_port_on_unlock(test_hook hook, void* context);

/* The same for each line that is logged: on a device, printing may allocate. */
void test_port_on_log(test_hook hook, void* context);

#endif
