/* SPDX-License-Identifier: MIT */
/*
 * What the cmocka tests share: buffers with watched margins, a heap in one of them, the
 * lines that the last call logged, and a look inside.
 */
#ifndef DMHEAP_HEAP_TEST_H
#define DMHEAP_HEAP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "dmheap.h"
#include "dmheap_ctx.h"
#include "port/test_port.h"

/* The library's layers, for looking; not every function of theirs is used here. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wstringop-overread" /* taken for certain where it may be NULL */
#endif
#include "dmheap_module.h"
#include "dmheap_check.h"
#include "dmheap_walk.h"
#pragma GCC diagnostic pop

#define KIB              ((size_t)1024)
#define MIB              (KIB * KIB)
#define WORD             ((size_t)DMHEAP_WORD_BYTES)    /* a block's header */
#define OVERHEAD         ((size_t)BLOCK_OVERHEAD_BYTES) /* all of a block that is no payload */
#define COUNT_OF(array)  (sizeof(array) / sizeof((array)[0]))
#define HAS_NARROW_WORDS (DMHEAP_HEADER_BYTES == 4)

/* ---- sanitizers ------------------------------------------------------------------- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TEST_WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define TEST_WITH_ASAN 1
#endif

#ifdef TEST_WITH_ASAN
void __asan_poison_memory_region(void const volatile* start, size_t size);
void __asan_unpoison_memory_region(void const volatile* start, size_t size);
#define POISON(start, size)   __asan_poison_memory_region(start, size)
#define UNPOISON(start, size) __asan_unpoison_memory_region(start, size)
#else
#define POISON(start, size)   ((void)(start), (void)(size))
#define UNPOISON(start, size) ((void)(start), (void)(size))
#endif

/* ---- buffers ---------------------------------------------------------------------- */

/* Memory that a case may take, in MiB; those that need more are skipped. A device has less than 80. */
#ifndef TEST_MIB_MAX
#define TEST_MIB_MAX 80
#endif

#define ARENAS       24
#define ARENA_MARGIN ((size_t)256)
#define ARENA_STEP   ((size_t)4096) /* alignment of a buffer made at offset 0 */
#define CANARY       0xA5

/* One buffer with canaries on both sides; with the address sanitizer, all around it is poisoned. */
struct arena {
    unsigned char* memory; /* of the C library */
    unsigned char* start;  /* of the front margin */
    unsigned char* buffer;
    size_t size;
    unsigned char* end; /* of the memory */
};

static struct arena arenas[ARENAS];

static inline size_t arena_front(const struct arena* arena)
{
    return (size_t)(arena->buffer - arena->start);
}

static inline void arena_guard(const struct arena* arena)
{
    POISON(arena->memory, (size_t)(arena->buffer - arena->memory));
    POISON(arena->buffer + arena->size, (size_t)(arena->end - arena->buffer) - arena->size);
}

static inline void arena_unguard(const struct arena* arena)
{
    UNPOISON(arena->memory, (size_t)(arena->end - arena->memory));
}

/* A buffer of `size` bytes that begins `offset` bytes behind a multiple of ARENA_STEP. */
static inline unsigned char* arena_make(size_t size, size_t offset)
{
    struct arena* arena = arenas;
    while (arena < arenas + ARENAS && arena->memory != NULL) {
        arena++;
    }
    assert_true(arena < arenas + ARENAS);
    const size_t whole = size + offset + 2 * ARENA_STEP + 2 * ARENA_MARGIN;
    arena->memory = malloc(whole);
    assert_non_null(arena->memory);
    arena->end = arena->memory + whole;
    const uintptr_t step =
        bits_round_up((uintptr_t)arena->memory + ARENA_MARGIN, (uintptr_t)ARENA_STEP);
    arena->buffer = (unsigned char*)step + offset;
    arena->start = (unsigned char*)step - ARENA_MARGIN;
    arena->size = size;
    memset(arena->start, CANARY, arena_front(arena) + size + ARENA_MARGIN);
    arena_guard(arena);
    return arena->buffer;
}

