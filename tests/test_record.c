/* SPDX-License-Identifier: MIT */
/*
 * Records: ids, names, references, and everything given back with the last of them.
 *
 * After each step the whole heap is proven. Where something fails or is undone, the census and
 * the untouched end are compared with what they were.
 */
#include "record_test.h"

#define IDS_TO_GIVE ((unsigned)(RECORD_ID_END - OWNER_MODULES))

/* ---- helpers ---------------------------------------------------------------------------- */

/* Make a record that only its name refers to go, by its name. */
static void forget(const char* name)
{
    struct record* record = record_find(test_heap.ctx, name);
    assert_non_null(record);
    assert_int_equal(record->references, 1);
    record_unlink(test_heap.ctx, record);
    record->name[0] = '\0';
    record_drop(test_heap.ctx, record);
}

/* ---- ids -------------------------------------------------------------------------------- */

static void groups_tile_all_ids(void** state)
{
    (void)state;
    dmheap_word id = OWNER_MODULES;
    for (unsigned group = 0; group < RECORD_GROUPS; group++) {
        assert_int_equal(record_group_first(group), id);
        for (dmheap_word i = 0; i < record_group_size(group); i++, id++) {
            assert_int_equal(record_group_of(id), group);
        }
    }
    assert_int_equal(id, RECORD_ID_END);
    for (; id < OWNER_COUNT; id++) {
        assert_true(record_group_of(id) >= RECORD_GROUPS);
    }
}

/* What is left of it in free memory is all right, but for the live map. */
static void a_slot_that_leads_to_a_record_that_is_gone_has_none(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    (void)create("app");
    const struct record* gone = create("gone");
    const dmheap_word id = gone->id;
    struct record_group* group = record_group(test_heap.ctx, record_group_of(id));
    const dmheap_word index = id - record_group_first(record_group_of(id));
    const dmheap_word offset = group->slot[index];
    forget("gone");
    group->slot[index] = offset;
    assert_int_equal(block_owner(block_of(gone)), OWNER_HEAP);
    assert_null(record_of(test_heap.ctx, id));
}

/* Not even if the map says so, and what stands in front of the heap is the header of one. */
static void nothing_of_the_heaps_own_is_at_offset_0(void** state)
{
    (void)state;
    assert_true(heap_start(arena_make(4 * KIB, 4), 4 * KIB, 8));
    expect_info();
    block_of(test_heap.ctx)->header = block_tags(OWNER_HEAP);
    live_set(test_heap.ctx, 0);
    assert_null(record_at(test_heap.ctx, 0));
}

static void a_slot_that_leads_to_another_modules_record_has_none(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const struct record* first = create("first");
    const struct record* second = create("second");
    struct record_group* group = record_group(test_heap.ctx, 0);
    group->slot[second->id - OWNER_MODULES] = group->slot[first->id - OWNER_MODULES];
    assert_null(record_of(test_heap.ctx, second->id));
    assert_ptr_equal(record_of(test_heap.ctx, first->id), first);
}

static void a_record_with_a_name_keeps_a_reference_though_its_count_was_written_over(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    struct record* record = create("app");
    record->references = 0;
    record_drop(test_heap.ctx, record);
    assert_int_equal(record->references, 1);
    assert_ptr_equal(record_find(test_heap.ctx, "app"), record);
}

static void a_group_that_is_not_the_heaps_any_more_is_left_alone(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    struct record* record = create("app");
    struct record_group* group = record_group(test_heap.ctx, 0);
    block_set_owner(block_of(group), OWNER_NOBODY); /* written over */
    record->name[0] = '\0';
    record_drop(test_heap.ctx, record);
    assert_false(live_is(test_heap.ctx, record));
    assert_int_equal(group->used, 1);
}

static void a_slot_in_use_is_not_given_again_though_it_is_called_spare(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const struct record* first = create("first");
    (void)create("second");
    record_group(test_heap.ctx, 0)->spare = 0; /* written over */
    const struct record* third = create("third");
    assert_int_equal(record_group_of(third->id), 1);
    assert_ptr_equal(record_of(test_heap.ctx, first->id), first);
}

