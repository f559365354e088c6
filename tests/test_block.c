/* SPDX-License-Identifier: MIT */
/* Blocks: the fields of a header do not disturb each other, and tags stand where they are read. */
#include "dmheap_block.h"

#include "layer_test.h"

#define SPACE_BYTES 1024U
#define SPACE_WORDS (SPACE_BYTES / sizeof(dmheap_word))
#define FLAGS       (BLOCK_PREV_FREE | BLOCK_ALIGNED)

/* Room for a few blocks; they begin at word 1, so that there is a footer in front. */
static dmheap_word space[SPACE_WORDS];

static struct dmheap_block* block_in_space(size_t word)
{
    return (struct dmheap_block*)&space[word];
}

static int space_fill(void** state)
{
    (void)state;
    memset(space, 0xA5, sizeof(space));
    return 0;
}

static dmheap_word bytes_of(size_t words)
{
    return (dmheap_word)(words * sizeof(dmheap_word));
}

/* Sizes with every single bit, every bit pattern from the bottom, and all of them. */
static dmheap_word some_size(unsigned number)
{
    const unsigned bits = (unsigned)BLOCK_OWNER_SHIFT;
    if (number < bits) {
        return ((dmheap_word)1 << number) & BLOCK_SIZE_MASK;
    }
    return (((dmheap_word)1 << (number - bits)) - 1) & BLOCK_SIZE_MASK;
}

#define SOME_SIZES ((unsigned)BLOCK_OWNER_SHIFT * 2 + 1)

/* ---- the header ------------------------------------------------------------------------- */

static void owner_size_and_flags_share_a_header_without_overlap(void** state)
{
    (void)state;
    const dmheap_word owners = (OWNER_COUNT - 1) << BLOCK_OWNER_SHIFT;
    assert_int_equal(owners & BLOCK_SIZE_MASK, 0);
    assert_int_equal(BLOCK_PREV_FREE & BLOCK_ALIGNED, 0);
    assert_true(FLAGS < DMHEAP_WORD_BYTES);
    assert_int_equal((owners | FLAGS) + BLOCK_SIZE_MASK, owners | FLAGS | BLOCK_SIZE_MASK);
    assert_int_equal(OWNER_COUNT, DMHEAP_HEADER_BYTES == 4 ? 256 : 4096);
}

static void a_header_tells_sizes_in_words_to_16_mib_or_4_pib(void** state)
{
    (void)state;
    const uint64_t limit = DMHEAP_HEADER_BYTES == 4 ? (uint64_t)1 << 24 : (uint64_t)1 << 52;
    const uint64_t half = UINTPTR_MAX / 2 + 1;
    assert_int_equal(BLOCK_SIZE_MASK, (limit < half ? limit : half) - DMHEAP_WORD_BYTES);
}

static void no_size_leads_around_the_address_space(void** state)
{
    (void)state;
    assert_true(BLOCK_SIZE_MASK <= UINTPTR_MAX / 2);
}

static void each_field_reads_back_whatever_the_others_hold(void** state)
{
    (void)state;
    struct dmheap_block* block = block_in_space(1);
    for (dmheap_word owner = 0; owner < OWNER_COUNT; owner += 1 + owner / 16) {
        for (unsigned i = 0; i < SOME_SIZES; i++) {
            for (dmheap_word flags = 0; flags <= FLAGS; flags++) {
                block->header = owner << BLOCK_OWNER_SHIFT | some_size(i) | flags;
                assert_int_equal(block_owner(block), owner);
                assert_int_equal(block_size(block), some_size(i));
                assert_int_equal(block->header & FLAGS, flags);
                assert_int_equal(block_is_free(block), owner == OWNER_FREE);
            }
        }
    }
}

static void every_owner_can_be_set_and_changed(void** state)
{
    (void)state;
    struct dmheap_block* block = block_in_space(1);
    block->header = BLOCK_SIZE_MASK;
    for (dmheap_word owner = 0; owner < OWNER_COUNT; owner++) {
        block_set_owner(block, owner);
        assert_int_equal(block_owner(block), owner);
        block_set_owner(block, OWNER_COUNT - 1 - owner);
        assert_int_equal(block_owner(block), OWNER_COUNT - 1 - owner);
        assert_int_equal(block_size(block), BLOCK_SIZE_MASK);
        assert_int_equal(block->header & FLAGS, 0);
    }
}

static void setting_the_owner_leaves_size_and_flags(void** state)
{
    (void)state;
    struct dmheap_block* block = block_in_space(1);
    for (unsigned i = 0; i < SOME_SIZES; i++) {
        for (dmheap_word flags = 0; flags <= FLAGS; flags++) {
            block->header = OWNER_NOBODY << BLOCK_OWNER_SHIFT | some_size(i) | flags;
            block_set_owner(block, OWNER_COUNT - 1);
            assert_int_equal(block_owner(block), OWNER_COUNT - 1);
            assert_int_equal(block_size(block), some_size(i));
            assert_int_equal(block->header & FLAGS, flags);
        }
    }
}

