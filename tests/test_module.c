/* SPDX-License-Identifier: MIT */
/*
 * The module layer: ids, names, references, and everything given back in the end.
 *
 * After each step the whole heap is proven. Where something fails or is undone, the census and
 * the untouched end are compared with what they were.
 */
#include "heap_test.h"

#define GRANULE     ((dmheap_word)DMHEAP_GRANULE_MIN)
#define IDS_TO_GIVE ((unsigned)(MODULE_IDS - OWNER_MODULES))
#define FIRST_GROUP (MODULE_GROUP - (unsigned)OWNER_MODULES) /* modules that fit in group 0 */

/* ---- helpers ---------------------------------------------------------------------------- */

static void open_heap(size_t size)
{
    heap_open(size, DMHEAP_GRANULE_MIN);
}

static struct module_record* create(const char* name)
{
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    struct module_record* record = module_create(test_heap.ctx, name, &verdict);
    assert_non_null(record);
    assert_int_equal(verdict, VERDICT_NO_MEMORY);
    return record;
}

static void create_many(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        (void)create(numbered_name(i));
    }
}

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
    char copy[MODULE_NAME_MAX + 1];
    struct heap_sweep sweep = {0};
    struct module_record* record = module_close(test_heap.ctx, name, copy);
    assert_non_null(record);
    while (module_sweep(test_heap.ctx, record, &sweep)) {
    }
    assert_false(sweep.damaged);
}

static dmheap_word owner_of(const void* ptr)
{
    return block_owner(block_of(ptr));
}

static unsigned modules(void)
{
    return test_heap.ctx->modules == 0 ? 0 : module_table(test_heap.ctx)->modules;
}

/* What must be as before: how much of everything there is. */
struct state {
    struct heap_census census;
    dmheap_word top;
    unsigned modules;
};

static struct state state_now(void)
{
    struct state now;
    memset(&now, 0, sizeof(now));
    now.census = heap_verify();
    now.top = test_heap.ctx->top;
    now.modules = modules();
    return now;
}

static void expect_state(const struct state* before)
{
    const struct state now = state_now();
    assert_memory_equal(&now.census, &before->census, sizeof(now.census));
    assert_int_equal(now.top, before->top);
    assert_int_equal(now.modules, before->modules);
}

/* Leave `bytes` of the untouched end. */
static void leave(dmheap_word bytes)
{
    const dmheap_word all = test_heap.ctx->end - test_heap.ctx->top;
    assert_non_null(heap_take_top(test_heap.ctx, all - bytes, 1, OWNER_NOBODY));
}

/* ---- ids -------------------------------------------------------------------------------- */

static void groups_tile_all_ids(void** state)
{
    (void)state;
    dmheap_word id = 0;
    for (unsigned group = 0; group < MODULE_GROUPS; group++) {
        assert_int_equal(module_group_first(group), id);
        for (dmheap_word i = 0; i < MODULE_GROUP << group; i++, id++) {
            assert_int_equal(module_group_of(id), group);
        }
    }
    assert_int_equal(id, MODULE_IDS);
    for (; id < OWNER_COUNT; id++) {
        assert_true(module_group_of(id) >= MODULE_GROUPS);
    }
}

static void there_are_245_ids_or_4085(void** state)
{
    (void)state;
    assert_int_equal(IDS_TO_GIVE, HAS_NARROW_WORDS ? 245 : 4085);
}

static void an_id_without_module_has_no_record(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    for (dmheap_word id = OWNER_MODULES; id < OWNER_COUNT; id++) {
        assert_null(module_of(test_heap.ctx, id));
    }
    const struct module_record* record = create("app");
    for (dmheap_word id = OWNER_MODULES; id < OWNER_COUNT; id++) {
        assert_ptr_equal(module_of(test_heap.ctx, id), id == record->id ? record : NULL);
    }
}

