/* SPDX-License-Identifier: MIT */
/*
 * The proof that the board's clock counts instructions, to the instruction.
 *
 * Straight runs of nops and loops around one are counted. What surrounds a run costs the same each
 * time, so n nops more must count n more, and a loop's cost must be a line. Without qemu's
 * -icount, with another shift, or with a clock that is read in the middle of a translated
 * piece of code, this fails.
 */
#include "board.h"
#include "self_test.h"

#include <stdint.h>
#include <stdio.h>

int self_test_main(int count, char** arguments);

/* A function that counts so many nops; all are alike but for these. */
#define RUN(n)                                                           \
    __attribute__((noipa)) static uint32_t run_##n(void)                 \
    {                                                                    \
        const uint32_t from = board_clock();                             \
        __asm__ volatile(".rept " #n "\n\tnop\n\t.endr" : : : "memory"); \
        const uint32_t to = board_clock();                               \
        return board_instructions(board_ticks(from, to));                \
    }

RUN(0)
RUN(1)
RUN(2)
RUN(3)
RUN(5)
RUN(8)
RUN(13)
RUN(31)
RUN(64)
RUN(100)
RUN(333)

static const struct {
    uint32_t nops;
    uint32_t (*count)(void);
} runs[] = {
    {0, run_0},   {1, run_1},   {2, run_2},   {3, run_3},     {5, run_5},     {8, run_8},
    {13, run_13}, {31, run_31}, {64, run_64}, {100, run_100}, {333, run_333},
};

#define TURN_MAX 5U /* instructions of a loop's turn, a nop among them */

/* One function for all lengths: a compiler may not make another one of a constant length. */
__attribute__((noipa)) static uint32_t count_loop(uint32_t turns)
{
    const uint32_t from = board_clock();
    for (uint32_t i = 0; i < turns; i++) {
        __asm__ volatile("nop" : : : "memory");
    }
    return board_instructions(board_ticks(from, board_clock()));
}

static bool is_counted(const char* what, uint32_t length, uint32_t wanted, uint32_t counted)
{
    if (counted != wanted) {
        printf("%s of %u: %u instructions counted, %u wanted\n", what, (unsigned)length,
               (unsigned)counted, (unsigned)wanted);
    }
    return counted == wanted;
}

static bool runs_pass(void)
{
    bool passed = true;
    const uint32_t around = run_0();
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        const uint32_t nops = runs[i].nops;
        passed = is_counted("a run", nops, around + nops, runs[i].count()) && passed;
    }
    return passed;
}

static bool loops_pass(void)
{
    static const uint32_t turns[] = {1, 2, 3, 10, 99, 1000, 12345, 100000, 1000000};
    bool passed = true;
    const uint32_t turn = count_loop(2) - count_loop(1);
    const uint32_t around = count_loop(1) - turn;
    for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
        if (turns[i] > BOARD_LONGEST / TURN_MAX) {
            continue;
        }
        const uint32_t wanted = around + turns[i] * turn;
        passed = is_counted("a loop", turns[i], wanted, count_loop(turns[i])) && passed;
    }
    return passed && is_counted("a turn", 1, turn, turn >= 2 && turn <= TURN_MAX ? turn : 0);
}

bool self_test_passes(void)
{
    bool passed = true;
    for (int round = 0; round < 3; round++) {
        passed = runs_pass() && loops_pass() && passed;
    }
    return passed;
}

int self_test_main(int count, char** arguments)
{
    (void)count;
    (void)arguments;
    const bool passed = self_test_passes();
    printf("the clock counts %s\n", passed ? "to the instruction" : "wrong");
    return passed ? 0 : 1;
}
