/* SPDX-License-Identifier: MIT */
/*
 * What stands behind a payload: the numbers of DMHEAP_SEQUENCE, with what dmheap_ctx.h says of
 * marks, and the canaries of DMHEAP_CANARY; and what DMHEAP_POISON leaves of freed memory. A case
 * whose setting is off is left out.
 *
 *     test_trailer           all cases, the random ones from a fresh seed
 *     test_trailer SEED      all cases, the random ones from that seed
 */
#include "heap_test.h"

/* ---- numbers ---------------------------------------------------------------------------- */

/* A block, as the walk tells of it. */
struct lookup {
    const void* ptr;
    struct dmheap_block_info info;
    bool is_found;
};

static bool look_up(const struct dmheap_block_info* info, void* context)
{
    struct lookup* lookup = context;
    if (info->ptr == lookup->ptr) {
        lookup->info = *info;
        lookup->is_found = true;
    }
    return !lookup->is_found;
}

static uint32_t number_of(const void* ptr)
{
    struct lookup lookup;
    memset(&lookup, 0, sizeof(lookup));
    lookup.ptr = ptr;
    (void)dmheap_ctx_walk(NULL, look_up, &lookup);
    assert_true(lookup.is_found);
    return lookup.info.sequence;
}

static bool expect_no_number(const struct dmheap_block_info* info, void* context)
{
    (void)context;
    assert_int_equal(info->sequence, 0);
    return true;
}

static void without_the_setting_numbers_are_0(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_non_null(dmheap_malloc(10, "app"));
    assert_true(dmheap_ctx_walk(NULL, expect_no_number, NULL));
}

static void each_block_has_a_higher_number_than_those_before(void** state)
{
    (void)state;
    struct dmheap_module module;
    heap_open(8 * KIB, 8);
    uint32_t last = 0;
    for (unsigned i = 0; i < 50; i++) {
        assert_true(dmheap_ctx_open_module(NULL, "app", &module));
        void* ptr = i % 5 == 0   ? dmheap_malloc(10, NULL)
                    : i % 5 == 1 ? dmheap_malloc(20, "app")
                    : i % 5 == 2 ? dmheap_aligned_alloc(64, 30, "web")
                    : i % 5 == 3 ? dmheap_ctx_calloc(NULL, 2, 10, NULL)
                                 : dmheap_ctx_malloc_for(NULL, 10, module);
        const uint32_t number = number_of(ptr);
        assert_true(number > last);
        last = number;
        dmheap_free(i % 3 == 0 ? ptr : NULL, true); /* some places serve again */
    }
}

static bool expect_numbers_of_what_lives(const struct dmheap_block_info* info, void* context)
{
    (void)context;
    assert_true((info->sequence == 0) == (info->kind == DMHEAP_BLOCK_FREE));
    return true;
}

static void free_memory_has_no_number(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    void* hole = dmheap_malloc(100, NULL);
    assert_non_null(dmheap_malloc(10, "app"));
    dmheap_free(hole, true);
    assert_true(dmheap_ctx_walk(NULL, expect_numbers_of_what_lives, NULL));
}

static void a_block_keeps_its_number(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    void* ptr = dmheap_malloc(100, "app");
    const uint32_t number = number_of(ptr);
    void* wall = dmheap_malloc(1, NULL);
    assert_ptr_equal(dmheap_realloc(ptr, 50, NULL), ptr);
    assert_int_equal(number_of(ptr), number);
    assert_ptr_equal(dmheap_realloc(ptr, 90, NULL), ptr);
    assert_int_equal(number_of(ptr), number);
    void* moved = dmheap_realloc(ptr, 1000, NULL);
    assert_ptr_not_equal(moved, ptr);
    assert_int_equal(number_of(moved), number);
    ptr = dmheap_ctx_aligned_realloc(NULL, moved, 256, 1000, NULL);
    assert_int_equal(number_of(ptr), number);
    assert_ptr_equal(dmheap_realloc(ptr, 2000, NULL), ptr); /* into the untouched end */
    assert_int_equal(number_of(ptr), number);
    assert_null(dmheap_realloc(ptr, 100 * KIB, NULL));
    expect_error();
    assert_int_equal(number_of(ptr), number);
    assert_true(dmheap_ctx_retag(NULL, ptr, "web"));
    assert_int_equal(number_of(ptr), number);
    assert_true(dmheap_ctx_rename_module(NULL, "web", "net"));
    assert_int_equal(number_of(ptr), number);
    assert_true(number_of(wall) > number);
}

/* Whatever is written to what a client may use. */
static void a_number_stands_behind_what_a_client_may_use(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    for (size_t size = 0; size < 100; size++) {
        void* ptr = size % 2 == 0 ? dmheap_malloc(size, NULL) : dmheap_aligned_alloc(64, size, "a");
        const uint32_t number = number_of(ptr);
        const size_t usable = dmheap_ctx_usable_size(NULL, ptr);
        assert_true(usable >= size);
        memset(ptr, (int)size, usable);
        assert_int_equal(number_of(ptr), number);
        dmheap_free(ptr, true);
        (void)heap_verify();
    }
    expect_silence();
}