static void there_are_252_ids_or_4092(void** state)
{
    (void)state;
    assert_int_equal(IDS_TO_GIVE, HAS_NARROW_WORDS ? 252 : 4092);
}

static void an_id_without_module_has_no_record(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    for (dmheap_word id = OWNER_MODULES; id < OWNER_COUNT; id++) {
        assert_null(record_of(test_heap.ctx, id));
    }
    const struct record* record = create("app");
    for (dmheap_word id = OWNER_MODULES; id < OWNER_COUNT; id++) {
        assert_ptr_equal(record_of(test_heap.ctx, id), id == record->id ? record : NULL);
    }
}

static void all_ids_are_given_once_and_then_there_is_none(void** state)
{
    (void)state;
    static bool given[4096];
    memset(given, 0, sizeof(given));
    open_heap(1 * MIB);
    for (unsigned i = 0; i < IDS_TO_GIVE; i++) {
        const struct record* record = create(numbered_name(i));
        assert_in_range(record->id, OWNER_MODULES, OWNER_COUNT - 1);
        assert_false(given[record->id]);
        given[record->id] = true;
        assert_ptr_equal(record_of(test_heap.ctx, record->id), record);
    }
    const struct heap_state before = state_now();
    enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
    assert_null(record_create(test_heap.ctx, "one too many", &verdict));
    assert_int_equal(verdict, VERDICT_TOO_MANY);
    verdict = VERDICT_NO_MEMORY;
    assert_null(module_alloc(test_heap.ctx, 1, 10, "one too many", &verdict));
    assert_int_equal(verdict, VERDICT_TOO_MANY);
    expect_state(&before);

    const dmheap_word id = record_find(test_heap.ctx, "module#100")->id;
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
        const dmheap_word id = record_find(test_heap.ctx, name)->id;
        const dmheap_word before = test_heap.ctx->top;
        forget(name);
        assert_null(record_of(test_heap.ctx, id));
        assert_int_equal(create(name)->id, id);
        assert_int_equal(test_heap.ctx->top, before);
        (void)heap_verify();
    }
}

static void a_slot_that_was_never_given_has_no_record_whatever_it_holds(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    struct record* record = create("app");
    struct record_group* group = record_group(test_heap.ctx, 0);
    const dmheap_word index = record->id - record_group_first(0);
    for (dmheap_word other = index + 1; other < record_group_size(0); other++) {
        group->slot[other] = group->slot[index];
        record->id = (record_id)(record_group_first(0) + other);
        assert_null(record_of(test_heap.ctx, record->id));
    }
    record->id = (record_id)(record_group_first(0) + index);
    assert_ptr_equal(record_of(test_heap.ctx, record->id), record);
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

/* ---- groups and records -------------------------------------------------------------- */

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
            assert_int_equal(modules(), 0);
            arenas_release();
        }
    }
}

static void a_group_is_made_with_its_first_module_and_given_back_with_its_last(void** state)
{
    (void)state;
    open_heap(16 * KIB);
    create_many(FIRST_GROUP);
    assert_int_equal(test_heap.ctx->group[1], 0);
    const struct heap_state before = state_now();
    (void)create("a");
    assert_int_not_equal(test_heap.ctx->group[1], 0);
    (void)create("b");
    forget("a");
    assert_int_not_equal(test_heap.ctx->group[1], 0);
    forget("b");
    assert_int_equal(test_heap.ctx->group[1], 0);
    expect_state(&before);
}

/* ---- names ------------------------------------------------------------------------------------ */

