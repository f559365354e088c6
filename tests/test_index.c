/* SPDX-License-Identifier: MIT */
/*
 * The index: classes against a table made by the plain rule, lists and bits against a model.
 *
 * The index sees three words of a block and the size it is told. So "blocks" here are places
 * of a few words each, whatever sizes they are listed with.
 */
#include "dmheap_index.h"

#include "layer_test.h"

#define SPOTS      8U
#define SPOT_BYTES (16 * DMHEAP_WORD_BYTES)
#define BIG_CLASS  40U /* any class above the exact ones */

/* ---- a context and places for blocks ----------------------------------------------------- */

static struct dmheap_ctx* make(void)
{
    return layer_ctx_make(3, 1024);
}

static struct dmheap_block* spot(const struct dmheap_ctx* ctx, unsigned number)
{
    return ctx_block(ctx, (uintptr_t)(ctx->first + number * SPOT_BYTES));
}

static dmheap_word offset_of(const struct dmheap_ctx* ctx, const struct dmheap_block* block)
{
    return (dmheap_word)ctx_offset(ctx, block);
}

/* The smallest size of a class. */
static uintptr_t size_of_class(const struct dmheap_ctx* ctx, uintptr_t size_class)
{
    const uintptr_t granule = ctx_granule(ctx);
    uintptr_t granules = 1;
    while (index_class(ctx, granules * granule) < size_class) {
        granules += 1 + granules / 64;
    }
    assert_int_equal(index_class(ctx, granules * granule), size_class);
    return granules * granule;
}

static bool is_marked(const struct dmheap_ctx* ctx, uintptr_t size_class)
{
    return (ctx->row[size_class / 32] >> (size_class % 32) & 1U) != 0;
}

/* Every row but the first, which is always looked at, is known above while it has a class. */
static void expect_rows_are_exact(const struct dmheap_ctx* ctx)
{
    for (unsigned row = 0; row < 32; row++) {
        const bool has_class = row != 0 && row < DMHEAP_INDEX_ROWS && ctx->row[row] != 0;
        assert_int_equal(ctx->rows >> row & 1U, has_class);
    }
}

/* Every class's bit is set exactly while its bin is not 0. */
static void expect_bits_equal_bins(const struct dmheap_ctx* ctx)
{
    for (uintptr_t size_class = 0; size_class < LAYER_CLASSES; size_class++) {
        assert_int_equal(is_marked(ctx, size_class), ctx->bin[size_class] != 0);
    }
    expect_rows_are_exact(ctx);
}

/* The class's list is exactly `count` blocks in this order, linked both ways. */
static void expect_list(const struct dmheap_ctx* ctx, uintptr_t size_class,
                        struct dmheap_block* const* blocks, size_t count)
{
    dmheap_word prev = (dmheap_word)index_bin_as_block(size_class);
    dmheap_word at = ctx->bin[size_class];
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(ctx_block(ctx, (uintptr_t)at), blocks[i]);
        assert_int_equal(blocks[i]->prev, prev);
        prev = at;
        at = blocks[i]->next;
    }
    assert_int_equal(at, 0);
    expect_bits_equal_bins(ctx);
}

/* ---- classes ------------------------------------------------------------------------------ */

static uintptr_t class_of_granules(unsigned shift, uintptr_t granules)
{
    const struct dmheap_ctx ctx = {.granule_shift = shift};
    return index_class(&ctx, granules << shift);
}

/* Granules of the largest block that a header can tell and this target can hold. */
static uintptr_t most_granules(unsigned shift)
{
    const uint64_t half = UINTPTR_MAX / 2;
    const uint64_t largest = BLOCK_SIZE_MASK;
    return (uintptr_t)(largest < half ? largest : half) >> shift;
}

static void below_32_granules_each_multiple_has_a_class_of_its_own(void** state)
{
    (void)state;
    for (unsigned shift = 2; shift <= 4; shift++) {
        for (uintptr_t granules = 1; granules < INDEX_EXACT; granules++) {
            assert_int_equal(class_of_granules(shift, granules), granules);
        }
    }
}

static void above_8_classes_share_each_doubling_evenly(void** state)
{
    (void)state;
    uintptr_t granules = INDEX_EXACT;
    uintptr_t size_class = INDEX_EXACT;
    for (uintptr_t width = 4; granules < 100000; width *= 2) {
        for (unsigned step = 0; step < 8; step++, size_class++) {
            for (uintptr_t i = 0; i < width; i++, granules++) {
                assert_int_equal(class_of_granules(3, granules), size_class);
            }
        }
    }
}