static void all_ids_are_given_once_and_then_there_is_none(void** state)
{
    (void)state;
    static bool given[4096];
    memset(given, 0, sizeof(given));
    open_heap(1 * MIB);
    for (unsigned i = 0; i < IDS_TO_GIVE; i++) {
        const struct module_record* record = create(numbered_name(i));
        assert_in_range(record->id, OWNER_MODULES, OWNER_COUNT - 1);
        assert_false(given[record->id]);
        given[record->id] = true;
        assert_ptr_equal(module_of(test_heap.ctx, record->id), record);
    }
    const struct state before = state_now();
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    assert_null(module_create(test_heap.ctx, "one too many", &verdict));
    assert_int_equal(verdict, VERDICT_NO_ID);
    verdict = VERDICT_NO_MEMORY;
    assert_null(module_alloc(test_heap.ctx, 1, 10, "one too many", &verdict));
    assert_int_equal(verdict, VERDICT_NO_ID);
    expect_state(&before);

    const dmheap_word id = module_find(test_heap.ctx, "module#100")->id;
    forget("module#100");
    assert_int_equal(create("one too many")->id, id);
    assert_int_equal(modules(), IDS_TO_GIVE);
}

static void a_returned_id_is_given_again_and_never_one_in_use(void** state)
{
    (void)state;
    enum { MODULES = 60 };
    open_heap(32 * KIB);
    create_many(MODULES);
    unsigned random = 1;
    for (unsigned step = 0; step < 300; step++) {
        random = random * 1103515245U + 12345U;
        char name[32];
        (void)strcpy(name, numbered_name(random / 65536 % MODULES));
        const dmheap_word id = module_find(test_heap.ctx, name)->id;
        const dmheap_word before = test_heap.ctx->top;
        forget(name);
        assert_null(module_of(test_heap.ctx, id));
        assert_int_equal(create(name)->id, id);
        assert_int_equal(test_heap.ctx->top, before);
        (void)heap_verify();
    }
}

/* Ids return to several groups at once, so that each group's chain of spare ones gets long. */
static void many_returned_ids_are_all_given_again(void** state)
{
    (void)state;
    enum { MODULES = 100 };
    open_heap(64 * KIB);
    create_many(MODULES);
    for (unsigned every = 2; every < 7; every++) {
        for (unsigned i = 0; i < MODULES; i += every) {
            forget(numbered_name(i));
        }
        (void)heap_verify();
        for (unsigned i = 0; i < MODULES; i += every) {
            (void)create(numbered_name(i));
        }
        (void)heap_verify();
        assert_int_equal(modules(), MODULES);
    }
}

/* ---- table, groups and records -------------------------------------------------------------- */

static unsigned nth(unsigned order, unsigned i, unsigned count)
{
    switch (order) {
    case 0:
        return i;
    case 1:
        return count - 1 - i;
    default:
        return (i * 7 + order) % count; /* count is no multiple of 7 */
    }
}

static void modules_forgotten_in_any_order_leave_an_empty_heap(void** state)
{
    (void)state;
    for (unsigned count = 1; count <= 120; count += count < 40 ? 1 : 13) {
        for (unsigned order = 0; order < 4 && (order < 2 || count % 7 != 0); order++) {
            open_heap(32 * KIB);
            create_many(count);
            for (unsigned i = 0; i < count; i++) {
                forget(numbered_name(nth(order, i, count)));
                (void)heap_verify();
            }
            assert_true(heap_is_empty());
            assert_int_equal(test_heap.ctx->modules, 0);
            arenas_release();
        }
    }
}

static void a_group_is_made_with_its_first_module_and_given_back_with_its_last(void** state)
{
    (void)state;
    open_heap(16 * KIB);
    create_many(FIRST_GROUP);
    assert_int_equal(module_table(test_heap.ctx)->group[1], 0);
    const struct state before = state_now();
    (void)create("a");
    assert_int_not_equal(module_table(test_heap.ctx)->group[1], 0);
    (void)create("b");
    forget("a");
    assert_int_not_equal(module_table(test_heap.ctx)->group[1], 0);
    forget("b");
    assert_int_equal(module_table(test_heap.ctx)->group[1], 0);
    expect_state(&before);
}

static void what_a_module_took_its_leaving_returns(void** state)
{
    (void)state;
    open_heap(32 * KIB);
    for (unsigned others = 0; others < 40; others++) {
        const struct state before = state_now();
        for (unsigned i = 0; i < 30; i++) {
            (void)make_for(i * 5, "visitor");
        }
        (void)heap_verify();
        forget("visitor");
        expect_state(&before);
        (void)create(numbered_name(others));
    }
}

/* ---- names ------------------------------------------------------------------------------------ */

