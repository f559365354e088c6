/* SPDX-License-Identifier: MIT */
/*
 * What one sees of a heap: the walk and the figures, against the heap's own layers and against what
 * malloc then does.
 *
 *     test_walk              all cases, the random ones from a fresh seed
 *     test_walk SEED         all cases, the random ones from that seed
 */
#include "heap_test.h"

#define SLOTS 120

static void* slot[SLOTS];

static const char* const names[] = {NULL, "app", "web", "a rather long name of a module"};

static void random_step(size_t largest)
{
    const unsigned i = dice(SLOTS);
    if (slot[i] != NULL) {
        dmheap_free(slot[i], false);
        slot[i] = NULL;
    } else {
        slot[i] = dice(4) == 0 ? dmheap_aligned_alloc(64, dice((uint32_t)largest), names[dice(4)])
                               : dmheap_malloc(dice((uint32_t)largest), names[dice(4)]);
    }
    test_port_forget_lines();
}

/* A heap with holes of all kinds. */
static void fragment(size_t size, size_t alignment)
{
    memset(slot, 0, sizeof(slot));
    heap_open(size, alignment);
    for (unsigned step = 0; step < 600; step++) {
        random_step(dice(8) == 0 ? size / 16 : 200);
    }
}

/* ---- the walk ------------------------------------------------------------------------- */

struct visits {
    const struct dmheap_block* next; /* what the next visit must be of, by the layers */
    uintptr_t front;                 /* that much free memory is in front of it */
    size_t count;
    size_t most; /* then the visitor ends the walk */
};

static bool visit_in_order(const struct dmheap_block_info* info, void* context)
{
    struct visits* visits = context;
    const struct dmheap_block* block = visits->next;
    visits->count++;
    if (block == NULL) { /* the untouched end */
        assert_int_equal(info->kind, DMHEAP_BLOCK_FREE);
        assert_int_equal(info->size, test_heap.ctx->end - test_heap.ctx->top);
        assert_string_equal(info->module_name, "");
        return true;
    }
    assert_ptr_equal(info->ptr, block_payload(block));
    assert_int_equal(info->size, block_size(block));
    const dmheap_word owner = block_owner(block);
    assert_int_equal(info->kind, owner == OWNER_FREE   ? DMHEAP_BLOCK_FREE
                                 : owner == OWNER_HEAP ? DMHEAP_BLOCK_OWN
                                                       : DMHEAP_BLOCK_LIVE);
    assert_string_equal(info->module_name,
                        owner >= OWNER_MODULES ? heap_owner_name(info->ptr) : "");
    const struct record* record = owner >= OWNER_MODULES ? record_of(test_heap.ctx, owner) : NULL;
    assert_int_equal(info->module.id, record != NULL ? owner : 0);
    assert_int_equal(info->module.serial, record != NULL ? record->serial : 0);
    visits->next = heap_next_block(block);
    return visits->count < visits->most;
}

static void all_blocks_are_visited_in_their_order(void** state)
{
    (void)state;
    random_begin();
    for (size_t alignment = 8; alignment <= 64; alignment *= 8) {
        for (unsigned round = 0; round < 20; round++) {
            fragment(64 * KIB, alignment);
            struct visits visits = {heap_first_block(), 0, 0, SIZE_MAX};
            assert_true(dmheap_ctx_walk(NULL, visit_in_order, &visits));
            assert_null(visits.next);
            const struct image_census census = heap_verify();
            const bool has_end = test_heap.ctx->top < test_heap.ctx->end;
            assert_int_equal(visits.count, census.live_blocks + census.free_blocks + has_end);
            expect_silence();
            arenas_release();
        }
    }
}

static void a_visitor_may_end_the_walk(void** state)
{
    (void)state;
    random_begin();
    fragment(16 * KIB, 8);
    for (size_t most = 1; most < 10; most++) {
        struct visits visits = {heap_first_block(), 0, 0, most};
        assert_false(dmheap_ctx_walk(NULL, visit_in_order, &visits));
        assert_int_equal(visits.count, most);
    }
    expect_silence();
}

