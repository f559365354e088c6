/* SPDX-License-Identifier: MIT */
/*
 * The module layer: which block counts for which module, through allocation, release, moves,
 * hand-over and unregistering.
 *
 * After each step the whole heap is proven. Where something fails or is undone, the census and
 * the untouched end are compared with what they were.
 */
#include "record_test.h"

/* ---- helpers ---------------------------------------------------------------------------- */

static unsigned char* make_for(size_t size, const char* name)
{
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    const struct dmheap_block* block = module_alloc(test_heap.ctx, 1, size, name, &verdict);
    assert_non_null(block);
    assert_int_equal(verdict, VERDICT_NO_MEMORY);
    return block_payload(block);
}

static void release(const void* ptr)
{
    assert_int_equal(module_free(test_heap.ctx, ptr), VERDICT_OK);
}

/* Unregister, as the edge does it. */
static void forget(const char* name)
{
    char copy[RECORD_NAME_MAX + 1];
    struct heap_sweep sweep = {0};
    dmheap_word id = 0;
    assert_true(module_close(test_heap.ctx, name, copy, &id));
    while (module_sweep(test_heap.ctx, id, &sweep)) {
    }
    assert_false(sweep.damaged);
}

static dmheap_word owner_of(const void* ptr)
{
    return block_owner(block_of(ptr));
}

/* What dmheap_realloc does before it copies: VERDICT_OK, or *move is begun. */
static enum dmheap_verdict resize(const void* ptr, size_t size, struct module_move* move)
{
    enum dmheap_verdict verdict = module_resize(test_heap.ctx, ptr, size);
    if (verdict == VERDICT_MUST_MOVE) {
        verdict =
            module_begin_move(test_heap.ctx, ptr, module_alignment(test_heap.ctx, ptr), size, move);
        return verdict == VERDICT_OK ? VERDICT_MUST_MOVE : verdict;
    }
    return verdict;
}

/* ... and what it does after. */
static enum dmheap_verdict finish_move(const struct module_move* move)
{
    const enum dmheap_verdict verdict = module_finish_move(test_heap.ctx, move);
    if (DMHEAP_POISON && verdict == VERDICT_GONE) {
        module_abandon(test_heap.ctx, module_of(test_heap.ctx, move->owner), move->to);
    }
    return verdict;
}

/* ---- creation that fails ------------------------------------------------------------------------ */

static const void* attempt_alloc(enum dmheap_verdict* verdict)
{
    return module_alloc(test_heap.ctx, 1, 50, "newcomer", verdict);
}

static const void* attempt_aligned(enum dmheap_verdict* verdict)
{
    return module_alloc(test_heap.ctx, 64, 50, "newcomer", verdict);
}

static void a_first_module_is_made_as_a_whole_or_not_at_all(void** state)
{
    (void)state;
    assert_int_equal(blocks_of(attempt_create, 0), 2);
    assert_int_equal(blocks_of(attempt_alloc, 0), 3);
    expect_all_or_nothing(attempt_create, 0, forget);
    expect_all_or_nothing(attempt_alloc, 0, forget);
    expect_all_or_nothing(attempt_aligned, 0, forget);
}

static void a_module_of_a_new_group_is_made_as_a_whole_or_not_at_all(void** state)
{
    (void)state;
    assert_int_equal(blocks_of(attempt_create, FIRST_GROUP), 2);
    assert_int_equal(blocks_of(attempt_alloc, FIRST_GROUP), 3);
    expect_all_or_nothing(attempt_create, FIRST_GROUP, forget);
    expect_all_or_nothing(attempt_alloc, FIRST_GROUP, forget);
    expect_all_or_nothing(attempt_aligned, FIRST_GROUP, forget);
}

static void one_more_module_is_made_as_a_whole_or_not_at_all(void** state)
{
    (void)state;
    assert_int_equal(blocks_of(attempt_create, 2), 1);
    assert_int_equal(blocks_of(attempt_alloc, 2), 2);
    expect_all_or_nothing(attempt_create, 2, forget);
    expect_all_or_nothing(attempt_alloc, 2, forget);
    expect_all_or_nothing(attempt_aligned, 2, forget);
}

/* The same where holes of other sizes are left instead of the end. */
static void creation_from_holes_gives_all_of_them_back(void** state)
{
    (void)state;
    for (dmheap_word first = 4; first < 60; first += 5) {
        for (dmheap_word second = 4; second < 60; second += 3) {
            enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
            open_heap(8 * KIB);
            const void* one = make_for((size_t)(first * GRANULE), NULL);
            (void)make_for(4, NULL);
            const void* other = make_for((size_t)(second * GRANULE), NULL);
            leave(0);
            release(one);
            release(other);
            const struct heap_state before = state_now();
            if (attempt_alloc(&verdict) != NULL) {
                (void)heap_verify();
                forget("newcomer");
            }
            expect_state(&before);
            arenas_release();
        }
    }
}