static void a_name_is_measured_up_to_one_more_than_the_longest(void** state)
{
    (void)state;
    for (size_t length = 1; length < 120; length++) {
        const struct module_name name = module_measure(long_name(length, 'x'));
        assert_int_equal(name.length, length <= MODULE_NAME_MAX ? length : MODULE_NAME_MAX + 1);
        assert_true(name.bucket < MODULE_BUCKETS);
    }
}

static void the_bucket_depends_on_the_text_alone(void** state)
{
    (void)state;
    unsigned in_bucket[MODULE_BUCKETS] = {0};
    for (unsigned i = 0; i < 1600; i++) {
        char copy[32];
        (void)strcpy(copy, numbered_name(i));
        const unsigned bucket = module_measure(copy).bucket;
        assert_int_equal(module_measure(numbered_name(i)).bucket, bucket);
        in_bucket[bucket]++;
    }
    for (unsigned bucket = 0; bucket < MODULE_BUCKETS; bucket++) {
        assert_in_range(in_bucket[bucket], 25, 400); /* 100 each on average */
    }
}

static void names_of_1_to_63_characters_are_compared_to_their_last(void** state)
{
    (void)state;
    open_heap(32 * KIB);
    for (size_t length = 1; length <= MODULE_NAME_MAX; length++) {
        const struct module_record* one = create(long_name(length, 'a'));
        const struct module_record* other = create(long_name(length, 'b'));
        assert_ptr_equal(module_find(test_heap.ctx, long_name(length, 'a')), one);
        assert_ptr_equal(module_find(test_heap.ctx, long_name(length, 'b')), other);
        assert_string_equal(one->name, long_name(length, 'a'));
    }
    (void)heap_verify();
}

static void a_longer_name_is_refused_and_nothing_changes(void** state)
{
    (void)state;
    for (unsigned known = 0; known < 2; known++) {
        open_heap(8 * KIB);
        create_many(known);
        const struct state before = state_now();
        for (size_t length = MODULE_NAME_MAX + 1; length < 120; length++) {
            enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
            const char* name = long_name(length, 'x');
            assert_null(module_create(test_heap.ctx, name, &verdict));
            assert_int_equal(verdict, VERDICT_BAD_NAME);
            assert_null(module_find(test_heap.ctx, name));
            verdict = VERDICT_NO_MEMORY;
            assert_null(module_alloc(test_heap.ctx, 1, 10, name, &verdict));
            assert_int_equal(verdict, VERDICT_BAD_NAME);
        }
        expect_state(&before);
        arenas_release();
    }
}

static void nobody_is_null_or_empty(void** state)
{
    (void)state;
    assert_true(module_is_nobody(NULL));
    assert_true(module_is_nobody(""));
    assert_false(module_is_nobody("x"));
}

/* Names of one and the same bucket. */
#define SAME_BUCKET 5U

static void names_of_one_bucket(char names[SAME_BUCKET][32])
{
    unsigned found = 0;
    for (unsigned i = 0; found < SAME_BUCKET; i++) {
        if (module_measure(numbered_name(i)).bucket == 3) {
            (void)strcpy(names[found++], numbered_name(i));
        }
    }
}

static void names_of_one_bucket_do_not_hide_each_other(void** state)
{
    (void)state;
    char names[SAME_BUCKET][32];
    names_of_one_bucket(names);
    for (unsigned gone = 0; gone < SAME_BUCKET; gone++) {
        for (unsigned next = 0; next < SAME_BUCKET; next++) {
            open_heap(8 * KIB);
            const struct module_record* records[SAME_BUCKET];
            for (unsigned i = 0; i < SAME_BUCKET; i++) {
                records[i] = create(names[i]);
            }
            forget(names[gone]);
            if (next != gone) {
                forget(names[next]);
            }
            (void)heap_verify();
            for (unsigned i = 0; i < SAME_BUCKET; i++) {
                const bool is_gone = i == gone || i == next;
                assert_ptr_equal(module_find(test_heap.ctx, names[i]), is_gone ? NULL : records[i]);
            }
            arenas_release();
        }
    }
}

static void the_module_found_last_is_found_again_by_its_pointer(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const char name[] = "app";
    const struct module_record* record = create(name);
    assert_null(module_find_again(test_heap.ctx, name));
    assert_ptr_equal(module_find(test_heap.ctx, name), record);
    assert_ptr_equal(module_find_again(test_heap.ctx, name), record);
    (void)create("other");
    (void)module_find(test_heap.ctx, "other");
    assert_null(module_find_again(test_heap.ctx, name));
}

