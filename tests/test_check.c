/* SPDX-License-Identifier: MIT */
/*
 * The check: what it finds for each kind of damage, where and beside whom; that no bit of the
 * heap's own data is flipped unnoticed; and that nothing at all leads it astray.
 *
 *     test_check              all cases, the random ones from a fresh seed
 *     test_check SEED         all cases, the random ones from that seed
 */
#include "heap_test.h"

#define GRANULE ((dmheap_word)DMHEAP_GRANULE_MIN)

/* ---- the scene ------------------------------------------------------------------------ */

/*
 * [ records ][ front ][ hole ][ middle ][ aligned ][ older ][ back ] untouched
 * where `older` is a hole of the class of `hole`, and the last of its list. With accounts, "gone"
 * is kept as the one dead of two, and "back" has more reserved than it holds.
 */
static struct {
    unsigned char* front;
    unsigned char* hole;
    unsigned char* middle;
    unsigned char* aligned;
    unsigned char* older;
    unsigned char* back;
} at;

static struct dmheap_holding* account_of(const char* name)
{
    return record_holding(test_heap.ctx, record_find(test_heap.ctx, name));
}

static void lay_scene(void)
{
    static const char* const names[] = {"gone", "front", "middle", "back"};
    const size_t size = 8 * BLOCK_MIN_BYTES; /* more than there is in front of an aligned block */
    heap_open(6 * KIB, DMHEAP_GRANULE_MIN);
    if (DMHEAP_ACCOUNTING) {
        assert_int_equal(dead_keep(test_heap.ctx, 2), VERDICT_OK);
    }
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        assert_true(dmheap_register_module(names[i]));
    }
    at.front = dmheap_malloc(2 * size, "front");
    at.hole = dmheap_malloc(size, NULL);
    at.middle = dmheap_malloc(30, "middle");
    at.aligned = dmheap_aligned_alloc(64, 50, "middle");
    at.older = dmheap_malloc(size, NULL);
    at.back = dmheap_malloc(size, "back");
    if (DMHEAP_ACCOUNTING) {
        assert_int_equal(account_reserve(test_heap.ctx, account_of("back"), 1000), VERDICT_OK);
    }
    dmheap_unregister_module("gone"); /* a free slot in front of others */
    dmheap_free(at.older, false);
    dmheap_free(at.hole, false);
    memset(at.front, 0x11, 2 * size);
    memset(at.middle, 0x22, 30);
    memset(at.back, 0x33, size);
    test_port_forget_lines();
    (void)heap_verify();
}

static dmheap_word offset_of(const void* address)
{
    return (dmheap_word)ctx_offset(test_heap.ctx, address);
}

static struct dmheap_finding find_fault(void)
{
    struct dmheap_finding finding;
    char text[120];
    memset(&finding, 0xEE, sizeof(finding));
    assert_false(dmheap_ctx_check(NULL, &finding));
    (void)snprintf(text, sizeof(text), "dmheap: check of %p: %s, at %p.\n", (void*)test_heap.ctx,
                   finding.text, (void*)finding.address);
    assert_string_equal(test_port_text(0), text);
    expect_error();
    struct image_census census; /* and that the check itself is false */
    assert_int_equal(heap_fault(test_heap.ctx, &census), finding.fault);
    return finding;
}

static void expect_beside(const struct dmheap_beside* beside, const void* ptr, const char* name)
{
    assert_int_equal(beside->address, (uintptr_t)ptr);
    assert_string_equal(beside->module_name, name);
}

/* ---- a sound heap --------------------------------------------------------------------- */

static void a_sound_heap_is_proven_in_one_hold_of_the_lock(void** state)
{
    (void)state;
    lay_scene();
    snapshot_take();
    (void)test_port_reset();
    struct dmheap_finding finding;
    memset(&finding, 0xEE, sizeof(finding));
    assert_true(dmheap_ctx_check(NULL, &finding));
    assert_int_equal(test_port_holds(), 1);
    assert_true(snapshot_is_same());
    expect_silence();
    assert_int_equal(finding.fault, DMHEAP_FAULT_NONE);
    assert_string_equal(finding.text, "all is as it should be");
    assert_int_equal(finding.address, 0);
    assert_int_equal(finding.offset, 0);
    assert_int_equal(finding.moving, 0);
    expect_beside(&finding.block, NULL, "");
    expect_beside(&finding.before, NULL, "");
    expect_beside(&finding.after, NULL, "");
}

static void without_a_heap_that_is_said(void** state)
{
    (void)state;
    struct dmheap_finding finding;
    lay_scene();
    unsigned char* buffer = arena_make(KIB, 0);
    struct dmheap_ctx* ctx = dmheap_ctx_init(buffer, KIB, 8);
    expect_info();
    assert_true(dmheap_ctx_check(ctx, &finding));
    expect_silence();
    buffer[0] ^= 64;
    assert_false(dmheap_ctx_check(ctx, &finding));
    assert_int_equal(finding.fault, DMHEAP_FAULT_CONTEXT);
    expect_error();
    buffer[0] ^= 64;
    assert_true(dmheap_ctx_deinit(ctx));
    assert_false(dmheap_ctx_check(ctx, &finding));
    assert_int_equal(finding.fault, DMHEAP_FAULT_NO_HEAP);
    assert_string_equal(finding.text, "there is no heap");
    assert_int_equal(finding.address, 0);
    assert_non_null(strstr(test_port_text(0), ": there is no heap.\n"));
    expect_error();
}

/* The dice's calls in the test's heap, of that size. */
static void use_at_random(size_t size)
{
    void* slot[40] = {NULL};
    for (unsigned step = 0; step < 200; step++) {
        const unsigned i = dice(COUNT_OF(slot));
        const size_t bytes = dice(4) == 0 ? dice((uint32_t)size / 4) : dice(80);
        const char* name = dice(3) == 0 ? NULL : numbered_name(dice(30));
        dmheap_free(slot[i], false);
        slot[i] = dice(4) == 0 ? dmheap_aligned_alloc((size_t)1 << dice(8), bytes, name)
                               : dmheap_malloc(bytes, name);
        if (DMHEAP_ACCOUNTING && dice(10) == 0 && record_find(test_heap.ctx, numbered_name(1))) {
            (void)account_reserve(test_heap.ctx, account_of(numbered_name(1)), dice(1000));
            (void)dead_keep(test_heap.ctx, dice(4));
        }
        if (dice(60) == 0) {
            dmheap_unregister_module(numbered_name(dice(30)));
            memset(slot, 0, sizeof(slot));
        }
    }
    test_port_forget_lines();
}

static void heaps_of_all_sizes_and_alignments_are_proven(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 200; round++) {
        const size_t size = 400 + dice(round % 10 == 0 ? 200000 : 9000);
        const size_t alignment = (size_t)1 << dice(9);
        if (heap_start(arena_make(size, dice(64)), size, alignment)) {
            use_at_random(size);
            (void)heap_verify();
        }
        test_port_forget_lines();
        arenas_release();
    }
}

/* ---- while calls are under way -------------------------------------------------------- */

static unsigned looks;
static size_t most_moving;

static void look(void* context)
{
    struct dmheap_finding finding;
    (void)context;
    assert_true(dmheap_ctx_check(NULL, &finding));
    most_moving = finding.moving > most_moving ? finding.moving : most_moving;
    looks++;
}

static void look_on(void)
{
    looks = 0;
    most_moving = 0;
    test_port_on_unlock(look, NULL);
}

static void what_another_call_is_in_the_middle_of_is_no_fault(void** state)
{
    static const char* const names[] = {NULL, "front", "new"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        lay_scene();
        void* ptr = dmheap_malloc(350, names[i]);  /* more than a hole has ... */
        assert_non_null(dmheap_malloc(350, NULL)); /* ... so that it has to move */
        look_on();
        ptr = dmheap_realloc(ptr, 600, names[i]);
        assert_int_equal(most_moving, 2); /* the old place and the new one */
        dmheap_free(ptr, false);
        most_moving = 0;
        ptr = dmheap_ctx_calloc(NULL, 1, 100, names[i]);
        assert_int_equal(most_moving, 1);
        dmheap_free(ptr, false);
        test_port_on_unlock(NULL, NULL);
        assert_true(looks >= 6);
        arenas_release();
    }
}

static void a_module_that_is_being_unregistered_is_no_fault(void** state)
{
    (void)state;
    lay_scene();
    while (dmheap_malloc(8, "new") != NULL && dmheap_malloc(8, NULL) != NULL) {
    }
    look_on();
    dmheap_unregister_module("new");
    test_port_on_unlock(NULL, NULL);
    assert_true(looks >= 2);
    assert_int_equal(most_moving, DMHEAP_POISON); /* one at a time is filled */
    test_port_forget_lines();
    (void)heap_verify();
}

static void a_block_that_is_the_heaps_by_mistake_counts_as_moving(void** state)
{
    static unsigned char** const blocks[] = {&at.front, &at.middle, &at.aligned, &at.back};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        struct dmheap_finding finding;
        lay_scene();
        heap_set_owner(test_heap.ctx, block_of(*blocks[i]), OWNER_HEAP);
        assert_true(dmheap_ctx_check(NULL, &finding));
        assert_int_equal(finding.moving, 1);
        arenas_release();
    }
}

/* ---- each kind of damage -------------------------------------------------------------- */

/* Each plants one, and gives the address where it is to be found. */

static const void* size_too_large(void)
{
    block_of(at.front)->header += GRANULE;
    return block_of(at.front);
}

static const void* size_0(void)
{
    block_of(at.middle)->header &= ~BLOCK_SIZE_MASK;
    return block_of(at.middle);
}

static const void* size_beyond_top(void)
{
    block_of(at.back)->header += 64 * GRANULE;
    return block_of(at.back);
}

