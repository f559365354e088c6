/* SPDX-License-Identifier: MIT */
/*
 * Damage: at random, clients write behind their blocks and into freed ones, then go on calling;
 * and one heap has each of its words written over, one at a time, with all that looks like
 * something.
 *
 * Nothing is promised about the content of a heap treated at random. What must hold is that each
 * call comes back, that nothing outside the buffer is read or written - the margins are
 * poisoned - and that a new dmheap_init makes all good. After a single word, the context has to
 * be as it was, too, and no memory may be handed out twice.
 *
 *     test_damage              each word, and a few hundred heaps from a fresh seed
 *     test_damage all          each offset that is written in both orders of going on, too, not in
 *                              one of them
 *     test_damage SEED         the one heap of that seed
 */
#include "heap_test.h"

#include "dmod_api.h"

#define SLOTS 48U
#define STEPS 300U
#define HEAPS 250U

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
    random_start(seed);
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

/* ---- one word ---------------------------------------------------------------------------- */

#define EXACT ((size_t)20 * DMHEAP_GRANULE_MIN) /* of a class of one size */
#define ALONE (EXACT + DMHEAP_GRANULE_MIN)      /* of another one, for one block */
#define RANGE ((size_t)50 * DMHEAP_GRANULE_MIN) /* of one of several sizes */
#define HELD  24U

#define SCENE_BYTES ((HAS_NARROW_WORDS ? 3 : 5) * KIB)

/* What clients hold, each filled with its place in here. */
static struct slot held[HELD];

static size_t need_of(size_t size)
{
    return heap_need(test_heap.ctx, size);
}

/* Is it in the heap, and does nobody else hold any of it? */
static bool is_of_its_own(const struct slot* slot)
{
    const uintptr_t start = (uintptr_t)block_of(slot->ptr);
    const uintptr_t heap = (uintptr_t)test_heap.ctx;
    bool is_own = start >= heap + (uintptr_t)test_heap.ctx->first &&
                  start + need_of(slot->size) <= heap + (uintptr_t)test_heap.ctx->top;
    for (const struct slot* other = held; other < held + HELD; other++) {
        const uintptr_t there = (uintptr_t)other->ptr - WORD;
        is_own =
            is_own && (other == slot || !other->is_live || start + WORD + slot->size <= there ||
                       there + WORD + other->size <= start);
    }
    return is_own;
}

static void hold(unsigned number, void* ptr, size_t size)
{
    struct slot* slot = &held[number];
    if (ptr == NULL) {
        return;
    }
    slot->ptr = ptr;
    slot->size = size;
    slot->is_live = true;
    assert_true(is_of_its_own(slot));
    memset(ptr, 0x80 | (int)number, size);
}

static void hold_malloc(unsigned number, size_t size, const char* name)
{
    hold(number, dmheap_malloc(size, name), size);
}

static void let_go(unsigned number)
{
    if (held[number].is_live) {
        dmheap_free(held[number].ptr, true);
        held[number].is_live = false;
    }
}

/*
 * From the first block on: free and live ones in turn, the first free one alone in its class, two
 * each of another exact class and of one of ranges; an aligned one, a module's; behind the last, what
 * is left of blocks that were there.
 */
static void lay_scene(bool with_module)
{
    static const size_t sizes[] = {ALONE, 30, EXACT, 40, RANGE, 0, RANGE + DMHEAP_GRANULE_MIN, 50};
    memset(held, 0, sizeof(held));
    heap_open(SCENE_BYTES, DMHEAP_GRANULE_MIN);
    for (unsigned i = 0; i < COUNT_OF(sizes); i++) {
        hold_malloc(i, sizes[i] == 0 ? 0 : sizes[i] - OVERHEAD, NULL);
    }
    hold(8, dmheap_aligned_alloc(64, 33, NULL), 33);
    if (with_module) {
        hold_malloc(9, 25, "app");
        hold_malloc(10, 45, "app");
    }
    hold_malloc(11, EXACT - OVERHEAD, NULL);
    hold_malloc(12, 10, NULL);
    hold_malloc(13, RANGE - OVERHEAD, NULL);
    hold_malloc(14, 0, NULL);
    for (unsigned i = 0; i < COUNT_OF(sizes); i += 2) {
        let_go(i);
    }
    let_go(11);
    let_go(13);
    let_go(12);
    let_go(14);
    (void)heap_verify();
    expect_silence();
}