static void the_class_depends_on_granules_not_on_bytes(void** state)
{
    (void)state;
    for (uintptr_t granules = 1; granules < 5000; granules++) {
        assert_int_equal(class_of_granules(2, granules), class_of_granules(3, granules));
        assert_int_equal(class_of_granules(4, granules), class_of_granules(3, granules));
    }
}

static void a_larger_size_never_has_a_smaller_class(void** state)
{
    (void)state;
    for (unsigned shift = 2; shift <= 4; shift++) {
        uintptr_t last = 0;
        for (uintptr_t granules = 1; granules < 70000; granules++) {
            const uintptr_t size_class = class_of_granules(shift, granules);
            assert_true(size_class == last || size_class == last + 1);
            last = size_class;
        }
    }
}

static void classes_go_on_evenly_around_every_power_of_two(void** state)
{
    (void)state;
    for (unsigned shift = 2; shift <= 4; shift++) {
        const uintptr_t most = most_granules(shift);
        unsigned doublings = 0;
        for (uintptr_t power = INDEX_EXACT; power <= most / 2; power *= 2, doublings++) {
            const uintptr_t first = INDEX_EXACT + doublings * INDEX_STEPS;
            assert_int_equal(class_of_granules(shift, power - 1), first - 1);
            assert_int_equal(class_of_granules(shift, power), first);
            assert_int_equal(class_of_granules(shift, power + power / 8 - 1), first);
            assert_int_equal(class_of_granules(shift, power + power / 8), first + 1);
            assert_int_equal(class_of_granules(shift, 2 * power - 1), first + 7);
        }
    }
}

static void the_largest_block_of_either_header_width_has_a_bit(void** state)
{
    (void)state;
    for (unsigned shift = 2; shift <= 4; shift++) {
        const uintptr_t largest = class_of_granules(shift, most_granules(shift));
        /* The search begins one class above. */
        assert_true(largest + 1 < LAYER_CLASSES);
    }
}

/* ---- bins as blocks ------------------------------------------------------------------------ */

