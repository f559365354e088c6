/* SPDX-License-Identifier: MIT */
/*
 * What other threads can do between two lock holds of one call.
 *
 * The sliced unregister and the copy of realloc release the lock in between. The port calls a
 * hook there, and the hook does what another thread could: allocate, free, register the
 * same name, initialize anew. Afterwards the heap has to be sound and nothing lost.
 */
#include "heap_test.h"
#include "dmod_api.h"

#define HEAP_BYTES (256 * KIB)

/* Live blocks that carry the id of `owner`; valid between slices too, as heap_check is not. */
static size_t count_live(dmheap_word owner)
{
    size_t count = 0;
    for (const struct dmheap_block* block = heap_first_block(); block != NULL;
         block = heap_next_block(block)) {
        count += block_owner(block) == owner;
    }
    return count;
}

static dmheap_word owner_of(const void* ptr)
{
    return block_owner(block_of(ptr));
}

/* What holds while a module is on its way out, and a block on its way to another place. */
static void verify_blocks(void)
{
    struct image_census census;
    assert_int_equal(heap_fault(test_heap.ctx, &census), DMHEAP_FAULT_NONE);
    arenas_verify();
}

/* ---- the bounds of a slice -------------------------------------------------------------- */

struct slices {
    dmheap_word owner;
    size_t live; /* blocks of the owner before the slice under way */
    size_t most_freed;
    unsigned count;
};

static void count_slice(void* context)
{
    struct slices* slices = context;
    const size_t live = count_live(slices->owner);
    if (slices->live > live && slices->live - live > slices->most_freed) {
        slices->most_freed = slices->live - live;
    }
    slices->live = live;
    slices->count++;
    verify_blocks();
}

static void a_slice_frees_no_more_than_its_budget(void** state)
{
    (void)state;
    enum { BLOCKS = 3000 };
    heap_open(HEAP_BYTES, 8);
    struct slices slices = {owner_of(dmheap_malloc(10, "app")), BLOCKS, 0, 0};
    for (unsigned i = 1; i < BLOCKS; i++) {
        assert_non_null(dmheap_malloc(i % 40, "app"));
        if (i % 7 == 0) {
            (void)dmheap_malloc(10, i % 2 != 0 ? "other" : NULL);
        }
    }
    test_port_on_unlock(count_slice, &slices);
    dmheap_unregister_module("app");
    test_port_on_unlock(NULL, NULL);
    assert_int_equal(slices.live, 0);
    assert_in_range(slices.most_freed, FREED_MAX / 2, FREED_MAX);
    assert_true(slices.count >= BLOCKS / FREED_MAX);
    (void)heap_verify();
}

/* Lock holds that it takes to find the module's one block behind `others` other ones. */
static unsigned holds_behind(unsigned others)
{
    heap_open(128 * KIB, 8);
    for (unsigned i = 0; i < others; i++) {
        assert_non_null(dmheap_malloc(24, NULL));
    }
    assert_non_null(dmheap_malloc(24, "app"));
    const unsigned before = test_port_holds();
    dmheap_unregister_module("app");
    expect_info();
    const unsigned holds = test_port_holds() - before;
    assert_int_equal(heap_client_blocks(), others);
    arenas_release();
    return holds;
}

/* Not with poison: the blocks are filled first, in holds of their own. */
static void a_slice_passes_no_more_than_its_budget(void** state)
{
    (void)state;
    const unsigned least = holds_behind(0);
    unsigned last = least;
    for (unsigned others = 0; others < 11 * PASSED_MAX; others += 19) {
        const unsigned holds = holds_behind(others);
        assert_true(holds >= last);
        assert_true((holds - least + 1) * PASSED_MAX > others);
        assert_true(holds - least <= others / PASSED_MAX + 1);
        last = holds;
    }
}

struct work {
    dmheap_word owner;
    unsigned longest; /* of the slices but the last one, which also forgets the module */
};

static void note_work(void* context)
{
    struct work* work = context;
    if (count_live(work->owner) != 0) {
        work->longest = test_port_longest_hold();
    }
}