/* Take the name away, as the first step of unregistering. */
static struct record* close_module(const char* text, char name[RECORD_NAME_MAX + 1])
{
    dmheap_word id = 0;
    assert_true(module_close(test_heap.ctx, text, name, &id));
    struct record* record = record_of(test_heap.ctx, id);
    assert_non_null(record);
    return record;
}

/* ---- references ------------------------------------------------------------------------------------ */

static void each_block_and_the_name_count_as_one_reference(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const void* blocks[10];
    const struct record* record = create("app");
    assert_int_equal(record->references, 1);
    for (unsigned i = 0; i < 10; i++) {
        blocks[i] = make_for(i * 9, "app");
        assert_int_equal(owner_of(blocks[i]), record->id);
        assert_int_equal(record->references, 2 + i);
        (void)heap_verify();
    }
    for (unsigned i = 0; i < 10; i++) {
        release(blocks[i]);
        assert_int_equal(record->references, 10 - i);
        (void)heap_verify();
    }
}

static void the_short_path_counts_references_too(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const char name[] = "app";
    const struct record* record = create(name);
    assert_null(module_alloc_hinted(test_heap.ctx, 10, name)); /* not found last */
    (void)record_find(test_heap.ctx, name);
    const struct dmheap_block* block = module_alloc_hinted(test_heap.ctx, 10, name);
    assert_non_null(block);
    assert_int_equal(block_owner(block), record->id);
    assert_int_equal(record->references, 2);
    assert_null(module_alloc_hinted(test_heap.ctx, 10, "unknown"));
    assert_null(module_alloc_hinted(test_heap.ctx, 100 * KIB, name));
    assert_int_equal(record->references, 2);
    (void)heap_verify();
}

static void a_failing_allocation_counts_no_reference(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    const struct record* record = create("app");
    assert_null(module_alloc(test_heap.ctx, 1, 100 * KIB, "app", &verdict));
    assert_null(module_alloc(test_heap.ctx, 64, 100 * KIB, "app", &verdict));
    assert_null(module_alloc(test_heap.ctx, 1, 100 * KIB, "unknown", &verdict));
    assert_int_equal(verdict, VERDICT_NO_MEMORY);
    assert_int_equal(record->references, 1);
    assert_int_equal(modules(), 1);
    (void)heap_verify();
}

static void a_newcomer_is_told_a_long_name_from_a_large_size(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    assert_null(module_alloc(test_heap.ctx, 1, 100 * KIB, long_name(63, 'x'), &verdict));
    assert_int_equal(verdict, VERDICT_NO_MEMORY);
    assert_null(module_alloc(test_heap.ctx, 1, 100 * KIB, long_name(64, 'x'), &verdict));
    assert_int_equal(verdict, VERDICT_BAD_NAME);
}

static void free_shortly(const void* ptr)
{
    dmheap_free((void*)(uintptr_t)ptr, false);
}

/* By the short path, too: the first of three blocks that are freed has the record hinted at. */
static void a_closed_module_lives_until_its_last_block_is_freed(void** state)
{
    (void)state;
    static void (*const ways[])(const void*) = {release, free_shortly};
    for (unsigned way = 0; way < COUNT_OF(ways); way++) {
        open_heap(8 * KIB);
        char name[RECORD_NAME_MAX + 1];
        const void* blocks[3];
        for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
            blocks[i] = make_for(10 + i, "app");
        }
        struct record* record = close_module("app", name);
        assert_string_equal(name, "app");
        assert_string_equal(record->name, "");
        assert_null(record_find(test_heap.ctx, "app"));
        record_drop(test_heap.ctx, record); /* as after a sweep that found nothing */
        for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
            (void)heap_verify();
            assert_int_equal(modules(), 1);
            ways[way](blocks[i]);
        }
        assert_true(heap_is_empty());
        arenas_release();
    }
}

static void the_name_of_a_closed_module_gets_another_id(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char name[RECORD_NAME_MAX + 1];
    const void* old = make_for(10, "app");
    struct record* record = close_module("app", name);
    const void* new = make_for(10, "app");
    assert_int_not_equal(owner_of(old), owner_of(new));
    struct heap_sweep sweep = {0};
    const dmheap_word id = record->id;
    while (module_sweep(test_heap.ctx, id, &sweep)) {
    }
    assert_false(live_is(test_heap.ctx, old));
    assert_true(live_is(test_heap.ctx, new));
    assert_int_equal(modules(), 1);
    (void)heap_verify();
}

static void closing_copies_a_name_that_stands_in_the_modules_memory(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char copy[RECORD_NAME_MAX + 1];
    char* own = (char*)make_for(RECORD_NAME_MAX + 1, long_name(RECORD_NAME_MAX, 'z'));
    (void)strcpy(own, long_name(RECORD_NAME_MAX, 'z'));
    struct record* record = close_module(own, copy);
    struct heap_sweep sweep = {0};
    const dmheap_word id = record->id;
    while (module_sweep(test_heap.ctx, id, &sweep)) {
    }
    assert_string_equal(copy, long_name(RECORD_NAME_MAX, 'z'));
    assert_true(heap_is_empty());
}