/* Though the first group went with its modules, and there is no memory for another one. */
static void an_id_is_given_where_there_is_one(void** state)
{
    (void)state;
    open_heap(16 * KIB);
    create_many(FIRST_GROUP + 1);
    for (unsigned i = 0; i < FIRST_GROUP; i++) {
        forget(numbered_name(i));
    }
    assert_int_equal(test_heap.ctx->group[0], 0);
    void* hole = dmheap_malloc(sizeof(struct record) + 2 * WORD, NULL);
    assert_true(heap_fill(NULL) != 0);
    dmheap_free(hole, false);
    test_port_forget_lines();
    assert_true(dmheap_register_module("x"));
    expect_info();
    assert_int_equal(test_heap.ctx->group[0], 0);
    assert_int_equal(record_group_of(record_find(test_heap.ctx, "x")->id), 1);
    (void)heap_verify();
}

static void a_name_is_measured_up_to_one_more_than_the_longest(void** state)
{
    (void)state;
    for (size_t length = 1; length < 120; length++) {
        const struct record_name name = record_measure(long_name(length, 'x'));
        assert_int_equal(name.length, length <= RECORD_NAME_MAX ? length : RECORD_NAME_MAX + 1);
    }
}

static unsigned bucket_of(const char* name)
{
    return record_measure(name).hash >> 29; /* in the first group */
}

static void the_hash_depends_on_the_text_alone(void** state)
{
    (void)state;
    for (unsigned i = 0; i < 1600; i++) {
        char copy[32];
        (void)strcpy(copy, numbered_name(i));
        assert_int_equal(record_measure(copy).hash, record_measure(numbered_name(i)).hash);
    }
}

static void every_bucket_of_a_group_is_inside_its_memory_and_in_use(void** state)
{
    (void)state;
    static dmheap_word memory[8192];
    struct record_group* group = (struct record_group*)memory;
    for (unsigned number = 0; number < RECORD_GROUPS; number++) {
        static bool used[4096];
        const unsigned size = record_group_buckets(number);
        const record_id* buckets = (const record_id*)&group->slot[record_group_size(number)];
        memset(used, 0, sizeof(used));
        for (unsigned i = 0; i < 16 * size; i++) {
            const uint32_t hash = i << (29 - 2 * number - 4);
            const record_id* bucket = record_bucket(group, number, hash);
            assert_in_range(bucket - buckets, 0, size - 1);
            assert_true((const unsigned char*)(bucket + 1) <=
                        (const unsigned char*)memory + record_group_bytes(number));
            used[bucket - buckets] = true;
        }
        for (unsigned i = 0; i < size; i++) {
            assert_true(used[i]);
        }
        assert_ptr_equal(buckets + size, (const unsigned char*)memory + record_group_bytes(number));
    }
}

static void names_of_1_to_63_characters_are_compared_to_their_last(void** state)
{
    (void)state;
    open_heap(32 * KIB);
    for (size_t length = 1; length <= RECORD_NAME_MAX; length++) {
        const struct record* one = create(long_name(length, 'a'));
        const struct record* other = create(long_name(length, 'b'));
        assert_ptr_equal(record_find(test_heap.ctx, long_name(length, 'a')), one);
        assert_ptr_equal(record_find(test_heap.ctx, long_name(length, 'b')), other);
        assert_string_equal(one->name, long_name(length, 'a'));
        assert_int_equal(block_size(block_of(one)),
                         heap_need(test_heap.ctx, offsetof(struct record, name) + length + 1));
    }
    (void)heap_verify();
}

static void a_longer_name_is_refused_and_nothing_changes(void** state)
{
    (void)state;
    for (unsigned known = 0; known < 2; known++) {
        open_heap(8 * KIB);
        create_many(known);
        const struct heap_state before = state_now();
        for (size_t length = RECORD_NAME_MAX + 1; length < 120; length++) {
            enum dmheap_verdict verdict = VERDICT_NO_MEMORY;
            const char* name = long_name(length, 'x');
            assert_null(record_create(test_heap.ctx, name, &verdict));
            assert_int_equal(verdict, VERDICT_BAD_NAME);
            assert_null(record_find(test_heap.ctx, name));
            verdict = VERDICT_NO_MEMORY;
            assert_null(module_alloc(test_heap.ctx, 1, 10, name, &verdict));
            assert_int_equal(verdict, VERDICT_BAD_NAME);
        }
        expect_state(&before);
        arenas_release();
    }
}

