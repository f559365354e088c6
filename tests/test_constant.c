/* SPDX-License-Identifier: MIT */
/*
 * "Constant" as a count: pages of the heap that one lock hold touches.
 *
 * Blocks lie one to a page, and between two holds all pages are made inaccessible. Each first
 * touch of a page then raises a signal, which counts it and opens the page. A call that walked
 * over blocks, or over the live map, would touch as many pages as there are - so the
 * count is exact about the one thing that must not grow. (Instructions are counted elsewhere.)
 */
#define _DEFAULT_SOURCE
#include "heap_test.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE       ((size_t)4096)
#define HEAP_BYTES (16 * MIB)
#define BLOCKS_MAX 3900U
#define BLOCK_SIZE (PAGE - WORD)

/* What a hold may touch: the context, a block or two with both neighbours, list links. */
#define PAGES_MAX 16U

/* A slice of an unregister: the blocks passed, or fewer freed, each on a page of its own. */
#define PAGES_OF_SLICE_MAX ((unsigned)(HEAP_SWEEP_BUDGET + HEAP_SWEEP_BUDGET / HEAP_SWEEP_RUN * 6))

static unsigned char* area;
static void* block[BLOCKS_MAX];

static struct {
    volatile sig_atomic_t touched; /* pages, since they were closed */
    unsigned most;                 /* in one hold */
} pages;

static void close_pages(void)
{
    pages.touched = 0;
    assert_int_equal(mprotect(area, HEAP_BYTES, PROT_NONE), 0);
}

static void open_pages(void)
{
    assert_int_equal(mprotect(area, HEAP_BYTES, PROT_READ | PROT_WRITE), 0);
}

