/* SPDX-License-Identifier: MIT */
/*
 * Instructions of single calls, exactly: the processor's trap flag raises a signal after each
 * instruction, and the handler counts. For x86-64 Linux, built with -O2 and the bare port (no lock,
 * no log), without sanitizers.
 *
 *     count        prints the table, fails where a statement below does not hold
 *
 * What must hold with 100 and with 100,000 live blocks:
 * - A scene, the same calls in the same circumstances, costs the same, to the instruction.
 * - The same work, replacing the last 100 blocks at random, costs the same within 10 % of the mean.
 * - Work all over the heap, replacing any of the blocks, costs no more than 10 % more with many.
 *   (It costs less, for more free blocks are of the very size asked for.)
 * - No call costs more than its ceiling.
 */
#define _GNU_SOURCE
#include "dmheap.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEW  100U
#define MANY 100000U

/* The worst call of each kind: measured with gcc 12, and a tenth of that for other versions. */
#define CEILING_MALLOC  275U
#define CEILING_ALIGNED 560U
#define CEILING_FREE    250U

#define HEAP_BYTES ((size_t)16 << 20)

static _Alignas(64) unsigned char memory[HEAP_BYTES];
static void* block[MANY];

/* ---- counting ----------------------------------------------------------------- */

static volatile sig_atomic_t instructions;

static void on_trap(int number)
{
    (void)number;
    instructions++;
}

static void trap_on(void)
{
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
}

