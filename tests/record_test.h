/* SPDX-License-Identifier: MIT */
/*
 * What the tests of records and of modules share: modules by the dozen, heaps with so many bytes
 * left, and the comparison of before and after.
 */
#ifndef DMHEAP_RECORD_TEST_H
#define DMHEAP_RECORD_TEST_H

#include "heap_test.h"

#define GRANULE     ((dmheap_word)DMHEAP_GRANULE_MIN)
#define FIRST_GROUP record_group_size(0) /* modules that fit in group 0 */

static inline void open_heap(size_t size)
{
    heap_open(size, DMHEAP_GRANULE_MIN);
}

static inline struct record* create(const char* name)
{
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    struct record* record = record_create(test_heap.ctx, name, &verdict);
    assert_non_null(record);
    assert_int_equal(verdict, VERDICT_NO_MEMORY);
    return record;
}

static inline void create_many(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        (void)create(numbered_name(i));
    }
}

/* Leave `bytes` of the untouched end. */
static inline void leave(dmheap_word bytes)
{
    const dmheap_word all = test_heap.ctx->end - test_heap.ctx->top;
    test_heap.has_uncharged = true;
    assert_non_null(
        heap_take_top(test_heap.ctx, (uintptr_t)(all - bytes), 1, block_tags(OWNER_NOBODY)));
}

/* What a case tries to do in a heap that is nearly full; NULL if it failed. */
typedef const void* (*attempt)(enum dmheap_verdict* verdict);

static inline const void* attempt_create(enum dmheap_verdict* verdict)
{
    return record_create(test_heap.ctx, "newcomer", verdict);
}

/* How many allocations `act` makes when it succeeds, beside `known` modules. */
static inline size_t blocks_of(attempt act, unsigned known)
{
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    open_heap(16 * KIB);
    create_many(known);
    const size_t before = heap_verify().live_blocks;
    assert_non_null(act(&verdict));
    const size_t blocks = heap_verify().live_blocks - before;
    arenas_release();
    return blocks;
}

/* With any number of bytes left it either works, or all is as before. */
static inline void expect_all_or_nothing(attempt act, unsigned known,
                                         void (*forget)(const char* name))
{
    bool worked = false;
    bool failed = false;
    for (dmheap_word bytes = 0; !worked; bytes += GRANULE) {
        enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
        open_heap(16 * KIB);
        create_many(known);
        leave(bytes);
        const struct heap_state before = state_now();
        worked = act(&verdict) != NULL;
        if (worked) {
            forget("newcomer");
        } else {
            assert_true(account_is_reason(verdict));
            assert_null(record_find(test_heap.ctx, "newcomer"));
            failed = true;
        }
        expect_state(&before);
        arenas_release();
        assert_true(bytes < 4 * KIB);
    }
    assert_true(failed);
}

#endif