static void a_bin_seen_as_a_block_has_the_bin_as_its_next_link(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    for (uintptr_t size_class = 0; size_class < LAYER_CLASSES; size_class++) {
        const uintptr_t bin = index_bin_as_block(size_class);
        assert_ptr_equal(&ctx_block(ctx, bin)->next, &ctx->bin[size_class]);
        assert_int_equal(index_class_of_bin(bin), size_class);
    }
    free(ctx);
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void the_newest_block_is_the_first_of_its_class(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    struct dmheap_block* list[SPOTS];
    for (unsigned count = 1; count <= SPOTS; count++) {
        struct dmheap_block* block = spot(ctx, count - 1);
        index_insert(ctx, block, size_of_class(ctx, BIG_CLASS));
        memmove(list + 1, list, (count - 1) * sizeof(list[0]));
        list[0] = block;
        expect_list(ctx, BIG_CLASS, list, count);
    }
    free(ctx);
}

static void inserting_marks_that_class_and_no_other(void** state)
{
    (void)state;
    for (uintptr_t size_class = 1; size_class < 150; size_class++) {
        struct dmheap_ctx* ctx = make();
        struct dmheap_block* block = spot(ctx, 0);
        index_insert(ctx, block, size_of_class(ctx, size_class));
        for (uintptr_t other = 0; other < LAYER_CLASSES; other++) {
            assert_int_equal(is_marked(ctx, other), other == size_class);
        }
        expect_list(ctx, size_class, &block, 1);
        free(ctx);
    }
}

/* Remove by its place in the list; `first` by the verb that knows it is the first one. */
static void remove_at(struct dmheap_ctx* ctx, struct dmheap_block** list, size_t* count, size_t at,
                      bool first)
{
    struct dmheap_block* block = list[at];
    assert_true(index_is_linked(ctx, block));
    if (first) {
        assert_true(index_remove_first(ctx, block, BIG_CLASS));
    } else {
        assert_true(index_remove(ctx, block));
    }
    *count -= 1;
    memmove(list + at, list + at + 1, (*count - at) * sizeof(list[0]));
    expect_list(ctx, BIG_CLASS, list, *count);
}

/* All orders of removing up to 5 blocks: `order` is a number whose digits are the places. */
static void expect_removal_in_order(size_t blocks, unsigned order, bool first_by_own_verb)
{
    struct dmheap_ctx* ctx = make();
    struct dmheap_block* list[5];
    size_t count = blocks;
    for (unsigned i = 0; i < blocks; i++) {
        list[blocks - 1 - i] = spot(ctx, i);
        index_insert(ctx, spot(ctx, i), size_of_class(ctx, BIG_CLASS));
    }
    while (count != 0) {
        const size_t at = order % count;
        order /= (unsigned)count;
        remove_at(ctx, list, &count, at, first_by_own_verb && at == 0);
    }
    assert_int_equal(ctx->bin[BIG_CLASS], 0);
    free(ctx);
}

static void blocks_are_removed_in_every_order(void** state)
{
    (void)state;
    unsigned orders = 1;
    for (size_t blocks = 1; blocks <= 5; blocks++) {
        orders *= (unsigned)blocks;
        for (unsigned order = 0; order < orders; order++) {
            expect_removal_in_order(blocks, order, false);
            expect_removal_in_order(blocks, order, true);
        }
    }
}

static void lists_of_different_classes_do_not_touch(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    struct dmheap_block* low[] = {spot(ctx, 2), spot(ctx, 0)};
    struct dmheap_block* high[] = {spot(ctx, 3), spot(ctx, 1)};
    for (unsigned i = 0; i < 4; i++) {
        index_insert(ctx, spot(ctx, i), size_of_class(ctx, BIG_CLASS + i % 2));
    }
    expect_list(ctx, BIG_CLASS, low, 2);
    expect_list(ctx, BIG_CLASS + 1, high, 2);
    assert_true(index_remove(ctx, low[0]));
    expect_list(ctx, BIG_CLASS, low + 1, 1);
    expect_list(ctx, BIG_CLASS + 1, high, 2);
    assert_true(index_remove(ctx, low[1]));
    expect_list(ctx, BIG_CLASS, NULL, 0);
    expect_list(ctx, BIG_CLASS + 1, high, 2);
    free(ctx);
}

static void a_class_begins_at_its_floor(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    const uintptr_t granule = ctx_granule(ctx);
    for (uintptr_t size_class = 2; size_class < INDEX_EXACT + 10 * INDEX_STEPS; size_class++) {
        const uintptr_t floor = index_floor(ctx, size_class);
        assert_int_equal(index_class(ctx, floor), size_class);
        assert_int_equal(index_class(ctx, floor - granule), size_class - 1);
    }
    free(ctx);
}

static void random_insertions_and_removals_keep_bits_and_bins_equal(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    bool listed[SPOTS] = {false};
    for (unsigned step = 0; step < 20000; step++) {
        const unsigned number = layer_random() % SPOTS;
        if (listed[number]) {
            assert_true(index_remove(ctx, spot(ctx, number)));
        } else {
            const uintptr_t granules = 2 + layer_random() % (step % 3 == 0 ? 2000 : 40);
            index_insert(ctx, spot(ctx, number), granules * ctx_granule(ctx));
        }
        listed[number] = !listed[number];
        expect_bits_equal_bins(ctx);
    }
    free(ctx);
}

/* ---- the search ------------------------------------------------------------------------------ */

static uintptr_t naive_find(const struct dmheap_ctx* ctx, uintptr_t size_class)
{
    while (size_class < LAYER_CLASSES && !is_marked(ctx, size_class)) {
        size_class++;
    }
    return size_class < LAYER_CLASSES ? size_class : INDEX_NONE;
}

static void expect_find_from_anywhere(const struct dmheap_ctx* ctx)
{
    expect_rows_are_exact(ctx);
    for (uintptr_t from = 0; from < LAYER_CLASSES; from++) {
        assert_int_equal(index_find_above(ctx, from), naive_find(ctx, from + 1));
    }
}

static void nothing_is_found_in_an_empty_index(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    expect_find_from_anywhere(ctx);
    free(ctx);
}

static void a_single_class_is_found_from_every_one_below(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    for (uintptr_t size_class = 0; size_class < LAYER_CLASSES; size_class++) {
        index_mark(ctx, size_class);
        expect_find_from_anywhere(ctx);
        index_unmark(ctx, size_class);
    }
    expect_find_from_anywhere(ctx);
    free(ctx);
}

static void the_lowest_of_several_classes_is_found(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    for (unsigned round = 0; round < 400; round++) {
        for (unsigned marks = layer_random() % 8; marks != 0; marks--) {
            index_mark(ctx, layer_random() % LAYER_CLASSES);
        }
        expect_find_from_anywhere(ctx);
        for (uintptr_t size_class = 0; size_class < LAYER_CLASSES; size_class++) {
            index_unmark(ctx, size_class);
        }
        if (round % 5 == 0) {
            expect_find_from_anywhere(ctx);
        }
    }
    free(ctx);
}

static void a_row_is_known_above_exactly_while_it_has_a_class(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    for (unsigned round = 0; round < 20000; round++) {
        const uintptr_t size_class = layer_random() % LAYER_CLASSES;
        const uint32_t bit = (uint32_t)1 << (size_class % 32);
        const uint32_t others = ctx->row[size_class / 32] & ~bit;
        if (layer_random() % (1 + round / 1000) == 0) {
            index_mark(ctx, size_class);
            assert_int_equal(ctx->row[size_class / 32], others | bit);
        } else {
            index_unmark(ctx, size_class);
            assert_int_equal(ctx->row[size_class / 32], others);
        }
        expect_rows_are_exact(ctx);
    }
    free(ctx);
}

/* ---- links that somebody wrote over ------------------------------------------------------------ */

/* Three blocks of one class, newest first, and the context as it was with them. */
struct scene {
    struct dmheap_ctx* ctx;
    struct dmheap_block* list[3];
    size_t bytes;
    void* before;
};

static void scene_open(struct scene* scene)
{
    scene->ctx = make();
    for (unsigned i = 0; i < 3; i++) {
        scene->list[2 - i] = spot(scene->ctx, i + 1);
        index_insert(scene->ctx, spot(scene->ctx, i + 1), size_of_class(scene->ctx, BIG_CLASS));
    }
    scene->bytes = (size_t)(scene->ctx->granules * ctx_granule(scene->ctx));
    scene->before = malloc(scene->bytes);
    assert_non_null(scene->before);
}

static void scene_close(const struct scene* scene)
{
    free(scene->before);
    free(scene->ctx);
}

static void scene_remember(const struct scene* scene)
{
    memcpy(scene->before, scene->ctx, scene->bytes);
}

static void expect_unchanged(const struct scene* scene)
{
    assert_memory_equal(scene->ctx, scene->before, scene->bytes);
}

static void expect_refused(const struct scene* scene, const struct dmheap_block* block)
{
    scene_remember(scene);
    assert_false(index_is_linked(scene->ctx, block));
    assert_false(index_remove(scene->ctx, block));
    expect_unchanged(scene);
}

static void expect_first_refused(const struct scene* scene)
{
    scene_remember(scene);
    assert_false(index_remove_first(scene->ctx, scene->list[0], BIG_CLASS));
    expect_unchanged(scene);
}

static void removal_is_refused_when_the_next_block_does_not_point_back(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    for (unsigned bit = 0; bit < DMHEAP_HEADER_BYTES * 8; bit++) {
        scene.list[1]->prev ^= (dmheap_word)1 << bit;
        expect_refused(&scene, scene.list[0]);
        expect_first_refused(&scene);
        scene.list[1]->prev ^= (dmheap_word)1 << bit;
    }
    scene_close(&scene);
}

static void removal_is_refused_when_the_previous_block_does_not_point_back(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    for (unsigned bit = 0; bit < DMHEAP_HEADER_BYTES * 8; bit++) {
        scene.list[1]->next ^= (dmheap_word)1 << bit;
        expect_refused(&scene, scene.list[2]);
        scene.list[1]->next ^= (dmheap_word)1 << bit;
    }
    scene_close(&scene);
}

static void removal_is_refused_when_the_bin_does_not_point_back(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    scene.ctx->bin[BIG_CLASS] = offset_of(scene.ctx, scene.list[1]);
    expect_refused(&scene, scene.list[0]);
    scene_close(&scene);
}

/* Links that lead to where nothing is: inside, at both ends, outside; all but `right`. */
static dmheap_word wrong_link(const struct scene* scene, unsigned number)
{
    const dmheap_word end = scene->ctx->end + 8 * DMHEAP_WORD_BYTES;
    if (number <= end) {
        return number;
    }
    number -= (unsigned)end + 1;
    const dmheap_word bit = (dmheap_word)1 << number % (DMHEAP_HEADER_BYTES * 8);
    return number < DMHEAP_HEADER_BYTES * 8 ? bit | scene->ctx->first : 0 - bit;
}

static unsigned wrong_links(const struct scene* scene)
{
    return (unsigned)scene->ctx->end + 8 * DMHEAP_HEADER_BYTES + 1 + 2 * DMHEAP_HEADER_BYTES * 8;
}

/*
 * Does `link` lead to a word that names the block, `words` behind where it leads? There are a
 * few such places besides the right one: bins, and the same link in another block.
 */
static bool points_back(const struct scene* scene, dmheap_word link, size_t words,
                        const struct dmheap_block* block)
{
    const uintptr_t at = index_link(link) + words * sizeof(dmheap_word);
    const dmheap_word word = at >= index_link(link) && at < scene->bytes
                                 ? *(const dmheap_word*)((uintptr_t)scene->ctx + at)
                                 : 0;
    return word == offset_of(scene->ctx, block);
}

#define LINK_NEXT 1U /* words from a block's start */
#define LINK_PREV 2U

/* Is the block's next link 0, the end of a list, or names that place the block? */
static bool leads_on(const struct scene* scene, const struct dmheap_block* block)
{
    return index_link(block->next) == 0 || points_back(scene, block->next, LINK_PREV, block);
}

static void removal_is_refused_for_every_wrong_next_link(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    for (unsigned place = 0; place < 3; place++) {
        struct dmheap_block* block = scene.list[place];
        const dmheap_word right = block->next;
        for (unsigned i = 0; i < wrong_links(&scene); i++) {
            block->next = wrong_link(&scene, i);
            if (!leads_on(&scene, block)) {
                expect_refused(&scene, block);
            }
        }
        block->next = right;
    }
    scene_close(&scene);
}

static void removal_of_the_first_is_refused_for_every_wrong_next_link(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    struct dmheap_block* block = scene.list[0];
    for (unsigned i = 0; i < wrong_links(&scene); i++) {
        block->next = wrong_link(&scene, i);
        if (!leads_on(&scene, block)) {
            expect_first_refused(&scene);
        }
    }
    scene_close(&scene);
}

static void removal_is_refused_for_every_wrong_previous_link(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    for (unsigned place = 0; place < 3; place++) {
        struct dmheap_block* block = scene.list[place];
        const dmheap_word right = block->prev;
        for (unsigned i = 0; i < wrong_links(&scene); i++) {
            block->prev = wrong_link(&scene, i);
            if (!points_back(&scene, block->prev, LINK_NEXT, block)) {
                expect_refused(&scene, block);
            }
        }
        block->prev = right;
    }
    scene_close(&scene);
}

/* The context's fields in front of the bins are no bins, even where one names the block. */
static void a_previous_link_into_the_context_is_refused(void** state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene);
    struct dmheap_block* block = spot(scene.ctx, 0);
    assert_int_equal(offset_of(scene.ctx, block), scene.ctx->first);
    index_insert(scene.ctx, block, size_of_class(scene.ctx, BIG_CLASS + 1));
    for (dmheap_word link = 0; link < index_bin_as_block(0); link++) {
        block->prev = link;
        expect_refused(&scene, block);
    }
    scene_close(&scene);
}