#define SLOTS 60

static void numbers_last_as_long_as_their_blocks(void** state)
{
    (void)state;
    struct {
        void* ptr;
        uint32_t number;
    } slot[SLOTS];
    memset(slot, 0, sizeof(slot));
    random_begin();
    heap_open(16 * KIB, 8);
    for (unsigned step = 0; step < 3000; step++) {
        const unsigned i = dice(SLOTS);
        if (slot[i].ptr == NULL) {
            slot[i].ptr = dice(3) == 0 ? dmheap_aligned_alloc(64, dice(200), "app")
                                       : dmheap_malloc(dice(400), dice(2) == 0 ? NULL : "web");
            slot[i].number = slot[i].ptr != NULL ? number_of(slot[i].ptr) : 0;
        } else if (dice(2) == 0) {
            void* moved = dmheap_realloc(slot[i].ptr, dice(600), NULL);
            slot[i].ptr = moved != NULL ? moved : slot[i].ptr;
        } else {
            dmheap_free(slot[i].ptr, true);
            slot[i].ptr = NULL;
        }
        test_port_forget_lines();
        for (unsigned k = step % 4; k < SLOTS; k += 4) {
            assert_true(slot[k].ptr == NULL || number_of(slot[k].ptr) == slot[k].number);
        }
    }
    (void)heap_verify();
}

/* Ages up to 2^32, wherever the numbers begin again. */
static void what_is_since_a_mark_is_told_across_the_end_of_the_numbers(void** state)
{
    (void)state;
    for (uint32_t now = UINT32_MAX - 5; now != 5; now++) {
        const uint32_t mark = now - 3;
        assert_true(trailer_is_since(now, mark, now));
        assert_true(trailer_is_since(now - 2, mark, now));
        assert_false(trailer_is_since(mark, mark, now));
        assert_false(trailer_is_since(now - 4, mark, now));
        assert_false(trailer_is_since(now + 5, mark, now)); /* the oldest ones */
        assert_false(trailer_is_since(now + 1, mark, now));
        assert_false(trailer_is_since(now, now, now));
        assert_true(trailer_is_since(now, now + 1, now)); /* a mark may be as old */
    }
}

/* ---- marks ------------------------------------------------------------------------------ */

#if DMHEAP_SEQUENCE
struct visits {
    const void* ptr[100];
    unsigned count;
    unsigned most; /* then the visitor ends the walk */
};

static bool note_visit(const struct dmheap_block_info* info, void* context)
{
    struct visits* visits = context;
    assert_true(visits->count < COUNT_OF(visits->ptr));
    assert_int_equal(info->kind, DMHEAP_BLOCK_LIVE);
    visits->ptr[visits->count++] = info->ptr;
    return visits->count != visits->most;
}

static void a_mark_tells_new_blocks_from_old_ones(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    void* old = dmheap_malloc(10, "app");
    const uint32_t mark = dmheap_ctx_mark();
    struct visits none = {{NULL}, 0, 0};
    assert_true(dmheap_ctx_walk_since(NULL, mark, note_visit, &none));
    assert_int_equal(none.count, 0);
    void* fresh = dmheap_malloc(20, "app");
    void* gone = dmheap_malloc(20, "app");
    void* other = dmheap_malloc(30, "new"); /* makes blocks of the heap's own, too */
    void* nobodys = dmheap_malloc(40, NULL);
    dmheap_free(gone, true);
    assert_ptr_equal(dmheap_realloc(old, 12, NULL), old);
    struct visits visits = {{NULL}, 0, 0};
    assert_true(dmheap_ctx_walk_since(NULL, mark, note_visit, &visits));
    assert_int_equal(visits.count, 3);
    assert_ptr_equal(visits.ptr[0], fresh);
    assert_true((visits.ptr[1] == other) != (visits.ptr[1] == nobodys));
    assert_true((visits.ptr[2] == other) != (visits.ptr[2] == nobodys));
    struct visits all = {{NULL}, 0, 0};
    assert_true(dmheap_ctx_walk_since(NULL, 0, note_visit, &all));
    assert_int_equal(all.count, 4);
    struct visits first = {{NULL}, 0, 1};
    assert_false(dmheap_ctx_walk_since(NULL, mark, note_visit, &first));
    assert_int_equal(first.count, 1);
    expect_silence();
}

static bool allocate_more(const struct dmheap_block_info* info, void* context)
{
    (void)info;
    ++*(unsigned*)context;
    return dmheap_malloc(10, "app") != NULL;
}

static void what_is_allocated_during_the_walk_is_not_visited(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    const uint32_t mark = dmheap_ctx_mark();
    unsigned count = 0;
    for (unsigned i = 0; i < 5; i++) {
        assert_non_null(dmheap_malloc(100, "app"));
    }
    assert_true(dmheap_ctx_walk_since(NULL, mark, allocate_more, &count));
    assert_int_equal(count, 5);
}

