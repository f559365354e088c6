/* SPDX-License-Identifier: MIT */
/* The live map: every address of a small heap and around it, against plain arithmetic. */
#include "dmheap_live.h"

#include "layer_test.h"

#define GRANULES ((size_t)1200)
#define AROUND   ((uintptr_t)600) /* bytes looked at in front of the heap and behind it */

#define INDEX_UNSET UINTPTR_MAX

/* Granules of all sizes that a heap can have: 4, 8, 16 bytes. */
#define SHIFT_MIN 2U
#define SHIFT_MAX 4U

static struct dmheap_ctx* make(unsigned shift)
{
    return layer_ctx_make(shift, GRANULES << (SHIFT_MAX - shift));
}

static size_t bytes_of(const struct dmheap_ctx* ctx)
{
    return (size_t)(ctx->granules * ctx->granule);
}

static void* address_at(const struct dmheap_ctx* ctx, uintptr_t offset)
{
    return (void*)((uintptr_t)ctx + offset);
}

/* Is `offset` where a payload can start, by the plain rule? */
static bool is_start(const struct dmheap_ctx* ctx, uintptr_t offset)
{
    return offset < bytes_of(ctx) && offset % (uintptr_t)ctx->granule == 0;
}

/* ---- the context as it was, to compare with --------------------------------------------- */

static void* copy_of(const struct dmheap_ctx* ctx)
{
    void* copy = malloc(bytes_of(ctx));
    assert_non_null(copy);
    return memcpy(copy, ctx, bytes_of(ctx));
}

/* Set the bit of granule `index` in a copy, with nothing of what is tested. */
static void flip_in(void* copy, const struct dmheap_ctx* ctx, uintptr_t index)
{
    uint32_t* const map = (uint32_t*)((uintptr_t)copy + (uintptr_t)ctx->live);
    map[index / 32] ^= (uint32_t)1 << (index % 32);
}

/* ---- index and address ---------------------------------------------------------------- */

static void every_address_in_the_heap_and_around_it_has_its_index(void** state)
{
    (void)state;
    for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MAX; shift++) {
        struct dmheap_ctx* ctx = make(shift);
        for (uintptr_t i = 0; i < bytes_of(ctx) + 2 * AROUND; i++) {
            const uintptr_t offset = i - AROUND;
            const uintptr_t index = live_index(ctx, address_at(ctx, offset));
            if (is_start(ctx, offset)) {
                assert_int_equal(index, offset / (uintptr_t)ctx->granule);
            } else {
                assert_true(index >= ctx->granules);
            }
        }
        free(ctx);
    }
}

static void addresses_far_away_have_no_index(void** state)
{
    (void)state;
    for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MAX; shift++) {
        struct dmheap_ctx* ctx = make(shift);
        for (unsigned bit = 0; bit < sizeof(uintptr_t) * 8; bit++) {
            const uintptr_t far = (uintptr_t)1 << bit;
            for (uintptr_t near = 0; near < 64; near++) {
                const uintptr_t offsets[] = {far + near, far - near, 0 - far - near};
                for (size_t i = 0; i < COUNT_OF(offsets); i++) {
                    const uintptr_t index = live_index(ctx, address_at(ctx, offsets[i]));
                    assert_int_equal(index < ctx->granules, is_start(ctx, offsets[i]));
                }
            }
        }
        assert_true(live_index(ctx, NULL) >= ctx->granules);
        free(ctx);
    }
}

static void an_index_leads_back_to_its_address(void** state)
{
    (void)state;
    for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MAX; shift++) {
        struct dmheap_ctx* ctx = make(shift);
        for (uintptr_t index = 0; index < ctx->granules; index++) {
            void* address = live_address(ctx, index);
            assert_ptr_equal(address, address_at(ctx, index * (uintptr_t)ctx->granule));
            assert_int_equal(live_index(ctx, address), index);
        }
        free(ctx);
    }
}

/* ---- one bit ---------------------------------------------------------------------------- */