static void a_slice_is_the_same_work_in_any_heap(void** state)
{
    (void)state;
    static const unsigned blocks[] = {200, 1000, 5000};
    unsigned longest[COUNT_OF(blocks)];
    for (size_t i = 0; i < COUNT_OF(blocks); i++) {
        heap_open(HEAP_BYTES, 8);
        struct work work = {owner_of(dmheap_malloc(16, "app")), 0};
        for (unsigned n = 1; n < blocks[i]; n++) {
            assert_non_null(dmheap_malloc(16, "app"));
        }
        (void)test_port_reset();
        test_port_on_unlock(note_work, &work);
        dmheap_unregister_module("app");
        test_port_on_unlock(NULL, NULL);
        longest[i] = work.longest;
        assert_in_range(test_port_longest_hold(), work.longest, work.longest + 20);
        (void)test_port_reset();
        assert_true(heap_is_empty());
        arenas_release();
    }
    assert_int_equal(longest[0], longest[1]);
    assert_int_equal(longest[1], longest[2]);
}

/*
 * A damaged size hides the module's second block from the walk along the sizes; the second round
 * finds it by the live map, and passes the map of 2 MiB in slices as well.
 */
static void the_live_map_is_passed_in_slices_too(void** state)
{
    (void)state;
    heap_open(2 * MIB + 64 * KIB, 8);
    void* first = dmheap_malloc(10, "app");
    void* large = dmheap_malloc(2 * MIB, NULL);
    void* mark = dmheap_malloc(10, NULL);
    void* last = dmheap_malloc(10, "app");
    assert_non_null(last);
    assert_non_null(first);
    block_of(mark)->header += (dmheap_word)block_size(block_of(last));
    (void)test_port_reset();
    dmheap_unregister_module("app");
    const size_t words = 2 * MIB / 8 / LIVE_BITS;
    assert_true(test_port_holds() > words / PASSED_MAX);
    assert_false(live_is(test_heap.ctx, last));
    assert_false(live_is(test_heap.ctx, first));
    assert_true(live_is(test_heap.ctx, large));
    (void)test_port_reset();
    arenas_verify();
}

/* ---- between two slices of unregister --------------------------------------------------- */

/* A module with many blocks, and what a hook does at one of the gaps. */
struct gap {
    unsigned at;   /* the gap to act in, counted from 0 */
    unsigned seen; /* gaps so far */
    void (*act)(struct gap*);
    unsigned char* block[400]; /* of the dying module */
    unsigned char* ptr;        /* what the action left */
    bool refused;
};

static void act_in_gap(void* context)
{
    struct gap* gap = context;
    if (gap->seen++ == gap->at) {
        gap->act(gap);
    }
}

static void gap_open(struct gap* gap, unsigned at, void (*act)(struct gap*))
{
    memset(gap, 0, sizeof(*gap));
    gap->at = at;
    gap->act = act;
    heap_open(64 * KIB, 8);
    for (unsigned i = 0; i < COUNT_OF(gap->block); i++) {
        gap->block[i] = dmheap_malloc(32, "app");
        assert_non_null(gap->block[i]);
        if (i % 5 == 0) {
            assert_non_null(dmheap_malloc(20, "resident"));
        }
    }
}

/* Unregister the module with the action in its gap; false where there are not so many gaps. */
static bool gap_run(struct gap* gap)
{
    test_port_on_unlock(act_in_gap, gap);
    dmheap_unregister_module("app");
    test_port_on_unlock(NULL, NULL);
    return gap->seen > gap->at;
}

static void gap_close(void)
{
    test_port_forget_lines();
    dmheap_unregister_module("resident");
    dmheap_unregister_module("app");
    dmheap_unregister_module("new");
    assert_true(heap_is_empty());
    test_port_forget_lines();
    arenas_release();
}

/* In every gap there is, one after the other; then `check` says whether all is well. */
static void in_every_gap(void (*act)(struct gap*), void (*check)(struct gap*))
{
    struct gap gap;
    unsigned at = 0;
    do {
        gap_open(&gap, at, act);
        test_port_forget_lines();
        if (!gap_run(&gap)) {
            break;
        }
        (void)heap_verify();
        check(&gap);
        gap_close();
        at++;
    } while (at < 1000);
    assert_true(at > 400 / FREED_MAX);
}