static void each_modules_share_since_a_mark_is_told(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    assert_non_null(dmheap_malloc(500, "app"));
    const uint32_t mark = dmheap_ctx_mark();
    void* ptr[3] = {dmheap_malloc(100, "app"), dmheap_malloc(200, "app"), dmheap_malloc(300, NULL)};
    struct dmheap_module_stats stats = {1, 1};
    assert_true(dmheap_ctx_get_module_stats_since(NULL, mark, "app", &stats));
    assert_int_equal(stats.blocks, 2);
    assert_int_equal(stats.bytes, block_size(block_of(ptr[0])) + block_size(block_of(ptr[1])));
    assert_true(dmheap_ctx_get_module_stats_since(NULL, mark, NULL, &stats));
    assert_int_equal(stats.blocks, 1);
    assert_int_equal(stats.bytes, block_size(block_of(ptr[2])));
    assert_true(dmheap_ctx_get_module_stats_since(NULL, mark, "web", &stats));
    assert_int_equal(stats.bytes + stats.blocks, 0);
    assert_true(dmheap_ctx_retag(NULL, ptr[1], "web"));
    assert_true(dmheap_ctx_get_module_stats_since(NULL, mark, "web", &stats));
    assert_int_equal(stats.blocks, 1);
    assert_true(dmheap_ctx_get_module_stats_since(NULL, mark, "app", &stats));
    assert_int_equal(stats.blocks, 1);
    expect_silence();
}

static void a_mark_is_good_for_all_heaps(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    struct dmheap_ctx* ctx = dmheap_ctx_init(arena_make(4 * KIB, 0), 4 * KIB, 8);
    assert_true(dmheap_ctx_add_default(ctx));
    expect_info();
    assert_non_null(dmheap_malloc(100, "app"));
    assert_non_null(dmheap_ctx_malloc(ctx, 100, "app"));
    const uint32_t mark = dmheap_ctx_mark();
    void* here = dmheap_malloc(100, "app");
    void* there = dmheap_ctx_malloc(ctx, 100, "app");
    struct visits visits = {{NULL}, 0, 0};
    assert_true(dmheap_ctx_walk_since(NULL, mark, note_visit, &visits));
    assert_int_equal(visits.count, 2);
    assert_ptr_equal(visits.ptr[0], here);
    assert_ptr_equal(visits.ptr[1], there);
    struct dmheap_module_stats stats;
    assert_true(dmheap_ctx_get_module_stats_since(ctx, mark, "app", &stats));
    assert_int_equal(stats.blocks, 1);
    assert_true(dmheap_ctx_deinit(ctx));
}

static void without_a_heap_nothing_is_since_a_mark(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    assert_true(dmheap_ctx_deinit(NULL));
    struct visits visits = {{NULL}, 0, 0};
    struct dmheap_module_stats stats = {1, 1};
    const uint32_t mark = dmheap_ctx_mark();
    assert_false(dmheap_ctx_walk_since(NULL, mark, note_visit, &visits));
    expect_error();
    assert_false(dmheap_ctx_get_module_stats_since(NULL, mark, "app", &stats));
    expect_error();
    assert_int_equal(stats.bytes + stats.blocks, 0);
    assert_int_equal(visits.count, 0);
}
#endif

/* ---- canaries --------------------------------------------------------------------------- */

/* Free and realloc of that block change nothing and log one line each. */
static void expect_refused(void* ptr)
{
    snapshot_take();
    dmheap_free(ptr, true);
    expect_error();
    assert_null(dmheap_realloc(ptr, 1, NULL));
    expect_error();
    assert_null(dmheap_realloc(ptr, 1000, NULL));
    expect_error();
    assert_null(dmheap_ctx_aligned_realloc(NULL, ptr, 256, 1, NULL));
    expect_error();
    assert_true(snapshot_is_same());
}

/* Are the last of so many canaries and one before it the same? */
static bool is_repeated(const uint32_t* canary, uint32_t count)
{
    bool is_same = false;
    for (uint32_t other = 0; other + 1 < count; other++) {
        is_same = is_same || canary[other] == canary[count - 1];
    }
    return is_same;
}

static void a_canary_tells_owners_alignments_and_heaps_apart(void** state)
{
    (void)state;
    static uint32_t canary[OWNER_COUNT];
    for (uint32_t owner = 0; owner < OWNER_COUNT; owner++) {
        canary[owner] = trailer_mix(400, 64, 7, owner, 0);
        assert_false(is_repeated(canary, owner + 1));
    }
    for (uint32_t alignment = 0; alignment < 256; alignment++) {
        canary[alignment] = trailer_mix(400, 64, 7, OWNER_NOBODY, alignment);
        assert_false(is_repeated(canary, alignment + 1));
    }
    for (uint32_t heap = 0; heap < 128; heap++) {
        canary[heap] = trailer_mix(400, 64, 2 * heap + 1, OWNER_NOBODY, 0);
        assert_false(is_repeated(canary, heap + 1));
    }
}