static void a_pointer_whose_text_has_changed_finds_the_new_text(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const struct module_record* app = create("app");
    const struct module_record* web = create("web");
    char name[8] = "app";
    assert_ptr_equal(module_find(test_heap.ctx, name), app);
    (void)strcpy(name, "web");
    assert_null(module_find_again(test_heap.ctx, name));
    assert_ptr_equal(module_find(test_heap.ctx, name), web);
    (void)strcpy(name, "none");
    assert_null(module_find(test_heap.ctx, name));
    (void)strcpy(name, "");
    assert_null(module_find_again(test_heap.ctx, name));
    (void)strcpy(name, "app");
    assert_ptr_equal(module_find(test_heap.ctx, name), app);
}

static void a_forgotten_module_is_not_found_by_its_pointer(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const char name[] = "app";
    (void)make_for(10, name);
    (void)create("other");
    assert_non_null(module_find(test_heap.ctx, name));
    forget(name);
    assert_null(module_find_again(test_heap.ctx, name));
    assert_null(module_find(test_heap.ctx, name));
    assert_null(module_try(test_heap.ctx, 10, name));
    (void)heap_verify();
}

/* ---- creation that fails ------------------------------------------------------------------------ */

/* What a case tries to do in a heap that is nearly full; NULL if it failed. */
typedef const void* (*attempt)(enum dmheap_verdict* verdict);

static const void* attempt_create(enum dmheap_verdict* verdict)
{
    return module_create(test_heap.ctx, "newcomer", verdict);
}

static const void* attempt_alloc(enum dmheap_verdict* verdict)
{
    return module_alloc(test_heap.ctx, 1, 50, "newcomer", verdict);
}

static const void* attempt_aligned(enum dmheap_verdict* verdict)
{
    return module_alloc(test_heap.ctx, 64, 50, "newcomer", verdict);
}

/* How many allocations `act` makes when it succeeds, beside `known` modules. */
static size_t blocks_of(attempt act, unsigned known)
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
static void expect_all_or_nothing(attempt act, unsigned known)
{
    bool worked = false;
    bool failed = false;
    for (dmheap_word bytes = 0; !worked; bytes += GRANULE) {
        enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
        open_heap(16 * KIB);
        create_many(known);
        leave(bytes);
        const struct state before = state_now();
        worked = act(&verdict) != NULL;
        if (worked) {
            forget("newcomer");
        } else {
            assert_int_equal(verdict, VERDICT_NO_MEMORY);
            assert_null(module_find(test_heap.ctx, "newcomer"));
            failed = true;
        }
        expect_state(&before);
        arenas_release();
        assert_true(bytes < 4 * KIB);
    }
    assert_true(failed);
}

static void a_first_module_is_made_as_a_whole_or_not_at_all(void** state)
{
    (void)state;
    assert_int_equal(blocks_of(attempt_create, 0), 2);
    assert_int_equal(blocks_of(attempt_alloc, 0), 3);
    expect_all_or_nothing(attempt_create, 0);
    expect_all_or_nothing(attempt_alloc, 0);
    expect_all_or_nothing(attempt_aligned, 0);
}

static void a_module_of_a_new_group_is_made_as_a_whole_or_not_at_all(void** state)
{
    (void)state;
    assert_int_equal(blocks_of(attempt_create, FIRST_GROUP), 2);
    assert_int_equal(blocks_of(attempt_alloc, FIRST_GROUP), 3);
    expect_all_or_nothing(attempt_create, FIRST_GROUP);
    expect_all_or_nothing(attempt_alloc, FIRST_GROUP);
    expect_all_or_nothing(attempt_aligned, FIRST_GROUP);
}

static void one_more_module_is_made_as_a_whole_or_not_at_all(void** state)
{
    (void)state;
    assert_int_equal(blocks_of(attempt_create, 2), 1);
    assert_int_equal(blocks_of(attempt_alloc, 2), 2);
    expect_all_or_nothing(attempt_create, 2);
    expect_all_or_nothing(attempt_alloc, 2);
    expect_all_or_nothing(attempt_aligned, 2);
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
            const struct state before = state_now();
            if (attempt_alloc(&verdict) != NULL) {
                (void)heap_verify();
                forget("newcomer");
            }
            expect_state(&before);
            arenas_release();
        }
    }
}

