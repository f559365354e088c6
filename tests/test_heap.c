/* SPDX-License-Identifier: MIT */
/*
 * The heap layer: layout, allocation, release, resize, sweep, and the check that proves them.
 *
 * Blocks are made by their size in bytes, header included. After each legal step the whole
 * heap is proven; after each refused one its memory is compared byte by byte.
 */
#include "heap_test.h"

#define GRANULE ((dmheap_word)DMHEAP_GRANULE_MIN)
#define LEAST   BLOCK_MIN_BYTES
#define EXACT_BYTES \
    ((dmheap_word)INDEX_EXACT * GRANULE) /* from here on a class has several sizes */

/* ---- helpers ---------------------------------------------------------------------------- */

static void open_heap(size_t size)
{
    heap_open(size, DMHEAP_GRANULE_MIN);
    test_heap.has_uncharged = true;
    assert_int_equal(ctx_granule(test_heap.ctx), GRANULE);
}

static void close_heap(void)
{
    (void)heap_verify();
    arenas_release();
}

static struct dmheap_block* try_make(dmheap_word bytes)
{
    return heap_alloc(test_heap.ctx, (size_t)(bytes - BLOCK_OVERHEAD_BYTES), OWNER_NOBODY);
}

/* A live block of `bytes` bytes. */
static struct dmheap_block* make(dmheap_word bytes)
{
    struct dmheap_block* block = try_make(bytes);
    assert_non_null(block);
    return block;
}

static struct dmheap_block* make_aligned(size_t alignment, size_t size)
{
    return heap_alloc_aligned(test_heap.ctx, alignment, size, OWNER_NOBODY);
}

static void release(const struct dmheap_block* block)
{
    assert_int_equal(heap_free(test_heap.ctx, block_payload(block)), VERDICT_OK);
    (void)heap_verify();
}

static dmheap_word offset_of(const struct dmheap_block* block)
{
    return (dmheap_word)ctx_offset(test_heap.ctx, block);
}

static dmheap_word untouched(void)
{
    return test_heap.ctx->end - test_heap.ctx->top;
}

/* A live block at the end, whatever else is free. */
static struct dmheap_block* make_at_end(dmheap_word bytes)
{
    struct dmheap_block* block =
        heap_take_top(test_heap.ctx, (uintptr_t)bytes, 1, block_tags(OWNER_NOBODY));
    assert_non_null(block);
    return block;
}

/* What stands so many bytes behind the beginning of the untouched end. */
static struct dmheap_block* at_top(dmheap_word bytes)
{
    return ctx_block(test_heap.ctx, (uintptr_t)(test_heap.ctx->top + bytes));
}

/* A free block of `bytes` bytes between live ones. */
static struct dmheap_block* make_hole(dmheap_word bytes)
{
    (void)make_at_end(LEAST);
    struct dmheap_block* block = make_at_end(bytes);
    (void)make_at_end(LEAST);
    release(block);
    return block;
}

/* Take all of the untouched end, so that only free blocks are left to serve. */
static void use_up_end(void)
{
    if (untouched() >= LEAST) {
        (void)make_at_end(untouched());
    }
}

static bool is_free_block(const struct dmheap_block* block, dmheap_word bytes)
{
    return block->header == bytes &&
           block_footer_before(block_at(block, (uintptr_t)bytes)) == bytes;
}

/* Does the one that only looks say so, too? */
static bool may_release(const struct dmheap_block* block)
{
    uintptr_t index;
    uintptr_t behind = 0;
    assert_true(live_find(test_heap.ctx, block_payload(block), &index, &behind));
    return heap_may_release(test_heap.ctx, block, index, behind);
}

static void expect_free_refused(const struct dmheap_block* block)
{
    snapshot_take();
    assert_false(may_release(block));
    assert_int_equal(heap_free(test_heap.ctx, block_payload(block)), VERDICT_DAMAGED);
    assert_true(snapshot_is_same());
}

static enum dmheap_verdict resize(struct dmheap_block* block, size_t size)
{
    uintptr_t index;
    uintptr_t behind = 0;
    assert_true(live_find(test_heap.ctx, block_payload(block), &index, &behind));
    return heap_resize(test_heap.ctx, block, index, behind, size);
}

static void expect_resize_refused(struct dmheap_block* block, size_t size)
{
    snapshot_take();
    assert_int_equal(resize(block, size), VERDICT_DAMAGED);
    assert_true(snapshot_is_same());
}

/* ---- layout ------------------------------------------------------------------------------- */

#define LAYOUT_MAX ((size_t)4096)

static enum dmheap_verdict lay_out(const void* buffer, size_t size, size_t alignment)
{
    struct dmheap_ctx plan;
    return heap_lay_out(&plan, buffer, size, alignment);
}

static void expect_plan_fits(const struct dmheap_ctx* plan, uintptr_t buffer, size_t size)
{
    const uintptr_t granule = ctx_granule(plan);
    const uintptr_t base = (uintptr_t)heap_at((const void*)buffer, (size_t)granule);
    assert_true(base >= buffer && base - buffer < granule);
    assert_int_equal(base % granule, 0);
    assert_true(base + plan->end + WORD <= buffer + size);
    assert_true(base + plan->end + WORD + granule > buffer + size);

    const uintptr_t classes = index_class(plan, (uintptr_t)(plan->end - plan->first)) + 1;
    const dmheap_word map_bytes = live_map_bytes(plan->granules);
    assert_true(plan->live >= offsetof(struct dmheap_ctx, bin) + classes * WORD);
    assert_int_equal(plan->live % 4, 0);
    assert_true(map_bytes * 8 > (plan->end + WORD) / granule);
    assert_true(plan->first >= plan->live + map_bytes);
    assert_true(plan->first < plan->end);
    assert_int_equal((plan->first + WORD) % granule, 0);
    assert_int_equal((plan->end + WORD) % granule, 0);
}

/* All parts of an accepted heap are where they may be, and a block of the default size is. */
static void expect_plan_serves(const struct dmheap_ctx* plan, void* buffer)
{
    struct dmheap_ctx* ctx = heap_create(plan, buffer);
    const struct dmheap_block* block = heap_alloc(ctx, 0, OWNER_NOBODY);
    assert_non_null(block);
    assert_true(is_aligned(block_payload(block), (size_t)plan->alignment));
    assert_true(ctx_offset(ctx, block_next(block)) <= plan->end);
    assert_int_equal(heap_free(ctx, block_payload(block)), VERDICT_OK);
    assert_int_equal(ctx->top, ctx->first);
}

static void every_heap_laid_out_fits_its_buffer_and_serves_a_block(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(LAYOUT_MAX + 64, 0);
    for (size_t alignment = 1; alignment <= LAYOUT_MAX; alignment *= 2) {
        for (size_t offset = 0; offset <= 17; offset += 1 + offset / 4) {
            bool was_refused = false;
            for (size_t size = 1; size <= LAYOUT_MAX; size++) {
                struct dmheap_ctx plan;
                unsigned char* const start = buffer + offset;
                if (heap_lay_out(&plan, start, size, alignment) == VERDICT_OK) {
                    expect_plan_fits(&plan, (uintptr_t)start, size);
                    expect_plan_serves(&plan, start);
                } else {
                    was_refused = true;
                }
            }
            assert_true(was_refused);
        }
    }
    arenas_verify();
}

static void the_smallest_heap_is_one_smallest_block(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(LAYOUT_MAX, 0);
    struct dmheap_ctx plan;
    size_t size = 1;
    while (heap_lay_out(&plan, buffer, size, 1) != VERDICT_OK) {
        size++;
    }
    assert_int_equal(plan.end - plan.first, BLOCK_MIN_BYTES);
    expect_plan_serves(&plan, buffer);
}

static void every_refused_small_buffer_is_too_small(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(LAYOUT_MAX + 64, 0);
    for (size_t alignment = 1; alignment <= LAYOUT_MAX; alignment *= 4) {
        for (size_t offset = 0; offset <= 16; offset++) {
            for (size_t size = 1; size <= LAYOUT_MAX; size++) {
                const enum dmheap_verdict verdict = lay_out(buffer + offset, size, alignment);
                assert_true(verdict == VERDICT_OK || verdict == VERDICT_TOO_SMALL);
            }
        }
    }
    assert_int_equal(lay_out(buffer, LAYOUT_MAX, 1), VERDICT_OK);
}

static void a_new_heap_is_sound_and_empty(void** state)
{
    (void)state;
    const size_t least = 900 + (DMHEAP_ACCOUNTING ? 2 * sizeof(struct dmheap_totals) : 0);
    for (size_t alignment = 1; alignment <= 256; alignment *= 2) {
        for (size_t size = least; size < least + 300; size += 3) {
            assert_true(heap_start(arena_make(size, size % 9), size, alignment));
            assert_true(heap_is_empty());
            arenas_release();
        }
    }
}

static void what_is_no_buffer_is_refused(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(1 * KIB, 0);
    assert_int_equal(lay_out(NULL, 1 * KIB, 8), VERDICT_BAD_BUFFER);
    assert_int_equal(lay_out(buffer, 0, 8), VERDICT_BAD_BUFFER);
    assert_int_equal(lay_out(buffer, SIZE_MAX, 8), VERDICT_BAD_BUFFER);
    assert_int_equal(lay_out(buffer, UINTPTR_MAX - (uintptr_t)buffer + 1, 8), VERDICT_BAD_BUFFER);
    for (uintptr_t back = 1; back < 40; back++) {
        const void* last = (const void*)(UINTPTR_MAX - back + 1);
        assert_int_equal(lay_out(last, (size_t)back, 8), VERDICT_BAD_BUFFER);
        if (back > 1) {
            assert_int_equal(lay_out(last, (size_t)back - 1, 8), VERDICT_TOO_SMALL);
        }
    }
}

static void what_is_no_power_of_two_is_no_alignment(void** state)
{
    (void)state;
    unsigned char* const buffer = arena_make(LAYOUT_MAX, 0);
    for (size_t alignment = 0; alignment < 700; alignment++) {
        const bool is_refused = lay_out(buffer, LAYOUT_MAX, alignment) == VERDICT_BAD_ALIGNMENT;
        assert_int_equal(is_refused, !bits_is_power_of_two(alignment));
    }
    assert_int_equal(lay_out(buffer, LAYOUT_MAX, SIZE_MAX), VERDICT_BAD_ALIGNMENT);
}

/* Nothing is written, so the buffer need not be there. */
static void a_buffer_beyond_what_a_header_can_tell_is_refused(void** state)
{
    (void)state;
    const void* buffer = (const void*)(uintptr_t)4096;
    if (HAS_NARROW_WORDS) {
        assert_int_equal(lay_out(buffer, 16 * MIB, 8), VERDICT_OK);
        assert_int_equal(lay_out(buffer, 18 * MIB, 8), VERDICT_TOO_LARGE);
    } else {
        assert_int_equal(lay_out(buffer, 256 * MIB, 8), VERDICT_OK);
    }
    assert_int_equal(lay_out(buffer, HEAP_SIZE_MAX + 1, 8), VERDICT_TOO_LARGE);
    assert_int_equal(lay_out(buffer, UINTPTR_MAX - 4096, 8), VERDICT_TOO_LARGE);
#if UINTPTR_MAX > UINT32_MAX
    assert_int_equal(
        lay_out(buffer, ((size_t)1 << 32) + 8 * KIB, 8), /* cut off to 4 bytes: 8 KiB */
        HAS_NARROW_WORDS ? VERDICT_TOO_LARGE : VERDICT_OK);
#endif
}

static void the_gap_is_the_least_that_is_none_or_a_free_block(void** state)
{
    (void)state;
    for (dmheap_word granule = GRANULE; granule <= DMHEAP_GRANULE_MAX; granule *= 2) {
        for (dmheap_word alignment = granule; alignment <= 2048; alignment *= 2) {
            for (uintptr_t at = 8192; at < 8192 + 2 * 2048; at += (uintptr_t)granule) {
                dmheap_word gap = 0;
                while ((at + gap) % alignment != 0 || (gap != 0 && gap < LEAST)) {
                    gap += granule;
                }
                const struct dmheap_block* block = block_of((const void*)at);
                assert_int_equal(heap_gap(block, (uintptr_t)alignment), gap);
                assert_true(gap <= alignment + LEAST - granule);
            }
        }
    }
}