static void nobody_and_unknown_names_cannot_be_closed(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char name[RECORD_NAME_MAX + 1];
    dmheap_word id = 0;
    (void)create("app");
    assert_false(module_close(test_heap.ctx, NULL, name, &id));
    assert_false(module_close(test_heap.ctx, "", name, &id));
    assert_false(module_close(test_heap.ctx, "unknown", name, &id));
    assert_false(module_close(test_heap.ctx, long_name(64, 'x'), name, &id));
    assert_int_equal(modules(), 1);
}

static void a_module_without_blocks_is_swept_in_one_slice(void** state)
{
    (void)state;
    open_heap(256 * KIB);
    char name[RECORD_NAME_MAX + 1];
    const void* large = make_for(200 * KIB, NULL);
    (void)create("app");
    release(large); /* a stretch without live blocks in front of all */
    struct record* record = close_module("app", name);
    struct heap_sweep sweep = {0};
    assert_false(module_sweep(test_heap.ctx, record->id, &sweep));
    assert_true(heap_is_empty());
}

static void only_a_closed_module_is_swept(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char name[RECORD_NAME_MAX + 1];
    struct heap_sweep sweep = {0};
    (void)make_for(20, "app");
    struct record* record = record_find(test_heap.ctx, "app");
    snapshot_take();
    assert_false(module_sweep(test_heap.ctx, record->id + 1, &sweep)); /* no module's id */
    assert_false(module_sweep(test_heap.ctx, record->id, &sweep));     /* not closed */
    assert_true(snapshot_is_same());
    (void)close_module("app", name);
    record->references = 0; /* written over */
    snapshot_take();
    assert_false(module_sweep(test_heap.ctx, record->id, &sweep));
    assert_true(snapshot_is_same());
}

static void what_a_module_took_its_leaving_returns(void** state)
{
    (void)state;
    open_heap(32 * KIB);
    for (unsigned others = 0; others < 40; others++) {
        const struct heap_state before = state_now();
        for (unsigned i = 0; i < 30; i++) {
            (void)make_for(i * 5, "visitor");
        }
        (void)heap_verify();
        forget("visitor");
        expect_state(&before);
        (void)create(numbered_name(others));
    }
}

static void a_forgotten_module_is_not_found_by_its_pointer(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const char name[] = "app";
    (void)make_for(10, name);
    (void)create("other");
    assert_non_null(record_find(test_heap.ctx, name));
    forget(name);
    assert_null(record_find_hinted(test_heap.ctx, name));
    assert_null(record_find(test_heap.ctx, name));
    assert_null(module_alloc_hinted(test_heap.ctx, 10, name));
    (void)heap_verify();
}

/* ---- free -------------------------------------------------------------------------------------------- */

/* Before any module was found by its name, and after. */
static void a_block_whose_owner_was_written_over_is_refused(void** state)
{
    (void)state;
    for (unsigned with_module = 0; with_module < 2; with_module++) {
        open_heap(8 * KIB);
        void* ptr = dmheap_malloc(20, NULL);
        assert_non_null(dmheap_malloc(10, with_module != 0 ? "app" : NULL));
        for (dmheap_word owner = 0; owner < OWNER_COUNT; owner++) {
            if (owner == OWNER_NOBODY || record_of(test_heap.ctx, owner) != NULL) {
                continue;
            }
            block_set_owner(block_of(ptr), owner);
            snapshot_take();
            dmheap_free(ptr, true);
            assert_true(snapshot_is_same());
            expect_error();
        }
        block_set_owner(block_of(ptr), OWNER_NOBODY);
        dmheap_free(ptr, true);
        expect_silence();
        (void)heap_verify();
        arenas_release();
    }
}

static void the_heaps_own_blocks_cannot_be_freed_resized_or_handed_on(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    create_many(FIRST_GROUP + 1);
    const void* own[] = {record_group(test_heap.ctx, 0), record_group(test_heap.ctx, 1),
                         record_find(test_heap.ctx, numbered_name(0))};
    const struct heap_state before = state_now();
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        struct module_move move;
        assert_int_equal(module_free(test_heap.ctx, own[i]), VERDICT_BAD_POINTER);
        assert_int_equal(resize(own[i], 4, &move), VERDICT_BAD_POINTER);
        assert_int_equal(module_retag(test_heap.ctx, own[i], "x"), VERDICT_BAD_POINTER);
    }
    expect_state(&before);
}