static bool count_visits(const struct dmheap_block_info* info, void* context)
{
    (void)info;
    ++*(unsigned*)context;
    return true;
}

static unsigned visited(void)
{
    unsigned count = 0;
    assert_true(dmheap_ctx_walk(NULL, count_visits, &count));
    return count;
}

static void an_empty_heap_is_one_piece_of_free_memory(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8); /* more map than a step looks at */
    assert_int_equal(visited(), 1);
    void* last = NULL;
    for (void* ptr = dmheap_malloc(32, NULL); ptr != NULL; ptr = dmheap_malloc(32, NULL)) {
        dmheap_free(last, true);
        last = dmheap_malloc(0, NULL) == NULL ? NULL : ptr;
    }
    test_port_forget_lines();
    const unsigned count = visited();
    const struct image_census census = heap_verify();
    const bool has_end = test_heap.ctx->top < test_heap.ctx->end;
    assert_int_equal(count, census.live_blocks + census.free_blocks + has_end);
}

static void without_a_heap_there_is_nothing_to_see(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    struct dmheap_ctx* ctx = dmheap_ctx_get_default(0);
    unsigned count = 0;
    struct dmheap_stats stats;
    struct dmheap_module_stats module_stats;
    assert_true(dmheap_ctx_deinit(NULL));
    for (unsigned i = 0; i < 2; i++) {
        assert_false(dmheap_ctx_walk(i == 0 ? NULL : ctx, count_visits, &count));
        expect_error();
        memset(&stats, 0xFF, sizeof(stats));
        assert_false(dmheap_ctx_get_stats(i == 0 ? NULL : ctx, &stats));
        expect_error();
        assert_int_equal(stats.size + stats.largest_alloc, 0);
        assert_false(dmheap_ctx_get_module_stats(i == 0 ? NULL : ctx, "app", &module_stats));
        expect_error();
    }
    assert_int_equal(count, 0);
}

static bool end_heap(const struct dmheap_block_info* info, void* context)
{
    (void)info;
    if (*(unsigned*)context == 3) {
        assert_true(dmheap_ctx_deinit(NULL));
    }
    ++*(unsigned*)context;
    return true;
}

static void a_walk_ends_with_its_heap(void** state)
{
    (void)state;
    random_begin();
    fragment(16 * KIB, 8);
    unsigned count = 0;
    assert_false(dmheap_ctx_walk(NULL, end_heap, &count));
    assert_true(count == 4 || count == 5); /* two may be found at a time */
    expect_silence();
}

/* While blocks come and go between the steps, those that stay are each visited once. */
struct stay {
    const void* visited_last;
    unsigned count;
};

static bool visit_those_that_stay(const struct dmheap_block_info* info, void* context)
{
    struct stay* stay = context;
    if (info->kind == DMHEAP_BLOCK_LIVE && strcmp(info->module_name, "stays") == 0) {
        assert_true((uintptr_t)info->ptr > (uintptr_t)stay->visited_last);
        stay->visited_last = info->ptr;
        stay->count++;
    }
    for (unsigned i = 0; i < 6; i++) {
        random_step(150);
    }
    return true;
}

static void blocks_that_stay_are_visited_once_whatever_comes_and_goes(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 20; round++) {
        fragment(64 * KIB, 8);
        for (unsigned i = 0; i < 100; i++) {
            assert_non_null(dmheap_malloc(dice(100), "stays"));
            random_step(150);
        }
        struct stay stay = {NULL, 0};
        assert_true(dmheap_ctx_walk(NULL, visit_those_that_stay, &stay));
        assert_int_equal(stay.count, 100);
        (void)heap_verify();
        arenas_release();
    }
}

static void a_step_of_the_walk_is_short(void** state)
{
    (void)state;
    heap_open(MIB, 8);
    void* far = NULL;
    for (unsigned i = 0; i < 10000; i++) {
        dmheap_free(i % 100 != 0 ? far : NULL, false); /* live blocks far from each other */
        far = dmheap_malloc(100, NULL);
        assert_non_null(dmheap_malloc(0, NULL));
    }
    (void)test_port_reset();
    assert_true(visited() > 10000);
    assert_true(test_port_longest_hold() <= 2 * WALK_BUDGET + 32);
}