/* ---- references ------------------------------------------------------------------------------------ */

static void each_block_and_the_name_count_as_one_reference(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const void* blocks[10];
    const struct module_record* record = create("app");
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
    const struct module_record* record = create(name);
    assert_null(module_try(test_heap.ctx, 10, name)); /* not found last */
    (void)module_find(test_heap.ctx, name);
    assert_non_null(module_try(test_heap.ctx, 10, name));
    assert_int_equal(record->references, 2);
    const struct dmheap_block* block = module_try(test_heap.ctx, 10, NULL);
    assert_non_null(block);
    assert_int_equal(block_owner(block), OWNER_NOBODY);
    assert_null(module_try(test_heap.ctx, 10, "unknown"));
    assert_null(module_try(test_heap.ctx, 100 * KIB, name));
    assert_int_equal(record->references, 2);
    (void)heap_verify();
}

static void a_failing_allocation_counts_no_reference(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    const struct module_record* record = create("app");
    assert_null(module_alloc(test_heap.ctx, 1, 100 * KIB, "app", &verdict));
    assert_null(module_alloc(test_heap.ctx, 64, 100 * KIB, "app", &verdict));
    assert_null(module_alloc(test_heap.ctx, 1, 100 * KIB, "unknown", &verdict));
    assert_int_equal(verdict, VERDICT_NO_MEMORY);
    assert_int_equal(record->references, 1);
    assert_int_equal(modules(), 1);
    (void)heap_verify();
}

static void a_closed_module_lives_until_its_last_block_is_freed(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char name[MODULE_NAME_MAX + 1];
    const void* first = make_for(10, "app");
    const void* second = make_for(20, "app");
    struct module_record* record = module_close(test_heap.ctx, "app", name);
    assert_non_null(record);
    assert_string_equal(name, "app");
    assert_string_equal(record->name, "");
    assert_null(module_find(test_heap.ctx, "app"));
    module_drop(test_heap.ctx, record); /* as after a sweep that found nothing */
    (void)heap_verify();
    release(first);
    assert_int_equal(modules(), 1);
    (void)heap_verify();
    release(second);
    assert_true(heap_is_empty());
}

