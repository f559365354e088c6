/* SPDX-License-Identifier: MIT */
/* The live map: every address of a small heap and around it, against plain arithmetic. */
#include "dmheap_live.h"

#include "layer_test.h"

#define GRANULES ((size_t)1200)
#define AROUND   ((uintptr_t)600) /* bytes looked at in front of the heap and behind it */

#define INDEX_UNSET UINTPTR_MAX

/* The map's words are as wide as an address. */
#define WORD_BITS (sizeof(uintptr_t) * 8)

/* Granules of all sizes that a heap can have: 4, 8, 16 bytes. */
#define SHIFT_MIN 2U
#define SHIFT_MAX 4U

static struct dmheap_ctx* make(unsigned shift)
{
    return layer_ctx_make(shift, GRANULES << (SHIFT_MAX - shift));
}

static size_t bytes_of(const struct dmheap_ctx* ctx)
{
    return (size_t)(ctx->granules * ctx_granule(ctx));
}

static void* address_at(const struct dmheap_ctx* ctx, uintptr_t offset)
{
    return (void*)((uintptr_t)ctx + offset);
}

/* Is `offset` where a payload can start, by the plain rule? */
static bool is_start(const struct dmheap_ctx* ctx, uintptr_t offset)
{
    return offset < bytes_of(ctx) && offset % ctx_granule(ctx) == 0;
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
    uintptr_t* const map = (uintptr_t*)((uintptr_t)copy + (uintptr_t)ctx->live);
    map[index / WORD_BITS] ^= (uintptr_t)1 << (index % WORD_BITS);
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
                assert_int_equal(index, offset / ctx_granule(ctx));
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
            assert_ptr_equal(address, address_at(ctx, index * ctx_granule(ctx)));
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
    for (size_t granules = GRANULES; granules < GRANULES + WORD_BITS + 1; granules++) {
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
        const uintptr_t live[] = {0, 31, 32, 33, 63, 64, 500, (uintptr_t)ctx->granules - 1};
        for (size_t i = 0; i < COUNT_OF(live); i++) {
            live_set(ctx, live[i]);
        }
        for (uintptr_t i = 0; i < bytes_of(ctx) + 2 * AROUND; i++) {
            const uintptr_t offset = i - AROUND;
            bool expected = false;
            for (size_t n = 0; n < COUNT_OF(live); n++) {
                expected = expected || offset == live[n] * ctx_granule(ctx);
            }
            assert_int_equal(live_is(ctx, address_at(ctx, offset)), expected);
        }
        free(ctx);
    }
}

/* What live_take shows of the map behind a granule: as far as its word goes. */
static uintptr_t naive_behind(const struct dmheap_ctx* ctx, uintptr_t index)
{
    uintptr_t behind = 0;
    for (uintptr_t i = 1; index % WORD_BITS + i < WORD_BITS && index + i < ctx->granules; i++) {
        behind |= (uintptr_t)live_test(ctx, index + i) << i;
    }
    return behind;
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
        const uintptr_t shown = naive_behind(ctx, index);
        uintptr_t taken = INDEX_UNSET;
        uintptr_t behind = 0;
        assert_int_equal(live_take(ctx, live_address(ctx, index), &taken, &behind), is_live);
        assert_int_equal(taken, index);
        if (is_live) {
            assert_true(behind == shown);
            flip_in(expected, ctx, index);
        }
        assert_memory_equal(ctx, expected, bytes_of(ctx));
        assert_false(live_take(ctx, live_address(ctx, index), &taken, &behind));
        assert_memory_equal(ctx, expected, bytes_of(ctx));
    }
    free(expected);
    free(ctx);
}

static void what_was_taken_can_be_restored(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(SHIFT_MIN);
    for (uintptr_t index = 0; index < ctx->granules; index += 1 + index % 5) {
        live_set(ctx, index);
    }
    void* before = copy_of(ctx);
    for (uintptr_t index = 0; index < ctx->granules; index++) {
        uintptr_t taken = INDEX_UNSET;
        uintptr_t behind = 0;
        if (live_take(ctx, live_address(ctx, index), &taken, &behind)) {
            live_restore(ctx, live_address(ctx, index));
        }
        assert_memory_equal(ctx, before, bytes_of(ctx));
    }
    free(before);
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
        uintptr_t behind = 0;
        for (uintptr_t i = 0; i < bytes_of(ctx) + 2 * AROUND; i++) {
            if (!is_start(ctx, i - AROUND)) {
                assert_false(live_take(ctx, address_at(ctx, i - AROUND), &taken, &behind));
            }
        }
        assert_false(live_take(ctx, NULL, &taken, &behind));
        assert_memory_equal(ctx, before, bytes_of(ctx));
        free(before);
        free(ctx);
    }
}

/* ---- what is behind ------------------------------------------------------------------------ */

/* The bits behind the last granule's: the end's, and those of a word that live_next may look at. */
#define BITS_BEHIND (DMHEAP_AVOID_BRANCHES ? (dmheap_word)WORD_BITS - 1 : 0)

static void the_map_ends_with_a_bit_for_the_end(void** state)
{
    (void)state;
    for (dmheap_word granules = 0; granules < 2000; granules++) {
        const dmheap_word bytes = live_map_bytes(granules);
        assert_int_equal(bytes % sizeof(uintptr_t), 0);
        assert_true(granules < bytes * 8);
        assert_true(granules + BITS_BEHIND < bytes * 8);
        assert_true(granules + BITS_BEHIND >= (bytes - sizeof(uintptr_t)) * 8);
    }
}