static void a_block_whose_owner_no_module_has_is_damaged(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    unsigned char* ptr = make_for(10, "app");
    (void)make_for(10, NULL);
    const dmheap_word right = owner_of(ptr);
    for (dmheap_word owner = 0; owner < OWNER_COUNT; owner++) {
        if (owner == OWNER_HEAP || owner == OWNER_NOBODY || owner == right) {
            continue;
        }
        struct module_move move;
        block_set_owner(block_of(ptr), owner);
        snapshot_take();
        assert_int_equal(module_free(test_heap.ctx, ptr), VERDICT_DAMAGED);
        assert_int_equal(resize(ptr, 100, &move), VERDICT_DAMAGED);
        assert_int_equal(module_retag(test_heap.ctx, ptr, "x"), VERDICT_DAMAGED);
        assert_true(snapshot_is_same());
    }
    block_set_owner(block_of(ptr), right);
    (void)heap_verify();
    release(ptr);
}

static void a_damaged_block_stays_live_and_keeps_its_reference(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    static const char* const names[] = {NULL, "app"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        unsigned char* ptr = make_for(10, names[i]);
        (void)make_for(10, NULL);
        const struct heap_state before = state_now();
        block_of(ptr)->header += GRANULE;
        assert_int_equal(module_free(test_heap.ctx, ptr), VERDICT_DAMAGED);
        assert_int_equal(module_free(test_heap.ctx, ptr), VERDICT_DAMAGED);
        block_of(ptr)->header -= GRANULE;
        expect_state(&before);
        release(ptr);
    }
}

static void addresses_that_are_no_block_are_bad_pointers(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    const unsigned char* ptr = make_for(40, "app");
    for (size_t i = 1; i < 40; i++) {
        struct module_move move;
        assert_int_equal(module_free(test_heap.ctx, ptr + i), VERDICT_BAD_POINTER);
        assert_int_equal(resize(ptr + i, 4, &move), VERDICT_BAD_POINTER);
        assert_int_equal(module_retag(test_heap.ctx, ptr + i, "x"), VERDICT_BAD_POINTER);
    }
    release(ptr);
    assert_int_equal(module_free(test_heap.ctx, ptr), VERDICT_BAD_POINTER);
}

/* ---- retag --------------------------------------------------------------------------------------------- */

static void a_block_is_handed_from_any_owner_to_any_other(void** state)
{
    (void)state;
    static const char* const names[] = {NULL, "app", "web", "new", ""};
    for (size_t from = 0; from < 3; from++) {
        for (size_t to = 0; to < COUNT_OF(names); to++) {
            open_heap(8 * KIB);
            (void)create("app");
            (void)create("web");
            const void* ptr = make_for(30, names[from]);
            assert_int_equal(module_retag(test_heap.ctx, ptr, names[to]), VERDICT_OK);
            assert_string_equal(heap_owner_name(ptr), names[to] != NULL ? names[to] : "");
            assert_int_equal(modules(), to == 3 ? 3 : 2);
            (void)heap_verify();
            release(ptr);
            arenas_release();
        }
    }
}

static void handing_on_the_last_block_ends_a_closed_module(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char name[RECORD_NAME_MAX + 1];
    const void* ptr = make_for(30, "app");
    (void)create("web");
    record_drop(test_heap.ctx, close_module("app", name));
    assert_int_equal(modules(), 2);
    const enum dmheap_verdict verdict = module_retag(test_heap.ctx, ptr, "web");
    if (DMHEAP_POISON) { /* what the block has may be gone already */
        assert_int_equal(verdict, VERDICT_GONE);
        assert_int_equal(modules(), 2);
        release(ptr);
    } else {
        assert_int_equal(verdict, VERDICT_OK);
    }
    assert_int_equal(modules(), 1);
    (void)heap_verify();
    forget("web");
    assert_true(heap_is_empty());
}

static void a_retag_that_fails_changes_nothing(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const void* ptr = make_for(30, "app");
    leave(0);
    const struct heap_state before = state_now();
    assert_int_equal(module_retag(test_heap.ctx, ptr, "new"), VERDICT_NO_MEMORY);
    assert_int_equal(module_retag(test_heap.ctx, ptr, long_name(64, 'x')), VERDICT_BAD_NAME);
    assert_int_equal(module_retag(test_heap.ctx, NULL, "app"), VERDICT_BAD_POINTER);
    expect_state(&before);
    assert_string_equal(heap_owner_name(ptr), "app");
}

/* ---- rename ----------------------------------------------------------------------------------------------- */

static void a_renamed_module_keeps_its_id_blocks_and_references(void** state)
{
    (void)state;
    for (size_t length = 1; length <= RECORD_NAME_MAX; length++) {
        open_heap(8 * KIB);
        const void* ptr = make_for(10, "a module of a middling name");
        const dmheap_word id = owner_of(ptr);
        const char* name = long_name(length, 'x');
        assert_int_equal(module_rename(test_heap.ctx, "a module of a middling name", name),
                         VERDICT_OK);
        assert_null(record_find(test_heap.ctx, "a module of a middling name"));
        assert_int_equal(record_find(test_heap.ctx, name)->id, id);
        assert_string_equal(heap_owner_name(ptr), name);
        assert_int_equal(modules(), 1);
        (void)heap_verify();
        forget(name);
        assert_true(heap_is_empty());
        arenas_release();
    }
}