static void a_gap_of_no_alignment_is_none(void** state)
{
    (void)state;
    for (uintptr_t at = 8192; at < 8300; at += (uintptr_t)GRANULE) {
        assert_int_equal(heap_gap(block_of((const void*)at), 1), 0);
    }
}

/* ---- allocation ----------------------------------------------------------------------------- */

static void a_size_needs_all_that_a_block_has_beside_it_and_whole_granules(void** state)
{
    (void)state;
    for (size_t alignment = DMHEAP_GRANULE_MIN; alignment <= 16; alignment *= 2) {
        heap_open(2 * KIB, alignment);
        for (size_t size = 0; size < 1 * KIB; size++) {
            dmheap_word need = LEAST;
            while (need < size + OVERHEAD) {
                need += (dmheap_word)alignment;
            }
            assert_int_equal(heap_need(test_heap.ctx, size), need);
        }
        close_heap();
    }
}

static void a_new_block_is_claimed_from_the_untouched_end(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    dmheap_word top = test_heap.ctx->first;
    for (dmheap_word bytes = LEAST; bytes < 300; bytes += GRANULE) {
        const struct dmheap_block* block = make(bytes);
        assert_int_equal(offset_of(block), top);
        assert_int_equal(block->header, OWNER_NOBODY << BLOCK_OWNER_SHIFT | bytes);
        assert_true(live_is(test_heap.ctx, block_payload(block)));
        top += bytes;
        assert_int_equal(test_heap.ctx->top, top);
        (void)heap_verify();
        if (untouched() < 400) {
            break;
        }
    }
}

static void the_untouched_end_serves_to_its_last_granule(void** state)
{
    (void)state;
    open_heap(2 * KIB);
    const dmheap_word all = untouched();
    assert_null(try_make(all + GRANULE));
    assert_null(try_make(all + 1));
    const struct dmheap_block* block = make(all);
    assert_int_equal(untouched(), 0);
    assert_null(try_make(LEAST));
    release(block);
    assert_true(heap_is_empty());
}

static void sizes_beyond_every_limit_are_refused(void** state)
{
    (void)state;
    for (size_t alignment = DMHEAP_GRANULE_MIN; alignment <= 64; alignment *= 2) {
        heap_open(2 * KIB, alignment);
        for (size_t i = 0; i < 40; i++) {
            assert_null(heap_alloc(test_heap.ctx, SIZE_MAX - i, OWNER_NOBODY));
            assert_null(heap_alloc(test_heap.ctx, SIZE_MAX / 2 + i, OWNER_NOBODY));
            assert_null(heap_alloc(test_heap.ctx, UINT32_MAX - i, OWNER_NOBODY));
            assert_null(make_aligned(64, SIZE_MAX - i));
            assert_null(heap_try_alloc(test_heap.ctx, SIZE_MAX - i, OWNER_NOBODY));
        }
        for (unsigned bit = 11; bit < sizeof(size_t) * 8; bit++) {
            assert_null(make_aligned((size_t)1 << bit, 8));
        }
        assert_true(heap_is_empty());
        close_heap();
    }
}

static void a_block_of_the_exact_size_is_taken_newest_first(void** state)
{
    (void)state;
    for (dmheap_word bytes = LEAST; bytes < EXACT_BYTES; bytes += GRANULE) {
        open_heap(4 * KIB);
        const struct dmheap_block* older = make_hole(bytes);
        const struct dmheap_block* newer = make_hole(bytes);
        assert_ptr_equal(make(bytes), newer);
        assert_int_equal(block_next(newer)->header & BLOCK_PREV_FREE, 0);
        (void)heap_verify();
        assert_ptr_equal(make(bytes), older);
        assert_int_equal(heap_verify().free_blocks, 0);
        close_heap();
    }
}

static void an_exact_fit_is_taken_before_a_larger_block_is_cut(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    const struct dmheap_block* exact = make_hole(8 * GRANULE);
    const struct dmheap_block* larger = make_hole(20 * GRANULE);
    assert_ptr_equal(make(8 * GRANULE), exact);
    assert_ptr_equal(make(8 * GRANULE), larger);
    (void)heap_verify();
}

/* Of blocks that are sound no two overlap: it takes one whose size was written over. */
static void blocks_that_overlap_are_not_apart(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    struct dmheap_block* one = make(8 * GRANULE);
    struct dmheap_block* other = make(8 * GRANULE);
    assert_true(heap_is_apart(test_heap.ctx, one, other));
    assert_true(heap_is_apart(test_heap.ctx, other, one));
    one->header += GRANULE;
    assert_false(heap_is_apart(test_heap.ctx, one, other));
    assert_false(heap_is_apart(test_heap.ctx, other, one));
    assert_false(heap_is_apart(test_heap.ctx, one, one));
}

static void an_aligned_exact_fit_is_taken_before_a_larger_block_is_cut(void** state)
{
    (void)state;
    for (size_t alignment = 32; alignment <= 512; alignment *= 2) {
        const dmheap_word bytes = 8 * GRANULE;
        open_heap(16 * KIB);
        /* The hole behind the next block is aligned so, and not twice as much. */
        while (((uintptr_t)block_payload(at_top(LEAST)) & (2 * alignment - 1)) != alignment) {
            (void)make_at_end(LEAST + GRANULE);
        }
        const struct dmheap_block* exact = make_hole(bytes);
        (void)make_hole((dmheap_word)alignment + 20 * GRANULE);
        assert_ptr_equal(make_aligned(alignment, (size_t)bytes - OVERHEAD - 1), exact);
        (void)heap_verify();
        close_heap();
    }
}

static void the_next_larger_class_serves_before_the_untouched_end(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    (void)make_hole(30 * GRANULE);
    const struct dmheap_block* smaller = make_hole(12 * GRANULE);
    const dmheap_word top = test_heap.ctx->top;
    assert_ptr_equal(make(9 * GRANULE), smaller);
    assert_int_equal(test_heap.ctx->top, top);
    (void)heap_verify();
}

static void a_rest_is_cut_off_where_it_can_be_a_free_block(void** state)
{
    (void)state;
    static const unsigned granules[] = {6, 40, 100};
    for (size_t i = 0; i < COUNT_OF(granules); i++) {
        const dmheap_word need = granules[i] * GRANULE;
        for (dmheap_word rest = 0; rest <= LEAST + 2 * GRANULE; rest += GRANULE) {
            open_heap(8 * KIB);
            const struct dmheap_block* hole = make_hole(need + rest);
            use_up_end();
            const struct dmheap_block* block = make(need);
            assert_ptr_equal(block, hole);
            if (rest >= LEAST) {
                assert_int_equal(block_size(block), need);
                assert_true(is_free_block(block_next(block), rest));
                assert_int_equal(heap_verify().free_blocks, 1);
            } else {
                assert_int_equal(block_size(block), need + rest);
                assert_int_equal(heap_verify().free_blocks, 0);
            }
            close_heap();
        }
    }
}

/* Five holes in one class, of which only the one at `place` of the list fits. */
static struct dmheap_block* make_fit_at(unsigned place)
{
    const uintptr_t fits = 2 * EXACT_BYTES + 7 * GRANULE;
    struct dmheap_block* fit = NULL;
    for (unsigned i = 5; i != 0; i--) { /* the newest one is the first */
        const dmheap_word less = i - 1 == place ? 0 : i * (dmheap_word)GRANULE;
        struct dmheap_block* hole = make_hole((dmheap_word)fits - less);
        fit = i - 1 == place ? hole : fit;
        assert_int_equal(index_class(test_heap.ctx, block_size(hole)),
                         index_class(test_heap.ctx, fits));
    }
    return fit;
}

static void four_blocks_of_the_sizes_own_class_are_looked_at(void** state)
{
    (void)state;
    for (unsigned place = 0; place < 5; place++) {
        open_heap(16 * KIB);
        const struct dmheap_block* fit = make_fit_at(place);
        const dmheap_word top = test_heap.ctx->top;
        const struct dmheap_block* block = make(2 * EXACT_BYTES + 7 * GRANULE);
        if (place < INDEX_LOOKS) {
            assert_ptr_equal(block, fit);
        } else {
            assert_int_equal(offset_of(block), top);
        }
        close_heap();
    }
}

static void the_short_path_serves_like_the_long_one(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    const struct dmheap_block* hole = make_hole(10 * GRANULE);
    const size_t size = (size_t)(10 * GRANULE) - OVERHEAD;
    assert_ptr_equal(heap_try_alloc(test_heap.ctx, size, OWNER_NOBODY), hole);
    const dmheap_word top = test_heap.ctx->top;
    assert_int_equal(offset_of(heap_try_alloc(test_heap.ctx, size, OWNER_NOBODY)), top);
    (void)heap_verify();
}

static void the_short_path_leaves_a_larger_default_alignment_to_the_long_one(void** state)
{
    (void)state;
    heap_open(4 * KIB, 64);
    test_heap.has_uncharged = true;
    assert_null(heap_try_alloc(test_heap.ctx, 8, OWNER_NOBODY));
    assert_true(heap_is_empty());
    for (unsigned i = 0; i < 10; i++) {
        assert_true(is_aligned(block_payload(make(LEAST)), 64));
        (void)heap_verify();
    }
}

/* ---- alignment -------------------------------------------------------------------------------- */

static void any_alignment_is_served_from_the_untouched_end(void** state)
{
    (void)state;
    for (size_t alignment = 1; alignment <= 2 * KIB; alignment *= 2) {
        for (dmheap_word before = 0; before < LEAST + 4 * GRANULE; before += GRANULE) {
            open_heap(8 * KIB);
            if (before >= LEAST) {
                (void)make(before);
            }
            const struct dmheap_block* block = make_aligned(alignment, 40);
            assert_non_null(block);
            assert_true(is_aligned(block_payload(block), alignment));
            const dmheap_word default_alignment = test_heap.ctx->alignment;
            assert_int_equal(heap_alignment(test_heap.ctx, block),
                             alignment > default_alignment ? alignment : default_alignment);
            (void)heap_verify();
            release(block);
            close_heap();
        }
    }
}

static void an_aligned_block_comes_out_of_a_hole_with_rests_on_both_sides(void** state)
{
    (void)state;
    for (size_t alignment = 32; alignment <= 512; alignment *= 2) {
        for (dmheap_word more = 0; more < 12 * GRANULE; more += GRANULE) {
            open_heap(16 * KIB);
            struct dmheap_block* hole = make_hole(40 * GRANULE + (dmheap_word)alignment + more);
            const dmheap_word bytes = (dmheap_word)block_size(hole);
            use_up_end();
            const struct dmheap_block* block = make_aligned(alignment, 60);
            assert_non_null(block);
            assert_true(is_aligned(block_payload(block), alignment));
            assert_true((uintptr_t)block >= (uintptr_t)hole);
            assert_true((uintptr_t)block_next(block) <= (uintptr_t)hole + bytes);
            (void)heap_verify();
            release(block);
            assert_true(is_free_block(hole, bytes));
            close_heap();
        }
    }
}

static void the_alignment_is_remembered_only_beyond_the_default(void** state)
{
    (void)state;
    for (size_t default_alignment = DMHEAP_GRANULE_MIN; default_alignment <= 128;
         default_alignment *= 2) {
        heap_open(8 * KIB, default_alignment);
        test_heap.has_uncharged = true;
        for (size_t alignment = 1; alignment <= 512; alignment *= 2) {
            const struct dmheap_block* block = make_aligned(alignment, 33);
            const bool is_remembered = (block->header & BLOCK_ALIGNED) != 0;
            assert_int_equal(is_remembered, alignment > default_alignment);
            if (is_remembered) {
                assert_int_equal((size_t)1 << *heap_alignment_byte(test_heap.ctx, block),
                                 alignment);
                assert_true(block_capacity(block) >= 34);
            }
            if (alignment < default_alignment) { /* only the heap's own blocks have less */
                assert_int_equal(heap_free(test_heap.ctx, block_payload(block)), VERDICT_OK);
            }
        }
        (void)heap_verify();
        arenas_release();
    }
}