static void allocate_as_another(struct gap* gap)
{
    gap->ptr = dmheap_malloc(700, "new");
    fill(gap->ptr, 700, 3);
}

static void check_survived(struct gap* gap)
{
    assert_non_null(gap->ptr);
    assert_true(live_is(test_heap.ctx, gap->ptr));
    assert_true(is_filled(gap->ptr, 700, 3));
    assert_string_equal(heap_owner_name(gap->ptr), "new");
}

static void an_allocation_between_slices_survives(void** state)
{
    (void)state;
    in_every_gap(allocate_as_another, check_survived);
}

static void allocate_by_the_same_name(struct gap* gap)
{
    gap->ptr = dmheap_malloc(700, "app");
    fill(gap->ptr, 700, 3);
}

static void check_same_name_survived(struct gap* gap)
{
    assert_true(live_is(test_heap.ctx, gap->ptr));
    assert_true(is_filled(gap->ptr, 700, 3));
    assert_string_equal(heap_owner_name(gap->ptr), "app");
    assert_int_equal(count_live(owner_of(gap->ptr)), 1);
}

static void the_same_name_between_slices_is_a_new_module(void** state)
{
    (void)state;
    in_every_gap(allocate_by_the_same_name, check_same_name_survived);
}

static void register_the_same_name(struct gap* gap)
{
    gap->refused = !dmheap_register_module("app");
}

static void check_registered(struct gap* gap)
{
    assert_false(gap->refused);
    check_log(0, 0, 2, NULL, __FILE__, __LINE__);
    assert_true(dmheap_register_module("app"));
    expect_warning();
}

static void registering_the_name_between_slices_is_no_double_registration(void** state)
{
    (void)state;
    in_every_gap(register_the_same_name, check_registered);
}

/* Those that are still there are freed by this, the others are refused; none twice. */
static void free_every_third(struct gap* gap)
{
    for (unsigned i = 0; i < COUNT_OF(gap->block); i += 3) {
        dmheap_free(gap->block[i], (i & 1) != 0);
    }
}

static void check_nothing(struct gap* gap)
{
    (void)gap;
}

static void blocks_of_the_dying_module_may_be_freed_between_slices(void** state)
{
    (void)state;
    in_every_gap(free_every_third, check_nothing);
}

/* A merge over the place where the next slice would begin. */
static void free_what_lies_around(struct gap* gap)
{
    for (unsigned i = 0; i < COUNT_OF(gap->block); i++) {
        dmheap_free(gap->block[i], true);
    }
    gap->ptr = dmheap_malloc(700, "new");
    fill(gap->ptr, 700, 3);
}

static void all_blocks_may_be_freed_and_reused_between_slices(void** state)
{
    (void)state;
    in_every_gap(free_what_lies_around, check_survived);
}

static void retag_one(struct gap* gap)
{
    gap->refused = !Dmod_RetagEx(gap->block[399], "new");
    gap->ptr = gap->block[399];
}

static void check_retagged(struct gap* gap)
{
    if (!gap->refused) {
        assert_true(live_is(test_heap.ctx, gap->ptr));
        assert_string_equal(heap_owner_name(gap->ptr), "new");
    }
}

static void a_block_of_the_dying_module_may_be_retagged_between_slices(void** state)
{
    (void)state;
    in_every_gap(retag_one, check_retagged);
}

static void grow_one(struct gap* gap)
{
    gap->ptr = dmheap_realloc(gap->block[200], 3000, "app");
    gap->refused = gap->ptr == NULL;
}

/* Moved or refused: the module is gone, so the block is gone. */
static void check_gone(struct gap* gap)
{
    if (gap->ptr != NULL) {
        assert_false(live_is(test_heap.ctx, gap->ptr));
    }
}

