/* SPDX-License-Identifier: MIT */
/*
 * Random damage: clients write behind their blocks and into freed ones, then go on calling.
 *
 * Nothing is promised about the content of a heap treated like this. What must hold is that each
 * call comes back, that nothing outside the buffer is read or written - the margins are
 * poisoned - and that a new dmheap_init makes all good.
 *
 *     test_damage              a few hundred heaps from a fresh seed
 *     test_damage SEED         the one heap of that seed
 */
#include "heap_test.h"

#include <time.h>

#include "dmod_api.h"

#define SLOTS 48U
#define STEPS 300U
#define HEAPS 250U

static uint32_t dice_state;

static uint32_t dice(uint32_t sides)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 17;
    dice_state ^= dice_state << 5;
    return (dice_state >> 4) % sides;
}

struct slot {
    unsigned char* ptr;
    size_t size;
    bool is_live; /* as far as the client knows; else freed, and still written to */
};

static struct slot slots[SLOTS];

static const char* any_name(void)
{
    static const char* const names[] = {NULL,     "a", "network", "module#12", "b", "c",
                                        "sensor", "d", "e",       "f",         "g", "h"};
    return names[dice(COUNT_OF(names))];
}

/* Words that look like nothing, like sizes, like offsets, or like headers. */
static uint32_t any_word(void)
{
    switch (dice(6)) {
    case 0:
        return 0;
    case 1:
        return ~(uint32_t)0;
    case 2:
        return dice((uint32_t)test_heap.size);
    case 3:
        return dice((uint32_t)test_heap.size / 8) * 8;
    case 4:
        return dice(64) * 8 + dice(4) + ((uint32_t)2 << 24);
    default:
        return dice(0xFFFFFFFFU);
    }
}

/* Write `bytes` from `at` on, but never outside the buffer. */
static void scribble(unsigned char* at, size_t bytes)
{
    const unsigned char* end = test_heap.buffer + test_heap.size;
    while (bytes != 0 && at < end) {
        const uint32_t word = any_word();
        size_t part = bytes < sizeof(word) ? bytes : sizeof(word);
        if (part > (size_t)(end - at)) {
            part = (size_t)(end - at);
        }
        memcpy(at, &word, part);
        at += part;
        bytes -= part;
    }
}

static void do_alloc(struct slot* slot)
{
    const size_t size = dice(4) != 0 ? dice(100) : dice(1500);
    slot->ptr = dice(4) != 0 ? dmheap_malloc(size, any_name())
                             : dmheap_aligned_alloc((size_t)1 << dice(9), size, any_name());
    slot->size = size;
    slot->is_live = slot->ptr != NULL;
}

static void do_step(void)
{
    struct slot* slot = &slots[dice(SLOTS)];
    switch (dice(10)) {
    case 0:
    case 1:
    case 2:
        if (!slot->is_live) {
            do_alloc(slot);
        }
        break;
    case 3:
    case 4:
        dmheap_free(slot->ptr, dice(2) != 0);
        slot->is_live = false;
        break;
    case 5:
        if (slot->is_live) {
            unsigned char* moved = dmheap_realloc(slot->ptr, dice(300), any_name());
            slot->ptr = moved != NULL ? moved : slot->ptr;
        }
        break;
    case 6:
        dmheap_unregister_module(dice(4) == 0 ? any_name() : NULL);
        break;
    case 7:
        (void)Dmod_RetagEx(slot->ptr, any_name());
        (void)Dmod_RenameTag(any_name(), any_name());
        break;
    case 8:
        if (slot->ptr != NULL && slot->is_live) {
            scribble(slot->ptr + slot->size, 1 + dice(40));
        }
        break;
    default:
        if (slot->ptr != NULL && !slot->is_live) {
            scribble(slot->ptr, 4 + dice(40));
        }
        break;
    }
    test_port_forget_lines();
}

static void play(uint32_t seed)
{
    dice_state = seed | 1U;
    memset(slots, 0, sizeof(slots));
    const size_t size = 1200 + dice(30000);
    const size_t alignment = (size_t)4 << dice(6);
    if (heap_start(arena_make(size, dice(16)), size, alignment)) {
        for (unsigned step = 0; step < STEPS; step++) {
            do_step();
        }
        arenas_verify();
        assert_true(heap_start(test_heap.buffer, size, alignment));
        test_port_forget_lines();
        assert_true(heap_is_empty());
    }
    (void)test_port_reset();
    arenas_release();
}

static uint32_t first_seed;
static uint32_t heaps = HEAPS;

static void calls_come_back_and_stay_inside_whatever_was_written(void** state)
{
    (void)state;
    for (uint32_t i = 0; i < heaps; i++) {
        printf("seed %u\n", (unsigned)(first_seed + i));
        play(first_seed + i);
    }
}

int main(int argc, char** argv)
{
    first_seed = (uint32_t)time(NULL) * 1000U;
    if (argc > 1) {
        first_seed = (uint32_t)strtoul(argv[1], NULL, 0);
        heaps = 1;
    }
    const struct CMUnitTest cases[] = {
        cmocka_unit_test(calls_come_back_and_stay_inside_whatever_was_written),
    };
    return cmocka_run_group_tests(cases, NULL, NULL);
}