static void a_module_may_be_renamed_to_its_own_name(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    (void)make_for(10, "app");
    const struct heap_state before = state_now();
    char copy[] = "app";
    assert_int_equal(module_rename(test_heap.ctx, "app", copy), VERDICT_OK);
    expect_state(&before);
}

static void a_rename_that_fails_changes_nothing(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    (void)make_for(10, "app");
    (void)make_for(10, "web");
    leave(0);
    struct dmheap_ctx* ctx = test_heap.ctx;
    const struct heap_state before = state_now();
    assert_int_equal(module_rename(ctx, "app", "web"), VERDICT_NAME_TAKEN);
    assert_int_equal(module_rename(ctx, "app", "new"), VERDICT_NO_MEMORY);
    assert_int_equal(module_rename(ctx, "app", NULL), VERDICT_BAD_NAME);
    assert_int_equal(module_rename(ctx, "app", ""), VERDICT_BAD_NAME);
    assert_int_equal(module_rename(ctx, "app", long_name(64, 'x')), VERDICT_BAD_NAME);
    assert_int_equal(module_rename(ctx, "unknown", "new"), VERDICT_NO_MODULE);
    assert_int_equal(module_rename(ctx, NULL, "new"), VERDICT_NO_MODULE);
    assert_int_equal(module_rename(ctx, "", "new"), VERDICT_NO_MODULE);
    assert_int_equal(module_rename(ctx, long_name(64, 'x'), "new"), VERDICT_NO_MODULE);
    expect_state(&before);
    assert_non_null(record_find(ctx, "app"));
    assert_non_null(record_find(ctx, "web"));
}

static void a_renamed_module_is_not_found_by_the_old_pointer(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const char old_name[] = "app";
    const struct record* other = NULL;
    (void)create(old_name);
    (void)record_find(test_heap.ctx, old_name);
    assert_int_equal(module_rename(test_heap.ctx, old_name, "new"), VERDICT_OK);
    assert_null(record_find_hinted(test_heap.ctx, old_name));
    other = create(old_name);
    assert_ptr_equal(record_find(test_heap.ctx, old_name), other);
    (void)heap_verify();
}

/* ---- moves -------------------------------------------------------------------------------------------------- */

/* A block of `name` that cannot grow where it stands. */
static unsigned char* make_stuck(const char* name)
{
    unsigned char* ptr = make_for(40, name);
    (void)make_for(10, NULL);
    return ptr;
}

static void a_move_ends_with_the_new_place_in_the_owners_hands(void** state)
{
    (void)state;
    static const char* const names[] = {NULL, "app"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        open_heap(8 * KIB);
        const unsigned char* ptr = make_stuck(names[i]);
        const dmheap_word owner = owner_of(ptr);
        const size_t blocks = heap_client_blocks();
        struct module_move move;
        assert_int_equal(resize(ptr, 400, &move), VERDICT_MUST_MOVE);
        assert_ptr_equal(block_payload(move.from), ptr);
        assert_true(move.bytes >= 40 && move.bytes <= block_capacity(move.to));
        assert_int_equal(finish_move(&move), VERDICT_OK);
        assert_false(live_is(test_heap.ctx, ptr));
        assert_int_equal(block_owner(move.to), owner);
        assert_true(block_capacity(move.to) >= 400);
        assert_int_equal(heap_client_blocks(), blocks);
        arenas_release();
    }
}

static void both_places_belong_to_the_heap_during_a_move(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    unsigned char* ptr = make_stuck("app");
    struct module_move move;
    struct module_move second;
    assert_int_equal(resize(ptr, 400, &move), VERDICT_MUST_MOVE);
    const void* places[] = {block_payload(move.from), block_payload(move.to)};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        assert_int_equal(module_free(test_heap.ctx, places[i]), VERDICT_BAD_POINTER);
        assert_int_equal(resize(places[i], 4, &second), VERDICT_BAD_POINTER);
        assert_int_equal(module_retag(test_heap.ctx, places[i], "web"), VERDICT_BAD_POINTER);
    }
    assert_int_equal(finish_move(&move), VERDICT_OK);
    (void)heap_verify();
}