static inline bool arena_is_canary(const unsigned char* at, size_t size)
{
    while (size != 0 && *at == CANARY) {
        at++;
        size--;
    }
    return size == 0;
}

/* Did nobody write outside any of the buffers? */
static inline bool arenas_are_intact(void)
{
    bool are_intact = true;
    for (struct arena* arena = arenas; arena < arenas + ARENAS; arena++) {
        if (arena->memory != NULL) {
            arena_unguard(arena);
            are_intact = are_intact && arena_is_canary(arena->start, arena_front(arena)) &&
                         arena_is_canary(arena->buffer + arena->size, ARENA_MARGIN);
            arena_guard(arena);
        }
    }
    return are_intact;
}

static inline void arenas_verify(void)
{
    assert_true(arenas_are_intact());
}

/* Give all buffers back; what a heap holds in them is for nobody any more. */
static inline void arenas_release(void)
{
    for (struct arena* arena = arenas; arena < arenas + ARENAS; arena++) {
        if (arena->memory != NULL) {
            arena_unguard(arena);
            free(arena->memory);
            arena->memory = NULL;
        }
    }
}

/* ---- the log ---------------------------------------------------------------------- */

static inline void check_log(size_t errors, size_t warnings, size_t infos, const char* text,
                             const char* file, int line)
{
    const bool as_expected = test_port_lines_of(TEST_ERROR) == errors &&
                             test_port_lines_of(TEST_WARN) == warnings &&
                             test_port_lines_of(TEST_INFO) == infos;
    const bool text_differs = text != NULL && strcmp(test_port_text(0), text) != 0;
    if (!as_expected || text_differs) {
        print_error("logged: %u lines, the first one: \"%s\"\n", (unsigned)test_port_lines(),
                    test_port_text(0));
        print_error("wanted: %u errors, %u warnings, %u infos: \"%s\"\n", (unsigned)errors,
                    (unsigned)warnings, (unsigned)infos, text != NULL ? text : "(any)");
    }
    test_port_forget_lines();
    _assert_true(as_expected, "as many lines as expected", file, line);
    _assert_true(!text_differs, "the text expected", file, line);
}

/* Blocks of one slice of an unregistration, at most; as the manual says, without further settings. */
#define PASSED_MAX  ((unsigned)HEAP_SWEEP_BUDGET)
#define REFUSED_MAX ((unsigned)(HEAP_SWEEP_BUDGET / HEAP_SWEEP_OTHER + 1))
#define FREED_MAX                                                                           \
    (HEAP_SWEEP_RUNS ? 1 + (unsigned)(HEAP_SWEEP_BUDGET - HEAP_SWEEP_RUN) / HEAP_SWEEP_MORE \
                     : REFUSED_MAX)

/* Why a call is refused where there is no heap. */
#if DMHEAP_GUARD
#define NO_HEAP_TEXT "there is no heap, or its own data was written over"
#else
#define NO_HEAP_TEXT "there is no heap"
#endif

/* Since the last of these, exactly this was logged: */
#define expect_silence()     check_log(0, 0, 0, NULL, __FILE__, __LINE__)
#define expect_error()       check_log(1, 0, 0, NULL, __FILE__, __LINE__)
#define expect_warning()     check_log(0, 1, 0, NULL, __FILE__, __LINE__)
#define expect_info()        check_log(0, 0, 1, NULL, __FILE__, __LINE__)
#define expect_info_of(text) check_log(0, 0, 1, text, __FILE__, __LINE__)

/* ---- the heap --------------------------------------------------------------------- */

static struct {
    struct dmheap_ctx* ctx;
    unsigned char* buffer;
    size_t size;
    bool has_uncharged; /* the case took blocks on nobody's account */
} test_heap;