/* How many granules before each one are live. */
static uint16_t live_before[2 * GRANULES];

static void count_live(const struct dmheap_ctx* ctx)
{
    assert_true(ctx->granules < COUNT_OF(live_before));
    live_before[0] = 0;
    for (uintptr_t i = 0; i < ctx->granules; i++) {
        live_before[i + 1] = (uint16_t)(live_before[i] + live_test(ctx, i));
    }
}

/* Is a live payload somewhere from `from` on and before `to`? */
static bool is_any_live(const struct dmheap_ctx* ctx, uintptr_t from, uintptr_t to)
{
    const uintptr_t end = (uintptr_t)ctx->granules;
    return from < to && from < end && live_before[to < end ? to : end] != live_before[from];
}

/* Does live_next say what the bits say, of `granules` behind `index`, which has `behind` it? */
static bool is_next_right(const struct dmheap_ctx* ctx, uintptr_t index, uintptr_t granules,
                          uintptr_t behind)
{
    const uintptr_t end = index + granules;
    const uintptr_t word = index / WORD_BITS;
    const uintptr_t next = live_next(ctx, index, granules, behind);
    bool contradicts = is_any_live(ctx, index + 1, end);
    bool is_live = end > index && end < ctx->granules && live_test(ctx, end);
    if (DMHEAP_AVOID_BRANCHES ? granules >= WORD_BITS : end / WORD_BITS != word) {
        /* Of what is longer, both ends are looked at, and it has to end inside the heap. */
        contradicts = end > ctx->granules || is_any_live(ctx, index + 1, (word + 1) * WORD_BITS) ||
                      is_any_live(ctx, end / WORD_BITS * WORD_BITS, end);
        is_live = end < ctx->granules && live_test(ctx, end);
    }
    contradicts = contradicts || (DMHEAP_GUARD && end > ctx->granules);
    return contradicts ? next << 1 != 0 : next == (is_live ? LIVE_NEXT : 0);
}

#define NEAR_END ((uintptr_t)160) /* two ends of words, whatever their width, and the map's */

/* The map's last granules, in heaps that end with a word, beside one, and within one. */
static void what_is_behind_a_granule_agrees_with_a_loop_over_the_bits(void** state)
{
    (void)state;
    static const size_t ends[] = {GRANULES + 16, GRANULES + 15, GRANULES + 17, GRANULES + 47};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        struct dmheap_ctx* ctx = layer_ctx_make(SHIFT_MAX, ends[i]);
        for (uintptr_t live = ends[i] - NEAR_END; live < ends[i]; live++) {
            live_set(ctx, live);
            count_live(ctx);
            for (uintptr_t index = ends[i] - NEAR_END; index < ends[i]; index += 1 + i % 3) {
                const uintptr_t behind = naive_behind(ctx, index);
                bool is_right = true;
                for (uintptr_t granules = 0; granules < NEAR_END + 10; granules++) {
                    is_right = is_right && is_next_right(ctx, index, granules, behind);
                }
                assert_true(is_right);
            }
            live_clear(ctx, live);
        }
        free(ctx);
    }
}

static void so_does_what_is_behind_it_in_a_full_map(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(SHIFT_MAX);
    for (unsigned step = 0; step < 200; step++) {
        for (uintptr_t index = 0; index < 300; index++) {
            if (layer_random() % (1 + step) == 0) {
                live_set(ctx, index);
            } else {
                live_clear(ctx, index);
            }
        }
        count_live(ctx);
        for (unsigned look = 0; look < 3000; look++) {
            const uintptr_t index = layer_random() % 300;
            const uintptr_t behind = naive_behind(ctx, index);
            assert_true(is_next_right(ctx, index, layer_random() % 200, behind));
        }
    }
    free(ctx);
}

/* Bits that nobody set, in the last word. */
static void with_the_guard_no_length_leads_behind_the_end(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = layer_ctx_make(SHIFT_MAX, GRANULES - 20);
    const uintptr_t end = (uintptr_t)ctx->granules;
    *live_word(ctx, end) = ~(uintptr_t)0;
    for (uintptr_t index = end - 100; index < end; index++) {
        for (uintptr_t granules = end - index; granules < end - index + 20; granules++) {
            const uintptr_t next = live_next(ctx, index, granules, 0);
            assert_true(live_is_inside(next) || index + granules == end);
        }
    }
    free(ctx);
}

static void no_length_leads_behind_the_map(void** state)
{
    (void)state;
    struct dmheap_ctx* ctx = make(SHIFT_MAX);
    for (uintptr_t index = 0; index < ctx->granules; index++) {
        for (unsigned bit = 11; bit < WORD_BITS - 1; bit++) {
            const uintptr_t granules = (uintptr_t)1 << bit;
            assert_true(live_next(ctx, index, granules, 0) << 1 != 0);
            assert_true(live_next(ctx, index, granules * 2 - 1, 0) << 1 != 0);
        }
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
        cmocka_unit_test(what_was_taken_can_be_restored),
        cmocka_unit_test(the_map_ends_with_a_bit_for_the_end),
        cmocka_unit_test(what_is_behind_a_granule_agrees_with_a_loop_over_the_bits),
        cmocka_unit_test(so_does_what_is_behind_it_in_a_full_map),
        layer_case_if(DMHEAP_GUARD, with_the_guard_no_length_leads_behind_the_end),
        cmocka_unit_test(no_length_leads_behind_the_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