static bool add_sizes(const struct dmheap_block_info* info, void* context)
{
    *(size_t*)context += info->size;
    return true;
}

static bool check_usable(const struct dmheap_block_info* info, void* context)
{
    unsigned* kinds = context;
    kinds[info->kind]++;
    if (info->kind == DMHEAP_BLOCK_LIVE) {
        assert_int_equal(info->usable, dmheap_ctx_usable_size(info->ctx, info->ptr));
    } else {
        const bool is_rest = info->kind == DMHEAP_BLOCK_FREE && info->size < BLOCK_MIN_BYTES;
        assert_int_equal(info->usable, is_rest ? 0 : info->size - OVERHEAD);
    }
    return true;
}

static void what_is_usable_of_a_live_block_is_told(void** state)
{
    (void)state;
    unsigned kinds[3] = {0, 0, 0};
    random_begin();
    fragment(16 * KIB, 8);
    assert_non_null(dmheap_aligned_alloc(64, 10, "app")); /* its last byte is the heap's */
    assert_true(dmheap_ctx_walk(NULL, check_usable, kinds));
    assert_true(kinds[DMHEAP_BLOCK_FREE] != 0 && kinds[DMHEAP_BLOCK_LIVE] != 0 &&
                kinds[DMHEAP_BLOCK_OWN] != 0);
    expect_silence();
}

/* Takes each piece of free memory, whole. */
static bool take_usable(const struct dmheap_block_info* info, void* context)
{
    (void)context;
    if (info->kind == DMHEAP_BLOCK_FREE) {
        assert_ptr_equal(dmheap_malloc(info->usable, NULL), info->ptr);
    }
    return true;
}

static void what_would_be_usable_of_free_memory_is_told(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    void* hole = dmheap_malloc(200, NULL);
    assert_non_null(dmheap_malloc(10, NULL));
    dmheap_free(hole, false);
    assert_true(dmheap_ctx_walk(NULL, take_usable, NULL));
    expect_silence();
    assert_null(dmheap_malloc(0, NULL));
    expect_error();
}

/* The untouched end may be smaller than any block. */
static void what_is_too_small_for_a_block_has_nothing_usable(void** state)
{
    (void)state;
    for (uintptr_t alignment = DMHEAP_GRANULE_MIN; alignment <= 16; alignment *= 2) {
        for (uintptr_t rest = 0; rest < 3 * BLOCK_MIN_BYTES; rest += alignment) {
            heap_open(KIB, (size_t)alignment);
            const uintptr_t all = (uintptr_t)(test_heap.ctx->end - test_heap.ctx->first);
            assert_non_null(dmheap_malloc((size_t)(all - rest) - OVERHEAD, NULL));
            unsigned kinds[3] = {0, 0, 0};
            assert_true(dmheap_ctx_walk(NULL, check_usable, kinds));
            assert_int_equal(kinds[DMHEAP_BLOCK_FREE], rest != 0);
            assert_int_equal(dmheap_malloc(0, NULL) != NULL, rest >= BLOCK_MIN_BYTES);
            test_port_forget_lines();
            arenas_release();
        }
    }
}

/* Longer than a step looks at. */
static void a_long_piece_of_free_memory_is_visited(void** state)
{
    (void)state;
    heap_open(MIB, 8);
    for (size_t size = KIB; size <= MIB / 2; size *= 2) {
        void* hole = dmheap_malloc(size, NULL);
        void* behind = dmheap_malloc(10, NULL);
        dmheap_free(hole, false);
        size_t sum = 0;
        assert_true(dmheap_ctx_walk(NULL, add_sizes, &sum));
        assert_int_equal(sum, test_heap.ctx->end - test_heap.ctx->first);
        dmheap_free(behind, false);
    }
}