/* Where the heap in `buffer` has its context. */
static inline struct dmheap_ctx* heap_context(void* buffer, size_t alignment)
{
    return (struct dmheap_ctx*)bits_round_up((uintptr_t)buffer, heap_granule(alignment));
}

/* Start the library's heap in `buffer` and look at that one from now on. */
static inline bool heap_start(unsigned char* buffer, size_t size, size_t alignment)
{
    if (!dmheap_init(buffer, size, alignment)) {
        return false;
    }
    test_heap.ctx = heap_context(buffer, alignment);
    test_heap.buffer = buffer;
    test_heap.size = size;
    test_heap.has_uncharged = false;
    return true;
}

/* A heap in a new buffer at a round address. */
static inline void heap_open(size_t size, size_t alignment)
{
    assert_true(heap_start(arena_make(size, 0), size, alignment));
    expect_info();
}

/* What a case that took blocks on nobody's account leaves wrong. */
static inline bool heap_is_uncharged(enum dmheap_fault fault)
{
    return test_heap.has_uncharged &&
           (fault == DMHEAP_FAULT_ACCOUNT || fault == DMHEAP_FAULT_TOTALS);
}

/* What is wrong in the heap at `ctx`, which calls may be under way in. */
static inline enum dmheap_fault heap_fault(const struct dmheap_ctx* ctx,
                                           struct image_census* census)
{
    struct check check;
    const bool is_sound = check_heap(&check, ctx, 0);
    assert_int_equal(is_sound, check.fault == DMHEAP_FAULT_NONE);
    *census = check.census;
    return heap_is_uncharged(check.fault) ? DMHEAP_FAULT_NONE : check.fault;
}

/* NULL if the heap at `ctx` is sound and no call is under way; else what is wrong. */
static inline const char* heap_check(const struct dmheap_ctx* ctx, struct image_census* census)
{
    const enum dmheap_fault fault = heap_fault(ctx, census);
    if (fault != DMHEAP_FAULT_NONE) {
        return check_text(fault);
    }
    return census->moving == 0 ? NULL : "a block of the heap's own is neither record nor group";
}

/* Prove the whole heap and that nothing was written outside. */
static inline struct image_census heap_verify_at(const char* file, int line)
{
    struct image_census census;
    const char* fault = heap_check(test_heap.ctx, &census);
    if (fault != NULL) {
        print_error("%s\n", fault);
    }
    _assert_true(fault == NULL, "the heap is sound", file, line);
    arenas_verify();
    return census;
}

#define heap_verify() heap_verify_at(__FILE__, __LINE__)

static inline bool heap_is_empty(void)
{
    const struct image_census census = heap_verify();
    return census.live_blocks == 0 && census.free_blocks == 0 &&
           test_heap.ctx->top == test_heap.ctx->first;
}

static inline unsigned modules(void)
{
    unsigned count = 0;
    for (unsigned number = 0; number < RECORD_GROUPS; number++) {
        const struct record_group* group = record_group(test_heap.ctx, number);
        count += group != NULL ? group->used : 0U;
    }
    return count;
}

/* Blocks that clients hold. */
static inline size_t heap_client_blocks(void)
{
    const struct image_census census = heap_verify();
    return census.live_blocks - census.own_blocks;
}

/* The blocks in address order, then NULL; right while another call is under way, too. */
static inline struct dmheap_block* heap_block_from(struct dmheap_block* block)
{
    const uintptr_t top = (uintptr_t)test_heap.ctx + (uintptr_t)test_heap.ctx->top;
    return (uintptr_t)block < top ? block : NULL;
}

static inline struct dmheap_block* heap_first_block(void)
{
    return heap_block_from(ctx_block(test_heap.ctx, (uintptr_t)test_heap.ctx->first));
}

static inline struct dmheap_block* heap_next_block(const struct dmheap_block* block)
{
    return heap_block_from(block_next(block));
}