static void a_link_is_followed_at_a_word_boundary(void** state)
{
    (void)state;
    for (dmheap_word link = 0; link < 4096; link++) {
        assert_int_equal(index_link(link), link - link % DMHEAP_WORD_BYTES);
    }
}

/* ---- abandoning ------------------------------------------------------------------------------- */

static void abandoning_forgets_one_class_and_no_other(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    struct dmheap_block* low = spot(ctx, 0);
    struct dmheap_block* high = spot(ctx, 3);
    index_insert(ctx, low, size_of_class(ctx, BIG_CLASS - 1));
    index_insert(ctx, spot(ctx, 1), size_of_class(ctx, BIG_CLASS));
    index_insert(ctx, spot(ctx, 2), size_of_class(ctx, BIG_CLASS));
    index_insert(ctx, high, size_of_class(ctx, BIG_CLASS + 1));
    index_abandon(ctx, BIG_CLASS);
    expect_list(ctx, BIG_CLASS - 1, &low, 1);
    expect_list(ctx, BIG_CLASS, NULL, 0);
    expect_list(ctx, BIG_CLASS + 1, &high, 1);
    assert_int_equal(index_find_above(ctx, BIG_CLASS - 1), BIG_CLASS + 1);
    free(ctx);
}

static void an_abandoned_class_takes_new_blocks(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    struct dmheap_block* block = spot(ctx, 1);
    index_insert(ctx, spot(ctx, 0), size_of_class(ctx, BIG_CLASS));
    spot(ctx, 0)->next = 0x55555554;
    index_abandon(ctx, BIG_CLASS);
    index_insert(ctx, block, size_of_class(ctx, BIG_CLASS));
    expect_list(ctx, BIG_CLASS, &block, 1);
    assert_true(index_remove(ctx, block));
    expect_list(ctx, BIG_CLASS, NULL, 0);
    free(ctx);
}