/* What is behind the buffer, or in front of it, is poisoned. */
static void a_damaged_name_or_map_leads_nowhere(void** state)
{
    (void)state;
    char name[DMHEAP_NAME_BYTES];
    unsigned count = 0;
    heap_open(2 * KIB, 8);
    void* ptr = dmheap_malloc(8, "a");
    struct record* record = record_of(test_heap.ctx, block_owner(block_of(ptr)));
    while (dmheap_malloc(0, NULL) != NULL) {
    }
    test_port_forget_lines();
    const size_t room = (size_t)(block_capacity(block_of(record)) - offsetof(struct record, name));
    memset(record->name, 'x', room);
    assert_true(dmheap_ctx_owner_of(NULL, ptr, name));
    assert_int_equal(strlen(name), room < 63 ? room : 63);
    assert_true(dmheap_ctx_walk(NULL, count_visits, &count));
    *live_word(test_heap.ctx, 0) |= 1;
    unsigned again = 0;
    assert_true(dmheap_ctx_walk(NULL, count_visits, &again));
    assert_int_equal(again, count);
    arenas_verify();
}

/* A free block is found by its footer, which a write over the block in front of it may have hit. */
static void a_damaged_footer_is_no_free_block(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    (void)dmheap_malloc(100, NULL);
    void* hole = dmheap_malloc(200, NULL);
    const struct dmheap_block* behind = block_of(dmheap_malloc(8, NULL));
    dmheap_free(hole, false);
    const unsigned whole = visited();
    dmheap_word* footer = (dmheap_word*)(uintptr_t)behind - 1;
    const dmheap_word size = block_footer_before(behind);
    assert_int_equal(*footer, size);
    const dmheap_word wrong[] = {0, size + 1, size + 4 * (dmheap_word)KIB};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        *footer = wrong[i];
        assert_int_equal(visited(), whole - 1);
    }
    *footer = size;
    arenas_verify();
}

/* Make what lies in front of a block look like a free one of `size` bytes. */
static void forge_in_front(struct dmheap_block* block, dmheap_word size, bool is_announced)
{
    unsigned char* const end = (unsigned char*)block;
    memcpy(end - sizeof(size), &size, sizeof(size));
    memcpy(end - size, &size, sizeof(size));
    block->header = (block->header & ~BLOCK_PREV_FREE) | is_announced;
}

static void what_a_client_writes_is_no_free_block(void** state)
{
    (void)state;
    const dmheap_word least = BLOCK_MIN_BYTES;
    const dmheap_word step = (dmheap_word)DMHEAP_GRANULE_MIN;
    heap_open(4 * KIB, DMHEAP_GRANULE_MIN);
    (void)dmheap_malloc(200, NULL);
    struct dmheap_block* behind = block_of(dmheap_malloc(8, NULL));
    const unsigned whole = visited();
    forge_in_front(behind, least + step, false);
    assert_int_equal(visited(), whole);
    forge_in_front(behind, least - step, true);
    assert_int_equal(visited(), whole);
    forge_in_front(behind, least + step / 2, true);
    assert_int_equal(visited(), whole);
}

/* It would begin where the bins are. */
static void nothing_in_front_of_the_first_block_is_a_free_one(void** state)
{
    (void)state;
    heap_open(4 * KIB, DMHEAP_GRANULE_MIN);
    struct dmheap_block* first = block_of(dmheap_malloc(8, NULL));
    const unsigned whole = visited();
    const uintptr_t bin = offsetof(struct dmheap_ctx, bin);
    const uintptr_t size = ctx_offset(test_heap.ctx, first) - bin;
    forge_in_front(first, (dmheap_word)(size - size % ctx_granule(test_heap.ctx)), true);
    assert_int_equal(visited(), whole);
}

static void a_block_where_a_step_used_up_ends_is_visited(void** state)
{
    (void)state;
    heap_open(256 * KIB, DMHEAP_GRANULE_MIN);
    const uintptr_t granule = ctx_granule(test_heap.ctx);
    const uintptr_t first = (uintptr_t)(test_heap.ctx->first + DMHEAP_WORD_BYTES) / granule;
    const uintptr_t end = (first / LIVE_BITS + WALK_BUDGET) * LIVE_BITS;
    void* hole = dmheap_malloc((size_t)((end - first) * granule) - OVERHEAD, NULL);
    const void* ptr = dmheap_malloc(8, NULL);
    assert_int_equal(live_index(test_heap.ctx, ptr), end);
    dmheap_free(hole, true);
    assert_int_equal(visited(), 3);
}