/* The owner has a place of its own in a canary, and P changes while a block lives. */
static void what_is_folded_is_the_header_but_owner_and_p(void** state)
{
    (void)state;
    const uint64_t header = 0x48;
    const uint32_t folded = trailer_fold(header, BLOCK_OWNER_SHIFT);
    for (unsigned bit = 0; bit < DMHEAP_HEADER_BYTES * 8; bit++) {
        const bool is_apart = bit >= BLOCK_OWNER_SHIFT || (uint64_t)1 << bit == BLOCK_PREV_FREE;
        const uint32_t flipped = trailer_fold(header ^ (uint64_t)1 << bit, BLOCK_OWNER_SHIFT);
        assert_int_equal(flipped == folded, is_apart);
    }
}

/* The first byte behind what a client may use, whatever is written there, and the next three. */
static void an_overrun_by_any_byte_is_refused(void** state)
{
    (void)state;
    static const size_t alignments[] = {8, 64, 512};
    heap_open(4 * KIB, 8);
    for (unsigned i = 0; i < 30; i++) {
        const char* name = i % 2 == 0 ? NULL : "app";
        unsigned char* ptr = dmheap_aligned_alloc(alignments[i % 3], i, name);
        void* wall = i % 4 == 0 ? dmheap_malloc(1, name) : NULL;
        const size_t usable = dmheap_ctx_usable_size(NULL, ptr);
        for (size_t at = usable; at < usable + 4; at++) {
            const unsigned char right = ptr[at];
            for (unsigned value = 0; value < 256; value += i % 8 == 0 ? 1 : 51) {
                ptr[at] = (unsigned char)value;
                if (value != right) {
                    expect_refused(ptr);
                }
                ptr[at] = right;
            }
        }
        dmheap_free(ptr, true);
        dmheap_free(wall, true);
        expect_silence();
        (void)heap_verify();
    }
}

/* A text without room for its end. */
static void the_end_of_a_text_always_shows(void** state)
{
    (void)state;
    for (unsigned heap = 0; heap < 20; heap++) {
        heap_open(8 * KIB, 8);
        for (char* ptr = dmheap_malloc(9, NULL); ptr != NULL; ptr = dmheap_malloc(9, NULL)) {
            char* end = ptr + dmheap_ctx_usable_size(NULL, ptr);
            const char right = *end;
            assert_true(end[1] != '\0' && end[2] != '\0' && end[3] != '\0');
            *end = '\0';
            dmheap_free(ptr, true);
            expect_error();
            *end = right;
        }
        test_port_forget_lines();
        (void)heap_verify();
        arenas_release();
    }
}

/* With all that stands behind it, as a loop that runs too far in two arrays alike. */
static void a_canary_is_no_other_blocks(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    unsigned char* one = dmheap_malloc(40, "app");
    unsigned char* two = dmheap_malloc(40, "app");
    assert_int_equal(heap_capacity(one), heap_capacity(two));
    (void)dmheap_malloc(1, NULL);
    memcpy(two, one, heap_capacity(one) + BLOCK_TRAILER_BYTES);
    expect_refused(two);
    dmheap_free(one, true);
    expect_silence();
}

static void a_canary_is_no_other_heaps(void** state)
{
    (void)state;
    unsigned char* buffer = arena_make(4 * KIB, 0);
    unsigned char before[100 + BLOCK_TRAILER_BYTES];
    assert_true(heap_start(buffer, 4 * KIB, 8));
    unsigned char* ptr = dmheap_malloc(100, NULL);
    assert_true(heap_capacity(ptr) >= 100);
    memcpy(before, ptr + heap_capacity(ptr) - 100, sizeof(before));
    assert_true(heap_start(buffer, 4 * KIB, 8));
    assert_ptr_equal(dmheap_malloc(100, NULL), ptr);
    test_port_forget_lines();
    memcpy(ptr + heap_capacity(ptr) - 100, before, sizeof(before));
    expect_refused(ptr);
}

/* Every owner that a header can have, of which one is another module's. */
static void a_header_with_another_owner_is_refused(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(40, "app");
    void* other = dmheap_malloc(40, "other");
    struct dmheap_block* block = block_of(ptr);
    const dmheap_word right = block_owner(block);
    for (dmheap_word owner = 0; owner < OWNER_COUNT; owner++) {
        if (owner != right) {
            block_set_owner(block, owner);
            expect_refused(ptr);
            assert_false(dmheap_ctx_retag(NULL, ptr, "other"));
            expect_error();
        }
    }
    block_set_owner(block, block_owner(block_of(other)));
    dmheap_unregister_module("other");
    assert_true(test_port_lines() > 0);
    test_port_forget_lines();
    assert_true(live_is(test_heap.ctx, ptr));
    block_set_owner(block, right);
    dmheap_free(ptr, true);
    expect_silence();
}

static void a_block_that_changes_hands_keeps_a_right_canary(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_aligned_alloc(64, 40, "app");
    assert_true(dmheap_ctx_retag(NULL, ptr, "other"));
    (void)heap_verify();
    assert_true(dmheap_ctx_retag(NULL, ptr, NULL));
    (void)heap_verify();
    ptr[dmheap_ctx_usable_size(NULL, ptr)] ^= 1;
    assert_false(dmheap_ctx_retag(NULL, ptr, "app"));
    expect_error();
    ptr[dmheap_ctx_usable_size(NULL, ptr)] ^= 1;
    (void)heap_verify();
}