/* The largest free block, or the untouched end, of a heap that is proven: bytes, header included. */
static inline size_t heap_largest_piece(void)
{
    size_t largest = (size_t)(test_heap.ctx->end - test_heap.ctx->top);
    for (const struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        if (block_is_free(block) && block_size(block) > largest) {
            largest = (size_t)block_size(block);
        }
    }
    return largest;
}

static inline size_t heap_largest_free(void)
{
    (void)heap_verify();
    return heap_largest_piece();
}

/* What must be as before: how much of everything there is. */
struct heap_state {
    struct image_census census;
    size_t largest;
    dmheap_word top;
    unsigned modules;
};

static inline struct heap_state state_now(void)
{
    struct heap_state now;
    memset(&now, 0, sizeof(now));
    now.census = heap_verify();
    now.largest = heap_largest_piece();
    now.top = test_heap.ctx->top;
    now.modules = modules();
    return now;
}

static inline void expect_state(const struct heap_state* before)
{
    const struct heap_state now = state_now();
    assert_memory_equal(&now.census, &before->census, sizeof(now.census));
    assert_int_equal(now.largest, before->largest);
    assert_int_equal(now.top, before->top);
    assert_int_equal(now.modules, before->modules);
}

/* Name of the module that a live block belongs to; "" for nobody. */
static inline const char* heap_owner_name(const void* ptr)
{
    const dmheap_word owner = block_owner(block_of(ptr));
    if (owner < OWNER_MODULES) {
        return "";
    }
    const struct record* record = record_of(test_heap.ctx, owner);
    assert_non_null(record);
    return record->name;
}

static inline size_t heap_capacity(const void* ptr)
{
    return (size_t)block_capacity(block_of(ptr));
}

/* Allocate until nothing is left, from large to small; how many blocks it took. */
static inline size_t heap_fill(const char* module_name)
{
    size_t blocks = 0;
    for (size_t size = 4 * KIB; size != 0; size /= 2) {
        while (dmheap_malloc(size, module_name) != NULL) {
            blocks++;
        }
    }
    while (dmheap_malloc(0, module_name) != NULL) {
        blocks++;
    }
    test_port_forget_lines();
    return blocks;
}

/* ---- at random, and the same again with the same seed ------------------------------ */

static uint32_t random_seed;
static uint32_t random_state;

/* That of the command line, else TEST_SEED of the environment, else a fresh one. */
static inline void random_choose(int argc, char** argv)
{
    const char* seed = argc > 1 ? argv[1] : getenv("TEST_SEED");
    random_seed = seed != NULL ? (uint32_t)strtoul(seed, NULL, 0) : (uint32_t)time(NULL);
}

/* In each case that throws dice, so that it is the same alone as behind others. */
static inline void random_start(uint32_t seed)
{
    printf("seed %u\n", (unsigned)seed);
    (void)fflush(stdout); /* a sanitizer may end the program without */
    random_state = seed * 2654435761U;
    random_state += random_state == 0;
}

static inline void random_begin(void)
{
    random_start(random_seed);
}

/* Marsaglia's xorshift. */
static inline uint32_t dice(uint32_t sides)
{
    assert_true(random_state != 0);
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return (random_state >> 4) % sides;
}

/* ---- memory and text -------------------------------------------------------------- */

static inline void fill(void* memory, size_t size, unsigned seed)
{
    unsigned char* bytes = memory;
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (unsigned char)(seed * 31U + (unsigned)i * 7U);
    }
}

static inline bool is_filled(const void* memory, size_t size, unsigned seed)
{
    const unsigned char* bytes = memory;
    size_t i = 0;
    while (i < size && bytes[i] == (unsigned char)(seed * 31U + (unsigned)i * 7U)) {
        i++;
    }
    return i == size;
}

/*
 * What an overrun of the block in front makes of a header: a size that leads nowhere. Once more, and
 * it is as it was.
 */