static bool see_inside(const struct dmheap_block_info* info, void* context)
{
    const uintptr_t end = ctx_offset(test_heap.ctx, info->ptr) - sizeof(dmheap_word) + info->size;
    const bool is_live = info->kind != DMHEAP_BLOCK_FREE;
    assert_true(end <= (is_live ? test_heap.ctx->top : test_heap.ctx->end));
    ++*(unsigned*)context;
    return true;
}

static void a_size_that_leads_out_of_the_heap_is_shown_as_far_as_blocks_go(void** state)
{
    (void)state;
    unsigned count = 0;
    heap_open(4 * KIB, DMHEAP_GRANULE_MIN);
    (void)dmheap_malloc(200, NULL);
    struct dmheap_block* last = block_of(dmheap_malloc(8, NULL));
    last->header += 4 * KIB;
    assert_true(dmheap_ctx_walk(NULL, see_inside, &count));
    assert_int_equal(count, 3);
}

static bool free_all(const struct dmheap_block_info* info, void* context)
{
    const void** last = context;
    assert_true((uintptr_t)info->ptr > (uintptr_t)*last);
    *last = info->ptr;
    for (unsigned i = 0; i < SLOTS; i++) {
        dmheap_free(slot[i], false);
        slot[i] = NULL;
    }
    return true;
}

static void what_was_visited_is_not_visited_again_as_free_memory(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 20; round++) {
        fragment(16 * KIB, 8);
        const void* last = NULL;
        assert_true(dmheap_ctx_walk(NULL, free_all, &last));
        arenas_release();
    }
}

static void free_memory_with_broken_links_is_still_there(void** state)
{
    (void)state;
    heap_open(64 * KIB, 8);
    void* hole = dmheap_malloc(30000, NULL);
    assert_non_null(dmheap_malloc(10, NULL));
    dmheap_free(hole, false);
    memset(hole, 0x55, 2 * WORD);
    struct dmheap_stats stats;
    size_t sum = 0;
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_true(dmheap_ctx_walk(NULL, add_sizes, &sum));
    assert_int_equal(sum, stats.size);
    assert_int_equal(stats.size, test_heap.ctx->end - test_heap.ctx->first);
    assert_true(stats.largest_free >= 30000);
}

/* From the port's lock, after so many holds: as another thread does. */
static void end_heap_after(void* context)
{
    unsigned* left = context;
    if (*left != 0 && --*left == 0) {
        assert_true(dmheap_ctx_deinit(NULL));
    }
}

static void figures_that_could_not_be_finished_are_zero(void** state)
{
    (void)state;
    random_begin();
    fragment(16 * KIB, 8);
    struct dmheap_module_stats stats = {1, 1};
    unsigned left = 12;
    test_port_on_unlock(end_heap_after, &left);
    assert_false(dmheap_ctx_get_module_stats(NULL, "app", &stats));
    test_port_on_unlock(NULL, NULL);
    assert_int_equal(stats.bytes + stats.blocks, 0);
}

static void* shrinking;

static void shrink_after(void* context)
{
    unsigned* left = context;
    if (*left != 0 && --*left == 0) {
        assert_ptr_equal(dmheap_realloc(shrinking, 10, NULL), shrinking);
    }
}

/* A block that was visited shrinks: what is behind it now is visited as well. */
static void no_hole_is_larger_than_the_heap(void** state)
{
    (void)state;
    for (unsigned hold = 1; hold < 5; hold++) {
        struct dmheap_stats stats;
        heap_open(4 * KIB, 8);
        shrinking = dmheap_malloc(heap_largest(test_heap.ctx) - 400, NULL);
        assert_non_null(shrinking);
        assert_non_null(dmheap_malloc(10, NULL));
        unsigned left = hold;
        test_port_on_unlock(shrink_after, &left);
        assert_true(dmheap_ctx_get_stats(NULL, &stats));
        test_port_on_unlock(NULL, NULL);
        assert_true(stats.largest_hole <= stats.size);
        arenas_release();
    }
}