static void the_four_kinds_of_owner_differ(void** state)
{
    (void)state;
    assert_int_equal(OWNER_FREE, 0);
    assert_true(OWNER_FREE < OWNER_HEAP && OWNER_HEAP < OWNER_NOBODY);
    assert_true(OWNER_NOBODY < OWNER_MODULES && OWNER_MODULES < OWNER_COUNT);
}

/* ---- places ----------------------------------------------------------------------------- */

static void the_payload_is_one_word_behind_the_header(void** state)
{
    (void)state;
    for (size_t word = 0; word < SPACE_WORDS - 1; word++) {
        struct dmheap_block* block = block_in_space(word);
        assert_ptr_equal(block_payload(block), &space[word + 1]);
        assert_ptr_equal(block_of(block_payload(block)), block);
    }
}

static void links_of_a_free_block_begin_where_the_payload_did(void** state)
{
    (void)state;
    struct dmheap_block* block = block_in_space(1);
    assert_ptr_equal(&block->next, block_payload(block));
    assert_ptr_equal(&block->prev, &space[3]);
}

static void the_next_block_is_as_far_as_the_size_says(void** state)
{
    (void)state;
    struct dmheap_block* block = block_in_space(1);
    for (size_t words = 4; words < SPACE_WORDS; words++) {
        const dmheap_word size = bytes_of(words);
        for (dmheap_word flags = 0; flags <= FLAGS; flags++) {
            block->header = (OWNER_COUNT - 1) << BLOCK_OWNER_SHIFT | size | flags;
            assert_ptr_equal(block_next(block), block_in_space(1 + words));
            assert_ptr_equal(block_at(block, (uintptr_t)size), block_in_space(1 + words));
        }
    }
}

static void a_live_blocks_capacity_reaches_to_its_trailer(void** state)
{
    (void)state;
    struct dmheap_block* block = block_in_space(1);
    for (size_t words = 4; words < SPACE_WORDS; words++) {
        block->header = OWNER_NOBODY << BLOCK_OWNER_SHIFT | bytes_of(words) | FLAGS;
        const uintptr_t payload = (uintptr_t)block_payload(block);
        const uintptr_t end = (uintptr_t)block_next(block) - BLOCK_TRAILER_BYTES;
        assert_int_equal(block_capacity(block), end - payload);
    }
}

static void the_least_block_holds_header_links_and_footer(void** state)
{
    (void)state;
    struct dmheap_block* block = block_in_space(1);
    block_tag_free(block, BLOCK_MIN_BYTES);
    block->next = 0x1234;
    block->prev = 0x5678;
    assert_int_equal(block->header, BLOCK_MIN_BYTES);
    assert_int_equal(block->next, 0x1234);
    assert_int_equal(block->prev, 0x5678);
    assert_int_equal(block_footer_before(block_next(block)), BLOCK_MIN_BYTES);
}

/* ---- tags of a free block ----------------------------------------------------------------- */

static void tagging_writes_the_first_and_the_last_word_only(void** state)
{
    for (size_t words = 4; words < SPACE_WORDS; words++) {
        const dmheap_word size = bytes_of(words);
        dmheap_word expected[SPACE_WORDS];
        (void)space_fill(state);
        memcpy(expected, space, sizeof(space));
        expected[1] = size;
        expected[words] = size;
        block_tag_free(block_in_space(1), (uintptr_t)size);
        assert_memory_equal(space, expected, sizeof(space));
    }
}

static void a_tagged_block_is_free_without_flags(void** state)
{
    (void)state;
    struct dmheap_block* block = block_in_space(1);
    block_tag_free(block, 64);
    assert_true(block_is_free(block));
    assert_int_equal(block_size(block), 64);
    assert_int_equal(block->header & FLAGS, 0);
}

static void the_block_behind_finds_the_tagged_one_by_its_footer(void** state)
{
    (void)state;
    for (size_t words = 4; words < SPACE_WORDS - 1; words++) {
        const dmheap_word size = bytes_of(words);
        struct dmheap_block* block = block_in_space(1);
        block_tag_free(block, (uintptr_t)size);
        assert_int_equal(block_footer_before(block_next(block)), size);
    }
}

#define block_case(function) cmocka_unit_test_setup(function, space_fill)

int main(void)
{
    const struct CMUnitTest tests[] = {
        block_case(owner_size_and_flags_share_a_header_without_overlap),
        block_case(a_header_tells_sizes_in_words_to_16_mib_or_4_pib),
        block_case(no_size_leads_around_the_address_space),
        block_case(each_field_reads_back_whatever_the_others_hold),
        block_case(every_owner_can_be_set_and_changed),
        block_case(setting_the_owner_leaves_size_and_flags),
        block_case(the_four_kinds_of_owner_differ),
        block_case(the_payload_is_one_word_behind_the_header),
        block_case(links_of_a_free_block_begin_where_the_payload_did),
        block_case(the_next_block_is_as_far_as_the_size_says),
        block_case(a_live_blocks_capacity_reaches_to_its_trailer),
        block_case(the_least_block_holds_header_links_and_footer),
        block_case(tagging_writes_the_first_and_the_last_word_only),
        block_case(a_tagged_block_is_free_without_flags),
        block_case(the_block_behind_finds_the_tagged_one_by_its_footer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