static void a_name_that_was_written_over_is_shown_as_far_as_there_is_room(void** state)
{
    (void)state;
    char name[RECORD_NAME_MAX + 2];
    open_heap(8 * KIB);
    struct record* record = create(long_name(RECORD_NAME_MAX, 'n'));
    struct dmheap_block* block = block_of(record);
    const size_t front = offsetof(struct record, name);
    memset(record->name, 'x', (size_t)heap_usable(test_heap.ctx, block) - front);
    name[RECORD_NAME_MAX + 1] = '!';
    record_show_name(test_heap.ctx, record, name);
    assert_int_equal(strlen(name), RECORD_NAME_MAX);
    assert_int_equal(name[RECORD_NAME_MAX + 1], '!');
    block->header -= (dmheap_word)(heap_size(test_heap.ctx, block) - BLOCK_MIN_BYTES);
    const size_t usable = (size_t)heap_usable(test_heap.ctx, block);
    record_show_name(test_heap.ctx, record, name);
    assert_int_equal(strlen(name), usable > front ? usable - front : 0);
}

static void all_modules_of_a_group_may_be_in_one_bucket(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    for (unsigned round = 0; round < 2; round++) { /* make them, then look for all of them */
        unsigned count = 0;
        for (unsigned i = 0; count < FIRST_GROUP; i++) {
            const char* name = numbered_name(i);
            if (record_measure(name).hash >> (32 - RECORD_BUCKETS_LOG2) == 0) {
                assert_non_null(round == 0 ? create(name) : record_find(test_heap.ctx, name));
                count++;
            }
        }
    }
    assert_null(record_group(test_heap.ctx, 1));
    (void)heap_verify();
}

static void nobody_is_null_or_empty(void** state)
{
    (void)state;
    assert_true(record_is_nobody(NULL));
    assert_true(record_is_nobody(""));
    assert_false(record_is_nobody("x"));
}

/* Names of one and the same bucket. */
#define SAME_BUCKET 5U

static void names_of_one_bucket(char names[SAME_BUCKET][32])
{
    unsigned found = 0;
    for (unsigned i = 0; found < SAME_BUCKET; i++) {
        if (bucket_of(numbered_name(i)) == 3) {
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
            const struct record* records[SAME_BUCKET];
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
                assert_ptr_equal(record_find(test_heap.ctx, names[i]), is_gone ? NULL : records[i]);
            }
            arenas_release();
        }
    }
}

static void a_module_is_found_again_by_the_pointer_that_found_it(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char names[200];
    const struct record* app = create("app");
    for (size_t i = 0; i + 4 <= sizeof(names); i++) {
        memcpy(&names[i], "app", 4);
        assert_null(record_find_hinted(test_heap.ctx, &names[i]));
        assert_ptr_equal(record_find(test_heap.ctx, &names[i]), app);
        assert_ptr_equal(record_find_hinted(test_heap.ctx, &names[i]), app);
        (void)heap_verify();
    }
}

static void names_in_different_places_of_the_cache_are_found_again_in_turn(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    char names[DMHEAP_HINTS][64];
    const struct record* records[DMHEAP_HINTS] = {NULL};
    const char* found[DMHEAP_HINTS] = {NULL};
    unsigned count = 0;
    for (size_t i = 0; i < sizeof(names) - 8; i += 4) {
        char* name = &names[0][0] + i;
        const size_t place = (size_t)(record_hint(test_heap.ctx, name) - test_heap.ctx->hint);
        if (found[place] == NULL && i / 8 * 8 == i) {
            (void)snprintf(name, 8, "app%u", (unsigned)place);
            records[place] = create(name);
            found[place] = name;
            count++;
        }
    }
    assert_int_equal(count, DMHEAP_HINTS);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < DMHEAP_HINTS; i++) {
            assert_true(round == 0 || record_find_hinted(test_heap.ctx, found[i]) == records[i]);
            assert_ptr_equal(record_find(test_heap.ctx, found[i]), records[i]);
        }
    }
    (void)heap_verify();
}