/* All but the one that tells of what is in front; whatever stands in the last byte, 0 too. */
static void a_header_with_any_bit_flipped_is_refused(void** state)
{
    (void)state;
    static const size_t alignments[] = {1, 64};
    static const unsigned char fills[] = {0, 3, 6, 0xFF};
    for (unsigned i = 0; i < 2 * COUNT_OF(alignments) * COUNT_OF(fills); i++) {
        heap_open(8 * KIB, i % 2 == 0 ? 8 : 16);
        unsigned char* ptr = dmheap_aligned_alloc(alignments[i / 2 % 2], 40, "app");
        (void)dmheap_malloc(40, "other");
        memset(ptr, fills[i / 4], dmheap_ctx_usable_size(NULL, ptr));
        struct dmheap_block* block = block_of(ptr);
        const dmheap_word right = block->header;
        for (unsigned bit = 1; bit < DMHEAP_HEADER_BYTES * 8; bit++) {
            block->header = right ^ (dmheap_word)1 << bit;
            expect_refused(ptr);
            assert_false(dmheap_ctx_retag(NULL, ptr, "other"));
            expect_error();
            struct dmheap_finding finding;
            assert_false(dmheap_ctx_check(NULL, &finding));
            test_port_forget_lines();
        }
        block->header = right;
        (void)heap_verify();
        dmheap_free(ptr, true);
        expect_silence();
        arenas_release();
    }
}

/* What an attacker could write who knows how canaries are made, but not the key. */
static void canaries_begin_with_the_ports_random_number(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    const uint32_t begin = TEST_PORT_RANDOM & ~1U;
    assert_true((uint32_t)test_heap.ctx->serial - begin < 0x10000U);
    const struct dmheap_block* block = block_of(dmheap_malloc(40, "app"));
    const trailer_word* canary = trailer_end(block, block_size(block)) - 1 - DMHEAP_SEQUENCE;
    assert_int_not_equal(*canary, trailer_mix((uint32_t)ctx_offset(test_heap.ctx, block),
                                              trailer_fold(block->header, BLOCK_OWNER_SHIFT),
                                              (uint32_t)test_heap.ctx->serial - begin,
                                              (uint32_t)block_owner(block), 0));
}

/* From a source that has failed, too: each time the same, none or all ones. */
static void no_two_serials_are_alike_whatever_the_key(void** state)
{
    (void)state;
    static const uint32_t keys[] = {0, 1, 2, 0xFFFFFFFFU, 0xFFFFFFFEU, 0xFFFFFFFCU};
    const uint32_t last = ctx_last_serial;
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        uint32_t serials[4];
        ctx_last_serial = 0;
        ctx_has_key = false;
        for (size_t k = 0; k < COUNT_OF(serials); k++) {
            ctx_begin_serials(keys[i]);
            serials[k] = ctx_new_serial();
            assert_int_equal(serials[k] & 1, 1);
            for (size_t before = 0; before < k; before++) {
                assert_int_not_equal(serials[before], serials[k]);
            }
        }
    }
    ctx_last_serial = last;
    ctx_has_key = true;
}

static void a_resized_block_has_its_canary_behind_its_new_end(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    static const size_t sizes[] = {10, 90, 200, 30, 3000, 1, 7000};
    unsigned char* ptr = dmheap_malloc(50, "app");
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        void* behind = dmheap_malloc(100, NULL);
        dmheap_free(i % 2 == 0 ? behind : NULL, true);
        ptr = dmheap_realloc(ptr, sizes[i], NULL);
        assert_non_null(ptr);
        (void)heap_verify();
        memset(ptr, 0xFF, dmheap_ctx_usable_size(NULL, ptr));
        ptr[dmheap_ctx_usable_size(NULL, ptr)] ^= 1;
        expect_refused(ptr);
        ptr[dmheap_ctx_usable_size(NULL, ptr)] ^= 1;
    }
    dmheap_free(ptr, true);
    expect_silence();
}

/* Each of a few blocks in turn: at the end of a run, inside, alone, beside free memory. */
static void unregistration_leaves_what_was_overrun_alone(void** state)
{
    (void)state;
    enum { BLOCKS = 12 };
    for (unsigned victim = 0; victim < BLOCKS; victim++) {
        unsigned char* ptr[BLOCKS];
        heap_open(8 * KIB, 8);
        for (unsigned i = 0; i < BLOCKS; i++) {
            ptr[i] = i % 5 == 4 ? dmheap_aligned_alloc(128, 30, "app") : dmheap_malloc(50, "app");
            assert_true(i % 4 != 1 || dmheap_malloc(1, NULL) != NULL);
        }
        ptr[victim][dmheap_ctx_usable_size(NULL, ptr[victim])] ^= 0x40;
        test_port_forget_lines();
        dmheap_unregister_module("app");
        check_log(1, 0, 1, NULL, __FILE__, __LINE__);
        for (unsigned i = 0; i < BLOCKS; i++) {
            assert_int_equal(live_is(test_heap.ctx, ptr[i]), i == victim);
        }
        ptr[victim][heap_usable(test_heap.ctx, block_of(ptr[victim]))] ^= 0x40;
        (void)heap_verify();
        arenas_release();
    }
}