/* All that clients may ask for, in an order that meets every free block and every live one. */
static void go_on(bool frees_first, bool unregisters)
{
    for (unsigned i = 0; frees_first && i < 10; i++) {
        let_go(i);
    }
    hold_malloc(0, ALONE - OVERHEAD, NULL);
    hold_malloc(4, EXACT - OVERHEAD, NULL);
    hold_malloc(2, RANGE - OVERHEAD, NULL);
    let_go(3);
    hold_malloc(15, EXACT - OVERHEAD, NULL);
    hold_malloc(16, EXACT - OVERHEAD, "app");
    hold(17, dmheap_aligned_alloc(64, 100, NULL), 100);
    let_go(1);
    hold_malloc(18, RANGE - 4 * OVERHEAD, "new");
    if (held[5].is_live) {
        hold(5, dmheap_realloc(held[5].ptr, 60, NULL), 60);
    }
    if (held[7].is_live) {
        hold(7, dmheap_realloc(held[7].ptr, 5, NULL), 5);
    }
    hold_malloc(19, 2 * EXACT, NULL);
    let_go(9);
    let_go(8);
    hold_malloc(20, RANGE + EXACT, "app");
    hold_malloc(21, 2 * RANGE, NULL);
    if (unregisters) {
        held[10].is_live = false;
        held[16].is_live = false;
        held[20].is_live = false;
        dmheap_unregister_module("app");
    }
    for (unsigned i = 0; i < HELD; i++) {
        hold_malloc(i < 6 ? 22 : 23, i < 6 ? EXACT - WORD : 40, NULL);
        let_go(i);
    }
    (void)heap_fill(NULL);
}

/* The fields of the context that no call changes. */
static void expect_same_context(const struct dmheap_ctx* before)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    assert_int_equal(ctx->size_mask, before->size_mask);
    assert_int_equal(ctx->request_limit, before->request_limit);
    assert_int_equal(ctx->granule_shift, before->granule_shift);
    assert_int_equal(ctx->granules, before->granules);
    assert_int_equal(ctx->live, before->live);
    assert_int_equal(ctx->first, before->first);
    assert_int_equal(ctx->end, before->end);
    assert_int_equal(ctx->alignment, before->alignment);
    assert_true(ctx->top >= ctx->first && ctx->top <= ctx->end);
}

/* Values that a word may be mistaken with; a number beyond them gives the word itself. */
static dmheap_word mistaken(dmheap_word word, unsigned number)
{
    const struct dmheap_ctx* ctx = test_heap.ctx;
    const dmheap_word size = word & BLOCK_SIZE_MASK;
    const dmheap_word values[] = {1,
                                  2,
                                  ~(dmheap_word)0,
                                  ~(dmheap_word)0 << 2,
                                  ctx->end,
                                  ctx->end - DMHEAP_WORD_BYTES,
                                  ctx->end - 2 * DMHEAP_WORD_BYTES,
                                  ctx->top,
                                  word ^ 1,
                                  word ^ 2,
                                  word + DMHEAP_WORD_BYTES,
                                  word - DMHEAP_WORD_BYTES,
                                  word + (dmheap_word)ctx_granule(ctx),
                                  word - (dmheap_word)ctx_granule(ctx),
                                  word * 2,
                                  word / 2,
                                  size,
                                  size | (dmheap_word)1 << BLOCK_OWNER_SHIFT,
                                  size | (dmheap_word)2 << BLOCK_OWNER_SHIFT,
                                  size | (dmheap_word)3 << BLOCK_OWNER_SHIFT,
                                  size | (dmheap_word)9 << BLOCK_OWNER_SHIFT,
                                  word & ~BLOCK_SIZE_MASK};
    return number < COUNT_OF(values) ? values[number] : word;
}

#define MISTAKEN 22U