static void a_damaged_alignment_byte_is_noticed(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    const struct dmheap_block* block = make_aligned(128, 40);
    uint8_t* const byte = heap_alignment_byte(test_heap.ctx, block);
    const uint8_t right = *byte;
    for (unsigned value = 0; value < 256; value++) {
        *byte = (uint8_t)value;
        const dmheap_word alignment = heap_alignment(test_heap.ctx, block);
        const bool fits = value < sizeof(size_t) * 8 && value < WORD * 8 &&
                          ((size_t)1 << value) > test_heap.ctx->alignment &&
                          is_aligned(block_payload(block), (size_t)1 << value);
        assert_int_equal(alignment, fits ? (dmheap_word)1 << value : 0);
    }
    *byte = right;
    (void)heap_verify();
}

/* ---- release ------------------------------------------------------------------------------- */

enum neighbour { LIVE, HOLE, BORDER, NEIGHBOURS };

/* Free a block with such neighbours; BORDER is the heap's start, or the untouched end. */
static void expect_merge(enum neighbour in_front, enum neighbour behind)
{
    open_heap(4 * KIB);
    const dmheap_word front_bytes = 5 * GRANULE;
    const dmheap_word bytes = 6 * GRANULE;
    const dmheap_word behind_bytes = 7 * GRANULE;
    const struct dmheap_block* front = in_front != BORDER ? make(front_bytes) : NULL;
    const struct dmheap_block* block = make(bytes);
    const struct dmheap_block* back = behind != BORDER ? make(behind_bytes) : NULL;
    if (behind == HOLE) {
        (void)make(LEAST);
        release(back);
    }
    if (in_front == HOLE) {
        release(front);
    }
    const struct dmheap_block* start = in_front == HOLE ? front : block;
    release(block);
    if (behind == BORDER) {
        assert_int_equal(test_heap.ctx->top, offset_of(start));
    } else {
        dmheap_word expected = bytes;
        expected += in_front == HOLE ? front_bytes : 0;
        expected += behind == HOLE ? behind_bytes : 0;
        assert_true(is_free_block(start, expected));
        assert_true((block_at(start, (uintptr_t)expected)->header & BLOCK_PREV_FREE) != 0);
        assert_int_equal(heap_verify().free_blocks, 1);
    }
    close_heap();
}

static void a_block_merges_with_whatever_is_free_on_either_side(void** state)
{
    (void)state;
    for (unsigned in_front = 0; in_front < NEIGHBOURS; in_front++) {
        for (unsigned behind = 0; behind < NEIGHBOURS; behind++) {
            expect_merge((enum neighbour)in_front, (enum neighbour)behind);
        }
    }
}

static void blocks_freed_in_any_order_leave_an_empty_heap(void** state)
{
    (void)state;
    for (unsigned order = 0; order < 120; order++) {
        open_heap(4 * KIB);
        const struct dmheap_block* block[5];
        unsigned rest = order;
        for (unsigned i = 0; i < 5; i++) {
            block[i] = make((4 + 3 * i) * GRANULE);
        }
        for (unsigned count = 5; count != 0; count--) {
            const unsigned at = rest % count;
            rest /= count;
            release(block[at]);
            memmove(block + at, block + at + 1, (count - 1 - at) * sizeof(block[0]));
        }
        assert_true(heap_is_empty());
        arenas_release();
    }
}

static void only_the_start_of_a_live_block_is_freed(void** state)
{
    (void)state;
    open_heap(2 * KIB);
    const struct dmheap_block* hole = make_hole(8 * GRANULE);
    const struct dmheap_block* live = make(9 * GRANULE);
    const unsigned char* payload = block_payload(live);
    snapshot_take();
    for (size_t i = 1; i < 8 * DMHEAP_GRANULE_MIN; i++) {
        assert_int_equal(heap_free(test_heap.ctx, payload + i), VERDICT_BAD_POINTER);
    }
    assert_int_equal(heap_free(test_heap.ctx, block_payload(hole)), VERDICT_BAD_POINTER);
    assert_int_equal(heap_free(test_heap.ctx, NULL), VERDICT_BAD_POINTER);
    assert_true(snapshot_is_same());
    release(live);
    assert_int_equal(heap_free(test_heap.ctx, payload), VERDICT_BAD_POINTER);
}

/* ---- a free block by its tags ------------------------------------------------------------------ */

static void a_free_block_is_one_whose_tags_agree_within_limits(void** state)
{
    (void)state;
    static dmheap_word words[64];
    struct dmheap_block* block = (struct dmheap_block*)words;
    for (dmheap_word size = WORD * 4; size < WORD * 32; size += WORD) {
        memset(words, 0, sizeof(words));
        block_tag_free(block, (uintptr_t)size);
        assert_true(heap_is_free(block, size));
        assert_true(heap_is_free(block, 2 * size));
        assert_false(heap_is_free(block, size - 1));
        block_at(block, (uintptr_t)size - WORD)->header ^= 8;
        assert_false(heap_is_free(block, size));
    }
}

static void nothing_but_a_size_may_stand_in_a_free_header(void** state)
{
    (void)state;
    static dmheap_word words[64];
    struct dmheap_block* block = (struct dmheap_block*)words;
    for (unsigned bit = 0; bit < WORD * 8; bit++) {
        const dmheap_word flag = (dmheap_word)1 << bit;
        if ((flag & BLOCK_SIZE_MASK) == 0) {
            block_tag_free(block, 16 * DMHEAP_WORD_BYTES);
            block->header |= flag;
            words[15] |= flag;
            assert_false(heap_is_free(block, sizeof(words)));
        }
    }
}

/* A footer that fits the header in each case. */
static void a_free_block_ends_where_blocks_do_and_at_a_word(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    struct dmheap_block* block = make_at_end(10 * GRANULE);
    (void)make_at_end(LEAST);
    const dmheap_word most = test_heap.ctx->top - offset_of(block);
    const dmheap_word sizes[] = {4 * GRANULE, most, most + GRANULE, 4 * GRANULE + 1,
                                 4 * GRANULE + 2};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        unsigned char* const end = (unsigned char*)block + sizes[i];
        memcpy(end - sizeof(sizes[i]), &sizes[i], sizeof(sizes[i]));
        block->header = sizes[i];
        assert_int_equal(heap_is_free_at(test_heap.ctx, block), i < 2);
    }
}

static void a_live_block_ends_where_blocks_do(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    (void)make_at_end(10 * GRANULE);
    struct dmheap_block* block = make_at_end(10 * GRANULE);
    (void)make_at_end(LEAST);
    const dmheap_word most = test_heap.ctx->top - offset_of(block);
    const dmheap_word sizes[] = {LEAST, most, most + GRANULE, LEAST - GRANULE};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        block->header = block_tags(OWNER_NOBODY) | sizes[i];
        assert_int_equal(heap_is_size(test_heap.ctx, block), i < 2);
        assert_true(i < 2 || heap_number(test_heap.ctx, block) == 0);
    }
}

static void an_alignment_behind_the_last_block_is_none(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    struct dmheap_block* block = make_aligned(64, 10);
    const dmheap_word beyond = test_heap.ctx->top - offset_of(block) + GRANULE;
    assert_int_equal(heap_alignment(test_heap.ctx, block), 64);
    block->header = block_tags(OWNER_NOBODY) | BLOCK_ALIGNED | beyond;
    *heap_alignment_byte(test_heap.ctx, block) = 6;
    assert_int_equal(heap_alignment(test_heap.ctx, block), 0);
}

static void any_header_is_looked_at_without_leaving_its_limits(void** state)
{
    (void)state;
    dmheap_word* words = malloc(64 * sizeof(dmheap_word)); /* the sanitizer watches its ends */
    assert_non_null(words);
    memset(words, 0xFF, 64 * sizeof(dmheap_word));
    struct dmheap_block* block = (struct dmheap_block*)(words + 1); /* the first has one in front */
    const dmheap_word room = 63 * DMHEAP_WORD_BYTES;
    for (dmheap_word header = 0; header < 2 * room; header++) {
        block->header = header;
        /* A word's size is its own footer: the scenes below tell that it is refused. */
        assert_true(header == DMHEAP_WORD_BYTES || !heap_is_free(block, room));
        block->header = 0 - header;
        assert_false(heap_is_free(block, room));
    }
    free(words);
}

/* ---- damaged tags ---------------------------------------------------------------------------- */

/* [ in front, free or live ][ block ][ behind: live, free or untouched ], at the heap's end. */
struct scene {
    struct dmheap_block* front;
    struct dmheap_block* block;
    struct dmheap_block* behind;
};

static void scene_open(struct scene* scene, enum neighbour in_front, enum neighbour behind)
{
    open_heap(2 * KIB);
    (void)make(LEAST);
    scene->front = make(8 * GRANULE);
    scene->block = make(9 * GRANULE);
    scene->behind = NULL;
    if (behind != BORDER) {
        scene->behind = make(10 * GRANULE);
        (void)make(LEAST);
    }
    if (behind == HOLE) {
        release(scene->behind);
    }
    if (in_front == HOLE) {
        release(scene->front);
    }
    memset(block_payload(scene->block), 0xA5, (size_t)block_capacity(scene->block));
}

/* Does a block, or the untouched end, begin there? Such a size is wrong, but contradicts nothing. */
static bool begins_block(dmheap_word offset)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    dmheap_word at = ctx->first;
    while (at < offset && at < ctx->top) {
        at += (dmheap_word)block_size(ctx_block(ctx, (uintptr_t)at));
    }
    return at == offset;
}

static bool can_notice_size(struct dmheap_block* block, dmheap_word right, dmheap_word size)
{
    const dmheap_word damaged = block->header;
    block->header = (damaged & ~BLOCK_SIZE_MASK) | right;
    const bool begins = begins_block(offset_of(block) + size);
    block->header = damaged;
    return size == 0 || !begins;
}

static void expect_sizes_refused(enum neighbour in_front, enum neighbour behind)
{
    struct scene scene;
    scene_open(&scene, in_front, behind);
    const dmheap_word header = scene.block->header;
    const dmheap_word right = (dmheap_word)block_size(scene.block);
    const dmheap_word limit = 4 * (dmheap_word)KIB;
    for (dmheap_word size = 0; size <= limit; size += 4) {
        /* What is no whole granule, nobody looks at. */
        const dmheap_word seen = size & test_heap.ctx->size_mask;
        if ((size & BLOCK_SIZE_MASK) == size && can_notice_size(scene.block, right, seen)) {
            scene.block->header = (header & ~BLOCK_SIZE_MASK) | size;
            expect_free_refused(scene.block);
            expect_resize_refused(scene.block, 4);
            expect_resize_refused(scene.block, 300);
        }
    }
    for (dmheap_word bit = 8192; bit <= BLOCK_SIZE_MASK; bit *= 2) {
        scene.block->header = header | bit;
        expect_free_refused(scene.block);
        expect_resize_refused(scene.block, 4);
    }
    scene.block->header = header;
    (void)heap_verify();
    release(scene.block);
    close_heap();
}

/* Each live payload lies below the untouched end, and no two of them overlap. */
static void verify_live_apart(void)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    dmheap_word end = 0;
    for (uintptr_t index = 0; index < ctx->granules; index++) {
        if (live_test(ctx, index)) {
            const struct dmheap_block* block = block_of(live_address(ctx, index));
            assert_true(offset_of(block) >= end);
            end = offset_of(block) + (dmheap_word)block_size(block);
            assert_true(end <= ctx->top);
        }
    }
}

static void a_live_size_that_leads_to_no_block_is_refused(void** state)
{
    (void)state;
    for (unsigned in_front = 0; in_front < BORDER; in_front++) {
        for (unsigned behind = 0; behind < NEIGHBOURS; behind++) {
            expect_sizes_refused((enum neighbour)in_front, (enum neighbour)behind);
        }
    }
}

static void a_size_and_owner_of_0_are_refused(void** state)
{
    (void)state;
    for (unsigned behind = 0; behind < NEIGHBOURS; behind++) {
        struct scene scene;
        scene_open(&scene, LIVE, (enum neighbour)behind);
        scene.block->header = 0;
        expect_free_refused(scene.block);
        expect_resize_refused(scene.block, 4);
        arenas_release();
    }
}