/* Beyond what the map shows: the size of a long block leads past others, to the end of one. */
static void a_size_that_leads_to_another_blocks_end_is_refused(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8);
    void* ptr = dmheap_malloc(4 * KIB, NULL);
    dmheap_word past = 0;
    for (unsigned i = 0; i < 40; i++) {
        const void* other = dmheap_malloc(2 * KIB, "app");
        past += other != NULL && i < 4 ? (dmheap_word)block_size(block_of(other)) : 0;
    }
    test_port_forget_lines();
    block_of(ptr)->header += past;
    expect_refused(ptr);
    block_of(ptr)->header -= past;
    dmheap_free(ptr, true);
    expect_silence();
}

/* ---- poison ----------------------------------------------------------------------------- */

static bool is_poisoned(const void* from, size_t size)
{
    const unsigned char* bytes = from;
    while (size != 0 && *bytes == MODULE_POISON) {
        bytes++;
        size--;
    }
    return size == 0;
}

/* What a free block's links and its footer leave of a payload of that many bytes. */
static bool is_poisoned_but_for_tags(const unsigned char* ptr, size_t size)
{
    return size <= 3 * WORD || is_poisoned(ptr + 2 * WORD, size - 3 * WORD);
}

/* Beside a live one, merged with free memory on either side, and at the untouched end. */
static void freed_memory_is_filled(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    for (unsigned i = 0; i < 200; i++) {
        void* front = dmheap_malloc(40, NULL);
        unsigned char* ptr = i % 3 == 0 ? dmheap_aligned_alloc(64, i, "app")
                                        : dmheap_malloc(i, i % 2 == 0 ? NULL : "app");
        void* behind = i % 4 != 0 ? dmheap_malloc(40, NULL) : NULL;
        const size_t usable = dmheap_ctx_usable_size(NULL, ptr);
        fill(ptr, usable, i);
        dmheap_free(i % 5 == 0 ? front : NULL, true);
        dmheap_free(i % 2 == 0 ? behind : NULL, true);
        dmheap_free(ptr, true);
        assert_true(is_poisoned_but_for_tags(ptr, usable));
        (void)heap_verify();
        dmheap_free(i % 5 == 0 ? NULL : front, true);
        dmheap_free(i % 2 == 0 ? NULL : behind, true);
    }
    expect_silence();
}

static void what_a_module_had_is_filled(void** state)
{
    (void)state;
    enum { BLOCKS = 300 };
    static unsigned char* ptr[BLOCKS];
    static size_t usable[BLOCKS];
    heap_open(64 * KIB, 8);
    for (unsigned i = 0; i < BLOCKS; i++) {
        const char* name = i % 4 == 3 ? "web" : "app";
        ptr[i] = i % 9 == 0 ? dmheap_aligned_alloc(64, 30, name) : dmheap_malloc(i, name);
        usable[i] = dmheap_ctx_usable_size(NULL, ptr[i]);
        fill(ptr[i], usable[i], i);
    }
    dmheap_unregister_module("app");
    expect_info();
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_true(i % 4 == 3 ? is_filled(ptr[i], usable[i], i)
                               : is_poisoned_but_for_tags(ptr[i], usable[i]));
    }
    (void)heap_verify();
}

static void the_place_that_a_block_moves_from_is_filled(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    for (unsigned i = 0; i < 20; i++) {
        unsigned char* ptr =
            i % 2 == 0 ? dmheap_malloc(100 + i, "app") : dmheap_aligned_alloc(64, 100 + i, "app");
        void* wall = dmheap_malloc(10, NULL);
        fill(ptr, 100, i);
        unsigned char* moved = dmheap_ctx_aligned_realloc(NULL, ptr, 256, 1000, NULL);
        assert_ptr_not_equal(moved, ptr);
        assert_true(is_filled(moved, 100, i));
        assert_true(is_poisoned_but_for_tags(ptr, 100));
        expect_silence();
        (void)heap_verify();
        dmheap_free(moved, true);
        dmheap_free(wall, true);
    }
}