static const void* size_of_a_hole(void)
{
    block_of(at.hole)->header += GRANULE;
    return block_of(at.hole);
}

static const void* prev_free_lost(void)
{
    block_of(at.middle)->header &= ~BLOCK_PREV_FREE;
    return block_of(at.middle);
}

static const void* prev_free_by_mistake(void)
{
    block_of(at.front)->header |= BLOCK_PREV_FREE;
    return block_of(at.front);
}

static const void* footer(void)
{
    dmheap_word* const word = (dmheap_word*)block_of(at.middle) - 1;
    *word -= GRANULE;
    return word;
}

static const void* flag_of_a_hole(void)
{
    block_of(at.hole)->header |= BLOCK_ALIGNED;
    return block_of(at.hole);
}

static const void* hole_in_two(void)
{
    struct dmheap_block* const first = block_of(at.hole);
    const uintptr_t size = block_size(first);
    struct dmheap_block* const second = block_at(first, BLOCK_MIN_BYTES);
    block_tag_free(first, BLOCK_MIN_BYTES);
    block_tag_free(second, size - BLOCK_MIN_BYTES);
    return second;
}

/* As the last block, it is to be part of the untouched end. */
static const void* hole_at_the_end(void)
{
    void* last = dmheap_malloc(10 * BLOCK_MIN_BYTES, NULL);
    live_clear(test_heap.ctx, live_index(test_heap.ctx, last));
    block_tag_free(block_of(last), block_size(block_of(last)));
    return block_of(last);
}

static const void* live_bit_lost(void)
{
    live_clear(test_heap.ctx, live_index(test_heap.ctx, at.back));
    return block_of(at.back);
}

static const void* live_bit_of_a_hole(void)
{
    live_set(test_heap.ctx, live_index(test_heap.ctx, at.hole));
    return block_of(at.hole);
}

static const void* live_bit_inside(void)
{
    const uintptr_t index = live_index(test_heap.ctx, at.front) + 1;
    live_set(test_heap.ctx, index);
    return (const uint8_t*)ctx_at(test_heap.ctx, test_heap.ctx->live) + index / 8;
}

static const void* alignment_byte(void)
{
    uint8_t* const byte = heap_alignment_byte(test_heap.ctx, block_of(at.aligned));
    *byte = (uint8_t)(bits_lowest_word((uintptr_t)at.aligned) + 1); /* more than it has */
    return byte;
}

static const void* alignment_byte_absurd(void)
{
    uint8_t* const byte = heap_alignment_byte(test_heap.ctx, block_of(at.aligned));
    *byte = 200;
    return byte;
}

/* One that the address has, but which nobody has to ask for. */
static const void* alignment_byte_of_the_default(void)
{
    uint8_t* const byte = heap_alignment_byte(test_heap.ctx, block_of(at.aligned));
    *byte = (uint8_t)bits_lowest_word((uintptr_t)test_heap.ctx->alignment);
    return byte;
}

static const void* owner_unknown(void)
{
    block_set_owner(block_of(at.aligned), 200);
    return block_of(at.aligned);
}

/* The first of two: an id that a module had, and one that none has had. */
static const void* owner_gone(void)
{
    block_set_owner(block_of(at.aligned), 200);
    block_set_owner(block_of(at.middle), record_group_first(0));
    return block_of(at.middle);
}

static const void* next_of_a_hole(void)
{
    block_of(at.hole)->next += GRANULE;
    return &block_of(at.hole)->next;
}

static const void* prev_of_a_hole(void)
{
    block_of(at.older)->prev = 4;
    return &block_of(at.older)->prev;
}

static const void* list_circular(void)
{
    block_of(at.older)->next = offset_of(block_of(at.hole));
    return &block_of(at.hole)->prev; /* it names the bin */
}

/* A free block of that class in a payload, by its tags and its links, instead of the last one. */
static const void* forge_hole(struct dmheap_block* forged)
{
    struct dmheap_block* const hole = block_of(at.hole);
    block_tag_free(forged, block_size(hole));
    forged->next = 0;
    forged->prev = offset_of(hole);
    hole->next = offset_of(forged);
    return &hole->next;
}

static const void* hole_forged(void)
{
    return forge_hole(block_of(at.front + GRANULE));
}

/* It ends where a live block begins, which knows of nothing free in front. */
static const void* hole_forged_before_a_live_block(void)
{
    const unsigned char* victim = dmheap_malloc(10 * BLOCK_MIN_BYTES, NULL);
    const unsigned char* next = dmheap_malloc(10 * BLOCK_MIN_BYTES, NULL);
    assert_ptr_equal(block_next(block_of(victim)), block_of(next));
    return forge_hole(block_of(next - block_size(block_of(at.hole))));
}

/* Where nothing was yet. */
static const void* hole_forged_behind_the_end(void)
{
    return forge_hole(ctx_block(test_heap.ctx, (uintptr_t)test_heap.ctx->top + GRANULE));
}

/* In a free block, which ends there, too, and is in no list: but for the footer all is right. */
static const void* hole_in_a_hole(void)
{
    struct dmheap_block* const hole = block_of(at.hole);
    const uintptr_t size = block_size(hole) - (uintptr_t)GRANULE;
    assert_true(index_remove(test_heap.ctx, hole));
    struct dmheap_block* const forged = block_at(hole, GRANULE);
    index_insert(test_heap.ctx, forged, size);
    forged->header = (dmheap_word)size;
    return &test_heap.ctx->bin[index_class(test_heap.ctx, size)];
}

/* Only its header is one. */
static const void* hole_without_a_footer(void)
{
    struct dmheap_block* const forged = block_of(at.front + GRANULE);
    const void* place = forge_hole(forged);
    ((dmheap_word*)block_at(forged, block_size(forged)))[-1] -= GRANULE;
    return place;
}

static const void* hole_unlisted(void)
{
    assert_true(index_remove(test_heap.ctx, block_of(at.older)));
    return block_of(at.older);
}

/* The first of two. */
static const void* holes_unlisted(void)
{
    assert_true(index_remove(test_heap.ctx, block_of(at.hole)));
    (void)hole_unlisted();
    return block_of(at.hole);
}

/* Nobody can tell which of all free blocks it is. What looks like one behind the end is none. */
static const void* hole_named_by_a_client(void)
{
    memset(ctx_at(test_heap.ctx, test_heap.ctx->top), 0, BLOCK_MIN_BYTES);
    struct dmheap_block* client = block_of(at.front);
    struct dmheap_block* hole = block_of(at.older);
    assert_true(index_remove(test_heap.ctx, hole));
    hole->prev = (dmheap_word)ctx_offset(test_heap.ctx, client);
    client->next = (dmheap_word)ctx_offset(test_heap.ctx, hole);
    return ctx_block(test_heap.ctx, (uintptr_t)test_heap.ctx->first);
}

static const void* class_given_up(void)
{
    index_abandon(test_heap.ctx, index_class(test_heap.ctx, block_size(block_of(at.hole))));
    return block_of(at.hole);
}

/* By a list and its bit: blocks of no granules. */
static const void* class_of_nothing(void)
{
    test_heap.ctx->row[0] |= 1;
    test_heap.ctx->bin[0] = offset_of(block_of(at.hole));
    return &test_heap.ctx->bin[0];
}

static const void* class_bit(void)
{
    test_heap.ctx->row[1] ^= 16;
    return &test_heap.ctx->row[1];
}

static const void* rows_bit(void)
{
    test_heap.ctx->rows ^= 4;
    return &test_heap.ctx->rows;
}

static const void* bin(void)
{
    test_heap.ctx->bin[index_class(test_heap.ctx, block_size(block_of(at.hole)))] += GRANULE;
    return &test_heap.ctx->bin[index_class(test_heap.ctx, block_size(block_of(at.hole)))];
}

static struct record* its_record(const void* ptr)
{
    return record_of(test_heap.ctx, block_owner(block_of(ptr)));
}

static const void* references_more(void)
{
    its_record(at.middle)->references++;
    return its_record(at.middle);
}

/* As many as it has blocks, and none for its name. */
static const void* references_less(void)
{
    its_record(at.middle)->references--;
    return its_record(at.middle);
}

static const void* references_0(void)
{
    its_record(at.middle)->references = 0;
    return its_record(at.middle);
}

static void front_claims_a_block(void)
{
    if (DMHEAP_ACCOUNTING) {
        account_of("front")->blocks++;
        account_of("front")->bytes += GRANULE;
        account_of("front")->peak += GRANULE;
    }
}

/* Two modules claim one for the only block that may be moving. */
static const void* references_of_one_block_twice(void)
{
    struct record* const back = its_record(at.back);
    heap_set_owner(test_heap.ctx, block_of(at.back), OWNER_HEAP);
    its_record(at.front)->references++;
    front_claims_a_block();
    return back;
}

/* A module that was unregistered and has no block, but is there. */
static const void* record_left(void)
{
    assert_true(dmheap_register_module("left"));
    struct record* record = record_find(test_heap.ctx, "left");
    test_port_forget_lines();
    record_unlink(test_heap.ctx, record);
    record->name[0] = '\0';
    record->references = 0;
    return record;
}

static const void* record_with_another_id(void)
{
    struct record* record = its_record(at.middle);
    record->id++;
    return &record->id;
}

static const void* name_without_end(void)
{
    struct record* record = its_record(at.middle);
    const size_t room = (size_t)heap_usable(test_heap.ctx, block_of(record));
    memset(record->name, 'x', room - offsetof(struct record, name));
    return record->name;
}