/* ---- what tells of classes, written over -------------------------------------------------------- */

static void a_row_that_there_is_not_leads_nowhere(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    ctx->rows = (uint32_t)1 << DMHEAP_INDEX_ROWS;
    assert_int_equal(index_find_above(ctx, 2), INDEX_NONE);
    assert_int_equal(index_highest(ctx), INDEX_NONE);
    ctx->rows = (uint32_t)1 << 3; /* one without a class */
    assert_int_equal(index_find_above(ctx, 2), INDEX_NONE);
    assert_int_equal(index_highest(ctx), INDEX_NONE);
    free(ctx);
}

/* In a heap with so few bins that its first block stands where that one would be. */
static void a_class_that_the_heap_has_not_leads_nowhere(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make();
    const dmheap_word mark = 0x5A5A5A58;
    ctx->live = (dmheap_word)(LAYER_BINS - (LAYER_CLASSES - BIG_CLASS) * sizeof(dmheap_word));
    index_mark(ctx, BIG_CLASS - 1);
    index_mark(ctx, BIG_CLASS);
    ctx->bin[BIG_CLASS] = mark;
    assert_int_equal(index_first(ctx, BIG_CLASS - 1), 0);
    assert_int_equal(index_first(ctx, BIG_CLASS), INDEX_NONE);
    assert_int_equal(index_highest(ctx), INDEX_NONE);
    assert_int_equal(index_first(ctx, UINT16_MAX), INDEX_NONE);
    index_abandon(ctx, BIG_CLASS);
    assert_int_equal(ctx->bin[BIG_CLASS], mark);
    assert_false(is_marked(ctx, BIG_CLASS));
    assert_true(is_marked(ctx, BIG_CLASS - 1));
    assert_int_equal(index_highest(ctx), BIG_CLASS - 1);
    index_abandon(ctx, LAYER_CLASSES);
    index_abandon(ctx, UINT16_MAX);
    assert_true(is_marked(ctx, BIG_CLASS - 1));
    free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_32_granules_each_multiple_has_a_class_of_its_own),
        cmocka_unit_test(above_8_classes_share_each_doubling_evenly),
        cmocka_unit_test(a_class_begins_at_its_floor),
        cmocka_unit_test(the_class_depends_on_granules_not_on_bytes),
        cmocka_unit_test(a_larger_size_never_has_a_smaller_class),
        cmocka_unit_test(classes_go_on_evenly_around_every_power_of_two),
        cmocka_unit_test(the_largest_block_of_either_header_width_has_a_bit),
        cmocka_unit_test(a_bin_seen_as_a_block_has_the_bin_as_its_next_link),
        cmocka_unit_test(the_newest_block_is_the_first_of_its_class),
        cmocka_unit_test(inserting_marks_that_class_and_no_other),
        cmocka_unit_test(blocks_are_removed_in_every_order),
        cmocka_unit_test(lists_of_different_classes_do_not_touch),
        cmocka_unit_test(random_insertions_and_removals_keep_bits_and_bins_equal),
        cmocka_unit_test(nothing_is_found_in_an_empty_index),
        cmocka_unit_test(a_single_class_is_found_from_every_one_below),
        cmocka_unit_test(the_lowest_of_several_classes_is_found),
        cmocka_unit_test(a_row_is_known_above_exactly_while_it_has_a_class),
        cmocka_unit_test(removal_is_refused_when_the_next_block_does_not_point_back),
        cmocka_unit_test(removal_is_refused_when_the_previous_block_does_not_point_back),
        cmocka_unit_test(removal_is_refused_when_the_bin_does_not_point_back),
        cmocka_unit_test(removal_is_refused_for_every_wrong_next_link),
        cmocka_unit_test(removal_of_the_first_is_refused_for_every_wrong_next_link),
        cmocka_unit_test(removal_is_refused_for_every_wrong_previous_link),
        cmocka_unit_test(a_previous_link_into_the_context_is_refused),
        cmocka_unit_test(a_link_is_followed_at_a_word_boundary),
        cmocka_unit_test(abandoning_forgets_one_class_and_no_other),
        cmocka_unit_test(an_abandoned_class_takes_new_blocks),
        layer_case_if(DMHEAP_GUARD, a_row_that_there_is_not_leads_nowhere),
        layer_case_if(DMHEAP_GUARD, a_class_that_the_heap_has_not_leads_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