static void of_two_moves_of_a_module_that_went_each_ends_alone(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const unsigned char* ptr[] = {make_stuck("app"), make_stuck("app")};
    struct module_move move[COUNT_OF(ptr)];
    for (size_t i = 0; i < COUNT_OF(ptr); i++) {
        assert_int_equal(resize(ptr[i], 400, &move[i]), VERDICT_MUST_MOVE);
    }
    forget("app");
    assert_int_equal(finish_move(&move[0]), VERDICT_GONE);
    assert_int_equal(modules(), 1);
    if (DMHEAP_ACCOUNTING) {
        struct record* record = module_of(test_heap.ctx, move[1].owner);
        const struct dmheap_holding* left = record_holding(test_heap.ctx, record);
        assert_int_equal(left->blocks, 2);
        assert_int_equal(left->bytes, block_size(move[1].from) + block_size(move[1].to));
    }
    assert_int_equal(finish_move(&move[1]), VERDICT_GONE);
    assert_int_equal(modules(), 0);
    (void)heap_verify();
}

/* Its size was written over and ends where free memory has the tags of a free block. */
static void a_block_does_not_move_into_itself(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const unsigned char* ptr = make_for(100, NULL);
    const unsigned char* hole = make_for(1000, NULL);
    (void)make_for(10, NULL);
    while (heap_largest(test_heap.ctx) >= 600) {
        (void)make_for(600, NULL);
    }
    assert_int_equal(heap_free(test_heap.ctx, hole), VERDICT_OK);
    struct dmheap_block* block = block_of(ptr);
    const unsigned more = 64;
    block_tag_free(block_at(block_of(hole), more), 128);
    block->header += more;
    struct module_move move;
    assert_int_equal(resize(ptr, 600, &move), VERDICT_DAMAGED);
    block->header -= more;
    assert_true(live_is(test_heap.ctx, ptr));
    assert_int_equal(heap_largest(test_heap.ctx),
                     block_size(block_of(hole)) - BLOCK_OVERHEAD_BYTES);
}

static void a_move_keeps_the_alignment(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    (void)create("app"); /* so that no record lies behind the block, or in the gap in front */
    const struct dmheap_block* block = module_alloc(test_heap.ctx, 256, 40, "app", &verdict);
    const struct dmheap_block* wall = module_alloc(test_heap.ctx, 1, 300, NULL, &verdict);
    assert_ptr_equal(block_next(block), wall);
    struct module_move move;
    assert_int_equal(resize(block_payload(block), 400, &move), VERDICT_MUST_MOVE);
    assert_int_equal(finish_move(&move), VERDICT_OK);
    assert_true(is_aligned(block_payload(move.to), 256));
    assert_int_equal(heap_alignment(test_heap.ctx, move.to), 256);
    (void)heap_verify();
}

static void a_move_without_a_place_to_go_changes_nothing(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const unsigned char* ptr = make_stuck("app");
    const struct heap_state before = state_now();
    struct module_move move;
    assert_int_equal(resize(ptr, 7 * KIB + 500, &move), VERDICT_NO_MEMORY);
    assert_int_equal(resize(ptr, SIZE_MAX, &move), VERDICT_NO_MEMORY);
    expect_state(&before);
    assert_string_equal(heap_owner_name(ptr), "app");
}

static void a_move_whose_owner_went_meanwhile_frees_both_places(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const void* others[3];
    const unsigned char* ptr = make_stuck("app");
    for (unsigned i = 0; i < 3; i++) {
        others[i] = make_for(20, "app");
    }
    struct module_move move;
    assert_int_equal(resize(ptr, 400, &move), VERDICT_MUST_MOVE);
    forget("app");
    for (unsigned i = 0; i < 3; i++) {
        assert_false(live_is(test_heap.ctx, others[i]));
    }
    assert_true(live_is(test_heap.ctx, ptr));
    assert_int_equal(modules(), 1);
    const void* namesake = make_for(10, "app");
    assert_int_equal(finish_move(&move), VERDICT_GONE);
    assert_false(live_is(test_heap.ctx, ptr));
    assert_false(live_is(test_heap.ctx, block_payload(move.to)));
    assert_true(live_is(test_heap.ctx, namesake));
    assert_int_equal(modules(), 1);
    (void)heap_verify();
}

static void a_new_place_that_was_written_over_stays_though_its_owner_went(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const unsigned char* ptr = make_stuck("app");
    struct module_move move;
    assert_int_equal(resize(ptr, 400, &move), VERDICT_MUST_MOVE);
    forget("app");
    heap_overrun(move.to);
    assert_int_equal(finish_move(&move), VERDICT_GONE);
    assert_false(live_is(test_heap.ctx, ptr));
    assert_true(live_is(test_heap.ctx, block_payload(move.to)));
    assert_int_equal(block_owner(move.to), OWNER_HEAP);
    assert_int_equal(modules(), 0);
    heap_overrun(move.to);
    assert_int_equal(heap_free(test_heap.ctx, block_payload(move.to)), VERDICT_OK);
}