static void a_damaged_free_block_behind_is_refused(void** state)
{
    (void)state;
    for (unsigned bit = 0; bit < WORD * 8; bit++) {
        struct scene scene;
        scene_open(&scene, HOLE, HOLE);
        const dmheap_word flip = (dmheap_word)1 << bit;
        dmheap_word* const words[] = {&scene.behind->header, &block_next(scene.behind)->header - 1,
                                      &scene.behind->prev};
        for (size_t i = 0; i < COUNT_OF(words); i++) {
            const dmheap_word right = *words[i];
            *words[i] ^= flip;
            if (words[i] != &scene.behind->prev) {
                expect_free_refused(scene.block);
                expect_resize_refused(scene.block, 4);
            } else if (index_link(*words[i]) != index_link(right)) {
                expect_free_refused(scene.block);
            }
            *words[i] = right;
        }
        release(scene.block);
        close_heap();
    }
}

static void a_damaged_free_block_in_front_is_refused(void** state)
{
    (void)state;
    for (unsigned bit = 0; bit < WORD * 8; bit++) {
        for (unsigned behind = 0; behind < NEIGHBOURS; behind++) {
            struct scene scene;
            scene_open(&scene, HOLE, (enum neighbour)behind);
            const dmheap_word flip = (dmheap_word)1 << bit;
            dmheap_word* const words[] = {&scene.front->header, (dmheap_word*)scene.block - 1,
                                          &scene.front->prev};
            for (size_t i = 0; i < COUNT_OF(words); i++) {
                const dmheap_word right = *words[i];
                *words[i] ^= flip;
                if (i == 0 || index_link(*words[i]) != index_link(right)) {
                    expect_free_refused(scene.block);
                }
                *words[i] = right;
            }
            release(scene.block);
            close_heap();
        }
    }
}

/* Its links are as they should be; what is in front of it may be a footer by chance. */
static void a_free_header_that_is_smaller_than_a_block_is_refused(void** state)
{
    (void)state;
    for (dmheap_word claimed = 0; claimed < LEAST; claimed += DMHEAP_WORD_BYTES) {
        struct scene scene;
        scene_open(&scene, LIVE, HOLE);
        memset(block_payload(scene.block), 0, (size_t)block_capacity(scene.block));
        scene.behind->header = claimed;
        expect_free_refused(scene.block);
        expect_resize_refused(scene.block, 4);
        expect_resize_refused(scene.block, (size_t)block_capacity(scene.block) + 1);
        arenas_release();
    }
}

/* Blocks that were free there left their tags and links behind, in what is untouched again. */
static void a_link_to_behind_the_last_block_is_refused(void** state)
{
    (void)state;
    static const unsigned granules[] = {9, 70};
    for (size_t i = 0; i < COUNT_OF(granules); i++) {
        open_heap(4 * KIB);
        const dmheap_word bytes = granules[i] * GRANULE;
        struct dmheap_block* hole = make_hole(bytes);
        const struct dmheap_block* last = make_at_end(bytes);
        const struct dmheap_block* end = make_at_end(LEAST);
        const dmheap_word gone = offset_of(last);
        release(last);
        assert_true(index_remove(test_heap.ctx, hole));
        index_insert(test_heap.ctx, hole,
                     (uintptr_t)bytes); /* the newest: the other one is behind it */
        assert_int_equal(hole->next, gone);
        release(end);
        assert_int_equal(hole->next, 0);
        hole->next = gone;
        for (unsigned n = 0; n < 3; n++) {
            const struct dmheap_block* block = try_make(bytes);
            assert_true(block == NULL || offset_of(block) + bytes <= test_heap.ctx->top);
        }
        verify_live_apart();
        arenas_release();
    }
}

/* What stands there would be links that are right. */
static void a_link_to_where_the_last_block_ends_is_refused(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    struct dmheap_block* hole = make_hole(9 * GRANULE);
    const dmheap_word top = test_heap.ctx->top;
    const dmheap_word bin = hole->prev;
    assert_true(index_is_linked(test_heap.ctx, hole));
    *(dmheap_word*)ctx_at(test_heap.ctx, top + DMHEAP_WORD_BYTES) = offset_of(hole);
    hole->next = top - DMHEAP_WORD_BYTES;
    assert_false(index_is_linked(test_heap.ctx, hole));
    hole->next = 0;
    hole->prev = top;
    assert_false(index_is_linked(test_heap.ctx, hole));
    hole->prev = bin;
    (void)heap_verify();
}

static void a_live_header_behind_that_claims_to_be_free_is_refused(void** state)
{
    (void)state;
    for (dmheap_word claimed = 0; claimed <= 20 * GRANULE; claimed += 4) {
        struct scene scene;
        scene_open(&scene, LIVE, LIVE);
        scene.behind->header = claimed;
        expect_free_refused(scene.block);
        expect_resize_refused(scene.block, (size_t)(8 * GRANULE) - OVERHEAD);
        expect_resize_refused(scene.block, (size_t)(12 * GRANULE));
        arenas_release();
    }
}

/* The class is empty, the damage waits to be told, and nothing is suspect any more. */
static void expect_given_up(uintptr_t size_class)
{
    assert_int_equal(test_heap.ctx->bin[size_class], 0);
    assert_int_equal(test_heap.ctx->suspect, 0);
    assert_int_equal(test_heap.ctx->damage, 1);
}

static void a_class_with_a_damaged_block_is_abandoned_and_another_place_serves(void** state)
{
    (void)state;
    static const unsigned granules[] = {9, 70};
    for (size_t i = 0; i < COUNT_OF(granules); i++) {
        for (unsigned larger = 0; larger <= 3; larger += 3) {
            open_heap(4 * KIB);
            const dmheap_word bytes = granules[i] * GRANULE;
            struct dmheap_block* hole = make_hole(bytes + larger * GRANULE);
            const uintptr_t size_class = index_class(test_heap.ctx, block_size(hole));
            const dmheap_word top = test_heap.ctx->top;
            hole->header ^= 0x40;
            assert_int_equal(offset_of(make(bytes)), top);
            expect_given_up(size_class);
            assert_int_equal(offset_of(make(bytes)), top + bytes);
            arenas_release();
        }
    }
}

/* Whose header and footer agree, in memory that no block has yet. */
static void a_free_block_that_ends_in_the_untouched_end_is_not_taken(void** state)
{
    (void)state;
    static const unsigned wanted[] = {9, 70}; /* from a larger class, and from its own */
    for (size_t i = 0; i < COUNT_OF(wanted); i++) {
        open_heap(4 * KIB);
        struct dmheap_block* hole = make_hole(70 * GRANULE);
        const dmheap_word top = test_heap.ctx->top;
        const dmheap_word size = top - offset_of(hole) + 8 * GRANULE;
        const uintptr_t size_class = index_class(test_heap.ctx, block_size(hole));
        hole->header = size;
        ((dmheap_word*)block_at(hole, (uintptr_t)size))[-1] = size;
        assert_int_equal(offset_of(make(wanted[i] * GRANULE)), top);
        expect_given_up(size_class);
        arenas_release();
    }
}

static void a_free_block_that_ends_in_the_untouched_end_is_not_promised(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    struct dmheap_block* hole = make_hole(70 * GRANULE);
    (void)make(untouched() - 16 * GRANULE);
    const uintptr_t size_class = index_class(test_heap.ctx, block_size(hole));
    block_tag_free(hole, (uintptr_t)(test_heap.ctx->top - offset_of(hole) + 8 * GRANULE));
    assert_int_equal(heap_largest(test_heap.ctx),
                     index_floor(test_heap.ctx, size_class) - BLOCK_OVERHEAD_BYTES);
}

static void what_is_promised_is_served_until_the_heap_is_full(void** state)
{
    (void)state;
    for (size_t alignment = GRANULE; alignment <= 512; alignment *= 2) {
        heap_open(4 * KIB, alignment);
        test_heap.has_uncharged = true;
        while (heap_largest(test_heap.ctx) != 0) {
            const size_t promised = heap_largest(test_heap.ctx);
            assert_non_null(heap_alloc(test_heap.ctx, promised, OWNER_NOBODY));
        }
        /* no luck, either: between blocks of such a heap there is no room for so much */
        assert_null(heap_alloc(test_heap.ctx, 2 * alignment, OWNER_NOBODY));
        arenas_release();
    }
}

/* The first block of a larger class is sound but for its link. */
static void a_larger_class_with_a_damaged_link_is_abandoned(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    (void)make_hole(20 * GRANULE);
    struct dmheap_block* newest = make_hole(20 * GRANULE);
    newest->next = offset_of(heap_first_block()) + DMHEAP_WORD_BYTES;
    assert_non_null(heap_alloc(test_heap.ctx, (size_t)(10 * GRANULE), OWNER_NOBODY));
    assert_int_equal(test_heap.ctx->damage, 1);
}

static void a_class_whose_list_leads_to_the_untouched_end_is_abandoned(void** state)
{
    (void)state;
    open_heap(8 * KIB);
    struct dmheap_block* hole = make_hole(64 * GRANULE);
    struct dmheap_block* end = ctx_block(test_heap.ctx, (uintptr_t)test_heap.ctx->top);
    memset(end, 0, sizeof(*end));
    hole->next = test_heap.ctx->top;
    assert_non_null(heap_alloc(test_heap.ctx, (size_t)(70 * GRANULE - OVERHEAD), OWNER_NOBODY));
    assert_int_equal(test_heap.ctx->damage, 1);
}

static void an_aligned_request_abandons_a_damaged_class_too(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    struct dmheap_block* hole = make_hole(70 * GRANULE);
    const uintptr_t size_class = index_class(test_heap.ctx, block_size(hole));
    hole->header ^= 0x40;
    const size_t size = (size_t)(69 * GRANULE) - OVERHEAD;
    assert_non_null(make_aligned(32, size));
    expect_given_up(size_class);
    assert_non_null(make_aligned(32, size));
}

static void the_short_path_leaves_a_damaged_class_to_the_long_one(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    struct dmheap_block* hole = make_hole(9 * GRANULE);
    hole->header ^= 0x40;
    const size_t size = (size_t)(9 * GRANULE) - OVERHEAD;
    snapshot_take();
    assert_null(heap_try_alloc(test_heap.ctx, size, OWNER_NOBODY));
    assert_int_equal(test_heap.ctx->suspect, 9);
    test_heap.ctx->suspect = 0; /* that is noted, and nothing else has changed */
    assert_true(snapshot_is_same());
    assert_non_null(heap_alloc(test_heap.ctx, size, OWNER_NOBODY));
    expect_given_up(9);
}

static void only_a_suspect_class_is_given_up(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    const struct dmheap_block* hole = make_hole(9 * GRANULE);
    const struct dmheap_block* other = make_hole(10 * GRANULE);
    snapshot_take();
    assert_false(heap_give_up(test_heap.ctx));
    assert_true(snapshot_is_same());
    test_heap.ctx->suspect = 9;
    assert_true(heap_give_up(test_heap.ctx));
    expect_given_up(9);
    assert_int_equal(test_heap.ctx->bin[10], offset_of(other));
    assert_int_equal(hole->header, 9 * GRANULE);
    assert_false(heap_give_up(test_heap.ctx));
}

/* ---- resize ------------------------------------------------------------------------------------ */

#define RESIZE_BYTES (12 * GRANULE)
#define RESIZE_HOLE  (10 * GRANULE)

/* [ block ][ behind ] with an odd rest behind all, to see that it stays. */
static struct dmheap_block* resize_open(enum neighbour behind, size_t alignment)
{
    open_heap(4 * KIB);
    (void)make(LEAST);
    struct dmheap_block* block = alignment <= (size_t)GRANULE
                                     ? make(RESIZE_BYTES)
                                     : make_aligned(alignment, (size_t)RESIZE_BYTES - OVERHEAD - 1);
    assert_int_equal(block_size(block), RESIZE_BYTES);
    if (behind != BORDER) {
        const struct dmheap_block* next = make_at_end(RESIZE_HOLE);
        (void)make_at_end(LEAST);
        if (behind == HOLE) {
            release(next);
        }
    }
    return block;
}