static const void* name_of_another(void)
{
    struct record* record = its_record(at.back);
    memcpy(record->name, "b", 2);
    while (image_bucket_of(0, record->name) == image_bucket_of(0, "back")) {
        record->name[0]++;
    }
    const struct record_name back = record_measure("back");
    return record_bucket(record_group(test_heap.ctx, 0), 0, back.hash);
}

static const void* chain_circular(void)
{
    its_record(at.back)->next = its_record(at.back)->id;
    return &its_record(at.back)->next;
}

/* The module of an id, made if need be, and all before. */
static struct record* make_record(dmheap_word id)
{
    struct record* record = record_of(test_heap.ctx, id);
    for (unsigned i = 0; record == NULL; i++) {
        (void)dmheap_register_module(numbered_name(i));
        record = record_of(test_heap.ctx, id);
    }
    test_port_forget_lines();
    return record;
}

static struct record* record_of_group_1(void)
{
    return make_record(record_group_first(1));
}

static const void* chain_circular_in_another_group(void)
{
    struct record* other = record_of_group_1();
    other->next = other->id;
    return &other->next;
}

/* By a name that would be in that bucket. */
static const void* chain_into_another_group(void)
{
    const struct record* other = record_of_group_1();
    const struct record_name name = record_measure(other->name);
    record_id* const bucket = record_bucket(record_group(test_heap.ctx, 0), 0, name.hash);
    *bucket = other->id;
    return bucket;
}

/* In the bucket where an empty name would be: another one would tell by itself. */
static const void* chain_to_no_module(void)
{
    const struct record_name none = record_measure("");
    record_id* const bucket = record_bucket(record_group(test_heap.ctx, 0), 0, none.hash);
    *bucket = (record_id)record_group_first(0);
    return bucket;
}

/* Give a module the name of another one, first in its bucket. */
static void name_like_back(struct record* record)
{
    const struct record_name back = record_measure("back");
    record_unlink(test_heap.ctx, record);
    memcpy(record->name, "back", sizeof("back"));
    record_link(test_heap.ctx, record, back.hash);
}

/* What is found by the name is the other one. */
static const void* name_twice(void)
{
    assert_true(dmheap_register_module(numbered_name(0)));
    test_port_forget_lines();
    name_like_back(record_find(test_heap.ctx, numbered_name(0)));
    return its_record(at.back)->name;
}

static const void* name_twice_in_two_groups(void)
{
    struct record* other = record_of_group_1();
    name_like_back(other);
    return other->name;
}

static const void* group_outside(void)
{
    test_heap.ctx->group[0] = test_heap.ctx->end;
    return &test_heap.ctx->group[0];
}

static const void* group_twice(void)
{
    test_heap.ctx->group[1] = test_heap.ctx->group[0];
    return &test_heap.ctx->group[1];
}

static const void* group_of_none(void)
{
    enum dmheap_verdict verdict = VERDICT_OK;
    assert_non_null(record_make_group(test_heap.ctx, 1, &verdict));
    return record_group(test_heap.ctx, 1);
}

static const void* group_used_wrong(void)
{
    record_group(test_heap.ctx, 0)->used++;
    return &record_group(test_heap.ctx, 0)->used;
}

static const void* group_spare_wrong(void)
{
    record_group(test_heap.ctx, 0)->spare++;
    return &record_group(test_heap.ctx, 0)->spare;
}

static const void* group_given_wrong(void)
{
    record_group(test_heap.ctx, 0)->given = (record_id)(record_group_size(0) + 1);
    return &record_group(test_heap.ctx, 0)->given;
}

static const void* slot_outside(void)
{
    record_group(test_heap.ctx, 0)->slot[1] = test_heap.ctx->end + 2;
    return &record_group(test_heap.ctx, 0)->slot[1];
}

static const void* slot_in_a_circle(void)
{
    record_group(test_heap.ctx, 0)->slot[0] = 1; /* the free one, which names itself */
    return &record_group(test_heap.ctx, 0)->slot[0];
}

static const void* slot_of_the_group(void)
{
    record_group(test_heap.ctx, 0)->slot[1] = test_heap.ctx->group[0];
    return &record_group(test_heap.ctx, 0)->slot[1];
}

/* A free one in the midst names one behind the next that would be given. */
static const void* slots_beyond(void)
{
    struct record_group* group = record_group(test_heap.ctx, 0);
    const dmheap_word index = its_record(at.middle)->id - record_group_first(0);
    dmheap_unregister_module("middle");
    test_port_forget_lines();
    group->slot[index] = record_slot_of_next(group->given + 1U);
    return &group->slot[index];
}

static const void* slots_lost(void)
{
    record_group(test_heap.ctx, 0)->spare = record_group(test_heap.ctx, 0)->given;
    return &record_group(test_heap.ctx, 0)->spare;
}

static const void* hint_by_id(void)
{
    test_heap.ctx->hint_module = test_heap.ctx->end;
    return &test_heap.ctx->hint_module;
}

static const void* hint_by_name(void)
{
    test_heap.ctx->hint[2].module = offset_of(at.front);
    return &test_heap.ctx->hint[2];
}

static const void* serial_even(void)
{
    test_heap.ctx->serial ^= 1;
    return &test_heap.ctx->serial;
}

/* Wider than any serial is, where a word is. */
static const void* serial_wide(void)
{
    test_heap.ctx->serial |= (dmheap_word)1 << (DMHEAP_WORD_BYTES * 8 - 1);
    return &test_heap.ctx->serial;
}

static const void* class_suspect(void)
{
    test_heap.ctx->suspect = 1;
    return &test_heap.ctx->suspect;
}

static const void* map_behind_the_blocks(void)
{
    const uintptr_t index = (uintptr_t)test_heap.ctx->granules - 1;
    live_set(test_heap.ctx, index);
    return (const uint8_t*)ctx_at(test_heap.ctx, test_heap.ctx->live) + index / 8;
}

#define DAMAGE(plant, fault, block)                \
    {                                              \
        plant, DMHEAP_FAULT_##fault, block, #plant \
    }
#define ELSEWHERE NULL /* in none of the scene's blocks, or not in the first of them */

static const struct damage {
    const void* (*plant)(void);
    enum dmheap_fault fault;
    unsigned char** block; /* that it is in */
    const char* name;
} damages[] = {
    DAMAGE(size_too_large, SIZE, &at.front),
    DAMAGE(size_0, SIZE, &at.middle),
    DAMAGE(size_beyond_top, SIZE, &at.back),
    DAMAGE(size_of_a_hole, SIZE, &at.hole),
    DAMAGE(prev_free_lost, TAGS, &at.middle),
    DAMAGE(prev_free_by_mistake, TAGS, &at.front),
    DAMAGE(footer, FOOTER, &at.hole),
    DAMAGE(flag_of_a_hole, TAGS, &at.hole),
    DAMAGE(hole_in_two, UNMERGED, ELSEWHERE),
    DAMAGE(hole_at_the_end, UNMERGED, ELSEWHERE),
    DAMAGE(live_bit_lost, MAP, &at.back),
    DAMAGE(live_bit_of_a_hole, MAP, &at.hole),
    DAMAGE(live_bit_inside, MAP, &at.front),
    DAMAGE(alignment_byte, ALIGNMENT, &at.aligned),
    DAMAGE(alignment_byte_absurd, ALIGNMENT, &at.aligned),
    DAMAGE(alignment_byte_of_the_default, ALIGNMENT, &at.aligned),
    DAMAGE(next_of_a_hole, LINK, &at.hole),
    DAMAGE(prev_of_a_hole, LINK, &at.older),
    DAMAGE(list_circular, LINK, &at.hole),
    DAMAGE(hole_forged, LINK, &at.hole),
    DAMAGE(hole_forged_behind_the_end, LINK, &at.hole),
    DAMAGE(hole_in_a_hole, LINK, ELSEWHERE),
    DAMAGE(hole_without_a_footer, LINK, &at.hole),
    DAMAGE(hole_unlisted, UNLISTED, &at.older),
    DAMAGE(holes_unlisted, UNLISTED, &at.hole),
    DAMAGE(hole_named_by_a_client, UNLISTED, ELSEWHERE),
    DAMAGE(class_given_up, UNLISTED, &at.hole),
    DAMAGE(class_of_nothing, LINK, ELSEWHERE),
    DAMAGE(class_bit, CLASS, ELSEWHERE),
    DAMAGE(rows_bit, CLASS, ELSEWHERE),
    DAMAGE(bin, LINK, ELSEWHERE),
    DAMAGE(references_more, REFERENCES, ELSEWHERE),
    DAMAGE(references_less, REFERENCES, ELSEWHERE),
    DAMAGE(references_0, REFERENCES, ELSEWHERE),
    DAMAGE(references_of_one_block_twice, REFERENCES, ELSEWHERE),
    DAMAGE(record_left, REFERENCES, ELSEWHERE),
    DAMAGE(record_with_another_id, RECORD, ELSEWHERE),
    DAMAGE(name_without_end, RECORD, ELSEWHERE),
    DAMAGE(name_of_another, NAME, ELSEWHERE),
    DAMAGE(chain_circular, NAME, ELSEWHERE),
    DAMAGE(chain_circular_in_another_group, NAME, ELSEWHERE),
    DAMAGE(chain_into_another_group, NAME, ELSEWHERE),
    DAMAGE(chain_to_no_module, NAME, ELSEWHERE),
    DAMAGE(name_twice, NAME, ELSEWHERE),
    DAMAGE(name_twice_in_two_groups, NAME, ELSEWHERE),
    DAMAGE(group_outside, GROUP, ELSEWHERE),
    DAMAGE(group_twice, GROUP, ELSEWHERE),
    DAMAGE(group_of_none, GROUP, ELSEWHERE),
    DAMAGE(group_used_wrong, GROUP, ELSEWHERE),
    DAMAGE(group_spare_wrong, GROUP, ELSEWHERE),
    DAMAGE(group_given_wrong, GROUP, ELSEWHERE),
    DAMAGE(slot_outside, GROUP, ELSEWHERE),
    DAMAGE(slot_in_a_circle, GROUP, ELSEWHERE),
    DAMAGE(slot_of_the_group, GROUP, ELSEWHERE),
    DAMAGE(slots_beyond, GROUP, ELSEWHERE),
    DAMAGE(slots_lost, GROUP, ELSEWHERE),
    DAMAGE(hint_by_id, HINT, ELSEWHERE),
    DAMAGE(hint_by_name, HINT, ELSEWHERE),
    DAMAGE(serial_even, CONTEXT, ELSEWHERE),
    DAMAGE(class_suspect, CONTEXT, ELSEWHERE),
    DAMAGE(map_behind_the_blocks, MAP, ELSEWHERE),
};