static void setting_a_bit_changes_that_bit_only(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(SHIFT_MAX);
    void* expected = copy_of(ctx);
    for (uintptr_t index = 0; index < ctx->granules; index++) {
        assert_false(live_test(ctx, index));
        live_set(ctx, index);
        flip_in(expected, ctx, index);
        assert_true(live_test(ctx, index));
        assert_memory_equal(ctx, expected, bytes_of(ctx));
        live_set(ctx, index);
        assert_memory_equal(ctx, expected, bytes_of(ctx));
    }
    free(expected);
    free(ctx);
}

static void clearing_a_bit_changes_that_bit_only(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(SHIFT_MAX);
    for (uintptr_t index = 0; index < ctx->granules; index++) {
        live_set(ctx, index);
    }
    void* expected = copy_of(ctx);
    for (uintptr_t index = 0; index < ctx->granules; index++) {
        live_clear(ctx, index);
        flip_in(expected, ctx, index);
        assert_false(live_test(ctx, index));
        assert_memory_equal(ctx, expected, bytes_of(ctx));
        live_clear(ctx, index);
        assert_memory_equal(ctx, expected, bytes_of(ctx));
    }
    free(expected);
    free(ctx);
}

static void the_granule_behind_the_last_one_can_be_tested(void** state)
{
    (void)state;
    for (size_t granules = GRANULES; granules < GRANULES + 40; granules++) {
        struct dmheap_ctx* ctx = layer_ctx_make(SHIFT_MAX, granules);
        assert_false(live_test(ctx, granules));
        live_set(ctx, granules - 1);
        assert_false(live_test(ctx, granules));
        free(ctx);
    }
}

/* ---- any address ------------------------------------------------------------------------ */

static void only_the_start_of_a_live_payload_is_live(void** state)
{
    (void)state;
    for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MAX; shift++) {
        struct dmheap_ctx* ctx = make(shift);
        const uintptr_t live[] = {0, 31, 32, 33, 500, (uintptr_t)ctx->granules - 1};
        for (size_t i = 0; i < COUNT_OF(live); i++) {
            live_set(ctx, live[i]);
        }
        for (uintptr_t i = 0; i < bytes_of(ctx) + 2 * AROUND; i++) {
            const uintptr_t offset = i - AROUND;
            bool expected = false;
            for (size_t n = 0; n < COUNT_OF(live); n++) {
                expected = expected || offset == live[n] * (uintptr_t)ctx->granule;
            }
            assert_int_equal(live_is(ctx, address_at(ctx, offset)), expected);
        }
        free(ctx);
    }
}

static void taking_works_once_for_each_live_payload(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(3);
    for (uintptr_t index = 0; index < ctx->granules; index += 1 + index % 3) {
        live_set(ctx, index);
    }
    void* expected = copy_of(ctx);
    for (uintptr_t index = 0; index < ctx->granules; index++) {
        const bool is_live = live_test(ctx, index);
        uintptr_t taken = INDEX_UNSET;
        assert_int_equal(live_take(ctx, live_address(ctx, index), &taken), is_live);
        assert_int_equal(taken, index);
        if (is_live) {
            flip_in(expected, ctx, index);
        }
        assert_memory_equal(ctx, expected, bytes_of(ctx));
        assert_false(live_take(ctx, live_address(ctx, index), &taken));
        assert_memory_equal(ctx, expected, bytes_of(ctx));
    }
    free(expected);
    free(ctx);
}

static void taking_at_any_other_address_is_refused(void** state)
{
    (void)state;
    for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MAX; shift++) {
        struct dmheap_ctx* ctx = make(shift);
        for (uintptr_t index = 0; index < ctx->granules; index++) {
            live_set(ctx, index);
        }
        void* before = copy_of(ctx);
        uintptr_t taken = INDEX_UNSET;
        for (uintptr_t i = 0; i < bytes_of(ctx) + 2 * AROUND; i++) {
            if (!is_start(ctx, i - AROUND)) {
                assert_false(live_take(ctx, address_at(ctx, i - AROUND), &taken));
            }
        }
        assert_false(live_take(ctx, NULL, &taken));
        assert_memory_equal(ctx, before, bytes_of(ctx));
        free(before);
        free(ctx);
    }
}