static void a_record_whose_id_was_written_over_is_not_found_by_its_pointer(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const char name[] = "app";
    struct record* record = create(name);
    assert_ptr_equal(record_find(test_heap.ctx, name), record);
    record->id ^= 1;
    assert_null(record_find_hinted(test_heap.ctx, name));
    record->id ^= 1;
    assert_ptr_equal(record_find_hinted(test_heap.ctx, name), record);
    (void)heap_verify();
}

static void a_record_with_the_id_of_another_does_not_give_that_id_back(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    struct record* app = create("app");
    const struct record* web = create("web");
    const record_id id = app->id;
    const char first = app->name[0];
    app->id = web->id;
    app->name[0] = '\0';
    record_drop(test_heap.ctx, app);
    assert_ptr_equal(record_of(test_heap.ctx, web->id), web);
    assert_int_equal(app->references, 1);
    app->id = id;
    app->name[0] = first;
    (void)heap_verify();
}

static void a_pointer_whose_text_has_changed_finds_the_new_text(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const struct record* app = create("app");
    const struct record* web = create("web");
    char name[8] = "app";
    assert_ptr_equal(record_find(test_heap.ctx, name), app);
    (void)strcpy(name, "web");
    assert_null(record_find_hinted(test_heap.ctx, name));
    assert_ptr_equal(record_find(test_heap.ctx, name), web);
    (void)strcpy(name, "none");
    assert_null(record_find(test_heap.ctx, name));
    (void)strcpy(name, "");
    assert_null(record_find_hinted(test_heap.ctx, name));
    (void)strcpy(name, "app");
    assert_ptr_equal(record_find(test_heap.ctx, name), app);
}

/* ---- creation that fails ------------------------------------------------------------------------ */

static void a_first_module_is_made_as_a_whole_or_not_at_all(void** state)
{
    (void)state;
    assert_int_equal(blocks_of(attempt_create, 0), 2);
    expect_all_or_nothing(attempt_create, 0, forget);
}

static void a_module_of_a_new_group_is_made_as_a_whole_or_not_at_all(void** state)
{
    (void)state;
    assert_int_equal(blocks_of(attempt_create, FIRST_GROUP), 2);
    expect_all_or_nothing(attempt_create, FIRST_GROUP, forget);
}

static void one_more_module_is_made_as_a_whole_or_not_at_all(void** state)
{
    (void)state;
    assert_int_equal(blocks_of(attempt_create, 2), 1);
    expect_all_or_nothing(attempt_create, 2, forget);
}

/* ---- the check itself ---------------------------------------------------------------------------------------- */

static struct record* record_named(const char* name)
{
    struct record* record = record_find(test_heap.ctx, name);
    assert_non_null(record);
    return record;
}

static record_id* bucket_for(const char* name)
{
    const unsigned number = record_group_of(record_named(name)->id);
    return record_bucket(record_group(test_heap.ctx, number), number, record_measure(name).hash);
}

static dmheap_word* slot_of(const char* name)
{
    const record_id id = record_named(name)->id;
    const unsigned number = record_group_of(id);
    return &record_group(test_heap.ctx, number)->slot[id - record_group_first(number)];
}

static void reference_too_many(void)
{
    record_named("app")->references++;
}

static void reference_missing(void)
{
    record_named("app")->references--;
}

static void record_with_another_id(void)
{
    record_named("app")->id = record_named("web")->id;
}

static void record_without_name(void)
{
    record_named("app")->name[0] = '\0';
}

static void record_with_another_name(void)
{
    record_named("app")->name[0]++;
}

static void record_freed(void)
{
    assert_int_equal(heap_free(test_heap.ctx, record_named("app")), VERDICT_OK);
}

static void record_of_nobody(void)
{
    block_set_owner(block_of(record_named("app")), OWNER_NOBODY);
}

static void record_not_linked(void)
{
    record_unlink(test_heap.ctx, record_named("app"));
}

static void bucket_of_no_id(void)
{
    *bucket_for("app") = (record_id)(RECORD_ID_END - 1);
}