/* The size that a block of RESIZE_BYTES has after asking for `need`; 0: it must move. */
static dmheap_word resized(enum neighbour behind, dmheap_word need)
{
    const dmheap_word room = behind == HOLE ? RESIZE_BYTES + RESIZE_HOLE : RESIZE_BYTES;
    if (behind == BORDER || (behind == HOLE && need <= RESIZE_BYTES)) {
        return need;
    }
    if (need > room) {
        return 0;
    }
    return room - need >= LEAST ? need : room;
}

static void expect_resize(enum neighbour behind, size_t alignment, dmheap_word need)
{
    struct dmheap_block* block = resize_open(behind, alignment);
    const bool remembers = alignment > (size_t)GRANULE;
    const size_t size = (size_t)need - OVERHEAD - remembers;
    const size_t filled = (size_t)RESIZE_BYTES - OVERHEAD - 1;
    const dmheap_word expected = resized(behind, need);
    const dmheap_word tags = block->header & ~BLOCK_SIZE_MASK;
    fill(block_payload(block), filled, 7);
    const enum dmheap_verdict verdict = resize(block, size);
    assert_int_equal(block->header & ~BLOCK_SIZE_MASK, tags);
    if (expected == 0) {
        assert_int_equal(verdict, VERDICT_MUST_MOVE);
        assert_int_equal(block_size(block), RESIZE_BYTES);
    } else {
        assert_int_equal(verdict, VERDICT_OK);
        assert_int_equal(block_size(block), expected);
        assert_true(is_filled(block_payload(block), filled < size ? filled : size, 7));
    }
    assert_int_equal(heap_alignment(test_heap.ctx, block), remembers ? alignment : GRANULE);
    (void)heap_verify();
    release(block);
    close_heap();
}

static void a_block_is_resized_in_place_beside_every_neighbour(void** state)
{
    (void)state;
    for (unsigned behind = 0; behind < NEIGHBOURS; behind++) {
        for (dmheap_word need = LEAST; need < 30 * GRANULE; need += GRANULE) {
            expect_resize((enum neighbour)behind, (size_t)GRANULE, need);
        }
    }
}

static void an_aligned_blocks_alignment_byte_moves_with_its_end(void** state)
{
    (void)state;
    for (unsigned behind = 0; behind < NEIGHBOURS; behind++) {
        for (dmheap_word need = LEAST; need < 30 * GRANULE; need += GRANULE) {
            expect_resize((enum neighbour)behind, 32, need);
        }
    }
}

static void every_size_keeps_what_fits_and_no_less(void** state)
{
    (void)state;
    for (unsigned behind = 0; behind < NEIGHBOURS; behind++) {
        for (size_t size = 0; size < (size_t)RESIZE_BYTES; size++) {
            struct dmheap_block* block = resize_open((enum neighbour)behind, 1);
            if (resize(block, size) == VERDICT_OK) {
                assert_true(block_capacity(block) >= size);
            }
            close_heap();
        }
    }
}

static void a_block_takes_the_untouched_end_to_its_last_granule(void** state)
{
    (void)state;
    struct dmheap_block* block = resize_open(BORDER, 1);
    const dmheap_word all = RESIZE_BYTES + untouched();
    assert_int_equal(resize(block, (size_t)all - OVERHEAD + 1), VERDICT_MUST_MOVE);
    assert_int_equal(block_size(block), RESIZE_BYTES);
    assert_int_equal(resize(block, (size_t)all - OVERHEAD), VERDICT_OK);
    assert_int_equal(block_size(block), all);
    assert_int_equal(untouched(), 0);
    (void)heap_verify();
}

static void resizing_beyond_every_limit_changes_nothing(void** state)
{
    (void)state;
    struct dmheap_block* block = resize_open(HOLE, 32);
    snapshot_take();
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(resize(block, SIZE_MAX - i), VERDICT_NO_MEMORY);
        assert_int_equal(resize(block, SIZE_MAX / 2 + i), VERDICT_NO_MEMORY);
    }
    assert_int_equal(resize(block, (size_t)test_heap.ctx->end), VERDICT_NO_MEMORY);
    assert_true(snapshot_is_same());
}

static void a_block_with_a_damaged_alignment_byte_is_not_resized(void** state)
{
    (void)state;
    struct dmheap_block* block = resize_open(LIVE, 32);
    *heap_alignment_byte(test_heap.ctx, block) = 0xFF;
    expect_resize_refused(block, 4);
    expect_resize_refused(block, 400);
}

/* Its last byte would be read outside the buffer. */
static void an_aligned_block_whose_size_leads_out_of_the_heap_is_not_resized(void** state)
{
    (void)state;
    open_heap(4 * KIB);
    struct dmheap_block* block = make_aligned(128, 40);
    const dmheap_word right = block->header;
    for (dmheap_word wrong = (dmheap_word)(4 * KIB); wrong <= BLOCK_SIZE_MASK / 2; wrong *= 2) {
        block->header = right + wrong;
        assert_int_equal(heap_alignment(test_heap.ctx, block), 0);
        expect_resize_refused(block, 4);
    }
    block->header = right;
    (void)heap_verify();
}

/* Such bits are no part of any size: what took them for one would be led past the block. */
static void resize_goes_by_a_size_without_the_bits_below_the_granule(void** state)
{
    (void)state;
    for (size_t alignment = 16; alignment <= 32; alignment *= 2) {
        heap_open(4 * KIB, 16);
        void* room = dmheap_malloc(1024, NULL);
        const size_t rest = (size_t)(test_heap.ctx->end - test_heap.ctx->top) - 96;
        unsigned char* ptr = dmheap_aligned_alloc(alignment, rest, NULL);
        dmheap_free(dmheap_aligned_alloc(16, 1, NULL), true);
        dmheap_free(room, true);
        fill(ptr, 200, 7);
        block_of(ptr)->header |= 8;
        heap_seal(test_heap.ctx, block_of(ptr));
        assert_ptr_equal(dmheap_realloc(ptr, rest, NULL), ptr);
        assert_ptr_equal(dmheap_realloc(ptr, 200, NULL), ptr);
        assert_non_null(
            dmheap_malloc((size_t)(test_heap.ctx->end - test_heap.ctx->top) - 16, NULL));
        unsigned char* moved = dmheap_realloc(ptr, 800, NULL);
        assert_true(moved != NULL && moved != ptr && is_aligned(moved, alignment));
        assert_true(is_filled(moved, 200, 7));
        (void)heap_verify();
        arenas_release();
    }
}

/* Nothing is read by way of such a head: not even a header, to see whether it is one. */
static void a_list_whose_head_leads_nowhere_is_given_up(void** state)
{
    (void)state;
    for (unsigned how = 0; how < 4; how++) {
        open_heap(4 * KIB);
        struct dmheap_ctx* ctx = test_heap.ctx;
        const struct dmheap_block* hole = make(20 * GRANULE);
        (void)make(4 * GRANULE);
        release(hole);
        const dmheap_word heads[] = {0, DMHEAP_WORD_BYTES, ctx->top, 0 - DMHEAP_WORD_BYTES};
        const uintptr_t size_class = index_class(ctx, 20 * GRANULE);
        const dmheap_word top = ctx->top;
        ctx->bin[size_class] = heads[how];
        assert_ptr_equal(heap_alloc(ctx, 5 * GRANULE, OWNER_NOBODY),
                         ctx_block(ctx, (uintptr_t)top));
        assert_int_equal(ctx->bin[size_class], 0);
        assert_int_equal(ctx->row[size_class / 32] >> size_class % 32 & 1, 0);
        assert_int_equal(ctx->damage, 1);
        arenas_release();
    }
}

/* ---- the sweep ------------------------------------------------------------------------------------ */

/* The check knows two owners without a module: one is swept, the other stands by. */
#define SWEPT     OWNER_NOBODY
#define BYSTANDER OWNER_HEAP

static struct dmheap_block* make_for(dmheap_word owner, dmheap_word bytes)
{
    struct dmheap_block* block = make(bytes);
    heap_set_owner(test_heap.ctx, block, owner);
    return block;
}

static void verify_blocks(void)
{
    struct image_census census;
    assert_int_equal(heap_fault(test_heap.ctx, &census), DMHEAP_FAULT_NONE);
    arenas_verify();
}

/* Live blocks of an owner, by the live map alone. */
static dmheap_word count_live(dmheap_word owner)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    dmheap_word count = 0;
    for (uintptr_t index = 0; index < ctx->granules; index++) {
        count += live_test(ctx, index) && block_owner(block_of(live_address(ctx, index))) == owner;
    }
    return count;
}

static bool sweep_slice(struct heap_sweep* sweep)
{
    sweep->left = count_live(SWEPT);
    return heap_sweep(test_heap.ctx, SWEPT, sweep);
}

/* Sweep to the end, counting slices; stops a test that would never end. */
static unsigned sweep_all(struct heap_sweep* sweep)
{
    unsigned slices = 1;
    while (sweep_slice(sweep)) {
        slices++;
        assert_true(slices < 10000);
    }
    return slices;
}

static void a_sweep_frees_all_blocks_of_an_owner_and_no_other(void** state)
{
    (void)state;
    for (unsigned every = 1; every < 20; every++) {
        open_heap(16 * KIB);
        for (unsigned i = 0; i < 200; i++) {
            (void)make_for(i % every == 0 ? SWEPT : BYSTANDER, (4 + i % 5) * GRANULE);
        }
        const dmheap_word bystanders = count_live(BYSTANDER);
        struct heap_sweep sweep = {0};
        (void)sweep_all(&sweep);
        assert_int_equal(count_live(SWEPT), 0);
        assert_int_equal(count_live(BYSTANDER), bystanders);
        assert_false(sweep.damaged);
        verify_blocks();
        arenas_release();
    }
}

static void a_slice_frees_no_more_than_its_budget(void** state)
{
    (void)state;
    open_heap(16 * KIB);
    for (unsigned i = 0; i < 100; i++) {
        (void)make_for(SWEPT, 5 * GRANULE);
    }
    struct heap_sweep sweep = {0};
    dmheap_word last = count_live(SWEPT);
    bool more = true;
    while (more) {
        more = sweep_slice(&sweep);
        const dmheap_word now = count_live(SWEPT);
        assert_true((last > now || last == 0) && last - now <= FREED_MAX);
        assert_int_equal(sweep.left, now);
        last = now;
        verify_blocks();
    }
    assert_int_equal(last, 0);
}

/* Each of them announces a free block in front that is not there. */
static void a_slice_refuses_no_more_than_its_budget(void** state)
{
    (void)state;
    struct dmheap_block* blocks[100];
    open_heap(16 * KIB);
    for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i] = make_for(SWEPT, 5 * GRANULE);
        memset(block_payload(blocks[i]), 0, (size_t)block_capacity(blocks[i]));
        blocks[i]->header |= BLOCK_PREV_FREE;
    }
    struct heap_sweep sweep = {.left = COUNT_OF(blocks)};
    assert_true(heap_sweep(test_heap.ctx, SWEPT, &sweep));
    assert_true(sweep.damaged);
    assert_int_equal(sweep.left, COUNT_OF(blocks));
    assert_false(sweep.careful);
    assert_true(sweep.index <= live_index(test_heap.ctx, block_payload(blocks[REFUSED_MAX])));
    for (unsigned i = 0; i < COUNT_OF(blocks); i++) {
        blocks[i]->header &= ~BLOCK_PREV_FREE;
    }
    verify_blocks();
}

static void a_slice_passes_no_more_than_its_budget(void** state)
{
    (void)state;
    open_heap(256 * KIB);
    for (unsigned i = 0; i < 10 * PASSED_MAX; i++) {
        (void)make_for(BYSTANDER, 5 * GRANULE);
    }
    (void)make_for(SWEPT, 5 * GRANULE);
    struct heap_sweep sweep = {0};
    assert_in_range(sweep_all(&sweep), 10, 12);
    assert_int_equal(count_live(SWEPT), 0);
}

static void a_slice_whose_budget_went_with_passing_frees_one_of_a_run(void** state)
{
    (void)state;
    enum { BLOCKS = 100 };
    open_heap(64 * KIB);
    for (unsigned i = 0; i < HEAP_SWEEP_BUDGET - 5; i++) {
        assert_non_null(heap_alloc(test_heap.ctx, 0, OWNER_NOBODY));
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_non_null(heap_alloc(test_heap.ctx, 0, OWNER_MODULES));
    }
    assert_non_null(heap_alloc(test_heap.ctx, 0, OWNER_NOBODY));
    const uintptr_t first = live_index(test_heap.ctx, block_payload(heap_first_block()));
    struct heap_sweep sweep = {first, BLOCKS, false, false};
    assert_true(heap_sweep(test_heap.ctx, OWNER_MODULES, &sweep));
    assert_int_equal(sweep.left, BLOCKS - 1);
}