static void a_block_of_the_dying_module_may_be_grown_between_slices(void** state)
{
    (void)state;
    in_every_gap(grow_one, check_gone);
}

static void unregister_another(struct gap* gap)
{
    (void)gap;
    dmheap_unregister_module("resident");
}

static void check_empty(struct gap* gap)
{
    (void)gap;
    assert_true(heap_is_empty());
}

static void another_module_may_be_unregistered_between_slices(void** state)
{
    (void)state;
    in_every_gap(unregister_another, check_empty);
}

static void unregister_the_same_again(struct gap* gap)
{
    (void)gap;
    dmheap_unregister_module("app");
}

static void check_one_info(struct gap* gap)
{
    (void)gap;
    expect_info_of("dmheap: Module app unregistered successfully.\n");
}

static void the_same_module_is_unknown_between_slices(void** state)
{
    (void)state;
    in_every_gap(unregister_the_same_again, check_one_info);
}

static void rename_the_dying(struct gap* gap)
{
    gap->refused = !Dmod_RenameTag("app", "new");
}

static void check_refused(struct gap* gap)
{
    assert_true(gap->refused);
}

static void the_dying_module_cannot_be_renamed_between_slices(void** state)
{
    (void)state;
    in_every_gap(rename_the_dying, check_refused);
}

static void initialize_anew(struct gap* gap)
{
    assert_true(dmheap_init(test_heap.buffer, test_heap.size, 8));
    for (unsigned i = 0; i < 50; i++) {
        gap->ptr = dmheap_malloc(700, "new");
        fill(gap->ptr, 700, 3);
    }
}

/* Not with poison: no heap may begin where a block is being filled. */
static void an_init_between_slices_ends_the_unregister(void** state)
{
    (void)state;
    in_every_gap(initialize_anew, check_survived);
}

static void initialize_elsewhere(struct gap* gap)
{
    unsigned char* other = arena_make(8 * KIB, 0);
    memset(test_heap.buffer, 0xEE, test_heap.size);
    assert_true(heap_start(other, 8 * KIB, 8));
    gap->ptr = dmheap_malloc(700, "new");
    fill(gap->ptr, 700, 3);
}

static void an_init_elsewhere_between_slices_ends_the_unregister(void** state)
{
    (void)state;
    in_every_gap(initialize_elsewhere, check_survived);
}

/* ---- two modules unregistering at once --------------------------------------------------- */

struct interleaved {
    unsigned at;
    unsigned seen;
};

static void unregister_second(void* context)
{
    struct interleaved* interleaved = context;
    if (interleaved->seen++ == interleaved->at) {
        dmheap_unregister_module("second");
    }
}

static void two_modules_may_unregister_at_once(void** state)
{
    (void)state;
    for (unsigned at = 0; at < 300 / FREED_MAX; at++) {
        struct interleaved interleaved = {at, 0};
        heap_open(64 * KIB, 8);
        for (unsigned i = 0; i < 600; i++) {
            assert_non_null(dmheap_malloc(i % 50, i % 2 != 0 ? "first" : "second"));
        }
        test_port_on_unlock(unregister_second, &interleaved);
        dmheap_unregister_module("first");
        test_port_on_unlock(NULL, NULL);
        check_log(0, 0, 2, NULL, __FILE__, __LINE__);
        assert_true(heap_is_empty());
        arenas_release();
    }
}

/* ---- between the two halves of a moving realloc -------------------------------------------- */

struct move {
    void (*act)(struct move*);
    bool acted;
    unsigned char* old;
    unsigned char* wall;
    unsigned char* extra;
    void* inner;
};

static void act_in_move(void* context)
{
    struct move* move = context;
    if (!move->acted) {
        move->acted = true;
        move->act(move);
    }
}

static void move_open(struct move* move, const char* owner, void (*act)(struct move*))
{
    memset(move, 0, sizeof(*move));
    move->act = act;
    heap_open(16 * KIB, 8);
    move->old = dmheap_malloc(200, owner);
    move->wall = dmheap_malloc(50, "wall");
    fill(move->old, 200, 6);
}