static void bucket_chain_circular(void)
{
    struct record* record = record_named("web");
    record->next = record->id;
}

static void bucket_chain_to_no_id(void)
{
    record_named("web")->next = (record_id)(RECORD_ID_END - 1);
}

static const record_id* bucket_for_first(void)
{
    return (const record_id*)&record_group(test_heap.ctx, 1)->slot[record_group_size(1)];
}

static void bucket_of_another(void)
{
    record_id* bucket = bucket_for("app");
    const record_id id = *bucket;
    *bucket = 0;
    bucket[bucket == bucket_for_first() ? 1 : -1] = id;
}

static void group_used_miscounted(void)
{
    record_group(test_heap.ctx, 0)->used++;
}

static void spare_slot_in_use(void)
{
    record_group(test_heap.ctx, 1)->spare = 0;
}

static void spare_slot_outside(void)
{
    record_group(test_heap.ctx, 1)->spare = (record_id)(record_group_size(1) + 1);
}

static void spare_slots_lost(void)
{
    record_group(test_heap.ctx, 1)->spare++;
}

static void spare_slots_circular(void)
{
    struct record_group* group = record_group(test_heap.ctx, 1);
    forget("web");
    group->slot[group->spare] = record_slot_of_next(group->spare);
}

static void slot_never_given_counted(void)
{
    record_group(test_heap.ctx, 1)->given++;
}

static void slot_given_not_counted(void)
{
    record_group(test_heap.ctx, 1)->given--;
}

static void slots_given_beyond_the_group(void)
{
    struct record_group* group = record_group(test_heap.ctx, 0);
    group->given++;
    group->spare++;
}

static void group_lost(void)
{
    test_heap.ctx->group[1] = 0;
}

static void group_elsewhere(void)
{
    test_heap.ctx->group[1] = test_heap.ctx->end - DMHEAP_WORD_BYTES;
}

static void group_outside(void)
{
    test_heap.ctx->group[1] = 0 - (dmheap_word)64;
}

static void slot_of_nothing(void)
{
    *slot_of("app") = 0;
}

static void slot_outside(void)
{
    *slot_of("app") = 0 - (dmheap_word)64;
}

static void slot_of_another(void)
{
    *slot_of("app") = (dmheap_word)ctx_offset(test_heap.ctx, record_named("web"));
}

static void hint_by_name_of_nothing(void)
{
    test_heap.ctx->hint[DMHEAP_HINTS - 1].module = test_heap.ctx->end;
}

static void hint_of_nothing(void)
{
    test_heap.ctx->hint_module = test_heap.ctx->end;
}

static void block_of_unknown_module(void)
{
    block_set_owner(heap_alloc(test_heap.ctx, 10, OWNER_NOBODY), RECORD_ID_END - 1);
}