static void a_slice_frees_as_many_of_a_run_as_what_is_left_of_its_budget_pays_for(void** state)
{
    (void)state;
    enum { BLOCKS = 100 };
    for (int passed = 0; passed < HEAP_SWEEP_BUDGET; passed++) {
        const int rest = HEAP_SWEEP_BUDGET - passed - HEAP_SWEEP_RUN;
        const int freed = 1 + (rest > 0 ? rest / HEAP_SWEEP_MORE : 0);
        open_heap(64 * KIB);
        for (int i = 0; i < passed + BLOCKS + 1; i++) {
            const bool is_of_run = i >= passed && i < passed + BLOCKS;
            assert_non_null(heap_alloc(test_heap.ctx, 0, is_of_run ? OWNER_MODULES : OWNER_NOBODY));
        }
        const uintptr_t first = live_index(test_heap.ctx, block_payload(heap_first_block()));
        struct heap_sweep sweep = {first, BLOCKS, false, false};
        assert_true(heap_sweep(test_heap.ctx, OWNER_MODULES, &sweep));
        assert_int_equal(sweep.left, BLOCKS - freed);
        arenas_release();
    }
}

static void a_slice_whose_budget_is_used_up_to_nothing_passes_no_more(void** state)
{
    (void)state;
    const int passed = HEAP_SWEEP_BUDGET - (HEAP_SWEEP_RUNS ? HEAP_SWEEP_RUN : HEAP_SWEEP_OTHER);
    open_heap(64 * KIB);
    for (int i = 0; i < 3 * passed; i++) {
        const dmheap_word owner = i == passed || i == 3 * passed - 2 ? OWNER_MODULES : OWNER_NOBODY;
        assert_non_null(heap_alloc(test_heap.ctx, 0, owner));
    }
    const uintptr_t first = live_index(test_heap.ctx, block_payload(heap_first_block()));
    struct heap_sweep sweep = {first, 2, false, false};
    assert_true(heap_sweep(test_heap.ctx, OWNER_MODULES, &sweep));
    assert_int_equal(sweep.left, 1);
}

static void a_sweep_without_blocks_left_is_over_at_once(void** state)
{
    (void)state;
    open_heap(256 * KIB);
    const struct dmheap_block* large = make(200 * (dmheap_word)KIB);
    (void)make(5 * GRANULE);
    release(large);
    struct heap_sweep sweep = {0};
    assert_false(heap_sweep(test_heap.ctx, BYSTANDER, &sweep));
    assert_false(sweep.damaged);
}

/* Whoever sweeps has yet to forget the module, which is no work for the rest of a long hold. */
static void a_slice_that_ends_with_little_budget_is_not_the_last(void** state)
{
    (void)state;
    for (int passed = 0; passed < HEAP_SWEEP_BUDGET - HEAP_SWEEP_OTHER; passed++) {
        open_heap(64 * KIB);
        for (int i = 0; i <= passed + 1; i++) {
            const dmheap_word owner = i == passed ? OWNER_MODULES : OWNER_NOBODY;
            assert_non_null(heap_alloc(test_heap.ctx, 0, owner));
        }
        const uintptr_t first = live_index(test_heap.ctx, block_payload(heap_first_block()));
        const int spent = passed + (HEAP_SWEEP_RUNS ? HEAP_SWEEP_RUN : HEAP_SWEEP_OTHER);
        struct heap_sweep sweep = {first, 1, false, false};
        assert_int_equal(heap_sweep(test_heap.ctx, OWNER_MODULES, &sweep),
                         HEAP_SWEEP_BUDGET - spent < HEAP_SWEEP_CLOSING);
        assert_int_equal(sweep.left, 0);
        arenas_release();
    }
}

/* Between two slices, what other calls may do to the block that comes next and those behind. */
enum meddling { FREE_NEXT, FREE_BEHIND, FREE_BOTH, SPLIT_NEXT, FREE_ALL, MEDDLINGS };

static void free_if_live(const struct dmheap_block* block)
{
    if (live_is(test_heap.ctx, block_payload(block))) {
        assert_int_equal(heap_free(test_heap.ctx, block_payload(block)), VERDICT_OK);
    }
}

static void meddle(enum meddling how, const struct heap_sweep* sweep)
{
    struct dmheap_ctx* ctx = test_heap.ctx;
    uintptr_t index = sweep->index;
    while (!live_test(ctx, index)) {
        index++;
    }
    struct dmheap_block* next = block_of(live_address(ctx, index));
    const struct dmheap_block* behind = block_next(next);
    if (how == SPLIT_NEXT) {
        assert_int_equal(resize(next, 0), VERDICT_OK);
        assert_non_null(heap_alloc(ctx, 0, SWEPT));
    }
    if (how == FREE_NEXT || how == FREE_BOTH) {
        free_if_live(next);
    }
    if (how == FREE_BEHIND || how == FREE_BOTH) {
        free_if_live(behind);
    }
    for (uintptr_t i = 0; how == FREE_ALL && i < ctx->granules; i++) {
        free_if_live(block_of(live_address(ctx, i)));
    }
}

/* Of those a payload may begin at each granule. */
static void a_careful_sweep_finds_the_smallest_blocks(void** state)
{
    (void)state;
    enum { BLOCKS = 20 };
    heap_open(4 * KIB, DMHEAP_GRANULE_MAX);
    test_heap.has_uncharged = true;
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_non_null(heap_alloc(test_heap.ctx, 0, OWNER_MODULES));
    }
    assert_non_null(heap_alloc(test_heap.ctx, 0, OWNER_NOBODY));
    struct heap_sweep sweep = {0, BLOCKS, true, false};
    while (heap_sweep(test_heap.ctx, OWNER_MODULES, &sweep)) {
        assert_true(sweep.left <= BLOCKS);
    }
    assert_int_equal(sweep.left, 0);
}

static void a_sweep_goes_on_whatever_happens_between_two_slices(void** state)
{
    (void)state;
    for (unsigned how = 0; how < MEDDLINGS; how++) {
        for (unsigned slices = 1; slices < 12; slices++) {
            open_heap(16 * KIB);
            for (unsigned i = 0; i < 100; i++) {
                (void)make_for(i % 9 == 4 ? BYSTANDER : SWEPT, 10 * GRANULE);
            }
            struct heap_sweep sweep = {0};
            for (unsigned i = 0; i < slices && sweep_slice(&sweep) && sweep.left != 0; i++) {
                meddle((enum meddling)how, &sweep);
                verify_blocks();
            }
            (void)sweep_all(&sweep);
            assert_int_equal(count_live(SWEPT), 0);
            assert_false(sweep.damaged);
            verify_blocks();
            arenas_release();
        }
    }
}

/* Sizes that an overrun may leave in the header of a block at `victim`. */
static dmheap_word damaged_size(unsigned number, dmheap_word right)
{
    const dmheap_word sizes[] = {0,
                                 4,
                                 right - 4,
                                 right + 4,
                                 right + GRANULE,
                                 3 * right,
                                 test_heap.ctx->end,
                                 test_heap.ctx->end * 2,
                                 BLOCK_SIZE_MASK,
                                 BLOCK_SIZE_MASK / 2,
                                 test_heap.ctx->top};
    return number < COUNT_OF(sizes) ? sizes[number] & BLOCK_SIZE_MASK : right;
}

#define DAMAGED_SIZES 11U

static void expect_sweep_with_damage(unsigned victim, dmheap_word owner, unsigned number)
{
    open_heap(16 * KIB);
    struct dmheap_block* damaged = NULL;
    for (unsigned i = 0; i < 150; i++) {
        struct dmheap_block* block = make_for(i == victim  ? owner
                                              : i % 3 == 0 ? BYSTANDER
                                                           : SWEPT,
                                              5 * GRANULE);
        damaged = i == victim ? block : damaged;
    }
    const dmheap_word header = damaged->header;
    const dmheap_word bystanders = count_live(BYSTANDER);
    const dmheap_word size = damaged_size(number, (dmheap_word)block_size(damaged));
    damaged->header = (header & ~BLOCK_SIZE_MASK) | size;
    struct heap_sweep sweep = {0};
    (void)sweep_all(&sweep);
    const bool is_left = live_is(test_heap.ctx, block_payload(damaged));
    if (owner == SWEPT) {
        /* Its neighbour in front cannot tell where it begins, nor can it be freed itself. */
        assert_int_equal(count_live(SWEPT), is_left ? 1 : 0);
        assert_int_equal(sweep.damaged, is_left);
    } else {
        assert_true(is_left);
        assert_int_equal(count_live(SWEPT), 0);
    }
    assert_int_equal(count_live(BYSTANDER), bystanders);
    if (is_left) {
        damaged->header = (damaged->header & ~BLOCK_SIZE_MASK) | (header & BLOCK_SIZE_MASK);
    }
    verify_blocks();
    arenas_release();
}

static void a_damaged_size_of_another_owner_does_not_derail_a_sweep(void** state)
{
    (void)state;
    for (unsigned victim = 0; victim < 150; victim += 13) {
        for (unsigned number = 0; number < DAMAGED_SIZES; number++) {
            expect_sweep_with_damage(victim, BYSTANDER, number);
        }
    }
}

static void a_damaged_block_of_the_owner_is_left_alone_and_told(void** state)
{
    (void)state;
    for (unsigned victim = 1; victim < 150; victim += 13) {
        for (unsigned number = 0; number < 4; number++) { /* those that lead to no block */
            expect_sweep_with_damage(victim, SWEPT, number);
        }
    }
}

static void a_size_that_skips_blocks_costs_no_other_block(void** state)
{
    (void)state;
    for (unsigned skips = 2; skips < 40; skips++) {
        open_heap(16 * KIB);
        struct dmheap_block* liar = make_for(BYSTANDER, 5 * GRANULE);
        for (unsigned i = 0; i < 39; i++) {
            (void)make_for(SWEPT, 5 * GRANULE);
        }
        liar->header += (skips - 1) * 5 * GRANULE; /* up to the untouched end itself */
        struct heap_sweep sweep = {0};
        (void)sweep_all(&sweep);
        assert_int_equal(count_live(SWEPT), 0);
        assert_int_equal(count_live(BYSTANDER), 1);
        arenas_release();
    }
}

#define RUN_MAX (2 * FREED_MAX + 10)

/* [ wall: live or a hole ][ run ... ][ behind: live, a hole or the untouched end ] */
struct run {
    struct dmheap_block* block[RUN_MAX];
    struct dmheap_block* behind; /* NULL: the untouched end */
    unsigned length;
};

static void run_open(struct run* run, unsigned length, enum neighbour front, enum neighbour behind)
{
    open_heap(32 * KIB);
    (void)make_for(BYSTANDER, 4 * GRANULE);
    const struct dmheap_block* wall = make_for(BYSTANDER, 6 * GRANULE);
    run->length = length;
    for (unsigned i = 0; i < length; i++) {
        run->block[i] = make_for(SWEPT, (4 + i * 7 % 40) * GRANULE);
    }
    run->behind = behind == BORDER ? NULL : make_for(BYSTANDER, 5 * GRANULE);
    if (behind == HOLE) {
        (void)make_for(BYSTANDER, 5 * GRANULE);
        assert_int_equal(heap_free(test_heap.ctx, block_payload(run->behind)), VERDICT_OK);
    }
    if (front == HOLE) {
        assert_int_equal(heap_free(test_heap.ctx, block_payload(wall)), VERDICT_OK);
    }
}

static void runs_of_any_length_are_freed_whatever_is_around(void** state)
{
    (void)state;
    struct run run;
    for (unsigned length = 1; length < RUN_MAX; length++) {
        for (unsigned around = 0; around < 2 * NEIGHBOURS; around++) {
            run_open(&run, length, around % 2 != 0 ? HOLE : LIVE, (enum neighbour)(around / 2));
            const dmheap_word bystanders = count_live(BYSTANDER);
            struct heap_sweep sweep = {0};
            while (sweep_slice(&sweep)) {
                assert_int_equal(sweep.left, count_live(SWEPT));
                verify_blocks();
            }
            assert_int_equal(count_live(SWEPT), 0);
            assert_int_equal(count_live(BYSTANDER), bystanders);
            assert_false(sweep.damaged);
            verify_blocks();
            arenas_release();
        }
    }
}

