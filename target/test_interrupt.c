/* SPDX-License-Identifier: MIT */
/*
 * A timer's interrupt uses the heap all the while the main program does.
 *
 * Both allocate, resize, free and unregister, in heaps too small for all they ask, and check the
 * content of each block before they let it go. The times between interrupts are random and
 * short, so they strike in every call at many places. In the end all is given back, and the
 * heap has to be what it was. Told is the longest time with interrupts masked.
 */
#include "board.h"
#include "dmheap.h"
#include "hold.h"
#include "report.h"

#include <string.h>

#define HEAP_BYTES     ((size_t)8192) /* every board has room for it */
#define INTERRUPTS     20000U
#define INTERVAL_LEAST 20U /* instructions, from the end of one handler to the next interrupt */
#define INTERVAL_RANGE 1500U
#define STEPS_MOST     2000000U /* so many without an end mean that the timer is dead */

int test_interrupt_main(int count, char** arguments);

static unsigned char memory[HEAP_BYTES];

/* ---- one user of the heap: the main program, or the interrupt -------------------------- */

#define SLOTS 40U

enum call { CALL_NONE, CALL_MALLOC, CALL_ALIGNED, CALL_REALLOC, CALL_FREE, CALL_UNREGISTER, CALLS };

struct block {
    unsigned char* ptr; /* NULL: none */
    size_t size;
    unsigned content;
    unsigned name;
};

struct user {
    const char* name[3]; /* the first one is nobody's */
    uint32_t
        size_usual; /* most blocks are smaller, so that filling them takes little of the time */
    uint32_t size_most;
    uint32_t random;
    volatile enum call calling; /* what it is in the middle of */
    struct block block[SLOTS];
    unsigned served;
    unsigned refused;
    unsigned damaged; /* contents that were not as they had been */
    unsigned left;    /* calls that left interrupts masked otherwise than they found them */
};

static uint32_t dice(struct user* user, uint32_t sides)
{
    user->random = user->random * 1664525U + 1013904223U;
    return (uint32_t)((uint64_t)user->random * sides >> 32);
}

static size_t any_size(struct user* user)
{
    return dice(user, dice(user, 8) == 0 ? user->size_most : user->size_usual);
}

/* Around each call: say which it is, and see that it leaves interrupts as they were. */
static bool enter(struct user* user, enum call call)
{
    user->calling = call;
    return core_is_masked();
}

static void leave(struct user* user, bool was_masked)
{
    user->calling = CALL_NONE;
    user->left += core_is_masked() != was_masked;
}

static void check(struct user* user, const struct block* block, size_t size)
{
    user->damaged += !report_holds(block->ptr, size, block->content);
}

static void take(struct user* user, struct block* block)
{
    const bool is_aligned = dice(user, 4) == 0;
    const size_t alignment = (size_t)4 << dice(user, 5);
    block->size = any_size(user);
    block->name = dice(user, 3);
    block->content = dice(user, 1000);
    const char* name = user->name[block->name];
    const bool was_masked = enter(user, is_aligned ? CALL_ALIGNED : CALL_MALLOC);
    block->ptr = is_aligned ? dmheap_aligned_alloc(alignment, block->size, name)
                            : dmheap_malloc(block->size, name);
    leave(user, was_masked);
    if (block->ptr == NULL) {
        user->refused++;
        return;
    }
    user->served++;
    report_fill(block->ptr, block->size, block->content);
}

static void drop(struct user* user, struct block* block)
{
    const bool concatenate = dice(user, 2) != 0;
    check(user, block, block->size);
    const bool was_masked = enter(user, CALL_FREE);
    dmheap_free(block->ptr, concatenate);
    leave(user, was_masked);
    block->ptr = NULL;
}

static void regrow(struct user* user, struct block* block)
{
    const size_t size = any_size(user);
    const bool was_masked = enter(user, CALL_REALLOC);
    unsigned char* moved = dmheap_realloc(block->ptr, size, NULL);
    leave(user, was_masked);
    if (moved == NULL) {
        user->refused++;
        return;
    }
    block->ptr = moved;
    check(user, block, size < block->size ? size : block->size);
    block->size = size;
    report_fill(block->ptr, block->size, block->content);
}