static void* move_run(struct move* move)
{
    test_port_on_unlock(act_in_move, move);
    void* moved = dmheap_realloc(move->old, 1000, "name in the log only");
    test_port_on_unlock(NULL, NULL);
    assert_true(move->acted);
    return moved;
}

static void unregister_owner(struct move* move)
{
    (void)move;
    dmheap_unregister_module("app");
    expect_info();
    verify_blocks();
}

static void the_owner_may_be_unregistered_during_the_copy(void** state)
{
    (void)state;
    struct move move;
    move_open(&move, "app", unregister_owner);
    (void)dmheap_malloc(100, "app");
    assert_null(move_run(&move));
    expect_error();
    assert_int_equal(heap_client_blocks(), 1);
    dmheap_unregister_module("wall");
    assert_true(heap_is_empty());
}

static void unregister_owner_and_begin_anew(struct move* move)
{
    unregister_owner(move);
    move->extra = dmheap_malloc(100, "app");
    fill(move->extra, 100, 2);
}

static void a_new_module_of_that_name_does_not_get_the_block(void** state)
{
    (void)state;
    struct move move;
    move_open(&move, "app", unregister_owner_and_begin_anew);
    assert_null(move_run(&move));
    expect_error();
    assert_int_equal(heap_client_blocks(), 2);
    assert_true(is_filled(move.extra, 100, 2));
    dmheap_unregister_module("app");
    dmheap_unregister_module("wall");
    assert_true(heap_is_empty());
}

static void free_old(struct move* move)
{
    dmheap_free(move->old, true);
    expect_error();
    assert_null(dmheap_realloc(move->old, 10, NULL));
    expect_error();
    assert_false(Dmod_RetagEx(move->old, "wall"));
    expect_error();
}

static void the_old_pointer_is_refused_during_the_copy(void** state)
{
    (void)state;
    static const char* const owners[] = {"app", NULL};
    for (size_t i = 0; i < COUNT_OF(owners); i++) {
        struct move move;
        move_open(&move, owners[i], free_old);
        unsigned char* moved = move_run(&move);
        assert_non_null(moved);
        expect_silence();
        assert_true(is_filled(moved, 200, 6));
        assert_string_equal(heap_owner_name(moved), owners[i] != NULL ? owners[i] : "");
        assert_int_equal(heap_client_blocks(), 2);
        arenas_release();
    }
}

static void init_same_buffer(struct move* move)
{
    assert_true(dmheap_init(test_heap.buffer, test_heap.size, 8));
    expect_info();
    move->extra = dmheap_malloc(3000, "new");
    fill(move->extra, 3000, 4);
}

/* dmheap_init is to be the only call on its buffer; still, the new heap must stay sound. */
static void an_init_during_the_copy_ends_the_realloc(void** state)
{
    (void)state;
    struct move move;
    move_open(&move, "app", init_same_buffer);
    assert_null(move_run(&move));
    expect_error();
    assert_int_equal(heap_client_blocks(), 1);
}

static void init_other_buffer(struct move* move)
{
    heap_open(8 * KIB, 8);
    move->extra = dmheap_malloc(3000, "new");
    fill(move->extra, 3000, 4);
}

static void an_init_elsewhere_during_the_copy_ends_the_realloc(void** state)
{
    (void)state;
    struct move move;
    move_open(&move, "app", init_other_buffer);
    assert_null(move_run(&move));
    expect_error();
    assert_int_equal(heap_client_blocks(), 1);
    assert_true(is_filled(move.extra, 3000, 4));
}

static void fill_the_heap(struct move* move)
{
    move->inner = (void*)(uintptr_t)heap_fill("wall");
}

static void allocations_during_the_copy_get_neither_place(void** state)
{
    (void)state;
    struct move move;
    move_open(&move, "app", fill_the_heap);
    unsigned char* moved = move_run(&move);
    assert_non_null(moved);
    assert_true(is_filled(moved, 200, 6));
    assert_int_equal(heap_client_blocks(), 2 + (size_t)(uintptr_t)move.inner);
    /* The old place is free now, and the only one. */
    assert_ptr_equal(dmheap_malloc(200, "app"), move.old);
}

