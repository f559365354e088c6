/* SPDX-License-Identifier: MIT */
/* Bits: every function against its plain definition, in both forms of the scans. */
#include "dmheap_bits.h"

#include "layer_test.h"

#define WIDTH ((unsigned)sizeof(uintptr_t) * 8U)

/* ---- plain definitions -------------------------------------------------------------- */

static unsigned ones(uint64_t value)
{
    unsigned count = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        count += (unsigned)(value >> bit) & 1U;
    }
    return count;
}

static unsigned lowest_of(uint64_t value)
{
    unsigned number = 0;
    while ((value >> number & 1U) == 0) {
        number++;
    }
    return number;
}

static unsigned highest_of(uint64_t value)
{
    unsigned number = 63;
    while ((value >> number & 1U) == 0) {
        number--;
    }
    return number;
}

/* Bit `i` of the result is bit `i + count` of the value, counted around the end. */
static uintptr_t rotated(uintptr_t value, unsigned count)
{
    uintptr_t result = 0;
    for (unsigned i = 0; i < WIDTH; i++) {
        result |= (value >> ((i + count) % WIDTH) & 1U) << i;
    }
    return result;
}

/* ---- powers of two and rounding -------------------------------------------------------- */

static void a_power_of_two_has_exactly_one_bit(void** state)
{
    (void)state;
    for (size_t value = 0; value <= 70000; value++) {
        assert_int_equal(bits_is_power_of_two(value), ones(value) == 1);
    }
    for (unsigned first = 0; first < sizeof(size_t) * 8; first++) {
        for (unsigned second = 0; second < sizeof(size_t) * 8; second++) {
            const size_t value = (size_t)1 << first | (size_t)1 << second;
            assert_int_equal(bits_is_power_of_two(value), first == second);
        }
    }
    assert_false(bits_is_power_of_two(SIZE_MAX));
}

static void rounding_up_gives_the_next_multiple(void** state)
{
    (void)state;
    for (uintptr_t step = 1; step <= 256; step *= 2) {
        uintptr_t multiple = 0;
        for (uintptr_t value = 0; value <= 3000; value++) {
            if (value > multiple) {
                multiple += step;
            }
            assert_int_equal(bits_round_up(value, step), multiple);
        }
    }
}

static void rounding_up_works_to_the_last_multiple(void** state)
{
    (void)state;
    for (unsigned shift = 0; shift < WIDTH; shift++) {
        const uintptr_t step = (uintptr_t)1 << shift;
        const uintptr_t last = 0 - step;
        assert_int_equal(bits_round_up(last, step), last);
        assert_int_equal(bits_round_up(last - step + 1, step), last);
        assert_int_equal(bits_round_up(1, step), step);
        assert_int_equal(bits_round_up(0, step), 0);
    }
}

/* ---- rotation --------------------------------------------------------------------------- */

static void rotating_by_any_count_moves_every_bit(void** state)
{
    (void)state;
    for (unsigned count = 1; count < WIDTH; count++) {
        for (unsigned bit = 0; bit < WIDTH; bit++) {
            const uintptr_t value = (uintptr_t)1 << bit;
            assert_int_equal(bits_rotate_right(value, count), rotated(value, count));
            assert_int_equal(bits_rotate_right(~value, count), rotated(~value, count));
        }
        for (unsigned i = 0; i < 100; i++) {
            const uintptr_t value = (uintptr_t)((uint64_t)layer_random() << 32 | layer_random());
            assert_int_equal(bits_rotate_right(value, count), rotated(value, count));
        }
    }
}

static void a_multiple_rotates_to_its_quotient(void** state)
{
    (void)state;
    for (unsigned count = 1; count <= 12; count++) {
        for (uintptr_t quotient = 0; quotient < 1000; quotient++) {
            assert_int_equal(bits_rotate_right(quotient << count, count), quotient);
        }
    }
}

static void anything_else_rotates_beyond_every_quotient(void** state)
{
    (void)state;
    for (unsigned count = 1; count <= 12; count++) {
        const uintptr_t largest_quotient = UINTPTR_MAX >> count;
        for (uintptr_t value = 0; value < 10000; value++) {
            if (value % ((uintptr_t)1 << count) != 0) {
                assert_true(bits_rotate_right(value, count) > largest_quotient);
                assert_true(bits_rotate_right(0 - value, count) > largest_quotient);
            }
        }
    }
}

/* ---- scans ------------------------------------------------------------------------------ */

static void expect_scans(uint32_t value)
{
    assert_int_equal(bits_lowest(value), lowest_of(value));
    assert_int_equal(bits_lowest_portable(value), lowest_of(value));
    assert_int_equal(bits_highest_32(value), highest_of(value));
    assert_int_equal(bits_highest_portable(value), highest_of(value));
    assert_int_equal(bits_highest(value), highest_of(value));
}

static void scans_find_every_single_bit(void** state)
{
    (void)state;
    for (unsigned bit = 0; bit < 32; bit++) {
        expect_scans((uint32_t)1 << bit);
    }
}