static void trap_off(void)
{
    __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

struct call {
    char kind; /* m malloc, a aligned_alloc, f free, n nothing */
    size_t size;
    void* ptr;
};

static void* do_call(const struct call* call)
{
    switch (call->kind) {
    case 'm':
        return dmheap_malloc(call->size, NULL);
    case 'a':
        return dmheap_aligned_alloc(64, call->size, NULL);
    case 'f':
        dmheap_free(call->ptr, false);
        return NULL;
    default:
        return NULL;
    }
}

/* Instructions of one call; what it returned in call->ptr. */
static unsigned count_call(struct call* call)
{
    void* result;
    instructions = 0;
    trap_on();
    result = do_call(call);
    trap_off();
    call->ptr = result;
    return (unsigned)instructions;
}

/* What the counting itself takes: a call of nothing. */
static unsigned overhead(void)
{
    struct call nothing = {'n', 0, NULL};
    return count_call(&nothing);
}

/* ---- the heap ------------------------------------------------------------------- */

static uint32_t random_state;

static uint32_t next_random(void)
{
    random_state = random_state * 1664525U + 1013904223U;
    return random_state >> 8;
}

/* Mostly small, one in sixteen from the range classes. */
static size_t random_size(void)
{
    const uint32_t most = next_random() % 16 == 0 ? 2000 : 120;
    return 4 + next_random() % most;
}

/* A heap with `live` blocks of random sizes and no hole. */
static void open_heap(unsigned live)
{
    random_state = 1;
    if (!dmheap_init(memory, HEAP_BYTES, 8)) {
        exit(EXIT_FAILURE);
    }
    for (unsigned i = 0; i < live; i++) {
        block[i] = dmheap_malloc(random_size(), NULL);
        if (block[i] == NULL) {
            exit(EXIT_FAILURE);
        }
    }
}

/* ---- the scene ------------------------------------------------------------------ */

#define STEPS 17

/* Every path once: untouched end, exact, split, range, aligned; free with each neighbourhood. */
static void play_scene(unsigned cost[STEPS])
{
    struct call a = {'m', 40, NULL}, b = a, c = a, d = a, e = {'m', 900, NULL}, f = a;
    struct call g = {'a', 200, NULL};
    struct call* const steps[STEPS] = {&a, &b, &c, &d, &e, &f, &b, &b, &b,
                                       &c, &b, &e, &e, &g, &a, &g, &d};
    for (unsigned i = 0; i < STEPS; i++) {
        struct call* step = steps[i];
        const char kind = step == &g ? 'a' : 'm';
        step->kind = step->ptr == NULL ? kind : 'f';
        cost[i] = count_call(step);
    }
}

/* Bring the untouched end to the same place within a cache line, for the aligned call. */
static void settle(void)
{
    while (((uintptr_t)dmheap_malloc(20, NULL) & 63U) != 0) {
    }
}

static bool scenes_are_equal(void)
{
    unsigned few[STEPS];
    unsigned many[STEPS];
    open_heap(FEW);
    settle();
    play_scene(few);
    open_heap(MANY);
    settle();
    play_scene(many);
    bool equal = true;
    for (unsigned i = 0; i < STEPS; i++) {
        if (few[i] != many[i]) {
            printf("call %u of the scene: %u and %u instructions\n", i, few[i], many[i]);
            equal = false;
        }
    }
    return equal;
}

/* ---- random work ---------------------------------------------------------------- */

struct figures {
    unsigned calls;
    unsigned long sum;
    unsigned worst;
};

static void note(struct figures* figures, unsigned count)
{
    figures->calls++;
    figures->sum += count;
    if (count > figures->worst) {
        figures->worst = count;
    }
}

static double mean(const struct figures* figures)
{
    return (double)figures->sum / figures->calls;
}

/*
 * Replace random ones of the last `worked` among `live` blocks: first uncounted until the heap has
 * settled, then `calls` counted.
 */
static void work(unsigned live, unsigned worked, char kind, unsigned calls, struct figures* take,
                 struct figures* give)
{
    const unsigned own = overhead();
    open_heap(live);
    random_state = 2;
    for (unsigned i = 0; i < 3 * worked + calls; i++) {
        const unsigned k = live - 1 - next_random() % worked;
        struct call call = {'f', 0, block[k]};
        const bool counted = i >= 3 * worked;
        if (counted) {
            note(give, count_call(&call) - own);
        } else {
            (void)do_call(&call);
        }
        call.kind = kind;
        call.size = random_size();
        if (counted) {
            note(take, count_call(&call) - own);
            block[k] = call.ptr;
        } else {
            block[k] = do_call(&call);
        }
    }
}

/* ---- the table ------------------------------------------------------------------ */

/* `less` tells whether many blocks may cost less than 90 % of what few cost. */
static bool row(const char* name, const struct figures figures[2], bool less, unsigned ceiling)
{
    const double ratio = mean(&figures[1]) / mean(&figures[0]);
    const bool holds = figures[0].worst <= ceiling && figures[1].worst <= ceiling &&
                       ratio <= 1.10 && (less || ratio >= 0.90);
    printf("%-24s %6.1f %6u %10.1f %6u %9u  %s\n", name, mean(&figures[0]), figures[0].worst,
           mean(&figures[1]), figures[1].worst, ceiling, holds ? "holds" : "DOES NOT HOLD");
    return holds;
}

/* The rows of one kind of work: on the last blocks, or on all of them. */
static bool rows(const char* const name[3], bool on_all)
{
    static const unsigned live[2] = {FEW, MANY};
    struct figures malloc_cost[2] = {{0, 0, 0}, {0, 0, 0}};
    struct figures free_cost[2] = {{0, 0, 0}, {0, 0, 0}};
    struct figures aligned_cost[2] = {{0, 0, 0}, {0, 0, 0}};
    struct figures ignored = {0, 0, 0};
    for (int i = 0; i < 2; i++) {
        const unsigned worked = on_all ? live[i] : FEW;
        work(live[i], worked, 'm', 300, &malloc_cost[i], &free_cost[i]);
        work(live[i], worked, 'a', 150, &aligned_cost[i], &ignored);
    }
    bool holds = row(name[0], malloc_cost, on_all, CEILING_MALLOC);
    holds &= row(name[1], aligned_cost, on_all, CEILING_ALIGNED);
    holds &= row(name[2], free_cost, on_all, CEILING_FREE);
    return holds;
}

int main(void)
{
    static const char* const same[3] = {"malloc", "aligned_alloc", "free"};
    static const char* const all[3] = {"malloc, all over", "aligned_alloc, all over",
                                       "free, all over"};
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_trap;
    if (sigaction(SIGTRAP, &action, NULL) != 0) {
        return EXIT_FAILURE;
    }
    printf("instructions             %6u live         %6u live\n", FEW, MANY);
    printf("                           mean  worst       mean  worst   ceiling\n");
    bool holds = rows(same, false);
    holds &= rows(all, true);
    const bool equal = scenes_are_equal();
    printf("a scene of %d calls costs the same with both, to the instruction: %s\n", STEPS,
           equal ? "holds" : "DOES NOT HOLD");
    return holds && equal ? EXIT_SUCCESS : EXIT_FAILURE;
}