static void free_neighbour(struct move* move)
{
    dmheap_free(move->wall, true);
    expect_silence();
}

static void neighbours_may_be_freed_during_the_copy(void** state)
{
    (void)state;
    struct move move;
    move_open(&move, "app", free_neighbour);
    unsigned char* moved = move_run(&move);
    assert_non_null(moved);
    assert_true(is_filled(moved, 200, 6));
    assert_int_equal(heap_client_blocks(), 1);
    dmheap_unregister_module("app");
    dmheap_unregister_module("wall");
    assert_true(heap_is_empty());
}

static void rename_owner(struct move* move)
{
    (void)move;
    assert_true(Dmod_RenameTag("app", "a longer name than it was before"));
}

static void the_owner_may_be_renamed_during_the_copy(void** state)
{
    (void)state;
    struct move move;
    move_open(&move, "app", rename_owner);
    unsigned char* moved = move_run(&move);
    expect_silence();
    assert_string_equal(heap_owner_name(moved), "a longer name than it was before");
    (void)heap_verify();
}

static void move_another(struct move* move)
{
    move->inner = dmheap_realloc(move->wall, 2000, "wall");
}

static void two_blocks_may_move_at_once(void** state)
{
    (void)state;
    struct move move;
    move_open(&move, "app", move_another);
    (void)dmheap_malloc(10, "app");
    fill(move.wall, 50, 8);
    unsigned char* moved = move_run(&move);
    expect_silence();
    assert_true(is_filled(moved, 200, 6) && is_filled(move.inner, 50, 8));
    assert_string_equal(heap_owner_name(moved), "app");
    assert_string_equal(heap_owner_name(move.inner), "wall");
    assert_int_equal(heap_client_blocks(), 3);
}

int main(void)
{
    const struct CMUnitTest bounds[] = {
        heap_case(a_slice_frees_no_more_than_its_budget),
        heap_case_if(!DMHEAP_POISON, a_slice_passes_no_more_than_its_budget),
        heap_case(a_slice_is_the_same_work_in_any_heap),
        heap_case(the_live_map_is_passed_in_slices_too),
    };
    const struct CMUnitTest unregister[] = {
        heap_case(an_allocation_between_slices_survives),
        heap_case(the_same_name_between_slices_is_a_new_module),
        heap_case(registering_the_name_between_slices_is_no_double_registration),
        heap_case(blocks_of_the_dying_module_may_be_freed_between_slices),
        heap_case(all_blocks_may_be_freed_and_reused_between_slices),
        heap_case(a_block_of_the_dying_module_may_be_retagged_between_slices),
        heap_case(a_block_of_the_dying_module_may_be_grown_between_slices),
        heap_case(another_module_may_be_unregistered_between_slices),
        heap_case(the_same_module_is_unknown_between_slices),
        heap_case(the_dying_module_cannot_be_renamed_between_slices),
        heap_case_if(!DMHEAP_POISON, an_init_between_slices_ends_the_unregister),
        heap_case(an_init_elsewhere_between_slices_ends_the_unregister),
        heap_case(two_modules_may_unregister_at_once),
    };
    const struct CMUnitTest realloc_in_flight[] = {
        heap_case(the_owner_may_be_unregistered_during_the_copy),
        heap_case(a_new_module_of_that_name_does_not_get_the_block),
        heap_case(the_old_pointer_is_refused_during_the_copy),
        heap_case(an_init_during_the_copy_ends_the_realloc),
        heap_case(an_init_elsewhere_during_the_copy_ends_the_realloc),
        heap_case(allocations_during_the_copy_get_neither_place),
        heap_case(neighbours_may_be_freed_during_the_copy),
        heap_case(the_owner_may_be_renamed_during_the_copy),
        heap_case(two_blocks_may_move_at_once),
    };
    return cmocka_run_group_tests(bounds, NULL, NULL) +
           cmocka_run_group_tests(unregister, NULL, NULL) +
           cmocka_run_group_tests(realloc_in_flight, NULL, NULL);
}