static inline void heap_overrun(struct dmheap_block* block)
{
    block->header ^= BLOCK_SIZE_MASK & ~(BLOCK_SIZE_MASK >> 1);
}

static inline bool is_aligned(const void* ptr, size_t alignment)
{
    return ((uintptr_t)ptr & (alignment - 1)) == 0;
}

/* A name of `length` characters whose last one is `last`. */
static inline const char* long_name(size_t length, char last)
{
    static char text[8][128];
    static unsigned turn;
    char* name = text[turn++ % 8];
    assert_true(length >= 1 && length < sizeof(text[0]));
    memset(name, 'n', length);
    name[length - 1] = last;
    name[length] = '\0';
    return name;
}

static inline const char* numbered_name(unsigned number)
{
    static char text[32];
    (void)snprintf(text, sizeof(text), "module#%u", number);
    return text;
}

/*
 * A name of up to 15 characters, at a place of its own whose hint is that of this number: what is
 * found by it does not hang on where the program is.
 */
static inline const char* hinted_name(size_t hint, const char* text)
{
    static char places[384][16];
    static unsigned taken;
    char* place;
    do {
        assert_true(taken < sizeof(places) / sizeof(places[0]));
        place = places[taken++];
    } while ((size_t)(record_hint(test_heap.ctx, place) - test_heap.ctx->hint) != hint);
    assert_true(strlen(text) < sizeof(places[0]));
    return strcpy(place, text);
}

/* What counts refused requests is the one thing that they change. */
static inline void forget_failures(struct dmheap_holding* holding)
{
    holding->failures = 0;
    holding->largest_failure = 0;
    holding->last_failure = 0;
}

static inline void heap_forget_failures(struct dmheap_ctx* ctx)
{
    struct dmheap_totals* totals = ctx_totals(ctx);
    struct check check;
    (void)check_heap(&check, ctx, 0); /* it finds which ids were ever given */
    memset(totals->failures, 0, sizeof(totals->failures));
    forget_failures(&totals->nobody);
    for (image_word id = OWNER_MODULES; id < RECORD_ID_END; id++) {
        const image_word record = image_record_of(&check.image, id);
        if (record != 0) {
            forget_failures(record_holding(ctx, ctx_at(ctx, (dmheap_word)record)));
        }
    }
}

/* The heap's buffer as it is now, to compare with later. */
static unsigned char* snapshot;

static inline void snapshot_take(void)
{
    if (DMHEAP_ACCOUNTING) {
        heap_forget_failures(test_heap.ctx);
    }
    free(snapshot);
    snapshot = malloc(test_heap.size);
    assert_non_null(snapshot);
    memcpy(snapshot, test_heap.buffer, test_heap.size);
}

static inline bool snapshot_is_same(void)
{
    if (DMHEAP_ACCOUNTING) {
        heap_forget_failures(test_heap.ctx);
    }
    return memcmp(snapshot, test_heap.buffer, test_heap.size) == 0;
}

/* ---- set-up and tear-down of a case ------------------------------------------------ */

static inline int heap_case_begin(void** state)
{
    (void)state;
    (void)test_port_reset();
    return 0;
}

/* The library may keep the former heap; the next case begins with an init of its own. */
static inline int heap_case_end(void** state)
{
    (void)state;
    arenas_release();
    free(snapshot);
    snapshot = NULL;
    return test_port_reset() ? 0 : -1;
}

#define heap_case(function) \
    cmocka_unit_test_setup_teardown(function, heap_case_begin, heap_case_end)

/* A case about what not every setting or target has: elsewhere it is left out of the list. */
#define case_if(condition, function, begin, end)                                                 \
    {                                                                                            \
        .name = #function, .test_func = (condition) ? (function) : NULL,                         \
        .setup_func = (condition) ? (begin) : NULL, .teardown_func = (condition) ? (end) : NULL, \
    }

#define heap_case_if(condition, function) \
    case_if(condition, function, heap_case_begin, heap_case_end)

#endif