/* What only 8-byte headers have. */
static const struct damage wide_damages[] = {
    DAMAGE(serial_wide, CONTEXT, ELSEWHERE),
};

/* What canaries show before. */
static const struct damage bare_damages[] = {
    DAMAGE(owner_unknown, OWNER, &at.aligned),
    DAMAGE(owner_gone, OWNER, ELSEWHERE),
    DAMAGE(hole_forged_before_a_live_block, LINK, ELSEWHERE),
};

/* ---- of accounts ---- */

static const void* account_bytes(void)
{
    account_of("middle")->bytes -= GRANULE;
    return &account_of("middle")->bytes;
}

/* A block that moves does not hide it. */
static const void* account_bytes_without_a_block(void)
{
    heap_set_owner(test_heap.ctx, block_of(at.back), OWNER_HEAP);
    account_of("front")->bytes += GRANULE;
    return &account_of("front")->bytes;
}

/* As the references of one block twice, but of its account only. */
static const void* account_of_one_block_twice(void)
{
    struct dmheap_holding* const back = account_of("back");
    heap_set_owner(test_heap.ctx, block_of(at.back), OWNER_HEAP);
    front_claims_a_block();
    return &back->blocks;
}

static const void* account_blocks(void)
{
    account_of("middle")->blocks++;
    return &account_of("middle")->blocks;
}

static const void* account_of_nobody(void)
{
    ctx_totals(test_heap.ctx)->nobody.bytes += GRANULE;
    return &ctx_totals(test_heap.ctx)->nobody.bytes;
}

/* The sum is right. */
static const void* account_of_another(void)
{
    account_of("front")->bytes -= GRANULE;
    account_of("back")->bytes += GRANULE;
    return &account_of("front")->bytes;
}

static const void* account_peak(void)
{
    account_of("middle")->peak = 0;
    return &account_of("middle")->peak;
}

static const void* account_reserve_absurd(void)
{
    account_of("front")->reserve = account_capacity(test_heap.ctx) + 1;
    return &account_of("front")->reserve;
}

static const void* account_reason_unknown(void)
{
    account_of("back")->last_failure = CTX_REASONS;
    return &account_of("back")->last_failure;
}

static const void* heap_used(void)
{
    ctx_totals(test_heap.ctx)->used += GRANULE;
    return &ctx_totals(test_heap.ctx)->used;
}

/* A block that is the heap's own, of no module that has it moved. */
static const void* heap_used_by_itself(void)
{
    struct dmheap_holding* const back = account_of("back");
    back->blocks--;
    back->bytes -= (dmheap_word)block_size(block_of(at.back));
    back->reserve = 0;
    ctx_totals(test_heap.ctx)->unmet = 0;
    heap_set_owner(test_heap.ctx, block_of(at.back), OWNER_HEAP);
    return &ctx_totals(test_heap.ctx)->used;
}

static const void* heap_peak(void)
{
    ctx_totals(test_heap.ctx)->peak = ctx_totals(test_heap.ctx)->used - 1;
    return &ctx_totals(test_heap.ctx)->peak;
}

static const void* heap_peak_absurd(void)
{
    ctx_totals(test_heap.ctx)->peak = account_capacity(test_heap.ctx) + 1;
    return &ctx_totals(test_heap.ctx)->peak;
}

static const void* heap_unmet(void)
{
    ctx_totals(test_heap.ctx)->unmet--;
    return &ctx_totals(test_heap.ctx)->unmet;
}

/* The sums are right, but it is more than there is. */
static const void* heap_unmet_beyond_what_is_free(void)
{
    account_set(test_heap.ctx, account_of("back"), account_of("back")->bytes,
                account_capacity(test_heap.ctx));
    return &ctx_totals(test_heap.ctx)->unmet;
}

static const void* dead_outside(void)
{
    ctx_totals(test_heap.ctx)->dead = test_heap.ctx->end;
    return &ctx_totals(test_heap.ctx)->dead;
}

static const void* dead_of_a_client(void)
{
    ctx_totals(test_heap.ctx)->dead = offset_of(at.front);
    return &ctx_totals(test_heap.ctx)->dead;
}

static const void* dead_in_a_record(void)
{
    ctx_totals(test_heap.ctx)->dead = offset_of(its_record(at.front));
    return &ctx_totals(test_heap.ctx)->dead;
}

/* One that is large enough for a ring. */
static const void* dead_in_a_group(void)
{
    (void)record_of_group_1();
    record_group(test_heap.ctx, 1)->slot[1] = 0; /* not given; a ring has its id of none there */
    ctx_totals(test_heap.ctx)->dead = test_heap.ctx->group[1];
    return &ctx_totals(test_heap.ctx)->dead;
}

static const void* dead_with_an_id(void)
{
    dead_ring(test_heap.ctx)->no_id = 4;
    return &ctx_totals(test_heap.ctx)->dead;
}

static const void* dead_too_many(void)
{
    dead_ring(test_heap.ctx)->count = 3;
    return &dead_ring(test_heap.ctx)->count;
}

static const void* dead_next(void)
{
    dead_ring(test_heap.ctx)->next = 0;
    return &dead_ring(test_heap.ctx)->next;
}

static const void* dead_next_beyond(void)
{
    dead_ring(test_heap.ctx)->count = 2;
    dead_ring(test_heap.ctx)->next = 2;
    return &dead_ring(test_heap.ctx)->next;
}

static const void* dead_without_a_name(void)
{
    dead_ring(test_heap.ctx)->entry[0].name[0] = '\0';
    return dead_ring(test_heap.ctx)->entry[0].name;
}

static const void* dead_without_a_name_behind_another(void)
{
    dmheap_unregister_module("middle");
    test_port_forget_lines();
    dead_ring(test_heap.ctx)->entry[1].name[0] = '\0';
    return dead_ring(test_heap.ctx)->entry[1].name;
}

static const void* dead_name_without_end(void)
{
    struct dead* dead = &dead_ring(test_heap.ctx)->entry[0];
    memset(dead->name, 'x', sizeof(dead->name));
    return dead->name;
}

static const void* dead_figure(void)
{
    dead_ring(test_heap.ctx)->entry[0].holding.bytes = 1;
    return &dead_ring(test_heap.ctx)->entry[0].holding.peak;
}

static const struct damage account_damages[] = {
    DAMAGE(account_bytes, ACCOUNT, ELSEWHERE),
    DAMAGE(account_bytes_without_a_block, ACCOUNT, ELSEWHERE),
    DAMAGE(account_of_one_block_twice, ACCOUNT, ELSEWHERE),
    DAMAGE(account_blocks, ACCOUNT, ELSEWHERE),
    DAMAGE(account_of_nobody, ACCOUNT, ELSEWHERE),
    DAMAGE(account_of_another, ACCOUNT, ELSEWHERE),
    DAMAGE(account_peak, ACCOUNT, ELSEWHERE),
    DAMAGE(account_reserve_absurd, ACCOUNT, ELSEWHERE),
    DAMAGE(account_reason_unknown, ACCOUNT, ELSEWHERE),
    DAMAGE(heap_used, TOTALS, ELSEWHERE),
    DAMAGE(heap_used_by_itself, TOTALS, ELSEWHERE),
    DAMAGE(heap_peak, TOTALS, ELSEWHERE),
    DAMAGE(heap_peak_absurd, TOTALS, ELSEWHERE),
    DAMAGE(heap_unmet, TOTALS, ELSEWHERE),
    DAMAGE(heap_unmet_beyond_what_is_free, TOTALS, ELSEWHERE),
    DAMAGE(dead_outside, DEAD, ELSEWHERE),
    DAMAGE(dead_of_a_client, DEAD, ELSEWHERE),
    DAMAGE(dead_in_a_record, DEAD, ELSEWHERE),
    DAMAGE(dead_in_a_group, DEAD, ELSEWHERE),
    DAMAGE(dead_with_an_id, DEAD, ELSEWHERE),
    DAMAGE(dead_too_many, DEAD, ELSEWHERE),
    DAMAGE(dead_next, DEAD, ELSEWHERE),
    DAMAGE(dead_next_beyond, DEAD, ELSEWHERE),
    DAMAGE(dead_without_a_name, DEAD, ELSEWHERE),
    DAMAGE(dead_without_a_name_behind_another, DEAD, ELSEWHERE),
    DAMAGE(dead_name_without_end, DEAD, ELSEWHERE),
    DAMAGE(dead_figure, DEAD, ELSEWHERE),
};

/* ---- of canaries ---- */

static unsigned char* canary_of(unsigned char* ptr)
{
    const struct dmheap_block* block = block_of(ptr);
    return (unsigned char*)(trailer_end(block, block_size(block)) - 1 - DMHEAP_SEQUENCE);
}

static const void* canary_by_a_byte(void)
{
    canary_of(at.front)[0] = 0;
    return canary_of(at.front);
}