/* A module goes, with all its blocks. */
static void unload(struct user* user, unsigned name)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (user->block[i].ptr != NULL && user->block[i].name == name) {
            check(user, &user->block[i], user->block[i].size);
            user->block[i].ptr = NULL;
        }
    }
    const bool was_masked = enter(user, CALL_UNREGISTER);
    dmheap_unregister_module(user->name[name]);
    leave(user, was_masked);
}

static void step(struct user* user)
{
    struct block* block = &user->block[dice(user, SLOTS)];
    const uint32_t choice = dice(user, 100);
    if (choice < 3) {
        unload(user, 1 + dice(user, 2));
    } else if (block->ptr == NULL) {
        take(user, block);
    } else if (choice < 40) {
        regrow(user, block);
    } else {
        drop(user, block);
    }
}

static void give_back(struct user* user)
{
    unload(user, 1);
    unload(user, 2);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (user->block[i].ptr != NULL) {
            drop(user, &user->block[i]);
        }
    }
}

/* ---- both of them ----------------------------------------------------------------------- */

static struct user program = {.name = {NULL, "sensor", "network"},
                              .size_usual = 40,
                              .size_most = HEAP_BYTES / 8,
                              .random = 1};
static struct user handler = {
    .name = {NULL, "isr", "driver"}, .size_usual = 40, .size_most = 200, .random = 99};

static volatile unsigned handled;
static unsigned struck[CALLS]; /* interrupts in the middle of each of the program's calls */

static void on_timer(void)
{
    struck[program.calling]++;
    step(&handler);
    handled++;
    if (handled < INTERRUPTS) {
        board_interrupt_in(INTERVAL_LEAST + dice(&handler, INTERVAL_RANGE), on_timer);
    }
}

/* The largest block that can be had now, to the byte. */
static size_t largest(void)
{
    size_t served = 0;
    for (size_t part = HEAP_BYTES / 2; part != 0; part /= 2) {
        void* ptr = dmheap_malloc(served + part, NULL);
        if (ptr != NULL) {
            served += part;
            dmheap_free(ptr, true);
        }
    }
    return served;
}

static void report_user(const char* who, const struct user* user)
{
    printf("%s: %u served, %u refused, %u damaged\n", who, user->served, user->refused,
           user->damaged);
    CHECK_THAT(user->served > INTERRUPTS / 10);
    CHECK_THAT(user->damaged == 0);
    CHECK_THAT(user->left == 0);
}

static void interrupts_use_the_heap_all_the_while(void)
{
    static const char* const names[CALLS] = {"nothing", "malloc", "aligned_alloc",
                                             "realloc", "free",   "unregister_module"};
    CHECK_THAT(dmheap_init(memory, sizeof(memory), 8));
    const size_t before = largest();
    hold_forget();
    core_unmask();
    board_interrupt_in(INTERVAL_LEAST, on_timer);
    for (unsigned steps = 0; handled < INTERRUPTS && steps < STEPS_MOST; steps++) {
        step(&program);
    }
    CHECK_THAT(handled == INTERRUPTS);
    report_user("program", &program);
    report_user("handler", &handler);
    for (enum call call = CALL_NONE; call < CALLS; call++) {
        printf("%u interrupts in the middle of %s\n", struck[call], names[call]);
        CHECK_THAT(struck[call] > 0);
    }
    printf("longest time masked: %u instructions, in %u holds\n", (unsigned)hold_longest(),
           (unsigned)hold.count);
    CHECK_THAT(hold.count > INTERRUPTS);
    give_back(&program);
    give_back(&handler);
    CHECK_THAT(program.damaged == 0 && handler.damaged == 0);
    CHECK_THAT(largest() == before);
}

static void a_caller_that_masked_interrupts_finds_them_masked(void)
{
    core_mask();
    void* ptr = dmheap_malloc(100, "sensor");
    CHECK_THAT(ptr != NULL && core_is_masked());
    ptr = dmheap_realloc(ptr, 1000, "sensor");
    CHECK_THAT(ptr != NULL && core_is_masked());
    dmheap_free(ptr, true);
    dmheap_unregister_module("sensor");
    CHECK_THAT(core_is_masked());
    core_unmask();
    dmheap_free(dmheap_malloc(100, NULL), true);
    CHECK_THAT(!core_is_masked());
}

int test_interrupt_main(int count, char** arguments)
{
    (void)count;
    (void)arguments;
    report_topic("Interrupts use the heap all the while", interrupts_use_the_heap_all_the_while);
    report_topic("Masking by the caller", a_caller_that_masked_interrupts_finds_them_masked);
    return report_end();
}