static void an_old_place_written_over_while_it_is_copied_stays_its_owners_too(void** state)
{
    (void)state;
    static const char* const names[] = {NULL, "app"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        open_heap(8 * KIB);
        (void)create("app");
        const unsigned char* ptr = make_stuck(names[i]);
        const dmheap_word owner = owner_of(ptr);
        struct module_move move;
        assert_int_equal(resize(ptr, 400, &move), VERDICT_MUST_MOVE);
        heap_overrun(move.from);
        assert_int_equal(finish_move(&move), VERDICT_DAMAGED);
        heap_overrun(move.from);
        heap_seal(test_heap.ctx, move.from);
        assert_int_equal(owner_of(ptr), owner);
        assert_int_equal(block_owner(move.to), owner);
        (void)heap_verify();
        release(ptr);
        release(block_payload(move.to));
        (void)heap_verify();
        arenas_release();
    }
}

static void an_alignment_written_over_is_damage_whatever_the_size(void** state)
{
    (void)state;
    static const size_t sizes[] = {10, SIZE_MAX};
    open_heap(8 * KIB);
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    struct dmheap_block* block = module_alloc(test_heap.ctx, 64, 40, NULL, &verdict);
    *heap_alignment_byte(test_heap.ctx, block) = 0xFF;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        assert_int_equal(module_realign(test_heap.ctx, block_payload(block), 128, sizes[i]),
                         VERDICT_DAMAGED);
    }
}

static void a_block_written_over_while_it_is_filled_stays_its_owners(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const unsigned char* ptr = make_stuck("app");
    const dmheap_word owner = owner_of(ptr);
    struct module_move move;
    assert_int_equal(module_begin_fill(test_heap.ctx, ptr, &move), VERDICT_OK);
    assert_int_equal(owner_of(ptr), OWNER_HEAP);
    heap_overrun(move.from);
    assert_int_equal(module_finish_fill(test_heap.ctx, &move), VERDICT_DAMAGED);
    assert_int_equal(owner_of(ptr), owner);
    assert_true(live_is(test_heap.ctx, ptr));
    heap_overrun(move.from);
    heap_seal(test_heap.ctx, move.from);
    (void)heap_verify();
    assert_int_equal(module_begin_fill(test_heap.ctx, ptr, &move), VERDICT_OK);
    assert_int_equal(module_finish_fill(test_heap.ctx, &move), VERDICT_OK);
    assert_false(live_is(test_heap.ctx, ptr));
    (void)heap_verify();
}

/* Of all sizes, also the least, whose payloads may begin at each granule. */
static void each_block_of_a_closed_module_is_taken_to_be_filled_once(void** state)
{
    (void)state;
    enum { BLOCKS = 40 };
    char name[RECORD_NAME_MAX + 1];
    heap_open(16 * KIB, DMHEAP_GRANULE_MAX);
    for (unsigned i = 0; i < BLOCKS; i++) {
        (void)make_for(i % 4 == 0 ? i * 5 : 0, "app");
        (void)make_for(0, i % 3 == 0 ? NULL : "web");
    }
    const struct record* record = close_module("app", name);
    struct module_move move = {NULL, NULL, OWNER_NOBODY, 0};
    struct heap_sweep sweep = {0, module_count(test_heap.ctx, record->id), false, false};
    const struct dmheap_block* last = NULL;
    unsigned count = 0;
    while (module_fill_next(test_heap.ctx, record->id, &sweep, &move)) {
        assert_true(last == NULL || block_owner(last) == record->id);
        last = move.from;
        assert_true(last == NULL || block_owner(last) == OWNER_HEAP);
        count += last != NULL;
    }
    assert_int_equal(count, BLOCKS);
    assert_int_equal(sweep.left, 0);
}

static void a_step_looks_for_what_to_fill_at_few_blocks(void** state)
{
    (void)state;
    const unsigned most = HEAP_SWEEP_BUDGET / HEAP_SWEEP_LOOK + 1;
    const void* others[2 * (HEAP_SWEEP_BUDGET / HEAP_SWEEP_LOOK + 1)];
    char name[RECORD_NAME_MAX + 1];
    open_heap(16 * KIB);
    const void* first = make_for(0, "app");
    for (unsigned i = 0; i < COUNT_OF(others); i++) {
        others[i] = make_for(0, NULL);
    }
    (void)make_for(0, "app");
    const struct record* record = close_module("app", name);
    struct module_move move = {NULL, NULL, OWNER_NOBODY, 0};
    struct heap_sweep sweep = {0, 2, false, false};
    assert_true(module_fill_next(test_heap.ctx, record->id, &sweep, &move));
    assert_ptr_equal(block_payload(move.from), first);
    assert_true(module_fill_next(test_heap.ctx, record->id, &sweep, &move));
    assert_null(move.from);
    assert_true(sweep.index <= live_index(test_heap.ctx, others[most]));
}