static void own_block_too_many(void)
{
    block_set_owner(heap_alloc(test_heap.ctx, 10, OWNER_NOBODY), OWNER_HEAP);
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
    DAMAGE(group_used_miscounted),
    DAMAGE(spare_slot_in_use),
    DAMAGE(spare_slot_outside),
    DAMAGE(spare_slots_lost),
    DAMAGE(spare_slots_circular),
    DAMAGE(slot_never_given_counted),
    DAMAGE(slot_given_not_counted),
    DAMAGE(slots_given_beyond_the_group),
    DAMAGE(group_lost),
    DAMAGE(slot_of_nothing),
    DAMAGE(slot_outside),
    DAMAGE(slot_of_another),
    DAMAGE(hint_of_nothing),
    DAMAGE(hint_by_name_of_nothing),
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
        struct image_census census;
        open_heap(8 * KIB);
        create_many(FIRST_GROUP);
        (void)create("app");
        (void)create("web");
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

static void there_is_no_group_behind_the_last(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    (void)create("app");
    assert_non_null(record_group(test_heap.ctx, 0));
    assert_null(record_group(test_heap.ctx, RECORD_GROUPS));
    assert_null(record_group(test_heap.ctx, record_group_of(RECORD_ID_END)));
}

/* What a hint leads to is proven: that it is the record of an id that there may be. */
static void a_hint_that_was_written_over_is_not_followed(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    const char* name = long_name(10, 'x');
    struct record* record = create(name);
    const struct record* other = create("other");
    assert_ptr_equal(record_find(test_heap.ctx, name), record);
    assert_ptr_equal(record_find_hinted(test_heap.ctx, name), record);
    struct dmheap_hint* hint = record_hint(test_heap.ctx, name);
    const struct dmheap_hint sound = *hint;
    const uint32_t wrong[] = {0, OWNER_NOBODY, other->id, RECORD_ID_END, UINT32_MAX};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        hint->id = wrong[i];
        assert_null(record_find_hinted(test_heap.ctx, name));
        *hint = sound;
    }
    hint->module = 0;
    assert_null(record_find_hinted(test_heap.ctx, name));
    hint->module = (dmheap_word)ctx_offset(test_heap.ctx, other);
    assert_null(record_find_hinted(test_heap.ctx, name));
    assert_ptr_equal(record_find(test_heap.ctx, name), record);
    (void)heap_verify();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        heap_case(groups_tile_all_ids),
        heap_case(a_slot_that_leads_to_a_record_that_is_gone_has_none),
        heap_case_if(HAS_NARROW_WORDS, nothing_of_the_heaps_own_is_at_offset_0),
        heap_case(a_slot_that_leads_to_another_modules_record_has_none),
        heap_case(a_record_with_a_name_keeps_a_reference_though_its_count_was_written_over),
        heap_case(a_group_that_is_not_the_heaps_any_more_is_left_alone),
        heap_case(a_slot_in_use_is_not_given_again_though_it_is_called_spare),
        heap_case(there_are_252_ids_or_4092),
        heap_case(an_id_without_module_has_no_record),
        heap_case(all_ids_are_given_once_and_then_there_is_none),
        heap_case(a_returned_id_is_given_again_and_never_one_in_use),
        heap_case(a_slot_that_was_never_given_has_no_record_whatever_it_holds),
        heap_case(many_returned_ids_are_all_given_again),
        heap_case(modules_forgotten_in_any_order_leave_an_empty_heap),
        heap_case(a_group_is_made_with_its_first_module_and_given_back_with_its_last),
        heap_case(an_id_is_given_where_there_is_one),
        heap_case(a_name_is_measured_up_to_one_more_than_the_longest),
        heap_case(the_hash_depends_on_the_text_alone),
        heap_case(every_bucket_of_a_group_is_inside_its_memory_and_in_use),
        heap_case(names_of_1_to_63_characters_are_compared_to_their_last),
        heap_case(a_longer_name_is_refused_and_nothing_changes),
        heap_case(a_name_that_was_written_over_is_shown_as_far_as_there_is_room),
        heap_case(all_modules_of_a_group_may_be_in_one_bucket),
        heap_case(nobody_is_null_or_empty),
        heap_case(names_of_one_bucket_do_not_hide_each_other),
        heap_case_if(RECORD_HINTS, a_module_is_found_again_by_the_pointer_that_found_it),
        heap_case_if(RECORD_HINTS, names_in_different_places_of_the_cache_are_found_again_in_turn),
        heap_case_if(RECORD_HINTS, a_record_whose_id_was_written_over_is_not_found_by_its_pointer),
        heap_case(a_record_with_the_id_of_another_does_not_give_that_id_back),
        heap_case(a_pointer_whose_text_has_changed_finds_the_new_text),
        heap_case(a_first_module_is_made_as_a_whole_or_not_at_all),
        heap_case(a_module_of_a_new_group_is_made_as_a_whole_or_not_at_all),
        heap_case(one_more_module_is_made_as_a_whole_or_not_at_all),
        heap_case(there_is_no_group_behind_the_last),
        heap_case_if(RECORD_HINTS && DMHEAP_GUARD, a_hint_that_was_written_over_is_not_followed),
        heap_case(the_check_notices_every_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