static void the_name_of_a_closed_module_gets_another_id(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char name[MODULE_NAME_MAX + 1];
    const void* old = make_for(10, "app");
    struct module_record* record = module_close(test_heap.ctx, "app", name);
    const void* new = make_for(10, "app");
    assert_int_not_equal(owner_of(old), owner_of(new));
    struct heap_sweep sweep = {0};
    while (module_sweep(test_heap.ctx, record, &sweep)) {
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
    char copy[MODULE_NAME_MAX + 1];
    char* own = (char*)make_for(MODULE_NAME_MAX + 1, long_name(MODULE_NAME_MAX, 'z'));
    (void)strcpy(own, long_name(MODULE_NAME_MAX, 'z'));
    struct module_record* record = module_close(test_heap.ctx, own, copy);
    struct heap_sweep sweep = {0};
    while (module_sweep(test_heap.ctx, record, &sweep)) {
    }
    assert_string_equal(copy, long_name(MODULE_NAME_MAX, 'z'));
    assert_true(heap_is_empty());
}

static void nobody_and_unknown_names_cannot_be_closed(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char name[MODULE_NAME_MAX + 1];
    (void)create("app");
    assert_null(module_close(test_heap.ctx, NULL, name));
    assert_null(module_close(test_heap.ctx, "", name));
    assert_null(module_close(test_heap.ctx, "unknown", name));
    assert_null(module_close(test_heap.ctx, long_name(64, 'x'), name));
    assert_int_equal(modules(), 1);
}

static void a_module_without_blocks_is_swept_in_one_slice(void** state)
{
    (void)state;
    open_heap(256 * KIB);
    char name[MODULE_NAME_MAX + 1];
    const void* large = make_for(200 * KIB, NULL);
    (void)create("app");
    release(large); /* a stretch without live blocks in front of all */
    struct module_record* record = module_close(test_heap.ctx, "app", name);
    struct heap_sweep sweep = {0};
    assert_false(module_sweep(test_heap.ctx, record, &sweep));
    assert_true(heap_is_empty());
}

/* ---- free -------------------------------------------------------------------------------------------- */

static void the_heaps_own_blocks_cannot_be_freed_resized_or_handed_on(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    create_many(FIRST_GROUP + 1);
    const void* own[] = {module_table(test_heap.ctx), module_group(test_heap.ctx, 1),
                         module_find(test_heap.ctx, numbered_name(0))};
    const struct state before = state_now();
    for (size_t i = 0; i < COUNT_OF(own); i++) {
        struct module_move move;
        assert_int_equal(module_free(test_heap.ctx, own[i]), VERDICT_BAD_POINTER);
        assert_int_equal(module_resize(test_heap.ctx, own[i], 4, &move), VERDICT_BAD_POINTER);
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
        assert_int_equal(module_resize(test_heap.ctx, ptr, 100, &move), VERDICT_DAMAGED);
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
        const struct state before = state_now();
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
        assert_int_equal(module_resize(test_heap.ctx, ptr + i, 4, &move), VERDICT_BAD_POINTER);
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
    char name[MODULE_NAME_MAX + 1];
    const void* ptr = make_for(30, "app");
    (void)create("web");
    module_drop(test_heap.ctx, module_close(test_heap.ctx, "app", name));
    assert_int_equal(modules(), 2);
    assert_int_equal(module_retag(test_heap.ctx, ptr, "web"), VERDICT_OK);
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
    const struct state before = state_now();
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
    for (size_t length = 1; length <= MODULE_NAME_MAX; length++) {
        open_heap(8 * KIB);
        const void* ptr = make_for(10, "a module of a middling name");
        const dmheap_word id = owner_of(ptr);
        const char* name = long_name(length, 'x');
        assert_int_equal(module_rename(test_heap.ctx, "a module of a middling name", name),
                         VERDICT_OK);
        assert_null(module_find(test_heap.ctx, "a module of a middling name"));
        assert_int_equal(module_find(test_heap.ctx, name)->id, id);
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
    const struct state before = state_now();
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
    const struct state before = state_now();
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
    assert_non_null(module_find(ctx, "app"));
    assert_non_null(module_find(ctx, "web"));
}

static void a_renamed_module_is_not_found_by_the_old_pointer(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const char old_name[] = "app";
    const struct module_record* other = NULL;
    (void)create(old_name);
    (void)module_find(test_heap.ctx, old_name);
    assert_int_equal(module_rename(test_heap.ctx, old_name, "new"), VERDICT_OK);
    assert_null(module_find_again(test_heap.ctx, old_name));
    other = create(old_name);
    assert_ptr_equal(module_find(test_heap.ctx, old_name), other);
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
        assert_int_equal(module_resize(test_heap.ctx, ptr, 400, &move), VERDICT_MUST_MOVE);
        assert_ptr_equal(block_payload(move.from), ptr);
        assert_true(move.bytes >= 40 && move.bytes <= block_capacity(move.to));
        assert_int_equal(module_finish_move(test_heap.ctx, &move), VERDICT_OK);
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
    assert_int_equal(module_resize(test_heap.ctx, ptr, 400, &move), VERDICT_MUST_MOVE);
    const void* places[] = {block_payload(move.from), block_payload(move.to)};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        assert_int_equal(module_free(test_heap.ctx, places[i]), VERDICT_BAD_POINTER);
        assert_int_equal(module_resize(test_heap.ctx, places[i], 4, &second), VERDICT_BAD_POINTER);
        assert_int_equal(module_retag(test_heap.ctx, places[i], "web"), VERDICT_BAD_POINTER);
    }
    assert_int_equal(module_finish_move(test_heap.ctx, &move), VERDICT_OK);
    (void)heap_verify();
}

static void a_move_keeps_the_alignment(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    const struct dmheap_block* block = module_alloc(test_heap.ctx, 256, 40, "app", &verdict);
    assert_non_null(heap_take_top(test_heap.ctx, BLOCK_MIN_BYTES, 1, OWNER_NOBODY));
    struct module_move move;
    assert_int_equal(module_resize(test_heap.ctx, block_payload(block), 400, &move),
                     VERDICT_MUST_MOVE);
    assert_int_equal(module_finish_move(test_heap.ctx, &move), VERDICT_OK);
    assert_true(is_aligned(block_payload(move.to), 256));
    assert_int_equal(heap_alignment(test_heap.ctx, move.to), 256);
    (void)heap_verify();
}

static void a_move_without_a_place_to_go_changes_nothing(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const unsigned char* ptr = make_stuck("app");
    const struct state before = state_now();
    struct module_move move;
    assert_int_equal(module_resize(test_heap.ctx, ptr, 7 * KIB + 500, &move), VERDICT_NO_MEMORY);
    assert_int_equal(module_resize(test_heap.ctx, ptr, SIZE_MAX, &move), VERDICT_NO_MEMORY);
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
    assert_int_equal(module_resize(test_heap.ctx, ptr, 400, &move), VERDICT_MUST_MOVE);
    forget("app");
    for (unsigned i = 0; i < 3; i++) {
        assert_false(live_is(test_heap.ctx, others[i]));
    }
    assert_true(live_is(test_heap.ctx, ptr));
    assert_int_equal(modules(), 1);
    const void* namesake = make_for(10, "app");
    assert_int_equal(module_finish_move(test_heap.ctx, &move), VERDICT_GONE);
    assert_false(live_is(test_heap.ctx, ptr));
    assert_false(live_is(test_heap.ctx, block_payload(move.to)));
    assert_true(live_is(test_heap.ctx, namesake));
    assert_int_equal(modules(), 1);
    (void)heap_verify();
}

/* ---- the check itself ---------------------------------------------------------------------------------------- */

static struct module_record* record_of(const char* name)
{
    return module_find(test_heap.ctx, name);
}

static struct module_table* table(void)
{
    return module_table(test_heap.ctx);
}

static void reference_too_many(void)
{
    record_of("app")->references++;
}

static void reference_missing(void)
{
    record_of("app")->references--;
}

static void record_with_another_id(void)
{
    record_of("app")->id = record_of("web")->id;
}

static void record_without_name(void)
{
    record_of("app")->name[0] = '\0';
}

static void record_with_another_name(void)
{
    record_of("app")->name[0]++;
}

static void record_freed(void)
{
    assert_int_equal(heap_free(test_heap.ctx, record_of("app")), VERDICT_OK);
}

static void record_of_nobody(void)
{
    block_set_owner(block_of(record_of("app")), OWNER_NOBODY);
}

static void record_not_linked(void)
{
    module_unlink(test_heap.ctx, record_of("app"));
}

static void bucket_of_no_id(void)
{
    table()->bucket[module_measure("app").bucket] = (module_id)(MODULE_IDS - 1);
}

static void bucket_chain_circular(void)
{
    struct module_record* record = record_of("web");
    record->next = record->id;
}

static void bucket_chain_to_no_id(void)
{
    record_of("web")->next = (module_id)(MODULE_IDS - 1);
}

static void bucket_of_another(void)
{
    const unsigned other = (module_measure("app").bucket + 1) % MODULE_BUCKETS;
    table()->bucket[other] = record_of("app")->id;
}

static void modules_miscounted(void)
{
    table()->modules++;
}

static void group_used_miscounted(void)
{
    module_group(test_heap.ctx, 0)->used++;
}

static void group_fresh_too_large(void)
{
    module_group(test_heap.ctx, 0)->fresh = MODULE_GROUP + 1;
}

static void group_lost(void)
{
    table()->group[1] = 0;
}

static void group_elsewhere(void)
{
    table()->group[1] = test_heap.ctx->end - DMHEAP_WORD_BYTES;
}

static void group_outside(void)
{
    table()->group[1] = 0 - (dmheap_word)64;
}

static void slot_of_nothing(void)
{
    *module_slot(test_heap.ctx, record_of("app")->id) = 0;
}

static void slot_outside(void)
{
    *module_slot(test_heap.ctx, record_of("app")->id) = 0 - (dmheap_word)64;
}

static void slot_of_another(void)
{
    *module_slot(test_heap.ctx, record_of("app")->id) =
        (dmheap_word)ctx_offset(test_heap.ctx, record_of("web"));
}

static void table_elsewhere(void)
{
    test_heap.ctx->modules += GRANULE;
}

static void table_lost(void)
{
    test_heap.ctx->modules = 0;
}

static void hint_of_nothing(void)
{
    test_heap.ctx->hint_module = test_heap.ctx->end;
}

static void block_of_unknown_module(void)
{
    block_set_owner(block_of(make_for(10, NULL)), MODULE_IDS - 1);
}

static void own_block_too_many(void)
{
    block_set_owner(block_of(make_for(10, NULL)), OWNER_HEAP);
}

#define DAMAGE(function)    \
    {                       \
        function, #function \
    }

static const struct damage {
    void (*plant)(void);
    const char* name;
} damages[] = {
    DAMAGE(reference_too_many),
    DAMAGE(reference_missing),
    DAMAGE(record_with_another_id),
    DAMAGE(record_without_name),
    DAMAGE(record_with_another_name),
    DAMAGE(record_freed),
    DAMAGE(record_of_nobody),
    DAMAGE(record_not_linked),
    DAMAGE(bucket_of_no_id),
    DAMAGE(bucket_chain_circular),
    DAMAGE(bucket_chain_to_no_id),
    DAMAGE(bucket_of_another),
    DAMAGE(modules_miscounted),
    DAMAGE(group_used_miscounted),
    DAMAGE(group_fresh_too_large),
    DAMAGE(group_lost),
    DAMAGE(slot_of_nothing),
    DAMAGE(slot_outside),
    DAMAGE(slot_of_another),
    DAMAGE(table_elsewhere),
    DAMAGE(table_lost),
    DAMAGE(hint_of_nothing),
    DAMAGE(block_of_unknown_module),
    DAMAGE(own_block_too_many),
    DAMAGE(group_elsewhere),
    DAMAGE(group_outside),
};

static void the_check_notices_every_damage(void** state)
{
    (void)state;
    unsigned missed = 0;
    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        struct heap_census census;
        open_heap(8 * KIB);
        create_many(FIRST_GROUP);
        (void)make_for(10, "app");
        (void)make_for(20, "web");
        (void)heap_verify();
        damages[i].plant();
        if (heap_check(test_heap.ctx, &census) == NULL) {
            print_error("not noticed: %s\n", damages[i].name);
            missed++;
        }
        arenas_release();
    }
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        heap_case(groups_tile_all_ids),
        heap_case(there_are_245_ids_or_4085),
        heap_case(an_id_without_module_has_no_record),
        heap_case(all_ids_are_given_once_and_then_there_is_none),
        heap_case(a_returned_id_is_given_again_and_never_one_in_use),
        heap_case(many_returned_ids_are_all_given_again),
        heap_case(modules_forgotten_in_any_order_leave_an_empty_heap),
        heap_case(a_group_is_made_with_its_first_module_and_given_back_with_its_last),
        heap_case(what_a_module_took_its_leaving_returns),
        heap_case(a_name_is_measured_up_to_one_more_than_the_longest),
        heap_case(the_bucket_depends_on_the_text_alone),
        heap_case(names_of_1_to_63_characters_are_compared_to_their_last),
        heap_case(a_longer_name_is_refused_and_nothing_changes),
        heap_case(nobody_is_null_or_empty),
        heap_case(names_of_one_bucket_do_not_hide_each_other),
        heap_case(the_module_found_last_is_found_again_by_its_pointer),
        heap_case(a_pointer_whose_text_has_changed_finds_the_new_text),
        heap_case(a_forgotten_module_is_not_found_by_its_pointer),
        heap_case(a_first_module_is_made_as_a_whole_or_not_at_all),
        heap_case(a_module_of_a_new_group_is_made_as_a_whole_or_not_at_all),
        heap_case(one_more_module_is_made_as_a_whole_or_not_at_all),
        heap_case(creation_from_holes_gives_all_of_them_back),
        heap_case(each_block_and_the_name_count_as_one_reference),
        heap_case(the_short_path_counts_references_too),
        heap_case(a_failing_allocation_counts_no_reference),
        heap_case(a_closed_module_lives_until_its_last_block_is_freed),
        heap_case(the_name_of_a_closed_module_gets_another_id),
        heap_case(closing_copies_a_name_that_stands_in_the_modules_memory),
        heap_case(nobody_and_unknown_names_cannot_be_closed),
        heap_case(a_module_without_blocks_is_swept_in_one_slice),
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
        heap_case(a_move_keeps_the_alignment),
        heap_case(a_move_without_a_place_to_go_changes_nothing),
        heap_case(a_move_whose_owner_went_meanwhile_frees_both_places),
        heap_case(the_check_notices_every_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