/* Where a run ends, a slice's budget is used up: no block that is left has been touched. */
static void a_slice_leaves_the_rest_of_a_run_as_it_was(void** state)
{
    (void)state;
    struct run run;
    run_open(&run, RUN_MAX, LIVE, LIVE);
    struct heap_sweep sweep = {0};
    assert_true(sweep_slice(&sweep));
    const unsigned freed = RUN_MAX - (unsigned)sweep.left;
    assert_in_range(freed, FREED_MAX - 4, FREED_MAX); /* less: what the way to the run took */
    for (unsigned i = 0; i < RUN_MAX; i++) {
        assert_int_equal(live_is(test_heap.ctx, block_payload(run.block[i])), i >= freed);
    }
    const struct dmheap_block* rest = run.block[freed];
    assert_int_equal(block_size(run.block[0]), (uintptr_t)rest - (uintptr_t)run.block[0]);
    assert_true((rest->header & BLOCK_PREV_FREE) != 0);
    verify_blocks();
}

/* Sweep a run one word of which is `damage` at `word`; `left` of its blocks may not be freed. */
static void expect_run_with_damage(const struct run* run, dmheap_word* word, dmheap_word damage,
                                   const struct dmheap_block* left)
{
    const dmheap_word right = *word;
    *word = damage;
    struct heap_sweep sweep = {.left = run->length};
    while (heap_sweep(test_heap.ctx, SWEPT, &sweep)) {
    }
    assert_true(sweep.damaged);
    for (unsigned i = 0; i < run->length; i++) {
        const bool is_left = run->block[i] == left || (dmheap_word*)run->block[i] == word;
        assert_int_equal(live_is(test_heap.ctx, block_payload(run->block[i])), is_left);
    }
    *word = right | (*word & BLOCK_PREV_FREE);
    verify_blocks();
    arenas_release();
}

/*
 * Can a block's size that leads to `end` be told from the right one? Not if it leads to another
 * block, and those that it skips are in words of the live map between the two.
 */
static bool is_told(const struct run* run, unsigned victim, uintptr_t end)
{
    const uintptr_t step = LIVE_BITS * (uintptr_t)GRANULE;
    const uintptr_t base = (uintptr_t)test_heap.ctx - WORD;
    const uintptr_t first = ((uintptr_t)run->block[victim] - base) / step;
    bool leads_on = false;
    bool is_seen = false;
    for (unsigned i = victim + 1; i < run->length && (uintptr_t)run->block[i] <= end; i++) {
        const uintptr_t at = (uintptr_t)run->block[i];
        const uintptr_t word = (at - base) / step;
        leads_on = at == end;
        is_seen = is_seen || (at < end && (word == first || word == (end - base) / step));
    }
    return !leads_on || is_seen;
}

static void a_damaged_size_inside_a_run_costs_that_block_only(void** state)
{
    (void)state;
    struct run run;
    for (unsigned victim = 1; victim < FREED_MAX + 5; victim += 3) {
        for (unsigned granules = 0; granules < 100; granules++) {
            run_open(&run, FREED_MAX + 10, LIVE, LIVE);
            dmheap_word* header = &run.block[victim]->header;
            if (is_told(&run, victim,
                        (uintptr_t)block_at(run.block[victim], (uintptr_t)(granules * GRANULE)))) {
                expect_run_with_damage(&run, header,
                                       (*header & ~BLOCK_SIZE_MASK) | granules * GRANULE, NULL);
            } else {
                arenas_release();
            }
        }
    }
}

/* A damaged size leads the walk to what looks like a block of the owner, but is not live. */
static void a_sweep_takes_nothing_from_inside_a_block(void** state)
{
    (void)state;
    for (dmheap_word size = 0; size < 40 * GRANULE; size += GRANULE) {
        open_heap(4 * KIB);
        struct dmheap_block* liar = make_for(BYSTANDER, 6 * GRANULE);
        struct dmheap_block* inner = make_for(BYSTANDER, 20 * GRANULE);
        (void)make_for(BYSTANDER, 10 * GRANULE);
        (void)make_for(SWEPT, 5 * GRANULE);
        struct dmheap_block* fake = block_at(inner, 5 * GRANULE);
        fake->header = SWEPT << BLOCK_OWNER_SHIFT | size;
        liar->header += 5 * GRANULE;
        struct heap_sweep sweep = {.left = 1};
        while (heap_sweep(test_heap.ctx, SWEPT, &sweep)) {
        }
        assert_int_equal(sweep.left, 0);
        assert_true(sweep.damaged);
        assert_int_equal(fake->header, SWEPT << BLOCK_OWNER_SHIFT | size);
        liar->header -= 5 * GRANULE;
        assert_int_equal(count_live(BYSTANDER), 3);
        assert_int_equal(count_live(SWEPT), 0);
        verify_blocks();
        arenas_release();
    }
}

static void a_block_without_owner_inside_a_run_costs_the_one_in_front_too(void** state)
{
    (void)state;
    struct run run;
    for (unsigned victim = 1; victim < FREED_MAX + 10; victim++) {
        run_open(&run, FREED_MAX + 10, LIVE, LIVE);
        dmheap_word* header = &run.block[victim]->header;
        expect_run_with_damage(&run, header, *header & BLOCK_SIZE_MASK, run.block[victim - 1]);
    }
}

static void another_owner_inside_a_run_parts_it(void** state)
{
    (void)state;
    struct run run;
    for (unsigned victim = 0; victim < FREED_MAX + 10; victim++) {
        run_open(&run, FREED_MAX + 10, LIVE, LIVE);
        heap_set_owner(test_heap.ctx, run.block[victim], BYSTANDER);
        struct heap_sweep sweep = {0};
        (void)sweep_all(&sweep);
        assert_int_equal(count_live(SWEPT), 0);
        assert_true(live_is(test_heap.ctx, block_payload(run.block[victim])));
        assert_false(sweep.damaged);
        verify_blocks();
        arenas_release();
    }
}

static void damage_behind_a_run_costs_its_last_block_only(void** state)
{
    (void)state;
    struct run run;
    for (unsigned length = 1; length < FREED_MAX + 5; length++) {
        for (unsigned what = 0; what < 4; what++) {
            run_open(&run, length, LIVE, what == 0 ? LIVE : HOLE);
            struct dmheap_block* behind = run.behind;
            dmheap_word* words[] = {&behind->header, &behind->header, &behind->prev,
                                    (dmheap_word*)block_next(behind) - 1};
            const dmheap_word damages[] = {(dmheap_word)block_size(behind),
                                           behind->header + GRANULE, GRANULE, 0};
            expect_run_with_damage(&run, words[what], damages[what], run.block[length - 1]);
        }
    }
}

/* ---- the check itself ------------------------------------------------------------------------------ */

/* A heap with everything in it; the parts are what the damages below are done to. */
struct whole {
    struct dmheap_block* live;
    struct dmheap_block* aligned;
    struct dmheap_block* hole; /* first of its class, before `older` */
    struct dmheap_block* older;
    struct dmheap_block* last;
};

static void whole_open(struct whole* whole)
{
    open_heap(4 * KIB);
    whole->aligned = make_aligned(64, 50);
    whole->live = make_at_end(8 * GRANULE);
    whole->older = make_hole(12 * GRANULE);
    whole->hole = make_hole(12 * GRANULE);
    whole->last = make_at_end(9 * GRANULE);
    (void)heap_verify();
}

static void header_granule_more(const struct whole* whole)
{
    whole->live->header += GRANULE;
}

static void header_size_0(const struct whole* whole)
{
    whole->live->header &= ~BLOCK_SIZE_MASK;
}

static void header_owner_free(const struct whole* whole)
{
    block_set_owner(whole->live, OWNER_FREE);
}

static void header_owner_unknown(const struct whole* whole)
{
    block_set_owner(whole->live, OWNER_MODULES);
}

static void header_owner_heap(const struct whole* whole)
{
    block_set_owner(whole->live, OWNER_HEAP);
}

static void header_prev_free(const struct whole* whole)
{
    whole->live->header |= BLOCK_PREV_FREE;
}

static void header_prev_not_free(const struct whole* whole)
{
    block_next(whole->hole)->header &= ~BLOCK_PREV_FREE;
}

static void header_aligned(const struct whole* whole)
{
    whole->live->header |= BLOCK_ALIGNED;
    *heap_alignment_byte(test_heap.ctx, whole->live) = 0;
}

static void alignment_byte(const struct whole* whole)
{
    *heap_alignment_byte(test_heap.ctx, whole->aligned) = 20;
}

static void hole_header_owner(const struct whole* whole)
{
    block_set_owner(whole->hole, OWNER_NOBODY);
}

static void hole_header_flag(const struct whole* whole)
{
    whole->hole->header |= BLOCK_ALIGNED;
}

static void hole_footer(const struct whole* whole)
{
    (&block_next(whole->hole)->header)[-1] += GRANULE;
}

static void hole_next_0(const struct whole* whole)
{
    whole->hole->next = 0;
}

static void hole_next_in_context(const struct whole* whole)
{
    whole->hole->next = 8;
}

static void hole_next_live(const struct whole* whole)
{
    whole->hole->next = offset_of(whole->live);
}

static void hole_next_itself(const struct whole* whole)
{
    whole->hole->next = offset_of(whole->hole);
}

static void hole_next_misaligned(const struct whole* whole)
{
    whole->hole->next += 1;
}

static void hole_next_near_top(const struct whole* whole)
{
    (void)whole;
    whole->hole->next = test_heap.ctx->top - 1;
}

static void hole_next_outside(const struct whole* whole)
{
    whole->hole->next = 0 - DMHEAP_WORD_BYTES;
}

static void hole_prev(const struct whole* whole)
{
    whole->hole->prev += DMHEAP_WORD_BYTES;
}

static void older_prev(const struct whole* whole)
{
    whole->older->prev = 0;
}

static void list_circular(const struct whole* whole)
{
    whole->older->next = offset_of(whole->hole);
}

static uintptr_t class_of(const struct dmheap_block* block)
{
    return index_class(test_heap.ctx, block_size(block));
}

static void bin_emptied(const struct whole* whole)
{
    test_heap.ctx->bin[class_of(whole->hole)] = 0;
}

static void class_abandoned(const struct whole* whole)
{
    index_abandon(test_heap.ctx, class_of(whole->hole));
}

static void bit_missing(const struct whole* whole)
{
    index_unmark(test_heap.ctx, class_of(whole->hole));
}

static void bit_too_many(const struct whole* whole)
{
    (void)whole;
    index_mark(test_heap.ctx, 1); /* no block is so small */
}

static void row_bit_too_many(const struct whole* whole)
{
    (void)whole;
    test_heap.ctx->rows ^= 1U << 1; /* all its classes are in row 0 */
}

static void row_bit_missing(const struct whole* whole)
{
    assert_true(index_remove(test_heap.ctx, whole->hole));
    index_insert(test_heap.ctx, whole->hole, 40 * GRANULE);
    test_heap.ctx->rows = 0;
}

static void suspicion_left(const struct whole* whole)
{
    test_heap.ctx->suspect = (uint16_t)class_of(whole->hole);
}

static void wrong_class(const struct whole* whole)
{
    assert_true(index_remove(test_heap.ctx, whole->hole));
    index_insert(test_heap.ctx, whole->hole, block_size(whole->hole) + GRANULE);
}

static void not_listed(const struct whole* whole)
{
    assert_true(index_remove(test_heap.ctx, whole->hole));
}

static void live_bit_missing(const struct whole* whole)
{
    live_clear(test_heap.ctx, live_index(test_heap.ctx, block_payload(whole->live)));
}

static void live_bit_inside(const struct whole* whole)
{
    live_set(test_heap.ctx, live_index(test_heap.ctx, block_payload(whole->live)) + 1);
}

static void live_bit_of_hole(const struct whole* whole)
{
    live_set(test_heap.ctx, live_index(test_heap.ctx, block_payload(whole->hole)));
}