static const void* canary_by_a_bit(void)
{
    canary_of(at.middle)[3] ^= 1;
    return canary_of(at.middle);
}

/* And what is behind it: the block's number, and a header. */
static const void* canary_by_an_overrun(void)
{
    unsigned char* const canary = canary_of(at.front);
    memset(canary, 'x', BLOCK_TRAILER_BYTES + WORD);
    return canary;
}

static const void* canary_by_an_overrun_of_the_last(void)
{
    unsigned char* const canary = canary_of(at.back);
    memset(canary, 'x', BLOCK_TRAILER_BYTES);
    return canary;
}

static const void* canary_of_another(void)
{
    memcpy(canary_of(at.middle), canary_of(at.back), 4);
    return canary_of(at.middle);
}

/* Of those that it has, too. */
static const void* alignment_byte_credible(void)
{
    *heap_alignment_byte(test_heap.ctx, block_of(at.aligned)) = 5;
    return canary_of(at.aligned);
}

static const void* owner_of_a_canary(void)
{
    block_set_owner(block_of(at.front), block_owner(block_of(at.middle)));
    return canary_of(at.front);
}

static const void* owner_unknown_of_a_canary(void)
{
    (void)owner_unknown();
    return canary_of(at.aligned);
}

static const void* serial(void)
{
    test_heap.ctx->serial ^= 2;
    return &test_heap.ctx->serial;
}

static const struct damage canary_damages[] = {
    DAMAGE(canary_by_a_byte, CANARY, &at.front),
    DAMAGE(canary_by_a_bit, CANARY, &at.middle),
    DAMAGE(canary_by_an_overrun, CANARY, &at.front),
    DAMAGE(canary_by_an_overrun_of_the_last, CANARY, &at.back),
    DAMAGE(canary_of_another, CANARY, &at.middle),
    DAMAGE(alignment_byte_credible, CANARY, &at.aligned),
    DAMAGE(owner_of_a_canary, CANARY, &at.front),
    DAMAGE(owner_unknown_of_a_canary, CANARY, &at.aligned),
    DAMAGE(serial, CONTEXT, ELSEWHERE),
};

/* ---- what is told ---- */

/* The block, of those whose headers are right, in which that is; NULL: in none. */
static struct dmheap_block* block_around(const void* place)
{
    for (struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        if (offset_of(place) - offset_of(block) < block_size(block)) {
            return block;
        }
    }
    return NULL;
}

static void expect_block(const struct dmheap_beside* told, const struct dmheap_block* block)
{
    if (block == NULL) {
        expect_beside(told, NULL, "");
    } else {
        const dmheap_word owner = block_owner(block);
        assert_int_equal(told->address, (uintptr_t)block_payload(block));
        assert_int_equal(told->kind, owner == OWNER_FREE   ? DMHEAP_BLOCK_FREE
                                     : owner == OWNER_HEAP ? DMHEAP_BLOCK_OWN
                                                           : DMHEAP_BLOCK_LIVE);
    }
}

/* Of the blocks that are live, as the map tells: the last in front, and the first behind. */
static void expect_neighbours(const struct dmheap_finding* finding, const void* place)
{
    const bool is_in_front = offset_of(place) < test_heap.ctx->first;
    const struct dmheap_block* before = NULL;
    const struct dmheap_block* after = NULL;
    for (struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        const bool is_live = live_is(test_heap.ctx, block_payload(block));
        if (is_live && !is_in_front && (const void*)block_next(block) <= place) {
            before = block;
        }
        if (is_live && after == NULL && (is_in_front || (const void*)block > place)) {
            after = block;
        }
    }
    expect_block(&finding->before, before);
    expect_block(&finding->after, after);
}

/* The clients' blocks, in their order. */
static const struct {
    unsigned char** ptr;
    const char* owner;
} order[] = {
    {&at.front, "front"}, {&at.middle, "middle"}, {&at.aligned, "middle"}, {&at.back, "back"}};

/* Are the clients' blocks beside `ptr` named? In front of the first one is a record. */
static void expect_clients(const struct dmheap_finding* finding, const unsigned char* ptr)
{
    size_t next = 0;
    while (next < COUNT_OF(order) && *order[next].ptr < ptr) {
        next++;
    }
    if (next == 0) {
        assert_int_equal(finding->before.kind, DMHEAP_BLOCK_OWN);
    } else {
        expect_beside(&finding->before, *order[next - 1].ptr, order[next - 1].owner);
        assert_int_equal(finding->before.kind, DMHEAP_BLOCK_LIVE);
    }
    next += next < COUNT_OF(order) && *order[next].ptr == ptr;
    if (next < COUNT_OF(order)) {
        expect_beside(&finding->after, *order[next].ptr, order[next].owner);
    } else {
        expect_beside(&finding->after, NULL, "");
    }
}

static void expect_told(const struct damage* damage, const struct dmheap_finding* finding,
                        const void* place)
{
    assert_int_equal(finding->fault, damage->fault);
    assert_true(finding->text != NULL && strlen(finding->text) > 10);
    assert_int_equal(finding->address, (uintptr_t)place);
    assert_int_equal(finding->offset, offset_of(place));
    if (damage->block != ELSEWHERE) {
        assert_int_equal(finding->block.address, (uintptr_t)*damage->block);
        expect_clients(finding, *damage->block);
    } else {
        expect_block(&finding->block, block_around(place));
        expect_neighbours(finding, place);
    }
}

static void expect_all_told(const struct damage* first, size_t count)
{
    for (const struct damage* damage = first; damage < first + count; damage++) {
        printf("%s\n", damage->name);
        lay_scene();
        const void* place = damage->plant();
        const struct dmheap_finding finding = find_fault();
        expect_told(damage, &finding, place);
        arenas_release();
    }
}

static void each_damage_is_told_with_its_place_and_whose_blocks_lie_beside(void** state)
{
    (void)state;
    expect_all_told(damages, COUNT_OF(damages));
    if (!DMHEAP_CANARY) {
        expect_all_told(bare_damages, COUNT_OF(bare_damages));
    }
    if (DMHEAP_HEADER_BYTES == 8) {
        expect_all_told(wide_damages, COUNT_OF(wide_damages));
    }
}

static void each_damage_of_an_account_is_told_with_its_place(void** state)
{
    (void)state;
    expect_all_told(account_damages, COUNT_OF(account_damages));
}

static void each_damage_of_a_canary_is_told_with_its_place_and_block(void** state)
{
    (void)state;
    expect_all_told(canary_damages, COUNT_OF(canary_damages));
}

/* Between two owners that are gone meanwhile, or none: the sums hold at each unlock. */
static void an_account_whose_block_moves_is_no_fault(void** state)
{
    (void)state;
    lay_scene();
    void* ptr = dmheap_malloc(350, "new");
    assert_non_null(dmheap_malloc(350, NULL));
    assert_int_equal(account_reserve(test_heap.ctx, account_of("new"), 1500), VERDICT_OK);
    look_on();
    ptr = dmheap_realloc(ptr, 600, "new");
    assert_non_null(ptr);
    assert_int_equal(most_moving, 2);
    dmheap_unregister_module("new");
    test_port_on_unlock(NULL, NULL);
    assert_true(looks >= 4);
    test_port_forget_lines();
    (void)heap_verify();
}

/* Each byte from one offset to another; how many there are. */
static unsigned expect_unused(dmheap_word from, dmheap_word to)
{
    for (dmheap_word offset = from; offset < to; offset++) {
        uint8_t* const byte = ctx_at(test_heap.ctx, offset);
        *byte = 1;
        const struct dmheap_finding finding = find_fault();
        assert_int_equal(finding.fault, DMHEAP_FAULT_UNUSED);
        assert_int_equal(finding.address, (uintptr_t)byte);
        expect_beside(&finding.block, NULL, "");
        *byte = 0;
    }
    return (unsigned)(to - from);
}

/* They are counted CHECK_BATCH at a time. */
static void of_many_modules_the_references_of_each_are_proven(void** state)
{
    const unsigned count = 2 * CHECK_BATCH;
    (void)state;
    heap_open(32 * KIB, 8);
    for (unsigned i = 0; i < count; i++) {
        assert_true(dmheap_register_module(numbered_name(i)));
    }
    test_port_forget_lines();
    for (unsigned i = 0; i < count; i++) {
        struct record* record = record_find(test_heap.ctx, numbered_name(i));
        record->references++;
        const struct dmheap_finding finding = find_fault();
        assert_int_equal(finding.fault, DMHEAP_FAULT_REFERENCES);
        assert_int_equal(finding.address, (uintptr_t)record);
        record->references--;
    }
}

/* In front of the live map, which is of whole words of the host's, and behind it. */
static void what_nothing_uses_is_found_written_over(void** state)
{
    (void)state;
    unsigned in_front = 0;
    unsigned behind = 0;
    for (size_t size = KIB; size < 2 * KIB; size += GRANULE) {
        heap_open(size, 16); /* more than a word */
        const struct dmheap_ctx* ctx = test_heap.ctx;
        const uintptr_t classes =
            index_class(ctx, (uintptr_t)ctx->granules << ctx->granule_shift) + 1;
        const dmheap_word bins_end = offset_of(&ctx->bin[classes]);
        in_front += expect_unused(bins_end, ctx->live);
        behind += expect_unused(ctx->live + live_map_bytes(ctx->granules), ctx->first);
        arenas_release();
    }
    assert_int_equal(in_front != 0, sizeof(uintptr_t) > DMHEAP_WORD_BYTES);
    assert_true(behind != 0);
}