/* Even if the new place is the smaller one. */
static void the_place_that_a_shrinking_block_moves_from_is_filled(void** state)
{
    (void)state;
    heap_open(16 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(1000, "app");
    const size_t usable = dmheap_ctx_usable_size(NULL, ptr);
    (void)dmheap_malloc(10, NULL);
    fill(ptr, usable, 1);
    unsigned char* moved = dmheap_ctx_aligned_realloc(NULL, ptr, 256, 100, NULL);
    assert_ptr_not_equal(moved, ptr);
    assert_true(is_filled(moved, 100, 1));
    assert_true(is_poisoned_but_for_tags(ptr, usable));
    expect_silence();
    (void)heap_verify();
}

/* What another thread does while a block is being filled. */
struct meanwhile {
    void (*act)(struct meanwhile*);
    unsigned char* ptr;
    unsigned holds;
};

/* The first release is that before the filling. */
static void act_meanwhile(void* context)
{
    struct meanwhile* meanwhile = context;
    if (meanwhile->holds++ == 0) {
        meanwhile->act(meanwhile);
    }
}

static void free_while(unsigned char* ptr, void (*act)(struct meanwhile*))
{
    struct meanwhile meanwhile = {act, ptr, 0};
    test_port_on_unlock(act_meanwhile, &meanwhile);
    dmheap_free(ptr, true);
    test_port_on_unlock(NULL, NULL);
}

static void use_the_block(struct meanwhile* meanwhile)
{
    assert_true(is_filled(meanwhile->ptr, 100, 2)); /* so it is filled without the lock */
    dmheap_free(meanwhile->ptr, true);
    expect_error();
    assert_null(dmheap_realloc(meanwhile->ptr, 10, NULL));
    expect_error();
    assert_true(dmheap_malloc(100, "app") != meanwhile->ptr);
}

static void a_block_that_is_being_filled_is_nobodys_to_use(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(100, "app");
    (void)dmheap_malloc(10, NULL);
    fill(ptr, 100, 2);
    free_while(ptr, use_the_block);
    expect_silence();
    assert_true(is_poisoned_but_for_tags(ptr, 100));
    (void)heap_verify();
}

static void unregister_meanwhile(struct meanwhile* meanwhile)
{
    (void)meanwhile;
    dmheap_unregister_module("app");
    expect_info();
}

static void a_module_may_go_while_its_block_is_being_filled(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    (void)dmheap_malloc(200, "app");
    unsigned char* ptr = dmheap_malloc(100, "app");
    (void)dmheap_malloc(300, "app");
    free_while(ptr, unregister_meanwhile);
    expect_silence();
    assert_true(heap_is_empty());
}

/* Neither of its places keeps what was in it. */
static void a_module_may_go_while_its_block_moves(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(100, "app");
    (void)dmheap_malloc(10, NULL);
    fill(ptr, 100, 4);
    struct meanwhile meanwhile = {unregister_meanwhile, ptr, 0};
    test_port_on_unlock(act_meanwhile, &meanwhile);
    assert_null(dmheap_realloc(ptr, 1000, "app"));
    test_port_on_unlock(NULL, NULL);
    expect_error();
    unsigned char content[100];
    fill(content, sizeof(content), 4);
    for (size_t at = 0; at + 16 <= test_heap.size; at++) {
        assert_true(memcmp(test_heap.buffer + at, content + 40, 16) != 0);
    }
    (void)heap_verify();
    assert_int_equal(modules(), 0);
}

enum { BEFORE, AT_WORK, UNREGISTERED, OVER };

struct accident {
    struct record* record; /* to be written over; NULL: the heap is torn down */
    unsigned phase;
};

/* While the block is copied its module goes, and while the copy is filled there is an accident. */
static void have_an_accident(void* context)
{
    struct accident* accident = context;
    if (accident->phase == BEFORE) {
        accident->phase = AT_WORK; /* which releases the lock, too */
        dmheap_unregister_module("app");
        expect_info();
        accident->phase = UNREGISTERED;
    } else if (accident->phase == UNREGISTERED) {
        accident->phase = OVER;
        if (accident->record != NULL) {
            accident->record->id ^= 1U;
        } else {
            assert_true(dmheap_ctx_deinit(NULL));
        }
    }
}

static void move_with_an_accident(bool is_torn_down)
{
    heap_open(8 * KIB, 8);
    void* ptr = dmheap_malloc(100, "app");
    (void)dmheap_malloc(10, NULL);
    struct record* record = record_of(test_heap.ctx, block_owner(block_of(ptr)));
    struct accident accident = {is_torn_down ? NULL : record, BEFORE};
    test_port_on_unlock(have_an_accident, &accident);
    assert_null(dmheap_realloc(ptr, 1000, "app"));
    test_port_on_unlock(NULL, NULL);
    assert_int_equal(accident.phase, OVER);
    expect_error();
}

static void a_record_may_be_written_over_while_its_block_moves(void** state)
{
    (void)state;
    move_with_an_accident(false);
}

static void a_heap_may_go_while_the_copy_of_a_lost_block_is_filled(void** state)
{
    (void)state;
    move_with_an_accident(true);
}

static void end_heap_meanwhile(struct meanwhile* meanwhile)
{
    (void)meanwhile;
    assert_true(dmheap_ctx_deinit(NULL));
}

static void a_heap_that_goes_while_a_block_is_being_filled_is_reported(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    unsigned char* ptr = dmheap_malloc(100, NULL);
    snapshot_take();
    free_while(ptr, end_heap_meanwhile);
    expect_error();
    /* But for that block, its owner and its canary, nothing was written. */
    const size_t at = (size_t)((unsigned char*)block_of(ptr) - test_heap.buffer);
    assert_memory_equal(test_heap.buffer, snapshot, at);
    const size_t end = at + (size_t)block_size(block_of(ptr)) -
                       (DMHEAP_CANARY ? 4U * DMHEAP_SEQUENCE : BLOCK_TRAILER_BYTES);
    assert_memory_equal(test_heap.buffer + end, snapshot + end, test_heap.size - end);
}

static void what_is_refused_is_not_filled(void** state)
{
    (void)state;
    heap_open(8 * KIB, 8);
    (void)dmheap_malloc(10, "app");
    unsigned char* ptr = dmheap_malloc(100, "app");
    unsigned char* hole = dmheap_malloc(100, NULL);
    (void)dmheap_malloc(100, NULL);
    fill(ptr, 100, 3);
    dmheap_free(hole, true);
    snapshot_take();
    dmheap_free(ptr + 8, true);
    expect_error();
    dmheap_free(hole, true);
    expect_error();
    assert_true(snapshot_is_same());
    const dmheap_word link = block_of(hole)->next;
    block_of(hole)->next = WORD; /* the free block behind was written over */
    snapshot_take();
    dmheap_free(ptr, true);
    expect_error();
    assert_true(snapshot_is_same());
    block_of(hole)->next = link;
    dmheap_free(ptr, true);
    expect_silence();
}

int main(int argc, char** argv)
{
    random_choose(argc, argv);
    const struct CMUnitTest cases[] = {
        heap_case_if(!DMHEAP_SEQUENCE, without_the_setting_numbers_are_0),
        heap_case_if(DMHEAP_SEQUENCE, each_block_has_a_higher_number_than_those_before),
        heap_case_if(DMHEAP_SEQUENCE, free_memory_has_no_number),
        heap_case_if(DMHEAP_SEQUENCE, a_block_keeps_its_number),
        heap_case_if(DMHEAP_SEQUENCE, a_number_stands_behind_what_a_client_may_use),
        heap_case_if(DMHEAP_SEQUENCE, numbers_last_as_long_as_their_blocks),
        heap_case(what_is_since_a_mark_is_told_across_the_end_of_the_numbers),
#if DMHEAP_SEQUENCE
        heap_case(a_mark_tells_new_blocks_from_old_ones),
        heap_case(what_is_allocated_during_the_walk_is_not_visited),
        heap_case(each_modules_share_since_a_mark_is_told),
        heap_case(a_mark_is_good_for_all_heaps),
        heap_case(without_a_heap_nothing_is_since_a_mark),
#endif
        heap_case(a_canary_tells_owners_alignments_and_heaps_apart),
        heap_case(what_is_folded_is_the_header_but_owner_and_p),
        heap_case_if(DMHEAP_CANARY, an_overrun_by_any_byte_is_refused),
        heap_case_if(DMHEAP_CANARY, the_end_of_a_text_always_shows),
        heap_case_if(DMHEAP_CANARY, a_canary_is_no_other_blocks),
        heap_case_if(DMHEAP_CANARY, a_canary_is_no_other_heaps),
        heap_case_if(DMHEAP_CANARY, a_header_with_another_owner_is_refused),
        heap_case_if(DMHEAP_CANARY, a_block_that_changes_hands_keeps_a_right_canary),
        heap_case_if(DMHEAP_CANARY, a_header_with_any_bit_flipped_is_refused),
        heap_case_if(DMHEAP_CANARY, canaries_begin_with_the_ports_random_number),
        heap_case_if(DMHEAP_CANARY, no_two_serials_are_alike_whatever_the_key),
        heap_case_if(DMHEAP_CANARY, a_resized_block_has_its_canary_behind_its_new_end),
        heap_case_if(DMHEAP_CANARY, unregistration_leaves_what_was_overrun_alone),
        heap_case_if(DMHEAP_CANARY, a_size_that_leads_to_another_blocks_end_is_refused),
        heap_case_if(DMHEAP_POISON, freed_memory_is_filled),
        heap_case_if(DMHEAP_POISON, what_a_module_had_is_filled),
        heap_case_if(DMHEAP_POISON, the_place_that_a_block_moves_from_is_filled),
        heap_case_if(DMHEAP_POISON, the_place_that_a_shrinking_block_moves_from_is_filled),
        heap_case_if(DMHEAP_POISON, a_block_that_is_being_filled_is_nobodys_to_use),
        heap_case_if(DMHEAP_POISON, a_module_may_go_while_its_block_is_being_filled),
        heap_case_if(DMHEAP_POISON, a_module_may_go_while_its_block_moves),
        heap_case_if(DMHEAP_POISON, a_record_may_be_written_over_while_its_block_moves),
        heap_case_if(DMHEAP_POISON, a_heap_may_go_while_the_copy_of_a_lost_block_is_filled),
        heap_case_if(DMHEAP_POISON, a_heap_that_goes_while_a_block_is_being_filled_is_reported),
        heap_case_if(DMHEAP_POISON, what_is_refused_is_not_filled),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