/* ---- gaps ------------------------------------------------------------------------------- */

static void every_address_of_a_granule_could_be_a_payloads(void** state)
{
    (void)state;
    for (unsigned shift = SHIFT_MIN; shift <= SHIFT_MAX; shift++) {
        struct dmheap_ctx* ctx = make(shift);
        for (uintptr_t i = 0; i < bytes_of(ctx) + 2 * AROUND; i++) {
            const uintptr_t offset = i - AROUND;
            assert_int_equal(live_is_granule(ctx, address_at(ctx, offset)), is_start(ctx, offset));
        }
        free(ctx);
    }
}

static void the_map_ends_with_a_bit_for_the_end_and_a_word_of_zeros(void** state)
{
    (void)state;
    for (dmheap_word granules = 0; granules < 2000; granules++) {
        const dmheap_word bytes = live_map_bytes(granules);
        assert_int_equal(bytes % 4, 0);
        assert_true(granules / 32 * 4 + 4 < bytes);
        assert_true(bytes <= granules / 32 * 4 + 8);
    }
}

static void a_window_shows_33_bits_from_any_granule_on(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(SHIFT_MAX);
    for (uintptr_t live = 0; live < 140; live++) {
        live_set(ctx, live);
        for (uintptr_t index = 0; index < 100; index++) {
            const uint64_t window = live_window(ctx, index);
            for (uintptr_t i = 0; i <= 32; i++) {
                assert_int_equal(window >> i & 1, index + i == live);
            }
        }
        live_clear(ctx, live);
    }
    free(ctx);
}

static void a_window_at_the_end_shows_nothing_behind_it(void** state)
{
    (void)state;
    for (size_t granules = GRANULES; granules < GRANULES + 40; granules++) {
        struct dmheap_ctx* ctx = layer_ctx_make(SHIFT_MAX, granules);
        for (size_t index = granules - 40; index < granules; index++) {
            live_set(ctx, index);
        }
        for (size_t index = granules - 32; index <= granules; index++) {
            const uint64_t expected = ((uint64_t)1 << (granules - index)) - 1;
            assert_int_equal(live_window(ctx, index), expected);
        }
        free(ctx);
    }
}

static void a_gap_is_looked_at_in_the_words_of_its_ends(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(SHIFT_MAX);
    for (uintptr_t live = 0; live < 400; live++) {
        live_set(ctx, live);
        for (uintptr_t first = 30; first < 100; first += 3) {
            for (uintptr_t last = first + 32; last < 330; last += 5) {
                const bool is_between = live > first && live < last;
                const bool is_seen = live / 32 == first / 32 || live / 32 == last / 32;
                assert_int_equal(live_is_gap(ctx, first, last), !(is_between && is_seen));
            }
        }
        live_clear(ctx, live);
    }
    free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_address_in_the_heap_and_around_it_has_its_index),
        cmocka_unit_test(addresses_far_away_have_no_index),
        cmocka_unit_test(an_index_leads_back_to_its_address),
        cmocka_unit_test(setting_a_bit_changes_that_bit_only),
        cmocka_unit_test(clearing_a_bit_changes_that_bit_only),
        cmocka_unit_test(the_granule_behind_the_last_one_can_be_tested),
        cmocka_unit_test(only_the_start_of_a_live_payload_is_live),
        cmocka_unit_test(taking_works_once_for_each_live_payload),
        cmocka_unit_test(taking_at_any_other_address_is_refused),
        cmocka_unit_test(every_address_of_a_granule_could_be_a_payloads),
        cmocka_unit_test(the_map_ends_with_a_bit_for_the_end_and_a_word_of_zeros),
        cmocka_unit_test(a_window_shows_33_bits_from_any_granule_on),
        cmocka_unit_test(a_window_at_the_end_shows_nothing_behind_it),
        cmocka_unit_test(a_gap_is_looked_at_in_the_words_of_its_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