/* Write over one word of the scene, which is in `snapshot`, and see that clients can go on. */
static void expect_going_on(dmheap_word offset, dmheap_word value, bool frees_first)
{
    struct slot before[HELD];
    struct dmheap_ctx context;
    memcpy(test_heap.buffer, snapshot, test_heap.size);
    memcpy(before, held, sizeof(held));
    memcpy(&context, test_heap.ctx, sizeof(context));
    dmheap_word* const word = (dmheap_word*)ctx_at(test_heap.ctx, offset);
    /* Another module that exists as its owner is right for all that anybody can tell. */
    const bool changes_owner = *word >> BLOCK_OWNER_SHIFT != value >> BLOCK_OWNER_SHIFT;
    *word = value;
    go_on(frees_first, !changes_owner);
    expect_same_context(&context);
    memcpy(held, before, sizeof(held));
    test_port_forget_lines();
}

static bool with_all;

/* Half of all offsets, with no regard to where blocks begin. */
static bool is_chosen(dmheap_word offset)
{
    return ((uint32_t)offset * 2654435761U >> 16) % 2 == 0;
}

static void expect_going_on_with_any(dmheap_word offset, bool frees_first)
{
    const dmheap_word right = *(const dmheap_word*)ctx_at(test_heap.ctx, offset);
    const dmheap_word limit = test_heap.ctx->end + 4 * DMHEAP_WORD_BYTES;
    printf("offset %u, which holds 0x%lx\n", (unsigned)offset, (unsigned long)right);
    for (unsigned i = 0; i < MISTAKEN; i++) {
        memcpy(test_heap.buffer, snapshot, test_heap.size); /* what they are made of */
        expect_going_on(offset, mistaken(right, i), frees_first);
    }
    for (dmheap_word value = 0; value < limit; value += DMHEAP_WORD_BYTES) {
        if (with_all || is_chosen(offset ^ value) == frees_first) {
            expect_going_on(offset, value, frees_first);
        }
    }
    memcpy(test_heap.buffer, snapshot, test_heap.size);
}

/* Header, links and footer, or a record; what else is in a block is its owner's. */
static bool is_the_heaps(const struct dmheap_block* block, dmheap_word at)
{
    return block_owner(block) == OWNER_HEAP || at < 3 * DMHEAP_WORD_BYTES ||
           at + DMHEAP_WORD_BYTES == (dmheap_word)block_size(block);
}

static void write_over_each_word(bool with_module, bool frees_first)
{
    lay_scene(with_module);
    snapshot_take();
    const dmheap_word top = test_heap.ctx->top;
    dmheap_word next = test_heap.ctx->first;
    while (next < top) {
        const dmheap_word start = next;
        const struct dmheap_block* block = ctx_block(test_heap.ctx, (uintptr_t)start);
        const dmheap_word size = (dmheap_word)block_size(block);
        for (dmheap_word at = 0; at < size; at += DMHEAP_WORD_BYTES) {
            if (is_the_heaps(block, at)) {
                expect_going_on_with_any(start + at, frees_first);
            }
        }
        next = start + size;
    }
    memset(held, 0, sizeof(held));
    arenas_verify();
    arenas_release();
}

static void any_single_word_may_be_written_over(void** state)
{
    (void)state;
    for (unsigned how = 0; how < 4; how++) {
        write_over_each_word(how % 2 != 0, how / 2 != 0);
    }
}

/* ---- at random ----------------------------------------------------------------------------- */

static uint32_t first_seed;
static uint32_t heaps;

static void calls_come_back_and_stay_inside_whatever_was_written(void** state)
{
    (void)state;
    for (uint32_t i = 0; i < heaps; i++) {
        play(first_seed + i);
    }
}

int main(int argc, char** argv)
{
    with_all = argc > 1 && strcmp(argv[1], "all") == 0;
    const bool is_one = argc > 1 && !with_all;
    random_choose(is_one ? argc : 1, argv);
    heaps = is_one ? 1 : HEAPS;
    first_seed = random_seed * (is_one ? 1U : 1000U);
    const struct CMUnitTest cases[] = {
        heap_case(calls_come_back_and_stay_inside_whatever_was_written),
        heap_case(any_single_word_may_be_written_over),
    };
    const struct CMUnitTest one_seed[] = {cases[0]};
    return is_one ? cmocka_run_group_tests(one_seed, NULL, NULL)
                  : cmocka_run_group_tests(cases, NULL, NULL);
}