static void on_fault(int number, siginfo_t* info, void* context)
{
    (void)number;
    (void)context;
    const uintptr_t at = (uintptr_t)info->si_addr;
    const uintptr_t start = (uintptr_t)area;
    if (at < start || at >= start + HEAP_BYTES) {
        abort();
    }
    if (test_port_is_held()) {
        pages.touched++;
    }
    if (mprotect((void*)(at & ~(uintptr_t)(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE) != 0) {
        abort();
    }
}

/* The end of a hold: the next one starts with all pages closed again. */
static void end_of_hold(void* context)
{
    (void)context;
    if ((unsigned)pages.touched > pages.most) {
        pages.most = (unsigned)pages.touched;
    }
    close_pages();
}

/* The test framework catches these signals as well, so they are ours only while we watch. */
static struct sigaction former[2];

static void watch_begin(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    assert_int_equal(sigaction(SIGSEGV, &action, &former[0]), 0);
    assert_int_equal(sigaction(SIGBUS, &action, &former[1]), 0);
    pages.most = 0;
    close_pages();
    test_port_on_unlock(end_of_hold, NULL);
}

/* Pages that the greediest hold since watch_begin touched. */
static unsigned watch_end(void)
{
    test_port_on_unlock(NULL, NULL);
    open_pages();
    assert_int_equal(sigaction(SIGSEGV, &former[0], NULL), 0);
    assert_int_equal(sigaction(SIGBUS, &former[1], NULL), 0);
    test_port_forget_lines();
    return pages.most;
}

/* A heap with `blocks` blocks of a page each, every `hole`-th of them free, if not 0. */
static void open_heap(unsigned blocks, unsigned hole)
{
    assert_true(heap_start(area, HEAP_BYTES, 8));
    for (unsigned i = 0; i < blocks; i++) {
        block[i] = dmheap_malloc(BLOCK_SIZE, i % 3 == 0 ? "app" : NULL);
        assert_non_null(block[i]);
    }
    for (unsigned i = 0; hole != 0 && i < blocks; i += hole) {
        dmheap_free(block[i], true);
        block[i] = NULL;
    }
    test_port_forget_lines();
}

static unsigned pages_of_free(unsigned blocks)
{
    open_heap(blocks, 3);
    watch_begin();
    for (unsigned i = 0; i < blocks; i += 1 + blocks / 200) {
        dmheap_free(block[i], true);
        dmheap_free(block[i], false);
    }
    return watch_end();
}

static unsigned pages_of_malloc(unsigned blocks)
{
    static const size_t sizes[] = {0, 100, BLOCK_SIZE - 200, BLOCK_SIZE, BLOCK_SIZE + 1, 100000};
    open_heap(blocks, 2);
    watch_begin();
    for (unsigned i = 0; i < 200; i++) {
        (void)dmheap_malloc(sizes[i % COUNT_OF(sizes)], i % 2 != 0 ? "app" : "new");
    }
    (void)dmheap_malloc(HEAP_BYTES, NULL);
    return watch_end();
}

static unsigned pages_of_aligned_alloc(unsigned blocks)
{
    open_heap(blocks, 2);
    watch_begin();
    for (unsigned i = 0; i < 200; i++) {
        (void)dmheap_aligned_alloc((size_t)16 << i % 10, 64U << i % 7, "app");
    }
    return watch_end();
}

/* Each block is to double; the copy lies between the holds and is not counted. */
static unsigned pages_of_realloc(unsigned blocks)
{
    open_heap(blocks, 4);
    watch_begin();
    for (unsigned i = 1; i < blocks; i += 1 + blocks / 100) {
        if (block[i] != NULL) {
            (void)dmheap_realloc(block[i], i % 2 != 0 ? 10 : 2 * PAGE, NULL);
            end_of_hold(NULL);
        }
    }
    return watch_end();
}

static unsigned pages_of_the_rest(unsigned blocks)
{
    open_heap(blocks, 2);
    watch_begin();
    for (unsigned i = 0; i < 50; i++) {
        (void)dmheap_register_module("sensor");
        dmheap_concatenate_free_blocks();
        (void)dmheap_is_initialized();
        dmheap_unregister_module("sensor");
        dmheap_unregister_module("unknown");
    }
    return watch_end();
}

static unsigned pages_of_unregister(unsigned blocks)
{
    open_heap(blocks, 0);
    watch_begin();
    dmheap_unregister_module("app");
    return watch_end();
}

static void expect_bounded(unsigned (*pages_of)(unsigned blocks), unsigned most)
{
    static const unsigned counts[] = {30, 300, BLOCKS_MAX};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        const unsigned touched = pages_of(counts[i]);
        if (touched > most) {
            print_error("%u blocks: %u pages in one hold\n", counts[i], touched);
        }
        assert_in_range(touched, 1, most);
    }
}

/* The live map of 16 MiB is 64 pages; what an init does inside the lock touches none of them. */
static unsigned pages_of_init(unsigned blocks)
{
    (void)blocks;
    watch_begin();
    assert_true(dmheap_init(area, HEAP_BYTES, 8));
    return watch_end() + 1;
}

static void init_clears_the_map_outside_the_lock(void** state)
{
    (void)state;
    expect_bounded(pages_of_init, 2);
}

static void free_is_constant(void** state)
{
    (void)state;
    expect_bounded(pages_of_free, PAGES_MAX);
}

static void malloc_is_constant(void** state)
{
    (void)state;
    expect_bounded(pages_of_malloc, PAGES_MAX);
}

static void aligned_alloc_is_constant(void** state)
{
    (void)state;
    expect_bounded(pages_of_aligned_alloc, PAGES_MAX);
}

static void realloc_is_constant(void** state)
{
    (void)state;
    expect_bounded(pages_of_realloc, PAGES_MAX);
}

static void the_rest_is_constant(void** state)
{
    (void)state;
    expect_bounded(pages_of_the_rest, PAGES_MAX);
}

static void a_slice_of_unregister_is_constant(void** state)
{
    (void)state;
    expect_bounded(pages_of_unregister, PAGES_OF_SLICE_MAX);
}

static int constant_begin(void** state)
{
    void* mapped =
        mmap(NULL, HEAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED || sysconf(_SC_PAGESIZE) != (long)PAGE) {
        return -1;
    }
    area = mapped;
    return heap_case_begin(state);
}

static int constant_end(void** state)
{
    (void)munmap(area, HEAP_BYTES);
    return heap_case_end(state);
}

#define constant_case(function) \
    cmocka_unit_test_setup_teardown(function, constant_begin, constant_end)

int main(void)
{
    const struct CMUnitTest cases[] = {
        constant_case(init_clears_the_map_outside_the_lock),
        constant_case(free_is_constant),
        constant_case(malloc_is_constant),
        constant_case(aligned_alloc_is_constant),
        constant_case(realloc_is_constant),
        constant_case(the_rest_is_constant),
        constant_case(a_slice_of_unregister_is_constant),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