static void live_bit_of_context(const struct whole* whole)
{
    (void)whole;
    live_set(test_heap.ctx, 0);
}

static void live_bit_of_untouched(const struct whole* whole)
{
    (void)whole;
    live_set(test_heap.ctx, (uintptr_t)test_heap.ctx->granules - 1);
}

static void two_holes_adjacent(const struct whole* whole)
{
    struct dmheap_block* first = whole->hole;
    struct dmheap_block* second = block_at(first, 6 * GRANULE);
    assert_true(index_remove(test_heap.ctx, first));
    block_tag_free(first, 6 * GRANULE);
    block_tag_free(second, 6 * GRANULE);
    index_insert(test_heap.ctx, first, 6 * GRANULE);
    index_insert(test_heap.ctx, second, 6 * GRANULE);
}

static void hole_before_untouched(const struct whole* whole)
{
    live_clear(test_heap.ctx, live_index(test_heap.ctx, block_payload(whole->last)));
    block_tag_free(whole->last, 9 * GRANULE);
    index_insert(test_heap.ctx, whole->last, 9 * GRANULE);
}

static void top_inside_last(const struct whole* whole)
{
    (void)whole;
    test_heap.ctx->top -= GRANULE;
}

static void top_behind_last(const struct whole* whole)
{
    (void)whole;
    test_heap.ctx->top += GRANULE;
}

static void top_behind_end(const struct whole* whole)
{
    (void)whole;
    test_heap.ctx->top = test_heap.ctx->end + GRANULE;
}

static void first_misplaced(const struct whole* whole)
{
    (void)whole;
    test_heap.ctx->first += DMHEAP_WORD_BYTES;
}

static void modules_without_table(const struct whole* whole)
{
    (void)whole;
    test_heap.ctx->hint_module = 64;
}

#define DAMAGE(function)    \
    {                       \
        function, #function \
    }

static const struct damage {
    void (*plant)(const struct whole*);
    const char* name;
} damages[] = {
    DAMAGE(header_granule_more),
    DAMAGE(header_size_0),
    DAMAGE(header_owner_free),
    DAMAGE(header_owner_unknown),
    DAMAGE(header_owner_heap),
    DAMAGE(header_prev_free),
    DAMAGE(header_prev_not_free),
    DAMAGE(header_aligned),
    DAMAGE(alignment_byte),
    DAMAGE(hole_header_owner),
    DAMAGE(hole_header_flag),
    DAMAGE(hole_footer),
    DAMAGE(hole_next_0),
    DAMAGE(hole_next_in_context),
    DAMAGE(hole_next_live),
    DAMAGE(hole_next_itself),
    DAMAGE(hole_next_misaligned),
    DAMAGE(hole_next_near_top),
    DAMAGE(hole_next_outside),
    DAMAGE(hole_prev),
    DAMAGE(older_prev),
    DAMAGE(list_circular),
    DAMAGE(bin_emptied),
    DAMAGE(class_abandoned),
    DAMAGE(bit_missing),
    DAMAGE(bit_too_many),
    DAMAGE(row_bit_too_many),
    DAMAGE(row_bit_missing),
    DAMAGE(suspicion_left),
    DAMAGE(wrong_class),
    DAMAGE(not_listed),
    DAMAGE(live_bit_missing),
    DAMAGE(live_bit_inside),
    DAMAGE(live_bit_of_hole),
    DAMAGE(live_bit_of_context),
    DAMAGE(live_bit_of_untouched),
    DAMAGE(two_holes_adjacent),
    DAMAGE(hole_before_untouched),
    DAMAGE(top_inside_last),
    DAMAGE(top_behind_last),
    DAMAGE(top_behind_end),
    DAMAGE(first_misplaced),
    DAMAGE(modules_without_table),
};

static void the_check_notices_every_damage(void** state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        struct whole whole;
        struct image_census census;
        whole_open(&whole);
        damages[i].plant(&whole);
        if (heap_check(test_heap.ctx, &census) == NULL) {
            fail_msg("not noticed: %s", damages[i].name);
        }
        arenas_release();
    }
}

/* Is `value` something else than `right` in more than bits that a header does not use? */
static bool differs(dmheap_word value, dmheap_word right)
{
    const dmheap_word used = ~(DMHEAP_WORD_BYTES - 1) | BLOCK_PREV_FREE | BLOCK_ALIGNED;
    return ((value ^ right) & used) != 0;
}

static void expect_noticed(dmheap_word* word, dmheap_word value)
{
    struct image_census census;
    const dmheap_word right = *word;
    *word = value;
    const char* fault = heap_check(test_heap.ctx, &census);
    *word = right;
    assert_true(fault != NULL || !differs(value, right));
}

static void the_check_reads_inside_the_heap_whatever_stands_there(void** state)
{
    (void)state;
    struct whole whole;
    whole_open(&whole);
    struct dmheap_block* const behind = block_next(whole.hole);
    dmheap_word* const words[] = {&whole.live->header, &whole.hole->header, &whole.hole->next,
                                  &whole.hole->prev,   &behind->header - 1, &whole.last->header};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        for (dmheap_word value = 0; value < 5 * (dmheap_word)KIB; value++) {
            expect_noticed(words[i], value);
            expect_noticed(words[i], *words[i] ^ value);
            expect_noticed(words[i], ~value);
        }
    }
    close_heap();
}

static void the_census_counts_blocks_and_bytes(void** state)
{
    (void)state;
    struct whole whole;
    whole_open(&whole);
    const struct image_census census = heap_verify();
    const struct dmheap_ctx* ctx = test_heap.ctx;
    assert_int_equal(census.own_blocks, 0);
    assert_int_equal(census.live_blocks, 7);
    assert_in_range(census.free_blocks, 2, 3); /* a gap in front of the aligned one */
    assert_int_equal(census.live_bytes + census.free_bytes, ctx->top - ctx->first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        heap_case(every_heap_laid_out_fits_its_buffer_and_serves_a_block),
        heap_case(the_smallest_heap_is_one_smallest_block),
        heap_case(every_refused_small_buffer_is_too_small),
        heap_case(a_new_heap_is_sound_and_empty),
        heap_case(what_is_no_buffer_is_refused),
        heap_case(what_is_no_power_of_two_is_no_alignment),
        heap_case(a_buffer_beyond_what_a_header_can_tell_is_refused),
        heap_case(the_gap_is_the_least_that_is_none_or_a_free_block),
        heap_case(a_gap_of_no_alignment_is_none),
        heap_case(a_size_needs_all_that_a_block_has_beside_it_and_whole_granules),
        heap_case(a_new_block_is_claimed_from_the_untouched_end),
        heap_case(the_untouched_end_serves_to_its_last_granule),
        heap_case(sizes_beyond_every_limit_are_refused),
        heap_case(a_block_of_the_exact_size_is_taken_newest_first),
        heap_case(an_exact_fit_is_taken_before_a_larger_block_is_cut),
        heap_case(blocks_that_overlap_are_not_apart),
        heap_case(an_aligned_exact_fit_is_taken_before_a_larger_block_is_cut),
        heap_case(the_next_larger_class_serves_before_the_untouched_end),
        heap_case(a_rest_is_cut_off_where_it_can_be_a_free_block),
        heap_case(four_blocks_of_the_sizes_own_class_are_looked_at),
        heap_case(the_short_path_serves_like_the_long_one),
        heap_case(the_short_path_leaves_a_larger_default_alignment_to_the_long_one),
        heap_case(any_alignment_is_served_from_the_untouched_end),
        heap_case(an_aligned_block_comes_out_of_a_hole_with_rests_on_both_sides),
        heap_case(the_alignment_is_remembered_only_beyond_the_default),
        heap_case(a_damaged_alignment_byte_is_noticed),
        heap_case(a_block_merges_with_whatever_is_free_on_either_side),
        heap_case(blocks_freed_in_any_order_leave_an_empty_heap),
        heap_case(only_the_start_of_a_live_block_is_freed),
        heap_case(a_free_block_is_one_whose_tags_agree_within_limits),
        heap_case(nothing_but_a_size_may_stand_in_a_free_header),
        heap_case(a_free_block_ends_where_blocks_do_and_at_a_word),
        heap_case(a_live_block_ends_where_blocks_do),
        heap_case(an_alignment_behind_the_last_block_is_none),
        heap_case(any_header_is_looked_at_without_leaving_its_limits),
        heap_case(a_live_size_that_leads_to_no_block_is_refused),
        heap_case(a_size_and_owner_of_0_are_refused),
        heap_case(a_damaged_free_block_behind_is_refused),
        heap_case(a_damaged_free_block_in_front_is_refused),
        heap_case(a_free_header_that_is_smaller_than_a_block_is_refused),
        heap_case(a_link_to_behind_the_last_block_is_refused),
        heap_case(a_link_to_where_the_last_block_ends_is_refused),
        heap_case(a_live_header_behind_that_claims_to_be_free_is_refused),
        heap_case(a_class_with_a_damaged_block_is_abandoned_and_another_place_serves),
        heap_case(a_free_block_that_ends_in_the_untouched_end_is_not_taken),
        heap_case(a_free_block_that_ends_in_the_untouched_end_is_not_promised),
        heap_case(what_is_promised_is_served_until_the_heap_is_full),
        heap_case(a_larger_class_with_a_damaged_link_is_abandoned),
        heap_case(a_class_whose_list_leads_to_the_untouched_end_is_abandoned),
        heap_case(an_aligned_request_abandons_a_damaged_class_too),
        heap_case(the_short_path_leaves_a_damaged_class_to_the_long_one),
        heap_case(only_a_suspect_class_is_given_up),
        heap_case(a_block_is_resized_in_place_beside_every_neighbour),
        heap_case(an_aligned_blocks_alignment_byte_moves_with_its_end),
        heap_case(every_size_keeps_what_fits_and_no_less),
        heap_case(a_block_takes_the_untouched_end_to_its_last_granule),
        heap_case(resizing_beyond_every_limit_changes_nothing),
        heap_case(a_block_with_a_damaged_alignment_byte_is_not_resized),
        heap_case(an_aligned_block_whose_size_leads_out_of_the_heap_is_not_resized),
        heap_case(resize_goes_by_a_size_without_the_bits_below_the_granule),
        heap_case(a_sweep_frees_all_blocks_of_an_owner_and_no_other),
        heap_case(a_slice_frees_no_more_than_its_budget),
        heap_case(a_slice_refuses_no_more_than_its_budget),
        heap_case(a_slice_passes_no_more_than_its_budget),
        heap_case(a_slice_whose_budget_went_with_passing_frees_one_of_a_run),
        heap_case_if(HEAP_SWEEP_RUNS,
                     a_slice_frees_as_many_of_a_run_as_what_is_left_of_its_budget_pays_for),
        heap_case(a_slice_whose_budget_is_used_up_to_nothing_passes_no_more),
        heap_case(a_sweep_without_blocks_left_is_over_at_once),
        heap_case(a_slice_that_ends_with_little_budget_is_not_the_last),
        heap_case_if(DMHEAP_GUARD, a_list_whose_head_leads_nowhere_is_given_up),
        heap_case(runs_of_any_length_are_freed_whatever_is_around),
        heap_case(a_slice_leaves_the_rest_of_a_run_as_it_was),
        heap_case(a_damaged_size_inside_a_run_costs_that_block_only),
        heap_case(a_sweep_takes_nothing_from_inside_a_block),
        heap_case(a_block_without_owner_inside_a_run_costs_the_one_in_front_too),
        heap_case(another_owner_inside_a_run_parts_it),
        heap_case(damage_behind_a_run_costs_its_last_block_only),
        heap_case(a_careful_sweep_finds_the_smallest_blocks),
        heap_case(a_sweep_goes_on_whatever_happens_between_two_slices),
        heap_case(a_damaged_size_of_another_owner_does_not_derail_a_sweep),
        heap_case(a_damaged_block_of_the_owner_is_left_alone_and_told),
        heap_case(a_size_that_skips_blocks_costs_no_other_block),
        heap_case(the_census_counts_blocks_and_bytes),
        heap_case(the_check_notices_every_damage),
        heap_case(the_check_reads_inside_the_heap_whatever_stands_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