static void a_field_of_the_context_that_was_written_over_is_named(void** state)
{
    static const size_t fields[] = {
        offsetof(struct dmheap_ctx, size_mask), offsetof(struct dmheap_ctx, request_limit),
        offsetof(struct dmheap_ctx, round),     offsetof(struct dmheap_ctx, granule_shift),
        offsetof(struct dmheap_ctx, granules),  offsetof(struct dmheap_ctx, live),
        offsetof(struct dmheap_ctx, first),     offsetof(struct dmheap_ctx, top),
        offsetof(struct dmheap_ctx, end),       offsetof(struct dmheap_ctx, alignment)};
    (void)state;
    lay_scene();
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        dmheap_word* const word = (dmheap_word*)ctx_at(test_heap.ctx, (dmheap_word)fields[i]);
        const dmheap_word right = *word;
        for (unsigned bit = 0; bit < DMHEAP_HEADER_BYTES * 8; bit++) {
            *word = right ^ (dmheap_word)1 << bit;
            const struct dmheap_finding finding = find_fault();
            const bool is_top = fields[i] == offsetof(struct dmheap_ctx, top);
            assert_true(finding.fault == DMHEAP_FAULT_CONTEXT || is_top);
            if (finding.fault == DMHEAP_FAULT_CONTEXT) {
                assert_int_equal(finding.offset, fields[i]);
                expect_beside(&finding.block, NULL, "");
            }
        }
        *word = right;
    }
    expect_silence();
}

/* As many as there may be: the first of both. In a copy, too. */
static void of_two_fields_that_were_written_over_the_first_is_named(void** state)
{
    (void)state;
    lay_scene();
    test_heap.ctx->request_limit ^= 64;
    test_heap.ctx->round ^= 64;
    struct dmheap_finding finding = find_fault();
    assert_int_equal(finding.fault, DMHEAP_FAULT_CONTEXT);
    assert_int_equal(finding.offset, offsetof(struct dmheap_ctx, request_limit));
    assert_false(dmheap_ctx_check_image(test_heap.buffer, test_heap.size, 0, &finding));
    assert_int_equal(finding.fault, DMHEAP_FAULT_CONTEXT);
    assert_int_equal(finding.offset, offsetof(struct dmheap_ctx, request_limit));
}

static void the_last_serial_is_one(void** state)
{
    (void)state;
    heap_open(2 * KIB, 8);
    ctx_set(test_heap.ctx, &test_heap.ctx->serial, ~(uint32_t)0);
    (void)heap_verify();
}

static void unregister_group(unsigned number)
{
    for (dmheap_word id = record_group_first(number); id < record_group_first(number + 1); id++) {
        const struct record* record = record_of(test_heap.ctx, id);
        if (record != NULL) {
            dmheap_unregister_module(record->name);
        }
    }
    test_port_forget_lines();
    assert_int_equal(test_heap.ctx->group[number], 0);
}

/* A group goes with its last module, while those behind it stay. */
static void a_group_behind_one_that_is_gone_is_proven(void** state)
{
    (void)state;
    for (unsigned gone = 0; gone < 2; gone++) {
        heap_open(32 * KIB, 8);
        struct record* record = make_record(record_group_first(gone + 1) + 8);
        unregister_group(gone);
        (void)heap_verify();
        record->references++;
        const struct dmheap_finding finding = find_fault();
        assert_int_equal(finding.fault, DMHEAP_FAULT_REFERENCES);
        assert_int_equal(finding.address, (uintptr_t)record);
        arenas_release();
    }
}

/*
 * With 4-byte headers the hint stands where buckets would, if the group were at offset 0; it leads to a
 * module in a circle, which has another name than that which is looked for.
 */
static void in_a_group_that_is_gone_no_name_is_looked_for(void** state)
{
    (void)state;
    heap_open(32 * KIB, 8);
    (void)make_record(record_group_first(1) + 8);
    struct record* last = make_record(record_group_first(1) + 9);
    unregister_group(0);
    record_unlink(test_heap.ctx, last);
    last->next = last->id;
    memset(&test_heap.ctx->hint_module, last->id, 4);
    const struct dmheap_finding finding = find_fault();
    assert_int_equal(finding.fault, DMHEAP_FAULT_NAME);
    assert_int_equal(finding.address, (uintptr_t)last->name);
}

static void a_context_that_was_written_over_as_a_whole_is_told(void** state)
{
    (void)state;
    lay_scene();
    for (unsigned value = 0; value < 256; value++) {
        memset(test_heap.ctx, (int)value, 8 * WORD);
        struct check check;
        assert_false(check_heap(&check, test_heap.ctx, 0));
        assert_int_equal(check.fault, DMHEAP_FAULT_CONTEXT);
        assert_int_equal(check.offset, 0);
        assert_int_equal(check.block, 0);
        assert_int_equal(check.image.size, 0);
    }
}

static void a_wrong_seal_is_told_if_nothing_else_is_wrong(void** state)
{
    (void)state;
    struct check check;
    lay_scene();
    test_heap.ctx->seal ^= 1;
    assert_false(check_heap(&check, test_heap.ctx, 0));
    assert_int_equal(check.fault, DMHEAP_FAULT_CONTEXT);
    assert_int_equal(check.offset, offsetof(struct dmheap_ctx, seal));
    assert_int_equal(check.block, 0);
}

/*
 * Of one block alone nothing tells which of both it is. Aligned to 16, blocks of a granule each can lie
 * side by side.
 */
static void where_no_canary_is_right_the_serial_is_wrong(void** state)
{
    (void)state;
    for (size_t alignment = 8; alignment <= 16; alignment += 8) {
        for (unsigned blocks = 1; blocks <= 3; blocks++) {
            void* ptr = NULL;
            heap_open(2 * KIB, alignment);
            for (unsigned i = 0; i < blocks; i++) {
                ptr = dmheap_malloc(4, NULL);
                assert_non_null(ptr);
            }
            ctx_set(test_heap.ctx, &test_heap.ctx->serial, test_heap.ctx->serial ^ 2);
            struct check check;
            assert_false(check_heap(&check, test_heap.ctx, 0));
            assert_int_equal(check.fault, blocks == 1 ? DMHEAP_FAULT_CANARY : DMHEAP_FAULT_CONTEXT);
            heap_seal(test_heap.ctx, block_of(ptr)); /* one is right now */
            assert_int_equal(check_heap(&check, test_heap.ctx, 0), blocks == 1);
            assert_int_equal(check.fault, blocks == 1 ? DMHEAP_FAULT_NONE : DMHEAP_FAULT_CANARY);
            arenas_release();
        }
    }
}

/* ---- each bit ------------------------------------------------------------------------- */

static bool is_in(dmheap_word offset, const void* start, size_t bytes)
{
    return offset >= offset_of(start) && offset < offset_of(start) + bytes;
}

/* Of an account: what is only bounded, or not even that. */
static bool is_free_of_account(const struct dmheap_holding* holding, dmheap_word offset)
{
    return is_in(offset, &holding->peak, 7 * WORD);
}

static bool is_free_of_totals(dmheap_word offset)
{
    const struct dmheap_totals* totals = ctx_totals(test_heap.ctx);
    return is_in(offset, &totals->peak, WORD) ||
           is_in(offset, totals->failures, sizeof(totals->failures)) ||
           is_free_of_account(&totals->nobody, offset);
}

/* What of the context nothing else tells. */
static bool is_free_of_choice(dmheap_word offset)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    bool is_free =
        (!DMHEAP_GUARD && (is_in(offset, &ctx->seal, WORD) || is_in(offset, &ctx->serial, WORD))) ||
        (DMHEAP_ACCOUNTING && is_free_of_totals(offset));
    for (size_t i = 0; i < DMHEAP_HINTS; i++) {
        is_free = is_free || (ctx->hint[i].module != 0 && is_in(offset, &ctx->hint[i].name, 4));
    }
    return is_free;
}

/* Of a record: its serial, and the text of its name, as long as it ends and hashes alike. */
static bool is_free_of_record(struct record* record, dmheap_word offset)
{
    const size_t bytes = (size_t)heap_usable(test_heap.ctx, block_of(record));
    const struct dmheap_holding* holding = record_holding(test_heap.ctx, record);
    const dmheap_word end = offset_of(&record->next) + sizeof(record->next);
    return is_in(offset, &record->serial, 4) ||
           (DMHEAP_ACCOUNTING && (is_free_of_account(holding, offset) ||
                                  (offset >= end && offset < offset_of(holding)))) ||
           is_in(offset, record->name, bytes - offsetof(struct record, name));
}

/* Of a group: the slots that were never given, and nothing of its buckets. */
static bool is_free_of_group(dmheap_word offset)
{
    const struct record_group* group = record_group(test_heap.ctx, 0);
    const size_t whole = (size_t)heap_usable(test_heap.ctx, block_of(group));
    const unsigned behind = record_group_size(0) - group->given;
    return is_in(offset, &group->unused, sizeof(group->unused)) ||
           (behind != 0 && is_in(offset, &group->slot[group->given], behind * WORD)) ||
           (offset >= offset_of(group) + record_group_bytes(0) && is_in(offset, group, whole));
}

/* Of the dead: all that they were, and what is between and behind. */
static bool is_free_of_dead(const struct dead_ring* ring, dmheap_word offset)
{
    return offset >= offset_of(&ring->no_id) + sizeof(ring->no_id);
}

static bool is_free_of_own(const void* payload, dmheap_word offset)
{
    if (payload == record_group(test_heap.ctx, 0)) {
        return is_free_of_group(offset);
    }
    const struct dead_ring* ring = DMHEAP_ACCOUNTING ? dead_ring(test_heap.ctx) : NULL;
    return payload == ring ? is_free_of_dead(ring, offset)
                           : is_free_of_record((struct record*)payload, offset);
}