static void figures_of_a_heap_that_went_meanwhile_are_zero(void** state)
{
    (void)state;
    const struct dmheap_stats none = {0};
    for (unsigned hold = 1; hold < 5; hold++) {
        struct dmheap_stats stats;
        heap_open(4 * KIB, 8);
        for (unsigned i = 0; i < 8; i++) {
            assert_non_null(dmheap_malloc(10, "app"));
        }
        memset(&stats, 0x5A, sizeof(stats));
        unsigned left = hold;
        test_port_on_unlock(end_heap_after, &left);
        assert_false(dmheap_ctx_get_stats(NULL, &stats));
        test_port_on_unlock(NULL, NULL);
        assert_memory_equal(&stats, &none, sizeof(stats));
        test_port_forget_lines();
        arenas_release();
    }
}

/* ---- figures ---------------------------------------------------------------------------- */

/* The largest piece that freeing one of a client's blocks would leave. */
static size_t largest_hole(void)
{
    size_t largest = heap_largest_free();
    uintptr_t front = 0;
    for (const struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        const struct dmheap_block* next = heap_next_block(block);
        uintptr_t behind = next != NULL && block_is_free(next) ? block_size(next) : 0;
        if (next == NULL) {
            behind = (uintptr_t)(test_heap.ctx->end - test_heap.ctx->top);
        }
        const dmheap_word owner = block_owner(block);
        const size_t hole = (size_t)(front + block_size(block) + behind);
        if (owner != OWNER_FREE && owner != OWNER_HEAP && hole > largest) {
            largest = hole;
        }
        front = block_is_free(block) ? block_size(block) : 0;
    }
    return largest;
}

static void expect_right(const struct dmheap_stats* stats)
{
    const struct image_census census = heap_verify();
    const size_t end = (size_t)(test_heap.ctx->end - test_heap.ctx->top);
    assert_int_equal(stats->size, test_heap.ctx->end - test_heap.ctx->first);
    assert_int_equal(stats->used, census.live_bytes);
    assert_int_equal(stats->free, census.free_bytes + end);
    assert_int_equal(stats->used + stats->free, stats->size);
    assert_int_equal(stats->live_blocks, census.live_blocks - census.own_blocks);
    assert_int_equal(stats->free_blocks, census.free_blocks + (end != 0));
    assert_int_equal(stats->largest_free, heap_largest_piece());
    assert_int_equal(stats->largest_hole, largest_hole());
    assert_true((stats->splitter == NULL) == (stats->largest_hole == stats->largest_free));
    if (stats->splitter != NULL) {
        assert_string_equal(stats->splitter_owner, heap_owner_name(stats->splitter));
    }
}

static void the_figures_are_those_of_the_heap(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 60; round++) {
        fragment(round % 2 == 0 ? 8 * KIB : 64 * KIB, round % 3 == 0 ? 64 : 8);
        struct dmheap_stats stats;
        assert_true(dmheap_ctx_get_stats(NULL, &stats));
        expect_right(&stats);
        arenas_release();
    }
}

/* Freeing the splitter leaves what it says. */
static void the_splitter_splits_the_largest_hole(void** state)
{
    (void)state;
    random_begin();
    unsigned split = 0;
    for (unsigned round = 0; round < 60; round++) {
        fragment(16 * KIB, 8);
        struct dmheap_stats stats;
        assert_true(dmheap_ctx_get_stats(NULL, &stats));
        if (stats.splitter != NULL) {
            dmheap_free((void*)(uintptr_t)stats.splitter, false);
            assert_true(heap_largest_free() >= stats.largest_hole);
            split++;
        }
        test_port_forget_lines();
        arenas_release();
    }
    assert_true(split > 10);
}

static void the_largest_allocation_is_served_and_no_larger_one(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 120; round++) {
        const size_t alignment = round % 4 == 0 ? 64 : (size_t)4 << round % 4;
        fragment(round % 2 == 0 ? 4 * KIB : 64 * KIB, alignment);
        struct dmheap_stats stats;
        for (unsigned step = 0; step < 40; step++) {
            assert_true(dmheap_ctx_get_stats(NULL, &stats));
            void* ptr = dmheap_malloc(stats.largest_alloc, NULL);
            assert_true(ptr != NULL || stats.largest_alloc == 0);
            dmheap_free(ptr, false);
            test_port_forget_lines();
            assert_true(alignment > 16 || dmheap_malloc(stats.largest_alloc + 1, NULL) == NULL);
            test_port_forget_lines();
            for (unsigned i = 0; i < 10; i++) {
                random_step(300);
            }
        }
        arenas_release();
    }
}