static void scans_find_both_ends_of_every_run(void** state)
{
    (void)state;
    for (unsigned low = 0; low < 32; low++) {
        for (unsigned high = low; high < 32; high++) {
            const uint32_t ends = (uint32_t)1 << low | (uint32_t)1 << high;
            const uint32_t run = UINT32_MAX << low & UINT32_MAX >> (31 - high);
            expect_scans(ends);
            expect_scans(run);
        }
    }
}

static void scans_agree_for_all_16_bit_values_in_both_halves(void** state)
{
    (void)state;
    for (uint32_t value = 1; value <= UINT16_MAX; value++) {
        expect_scans(value);
        expect_scans(value << 16);
    }
}

static void scans_agree_for_many_other_values(void** state)
{
    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        expect_scans((layer_random() >> i % 32) | 1U << (i / 32) % 32);
    }
}

static void the_highest_bit_of_a_word_is_found_in_its_whole_width(void** state)
{
    (void)state;
    for (unsigned bit = 0; bit < DMHEAP_HEADER_BYTES * 8; bit++) {
        const dmheap_word value = (dmheap_word)1 << bit;
        assert_int_equal(bits_highest(value), bit);
        assert_int_equal(bits_highest(value | (value - 1)), bit);
        assert_int_equal(bits_highest(value | 1), bit);
    }
}

static void a_share_is_rounded_and_never_above_all(void** state)
{
    (void)state;
    assert_int_equal(bits_share(0, 7, 1000), 0);
    assert_int_equal(bits_share(1, 3, 100), 33);
    assert_int_equal(bits_share(2, 3, 100), 67);
    assert_int_equal(bits_share(1, 2, 1), 1); /* a half is rounded up */
    assert_int_equal(bits_share(3, 3, 1000), 1000);
    assert_int_equal(bits_share(4, 3, 1000), 1000);
    assert_int_equal(bits_share(UINTPTR_MAX / 4, UINTPTR_MAX, 1000), 250);
    assert_int_equal(bits_share(UINTPTR_MAX, UINTPTR_MAX, 1000), 1000);
    assert_int_equal(bits_share(1, 5000, 1000), 0);
    assert_int_equal(bits_share_shown(1, 5000, 1000), 1);
    assert_int_equal(bits_share_shown(0, 5000, 1000), 0);
    assert_int_equal(bits_share_shown(4999, 5000, 1000), 999);
    assert_int_equal(bits_share_shown(5000, 5000, 1000), 1000);
    assert_int_equal(bits_share_shown(1, UINTPTR_MAX, 1000), 1);
    assert_int_equal(bits_share_shown(UINTPTR_MAX - 1, UINTPTR_MAX, 1000), 999);
}

/* Halved once more, or once less, than they need, these would be rounded otherwise. */
static void a_share_of_large_numbers_is_as_exact_as_can_be(void** state)
{
    (void)state;
#if UINTPTR_MAX > UINT32_MAX
    assert_int_equal(bits_share(9214157878975U, 18428315757950000U, 1000), 1);
    assert_int_equal(bits_share(11877049505999807U, 18428315757951600U, 1000), 645);
#else
    assert_int_equal(bits_share(2145, 4290000, 1000), 1);
    assert_int_equal(bits_share(2765341, 4290676, 1000), 645);
#endif
}

/* An image is read by another build, so both have to find the same. */
static void hashes_are_those_of_every_build(void** state)
{
    (void)state;
    static const char text[] = "foobar";
    uint32_t hash = BITS_HASH_OF_NOTHING;
    for (const char* at = text; *at != '\0'; at++) {
        hash = bits_hash(hash, (uint8_t)*at);
    }
    assert_int_equal(hash, 0xBF9CF968U);
    assert_int_equal(bits_scatter(1), 0x9E3779B9U);
    assert_int_equal(bits_scatter(3), 0xDAA66D2BU);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_power_of_two_has_exactly_one_bit),
        cmocka_unit_test(rounding_up_gives_the_next_multiple),
        cmocka_unit_test(rounding_up_works_to_the_last_multiple),
        cmocka_unit_test(rotating_by_any_count_moves_every_bit),
        cmocka_unit_test(a_multiple_rotates_to_its_quotient),
        cmocka_unit_test(anything_else_rotates_beyond_every_quotient),
        cmocka_unit_test(scans_find_every_single_bit),
        cmocka_unit_test(scans_find_both_ends_of_every_run),
        cmocka_unit_test(scans_agree_for_all_16_bit_values_in_both_halves),
        cmocka_unit_test(scans_agree_for_many_other_values),
        cmocka_unit_test(the_highest_bit_of_a_word_is_found_in_its_whole_width),
        cmocka_unit_test(hashes_are_those_of_every_build),
        cmocka_unit_test(a_share_is_rounded_and_never_above_all),
        cmocka_unit_test(a_share_of_large_numbers_is_as_exact_as_can_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