/* May a bit there change unnoticed: is it a client's, or of those that nothing else tells? */
static bool is_free_to_change(const struct dmheap_block* block, dmheap_word offset)
{
    const size_t size = (size_t)block_size(block);
    const dmheap_word within = offset - offset_of(block);
    if (within < DMHEAP_WORD_BYTES) {
        return false;
    }
    if (block_is_free(block)) {
        return within >= 3 * DMHEAP_WORD_BYTES && within < size - WORD;
    }
    if (within >= size - BLOCK_TRAILER_BYTES) {
        return within >= size - 4 * DMHEAP_SEQUENCE; /* a canary is in front of a number */
    }
    return block_owner(block) != OWNER_HEAP || is_free_of_own(block_payload(block), offset);
}

static bool is_noticed(void)
{
    struct check check;
    return !check_heap(&check, test_heap.ctx, 0) || check.census.moving != 0;
}

/* Which byte of a word has its lowest bits. */
static dmheap_word lowest_byte(void)
{
    const dmheap_word one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1 ? 0 : DMHEAP_WORD_BYTES - 1;
}

static void expect_bits(dmheap_word offset, bool is_free, bool is_clients)
{
    uint8_t* const byte = ctx_at(test_heap.ctx, offset);
    for (unsigned bit = 0; bit < 8; bit++) {
        *byte ^= (uint8_t)(1U << bit);
        const bool noticed = is_noticed();
        *byte ^= (uint8_t)(1U << bit);
        if (noticed ? is_clients : !is_free) {
            fail_msg("offset %u, bit %u: %s", (unsigned)offset, bit, noticed ? "noticed" : "not");
        }
    }
}

static void no_bit_of_the_heaps_own_is_flipped_unnoticed_and_none_of_a_clients_matters(void** state)
{
    (void)state;
    lay_scene();
    for (dmheap_word offset = 0; offset < test_heap.ctx->first; offset++) {
        expect_bits(offset, is_free_of_choice(offset), false);
    }
    for (const struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        const bool is_own = block_owner(block) == OWNER_HEAP;
        const bool is_aligned = (block->header & BLOCK_ALIGNED) != 0;
        const dmheap_word end = offset_of(block) + (dmheap_word)block_size(block);
        const dmheap_word alignment = end - BLOCK_TRAILER_BYTES - 1;
        const dmheap_word tags = offset_of(block) + lowest_byte();
        for (dmheap_word offset = offset_of(block); offset < end; offset++) {
            /* That a block was asked for with another alignment that it has, too. */
            const bool tells_alignment = is_aligned && (offset == tags || offset == alignment);
            const bool is_free =
                is_free_to_change(block, offset) && !(DMHEAP_CANARY && tells_alignment);
            expect_bits(offset, is_free || (tells_alignment && !DMHEAP_CANARY),
                        is_free && !is_own && !tells_alignment);
        }
    }
    for (dmheap_word offset = test_heap.ctx->top; offset < test_heap.ctx->end; offset++) {
        expect_bits(offset, true, true);
    }
}

/* ---- at random ------------------------------------------------------------------------ */

/* Words that look like nothing, like sizes, offsets or headers, and bytes. */
static void write_over(unsigned char* bytes, size_t size)
{
    uint32_t word = dice(0xFFFFFF) ^ dice(0xFFFFFF) << 8;
    switch (dice(5)) {
    case 0:
        word = dice((uint32_t)size);
        break;
    case 1:
        word = dice((uint32_t)size / 8) * 8;
        break;
    case 2:
        word = dice(64) * 8 + dice(4) + (dice(6) << 24);
        break;
    case 3:
        word = dice(2) == 0 ? 0 : ~(uint32_t)0;
        break;
    default:
        break;
    }
    const size_t part = dice(4) == 0 ? 1 : sizeof(word);
    const size_t place = dice(2) == 0 ? dice((uint32_t)(size - part)) & ~(uint32_t)3
                                      : dice((uint32_t)(dice(2) == 0 ? 300 : size - part));
    memcpy(bytes + place, &word, part);
}

/* In a copy that ends where its memory does, so that a sanitizer sees each read outside of it. */
static void whatever_stands_in_an_image_the_check_ends_and_stays_inside(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 60; round++) {
        const size_t size = 1200 + dice(6000);
        assert_true(heap_start(arena_make(size, 0), size, (size_t)1 << dice(8)));
        use_at_random(size);
        unsigned char* copy = malloc(size);
        assert_non_null(copy);
        for (unsigned i = 0; i < 100; i++) {
            struct dmheap_finding finding;
            memcpy(copy, test_heap.buffer, size);
            for (unsigned words = 1 + dice(i % 10 == 0 ? 400 : 6); words != 0; words--) {
                write_over(copy, size);
            }
            const uintptr_t address = dice(2) == 0 ? 0 : (uintptr_t)test_heap.buffer;
            (void)dmheap_ctx_check_image(copy, size, address, &finding);
        }
        free(copy);
        arenas_release();
        test_port_forget_lines();
    }
}

/* In its place, in memory whose margins are watched. */
static void whatever_stands_in_a_heap_the_check_ends_and_stays_inside(void** state)
{
    (void)state;
    random_begin();
    for (unsigned round = 0; round < 1500; round++) {
        struct dmheap_finding finding;
        lay_scene();
        for (unsigned words = 1 + dice(round % 10 == 0 ? 100 : 4); words != 0; words--) {
            write_over((unsigned char*)test_heap.ctx, test_heap.size);
        }
        (void)dmheap_ctx_check(NULL, &finding);
        test_port_forget_lines();
        arenas_verify();
        arenas_release();
    }
}

/* ---- copies --------------------------------------------------------------------------- */

static void a_copy_is_proven_wherever_it_lies_with_the_addresses_of_the_target(void** state)
{
    (void)state;
    for (size_t shift = 0; shift <= 64; shift++) { /* as from a buffer that is not aligned */
        lay_scene();
        const size_t size = test_heap.size + shift;
        unsigned char* memory = malloc(size + 1);
        assert_non_null(memory);
        for (size_t odd = 0; odd < 2; odd++) {
            struct dmheap_finding finding;
            unsigned char* copy = memory + odd;
            const uintptr_t address = (uintptr_t)test_heap.buffer - shift;
            memset(copy, 0xA5, shift); /* what was in front of the heap */
            memcpy(copy + shift, test_heap.buffer, test_heap.size);
            assert_true(dmheap_ctx_check_image(copy, size, address, &finding));
            assert_true(dmheap_ctx_check_image(copy, size, 0, &finding));
            assert_false(dmheap_ctx_check_image(copy, size - 1, address, &finding));
            assert_int_equal(finding.fault, DMHEAP_FAULT_TRUNCATED);
            assert_int_equal(finding.offset, test_heap.size - 1);
            expect_beside(&finding.before, at.back, "back");
            copy[shift + offset_of(block_of(at.middle)) + lowest_byte()] ^= 1;
            assert_false(dmheap_ctx_check_image(copy, size, address, &finding));
            assert_int_equal(finding.address, (uintptr_t)block_of(at.middle));
            expect_beside(&finding.before, at.front, "front");
            assert_false(dmheap_ctx_check_image(copy, size, 0, &finding));
            assert_int_equal(finding.address, shift + offset_of(block_of(at.middle)));
            assert_int_equal(finding.before.address, shift + offset_of(at.front));
            assert_string_equal(finding.before.module_name, "front");
        }
        free(memory);
        expect_silence(); /* an image is no heap of this program */
        arenas_release();
    }
}

/* Of an address that nothing is known of at first. */
static void of_an_address_each_alignment_tells_as_many_bits(void** state)
{
    (void)state;
    struct image image;
    memset(&image, 0, sizeof(image));
    assert_true(check_learn_alignment(&image, 0x48, 64));
    assert_int_equal(image.known, 63);
    assert_int_equal(image.address, 0x38);
    assert_true(check_learn_alignment(&image, 0x108, 32)); /* nothing new */
    assert_false(check_learn_alignment(&image, 0x50, 256));
    assert_int_equal(image.known, 63);
    assert_int_equal(image.address, 0x38);
    assert_true(check_learn_alignment(&image, 0x88, 256));
    assert_int_equal(image.known, 255);
    assert_int_equal(image.address, 0x78);
    assert_true(check_learn_alignment(&image, 0x88, 512));
    assert_int_equal(image.known, 511);
    assert_int_equal(image.address, 0x178);
    assert_false(check_learn_alignment(&image, 0x188, 512));
}

/* The address has it, but no heap of that length serves it. */
static void an_alignment_of_more_than_the_heap_is_told(void** state)
{
    (void)state;
    heap_open(4 * KIB + DMHEAP_WORD_BYTES, GRANULE); /* with small granules it ends at 4 KiB */
    unsigned char* aligned = dmheap_aligned_alloc(64, 50, NULL);
    const uintptr_t address = ((uintptr_t)1 << 20) - (uintptr_t)offset_of(aligned);
    uint8_t* const byte = heap_alignment_byte(test_heap.ctx, block_of(aligned));
    for (unsigned exponent = 7; exponent < 256; exponent++) {
        struct dmheap_finding finding;
        const bool is_less = exponent < 31 && (image_word)1 << exponent < test_heap.ctx->end;
        *byte = (uint8_t)exponent;
        (void)dmheap_ctx_check_image(test_heap.buffer, test_heap.size, address, &finding);
        assert_int_equal(finding.fault, !is_less        ? DMHEAP_FAULT_ALIGNMENT
                                        : DMHEAP_CANARY ? DMHEAP_FAULT_CANARY
                                                        : DMHEAP_FAULT_NONE);
    }
}