static void all_of_an_empty_heap_is_the_largest_allocation(void** state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= 256; alignment *= 2) {
        struct dmheap_stats stats;
        heap_open(8 * KIB, alignment);
        assert_true(dmheap_ctx_get_stats(NULL, &stats));
        assert_non_null(dmheap_malloc(stats.largest_alloc, NULL));
        expect_silence();
        arenas_release();
    }
}

/* As malloc looks at some of a class, so does what tells of it. */
static void the_largest_allocation_is_any_of_those_looked_at(void** state)
{
    (void)state;
    for (size_t place = 0; place < INDEX_LOOKS; place++) {
        void* hole[INDEX_LOOKS];
        struct dmheap_stats stats;
        heap_open(64 * KIB, 8);
        for (size_t i = 0; i < INDEX_LOOKS; i++) {
            hole[i] = dmheap_malloc(i == place ? 2160 : 2064, NULL);
            (void)dmheap_malloc(1, NULL);
        }
        const size_t largest = (size_t)heap_usable(test_heap.ctx, block_of(hole[place]));
        (void)heap_fill(NULL);
        for (size_t i = 0; i < INDEX_LOOKS; i++) {
            dmheap_free(hole[i], true);
        }
        assert_true(dmheap_ctx_get_stats(NULL, &stats));
        assert_int_equal(stats.largest_alloc, largest);
        arenas_release();
    }
}

static void what_malloc_does_not_look_at_is_not_told(void** state)
{
    (void)state;
    void* hole[INDEX_LOOKS + 1];
    struct dmheap_stats stats;
    heap_open(64 * KIB, 8);
    for (size_t i = 0; i < COUNT_OF(hole); i++) {
        hole[i] = dmheap_malloc(i == 0 ? 2160 : 2064, NULL);
        (void)dmheap_malloc(1, NULL);
    }
    const size_t largest = (size_t)heap_usable(test_heap.ctx, block_of(hole[1]));
    (void)heap_fill(NULL);
    for (size_t i = 0; i < COUNT_OF(hole); i++) {
        dmheap_free(hole[i], true); /* the last one is the first of its list */
    }
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_int_equal(stats.largest_alloc, largest);
}

/* Where a block's place is not known, what is sure is the class's least without the largest gap. */
static void a_hole_counts_without_a_gap_in_a_heap_of_large_alignment(void** state)
{
    (void)state;
    struct dmheap_stats stats;
    heap_open(16 * KIB, 64);
    void* hole = dmheap_malloc(4 * KIB, NULL);
    (void)heap_fill(NULL);
    dmheap_free(hole, true);
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    const uintptr_t least = index_floor(test_heap.ctx, index_highest(test_heap.ctx));
    const uintptr_t gap = 64 + BLOCK_MIN_BYTES - ctx_granule(test_heap.ctx);
    assert_int_equal(stats.largest_alloc, least - gap - OVERHEAD);
    assert_non_null(dmheap_malloc(stats.largest_alloc, NULL));
}

static void a_full_heap_serves_nothing(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    (void)heap_fill("app");
    struct dmheap_stats stats;
    assert_true(dmheap_ctx_get_stats(NULL, &stats));
    assert_int_equal(stats.largest_alloc, 0);
    expect_right(&stats);
}