/* What stands in front of the heap looks like a block of the module that ends at the first one. */
static void nothing_in_front_of_the_first_block_is_filled(void** state)
{
    (void)state;
    char name[RECORD_NAME_MAX + 1];
    assert_true(heap_start(arena_make(4 * KIB, 4), 4 * KIB, 8));
    expect_info();
    const void* ptr = make_for(0, "app");
    struct record* record = close_module("app", name);
    struct dmheap_block* front = block_of(test_heap.ctx);
    front->header = block_tags(record->id) | (test_heap.ctx->first + DMHEAP_WORD_BYTES);
    live_set(test_heap.ctx, 0);
    struct module_move move = {NULL, NULL, OWNER_NOBODY, 0};
    struct heap_sweep sweep = {0, 1, false, false};
    assert_true(module_fill_next(test_heap.ctx, record->id, &sweep, &move));
    assert_ptr_equal(block_payload(move.from), ptr);
}

static void what_is_no_module_has_no_blocks_and_gets_none(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    (void)make_for(10, "app");
    const struct record* record = record_find(test_heap.ctx, "app");
    const dmheap_word id = record->id;
    assert_int_equal(module_count(test_heap.ctx, id), 1);
    assert_int_equal(module_count(test_heap.ctx, id + 1), 0);
    assert_null(module_alloc_handled(test_heap.ctx, 10, (uint32_t)id, record->serial + 2));
    assert_null(module_alloc_handled(test_heap.ctx, 10, (uint32_t)id + 1, record->serial));
    assert_int_equal(module_count(test_heap.ctx, id), 1);
    (void)heap_verify();
}

static void a_module_whose_references_were_written_over_has_no_blocks(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    (void)make_for(10, "app");
    struct record* record = record_find(test_heap.ctx, "app");
    assert_int_equal(module_blocks(record), 1);
    record->references = 0;
    assert_int_equal(module_blocks(record), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        heap_case(what_a_module_took_its_leaving_returns),
        heap_case(a_forgotten_module_is_not_found_by_its_pointer),
        heap_case(a_first_module_is_made_as_a_whole_or_not_at_all),
        heap_case(a_module_of_a_new_group_is_made_as_a_whole_or_not_at_all),
        heap_case(one_more_module_is_made_as_a_whole_or_not_at_all),
        heap_case(creation_from_holes_gives_all_of_them_back),
        heap_case(each_block_and_the_name_count_as_one_reference),
        heap_case_if(RECORD_HINTS, the_short_path_counts_references_too),
        heap_case(a_failing_allocation_counts_no_reference),
        heap_case(a_newcomer_is_told_a_long_name_from_a_large_size),
        heap_case(a_closed_module_lives_until_its_last_block_is_freed),
        heap_case(the_name_of_a_closed_module_gets_another_id),
        heap_case(closing_copies_a_name_that_stands_in_the_modules_memory),
        heap_case(nobody_and_unknown_names_cannot_be_closed),
        heap_case(a_module_without_blocks_is_swept_in_one_slice),
        heap_case(only_a_closed_module_is_swept),
        heap_case(a_block_whose_owner_was_written_over_is_refused),
        heap_case(the_heaps_own_blocks_cannot_be_freed_resized_or_handed_on),
        heap_case(a_block_whose_owner_no_module_has_is_damaged),
        heap_case(a_damaged_block_stays_live_and_keeps_its_reference),
        heap_case(addresses_that_are_no_block_are_bad_pointers),
        heap_case(a_block_is_handed_from_any_owner_to_any_other),
        heap_case(handing_on_the_last_block_ends_a_closed_module),
        heap_case(a_retag_that_fails_changes_nothing),
        heap_case(a_renamed_module_keeps_its_id_blocks_and_references),
        heap_case(a_module_may_be_renamed_to_its_own_name),
        heap_case(a_rename_that_fails_changes_nothing),
        heap_case(a_renamed_module_is_not_found_by_the_old_pointer),
        heap_case(a_move_ends_with_the_new_place_in_the_owners_hands),
        heap_case(both_places_belong_to_the_heap_during_a_move),
        heap_case(of_two_moves_of_a_module_that_went_each_ends_alone),
        heap_case(a_block_does_not_move_into_itself),
        heap_case(a_move_keeps_the_alignment),
        heap_case(a_move_without_a_place_to_go_changes_nothing),
        heap_case(a_move_whose_owner_went_meanwhile_frees_both_places),
        heap_case(a_new_place_that_was_written_over_stays_though_its_owner_went),
        heap_case(an_old_place_written_over_while_it_is_copied_stays_its_owners_too),
        heap_case(an_alignment_written_over_is_damage_whatever_the_size),
        heap_case(a_block_written_over_while_it_is_filled_stays_its_owners),
        heap_case(each_block_of_a_closed_module_is_taken_to_be_filled_once),
        heap_case(a_step_looks_for_what_to_fill_at_few_blocks),
        heap_case_if(HAS_NARROW_WORDS && !DMHEAP_CANARY,
                     nothing_in_front_of_the_first_block_is_filled),
        heap_case(what_is_no_module_has_no_blocks_and_gets_none),
        heap_case(a_module_whose_references_were_written_over_has_no_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