/* From any place: the next one whose address is a multiple of four, or itself if none is known. */
static void places_for_a_context_are_found_by_their_addresses(void** state)
{
    (void)state;
    for (size_t start = 0; start < 9; start++) {
        assert_int_equal(check_place(start, 0), start);
        for (image_word address = 1; address < 9; address++) {
            const size_t place = check_place(start, address);
            assert_true(place >= start && place < start + 4);
            assert_int_equal((address + place) % 4, 0);
        }
    }
}

/* If its end is cut off, the live map is not proven: a bit in front of the first block names none. */
static void in_front_of_the_first_block_nothing_is_named(void** state)
{
    (void)state;
    heap_open(2 * KIB, 8);
    struct dmheap_finding finding;
    struct dmheap_block* first = ctx_block(test_heap.ctx, (uintptr_t)test_heap.ctx->first);
    live_set(test_heap.ctx, live_index(test_heap.ctx, block_payload(first)) - 1);
    const uintptr_t address = (uintptr_t)test_heap.buffer;
    assert_false(dmheap_ctx_check_image(test_heap.buffer, test_heap.size - 1, address, &finding));
    assert_int_equal(finding.fault, DMHEAP_FAULT_TRUNCATED);
    expect_beside(&finding.before, NULL, "");
    expect_beside(&finding.after, NULL, "");
}

static void alignments_are_proven_among_each_other_where_the_address_is_unknown(void** state)
{
    (void)state;
    lay_scene();
    struct dmheap_finding finding;
    unsigned char* other = dmheap_aligned_alloc(256, 10, NULL);
    assert_non_null(other);
    assert_true(dmheap_ctx_check_image(test_heap.buffer, test_heap.size, 0, &finding));
    *heap_alignment_byte(test_heap.ctx, block_of(at.aligned)) = 10;
    const bool is_right = ((uintptr_t)(at.aligned - other) & 1023) == 0;
    assert_int_equal(dmheap_ctx_check_image(test_heap.buffer, test_heap.size, 0, &finding),
                     !DMHEAP_CANARY && (is_right || ((uintptr_t)(at.aligned - other) & 255) == 0));
    *heap_alignment_byte(test_heap.ctx, block_of(at.aligned)) = 6;
    assert_false(dmheap_ctx_check_image(test_heap.buffer, test_heap.size,
                                        (uintptr_t)test_heap.buffer + 32, &finding));
    assert_int_equal(finding.fault, DMHEAP_FAULT_ALIGNMENT);
}

/* Also if its context is damaged, and that of the next one is not. */
static void of_several_heaps_in_a_copy_the_first_is_proven(void** state)
{
    static const size_t fields[] = {
        offsetof(struct dmheap_ctx, granules), offsetof(struct dmheap_ctx, alignment),
        offsetof(struct dmheap_ctx, end), offsetof(struct dmheap_ctx, round)};
    const size_t size = 2 * KIB;
    (void)state;
    heap_open(KIB, 8);
    unsigned char* memory = arena_make(2 * size, 0);
    struct dmheap_ctx* first = dmheap_ctx_init(memory, size, 8);
    assert_non_null(first);
    struct dmheap_ctx* second = dmheap_ctx_init(memory + size, size, 8);
    assert_non_null(second);
    test_port_forget_lines();
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        struct dmheap_finding finding;
        dmheap_word* const word = (dmheap_word*)ctx_at(first, (dmheap_word)fields[i]);
        assert_true(dmheap_ctx_check_image(memory, 2 * size, 0, &finding));
        *word ^= 64;
        assert_false(dmheap_ctx_check_image(memory, 2 * size, 0, &finding));
        assert_int_equal(finding.fault, DMHEAP_FAULT_CONTEXT);
        assert_int_equal(finding.offset, fields[i]);
        *word ^= 64;
    }
    assert_true(dmheap_ctx_deinit(first));
    assert_true(dmheap_ctx_deinit(second));
}

/* A heap with that granule begins at a multiple of it: elsewhere none is found. */
static void an_image_that_would_not_be_aligned_is_none(void** state)
{
    (void)state;
    heap_open(4 * KIB, 16);
    struct dmheap_finding finding;
    const uintptr_t address = (uintptr_t)test_heap.buffer;
    assert_true(dmheap_ctx_check_image(test_heap.buffer, test_heap.size, address, &finding));
    assert_false(dmheap_ctx_check_image(test_heap.buffer, test_heap.size, address + 8, &finding));
    assert_int_equal(finding.fault, DMHEAP_FAULT_NO_HEAP);
}

/* Of this build: an image of another one may have it, where addresses are as wide as words. */
static void a_granule_below_an_address_is_told(void** state)
{
    (void)state;
    struct image_census census;
    heap_open(4 * KIB, 8);
    test_heap.ctx->granule_shift = 1;
    assert_int_equal(heap_fault(test_heap.ctx, &census), DMHEAP_FAULT_CONTEXT);
    test_heap.ctx->granule_shift = 2;
    assert_int_equal(heap_fault(test_heap.ctx, &census), DMHEAP_FAULT_CONTEXT);
}

/* Hints are forgotten before a name goes, for what is found by one is a module. */
static void a_hint_at_a_module_that_is_gone_is_told(void** state)
{
    (void)state;
    struct image_census census;
    heap_open(4 * KIB, 8);
    assert_non_null(dmheap_malloc(10, "app"));
    struct record* record = record_find(test_heap.ctx, "app");
    record_close(test_heap.ctx, record);
    (void)heap_verify();
    struct dmheap_hint* hint = &test_heap.ctx->hint[1];
    hint->module = (dmheap_word)ctx_offset(test_heap.ctx, record);
    hint->id = record->id;
    assert_int_equal(heap_fault(test_heap.ctx, &census), DMHEAP_FAULT_HINT);
}

static void expect_truncated_images(void)
{
    struct dmheap_finding finding;
    for (size_t size = 0; size < test_heap.size; size++) {
        unsigned char* copy = malloc(size != 0 ? size : 1);
        assert_non_null(copy);
        memcpy(copy, test_heap.buffer, size);
        assert_false(dmheap_ctx_check_image(copy, size, 0, &finding));
        if (finding.fault == DMHEAP_FAULT_NO_HEAP) {
            assert_true(size < IMAGE_GROUP * WORD);
        } else {
            assert_int_equal(finding.fault, DMHEAP_FAULT_TRUNCATED);
            assert_int_equal(finding.offset, size);
            expect_beside(&finding.block, NULL, "");
        }
        free(copy);
    }
    assert_true(dmheap_ctx_check_image(test_heap.buffer, test_heap.size, 0, &finding));
    expect_silence();
}

static void what_is_no_image_of_a_heap_is_refused(void** state)
{
    struct dmheap_finding finding;
    (void)state;
    assert_false(dmheap_ctx_check_image(NULL, 100, 0, &finding));
    assert_int_equal(finding.fault, DMHEAP_FAULT_NO_HEAP);
    lay_scene();
    expect_truncated_images();
    heap_open(4 * KIB, 64);
    assert_non_null(dmheap_malloc(100, "app"));
    expect_truncated_images();
}

int main(int argc, char** argv)
{
    const struct CMUnitTest tests[] = {
        heap_case(a_sound_heap_is_proven_in_one_hold_of_the_lock),
        heap_case(without_a_heap_that_is_said),
        heap_case(heaps_of_all_sizes_and_alignments_are_proven),
        heap_case(what_another_call_is_in_the_middle_of_is_no_fault),
        heap_case(a_module_that_is_being_unregistered_is_no_fault),
        heap_case(a_block_that_is_the_heaps_by_mistake_counts_as_moving),
        heap_case(each_damage_is_told_with_its_place_and_whose_blocks_lie_beside),
        heap_case_if(DMHEAP_ACCOUNTING, each_damage_of_an_account_is_told_with_its_place),
        heap_case_if(DMHEAP_CANARY, each_damage_of_a_canary_is_told_with_its_place_and_block),
        heap_case_if(DMHEAP_ACCOUNTING, an_account_whose_block_moves_is_no_fault),
        heap_case(of_many_modules_the_references_of_each_are_proven),
        heap_case(what_nothing_uses_is_found_written_over),
        heap_case(a_field_of_the_context_that_was_written_over_is_named),
        heap_case(of_two_fields_that_were_written_over_the_first_is_named),
        heap_case(the_last_serial_is_one),
        heap_case(a_group_behind_one_that_is_gone_is_proven),
        heap_case(in_a_group_that_is_gone_no_name_is_looked_for),
        heap_case(a_context_that_was_written_over_as_a_whole_is_told),
        heap_case_if(DMHEAP_GUARD, a_wrong_seal_is_told_if_nothing_else_is_wrong),
        heap_case_if(DMHEAP_CANARY, where_no_canary_is_right_the_serial_is_wrong),
        heap_case(no_bit_of_the_heaps_own_is_flipped_unnoticed_and_none_of_a_clients_matters),
        heap_case(whatever_stands_in_an_image_the_check_ends_and_stays_inside),
        heap_case(whatever_stands_in_a_heap_the_check_ends_and_stays_inside),
        heap_case(a_copy_is_proven_wherever_it_lies_with_the_addresses_of_the_target),
        heap_case(of_an_address_each_alignment_tells_as_many_bits),
        heap_case(an_alignment_of_more_than_the_heap_is_told),
        heap_case(places_for_a_context_are_found_by_their_addresses),
        heap_case(in_front_of_the_first_block_nothing_is_named),
        heap_case(alignments_are_proven_among_each_other_where_the_address_is_unknown),
        heap_case(of_several_heaps_in_a_copy_the_first_is_proven),
        heap_case(an_image_that_would_not_be_aligned_is_none),
        heap_case(a_granule_below_an_address_is_told),
        heap_case(a_hint_at_a_module_that_is_gone_is_told),
        heap_case(what_is_no_image_of_a_heap_is_refused),
    };
    random_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