static void what_a_module_holds_is_told(void** state)
{
    (void)state;
    random_begin();
    fragment(64 * KIB, 8);
    size_t bytes[COUNT_OF(names)] = {0};
    size_t blocks[COUNT_OF(names)] = {0};
    for (const struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        for (size_t i = 0; i < COUNT_OF(names) && block_owner(block) >= OWNER_NOBODY; i++) {
            const char* name = names[i] != NULL ? names[i] : "";
            if (strcmp(heap_owner_name(block_payload(block)), name) == 0) {
                bytes[i] += (size_t)block_size(block);
                blocks[i]++;
            }
        }
    }
    struct dmheap_module_stats stats;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_true(dmheap_ctx_get_module_stats(NULL, names[i], &stats));
        assert_int_equal(stats.bytes, bytes[i]);
        assert_int_equal(stats.blocks, blocks[i]);
        assert_true(blocks[i] != 0);
    }
    assert_true(dmheap_ctx_get_module_stats(NULL, "unknown", &stats));
    assert_int_equal(stats.bytes + stats.blocks, 0);
    expect_silence();
}

static void several_heaps_are_walked_one_after_the_other(void** state)
{
    (void)state;
    heap_open(4 * KIB, 8);
    struct dmheap_ctx* ctx = dmheap_ctx_init(arena_make(4 * KIB, 0), 4 * KIB, 8);
    assert_true(dmheap_ctx_add_default(ctx));
    expect_info();
    assert_non_null(dmheap_malloc(100, "app"));
    assert_non_null(dmheap_ctx_malloc(ctx, 200, "app"));
    unsigned count[3] = {0, 0, 0};
    assert_true(dmheap_ctx_walk(NULL, count_visits, &count[0]));
    assert_true(dmheap_ctx_walk(dmheap_ctx_get_default(0), count_visits, &count[1]));
    assert_true(dmheap_ctx_walk(ctx, count_visits, &count[2]));
    assert_int_equal(count[0], count[1] + count[2]);
    struct dmheap_module_stats stats;
    assert_true(dmheap_ctx_get_module_stats(NULL, "app", &stats));
    assert_int_equal(stats.blocks, 2);
    assert_true(stats.bytes >= 300 + 2 * WORD);
    assert_true(dmheap_ctx_deinit(ctx));
    expect_silence();
}

int main(int argc, char** argv)
{
    random_choose(argc, argv);
    const struct CMUnitTest cases[] = {
        heap_case(all_blocks_are_visited_in_their_order),
        heap_case(a_visitor_may_end_the_walk),
        heap_case(an_empty_heap_is_one_piece_of_free_memory),
        heap_case(without_a_heap_there_is_nothing_to_see),
        heap_case(a_walk_ends_with_its_heap),
        heap_case(blocks_that_stay_are_visited_once_whatever_comes_and_goes),
        heap_case(a_step_of_the_walk_is_short),
        heap_case(what_is_usable_of_a_live_block_is_told),
        heap_case(what_would_be_usable_of_free_memory_is_told),
        heap_case(what_is_too_small_for_a_block_has_nothing_usable),
        heap_case(a_long_piece_of_free_memory_is_visited),
        heap_case(a_damaged_name_or_map_leads_nowhere),
        heap_case(a_block_where_a_step_used_up_ends_is_visited),
        heap_case(a_damaged_footer_is_no_free_block),
        heap_case(what_a_client_writes_is_no_free_block),
        heap_case(nothing_in_front_of_the_first_block_is_a_free_one),
        heap_case(a_size_that_leads_out_of_the_heap_is_shown_as_far_as_blocks_go),
        heap_case(what_was_visited_is_not_visited_again_as_free_memory),
        heap_case(free_memory_with_broken_links_is_still_there),
        heap_case(figures_that_could_not_be_finished_are_zero),
        heap_case(figures_of_a_heap_that_went_meanwhile_are_zero),
        heap_case(no_hole_is_larger_than_the_heap),
        heap_case(the_figures_are_those_of_the_heap),
        heap_case(the_splitter_splits_the_largest_hole),
        heap_case(the_largest_allocation_is_served_and_no_larger_one),
        heap_case(all_of_an_empty_heap_is_the_largest_allocation),
        heap_case(the_largest_allocation_is_any_of_those_looked_at),
        heap_case(what_malloc_does_not_look_at_is_not_told),
        heap_case(a_hole_counts_without_a_gap_in_a_heap_of_large_alignment),
        heap_case(a_full_heap_serves_nothing),
        heap_case(what_a_module_holds_is_told),
        heap_case(several_heaps_are_walked_one_after_the_other),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
