/* SPDX-License-Identifier: MIT */
/*
 * The part of cmocka's interface that the tests use, for a device that has no cmocka.
 *
 * Same names, same meaning; written for this project. A case that fails says where, and goes on
 * with the next one. Not here: mocks, expectations, memory checks, signals.
 */
#ifndef TARGET_CMOCKA_H
#define TARGET_CMOCKA_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef int (*CMFixtureFunction)(void** state);

struct CMUnitTest {
    const char* name;
    void (*test_func)(void** state);
    CMFixtureFunction setup_func;
    CMFixtureFunction teardown_func;
};

#define cmocka_unit_test(test) cmocka_unit_test_setup_teardown(test, NULL, NULL)

#define cmocka_unit_test_setup(test, setup) cmocka_unit_test_setup_teardown(test, setup, NULL)

#define cmocka_unit_test_setup_teardown(test, setup, teardown) \
    ((struct CMUnitTest){#test, test, setup, teardown})

#define print_message (void)printf
#define print_error   (void)printf

/* ---- failure ---------------------------------------------------------------------- */

static jmp_buf cmocka_next;

__attribute__((noreturn)) static inline void _fail(const char* file, int line)
{
    print_error("%s:%d: failed\n", file, line);
    longjmp(cmocka_next, 1);
}

#define fail() _fail(__FILE__, __LINE__)

#define fail_msg(...)             \
    do {                          \
        print_error(__VA_ARGS__); \
        print_error("\n");        \
        fail();                   \
    } while (0)

/* ---- assertions ------------------------------------------------------------------- */

static inline void _assert_true(uintmax_t truth, const char* text, const char* file, int line)
{
    if (truth == 0) {
        print_error("not %s\n", text);
        _fail(file, line);
    }
}

#define assert_true(c)     _assert_true((c) ? 1U : 0U, #c, __FILE__, __LINE__)
#define assert_false(c)    _assert_true((c) ? 0U : 1U, "not " #c, __FILE__, __LINE__)
#define assert_non_null(p) _assert_true((p) != NULL, #p " != NULL", __FILE__, __LINE__)
#define assert_null(p)     _assert_true((p) == NULL, #p " == NULL", __FILE__, __LINE__)

static inline void cmocka_compare(uintmax_t left, uintmax_t right, int is_equal_wanted,
                                  const char* text, const char* file, int line)
{
    if ((left == right) != is_equal_wanted) {
        print_error("not %s: %lx, %lx\n", text, (unsigned long)left, (unsigned long)right);
        _fail(file, line);
    }
}

#define assert_int_equal(a, b) \
    cmocka_compare((uintmax_t)(a), (uintmax_t)(b), 1, #a " == " #b, __FILE__, __LINE__)
#define assert_int_not_equal(a, b) \
    cmocka_compare((uintmax_t)(a), (uintmax_t)(b), 0, #a " != " #b, __FILE__, __LINE__)
#define assert_ptr_equal(a, b) \
    cmocka_compare((uintptr_t)(a), (uintptr_t)(b), 1, #a " == " #b, __FILE__, __LINE__)
#define assert_ptr_not_equal(a, b) \
    cmocka_compare((uintptr_t)(a), (uintptr_t)(b), 0, #a " != " #b, __FILE__, __LINE__)

static inline void cmocka_in_range(uintmax_t value, uintmax_t least, uintmax_t most,
                                   const char* text, const char* file, int line)
{
    if (value < least || value > most) {
        print_error("%s: %lu is not within %lu ... %lu\n", text, (unsigned long)value,
                    (unsigned long)least, (unsigned long)most);
        _fail(file, line);
    }
}

#define assert_in_range(value, least, most)                                                      \
    cmocka_in_range((uintmax_t)(value), (uintmax_t)(least), (uintmax_t)(most), #value, __FILE__, \
                    __LINE__)

static inline void cmocka_same_text(const char* left, const char* right, const char* file, int line)
{
    if (strcmp(left, right) != 0) {
        print_error("\"%s\" != \"%s\"\n", left, right);
        _fail(file, line);
    }
}

static inline void cmocka_same_bytes(const void* left, const void* right, size_t size,
                                     const char* file, int line)
{
    const unsigned char* a = left;
    const unsigned char* b = right;
    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i]) {
            print_error("byte %lu: %x != %x\n", (unsigned long)i, a[i], b[i]);
            _fail(file, line);
        }
    }
}

#define assert_string_equal(a, b)       cmocka_same_text(a, b, __FILE__, __LINE__)
#define assert_memory_equal(a, b, size) cmocka_same_bytes(a, b, size, __FILE__, __LINE__)

/* ---- running ---------------------------------------------------------------------- */

static inline int cmocka_passes(CMFixtureFunction fixture, void** state)
{
    return fixture == NULL || fixture(state) == 0;
}

/* The body of a case, up to its end or to where it jumps out. */
static inline int cmocka_body_passes(const struct CMUnitTest* test, void** state)
{
    if (setjmp(cmocka_next) != 0 || !cmocka_passes(test->setup_func, state)) {
        return 0;
    }
    test->test_func(state);
    return 1;
}

static inline int cmocka_end_passes(const struct CMUnitTest* test, void** state)
{
    return setjmp(cmocka_next) == 0 && cmocka_passes(test->teardown_func, state);
}

/* One case; the tear-down runs after a failure as well. */
static inline int cmocka_run(const struct CMUnitTest* test, void** state)
{
    const int body_passed = cmocka_body_passes(test, state);
    const int passed = cmocka_end_passes(test, state) && body_passed;
    print_message("%s %s\n", passed ? "ok    " : "FAILED", test->name);
    return passed;
}

/* How many cases failed. One without a function is none. */
static inline int cmocka_run_group(const struct CMUnitTest* tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
    void* group = NULL;
    unsigned long cases = 0;
    int failed = 0;
    failed += !cmocka_passes(setup, &group);
    for (size_t i = 0; i < count; i++) {
        void* state = group;
        if (tests[i].test_func != NULL) {
            failed += !cmocka_run(&tests[i], &state);
            cases++;
        }
    }
    failed += !cmocka_passes(teardown, &group);
    print_message("%lu cases, %d failed\n", cases, failed);
    return failed;
}

#define cmocka_run_group_tests(tests, setup, teardown) \
    cmocka_run_group(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif
